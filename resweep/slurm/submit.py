"""A draft -> jobs of Slurm's.

What is to run stands in a directory that is written before Slurm hears of it, and never changes; every job that sbatch
takes is written down at once. So generating again remaps nothing, and a crash loses no job.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resweep import attempt, launcher, task, trial
from resweep.errors import SlurmError, disk_errors
from resweep.slurm import commands, ledger, limits, queue, script
from resweep.slurm.batches import Batch
from resweep.slurm.draft import Draft
from resweep.slurm.ledger import Submission
from resweep.trial import SweepPaths

TASK = "task.py"


@dataclass
class Submitted:
    """What Slurm took: jobs with their numbers of tasks; what is left, and why."""

    draft: Draft
    jobs: list[tuple[Batch, str, int]] = field(default_factory=list)
    left: int = 0
    reason: SlurmError | None = None

    @property
    def tasks(self) -> int:
        """How many tasks there are in all."""
        return sum(count for _, _, count in self.jobs)


@contextmanager
def locked(paths: SweepPaths) -> Iterator[None]:
    """One submission of the sweep at a time: the next one sees what this one has submitted."""
    with disk_errors(paths.directory):
        paths.submissions.mkdir(exist_ok=True)
        with open(paths.submissions / ".lock", "a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def submit(planned: Draft, told: Callable[[Batch, str, int], None] = lambda *_: None) -> Submitted:
    """Submit what was worked out; the caller holds the lock. What Slurm refuses is in the result, with its reason."""
    with disk_errors(planned.folder):
        submission = _write(planned)
    done = Submitted(planned)
    rooms: dict[tuple[str, str], int | None] = {}
    space = limits.space(planned.limits, sum(batch.tasks for batch in planned.batches))
    after: list[str] = []
    try:
        for batch in planned.batches:
            options = planned.options(batch)
            whose = str(options.get("qos", "")), str(options.get("account", ""))
            if whose not in rooms:
                rooms[whose] = limits.room(planned.limits, *whose)
            known = [rooms[whose], None if space is None else space - done.tasks]
            room = min((each for each in known if each is not None), default=None)
            for job, first, last in _submit_batch(planned, batch, after, room):
                array = batch.kind in ("array", "workers")
                submission.note(id=job, list=batch.name, first=first, last=last, array=array)
                done.jobs.append((batch, job, last - first + 1))
                told(batch, job, last - first + 1)
                if (left := rooms[whose]) is not None:
                    rooms[whose] = left - (last - first + 1)
            after = _after(batch, done, after)
    except _LimitError as error:
        done.reason = error.__cause__ if isinstance(error.__cause__, SlurmError) else None
    except SlurmError as error:
        done.reason = error
        if not done.jobs:
            shutil.rmtree(planned.folder)
            raise
    submission.note(complete=True)
    done.left = sum(batch.tasks for batch in planned.batches) - done.tasks
    return done


class _LimitError(Exception):
    """The user may have no more jobs now."""


def _after(batch: Batch, done: Submitted, before: list[str]) -> list[str]:
    """What the next job has to wait for: the canary; and with a throttle the job before, since it holds for all."""
    canary = [word for word in before if word.startswith("afterok")]
    if batch.kind == "canary":
        return [f"afterok:{done.jobs[-1][1]}"]
    if batch.resources.parallel and batch.kind != "single":
        return [*canary, f"afterany:{done.jobs[-1][1]}"]
    return canary


def _submit_batch(
    planned: Draft, batch: Batch, after: Sequence[str], room: int | None
) -> Iterator[tuple[str, int, int]]:
    """Submit a batch, and yield each job with the lines that it runs. Raises _LimitError when there is no more room."""
    if batch.kind == "single":
        for line in range(1, batch.tasks + 1):
            if room is not None and line > room:
                raise _LimitError
            yield _sbatch(planned.command(batch, 1, line, after), planned.paths.root), line, line
        return
    count = batch.tasks if room is None else min(batch.tasks, room)
    while count:
        try:
            job = _sbatch(planned.command(batch, count, 0, after), planned.paths.root)
        except _LimitError as error:
            if count == 1 or commands.FULL in str(error.__cause__):
                raise
            count //= 2
            continue
        yield job, 1, count
        break
    if count < batch.tasks:
        raise _LimitError


def _sbatch(command: list[str], root: Path) -> str:
    try:
        return commands.call(*command, cwd=root).strip().partition(";")[0]
    except SlurmError as error:
        if commands.submit_limit(error):
            raise _LimitError from error
        raise


def _write(planned: Draft) -> Submission:
    """Write the submission's directory, whole, before Slurm hears of it."""
    paths = planned.paths
    paths.slurm_output.mkdir(parents=True, exist_ok=True)
    part = paths.submissions / f".new-{os.getpid()}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    first = planned.batches[0].resources
    record = {
        "format": trial.FORMAT,
        "sweep": paths.name,
        "created": attempt.now(),
        "host": socket.gethostname(),
        "user": getpass.getuser(),
        "profile": planned.wish.profile,
        "extra": list(planned.wish.extra),
        "script": planned.site.path.name,
        "calls_the_launcher": planned.site.calls_the_launcher,
        "max_requeues": first.max_requeues,
        "lists": {batch.name: batch.record() for batch in planned.batches},
    }
    files = {
        ledger.SUBMISSION: (json.dumps(record, indent=2, sort_keys=True, default=str) + "\n").encode(),
        ledger.TASK_SCRIPT: planned.task_script.encode(errors="surrogateescape"),
        TASK: Path(task.__file__).read_bytes(),
        script.LAUNCHER: launcher.text().encode(),
        planned.site.path.name: planned.site.data,
        **{f"{batch.name}.txt": "".join(f"{e.name}\n" for e in batch.trials).encode() for batch in planned.batches},
    }
    for name, data in files.items():
        with open(part / name, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        (part / name).chmod(0o555 if name in (ledger.TASK_SCRIPT, planned.site.path.name) else 0o444)
    part.rename(planned.folder)
    return Submission(planned.folder, json.loads(files[ledger.SUBMISSION]))


def recover(paths: SweepPaths) -> list[str]:
    """Find the jobs of a submission that was killed between sbatch and its note; the caller holds the lock."""
    found = []
    for submission in ledger.read(paths):
        if submission.complete:
            continue
        for job in _unnoted(submission):
            submission.note(**job)
            found.append(f"job {job['id']} of submission {submission.number} was not noted; found in the queue")
        submission.note(complete=True)
    return found


def _unnoted(submission: Submission) -> list[dict[str, Any]]:
    """The jobs in the queue that run a submission's task.sh, and stand in no line of it."""
    start = str(submission.folder / ledger.TASK_SCRIPT)
    text = commands.call("squeue", "-h", "--states=all", f"--user={getpass.getuser()}", "-o", "%F|%K|%o")
    known = {job.id for job in submission.jobs}
    jobs: dict[str, dict[str, Any]] = {}
    for line in text.splitlines():
        job, indices, command = (*line.split("|", 2), "", "")[:3]
        if not command.startswith(start) or job in known:
            continue
        name, *rest = command.removeprefix(f"{start} {submission.folder} ").split(" ")
        tasks = list(queue.numbers(indices)) or [int(rest[0]) if rest else 1]
        each = jobs.setdefault(job, {"id": job, "list": name, "first": 1, "last": 1, "array": indices != "N/A"})
        each["last"] = max(each["last"], *tasks)
        each["first"] = each["first"] if each["array"] else each["last"]
    return list(jobs.values())
