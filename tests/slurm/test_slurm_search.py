"""Searches, and what may be stopped early, on a real Slurm: each task is a worker of the tool's own.

Code: slurm/work, search/supplier
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import on_slurm
import pytest
import running
from on_slurm import Cluster, go, jobs, start, status
from small_project import REPOSITORY, Project

from resweep import index
from resweep.launcher import processes
from resweep.search import journal, trial_writer

pytestmark = [pytest.mark.timeout(600)]

# with steps, those below the threshold of STOP have no end of their own: it is never too late to stop them
STEPS = """\
import itertools, json, os, pathlib, sys, time, tomllib

conf = tomllib.loads(pathlib.Path(sys.argv[1]).read_text())
lr = json.loads(pathlib.Path(conf["allennlp_conf"]).read_text())["lr"]
out, root = pathlib.Path(conf["serialization_dir"]), pathlib.Path(sys.argv[2])
out.mkdir(exist_ok=True)
(root / f"started-{conf['generated_id']}").touch()
while "wait" in sys.argv and not (root / "go").exists():
    time.sleep(0.05)
steps = int(sys.argv[3])
for epoch in itertools.count() if steps > 1 and lr < 0.4 else range(steps):
    part = out / "part"
    part.write_text(json.dumps({"epoch": epoch, "validation_accuracy": lr}))
    part.rename(out / f"metrics_epoch_{epoch}.json")
    time.sleep(0.2)
with open(root / "runs", "a") as file:
    file.write(f"{conf['generated_id']} {os.environ.get('SITE')}\\n")
(out / "metrics.json").write_text(json.dumps({"best_validation_accuracy": lr}))
"""
TRAIN = 'cd "$1"; exec python qb/steps.py "$2" "$root" {} {}\n'
STOP = '[search.stop]\nmethod = "threshold"\nlower = 0.4\nmetric = "validation_accuracy"\n'


def search(
    project: Project, n: int, epochs: int = 0, wait: bool = False, search: str = "", slurm: str = "", train: str = ""
) -> Project:
    """Generate a search of `n` points on Slurm, whose trials take so many steps, or wait until the test says so."""
    text = (
        '[hyper]\n"params.lr" = { uniform = [0.0, 1.0] }\n\n[params]\nlr = 0.5\n\n'
        '[results]\nmetric = "best_validation_accuracy"\nmode = "max"\n\n'
        f'[search]\nmethod = "tpe"\nn = {n}\nseed = 3\n{search}\n[slurm]\nmem = "50M"\n{slurm}\n'
    )
    return _generated(project, text, train or TRAIN.format(epochs, "wait" if wait else ""))


def _generated(project: Project, text: str, train: str) -> Project:
    if not (project.root / "slurm-allennlp.sh").exists():
        (project.root / "slurm-allennlp.sh").write_bytes((REPOSITORY / "slurm-allennlp.sh").read_bytes())
    project.write({"config/rnn.toml": text, "qb/steps.py": STEPS, "train.sh": running.FIND + train})
    project.generate("--slurm-job").ok()
    return project


def told(project: Project) -> Counter[str]:
    """How many of Optuna's trials are in which state."""
    paths = project.paths()
    opened = journal.read_study(paths, trial_writer.record(paths, index.generation(paths))["study"])
    return Counter(each.state.name for each in opened.trials()) if opened else Counter()


def said(project: Project) -> str:
    """What the tasks of all jobs have printed."""
    return "".join(path.read_text() for path in sorted(project.paths().slurm_output.glob("*.txt")))


def begun(project: Project, count: int) -> None:
    """Wait until so many trainings run."""
    on_slurm.until(
        lambda: (
            running.states(project).count("running") == count and len(list(project.root.glob("started-*"))) >= count
        ),
        told=lambda: status(project) + said(project),
    )


def test_three_workers_finish_exactly_n_points_each_once(slurm: Cluster, project: Project) -> None:
    """They share one study; no point runs twice, none is left over, and then there is nothing to submit."""
    search(project, 9)
    out = start(project, "--workers", "3").ok().out
    assert "3 workers, 9 points to go" in out
    slurm.drained()
    assert told(project) == {"COMPLETE": 9}, said(project)
    assert running.states(project) == ["finished"] * 9
    assert set(running.attempts(project)) == {1}
    assert len(running.lines(project)) == 9
    assert "nothing to submit: the search is over: 9 of 9 points" in start(project, "--workers", "3").ok().out
    assert len(jobs(project)) == 1


