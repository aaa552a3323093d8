"""`resweep clean --orphans`: trials that never ran and are no longer in the sweep.

Code: generation/orphans, cli/orphans
"""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from launched import Trial
from small_project import SWEEP, Project

from resweep import index
from resweep.generation import orphans
from resweep.run import registry


def shrink(project: Project) -> None:
    """Take one of the two values of params.lr out of the sweep: trials 3 and 4 become orphans."""
    project.write({"config/rnn.toml": SWEEP.replace("[0.1, 0.2]", "[0.1]")})
    project.generate("--no-slurm-job").ok()


def numbers(project: Project) -> dict[int, bool]:
    """The numbers that the index has, and whether each is in the sweep."""
    return {entry.number: entry.current for entry in index.read(project.paths()).entries}


@pytest.fixture
def shrunk(swept: Project) -> Project:
    """A sweep whose trials 2 and 4 are orphans; the grid varies params.lr last."""
    shrink(swept)
    assert numbers(swept) == {1: True, 2: False, 3: True, 4: False}
    return swept


def test_what_never_ran_and_is_no_longer_in_the_sweep_goes(shrunk: Project) -> None:
    """Capsule, id's directory and line of the index go; every other byte stays."""
    gone = [entry for entry in index.read(shrunk.paths()).entries if not entry.current]
    before = shrunk.tree()
    result = shrunk.resweep("clean", "rnn", "--orphans", "--yes").ok()
    after = shrunk.tree()
    assert "removed 2 trials" in result.out
    assert all(f"#{entry.number} {entry.name}  {entry.described()}" in result.out for entry in gone)
    assert not any(shrunk.paths().capsule(entry.name).parent.exists() for entry in gone)
    ids = {entry.id for entry in gone}
    assert {key for key in before.keys() - after.keys() if not any(id_ in key for id_ in ids)} == set()
    assert {key for key in after if before.get(key) != after[key]} == {"config/generated/rnn/index.jsonl"}
    assert numbers(shrunk) == {1: True, 3: True}


def test_numbers_are_never_given_again(shrunk: Project) -> None:
    """What comes back after it was removed is another line, with a number that nobody had."""
    shrunk.resweep("clean", "rnn", "--orphans", "--yes").ok()
    shrunk.generate("--no-slurm-job").ok()
    assert json.loads(shrunk.paths().index.read_text().splitlines()[0])["last"] == 4
    shrunk.write({"config/rnn.toml": SWEEP})
    assert "2 new trials, 2 kept, 0 orphaned" in shrunk.generate("--no-slurm-job").ok().out
    assert numbers(shrunk) == {1: True, 3: True, 5: True, 6: True}
    assert "last" not in shrunk.paths().index.read_text().splitlines()[0]
    assert "no trial number 2" in shrunk.resweep("logs", "rnn#2").err


def test_what_ran_once_stays(swept: Project) -> None:
    """An orphan with an attempt, however it ended, is somebody's result."""
    failed = Trial(swept, 2)
    failed.train("exit 1")
    failed.launch()
    shrink(swept)
    assert "removed 1 trial;" in swept.resweep("clean", "rnn", "--orphans", "--yes").ok().out
    assert numbers(swept) == {1: True, 2: False, 3: True}
    assert Path(failed.place.capsule).is_dir()
    assert swept.resweep("clean", "rnn", "--orphans", "--yes").ok().out == "rnn: nothing to remove\n"


def test_repeats_of_a_point_that_stays_go_alone(project: Project) -> None:
    """Fewer repeats: the first trial of each point is where it was."""
    project.generate("--no-slurm-job", "--n-trials", "2").ok()
    project.generate("--no-slurm-job").ok()
    project.resweep("clean", "rnn", "--orphans", "--yes").ok()
    assert [path.name for path in project.capsules()] == ["0"] * 4


def test_only_somebody_s_word_removes(shrunk: Project) -> None:
    """--dry-run shows; without a terminal one line says what is missing; nothing changes."""
    before = shrunk.tree()
    shown = shrunk.resweep("clean", "rnn", "--orphans", "--dry-run", "--yes").ok().out
    assert "to be removed: 2 trials" in shown
    assert shown.splitlines()[-1] == "rnn: nothing was removed (--dry-run)"
    result = shrunk.shell(f"{sys.executable} -m resweep clean rnn --orphans")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "--yes" in result.err
    assert shrunk.tree() == before


def test_a_trial_that_somebody_began_to_run_meanwhile_stays(shrunk: Project) -> None:
    """Between the question and the answer a launcher may have begun."""
    paths = shrunk.paths()
    found = orphans.idle(paths)
    Path(paths.place(found[0].name).attempts).mkdir(parents=True)
    done = orphans.remove(paths, {entry.name for entry in found})
    assert (done.left, done.entries) == (found[:1], found[1:])
    assert paths.capsule(found[0].name).is_dir()


def test_a_trial_that_is_in_the_sweep_again_stays(shrunk: Project) -> None:
    """Between the question and the answer somebody may have generated."""
    found = orphans.idle(shrunk.paths())
    shrunk.write({"config/rnn.toml": SWEEP})
    shrunk.generate("--no-slurm-job").ok()
    assert orphans.remove(shrunk.paths(), {entry.name for entry in found}).entries == []
    assert len(shrunk.capsules()) == 4


def test_nothing_goes_while_a_runner_is_at_work(shrunk: Project) -> None:
    """Its list of trials may hold an orphan."""
    with registry.registered(shrunk.paths()):
        result = shrunk.resweep("clean", "rnn", "--orphans", "--yes")
        assert (result.status, result.err.count("\n")) == (2, 1)
        assert "resweep stop rnn" in result.err
    assert len(shrunk.capsules()) == 4


@pytest.mark.slow
def test_it_waits_for_who_generates(shrunk: Project) -> None:
    """The same lock: a generation never finds a trial that goes under its hands."""
    command = [sys.executable, "-m", "resweep", "clean", "rnn", "--orphans", "--yes"]
    with open(shrunk.paths().lock, "a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(command, cwd=shrunk.root, stdout=subprocess.PIPE)
        assert process.stdout
        while b"trial" not in process.stdout.readline():  # it has looked and said so
            pass
        time.sleep(0.3)
        assert process.poll() is None
        assert len(shrunk.capsules()) == 4
    process.communicate(timeout=300)
    assert (process.returncode, len(shrunk.capsules())) == (0, 2)


def test_a_removal_that_was_killed_is_gone_on_with(shrunk: Project) -> None:
    """A line of the index whose capsule has gone is removed, too, and what lay aside with the next generation."""
    entry = orphans.idle(shrunk.paths())[0]
    shutil.move(shrunk.paths().capsule(entry.name), shrunk.paths().directory / ".new-killed")
    shrunk.resweep("clean", "rnn", "--orphans", "--yes").ok()
    assert numbers(shrunk) == {1: True, 3: True}
    assert not (shrunk.paths().directory / ".new-killed").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rnn", "rnn#2", "--orphans", "--failed"], "--orphans is about the whole sweep"),
        (["rnn", "rnn#2", "--orphans"], "--orphans is about the whole sweep"),
        (["rnn#2", "--orphans"], "expects the name of a sweep"),
        (["rnn#2", "--orphans", "--weights"], "expects the name of a sweep"),
        (["nope", "--orphans"], "found no such sweep"),
    ],
)
def test_bad_arguments_are_one_line(shrunk: Project, arguments: list[str], says: str) -> None:
    """What cannot be meant gives one line and status 2."""
    result = shrunk.resweep("clean", *arguments)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1), result
    assert says in result.err
