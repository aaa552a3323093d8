"""How long a training has to save when its trial ends on Slurm, and that TERM comes to it once.

Code: launcher/attempt, launcher/delivery, slurm/limits, slurm/draft
"""

from __future__ import annotations

import os
import signal
import time

import checkpoints
import on_slurm
import pytest
import running
from checkpoints import came, saves, seen, task_of
from on_slurm import Cluster, jobs, record, start
from small_project import Project

pytestmark = pytest.mark.timeout(240)

LONG_SAVE = 12.0  # seconds: longer than the launcher's own default, shorter than KillWait of this cluster
ALWAYS = "exec python -c 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)'\n"


def saved(project: Project, number: int = 1) -> bool:
    """Whether the first attempt has come to the end of its save."""
    attempt = project.paths().place(project.entries()[number - 1].name).attempt(1)
    return os.path.exists(os.path.join(attempt, "output", "checkpoint"))


@pytest.mark.parametrize("way", ["scancel", "requeue", "stop"])
def test_a_training_has_killwait_to_save_and_gets_term_once(kind: Cluster, project: Project, way: str) -> None:
    """Slurm sends TERM to every process of the job, so the launcher sends none, and lets the save come to its end."""
    checkpoints.sweep(project, 1, saves(heeds="SIGTERM", save=LONG_SAVE))
    start(project).ok()
    seen(project, "started-0-1--")
    if way == "scancel":
        kind.ask("scancel", task_of(project, 1))
    elif way == "requeue":
        kind.ask("scontrol", "requeue", task_of(project, 1))
    else:
        assert "0 left" in project.resweep("stop", "rnn").ok().out
    on_slurm.until(lambda: record(project, 1, 1)["state"] != "running")
    first = record(project, 1, 1)
    assert (first["state"], first["exit_status"], first["signal"]) == ("stopped", 85, None)
    assert first["slurm"]["ended_by"] == ("requeue" if way == "requeue" else "cancel")
    kind.drained()
    assert came(project, 0) == ["1 - SIGTERM"]
    assert (project.root / "checkpoint-0").exists() if way == "requeue" else saved(project)


@pytest.mark.parametrize("mode", ["requeue", "cancel"])
def test_a_preempted_training_has_killwait_to_save_and_gets_term_once(
    kind: Cluster, project: Project, mode: str
) -> None:
    """The save ends, and the next attempt goes on with it, also where PreemptMode alone would end the job for good."""
    table = 'partition = "scavenger"\nnodelist = "node1"\nexclusive = true'
    checkpoints.sweep(project, 1, saves(heeds="SIGTERM", save=LONG_SAVE), slurm=table)
    kind.ask("scontrol", "update", "partitionname=scavenger", f"preemptmode={mode}")
    try:
        start(project).ok()
        seen(project, "started-0-1--")
        kind.ask("sbatch", "-o", "/dev/null", "-w", "node1", "--exclusive", "--time=1", "--wrap", "sleep 1")
        seen(project, "started-0-2--")
        kind.drained()
    finally:
        kind.ask("scontrol", "update", "partitionname=scavenger", "preemptmode=requeue")
    assert running.states(project) == ["finished"]
    assert came(project, 0) == ["1 - SIGTERM"]
    assert (record(project, 1, 1)["exit_status"], record(project, 1, 2)["resumed"]) == (85, 1)
    assert record(project, 1, 1)["slurm"]["ended_by"] == "preemption"


def test_a_worker_gives_a_trial_that_is_stopped_the_sites_killwait(kind: Cluster, project: Project) -> None:
    """`resweep stop rnn#N` of a worker's trial: Slurm ends nothing, the launcher does, and waits as long."""
    checkpoints.sweep(project, 2, saves(heeds="SIGTERM", save=LONG_SAVE))
    start(project, "--workers", "1").ok()
    seen(project, "started-0-1--")
    assert "1 stopped" in project.resweep("stop", "rnn#1").ok().out
    assert saved(project)
    assert came(project, 0) == ["1 - SIGTERM"]
    seen(project, "started-1-1--")


def test_a_launcher_that_slurm_knows_nothing_of_asks_it(kind: Cluster, project: Project) -> None:
    """By hand, sbatch slurm-allennlp.sh CONF_DIR CONF_PATH: no submission has noted KillWait."""
    checkpoints.sweep(project, 1, saves(heeds="SIGTERM", save=LONG_SAVE))
    (entry,) = project.entries()
    capsule = project.paths().capsule(entry.name)
    script = str(project.root / "slurm-allennlp.sh")
    kind.ask(
        "sbatch", "-D", str(project.root), "-o", "/dev/null", script, str(capsule), str(capsule / f"{entry.id}.toml")
    )
    seen(project, "started-0-1--")
    os.kill(running.record(project, 1)["pid"], signal.SIGTERM)
    kind.drained()
    assert saved(project)
    assert came(project, 0) == ["1 - SIGTERM"]


