"""Who may run a trial, and which of its attempts counts: one process each, on any number of hosts."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import time

from . import checks, places, processes, slurm_job, storage, trial_state
from .places import Place
from .storage import AttemptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .storage import Record

WAIT_SECONDS = 2.0  # between two looks at an attempt that may still run
NEXT = "RESWEEP_NEXT_ATTEMPT"  # the number that a task of Slurm's has decided on: that one, or none


def settle(place: Place) -> bool:
    """Whether the trial has finished; completes what a crash left undone between its last record and its place."""
    now, record = trial_state.state(place)
    if now != "finished":
        return False
    if place.finished():
        move_output(place, record.get("attempt") or finished_attempt(place))
    else:
        count(place, record["attempt"])
    return True


def begin(
    place: Place, manifest: Record, number: int = 0, gpus: tuple[Record, ...] = (), pruned: bool = False
) -> tuple[str, Record]:
    """Claim the next attempt of a trial for this process: "claimed" and its new record.

    "finished", "pruned" or "running" and the latest record when there is nothing to claim, or another process was
    quicker. Who decided earlier that attempt `number` should be, claims that or none. `pruned` says
    that who calls has decided about trials that were stopped early: another attempt of one is claimed as of any other.
    """
    # before the state is read: who starts an attempt from now on makes the claim fail
    number = number or place.last() + 1
    found, record = trial_state.state(place)
    if found == "running":
        word = slurm_job.word_of_slurm(record)
        if word == "over" or (word and trial_state.silent(place, record)):
            found = "lost"
    if found == "finished":
        settle(place)
    if found in ("finished", "running") or (found == "pruned" and not pruned):
        return found, record
    if os.path.exists(place.output) and not place.finished():
        raise AttemptError(
            "%s: exists, but no attempt of this trial has finished; move it away, and run again" % place.output
        )
    checks.check(place.capsule, manifest, place.attempts)
    record = {**new_record(manifest, number), "gpus": list(gpus), **checks.check_trial(place, manifest)}
    record.update(checks.check_data(place, checks.sweep_data(place)))
    if not claim(place, record):
        return "running", storage.read_json(os.path.join(place.attempt(number), places.RECORD))
    return "claimed", record


def begin_patiently(place: Place, manifest: Record, number: int) -> tuple[str, Record]:
    """As `begin`; waits while Slurm has given the job of a running attempt up that still gives signs of life.

    It may end by itself, also well. Beside it there is to be no other.
    """
    told = False
    while True:
        found, record = begin(place, manifest, number)
        if found != "running" or not record.get("host") or slurm_job.word_of_slurm(record) != "given up":
            return found, record
        if not told:
            print(
                "%s: Slurm has given up the job of attempt %s on %s, which may still run; waits until it ends or gives "
                "no sign of life for %d s"
                % (place.label, record["attempt"], record["host"], 2.5 * trial_state.HEARTBEAT_SECONDS),
                flush=True,
            )
            told = True
        time.sleep(WAIT_SECONDS)


def resume(place: Place, number: int) -> int | None:
    """Let attempt `number` go on with the output of the last one, whose number is returned.

    Only where the sweep says so, or that one ended with the status that asks for it. One that was pruned keeps what it
    came to, and its weights may be gone.
    """
    asked = (
        storage.read_json(os.path.join(place.attempt(number - 1), places.RECORD)).get("exit_status")
        == trial_state.REQUEUE
    )
    if (
        not asked
        and storage.read_json(os.path.join(place.capsule, "..", "..", places.RUN_OPTIONS)).get("on_retry") != "resume"
    ):
        return None
    for earlier in range(number - 1, 0, -1):
        source = os.path.join(place.attempt(earlier), places.OUTPUT)
        record = storage.read_json(os.path.join(place.attempt(earlier), places.RECORD))
        if record.get("state") == "pruned":
            return None
        if os.path.isdir(source) and not os.path.islink(source):
            output = os.path.join(place.attempt(number), places.OUTPUT)
            if record.get("seconds") is not None or processes.of_this_boot(record):
                os.rename(source, output)
            else:  # nobody saw it end: on a host that is only cut off it may still write there
                _copy(source, output)
            return earlier
    return None


def _copy(source: str, target: str) -> None:
    """Copy a directory that may change meanwhile, whole or not at all; what vanishes while it is copied is left out."""
    part = target + ".part"
    try:
        os.mkdir(part)
        for folder, names, files in os.walk(source):
            there = os.path.normpath(os.path.join(part, os.path.relpath(folder, source)))
            for name in names + files:
                path, copied = os.path.join(folder, name), os.path.join(there, name)
                with contextlib.suppress(FileNotFoundError):
                    if os.path.islink(path) or name in files:
                        shutil.copy2(path, copied, follow_symlinks=False)
                    else:
                        os.mkdir(copied)
        os.rename(part, target)
    except OSError:
        shutil.rmtree(part, ignore_errors=True)
        raise


def new_record(manifest: Record, number: int) -> Record:
    """The record of attempt `number`, which this process is about to start."""
    return {
        "format": storage.FORMAT,
        "id": manifest["id"],
        "trial": manifest["trial"],
        "attempt": number,
        "state": "running",
        "resumed": None,
        **processes.this_process(),
        "group": None,
        "group_start": None,
        "started": storage.now(),
        "ended": None,
        "seconds": None,
        "exit_status": None,
        "signal": None,
        "peak_memory_bytes": None,
        "gpus": [],
        "data": None,
        "data_changed": [],
        "trial_changed": [],
        "leaked": None,
        "slurm": {key: os.environ[key] for key in sorted(os.environ) if slurm_job.SLURM_ID.match(key)},
    }


def claim(place: Place, record: Record) -> bool:
    """Make the directory of the attempt in `record`, its record in it; False when another process had it first.

    A directory with something in it is never replaced by a rename, so exactly one of several claims succeeds, and
    at no moment is there an attempt without a record.
    """
    os.makedirs(place.attempts, exist_ok=True)
    part = os.path.join(place.attempts, ".new-%s-%d-%d" % (record["host"], record["pid"], time.time_ns()))
    os.mkdir(part)
    try:
        storage.write_json(os.path.join(part, places.RECORD), record)
        os.rename(part, place.attempt(record["attempt"]))
    except OSError as error:
        if not os.path.isdir(part):  # over NFS a rename can succeed and still report a failure
            return True
        shutil.rmtree(part, ignore_errors=True)
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    return True


def count(place: Place, number: int) -> bool:
    """Claim the finish of the trial for attempt `number`; False when another attempt had it first."""
    finished = os.path.join(place.attempts, places.FINISHED)
    record = os.path.join(place.attempt(number), places.RECORD)
    try:
        os.link(record, finished)
    except OSError:
        try:
            with open(finished, "x", encoding="utf-8") as file:  # a file system without hard links
                file.write(json.dumps(storage.read_json(record), indent=2, sort_keys=True) + "\n")
        except FileExistsError:
            # over NFS a link can succeed and still report that the name exists
            if storage.read_json(finished).get("attempt") != number:
                return False
    move_output(place, number)
    return True


def finished_attempt(place: Place) -> int:
    """The attempt that counts, where the file that says so is torn: the first whose record has finished."""
    records = (
        (n, storage.read_json(os.path.join(place.attempt(n), places.RECORD))) for n in range(1, place.last() + 1)
    )
    return next((number for number, record in records if record.get("state") == "finished"), 0)


def move_output(place: Place, number: int) -> None:
    """Put the output of the attempt that counts in the trial's own place, also when a crash came in between.

    A link stays behind: training may have written its own path into its files, and the attempt's TOML names it.
    """
    source = os.path.join(place.attempt(number), places.OUTPUT)
    if os.path.isdir(source) and not os.path.exists(place.output):
        # another process was quicker; it may have left the link already
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            os.rename(source, place.output)
    if os.path.isdir(place.output) and not os.path.lexists(source):
        with contextlib.suppress(OSError):  # a file system without symbolic links: a comfort less
            os.symlink(os.path.join("..", "..", os.path.basename(place.output)), source)
