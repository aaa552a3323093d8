"""An archive checked without being unpacked: its bytes, and every capsule in it as `verify` checks one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from resweep import layout
from resweep.errors import ArchiveError
from resweep.launcher import places
from resweep.layout import TrialName
from resweep.proof import capsule_check
from resweep.proof.archive.contents import INDEX, File, trial_of
from resweep.proof.archive.reading import AlteredError, Archive
from resweep.proof.capsule_check import Contents, Difference, Known, Seen
from resweep.proof.verify import Report

_CONFIG = "/".join((*places.CONFIG_ROOT, ""))


def verify(path: Path) -> Report:
    """Verify an archive: what is damaged or altered in it, and the capsules that are not what was written."""
    known = Known()
    differences: list[Difference] = []
    count = 0
    with open(path, "rb") as file:
        try:
            found = Archive(file, path)
            inspection = _Inspection(found, path, known)
            count = len(found.contents.trials)
            for each in inspection.differences():  # not extend: what was found stays when reading stops
                differences.append(each)
        except ArchiveError as error:
            reason = str(error).removeprefix(f"{path}: ")
            differences.append(Difference(str(path), "", "damaged", reason))
    return Report(count, differences, known.notes)


class _Inspection:
    """The verification of one archive: holds what is known of a trial until it has been read to its end."""

    def __init__(self, found: Archive, path: Path, known: Known) -> None:
        self._found = found
        self._path = path
        self._known = known
        self._repeats = Counter(name.id for name in found.contents.trials)
        self._altered: dict[str, str] = {}  # first name of a file -> the sha256 that it has
        self._kept: dict[str, bytes] = {}
        self._firsts: dict[str, bytes] = {}
        self._files: dict[TrialName, list[tuple[str, File]]] = {name: [] for name in found.contents.trials}
        self._digests = {entry.name: entry.digest for entry in found.index.entries}
        self._home = f"{_CONFIG}{found.contents.sweep}/"
        for each in found.contents.files:
            for name in each.paths:
                owner = trial_of(name)
                if owner is not None and name.startswith(self._home):
                    self._files[owner].append((name, each))

    def differences(self) -> Iterator[Difference]:
        """Everything that is wrong, in the order in which it is read."""
        current: TrialName | None = None
        for file, pieces in self._found.files():
            owner = trial_of(file.paths[0]) if len({trial_of(path) for path in file.paths}) == 1 else None
            if current is not None and owner != current:
                yield from self._judged(current)
            current = owner
            yield from self._read(file, pieces)
        if current is not None:
            yield from self._judged(current)

    def _read(self, file: File, pieces: Iterator[bytes]) -> Iterator[Difference]:
        wanted = [path for path in file.paths if self._wanted(path)]
        data = []
        try:
            for piece in pieces:
                if wanted:
                    data.append(piece)
        except AlteredError as error:
            self._altered[file.paths[0]] = str(error)
            for path in file.paths:
                yield Difference(str(self._path), path, "changed", "", file.paths[0])
        if wanted and wanted[0].endswith("/" + layout.PROVENANCE):
            sha256 = self._altered.get(file.paths[0], file.sha256)
            self._known.origins[sha256] = capsule_check.origin(b"".join(data))
        elif wanted:
            self._kept |= dict.fromkeys(wanted, b"".join(data))

    def _wanted(self, path: str) -> bool:
        """Whether the check of a capsule reads the file, and not its sha256 alone."""
        owner = trial_of(path)
        name = path.rpartition("/")[2]
        own = (f"{owner.id}.toml", f"{owner.id}.json", layout.MANIFEST, layout.PROVENANCE) if owner else ()
        return name in own and path == f"{self._home}{owner}/{name}"

    def _judged(self, name: TrialName) -> Iterator[Difference]:
        """How a trial that was read to its end differs from what was written; only the first's template is kept."""
        prefix = f"{self._home}{name}/"
        files = {
            path.removeprefix(prefix): Seen(
                self._altered.get(file.paths[0], file.sha256), bool(file.mode & 0o111), file.paths[0]
            )
            for path, file in self._files.pop(name, [])
        }
        parts = [path.split("/") for path in files]
        directories = frozenset("/".join(part[:n]) for part in parts for n in range(1, len(part)))
        altered = {path for path in files if files[path].file in self._altered}
        where = f"{self._found.contents.sweep}/{name}"
        read = Contents(where, files, directories, lambda path: self._kept[prefix + path], self._firsts.get)
        template = f"{prefix}{name.id}.json"
        if name.trial == 0 and self._repeats[name.id] > 1 and f"{name.id}.json" not in altered:
            self._firsts[name.id] = self._kept.get(template, b"")
        found = [
            each for each in capsule_check.check(read, self._known, name) if each.path not in altered
        ]  # named already
        yield from found
        if not found and not altered and json.loads(read.read(layout.MANIFEST))["digest"] != self._digests[name]:
            detail = f"its digest of {name} is not the trial's own"
            yield Difference(self._found.contents.sweep, INDEX, "changed", detail)
        for path in [path for path in self._kept if path.startswith(prefix)]:
            del self._kept[path]
