"""What surrounds a generation is recorded: once by content, in every capsule, and in no id.

Code: generation/provenance
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from launched import Trial, until
from small_project import Project

from resweep.generation import provenance
from resweep.generation.provenance import git


def repository(root: Path) -> None:
    """Make a directory a git checkout with one commit."""
    who = {"GIT_AUTHOR_NAME": "x", "GIT_AUTHOR_EMAIL": "x", "GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x"}
    for command in ("init -q -b main", "add -A", "commit -qm first", "remote add origin https://u:t@h.org/r.git?k=v"):
        subprocess.run(["git", *command.split()], cwd=root, env={**os.environ, **who}, check=True)


@pytest.mark.slow
def test_the_environment_is_stored_once_and_linked_into_every_capsule(project: Project) -> None:
    """Two sweeps and two generations of one environment share one file, which provenance.json names."""
    project.generate().ok()
    project.generate("--n-trials", "2").ok()
    project.generate(name="other").ok()
    (stored,) = project.paths().environments.iterdir()
    digest = hashlib.sha256(stored.read_bytes()).hexdigest()
    assert stored.name == f"{digest}.json"
    capsules = [*project.capsules(), *project.capsules("other")]
    assert len(capsules) == 12
    for folder in capsules:
        assert (folder / "environment.json").samefile(stored)
        assert json.loads((folder / "provenance.json").read_text())["environment"] == digest


def test_the_environment_tells_python_packages_and_platform(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person needs to build it again."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    project.generate().ok()
    found = provenance.of_capsule(project.capsules()[0])
    assert found["python"]["version"] == sys.version.split()[0]
    assert found["python"]["executable"] == sys.executable
    assert found["packages"]["click"]["origin"] == "index"
    assert found["packages"]["tomli-w"]["name"] == "tomli_w"
    assert found["platform"]["system"] == os.uname().sysname
    assert found["variables"]["OMP_NUM_THREADS"] == "3"
    assert not {"host", "created"} & found.keys()


def test_the_interpreter_that_trains_is_the_one_that_is_captured(tmp_path: Path) -> None:
    """`[run] python`: its packages, not the tool's."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    python = tmp_path / "env" / "bin" / "python"
    site = next((tmp_path / "env" / "lib").glob("python*/site-packages"))
    (site / "only_here-1.0.dist-info").mkdir()
    with provenance.Capture(tmp_path, str(python)) as capture:
        found = json.loads(capture.environment() or b"")
    assert found["python"]["executable"] == str(python)
    assert list(found["packages"]) == ["only-here"]


