"""The sweep's list of trials, and how people name one of them.

`index.jsonl` has a header line and one line per trial, ordered by number. A trial keeps its number for good: one that
is no longer in the sweep stays as an orphan, and new ones get the next numbers, so `rnn#17` never means another trial.
"""

from __future__ import annotations

import io
import itertools
import json
import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from resweep import layout
from resweep.errors import TrialError
from resweep.layout import SweepPaths, TrialName

SHORTEST_PREFIX = 4  # letters that name a trial by the beginning of its id


@dataclass(frozen=True, slots=True)
class Entry:
    """One trial of a sweep. `point` identifies its configuration without the source, `source` the source alone."""

    number: int
    id: str
    trial: int
    digest: str
    point: str
    source: str
    swept: dict[str, Any] = field(hash=False)
    generation: int
    current: bool = True

    @property
    def name(self) -> TrialName:
        """What names the trial's directories."""
        return TrialName(self.id, self.trial)

    def shared(self) -> Entry:
        """The same, with its long names as Python keeps those of the program: a generation has most of them twice."""
        for name in ("id", "digest", "point", "source"):
            object.__setattr__(self, name, sys.intern(getattr(self, name)))
        return self

    def again(self, swept: dict[str, Any]) -> Entry:
        """The same trial, wanted with these values: what Slurm is asked for may be another."""
        return self if self.current and self.swept == swept else replace(self, swept=swept, current=True)

    def described(self, keys: Container[str] | None = None) -> str:
        """The swept values, as people see them beside the id; only those of `keys`, if given."""
        return described({key: value for key, value in self.swept.items() if keys is None or key in keys})


def described(point: Mapping[str, Any]) -> str:
    """The values of a point, as people see them: `params.lr=0.1 params.dim=16`; of a long one both ends."""
    return " ".join(f"{key}={layout.brief(value)}" for key, value in point.items())


def varying(entries: Iterable[Entry]) -> list[str]:
    """The swept keys that tell these trials apart, in order; one that only some of them have does."""
    every = list(entries)
    values: dict[str, list[str]] = {}
    for entry in every:
        for key, value in entry.swept.items():
            values.setdefault(key, []).append(layout.canonical(value))
    return [key for key, found in values.items() if len(set(found)) > 1 or len(found) < len(every)]


@dataclass(frozen=True)
class Index:
    """The trials of a sweep, and the generation that listed them last (0: none yet).

    `last` is the highest number that any trial had, where that one was removed: no number is given twice.
    """

    sweep: str
    generation: int = 0
    entries: tuple[Entry, ...] = ()
    last: int = 0

    def current(self) -> list[Entry]:
        """The trials that the sweep consists of now."""
        return [entry for entry in self.entries if entry.current]

    def text(self) -> str:
        """The file's content."""
        header = {"format": layout.FORMAT, "sweep": self.sweep, "generation": self.generation}
        header |= {"last": self.last} if self.last > _highest(self.entries) else {}
        return "".join([_encode(header) + "\n", *map(line, self.entries)])


def line(entry: Entry) -> str:
    """A trial's line in the file."""
    return _encode({k: v for k in Entry.__slots__ if (v := getattr(entry, k)) is not True or k != "current"}) + "\n"


_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


def read(paths: SweepPaths) -> Index:
    """The index of a sweep; an empty one when there is none. A TrialError when it is of another format."""
    try:
        with open(paths.index, encoding="utf-8", newline="\n") as file:
            return _parse(paths, file)
    except FileNotFoundError:
        return Index(paths.name)


def generation(paths: SweepPaths) -> int:
    """The generation that listed the trials last, without reading all of them; 0: none yet."""
    try:
        with open(paths.index, encoding="utf-8") as file:
            return parse(paths, file.readline()).generation
    except FileNotFoundError:
        return 0


def parse(paths: SweepPaths, text: str) -> Index:
    """The index whose file has this text. A TrialError when it cannot be read, or is of another format."""
    return _parse(paths, io.StringIO(text, newline="\n"))


def _parse(paths: SweepPaths, lines: Iterator[str]) -> Index:
    try:
        header = json.loads(next(lines, ""))
        if header["format"] != layout.FORMAT:
            raise TrialError(
                f"{paths.index}: format {header['format']}, expected {layout.FORMAT}: made by another version"
            )
        found = tuple(Entry(**entry).shared() for entry in _parsed(lines))
        return Index(paths.name, header["generation"], found, max(header.get("last", 0), _highest(found)))
    except (ValueError, KeyError, TypeError) as error:
        raise TrialError(
            f"{paths.index}: cannot be read ({error}); generate the sweep again after moving it away"
        ) from None


_TOGETHER = 1000  # lines that are parsed at once: twice as fast as each alone


