"""One trial as it is compared with another: from a project, from a copy of its directory, or from an archive.

Of an archive no code runs, and only what is compared is written out for as long as it is read: its capsule, and the
files in which a trial's numbers may stand.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep import index, layout
from resweep.errors import TrialError, disk_errors
from resweep.index import Entry
from resweep.launcher import places, trial_state
from resweep.launcher.places import Place
from resweep.launcher.storage import AttemptError
from resweep.layout import SweepPaths
from resweep.proof import environment_changes
from resweep.proof.archive.reading import AlteredError, Archive
from resweep.proof.compare import fits, flat
from resweep.proof.environment_changes import Run
from resweep.results import clean, trial_rows
from resweep.sweep import definition, dotted_keys, stored

_CONFIG, _MODEL = ("/".join(parts) for parts in (places.CONFIG_ROOT, places.MODEL_ROOT))
# the files that say how a trial ran and what came of it: what an archive without weights has of its outputs
_TOLD = (*clean.KEPT, places.FINISHED, layout.ENVIRONMENT)


@dataclass(frozen=True)
class Side:
    """One trial: what people call it, its swept values, state and run, its metrics, and the files of its capsule.

    `metrics` are the numbers that `results` shows, by dotted key; empty where there are none. `read` gives the bytes of
    one of the `files`.
    """

    label: str
    swept: Mapping[str, Any]
    state: str
    manifest: Mapping[str, Any]
    run: Run
    metrics: Mapping[str, Any]
    files: frozenset[str]
    read: Callable[[str], bytes]

    @property
    def id(self) -> str:
        """The id of its point."""
        return str(self.manifest["id"])

    @property
    def source(self) -> frozenset[str]:
        """The files that are the source: all but those that the tool made of it."""
        own = {f"{self.id}.toml", f"{self.id}.json", *layout.CAPSULE_FILES} - {layout.TRAIN}
        return self.files - own

    def config(self) -> dict[str, Any]:
        """The configuration, by dotted key; what the tool has put in front left out."""
        return dict(flat(self._table()))

    def given(self, key: str) -> Any:
        """What the trial was given for a key, whether its sweep varies or fixes that; None for nothing."""
        return self.swept[key] if key in self.swept else dotted_keys.given(self._table(), key)

    def filled(self) -> dict[str, Any]:
        """The filled template, by dotted key."""
        return dict(flat(self._parsed(f"{self.id}.json", json.loads)))

    def _table(self) -> dict[str, Any]:
        found = self._parsed(f"{self.id}.toml", lambda data: tomllib.loads(data.decode("utf-8")))
        return {key: value for key, value in found.items() if key not in definition.TRIAL_KEYS}

    def _parsed(self, name: str, parse: Callable[[bytes], Any]) -> Any:
        try:
            return parse(self.read(name))
        except (OSError, KeyError, ValueError, RecursionError) as error:
            raise TrialError(f"{self.label}: {name}: cannot be read ({error}); `resweep verify` says more") from None


def of_project(paths: SweepPaths, entry: Entry) -> Side:
    """A trial of a sweep."""
    place = paths.place(entry.name)
    state, record = trial_state.state(place)
    number = record.get("attempt") or place.last()
    label = f"{paths.name}#{entry.number} {entry.name} {entry.described()}".rstrip()
    return _on_disk(
        Path(place.capsule), label, entry.swept, state, record, Path(place.attempt(number)), _numbers(paths, entry)
    )


def of_directory(folder: Path) -> Side:
    """The trial whose directory this is: with all that is known of it where it stands in a project, else alone."""
    place = Place(str(folder))
    if place.in_project:
        paths = SweepPaths(Path(place.root), place.label.split("/")[0])
        name = "/".join(place.label.split("/")[1:])
        entry = next((each for each in index.read(paths).entries if str(each.name) == name), None)
        if entry is not None:
            return of_project(paths, entry)
    return _on_disk(folder, str(folder), {}, "unknown", {}, folder / "no attempt", {})


def _numbers(paths: SweepPaths, entry: Entry) -> dict[str, Any]:
    """The metrics of a trial as `results` shows them, wherever they stand; lists in them by dotted key, too."""
    found = trial_rows.read(paths, entry, stored.read(paths).results).metrics
    return dict(flat(found)) if found else {}


def _on_disk(
    capsule: Path,
    label: str,
    swept: Mapping[str, Any],
    state: str,
    record: Mapping[str, Any],
    directory: Path,
    metrics: Mapping[str, Any],
) -> Side:
    try:
        manifest = places.read_manifest(str(capsule))
    except AttemptError as error:
        raise TrialError(str(error)) from None
    files = frozenset(
        Path(folder, name).relative_to(capsule).as_posix() for folder, _, names in os.walk(capsule) for name in names
    )
    run = environment_changes.run(_reader(capsule), _reader(directory), record)
    return Side(label, swept, state, manifest, run, metrics, files, lambda name: (capsule / name).read_bytes())


def _reader(folder: Path) -> environment_changes.Read:
    return lambda name: (folder / name).read_bytes() if (folder / name).is_file() else None


def of_archive(path: Path, word: str) -> Side:
    """The trial that `word` names in an archive: a number, ID/TRIAL, an id or its beginning; the only one, if empty.

    Everything that is read is checked against the archive's list; an ArchiveError where it differs.
    """
    with open(path, "rb") as file, tempfile.TemporaryDirectory(prefix="resweep-") as folder, disk_errors(Path(folder)):
        found = Archive(file, path)
        entry = _named(found, path, word)
        paths = SweepPaths(Path(folder), found.contents.sweep)
        capsule = _kept(found, paths, entry)
        return _archived(path, paths, entry, capsule)


def _archived(path: Path, paths: SweepPaths, entry: Entry, capsule: Mapping[str, bytes]) -> Side:
    """The trial of an archive whose files are below `paths` for as long as this takes."""
    manifest = environment_changes.facts(capsule.get(layout.MANIFEST))
    if manifest.get("id") != entry.id:
        raise TrialError(f"{path}: {entry.name}: has no readable {layout.MANIFEST}; `resweep verify` says more")
    place = paths.place(entry.name)
    state, record = trial_state.state(place)
    if type(record.get("attempt", 0)) is not int:  # it names a directory
        raise TrialError(f"{path}: {entry.name}: has no readable {places.RECORD}; `resweep verify` says more")
    run = environment_changes.run(capsule.get, _reader(Path(place.attempt(record.get("attempt", 0)))), record)
    label = f"{path}#{entry.number} {entry.name} {entry.described()}".rstrip()
    said = state if state in trial_rows.ENDED else "not known to have finished"
    return Side(
        label,
        entry.swept,
        said,
        manifest,
        run,
        _numbers(paths, entry),
        frozenset(capsule),
        capsule.__getitem__,
    )


def _named(found: Archive, path: Path, word: str) -> Entry:
    paths = SweepPaths(Path(), found.contents.sweep)
    entries = list(found.index.entries)
    if word:
        entries = index.among(paths, found.index, f"{paths.name}#{word}" if word.isdigit() else word)
    if len(entries) != 1:
        raise TrialError(
            f"{path}: holds {len(entries)} such trials, expected one, as in {path}#{found.index.entries[0].name}"
        )
    return entries[0]


def _kept(found: Archive, paths: SweepPaths, entry: Entry) -> dict[str, bytes]:
    """The files of a capsule; writes out what says how it ran and what came of it. Reads no further than it must."""
    config, model = (f"{home}/{paths.name}/{entry.name}" for home in (_CONFIG, _MODEL))
    asked = f"{_CONFIG}/{paths.name}/{paths.generations.name}/"

    def wanted(name: str) -> bool:
        if name.startswith(asked):
            return fits(name, (layout.GENERATION, layout.DEFINITION))
        told = name.startswith((f"{model}/", f"{model}{places.ATTEMPTS_SUFFIX}/")) and fits(name, _TOLD)
        return told or name.startswith(f"{config}/")

    _write(paths.root, [str(paths.index.relative_to(paths.root))], [found.text])
    left = {name for file in found.contents.files for name in file.paths if wanted(name)}
    for file, pieces in found.files():
        mine = left.intersection(file.paths)
        try:
            _write(paths.root, sorted(mine), pieces)
        except AlteredError:
            raise found.damaged("its sha256 is not the one in the list") from None
        left -= mine
        if not left:
            break
    capsule = paths.capsule(entry.name)
    return {path.relative_to(capsule).as_posix(): path.read_bytes() for path in capsule.rglob("*") if path.is_file()}


def _write(root: Path, names: Sequence[str], pieces: Iterable[bytes]) -> None:
    """Write a file under each of its names; of none nothing, but all of it is read, and so checked."""
    with contextlib.ExitStack() as stack:
        files = []
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            files.append(stack.enter_context(open(root / name, "xb")))
        for piece in pieces:
            for file in files:
                file.write(piece)
