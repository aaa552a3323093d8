"""When sbatch's answer is not certain: nothing is lost, nothing is submitted twice, and `stop` ends it all.

Code: slurm/sbatch, slurm/recover, slurm/submit, slurm/ledger, cli/submit
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import on_slurm
import pytest
import running
from faulty import path_with
from on_slurm import Cluster, go, jobs, runs, start, started, status, sweep
from running import Runners
from small_project import REPOSITORY, Project

from resweep.slurm import recover

pytestmark = pytest.mark.timeout(400)

TIMED_OUT = 'echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1'


@pytest.fixture
def runners(project: Project) -> Iterator[Runners]:
    """Commands that do not outlive the test."""
    found = Runners(project)
    yield found
    found.end()


def numbers(project: Project) -> list[str]:
    """The submissions whose directories are there."""
    return sorted(path.name for path in project.paths().submissions.glob("[0-9]*"))


def once(slurm: Cluster, project: Project, count: int) -> None:
    """Each trial runs once, and the queue is empty."""
    go(project)
    slurm.drained()
    assert runs(project) == list(range(count))
    assert running.attempts(project) == [1] * count


@pytest.mark.parametrize(
    "wrapper",
    [
        pytest.param('echo "WARNING: maintenance on Monday"; exec REAL "$@"', id="prints a line first"),
        pytest.param('REAL "$@"; echo "Thank you for 42 jobs"', id="prints a line after"),
        pytest.param('echo "Submitted batch job $(REAL "$@")"', id="prints no id alone"),
        pytest.param('REAL "$@" > /dev/null', id="prints nothing"),
        pytest.param('REAL "$@"; exit 3', id="fails after its answer"),
        pytest.param('REAL "$@" > /dev/null; exit 1', id="submits and fails"),
        pytest.param(
            'REAL "$@" > /dev/null; echo "quota: no such file" >&2; exit 1', id="submits, fails and complains"
        ),
        pytest.param(f'REAL "$@" > /dev/null; {TIMED_OUT}', id="submits and times out"),
        pytest.param('REAL "$@" > /dev/null; kill -9 $$', id="submits and is killed"),
        pytest.param('REAL "$@"; sleep 1000 & exit 0', id="leaves a child that holds its pipe"),
    ],
)
def test_a_job_is_noted_whatever_sbatch_says_of_it(
    slurm: Cluster, project: Project, tmp_path: Path, wrapper: str
) -> None:
    """One array, known by its number; started again the script submits nothing, and each trial runs once."""
    path = path_with(tmp_path / "bin", sbatch=wrapper)
    sweep(project, 3, on_slurm.WAIT)
    assert "an array of 3" in start(project, PATH=path).ok().out
    (job,) = jobs(project)
    assert job.id.isdigit()
    assert {line.split("_")[0] for line in slurm.queue()} == {job.id}
    assert "nothing to submit" in start(project, PATH=path).ok().out
    once(slurm, project, 3)


def test_one_job_per_trial_whose_answers_get_lost_are_all_noted(
    slurm: Cluster, project: Project, tmp_path: Path
) -> None:
    """Every second sbatch submits and times out: each job is noted with the trial that it runs."""
    wrapper = 'n=$(cat "$COUNT" 2>/dev/null); echo $((n + 1)) > "$COUNT"; [ $((n % 2)) = 0 ] && exec REAL "$@"; '
    path = path_with(tmp_path / "bin", sbatch=wrapper + f'REAL "$@" > /dev/null; {TIMED_OUT}')
    sweep(project, 4, on_slurm.WAIT)
    assert "submitted 4 jobs" in start(project, "--one-job-per-trial", PATH=path, COUNT=str(tmp_path / "n")).ok().out
    assert [job.first for job in jobs(project)] == [1, 2, 3, 4]
    assert len({job.id for job in jobs(project)}) == 4
    assert "nothing to submit" in start(project).ok().out
    once(slurm, project, 4)


def test_a_canary_whose_answer_gets_lost_still_holds_back_the_others(
    slurm: Cluster, project: Project, tmp_path: Path
) -> None:
    """The array's dependency names the job that was found in the queue."""
    path = path_with(
        tmp_path / "bin", sbatch=f'case "$*" in *canary*) REAL "$@" > /dev/null; {TIMED_OUT};; esac; exec REAL "$@"'
    )
    sweep(project, 3, on_slurm.WAIT)
    start(project, "--canary", PATH=path).ok()
    canary, others = jobs(project)
    assert f"afterok:{canary.id}" in slurm.ask("scontrol", "-o", "show", "job", others.id)
    once(slurm, project, 3)