def _parsed(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    while together := list(itertools.islice(lines, _TOGETHER)):
        if not together[-1].endswith("\n"):
            together.pop()  # a worker of a search is writing it, or was killed meanwhile
        yield from json.loads(f"[{','.join(line for line in together if line != chr(10))}]")


def updated(old: Index, generation: int, wanted: list[Entry]) -> Index:
    """The index in which exactly the trials of `wanted` are current; known ones keep number and generation."""
    known = {entry.name: entry for entry in old.entries}
    number = max(old.last, _highest(old.entries))
    result = {entry.number: replace(entry, current=False) for entry in old.entries}
    for entry in wanted:
        if entry.name in known:
            former = known[entry.name]
            listed = (entry.number, entry.generation) == (former.number, former.generation)
            again = entry if listed else replace(entry, number=former.number, generation=former.generation)
            result[former.number] = again
        else:
            number += 1
            result[number] = replace(entry, number=number, generation=generation)
    return replace(old, generation=generation, entries=tuple(result[number] for number in sorted(result)))


def without(old: Index, names: Container[TrialName]) -> Index:
    """The index without the trials of these names, whose numbers are not given again."""
    kept = tuple(entry for entry in old.entries if entry.name not in names)
    return replace(old, entries=kept, last=max(old.last, _highest(old.entries)))


def _highest(entries: Iterable[Entry]) -> int:
    return max((entry.number for entry in entries), default=0)


def find(root: Path, text: str) -> tuple[SweepPaths, list[Entry]]:
    """The trials that `text` names: `rnn`, `rnn#17`, `rnn#3-9,12`, a path, an id, an id/trial or the start of one.

    An id without a trial names all its repeats. Raises TrialError when nothing or more than one point fits.
    """
    name, hash_, number = text.partition("#")
    if hash_:
        paths = _sweep(root, name)
        return paths, _numbered(text, name, number, read(paths).entries)
    if SweepPaths(root, text).index.is_file() and "/" not in text:
        paths = SweepPaths(root, text)
        return paths, read(paths).current()
    return _by_id(text, [(paths, entry) for paths in sweeps(root) for entry in read(paths).entries])


def among(paths: SweepPaths, listed: Index, text: str) -> list[Entry]:
    """The trials that `text` names, as for `find`, where there is this one sweep, perhaps not on the disk."""
    name, hash_, number = text.partition("#")
    if hash_ and name == paths.name:
        return _numbered(text, name, number, listed.entries)
    if text == paths.name:
        return listed.current()
    return _by_id(text, [(paths, entry) for entry in listed.entries])[1]


def _numbered(text: str, name: str, numbers: str, entries: tuple[Entry, ...]) -> list[Entry]:
    """The trials that `3-9,12` names. A range leaves orphans out, which nobody can count; a number alone names one."""
    wanted = []
    for part in numbers.split(","):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise TrialError(f"{text}: found {part!r} after #, expected a number or a range, such as {name}#3-9,12")
        if dash:
            found = [e for e in entries if e.current and int(first) <= e.number <= int(last)]
        else:
            found = [e for e in entries if e.number == int(first)]
        if not found:
            raise TrialError(f"{text}: the sweep {name} has no trial number {part}")
        wanted += found
    return list({entry.number: entry for entry in wanted}.values())


def _by_id(text: str, known: list[tuple[SweepPaths, Entry]]) -> tuple[SweepPaths, list[Entry]]:
    *folders, last = Path(text).parts or ("",)
    # ID, ID/TRIAL, or a path that ends in NAME/ID[/TRIAL]; an id may begin with a digit, too
    found = []
    if folders and last.isdigit():
        found = [(p, e) for p, e in known if e.id.startswith(folders[-1]) and str(e.trial) == last]
    if not found:
        # a mistyped name should name nothing, not the one trial whose id happens to begin so
        found = [(p, e) for p, e in known if len(last) >= SHORTEST_PREFIX and e.id.startswith(last)]
    points = {(paths.name, entry.id) for paths, entry in found}
    if not found:
        raise TrialError(
            f"{text}: found no such sweep or trial, expected NAME, NAME#NUMBER, a trial's directory, "
            f"or an id ({SHORTEST_PREFIX} letters or more)"
        )
    if len({point_id for _, point_id in points}) > 1:
        shown = ", ".join(sorted({point_id for _, point_id in points})[:4])
        raise TrialError(f"{text}: could be any of {len(points)} ({shown}...), expected more letters of the id")
    paths = next((p for p, _ in found if p.name in Path(text).parts), found[0][0])
    return paths, [entry for p, entry in found if p.name == paths.name]


def sweeps(root: Path) -> list[SweepPaths]:
    """Every sweep of the project, by name."""
    home = SweepPaths(root, "").generated
    return [SweepPaths(root, path.parent.name) for path in sorted(home.glob("[!.]*/index.jsonl"))]


def _sweep(root: Path, name: str) -> SweepPaths:
    paths = SweepPaths(root, name)
    if not name or not paths.index.is_file():
        names = ", ".join(each.name for each in sweeps(root)) or "none yet"
        raise TrialError(f"{name}: found no such sweep in {paths.generated}, expected one of: {names}")
    return paths
