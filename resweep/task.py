"""What one task of a Slurm job does: runs its trial, or drains a list of trials, through the site's script.

    python task.py SUBMISSION LIST [LINE]     in a job; LINE is by default the number of the task

Lies beside `attempt.py` in the submission's directory, and needs Python 3.8 and nothing else, as that does. Signals go
to the launcher, which knows what the training does with them:

    TERM, INT     the job ends: the trial is stopped, and no other one is started
    HUP           this trial is stopped; a worker goes on with its next one
    USR1, USR2    the time limit is near: the training is told, if it listens

The exit status is that of the last trial.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

if __package__:
    from resweep import attempt
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import attempt  # type: ignore[no-redef, import-not-found, unused-ignore]

LOOK = 0.1  # seconds between two looks at a launcher that has outlived the script that started it
REQUEUE_PATIENCE = 60.0  # seconds that Slurm has to end a job that it requeues


class Task:
    """This task of a submission: its trials, and how they are run."""

    def __init__(self, submission: str, name: str, line: int) -> None:
        self.folder = os.path.abspath(submission)
        self.sweep = os.path.dirname(os.path.dirname(self.folder))
        self.record: attempt.Record = attempt.read_json(os.path.join(self.folder, "submission.json"))
        self.list: attempt.Record = self.record.get("lists", {}).get(name, {})
        if not self.list:
            raise attempt.AttemptError("%s: names no list %s of this sweep" % (self.folder, name))
        self.line = line
        with open(os.path.join(self.folder, name + ".txt"), encoding="ascii") as file:
            self.trials = file.read().split()
        # what failed before this was written is run again
        self.since = os.stat(os.path.join(self.folder, "submission.json")).st_mtime
        self.stopped = False

    def run(self) -> int:
        """Run this task's trial, or as many as there are for a worker; the exit status of the last one."""
        if self.list["kind"] != "workers":
            if not 1 <= self.line <= len(self.trials):
                raise attempt.AttemptError("%s: found no line %d" % (self.folder, self.line))
            return self._tidied(self._launch(self.trials[self.line - 1]))
        status, started = 0, 0
        for trial in self._turns():
            if self.stopped or 0 < (self.list.get("trials_per_job") or 0) <= started:
                break
            if self._open(trial):
                code = self._launch(trial)
                if code != attempt.BUSY:  # another one was quicker
                    started += 1
                    status = code
        print("%s: %d trials run by this worker" % (os.path.basename(self.sweep), started))
        return status

    def _turns(self) -> Iterator[str]:
        """Every trial once, each worker's turn beginning elsewhere, so that they rarely want the same one."""
        first = (self.line - 1) * len(self.trials) // max(1, self.list["tasks"])
        return iter(self.trials[first:] + self.trials[:first])

    def _open(self, trial: str) -> bool:
        """Whether the trial wants an attempt of this worker's."""
        place = attempt.Place(os.path.join(self.sweep, trial))
        # before the state is read: a failure meanwhile makes the launcher's claim fail
        os.environ[attempt.NEXT] = str(place.last() + 1)
        now, record = attempt.state(place)
        return now != "running" and wanted(place, now, record, self.since, int(self.record["max_requeues"]))

    def _launch(self, trial: str) -> int:
        """Run one trial through the site's script, and wait for its end; the launcher's exit status."""
        capsule = os.path.join(self.sweep, trial)
        place = attempt.Place(capsule)
        toml = os.path.join(capsule, trial.split("/")[0] + ".toml")
        script = os.path.join(self.folder, self.record["script"])
        command = [script, capsule, toml]
        if not self.record["calls_the_launcher"]:
            launcher = os.path.join(self.folder, "attempt.py")
            command = [sys.executable, "-ISB", launcher, "run", capsule, "--with", script]
        sys.stdout.flush()
        with attempt.Signals() as signals:
            try:
                child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
            except OSError as error:
                if error.errno not in (errno.ENOEXEC, errno.EACCES):
                    raise
                child = subprocess.Popen(["bash", *command], stdin=subprocess.DEVNULL)  # no #! line, or a noexec disk
            status = self._wait(child, place, signals)
        if status == attempt.REQUEUE and not self.stopped:
            self._requeue(place)
        return status

    def _wait(self, child: subprocess.Popen[bytes], place: attempt.Place, signals: attempt.Signals) -> int:
        """Wait for the site's script and the launcher that it started, and pass on what signals say meanwhile."""
        heeded = 0
        signal.signal(signal.SIGCHLD, lambda *_: None)  # else its end would not wake us
        while True:
            while heeded < len(signals.received):
                self._heed(signals.received[heeded], child, place)
                heeded += 1
            ended = child.poll() is not None
            if ended and not _launcher(place):
                break
            if signals.reader in select.select([signals.reader], [], [], LOOK if ended else None)[0]:
                os.read(signals.reader, 512)
        return child.returncode if child.returncode >= 0 else 128 - child.returncode

    def _heed(self, number: int, child: subprocess.Popen[bytes], place: attempt.Place) -> None:
        if number in attempt.Signals.STOP and number != signal.SIGHUP:
            self.stopped = True
        launcher = _launcher(place)
        passed = signal.SIGTERM if number in attempt.Signals.STOP else number
        with contextlib.suppress(ProcessLookupError):
            if launcher:
                os.kill(launcher, passed)
            elif passed == signal.SIGTERM:
                child.terminate()

    def _requeue(self, place: attempt.Place) -> None:
        """Let Slurm run this task again, since the training asked for it, unless it has asked too often."""
        times, limit = asked(place), self.record["max_requeues"]
        if times > limit:
            print("%s: asked to be run again, for the %dth time; max_requeues is %d" % (place.label, times, limit))
            return
        print("%s: asked to be run again; the job is requeued" % place.label, flush=True)
        print("%s: could not be requeued: %s; submit it again" % (place.label, requeue()))

    def _tidied(self, status: int) -> int:
        """Put what Slurm's own output file of this task holds with the attempt, or away when it says nothing new."""
        number = os.environ.get("SLURM_ARRAY_JOB_ID", os.environ.get("SLURM_JOB_ID", ""))
        if "SLURM_ARRAY_TASK_ID" in os.environ:
            number += "_" + os.environ["SLURM_ARRAY_TASK_ID"]
        place = attempt.Place(os.path.join(self.sweep, self.trials[self.line - 1]))
        path = os.path.join(place.root, *attempt.MODEL_ROOT, os.path.basename(self.sweep), ".slurm", number + ".txt")
        sys.stdout.flush()
        record = attempt.read_json(os.path.join(place.attempt(place.last()), attempt.RECORD))
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