def awaits(path: str) -> str:
    """A line of bash that waits until a file is there, and not for ever: a test that fails leaves no process."""
    return f'for wait in {{1..1000}}; do [ ! -e "{path}" ] || break; sleep 0.2; done'


# --- a job that comes late, or never ---------------------------------------------------------------------------------


LATE = f'({awaits("$COME")}; exec REAL "$@") > /dev/null 2>&1 < /dev/null & {TIMED_OUT}'


def later(project: Project) -> None:
    """Let the first submission be so old that nothing of it can come any more."""
    folder = project.paths().submissions / "1"
    then = (datetime.now(UTC) - timedelta(seconds=recover.LATEST + 5)).isoformat()
    noted = json.loads((folder / "submission.json").read_text()) | {"created": then}
    (folder / "submission.json").chmod(0o644)
    (folder / "submission.json").write_text(json.dumps(noted))
    lines = [json.loads(line) | {"time": then} for line in (folder / "jobs.jsonl").read_text().splitlines()]
    (folder / "jobs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_job_that_comes_after_sbatch_has_given_up_is_waited_for_shown_and_stopped(
    slurm: Cluster, project: Project, tmp_path: Path
) -> None:
    """Until it is there, status and stop say that it may come, and submit leaves its trials; then all know it."""
    path = path_with(tmp_path / "bin", sbatch=LATE)
    come = tmp_path / "come"
    sweep(project, 3, slurm="hold = true")
    lost = start(project, PATH=path, COME=str(come))
    assert lost.status == 1
    assert "Socket timed out" in lost.err
    assert "nothing is lost" in lost.err
    assert numbers(project) == ["1"]
    assert "submission 1: Slurm may take it until" in status(project)
    assert "nothing to submit: 3 may have been submitted just now" in start(project).ok().out
    stopped = project.resweep("stop", "rnn")
    assert stopped.status == 1
    assert "not stopped: submission 1: Slurm may take it until" in stopped.err
    come.touch()
    on_slurm.until(lambda: len(slurm.queue()) == 3)
    assert "3 queued in job" in status(project)
    assert "may take it" not in status(project)
    assert not jobs(project), "status writes nothing"
    again = start(project).ok()
    assert "of submission 1 was not noted; found in the queue" in again.out
    assert "nothing to submit: 3 wait in Slurm" in again.out
    project.resweep("stop", "rnn").ok()
    assert slurm.queue() == []


def test_a_job_that_comes_late_is_stopped_before_anybody_has_noted_it(
    slurm: Cluster, project: Project, tmp_path: Path
) -> None:
    """`stop` finds it in the queue by itself, for the whole sweep and for one trial."""
    path = path_with(tmp_path / "bin", sbatch=LATE)
    sweep(project, 3, slurm="hold = true")
    start(project, PATH=path, COME=str(tmp_path / "come"))
    (tmp_path / "come").touch()
    on_slurm.until(lambda: len(slurm.queue()) == 3)
    assert "1 task of Slurm's cancelled" in project.resweep("stop", "rnn#2").ok().out
    assert len(slurm.queue()) == 2
    assert "2 tasks of Slurm's cancelled" in project.resweep("stop", "rnn").ok().out
    assert slurm.queue() == []


