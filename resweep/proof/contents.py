"""What is in an archive: the list that stands in front of it, written by one rule and read with no trust.

The list says everything about the archive, so that reading one is comparing it with its list: see `unpack`.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep import attempt, trial
from resweep.errors import ArchiveError, ConfigError
from resweep.trial import SweepPaths, TrialName

NAME = "resweep-archive.json"
KIND = "resweep archive"
OUTPUTS = ("none", "metrics", "all")
SHARED = (0o444, 0o555)  # files that nothing ever writes to, so that several names may be one file
OWN = (0o644, 0o755)
INDEX = SweepPaths(Path(), "").index.name
_BESIDE = tuple(path.name for path in SweepPaths(Path(), "").replaced[:3])  # launcher, its options, index
MOST_NAMES = 50_000  # of one file: ext4 stops at 65,000 hard links
LONGEST_NAME = 255  # bytes
LONGEST_PATH = 3000  # bytes: leaves room for the directory that it is unpacked into

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NOT_PLAIN = re.compile(r"(?:^|/)\.{0,2}(?:/|\Z)")  # absolute, empty parts, . and ..
# control characters, line breaks, what turns the direction of writing round, halves of characters
_HIDING = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
_OWNER = re.compile(
    rf"(?:{'/'.join(attempt.CONFIG_ROOT)}|({'/'.join(attempt.MODEL_ROOT)}))/[^/]+/([a-z2-7]{{{trial.ID_LENGTH}}})/"
    rf"(0|[1-9][0-9]{{0,8}})({re.escape(attempt.ATTEMPTS_SUFFIX)})?(?=/|\Z)"
)
_GENERATION = re.compile(r"generations/[1-9][0-9]*/.")


@dataclass(frozen=True)
class Item:
    """A file to be packed: its path below the project's root, its sha256, size in bytes and mode."""

    path: str
    sha256: str
    size: int
    mode: int


@dataclass(frozen=True)
class File:
    """One file of an archive, with all its names: the first is stored, the others are hard links to it."""

    paths: tuple[str, ...]
    sha256: str
    size: int
    mode: int


@dataclass(frozen=True)
class Contents:
    """The list of an archive: the trials in it, files in their order, symbolic links, directories with no file."""

    sweep: str
    outputs: str
    trials: tuple[TrialName, ...]
    files: tuple[File, ...]
    links: tuple[tuple[str, str], ...] = ()
    directories: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The bytes that it takes unpacked, without what file systems add; hard links count once."""
        return sum(file.size for file in self.files)

    @property
    def items(self) -> list[Item]:
        """Every file by each of its names."""
        return [Item(path, file.sha256, file.size, file.mode) for file in self.files for path in file.paths]

    def data(self) -> bytes:
        """The list as it stands in the archive."""
        table = {
            "format": trial.FORMAT,
            "kind": KIND,
            "sweep": self.sweep,
            "outputs": self.outputs,
            "trials": [str(name) for name in self.trials],
            "files": [
                {"paths": list(file.paths), "sha256": file.sha256, "size": file.size, "mode": f"{file.mode:04o}"}
                for file in self.files
            ],
            "links": [list(link) for link in self.links],
            "directories": list(self.directories),
        }
        return (trial.pretty(trial.sealed(table)) + "\n").encode()


def arranged(
    sweep: str,
    outputs: str,
    trials: Iterable[TrialName],
    items: Iterable[Item],
    links: Mapping[str, str],
    directories: Iterable[str],
) -> Contents:
    """Everything in the one order that it has in an archive, equal files that may be one under one entry.

    The list of trials comes first, then what belongs to none or to several, then one trial after the other, so that one
    can be taken out without reading on.
    """
    names = tuple(sorted(trials))
    groups: dict[object, list[Item]] = {}
    for item in sorted(items, key=lambda item: item.path):
        groups.setdefault(_sharing(item), []).append(item)
    files = [_file(group[n : n + MOST_NAMES]) for group in groups.values() for n in range(0, len(group), MOST_NAMES)]
    return Contents(
        sweep,
        outputs,
        names,
        tuple(sorted(files, key=_order)),
        tuple(sorted(links.items())),
        tuple(sorted(directories)),
    )


def _sharing(item: Item) -> object:
    """What items have in common that are one file."""
    if item.mode in SHARED:
        return (item.sha256, item.size, item.mode)
    # the record of the attempt that counts, and its second name
    folder, suffix, rest = item.path.partition(attempt.ATTEMPTS_SUFFIX + "/")
    if suffix and (rest == attempt.FINISHED or re.fullmatch(rf"[0-9]+/{attempt.RECORD}", rest)):
        return (folder, item.sha256, item.size, item.mode)
    return item.path


def _file(group: Sequence[Item]) -> File:
    return File(tuple(item.path for item in group), group[0].sha256, group[0].size, group[0].mode)


def _order(file: File) -> tuple[int, TrialName, str]:
    first = file.paths[0]
    owners = {trial_of(path) for path in file.paths}
    owner = owners.pop() if len(owners) == 1 else None
    if owner is not None:
        return (2, owner, first)
    is_index = first.count("/") == len(attempt.CONFIG_ROOT) + 1 and first.endswith("/" + INDEX)
    return (0 if is_index else 1, TrialName("", 0), first)


def narrowed(listed: Contents, trials: Iterable[TrialName], generations: Iterable[int], text: bytes) -> Contents:
    """What would have been listed had these trials been packed alone, which have the index `text`."""
    names = set(trials)
    home = "/".join((*attempt.CONFIG_ROOT, listed.sweep))
    folders = tuple(f"{home}/generations/{number}/" for number in generations)

    def wanted(path: str) -> bool:
        owner = trial_of(path)
        return owner in names if owner else path.startswith(folders) or path.count("/") == home.count("/") + 1

    items = [item for item in listed.items if wanted(item.path) and item.path != f"{home}/{INDEX}"]
    items.append(Item(f"{home}/{INDEX}", hashlib.sha256(text).hexdigest(), len(text), OWN[0]))
    links = {path: target for path, target in listed.links if wanted(path)}
    return arranged(listed.sweep, listed.outputs, names, items, links, filter(wanted, listed.directories))


def trial_of(path: str) -> TrialName | None:
    """The trial that a path of an archive belongs to; None when it is the sweep's."""
    found = _OWNER.match(path)
    if found is None or (found[4] and not found[1]):
        return None
    return TrialName(found[2], int(found[3]))


