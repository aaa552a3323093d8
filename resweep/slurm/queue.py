"""What Slurm says of tasks: squeue for those that it remembers, sacct for those before, a call each for thousands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from resweep.errors import SlurmError
from resweep.slurm import commands

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

    @property
    def waits(self) -> bool:
        """Whether it will run, perhaps once more."""
        return self.state in PENDING

    @property
    def runs(self) -> bool:
        """Whether it holds its node."""
        return self.state in ACTIVE

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


def look(wanted: Iterable[TaskName]) -> dict[TaskName, Task]:
    """What Slurm knows of these tasks; those that it has forgotten are left out.

    Raises SlurmError when it does not answer. One call of squeue, and one of sacct for what squeue has forgotten.
    """
    names = set(wanted)
    ids = sorted({job for job, _ in names}, key=lambda job: (len(job), job))
    found: dict[TaskName, Task] = {}
    for piece in commands.pieces(ids):
        found |= {name: task for name, task in _squeue(piece) if name in names}
    missing = sorted({job for job, index in names if (job, index) not in found}, key=lambda job: (len(job), job))
    for piece in commands.pieces(missing):
        found = {name: task for name, task in _sacct(piece) if name in names} | found
    return found


def _squeue(jobs: str) -> Iterator[tuple[TaskName, Task]]:
    try:
        text = commands.call("squeue", "-h", "--states=all", f"--jobs={jobs}", "-o", "%F|%K|%T|%N|%r")
    except SlurmError as error:
        if "Invalid job id" in str(error):  # it has forgotten the only one
            return
        raise
    for line in text.splitlines():
        job, indices, state, node, reason = (*line.split("|", 4), "", "", "", "")[:5]
        yield from _expand(job, indices, Task(state, reason, node))


def _sacct(jobs: str) -> Iterator[tuple[TaskName, Task]]:
    try:
        text = commands.call("sacct", "-n", "-P", "-X", f"--jobs={jobs}", "-o", "JobID,State,NodeList")
    except SlurmError:  # a cluster that keeps no accounts: what squeue says is all there is
        return
    for line in text.splitlines():
        name, state, node = (*line.split("|", 2), "", "")[:3]
        job, _, indices = name.partition("_")
        yield from _expand(job, indices.strip("[]"), Task(state.split(" ")[0].rstrip("+"), "", node))


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
