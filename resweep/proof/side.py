"""One trial as it is compared with another: from a project, from a copy of its directory, or from an archive.

Of an archive nothing is unpacked, and no code of it runs.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep import attempt, index, results, sweep, trial
from resweep.errors import TrialError
from resweep.index import Entry
from resweep.proof import causes
from resweep.proof.causes import Run
from resweep.proof.compare import flat
from resweep.proof.contents import trial_of
from resweep.proof.reading import AlteredError, Archive
from resweep.trial import SweepPaths

_CONFIG, _MODEL = ("/".join(parts) for parts in (attempt.CONFIG_ROOT, attempt.MODEL_ROOT))


@dataclass(frozen=True)
class Side:
    """One trial: what people call it, its swept values, state and run, its metrics, and the files of its capsule.

    `metrics` is None where there are none. `read` gives the bytes of one of the `files`.
    """

    label: str
    swept: Mapping[str, Any]
    state: str
    manifest: Mapping[str, Any]
    run: Run
    metrics: Mapping[str, Any] | None
    files: frozenset[str]
    read: Callable[[str], bytes]

    @property
    def id(self) -> str:
        """The id of its point."""
        return str(self.manifest["id"])

    @property
    def source(self) -> frozenset[str]:
        """The files that are the source: all but those that the tool made of it."""
        own = {f"{self.id}.toml", f"{self.id}.json", *trial.CAPSULE_FILES} - {trial.TRAIN}
        return self.files - own

    def config(self) -> dict[str, Any]:
        """The configuration, by dotted key; what the tool has put in front left out."""
        table = self._parsed(f"{self.id}.toml", lambda data: tomllib.loads(data.decode("utf-8")))
        return dict(flat({key: value for key, value in table.items() if key not in sweep.TRIAL_KEYS}))

    def filled(self) -> dict[str, Any]:
        """The filled template, by dotted key."""
        return dict(flat(self._parsed(f"{self.id}.json", json.loads)))

    def _parsed(self, name: str, parse: Callable[[bytes], Any]) -> Any:
        try:
            return parse(self.read(name))
        except (OSError, KeyError, ValueError, RecursionError) as error:
            raise TrialError(f"{self.label}: {name}: cannot be read ({error}); `resweep verify` says more") from None


def of_project(paths: SweepPaths, entry: Entry) -> Side:
    """A trial of a sweep."""
    place = paths.place(entry.name)
    state, record = attempt.state(place)
    number = record.get("attempt") or place.last()
    metrics = None
    if state == "finished":
        metrics = _table(_reader(Path(results.output(place, record)))(trial.METRICS))
    label = f"{paths.name}#{entry.number} {entry.name} {entry.described()}".rstrip()
    return _on_disk(Path(place.capsule), label, entry.swept, state, record, Path(place.attempt(number)), metrics)


def of_directory(folder: Path) -> Side:
    """The trial whose directory this is: with all that is known of it where it stands in a project, else alone."""
    place = attempt.Place(str(folder))
    if place.in_project:
        paths = SweepPaths(Path(place.root), place.label.split("/")[0])
        name = "/".join(place.label.split("/")[1:])
        entry = next((each for each in index.read(paths).entries if str(each.name) == name), None)
        if entry is not None:
            return of_project(paths, entry)
    return _on_disk(folder, str(folder), {}, "unknown", {}, folder / "no attempt", None)


def _on_disk(
    capsule: Path,
    label: str,
    swept: Mapping[str, Any],
    state: str,
    record: Mapping[str, Any],
    directory: Path,
    metrics: Mapping[str, Any] | None,
) -> Side:
    try:
        manifest = attempt.read_manifest(str(capsule))
    except attempt.AttemptError as error:
        raise TrialError(str(error)) from None
    files = frozenset(
        Path(folder, name).relative_to(capsule).as_posix() for folder, _, names in os.walk(capsule) for name in names
    )
    run = causes.run(_reader(capsule), _reader(directory), record)
    return Side(label, swept, state, manifest, run, metrics, files, lambda name: (capsule / name).read_bytes())


def _reader(folder: Path) -> causes.Read:
    return lambda name: (folder / name).read_bytes() if (folder / name).is_file() else None


def _table(data: bytes | None) -> dict[str, Any] | None:
    return None if data is None else dict(flat(causes.facts(data)))


def of_archive(path: Path, word: str) -> Side:
    """The trial that `word` names in an archive: a number, ID/TRIAL, an id or its beginning; the only one, if empty.

    Everything that is read is checked against the archive's list; an ArchiveError where it differs.
    """
    with open(path, "rb") as file:
        found = Archive(file, path)
        entry = _named(found, path, word)
        listed = found.contents.sweep
        config, model = (f"{home}/{listed}/{entry.name}" for home in (_CONFIG, _MODEL))
        kept = _kept(found, config, model)
    capsule = {name.removeprefix(config + "/"): data for name, data in kept.items() if name.startswith(config + "/")}
    record = causes.facts(kept.get(f"{model}{attempt.ATTEMPTS_SUFFIX}/{attempt.FINISHED}"))
    attempts = f"{model}{attempt.ATTEMPTS_SUFFIX}/{record.get('attempt')}/"
    manifest = causes.facts(capsule.get(trial.MANIFEST))
    if manifest.get("id") != entry.id:
        raise TrialError(f"{path}: {entry.name}: has no readable {trial.MANIFEST}; `resweep verify` says more")
    run = causes.run(capsule.get, lambda name: kept.get(attempts + name), record)
    label = f"{path}#{entry.number} {entry.name} {entry.described()}".rstrip()
    metrics = _table(kept.get(f"{model}/{trial.METRICS}"))
    state = "finished" if record else "not known to have finished"
    return Side(label, entry.swept, state, manifest, run, metrics, frozenset(capsule), capsule.__getitem__)


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


def _kept(found: Archive, config: str, model: str) -> dict[str, bytes]:
    """The files of one trial that are compared: reads no further than it must."""
    kept: dict[str, bytes] = {}

    def wanted(name: str) -> bool:
        beside = name.rpartition("/")[2] in (attempt.FINISHED, trial.ENVIRONMENT)
        return (
            name.startswith(config + "/")
            or name == f"{model}/{trial.METRICS}"
            or (beside and name.startswith(model + attempt.ATTEMPTS_SUFFIX + "/"))
        )

    left = {name for file in found.contents.files for name in file.paths if wanted(name)}
    for file, pieces in found.files():
        mine = left.intersection(file.paths)
        try:
            data = b"".join(pieces) if mine else b""
            for _ in pieces:  # what is not wanted is checked on the way
                pass
        except AlteredError:
            raise found.damaged("its sha256 is not the one in the list") from None
        kept |= dict.fromkeys(mine, data)
        left -= mine
        if not left:
            break
    assert all(trial_of(name) for name in kept)
    return kept
