"""The list of an archive, believed in nothing: what it may name, and what could lead out of where it is unpacked."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

from resweep import layout
from resweep.errors import ArchiveError, ConfigError
from resweep.launcher import places
from resweep.layout import SweepPaths, TrialName
from resweep.proof.archive import contents
from resweep.proof.archive.contents import Contents, File

LONGEST_NAME = 255  # bytes
LONGEST_PATH = 3000  # bytes: leaves room for the directory that it is unpacked into
_BESIDE = tuple(path.name for path in SweepPaths(Path(), "").replaced[:3])  # launcher, its options, index
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NOT_PLAIN = re.compile(r"(?:^|/)\.{0,2}(?:/|\Z)")  # absolute, empty parts, . and ..
# control characters, line breaks, what turns the direction of writing round, halves of characters
_HIDING = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
_GENERATION = re.compile(r"generations/[1-9][0-9]*/.")


def parse(data: bytes, where: str) -> Contents:
    """The list that `data` is; an ArchiveError where it is not one that `Contents.data` has written."""
    try:
        table = json.loads(data)
        if table["kind"] != contents.KIND:
            raise KeyError("kind")
        if table["format"] != layout.FORMAT:
            raise ArchiveError(
                f"{where}: format {table['format']!r}, expected {layout.FORMAT}: made by another version"
            )
        found = _shaped(table)
        sound = layout.check_seal(table)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ArchiveError(
            f"{where}: {contents.NAME}: found no list of an archive's files; damaged, or not ours"
        ) from None
    if not sound:
        raise ArchiveError(f"{where}: {contents.NAME}: its checksum is not that of its content")
    check(found, where)
    again = contents.arranged(
        found.sweep, found.outputs, found.trials, found.items, dict(found.links), found.directories
    )
    if again != found or found.data() != data:
        raise ArchiveError(f"{where}: {contents.NAME}: is not written as resweep writes it")
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


def check(listed: Contents, where: str) -> None:
    """Refuse, with an ArchiveError, a list that names what no archive of a sweep holds, or what could lead out."""
    try:
        layout.check_name(listed.sweep)
    except ConfigError as error:
        raise ArchiveError(f"{where}: {error}") from None
    if listed.outputs not in contents.OUTPUTS:
        raise ArchiveError(f"{where}: outputs: found {listed.outputs!r}, expected one of {', '.join(contents.OUTPUTS)}")
    for file in listed.files:
        _check_file(file, where)
    paths = [path for file in listed.files for path in file.paths]
    every = [*paths, *(path for path, _ in listed.links), *listed.directories]
    for path in every:
        _check_path(path, where)
    _check_tree(listed, every, where)
    known = set(listed.trials)
    place = {path: _place(path, listed.sweep, known) for path in every}
    for path in every:
        if place[path] is None:
            raise ArchiveError(f"{where}: {path!a}: lies outside of the sweep {listed.sweep} and its trials")
    for file in listed.files:
        for path in file.paths:
            if file.mode not in (place[path] or ()):
                raise ArchiveError(f"{where}: {path!a}: mode {file.mode:04o}, which no file there has")
    index = "/".join((*places.CONFIG_ROOT, listed.sweep, contents.INDEX))
    if not listed.files or listed.files[0].paths != (index,):
        raise ArchiveError(f"{where}: found no {contents.INDEX} in front, expected the list of the sweep's trials")
    _check_trials(listed, set(paths), where)
    _check_links(listed, paths, where)


def _check_trials(listed: Contents, paths: set[str], where: str) -> None:
    """Refuse a trial twice or without its capsule: commands make paths of its name, and `verify` reads its manifest."""
    for name, count in Counter(listed.trials).items():
        if count > 1:
            raise ArchiveError(f"{where}: the trial {str(name)!a} is listed twice")
        if "/".join((*places.CONFIG_ROOT, listed.sweep, str(name), layout.MANIFEST)) not in paths:
            raise ArchiveError(f"{where}: the trial {str(name)!a} is listed without its {layout.MANIFEST}")


def _check_file(file: File, where: str) -> None:
    if not file.paths:
        raise ArchiveError(f"{where}: a file without a name")
    if not _SHA256.fullmatch(file.sha256):
        raise ArchiveError(f"{where}: {file.paths[0]!a}: found {file.sha256!r}, expected a sha256")


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
    config, model = "/".join((*places.CONFIG_ROOT, sweep, "")), "/".join((*places.MODEL_ROOT, sweep, ""))
    owner = contents.trial_of(path)
    if owner in trials and path.startswith((config, model)):
        return contents.OWN if path.startswith(model) else contents.SHARED
    below = path.removeprefix(config)
    if owner is None and path != below:
        if below in _BESIDE:
            return contents.OWN
        return contents.SHARED if _GENERATION.match(below) else None
    return None


def _check_tree(listed: Contents, every: list[str], where: str) -> None:
    """Refuse a name that stands twice, and a file or link that something else would have to lie in."""
    twice = [path for path, count in Counter(every).items() if count > 1]
    if twice:
        raise ArchiveError(f"{where}: {twice[0]!a}: is there twice")
    links = {path for path, _ in listed.links}
    # on a disk that takes a and A for one name, a link could else be taken for a directory
    folded = {_folded(path) for path in links}
    names = Counter(map(_folded, every))
    if any(names[path] > 1 for path in folded):
        raise ArchiveError(f"{where}: a symbolic link and another member have names that some disks take for one")
    solid = {path for file in listed.files for path in file.paths} | links
    for folder in {path.rpartition("/")[0] for path in every}:
        for above, same in zip(_above(folder + "/"), _above(_folded(folder) + "/"), strict=True):
            if above in solid or same in folded:
                raise ArchiveError(f"{where}: something lies in {above!a}, which is not a directory")


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _check_links(listed: Contents, paths: list[str], where: str) -> None:
    """Refuse a symbolic link that does not lead, without another on the way, to something in the archive.

    Only outputs have links, or directories with no file: in a capsule they are what nobody wrote there.
    """
    there = {*paths, *listed.directories}
    there |= {above for path in (*paths, *listed.directories) for above in _above(path)}
    outputs = "/".join((*places.MODEL_ROOT, listed.sweep, ""))
    for path in (*(path for path, _ in listed.links), *listed.directories):
        if not path.startswith(outputs):  # nothing else in an archive is a link or an empty directory
            raise ArchiveError(f"{where}: {path!a}: a symbolic link or empty directory that is no output of a trial")
    for path, target in listed.links:
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
