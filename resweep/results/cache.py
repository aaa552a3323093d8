"""What was read of a sweep's trials, kept in the user's cache directory: a second look only asks what has changed.

What is kept of a trial counts only while every file and directory that was looked at for it has the size, both times
and inode that it had before it was read, and had been left alone for some seconds by then, so that a later change must
show in its times. Nothing of a project is written to, and the whole directory can be removed at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resweep import __version__
from resweep.launcher.fingerprints import RACY_NANOSECONDS

FORMAT = 2  # of the file; another number, too, when the same files come to give other rows
_GONE = "-"


def home() -> Path:
    """The user's directory for what can be worked out again."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    # the specification says to ignore a relative one
    return (Path(named) if os.path.isabs(named) else Path.home() / ".cache") / "resweep"


class Watch:
    """The files and directories that were looked at for one trial, with the stamps that they had before.

    They are named by what comes after `base`, with which most of them begin.
    """

    def __init__(self, base: str) -> None:
        self._base = base
        self.seen: dict[str, str] = {}
        self.settled = True

    def look(self, path: str) -> None:
        """Note a path that is about to be looked at; the first look at it counts."""
        if not path.startswith(self._base):
            self.settled = False
            return
        name = path[len(self._base) :]
        if name not in self.seen:
            self.seen[name], newest = _stamp(path)
            if newest + RACY_NANOSECONDS > time.time_ns():
                self.settled = False


@dataclass
class _Known:
    """What the file holds. `names` has lists that many trials share: of paths, of metrics."""

    names: list[list[str]] = field(default_factory=list)
    trials: dict[str, list[Any]] = field(default_factory=dict)


class Cache:
    """What is known of the trials of one sweep, below the directory `base`, read with the options `key`.

    A trial TRIAL has its files at `base` + TRIAL + a suffix. Any number of processes may use a cache at once: it is
    replaced whole. One that is torn or of another version is as none.
    """

    def __init__(self, base: str, key: object) -> None:
        name = hashlib.sha256(json.dumps([__version__, base, key]).encode()).hexdigest()[:32]
        self._path = home() / "results" / f"{name}.json"
        self._base = base
        self._known = _load(self._path)
        self._new: dict[str, tuple[Watch, list[Any], dict[str, Any]]] = {}

    def get(self, trial: str) -> tuple[list[Any], dict[str, Any]] | None:
        """What was put for a trial, if nothing that it came from has changed."""
        known = self._known.trials.get(trial)
        if known is None:
            return None
        suffixes, stamps, fields, keys, values = known
        base = self._base + trial
        names = self._known.names
        for suffix, stamp in zip(names[suffixes], stamps, strict=True):
            if _stamp(base + suffix)[0] != stamp:
                return None
        return fields, dict(zip(names[keys], values, strict=True))

    def put(self, trial: str, watch: Watch, fields: list[Any], table: dict[str, Any]) -> None:
        """Keep what was read of a trial, which JSON must be able to hold."""
        if watch.settled:
            self._new[trial] = (watch, fields, table)

    def save(self) -> None:
        """Write down what is new. A cache that cannot be written costs time and nothing else."""
        if not self._new:
            return
        known = _load(self._path)  # others may have looked at other trials meanwhile
        numbers = {tuple(names): number for number, names in enumerate(known.names)}
        for trial, (watch, fields, table) in self._new.items():
            suffixes = numbers.setdefault(tuple(watch.seen), len(numbers))
            keys = numbers.setdefault(tuple(table), len(numbers))
            known.trials[trial] = [suffixes, list(watch.seen.values()), fields, keys, list(table.values())]
        self._new = {}
        body = json.dumps([list(numbers), known.trials], separators=(",", ":")).encode()
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, part = tempfile.mkstemp(dir=self._path.parent)
            try:
                with open(descriptor, "wb") as file:
                    file.write(b"%d %d\n" % (FORMAT, zlib.crc32(body)))
                    file.write(body)
                os.replace(part, self._path)
            except OSError:
                os.remove(part)


def _load(path: Path) -> _Known:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        head, _, body = path.read_bytes().partition(b"\n")
        if head == b"%d %d" % (FORMAT, zlib.crc32(body)):
            return _Known(*json.loads(body))
    return _Known()


def _stamp(path: str) -> tuple[str, int]:
    """What changes when a path is written to, as one text; and the newer of its times."""
    try:
        now = os.stat(path)
    except OSError:
        return _GONE, 0
    changed, status = now.st_mtime_ns, now.st_ctime_ns
    return f"{now.st_ino:x} {now.st_size:x} {changed:x} {status:x}", max(changed, status)
