"""What was submitted: a directory for each submission, whose lists of trials never change once it is made.

config/generated/NAME/submissions/N/
    submission.json       what was asked for, and of how many trials each list is; `prints` of a list are the files
                          that [slurm] output and error name, as sbatch's patterns
    1.txt, 2.txt, ...     a trial a line; task i of the job of list 1 runs the trial on line i of 1.txt
    task.sh, attempt.py   what each task runs, and the launcher, which does the work. Tasks of a search, or of
                          trials that may be stopped early, are runners of the tool's own:
                          resweep run NAME --task N/LIST
    slurm-allennlp.sh     the site's script as it was
    jobs.jsonl            a line for every job that sbatch took
config/generated/NAME/submissions/.last     the highest N there was: a number is never used again

A job's id alone says little: `identity` has what is compared with Slurm's word before anything is done to a job.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from resweep import layout
from resweep.errors import TrialError, disk_errors
from resweep.layout import SweepPaths, TrialName
from resweep.slurm import identity
from resweep.slurm.identity import Identity
from resweep.slurm.queue import TaskName

Kind = Literal["array", "workers", "single", "canary"]
Runner = Literal["", "search", "list"]
RUNNERS: tuple[Runner, ...] = ("search", "list")  # what tasks work on that are runners of the tool's own

SUBMISSION = "submission.json"
JOBS = "jobs.jsonl"
TASK_SCRIPT = "task.sh"
LAST = ".last"
LOCK = ".lock"

_ID = re.compile(r"\d+")


@dataclass(frozen=True)
class Job:
    """A job that sbatch took: tasks `first` to `last` of a list, or without an array line `first` of it.

    `cluster` is one that sbatch named, which goes before the submission's; `submitted` is when it was noted.
    """

    id: str
    list: str
    first: int
    last: int
    array: bool
    cluster: str | None = field(default=None, compare=False)
    submitted: str | None = field(default=None, compare=False)

    @classmethod
    def read(cls, line: dict[str, Any]) -> Job | None:
        """From a line of jobs.jsonl. An id with lines of a wrapper's before it, as older versions noted it, is cut out.

        None where there is no id in it: the job is to be found in the queue.
        """
        answer = str(line["id"]).strip().splitlines()[-1:]
        id_ = answer[0].partition(";")[0] if answer else ""
        keys = ("list", "first", "last", "array", "cluster", "submitted")
        return cls(id=id_, **{key: line[key] for key in keys if key in line}) if _ID.fullmatch(id_) else None

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
    found: tuple[Job, ...] = ()  # in the queue, and not noted yet

    @property
    def number(self) -> int:
        """Which submission of its sweep, from 1."""
        return int(self.folder.name)

    @property
    def cluster(self) -> str | None:
        """The cluster that it was submitted to; None where older versions did not note it."""
        return self.record.get("cluster")

    def cluster_of(self, job: Job) -> str | None:
        """The cluster of one of its jobs."""
        return job.cluster or self.cluster

    @property
    def identity(self) -> Identity:
        """What tells its jobs from all others."""
        start = self.record.get("command") or [str(self.folder / TASK_SCRIPT), str(self.folder)]
        return Identity(
            uid=str(self.record.get("uid", "")),
            created=identity.moment(self.record.get("created")),
            tag=self.record.get("comment") or "",
            start=" ".join(start),
        )

    @property
    def user(self) -> str:
        """Who submitted it."""
        return str(self.record.get("user", "")) or identity.user()[1]

    def kind(self, job: Job) -> Kind:
        """How the job was meant to run its list."""
        kind: Kind = self.record["lists"][job.list]["kind"]
        return kind

    def searches(self, job: Job) -> bool:
        """Whether its tasks are workers of a search, which has no list."""
        return bool(self.record["lists"][job.list].get("runner") == "search")

    def patterns(self, job: Job) -> tuple[str, ...]:
        """Where a person's own --output and --error let Slurm write what the job's tasks print."""
        return tuple(self.record["lists"][job.list].get("prints", ()))

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
        """The jobs that sbatch took, in order; then those that were found in the queue."""
        noted = [job for job in (Job.read(line) for line in self._lines if "id" in line) if job]
        known = {job.id for job in noted}
        return noted + [job for job in self.found if job.id not in known]

    @property
    def complete(self) -> bool:
        """Whether all was written down: without it, a job may have been submitted that no line tells of."""
        if not all(Job.read(line) for line in self._lines if "id" in line):  # an older version took it for an id
            return any("searched" in line for line in self._lines)
        return any("complete" in line for line in self._lines)

    @property
    def lost(self) -> dict[str, Any]:
        """What was noted when sbatch last gave no answer: `lost`, why, and its `time`; empty when it always did."""
        return next((line for line in reversed(self._lines) if "lost" in line), {})

    @property
    def moved(self) -> float | None:
        """When it was last worked on, as far as it says: seconds since 1970."""
        times = (line.get("time") or line.get("submitted") for line in self._lines)
        return max(filter(None, map(identity.moment, [self.record.get("created"), *times])), default=None)

    def with_found(self, jobs: Iterable[Job]) -> Submission:
        """The same, with jobs that were found in the queue."""
        return replace(self, found=tuple(jobs))

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
            if record["format"] != layout.FORMAT:
                raise ValueError(f"format {record['format']}, expected {layout.FORMAT}: made by another version")
        except (OSError, ValueError, KeyError) as error:
            raise TrialError(f"{folder / SUBMISSION}: cannot be read ({error})") from None
        found.append(Submission(folder, record))
    return found


def _number(path: Path) -> int:
    return int(path.name)


def next_number(paths: SweepPaths) -> int:
    """The number of the next submission: none is used twice, not even that of one that is gone."""
    numbers = [_number(path) for path in paths.submissions.glob("[1-9]*") if path.name.isdigit()]
    with contextlib.suppress(OSError, ValueError):
        numbers.append(int((paths.submissions / LAST).read_text("ascii")))
    return max(numbers, default=0) + 1


def use_number(paths: SweepPaths, number: int) -> None:
    """Write down that a number is used, before its directory appears."""
    part = paths.submissions / f"{LAST}.{os.getpid()}.part"
    with open(part, "w", encoding="ascii") as file:
        file.write(f"{number}\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(paths.submissions / LAST)


@contextlib.contextmanager
def locked(paths: SweepPaths) -> Iterator[None]:
    """One submission of the sweep at a time: the next one sees what this one has submitted."""
    with disk_errors(paths.directory):
        paths.submissions.mkdir(exist_ok=True)
        with open(paths.submissions / LOCK, "a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def under_way(paths: SweepPaths) -> bool:
    """Whether somebody submits trials of the sweep just now, as far as the lock can be seen from here."""
    try:
        with open(paths.submissions / LOCK, encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@dataclass(frozen=True)
class Assigned:
    """The task that was to run a trial, and where Slurm keeps what the task itself prints."""

    task: TaskName
    output: Path  # by default; it moves to the attempt when that ends
    patterns: tuple[str, ...] = ()  # what a person asks for in place of that
    submission: int = 0
    cluster: str | None = None

    def outputs(self, number: str = "", node: str = "") -> list[Path]:
        """The files there are with what the task printed; `number` and `node` are those of Slurm's that are known."""
        return outputs(self.task, self.output, self.patterns, number, node)


