"""A job or a task of Slurm's -> the trials that it was submitted for, or ran: `841_17`, as squeue shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from resweep import index
from resweep.errors import TrialError
from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.run import status
from resweep.slurm import ledger, states
from resweep.slurm.ledger import Job, Submission
from resweep.slurm.queue import TaskName

_TASK = re.compile(r"([0-9]+)(?:_([0-9]+))?")


def is_task(text: str) -> bool:
    """Whether a text can only be a task of an array; a number alone may also begin a trial's id."""
    return "_" in text and bool(_TASK.fullmatch(text))


def find(root: Path, text: str) -> tuple[SweepPaths, list[Entry]] | None:
    """The trials of a job or a task, of a worker the one that it ran last; None where the text is no number.

    Raises TrialError where no sweep of the project has submitted such a job. Of several, after Slurm began to count
    anew, the latest counts.
    """
    match = _TASK.fullmatch(text)
    if not match:
        return None
    found: list[tuple[str, SweepPaths, list[Entry]]] = []
    for paths in index.sweeps(root):
        for submission, job in _jobs(paths, match[1]):
            line = int(match[2]) if match[2] else None
            if (line is None or (job.array and job.first <= line <= job.last)) and (
                entries := _trials(paths, submission, job, line)
            ):
                found.append((str(submission.record.get("created", "")), paths, entries))
    if not found:
        raise TrialError(f"{text}: no sweep here has submitted such a job, or it has run no trial yet")
    _, paths, entries = max(found, key=lambda each: each[0])
    return paths, entries


def _jobs(paths: SweepPaths, job_id: str) -> Iterator[tuple[Submission, Job]]:
    if paths.submissions.is_dir():
        yield from ((each, job) for each in ledger.read(paths) for job in each.jobs if job.id == job_id)


def _trials(paths: SweepPaths, submission: Submission, job: Job, line: int | None) -> list[Entry]:
    known = index.read(paths).entries
    if submission.searches(job) or submission.kind(job) == "workers":
        tasks: set[TaskName] = {job.task(line)} if line else set(job.tasks())
        ran = [each for each in status.survey(paths, known) if states.of_record(each) in tasks]
        return [max(ran, key=lambda each: str(each.record.get("started"))).entry] if ran else []
    names = submission.trials(job.list)[(line or job.first) - 1 : line or job.last]
    return [entry for entry in known if entry.name in names]