def wanted(place: attempt.Place, now: str, record: attempt.Record, since: float, max_requeues: int) -> bool:
    """Whether a trial in the state `now`, which does not run, wants another attempt in a job submitted at `since`."""
    if now in ("finished", "pruned"):
        return False
    if now == "stopped" and record["exit_status"] == attempt.REQUEUE:
        return asked(place) <= max_requeues
    if now == "failed" or (now == "stopped" and not record["slurm"].get(attempt.ENDED_BY)):
        # it failed, or a person stopped it: not again in one submission. What ended with its job is taken up again.
        path = os.path.join(place.attempt(record["attempt"]), attempt.RECORD)
        return os.stat(path).st_mtime < since
    return True


def requeue() -> str:
    """Let Slurm run this job again, which ends this process; where it is still there, what Slurm has against that."""
    done = subprocess.run(
        ["scontrol", "requeue", os.environ["SLURM_JOB_ID"]],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if not done.returncode:
        time.sleep(REQUEUE_PATIENCE)
    return done.stderr.strip() or "Slurm did not end it"


def asked(place: attempt.Place) -> int:
    """How often the trial has asked to be run again."""
    paths = [os.path.join(place.attempt(number), attempt.RECORD) for number in range(1, place.last() + 1)]
    return sum(attempt.read_json(path).get("exit_status") == attempt.REQUEUE for path in paths)


def _launcher(place: attempt.Place) -> int:
    """The process that conducts an attempt of the trial in this very job, 0 when there is none here."""
    now, record = attempt.state(place)
    if now == "running" and _mine(record) and attempt.same_process(record["pid"], record["pid_start"]):
        return int(record["pid"])
    return 0


def _mine(record: attempt.Record) -> bool:
    """Whether an attempt was made by this job."""
    job = os.environ.get("SLURM_JOB_ID")
    return bool(job) and record.get("slurm", {}).get("SLURM_JOB_ID") == job


def main(arguments: list[str]) -> int:
    """The command line; the exit status."""
    if len(arguments) not in (2, 3):
        print("usage: task.py SUBMISSION LIST [LINE]", file=sys.stderr)
        return 2
    line = int(arguments[2] if len(arguments) == 3 else os.environ.get("SLURM_ARRAY_TASK_ID", "1"))
    return attempt.guarded(lambda: Task(arguments[0], arguments[1], line).run())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
