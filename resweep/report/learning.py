"""The learning curves of the best runs, thinned so that all of them together stay small."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from resweep.report import curves
from resweep.results.load import Gathered
from resweep.results.metrics import Curve
from resweep.results.trial_rows import Row

MOST_RUNS = 1_000
MOST_MEASURES = 8
READ = 1_000_000  # points that are read, after which no other run is: event files are slow
BUDGET = 120_000  # points of all curves together
LEAST, MOST = 8, 200  # points of one curve, as far as the budget goes
DIGITS = 6

Table = dict[str, Any]


def learning(found: Gathered, metric: str | None) -> Table:
    """The curves of the best MOST_RUNS runs: `measures`, how many points a curve has at `most`, and by run its own.

    A run is its place among all, and a curve what it measures, the part (train, validation, ...), steps and values.
    """
    histories = _histories(found)
    measures = _measures([curve for history in histories.values() for curve in history], metric)
    number = {measure: place for place, measure in enumerate(measures)}
    kept = {place: [curve for curve in history if _measure(curve) in number] for place, history in histories.items()}
    total = sum(len(history) for history in kept.values())
    most = max(LEAST, min(MOST, BUDGET // max(1, total)))
    return {
        "measures": [{"name": name, "axis": axis} for name, axis in measures],
        "most": most,
        "asked": len(histories),
        "runs": {
            str(place): [[number[_measure(curve)], curve.part, *_thin(curve, most)] for curve in history]
            for place, history in kept.items()
            if history
        },
    }


def _histories(found: Gathered) -> dict[int, list[Curve]]:
    """The curves of the best runs, as far as reading them is worth a person's time."""
    histories: dict[int, list[Curve]] = {}
    room = READ
    for place in _chosen(found.rows):
        if room <= 0:
            break
        histories[place] = _history(found, found.rows[place])
        room -= sum(len(curve.steps) for curve in histories[place])
    return histories


def _chosen(rows: Sequence[Row]) -> list[int]:
    """Which runs: the best of those that finished or run, then others; rows come the best first."""
    begun = [place for place, row in enumerate(rows) if row.state != "queued"]
    return sorted(begun, key=lambda place: rows[place].state not in ("finished", "running"))[:MOST_RUNS]


def _history(found: Gathered, row: Row) -> list[Curve]:
    known = curves.history(found, row).curves
    return [curve for curve in known if len(curve.steps) > 1 or row.state == "running"]


def _measure(curve: Curve) -> tuple[str, str]:
    return curve.measure, curve.axis


def _measures(every: Sequence[Curve], metric: str | None) -> list[tuple[str, str]]:
    """What is shown: first what the metric that ranks is about, then what both train and validation measure."""
    parts: dict[tuple[str, str], set[str]] = {}
    for curve in every:
        parts.setdefault(_measure(curve), set()).add(curve.part)
    counts = Counter(map(_measure, every))
    about = curves.measure(metric) if metric else ""

    def rank(measure: tuple[str, str]) -> tuple[bool, bool, int]:
        return (measure[0] != about, len(parts[measure]) < 2, -counts[measure])

    return sorted(parts, key=rank)[:MOST_MEASURES]


def _thin(curve: Curve, most: int) -> tuple[list[float], list[float | None]]:
    """At most so many points, evenly, with the first and the last; a value that is not finite is None."""
    count = len(curve.steps)
    places = range(count)
    if count > most:
        places = [round(number * (count - 1) / (most - 1)) for number in range(most)]  # type: ignore[assignment]
    return [curve.steps[place] for place in places], [_plain(curve.values[place]) for place in places]


def _plain(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
