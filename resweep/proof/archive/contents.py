"""What is in an archive: the list that stands in front of it, written by one rule.

The list says everything about the archive, so that reading one is comparing it with its list: see `reading`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resweep import layout
from resweep.launcher import places
from resweep.layout import SweepPaths, TrialName

NAME = "resweep-archive.json"
KIND = "resweep archive"
OUTPUTS = ("none", "metrics", "all")
SHARED = (0o444, 0o555)  # files that nothing ever writes to, so that several names may be one file
OWN = (0o644, 0o755)
INDEX = SweepPaths(Path(), "").index.name
MOST_NAMES = 50_000  # of one file: ext4 stops at 65,000 hard links

_OWNER = re.compile(
    rf"(?:{'/'.join(places.CONFIG_ROOT)}|({'/'.join(places.MODEL_ROOT)}))/[^/]+/([a-z2-7]{{{layout.ID_LENGTH}}})/"
    rf"(0|[1-9][0-9]{{0,8}})({re.escape(places.ATTEMPTS_SUFFIX)})?(?=/|\Z)"
)


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
            "format": layout.FORMAT,
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
        return (layout.pretty(layout.sealed(table)) + "\n").encode()


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
    folder, suffix, rest = item.path.partition(places.ATTEMPTS_SUFFIX + "/")
    if suffix and (rest == places.FINISHED or re.fullmatch(rf"[0-9]+/{places.RECORD}", rest)):
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
    is_index = first.count("/") == len(places.CONFIG_ROOT) + 1 and first.endswith("/" + INDEX)
    return (0 if is_index else 1, TrialName("", 0), first)


def narrowed(listed: Contents, trials: Iterable[TrialName], generations: Iterable[int], text: bytes) -> Contents:
    """What would have been listed had these trials been packed alone, which have the index `text`."""
    names = set(trials)
    home = "/".join((*places.CONFIG_ROOT, listed.sweep))
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
