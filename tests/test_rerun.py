"""rerun.sh: a trial once more, from its own directory alone.

Code: launcher/bundle, launcher/attempt, generation/capsule
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from launched import Trial, bare_path
from small_project import Result

from resweep.generation import capsule
from resweep.launcher import bundle

TOOLS = ("bash", "sed", "dirname", "sh", "env")


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """A PATH with bash, a few of coreutils and a bare `python3` that cannot import the tool."""
    return str(bare_path(tmp_path / "bare bin", TOOLS))


def rerun(capsule: Path | str, *arguments: str, cwd: Path, **environment: str) -> Result:
    """Call rerun.sh as a person does."""
    done = subprocess.run(
        [shutil.which("bash") or "bash", f"{capsule}/rerun.sh", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def metrics(folder: Path) -> bytes:
    """What the small training writes."""
    return (folder / "metrics.json").read_bytes()


def test_rerun_in_place_gives_the_same_bytes(trial: Trial, tmp_path: Path) -> None:
    """In the project, a re-run gives the first run's result and touches neither capsule nor earlier output."""
    trial.launch().ok()
    before = trial.project.tree()
    result = rerun(trial.capsule, cwd=tmp_path).ok()
    fresh = tmp_path / f"rerun-{trial.name.id}-0-1"
    assert str(fresh) in result.out
    assert "finished in" in result.out
    assert metrics(fresh / "output") == metrics(trial.output)
    own = ["environment.json", "output", "log.txt", "record.json", f"{trial.name.id}.toml"]
    assert sorted(os.listdir(fresh)) == sorted(own)
    assert trial.project.tree() == before


def test_rerun_after_the_project_moved(trial: Trial, tmp_path: Path) -> None:
    """A project that moved, to a path with a space and quotes, runs its trials again."""
    trial.launch().ok()
    moved = tmp_path / 'it\'s "moved" $(x)'
    trial.project.root.rename(moved)
    capsule = moved / trial.capsule.relative_to(trial.project.root)
    rerun(capsule, str(tmp_path / "again"), cwd=tmp_path).ok()
    assert metrics(tmp_path / "again/output") == metrics(moved / trial.output.relative_to(trial.project.root))


def test_rerun_of_a_single_capsule_without_the_tool(trial: Trial, tmp_path: Path, bare: str) -> None:
    """A capsule alone, copied elsewhere, needs bash and a Python without the tool; the project is gone."""
    trial.launch().ok()
    first = metrics(trial.output)
    shutil.copytree(trial.capsule, tmp_path / "a copy")
    shutil.rmtree(trial.project.root)
    assert subprocess.run([f"{bare}/python3", "-c", "import click"], stderr=subprocess.DEVNULL, check=False).returncode
    before = sorted((tmp_path / "a copy").rglob("*"))
    rerun("a copy", cwd=tmp_path, PATH=bare).ok()
    assert metrics(tmp_path / f"rerun-{trial.name.id}-0-1/output") == first
    assert sorted((tmp_path / "a copy").rglob("*")) == before


@pytest.mark.slow
def test_rerun_runs_the_frozen_source(trial: Trial, tmp_path: Path) -> None:
    """The live qb/ is edited, then deleted, and another one installed: the result stays."""
    trial.launch().ok()
    (trial.project.root / "qb/main.py").write_text("raise SystemExit('live')")
    rerun(trial.capsule, "one", cwd=tmp_path).ok()
    shutil.rmtree(trial.project.root / "qb")
    (tmp_path / "site/qb").mkdir(parents=True)
    (tmp_path / "site/qb/__init__.py").write_text("raise SystemExit('decoy')")
    rerun(trial.capsule, "two", cwd=tmp_path, PYTHONPATH=str(tmp_path / "site")).ok()
    assert metrics(tmp_path / "one/output") == metrics(tmp_path / "two/output") == metrics(trial.output)