def test_what_never_came_is_submitted_again_under_another_number(
    slurm: Cluster, project: Project, tmp_path: Path
) -> None:
    """After a while nothing can come any more: the trials are free, and the directory of the first time stays."""
    path = path_with(tmp_path / "bin", sbatch=TIMED_OUT)
    sweep(project, 3)
    assert start(project, PATH=path).status == 1
    later(project)
    assert "an array of 3" in start(project).ok().out
    assert numbers(project) == ["1", "2"]
    once(slurm, project, 3)


def test_workers_of_a_list_that_may_come_late_are_not_started_twice(
    slurm: Cluster, project: Project, tmp_path: Path
) -> None:
    """Nor are their trials submitted as an array meanwhile."""
    path = path_with(tmp_path / "bin", sbatch=TIMED_OUT)
    sweep(project, 3)
    assert start(project, "--workers", "2", PATH=path).status == 1
    for options in ((), ("--workers", "2")):
        assert "nothing to submit: 3 may have been submitted just now" in start(project, *options).ok().out
    assert slurm.queue() == []


def test_what_sbatch_refuses_leaves_no_directory_and_its_number_is_not_used_again(
    slurm: Cluster, project: Project
) -> None:
    """A refusal is certain, so nothing can run its list; the next submission has the next number all the same."""
    sweep(project, 2)
    for option in ("--partition=nowhere", "--gres=gpu:99", "--no-such-option"):
        assert start(project, option).status != 0
        assert numbers(project) == []
    start(project).ok()
    assert numbers(project) == ["4"]
    slurm.drained()
    assert running.states(project) == ["finished"] * 2


# --- who waits, and who is interrupted -------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["environment", "script"])
def test_sbatch_is_not_let_wait_for_the_end_of_the_job(slurm: Cluster, project: Project, where: str) -> None:
    """SBATCH_WAIT=1, and #SBATCH --wait in the site's script, whose other options on that line hold."""
    if where == "script":
        script = (REPOSITORY / "slurm-allennlp.sh").read_text()
        project.write({"slurm-allennlp.sh": script.replace("\n", "\n#SBATCH --wait --time=00:04:00\n", 1)})
    sweep(project, 2, on_slurm.WAIT)
    start(project, **({"SBATCH_WAIT": "1"} if where == "environment" else {})).ok()
    started(project, 0, 1)
    (job,) = jobs(project)
    if where == "script":
        assert "TimeLimit=00:04:00" in slurm.ask("scontrol", "-o", "show", "job", job.id)
    assert "nothing to submit" in start(project).ok().out
    once(slurm, project, 2)


SLOW = f'REAL "$@" > "$AT/answer"; touch "$AT/taken"; {awaits("$AT/go")}; cat "$AT/answer"'


def interrupted(runners: Runners, tmp_path: Path, number: int, *options: str) -> subprocess.Popen[str]:
    """A submission that got a signal, as from the terminal, when Slurm had the job and sbatch had not answered yet."""
    path = path_with(tmp_path / "bin", sbatch=SLOW)
    process = runners.start("submit", "rnn", *options, PATH=path, AT=str(tmp_path))
    on_slurm.until((tmp_path / "taken").exists)
    os.killpg(process.pid, number)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_sbatch_answers_loses_no_job(
    slurm: Cluster, project: Project, runners: Runners, tmp_path: Path, number: int
) -> None:
    """Ctrl-C waits for the answer that is under way: the job is noted, and what comes after it is not submitted."""
    sweep(project, 3, on_slurm.WAIT)
    process = interrupted(runners, tmp_path, number, "--one-job-per-trial")
    (tmp_path / "go").touch()
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 130, said
    assert "interrupted: 1 task submitted and noted, 2 not" in said
    assert len(jobs(project)) == len(slurm.queue()) == 1
    assert "2 trials to submit; 1 run" in start(project).ok().out.replace("1 wait in Slurm", "1 run")
    once(slurm, project, 3)


