"""What Slurm says of tasks: squeue for those that it remembers, sacct for those before, a call each for thousands."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from resweep.errors import SlurmError
from resweep.slurm import commands
from resweep.slurm.identity import Seen

# a job has not ended in these, and in ACTIVE it holds its node
PENDING = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"})
ACTIVE = frozenset(
    {"RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING", "PREEMPTING"}
)

_ENDED = {
    "TIMEOUT": "its time limit was reached",
    "OUT_OF_MEMORY": "it used more memory than its job had asked for",
    "NODE_FAIL": "its node failed",
    "CANCELLED": "its job was cancelled",
    "PREEMPTED": "it was preempted",
    "BOOT_FAIL": "its node did not start",
    "DEADLINE": "its deadline has passed",
    "FAILED": "its job failed",
    "COMPLETED": "its job has ended",
}
# ends that tell more than the record of an attempt can
NAMED = frozenset(_ENDED) - {"FAILED", "COMPLETED"}
_NEVER = {
    "DependencyNeverSatisfied": "the job that it waits for did not succeed",
    "PartitionTimeLimit": "it asks for more time than its partition allows",
    "QOSMaxWallDurationPerJobLimit": "it asks for more time than its QOS allows",
    "AssocMaxWallDurationPerJobLimit": "it asks for more time than its account allows",
    "PartitionNodeLimit": "it asks for more nodes than its partition allows",
    "QOSMaxCpuPerJobLimit": "it asks for more cores than its QOS allows",
    "QOSMaxMemoryPerJob": "it asks for more memory than its QOS allows",
    "QOSMaxGRESPerJob": "it asks for more GPUs than its QOS allows",
    "InvalidQOS": "its QOS is gone, or not yours",
    "InvalidAccount": "its account is gone, or not yours",
    "BadConstraints": "no node is like what it asks for",
    "JobHeldUser": "it is held; `scontrol release JOB` lets it go",
    "JobHeldAdmin": "an administrator holds it",
    "launch failed requeued held": "its node could not start it; `scontrol release JOB` tries again",
    "job requeued in held state": "it was requeued and is held; `scontrol release JOB` lets it go",
    "JobHoldMaxRequeue": "no node could start it, several times; `scontrol release JOB` tries again",
}
_WAITS = {
    "None": "has just been submitted",
    "Priority": "others come first",
    "Resources": "waits for free nodes",
    "JobArrayTaskLimit": "as many run as `parallel` allows",
    "Dependency": "waits for another job to end",
    "BeginTime": "waits for its begin time, as after a requeue",
    "QOSMaxJobsPerUserLimit": "as many of your jobs run as the QOS allows",
    "AssocMaxJobsLimit": "as many of your jobs run as your account allows",
    "QOSMaxGRESPerUser": "your jobs use as many GPUs as the QOS allows",
    "QOSMaxCpuPerUserLimit": "your jobs use as many cores as the QOS allows",
    "QOSMaxMemoryPerUser": "your jobs use as much memory as the QOS allows",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition is closed",
    "Licenses": "waits for a licence",
    "Reservation": "waits for its reservation",
}


@dataclass(frozen=True)
class Task:
    """What Slurm says of one task, or of several that wait alike."""

    state: str
    reason: str = ""
    node: str = ""
    number: str = ""  # the job id of its own, which each task of an array has, too
    seen: Seen = field(default_factory=Seen, compare=False)  # whose its job is

    @property
    def waits(self) -> bool:
        """Whether it will run, perhaps once more."""
        return self.state in PENDING

    @property
    def runs(self) -> bool:
        """Whether it holds its node."""
        return self.state in ACTIVE

    @property
    def suspended(self) -> bool:
        """Whether it holds its node and does not get on."""
        return self.state in ("SUSPENDED", "STOPPED")

    @property
    def never(self) -> bool:
        """Whether it waits for what cannot come about by itself."""
        return self.waits and self.reason in _NEVER

    def words(self) -> str:
        """The state for people, with its reason."""
        if self.never:
            return f"never starts: {_NEVER[self.reason]} ({self.reason})"
        if self.waits:
            shown = _WAITS.get(self.reason)
            return f"{shown} ({self.reason})" if shown and self.reason != "None" else shown or self.reason
        if self.runs:
            return f"{self.state.lower()}{f' on {self.node}' if self.node else ''}"
        return f"{_ENDED.get(self.state, 'its job has ended')} ({self.state})"


# a job's id and, in an array, the task's number
TaskName = tuple[str, int | None]


SEPARATOR = "\x1f"  # of fields; a comment or a command may hold any other character
_WHOSE = ("%U", "%V", "%k", "%o")
# the array's or job's id, the tasks, what they do; then whose job it is
_FIELDS = SEPARATOR.join(("%F", "%K", "%T", "%N", "%A", "%r", *_WHOSE))
_ACCOUNTS = ("JobID", "State", "NodeList", "JobIDRaw", "UID", "Submit", "Comment")


def look(
    wanted: Iterable[TaskName], besides: Iterable[TaskName] = (), patience: float = commands.PATIENCE
) -> dict[TaskName, Task]:
    """What Slurm knows of these tasks; those that it has forgotten are left out.

    Raises SlurmError when it does not answer within `patience` seconds, all calls together. One call of squeue, and one
    of sacct for what squeue has forgotten, but for those `besides`.
    """
    names = set(wanted)
    end = time.monotonic() + patience
    asked = names | set(besides)
    found: dict[TaskName, Task] = {}
    for piece in commands.pieces(_ids(asked)):
        queued = squeue(f"--jobs={piece}", patience=end - time.monotonic())
        found |= {name: task for name, task in queued if name in asked}
    for piece in commands.pieces(_ids(name for name in names if name not in found)):
        found = {name: task for name, task in _sacct(piece, end - time.monotonic()) if name in names} | found
    return found


def _ids(names: Iterable[TaskName]) -> list[str]:
    return sorted({job for job, _ in names}, key=lambda job: (len(job), job))


def living(jobs: Iterable[str], ours: Callable[[str, Seen], bool]) -> dict[str, int]:
    """Those of these jobs that have not ended, each with how many tasks of it may run at the same time.

    `ours` says of a job, by its id and what Slurm says of whose it is, whether it counts.
    """
    running: dict[str, int] = {}
    waiting: dict[str, int] = {}
    throttle: dict[str, int] = {}
    form = SEPARATOR.join(("%F", "%K", "%T", *_WHOSE))
    for piece in commands.pieces(_ids((job, None) for job in jobs)):
        for line in _lines("-h", f"--jobs={piece}", "-o", form):
            job, indices, state, *whose = (*line.split(SEPARATOR), *[""] * 7)[:7]
            if not ours(job, Seen.of(*whose)):
                continue
            counts = waiting if state in PENDING else running
            counts[job] = counts.get(job, 0) + (len(list(numbers(indices))) or 1)
            if indices.partition("%")[2].isdigit():
                throttle[job] = int(indices.partition("%")[2])
    most = {job: running.get(job, 0) + waiting.get(job, 0) for job in {**running, **waiting}}
    return {job: min(count, max(throttle.get(job, count), running.get(job, 0))) for job, count in most.items()}


def _lines(*options: str, patience: float = commands.PATIENCE) -> list[str]:
    """The lines that squeue prints of jobs; none where it has forgotten all of them."""
    try:
        return commands.call("squeue", *options, patience=patience).splitlines()
    except SlurmError as error:
        if "Invalid job id" in str(error):
            return []
        raise


def squeue(*which: str, patience: float = commands.PATIENCE) -> Iterator[tuple[TaskName, Task]]:
    """The tasks in the queue that squeue's options choose, those that have just ended too."""
    for line in _lines("-h", "--states=all", *which, "-o", _FIELDS, patience=patience):
        job, indices, state, node, number, reason, *whose = (*line.split(SEPARATOR), *[""] * 10)[:10]
        yield from _expand(job, indices, Task(state, reason, node, number, Seen.of(*whose)))


