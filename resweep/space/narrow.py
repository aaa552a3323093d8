"""The best trials of a sweep -> the text of a narrower one: lists keep what the best have, distributions get closer."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import tomli_w

from resweep.errors import TrialError
from resweep.index import Entry
from resweep.sweep import hyper_table, toml_writer
from resweep.sweep.definition import Sweep
from resweep.sweep.hyper_table import Axis, Branch, Hyper
from resweep.sweep.ranges import Distribution

MARGIN = 10  # a bound lies a tenth of the earlier range away from the best values
LINE = 120  # characters, after which a list goes on in the next line

Values = list[tuple[Entry, Any]]  # what each of the best trials has for an axis


@dataclass(frozen=True)
class _Narrowed:
    """A key of the new table, what it takes, and from which trials that comes."""

    key: str
    value: Any
    source: str = ""


def text(asked: Sweep, best: Sequence[Entry], comment: Sequence[str]) -> str:
    """The TOML of `asked` with what the `best` trials have as its [hyper], below `comment`.

    Everything outside [hyper] stays as it is, comments included, where [hyper] stands as tables of its own; where it is
    written in another way the file is written anew. A TrialError where no trial lies in the space of `asked`.
    """
    tables = [narrowed for branch, own in _sorted(asked.hyper, best) if (narrowed := _branch(branch, own))]
    if not tables:
        raise TrialError(f"{asked.where}: none of the best trials lies in its [hyper]; nothing was written")
    if asked.hyper.include_default:
        tables[0] = [*tables[0], _Narrowed("include_default", True)]
    header = "[[hyper]]" if len(tables) > 1 else "[hyper]"
    block = "".join(f"# {toml_writer.comment(line)}\n" for line in comment)
    block += "\n".join("".join([f"{header}\n", *map(_line, table)]) for table in tables)
    return _in_place(asked.text, block) or _anew(asked.text, block)


def _sorted(hyper: Hyper, best: Sequence[Entry]) -> Iterator[tuple[Branch, list[Entry]]]:
    """Each table with its trials; a trial belongs to the one that says most of it."""
    own: dict[int, list[Entry]] = {}
    order = sorted(range(len(hyper.branches)), key=lambda number: -len(hyper.branches[number].keys))
    for entry in best:
        number = next((n for n in order if _holds(hyper.branches[n], entry.swept)), None)
        if number is not None:
            own.setdefault(number, []).append(entry)
    for number in sorted(own):
        yield hyper.branches[number], own[number]


def _holds(branch: Branch, swept: Mapping[str, Any]) -> bool:
    return all(set(axis.keys) <= swept.keys() and _takes(axis, _value(axis, swept)) for axis in branch.axes)


def _takes(axis: Axis, value: Any) -> bool:
    values = axis.values
    if isinstance(values, Distribution) and values.kind != "choice":
        bounded = values.kind in ("uniform", "loguniform", "randint")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and (not bounded or values.arguments[0] <= value <= values.arguments[1])
    return any(hyper_table.same(value, each) for each in _listed(values))


def _listed(values: tuple[Any, ...] | Distribution) -> tuple[Any, ...]:
    return values.arguments if isinstance(values, Distribution) else values


def _value(axis: Axis, swept: Mapping[str, Any]) -> Any:
    return [swept[key] for key in axis.keys] if len(axis.keys) > 1 else swept[axis.keys[0]]


def _branch(branch: Branch, best: Sequence[Entry]) -> list[_Narrowed]:
    table, kept = [], {}
    for axis in branch.axes:
        found: Values = [(entry, _value(axis, entry.swept)) for entry in best]
        new = _axis(axis, found)
        kept[axis.name] = replace(axis, values=new)
        if isinstance(new, Distribution):
            source = ", ".join(f"#{entry.number}: {_inline(value)}" for entry, value in found)
            table.append(_Narrowed(axis.name, new, toml_writer.comment(source)))
        else:
            table.append(
                _Narrowed(axis.name, list(new), toml_writer.comment("; ".join(_whose(value, found) for value in new)))
            )
    # keys of a list that is left out cannot come up any more
    excluded = [
        each
        for each in branch.exclude
        if all(any(key in axis.keys and _may_be(axis, key, v) for axis in kept.values()) for key, v in each.items())
    ]
    return [*table, _Narrowed("exclude", excluded)] if excluded else table


def _may_be(axis: Axis, key: str, value: Any) -> bool:
    if isinstance(axis.values, Distribution):
        return _takes(axis, value)
    return any(hyper_table.same(axis.assign(each)[key], value) for each in axis.values)


def _whose(value: Any, found: Values) -> str:
    return f"{_inline(value)}: " + ", ".join(
        f"#{entry.number}" for entry, each in found if hyper_table.same(each, value)
    )


def _axis(axis: Axis, found: Values) -> tuple[Any, ...] | Distribution:
    values = axis.values
    best = [value for _, value in found]
    if isinstance(values, Distribution) and values.kind != "choice":
        return closer(values, best)
    kept = [n for n, each in enumerate(_listed(values)) if any(hyper_table.same(each, value) for value in best)]
    if not isinstance(values, Distribution):
        return tuple(values[number] for number in kept)
    weights = tuple(values.weights[number] for number in kept) if values.weights else None
    # the best may come from elsewhere than from drawing
    weights = weights if weights and any(weights) else None
    return replace(values, arguments=tuple(values.arguments[number] for number in kept), weights=weights)


def closer(asked: Distribution, best: Sequence[Any]) -> Distribution:
    """A distribution of the same kind around the `best` values, nowhere wider than the one that was `asked` for."""
    if asked.kind in ("normal", "lognormal"):
        scaled = [math.log(value) for value in best] if asked.kind == "lognormal" else [float(v) for v in best]
        mean, deviation = sum(scaled) / len(scaled), float(asked.arguments[1])
        farthest = max(abs(value - mean) for value in scaled)
        return replace(asked, arguments=(_short(mean), _short(min(max(farthest, deviation / MARGIN), deviation))))
    low, high = asked.arguments
    if asked.kind == "randint":
        margin = (high - low) // MARGIN
        bounds: tuple[Any, Any] = (max(low, min(best) - margin), min(high, max(best) + 1 + margin))
    else:
        bounds = _between(asked.kind == "loguniform", low, high, min(best), max(best))
    return replace(asked, arguments=_on_steps(asked, *bounds))


def _between(log: bool, low: Any, high: Any, least: Any, most: Any) -> tuple[Any, Any]:
    """Bounds a little outside of the least and the most, as short as they can be written."""
    if log:
        factor = (high / low) ** (1 / MARGIN)
        exact = least / factor, most * factor
    else:
        exact = least - (high - low) / MARGIN, most + (high - low) / MARGIN
    for digits in range(3, 18):
        first, last = (float(f"{bound:.{digits}g}") for bound in exact)
        off = max(abs(first - exact[0]), abs(last - exact[1]))
        first, last = max(low, first), min(high, last)
        if first <= least and most <= last and first < last and off * 2 * MARGIN <= exact[1] - exact[0]:
            return first, last
    return low, high


def _on_steps(asked: Distribution, first: Any, last: Any) -> tuple[Any, Any]:
    """The bounds with the first on a step that the earlier ones have, too."""
    if asked.step is None:
        return first, last
    low, step = Decimal(repr(asked.arguments[0])), Decimal(repr(asked.step))
    whole = all(isinstance(each, int) for each in (asked.arguments[0], asked.step))
    first = (int if whole else float)(low + (Decimal(repr(first)) - low) // step * step)
    return (first, last) if last - first >= asked.step else asked.arguments


def _short(number: float) -> float:
    return float(f"{number:.3g}")


# --- text ----------------------------------------------------------------------------------------------------------


def _line(each: _Narrowed) -> str:
    line = f"{toml_writer.key(each.key)} = {_inline(each.value)}"
    if len(line) + len(each.source) + 4 <= LINE or not each.source:
        return line + (f"  # {each.source}" if each.source else "") + "\n"
    return f"# {each.source}\n{line}\n"


def _inline(value: Any) -> str:
    """A value, or a distribution, as TOML on one line."""
    if isinstance(value, Distribution):
        fields = {value.kind: value.arguments, "step": value.step, "weights": value.weights}
        value = {name: each for name, each in fields.items() if each is not None}
    return toml_writer.toml(value)


def _in_place(before: str, block: str) -> str | None:
    """The text with `block` in place of the tables of [hyper]; None where they are not tables of their own."""
    lines = before.splitlines(keepends=True)
    sections: list[tuple[bool, list[str]]] = [(False, [])]
    for number, line in enumerate(lines):
        table = _header("".join(lines[:number]), line)
        if table is not None:
            sections.append((table == "hyper", _with_comments(sections[-1][1]) if sections[-1][0] else []))
        sections[-1][1].append(line)
    if not any(swept for swept, _ in sections):
        return None
    after, placed = "", False
    for swept, text_ in sections:
        if not swept:
            after += "".join(text_)
        elif not placed:
            after, placed = after + block, True
    return after if _says(after, before, block) else None


def _header(before: str, line: str) -> str | None:
    """The first word of the table that a line begins, if it begins one: what stands before it is whole then."""
    if not line.lstrip().startswith("["):
        return None
    try:
        tomllib.loads(before)
        return next(iter(tomllib.loads(line)), None)
    except tomllib.TOMLDecodeError:
        return None


def _with_comments(lines: list[str]) -> list[str]:
    """Take the blank lines and comments at the end of a section: they are about the next one."""
    count = len(lines)
    while count and (not lines[count - 1].strip() or lines[count - 1].lstrip().startswith("#")):
        count -= 1
    taken = lines[count:]
    del lines[count:]
    return taken


def _says(after: str, before: str, block: str) -> bool:
    """Whether a text says what it should: the same outside of [hyper], and in it what `block` says."""
    try:
        found = tomllib.loads(after)
    except tomllib.TOMLDecodeError:
        return False
    return found == {**tomllib.loads(before), **tomllib.loads(block)}


def _anew(before: str, block: str) -> str:
    table = tomllib.loads(before)
    table.pop("hyper", None)
    return f"{tomli_w.dumps(table)}\n{block}"
