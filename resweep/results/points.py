"""Rows -> points: the repeats of one configuration together, and how sure one can be of which is best."""

from __future__ import annotations

import math
import statistics
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from resweep.index import Entry
from resweep.results.metrics import number
from resweep.results.trial_rows import Row
from resweep.sweep.definition import ResultsOptions


@dataclass(frozen=True)
class Statistic:
    """A metric over the repeats of a point. `sd` is the sample's standard deviation; one repeat has none.

    `n` is of how many repeats; `of` how many finished, where that is known.
    """

    mean: float
    sd: float | None
    n: int
    min: float
    max: float
    of: int | None = field(default=None, compare=False)

    @property
    def is_part(self) -> bool:
        """Whether repeats that finished are not in it, since they have no such number."""
        return self.of is not None and self.n < self.of


@dataclass(frozen=True)
class Point:
    """The trials of one sweep that share an id: one configuration, with one source, under several seeds."""

    rows: tuple[Row, ...]

    @property
    def sweep(self) -> str:
        """The sweep's name."""
        return self.rows[0].sweep

    @property
    def entry(self) -> Entry:
        """Its first trial, for what all of them share: id and swept values."""
        return self.rows[0].entry

    @cached_property
    def finished(self) -> tuple[Row, ...]:
        """The trials that count: what runs is no result yet, and what failed none at all."""
        return tuple(row for row in self.rows if row.state == "finished")

    @property
    def states(self) -> str:
        """How many of its trials are in which state, as people say it."""
        counts = Counter(row.state for row in self.rows)
        return next(iter(counts)) if len(counts) == 1 else ", ".join(f"{n} {state}" for state, n in counts.items())

    def statistic(self, name: str) -> Statistic | None:
        """A metric over its finished trials, of those that have a number for it; None where none has."""
        found = statistic([row.metrics[name] for row in self.finished if number(row.metrics.get(name))])
        return found and replace(found, of=len(self.finished))

    @property
    def seconds(self) -> Statistic | None:
        """How long its finished trials took."""
        return statistic([row.seconds for row in self.finished if row.seconds is not None])


def statistic(values: Sequence[float]) -> Statistic | None:
    """Mean, sample standard deviation, count, minimum and maximum; None of nothing. One NaN makes all of them NaN."""
    if not values:
        return None
    n = len(values)
    try:
        finite = all(map(math.isfinite, values))
    except OverflowError:  # an integer beyond the largest double
        return statistic([_double(value) for value in values])
    if not finite:
        mean = sum(values) / n
        edges = (math.nan, math.nan) if any(v != v for v in values) else (min(values), max(values))
        return Statistic(mean, math.nan if n > 1 else None, n, *edges)
    try:
        mean = math.fsum(values) / n
    except OverflowError:  # exact fractions can hold what doubles cannot, and take fifty times as long
        mean = float(statistics.mean(values))
    # a distance, whose squares neither vanish nor overflow
    sd = math.dist(values, [mean] * n) / math.sqrt(n - 1) if n > 1 else None
    return Statistic(mean, sd, n, min(values), max(values))


def points(rows: Iterable[Row]) -> list[Point]:
    """The points of these rows, in the order of their first trials."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        # the id of a sweep of 2020 is the trial's own; what it shares with its repeats is the configuration
        groups.setdefault((row.sweep, row.entry.id if row.entry.digest else row.entry.point), []).append(row)
    return [Point(tuple(sorted(group, key=lambda row: row.entry.trial))) for group in groups.values()]


def _double(value: float) -> float:
    """A number as a double; an integer that is too large as the infinity."""
    return value if abs(value) <= sys.float_info.max else math.inf if value > 0 else -math.inf


By = Literal["point", "trial"]


@dataclass(frozen=True)
class Best:
    """The best point of a sweep with the best of its trials, or the point of the best single trial; and the next one.

    `finished` is how many trials could be the best, `points` how many points. `runner_up` is the other point with the
    best mean; `ahead` by how much the first has the better mean, less than 0 where it has not, as the best single
    trial's may; `spread` the standard deviation that the two have within them together, None where neither has repeats.
    Where a repeat of the best trial's point diverged, its mean says nothing, and `ahead` is NaN. `lucky` is the best
    single trial where that is one of another point.
    """

    row: Row
    point: Point
    finished: int
    statistic: Statistic
    runner_up: Point | None = None
    other: Statistic | None = None
    ahead: float = 0.0
    spread: float | None = None
    points: int = 1
    lucky: Row | None = None


def ranked(rows: Iterable[Row], options: ResultsOptions) -> list[tuple[Point, Statistic]]:
    """The points that have a mean of the metric of `options`, the best first.

    Those of which less than half of the repeats have finished come last: the luckiest of some seeds is no mean of all.
    """
    name = str(options.metric)
    sign = 1 if options.mode == "max" else -1
    found = [(point, known) for point in points(rows) if (known := point.statistic(name)) and math.isfinite(known.mean)]
    return sorted(found, key=lambda each: (2 * each[1].n < len(each[0].rows), -sign * each[1].mean))


def best(rows: Sequence[Row], finished: Sequence[Row], options: ResultsOptions, by: By = "point") -> Best:
    """Which of all `rows` is the best, by the metric that `options` name; `finished` are those that may be, in order.

    By `point` it is the best of the point with the best mean; by `trial`, or where each mean has a diverged repeat in
    it, the first of the `finished`.
    """
    name = str(options.metric)
    sign = 1 if options.mode == "max" else -1
    order = ranked(rows, options)
    taken = first(order[0][0], finished) if by == "point" and order else finished[0]
    own = next(point for point in points(rows) if any(row is taken for row in point.rows))
    known = own.statistic(name)
    assert known, "the best trial has a number"
    lucky = finished[0] if all(row is not finished[0] for row in own.rows) else None
    found = Best(taken, own, len(finished), known, points=len(order), lucky=lucky)
    others = [each for each in order if all(row is not taken for row in each[0].rows)]
    if not others:
        return found
    runner_up, other = others[0]
    if not math.isfinite(known.mean):
        return replace(found, runner_up=runner_up, other=other, ahead=math.nan)
    ahead = sign * (known.mean - other.mean)
    return replace(found, runner_up=runner_up, other=other, ahead=ahead, spread=_within(known, other))


def first(point: Point, finished: Sequence[Row]) -> Row:
    """The best of a point's trials, of the `finished` ones in order."""
    own = set(map(id, point.rows))
    return next(row for row in finished if id(row) in own)


def _within(one: Statistic, other: Statistic) -> float | None:
    """The standard deviation within two points together: each point's variance, by its degrees of freedom."""
    known = [(each.sd**2, each.n - 1) for each in (one, other) if each.sd is not None]
    if not known:
        return None
    return math.sqrt(sum(variance * free for variance, free in known) / sum(free for _, free in known))