def test_rerun_is_not_misled_by_modules_lying_around(trial: Trial, tmp_path: Path) -> None:
    """Files named like modules of Python, where rerun.sh is called or on PYTHONPATH, do not reach the launcher."""
    for name in ("json", "signal", "resweep", "sitecustomize", "contextlib"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('imported {name}')")
    trial.train("exit 0")
    rerun(trial.capsule, "new", cwd=tmp_path, PYTHONPATH=str(tmp_path)).ok()


def test_default_directory_is_the_next_free_one(trial: Trial, tmp_path: Path) -> None:
    """Without DIR, re-runs are counted in the current directory, and none writes into another's."""
    (tmp_path / f"rerun-{trial.name.id}-0-1").write_text("taken")
    for number in (2, 3):
        rerun(trial.capsule, cwd=tmp_path).ok()
        assert (tmp_path / f"rerun-{trial.name.id}-0-{number}/record.json").is_file()
    assert (tmp_path / f"rerun-{trial.name.id}-0-1").read_text() == "taken"


@pytest.mark.parametrize("inside", [".", "qb"])
def test_called_inside_the_capsule_it_writes_beside_it(trial: Trial, inside: str) -> None:
    """Called from inside the capsule, the re-run goes beside it, and the capsule stays as it is."""
    before = trial.project.tree(str(trial.capsule))
    rerun(os.path.relpath(trial.capsule, trial.capsule / inside), cwd=trial.capsule / inside).ok()
    assert (trial.capsule.parent / f"rerun-{trial.name.id}-0-1/record.json").is_file()
    assert trial.project.tree(str(trial.capsule)) == before


def test_directory_may_be_new_nested_or_empty(trial: Trial, tmp_path: Path) -> None:
    """DIR is made with its parents, or taken when it is empty."""
    rerun(trial.capsule, "a/b c/d", cwd=tmp_path).ok()
    (tmp_path / "empty").mkdir()
    rerun(trial.capsule, "empty", cwd=tmp_path).ok()
    assert metrics(tmp_path / "a/b c/d/output") == metrics(tmp_path / "empty/output")


@pytest.mark.parametrize(
    ("directory", "said"),
    [("full", "not empty"), ("file", "is a file"), ("file/below", "is a file"), ("CAPSULE", "own directory"),
     ("CAPSULE/qb/new", "own directory"), ("link/new", "own directory")],
)  # fmt: skip
def test_directory_that_is_taken_is_refused(trial: Trial, tmp_path: Path, directory: str, said: str) -> None:
    """A DIR that has something in it, is a file, or lies in the capsule gives one line, status 2; nothing changes."""
    here = tmp_path / "here"
    (here / "full").mkdir(parents=True)
    (here / "full/earlier").write_text("output")
    (here / "file").write_text("x")
    (here / "link").symlink_to(trial.capsule)
    before = sorted(tmp_path.rglob("*"))
    result = rerun(trial.capsule, directory.replace("CAPSULE", str(trial.capsule)), cwd=here)
    assert result.status == 2
    assert said in result.err
    assert (result.err.count("\n"), result.out) == (1, "")
    assert sorted(tmp_path.rglob("*")) == before


def test_called_by_any_way_to_the_capsule(trial: Trial, tmp_path: Path) -> None:
    """A relative path, a symbolic link to the capsule and a CDPATH lead to the same trial."""
    (tmp_path / "link").symlink_to(trial.capsule)
    (tmp_path / "decoy/link").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    rerun("link", "by link", cwd=tmp_path, CDPATH=f"{tmp_path}/decoy").ok()
    relative = os.path.relpath(trial.capsule, tmp_path / "elsewhere")
    rerun(relative, str(tmp_path / "by path"), cwd=tmp_path / "elsewhere").ok()
    assert metrics(tmp_path / "by link/output") == metrics(tmp_path / "by path/output")


def test_interpreter_is_the_one_that_is_named(trial: Trial, tmp_path: Path, bare: str) -> None:
    """RESWEEP_PYTHON names the interpreter of launcher and training; without it `python`, then `python3`."""
    mine = tmp_path / "mine"
    mine.write_text(f'#!/bin/sh\nMINE=yes exec {bare}/python3 "$@"\n'.replace(bare, f"'{bare}'"))
    mine.chmod(0o755)
    trial.train('python -c "import os; print(os.environ.get(\'MINE\'))"; echo "$RESWEEP_PYTHON"')
    rerun(trial.capsule, "one", cwd=tmp_path, PATH=bare, RESWEEP_PYTHON=str(mine)).ok()
    rerun(trial.capsule, "two", cwd=tmp_path, PATH=bare).ok()
    assert (tmp_path / "one/log.txt").read_text() == f"yes\n{mine}\n"
    assert (tmp_path / "two/log.txt").read_text() == f"None\n{bare}/python3\n"


@pytest.mark.parametrize("named", [True, False])
def test_interpreter_that_is_missing_is_named(trial: Trial, tmp_path: Path, bare: str, named: bool) -> None:
    """An interpreter that is not there gives one line, and no other takes its place."""
    if named:
        result = rerun(trial.capsule, cwd=tmp_path, PATH=bare, RESWEEP_PYTHON="/no/python")
    else:
        Path(bare, "python3").unlink()
        result = rerun(trial.capsule, cwd=tmp_path, PATH=bare)
    assert result.status == 2
    assert result.err.count("\n") == 1
    assert ("/no/python" if named else "found no python") in result.err
    assert not list(tmp_path.glob("rerun-*"))


def test_interpreter_that_is_too_old_is_named(trial: Trial, tmp_path: Path, bare: str) -> None:
    """One that says it is 2.7, which knows no -I either, gives one line; the launcher is not even read."""
    old = tmp_path / "old"
    pretend = "import sys; sys.version_info = (2, 7, 18); exec(sys.argv.pop(1))"
    old.write_text(
        f"""#!/bin/bash
[[ $1 == -EsSB && $2 == -c ]] || {{ echo "Unknown option: -I" >&2; exit 2; }}
exec '{bare}/python3' -EsSB -c '{pretend}' "${{@:3}}"
"""
    )
    old.chmod(0o755)
    result = rerun(trial.capsule, cwd=tmp_path, PATH=bare, RESWEEP_PYTHON=str(old))
    assert result.status == 1
    assert result.err.startswith("rerun.sh: ")
    assert result.err.endswith(" is Python 2.7, expected 3.8 or newer; RESWEEP_PYTHON names another\n")
    assert result.err.count("\n") == 1
    assert not list(tmp_path.glob("rerun-*"))


def test_no_argument_holds_the_launcher() -> None:
    """Linux lets one argument have 128 KiB, most of which it would fill."""
    shell = capsule.rerun_bytes().decode().partition(capsule._MARK + "\n")[0]
    assert len(shell) < 4096 < len(bundle.text())


def test_exit_status_and_log_of_a_failure(trial: Trial, tmp_path: Path) -> None:
    """A training that fails again passes its status on, and the last line names the log."""
    trial.train("echo sorry; exit 5")
    result = rerun(trial.capsule, "new", cwd=tmp_path)
    assert result.status == 5
    assert result.out.splitlines()[-1].endswith(f"log: {tmp_path}/new/log.txt")
    assert (tmp_path / "new/log.txt").read_text() == "sorry\n"


def test_data_is_found_from_the_project_or_from_here(trial: Trial, tmp_path: Path) -> None:
    """RESWEEP_DATA is the project's root for a capsule in one, and the current directory for a copy, unless set."""
    trial.train('echo "$RESWEEP_DATA"')
    shutil.copytree(trial.capsule, tmp_path / "copy")
    rerun(trial.capsule, "one", cwd=tmp_path).ok()
    rerun("copy", "two", cwd=tmp_path).ok()
    rerun("copy", "three", cwd=tmp_path, RESWEEP_DATA="/data").ok()
    said = [(tmp_path / name / "log.txt").read_text() for name in ("one", "two", "three")]
    assert said == [f"{trial.project.root}\n", f"{tmp_path}\n", "/data\n"]


def test_record_of_the_trial_is_untouched(trial: Trial, tmp_path: Path) -> None:
    """A re-run is no attempt: the trial's state stays what it was."""
    rerun(trial.capsule, cwd=tmp_path).ok()
    assert trial.state == "queued"
    assert not (trial.project.root / "model").exists()


def test_script_carries_the_launcher_as_it_is() -> None:
    """Below its mark rerun.sh is the launcher, byte for byte; above it shellcheck finds nothing to say."""
    shell, _, carried = capsule.rerun_bytes().decode().partition(capsule._MARK + '\n"""')
    assert '"""' + carried == bundle.text()
    assert len(shell) < 4096  # what it passes on as one argument; the launcher would be more than Linux takes
    if shutil.which("shellcheck"):
        done = subprocess.run(["shellcheck", "-"], input=shell, text=True, capture_output=True, check=False)
        assert done.stdout == ""
