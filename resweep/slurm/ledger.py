"""What was submitted: a directory for each submission, whose lists of trials never change once it is made.

config/generated/NAME/submissions/N/
    submission.json       what was asked for, and of how many trials each list is
    1.txt, 2.txt, ...     a trial a line; task i of the job of list 1 runs the trial on line i of 1.txt
    task.sh, task.py      what each task runs; attempt.py, the launcher. Those of a search, or of trials that may be
                          stopped early, are runners of the tool's own: resweep run NAME --task N/LIST
    slurm-allennlp.sh     the site's script as it was
    jobs.jsonl            a line for every job that sbatch took
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from resweep import trial
from resweep.errors import TrialError
from resweep.slurm.queue import TaskName
from resweep.trial import SweepPaths, TrialName

Kind = Literal["array", "workers", "single", "canary"]
Runner = Literal["", "search", "list"]
RUNNERS: tuple[Runner, ...] = ("search", "list")  # what tasks work on that are runners of the tool's own

SUBMISSION = "submission.json"
JOBS = "jobs.jsonl"
TASK_SCRIPT = "task.sh"


@dataclass(frozen=True)
class Job:
    """A job that sbatch took: tasks `first` to `last` of a list, or without an array line `first` of it."""

    id: str
    list: str
    first: int
    last: int
    array: bool

    def task(self, line: int) -> TaskName:
        """Slurm's name of the task that runs a line of the list."""
        return self.id, line if self.array else None

    def tasks(self) -> Iterator[TaskName]:
        """The names of all its tasks."""
        return (self.task(line) for line in range(self.first, self.last + 1))


@dataclass(frozen=True)
class Submission:
    """One submission, as its directory says."""

    folder: Path
    record: dict[str, Any]

    @property
    def number(self) -> int:
        """Which submission of its sweep, from 1."""
        return int(self.folder.name)

    def kind(self, job: Job) -> Kind:
        """How the job was meant to run its list."""
        kind: Kind = self.record["lists"][job.list]["kind"]
        return kind

    def searches(self, job: Job) -> bool:
        """Whether its tasks are workers of a search, which has no list."""
        return bool(self.record["lists"][job.list].get("runner") == "search")

    @cached_property
    def _lines(self) -> list[dict[str, Any]]:
        try:
            lines = (self.folder / JOBS).read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):  # one that a crash tore: its job is found in the queue
                found.append(json.loads(line))
        return found

    @cached_property
    def jobs(self) -> list[Job]:
        """The jobs that sbatch took, in order."""
        return [Job(**line) for line in self._lines if "id" in line]

    @property
    def complete(self) -> bool:
        """Whether all was written down: without it, a job may have been submitted that no line tells of."""
        return any("complete" in line for line in self._lines)

    def trials(self, name: str) -> list[TrialName]:
        """The trials of a list."""
        words = (line.split("/") for line in (self.folder / f"{name}.txt").read_text("ascii").split())
        return [TrialName(id_, int(number)) for id_, number in words]

    def note(self, **line: object) -> None:
        """Write down, past the disk's cache, what has just been done."""
        with open(self.folder / JOBS, "ab+") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
            torn = file.read(1) not in (b"", b"\n")
            file.write(b"\n" * torn + json.dumps(line, sort_keys=True).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.__dict__.pop("_lines", None)
        self.__dict__.pop("jobs", None)


def read(paths: SweepPaths) -> list[Submission]:
    """The sweep's submissions, the first one first."""
    folders = sorted((path for path in paths.submissions.glob("[1-9]*") if path.name.isdigit()), key=_number)
    found = []
    for folder in folders:
        try:
            record = json.loads((folder / SUBMISSION).read_text("utf-8"))
            if record["format"] != trial.FORMAT:
                raise ValueError(f"format {record['format']}, expected {trial.FORMAT}: made by another version")
        except (OSError, ValueError, KeyError) as error:
            raise TrialError(f"{folder / SUBMISSION}: cannot be read ({error})") from None
        found.append(Submission(folder, record))
    return found


def _number(path: Path) -> int:
    return int(path.name)


@dataclass(frozen=True)
class Assigned:
    """The task that was to run a trial, and the file in which Slurm keeps what the task itself prints."""

    task: TaskName
    output: Path


def assigned(paths: SweepPaths, submissions: list[Submission]) -> dict[TrialName, Assigned]:
    """The latest task of each trial that was submitted; a worker's trials are nobody's before it runs them."""
    found: dict[TrialName, Assigned] = {}
    for submission in submissions:
        lists: dict[str, list[TrialName]] = {}
        for job in submission.jobs:
            if submission.kind(job) == "workers" or submission.searches(job):
                continue
            if job.list not in lists:
                lists[job.list] = submission.trials(job.list)
            trials = lists[job.list]
            for line in range(job.first, job.last + 1):
                task = job.task(line)
                found[trials[line - 1]] = Assigned(task, output(paths, task))
    return found


def workers(submissions: list[Submission]) -> list[tuple[Submission, Job]]:
    """The jobs whose tasks drain their lists together, or work for a search."""
    return [
        (each, job) for each in submissions for job in each.jobs if each.kind(job) == "workers" or each.searches(job)
    ]


def output(paths: SweepPaths, task: TaskName) -> Path:
    """Where Slurm writes what a task prints."""
    job, index = task
    return paths.slurm_output / (f"{job}.txt" if index is None else f"{job}_{index}.txt")


def output_pattern(paths: SweepPaths, array: bool) -> str:
    """The same as sbatch's --output, which fills in the numbers."""
    folder = str(paths.slurm_output).replace("%", "%%")
    return f"{folder}/%A_%a.txt" if array else f"{folder}/%j.txt"
