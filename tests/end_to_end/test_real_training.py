"""The example for real: AllenNLP trains, the source changes, the capsule moves, and the same weights come out.

Code: /qb/, /train.sh, attempt, jobs
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from small_project import REPOSITORY, TRAIN_2020, Project

pytestmark = [pytest.mark.allennlp, pytest.mark.timeout(900)]

# of metrics.json: what no two runs share
TIMES_AND_MEMORY = ("duration", "memory")
FORCE = """\
import sys, tomllib
with open(sys.argv[2], "rb") as file:
    conf = tomllib.load(file)
sys.path.insert(0, conf["conf_dir"])
import qb.guessers, qb.reader, qb.schedulers
from allennlp.commands.train import train_model_from_file
train_model_from_file(conf["allennlp_conf"], conf["serialization_dir"], force=True, file_friendly_logging=True)
"""


def example(root: Path) -> Project:
    """A copy of the repository's example, as a clone would have it."""
    root.mkdir(parents=True)
    for name in ("setup.py", "train.sh", "hyper.py", "rnn_model.jsonnet", "dan_model.jsonnet", "slurm-allennlp.sh"):
        shutil.copy(REPOSITORY / name, root)
    for name in ("qb", "resweep"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "config").mkdir()
    for path in (REPOSITORY / "config").glob("*.toml"):
        shutil.copy(path, root / "config")
    project = Project.__new__(Project)
    project.root = root
    return project


def numbers(directory: Path) -> dict[str, object]:
    """The metrics of a run without durations and memory."""
    metrics = json.loads((directory / "metrics.json").read_text())
    return {key: value for key, value in metrics.items() if not any(word in key for word in TIMES_AND_MEMORY)}


def without_the_tool(home: Path) -> Path:
    """A Python that has everything installed here but resweep."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    # a path file inside a directory that a path file names is not followed: that leaves the editable install out
    (home / "lib" / version / "site-packages" / "here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = home / "bin" / "python"
    absent = subprocess.run([python, "-c", "import resweep"], cwd=home, capture_output=True, check=False)
    assert b"No module named 'resweep'" in absent.stderr
    return python


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two trials of one point, trained through the jobs script, in a project whose path has a space."""
    project = example(tmp_path_factory.mktemp("real") / "my project")
    overrides = (
        "--set",
        "params.debug=true",
        "--set",
        "hyper.params.lr=[0.003]",
        "--set",
        "hyper.params.dropout=[0.25]",
    )
    overrides += ("--set", "hyper.params.hidden_dim=[16]", "--set", "hyper.params.n_hidden_layers=[1]")
    project.resweep("config/rnn.toml", "rnn_model.jsonnet", "rnn", "--n-trials", "2", *overrides).ok()
    path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    done = project.shell("bash rnn-jobs.sh --here", PATH=path).ok()
    assert "all trials have finished" in done.out
    return project


def test_two_trials_of_a_point_train_with_their_own_seeds(trained: Project) -> None:
    """Both write their own output and nothing else into it, and their weights differ."""
    weights = []
    for entry in trained.entries():
        place = trained.paths().place(entry.name)
        assert trained.record(entry)["state"] == "finished"
        assert "best_validation_accuracy" in Path(place.attempt(1), "log.txt").read_text()
        found = {path.name for path in Path(place.output).iterdir()}
        assert {"best.th", "metrics.json", "vocabulary"} <= found
        assert not found & {"log.txt", "record.json"}
        weights.append(Path(place.output, "best.th").read_bytes())
        filled = json.loads((Path(place.capsule) / f"{entry.id}.json").read_text())
        assert filled["pytorch_seed"] == filled["random_seed"] == filled["numpy_seed"] == entry.trial
    assert len(weights) == 2
    assert weights[0] != weights[1]


