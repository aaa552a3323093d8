"""What one task of a Slurm job does: runs its trial, or drains a list of trials, through the site's script.

    python attempt.py task SUBMISSION LIST [LINE]     in a job; LINE is by default the number of the task

Signals go to the launcher, which knows what the training does with them:

    TERM, INT     the job ends: the trial is stopped, and no other one is started
    HUP           this trial is stopped; a worker goes on with its next one
    USR1, USR2    the time limit is near: the training is told, if it listens

Where a training has saved a checkpoint and asks to be run again, Slurm is asked to requeue this very task: not the
array, whose own number one of its tasks bears, and never a job that a person has cancelled.

The exit status is that of the last trial.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from . import bad_node, claims, places, processes, slurm_job, storage, trial_state
from .places import Place
from .signals import Signals
from .storage import AttemptError, Record

LOOK = 0.1  # seconds between two looks at a launcher that has outlived the script that started it
REQUEUE_PATIENCE = 60.0  # seconds that Slurm has to take a requeue, and then to end the job
REQUEUE_AGAIN = 2.0  # seconds until a Slurm that does not answer is asked again


class Task:
    """This task of a submission: its trials, and how they are run."""

    def __init__(self, submission: str, name: str, line: int) -> None:
        self.folder = os.path.abspath(submission)
        self.sweep = os.path.dirname(os.path.dirname(self.folder))
        self.record: Record = storage.read_json(os.path.join(self.folder, "submission.json"))
        self.list: Record = self.record.get("lists", {}).get(name, {})
        if not self.list:
            raise AttemptError("%s: names no list %s of this sweep" % (self.folder, name))
        self.line = line
        with open(os.path.join(self.folder, name + ".txt"), encoding="ascii") as file:
            self.trials = file.read().split()
        # what failed before this was written is run again
        self.since = os.stat(os.path.join(self.folder, "submission.json")).st_mtime
        self.stopped = False
        self.node = bad_node.Node(self.sweep, self.folder, int(self.record.get("leave_node_after") or 0))
        os.environ.update(slurm_job.site_grace(self.record.get("kill_wait"), self.list.get("grace_time")))

    def run(self) -> int:
        """Run this task's trial, or as many as there are for a worker; the exit status of the last one."""
        if self.list["kind"] != "workers":
            if not 1 <= self.line <= len(self.trials):
                raise AttemptError("%s: found no line %d" % (self.folder, self.line))
            trial = self.trials[self.line - 1]
            return trial_state.BUSY if self._leaves(trial) else self._tidied(self._launch(trial))
        status, started = 0, 0
        for trial in self._turns():
            if self.stopped or 0 < (self.list.get("trials_per_job") or 0) <= started:
                break
            if self._open(trial) or self._left(trial):
                if self._leaves(trial):
                    return trial_state.BUSY
                code = self._launch(trial)
                if code != trial_state.BUSY:  # another one was quicker
                    started += 1
                    status = code
        print("%s: %d trials run by this worker" % (os.path.basename(self.sweep), started))
        return status

    def _leaves(self, trial: str) -> bool:
        """Whether this task is to be run on another node, since this one fails what it is given."""
        why = self.node.bad()
        if not why:
            return False
        print("%s: not run here: %s; leave_node_after = %d" % (trial, why, self.node.after), flush=True)
        refused = self.node.leave()
        if refused:
            print("%s: run here all the same: Slurm does not requeue the job (%s)" % (trial, refused), flush=True)
        return not refused

    def _turns(self) -> Iterator[str]:
        """Every trial once, each worker's turn beginning elsewhere, so that they rarely want the same one."""
        first = (self.line - 1) * len(self.trials) // max(1, self.list["tasks"])
        return iter(self.trials[first:] + self.trials[:first])

    def _open(self, trial: str) -> bool:
        """Whether the trial wants an attempt of this worker's."""
        place = Place(os.path.join(self.sweep, trial))
        # before the state is read: a failure meanwhile makes the launcher's claim fail
        os.environ[claims.NEXT] = str(place.last() + 1)
        now, record = trial_state.state(place)
        return now != "running" and wanted(place, now, record, self.since, int(self.record["max_requeues"]))

    def _left(self, trial: str) -> bool:
        """Whether an earlier life of this job has the trial, or had it: nobody else looks after that."""
        now, record = trial_state.state(Place(os.path.join(self.sweep, trial)))
        return now == "running" and not processes.of_this_boot(record) and _of_this_job(record) and not _mine(record)

    def _launch(self, trial: str) -> int:
        """Run one trial through the site's script, and wait for its end; the launcher's exit status."""
        capsule = os.path.join(self.sweep, trial)
        place = Place(capsule)
        toml = os.path.join(capsule, trial.split("/")[0] + ".toml")
        script = os.path.join(self.folder, self.record["script"])
        command = [script, capsule, toml]
        if not self.record["calls_the_launcher"]:
            launcher = os.path.join(self.folder, "attempt.py")
            command = [sys.executable, "-ISB", launcher, "run", capsule, "--with", script]
        sys.stdout.flush()
        before = place.last()
        self.node.began(trial)
        with Signals() as signals:
            try:
                child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
            except OSError as error:
                if error.errno not in (errno.ENOEXEC, errno.EACCES):
                    raise
                child = subprocess.Popen(["bash", *command], stdin=subprocess.DEVNULL)  # no #! line, or a noexec disk
            status = self._wait(child, place, signals)
            self.node.ended(trial, before, status)
            record = trial_state.state(place)[1]
            requeued = status == trial_state.REQUEUE and asks_again(record) and self._requeue(place)
        if requeued and not self.stopped:
            await_end()
        return status

    def _wait(self, child: subprocess.Popen[bytes], place: Place, signals: Signals) -> int:
        """Wait for the site's script and the launcher that it started, and pass on what signals say meanwhile."""
        heeded = 0
        early: list[int] = []  # that came before there was a launcher
        signal.signal(signal.SIGCHLD, lambda *_: None)  # else its end would not wake us
        while True:
            while heeded < len(signals.received):
                if not self._heed(signals.received[heeded], child, place):
                    early.append(signals.received[heeded])
                heeded += 1
            if early and _launcher(place):
                for number in early:
                    self._heed(number, child, place)
                early = []
            ended = child.poll() is not None
            if ended and not _launcher(place):
                break
            signals.wait([], LOOK if ended or early else None)
        return child.returncode if child.returncode >= 0 else 128 - child.returncode

    def _heed(self, number: int, child: subprocess.Popen[bytes], place: Place) -> bool:
        """Pass a signal on to the launcher; whether that was possible, or is not worth another try."""
        if number in Signals.STOP and number != signal.SIGHUP:
            self.stopped = True
        launcher = _launcher(place)
        passed = signal.SIGTERM if number in Signals.STOP else number
        with contextlib.suppress(ProcessLookupError):
            if launcher:
                os.kill(launcher, passed)
            elif passed == signal.SIGTERM:
                child.terminate()
            else:
                return False
        return True

    def _requeue(self, place: Place) -> bool:
        """Let Slurm run this task again, since the training asked for it, unless it has asked too often."""
        times, limit = asked(place), self.record["max_requeues"]
        if times > limit:
            self._not_requeued(place, "it is the %dth time, and max_requeues is %d" % (times, limit))
            return False
        refused = requeue(self.stopped)
        if refused:
            self._not_requeued(place, refused)
            return False
        print("%s: asked to be run again; the job is requeued" % place.label, flush=True)
        return True

    @staticmethod
    def _not_requeued(place: Place, why: str) -> None:
        # no line that begins with the trial's name: the record does not say this
        print("trial %s asked to be run again, but the job is not requeued: %s" % (place.label, why), flush=True)

    def _tidied(self, status: int) -> int:
        """Put what Slurm's own output file of this task holds with the attempt, or away when it says nothing new."""
        number = os.environ.get("SLURM_ARRAY_JOB_ID", os.environ.get("SLURM_JOB_ID", ""))
        if "SLURM_ARRAY_TASK_ID" in os.environ:
            number += "_" + os.environ["SLURM_ARRAY_TASK_ID"]
        place = Place(os.path.join(self.sweep, self.trials[self.line - 1]))
        path = os.path.join(place.root, *places.MODEL_ROOT, os.path.basename(self.sweep), ".slurm", number + ".txt")
        sys.stdout.flush()
        record = storage.read_json(os.path.join(place.attempt(place.last()), places.RECORD))
        if not _mine(record):
            return status
        with contextlib.suppress(OSError):
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
            if all(line.startswith(place.label + ": ") for line in lines):
                os.remove(path)  # the record says the same
            else:
                os.rename(path, os.path.join(place.attempt(place.last()), "slurm.txt"))
        return status