def test_status_shows_the_workers_and_submitting_again_adds_the_missing_ones(slurm: Cluster, project: Project) -> None:
    """Two wait on their trials; --workers 3 adds one, once more none; never more than points are left."""
    search(project, 4, wait=True)
    assert "one worker; --workers N starts more" in start(project).ok().err
    begun(project, 1)
    assert "1 worker: running" in status(project)
    assert "2 workers, 4 points to go" in start(project, "--workers", "3").ok().out
    begun(project, 3)
    assert "3 workers: running" in status(project)
    assert "nothing to submit: 3 workers wait or run already" in start(project, "--workers", "3").ok().out
    many = start(project, "--workers", "50").ok()
    assert "4 points are left: no more workers than that" in many.err
    go(project)
    slurm.drained()
    assert told(project) == {"COMPLETE": 4}
    assert on_slurm.tasks(project) == 4


def test_workers_that_are_cancelled_lose_nothing(slurm: Cluster, project: Project) -> None:
    """scancel of all of them stops their trials, which say so; workers submitted later take these up, and reach n."""
    search(project, 6, wait=True)
    start(project, "--workers", "3").ok()
    begun(project, 3)
    slurm.ask("scancel", jobs(project)[0].id)
    slurm.drained()
    assert running.states(project) == ["stopped"] * 3
    assert {running.record(project, n)["slurm"]["ended_by"] for n in (1, 2, 3)} == {"cancel"}
    assert told(project) == {"RUNNING": 3}
    go(project)
    start(project, "--workers", "2").ok()
    slurm.drained()
    assert told(project) == {"COMPLETE": 6}, said(project)
    assert sorted(running.attempts(project)) == [1, 1, 1, 2, 2, 2]


def test_workers_that_are_killed_outright_lose_nothing(slurm: Cluster, project: Project) -> None:
    """KILL to worker, launcher and training leaves no word of theirs; the worker that is left takes up the trial."""
    search(project, 4, wait=True)
    start(project, "--workers", "2").ok()
    begun(project, 2)
    now = running.record(project, 1)
    runner = int(processes.stat(now["pid"])[1])
    for send, target in ((os.kill, runner), (os.kill, now["pid"]), (os.killpg, now["group"])):
        send(target, signal.SIGKILL)
    on_slurm.until(lambda: running.states(project)[0] == "lost")
    go(project)
    slurm.drained()
    assert told(project) == {"COMPLETE": 4}, said(project)
    assert running.attempts(project) == [2, 1, 1, 1]


def test_a_node_that_dies_takes_a_worker_away_and_no_trial(frail: Cluster, project: Project) -> None:
    """What ran on the dead node runs again, in the worker that Slurm starts again or in another."""
    search(project, 4, wait=True, slurm="requeue = true\nexclusive = true")
    start(project, "--workers", "2").ok()
    begun(project, 2)
    node = running.record(project, 1)["slurm"]["SLURM_NODELIST"]
    frail.do("killnode", node)
    try:
        on_slurm.until(lambda: running.states(project)[0] == "lost")
        go(project)
        frail.drained()
    finally:
        frail.do("startnode", node)
    assert told(project) == {"COMPLETE": 4}, said(project)
    assert running.attempts(project) == [2, 1, 1, 1]


def test_a_search_stops_trials_early_and_counts_them(slurm: Cluster, project: Project) -> None:
    """Those below the threshold are pruned after a step, keep their metrics, and are points of the n."""
    search(project, 8, epochs=8, search=STOP)
    start(project, "--workers", "3").ok()
    slurm.drained()
    counted = told(project)
    assert counted["PRUNED"] + counted["COMPLETE"] == 8
    assert counted["PRUNED"] > 0 < counted["COMPLETE"]
    for entry, state in zip(project.entries(), running.states(project), strict=True):
        assert state == ("pruned" if entry.swept["params.lr"] < 0.4 else "finished")
    assert "the search is over" in start(project).ok().out
    assert len(running.lines(project)) == counted["COMPLETE"]


