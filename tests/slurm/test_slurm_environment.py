"""What a person's environment does to a submission: it holds, it is shown, and it reaches what it is meant for.

Code: slurm/sbatch, slurm/script, slurm/commands
"""

from __future__ import annotations

from pathlib import Path

import on_slurm
import pytest
import running
from faulty import path_with
from on_slurm import Cluster, jobs, start, sweep
from small_project import Project

pytestmark = pytest.mark.timeout(300)

STEPS = {"SLURM_CPU_BIND": "none", "SLURM_MPI_TYPE": "pmi2", "SLURM_EXACT": "1", "SLURM_HINT": "nomultithread"}
TELL = 'env | grep -E "^SLURM_(CPU_BIND|MPI_TYPE|EXACT|HINT)=" | sort > "$root/steps"\n' + on_slurm.FAST


def told(project: Project) -> dict[str, str]:
    """The variables for steps that the training saw."""
    return dict(line.split("=", 1) for line in running.lines(project, "steps"))


def test_what_sbatch_takes_from_the_environment_is_shown_and_holds(slurm: Cluster, project: Project) -> None:
    """SBATCH_ variables go before the script's lines and after [slurm]; the line says what the job has."""
    sweep(project, 1, slurm='partition = "gpu"')
    variables = {"SBATCH_PARTITION": "short", "SBATCH_TIMELIMIT": "3", "SBATCH_RESERVATION": "", "SBATCH_REQUEUE": ""}
    said = start(project, "--hold", SBATCH_ARRAY_INX="1-9", **variables).ok().out
    assert "partition=gpu" in said
    assert " time=3" in said
    assert "short" not in said
    assert len(slurm.queue()) == 1, "SBATCH_ARRAY_INX made an array of it"
    shown = slurm.ask("scontrol", "-o", "show", "job", jobs(project)[0].id)
    assert "Partition=gpu" in shown
    assert "TimeLimit=00:03:00" in shown
    project.resweep("stop", "rnn").ok()
    sweep(project, 2)
    assert "partition=short" in start(project, "--hold", SBATCH_PARTITION="short").ok().out
    assert "Partition=short" in slurm.ask("scontrol", "-o", "show", "job", jobs(project)[-1].id)


def test_a_time_in_the_environment_that_never_starts_is_warned_of(slurm: Cluster, project: Project) -> None:
    """What is said to wait for ever looks at the same options as sbatch."""
    sweep(project, 1, slurm='partition = "short"')
    assert "it would never start" in start(project, "--dry-run", SBATCH_TIMELIMIT="10").err
    assert "it would never start" not in start(project, "--dry-run").err


def test_an_array_in_the_environment_makes_no_array_of_a_job_of_its_own(slurm: Cluster, project: Project) -> None:
    """Nor does it multiply the canary, or one job per trial."""
    sweep(project, 2, slurm="hold = true")
    start(project, "--one-job-per-trial", SBATCH_ARRAY_INX="1-5").ok()
    assert len(slurm.queue()) == 2


def test_variables_for_steps_reach_the_training_from_a_shell_and_not_from_another_job(
    slurm: Cluster, project: Project
) -> None:
    """Outside of a job they are a person's; inside of one nobody can tell them from those of that job."""
    sweep(project, 1, TELL)
    start(project, **STEPS).ok()
    slurm.drained()
    assert told(project) == STEPS
    project.write({"steps": ""})
    sweep(project, 2, TELL)
    start(project, SLURM_JOB_ID="1", **STEPS).ok()
    slurm.drained()
    assert running.states(project) == ["finished", "finished"]
    assert told(project) == {}


def test_the_token_of_slurm_reaches_every_one_of_its_commands(
    slurm: Cluster, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SLURM_JWT is how a person on such a site is known; SQUEUE_FORMAT still does not change what is read."""
    text = 'echo "${0##*/} $SLURM_JWT" >> "$TOKENS"; unset SLURM_JWT; exec REAL "$@"'
    wrappers = dict.fromkeys(("sbatch", "squeue", "scancel", "scontrol"), text)
    monkeypatch.setenv("PATH", path_with(tmp_path / "bin", **wrappers))
    monkeypatch.setenv("TOKENS", str(tmp_path / "tokens"))
    sweep(project, 1, slurm="hold = true")
    monkeypatch.setenv("SLURM_JWT", "a-token")
    monkeypatch.setenv("SQUEUE_FORMAT", "%i")
    start(project).ok()
    project.resweep("stop", "rnn").ok()
    monkeypatch.delenv("SLURM_JWT")
    monkeypatch.delenv("SQUEUE_FORMAT")
    assert set((tmp_path / "tokens").read_text().splitlines()) == {f"{name} a-token" for name in wrappers}


@pytest.mark.parametrize("option", ["--array=1-3", "-a1-3", "--wait", "-W", "--test-only", "--clusters=west", "-Mwest"])
def test_what_would_make_the_submission_another_one_is_refused(slurm: Cluster, project: Project, option: str) -> None:
    """As in [slurm]: one line that says what to do, and nothing is submitted."""
    sweep(project, 1)
    refused = start(project, option)
    assert refused.status == 2
    assert len(refused.err.strip().splitlines()) == 1
    assert "cannot be given to sbatch here" in refused.err
    assert slurm.queue() == []
    assert not project.paths().submissions.exists()


def test_the_cluster_of_sbatch_is_the_one_that_all_commands_ask(accounting: Cluster, project: Project) -> None:
    """SBATCH_CLUSTERS and SLURM_CLUSTERS name it; sbatch then answers ID;CLUSTER, and the job is found and ended."""
    sweep(project, 2, slurm="hold = true")
    for number, name in enumerate(("SBATCH_CLUSTERS", "SLURM_CLUSTERS"), 1):
        start(project, **{name: "test"}).ok()
        assert jobs(project)[-1].id.isdigit()
        assert len(jobs(project)) == number
        assert f"2 queued in job {jobs(project)[-1].id}" in on_slurm.status(project)
        project.shell("resweep stop rnn", **{name: "test"}).ok()
        assert accounting.queue() == []
