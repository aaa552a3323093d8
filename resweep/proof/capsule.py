"""One capsule against its manifest, wherever its files are: on the disk, or in an archive that is being read."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from resweep import snapshot, sweep, trial
from resweep.trial import TrialName

Kind = Literal["changed", "missing", "added", "damaged"]
# of a manifest: what everything below reads, with its type
_FIELDS = {"format": int, "id": str, "digest": str, "trial": int, "seed": int, "threads": int, "files": dict}
_FIELDS |= {"snapshot": dict}
_PROVENANCE_UNSEALED = frozenset(
    ("format", "tool", "created", "command", "project", "host", "platform", "interpreter", "git")
)


@dataclass(frozen=True)
class Difference:
    """A file that is not what it was when it was written: below `where`, a trial, sweep or archive, at `path`.

    Hard links of one file have the same `file`; `path` is empty when the whole of `where` is meant.
    """

    where: str
    path: str
    kind: Kind
    detail: str = ""
    file: Hashable = None


@dataclass(frozen=True)
class Seen:
    """A file as it is found: its sha256, whether it may be executed, and what its hard links share.

    What is no file has its kind instead of a sha256, such as "a symbolic link".
    """

    sha256: str
    executable: bool
    file: Hashable = None
    strange: str = ""


@dataclass(frozen=True)
class Contents:
    """A capsule's files as they are found, its directories, and how to read one of the files."""

    where: str
    files: Mapping[str, Seen]
    directories: frozenset[str]
    read: Callable[[str], bytes]
    # the filled template of the point's first trial, which the id is computed from; None when it is not at hand
    first: Callable[[str], bytes | None]


class Known:
    """What was found out already and holds for other capsules too, and what could not be found out, with how often."""

    def __init__(self) -> None:
        self.notes: dict[str, list[str]] = {}
        self.digests: dict[str, Mapping[str, Any]] = {}  # of a source -> the list that it is the digest of
        self.seals: dict[str, bool | None] = {}  # sha256 of a sealed file -> whether its seal holds
        self._shapes: dict[tuple[str, ...], frozenset[str]] = {}

    def note(self, what: str, where: str) -> None:
        """Remember that `what` is true of `where`."""
        self.notes.setdefault(what, []).append(where)

    def directories(self, paths: Mapping[str, str]) -> frozenset[str]:
        """The directories that the files of a source lie in."""
        key = tuple(paths)
        if key not in self._shapes:
            parts = [path.split("/") for path in paths]
            self._shapes[key] = frozenset("/".join(part[:n]) for part in parts for n in range(1, len(part)))
        return self._shapes[key]


def check(contents: Contents, known: Known, name: TrialName | None = None) -> list[Difference]:
    """How a capsule differs from what was written; `name` is what its directory says, where that means something."""
    where = contents.where
    seen = contents.files.get(trial.MANIFEST)
    if seen is None or seen.strange:
        detail = seen.strange if seen else "without it the rest of this trial cannot be judged"
        return [Difference(where, trial.MANIFEST, "changed" if seen else "missing", detail)]
    manifest, reason = _read(contents.read(trial.MANIFEST))
    broken = [Difference(where, trial.MANIFEST, "changed", reason, seen.file)] if reason else []
    if manifest is None:
        return broken
    found = [*_files(contents, manifest, known), *_provenance(contents, known)]
    if broken:  # its list is all there is to go by, and may itself be what changed
        return [*broken, *(_doubtful(each) for each in found)]
    wrong = {each.path for each in found}
    return [*found, *_identity(contents, manifest, known, name, wrong)]


def _doubtful(each: Difference) -> Difference:
    return Difference(each.where, each.path, each.kind, f"{each.detail} by a manifest that changed".strip(), each.file)


def _read(data: bytes) -> tuple[dict[str, Any] | None, str]:
    """A manifest, unless it cannot be read, and what is wrong with it, if anything."""
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError):
        return None, "cannot be read as JSON; without it the rest of this trial cannot be judged"
    shaped = isinstance(manifest, dict) and all(isinstance(manifest.get(k), t) for k, t in _FIELDS.items())
    if isinstance(manifest, dict) and manifest.get("format", trial.FORMAT) != trial.FORMAT:
        return None, f"format {manifest['format']!r}, expected {trial.FORMAT}: made by another version, or changed"
    listing = manifest["snapshot"] if shaped else {}
    if not shaped or not _listed(listing.get("files")) or not _listed(manifest["files"]):
        return None, "holds no manifest; without it the rest of this trial cannot be judged"
    if not isinstance(listing.get("executable"), list) or not isinstance(listing.get("digest"), str):
        return None, "holds no manifest; without it the rest of this trial cannot be judged"
    return manifest, "" if seal(data, frozenset()) else "its checksum is not that of its content"


def _listed(files: object) -> bool:
    return isinstance(files, dict) and all(isinstance(value, str) for value in files.values())


