"""Slurm's commands that take long, hang, or are wrappers whose children live on: every wait is bounded.

Code: slurm/commands, slurm/queue, slurm/cancel, slurm/states, cli/status, launcher/attempt
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import on_slurm
import pytest
import running
from on_slurm import Cluster, go, jobs, start, started, status, sweep
from small_project import Project
from wrapped import Wrappers

pytestmark = pytest.mark.timeout(300)

# a site's wrapper whose child goes on when it is killed, and keeps what it prints to open
HANGS = '( echo $BASHPID >> "{}"; exec sleep 600 ) &\nwait'


@pytest.fixture
def wrappers(slurm: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wrappers]:
    """Wrappers before the commands of the cluster."""
    wrappers = Wrappers(tmp_path / "wrappers", monkeypatch)
    yield wrappers
    wrappers.clear()


def alive(pid: int) -> bool:
    """Whether a process lives, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_status_shows_the_records_when_squeue_hangs_and_leaves_no_process(
    wrappers: Wrappers, project: Project, tmp_path: Path
) -> None:
    """What the records say comes first; ten seconds later it says that squeue did not answer; all of it was killed."""
    sweep(project, 3, on_slurm.WAIT + '[ "$n" != 1 ] || exit 3\n')
    start(project).ok()
    started(project, 0, 1, 2)
    go(project, 1)
    on_slurm.until(lambda: running.states(project)[1] == "failed")
    wrappers.put("squeue", HANGS.format(tmp_path / "pids"))
    said = status(project)
    assert "3 trials: 2 running, 1 failed" in said
    assert said.index("2 running, 1 failed") < said.index("squeue: did not answer for 10 seconds")
    assert "the above is from the records alone" in said
    pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
    assert pids
    on_slurm.until(lambda: not any(map(alive, pids)), 30)
    wrappers.remove("squeue")
    go(project)


def test_status_shows_the_records_first_and_what_slurm_says_when_it_comes(wrappers: Wrappers, project: Project) -> None:
    """A squeue that takes four seconds: the first report has no reason of Slurm's, the second one has."""
    sweep(project, 2, slurm="hold = true")
    start(project).ok()
    wrappers.put("squeue", "sleep 4")
    said = status(project)
    first, asked, second = said.partition("what Slurm says:")
    assert asked
    assert "2 trials: 2 queued" in first
    assert "held" not in first
    assert "it is held" in second
    found = project.resweep("status", "rnn", "--json").ok().out
    assert found.startswith("{"), "a report of the records stands before the JSON"


def test_a_wrapper_whose_child_keeps_its_output_open_holds_nobody_up(
    wrappers: Wrappers, project: Project, tmp_path: Path
) -> None:
    """The wrapper ends and its child does not: what was printed until then is the answer."""
    sweep(project, 2, slurm="hold = true")
    start(project).ok()
    wrappers.put("squeue", f'sleep 300 & echo $! >> "{tmp_path}/pids"')
    said = status(project)
    assert "it is held" in said
    assert "what Slurm says:" not in said, "it was waited for"
    for pid in (tmp_path / "pids").read_text().split():
        os.kill(int(pid), 9)


def test_stop_asks_slurm_every_few_seconds_and_not_many_times_in_one(wrappers: Wrappers, project: Project) -> None:
    """A training that does not heed TERM is waited for with calls that are one to five seconds apart."""
    sweep(project, 1, 'trap "" TERM\n' + on_slurm.LONG)
    start(project).ok()
    started(project, 0)
    wrappers.put("squeue", "")
    assert "1 stopped, 0 left" in project.resweep("stop", "rnn").ok().out
    times = [when for when, words in wrappers.calls("squeue") if "%F\x1f%K" in words]
    waits = [later - earlier for earlier, later in itertools.pairwise(times[2:-1])]
    assert waits, "stop was too quick to show anything"
    assert waits[0] > 0.95
    assert all(wait > 1.4 for wait in waits[1:]), "it does not ask less often as it waits longer"


def test_a_squeue_that_fails_while_stop_waits_does_not_end_it(
    wrappers: Wrappers, project: Project, tmp_path: Path
) -> None:
    """A controller that is busy for a moment, after the jobs were cancelled: stop asks again, and says 0 left."""
    sweep(project, 1, on_slurm.LONG)
    start(project).ok()
    started(project, 0)
    wrappers.put("scancel", f'touch "{tmp_path}/cancelled"')
    first = f'[ -e "{tmp_path}/cancelled" ] && [ ! -e "{tmp_path}/busy" ]'
    wrappers.put("squeue", f'if {first}; then touch "{tmp_path}/busy"; echo busy >&2; exit 1; fi')
    assert "1 stopped, 0 left" in project.resweep("stop", "rnn").ok().out
    assert (tmp_path / "busy").exists()


def test_trials_that_are_stopped_together_ask_slurm_one_after_another(
    slurm: Cluster, wrappers: Wrappers, project: Project
) -> None:
    """Each waits by the number of its task before it asks what ended it, so that a thousand do not ask at once."""
    sweep(project, 151, on_slurm.LONG, slurm="hold = true")
    wrappers.put("scontrol", "")
    start(project).ok()
    (job,) = jobs(project)
    slurm.ask("scontrol", "release", f"{job.id}_151")
    started(project, 150)
    slurm.ask("scancel", f"{job.id}_151")
    on_slurm.until(lambda: running.states(project)[150] == "stopped")
    now = running.record(project, 151)
    assert now["slurm"]["ended_by"] == "cancel"
    (asked,) = [
        when for when, words in wrappers.calls("scontrol") if f"show job {now['slurm']['SLURM_JOB_ID']}" in words
    ]
    assert asked - datetime.fromisoformat(now["ended"]).timestamp() > 1


# --- what squeue cuts off ------------------------------------------------------------------------------------------


def test_waiting_tasks_with_gaps_between_them_are_all_seen(slurm: Cluster, project: Project) -> None:
    """squeue names only the first of many ranges unless it is asked for all: none is submitted a second time."""
    sweep(project, 90, slurm="hold = true")
    start(project).ok()
    (job,) = jobs(project)
    gone = [number for number in range(1, 91) if number % 3 == 0 or number % 7 == 0]
    slurm.ask("scancel", *[f"{job.id}_{number}" for number in gone])
    assert f"{90 - len(gone)} queued in job {job.id}" in status(project)
    again = start(project).ok().out
    assert f"{len(gone)} trials to submit; {90 - len(gone)} wait in Slurm" in again
    assert on_slurm.tasks(project) == 90 + len(gone)


def test_a_command_that_is_interrupted_is_killed(
    slurm: Cluster, wrappers: Wrappers, project: Project, tmp_path: Path
) -> None:
    """Ctrl-C while squeue hangs ends the command, and what it had started."""
    sweep(project, 1, slurm="hold = true")
    start(project).ok()
    wrappers.put("squeue", HANGS.format(tmp_path / "pids"))
    runners = running.Runners(project)
    process = runners.start("stop", "rnn")
    try:
        on_slurm.until((tmp_path / "pids").exists)
        process.send_signal(2)
        process.communicate(timeout=60)
    finally:
        runners.end()
    left = [int(line) for line in (tmp_path / "pids").read_text().split()]
    on_slurm.until(lambda: not any(map(alive, left)), 30)
