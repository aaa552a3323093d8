"""Trials that are no longer in the sweep and never ran: which they are, and their removal."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Container
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from resweep import index, lock
from resweep.errors import disk_errors
from resweep.index import Entry
from resweep.launcher.places import Place
from resweep.layout import SweepPaths, TrialName


@dataclass
class Removed:
    """The trials that were removed, and those that run, or are in the sweep again, by now."""

    entries: list[Entry] = field(default_factory=list)
    left: list[Entry] = field(default_factory=list)


def idle(paths: SweepPaths) -> list[Entry]:
    """The trials of a sweep that are no longer in it, and that nobody has ever begun to run."""
    return [entry for entry in index.read(paths).entries if not entry.current and not _used(paths.place(entry.name))]


def remove(paths: SweepPaths, chosen: Container[TrialName]) -> Removed:
    """Remove those of the `chosen` trials that are idle still; their numbers are never given to others.

    Nobody generates meanwhile. A capsule is taken away by one rename and looked at again after it, so that a launcher
    either finds it whole or does not find it; the index goes last, so that what is left half can be removed again.
    """
    done = Removed()
    with disk_errors(paths.directory), lock.locked(paths), ExitStack() as undo:
        old = index.read(paths)
        temporary = Path(tempfile.mkdtemp(prefix=lock.TEMPORARY, dir=paths.directory))
        undo.callback(shutil.rmtree, temporary, ignore_errors=True)
        for entry in (entry for entry in old.entries if entry.name in chosen):
            gone = not entry.current and _take(paths, entry, temporary)
            (done.entries if gone else done.left).append(entry)
        text = index.without(old, {entry.name for entry in done.entries}).text()
        for final, part in lock.stage(undo, {paths.index: text}).items():
            os.replace(part, final)
    return done


def _used(place: Place) -> bool:
    """Whether anything was ever run of a trial, or written for it."""
    return os.path.lexists(place.output) or os.path.lexists(place.attempts)


def _take(paths: SweepPaths, entry: Entry, temporary: Path) -> bool:
    """Take a capsule out of the sweep; False, and nothing is changed, where somebody has begun to run it."""
    home, moved, place = paths.capsule(entry.name), temporary / str(entry.number), paths.place(entry.name)
    if _used(place):
        return False
    if home.is_dir():
        home.rename(moved)
        if _used(place):
            moved.rename(home)
            return False
        with suppress(OSError):  # other repeats of the point may be there
            home.parent.rmdir()
    return True
