"""Trainings that ask to be run again: their own task is requeued, and nothing else.

Code: launcher/slurm_task, launcher/attempt, run/runner
"""

from __future__ import annotations

import os
import signal

import checkpoints
import on_slurm
import pytest
import running
from checkpoints import came, saves, seen, task_of, warn
from on_slurm import Cluster, go, jobs, record, start, status
from small_project import Project

pytestmark = pytest.mark.timeout(240)


# such trials are run by workers that are runners of the tool's own
FOLLOWED = """
[results]
metric = "loss"
mode = "min"
[search.stop]
method = "threshold"
upper = 9.0
metric = "loss"
"""


def bears_the_arrays_number(project: Project, count: int) -> int:
    """The number, counted from 1, of the trial whose task bears the job id of the whole array."""
    array = jobs(project)[0].id
    (last,) = (n for n in range(1, count + 1) if running.record(project, n)["slurm"]["SLURM_JOB_ID"] == array)
    return last


@pytest.mark.parametrize("warned", [False, True], ids=["by-itself", "after-USR1"])
def test_a_task_that_bears_the_arrays_number_is_requeued_alone(slurm: Cluster, project: Project, warned: bool) -> None:
    """Its neighbours run on, those that finished are not dispatched again, and it goes on with what it has saved."""
    checkpoints.sweep(project, 4, saves())
    start(project).ok()
    seen(project, *(f"started-{n}-1--" for n in range(4)))
    last = bears_the_arrays_number(project, 4)
    finished, *others = (n for n in range(1, 5) if n != last)
    go(project, finished - 1)
    on_slurm.until(lambda: "finished" in running.states(project))
    if warned:
        warn(slurm, task_of(project, last))
    else:
        slurm.ask("scancel", "--signal=USR1", "--full", task_of(project, last))
    seen(project, f"started-{last - 1}-2--")
    on_slurm.until(lambda: running.states(project).count("finished") == 2)
    assert running.states(project) == ["running" if n in others else "finished" for n in range(1, 5)]
    go(project)
    slurm.drained()
    assert running.states(project) == ["finished"] * 4
    assert running.attempts(project) == [2 if n == last else 1 for n in range(1, 5)]
    assert (record(project, last, 2)["resumed"], record(project, last, 2)["slurm"]["SLURM_RESTART_COUNT"]) == (1, "1")
    assert not any(came(project, n - 1) for n in (finished, *others))


def test_a_worker_that_bears_the_arrays_number_is_requeued_alone(slurm: Cluster, project: Project) -> None:
    """The other workers of the array keep their trials, and the requeued one takes its own up again."""
    checkpoints.sweep(project, 3, saves())
    start(project, "--workers", "3").ok()
    seen(project, *(f"started-{n}-1--" for n in range(3)))
    last = bears_the_arrays_number(project, 3)
    worker = running.record(project, last)["slurm"]["SLURM_ARRAY_TASK_ID"]
    warn(slurm, task_of(project, int(worker)))
    seen(project, f"started-{last - 1}-2--")
    go(project)
    slurm.drained()
    assert running.states(project) == ["finished"] * 3
    assert running.attempts(project) == [2 if n == last else 1 for n in range(1, 4)]
    assert not any(came(project, n - 1) for n in range(1, 4) if n != last)


def test_a_worker_of_a_search_that_bears_the_arrays_number_is_requeued_alone(slurm: Cluster, project: Project) -> None:
    """Workers that are runners of the tool's own, as for [search.stop], name their own task, too."""
    checkpoints.sweep(project, 3, saves(), slurm='mem = "50M"', settings=FOLLOWED)
    start(project).ok()
    seen(project, *(f"started-{n}-1--" for n in range(3)))
    last = bears_the_arrays_number(project, 3)
    worker = running.record(project, last)["slurm"]["SLURM_ARRAY_TASK_ID"]
    warn(slurm, task_of(project, int(worker)))
    seen(project, f"started-{last - 1}-2--")
    go(project)
    slurm.drained(120)
    assert running.states(project) == ["finished"] * 3
    assert running.attempts(project) == [2 if n == last else 1 for n in range(1, 4)]


def test_a_task_of_a_held_array_waits_held_and_its_neighbours_run_on(slurm: Cluster, project: Project) -> None:
    """A requeue while the array is held restarts nothing else; released, the task goes on with its checkpoint."""
    checkpoints.sweep(project, 2, saves())
    start(project).ok()
    seen(project, "started-0-1--", "started-1-1--")
    last = bears_the_arrays_number(project, 2)
    slurm.ask("scontrol", "hold", jobs(project)[0].id)
    warn(slurm, task_of(project, last))
    on_slurm.until(lambda: any(line.startswith(f"{task_of(project, last)}|PENDING") for line in slurm.queue()))
    assert running.states(project)[2 - last] == "running"
    slurm.ask("scontrol", "release", jobs(project)[0].id)
    seen(project, f"started-{last - 1}-2--")
    go(project)
    slurm.drained()
    assert running.states(project) == ["finished"] * 2
    assert running.attempts(project) == [2 if n == last else 1 for n in (1, 2)]