def wanted(place: Place, now: str, record: Record, since: float, max_requeues: int) -> bool:
    """Whether a trial in the state `now`, which does not run, wants another attempt in a job submitted at `since`."""
    if now in ("finished", "pruned"):
        return False
    if asks_again(record):
        return asked(place) <= max_requeues
    if now == "failed" or (now == "stopped" and not record["slurm"].get(slurm_job.ENDED_BY)):
        # it failed, or a person stopped it: not again in one submission. What ended with its job is taken up again.
        path = os.path.join(place.attempt(record["attempt"]), places.RECORD)
        return os.stat(path).st_mtime < since
    return True


def asks_again(record: Record) -> bool:
    """Whether a training has ended with the wish to be run again, which a person who stops a trial does not share."""
    wish = record.get("state") == "stopped" and record.get("exit_status") == trial_state.REQUEUE
    return wish and not (record.get("told_to_stop") and not record["slurm"].get(slurm_job.ENDED_BY))


def requeue(told_to_end: bool) -> str:
    """Let Slurm run the job of this process again; "" when it will, else why not.

    Only this task, and only when Slurm has not ended it for good: a cancelled job would be brought back to life.
    `told_to_end` says that a signal did, which by itself may be a person's.
    """
    end = time.monotonic() + REQUEUE_PATIENCE
    while True:
        job = slurm_job.own_job()
        reason = slurm_job.ended_by(job)
        if slurm_job.started_again(job):
            return ""  # Slurm has done so itself, or starts it again already
        if job and (reason == "cancel" or (reason is None and told_to_end)):
            return "it was told to end"
        said = "Slurm does not answer"
        if job:
            code, said = slurm_job.slurm("scontrol", "requeue", own_name(job))
            if not code:
                return ""
            said = said.strip() or "Slurm does not answer"
            if not _PASSING.search(said):
                return said + "; submit it again"
        if time.monotonic() > end:
            return said + "; submit it again"
        time.sleep(REQUEUE_AGAIN)