def outputs(task: TaskName, own: Path, patterns: Iterable[str], number: str = "", node: str = "") -> list[Path]:
    """The files there are with what a task printed: `own`, and those that sbatch makes of patterns."""
    found = [own] if own.is_file() else []
    job, index = task
    known = {"A": job, "j": number or (job if index is None else ""), "a": "" if index is None else str(index)}
    known |= {"N": node, "n": "0", "t": "0", "s": "batch"}
    for pattern in patterns:
        names = glob.glob(_filled(pattern, known))
        if len(names) == 1 and os.path.isfile(names[0]):  # with a number that nobody knows it may be another task's
            found.append(Path(names[0]))
    return found


def _filled(pattern: str, known: dict[str, str]) -> str:
    """A file name as sbatch makes it of a pattern, with a `*` for what is not known, for glob."""

    def fill(match: re.Match[str]) -> str:
        width, letter = match.groups()
        if letter == "%":
            return "%"
        value = known.get(letter, "")
        return value.zfill(int(width or 0)) if value.isdigit() else glob.escape(value) or "*"

    pieces = re.split(r"(%\d*[A-Za-z%])", pattern)
    whole = re.compile(r"%(\d*)([A-Za-z%])")
    return "".join(whole.sub(fill, each) if whole.fullmatch(each) else glob.escape(each) for each in pieces)


def assigned(paths: SweepPaths, submissions: list[Submission]) -> dict[TrialName, list[Assigned]]:
    """The tasks that each trial was given to, the latest last; a worker's trials are nobody's before it runs them."""
    found: dict[TrialName, list[Assigned]] = {}
    for submission in submissions:
        lists: dict[str, list[TrialName]] = {}
        for job in submission.jobs:
            if submission.kind(job) == "workers" or submission.searches(job):
                continue
            if job.list not in lists:
                lists[job.list] = submission.trials(job.list)
            trials, patterns = lists[job.list], submission.patterns(job)
            for line in range(job.first, job.last + 1):
                task = job.task(line)
                number, cluster = submission.number, submission.cluster_of(job)
                one = Assigned(task, output(paths, task), patterns, number, cluster)
                found.setdefault(trials[line - 1], []).append(one)
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


def prints(options: Mapping[str, Any], root: Path) -> list[str]:
    """The patterns of the files that a person's options of sbatch name, as absolute paths."""
    # sbatch replaces nothing in --chdir
    folder = os.path.join(str(root), str(options.get("chdir", ""))).replace("%", "%%")
    given = (str(options.get(key, "")) for key in ("output", "error"))
    return [os.path.join(folder, each) for each in given if each and each != os.devnull]


def output_pattern(paths: SweepPaths, array: bool) -> str:
    """The same as sbatch's --output, which fills in the numbers."""
    folder = str(paths.slurm_output).replace("%", "%%")
    return f"{folder}/%A_%a.txt" if array else f"{folder}/%j.txt"
