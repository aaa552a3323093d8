"""What happens to jobs on a cluster: cancelled, requeued, preempted, nodes that fail. Records say what was.

Code: launcher/slurm_task, launcher/attempt, slurm/states
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import on_slurm
import pytest
import running
from on_slurm import Cluster, go, jobs, record, runs, start, started, status, sweep
from small_project import Project

from resweep.launcher import claims, places, processes, storage, trial_state
from resweep.launcher.places import Place

pytestmark = [pytest.mark.timeout(600)]

# counts its steps in a file of its output, and waits after each until the test says so
STEPS = (
    'mkdir -p "$out"; echo step >> "$out/steps"; touch "$root/started-$n-$RESWEEP_ATTEMPT"\n'
    # Slurm ends one process after the other: where the sleep goes first, this must not go on
    'if [ "$RESWEEP_ATTEMPT" = 1 ]; then sleep 1000 & wait $! || exit; fi\n'
    'cp "$out/steps" "$root/steps-$n"\n' + on_slurm.FAST
)
RESUME = '[run]\non_retry = "resume"\n'

LISTENS = """\
import os, pathlib, signal, sys, time
out, root, n, status = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
out.mkdir(exist_ok=True)
def save(number, frame):
    with open(out / "checkpoint", "a") as file:
        file.write(os.environ["RESWEEP_ATTEMPT"] + "\\n")
    sys.exit(status)
signal.signal(signal.SIGUSR1, save)
(root / f"started-{n}-{os.environ['RESWEEP_ATTEMPT']}").touch()
if (out / "checkpoint").exists() and (root / "enough").exists():
    (root / f"checkpoint-{n}").write_text((out / "checkpoint").read_text())
    (out / "metrics.json").write_text('{"best_validation_accuracy": 0.5}')
    sys.exit(0)
time.sleep(1000)
"""


def listens(exit_status: int) -> str:
    """A train.sh whose Python heeds USR1: it writes a checkpoint and ends with `exit_status`."""
    return f'cd "$1"; python qb/listens.py "$out" "$1/../../../../.." "$n" {exit_status}\n'


def task_of(project: Project, number: int) -> str:
    """Slurm's name of the task of the trial rnn#NUMBER in the last array."""
    return f"{jobs(project)[-1].id}_{number}"


def seen(project: Project, name: str) -> None:
    """Wait until a training has made the file `name`."""
    on_slurm.until((project.root / name).exists, told=lambda: status(project))


# --- nodes that fail -----------------------------------------------------------------------------------------------


def hit(project: Project) -> list[int]:
    """The trials whose first attempt ran on a node that was killed."""
    nodes = (project.root / "dead").read_text().split()
    return [n for n in range(1, 9) if record(project, n, 1)["slurm"]["SLURM_NODELIST"] in nodes]


def test_trials_of_a_node_that_died_run_again_and_none_is_lost_or_finished_twice(
    killed: tuple[Project, Project], frail: Cluster
) -> None:
    """Slurm requeues the tasks of a killed node; every trial finishes, once."""
    project = killed[0]
    frail.drained()
    dead = hit(project)
    assert 0 < len(dead) < 8
    assert running.states(project) == ["finished"] * 8
    assert runs(project) == list(range(8))
    assert running.attempts(project) == [2 if n in dead else 1 for n in range(1, 9)]
    for n in dead:
        assert record(project, n, 2)["slurm"]["SLURM_RESTART_COUNT"] == "1"
    assert on_slurm.tasks(project) == 8


def test_trials_of_a_node_that_died_are_lost_where_jobs_are_not_requeued_until_submitted_again(
    killed: tuple[Project, Project], frail: Cluster
) -> None:
    """With no-requeue they are lost, status says that their node failed, and submitting again runs them alone."""
    project = killed[1]
    frail.drained()
    dead = hit(project)
    assert 0 < len(dead) < 8
    said = status(project)
    assert f"{8 - len(dead)} finished, {len(dead)} lost" in said
    assert said.count("its node failed (NODE_FAIL)") == 1
    assert f"an array of {len(dead)} " in start(project).ok().out
    frail.drained()
    assert running.states(project) == ["finished"] * 8
    assert runs(project) == list(range(8))


# --- cancelled, requeued, preempted --------------------------------------------------------------------------------


def test_a_cancelled_task_and_a_cancelled_array_leave_true_records(slurm: Cluster, project: Project) -> None:
    """scancel of one running task stops that trial alone; of the array, the others, which never began."""
    sweep(project, 5, on_slurm.LONG, slurm='parallel = 2\nmem = "50M"')
    start(project).ok()
    started(project, 0, 1)
    slurm.ask("scancel", task_of(project, 1))
    started(project, 2)
    assert running.states(project)[:3] == ["stopped", "running", "running"]
    slurm.ask("scancel", jobs(project)[0].id)
    slurm.drained()
    ended = [running.record(project, number) for number in (1, 2, 3)]
    assert [each["state"] for each in ended] == ["stopped"] * 3
    assert [each["slurm"]["ended_by"] for each in ended] == ["cancel"] * 3
    assert all(each["ended"] for each in ended)
    assert running.attempts(project) == [1, 1, 1, 0, 0]
    said = status(project)
    assert "3 stopped, 2 queued" in said
    assert said.count("its job was cancelled (CANCELLED)") == 1
    assert "2 jobs were cancelled before they started" in said
    assert "an array of 5" in start(project).ok().out