def parse(data: bytes, where: str) -> Contents:
    """The list that `data` is; an ArchiveError where it is not one that `Contents.data` has written."""
    try:
        table = json.loads(data)
        if table["kind"] != KIND:
            raise KeyError("kind")
        if table["format"] != trial.FORMAT:
            raise ArchiveError(f"{where}: format {table['format']!r}, expected {trial.FORMAT}: made by another version")
        found = _shaped(table)
        sound = trial.check_seal(table)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ArchiveError(f"{where}: {NAME}: found no list of an archive's files; damaged, or not ours") from None
    if not sound:
        raise ArchiveError(f"{where}: {NAME}: its checksum is not that of its content")
    check(found, where)
    again = arranged(found.sweep, found.outputs, found.trials, found.items, dict(found.links), found.directories)
    if again != found or found.data() != data:
        raise ArchiveError(f"{where}: {NAME}: is not written as resweep writes it")
    return found


def _shaped(table: dict[str, Any]) -> Contents:
    """The table's values in their types; TypeError, ValueError or KeyError when it has others."""
    files = tuple(
        File(tuple(map(_text, each["paths"])), _text(each["sha256"]), _number(each["size"]), int(each["mode"], 8))
        for each in table["files"]
    )
    links = tuple((_text(path), _text(target)) for path, target in table["links"])
    names = [_text(name).split("/") for name in table["trials"]]
    trials = tuple(TrialName(id_, int(number)) for id_, number in names)
    directories = tuple(map(_text, table["directories"]))
    return Contents(_text(table["sweep"]), _text(table["outputs"]), trials, files, links, directories)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise TypeError
    return value


def check(contents: Contents, where: str) -> None:
    """Refuse, with an ArchiveError, a list that names what no archive of a sweep holds, or what could lead out."""
    try:
        trial.check_name(contents.sweep)
    except ConfigError as error:
        raise ArchiveError(f"{where}: {error}") from None
    if contents.outputs not in OUTPUTS:
        raise ArchiveError(f"{where}: outputs: found {contents.outputs!r}, expected one of {', '.join(OUTPUTS)}")
    for file in contents.files:
        _check_file(file, where)
    paths = [path for file in contents.files for path in file.paths]
    every = [*paths, *(path for path, _ in contents.links), *contents.directories]
    for path in every:
        _check_path(path, where)
    _check_tree(contents, every, where)
    known = set(contents.trials)
    place = {path: _place(path, contents.sweep, known) for path in every}
    for path in every:
        if place[path] is None:
            raise ArchiveError(f"{where}: {path!a}: lies outside of the sweep {contents.sweep} and its trials")
    for file in contents.files:
        for path in file.paths:
            if file.mode not in (place[path] or ()):
                raise ArchiveError(f"{where}: {path!a}: mode {file.mode:04o}, which no file there has")
    index = "/".join((*attempt.CONFIG_ROOT, contents.sweep, INDEX))
    if not contents.files or contents.files[0].paths != (index,):
        raise ArchiveError(f"{where}: found no {INDEX} in front, expected the list of the sweep's trials")
    _check_links(contents, paths, where)


