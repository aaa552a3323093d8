"""What status and logs say of trials on a real Slurm: in few lines, with Slurm's own words, and the same tomorrow.

Code: slurm/, cli/, run/status
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import on_slurm
import pytest
import running
from on_slurm import Cluster, go, jobs, start, started, status, sweep
from small_project import Project

from resweep.launcher import processes

pytestmark = pytest.mark.timeout(300)

# as Slurm writes it into the output of a job that it kills for its memory
TEXT = "slurmstepd: error: Exceeded job memory limit"


def lines(project: Project, state: str) -> list[str]:
    """The lines of status that begin with a word."""
    return [line.strip() for line in status(project).splitlines() if line.startswith(f"  {state} ")]


def kill(project: Project, number: int, text: str) -> None:
    """Kill training, launcher and task of a trial, after Slurm's text was written to what its job prints."""
    now = running.record(project, number)
    task = int(processes.stat(now["pid"])[1])
    with open(f"/proc/{task}/fd/2", "a") as printed:
        printed.write(text + "\n")
    for send, target in ((os.kill, task), (os.kill, now["pid"]), (os.killpg, now["group"])):
        send(target, signal.SIGKILL)


# --- in few lines ---------------------------------------------------------------------------------------------------


def test_trials_that_were_stopped_alike_are_one_line_and_those_never_started_are_queued(
    slurm: Cluster, project: Project
) -> None:
    """Four ran and were cancelled, eight had not begun: they wait to be submitted, at once and for good."""
    sweep(project, 12, on_slurm.LONG, slurm='parallel = 4\nmem = "50M"')
    start(project).ok()
    started(project, 0, 1, 2, 3)
    project.resweep("stop", "rnn").ok()
    said = status(project)
    assert "12 trials: 4 stopped, 8 queued" in said
    (stopped,) = lines(project, "stopped")
    assert stopped.startswith("stopped  4 trials on node")
    assert stopped.endswith(": its job was cancelled (CANCELLED)")
    assert "8 queued, and not submitted; 8 jobs were cancelled before they started" in said
    assert project.resweep("status", "rnn", "--json").ok()


def test_a_failed_canary_is_said_before_what_it_kept_from_starting(slurm: Cluster, project: Project) -> None:
    """Its cause stands in one line with the number of the trials that were to follow; no line for each of those."""
    sweep(project, 10, "echo no such corpus; exit 3\n")
    start(project, "--canary").ok()
    slurm.drained()
    said = status(project)
    assert "10 trials: 1 failed, 9 queued" in said
    assert "slurm    the canary #1 failed, so 9 other trials were not started: no such corpus" in said
    assert not lines(project, "stopped")


def test_a_suspended_trial_is_not_said_to_run(slurm: Cluster, project: Project) -> None:
    """scontrol suspend takes the processor away: the first line counts it, and its own line says so."""
    sweep(project, 2, on_slurm.WAIT)
    start(project).ok()
    started(project, 0, 1)
    task = f"{jobs(project)[0].id}_1"
    slurm.ask("scontrol", "suspend", task)
    said = status(project)
    slurm.ask("scontrol", "resume", task)
    assert "2 running (1 of them suspended)" in said
    assert f"job {task}, suspended" in said
    assert "suspended" not in status(project)
    go(project)


def test_a_held_trial_is_said_with_the_command_that_releases_it(slurm: Cluster, project: Project) -> None:
    """A requeue that is held waits for ever: the command names the very tasks, and lets them run when it is typed."""
    sweep(project, 3, on_slurm.WAIT, slurm='mem = "50M"')
    start(project).ok()
    started(project, 0, 1, 2)
    job = jobs(project)[0].id
    slurm.ask("scontrol", "requeuehold", f"{job}_1")
    slurm.ask("scontrol", "requeuehold", f"{job}_2")
    command = f"scontrol release {job}_1 {job}_2"
    on_slurm.until(lambda: f"`{command}`" in status(project), told=lambda: status(project))
    go(project)
    slurm.ask(*command.split())
    slurm.drained()
    assert running.states(project) == ["finished"] * 3


