"""What is written, to the byte: the jobs script and one trial's files, compared with tests/golden/.

Code: generation/job_script, layout
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sklearn.model_selection  # noqa: F401  imported once: generating asks it in this process then
from hypothesis import given, settings
from hypothesis import strategies as st
from small_project import Project

from resweep import layout
from resweep.generation import job_script
from resweep.index import Entry
from resweep.sweep.slurm_table import Resources

GOLDEN = Path(__file__).parent / "golden"

# Its own, so that a change of the other tests' project changes no id here.
FILES = {
    "setup.py": 'from setuptools import setup\nsetup(name="qb", packages=["qb"])\n',
    "qb/__init__.py": "",
    "qb/main.py": "print('trains')\n",
    "train.sh": 'cd "$1"\npython qb/main.py train "$2"\n',
    "golden.jsonnet": "function(lr, name, random_seed=1) { trainer: { lr: lr, name: name }, seed: random_seed }\n",
    "config/golden.toml": """\
n_trials = 2
seed = 5
threads = 2

[hyper]
"params.lr" = [1, 0.5]
"params.name" = ["plain", "it's \\"$(x)\\"\\n@NAME@ ü"]

[params]
lr = 0.1

[model.encoder]
when = 2020-02-29
dims = [1, 2.5]

[slurm]
qos = "gpu-medium"
gres = "gpu:1"
mem_per_cpu = "4 g"
exclusive = true
requeue = false
""",
}


def matches(name: str, text: str, where: str = Path(__file__).name) -> None:
    """Compare with tests/golden/NAME, or write it where UPDATE_GOLDEN is set."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, "utf-8")
    how = f"{path} differs; if that is meant: UPDATE_GOLDEN=1 pytest tests/{where}, and read the diff"
    assert path.is_file(), how
    assert text == path.read_text("utf-8"), how


@pytest.fixture
def golden(project: Project) -> Project:
    """The generated sweep whose files are in tests/golden/."""
    project.write(FILES)
    project.resweep("config/golden.toml", "golden.jsonnet", "golden").ok()
    return project


def test_the_jobs_script_is_the_recorded_one(golden: Project) -> None:
    """The whole of golden-jobs.sh: comments, options of sbatch, a line per trial."""
    matches("golden-jobs.sh", (golden.root / "golden-jobs.sh").read_text("utf-8"))
    assert os.access(golden.root / "golden-jobs.sh", os.X_OK)


def test_a_trials_files_are_the_recorded_ones(golden: Project) -> None:
    """The id, TOML, JSON and manifest of one trial: ids never change by accident, for people have cited them."""
    folder = golden.capsules("golden")[1]
    matches("trial.toml", next(folder.glob("*.toml")).read_text("utf-8"))
    matches("trial.json", (folder / f"{folder.parent.name}.json").read_text("utf-8"))
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    # The launcher travels in rerun.sh, and may change without changing what a trial is.
    assert len(manifest["files"].pop("rerun.sh")) == len(manifest.pop("checksum")) == 64
    matches("manifest.json", json.dumps(manifest, indent=2, sort_keys=True) + "\n")


def test_the_ids_of_a_sweep_are_the_recorded_ones(golden: Project) -> None:
    """Every trial of the golden sweep, in order."""
    matches("ids.txt", "".join(f"{each.number} {each.name} {each.digest}\n" for each in golden.entries("golden")))


@pytest.mark.parametrize(("options", "way"), [((), "auto"), (("--no-slurm-job",), "here"), (("--slurm-job",), "slurm")])
def test_an_option_fixes_where_the_script_runs_the_trials(project: Project, options: tuple[str, ...], way: str) -> None:
    """With neither option the script decides when it is started."""
    project.generate(*options).ok()
    assert f"\nway={way}\n" in project.paths().jobs.read_text()


def _script(values: list[object], slurm: dict[str, object] | None = None) -> str:
    entries = [Entry(n, f"id{n}", 0, "d", "p", "s", {"params.x": v}, 1) for n, v in enumerate(values)]
    return job_script.script("rnn", entries, Resources(slurm or {}), [], "here", "/a path/python")


def _bash(program: str, script: str) -> list[str]:
    """What bash prints that has the script's functions but does not start it."""
    beginning = script.partition("\n}\n")[0]  # to the end of its first function, the list of trials
    done = subprocess.run(["bash", "-c", f"{beginning}\n}}\n{program}"], capture_output=True, check=True)
    return done.stdout.decode().split("\n")[:-1]


# DEL is shown in another way than JSON has it
_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"))
_nasty = _text | st.sampled_from(["TRIALS", "\nTRIALS\n", "$(exit 1)", "`exit 1`", "'\"\\", "@NAME@", "# x", "\x85"])


_options = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\0"))


@settings(deadline=None, max_examples=25)
@given(st.lists(_nasty | st.lists(_nasty), min_size=1, max_size=8), _options)
def test_no_value_breaks_the_script(values: list[object], option: str) -> None:
    """Whatever a value or an option of sbatch holds, bash reads the script, lists every trial and runs nothing."""
    script = _script(values, {"comment": option})
    assert subprocess.run(["bash", "-n"], input=script.encode(), check=False, capture_output=True).stderr == b""
    lines = _bash("trials", script)
    assert [line.split()[0] for line in lines] == [f"id{n}/0" for n in range(len(values))]
    for line, value in zip(lines, values, strict=True):
        shown = line.partition("params.x=")[2]
        cut = len(layout.jsonnable(value)) > layout.LONGEST
        assert (" ... " in shown and len(shown) <= layout.LONGEST) if cut else json.loads(shown) == value
    assert _bash('printf "%s\\n" "${sbatch_options[@]}"', script) == [f"--comment={option}"]


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
def test_the_trials_are_listed_in_any_locale(locale: str) -> None:
    """A value beyond ASCII does not make grep take the list for a binary file."""
    lines = _bash(f"export LC_ALL={locale}; trials", _script(["ü", "\x80\uffff", "\U0001f600", "plain"]))
    assert len(lines) == 4


def test_a_line_can_be_commented_out() -> None:
    """A # before a trial's line leaves it out; blank lines do not matter."""
    script = _script(["a", "b", "c"]).replace("\nid1/0", "\n\n   \n  # id1/0")
    assert [line.split()[0] for line in _bash("trials", script)] == ["id0/0", "id2/0"]


@pytest.mark.slow
def test_nasty_values_arrive_in_training_through_the_script(project: Project) -> None:
    """From the TOML through jsonnet, the list and two shells into the training's own metrics, unchanged."""
    values = ["$(touch pwned)", "`touch pwned`", "a\n'b' \"c\" \\", "@NAME@ ü \u2028 \U0001f600", "TRIALS", ""]
    text = "[hyper]\nparams.lr = [" + ", ".join(json.dumps(v, ensure_ascii=False) for v in values) + "]\n"
    project.write({"config/rnn.toml": text})
    project.generate().ok()
    # without resweep on PATH, with a locale in which text is bytes
    path = f"{project.root}/bin:/usr/bin:/bin"
    done = project.shell("bash rnn-jobs.sh --here", PATH=path, RESWEEP_PYTHON=sys.executable, LC_ALL="C")
    assert done.status == 0, done
    metrics = [json.loads(path.read_text()) for path in project.root.glob("model/generated/rnn/*/0/metrics.json")]
    assert sorted(each["best_validation_accuracy"] for each in metrics) == sorted(values)
    assert not list(project.root.rglob("pwned"))
    assert "nothing to run" in project.shell("bash rnn-jobs.sh --here").ok().out
