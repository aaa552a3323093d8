"""What a point that was tried counts for, where points that were pruned or diverged must not be forgotten.

Early stopping ends trials because they are bad. Left out, they leave the good ones; so each counts with the value at
which it stopped, which is no better than what it would have come to, and with the time that it took. A point that
diverged was tried, too, and got nothing: no value is worse.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from resweep.results.metrics import number
from resweep.results.points import Point, Statistic, statistic
from resweep.results.trial_rows import Row

COUNTED = ("finished", "pruned")


def ended(point: Point) -> tuple[Row, ...]:
    """The trials of a point that finished or were pruned."""
    return tuple(row for row in point.rows if row.state in COUNTED)


def value(point: Point, metric: str) -> Statistic | None:
    """A metric over these trials: of a finished one its result, of a pruned one the last value; NaN if one diverged."""
    return statistic([row.metrics[metric] for row in ended(point) if number(row.metrics.get(metric))])


def is_bound(point: Point, metric: str) -> bool:
    """Whether the value of a point is a bound alone, since a pruned trial is in it."""
    return any(row.state == "pruned" and number(row.metrics.get(metric)) for row in point.rows)


def cost(point: Point) -> float | None:
    """How many seconds these trials took together; None where nothing says it."""
    taken = [row.seconds for row in ended(point) if row.seconds is not None]
    return math.fsum(taken) if taken else None


def said(count: int) -> str:
    """What a caption says of so many pruned points that count; empty of none."""
    if not count:
        return ""
    return (
        "1 pruned point counts with the value at which it stopped"
        if count == 1
        else (f"{count} pruned points count with the value at which they stopped")
    )


def said_diverged(count: int) -> str:
    """What a caption says of so many points that diverged; empty of none."""
    if not count:
        return ""
    return (
        "1 point diverged, and counts as the worst"
        if count == 1
        else f"{count} points diverged, and count as the worst"
    )


def why_not(points: Iterable[Point], metric: str) -> str:
    """Why these points have no number that can be drawn: how many of which kind."""
    counts = Counter(_reason(point, metric) for point in points)
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common())


def _reason(point: Point, metric: str) -> str:
    if point.statistic(metric) is not None:
        return "diverged (NaN, infinite, or too large to draw)"
    if point.finished:
        return f"finished without {metric}"
    states = {row.state for row in point.rows}
    return next((state for state in ("running", "queued", "stopped", "pruned", "failed") if state in states), "other")
