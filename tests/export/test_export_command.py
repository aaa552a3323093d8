"""`resweep export`: where it writes, what it leaves out, what it says, and that it tells nobody else.

Code: cli/export, export/home, export/quiet
"""

from __future__ import annotations

import importlib
import itertools
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from exported import Board, Store, four, give, no_network, runs
from small_project import SWEEP, Project

from resweep.errors import DiskError, ExportError
from resweep.export import home

TARGETS = ["tensorboard", "wandb", "mlflow", "comet"]


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_exports_are_written_and_the_next_step_is_named(swept: Project, tmp_path: Path, target: str) -> None:
    """Every target takes the runs, says how many, what was left out, what to type; the project stays as it is."""
    four(swept)
    before = swept.tree()
    out = tmp_path / "an export"
    said = swept.resweep("export", "rnn", "--to", target, str(out)).ok().out
    assert f"{out}: 3 runs" in said
    assert "1 trial not started yet" in said
    word = {
        "tensorboard": "tensorboard --logdir",
        "wandb": "wandb sync",
        "mlflow": "mlflow ui",
        "comet": "comet upload",
    }
    assert word[target] in said
    assert f"'{out}" in said or "sqlite:" in said  # quoted: the path has a space
    assert swept.tree() == before
    again = swept.resweep("export", "rnn", "--to", target, str(out)).ok().out
    assert "3 runs" in again
    assert target == "tensorboard" or "(0 new, 0 changed, 3 as before)" in again


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_a_directory_that_is_not_ours_is_refused(swept: Project, tmp_path: Path, target: str) -> None:
    """A directory with anybody's files, a file, or another target's export stays as it is; one line says why."""
    four(swept)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    other = tmp_path / "other"
    swept.resweep("export", "rnn", "--to", TARGETS[TARGETS.index(target) - 1], str(other)).ok()
    for place in (mine, mine / "thesis.tex", other):
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        result = swept.resweep("export", "rnn", "--to", target, str(place))
        assert (result.status, result.err.count("\n"), result.out) == (2, 1, "")
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_file_that_somebody_put_into_an_export_is_not_removed(swept: Project, tmp_path: Path) -> None:
    """The directory that is written anew is refused when it has come to hold what we did not write."""
    four(swept)
    out = tmp_path / "tb"
    swept.resweep("export", "rnn", "--to", "tensorboard", str(out)).ok()
    (out / "rnn" / "notes.txt").write_text("mine")
    result = swept.resweep("export", "rnn", "--to", "tensorboard", str(out))
    assert (result.status, "notes.txt" in result.err) == (2, True)
    assert (out / "rnn" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"kind": "resweep export", "format": 2, "to": "comet"}', "[" * 10**5])
def test_a_broken_mark_is_refused(tmp_path: Path, text: str) -> None:
    """A directory whose mark is no mark of ours is not ours."""
    (tmp_path / home.MARK).write_text(text)
    with pytest.raises(ExportError):
        home.read(tmp_path, "comet")


def test_exports_do_not_go_among_the_sweeps(swept: Project) -> None:
    """What the tool and the training wrote is no place for an export."""
    for place in ("config/generated/tb", "model/generated/rnn", "config/generated"):
        result = swept.resweep("export", "rnn", "--to", "comet", place)
        assert (result.status, result.err.count("\n")) == (2, 1)
    assert not (swept.root / "config/generated/tb").exists()


def test_an_export_that_fails_leaves_the_former_one(tmp_path: Path) -> None:
    """Half an export takes no place, and leaves nothing behind."""
    with home.replaced(tmp_path / "tb", "tensorboard") as part:
        (part / "one").write_text("1")
    writing = home.replaced(tmp_path / "tb", "tensorboard")
    (writing.__enter__() / "two").write_text("2")
    assert not writing.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert [path.name for path in tmp_path.iterdir()] == ["tb"]
    assert (tmp_path / "tb" / "one").read_text() == "1"
    (tmp_path / "file").write_text("")
    with pytest.raises((DiskError, ExportError)), home.replaced(tmp_path / "file" / "tb", "tensorboard"):
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "left"),
    [
        ("wandb", "wandb/offline-run-20261120_100000-abc/run-abc.wandb"),
        ("wandb", "wandb/run-20261120_100000-abc/run-abc.wandb"),
        ("mlflow", "mlruns/0/meta.yaml"),
        ("comet", ".cometml-runs/0123456789abcdef0123456789abcdef.zip"),
    ],
)
def test_what_the_training_logged_itself_is_left_out(swept: Project, tmp_path: Path, target: str, left: str) -> None:
    """A run that is with W&B, MLflow or Comet already is not exported to it, unless --all says so; to others it is."""
    first, *_ = four(swept).entries()
    path = Path(swept.paths().place(first.name).output) / left
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("experiment.json", "{}")
    said = swept.resweep("export", "rnn", "--to", target, str(tmp_path / "out")).ok().out
    assert ": 2 runs" in said
    assert f"1 trial that the training has logged to {target} itself" in said
    assert "--all" in said
    assert ": 3 runs" in swept.resweep("export", "rnn", "--to", target, str(tmp_path / "out"), "--all").ok().out
    other = "comet" if target != "comet" else "wandb"
    assert ": 3 runs" in swept.resweep("export", "rnn", "--to", other, str(tmp_path / "other")).ok().out


