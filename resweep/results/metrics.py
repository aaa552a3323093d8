r"""One output directory -> its numbers: the last values, and how they came about, whatever framework wrote them.

The values are those of the first of these files that is there and can be read:

1. metrics.json             what a training writes at its end; tables in it give names with dots
2. metrics_epoch_N.json     the latest epoch's (AllenNLP)
3. metrics.jsonl            a table a line; of each name the last line that has it
4. events.out.tfevents.*    TensorBoard's scalars, in any directory below; of each name the last

A later file is asked only when the metric that is wanted is not among what the earlier ones have; it adds names, and
changes none. What `[results] pattern` finds in the log is added in the same way, always. The history is that of the
first of 2, 3 and 4 that has any, and of the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from resweep.errors import counted
from resweep.layout import METRICS
from resweep.results import dataframe, metric_files
from resweep.results.metric_files import Look as Look
from resweep.results.metric_files import Output as Output
from resweep.results.metric_files import Points, Values
from resweep.results.metric_files import finite as finite
from resweep.results.metric_files import flat as flat
from resweep.results.metric_files import nobody as nobody
from resweep.results.metric_files import number as number
from resweep.results.metric_files import table as table

if TYPE_CHECKING:
    import pandas

NAMED = 5  # curves that a line of text names

_WORD = re.compile(rf"(?:^|(?<=[_./ -]))({'|'.join(metric_files.PART)})(?=[_./ -]|$)[_./ -]?", re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """The last value of each metric, and what could not be read, with the names of the files."""

    values: Values = field(default_factory=dict)
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Curve:
    """One metric over time: `values` at `steps`, which count what `axis` says: step, epoch, line, ...

    `times` says when each was measured, in seconds since 1970: for TensorBoard's what the file says, for an epoch when
    its file was written; empty where nothing says.
    """

    name: str
    axis: str
    steps: tuple[float, ...]
    values: tuple[float, ...]
    times: tuple[float, ...] = ()

    @property
    def part(self) -> str:
        """What it was measured on, by its name: train, validation or test; empty where the name does not say."""
        return apart(self.name)[0]

    @property
    def measure(self) -> str:
        """The name without that part: the same for training and validation."""
        return apart(self.name)[1]

    def to_pandas(self) -> pandas.Series:
        """The values by step; the index is called what the steps count."""
        return dataframe.series(self.name, self.values, self.steps, self.axis)

    def __repr__(self) -> str:
        """One line: its name, how many points, the first and the last."""
        if not self.steps:
            return f"<{self.name!r}: no points>"
        ends = f"{self.values[0]:.4g} to {self.values[-1]:.4g}, {self.axis} {self.steps[0]:g} to {self.steps[-1]:g}"
        return f"<{self.name!r}: {counted(len(self.steps), 'point')}, {ends}>"


@dataclass(frozen=True, repr=False)
class History(Mapping[str, Curve]):
    """The curves of one trial, by name (`history["loss"]`), and what could not be read."""

    curves: tuple[Curve, ...] = ()
    problems: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Curve:
        """The curve of a metric."""
        for curve in self.curves:
            if curve.name == name:
                return curve
        raise KeyError(f"{name}; there are: {', '.join(self) or 'no curves'}")

    def __iter__(self) -> Iterator[str]:
        """The names of the curves."""
        return (curve.name for curve in self.curves)

    def __len__(self) -> int:
        """How many curves there are."""
        return len(self.curves)

    def __repr__(self) -> str:
        """One line: the names of the first curves, each with its number of points."""
        said = [f"{curve.name!r} ({len(curve.steps):,})" for curve in self.curves[:NAMED]]
        more = f" and {len(self) - NAMED:,} more" if len(self) > NAMED else ""
        wrong = f"; {len(self.problems)} not read" if self.problems else ""
        return f"<{counted(len(self), 'curve')}: {', '.join(said)}{more}{wrong}>" if said else f"<no curves{wrong}>"

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame with a row per point of each curve: metric, part, measure, axis, step, value."""
        fields = ("metric", "part", "measure", "axis", "step", "value")
        points = [
            (curve.name, curve.part, curve.measure, curve.axis, step, value)
            for curve in self.curves
            for step, value in zip(curve.steps, curve.values, strict=True)
        ]
        columns = zip(*points, strict=True) if points else [()] * len(fields)
        return dataframe.frame(list(zip(fields, columns, strict=True)))


def read(output: Output, pattern: str | None = None, metric: str | None = None, look: Look = nobody) -> Reading:
    """The values of a trial. `metric` is the name that must be among them, if it is anywhere."""
    values: Values = {}
    logged, problems = metric_files.last(metric_files.logged(output, pattern, look))
    for source in (metric_files.final, metric_files.last_epoch, metric_files.last_lines, metric_files.last_events):
        found, wrong = source(output, look)
        problems += wrong
        values = {**found, **values}
        if values and (metric is None or metric in values or metric in logged):
            break
    values = {**logged, **values}
    if not values and not problems and not output.running:
        problems = [f"no {METRICS}, nor another file of metrics"]
    return Reading(values, tuple(problems))


def history(output: Output, pattern: str | None = None, look: Look = nobody) -> History:
    """The curves of a trial: every number that was measured more than at the end."""
    logged, problems = metric_files.logged(output, pattern, look)
    found: Points = {}
    for source in (metric_files.epochs, metric_files.lines, metric_files.scalars):
        found, wrong = source(output, look)
        problems += wrong
        if found:
            break
    curves = [_curve(name, points) for name, points in {**logged, **found}.items()]
    return History(tuple(curves), tuple(problems))


def apart(name: str) -> tuple[str, str]:
    """What a metric was measured on (train, validation, test or nothing), and its name without that."""
    found = _WORD.search(name)
    if not found:
        return "", name
    rest = (name[: found.start()] + name[found.end() :]).strip("_./ -")
    return metric_files.PART[found[1].lower()], rest or name


def _curve(name: str, points: list[tuple[str, float, float, float | None]]) -> Curve:
    """Points as one curve; where a training that resumed wrote a step again, what it wrote last counts."""
    axis = points[0][0]
    latest = {place: (value, when) for _, place, value, when in points}
    steps = sorted(latest)
    times = [when for _, when in map(latest.__getitem__, steps) if when is not None]
    values = tuple(latest[step][0] for step in steps)
    return Curve(name, axis, tuple(steps), values, tuple(times) if len(times) == len(steps) else ())