def _files(contents: Contents, manifest: dict[str, Any], known: Known) -> Iterator[Difference]:
    """Every file that is changed, missing or should not be there, by the manifest's list."""
    where, seen = contents.where, contents.files
    source = manifest["snapshot"]["files"]
    executable = set(map(str, manifest["snapshot"]["executable"]))
    for listed in (manifest["files"], source):
        for path, sha256 in listed.items():
            found = seen.get(path)
            if found is None:
                kind: Kind = "changed" if path in contents.directories else "missing"
                yield Difference(where, path, kind, "a directory, expected a file" if kind == "changed" else "")
            elif found.strange:
                yield Difference(where, path, "changed", found.strange, found.file)
            elif found.sha256 != sha256:
                yield Difference(where, path, "changed", "", found.file)
            elif listed is source and found.executable != (path in executable):
                mode = "may be executed, and could not be" if found.executable else "could be executed, and cannot be"
                yield Difference(where, path, "changed", mode, found.file)
    expected = {*manifest["files"], *source, trial.MANIFEST, trial.PROVENANCE}
    for path in sorted(seen.keys() - expected):
        yield Difference(where, path, "added", seen[path].strange, seen[path].file)
    for path in sorted(contents.directories - known.directories(source) - expected):
        yield Difference(where, path, "added", "a directory")


def _provenance(contents: Contents, known: Known) -> Iterator[Difference]:
    """What is wrong with the capsule's provenance, which no digest covers but its own checksum."""
    seen = contents.files.get(trial.PROVENANCE)
    if seen is None:
        yield Difference(contents.where, trial.PROVENANCE, "missing")
        return
    if seen.strange:
        yield Difference(contents.where, trial.PROVENANCE, "changed", seen.strange)
        return
    if seen.sha256 not in known.seals:
        known.seals[seen.sha256] = seal(contents.read(trial.PROVENANCE))
    holds = known.seals[seen.sha256]
    if holds is None:
        known.note(f"{trial.PROVENANCE} has no checksum: generated by a resweep that gave it none", contents.where)
    elif not holds:
        reason = "its checksum is not that of its content"
        yield Difference(contents.where, trial.PROVENANCE, "changed", reason, seen.file)


def seal(data: bytes, earlier: frozenset[str] = _PROVENANCE_UNSEALED) -> bool | None:
    """Whether a sealed file is what was written, to the byte; None when it is of a time that knew no seal.

    `earlier` is what such a file then held: another one has lost its checksum, and is no longer what was written.
    """
    try:
        table = json.loads(data)
        sound = trial.check_seal(table) if isinstance(table, dict) else False
        if sound is None:
            return None if table.keys() <= earlier else False
        return sound and data == (trial.pretty(table) + "\n").encode()
    except (ValueError, RecursionError):
        return False


def _identity(
    contents: Contents, manifest: dict[str, Any], known: Known, name: TrialName | None, wrong: set[str]
) -> Iterator[Difference]:
    """Whether the manifest is that of this trial: its id and digest are what the capsule's own files give."""

    def differs(detail: str) -> Difference:
        return Difference(contents.where, trial.MANIFEST, "changed", detail, contents.files[trial.MANIFEST].file)

    own = TrialName(manifest["id"], manifest["trial"])
    if name is not None and own != name:
        yield differs(f"is that of the trial {own}")
    try:
        short = trial.short_id(manifest["digest"])
    except ValueError:
        short = "no sha256"
    if short != own.id:
        yield differs(f"its id is {own.id}, expected {short}, which its digest abbreviates")
    source = manifest["snapshot"]
    if known.digests.get(source["digest"]) != source:
        if snapshot.listed_digest(source["files"], source["executable"]) != source["digest"]:
            yield differs("the digest of the source is not that of its list of files")
        else:
            known.digests[source["digest"]] = source
    files = (f"{own.id}.toml", f"{own.id}.json", trial.TRAIN)
    if any(path not in manifest["files"] for path in files):
        yield differs("lists no " + " or no ".join(path for path in files if path not in manifest["files"]))
    elif not wrong & set(files):  # what a changed file gives says nothing of the manifest
        for detail in _digest(contents, manifest, known, own):
            yield differs(detail)


def _digest(contents: Contents, manifest: dict[str, Any], known: Known, own: TrialName) -> Iterator[str]:
    """What the configuration, the filled template, the source, train.sh and the threads say against the manifest."""
    try:
        config = tomllib.loads(contents.read(f"{own.id}.toml").decode("utf-8"))
        header = {key: config.pop(key, None) for key in sweep.TRIAL_KEYS}
        filled = json.loads(contents.read(f"{own.id}.json"))
    except (ValueError, RecursionError) as error:
        yield f"the trial's configuration, which has its digest, cannot be read ({error})"
        return
    if (header["generated_id"], header["trial"]) != (own.id, own.trial):
        yield f"{own.id}.toml says that it is the trial {header['generated_id']}/{header['trial']}"
    for key, expected in (("threads", config.get("threads", 1)), ("seed", _seed(config, own.trial))):
        if manifest[key] != expected:
            yield f"{key} is {manifest[key]}, expected {expected}, by {own.id}.toml"
    if own.trial:
        first = contents.first(own.id)
        if first is None:
            known.note("the digest could not be computed: the first trial of this id is not at hand", contents.where)
            return
        try:
            filled = json.loads(first)
        except (ValueError, RecursionError):
            return  # the first trial's own check names it
    identity = {
        "config": config,
        "json": filled,
        "snapshot": manifest["snapshot"]["digest"],
        "train": manifest["files"][trial.TRAIN],
        "threads": manifest["threads"],
    }
    if trial.digest(identity) != manifest["digest"]:
        yield "its digest is not what configuration, template, source, train.sh and threads give"


def _seed(config: dict[str, Any], number: int) -> object:
    seed = config.get("seed", 0)
    return seed + number if isinstance(seed, int) else seed
