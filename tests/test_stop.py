"""`resweep stop`: what this machine runs of a sweep, or one trial, ends; nothing lives; what is elsewhere is named.

Code: run/stop, run/registry, cli/stop
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from launched import until
from running import WAIT, Runners, attempts, record, repeated, states
from small_project import Project

from resweep.launcher import processes

# something of its own that TERM does not reach by itself
TRAIN = 'sleep 600 & echo $! >> "$root/sleepers"\n' + WAIT


@pytest.fixture
def runners(project: Project) -> Iterator[Runners]:
    """Starts runners, none of which outlives the test."""
    runners = Runners(project)
    yield runners
    runners.end()


def started(project: Project, *numbers: int) -> None:
    """Wait until these repeats train."""
    until(lambda: all((project.root / f"started-{n}").exists() for n in numbers))


def alive(pid: int) -> bool:
    """Whether a process lives; one that nobody has waited for does not."""
    return processes.start_time(pid) is not None


def sleepers(project: Project) -> list[int]:
    """The processes that trainings have started."""
    return [int(line) for line in (project.root / "sleepers").read_text().split()]


@pytest.mark.slow
def test_stopping_a_sweep_ends_runners_and_trials(runners: Runners) -> None:
    """`stop NAME` ends two runners and their trials: 0 left, records say stopped, and no process lives."""
    project = runners.project
    repeated(project, 5, TRAIN)
    two = [runners.start("run", "rnn", "--jobs", "2") for _ in range(2)]
    started(project, 0, 1, 2, 3)
    records = [record(project, number) for number in (1, 2, 3, 4)]
    result = project.resweep("stop", "rnn").ok()
    assert result.out.splitlines()[0] == "rnn: 2 runners ended"
    assert result.out.splitlines()[-1] == "rnn: 4 stopped, 0 left"
    assert result.out.count("stopped  #") == 4
    assert states(project) == ["stopped"] * 4 + ["queued"]
    pids = [*sleepers(project), *(each[key] for each in records for key in ("pid", "group"))]
    until(lambda: not any(map(alive, pids)))
    for process in two:
        assert process.communicate(timeout=300)[0].count("Traceback") == 0
        assert process.returncode == 130
    (project.root / "go").touch()
    project.resweep("run", "rnn").ok()
    assert states(project) == ["finished"] * 5


@pytest.mark.slow
def test_stopping_one_trial_leaves_the_others(runners: Runners) -> None:
    """`stop TRIAL` ends just that one; its runner goes on, with the same launcher, and says so at the end."""
    project = runners.project
    repeated(project, 3, TRAIN)
    process = runners.start("run", "rnn", "--jobs", "2")
    started(project, 0, 1)
    assert "rnn: 1 stopped, 0 left" in project.resweep("stop", "rnn#1").ok().out
    assert states(project)[:2] == ["stopped", "running"]
    started(project)
    (project.root / "go").touch()
    process.communicate(timeout=300)
    assert process.returncode == 1
    assert states(project) == ["stopped", "finished", "finished"]
    assert attempts(project) == [1, 1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rnn", "rnn#1"])
def test_training_whose_launcher_was_killed_is_stopped(runners: Runners, name: str) -> None:
    """When only training lives, since its runner and launcher were killed, it is ended and recorded as stopped."""
    project = runners.project
    repeated(project, 1, TRAIN)
    process = runners.start()
    started(project, 0)
    found = record(project, 1)
    process.kill()
    os.kill(found["pid"], signal.SIGKILL)
    process.communicate()
    assert states(project) == ["running"]
    assert "rnn: 1 stopped, 0 left" in project.resweep("stop", name).ok().out
    assert states(project) == ["stopped"]
    assert record(project, 1)["ended"]
    until(lambda: not any(map(alive, [found["group"], *sleepers(project)])))


@pytest.mark.slow
def test_launcher_that_hangs_is_killed(runners: Runners, monkeypatch: pytest.MonkeyPatch) -> None:
    """A launcher that does not heed TERM is killed with its training, which is recorded as stopped."""
    project = runners.project
    repeated(project, 1, TRAIN)
    process = runners.start()
    started(project, 0)
    found = record(project, 1)
    process.kill()
    process.communicate()
    os.kill(found["pid"], signal.SIGSTOP)
    monkeypatch.setattr("resweep.run.stop.PATIENCE", 0.5)
    assert "rnn: 1 stopped, 0 left" in project.resweep("stop", "rnn").ok().out
    assert states(project) == ["stopped"]
    until(lambda: not any(map(alive, [found["pid"], found["group"], *sleepers(project)])))


def test_trial_of_another_machine_is_named_and_left(runners: Runners) -> None:
    """What runs on another host is named with it, and left; status 1."""
    project = runners.project
    repeated(project, 1, TRAIN)
    process = runners.start()
    started(project, 0)
    directory = Path(project.paths().place(project.entries()[0].name).attempt(1))
    genuine = {name: (directory / name).read_text() for name in ("record.json", "heartbeat")}
    for name, text in genuine.items():
        there = json.loads(text) | {"host": "far-away", "boot": "another"}
        (directory / name).write_text(json.dumps(there))
    (note,) = project.paths().runners.glob("*.json")
    note.write_text(json.dumps(json.loads(note.read_text()) | {"host": "far-away", "boot": "another"}))
    result = project.resweep("stop", "rnn")
    assert result.status == 1
    assert "runs on far-away; stop it there" in result.err
    assert result.out.splitlines()[-1] == "rnn: 0 stopped, 0 left"
    assert alive(sleepers(project)[0])
    assert process.poll() is None
    for name, text in genuine.items():
        (directory / name).write_text(text)
    (project.root / "go").touch()


def test_nothing_to_stop_says_so(project: Project) -> None:
    """Where nothing runs, `stop` says 0 stopped, 0 left, status 0; finished trials stay finished."""
    repeated(project, 1)
    assert project.resweep("stop", "rnn").ok().out == "rnn: 0 stopped, 0 left\n"
    project.resweep("run", "rnn").ok()
    assert project.resweep("stop", "rnn#1").ok().out == "rnn: 0 stopped, 0 left\n"
    assert states(project) == ["finished"]


def test_dead_runner_of_the_notes_is_no_runner(runners: Runners) -> None:
    """A runner that was killed is neither signalled nor counted, and its note goes."""
    project = runners.project
    repeated(project, 1, TRAIN)
    process = runners.start()
    started(project, 0)
    process.kill()
    process.communicate()
    result = project.resweep("stop", "rnn").ok()
    assert result.out.splitlines()[-1] == "rnn: 1 stopped, 0 left"
    assert "runner" not in result.out
    assert not list(project.paths().runners.iterdir())


@pytest.mark.parametrize("name", ["nope", "rnn#9"])
def test_stopping_what_is_not_there_is_one_line(project: Project, name: str) -> None:
    """An unknown sweep or trial is one line, status 2."""
    repeated(project, 1)
    result = project.resweep("stop", name)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