def test_a_grid_stops_trials_early_through_workers(slurm: Cluster, project: Project) -> None:
    """One worker for each trial by default; the bad ones are pruned, and neither is submitted again."""
    values = '[hyper]\n"params.lr" = [0.1, 0.2, 0.5, 0.6]\n\n[params]\nlr = 0.5\n\n[slurm]\nmem = "50M"\n\n[search]\n'
    _generated(project, values + STOP, TRAIN.format(10, ""))
    assert "--one-job-per-trial: found [search.stop]" in start(project, "--one-job-per-trial").err
    assert "4 workers for 4 trials" in start(project).ok().out
    slurm.drained()
    assert running.states(project) == ["pruned", "pruned", "finished", "finished"], said(project)
    assert set(running.attempts(project)) == {1}
    assert "nothing to submit: 2 have finished, 2 were stopped early" in start(project).ok().out


def test_workers_of_a_grid_repeat_no_failure_and_take_up_what_slurm_has_ended(slurm: Cluster, project: Project) -> None:
    """As many as `parallel`; a failed trial waits for the next submission, one that lost its job does not."""
    values = '[hyper]\n"params.lr" = [0.5, 0.6, 0.7, 0.8]\n\n[params]\nlr = 0.5\n\n[slurm]\nparallel = 2\n\n[search]\n'
    fails = '[ -e "$root/fine" ] || ! grep -q \'"lr": 0.5\' "$1/${path##*/}.json" || exit 3\n'
    _generated(project, values + STOP, fails + TRAIN.format(1, "wait"))
    assert "2 workers for 4 trials" in start(project).ok().out
    on_slurm.until(lambda: Counter(running.states(project)) == {"failed": 1, "running": 2, "queued": 1})
    at = running.states(project).index("running") + 1
    job = running.record(project, at)["slurm"]
    slurm.ask("scancel", f"{job['SLURM_ARRAY_JOB_ID']}_{job['SLURM_ARRAY_TASK_ID']}")
    on_slurm.until(lambda: running.states(project)[at - 1] == "stopped")
    go(project)
    slurm.drained()
    assert Counter(running.states(project)) == {"failed": 1, "finished": 3}, said(project)
    (project.root / "fine").touch()
    assert "1 worker for 1 trial" in start(project).ok().out
    slurm.drained()
    assert running.states(project) == ["finished"] * 4
    assert sorted(running.attempts(project)) == [1, 1, 2, 2]


@pytest.mark.parametrize("way", ["trains", "calls", "srun"])
def test_the_sites_script_is_what_runs_each_trial(slurm: Cluster, project: Project, way: str) -> None:
    """One that calls the launcher, and one of 2020 that trains itself; each by the worker that has the record."""
    calls = '"$RESWEEP_PYTHON" -ISB "$1/../../attempt.py" run "$1"'  # no exec, so the launcher is a child
    line = {"trains": 'exec bash "$1/train.sh" "$1" "$2"', "calls": f". ./own.sh\n{calls}", "srun": f"srun {calls}"}
    script = f"#!/bin/bash\n#SBATCH --comment=of-the-site\nexport SITE=yes\n{line[way]}\n"
    project.write({"slurm-allennlp.sh": script, "own.sh": "cd /"})
    search(project, 3, slurm='setup = ["export SITE=setup"]')
    start(project, "--workers", "2").ok()
    project.write({"slurm-allennlp.sh": "#!/bin/bash\nexit 9\n"})
    assert "of-the-site" in slurm.ask("scontrol", "show", "job", jobs(project)[0].id)
    slurm.drained()
    assert [line.split()[1] for line in running.lines(project)] == ["yes"] * 3, said(project)
    assert told(project) == {"COMPLETE": 3}


def test_stopping_a_search_cancels_its_workers_and_one_trial_only_that(slurm: Cluster, project: Project) -> None:
    """`stop rnn#1` ends that trial, and its worker asks for another; `stop rnn` ends all, and it goes on later."""
    search(project, 3, wait=True)
    start(project, "--workers", "1").ok()
    begun(project, 1)
    assert "1 stopped, 0 left" in project.resweep("stop", "rnn#1").ok().out
    on_slurm.until(lambda: running.states(project) == ["stopped", "running"], told=lambda: said(project))
    on_slurm.until(lambda: len(list(project.root.glob("started-*"))) == 2)
    assert "1 stopped, 0 left" in project.resweep("stop", "rnn").ok().out
    slurm.drained()
    assert told(project) == {"FAIL": 1, "RUNNING": 1}
    go(project)
    start(project, "--workers", "1").ok()
    slurm.drained()
    assert told(project) == {"FAIL": 1, "COMPLETE": 3}