def test_a_cancelled_task_whose_training_answers_with_85_is_not_brought_back(slurm: Cluster, project: Project) -> None:
    """Slurm would requeue a cancelled job if it was asked to; its training's checkpoint is kept for the next time."""
    checkpoints.sweep(project, 1, saves(heeds="SIGTERM"))
    start(project).ok()
    seen(project, "started-0-1--")
    slurm.ask("scancel", task_of(project, 1))
    slurm.drained()
    assert running.states(project) == ["stopped"]
    first = running.record(project, 1)
    assert (first["exit_status"], first["slurm"]["ended_by"]) == (85, "cancel")
    assert running.attempts(project) == [1]
    start(project).ok()
    slurm.drained()
    assert running.record(project, 1)["resumed"] == 1
    assert running.states(project) == ["finished"]


def test_a_trial_that_a_person_stops_is_not_requeued_by_its_85(slurm: Cluster, project: Project) -> None:
    """`resweep stop rnn#N` of a worker's trial holds, although the training asks to be run again when it gets TERM."""
    checkpoints.sweep(project, 2, saves(heeds="SIGTERM"))
    start(project, "--workers", "1").ok()
    seen(project, "started-0-1--")
    assert "1 stopped" in project.resweep("stop", "rnn#1").ok().out
    seen(project, "started-1-1--")
    go(project)
    slurm.drained()
    assert running.states(project) == ["stopped", "finished"]
    assert running.attempts(project) == [1, 1]
    assert running.record(project, 1)["exit_status"] == 85
    assert came(project, 0) == ["1 - SIGTERM"]


def test_a_requeue_that_slurm_refuses_is_told_and_the_trial_stays_stopped(slurm: Cluster, project: Project) -> None:
    """With no-requeue a job cannot be requeued: the task's own output says why, and what to do."""
    checkpoints.sweep(project, 1, saves(), slurm="no-requeue = true")
    start(project).ok()
    seen(project, "started-0-1--")
    warn(slurm, task_of(project, 1))
    slurm.drained()
    assert running.states(project) == ["stopped"]
    said = project.resweep("logs", "rnn#1").ok().out + "".join(
        path.read_text() for path in (project.root / "model/generated/rnn").rglob("*.txt")
    )
    assert "asked to be run again, but the job is not requeued: " in said
    assert "submit it again" in said
    assert "submit it again" in status(project)


def test_a_requeue_is_asked_for_again_while_the_controller_is_away(slurm: Cluster, project: Project) -> None:
    """A training that ends with 85 while Slurm does not answer is requeued when it does."""
    checkpoints.sweep(project, 1, saves())
    start(project).ok()
    seen(project, "started-0-1--")
    launcher = int(running.record(project, 1)["pid"])
    slurm.do("stopcontroller")
    try:
        os.kill(launcher, signal.SIGUSR1)
        on_slurm.until(lambda: running.states(project) == ["stopped"])
    finally:
        slurm.do("startcontroller")
    seen(project, "started-0-2--")
    slurm.drained()
    assert running.states(project) == ["finished"]
    assert running.attempts(project) == [2]


def test_a_save_on_term_at_the_time_limit_is_requeued(slurm: Cluster, project: Project) -> None:
    """Without any signal = ...: the training saves on TERM, ends with 85, and goes on in the next life of its job."""
    checkpoints.sweep(project, 2, saves(heeds="SIGTERM", save=1.0), slurm="time = 1")
    start(project).ok()
    seen(project, "started-0-1--", "started-1-1--")
    on_slurm.until(lambda: running.attempts(project) == [2, 2], 170, lambda: status(project))
    slurm.drained()
    assert running.states(project) == ["finished"] * 2
    for n in (1, 2):
        first = record(project, n, 1)
        assert (first["state"], first["exit_status"], first["slurm"]["ended_by"]) == ("stopped", 85, "time limit")
        assert came(project, n - 1) == ["1 - SIGTERM"], "TERM is for once"


def test_a_save_on_term_in_a_worker_at_its_time_limit_is_requeued(slurm: Cluster, project: Project) -> None:
    """So does a worker that is a runner of the tool's own, whose next life takes the trial up again."""
    checkpoints.sweep(project, 1, saves(heeds="SIGTERM"), slurm='time = 1\nmem = "50M"', settings=FOLLOWED)
    start(project).ok()
    seen(project, "started-0-1--")
    on_slurm.until(lambda: running.states(project) == ["finished"], 170, lambda: status(project))
    slurm.drained()
    assert running.attempts(project) == [2]
    assert record(project, 1, 1)["slurm"]["ended_by"] == "time limit"
    assert came(project, 0) == ["1 - SIGTERM"]
