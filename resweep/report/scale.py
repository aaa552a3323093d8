"""Which axis a swept key's values belong on: linear, logarithmic, or side by side as names."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

from resweep.results.trial_rows import Row
from resweep.sweep.definition import Sweep
from resweep.sweep.ranges import Distribution

Scale = Literal["linear", "log", "category"]

_LOGARITHMIC = ("loguniform", "lognormal")
FEW = 12  # different numbers that can each have their own mark on an axis
_ROUND = 3  # digits of a number that somebody wrote down
_AGAIN = 2  # points of each value, where values come again
_LEAST_RANGE = 4  # the last over the first of a progression; of two values; and of values in no order:
_RANGE_OF_TWO = 10
_CLEAR_RANGE = 100


def scales(definitions: Mapping[str, Sweep], rows: Iterable[Row]) -> dict[str, str]:
    """By swept key `log`, `linear`, or `category` for what is not all numbers.

    A distribution says it. Numbers above 0 are logarithmic where they are nearer to a geometric progression than to an
    arithmetic one, or span two powers of ten with most of them at the lower end. One sweep that is logarithmic makes
    the key so, if all of its values are above 0.
    """
    values: dict[str, dict[Any, None]] = {}
    names: set[str] = set()
    for row in rows:
        for key, value in row.entry.swept.items():
            known = values.setdefault(key, {})
            exact = number(value)
            if exact is not None:
                known[exact] = None
            elif value is not None:
                names.add(key)
    drawn = _drawn(definitions)
    return {
        key: "category" if key in names or not found else _scale(sorted(found), drawn.get(key, set()))
        for key, found in values.items()
    }


def listed(definitions: Mapping[str, Sweep], rows: Iterable[Row]) -> set[str]:
    """The keys whose numbers have their own marks on an axis: few, and written down by a person.

    What was drawn from a range has a scale's marks, since where its values came to lie is chance; unless they are
    round and come again, as those of a range with few steps. Where no definition says which it was, numbers that are
    round, or come again, were written down.
    """
    points: dict[str, dict[tuple[str, str], float]] = {}
    for row in rows:
        for key, value in row.entry.swept.items():
            if (exact := number(value)) is not None:
                points.setdefault(key, {})[row.sweep, row.entry.id] = exact
    drawn = _drawn(definitions)
    defined = {key for each in definitions.values() for key in each.hyper.keys}
    return {key for key, known in points.items() if _own_marks(known.values(), key in drawn, key in defined)}


def number(value: object) -> float | None:
    """A value as a finite double; None of what is none: a text, true, a list, NaN, 10^400."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        exact = float(value)
    except OverflowError:
        return None
    return exact if math.isfinite(exact) else None


def _drawn(definitions: Mapping[str, Sweep]) -> dict[str, set[str]]:
    """By key the kinds of distributions that it is drawn from."""
    found: dict[str, set[str]] = {}
    for definition in definitions.values():
        for axis in (axis for branch in definition.hyper.branches for axis in branch.axes):
            if isinstance(axis.values, Distribution) and axis.values.kind != "choice":
                found.setdefault(axis.name, set()).add(axis.values.kind)
    return found


def _own_marks(values: Collection[float], drawn: bool, defined: bool) -> bool:
    """Whether the numbers of a key, one a point, have their own marks."""
    different = set(values)
    if len(different) > FEW:
        return False
    if defined and not drawn:
        return True
    round_ = all(float(f"{value:.{_ROUND}g}") == value for value in different)
    again = len(values) >= _AGAIN * len(different)
    return (round_ and again) if drawn else (round_ or again)


def _scale(values: Sequence[float], drawn: set[str]) -> Scale:
    """The scale of ascending numbers, and of the kinds of distributions that they were drawn from."""
    if values[0] <= 0 or len(values) < 2:
        return "linear"
    if drawn:
        return "log" if not drawn.isdisjoint(_LOGARITHMIC) else "linear"
    span = values[-1] / values[0]
    if len(values) == 2:
        return "log" if span >= _RANGE_OF_TWO else "linear"
    geometric = _unevenness([math.log(value) for value in values])
    if span >= _LEAST_RANGE and geometric < _unevenness(values) / 2:
        return "log"
    # draws that nothing is known of: where their middle is
    middle = statistics.median(values)
    off_linear = abs((middle - values[0]) / (values[-1] - values[0]) - 0.5)
    off_log = abs(math.log(middle / values[0]) / math.log(span) - 0.5)
    return "log" if span >= _CLEAR_RANGE and off_log < off_linear else "linear"


def _unevenness(values: Sequence[float]) -> float:
    """How far the steps between ascending numbers are from being all the same: 0 where they are."""
    steps = [high / 2 - low / 2 for low, high in pairwise(values)]  # halves: no difference of doubles overflows
    return statistics.pstdev(steps) / statistics.fmean(steps)
