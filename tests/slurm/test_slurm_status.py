"""Seeing and stopping: what waits and why, what would wait for ever, a Slurm that does not answer, and `stop`.

Code: slurm/states, slurm/ledger, slurm/cancel, slurm/queue
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import on_slurm
import pytest
import running
from on_slurm import Cluster, go, jobs, runs, start, started, status, sweep
from small_project import Project

pytestmark = [pytest.mark.timeout(200)]


@pytest.fixture
def silent(slurm: Cluster) -> Iterator[Cluster]:
    """The cluster, whose controller the test may stop; it is started again afterwards."""
    yield slurm
    if _is_down(slurm):
        slurm.do("startcontroller")


def _is_down(cluster: Cluster) -> bool:
    try:
        cluster.ask("scontrol", "ping")
    except AssertionError:
        return True
    return False


# --- status --------------------------------------------------------------------------------------------------------


def test_status_tells_in_words_what_runs_and_why_the_rest_waits(slurm: Cluster, project: Project) -> None:
    """A throttle, a dependency and a hold are named; --json has each trial's task and reason."""
    sweep(project, 5, on_slurm.WAIT, slurm='parallel = 2\nmem = "50M"')
    start(project).ok()
    started(project, 0, 1)
    on_slurm.until(lambda: "JobArrayTaskLimit" in status(project), told=lambda: status(project))
    said = status(project)
    job = jobs(project)[0].id
    assert "5 trials: 2 running, 3 queued" in said
    assert f"3 queued in job {job}: as many run as `parallel` allows (JobArrayTaskLimit)" in said
    assert f"job {job}_1" in said
    found = json.loads(project.resweep("status", "rnn", "--json").ok().out)
    assert [each["state"] for each in found["trials"]] == ["running"] * 2 + ["queued"] * 3
    assert [each["task"] for each in found["trials"]] == [f"{job}_{n}" for n in range(1, 6)]
    slurm.ask("scontrol", "uhold", job)
    on_slurm.until(lambda: f"it is held; `scontrol release {job}" in status(project), 15, lambda: status(project))
    go(project)


def test_a_dependency_that_can_never_be_satisfied_is_told_as_such(slurm: Cluster, project: Project) -> None:
    """afterok of a job that has failed would pend for ever without a word; status says that it never starts."""
    failed = slurm.ask("sbatch", "--parsable", "-o", "/dev/null", "--wrap", "exit 1").strip()
    sweep(project, 2)
    start(project, f"--dependency=afterok:{failed}").ok()
    on_slurm.until(lambda: "DependencyNeverSatisfied" in status(project), told=lambda: status(project))
    assert "2 queued in job" in status(project)
    assert "never starts: the job that it waits for did not succeed" in status(project)


@pytest.mark.parametrize(
    ("table", "warned", "reason"),
    [
        ('partition = "short"\ntime = "00:03:00"', "more than the partition short allows", "PartitionTimeLimit"),
        ('qos = "brief"\ntime = "00:06:00"', "more than the QOS brief allows", "QOSMaxWallDurationPerJobLimit"),
    ],
)
def test_a_time_beyond_a_limit_is_warned_of_when_submitting_and_never_starts(
    accounting: Cluster, project: Project, table: str, warned: str, reason: str
) -> None:
    """Slurm takes such a job and never starts it: both the submission and status say so."""
    sweep(project, 1, slurm=table)
    assert warned in start(project, "--dry-run").ok().err
    done = start(project).ok()
    assert warned in done.err
    on_slurm.until(lambda: reason in status(project), told=lambda: (accounting.queue(), status(project)))
    assert "never starts" in status(project)
    assert "1 stopped, 0 left" in project.resweep("stop", "rnn").ok().out or not accounting.queue()


def test_an_unknown_qos_is_refused_in_one_line_that_says_what_to_do(accounting: Cluster, project: Project) -> None:
    """With accounting sbatch refuses it; nothing is left behind, and the next submission works."""
    sweep(project, 2, slurm='qos = "gpu-hueg"')
    refused = start(project)
    assert refused.status != 0
    (line,) = refused.err.strip().splitlines()
    assert "Invalid qos" in line
    assert "sacctmgr" in line
    assert not jobs(project)
    assert not accounting.queue()
    sweep(project, 2, slurm='qos = "gpu-medium"')
    start(project).ok()
    accounting.drained()
    assert running.states(project) == ["finished", "finished"]


def test_a_qos_where_none_is_enforced_is_noted(slurm: Cluster, project: Project) -> None:
    """Without accounting any QOS is taken and has no effect: the script says so, and the trials run."""
    sweep(project, 1, slurm='qos = "gpu-hueg"')
    assert "qos=gpu-hueg has no effect" in start(project).ok().err
    slurm.drained()
    assert running.states(project) == ["finished"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('partition = "nowhere"', "sinfo"),
        ('gres = "gpu:99"', "no node has all of it"),
        ('no-such-option = "x"', "man sbatch"),
    ],
)
def test_what_sbatch_refuses_is_one_line_with_what_to_do_and_nothing_is_submitted(
    slurm: Cluster, project: Project, table: str, said: str
) -> None:
    """The refusal is said once, and no submission is left that status would have to explain."""
    sweep(project, 2, slurm=table)
    refused = start(project)
    assert refused.status != 0
    (line,) = [line for line in refused.err.strip().splitlines() if "note:" not in line]
    assert said in line
    assert not jobs(project)
    assert "2 trials: 2 queued" in status(project)


# --- a Slurm that does not answer ----------------------------------------------------------------------------------