def test_a_training_that_ignores_term_is_recorded_as_stopped_before_slurm_kills(
    kind: Cluster, project: Project
) -> None:
    """The launcher kills a little earlier than Slurm, which would kill it, too: the record has its end, and why."""
    checkpoints.sweep(project, 1, 'touch "$root/started-0-1--"\n' + ALWAYS)
    start(project).ok()
    seen(project, "started-0-1--")
    time.sleep(1)  # until it ignores TERM
    kind.ask("scancel", task_of(project, 1))
    kind.drained()
    first = running.record(project, 1)
    assert (first["state"], first["signal"], first["slurm"]["ended_by"]) == ("stopped", "SIGKILL", "cancel")
    assert first["ended"]


def test_grace_of_the_sweep_goes_before_the_sites(kind: Cluster, project: Project) -> None:
    """[run] grace = 1 cuts a save short that KillWait would allow; a grace that Slurm cannot give is told of."""
    checkpoints.sweep(project, 1, saves(heeds="SIGTERM", save=LONG_SAVE), settings="[run]\ngrace = 1\n")
    assert "KillWait" not in start(project).ok().err
    seen(project, "started-0-1--")
    kind.ask("scancel", task_of(project, 1))
    kind.drained()
    assert not saved(project)
    assert (running.record(project, 1)["state"], running.record(project, 1)["signal"]) == ("stopped", "SIGKILL")
    checkpoints.sweep(project, 1, saves(), settings="[run]\ngrace = 100\n")
    assert "[run] grace = 100 is longer than this site's KillWait, 20 s" in start(project, "--dry-run").ok().err


@pytest.mark.parametrize("nodes", [1, 2])
def test_ranks_of_srun_may_save_when_their_trial_is_stopped(kind: Cluster, project: Project, nodes: int) -> None:
    """srun answers TERM by killing its ranks; so they get it, once, and not srun."""
    table = f'nodes = {nodes}\nntasks = 2\ncpus-per-task = 1\nmem = "100M"'
    rank = saves(heeds="SIGTERM", save=2.0).removeprefix("exec ")
    checkpoints.sweep(project, 2, f"exec srun {rank}\n", slurm=table)
    start(project, "--workers", "1").ok()
    seen(project, "started-0-1-0", "started-0-1-1")
    assert "1 stopped" in project.resweep("stop", "rnn#1").ok().out
    assert sorted(came(project, 0)) == ["1 0 SIGTERM", "1 1 SIGTERM"]
    output = os.path.join(project.paths().place(project.entries()[0].name).attempt(1), "output")
    with open(os.path.join(output, "checkpoint")) as file:
        assert sorted(file.read().split("\n")) == ["", "1 0", "1 1"]
    seen(project, "started-1-1-0")


def test_ranks_of_srun_get_term_once_when_their_job_is_cancelled(kind: Cluster, project: Project) -> None:
    """Slurm tells them; the launcher, which cannot tell them better, does not, and waits for their save."""
    rank = saves(heeds="SIGTERM", save=LONG_SAVE).removeprefix("exec ")
    checkpoints.sweep(project, 1, f"exec srun {rank}\n", slurm='ntasks = 2\ncpus-per-task = 1\nmem = "100M"')
    start(project).ok()
    seen(project, "started-0-1-0", "started-0-1-1")
    kind.ask("scancel", task_of(project, 1))
    kind.drained()
    assert sorted(came(project, 0)) == ["1 0 SIGTERM", "1 1 SIGTERM"]
    assert saved(project)
    assert running.record(project, 1)["slurm"]["ended_by"] == "cancel"


def test_the_notice_of_a_preemption_gives_a_step_the_partitions_gracetime(kind: Cluster, project: Project) -> None:
    """A launcher that srun started gets TERM when the GraceTime begins: its training has that and KillWait."""
    script = project.root / "slurm-allennlp.sh"
    checkpoints.sweep(
        project, 1, saves(heeds="SIGTERM", save=25.0), slurm='partition = "scavenger"\nnodelist = "node1"'
    )
    script.write_text(script.read_text().replace("\nexec ", "\nexec srun -n1 --overlap "))
    kind.ask("scontrol", "update", "partitionname=scavenger", "gracetime=15")
    try:
        start(project, "--exclusive").ok()
        seen(project, "started-0-1-0")
        kind.ask("sbatch", "-o", "/dev/null", "-w", "node1", "--exclusive", "--time=1", "--wrap", "sleep 1")
        on_slurm.until(lambda: record(project, 1, 1)["state"] != "running")
        first = record(project, 1, 1)
        assert (first["state"], first["exit_status"]) == ("stopped", 85)
        assert len(jobs(project)) == 1
    finally:
        kind.ask("scontrol", "update", "partitionname=scavenger", "gracetime=0")