def test_a_canary_tries_one_trial_before_the_workers(slurm: Cluster, project: Project) -> None:
    """One that fails lets no other worker start; one that finishes lets all."""
    search(project, 4, train='[ -e "$root/good" ] || exit 3\n' + TRAIN.format(0, ""))
    assert "2 workers, 4 points to go, after the canary" in start(project, "--workers", "2", "--canary").ok().out
    slurm.drained()
    assert running.states(project) == ["failed"]
    (project.root / "good").touch()
    start(project, "--workers", "2", "--canary").ok()
    slurm.drained()
    assert told(project) == {"FAIL": 1, "COMPLETE": 4}


def test_each_worker_ends_after_max_trials(slurm: Cluster, project: Project) -> None:
    """Two workers of two trials are four points; `trials_per_job` says the same in the sweep."""
    search(project, 7)
    start(project, "--workers", "2", "--max-trials", "2").ok()
    slurm.drained()
    assert told(project) == {"COMPLETE": 4}
    assert "1 worker, 3 points to go" in start(project, "--max-trials", "1").ok().out
    slurm.drained()
    assert told(project) == {"COMPLETE": 5}


def test_a_dry_run_shows_the_workers_and_submits_nothing(slurm: Cluster, project: Project) -> None:
    """The array of workers, with a profile's options; and --one-job-per-trial means nothing for a search."""
    search(project, 5, slurm='[slurm.profiles.gpu]\npartition = "gpu"\nparallel = 2')
    shown = start(project, "--dry-run", "--profile", "gpu", "--canary").ok().out
    assert "--array=1-2%2" in shown
    assert shown.count("--partition=gpu") == 2
    assert "# 2 workers" in shown
    assert not jobs(project)
    refused = start(project, "--one-job-per-trial")
    assert refused.status
    assert "--one-job-per-trial: found a search, expected --workers N" in refused.err


LISTENS = """\
import json, os, pathlib, signal, sys, time, tomllib

conf, root = tomllib.loads(pathlib.Path(sys.argv[1]).read_text()), pathlib.Path(sys.argv[2])
out = pathlib.Path(conf["serialization_dir"])
out.mkdir(exist_ok=True)

def save(*_):
    with open(out / "checkpoint", "a") as file:
        file.write(os.environ["RESWEEP_ATTEMPT"])
    sys.exit(85)

if sys.argv[3] == "at-once" and not (out / "checkpoint").exists():
    save()
signal.signal(signal.SIGUSR1, save)
(root / f"listens-{os.environ['RESWEEP_ATTEMPT']}").touch()
while not (out / "checkpoint").exists():
    time.sleep(0.05)
(root / "resumed").write_text((out / "checkpoint").read_text())
(out / "metrics.json").write_text('{"best_validation_accuracy": 0.5}')
"""


def test_a_training_that_asks_to_be_run_again_goes_on_in_the_same_worker(slurm: Cluster, project: Project) -> None:
    """Exit status 85: the next attempt has its output, in the same job, which is not requeued."""
    project.write({"qb/listens.py": LISTENS})
    search(project, 1, train='cd "$1"; exec python qb/listens.py "$2" "$root" at-once\n')
    start(project).ok()
    slurm.drained()
    assert told(project) == {"COMPLETE": 1}, said(project)
    assert (project.root / "resumed").read_text() == "1"
    records = [on_slurm.record(project, 1, which) for which in (1, 2)]
    assert [each["state"] for each in records] == ["stopped", "finished"]
    assert records[0]["slurm"] == records[1]["slurm"]
    assert records[1]["resumed"] == 1