def test_a_launcher_that_is_killed_leaves_a_lost_trial_which_runs_again(slurm: Cluster, project: Project) -> None:
    """KILL to launcher, training and task leaves no word of theirs; the trial is lost, and submitting again runs it."""
    sweep(project, 1, on_slurm.WAIT)
    start(project).ok()
    started(project, 0)
    now = running.record(project, 1)
    task = int(processes.stat(now["pid"])[1])
    for send, target in ((os.kill, task), (os.kill, now["pid"]), (os.killpg, now["group"])):
        send(target, signal.SIGKILL)
    slurm.drained()
    assert "1 lost" in status(project)
    go(project)
    start(project).ok()
    slurm.drained()
    assert running.states(project) == ["finished"]
    assert running.attempts(project) == [2]


def look_like_elsewhere(place: Place, record: dict[str, Any]) -> None:
    """Make a running attempt look as its files do from another machine than the one that the job runs on."""
    elsewhere = record | {"host": "elsewhere", "boot": "another", "state": "running"}
    storage.write_json(f"{place.attempt(1)}/record.json", elsewhere)
    processes.note_processes(f"{place.attempt(1)}/heartbeat", elsewhere)
    assert claims.begin(place, places.read_manifest(place.capsule))[0] == "running"


def test_a_trial_of_another_host_is_lost_as_soon_as_slurm_says_that_its_job_is_over(
    slurm: Cluster, project: Project
) -> None:
    """Its heartbeat is fresh for minutes; while its job runs nobody takes the trial, and then anybody does at once."""
    sweep(project, 1, on_slurm.WAIT)
    start(project).ok()
    started(project, 0)
    (entry,) = project.entries()
    place = project.paths().place(entry.name)
    now = running.record(project, 1)
    tree = [now["group"], now["pid"], int(processes.stat(now["pid"])[1])]
    look_like_elsewhere(place, now)
    assert "1 running" in status(project)
    assert "1 run" in start(project).ok().out
    for send, target in zip((os.killpg, os.kill, os.kill), tree, strict=True):
        send(target, signal.SIGKILL)
    slurm.drained()
    assert trial_state.state(place)[0] == "running", "the heartbeat alone cannot tell yet"
    assert "1 lost" in status(project)
    go(project)
    start(project).ok()
    slurm.drained()
    assert running.states(project) == ["finished"]
    assert running.attempts(project) == [2]


def test_a_trial_of_another_host_whose_task_has_the_arrays_own_number_is_not_taken_while_it_runs(
    slurm: Cluster, project: Project
) -> None:
    """Slurm gives one task of an array the number of the whole; what it says of the others is not about that one."""
    sweep(project, 2, on_slurm.WAIT)
    start(project).ok()
    started(project, 0, 1)
    ids = [running.record(project, n)["slurm"]["SLURM_JOB_ID"] for n in (1, 2)]
    last = ids.index(jobs(project)[0].id)
    go(project, 1 - last)
    on_slurm.until(lambda: "finished" in running.states(project))
    now = running.record(project, last + 1)
    place = project.paths().place(project.entries()[last].name)
    look_like_elsewhere(place, now)
    processes.note_processes(f"{place.attempt(1)}/heartbeat", now)
    go(project)
    slurm.drained()
    assert running.states(project) == ["finished", "finished"]
    assert running.attempts(project) == [1, 1]


@pytest.mark.parametrize("settings", ["", RESUME], ids=["clean", "resume"])
def test_a_requeued_task_runs_its_trial_again_as_on_retry_says(slurm: Cluster, project: Project, settings: str) -> None:
    """scontrol requeue stops the attempt, and the next one begins clean, or goes on with what the first had written."""
    sweep(project, 2, STEPS, settings=settings)
    start(project).ok()
    seen(project, "started-0-1")
    seen(project, "started-1-1")
    with slurm.closed("cpu"):  # so that no second life begins while the first ones are looked at
        slurm.ask("scontrol", "requeue", jobs(project)[0].id)
        on_slurm.until(lambda: running.states(project).count("running") == 0)
        assert running.states(project) == ["stopped", "stopped"]
        # until Slurm has done away with the job's first life, it is completing
        on_slurm.until(lambda: "2 trials: 2 queued" in status(project), told=lambda: status(project))
        assert "after attempt 1: stopped" in status(project)
    slurm.drained()
    assert running.states(project) == ["finished", "finished"]
    for n in (0, 1):
        first, second = record(project, n + 1, 1), record(project, n + 1, 2)
        assert (first["state"], first["slurm"]["ended_by"]) == ("stopped", "requeue")
        assert second["slurm"]["SLURM_RESTART_COUNT"] == "1"
        assert second["resumed"] == (1 if settings else None)
        steps = (project.root / f"steps-{n}").read_text()
        assert steps == ("step\nstep\n" if settings else "step\n")
    assert running.attempts(project) == [2, 2]


