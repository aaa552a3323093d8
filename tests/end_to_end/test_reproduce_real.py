"""The example once more: identical to the bit, here and where it was unpacked; and when not, the cause is named.

Code: /qb/, proof/reproduce, proof/environment_changes
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import example
import pytest
from small_project import Project, Result, interpreter

pytestmark = [pytest.mark.allennlp, pytest.mark.timeout(900)]

# what a person may have in a train.sh: threads from outside, and something about a package among the metrics
TRAIN = """\
set -e
cd "$1"
export OMP_NUM_THREADS="${MY_THREADS:-$OMP_NUM_THREADS}"
"$RESWEEP_PYTHON" qb/main.py train "$2"
"$RESWEEP_PYTHON" - "$2" <<'END'
import json, sys, tiny_pack, tomllib
with open(sys.argv[1], "rb") as file:
    path = tomllib.load(file)["serialization_dir"] + "/metrics.json"
with open(path) as file:
    metrics = json.load(file)
with open(path, "w") as file:
    json.dump({**metrics, "tiny": tiny_pack.version}, file)
END
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Path]:
    """A trial of three short epochs of the example, with its data beside the project's source; and its interpreters."""
    home = tmp_path_factory.mktemp("reproduce")
    project = example.clone(home / "a clone")
    (project.root / "data").mkdir()
    shutil.copy(project.root / "qb/data/quiz.json", project.root / "data/quiz.json")
    (project.root / "train.sh").write_text(TRAIN)
    template = (project.root / "rnn_model.jsonnet").read_text()
    assert template.count(example.EPOCHS) == 1
    project.write({"rnn_model.jsonnet": template.replace(example.EPOCHS, "num_epochs")})
    one = interpreter(home / "1.0", "1.0")
    interpreter(home / "2.0", "2.0")
    (project.root / "config" / "one.toml").write_text(
        f"[run]\npython = {json.dumps(one)}\n"
        '[data]\nfiles = ["data/*.json"]\n[results]\nmetric = "best_validation_accuracy"\n'
        f"[params]\nlr = 0.003\ndropout = 0.25\nhidden_dim = 128\nn_hidden_layers = 1\ndebug = true\nnum_epochs = 3\n"
        f"data = {json.dumps(str(project.root / 'data/quiz.json'))}\n"
    )
    project.resweep("config/one.toml", "rnn_model.jsonnet", "demo").ok()
    project.resweep("run", "demo").ok()
    return project, home


def again(project: Project, *arguments: str, **environment: str) -> Result:
    """`resweep reproduce demo#1`, or with other words."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return project.resweep("reproduce", *(arguments or ("demo#1",)))


def test_a_real_trial_is_identical(trained: tuple[Project, Path]) -> None:
    """Weights, states and metrics, to the bit; what was saved by what it holds, but for the run's own paths."""
    result = again(trained[0], "--best", "demo").ok()
    assert result.out.startswith("identical: demo#1 ")
    assert " files of weights" in result.out
    assert "what was not the same" not in result.out
    # a state names the best weights by their path, which is another one
    assert "  ignored   metadata of saved files: .data/serialization_id, time stamps" in result.out


def test_the_thread_count_and_the_package_are_named(trained: tuple[Project, Path]) -> None:
    """Two threads give other weights, and torch says how many there were; another version of a package, its metric."""
    result = again(trained[0], MY_THREADS="2", RESWEEP_PYTHON=str(trained[1] / "2.0/bin/python"))
    assert result.status == 1
    assert "  weights   best.th: changed (" in result.out
    assert "    threads   torch.threads: 1 -> 2\n" in result.out
    assert "  metric    tiny: 1.0 -> 2.0\n" in result.out
    assert "    packages  tiny-pack: 1.0 -> 2.0\n" in result.out


def test_the_data_is_named(trained: tuple[Project, Path]) -> None:
    """Refused with its name; allowed, it is what may explain the other weights."""
    data = trained[0].root / "data/quiz.json"
    before = data.read_text()
    data.write_text(before.replace(" the ", " a "))
    try:
        assert "data/quiz.json (changed)" in again(trained[0]).err
        result = again(trained[0], "demo#1", "--allow-changed-data")
    finally:
        data.write_text(before)
    assert result.status == 1
    assert "    data      data/quiz.json: as fingerprinted -> changed\n" in result.out


def test_what_was_unpacked_elsewhere_is_identical(trained: tuple[Project, Path], tmp_path: Path) -> None:
    """Packed on one path and unpacked on another with a space in it; the data stays where it was."""
    project, _ = trained
    archive = tmp_path / "demo.tar.gz"
    project.resweep("pack", "demo", "-o", str(archive)).ok()
    there = example.at(tmp_path / "an other place")
    project.resweep("unpack", str(archive), str(there.root)).ok()
    result = again(there, "demo#1", "--into", str(tmp_path / "again"), RESWEEP_DATA=str(project.root)).ok()
    assert result.out.startswith("identical: demo#1 ")
    # metrics alone are packed by default, and compared; so the weights are compared here
    assert "the weights are not there to compare" in result.out
    first = Path(project.paths("demo").place(project.entries("demo")[0].name).output)
    assert (tmp_path / "again/output/best.th").read_bytes() == (first / "best.th").read_bytes()
    there.resweep("diff", "demo#1", str(archive)).ok()
