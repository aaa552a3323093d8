"""The data that a sweep reads: fingerprints of its files, and what has changed since they were taken.

Data is shared and never copied, so its content is written down: sha256 and size of every file that `[data] files`
names. A cache keeps big files cheap: one whose size, times and inode are what they were when it was read is not read
again. The launcher carries this file, so: the standard library, Python 3.8.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import time
from typing import Any, Dict, NamedTuple, Sequence

Listing = Dict[str, Any]  # the content of a fingerprints.json

FORMAT = 1
# A file that was written so shortly before it was read may have been written once more with the same time: clocks of
# file systems tick in up to two seconds.
RACY_NANOSECONDS = 3 * 10**9
STAMPS = 8  # that the cache keeps of one path: hosts may have disks of their own under the same name
_CHUNK = 1 << 20


class DataError(Exception):
    """What is wrong with a pattern or a file: one line."""


class Change(NamedTuple):
    """A file that is not what it was: `what` is changed, missing or new."""

    file: str
    what: str

    def __str__(self) -> str:
        """The file, and what is wrong with it."""
        return "%s (%s)" % self


class Cache:
    """The digests of files by path, with the stamps that they had when they were read.

    Safe with any number of readers and writers, on any machine: it is replaced whole, and what gets lost when two write
    at once is only read again. Without a path it is this object's alone.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._known = self._read()
        self._new: dict[str, list[list[Any]]] = {}

    def _read(self) -> dict[str, list[list[Any]]]:
        with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
            with open(self._path or os.devnull, encoding="utf-8") as file:
                cache = json.load(file)
            if cache.get("format") == FORMAT:
                return dict(cache["files"])
        return {}

    def digest(self, path: str) -> tuple[str, int]:
        """The sha256 and size of a file, read only if it may have changed; an OSError if it cannot be."""
        with open(path, "rb") as file:  # opening it makes NFS ask its server, which looking at it does not
            while True:
                before = _stamp(file.fileno())
                for known in self._new.get(path, []) + self._known.get(path, []):
                    if known[:4] == before and _settled(known):
                        return known[5], before[0]
                began = time.time_ns()
                digest = _hash(file)
                if _stamp(file.fileno()) == before:
                    break
        others = [known for known in self._known.get(path, []) if known[:4] != before]
        self._new[path] = [[*before, began, digest], *others][:STAMPS]
        return digest, before[0]

    def seen(self, path: str) -> str | None:
        """The sha256 that a file had when it was read last, if it looks the same since; an OSError if it is gone."""
        with open(path, "rb") as file:
            now = _stamp(file.fileno())
        stamps = self._new.get(path, []) + self._known.get(path, [])
        return next((known[5] for known in stamps if known[:4] == now), None)

    def save(self) -> None:
        """Write down what was read. A cache that cannot be written costs time and nothing else."""
        if not self._new or self._path is None:
            return
        self._known = {**self._read(), **self._new}
        with contextlib.suppress(OSError):
            import tempfile  # only what has changed is written, and importing it takes a while

            descriptor, part = tempfile.mkstemp(prefix=self._path + "-", dir=os.path.dirname(self._path))
            try:
                with open(descriptor, "w", encoding="utf-8") as file:
                    json.dump({"format": FORMAT, "files": self._known}, file, sort_keys=True)
                os.chmod(part, 0o644)
                os.replace(part, self._path)
            except OSError:
                os.remove(part)
        self._new = {}


def _stamp(descriptor: int) -> list[int]:
    """What changes when a file is written: size, both times, inode."""
    now = os.fstat(descriptor)
    return [now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino]


def _settled(known: Sequence[Any]) -> bool:
    """Whether the file was old enough when it was read, so that a later change shows in its times."""
    return max(int(known[1]), int(known[2])) + RACY_NANOSECONDS < int(known[4])


def _hash(file: Any) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    for chunk in iter(lambda: file.read(_CHUNK), b""):
        digest.update(chunk)
    return digest.hexdigest()


def find(patterns: Sequence[str], root: str) -> list[str]:
    """The files that the patterns name, each by its path from `root`; an absolute pattern's by its whole path.

    `**` stands for any directories, and a directory for every file in it. A DataError for a pattern without a file.
    """
    names: set[str] = set()
    for pattern in patterns:
        found = set()
        for path in glob.iglob(os.path.join(glob.escape(root), pattern), recursive=True):
            found.update(_files(path))
        if not found:
            raise DataError("found no file that %r names, in %s" % (pattern, root))
        names.update(found if os.path.isabs(pattern) else (os.path.relpath(path, root) for path in found))
    return sorted(names)


def _files(path: str) -> list[str]:
    if not os.path.isdir(path):
        return [path]
    return [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]


def listing(patterns: Sequence[str], root: str, cache: Cache) -> Listing:
    """The content of a fingerprints.json: digest and size of every file that the patterns name; else a DataError."""
    files = {}
    for name in find(patterns, root):
        try:
            digest, size = cache.digest(os.path.join(root, name))
        except OSError as error:
            raise DataError("%s: cannot be read (%s)" % (name, error.strerror)) from None
        files[name] = {"sha256": digest, "size": size}
    return {"format": FORMAT, "patterns": list(patterns), "files": files}


def changes(recorded: Listing, root: str, cache: Cache) -> list[Change]:
    """What differs below `root` from the data that was recorded, by name."""
    files = recorded["files"]
    found = []
    for name in sorted(files):
        path = os.path.join(root, name)
        try:
            # another size is another content, and needs no reading
            same = os.stat(path).st_size == files[name]["size"] and cache.digest(path)[0] == files[name]["sha256"]
        except OSError:
            found.append(Change(name, "missing"))
            continue
        if not same:
            found.append(Change(name, "changed"))
    return sorted(found + _added(recorded, root))


def noticed(recorded: Listing, root: str, cache: Cache) -> list[Change]:
    """The same as far as it can be told without reading a file: what a look at the sweep can afford."""
    found = []
    for name, file in sorted(recorded["files"].items()):
        path = os.path.join(root, name)
        try:
            if os.stat(path).st_size != file["size"] or cache.seen(path) not in (None, file["sha256"]):
                found.append(Change(name, "changed"))
        except OSError:
            found.append(Change(name, "missing"))
    return sorted(found + _added(recorded, root))


def _added(recorded: Listing, root: str) -> list[Change]:
    added = set()
    for pattern in recorded["patterns"]:
        with contextlib.suppress(DataError):
            added.update(find([pattern], root))
    return [Change(name, "new") for name in added - recorded["files"].keys()]


def differences(before: Listing | None, after: Listing | None) -> list[Change]:
    """What differs between two lists of fingerprints, by name."""
    old, new = ((each or {}).get("files", {}) for each in (before, after))
    words = {(True, True): "changed", (True, False): "missing", (False, True): "new"}
    return [
        Change(name, words[name in old, name in new])
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
