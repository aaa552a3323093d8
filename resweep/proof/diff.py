"""How two trials differ: in what they were given, in what they ran on, and in what came out."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from resweep import trial
from resweep.proof import causes
from resweep.proof.compare import Rules
from resweep.proof.side import Side

LARGEST_DIFF = 1 << 22  # bytes of a file whose lines are compared


@dataclass(frozen=True)
class Value:
    """Something that has a name and differs; None where one of the two has none."""

    key: str
    before: Any
    after: Any


@dataclass(frozen=True)
class File:
    """A file of the source that differs, with its unified diff; None of one that is no text."""

    path: str
    what: Literal["changed", "added", "removed"]
    lines: tuple[str, ...] | None


Section = list[Value] | list[File]


def _values(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Value]:
    keys = sorted(before.keys() | after.keys())
    # as text, so that 1 and 1.0 differ, and NaN is NaN; dates are TOML's
    return [Value(k, before.get(k), after.get(k)) for k in keys if _text(before, k) != _text(after, k)]


def _text(table: Mapping[str, Any], key: str) -> str | None:
    return json.dumps(table[key], default=str, sort_keys=True) if key in table else None


def _swept(a: Side, b: Side) -> list[Value]:
    return _values(a.swept, b.swept)


def _config(a: Side, b: Side) -> list[Value]:
    return _values(a.config(), b.config())


def _filled(a: Side, b: Side) -> list[Value]:
    return _values(a.filled(), b.filled())


def _source(a: Side, b: Side) -> list[File]:
    found = []
    for path in sorted(a.source | b.source):
        old = a.read(path) if path in a.source else None
        new = b.read(path) if path in b.source else None
        if old != new:
            what: Literal["changed", "added", "removed"]
            what = "added" if old is None else "removed" if new is None else "changed"
            found.append(File(path, what, _unified(path, old, new)))
    return found


def _unified(path: str, old: bytes | None, new: bytes | None) -> tuple[str, ...] | None:
    """The unified diff of two texts; None where one is no text, or too big."""
    if any(b"\0" in each or len(each) > LARGEST_DIFF for each in (old or b"", new or b"")):
        return None
    try:
        texts = [_lines((each or b"").decode("utf-8")) for each in (old, new)]
    except UnicodeDecodeError:
        return None
    names = [f"{side}/{path}" if data is not None else "/dev/null" for side, data in (("a", old), ("b", new))]
    found = difflib.unified_diff(texts[0], texts[1], names[0], names[1], lineterm="")
    return tuple(line for each in found for line in each.split("\n"))


def _lines(text: str) -> list[str]:
    """The lines of a text; one that no line break ends is another line, and says so as git does."""
    lines = text.split("\n")
    if lines[-1]:
        lines[-1] += "\n\\ No newline at end of file"
        return lines
    return lines[:-1]


def _changes(a: Side, b: Side, sections: tuple[str, ...], named: bool = False) -> list[Value]:
    found = [each for each in causes.changes(a.run, b.run) if each.section in sections]
    return [Value(f"{each.section} {each.what}" if named else each.what, each.before, each.after) for each in found]


def _environment(a: Side, b: Side) -> list[Value]:
    return _changes(a, b, ("packages", "machine", "variables", "source", "run"), named=True)


def _data(a: Side, b: Side) -> list[Value]:
    return _changes(a, b, ("data",))


def _seed(a: Side, b: Side) -> list[Value]:
    own = [{key: side.manifest.get(key) for key in ("seed", "threads")} for side in (a, b)]
    return [*_values(*own), *_changes(a, b, ("threads",))]


def _metrics(a: Side, b: Side) -> list[Value]:
    """The metrics that differ, but for durations and memory; a trial without any differs in its state."""
    rules = Rules()
    tables = [{k: v for k, v in (side.metrics or {}).items() if not rules.ignores(k)} for side in (a, b)]
    states = [{"state": side.state if side.metrics is None else "finished"} for side in (a, b)]
    return [*_values(*states), *_values(*tables)]


SECTIONS: dict[str, Callable[[Side, Side], Section]] = {
    "swept": _swept,
    "config": _config,
    "filled": _filled,
    "source": _source,
    "environment": _environment,
    "data": _data,
    "seed": _seed,
    "metrics": _metrics,
}


def diff(a: Side, b: Side, only: tuple[str, ...] = ()) -> dict[str, Section]:
    """How two trials differ, by section; those without a difference are empty."""
    return {name: compare(a, b) for name, compare in SECTIONS.items() if not only or name in only}


def as_table(a: Side, b: Side, found: Mapping[str, Section]) -> dict[str, Any]:
    """The differences as JSON holds them."""
    return {
        "format": trial.FORMAT,
        "a": a.label,
        "b": b.label,
        "same": not any(found.values()),
        "sections": {name: [vars(each) for each in section] for name, section in found.items()},
    }
