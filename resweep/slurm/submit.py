"""A draft -> jobs of Slurm's.

What is to run stands in a directory that is written before Slurm hears of it, and never changes; every job that sbatch
takes is written down at once. So generating again remaps nothing, and a crash loses no job.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from resweep import layout
from resweep.errors import SlurmError, disk_errors
from resweep.launcher import bundle, storage
from resweep.slurm import commands, identity, ledger, limits, recover, sbatch, script
from resweep.slurm.batches import Batch
from resweep.slurm.draft import Draft
from resweep.slurm.ledger import Job, Submission
from resweep.slurm.sbatch import Answer, Interrupted, LostError

LOOKS = (0.0, 1.0, 3.0)  # seconds before each look for a job whose id got lost, where it may come late


@dataclass
class Submitted:
    """What Slurm took: jobs with their numbers of tasks; what is left, and why."""

    draft: Draft
    jobs: list[tuple[Batch, str, int]] = field(default_factory=list)
    left: int = 0
    reason: SlurmError | None = None
    unsure: str = ""  # what is not certain, where sbatch gave no answer
    interrupted: bool = False

    @property
    def tasks(self) -> int:
        """How many tasks there are in all."""
        return sum(count for _, _, count in self.jobs)


def submit(planned: Draft, told: Callable[[Batch, str, int], None] = lambda *_: None) -> Submitted:
    """Submit what was worked out; the caller holds the lock. What Slurm refuses is in the result, with its reason.

    A submission that was refused whole leaves nothing behind; one of which nobody can know is kept.
    """
    done = Submitted(planned)
    with sbatch.held() as interrupted:
        with disk_errors(planned.folder):
            submission = _write(planned)
        try:
            _submit_batches(planned, submission, done, told, interrupted)
        except _LimitError as error:
            done.reason = error.__cause__ if isinstance(error.__cause__, SlurmError) else None
        except LostError as error:
            submission.note(lost=str(error), time=storage.now())
            done.unsure = recover.why(submission, planned.cluster)
        except SlurmError as error:
            done.reason = error
            if not done.jobs:
                shutil.rmtree(planned.folder)
                raise
        done.left = sum(batch.tasks for batch in planned.batches) - done.tasks
        done.interrupted = bool(interrupted) and done.left > 0
        if not done.unsure:
            submission.note(complete=True)
        if not done.jobs and not done.unsure:
            shutil.rmtree(planned.folder)
    return done


def _submit_batches(
    planned: Draft,
    submission: Submission,
    done: Submitted,
    told: Callable[[Batch, str, int], None],
    interrupted: Interrupted,
) -> None:
    rooms: dict[tuple[str, str], int | None] = {}
    space = limits.space(planned.limits, sum(batch.tasks for batch in planned.batches))
    after: list[str] = []
    for batch in planned.batches:
        options = planned.options(batch)
        whose = str(options.get("qos", "")), str(options.get("account", ""))
        if whose not in rooms:
            rooms[whose] = limits.room(planned.limits, *whose)
        known = [rooms[whose], None if space is None else space - done.tasks]
        room = min((each for each in known if each is not None), default=None)
        for job in _submit_batch(_Call(planned, submission, batch, after or planned.first(batch), interrupted), room):
            recover.add(submission, job)
            count = job.last - job.first + 1
            done.jobs.append((batch, job.id, count))
            told(batch, job.id, count)
            if (left := rooms[whose]) is not None:
                rooms[whose] = left - count
            if interrupted:
                return
        after = _after(batch, done, after)


class _LimitError(Exception):
    """The user may have no more jobs now."""


def _submit_batch(call: _Call, room: int | None) -> Iterator[Job]:
    """Submit a batch, and yield each job with the lines that it runs. Raises _LimitError when there is no more room."""
    batch = call.batch
    if batch.kind == "single":
        for line in range(1, batch.tasks + 1):
            if room is not None and line > room:
                raise _LimitError
            yield call.job(1, line)
        return
    count = batch.tasks if room is None else min(batch.tasks, room)
    while count:
        try:
            job = call.job(count)
        except _LimitError as error:
            if count == 1 or commands.FULL in str(error.__cause__):
                raise
            count //= 2
            continue
        yield job
        break
    if count < batch.tasks:
        raise _LimitError


def _after(batch: Batch, done: Submitted, before: list[str]) -> list[str]:
    """What the next job has to wait for: the canary; and with a throttle the job before, since it holds for all."""
    canary = [word for word in before if word.startswith("afterok")]
    if batch.kind == "canary":
        return [f"afterok:{done.jobs[-1][1]}"]
    if batch.resources.parallel and batch.kind != "single":
        return [*canary, f"afterany:{done.jobs[-1][1]}"]
    return canary


@dataclass(frozen=True)
class _Call:
    """What the calls of sbatch for one batch have in common."""

    planned: Draft
    submission: Submission
    batch: Batch
    after: Sequence[str]
    interrupted: Interrupted

    def job(self, count: int, line: int = 0) -> Job:
        """Submit the first `count` tasks, or one line: the job. Raises _LimitError where there is no more room."""
        command = self.planned.command(self.batch, count, line, self.after)
        array = self.batch.kind in ("array", "workers")
        try:
            answer = sbatch.call(command, self.planned.paths.root, lambda: bool(self.interrupted))
        except LostError as error:
            answer = self._search(error, line)
        except SlurmError as error:
            if commands.submit_limit(error):
                raise _LimitError from error
            raise
        first, last = (line, line) if line else (1, count)
        cluster = answer.cluster if answer.cluster != self.submission.cluster else None
        return Job(answer.id, self.batch.name, first, last, array, cluster, storage.now())

    def _search(self, error: LostError, line: int) -> Answer:
        """The job in the queue for which sbatch gave no answer. Where there is none, what that means."""
        for seconds in LOOKS if error.late else LOOKS[:1]:
            time.sleep(seconds)
            try:
                found = recover.look([self.submission], self.planned.cluster).submissions[0].jobs
            except SlurmError:
                raise error from None
            for job in found:
                if job not in self.submission.jobs and job.list == self.batch.name and line in (0, job.first):
                    return Answer(job.id)
        if error.late:
            raise error
        if commands.submit_limit(error):
            raise _LimitError from error
        raise SlurmError(str(error)) from None


def _write(planned: Draft) -> Submission:
    """Write the submission's directory, whole, before Slurm hears of it."""
    paths = planned.paths
    paths.slurm_output.mkdir(parents=True, exist_ok=True)
    part = paths.submissions / f".new-{os.getpid()}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    first = planned.batches[0].resources
    uid, user = identity.user()
    record = {
        "format": layout.FORMAT,
        "sweep": paths.name,
        "created": storage.now(),
        "host": socket.gethostname(),
        "cluster": planned.cluster,
        "uid": uid,
        "user": user,
        "comment": planned.tag,
        "command": [str(planned.folder / ledger.TASK_SCRIPT), str(planned.folder)],
        "profile": planned.wish.profile,
        "extra": list(planned.wish.extra),
        "script": planned.site.path.name,
        "calls_the_launcher": planned.site.calls_the_launcher,
        "max_requeues": first.max_requeues,
        "leave_node_after": first.leave_node_after,
        "kill_wait": planned.limits.kill_wait,
        "lists": {batch.name: _list(planned, batch) for batch in planned.batches},
    }
    files = {
        ledger.SUBMISSION: (json.dumps(record, indent=2, sort_keys=True, default=str) + "\n").encode(),
        ledger.TASK_SCRIPT: planned.task_script.encode(errors="surrogateescape"),
        script.LAUNCHER: bundle.text().encode(),
        planned.site.path.name: planned.site.data,
        **{f"{batch.name}.txt": "".join(f"{e.name}\n" for e in batch.trials).encode() for batch in planned.batches},
    }
    for name, data in files.items():
        with open(part / name, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        (part / name).chmod(0o555 if name in (ledger.TASK_SCRIPT, planned.site.path.name) else 0o444)
    ledger.use_number(paths, int(planned.folder.name))
    part.rename(planned.folder)
    return Submission(planned.folder, json.loads(files[ledger.SUBMISSION]))


def _list(planned: Draft, batch: Batch) -> dict[str, Any]:
    """A list, as the submission's file holds it."""
    options = planned.options(batch)
    prints = ledger.prints(options, planned.paths.root)
    return {
        **batch.record(),
        "grace_time": limits.grace_time(planned.limits, str(options.get("partition", ""))),
        **({"prints": prints} if prints else {}),
    }