def test_a_zip_that_is_no_experiment_and_other_directories_hide_nothing(swept: Project, tmp_path: Path) -> None:
    """Broken archives and directories that merely have such names are no live runs."""
    first, *_ = four(swept).entries()
    output = Path(swept.paths().place(first.name).output)
    (output / "wandb" / "latest").mkdir(parents=True)
    (output / f"{'a' * 32}.zip").write_text("no archive")
    for target in ("wandb", "comet"):
        assert ": 3 runs" in swept.resweep("export", "rnn", "--to", target, str(tmp_path / target)).ok().out


def test_trials_are_chosen_as_for_results(swept: Project, tmp_path: Path) -> None:
    """--state and --where, names of single trials, and several sweeps together."""
    four(swept)
    swept.write({"config/rnn.toml": SWEEP.replace("0.1", "0.7")})
    swept.generate("--no-slurm-job", name="dan").ok()
    give(swept, swept.entries("dan")[0], {"a": 1}, name="dan")
    for number, (arguments, count) in enumerate(
        [
            (["rnn", "--state", "failed"], 1),
            (["rnn", "--where", "best>0.6"], 1),
            (["rnn#1", "dan"], 2),
            (["rnn", "dan"], 4),
        ]
    ):
        said = swept.resweep("export", *arguments, "--to", "comet", str(tmp_path / str(number))).ok().out
        assert f": {count} runs" in said
    assert swept.resweep("export", "nope", "--to", "comet", str(tmp_path / "x")).status == 2
    assert not (tmp_path / "x").exists()


def test_another_project_name_is_another_run(swept: Project, tmp_path: Path) -> None:
    """--project says what W&B and Comet file the runs under; the same trial is another run there."""
    four(swept)
    for called in ("one", "two", "one"):
        swept.resweep("export", "rnn", "--to", "comet", "--project", called, str(tmp_path / "out")).ok()
    assert len(list((tmp_path / "out").glob("*.zip"))) == 6


@pytest.mark.parametrize(
    ("target", "package"), [("tensorboard", "tensorboard"), ("wandb", "wandb"), ("mlflow", "mlflow")]
)
def test_a_missing_package_is_named_with_its_extra(
    swept: Project, tmp_path: Path, target: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the package one line says what to install, and nothing is written."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    result = four(swept).resweep("export", "rnn", "--to", target, str(tmp_path / "out"))
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert f"pip install 'resweep[{target}]'" in result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_asks_the_network(swept: Project, tmp_path: Path, target: str) -> None:
    """Whatever settings a person has, no package that writes an export looks up a name or opens a connection."""
    four(swept)
    settings = {
        **no_network(tmp_path / "home"),
        "WANDB_MODE": "online",
        "WANDB_API_KEY": "a" * 40,
        "MLFLOW_TRACKING_URI": "http://example.invalid",
        "COMET_API_KEY": "x",
    }
    program = "import sys; from resweep.cli import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", program, "export", "rnn", "--to", target, str(tmp_path / "out")],
        cwd=swept.root,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert ": 3 runs" in done.stdout
    assert done.stderr == ""
    assert not (tmp_path / "home" / "asked").exists(), (tmp_path / "home" / "asked").read_text()
    assert {path.name for path in (tmp_path / "home").iterdir()} <= {"sitecustomize.py", "__pycache__"}


@pytest.mark.slow
def test_a_trial_that_runs_has_no_end(swept: Project, tmp_path: Path) -> None:
    """A running trial has its points so far, and no end; exported again when it has ended, it has, and is the same."""
    give(swept, swept.entries()[0], {"a": 1}, [{"step": 1, "a": 1.0}])
    (ended,) = runs(swept)
    running = replace(ended, state="running", ended=None, summary={})
    for run, target in itertools.product((running, ended), TARGETS):
        room = importlib.import_module(f"resweep.export.{target}")
        room.write(tmp_path / target, [run], "p" if target != "tensorboard" else ())
        if run is running and target == "tensorboard":
            (session,) = Board(tmp_path / target).groups[0].sessions
            assert (session.status, session.end_time_secs) == (0, 0)
        if run is running and target == "mlflow":
            (stored,) = Store(tmp_path / target).runs().values()
            assert (stored.info.status, stored.info.end_time, stored.data.metrics) == ("RUNNING", None, {"a": 1.0})
            first = stored.info.run_id
    (session,) = Board(tmp_path / "tensorboard").groups[0].sessions
    assert session.status == 1
    (stored,) = Store(tmp_path / "mlflow").runs(deleted=True).values()
    assert (stored.info.status, stored.info.end_time) == ("FINISHED", ended.ended * 1000)
    assert stored.info.run_id == first
    assert len(list((tmp_path / "wandb" / "wandb").iterdir())) == len(list((tmp_path / "comet").glob("*.zip"))) == 1