def test_the_signal_before_the_time_limit_reaches_the_training_and_its_worker_is_requeued(
    slurm: Cluster, project: Project
) -> None:
    """It saves, ends with 85, and goes on with what it has saved in the next life of the job, with all of its time."""
    project.write({"qb/listens.py": LISTENS})
    search(project, 1, train='cd "$1"; exec python qb/listens.py "$2" "$root" at-signal\n')
    start(project).ok()
    on_slurm.until((project.root / "listens-1").exists, told=lambda: said(project))
    slurm.ask("scancel", "--batch", "--signal=USR1", f"{jobs(project)[0].id}_1")
    slurm.drained()
    assert told(project) == {"COMPLETE": 1}, said(project)
    assert (project.root / "resumed").read_text() == "1"
    assert on_slurm.record(project, 1, 2)["slurm"]["SLURM_RESTART_COUNT"] == "1"


def test_a_time_limit_stops_the_trial_and_the_next_worker_takes_it_up(slurm: Cluster, project: Project) -> None:
    """The record says what ended it."""
    search(project, 2, wait=True, slurm="time = 1")
    start(project).ok()
    slurm.drained(150)
    assert running.states(project) == ["stopped"]
    assert running.record(project, 1)["slurm"]["ended_by"] == "time limit"
    go(project)
    start(project, "--time=5").ok()
    slurm.drained()
    assert told(project) == {"COMPLETE": 2}, said(project)


def test_a_worker_that_cannot_run_the_tool_says_so_in_status(
    slurm: Cluster, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line names interpreter, node and what to do."""
    search(project, 2)
    monkeypatch.setattr("sys.executable", "/usr/bin/false")
    project.resweep("submit", "rnn").ok()
    slurm.drained()
    line = next(line for line in status(project).splitlines() if "worker" in line)
    assert "failed: rnn: /usr/bin/false cannot run resweep on " in line
    assert "pip install 'resweep[search]'" in line
    assert json.loads(project.resweep("status", "rnn", "--json").ok().out)["counts"]["failed"] == 0


def elsewhere(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every worker have numbers of processes of its own, as on a machine of its own."""
    python = project.root / "python-elsewhere"
    python.write_text(f'#!/bin/sh\nexec unshare --pid --fork --mount-proc {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))


def test_a_worker_on_another_host_takes_up_at_once_what_slurm_has_ended(
    slurm: Cluster, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can look at another machine's processes; the record's word is enough, and no point is told twice."""
    elsewhere(project, monkeypatch)
    search(project, 4, wait=True)
    project.resweep("submit", "rnn", "--workers", "2").ok()
    begun(project, 2)
    assert not processes.of_this_boot(running.record(project, 1)), "this has shown nothing"
    slurm.ask("scancel", jobs(project)[0].id)
    slurm.drained()
    assert running.states(project) == ["stopped", "stopped"], said(project)
    go(project)
    project.resweep("submit", "rnn", "--workers", "2").ok()
    slurm.drained(50)  # less than a trial counts as abandoned without Slurm's word
    assert told(project) == {"COMPLETE": 4}, said(project)
    assert sorted(running.attempts(project)) == [1, 1, 2, 2]


def test_a_worker_on_another_host_takes_up_what_was_killed_when_it_gives_no_sign_of_life(
    slurm: Cluster, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record still says running, and its heartbeat is old: Slurm says that its job is over."""
    elsewhere(project, monkeypatch)
    search(project, 2, wait=True)
    here = Path("/proc/self/ns/pid").readlink()
    project.resweep("submit", "rnn", "--workers", "2").ok()
    begun(project, 2)
    for path in Path("/proc").glob("[0-9]*/cwd"):  # the first process of a machine takes all others with it
        with contextlib.suppress(OSError):
            if path.readlink() == project.root and path.with_name("ns").joinpath("pid").readlink() != here:
                os.kill(int(path.parent.name), signal.SIGKILL)
    slurm.drained()
    assert running.states(project) == ["running", "running"], "the heartbeat alone cannot tell yet"
    go(project)
    project.resweep("submit", "rnn", "--workers", "1").ok()
    on_slurm.until(lambda: said(project).count("searches 2 points") == 3)
    for entry in project.entries():
        heartbeat = f"{project.paths().place(entry.name).attempt(1)}/heartbeat"
        minutes_ago = time.time() - 120
        os.utime(heartbeat, (minutes_ago, minutes_ago))
    slurm.drained()
    assert told(project) == {"COMPLETE": 2}, said(project)
    assert running.attempts(project) == [2, 2]