def _check_file(file: File, where: str) -> None:
    shown = ascii(file.paths[0]) if file.paths else "a file without a name"
    if not file.paths:
        raise ArchiveError(f"{where}: {shown}")
    if file.mode not in (*SHARED, *OWN):
        raise ArchiveError(f"{where}: {shown}: mode {file.mode:04o}, expected 0444, 0555, 0644 or 0755")
    if not _SHA256.fullmatch(file.sha256):
        raise ArchiveError(f"{where}: {shown}: found {file.sha256!r}, expected a sha256")


def _check_path(path: str, where: str) -> None:
    """Refuse a path that is not plain: absolute, with `..`, too long, or with characters that hide what it is."""
    if _NOT_PLAIN.search(path):
        raise ArchiveError(f"{where}: {path!a}: expected a path below the directory that it is unpacked into")
    if _HIDING.search(path):
        raise ArchiveError(f"{where}: {path!a}: expected no control characters in a name")
    size = len(path.encode())
    if size > LONGEST_PATH or (
        size > LONGEST_NAME and max(len(part.encode()) for part in path.split("/")) > LONGEST_NAME
    ):
        raise ArchiveError(f"{where}: {path[:60]!a}...: the name is too long")


def _place(path: str, sweep: str, trials: set[TrialName]) -> tuple[int, ...] | None:
    """The modes that a file may have there; None when nothing of the sweep or of its trials has that place."""
    config, model = "/".join((*attempt.CONFIG_ROOT, sweep, "")), "/".join((*attempt.MODEL_ROOT, sweep, ""))
    owner = trial_of(path)
    if owner in trials and path.startswith((config, model)):
        return OWN if path.startswith(model) else SHARED
    below = path.removeprefix(config)
    if owner is None and path != below:
        if below in _BESIDE:
            return OWN
        return SHARED if _GENERATION.match(below) else None
    return None


def _check_tree(contents: Contents, every: list[str], where: str) -> None:
    """Refuse a name that stands twice, and a file or link that something else would have to lie in."""
    twice = [path for path, count in Counter(every).items() if count > 1]
    if twice:
        raise ArchiveError(f"{where}: {twice[0]!a}: is there twice")
    links = {path for path, _ in contents.links}
    # on a disk that takes a and A for one name, a link could else be taken for a directory
    folded = {_folded(path) for path in links}
    names = Counter(map(_folded, every))
    if any(names[path] > 1 for path in folded):
        raise ArchiveError(f"{where}: a symbolic link and another member have names that some disks take for one")
    solid = {path for file in contents.files for path in file.paths} | links
    for folder in {path.rpartition("/")[0] for path in every}:
        for above, same in zip(_above(folder + "/"), _above(_folded(folder) + "/"), strict=True):
            if above in solid or same in folded:
                raise ArchiveError(f"{where}: something lies in {above!a}, which is no directory")


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _check_links(contents: Contents, paths: list[str], where: str) -> None:
    """Refuse a symbolic link that does not lead, without another on the way, to something in the archive."""
    there = {*paths, *contents.directories}
    there |= {above for path in (*paths, *contents.directories) for above in _above(path)}
    for path, target in contents.links:
        if leads_to(path, target) not in there:
            raise ArchiveError(
                f"{where}: {path!a}: a symbolic link to {target!a}, expected one to what is in the archive"
            )


def leads_to(path: str, target: str) -> str | None:
    """Where a symbolic link at `path` leads, below the root; None when it is not `../` some times and a plain path."""
    folder = path.split("/")[:-1]
    parts = target.split("/")
    while parts and parts[0] == "..":
        if not folder:
            return None
        folder.pop()
        parts.pop(0)
    if any(part in ("", ".", "..") for part in parts):
        return None
    return "/".join((*folder, *parts))
