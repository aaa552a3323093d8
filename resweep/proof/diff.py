"""How two trials differ: in what they were given, in what they ran on, and in what came out."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from resweep import layout
from resweep.proof import environment_changes
from resweep.proof.compare import Rules
from resweep.proof.subject import Side

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
    """What one of the sweeps varies and the two do not share; a key that the other fixes has its value there."""
    keys = a.swept.keys() | b.swept.keys()
    given = [{key: value for key in keys if (value := side.given(key)) is not None} for side in (a, b)]
    return _values(*given)


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
    found = [each for each in environment_changes.changes(a.run, b.run) if each.section in sections]
    return [Value(f"{each.section} {each.what}" if named else each.what, each.before, each.after) for each in found]


def _environment(a: Side, b: Side) -> list[Value]:
    return _changes(a, b, ("packages", "machine", "variables", "source", "run"), named=True)


def _data(a: Side, b: Side) -> list[Value]:
    return _changes(a, b, ("data",))


def _seed(a: Side, b: Side) -> list[Value]:
    own = [{key: side.manifest.get(key) for key in ("seed", "threads")} for side in (a, b)]
    return [*_values(*own), *_changes(a, b, ("threads",))]


def _metrics(a: Side, b: Side) -> list[Value]:
    """The metrics that differ, but for durations and memory; and the states, since a number so far is no result."""
    states = [{"state": side.state} for side in (a, b)]
    return [*_values(*states), *_values(*_measured(a, b))]


def _measured(a: Side, b: Side) -> list[dict[str, Any]]:
    rules = Rules()
    return [{key: value for key, value in side.metrics.items() if not rules.ignores(key)} for side in (a, b)]


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


def nothing(a: Side, b: Side, found: Mapping[str, Section]) -> dict[str, str]:
    """The sections of which neither trial has anything, by name, and why: they are not the same, but not compared."""
    if found.get("metrics", True) or any(_measured(a, b)):
        return {}
    return {"metrics": f"neither trial has a number ({_states(a, b)})"}


def _states(a: Side, b: Side) -> str:
    return f"both {a.state}" if a.state == b.state else f"{a.state}, {b.state}"


def same(a: Side, b: Side, found: Mapping[str, Section]) -> bool | None:
    """Whether nothing differs; None where nothing could be compared."""
    if any(found.values()):
        return False
    return None if nothing(a, b, found).keys() == found.keys() else True


def as_table(a: Side, b: Side, found: Mapping[str, Section]) -> dict[str, Any]:
    """The differences as JSON holds them; `same` is null where nothing could be compared."""
    return {
        "format": layout.FORMAT,
        "a": a.label,
        "b": b.label,
        "same": same(a, b, found),
        "not_compared": nothing(a, b, found),
        "sections": {name: [vars(each) for each in section] for name, section in found.items()},
    }
