"""Every byte of a sweep's capsules against what was written: what changed, is missing, or should not be there.

A file that capsules share by hard links is read once, however many they are.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from resweep import index, layout
from resweep.errors import TrialError
from resweep.generation import fill, snapshot
from resweep.index import Entry, Index
from resweep.launcher.places import Place
from resweep.layout import SweepPaths, TrialName
from resweep.lock import TEMPORARY
from resweep.proof import capsule_check as judge
from resweep.proof.capsule_check import Contents, Difference, Known, Seen

_SOURCE = "snapshot.json"  # the list of a stored source
_STORED = re.compile(r"[0-9a-f]{64}\.json")  # an environment
_CHUNK = 1 << 20
# what a generation's record held before it had a checksum
_GENERATION_UNSEALED = frozenset(
    ("format", "sweep", "config", "overrides", "base", "sources", "text", "hyper", "settings", "snapshot", "train")
) | {"generation", "plan"}


@dataclass(frozen=True)
class Report:
    """What came of a verification: so many capsules were read, and how they differ from what was written.

    `notes` say what could not be judged, each with the trials that it is about.
    """

    capsules: int
    differences: list[Difference]
    notes: dict[str, list[str]]


class Cache(Known):
    """What has been read already, by device, inode, size and time of the last change; for one verification."""

    def __init__(self) -> None:
        super().__init__()
        self._sha256: dict[tuple[int, int, int, int], str] = {}
        self._stored: set[Path] = set()
        self.first = lru_cache(maxsize=64)(_first)

    def sha256(self, path: str, found: os.stat_result) -> str:
        """The sha256 of a file whose lstat is `found`."""
        key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        if key not in self._sha256:
            self._sha256[key] = hash_file(path)
        return self._sha256[key]

    def is_new(self, stored: Path) -> bool:
        """Whether this stored source has not been asked about before."""
        new = stored not in self._stored
        self._stored.add(stored)
        return new


def hash_file(path: str) -> str:
    """The sha256 of a file, read piece by piece."""
    found = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def capsule(path: Path, cache: Cache) -> list[Difference]:
    """How the capsule at `path` differs from what was written there; empty when it does not."""
    place = Place(str(path))
    folder, number = os.path.split(place.capsule)
    known = place.in_project and number.isdigit()
    name = TrialName(os.path.basename(folder), int(number)) if known else None
    where = place.label if place.in_project else str(path)
    if not os.path.isdir(place.capsule):
        return [Difference(where, "", "missing")]
    return judge.check(_contents(place.capsule, where, cache), cache, name)


def sweep(paths: SweepPaths) -> Report:
    """Verify everything of a sweep: its index, its generations, and every capsule, also of trials it no longer has."""
    listed = index.read(paths)
    cache = Cache()
    report = trials(paths, listed.entries, cache)
    added = _unlisted(paths, {str(entry.name) for entry in listed.entries})
    frozen = [*_generations(paths, cache, listed), *_environments(paths, cache)]
    return replace(report, differences=[*report.differences, *added, *frozen])


def trials(paths: SweepPaths, entries: Iterable[Entry], cache: Cache | None = None) -> Report:
    """Verify the capsules of these trials, what the index says of them, and the stored sources that they name."""
    cache = cache or Cache()
    found: list[Difference] = []
    count = 0
    for entry in entries:
        path = paths.capsule(entry.name)
        differences = capsule(path, cache)
        found += differences
        count += not (differences and not differences[0].path)
        if not differences:
            found += _listed(paths, entry, path, cache)
    for digest in list(cache.digests):
        found += stored(paths.snapshots / digest, cache)
    return Report(count, found, cache.notes)


def copies(folders: Sequence[Path]) -> Report:
    """Verify capsules wherever they lie, such as copies."""
    cache = Cache()
    for folder in folders:
        if not (folder / layout.MANIFEST).is_file():
            raise TrialError(f"{folder}: found no {layout.MANIFEST}, expected a trial's directory")
    return Report(len(folders), [each for folder in folders for each in capsule(folder, cache)], cache.notes)


def _unlisted(paths: SweepPaths, known: set[str]) -> Iterator[Difference]:
    for path in sorted(paths.directory.glob(f"[!.]*/*/{layout.MANIFEST}")):
        name = f"{path.parent.parent.name}/{path.parent.name}"
        if path.parent.name.isdigit() and name not in known:
            yield Difference(f"{paths.name}/{name}", "", "added", "not in the index")


def _contents(folder: str, where: str, cache: Cache) -> Contents:
    files: dict[str, Seen] = {}
    directories: set[str] = set()
    _walk(folder, "", files, directories, cache)

    def read(path: str) -> bytes:
        with open(f"{folder}/{path}", "rb", buffering=0) as file:
            return file.read()

    def first(_id: str) -> bytes | None:
        return cache.first(f"{os.path.dirname(folder)}/0")

    return Contents(where, files, frozenset(directories), read, first)


def _walk(folder: str, below: str, files: dict[str, Seen], directories: set[str], cache: Cache) -> None:
    with os.scandir(f"{folder}/{below}") as entries:
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            if entry.is_dir(follow_symlinks=False):
                directories.add(path)
                _walk(folder, path, files, directories, cache)
                continue
            files[path] = _seen(entry.path, entry.stat(follow_symlinks=False), cache)


def _seen(path: str, found: os.stat_result, cache: Cache) -> Seen:
    inode = (found.st_dev, found.st_ino)
    if not stat.S_ISREG(found.st_mode):
        return Seen("", False, inode, "a symbolic link" if stat.S_ISLNK(found.st_mode) else "no regular file")
    try:
        return Seen(cache.sha256(path, found), bool(found.st_mode & 0o111), inode)
    except OSError as error:
        return Seen("", False, inode, f"cannot be read ({error.strerror})")


def _first(folder: str) -> bytes | None:
    """The filled template of the capsule at `folder`, if its manifest vouches for it."""
    try:
        with open(f"{folder}/{layout.MANIFEST}", "rb") as file:
            manifest = json.loads(file.read())
        with open(f"{folder}/{manifest['id']}.json", "rb") as file:
            data = file.read()
        sound = layout.check_seal(manifest)
        vouched = manifest["files"][f"{manifest['id']}.json"] == hashlib.sha256(data).hexdigest()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return data if sound and vouched else None


def _listed(paths: SweepPaths, entry: Entry, path: Path, cache: Cache) -> Iterator[Difference]:
    """What the index says of a trial whose capsule is sound, against that capsule."""
    manifest = json.loads((path / layout.MANIFEST).read_bytes())
    config = tomllib.loads((path / f"{entry.id}.toml").read_text("utf-8"))
    wrong = []
    if entry.digest != manifest["digest"]:
        wrong.append("digest")
    if entry.source != layout.digest([manifest["snapshot"]["digest"], manifest["files"][layout.TRAIN]]):
        wrong.append("source")
    for key, value in entry.swept.items():
        there, found = _at(config, key)
        if there and layout.plain(found) != value:
            wrong.append(key)
    if wrong:
        detail = f"its {' and '.join(wrong)} of {paths.name}#{entry.number} {entry.name} is not the trial's own"
        yield Difference(paths.name, paths.index.name, "changed", detail)


def _at(tables: Any, key: str) -> tuple[bool, Any]:
    """Whether a dotted key stands in a configuration, and its value."""
    for part in key.split("."):
        if not isinstance(tables, dict) or part not in tables:
            return False, None
        tables = tables[part]
    return True, tables


def stored(folder: Path, cache: Cache) -> list[Difference]:
    """How a stored source differs from its own list, and that from the digest in its name.

    A source that is no longer stored is no difference: capsules do not need it.
    """
    where = f"{folder.parent.name}/{folder.name}"
    if not folder.is_dir() or not cache.is_new(folder):
        return []
    try:
        listing = json.loads((folder / _SOURCE).read_bytes())
        files, executable = dict(listing["files"]), set(listing["executable"])
        right = snapshot.listed_digest(files, executable) == folder.name == listing["digest"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        kind: judge.Kind = "changed" if (folder / _SOURCE).exists() else "missing"
        return [Difference(where, _SOURCE, kind, f"cannot be read ({error})" if kind == "changed" else "")]
    if not right:
        return [Difference(where, _SOURCE, "changed", "its digest is not that of its list, or not its directory's")]
    return list(_stored_files(folder, where, files, executable, cache))


def _stored_files(
    folder: Path, where: str, files: dict[str, str], executable: set[str], cache: Cache
) -> Iterator[Difference]:
    found: dict[str, Seen] = {}
    directories: set[str] = set()
    _walk(str(folder), "", found, directories, cache)
    expected = {f"files/{path}": (sha256, path in executable) for path, sha256 in files.items()}
    for path, (sha256, may) in expected.items():
        seen = found.get(path)
        if seen is None:
            yield Difference(where, path, "missing")
        elif seen.strange or seen.sha256 != sha256 or seen.executable != may:
            mode = "" if seen.sha256 != sha256 else "may be executed, or may not, unlike before"
            yield Difference(where, path, "changed", seen.strange or mode, seen.file)
    for path in sorted(found.keys() - expected.keys() - {_SOURCE}):
        yield Difference(where, path, "added", found[path].strange, found[path].file)


def _generations(paths: SweepPaths, cache: Cache, listed: Index) -> Iterator[Difference]:
    """How the frozen definitions differ from what was written, as far as their own records tell."""
    numbers = {entry.generation for entry in listed.entries} | {listed.generation}
    numbers |= {int(path.name) for path in paths.generations.glob("*") if path.name.isdigit()}
    for number in sorted(numbers - {0}):
        yield from _generation(paths.generations / str(number), f"{paths.name}/generations/{number}", cache)


def _generation(folder: Path, where: str, cache: Cache) -> Iterator[Difference]:
    try:
        data = (folder / layout.GENERATION).read_bytes()
        record = json.loads(data)
        expected = {layout.DEFINITION: record["text"], layout.TRAIN: record["train"]}
        expected |= {f"{fill.BASE}/{name}": sha256 for name, sha256 in record["sources"].items()}
        sound = judge.seal(data, _GENERATION_UNSEALED) is not False
    except FileNotFoundError:
        yield Difference(where, layout.GENERATION, "missing")
        return
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        yield Difference(where, layout.GENERATION, "changed", f"cannot be read ({error})")
        return
    if not sound:
        yield Difference(where, layout.GENERATION, "changed", "its checksum is not that of its content")
    found: dict[str, Seen] = {}
    _walk(str(folder), "", found, set(), cache)
    for path, sha256 in expected.items():
        seen = found.get(path)
        if seen is None or seen.sha256 != sha256:
            yield Difference(where, path, "changed" if seen else "missing", "", seen.file if seen else None)
    contents = Contents(where, found, frozenset(), lambda path: (folder / path).read_bytes(), lambda _: None)
    yield from judge.origins(contents, cache, frozenset({layout.FINGERPRINTS}))
    known = {layout.GENERATION, layout.PROVENANCE, layout.FINGERPRINTS, layout.RERUN}
    for path in sorted(found.keys() - expected.keys() - known):
        yield Difference(where, path, "added", found[path].strange, found[path].file)


def _environments(paths: SweepPaths, cache: Cache) -> Iterator[Difference]:
    """How the stored environments of the project differ from the digests in their names; capsules need none of them."""
    found: dict[str, Seen] = {}
    where = paths.environments.name
    if paths.environments.is_dir():
        _walk(str(paths.environments), "", found, set(), cache)
    for path, seen in sorted(found.items()):
        if path.startswith(TEMPORARY):  # of a generation that is being written
            continue
        if not _STORED.fullmatch(path):
            yield Difference(where, path, "added", seen.strange, seen.file)
        elif seen.strange or path != f"{seen.sha256}.json":
            yield Difference(where, path, "changed", seen.strange, seen.file)