def test_a_preempted_trial_runs_again(slurm: Cluster, project: Project) -> None:
    """A job of a better partition takes the nodes; the trial's record says why it ended, and it runs again after."""
    sweep(project, 1, STEPS, slurm='partition = "scavenger"\ncpus-per-task = 8', settings=RESUME)
    start(project).ok()
    seen(project, "started-0-1")
    slurm.ask("sbatch", "--parsable", "-o", "/dev/null", "-N4", "--exclusive", "--time=1", "--wrap", "sleep 1")
    slurm.drained()
    first, second = record(project, 1, 1), record(project, 1, 2)
    assert first["state"] == "stopped"
    assert first["slurm"]["ended_by"] == "preemption"
    assert (second["state"], second["resumed"]) == ("finished", 1)


# --- signals before the end ----------------------------------------------------------------------------------------


def warn(cluster: Cluster, task: str) -> None:
    """What Slurm sends before a time limit with [slurm] signal = "USR1@...": to the batch script alone."""
    cluster.ask("scancel", "--batch", "--signal=USR1", task)


def test_a_training_that_saves_a_checkpoint_and_ends_with_85_is_requeued_and_goes_on_with_its_output(
    slurm: Cluster, project: Project
) -> None:
    """Although on_retry is clean: whoever asks to be run again wants its checkpoint."""
    project.write({"qb/listens.py": LISTENS})
    sweep(project, 1, listens(85))
    start(project).ok()
    seen(project, "started-0-1")
    warn(slurm, task_of(project, 1))
    seen(project, "started-0-2")
    (project.root / "enough").touch()
    warn(slurm, task_of(project, 1))
    slurm.drained()
    assert running.states(project) == ["finished"]
    one, two, three = (record(project, 1, n) for n in (1, 2, 3))
    assert [each["state"] for each in (one, two, three)] == ["stopped", "stopped", "finished"]
    assert [each["exit_status"] for each in (one, two, three)] == [85, 85, 0]
    assert [each["resumed"] for each in (one, two, three)] == [None, 1, 2]
    assert (project.root / "checkpoint-0").read_text() == "1\n2\n"
    assert len(jobs(project)) == 1


def test_a_worker_whose_training_asks_to_be_run_again_is_requeued_and_goes_on(slurm: Cluster, project: Project) -> None:
    """The worker's next life takes up the trial that asked for it, with its checkpoint, and then the others."""
    project.write({"qb/listens.py": LISTENS})
    sweep(project, 2, 'if [ "$n" = 1 ]; then ' + on_slurm.FAST.replace("\n", "; ") + "exit; fi\n" + listens(85))
    start(project, "--workers", "1").ok()
    seen(project, "started-0-1")
    (project.root / "enough").touch()
    warn(slurm, f"{jobs(project)[0].id}_1")
    slurm.drained()
    assert running.states(project) == ["finished", "finished"]
    assert record(project, 1, 2)["resumed"] == 1
    assert running.attempts(project) == [2, 1]


def test_a_training_that_does_not_listen_is_not_killed_by_the_signal(slurm: Cluster, project: Project) -> None:
    """USR1 would end bash and its children; it reaches no process without a handler, and the trial finishes."""
    sweep(project, 1, on_slurm.WAIT)
    start(project).ok()
    started(project, 0)
    warn(slurm, task_of(project, 1))
    time.sleep(1)
    warn(slurm, task_of(project, 1))
    time.sleep(0.5)
    assert running.states(project) == ["running"]
    go(project)
    slurm.drained()
    assert running.states(project) == ["finished"]
    assert running.attempts(project) == [1]


def test_a_trial_is_requeued_at_most_so_often_as_max_requeues_says(slurm: Cluster, project: Project) -> None:
    """One that asks to be run again without end runs twice where one requeue is allowed, and status says why."""
    sweep(project, 1, 'echo "$RESWEEP_ATTEMPT" >> "$root/lives"\nexit 85\n', slurm="max_requeues = 1")
    start(project).ok()
    on_slurm.until(lambda: len(running.lines(project, "lives")) == 2)
    slurm.drained()
    assert running.lines(project, "lives") == ["1", "2"]
    assert running.attempts(project) == [2]
    assert "1 stopped" in status(project)
    assert "asked to be run again" in status(project), "why nothing runs it again is told nowhere"
    assert "an array of 1" in start(project).ok().out
    slurm.drained()


def test_a_training_that_ends_with_another_status_at_the_signal_has_failed(slurm: Cluster, project: Project) -> None:
    """Only 85 asks to be run again: a crash in the handler is a failure, and is not requeued."""
    project.write({"qb/listens.py": LISTENS})
    sweep(project, 1, listens(3))
    start(project).ok()
    seen(project, "started-0-1")
    warn(slurm, task_of(project, 1))
    slurm.drained()
    assert running.states(project) == ["failed"]
    assert running.record(project, 1)["exit_status"] == 3
    assert running.attempts(project) == [1]
