"""Time limits, the signal before them, and what is left when Slurm's controller has forgotten a job.

Code: launcher/slurm_task, slurm/states
"""

from __future__ import annotations

import on_slurm
import pytest
import running
from on_slurm import Cluster, record, status
from small_project import Project

pytestmark = [pytest.mark.timeout(600)]


def test_a_time_limit_ends_a_trial_as_stopped_and_the_signal_before_it_has_not_killed_it(
    forgetful: Cluster, minute: dict[str, Project]
) -> None:
    """A training that does not listen runs on past the signal, to its limit, and is requeued by nobody."""
    project = minute["deaf"]
    on_slurm.until(lambda: running.states(project) != ["running"], 150)
    (now,) = (running.record(project, 1),)
    assert (now["state"], now["slurm"]["ended_by"]) == ("stopped", "time limit")
    assert "1 stopped" in status(project)
    on_slurm.until(lambda: "its time limit was reached (TIMEOUT)" in status(project), 200, lambda: status(project))
    assert running.attempts(project) == [1]


def test_the_signal_before_a_time_limit_lets_a_training_save_and_go_on_in_a_requeued_job(
    forgetful: Cluster, minute: dict[str, Project]
) -> None:
    """Slurm's own signal reaches the training's handler; the job is requeued, and the next attempt has the output."""
    project = minute["listens"]
    on_slurm.until(lambda: running.states(project) == ["finished"], 150, lambda: status(project))
    first, second = record(project, 1, 1), record(project, 1, 2)
    assert (first["state"], first["exit_status"]) == ("stopped", 85)
    assert (second["state"], second["resumed"]) == ("finished", 1)
    assert len(on_slurm.jobs(project)) == 1


def test_what_the_controller_has_forgotten_the_accounts_still_know(
    forgetful: Cluster, minute: dict[str, Project]
) -> None:
    """A minute after their end squeue knows the jobs no more; status has their ends from sacct."""
    project = minute["cancelled"]
    job = on_slurm.jobs(project)[0].id
    on_slurm.until(lambda: job not in forgetful.ask("squeue", "-h", "-t", "all", "-o", "%F").split(), 250)
    said = status(project)
    assert "2 stopped" in said
    assert "stopped  2 trials on node" in said
    assert said.count("its job was cancelled (CANCELLED)") == 1


def test_a_trial_whose_launcher_was_killed_is_lost_even_when_its_job_is_forgotten(
    forgetful: Cluster, minute: dict[str, Project]
) -> None:
    """No record tells of its end and no controller knows the job: the trial is lost, and would be submitted again."""
    project = minute["dies"]
    job = on_slurm.jobs(project)[0].id
    on_slurm.until(lambda: job not in forgetful.ask("squeue", "-h", "-t", "all", "-o", "%F").split(), 150)
    assert "1 lost" in status(project)
    assert "# 1 trial" in on_slurm.start(project, "--dry-run").ok().out
