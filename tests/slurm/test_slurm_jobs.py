"""The card's form on a real Slurm: one sbatch per trial, through the project's own slurm-allennlp.sh."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from small_project import REPOSITORY, SWEEP, Project

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("slurm"), pytest.mark.timeout(300)]

SLURM = """
[slurm]
partition = "gpu"
gres = "gpu:1"
time = "00:05:00"
comment = "two words, $(and) 'quotes'"
"""


@pytest.fixture
def swept(project: Project) -> Project:
    """The small project with the repository's slurm-allennlp.sh and a [slurm] table."""
    shutil.copy(REPOSITORY / "slurm-allennlp.sh", project.root)
    return project.write({"config/rnn.toml": SWEEP + SLURM})


def wait(project: Project, seconds: float = 120) -> None:
    """Until the queue is empty."""
    end = time.monotonic() + seconds
    while project.shell("squeue --noheader --states=pending,running,completing").ok().out.strip():
        assert time.monotonic() < end, project.shell("squeue; tail -n 5 slurm-*.out").out
        time.sleep(0.3)


def test_every_trial_runs_as_a_job_with_the_options_of_the_sweep(swept: Project) -> None:
    """Each trial is submitted with [slurm]'s options, trains from its capsule and records Slurm's ids."""
    swept.generate("--slurm-job").ok()
    submitted = swept.shell("bash rnn-jobs.sh").ok()
    assert submitted.out.count("Submitted batch job") == 4
    assert swept.shell("squeue --noheader --format='%P|%b|%k' | sort -u").out.strip() in (
        "",
        "gpu|gres:gpu:1|two words, $(and) 'quotes'",
    )
    wait(swept)
    for entry in swept.entries():
        record = swept.record(entry)
        assert record["state"] == "finished"
        assert record["slurm"]["SLURM_JOB_ID"].isdigit()
        assert record["slurm"]["SLURM_JOB_PARTITION"] == "gpu"
        assert Path(swept.paths().place(entry.name).output, "metrics.json").is_file()


def test_a_script_that_decides_when_it_is_started_takes_slurm_and_says_so(swept: Project) -> None:
    """With sbatch on PATH the undecided script submits; --here keeps the trials on this machine."""
    swept.generate().ok()
    assert "finished" in swept.shell("bash rnn-jobs.sh --here").ok().out
    assert not list(swept.root.glob("slurm-*.out"))
    again = swept.shell("bash rnn-jobs.sh").ok()
    assert "submits 4 trials to Slurm" in again.out
    wait(swept)
    for entry in swept.entries():
        assert swept.paths().place(entry.name).last() == 1, "a finished trial was run again"


def test_a_trial_that_fails_on_slurm_keeps_its_log_and_does_not_stop_the_others(swept: Project) -> None:
    """One failing job leaves its record and log; the others finish."""
    sweep = '[hyper]\n"params.fail" = [false, true]\n[params]\nlr = 0.5\n' + SLURM
    swept.write({"config/rnn.toml": sweep}).generate("--slurm-job").ok()
    swept.shell("bash rnn-jobs.sh").ok()
    wait(swept)
    states = {entry.swept["params.fail"]: swept.record(entry)["state"] for entry in swept.entries()}
    assert states == {False: "finished", True: "failed"}
    failed = next(entry for entry in swept.entries() if entry.swept["params.fail"])
    log = Path(swept.paths().place(failed.name).attempt(1), "log.txt").read_text()
    assert "this trial fails" in log


def test_a_refused_submission_is_told_and_the_script_fails(swept: Project) -> None:
    """What sbatch refuses (a partition that does not exist) ends with the names of the trials and status 1."""
    swept.write({"config/rnn.toml": SWEEP + '[slurm]\npartition = "nowhere"\n'}).generate("--slurm-job").ok()
    done = swept.shell("bash rnn-jobs.sh")
    assert done.status == 1
    assert "4 trials were not submitted" in done.err
    assert "invalid partition" in done.err
