"""Jobs that no line of the ledger tells of: sbatch gave no answer, or whoever called it was killed. The queue has them.

A submission is complete when all that sbatch was asked is known. For one that is not, the queue is searched for jobs of
its identity: by `status` and `stop`, and by `submit`, which also notes them.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from resweep.launcher import storage
from resweep.layout import SweepPaths, TrialName
from resweep.slurm import commands, identity, ledger, queue
from resweep.slurm.ledger import Job, Submission
from resweep.slurm.queue import Task, TaskName

# After so many seconds no job appears any more: a full controller lets sbatch try for two minutes.
LATEST = 180.0


@dataclass(frozen=True)
class Recovered:
    """The sweep's submissions with what the queue has of them, and those of which more may come."""

    submissions: list[Submission]
    open: list[Submission] = field(default_factory=list)
    cluster: str = ""  # whose queue was searched

    def why(self) -> list[str]:
        """What is not certain about those, a line each."""
        return [why(each, self.cluster) for each in self.open]

    def trials(self) -> dict[TrialName, Submission]:
        """The trials that may have been submitted, without a job that anybody has seen."""
        found: dict[TrialName, Submission] = {}
        for submission in self.open:
            for name, lines in missing(submission).items():
                trials = submission.trials(name)
                found |= {trials[line - 1]: submission for line in lines if trials}
        return found

    def searchers(self) -> int:
        """How many workers of a search may have been submitted, without a job that anybody has seen."""
        lists = [(each.record["lists"][name], lines) for each in self.open for name, lines in missing(each).items()]
        return sum(len(lines) for one, lines in lists if one.get("runner") == "search")


def missing(submission: Submission) -> dict[str, list[int]]:
    """The lists of which nobody has seen a job, with the lines, or for a search the tasks, that it would run."""
    seen: dict[str, set[int]] = {}
    for job in submission.jobs:
        seen.setdefault(job.list, set()).update(range(job.first, job.last + 1))
    found = {}
    for name, one in submission.record["lists"].items():
        lines = range(1, (one["trials"] or one["tasks"]) + 1)
        if one["kind"] == "single":
            found[name] = [line for line in lines if line not in seen.get(name, set())]
        elif name not in seen:  # one job is all that is ever asked for it
            found[name] = list(lines)
    return {name: lines for name, lines in found.items() if lines}


def look(
    submissions: Sequence[Submission], cluster: str, whole: bool = False, patience: float = commands.PATIENCE
) -> Recovered:
    """Search the queue of `cluster`, which Slurm's commands ask, for jobs of submissions that are not complete.

    With `whole` of all of its submissions. Of one of another cluster nothing can be said from here.
    Raises SlurmError when Slurm does not answer within `patience` seconds.
    """
    end = time.monotonic() + patience
    searched = [each for each in submissions if (whole or not each.complete) and each.cluster in (None, cluster)]
    users = dict.fromkeys(each.identity.uid or each.user for each in searched)
    tasks = [one for user in users for one in queue.squeue(f"--user={user}", patience=end - time.monotonic())]
    with_found = {each.number: each.with_found(jobs(each, tasks)) for each in searched}
    now = [with_found.get(each.number, each) for each in submissions]
    doubtful = [each for each in now if not each.complete and missing(each)]
    may_come = [each for each in doubtful if each.number not in with_found or until(each) > time.time()]
    return Recovered(now, may_come, cluster)


def note(paths: SweepPaths) -> list[str]:
    """Write down what the queue has of submissions that are not complete; the caller holds the lock."""
    submissions = ledger.read(paths)
    if all(each.complete for each in submissions):
        return []
    said = []
    recovered = look(submissions, identity.cluster())
    for submission in recovered.submissions:
        if not submission.complete:
            with contextlib.suppress(PermissionError):  # another user's: theirs to note, ours to find again
                said += _note(submission, submission in recovered.open)
    return said


def _note(submission: Submission, may_come: bool) -> list[str]:
    said = []
    noted = {job.id for job in Submission(submission.folder, submission.record).jobs}
    for job in submission.jobs:
        if job.id not in noted:
            add(submission, job)
            said.append(f"job {job.id} of submission {submission.number} was not noted; found in the queue")
    if not may_come:
        submission.note(complete=True, searched=True)
    return said


def add(submission: Submission, job: Job) -> None:
    """Write down a job of a submission."""
    own = {key: value for key, value in (("cluster", job.cluster), ("submitted", job.submitted)) if value}
    submission.note(id=job.id, list=job.list, first=job.first, last=job.last, array=job.array, **own)


def until(submission: Submission) -> float:
    """Until when a job of a submission may appear in the queue that nobody has seen yet: seconds since 1970."""
    return (submission.moved or 0.0) + LATEST


def why(submission: Submission, cluster: str) -> str:
    """What is not certain about a submission, and until when, for people on this cluster."""
    if submission.cluster not in (None, cluster):
        return (
            f"submission {submission.number}, on the cluster {submission.cluster}: whether Slurm took all of it is open"
        )
    clock = datetime.fromtimestamp(until(submission)).strftime("%H:%M:%S")
    lost = submission.lost.get("lost") or "whoever submitted it was killed"
    return f"submission {submission.number}: Slurm may take it until {clock} ({lost})"


def jobs(submission: Submission, tasks: Iterable[tuple[TaskName, Task]]) -> list[Job]:
    """The submission's jobs among these tasks, that no line of its ledger tells of."""
    own, known = submission.identity, {job.id for job in submission.jobs}
    found: dict[str, Job] = {}
    for (id_, number), task in tasks:
        refused = task.state == "FAILED" and not task.node  # Slurm keeps what it did not take for a while
        if id_ in known or refused or own.contradiction(task.seen):
            continue
        name, line = _list(submission, task)
        if name is None:
            continue
        index = number if number is not None else line or 1
        earlier = found.get(id_)
        found[id_] = Job(
            id=id_,
            list=name,
            first=1 if number is not None else index,
            last=max(earlier.last if earlier else 1, index) if number is not None else index,
            array=number is not None,
            submitted=storage.now(),
        )
    return list(found.values())


def _list(submission: Submission, task: Task) -> tuple[str | None, int]:
    """Which list a job runs, and which line of it, 0 where it runs all: by its comment, else by its command."""
    own = submission.identity
    for word in task.seen.comment.split():
        if own.tag and identity.belongs(word, own.tag):
            rest = word.removeprefix(own.tag).lstrip(":").split(":")
            break
    else:
        rest = f" {task.seen.command} ".partition(f" {own.start} ")[2].split()
    if not rest or rest[0] not in submission.record["lists"]:
        return None, 0
    return rest[0], int(rest[1]) if len(rest) > 1 and re.fullmatch(r"\d+", rest[1]) else 0