def test_git_tells_commit_remote_diff_and_untracked_files(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remote without credentials; small untracked files with their content, but no secrets."""
    repository(project.root)
    monkeypatch.setattr(provenance, "LARGEST_UNTRACKED", 40)
    project.write({"qb/main.py": "changed\n", "notes.txt": "new", ".env.local": "KEY=1", "big.txt": "x" * 99})
    (project.root / "bytes").write_bytes(b"\xff\xfe")
    (project.root / "link").symlink_to("/etc/passwd")
    found = git(project.root)
    assert found
    assert len(found["commit"]) == 40
    assert (found["branch"], found["remote"]) == ("main", "https://h.org/r.git")
    assert "+changed" in found["diff"]
    assert found["diff_is_whole"]
    untracked: dict[str, dict[str, Any]] = {file.pop("path"): file for file in found["untracked"]}
    assert untracked == {
        "notes.txt": {"size": 3, "text": "new"},
        "bytes": {"size": 2, "base64": "//4="},
        ".env.local": {"size": 5, "left_out": "its name looks like a secret's"},
        "big.txt": {"size": 99, "left_out": "too big"},
        "link": {"size": 11, "left_out": "no regular file"},
    }
    assert "root:" not in json.dumps(found)


@pytest.mark.slow
def test_what_generating_writes_is_nothing_that_was_untracked(project: Project) -> None:
    """Provenance names the files of the researcher, and none that appears with the sweep."""
    repository(project.root)
    (project.root / "notes.txt").write_text("new")
    project.generate().ok()
    capsule = project.paths().capsule(project.entries()[0].name)
    found = json.loads((capsule / "provenance.json").read_text())["git"]["untracked"]
    assert [file["path"] for file in found] == ["notes.txt"]


def test_no_checkout_is_no_mistake(tmp_path: Path) -> None:
    """A project outside git has no commit to tell."""
    assert git(tmp_path) is None


@pytest.mark.slow
def test_drift_is_recorded_with_the_attempt(trial: Trial, tmp_path: Path) -> None:
    """A package that came after the generation is named, with nothing for its version before."""
    (tmp_path / "late_comer-1.0.dist-info").mkdir()
    trial.launch(PYTHONPATH=str(tmp_path)).ok()
    assert provenance.of_attempt(trial.directory())["drift"] == [{"what": "late-comer", "before": None, "after": "1.0"}]


@pytest.mark.slow
def test_cards_are_asked_beside_the_training_and_told(trial: Trial, tmp_path: Path) -> None:
    """A slow nvidia-smi delays neither start nor end; one that answers is believed."""
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho '0, GPU-1, NVIDIA H200, 143771, 570.1'\n")
    smi.chmod(0o755)
    trial.train("true")
    waits = trial.launcher.read_text()
    trial.set(CARDS_SECONDS=100)
    trial.launch(PATH=f"{tmp_path}:{os.environ['PATH']}").ok()
    (card,) = provenance.of_attempt(trial.directory())["cards"]
    assert card == {"index": "0", "uuid": "GPU-1", "name": "NVIDIA H200", "memory_mib": "143771", "driver": "570.1"}
    trial.launcher.write_text(waits)
    smi.write_text(f"#!/bin/sh\necho $$ > '{tmp_path}/pid'\nexec sleep 600\n")
    second = Trial(trial.project, 2)
    second.train("true")
    second.launch(PATH=f"{tmp_path}:{os.environ['PATH']}").ok()
    until((tmp_path / "pid").exists)
    until((tmp_path / "pid").read_text)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)  # it was not waited for
    assert provenance.of_attempt(second.directory())["cards"] is None


# --- resweep env ------------------------------------------------------------------------------------------------------


def test_env_shows_what_was_frozen_and_what_it_ran_on(swept: Project) -> None:
    """Python, packages and git, then machine and drift of the last attempt; --json has it all."""
    before = swept.resweep("env", "rnn#1").ok().out
    assert f"cpython {sys.version.split()[0]}" in before
    assert "click==" in before
    assert "  attempt " not in before
    swept.resweep("run", "rnn#1").ok()
    after = swept.resweep("env", "rnn#1").ok().out
    assert "drift     none" in after
    everything = json.loads(swept.resweep("env", "rnn#1", "--json").ok().out)
    assert everything["environment"]["packages"]["click"]
    assert everything["attempt"]["machine"]["cores"] == os.cpu_count()
    assert everything["provenance"]["project"]


def test_env_of_a_capsule_that_was_moved(swept: Project, tmp_path: Path) -> None:
    """A capsule carries its environment."""
    shutil.copytree(swept.capsules()[0], tmp_path / "alone")
    assert "click==" in swept.resweep("env", str(tmp_path / "alone")).ok().out


@pytest.mark.parametrize(("name", "says"), [("rnn", "names 4 trials, expected one"), ("nothing", "found no such")])
def test_env_of_no_or_many_trials_is_one_line(swept: Project, name: str, says: str) -> None:
    """One trial is shown at a time."""
    result = swept.resweep("env", name)
    assert result.status == 2
    assert says in result.err


def test_env_of_a_capsule_without_one_is_one_line(swept: Project) -> None:
    """An environment that was not recorded is not made up."""
    for folder in swept.capsules():
        (folder / "environment.json").unlink()
    result = swept.resweep("env", "rnn#1")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "its packages are not known" in result.err