def _sacct(jobs: str, patience: float) -> Iterator[tuple[TaskName, Task]]:
    end = time.monotonic() + patience
    try:
        text = _accounts(jobs, end, *_ACCOUNTS, "SubmitLine")
    except SlurmError as error:
        if "nvalid field" not in str(error):  # a cluster that keeps no accounts: what squeue says is all there is
            return
        text = _accounts(jobs, end, *_ACCOUNTS)  # Slurm before 21.08
    for line in text.splitlines():
        name, state, node, number, *whose = (*line.split(SEPARATOR), *[""] * 8)[:8]
        job, _, indices = name.partition("_")
        task = Task(state.split(" ")[0].rstrip("+"), "", node, number, Seen.of(*whose))
        yield from _expand(job, indices.strip("[]"), task)


def _accounts(jobs: str, end: float, *fields: str) -> str:
    options = ("-n", "-P", "-X", f"--delimiter={SEPARATOR}", f"--jobs={jobs}")
    return commands.call("sacct", *options, "-o", ",".join(fields), patience=end - time.monotonic())


def _expand(job: str, indices: str, task: Task) -> Iterator[tuple[TaskName, Task]]:
    if indices in ("", "N/A"):
        yield (job, None), task
        return
    for number in numbers(indices):
        yield (job, number), task


def numbers(text: str) -> Iterator[int]:
    """The numbers of an array's expression: 5, 3-9, 1-9:2 or 1,4-6, with or without %16 behind it."""
    for part in text.partition("%")[0].split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if match:
            yield from range(int(match[1]), int(match[2] or match[1]) + 1, int(match[3] or 1))


def cancel(wanted: Iterable[TaskName], *options: str) -> None:
    """Cancel tasks, or with `options` do something else to them; whole jobs are named by their id alone."""
    names = [job if index is None else f"{job}_{index}" for job, index in wanted]
    for start in range(0, len(names), 1000):
        try:
            commands.call("scancel", *options, *names[start : start + 1000])
        except SlurmError as error:
            # one that has ended meanwhile is no matter
            if not any(word in str(error) for word in ("Invalid job id", "already completing or completed")):
                raise