def test_ctrl_c_while_sbatch_never_answers_finds_the_job_in_the_queue(
    slurm: Cluster, project: Project, runners: Runners, tmp_path: Path
) -> None:
    """sbatch is ended after a while, with all that it has started; its job is there, and is noted."""
    sweep(project, 2, on_slurm.WAIT)
    process = interrupted(runners, tmp_path, signal.SIGINT)
    said = process.communicate(timeout=90)[0]
    assert "submitted job" in said
    assert len(jobs(project)) == 1
    assert "nothing to submit" in start(project).ok().out
    once(slurm, project, 2)


def test_a_submission_that_was_killed_is_known_to_status_and_stop_before_the_next_one(
    slurm: Cluster, project: Project, runners: Runners, tmp_path: Path
) -> None:
    """KILL while sbatch answers: no line tells of the job, which all three commands find in the queue."""
    sweep(project, 3, slurm="hold = true")
    interrupted(runners, tmp_path, signal.SIGKILL).wait(timeout=60)
    (tmp_path / "go").touch()
    on_slurm.until(lambda: len(slurm.queue()) == 3)
    assert not jobs(project)
    assert "3 queued in job" in status(project)
    assert "3 tasks of Slurm's cancelled" in project.resweep("stop", "rnn").ok().out
    assert slurm.queue() == []


def test_stop_says_that_a_submission_is_under_way(
    slurm: Cluster, project: Project, runners: Runners, tmp_path: Path
) -> None:
    """What it has submitted so far is cancelled, but more may come: that is not "all stopped"."""
    sweep(project, 3, slurm="hold = true")
    path = path_with(tmp_path / "bin", sbatch=SLOW)
    process = runners.start("submit", "rnn", PATH=path, AT=str(tmp_path))
    on_slurm.until((tmp_path / "taken").exists)
    stopped = project.resweep("stop", "rnn")
    assert stopped.status == 1
    assert "somebody submits trials of it just now" in stopped.err
    (tmp_path / "go").touch()
    process.communicate(timeout=60)
    project.resweep("stop", "rnn").ok()
    assert slurm.queue() == []


# --- what the queue is asked -----------------------------------------------------------------------------------------


def test_scattered_tasks_that_wait_are_all_known(slurm: Cluster, project: Project) -> None:
    """squeue cuts the list of an array's tasks after 64 characters unless it is told not to."""
    sweep(project, 120, slurm="hold = true")
    start(project).ok()
    (job,) = jobs(project)
    gone = sorted(random.Random(1).sample(range(1, 121), 60))
    slurm.ask("scancel", *[f"{job.id}_{number}" for number in gone])
    assert "60 queued in job" in status(project)
    assert "60 trials to submit; 60 wait in Slurm" in start(project).ok().out
    assert len(slurm.queue()) == 120
    project.resweep("stop", f"rnn#{max(set(range(1, 121)) - set(gone))}").ok()
    assert len(slurm.queue()) == 119


def test_stopping_a_sweep_cancels_tasks_of_trials_that_have_finished_elsewhere(
    slurm: Cluster, project: Project
) -> None:
    """The array waits for trials that ran here meanwhile: it is the sweep's, and does not stay in the queue."""
    sweep(project, 2, slurm="hold = true")
    start(project).ok()
    project.shell("bash rnn-jobs.sh --here").ok()
    assert running.states(project) == ["finished", "finished"]
    assert "2 tasks of Slurm's cancelled" in project.resweep("stop", "rnn").ok().out
    assert slurm.queue() == []


def test_a_job_that_a_wrapper_has_submitted_twice_is_stopped_twice(
    slurm: Cluster, project: Project, tmp_path: Path
) -> None:
    """A wrapper that tries again after a time-out leaves a job that no line tells of: `stop` finds it."""
    path = path_with(tmp_path / "bin", sbatch='REAL "$@" > /dev/null; exec REAL "$@"')
    sweep(project, 2, slurm="hold = true")
    start(project, PATH=path).ok()
    assert len(slurm.queue()) == 4
    project.resweep("stop", "rnn").ok()
    assert slurm.queue() == []
