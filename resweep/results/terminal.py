"""A table in the width of a terminal: drawn values rounded, heads shortened, and at last columns left out, by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Any

from resweep.results import formats
from resweep.results.table import Column, Table
from resweep.sweep.definition import Sweep
from resweep.sweep.hyper_table import Branch
from resweep.sweep.ranges import Distribution

PAPER = 6  # digits of drawn values where a table is no text on a terminal
GAP = 2  # spaces between two columns
# what goes first when there is too little room; what is said elsewhere before what is said nowhere
_FIRST = ("problem", "host", "trial", "seconds")


def drawn(definitions: Iterable[Sweep]) -> set[str]:
    """The keys whose values were drawn at random, and that nobody wrote down."""
    return {key for each in definitions for branch in each.hyper.branches for key in _drawn(branch)}


def rounded(table: Table, keys: Collection[str], digits: int = 4) -> Table:
    """The table with so many digits of these keys' values, which in the forms for programs are whole."""
    return _replaced(
        table, lambda each: replace(each, get=_rounding(each.get, digits)) if _is_swept(each, keys) else each
    )


def fit(table: Table, width: int, metric: str | None, leave_out: bool = True) -> tuple[Table, list[str]]:
    """The table in at most `width` characters a line, as far as that can be, and the names of what was left out.

    `metric`, the one that ranks, stays, and so does what a line is of.
    """
    if _width(table) <= width:
        return table, []
    short = _short(table)
    table = _replaced(table, lambda each: replace(each, head=short.get(each.name, each.head)))
    widths = {column.name: _wide(table, column) + GAP for column in table.columns}
    gone: list[str] = []
    for name in _least(table, metric) if leave_out else ():
        if sum(widths.values()) - GAP <= width:
            break
        gone.append(name)
        del widths[name]
    return replace(table, columns=[column for column in table.columns if column.name in widths]), gone


def _drawn(branch: Branch) -> list[str]:
    return [
        key
        for axis in branch.axes
        if isinstance(axis.values, Distribution) and axis.values.kind != "choice"
        for key in axis.keys
    ]


def _is_swept(column: Column, keys: Collection[str]) -> bool:
    return column.kind == "swept" and column.name.removeprefix("swept.") in keys


def _rounding(get: Callable[[Any], Any], digits: int) -> Callable[[Any], Any]:
    def rounded(item: Any) -> Any:
        value = get(item)
        return float(f"{value:.{digits}g}") if isinstance(value, float) else value

    return rounded


def _replaced(table: Table, change: Callable[[Column], Column]) -> Table:
    return replace(table, columns=[change(column) for column in table.columns])


def _short(table: Table) -> dict[str, str]:
    """The end of each swept key that no other column's name, shown or not, has for its end or is."""
    swept = [name for name, column in table.every.items() if column.kind == "swept"]
    others = {column.title for column in table.every.values() if column.kind != "swept"}
    found = {}
    for name in swept:
        parts = name.split(".")
        for start in range(len(parts) - 1, 0, -1):
            end = ".".join(parts[start:])
            if end and end not in others and not any(_ends(other, end) for other in swept if other != name):
                found[name] = end
                break
    return found


def _ends(name: str, end: str) -> bool:
    return name == end or name.endswith(f".{end}")


def _least(table: Table, metric: str | None) -> list[str]:
    """The columns that may go, the least important first."""
    shown = {column.name: column for column in table.columns}
    others = [name for name, column in shown.items() if column.kind == "metric" and _plain(name) != metric]
    # with nothing to rank by, the first number is what people look for
    others = others if metric else others[1:]
    swept = [name for name, column in shown.items() if column.kind == "swept"]
    # the number is enough to name a trial; a point has nothing but its id
    fixed = [name for name in _FIRST if name in shown and (name != "trial" or "number" in shown)]
    return [*fixed, *reversed(others), *reversed(swept)]


def _plain(name: str) -> str:
    return name.removeprefix("metric.")


def _width(table: Table) -> int:
    return sum(_wide(table, column) + GAP for column in table.columns) - GAP


def _wide(table: Table, column: Column) -> int:
    words = formats.words(column, list(map(column.get, table.lines)))
    return max(len(column.title), max(map(len, words), default=0))