def test_a_moved_capsule_gives_the_same_weights_without_the_tool_and_without_the_project(
    trained: Project, tmp_path: Path
) -> None:
    """With the live qb/ broken, the project gone and resweep not installed, a re-run repeats the first bit for bit."""
    entry = trained.entries()[1]
    first = tmp_path / "first output"
    shutil.copytree(trained.paths().place(entry.name).output, first)
    capsule = tmp_path / "archive" / "some trial"
    shutil.copytree(trained.paths().capsule(entry.name), capsule)
    (trained.root / "qb" / "guessers.py").write_text("raise SystemExit('the live source was used')\n")
    hidden = trained.root.with_name("moved away")
    trained.root.rename(hidden)
    try:
        done = subprocess.run(
            ["bash", capsule / "rerun.sh", tmp_path / "again"],
            env={
                "PATH": "/usr/bin:/bin",
                "RESWEEP_PYTHON": str(without_the_tool(tmp_path / "venv")),
                "HOME": str(tmp_path),
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        hidden.rename(trained.root)
        shutil.copy(REPOSITORY / "qb" / "guessers.py", trained.root / "qb")
    assert done.returncode == 0, done.stdout + done.stderr
    again = tmp_path / "again" / "output"
    assert (again / "best.th").read_bytes() == (first / "best.th").read_bytes()
    assert numbers(again) == numbers(first)


def test_a_capsule_runs_again_in_place_after_the_whole_project_moved(trained: Project, tmp_path: Path) -> None:
    """The same weights from the moved project, into a fresh directory; the earlier output stays as it is."""
    moved = tmp_path / "elsewhere"
    shutil.copytree(trained.root, moved, symlinks=True)
    entry = trained.entries()[0]
    capsule = moved / "config" / "generated" / "rnn" / str(entry.name)
    earlier = moved / "model" / "generated" / "rnn" / str(entry.name)
    before = {path: path.read_bytes() for path in earlier.rglob("*") if path.is_file()}
    done = subprocess.run(
        ["bash", capsule / "rerun.sh"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "RESWEEP_PYTHON": sys.executable},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    again = tmp_path / f"rerun-{entry.id}-0-1" / "output"
    assert (again / "best.th").read_bytes() == (earlier / "best.th").read_bytes()
    assert before == {path: path.read_bytes() for path in earlier.rglob("*") if path.is_file()}


def test_training_that_deletes_its_output_directory_first_leaves_log_and_record_intact(tmp_path: Path) -> None:
    """AllenNLP's force=True removes the whole directory; a train.sh as the script of 2020 had it calls it."""
    project = example(tmp_path / "project")
    project.write({"qb/force.py": FORCE, "train.sh": TRAIN_2020.replace("main.py", "force.py")})
    overrides = (
        "--set",
        "params.debug=true",
        "--set",
        "hyper.params.word_dropout=[0.3]",
        "--set",
        "hyper.params.lr=[0.003]",
    )
    overrides += ("--set", "hyper.params.hidden_dim=[16]", "--set", "hyper.params.n_hidden_layers=[1]")
    project.resweep("config/dan.toml", "dan_model.jsonnet", "dan", *overrides).ok()
    project.resweep("run", "dan").ok()
    (entry,) = project.entries("dan")
    place = project.paths("dan").place(entry.name)
    assert project.record(entry, name="dan")["state"] == "finished"
    assert Path(place.output, "best.th").is_file()
    assert "force" not in {path.name for path in Path(place.output).iterdir()}
    assert Path(place.attempt(1), "log.txt").stat().st_size > 0


def test_the_example_is_scored_on_its_test_fold(trained: Project) -> None:
    """`qb/main.py evaluate` reads the capsule's own TOML, whose paths are relative, and finds the trained weights."""
    capsule = trained.paths().capsule(trained.entries()[0].name)
    done = subprocess.run(
        [sys.executable, "qb/main.py", "evaluate", next(capsule.glob("*.toml"))],
        cwd=capsule, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fold"] == "guesstest"
