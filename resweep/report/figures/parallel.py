"""Parallel coordinates: a vertical axis for each swept key and one for the metric, a line for each point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from resweep.report.figures import axis, look
from resweep.report.figures.axis import Axis
from resweep.report.figures.series import Asked, Drawn, Series, chosen, scales, series
from resweep.results.load import Gathered
from resweep.results.points import Point, Statistic

MOST_AXES = 10
LETTER = 0.068  # inches, of a name
FEW = 100  # lines that are drawn in full; more are thin and let each other through
NOTHING = -0.14  # where a line passes an axis that its point has no value for, below all that have one


def draw(found: Gathered, asked: Asked) -> Drawn:
    """Of one sweep, the better a line the darker; of several, a colour for each. With `--top` the others are faint."""
    every, notes = series(found, asked)
    keys = chosen(every, asked)
    if len(keys) > MOST_AXES:
        notes.append(f"{len(keys)} keys differ, the first {MOST_AXES} are drawn; --param KEY chooses others")
        keys = keys[:MOST_AXES]
    kinds = scales(every)
    lines = [
        axis.axis(key, (one.value(point, key) for one in every for point, _ in one.known), kinds[key]) for key in keys
    ]
    metric = str(found.options.metric)
    lines.append(axis.metric(metric, [each.mean for one in every for _, each in one.known]))
    width = asked.width or look.TEXT
    figure = look.new(width, asked.height or max(1.7, 0.38 * width))
    axes = figure.add_subplot()
    missing = _paths(axes, every, lines, found.options.mode, asked)
    letters = max(6, int(width / (len(lines) + 0.4) / LETTER))
    short = look.short(keys, letters)
    _frame(axes, lines, [*(short[key] for key in keys), look.plain(metric, 3 * letters)], missing, letters)
    if len(every) > 1:
        _legend(figure, every)
    elif len(every[0].known) > 1:
        best = "highest" if found.options.mode == "max" else "lowest"
        notes.append(f"a line for each of {len(every[0].known)} points, the darkest is the {best} {metric}")
    return Drawn(figure, tuple(notes))


def _paths(axes: Any, every: Sequence[Series], lines: Sequence[Axis], mode: str, asked: Asked) -> set[int]:
    """The lines, the best on top; the places of the axes for which some point has no value."""
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgba

    shade = colormaps["viridis_r" if mode == "max" else "viridis"]
    drawn = []
    for number, one in enumerate(every):
        style = look.style(number)
        for rank, (point, each) in enumerate(one.known):
            along = _along(lines[-1], each.mean)
            faint = asked.top is not None and rank >= asked.top
            colour = look.FAINT if faint else shade(along) if len(every) == 1 else style.colour
            stroke = style.stroke if len(every) > 1 else "-"
            better = along if mode == "max" else -along
            drawn.append(((not faint, better), _heights(one, point, each, lines), colour, stroke))
    drawn.sort(key=lambda each: each[0])
    clear = asked.top is not None or len(drawn) <= FEW
    thin = (0.4, min(0.5, 400 / len(drawn)))  # wide and opaque enough to be seen, where there are many
    axes.add_collection(
        LineCollection(
            [[(x, NOTHING if y is None else y) for x, y in enumerate(heights)] for _, heights, _, _ in drawn],
            colors=[to_rgba(c, 0.9 if clear and apart else thin[1]) for (apart, _), _, c, _ in drawn],
            linewidths=[1.1 if clear and apart else thin[0] for (apart, _), _, _, _ in drawn],
            linestyles=[stroke for _, _, _, stroke in drawn],
            rasterized=len(drawn) > look.MOST_VECTORS,
        )
    )
    return {x for _, heights, _, _ in drawn for x, height in enumerate(heights) if height is None}


def _heights(one: Series, point: Point, each: Statistic, lines: Sequence[Axis]) -> list[float | None]:
    """Where a point's line crosses each axis, from 0 to 1; None where it has no value."""
    values = [line.at(one.value(point, line.key)) for line in lines[:-1]]
    heights = [None if value is None else _along(line, value) for line, value in zip(lines[:-1], values, strict=True)]
    return [*heights, _along(lines[-1], each.mean)]


def _along(line: Axis, value: float) -> float:
    """A value's place on its axis, from 0 to 1."""
    if line.low == line.high:
        return 0.5
    if line.scale == "log":
        return math.log(value / line.low) / math.log(line.high / line.low)
    return (value / 2 - line.low / 2) / (line.high / 2 - line.low / 2)


def _frame(axes: Any, lines: Sequence[Axis], names: Sequence[str], missing: set[int], letters: int) -> None:
    """The axes: a line, values beside it, its name above."""
    axes.set_xlim(-0.25, len(lines) - 0.8)
    axes.set_ylim((NOTHING if missing else 0) - 0.05, 1.03)
    axes.axis("off")
    box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6}
    for x, (line, name) in enumerate(zip(lines, names, strict=True)):
        axes.plot([x, x], [0, 1], color="#333333", linewidth=0.8, zorder=4)
        last = x == len(lines) - 1
        side = 1 if last else -1  # the metric's values stand beyond its axis, where no lines are
        above = "\n" * (last and len(name) > letters)  # a long one stands over the others
        axes.text(x, 1.06, name + above, ha="right" if last else "center", va="bottom", fontsize=7.5, clip_on=False)
        for value, text in line.ticks or _ticks(line):
            y = _along(line, value)
            axes.plot([x + side * 0.02, x], [y, y], color="#333333", linewidth=0.8, zorder=4)
            place = {"ha": "left" if last else "right", "va": "center"}
            axes.text(x + side * 0.035, y, text, **place, fontsize=6.5, zorder=5, bbox=box)
        if x in missing:
            axes.text(x, NOTHING, "none", ha="center", va="center", fontsize=6.5, zorder=5, color="#555555", bbox=box)


def _ticks(line: Axis) -> list[tuple[float, str]]:
    """Some round numbers within a numeric axis; its two ends where there are fewer than two."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    locator = LogLocator(numticks=6) if line.scale == "log" else MaxNLocator(5)
    found = [float(v) for v in locator.tick_values(line.low, line.high) if line.low <= v <= line.high]
    return [(value, f"{value:.4g}") for value in (found if len(found) > 1 else dict.fromkeys((line.low, line.high)))]


def _legend(figure: Any, every: Sequence[Series]) -> None:
    from matplotlib.lines import Line2D

    styles = [look.style(number) for number in range(len(every))]
    handles = [Line2D([], [], color=style.colour, linestyle=style.stroke) for style in styles]
    names = [look.plain(one.name, 24) for one in every]
    look.legend(figure, handles, names, loc="outside upper center", ncols=4)
