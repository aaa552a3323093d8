"""What an earlier version wrote works as it did: checked, run, run again, packed and unpacked, generated again.

project.tar.gz is the small project of the tests with its sweep `rnn`, three of whose four trials have run; rnn.tar.gz
is what `pack` made of that: by the version of 22 November 2026, when the modules of resweep/ lay side by side.

Code: generation/, launcher/, proof/, results/
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from small_project import SWEEP, Project

HERE = Path(__file__).parent


@pytest.fixture
def earlier(tmp_path: Path) -> Project:
    """The project as that version left it."""
    with tarfile.open(HERE / "project.tar.gz") as archive:
        archive.extractall(tmp_path, filter="tar")
    project = Project.__new__(Project)
    project.root = tmp_path / "project"
    return project


def test_its_trials_verify_and_are_shown(earlier: Project) -> None:
    """Every byte, and every number."""
    assert earlier.resweep("verify", "rnn").ok().out.startswith("rnn: 4 trials, every byte as it was written")
    lines = earlier.resweep("results", "rnn").ok().out.splitlines()
    assert [line.split()[4] for line in lines[1:]] == ["finished", "finished", "finished", "queued"]


def test_what_has_not_run_runs(earlier: Project) -> None:
    """By this version's runner, which has its own launcher, and by the one that lies in the sweep."""
    earlier.resweep("run", "rnn").ok()
    assert earlier.resweep("results", "rnn").ok().out.count("finished") == 4
    assert earlier.resweep("verify", "rnn").ok().out.startswith("rnn: 4 trials, every byte as it was written")


@pytest.mark.slow
def test_its_own_launcher_and_rerun_script_work(earlier: Project) -> None:
    """They are copies of that version, and need nothing of this one."""
    last = earlier.entries()[3].name
    earlier.shell(f"python -B config/generated/rnn/attempt.py run config/generated/rnn/{last}").ok()
    assert earlier.resweep("results", "rnn").ok().out.count("finished") == 4
    earlier.shell(f"bash config/generated/rnn/{last}/rerun.sh ../again").ok()
    assert (earlier.root.parent / "again" / "output" / "metrics.json").exists()


def test_generating_again_keeps_every_trial(earlier: Project) -> None:
    """The ids are the same, so nothing runs twice; a new value adds its own trials, with this version's launcher."""
    assert earlier.generate().ok().out.startswith("rnn: 0 new trials, 4 kept, 0 orphaned")
    earlier.write({"config/rnn.toml": SWEEP.replace("[0.1, 0.2]", "[0.1, 0.2, 0.3]")})
    assert earlier.generate().ok().out.startswith("rnn: 2 new trials, 4 kept, 0 orphaned")
    earlier.resweep("run", "rnn").ok()
    assert earlier.resweep("verify", "rnn").ok().out.startswith("rnn: 6 trials, every byte as it was written")


def test_a_trial_is_reproduced(earlier: Project) -> None:
    """Run again, it gives the same to the bit; that the machine is another is said."""
    assert earlier.resweep("reproduce", "rnn#1").ok().out.startswith("identical: rnn#1 ")


def test_its_archive_is_checked_and_unpacked(tmp_path: Path) -> None:
    """And packing what came out gives the same bytes."""
    project = Project(tmp_path / "elsewhere")
    assert project.resweep("verify", str(HERE / "rnn.tar.gz")).status == 0
    project.resweep("unpack", str(HERE / "rnn.tar.gz"), "../there").ok()
    there = Project.__new__(Project)
    there.root = tmp_path / "there"
    assert there.resweep("results", "rnn").ok().out.count("finished") == 3
    there.resweep("pack", "rnn", "-o", "../again.tar.gz").ok()
    assert (tmp_path / "again.tar.gz").read_bytes() == (HERE / "rnn.tar.gz").read_bytes()
