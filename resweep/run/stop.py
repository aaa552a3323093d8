"""End the attempts that this machine runs: TERM to their launchers, KILL to whole groups, and a look that it worked."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from resweep.index import Entry
from resweep.launcher import places, processes, slurm_job, storage
from resweep.layout import SweepPaths
from resweep.run import registry, status
from resweep.run.status import Status

PATIENCE = 10.0  # seconds beyond its grace that a launcher has to end its training and record it
LOOK = 0.1


@dataclass(frozen=True)
class Stopped:
    """What became of it: trials stopped here, those that run on other machines, those that would not end."""

    stopped: list[Status]
    elsewhere: list[Status]
    left: list[Status]
    runners: int


def stop(paths: SweepPaths, entries: Sequence[Entry], with_runners: bool) -> Stopped:
    """End the running attempts of the trials, and wait; with `with_runners` first end whoever would start others."""
    before = _running(paths, entries)
    pids = registry.on_this_machine(paths) if with_runners else []
    for pid in pids:
        _signal(os.kill, pid, signal.SIGTERM)
    # until its group is written down, a trial's record names its runner, which may have others
    _until(PATIENCE, lambda: all(each.record.get("group") or not _here(each) for each in _running(paths, entries)))
    running = _running(paths, entries)
    here = [each for each in running if _here(each)]
    for each in here:
        _end(each, signal.SIGTERM)

    def runs(each: Status) -> bool:
        return _runs(paths, each)

    patience = PATIENCE + max((_grace(paths, each) for each in here), default=slurm_job.GRACE_SECONDS)
    _until(patience, lambda: not any(map(runs, here)) and not any(map(_lives, pids)))
    for each in filter(runs, here):
        _end(each, signal.SIGKILL)
        _signal(os.killpg, each.record["group"], signal.SIGKILL)
        _until(PATIENCE, lambda each=each: not runs(each))  # type: ignore[misc]
    for each in status.survey(paths, [each.entry for each in here]):
        if each.state == "lost":  # its launcher could not say so itself
            mark(paths, each)
    now = status.survey(paths, list(dict.fromkeys(each.entry for each in [*before, *here])))
    return Stopped(
        stopped=[each for each in now if each.state == "stopped"],
        elsewhere=[each for each in running if not _here(each)],
        left=[each for each in _running(paths, entries) if _here(each)],
        runners=sum(not _lives(pid) for pid in pids),
    )


def _running(paths: SweepPaths, entries: Sequence[Entry]) -> list[Status]:
    return [each for each in status.survey(paths, entries) if each.state == "running"]


def _here(each: Status) -> bool:
    return processes.of_this_boot(each.record)


def _runs(paths: SweepPaths, each: Status) -> bool:
    """Whether this very attempt still runs: its launcher may live on, with another one."""
    now = status.status(paths, each.entry)
    return now.state == "running" and now.attempts == each.attempts


def _lives(pid: int) -> bool:
    return processes.start_time(pid) is not None


def _end(each: Status, number: signal.Signals) -> None:
    """Signal the launcher, which ends the training and records it; without one, the training's process group."""
    record = each.record
    if processes.same_process(record["pid"], record["pid_start"]):
        _signal(os.kill, record["pid"], number)
    elif record["group"]:
        _signal(os.killpg, record["group"], number)


def _signal(send: Callable[[int, int], None], target: int | None, number: signal.Signals) -> None:
    if target:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # told at the end: it is left
            send(target, number)


def _grace(paths: SweepPaths, each: Status) -> float:
    """The seconds that a launcher leaves its training between TERM and KILL."""
    return slurm_job.grace(paths.place(each.entry.name).capsule, on_slurm=bool(each.record.get("slurm"))).usual


def _until(seconds: float, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(LOOK)


def mark(paths: SweepPaths, each: Status) -> None:
    """Record the end of an attempt whose launcher was killed before it could."""
    path = os.path.join(paths.place(each.entry.name).attempt(each.attempts), places.RECORD)
    storage.write_json(path, {**each.record, "state": "stopped", "ended": storage.now()}, sync=True)
