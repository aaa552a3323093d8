"""`resweep.log`: one line in a training, one line in its metrics.jsonl.

Code: results/log
"""

from __future__ import annotations

import doctest
import json
import math
import os
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy
import pytest
from launched import Trial, until
from small_project import Project

import resweep
from resweep.results import log, metrics

TRAIN = """\
python - <<'END'
import os, resweep
start = 3 if "RESWEEP_RESUMED" in os.environ else 1
for epoch in range(start, start + 2):
    assert resweep.log(epoch, loss=1 / epoch, validation_accuracy=0.5)
raise SystemExit(85 if start == 1 else 0)
END
"""


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The output directory of an attempt, which training has not made yet."""
    monkeypatch.setenv(log.OUTPUT, str(tmp_path / "not" / "yet"))
    return tmp_path / "not" / "yet"


def found(output: Path) -> list[Any]:
    """The lines of the file, read as JSON; an empty one stands where a process saw another's line half written."""
    return [json.loads(line) for line in (output / log.LINES).read_text().splitlines() if line]


@pytest.mark.slow
def test_an_attempt_has_its_lines_and_a_resumed_one_goes_on(trial: Trial) -> None:
    """What was logged before and after the resumption is one curve of the trial's output."""
    trial.train(TRAIN)
    assert trial.launch().status == 85
    assert [each["step"] for each in found(trial.directory(1) / "output")] == [1, 2]
    trial.launch().ok()
    assert [each["step"] for each in found(trial.output)] == [1, 2, 3, 4]
    loss, accuracy = metrics.history(metrics.Output(str(trial.output))).curves
    assert (loss.name, loss.axis, loss.steps, loss.values) == ("loss", "step", (1, 2, 3, 4), (1, 1 / 2, 1 / 3, 1 / 4))
    assert accuracy.name == "validation_accuracy"


def test_a_line_can_be_read_while_training_goes_on(trial: Trial) -> None:
    """It is in the file when the call returns."""
    trial.train("python -c 'import resweep, time; resweep.log(1, loss=2); time.sleep(600)'\n")
    trial.start()
    output = trial.directory() / "output"
    until((output / log.LINES).exists)
    until(lambda: found(output) == [{"step": 1, "loss": 2}])


def test_nothing_happens_outside_of_an_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same code runs by itself; the return value tells."""
    monkeypatch.chdir(tmp_path)
    assert resweep.log(1, loss=0.5) is False
    assert not list(tmp_path.iterdir())
    assert doctest.testmod(log).failed == 0


def test_exec_does_not_log_into_a_finished_trial(swept: Project) -> None:
    """A command that evaluates runs training code, too; what the trial wrote stays as it is."""
    Trial(swept).launch()
    before = swept.tree("model")
    said = swept.resweep("exec", "rnn#1", "--", "python", "-c", "import resweep; print(resweep.log(1, loss=3))").ok()
    assert said.out.splitlines()[0] == "False"
    assert {name: data for name, data in swept.tree("model").items() if name in before} == before


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (1, 1),
        (0.1, 0.1),
        (True, 1),
        (numpy.float32(0.5), 0.5),
        (numpy.float64(0.1), 0.1),
        (numpy.int64(3), 3),
        (numpy.array([[2.5]]), 2.5),
        (numpy.bool_(True), 1),
        (Decimal("0.25"), 0.25),
        (Fraction(1, 4), 0.25),
        (10**30, 10**30),
    ],
)
def test_numbers_of_every_library_are_taken(output: Path, value: Any, plain: float) -> None:
    """As Python's own, whatever their type."""
    assert resweep.log(1, value=value)
    assert found(output) == [{"step": 1, "value": plain}]


def test_torch_scalars_are_taken(output: Path) -> None:
    """On any device, with a gradient or without, as the losses of a training are."""
    import torch

    loss = torch.tensor([1.5], requires_grad=True).sum()
    assert resweep.log(torch.tensor(7), loss=loss, half=torch.tensor(0.5, dtype=torch.bfloat16))
    assert found(output) == [{"step": 7, "loss": 1.5, "half": 0.5}]


def test_what_diverged_is_kept_and_read(output: Path) -> None:
    """NaN and the infinities are in the file, and our reader gives them back."""
    resweep.log(1, loss=math.nan, other=numpy.float32("inf"), third=-math.inf)
    values = metrics.read(metrics.Output(str(output))).values
    assert math.isnan(values["loss"])
    assert (values["other"], values["third"]) == (math.inf, -math.inf)


@pytest.mark.parametrize("value", ["0.5", None, [1], {"a": 1}, numpy.zeros(2), 1j, object()])
def test_what_is_no_number_is_refused_by_name(output: Path, value: Any) -> None:
    """Also outside of an attempt, so that it is found where the code is tried first; nothing is written."""
    for inside in (True, False):
        if not inside:
            del os.environ[log.OUTPUT]
        with pytest.raises(TypeError, match=r"resweep\.log: accuracy: found .*, expected a number"):
            resweep.log(1, loss=1, accuracy=value)
    assert not output.exists()


@pytest.mark.parametrize("step", [math.nan, math.inf])
def test_a_step_can_be_counted_to(output: Path, step: float) -> None:
    """Not at NaN, which no axis has a place for."""
    with pytest.raises(ValueError, match=r"resweep\.log: step: found (nan|inf)"):
        resweep.log(step, loss=1)
    assert not output.exists()


def test_processes_of_one_training_do_not_mix_their_lines(output: Path) -> None:
    """Ranks that all log: every line of each is there, and whole."""
    program = (
        "import sys, resweep\nfor step in range(300): resweep.log(step, **{f'rank_{sys.argv[1]}_' + 'x' * 500: step})"
    )
    ranks = [subprocess.Popen([sys.executable, "-c", program, str(rank)]) for rank in range(4)]
    assert [rank.wait(timeout=300) for rank in ranks] == [0] * 4
    lines = found(output)
    assert len(lines) == 1200
    for rank in range(4):
        assert [each["step"] for each in lines if f"rank_{rank}_" + "x" * 500 in each] == list(range(300))


def test_a_line_after_a_torn_one_is_whole(output: Path) -> None:
    """What a disk that was full took of a line costs that line alone."""
    resweep.log(1, loss=1)
    with open(output / log.LINES, "a", encoding="utf-8") as file:
        file.write('{"step": 2, "lo')
    resweep.log(3, loss=3)
    reading = metrics.history(metrics.Output(str(output)))
    assert reading.curves[0].steps == (1, 3)
    assert "line 2" in reading.problems[0]


def test_two_lines_without_the_tool_do_the_same(output: Path) -> None:
    """What the docs offer to a training whose environment has no resweep."""
    resweep.log(1, loss=0.5)
    step, loss = 2, 0.25
    with open(os.path.join(os.environ["RESWEEP_OUTPUT"], "metrics.jsonl"), "a") as file:
        print(json.dumps({"step": step, "loss": loss}), file=file)
    assert found(output) == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}]


def test_training_does_not_wait_for_the_tool() -> None:
    """Importing it brings nothing that a Python does not have anyway."""
    program = "import sys, resweep; resweep.log(1, loss=1); print(sorted(name for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert [name for name in eval(done.stdout) if name.startswith("resweep")] == [
        "resweep",
        "resweep.results",
        "resweep.results.log",
    ]
    assert not {"subprocess", "dataclasses", "tomllib", "numpy", "click"} & set(eval(done.stdout))
