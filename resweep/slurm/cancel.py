"""End what Slurm runs or holds of a sweep, and look that it has ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from resweep import status, stop
from resweep.index import Entry
from resweep.slurm import queue, states
from resweep.slurm.queue import TaskName
from resweep.status import Status
from resweep.trial import SweepPaths

PATIENCE = 90.0  # seconds; Slurm gives a job 30 between TERM and KILL, by default
LOOK = 0.5


@dataclass(frozen=True)
class Cancelled:
    """What became of it: tasks that were cancelled, those that have not ended, trials that ended."""

    tasks: int
    left: list[TaskName]
    stopped: list[Status]
    error: str = ""


def cancel(paths: SweepPaths, entries: Sequence[Entry], whole: bool) -> Cancelled:
    """Cancel the tasks of the trials, or with `whole` all jobs of the sweep, and wait until they have ended."""
    before = status.survey(paths, entries)
    view = states.look(paths, before)
    if view.error:
        return Cancelled(0, [], [], view.error)
    workers = {name for _, _, name in view.working()}
    targets = {name for name, task in view.tasks.items() if task.waits or task.runs}
    if not whole:
        targets &= {view.given(each.entry.name) for each in before} | {states.of_record(each) for each in before}
    busy = targets & {states.of_record(each) for each in before if each.state == "running"}
    if whole:
        queue.cancel([(job, None) for job in sorted({job for job, _ in targets})])
    elif targets:
        # a worker has other trials: it is told to end this one
        queue.cancel(sorted(busy & workers, key=str), "--batch", "--signal=HUP")
        targets -= workers
        queue.cancel(sorted(targets, key=str))
    left = _wait(paths, entries, targets, busy - targets)
    ran = [each for each in before if each.state == "running" and states.of_record(each) in targets | busy]
    return Cancelled(len(targets), left, _settle(paths, ran))


def _wait(paths: SweepPaths, entries: Sequence[Entry], targets: set[TaskName], told: set[TaskName]) -> list[TaskName]:
    """Wait until the tasks have ended, and the workers that were told run other trials; those that do not."""
    end = time.monotonic() + PATIENCE
    while True:
        found = queue.look(targets)
        left = [name for name, task in found.items() if task.waits or task.runs]
        if told:
            running = {states.of_record(each) for each in status.survey(paths, entries) if each.state == "running"}
            left += told & running
        if not left or time.monotonic() > end:
            return left
        time.sleep(LOOK)


def _settle(paths: SweepPaths, ran: Sequence[Status]) -> list[Status]:
    """The trials that have been stopped; records the end of those whose launcher could not, since it was killed."""
    entries = [each.entry for each in ran]
    now = status.survey(paths, entries)
    for each in states.merged(now, states.look(paths, now)):
        if each.state == "lost":
            stop.mark(paths, each)
    return [each for each in status.survey(paths, entries) if each.state == "stopped"]