def test_the_rate_is_of_trials_that_run_and_not_of_waves_that_end_together(slurm: Cluster, project: Project) -> None:
    """Four that began together end together: two more of two seconds each are no thousand an hour."""
    train = 'touch "$root/started-$n"; [ "$n" -lt 4 ] && sleep 4 || until [ -e "$root/go" ]; do sleep 0.1; done\n'
    sweep(project, 8, train + on_slurm.FAST, slurm='parallel = 4\nmem = "50M"')
    start(project).ok()
    started(project, 4, 5, 6, 7)
    on_slurm.until(lambda: running.states(project)[:4] == ["finished"] * 4)
    first = status(project).splitlines()[0]
    rate = int(first.partition("; ")[2].partition(" an hour")[0])
    seconds = [project.record(entry)["seconds"] for entry in project.entries()[:4]]
    assert rate == round(4 / (sum(seconds) / 4) * 3600)
    go(project)


# --- why something ended --------------------------------------------------------------------------------------------


def test_slurms_own_text_is_shown_where_the_launcher_was_killed_too(slurm: Cluster, project: Project) -> None:
    """Nobody could record why the trial ended; status and logs have what Slurm wrote into the job's output."""
    sweep(project, 1, 'echo "step 7"\n' + on_slurm.LONG)
    start(project).ok()
    started(project, 0)
    kill(project, 1, TEXT)
    slurm.drained()
    (lost,) = lines(project, "lost")
    assert "Exceeded job memory limit" in lost
    printed = project.shell("resweep logs 'rnn#1'").ok()
    assert "step 7" in printed.out
    assert TEXT in printed.out
    assert ".slurm/" in printed.err


@pytest.mark.parametrize("pattern", ["out/%x-%A_%a.log", "out/%j.log"])
def test_the_output_that_a_person_names_is_followed(slurm: Cluster, project: Project, pattern: str) -> None:
    """[slurm] output may lead anywhere: what the job said there is found, before an attempt began and after."""
    (project.root / "out").mkdir()
    broken = '[ "$n" = 0 ] || exit 0\n' + on_slurm.LONG
    setup = """setup = ['[ "$SLURM_ARRAY_TASK_ID" != 2 ] || { echo no module cuda; false; }']"""
    sweep(project, 2, broken, slurm=f'output = "{pattern}"\n{setup}')
    start(project).ok()
    started(project, 0)
    kill(project, 1, TEXT)
    slurm.drained()
    (lost,) = lines(project, "lost")
    assert "Exceeded job memory limit" in lost
    assert "no module cuda" in project.shell("resweep logs 'rnn#2'").ok().out
    (failed,) = lines(project, "failed")
    assert "its job ended before its training started (FAILED)" in failed
    assert "[slurm] setup" in failed


def test_an_error_file_of_a_persons_own_is_followed(slurm: Cluster, project: Project) -> None:
    """With --error alone, Slurm writes its text there and nowhere else."""
    sweep(project, 1, on_slurm.LONG, slurm='error = "wrong-%A.txt"')
    start(project).ok()
    started(project, 0)
    kill(project, 1, TEXT)
    slurm.drained()
    assert "Exceeded job memory limit" in lines(project, "lost")[0]


def test_a_task_of_slurms_names_its_trial(slurm: Cluster, project: Project) -> None:
    """logs 841_2 prints the log of the trial that this task runs, and so do the other commands know it."""
    sweep(project, 3, 'echo "this is $n"\n' + on_slurm.FAST)
    start(project).ok()
    slurm.drained()
    job = jobs(project)[0].id
    assert "this is 1" in project.shell(f"resweep logs {job}_2").ok().out
    assert "rnn: 1 trial: 1 finished" in project.resweep("status", f"{job}_3").ok().out
    refused = project.resweep("logs", f"{job}_9")
    assert refused.status != 0
    assert refused.err.count("\n") == 1
    assert f"{job}_9" in refused.err


