"""Sites that let a person have few jobs: what was taken is said, and starting the script again finishes the sweep.

Code: slurm/limits, slurm/submit
"""

from __future__ import annotations

from collections.abc import Iterator

import on_slurm
import pytest
import running
from on_slurm import Cluster, go, runs, start, started, status, sweep
from small_project import Project

pytestmark = [pytest.mark.timeout(600)]

LIMIT = 12  # of the QOS few, and here of an account


@pytest.fixture
def limited_account(accounting: Cluster) -> Iterator[str]:
    """An account in which a person may have twelve jobs."""
    accounting.ask("sacctmgr", "-i", "modify", "user", "root", "where", "account=lab", "set", f"MaxSubmitJobs={LIMIT}")
    yield "lab"
    accounting.ask("sacctmgr", "-i", "modify", "user", "root", "where", "account=lab", "set", "MaxSubmitJobs=-1")


def finish_by_starting_again(cluster: Cluster, project: Project, count: int) -> None:
    """Submit, and submit again, with a look in between that the limit is filled each time; all finish once."""
    first = start(project)
    assert first.status == 1
    assert f"Slurm took {LIMIT} tasks, and not the other {count - LIMIT}" in first.err
    assert "start it again" in first.err
    assert len(cluster.queue()) == LIMIT
    started(project, 0, 1)
    full = start(project)
    assert full.status == 1, "nothing was free, and the script said that all is well"
    assert f"Slurm took 0 tasks, and not the other {count - LIMIT}" in full.err
    go(project, 0, 1)  # two end: there is room for two
    on_slurm.until(lambda: len(cluster.queue()) == LIMIT - 2, told=cluster.queue)
    again = start(project)
    assert f"Slurm took 2 tasks, and not the other {count - LIMIT - 2}" in again.err
    assert len(cluster.queue()) == LIMIT
    assert f"{count - LIMIT - 2} queued, and not submitted" in status(project)
    go(project)
    cluster.drained()
    last = start(project).ok()
    assert f"an array of {count - LIMIT - 2}" in last.out
    cluster.drained()
    assert set(running.states(project)) == {"finished"}
    assert runs(project) == list(range(count))
    assert set(running.attempts(project)) == {1}


def refused(cluster: Cluster, since: int) -> list[str]:
    """Jobs with a number above `since` that Slurm's accounts list as failed, as it does with what it refused."""
    rows = cluster.ask("sacct", "-n", "-P", "-X", "-o", "JobIDRaw,State", "-S", "now-1hour").splitlines()
    return [row for row in rows if int(row.split("|")[0]) > since and row.endswith("FAILED")]


def last_job(cluster: Cluster) -> int:
    """The number of the last job there was."""
    rows = cluster.ask("sacct", "-n", "-P", "-X", "-o", "JobIDRaw", "-S", "now-1hour").split()
    return max(map(int, rows), default=0)


def test_a_qos_that_limits_submissions_is_filled_each_time_and_all_trials_finish(
    accounting: Cluster, project: Project
) -> None:
    """Twenty trials where the QOS takes twelve jobs: each start says how many were taken, and nothing was refused."""
    before = last_job(accounting)
    sweep(project, 20, on_slurm.WAIT, slurm='qos = "few"\nmem = "50M"')
    finish_by_starting_again(accounting, project, 20)
    assert refused(accounting, before) == []


def test_an_account_that_limits_submissions_is_filled_each_time_and_all_trials_finish(
    accounting: Cluster, project: Project, limited_account: str
) -> None:
    """The same where the person's association takes twelve jobs."""
    before = last_job(accounting)
    sweep(project, 20, on_slurm.WAIT, slurm=f'account = "{limited_account}"\nmem = "50M"')
    finish_by_starting_again(accounting, project, 20)
    assert refused(accounting, before) == []


@pytest.mark.usefixtures("limited_account")
def test_the_limit_of_one_account_does_not_hold_for_another(accounting: Cluster, project: Project) -> None:
    """Who has two accounts may submit as much through the unlimited one as ever."""
    sweep(project, LIMIT + 3)
    assert f"an array of {LIMIT + 3}" in start(project).ok().out
    accounting.drained()
    assert set(running.states(project)) == {"finished"}


def test_one_job_per_trial_stops_at_the_limit_and_says_what_was_taken(accounting: Cluster, project: Project) -> None:
    """Twelve of fifteen jobs are taken, the others the next time; none is submitted twice."""
    sweep(project, 15, slurm='qos = "few"\nmem = "50M"')
    first = start(project, "--one-job-per-trial")
    assert first.status == 1
    assert "Slurm took 12 tasks, and not the other 3" in first.err
    accounting.drained()
    assert "submitted 3 jobs" in start(project, "--one-job-per-trial").ok().out
    accounting.drained()
    assert runs(project) == list(range(15))
    assert set(running.attempts(project)) == {1}


def test_workers_drain_what_a_limit_on_submissions_would_not_take(accounting: Cluster, project: Project) -> None:
    """Three workers finish twenty trials in one submission where twelve jobs are allowed."""
    sweep(project, 20, slurm='qos = "few"\nmem = "50M"')
    start(project, "--workers", "3").ok()
    accounting.drained()
    assert runs(project) == list(range(20))
    assert on_slurm.tasks(project) == 3


@pytest.fixture
def small(_installed: None, monkeypatch: pytest.MonkeyPatch, _own_settings: None) -> Iterator[Cluster]:
    """A controller that holds fifty jobs, and forgets them within a minute or two."""
    cluster = Cluster(DBD=0, MAXJOBS=50, MINJOBAGE=2, NODES=1)
    try:
        cluster.do("start")
        monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
        yield cluster
    finally:
        cluster.do("clean")


@pytest.mark.slow
def test_a_controller_that_is_full_takes_what_it_can_hold(small: Cluster, project: Project) -> None:
    """Its sbatch would try again for minutes; as many are submitted as there is room for, and the rest is told."""
    sweep(project, 60, on_slurm.WAIT)
    first = start(project)
    assert first.status == 1
    assert "Slurm took 49 tasks, and not the other 11" in first.err
    assert len(small.queue()) == 49
    full = start(project)
    assert full.status == 1
    assert "Slurm took 0 tasks, and not the other 11" in full.err
