"""Runners and launchers killed at any moment: the next run completes the sweep, and nothing ever runs beside itself.

Code: run/runner, run/worker, launcher/attempt
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from launched import until
from running import FAST, WAIT, Runners, attempts, lines, record, repeated, states
from small_project import Project

KILLS = 50
# the kernel lets go of the lock when the last process of the training has ended, however that was
ALONE = 'exec 9> "$root/lock-$trial"; flock -n 9 || { echo "$trial" >> "$root/collisions"; exit 1; }\n'


@pytest.fixture
def runners(project: Project) -> Iterator[Runners]:
    """Starts runners, none of which outlives the test."""
    runners = Runners(project)
    yield runners
    runners.end()


def children(pid: int) -> list[int]:
    """The children of a process that may be gone."""
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def kill(pid: int) -> bool:
    """Kill a process that may be gone; whether it was there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def finished_attempts(project: Project) -> Counter[int]:
    """How many trials have how many attempts whose record has finished."""
    found = []
    for entry in project.entries():
        place = project.paths().place(entry.name)
        found.append(sum(project.record(entry, n)["state"] == "finished" for n in range(1, place.last() + 1)))
    return Counter(found)


def registered(project: Project, pid: int) -> None:
    """Wait until a runner has written down that it runs."""
    until(lambda: list(project.paths().runners.glob(f"*-{pid}.json")))


@pytest.mark.slow
def test_runner_killed_fifty_times(runners: Runners) -> None:
    """A runner killed fifty times leaves a sweep that the next completes: every trial trains and finishes once."""
    project = runners.project
    moments = random.Random(1)
    repeated(project, 600, ALONE + "sleep 0.0$((RANDOM % 5))\n" + FAST)
    kills = 0
    while kills < KILLS:
        process = runners.start("run", "rnn", "--jobs", "2")
        registered(project, process.pid)
        trained = len(lines(project)) + moments.randrange(5)
        until(lambda trained=trained: len(lines(project)) >= trained)  # type: ignore[misc]
        time.sleep(moments.random() * 0.05)
        assert process.poll() is None
        process.kill()
        process.communicate()
        kills += 1
    killed_at = states(project).count("finished")
    last = runners.start("run", "rnn", "--jobs", "2")
    said = last.communicate(timeout=500)[0]
    print(f"{kills} kills over {killed_at} trials, attempts: {Counter(attempts(project))}")
    assert last.returncode == 0, said[-2000:]
    assert killed_at > 50
    assert lines(project, "collisions") == []
    assert Counter(Counter(lines(project)).values()) == {1: 600}
    assert finished_attempts(project) == {1: 600}


@pytest.mark.slow
def test_anything_killed_at_random(runners: Runners) -> None:
    """Runners, launchers and trainings of two runners killed at random: all finish once, and none beside itself."""
    project = runners.project
    victims = random.Random(2)
    last_ones_wait = '[ $n -lt 130 ] || while [ ! -e "$root/go" ]; do sleep 0.02; done\n'
    repeated(project, 150, ALONE + "sleep 0.1\n" + last_ones_wait + FAST)
    running = [runners.start("run", "rnn", "--jobs", "2") for _ in range(2)]
    killed: Counter[str] = Counter()
    while sum(killed.values()) < KILLS:
        time.sleep(victims.random() * 0.2)
        which = victims.randrange(2)
        kind = victims.choice(["runner", "launcher", "launcher", "training"])
        workers = children(running[which].pid)
        if kind == "runner" or running[which].poll() is not None:
            killed[kind] += kill(running[which].pid)
            running[which].communicate()
            running[which] = runners.start("run", "rnn", "--jobs", "2")
        elif workers and kind == "launcher":
            killed[kind] += kill(victims.choice(workers))
        elif workers:
            for training in children(victims.choice(workers)):
                killed[kind] += kill(training)
    (project.root / "go").touch()
    for process in running:
        process.communicate(timeout=300)
    last = runners.start("run", "rnn", "--jobs", "2")
    said = last.communicate(timeout=500)[0]
    print(f"killed: {dict(killed)}, attempts: {Counter(attempts(project))}")
    assert last.returncode == 0, said[-2000:]
    assert lines(project, "collisions") == []
    assert set(lines(project)) == {f"{entry.id}-{entry.trial}" for entry in project.entries()}
    assert finished_attempts(project) == {1: 150}


@pytest.mark.slow
def test_training_that_outlives_its_launcher_is_waited_for(runners: Runners) -> None:
    """When only the launcher is killed, its runner waits for the training's end, and only then runs the trial again."""
    project = runners.project
    repeated(project, 1, ALONE + WAIT + FAST)
    process = runners.start()
    until((project.root / "started-0").exists)
    kill(record(project, 1)["pid"])
    time.sleep(1.5)  # longer than the runner's look at what runs elsewhere
    assert (states(project), attempts(project)) == (["running"], [1])
    (project.root / "go").touch()
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    assert attempts(project) == [2]
    assert lines(project, "collisions") == []
    assert len(lines(project)) == 2


@pytest.mark.slow
def test_training_that_outlives_its_runner_is_waited_for(runners: Runners) -> None:
    """When the runner is killed, its launcher ends the trial: the next runner waits for that, and starts none."""
    project = runners.project
    repeated(project, 2, ALONE + WAIT + FAST)
    first = runners.start("run", "rnn", "--jobs", "2")
    until(lambda: (project.root / "started-0").exists() and (project.root / "started-1").exists())
    first.kill()
    first.communicate()
    second = runners.start("run", "rnn", "--jobs", "2")
    registered(project, second.pid)
    time.sleep(1)
    assert (states(project), second.poll()) == (["running"] * 2, None)
    (project.root / "go").touch()
    second.communicate(timeout=300)
    assert (second.returncode, attempts(project), len(lines(project))) == (0, [1, 1], 2)


@pytest.mark.slow
def test_launchers_end_when_their_runner_is_killed(runners: Runners) -> None:
    """No launcher outlives its runner by more than the trial that it conducts."""
    project = runners.project
    repeated(project, 4, "[ $n -lt 2 ] || {\n" + WAIT + "}")
    process = runners.start("run", "rnn", "--jobs", "2")
    until(lambda: (project.root / "started-2").exists() and (project.root / "started-3").exists())
    workers = children(process.pid)
    assert len(workers) == 2
    process.kill()
    process.communicate()
    (project.root / "go").touch()
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    assert states(project) == ["finished"] * 4


@pytest.mark.slow
def test_idle_launcher_that_is_killed_is_replaced(runners: Runners) -> None:
    """A launcher killed between two trials costs nothing but its place: all trials finish."""
    project = runners.project
    repeated(project, 30, FAST + "sleep 0.05")
    process = runners.start("run", "rnn", "--jobs", "2")
    until(lambda: len(lines(project)) > 3)
    for _ in range(4):
        for worker in children(process.pid):
            kill(worker)
        time.sleep(0.1)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    assert states(project) == ["finished"] * 30


def test_launcher_killed_at_its_birth(runners: Runners) -> None:
    """A launcher killed before it has put its name to the attempt leaves nobody waiting: the trial runs again."""
    project = runners.project
    repeated(project, 3, '[ -e "$root/go" ] || exit 1\n' + FAST)
    process = runners.start("run", "rnn", "--jobs", "1", "--max-attempts", "10000")
    killed: set[int] = set()
    while len(killed) < 20:
        assert process.poll() is None
        for worker in set(children(process.pid)) - killed:
            killed.add(worker)
            kill(worker)
    (project.root / "go").touch()
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    assert states(project) == ["finished"] * 3