def test_a_controller_that_does_not_answer_is_one_line_and_status_shows_the_records(
    silent: Cluster, project: Project
) -> None:
    """Submitting and stopping say so and change nothing; status has what the records say; later all goes on."""
    sweep(project, 3, on_slurm.WAIT + '[ "$n" != 1 ] || exit 3\n')
    start(project).ok()
    started(project, 0, 1, 2)
    go(project, 1)
    on_slurm.until(lambda: running.states(project)[1] == "failed")
    silent.do("stopcontroller")
    said = status(project)
    assert "2 running, 1 failed" in said
    assert said.count("is from the records alone") in (1, 2), "once more where the answer took its time"
    refused = start(project)
    assert refused.status != 0
    assert len(refused.err.strip().splitlines()) == 1
    assert "Slurm does not answer" in refused.err
    assert on_slurm.tasks(project) == 3
    silent.do("startcontroller")
    go(project)
    silent.drained()
    assert running.states(project) == ["finished", "failed", "finished"]
    assert "an array of 1" in start(project).ok().out
    silent.drained()


def test_a_submission_killed_before_it_noted_its_job_is_found_again_and_nothing_is_submitted_twice(
    slurm: Cluster, project: Project
) -> None:
    """The job that sbatch took is found in the queue by what it runs, and its trials are not submitted again."""
    sweep(project, 4, on_slurm.WAIT)
    start(project).ok()
    (job,) = jobs(project)
    noted = project.paths().submissions / "1" / "jobs.jsonl"
    noted.write_text("")
    again = start(project).ok()
    assert f"job {job.id} of submission 1 was not noted; found in the queue" in again.out
    assert "nothing to submit" in again.out
    assert jobs(project) == [job]
    noted.write_text(noted.read_text()[:20])  # torn in the middle of its line
    assert "nothing to submit" in start(project).ok().out
    assert jobs(project) == [job]
    go(project)
    slurm.drained()
    assert runs(project) == [0, 1, 2, 3]
    assert running.attempts(project) == [1] * 4


def test_jobs_of_their_own_killed_before_they_were_noted_are_found_again(slurm: Cluster, project: Project) -> None:
    """The same for one job per trial: the two that were noted and the two that were not are all known."""
    sweep(project, 4, on_slurm.WAIT)
    start(project, "--one-job-per-trial").ok()
    before = jobs(project)
    noted = project.paths().submissions / "1" / "jobs.jsonl"
    noted.write_text("".join(noted.read_text().splitlines(keepends=True)[:2]))
    assert "nothing to submit" in start(project).ok().out
    assert sorted(jobs(project), key=lambda job: int(job.id)) == before
    go(project)
    slurm.drained()
    assert running.attempts(project) == [1] * 4


# --- stop ----------------------------------------------------------------------------------------------------------


def test_stopping_a_sweep_cancels_all_of_it_waits_and_says_0_left(slurm: Cluster, project: Project) -> None:
    """What runs is stopped, what waits is cancelled, and when the command is back the queue is empty."""
    sweep(project, 6, on_slurm.LONG, slurm='parallel = 2\nmem = "50M"')
    start(project).ok()
    started(project, 0, 1)
    done = project.resweep("stop", "rnn").ok()
    assert "2 stopped, 0 left" in done.out
    assert slurm.queue() == []
    assert running.states(project) == ["stopped", "stopped", "queued", "queued", "queued", "queued"]
    assert running.attempts(project) == [1, 1, 0, 0, 0, 0]
    assert "an array of 6" in start(project).ok().out
    project.resweep("stop", "rnn").ok()
    assert slurm.queue() == []


def test_stopping_one_trial_of_an_array_leaves_the_others(slurm: Cluster, project: Project) -> None:
    """One that runs and one that waits are cancelled by name; the rest finish."""
    sweep(project, 4, on_slurm.WAIT, slurm='parallel = 2\nmem = "50M"')
    start(project).ok()
    started(project, 0, 1)
    assert "1 stopped, 0 left" in project.resweep("stop", "rnn#1").ok().out
    pending = project.resweep("stop", "rnn#4").ok()
    assert "0 left" in pending.out
    go(project)
    slurm.drained()
    assert running.states(project) == ["stopped", "finished", "finished", "queued"]
    assert running.record(project, 1)["state"] == "stopped"
    assert runs(project) == [1, 2]
    assert "its job was cancelled (CANCELLED)" in status(project)
    assert "an array of 2" in start(project).ok().out
    slurm.drained()
    assert running.states(project) == ["finished"] * 4


def test_stopping_what_only_waits_empties_the_queue(slurm: Cluster, project: Project) -> None:
    """Held tasks, none of which has begun, are cancelled; no attempt is made of them."""
    sweep(project, 3, slurm="hold = true")
    start(project).ok()
    done = project.resweep("stop", "rnn").ok()
    assert "0 left" in done.out
    assert slurm.queue() == []
    assert running.attempts(project) == [0, 0, 0]
    assert "3 trials: 3 queued" in status(project)


def test_stopping_workers_ends_them_and_their_trials(slurm: Cluster, project: Project) -> None:
    """Workers start nothing more: their trials are stopped, the others stay queued."""
    sweep(project, 5, on_slurm.LONG, slurm='mem = "50M"')
    start(project, "--workers", "2").ok()
    on_slurm.until(lambda: running.states(project).count("running") == 2)
    done = project.resweep("stop", "rnn").ok()
    assert "2 stopped, 0 left" in done.out
    assert slurm.queue() == []
    assert sorted(running.states(project)) == ["queued"] * 3 + ["stopped"] * 2