# What scontrol says when it is worth another try.
_PASSING = re.compile(r"does not answer|[Uu]nable to contact|timed out|[Cc]onnection|try again|Socket|communication")


def own_name(job: dict[str, str]) -> str:
    """Slurm's name of one job and no other, from what `own_job` says: an array's last task bears the array's number."""
    array, index = job.get("ArrayJobId"), job.get("ArrayTaskId", "")
    return "%s_%s" % (array, index) if array and index.isdigit() else job["JobId"]


def await_end() -> None:
    """Wait for the end of a job that is requeued, which ends this process."""
    time.sleep(REQUEUE_PATIENCE)
    print("requeued, but Slurm did not end it", flush=True)


def asked(place: Place) -> int:
    """How often the trial has asked to be run again."""
    paths = [os.path.join(place.attempt(number), places.RECORD) for number in range(1, place.last() + 1)]
    return sum(storage.read_json(path).get("exit_status") == trial_state.REQUEUE for path in paths)


def _launcher(place: Place) -> int:
    """The process that conducts an attempt of the trial in this very job, 0 when there is none here."""
    now, record = trial_state.state(place)
    if (
        now == "running"
        and _mine(record)
        and processes.of_this_boot(record)
        and processes.same_process(record["pid"], record["pid_start"])
    ):
        return int(record["pid"])
    return 0


def _mine(record: Record) -> bool:
    """Whether an attempt was made by this job, in this life of it."""
    return _of_this_job(record) and slurm_job.restarts(record["slurm"]) == slurm_job.restarts(os.environ)


def _of_this_job(record: Record) -> bool:
    job = os.environ.get("SLURM_JOB_ID")
    return bool(job) and record.get("slurm", {}).get("SLURM_JOB_ID") == job


def run(submission: str, name: str, line: str = "") -> int:
    """What a task does; its exit status."""
    return Task(submission, name, int(line or os.environ.get("SLURM_ARRAY_TASK_ID", "1"))).run()
