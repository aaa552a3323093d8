"""Whether a capsule is what was written, asked before each attempt.

Every file is held against the manifest, and the manifest against its own checksum. What trials share by hard links is
read once: a memo has how those files looked then (inode, size, times), and looking again is enough while they look the
same. `verify` says more, and reads everything: whether the id follows from the files, where they came from.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from typing import Any, Iterator, Mapping

FORMAT = 1
MANIFEST = "manifest.json"
# what may lie beside the files that the manifest lists: it is no part of what runs
BESIDE = ("provenance.json", "environment.json", "fingerprints.json")
# A file that was written so shortly before it was read may be written once more within a tick of its clock.
RACY_NANOSECONDS = 3 * 10**9
LOOKS = 8  # that the memo keeps of one source: hosts may see other inodes
SOURCES = 64  # that it keeps: the latest
_CHUNK = 1 << 20


class Memo:
    """How shared files looked when they were found to be what a source's digest says, by that digest.

    Safe with any number of readers and writers: it is replaced whole, and what gets lost is only read again.
    Without a path it is this object's alone.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._known: dict[str, list[str]] = self._read()

    def _read(self) -> dict[str, list[str]]:
        with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
            with open(self._path or os.devnull, encoding="utf-8") as file:
                memo = json.load(file)
            if memo.get("format") == FORMAT:
                return {str(key): [str(look) for look in looks] for key, looks in memo["sources"].items()}
        return {}

    def holds(self, source: str, look: str) -> bool:
        """Whether the files of a source looked like this when they were read."""
        return look in self._known.get(source, ())

    def note(self, source: str, look: str) -> None:
        """Write down how they looked. A memo that cannot be written costs time and nothing else."""
        known = {**self._known, **self._read()}
        looks = [look, *(each for each in known.pop(source, []) if each != look)][:LOOKS]
        self._known = {**dict(list(known.items())[1 - SOURCES :]), source: looks}
        if self._path is None:
            return
        with contextlib.suppress(OSError):
            import tempfile  # only what has changed is written, and importing it takes a while

            descriptor, part = tempfile.mkstemp(prefix=self._path + "-", dir=os.path.dirname(self._path))
            try:
                with open(descriptor, "w", encoding="utf-8") as file:
                    json.dump({"format": FORMAT, "sources": self._known}, file)
                os.chmod(part, 0o644)
                os.replace(part, self._path)
            except OSError:
                os.remove(part)


def changes(capsule: str, manifest: Mapping[str, Any], memo: Memo) -> list[str]:
    """What is not as it was written, as `qb/model.py (changed)`, by path: changed, missing or added."""
    source: dict[str, str] = manifest.get("snapshot", {}).get("files", {})
    listed = {**manifest.get("files", {}), **source}
    executable = set(manifest.get("snapshot", {}).get("executable", ()))
    began = time.time_ns()
    seen = dict(_seen(capsule))
    found = [] if _sealed(manifest) else [(MANIFEST, "changed")]
    found += [(path, "added") for path in seen.keys() - listed.keys() - {MANIFEST, *BESIDE}]
    found += [(path, "missing") for path in listed.keys() - seen.keys()]
    shared = {path: seen[path] for path in source if path in seen and seen[path].st_nlink > 1}
    look = _look(shared)
    known = bool(shared) and memo.holds(str(manifest.get("snapshot", {}).get("digest")), look)
    whole = True
    for path in listed.keys() & seen.keys():
        if known and path in shared:
            continue
        if not _same(os.path.join(capsule, path), seen[path], listed[path], path in executable, path in source):
            found.append((path, "changed"))
            whole = whole and path not in shared
    if shared and whole and not known and all(_settled(each, began) for each in shared.values()):
        memo.note(str(manifest.get("snapshot", {}).get("digest")), look)
    return ["%s (%s)" % each for each in sorted(found)]


def _seen(capsule: str) -> Iterator[tuple[str, os.stat_result]]:
    """Every file and link below a directory, by its path from there."""
    waiting = [""]
    while waiting:
        above = waiting.pop()
        with os.scandir(os.path.join(capsule, above) if above else capsule) as entries:
            for entry in entries:
                path = "%s/%s" % (above, entry.name) if above else entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                else:
                    yield path, entry.stat(follow_symlinks=False)


def _sealed(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest has the checksum of its content."""
    content = {key: value for key, value in manifest.items() if key != "checksum"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return manifest.get("checksum") == hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _look(files: Mapping[str, os.stat_result]) -> str:
    """How files look from outside: what changes when one of them is written, replaced or made executable."""
    lines = (
        "%s %d %d %d %d %o\n" % (path, each.st_ino, each.st_size, each.st_mtime_ns, each.st_ctime_ns, each.st_mode)
        for path, each in sorted(files.items())
    )
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _settled(found: os.stat_result, began: int) -> bool:
    """Whether a file was old enough when it was read, so that a later change shows in its times."""
    return max(found.st_mtime_ns, found.st_ctime_ns) + RACY_NANOSECONDS < began


def _same(path: str, found: os.stat_result, sha256: str, executable: bool, is_source: bool) -> bool:
    """Whether a file is the regular one that is listed, with its digest; one of the source also with its mode."""
    if not stat.S_ISREG(found.st_mode) or (is_source and bool(found.st_mode & 0o111) != executable):
        return False
    digest = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as file:
            for chunk in iter(lambda: file.read(_CHUNK), b""):
                digest.update(chunk)
    except OSError:
        return False
    return digest.hexdigest() == sha256
