"""Gathered rows -> what the page draws from, as plain values that JSON can hold.

One list per column, so that ten thousand runs are a few megabytes. A number that JSON has not, NaN or an infinity, is
null in its column, and told in `odd` beside it; what nobody measured is null alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from resweep import layout
from resweep.report import details, expected, learning, scale
from resweep.results import formats, load, metrics, points, table, trial_rows
from resweep.results.load import Gathered
from resweep.results.table import Column
from resweep.results.trial_rows import Row
from resweep.run import import_leaks, status
from resweep.sweep import metric_mode

FORMAT = 1
EXACT_RUNS = 2_000  # beyond so many, metrics have DIGITS digits, but for the one that ranks
DIGITS = 7
LONGEST = 200  # characters of a value's name
WHOLE = 2**53  # integers up to here are exact in a browser

Table = dict[str, Any]


def data(found: Gathered) -> Table:
    """All that the page shows of these sweeps, but for what is computed of the rows as a whole."""
    rows = found.rows
    whole = table.of_rows(rows, found.fixed if len(found.sweeps) > 1 else {})
    options = found.options
    shown = _shown(found)
    failures = status.failures(failed(found))
    scales = scale.scales(found.definitions, rows)
    listed = scale.listed(found.definitions, rows)
    return {
        "format": FORMAT,
        "sweeps": [paths.name for paths in found.sweeps],
        "metric": shown,
        "mode": options.mode if shown == options.metric else metric_mode.guessed(shown or ""),
        "notes": [*found.notes, *filter(None, [load.metric_missing(found)]), *import_leaks.notes(found.sweeps, rows)],
        "drawn": [_drawn(found, paths.name) for paths in found.sweeps],
        "chosen": [expected.is_chosen(found.definitions.get(paths.name)) for paths in found.sweeps],
        "said_chosen": f"{expected.CHOSEN}in the chart of that name",
        "swept": [
            _swept(column, rows) | {"log": scales.get(key := _key(column)) == "log", "listed": key in listed}
            for column in whole.every.values()
            if column.kind == "swept"
        ],
        "metrics": _metrics(found, shown),
        "runs": _runs(found, failures),
        "digits": None if len(rows) <= EXACT_RUNS else DIGITS,
        "longest": LONGEST,
        "causes": [failure.cause[:LONGEST] for failure in failures],
        "curves": learning.learning(found, shown),
        "details": details.details(found, failures),
    }


def _key(column: Column) -> str:
    return column.name.removeprefix("swept.")


def _shown(found: Gathered) -> str | None:
    """The metric that the page begins with: the one that ranks, where any run has it, else the first of validation."""
    measured = table.numeric(found.rows)
    if found.options.metric in measured:
        return found.options.metric
    return next(iter(sorted(measured, key=lambda name: "validation" not in name)), None)


def failed(found: Gathered) -> list[status.Status]:
    """The failed trials, with the log that says why."""
    return [
        status.Status(row.entry, row.state, row.record, details.log(found.paths(row), row))
        for row in found.rows
        if row.state == "failed"
    ]


def _drawn(found: Gathered, name: str) -> bool:
    """Whether the points of a sweep are draws, which may come again, and not those of a finite grid."""
    definition = found.definitions.get(name)
    return definition is not None and definition.hyper.random


def _runs(found: Gathered, failures: Sequence[status.Failure]) -> Table:
    """What every run has, whatever was swept and measured: by name a list with a place per run."""
    rows = found.rows
    sweeps = {paths.name: number for number, paths in enumerate(found.sweeps)}
    causes = {id(each.entry): number for number, failure in enumerate(failures) for each in failure.trials}
    codes, hosts = _coded(row.record.get("host") for row in rows)
    wrong = {paths.name: import_leaks.said(paths, rows) for paths in found.sweeps}
    said = ["; ".join(filter(None, [row.problem, wrong[row.sweep].get(row.entry.number)])) for row in rows]
    problems = {str(place): _text(problem) for place, problem in enumerate(said) if problem}
    return {
        "sweep": [sweeps[row.sweep] for row in rows],
        "number": [row.entry.number for row in rows],
        "trial": [f"{row.entry.id}/{row.entry.trial}" for row in rows],
        "point": _points(rows),
        "state": [status.STATES.index(row.state) for row in rows],
        "states": list(status.STATES),
        "seconds": [_rounded(row.seconds, DIGITS) for row in rows],
        "started": [_time(row.record.get("started")) for row in rows],
        "ended": [_time(row.record.get("ended")) for row in rows],
        "attempt": [row.record.get("attempt") for row in rows],
        "host": codes,
        "hosts": hosts,
        "cause": [causes.get(id(row.entry), -1) for row in rows],
        "problems": problems,
        "executed": trial_rows.executed(rows),
    }


def _points(rows: Sequence[Row]) -> list[int]:
    """By run the number of its point: the repeats of one configuration have the same."""
    place = {id(row): number for number, point in enumerate(points.points(rows)) for row in point.rows}
    return [place[id(row)] for row in rows]


def _swept(column: Column, rows: Sequence[Row]) -> Table:
    """One swept key: numbers where all its values are some, else `codes` of `labels`; null where a run has none."""
    values = list(map(column.get, rows))
    if all(value is None or _exact(value) for value in values):
        return {"name": _text(column.name), "values": values}
    codes, labels = _coded(values, _labels(values))
    return {"name": _text(column.name), "codes": codes, "labels": labels}


def _exact(value: object) -> bool:
    """Whether a value is a number that a browser has exactly."""
    return metrics.number(value) and math.isfinite(value) and (isinstance(value, float) or abs(value) <= WHOLE)  # type: ignore[arg-type]


def _labels(values: Sequence[Any]) -> Callable[[Any], str]:
    """How the values of a key are called: texts without quotes, where all are texts."""
    bare = all(value is None or isinstance(value, str) for value in values)
    return lambda value: value if bare else layout.jsonnable(value)


def _coded(values: Iterable[Any], label: Callable[[Any], str] = str) -> tuple[list[int | None], list[str]]:
    """Values as codes of the different ones among them, which are in the order of their labels, numbers first."""
    keys = [None if value is None else (layout.canonical(value), value) for value in values]
    different = {key[0]: key[1] for key in keys if key is not None}
    ordered = sorted(different, key=lambda key: _order(different[key], label))
    place = {key: code for code, key in enumerate(ordered)}
    names = [_text(label(different[key])) for key in ordered]
    return [None if key is None else place[key[0]] for key in keys], names


def _order(value: Any, label: Callable[[Any], str]) -> tuple[bool, float, str]:
    known = _exact(value)
    return (not known, float(value) if known else 0.0, label(value))


def _metrics(found: Gathered, shown: str | None) -> list[Table]:
    """The metrics that are a number for some run, the one that ranks first."""
    names = sorted(table.numeric(found.rows), key=lambda name: name != shown)
    exact = len(found.rows) <= EXACT_RUNS
    return [
        _metric(name, found.rows, None if exact or name == shown else DIGITS)
        | {"mode": found.options.mode if name == found.options.metric else metric_mode.guessed(name)}
        for name in names
    ]


def _metric(name: str, rows: Sequence[Row], digits: int | None) -> Table:
    values: list[float | None] = []
    odd: dict[str, str] = {}
    for place, row in enumerate(rows):
        value = row.metrics.get(name)
        known = metrics.number(value)
        plain = _rounded(value, digits) if known else None
        values.append(plain)
        if value is not None and plain is None:
            odd[str(place)] = _text(formats.rounded(value) if known else layout.jsonnable(value))
    return {"name": _text(name), "values": values, "odd": odd}


def _rounded(value: float | None, digits: int | None) -> float | None:
    """A number as a browser can have it; None where it is not finite."""
    try:
        if value is None or not math.isfinite(value):
            return None
        plain = value if isinstance(value, int) and abs(value) <= WHOLE else float(value)
    except OverflowError:  # an integer beyond what a double holds
        return None
    return plain if digits is None or isinstance(plain, int) else float(f"{plain:.{digits}g}")


def _time(text: object) -> float | None:
    """Seconds since 1970 of a time in a record."""
    try:
        return round(datetime.fromisoformat(str(text)).timestamp(), 1)
    except ValueError:
        return None


def _text(value: str) -> str:
    return value if len(value) <= LONGEST else value[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
