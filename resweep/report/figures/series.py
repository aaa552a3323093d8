"""What a figure is asked for, and the points that it shows: those of `results --by point`, sweep by sweep."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from resweep.errors import ConfigError
from resweep.report import scale, tried
from resweep.results import load, table
from resweep.results.load import Gathered
from resweep.results.points import Point, Statistic
from resweep.sweep import conditions
from resweep.sweep.conditions import parse
from resweep.sweep.definition import Sweep

LARGEST = 1e100  # what can be drawn: an axis of doubles ends before doubles do
OUTCOMES = ("state", "n", "seconds", "problem")  # columns that say how a point came out, beside its metrics


@dataclass(frozen=True)
class Asked:
    """What the command line says of a figure; width and height in inches, None where the kind decides."""

    kind: str
    x: str = "points"
    where: tuple[str, ...] = ()
    top: int | None = None
    params: tuple[str, ...] = ()
    width: float | None = None
    height: float | None = None


@dataclass(frozen=True)
class Series:
    """The points of one sweep that a figure is about: `points` are all, `known` those with a number, the best first."""

    name: str
    metric: str
    points: tuple[Point, ...]
    known: tuple[tuple[Point, Statistic], ...]
    definition: Sweep | None
    get: Mapping[str, Callable[[Point], Any]] = field(default_factory=dict)

    @property
    def drawable(self) -> list[Point]:
        """The points but for those that were tried and have a number that no axis can hold."""
        return [point for point in self.points if not _is_beyond(tried.value(point, self.metric))]

    def value(self, point: Point, key: str) -> Any:
        """A swept value of a point; of a key that only other sweeps vary, what this one gives all of its trials."""
        return self.get[key](point)


@dataclass(frozen=True)
class Drawn:
    """A figure of matplotlib's, and what a caption should tell of it."""

    figure: Any
    notes: tuple[str, ...] = ()


def series(found: Gathered, asked: Asked) -> tuple[list[Series], list[str]]:
    """The points by sweep, in the order in which the sweeps were named; and what is left out.

    A ConfigError where there is no metric to draw, or no point has it.
    """
    metric = found.options.metric
    if metric is None:
        raise ConfigError('plot: found no metric, expected [results] metric = "..." in each sweep, or --metric KEY:max')
    missing = load.metric_missing(found)
    if missing:
        raise ConfigError(missing)
    fixed = found.fixed if len(found.sweeps) > 1 else {}
    shown = table.of_points(found.rows, fixed)
    _check_conditions(asked, shown)
    lines = table.where(shown, asked.where).lines
    swept = [column.get for column in shown.every.values() if column.kind == "swept"]
    get = dict(zip(dict.fromkeys(key for row in found.rows for key in row.entry.swept), swept, strict=True))
    every, notes = [], list(found.notes)
    for paths in found.sweeps:
        points = tuple(point for point in lines if point.sweep == paths.name)
        known = [(point, each) for point in points if (each := point.statistic(metric)) and abs(each.mean) <= LARGEST]
        known.sort(key=lambda pair: pair[1].mean, reverse=found.options.mode == "max")
        # where what was pruned or diverged counts, it is not left out
        counted = _tried(points, metric) if asked.kind == "performance" else [point for point, _ in known]
        notes += _left_out(paths.name, points, counted, metric)
        every.append(Series(paths.name, metric, points, tuple(known), found.definitions.get(paths.name), get))
    if not any(each.known for each in every):
        raise ConfigError(f"plot: found no finished point with a number for {metric}, expected at least one")
    return every, notes


def _tried(points: Sequence[Point], metric: str) -> list[Point]:
    """The points that a curve of all that were tried is of."""
    return [point for point in points if (each := tried.value(point, metric)) and not _is_beyond(each)]


def keys(every: Sequence[Series]) -> list[str]:
    """The swept keys whose values tell the points of these sweeps apart, in the sweeps' order."""
    names = dict.fromkeys(key for each in every for point, _ in each.known for key in point.entry.swept)
    differ = []
    for name in names:
        values = {repr(each.value(point, name)) for each in every for point, _ in each.known}
        differ += [name] if len(values) > 1 else []
    return differ


def scales(every: Sequence[Series]) -> dict[str, str]:
    """The scale of each swept key over all these sweeps."""
    definitions = {each.name: each.definition for each in every if each.definition is not None}
    return scale.scales(definitions, [row for each in every for point in each.points for row in point.rows])


def chosen(every: Sequence[Series], asked: Asked) -> list[str]:
    """The keys that `--param` names, or all that differ; a ConfigError for one that is not swept."""
    known = keys(every)
    wanted = [_meant(name, known) for name in asked.params]
    if not known:
        raise ConfigError(f"plot --kind {asked.kind}: found no swept key that differs between the points")
    return list(dict.fromkeys(wanted)) or known


def _meant(name: str, known: Sequence[str]) -> str:
    """The key that a person names, perhaps by its end: lr for params.lr."""
    meant = conditions.whole(name, known)
    if len(meant) > 1:
        raise ConfigError(f"--param {name}: is short for several keys, expected one of: {', '.join(meant)}")
    if not meant:
        raise ConfigError(
            f"--param {name}: found no such key, expected one that differs between the points: "
            f"{', '.join(known) or 'there is none'}"
        )
    return meant[0]


def _is_beyond(statistic: Statistic | None) -> bool:
    return statistic is not None and math.isfinite(statistic.mean) and abs(statistic.mean) > LARGEST


def _check_conditions(asked: Asked, shown: table.Table) -> None:
    """Refuse to choose points by what came of them, where that would make the figure say something else."""
    if asked.kind not in ("performance", "importance"):
        return
    for text in asked.where:
        condition = parse(text)
        column = shown.every.get(condition.key) if condition else None
        if column is not None and (column.kind == "metric" or column.name in OUTCOMES):
            raise ConfigError(
                f"--where {text}: points chosen by what came of them would bias this figure, "
                "expected a condition on swept values"
            )


def _left_out(name: str, points: Sequence[Point], shown: Sequence[Point], metric: str) -> list[str]:
    there = {id(point) for point in shown}
    gone = [point for point in points if id(point) not in there]
    if not gone:
        return []
    return [f"{name}: {len(gone)} of {len(points)} points left out: {tried.why_not(gone, metric)}"]
