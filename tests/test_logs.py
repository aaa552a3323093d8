"""`resweep logs`: what a trial's attempt has said, and says.

Code: cli/logs
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from launched import until
from running import Runners, repeated
from small_project import Project


@pytest.fixture
def runners(project: Project) -> Iterator[Runners]:
    """Starts runners, none of which outlives the test."""
    runners = Runners(project)
    yield runners
    runners.end()


@pytest.mark.slow
def test_last_attempt_and_earlier_ones(project: Project) -> None:
    """The last attempt's log is printed as it is; --attempt N for an earlier one, and one too high is a mistake."""
    repeated(project, 1, 'echo "attempt $RESWEEP_ATTEMPT"; echo to stderr >&2; exit 1')
    project.resweep("run", "rnn", "--max-attempts", "2")
    shown = "attempt {}\nto stderr\n"
    assert project.shell("resweep logs rnn#1").ok().out == shown.format(2)
    assert project.shell("resweep logs rnn#1 --attempt 1").ok().out == shown.format(1)
    assert project.shell("resweep logs -f rnn#1 --attempt 1").ok().out == shown.format(1)
    result = project.resweep("logs", "rnn#1", "--attempt", "3")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "at most 2" in result.err


@pytest.mark.slow
def test_following_misses_nothing_and_ends_with_the_attempt(runners: Runners) -> None:
    """-f prints a log as it grows, all of it, and ends when the attempt ends."""
    project = runners.project
    train = 'echo first; while [ ! -e "$root/go" ]; do sleep 0.02; done\n'
    train += "for i in $(seq 3000); do echo line $i; done; sleep 0.2; printf last"
    repeated(project, 1, train)
    process = runners.start()
    until(
        lambda: "running" in project.resweep("status", "rnn").out and "first" in project.shell("resweep logs rnn").out
    )
    follower = runners.start("logs", "-f", "rnn")
    assert follower.stdout
    assert follower.stdout.readline() == "first\n"
    (project.root / "go").touch()
    said = follower.communicate(timeout=300)[0]
    assert said == "".join(f"line {i}\n" for i in range(1, 3001)) + "last"
    assert follower.returncode == 0
    process.communicate(timeout=300)


@pytest.mark.slow
def test_following_one_attempt_ends_when_the_next_begins(runners: Runners) -> None:
    """-f of an attempt that fails ends with it, though the trial's next attempt runs."""
    project = runners.project
    repeated(
        project, 1, 'echo "$RESWEEP_ATTEMPT"; while [ ! -e "$root/go-$RESWEEP_ATTEMPT" ]; do sleep 0.02; done; exit 1'
    )
    process = runners.start("run", "rnn", "--max-attempts", "2")
    until(lambda: project.resweep("status", "rnn").out.count("running"))
    follower = runners.start("logs", "-f", "rnn")
    assert follower.stdout
    assert follower.stdout.readline() == "1\n"
    (project.root / "go-1").touch()
    assert follower.communicate(timeout=300)[0] == ""
    until(lambda: project.resweep("status", "rnn").out.count("attempt 2"))
    (project.root / "go-2").touch()
    process.communicate(timeout=300)


def test_what_has_no_log_is_one_line(project: Project) -> None:
    """A trial that was not started, a sweep of many, and an unknown name are one line each, status 2."""
    repeated(project, 2)
    for name, says in (("rnn#1", "has not been started"), ("rnn", "names 2 trials"), ("nope", "no such")):
        result = project.resweep("logs", name)
        assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
        assert says in result.err
