"""The state of a trial: queued, running, finished, pruned, failed, stopped or lost."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from . import places, processes, slurm_job, storage
from .places import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .storage import Record

HEARTBEAT_SECONDS = 30.0  # between two signs of life of a running attempt
STALE_SECONDS = 300.0  # without one for so long, an attempt on another host is lost
BUSY = 75  # sysexits' EX_TEMPFAIL
REQUEUE = 85  # training asks to be run again and to find its output; HTCondor's number for a checkpoint


def state(place: Place) -> tuple[str, Record]:
    """The trial's state and its latest record: queued, running, finished, pruned, failed, stopped or lost."""
    if place.finished():
        return "finished", storage.read_json(os.path.join(place.attempts, places.FINISHED))
    number = place.last()
    if number == 0:
        return "queued", {}
    directory = place.attempt(number)
    record = storage.read_json(os.path.join(directory, places.RECORD))
    if record.get("state", "running") != "running":
        return record["state"], record
    while True:
        processes = storage.read_json(os.path.join(directory, places.HEARTBEAT))
        record.update(processes)
        if alive(directory, record):
            return "running", record
        # a worker may have noted that it goes on just before the runner that we found dead died
        if processes == storage.read_json(os.path.join(directory, places.HEARTBEAT)):
            break
    latest = storage.read_json(os.path.join(directory, places.RECORD))  # the end may have been recorded while we looked
    return ("lost", record) if latest.get("state", "running") == "running" else (latest["state"], latest)


def outcome(record: Record, log: str) -> str:
    """One line on how an attempt ended."""
    took = "%.1f s" % record["seconds"]
    if record["state"] == "finished":
        return "finished in %s" % took
    if record["state"] == "pruned":
        return "pruned after %s (%s)" % (took, record["pruned"].get("why"))
    how = "exit status %s" % record["exit_status"] if record["signal"] is None else record["signal"]
    return "%s after %s (%s), log: %s" % (record["state"], took, how, log)


def gone(place: Place, record: Record) -> bool:
    """Whether a running attempt, on another host, has missed its signs of life, and its job is over by Slurm's word.

    Only then is Slurm asked: many workers look often.
    """
    return not processes.of_this_boot(record) and silent(place, record) and slurm_job.ended_on_slurm(record)


def silent(place: Place, record: Record) -> bool:
    """Whether a running attempt has missed two signs of life."""
    directory = place.attempt(record.get("attempt", 0))
    beat = _last_sign(directory)
    return beat is None or server_time(directory) - beat >= 2.5 * HEARTBEAT_SECONDS


def alive(directory: str, record: Record) -> bool:
    """Whether a running attempt still runs: its processes on this host, its sign of life on another."""
    if processes.of_this_boot(record):
        return processes.processes_live(record)
    beat = _last_sign(directory)
    return beat is not None and server_time(directory) - beat < STALE_SECONDS


def _last_sign(directory: str) -> float | None:
    """When an attempt gave its last sign of life, by the file server's clock."""
    for name in (places.HEARTBEAT, places.RECORD, ""):
        with contextlib.suppress(FileNotFoundError):
            return os.stat(os.path.join(directory, name)).st_mtime
    return None


def server_time(directory: str) -> float:
    """Now, by the clock of the machine that keeps the files: hosts' own clocks differ."""
    probe = os.path.join(directory, ".now-%s-%d" % (os.uname().nodename, os.getpid()))
    try:
        storage.touch(probe)
        return os.stat(probe).st_mtime
    except OSError:  # a reader without permission to write asks its own clock
        return time.time()
    finally:
        storage.remove(probe)


def status(record: Record) -> int:
    """The exit status of a launcher whose attempt ended like that."""
    if record["state"] == "pruned":
        return 0
    if record["signal"] is not None:
        return 128 + signal.Signals[record["signal"]].value
    return record["exit_status"] or (0 if record["state"] == "finished" else 130)