def test_a_workers_task_names_the_trial_that_it_ran_last(slurm: Cluster, project: Project) -> None:
    """A worker runs one trial after another; its number in squeue leads to the one that one asks about."""
    sweep(project, 2, 'echo "this is $n"\n' + on_slurm.FAST)
    start(project, "--workers", "1").ok()
    slurm.drained()
    assert "this is 1" in project.shell(f"resweep logs {jobs(project)[0].id}_1").ok().out


def test_a_preempted_trials_record_names_preemption(slurm: Cluster, project: Project) -> None:
    """Slurm requeues what it preempts: that it was no plain requeue stands in what it wrote to the job's output."""
    sweep(project, 1, on_slurm.LONG, slurm='partition = "scavenger"\ncpus-per-task = 8')
    start(project).ok()
    started(project, 0)
    slurm.ask("sbatch", "--parsable", "-o", "/dev/null", "-N4", "--exclusive", "--time=1", "--wrap", "sleep 3")
    on_slurm.until(lambda: running.states(project) != ["running"], told=slurm.queue)
    assert on_slurm.record(project, 1, 1)["slurm"]["ended_by"] == "preemption"


# --- the same tomorrow ----------------------------------------------------------------------------------------------


def test_a_job_that_ended_before_its_training_has_failed_for_good(slurm: Cluster, project: Project) -> None:
    """Also when Slurm has forgotten it: the file with what the job said is still there."""
    sweep(project, 2, slurm="setup = ['module() { false; }', 'module load cuda/99']")
    start(project).ok()
    slurm.drained()
    before = lines(project, "failed")
    assert "module load cuda/99" in before[0]
    noted = project.paths().submissions / "1" / "jobs.jsonl"
    # an id that no controller has heard of, as all are after a while
    job, gone = jobs(project)[0].id, "4000000"
    noted.write_text(noted.read_text().replace(f'"id": "{job}"', f'"id": "{gone}"'))
    for path in project.paths().slurm_output.glob(f"{job}_*"):
        path.rename(path.with_name(path.name.replace(job, gone)))
    after = lines(project, "failed")
    assert [line.replace(" (FAILED)", "") for line in before] == after
    assert json.loads(project.resweep("status", "rnn", "--json").ok().out)["counts"]["failed"] == 2


def test_a_failed_worker_is_said_with_its_cause_and_not_with_its_last_trial(slurm: Cluster, project: Project) -> None:
    """A worker that was killed: that its last trial finished in so many seconds is not why it has failed."""
    text = '[hyper]\n"params.lr" = { uniform = [0.0, 1.0] }\n[params]\nlr = 0.5\n'
    text += '[results]\nmetric = "best_validation_accuracy"\nmode = "max"\n[search]\nmethod = "tpe"\nn = 3\n'
    train = running.FIND + 'echo "$trial" >> "$root/begun"\n'
    train += 'if [ "$(wc -l < "$root/begun")" -gt 1 ]; then touch "$root/second"; sleep 1000 & wait $!; fi\n'
    project.write({"config/rnn.toml": text, "train.sh": train + on_slurm.SCORE})
    project.write({"slurm-allennlp.sh": Path(on_slurm.REPOSITORY, "slurm-allennlp.sh").read_text()})
    project.generate("--slurm-job").ok()
    start(project, "--workers", "1").ok()
    on_slurm.until((project.root / "second").exists)
    number = next(n for n, state in enumerate(running.states(project), 1) if state == "running")
    kill(project, number, "")
    slurm.drained()
    said = status(project)
    (line,) = [line for line in said.splitlines() if " failed: " in line and "worker" in line]
    assert "finished in" not in line
    assert "its job failed (FAILED)" in line
    assert "1 begun by workers that have ended" in said
    assert "under way" not in said
