"""`parallel` holds for a sweep, whatever is added to it, and no throttle is lost without a word.

Code: slurm/, generation/job_script
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import on_slurm
import pytest
import running
from on_slurm import Cluster, go, jobs, runs, start, started, status, sweep
from small_project import REPOSITORY, Project

pytestmark = pytest.mark.timeout(300)

TAKES = "sleep 1\n" + on_slurm.FAST


def dependency(cluster: Cluster, job: str) -> str:
    """What Slurm says that a job waits for."""
    return cluster.ask("squeue", "-h", f"--jobs={job}", "-o", "%E").splitlines()[0]


def test_points_that_are_added_while_a_sweep_runs_wait_for_what_runs(slurm: Cluster, project: Project) -> None:
    """Two at a time, four trials submitted and four added: never do three run."""

    def generate(rates: str) -> None:
        text = f'[hyper]\n"params.lr" = {rates}\n[params]\nlr = 0.5\n[slurm]\nparallel = 2\nmem = "50M"\n'
        train = running.FIND + 'until [ -e "$root/go" ]; do sleep 0.1; done\n' + TAKES
        project.write({"config/rnn.toml": text, "train.sh": train}).generate("--slurm-job").ok()

    shutil.copy(REPOSITORY / "slurm-allennlp.sh", project.root)
    generate("[0.1, 0.2, 0.3, 0.4]")
    start(project).ok()
    on_slurm.until(lambda: running.states(project).count("running") == 2)
    generate("[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]")
    shown = start(project, "--dry-run").ok().out
    added = start(project).ok().out
    first, second = jobs(project)
    assert f"--dependency=afterany:{first.id}" in shown
    assert f"an array of 4, 2 at a time, after job {first.id}" in added
    assert f"afterany:{first.id}" in dependency(slurm, second.id)
    waits = f"4 queued in job {second.id}: waits for another job to end (Dependency)"
    on_slurm.until(lambda: waits in status(project), told=lambda: status(project))
    go(project)
    slurm.drained(120)
    assert running.states(project) == ["finished"] * 8
    assert on_slurm.overlap([project.record(entry) for entry in project.entries()]) == 2


def test_topping_up_after_a_limit_keeps_to_parallel(accounting: Cluster, project: Project) -> None:
    """Twelve of sixteen are taken; when two have ended, the two that are added wait for the others."""
    sweep(project, 16, on_slurm.WAIT + "sleep 0.5\n", slurm='qos = "few"\nparallel = 3\nmem = "50M"')
    assert "not the other 4" in start(project).err
    started(project, 0, 1, 2)
    go(project, 0, 1)
    on_slurm.until(lambda: running.states(project).count("finished") == 2)
    start(project)
    first, second = jobs(project)
    assert f"afterany:{first.id}" in dependency(accounting, second.id)
    go(project)
    accounting.drained(120)
    start(project).ok()
    accounting.drained(120)
    assert running.states(project) == ["finished"] * 16
    assert on_slurm.overlap([project.record(entry) for entry in project.entries()]) == 3


def test_workers_that_fit_in_beside_those_at_work_start_at_once(slurm: Cluster, project: Project) -> None:
    """Three at a time and two workers: the third need not wait, and a fourth has to."""
    sweep(project, 8, on_slurm.WAIT, slurm='parallel = 3\nmem = "50M"')
    start(project, "--workers", "2").ok()
    on_slurm.until(lambda: running.states(project).count("running") == 2)
    assert "after job" not in start(project, "--workers", "3").ok().out
    on_slurm.until(lambda: running.states(project).count("running") == 3)
    added = start(project, "--workers", "4").ok().out
    assert f"after jobs {jobs(project)[0].id}, {jobs(project)[1].id}" in added
    go(project)
    slurm.drained()
    assert runs(project) == list(range(8))
    assert on_slurm.overlap([project.record(entry) for entry in project.entries()]) == 3


def test_a_canary_and_what_follows_it_wait_for_what_runs(slurm: Cluster, project: Project) -> None:
    """One at a time: neither the canary of a second submission nor its array begins beside the first one's."""
    sweep(project, 4, on_slurm.WAIT, slurm="parallel = 1")
    project.resweep("submit", "rnn#1").ok()
    started(project, 0)
    added = start(project, "--canary").ok().out
    first, canary, rest = jobs(project)
    assert f"after job {first.id}" in added
    assert f"afterany:{first.id}" in dependency(slurm, canary.id)
    assert f"afterok:{canary.id}" in dependency(slurm, rest.id)
    go(project)
    slurm.drained()
    assert running.states(project) == ["finished"] * 4
    assert on_slurm.overlap([project.record(entry) for entry in project.entries()]) == 1


def test_without_the_tool_on_path_nothing_is_submitted_unless_a_job_for_each_trial_is_asked_for(
    slurm: Cluster, project: Project
) -> None:
    """The script says what is missing; asked for a job for each trial twice, it submits each trial once."""
    sweep(project, 3, on_slurm.WAIT, slurm='parallel = 1\nmem = "50M"')
    folders = [each for each in os.environ["PATH"].split(os.pathsep) if not Path(each, "resweep").exists()]
    path = {"PATH": os.pathsep.join(folders), "RESWEEP_PYTHON": shutil.which("python3", path=os.pathsep.join(folders))}
    refused = start(project, **path)
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "--one-job-per-trial" in refused.err
    assert not slurm.queue()
    assert "3 submitted" in start(project, "--one-job-per-trial", **path).ok().out
    assert "0 submitted; 0 have finished, 3 run or wait" in start(project, "--one-job-per-trial", **path).ok().out
    go(project)
    slurm.drained()
    assert "0 submitted; 3 have finished, 0 run or wait" in start(project, "--one-job-per-trial", **path).ok().out
    assert runs(project) == [0, 1, 2]
