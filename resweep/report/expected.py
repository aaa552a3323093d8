"""Expected best so far: how good the best of n points is on average, for each n that was tried.

With v1 <= ... <= vN the metric of N points, and F(i, n) the probability that the best of n draws is at most vi:

    E[best of n] = sum over i of vi * (F(i, n) - F(i-1, n))

    with replacement       F(i, n) = (i/N)^n                 draws of a random search (Dodge et al. 2019)
    without replacement    F(i, n) = C(i, n) / C(N, n)       points of a finite grid, each of which is tried once

Both are about points that nobody chose by their results. Of a search that does, the values are those of its points in
random order, which is not the order that it found them in: see CHOSEN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from resweep.report import tried
from resweep.results.points import Point
from resweep.sweep.definition import ResultsOptions, Sweep

EVERY = 200  # each n up to here has its value, and beyond it
THINNED = 200  # so many n more, evenly on a logarithmic scale; the last is always N

# what is said of the points of a search that looks at results
CHOSEN = (
    "chose its points by the results of earlier ones, so they are no independent draws, and this is no expectation of "
    "another such search: it is how good the best of n of these points is, in random order, which for few points is "
    "usually better than the search was; its best so far, in the order of time, is "
)

SAFE = 400  # a power of two whose square is far from where doubles end

Form = Literal["with replacement", "without replacement"]
Array = Any  # of numpy, which is imported where it is needed


@dataclass(frozen=True)
class Expected:
    """The curve: for each `n` of points the expected best `value`, and its standard deviation `sd` over the draws.

    `low` and `high` are value - sd and value + sd, within the least and the most that was observed. The deviation is
    that of the best of n draws from the values that are known; how well these N stand for all that could be tried it
    does not say. `diverged` counts values that are no finite number, each of which counts as the worst of the others;
    `missing` counts points of the grid that have no value.
    """

    form: Form
    n: tuple[int, ...] = ()
    value: tuple[float, ...] = ()
    sd: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    diverged: int = 0
    missing: int = 0

    def seconds(self, each: float) -> tuple[float, ...]:
        """The expected cumulative time of n points, of which one takes `each` seconds on average."""
        return tuple(number * each for number in self.n)


@dataclass(frozen=True)
class Performance:
    """The curve of a sweep's points, and what one point costs: `each` is its mean seconds, all repeats together.

    `pruned` counts the points that are in it with a value at which a trial was pruned. `chosen` says that the search
    chose its points by results: then it is a description of these points, and no expectation.
    """

    curve: Expected
    each: float | None = None
    pruned: int = 0
    chosen: bool = False


def expected(values: Sequence[float], mode: str, total: int | None = None) -> Expected:
    """The curve of one value per point, the highest (`max`) or lowest (`min`) of which is the best.

    A value that diverged, to NaN or an infinity, was a try that got nothing: it counts as the worst that was seen.
    `total` is how many points the finite grid has that they come from, None where they are independent draws. No n goes
    beyond the number of values: what more points would have given is not known.
    """
    import numpy as np

    known = np.asarray([value for value in values if math.isfinite(value)], dtype=float)
    diverged = len(values) - len(known)
    form: Form = "with replacement" if total is None else "without replacement"
    missing = max(0, (total or 0) - len(values))
    if not len(known):
        return Expected(form, diverged=diverged, missing=missing)
    sign = 1.0 if mode == "max" else -1.0
    known = np.append(known, np.full(diverged, known.min() if mode == "max" else known.max()))
    # powers of two scale exactly, and keep the squares of what a double holds within what it holds
    _, exponent = np.frexp(np.abs(known).max())
    exponent = exponent if abs(exponent) > SAFE else 0
    ordered = np.sort(np.ldexp(sign * known, -int(exponent)))
    numbers = _numbers(len(ordered))
    best, sd = _moments(ordered, numbers, form)
    low, high = (np.clip(best + side * sd, ordered[0], ordered[-1]) for side in (-1, 1))
    if mode != "max":
        low, high = high, low
    curves = (np.ldexp(sign * curve, int(exponent)) for curve in (best, low, high))
    # what was scaled down to nothing comes back as nothing
    value, low, high = (tuple(np.clip(curve, known.min(), known.max()).tolist()) for curve in curves)
    return Expected(form, numbers, value, tuple(np.ldexp(sd, int(exponent)).tolist()), low, high, diverged, missing)


def performance(points: Sequence[Point], options: ResultsOptions, definition: Sweep | None) -> Performance:
    """The curve of the points of one sweep by the mean of their repeats; a sweep of 2020 has no definition, and a grid.

    Where an axis is a distribution, the points are draws; else they are a finite grid, or a part of one. A trial that
    was pruned counts with the value at which it stopped, and with its time: those that finished are a selection. So are
    those that did not diverge; one that did counts as the worst.
    """
    name = str(options.metric)
    found = [(point, tried.value(point, name)) for point in points]
    known = [(point, statistic.mean) for point, statistic in found if statistic]
    drawn = definition is not None and definition.hyper.random
    curve = expected([mean for _, mean in known], options.mode, None if drawn else len(points))
    counted = [point for point, _ in known]
    costs = [cost for point in counted if (cost := tried.cost(point)) is not None]
    pruned = sum(tried.is_bound(point, name) for point, mean in known if math.isfinite(mean))
    return Performance(curve, math.fsum(costs) / len(costs) if costs else None, pruned, is_chosen(definition))


def is_chosen(definition: Sweep | None) -> bool:
    """Whether a sweep's points were chosen by results."""
    return definition is not None and definition.search.chooses


def _numbers(count: int) -> tuple[int, ...]:
    """The n that are computed: each up to EVERY, then some, evenly on a logarithmic scale, to the last."""
    if count <= EVERY + THINNED:
        return tuple(range(1, count + 1))
    step = (count / EVERY) ** (1 / THINNED)
    beyond = (round(EVERY * step**number) for number in range(1, THINNED + 1))
    return tuple(dict.fromkeys((*range(1, EVERY + 1), *beyond, count)))


def _moments(ordered: Array, numbers: Sequence[int], form: Form) -> tuple[Array, Array]:
    """Mean and standard deviation of the best of n, for each n, of ascending values."""
    import numpy as np

    gaps = np.diff(ordered)
    best, sd = np.empty(len(numbers)), np.empty(len(numbers))
    for place, number in enumerate(numbers):
        below = _below(len(ordered), number, form)
        # the same sum by parts: what remains below the best; no digit of a good value is lost in many bad ones
        best[place] = ordered[-1] - gaps @ below[:-1]
        weights = np.diff(below, prepend=0.0)
        sd[place] = math.sqrt(weights @ np.square(ordered - best[place]))
    return np.maximum.accumulate(best), sd  # rounding may take a digit of the last place back


def _below(count: int, number: int, form: Form) -> Array:
    """F(i, number) for i = 1..count."""
    import numpy as np

    place = np.arange(1, count + 1, dtype=float)
    if form == "with replacement":
        return (place / count) ** number
    # F(i-1) = F(i) * (i-n)/i from F(N) = 1 down: ratios alone, so that nothing overflows
    ratios = np.clip((place[:0:-1] - number) / place[:0:-1], 0.0, None)
    return np.concatenate(([1.0], np.cumprod(ratios)))[::-1]
