"""The metric against a swept key: a dot for each point, the spread of its repeats as a bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from resweep.report.figures import axis, look
from resweep.report.figures.axis import Axis
from resweep.report.figures.series import Asked, Drawn, Series, chosen, scales, series
from resweep.results.load import Gathered
from resweep.results.points import Point, Statistic

MOST_PANELS = 9
MANY = 60  # points that would lie upon each other where a key has a few values
GOLDEN = (math.sqrt(5) - 1) / 2  # steps of this fill an interval evenly


def draw(found: Gathered, asked: Asked) -> Drawn:
    """A panel for each key, all of them with one metric's axis. With `--top` the others than the K best are faint."""
    every, notes = series(found, asked)
    keys = chosen(every, asked)
    if len(keys) > MOST_PANELS:
        notes.append(f"{len(keys)} keys differ, the first {MOST_PANELS} are drawn; --param KEY chooses others")
        keys = keys[:MOST_PANELS]
    kinds, names = scales(every), look.short(keys)
    columns = min(len(keys), 1 if (asked.width or look.TEXT) < 2.5 else 3)
    rows = -(-len(keys) // columns)
    width = asked.width or (look.COLUMN if len(keys) == 1 else look.TEXT * max(2, columns) / 3)
    figure = look.new(width, asked.height or 0.25 + rows * min(2.3, 0.8 * width / columns))
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    vertical = axis.metric(str(found.options.metric), [each.mean for one in every for _, each in one.known])
    handles: list[Any] = []
    spread = False
    best = {id(point) for one in every for point, _ in _top(one, asked)}
    for place, key in enumerate(keys):
        axes = panels[place // columns][place % columns]
        line = axis.axis(key, (one.value(point, key) for one in every for point, _ in one.known), kinds[key])
        across = _Across(line, sum(len(one.known) for one in every))
        spread = spread or across.width > 0
        handles = [_dots(axes, one, across, look.style(number), best) for number, one in enumerate(every)]
        axes.margins(x=0.1)
        axis.apply(line, axes.xaxis)
        axis.apply(vertical, axes.yaxis)
        _frame(axes, line, names[key])
        if place % columns == 0:
            axes.set_ylabel(look.plain(found.options.metric, 32))
    for empty in range(len(keys), rows * columns):
        panels[empty // columns][empty % columns].set_visible(False)
    if len(every) > 1:
        look.legend(figure, handles, [look.plain(one.name, 24) for one in every], loc="outside upper center", ncols=4)
    if spread:
        notes.append("points of the same value stand side by side")
    if any((each.sd or 0) > 0 for one in every for _, each in one.known):
        notes.append("a dot is the mean of a point's repeats, its bar their standard deviation")
    return Drawn(figure, tuple(notes))


def _top(one: Series, asked: Asked) -> Sequence[tuple[Point, Statistic]]:
    return one.known if asked.top is None else one.known[: asked.top]


@dataclass(frozen=True)
class _Across:
    """Where points stand on an axis of a few values: side by side, where there are too many to lie upon each other."""

    line: Axis
    count: int

    @property
    def width(self) -> float:
        """How far from its value a point may stand, to each side; on a logarithmic axis as a logarithm."""
        if self.count < MANY or len(self.line.ticks) < 2:
            return 0.0
        places = [place for place, _ in self.line.ticks]
        if self.line.scale == "log":
            places = [math.log(place) for place in places]
        return 0.3 * min(high - low for low, high in pairwise(places))

    def at(self, value: Any, number: int) -> float | None:
        """The place of a value of the point with this number: always the same, and evenly to both sides."""
        place = self.line.at(value)
        if place is None or not self.width:
            return place
        aside = self.width * (2 * (number * GOLDEN % 1) - 1)
        return place * math.exp(aside) if self.line.scale == "log" else place + aside


def _dots(axes: Any, one: Series, across: _Across, style: look.Style, best: set[int]) -> Any:
    """The points of one sweep in one panel; what stands for them in a legend."""
    for stands_out in (False, True):
        pairs = [
            (across.at(one.value(point, across.line.key), number), each)
            for number, (point, each) in enumerate(one.known)
            if (id(point) in best) == stands_out
        ]
        there = [(place, each) for place, each in pairs if place is not None]
        colour = style.colour if stands_out else look.FAINT
        order = 3 if stands_out else 2
        spread = [(x, each) for x, each in there if each.sd is not None and math.isfinite(each.sd)]
        if spread:
            axes.errorbar(
                [x for x, _ in spread],
                [each.mean for _, each in spread],
                yerr=[min(each.sd or 0.0, 1e100) for _, each in spread],
                fmt="none",
                ecolor=colour,
                elinewidth=0.7,
                alpha=0.6,
                zorder=order,
            )
        axes.scatter(
            [x for x, _ in there],
            [each.mean for _, each in there],
            s=14 if len(one.known) <= 200 else 5,
            color=colour,
            marker=style.marker,
            alpha=0.75 if len(one.known) <= 200 else 0.4,
            linewidths=0,
            zorder=order,
            rasterized=len(there) > look.MOST_VECTORS,
        )
    from matplotlib.lines import Line2D

    return Line2D([], [], color=style.colour, marker=style.marker, linestyle="none")


def _frame(axes: Any, line: Axis, name: str) -> None:
    axes.grid(True, axis="y")
    axes.set_xlabel(name)
    if line.scale == "category":
        axes.set_xlim(line.low - 0.5, line.high + 0.5)
        if sum(len(text) for _, text in line.ticks) > 18:
            axes.tick_params(axis="x", rotation=30)
            for label in axes.get_xticklabels():
                label.set_horizontalalignment("right")
