"""Workers on a real Slurm: tasks that drain a sweep together through the claims of its trials.

Code: slurm/work
"""

from __future__ import annotations

import on_slurm
import pytest
import running
from on_slurm import Cluster, go, runs, start, started, status, sweep
from small_project import Project

pytestmark = [pytest.mark.timeout(600)]


def test_workers_drain_all_trials_and_are_filled_up_when_started_again(slurm: Cluster, project: Project) -> None:
    """Two workers wait on their trials; --workers 3 adds one, and once more none; all trials run once."""
    sweep(project, 12, on_slurm.WAIT)
    assert "2 workers for 12 trials" in start(project, "--workers", "2").ok().out
    on_slurm.until(lambda: running.states(project).count("running") == 2)
    assert "2 workers: running" in status(project)
    assert "1 worker for" in start(project, "--workers", "3").ok().out
    on_slurm.until(lambda: running.states(project).count("running") == 3)
    assert "nothing to submit" in start(project, "--workers", "3").ok().out
    assert "nothing to submit" in start(project).ok().out, "trials that workers will run were submitted, too"
    go(project)
    slurm.drained()
    assert runs(project) == list(range(12))
    assert set(running.attempts(project)) == {1}
    assert on_slurm.tasks(project) == 3


def test_trials_per_job_makes_as_many_tasks_as_that_needs(slurm: Cluster, project: Project) -> None:
    """Fourteen trials, four in a job, are four tasks, each of which ran at most four."""
    sweep(project, 14, slurm="trials_per_job = 4")
    start(project).ok()
    slurm.drained()
    assert on_slurm.tasks(project) == 4
    assert runs(project) == list(range(14))
    ran = [running.record(project, number)["slurm"]["SLURM_ARRAY_TASK_ID"] for number in range(1, 15)]
    assert max(ran.count(task) for task in ran) <= 4
    assert set(running.attempts(project)) == {1}


def test_workers_an_array_and_a_runner_here_finish_each_trial_once_between_them(
    slurm: Cluster, project: Project
) -> None:
    """All of them want the same trials at the same time; claims let each run once."""
    sweep(project, 60, "sleep 0.2\n" + on_slurm.FAST, slurm='hold = true\nmem = "50M"')
    start(project).ok()
    start(project, "--workers", "4").ok()
    slurm.ask("scontrol", "update", f"jobid={on_slurm.jobs(project)[0].id}", "arraytaskthrottle=4")
    held = [job.id for job in on_slurm.jobs(project)]
    assert len(held) == 2
    runners = running.Runners(project)
    slurm.ask("scontrol", "release", *held)
    on_slurm.until(lambda: "running" in running.states(project))
    here = runners.start("run", "rnn", "-j", "2")
    try:
        here.communicate(timeout=500)
        slurm.drained()
    finally:
        runners.end()
    assert runs(project) == list(range(60))
    assert set(running.states(project)) == {"finished"}
    assert set(running.attempts(project)) == {1}
    where = {running.record(project, n)["slurm"].get("SLURM_ARRAY_JOB_ID") for n in range(1, 61)}
    assert where == {None, *held}, "one of them ran none, so this has shown less than it says"


def test_a_worker_leaves_a_trial_that_failed_to_the_next_submission(slurm: Cluster, project: Project) -> None:
    """A failed trial does not end its worker, nor is it tried over and over; submitted again it runs again."""
    sweep(project, 6, '[ "$n" != 2 ] || exit 3\n' + on_slurm.FAST, slurm='mem = "50M"')
    start(project, "--workers", "2").ok()
    slurm.drained()
    assert running.states(project).count("finished") == 5
    assert running.attempts(project) == [1] * 6
    start(project, "--workers", "2").ok()
    slurm.drained()
    assert running.attempts(project) == [1, 1, 2, 1, 1, 1]


def test_a_trial_stopped_in_a_worker_lets_the_worker_go_on(slurm: Cluster, project: Project) -> None:
    """`resweep stop TRIAL` ends that trial alone; its worker runs the others, and not that one again."""
    sweep(project, 4, on_slurm.WAIT, slurm='mem = "50M"')
    start(project, "--workers", "1").ok()
    started(project, 0)
    stopped = project.resweep("stop", "rnn#1").ok()
    assert "1 stopped, 0 left" in stopped.out
    started(project, 1)
    go(project)
    slurm.drained()
    assert running.states(project) == ["stopped", "finished", "finished", "finished"]
    assert runs(project) == [1, 2, 3]
    assert running.record(project, 1)["slurm"]["ended_by"] is None, "it was a person, not Slurm"


def test_a_cancelled_worker_starts_no_other_trial_and_the_next_submission_finishes_all(
    slurm: Cluster, project: Project
) -> None:
    """scancel of a worker stops its trial, which says so, and a new worker takes it up again."""
    sweep(project, 3, on_slurm.WAIT)
    start(project, "--workers", "1").ok()
    started(project, 0)
    slurm.ask("scancel", on_slurm.jobs(project)[0].id)
    slurm.drained()
    assert running.states(project) == ["stopped", "queued", "queued"]
    assert running.record(project, 1)["slurm"]["ended_by"] == "cancel"
    go(project)
    start(project, "--workers", "1").ok()
    slurm.drained()
    assert running.attempts(project) == [2, 1, 1]
    assert runs(project) == [0, 1, 2]
