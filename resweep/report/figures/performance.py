"""The expected best of n points, for every n that was tried; over points, or over what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from resweep.errors import ConfigError
from resweep.report import expected, tried
from resweep.report.expected import Performance
from resweep.report.figures import axis, look
from resweep.report.figures.series import Asked, Drawn, Series, series
from resweep.results.load import Gathered

MANY = 100  # times the least: from there on a count or a cost is on a logarithmic axis
_UNITS = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


def draw(found: Gathered, asked: Asked) -> Drawn:
    """A line for each sweep, with a band of one standard deviation; it ends where the points do."""
    every, notes = series(found, asked)
    pairs = [(each, expected.performance(each.drawable, found.options, each.definition)) for each in every]
    pairs = [(each, performance) for each, performance in pairs if performance.curve.n]
    unit, word = _unit(pairs, asked)
    figure = look.new(asked.width or look.COLUMN, asked.height or 0.72 * (asked.width or look.COLUMN))
    axes = figure.add_subplot()
    axes.grid(True)
    handles = []
    for number, (each, performance) in enumerate(pairs):
        curve, style = performance.curve, look.style(number)
        across = curve.n if asked.x == "points" else [s / unit for s in curve.seconds(performance.each or 0.0)]
        axes.fill_between(
            across, curve.low, curve.high, color=style.colour, alpha=0.15 if len(pairs) < 3 else 0.08, linewidth=0
        )
        handles += axes.plot(across, curve.value, color=style.colour, linestyle=style.stroke)
        axes.plot(across[-1:], curve.value[-1:], color=style.colour, marker=style.marker)
        notes += _told(each.name, performance)
    ends = [value for _, performance in pairs for value in (*performance.curve.low, *performance.curve.high)]
    axis.apply(axis.metric(str(found.options.metric), ends), axes.yaxis)
    _across(axes, asked)
    axes.set_xlabel("points tried" if asked.x == "points" else f"expected duration of the trials ({word})")
    axes.set_ylabel(f"expected best\n{look.plain(found.options.metric, 32)}")
    if len(pairs) > 1:
        corner = "lower right" if found.options.mode == "max" else "upper right"
        look.legend(axes, handles, [look.plain(each.name, 24) for each, _ in pairs], loc=corner)
    return Drawn(figure, tuple(notes))


def _unit(pairs: Sequence[tuple[Series, Performance]], asked: Asked) -> tuple[float, str]:
    """The unit in which the longest duration is a few digits, in seconds; a ConfigError where there is no duration."""
    if asked.x == "points":
        return 1.0, ""
    longest = 0.0
    for each, performance in pairs:
        if performance.each is None:
            raise ConfigError(
                f"--x duration: found no durations in {each.name}, which has no records of attempts, "
                "expected --x points for it"
            )
        longest = max(longest, performance.curve.seconds(performance.each)[-1])
    return next(((unit, word) for unit, word in _UNITS if longest >= 2 * unit), _UNITS[-1])


def _across(axes: Any, asked: Asked) -> None:
    """The x axis: logarithmic where it is wide; points are whole numbers."""
    from matplotlib.ticker import MaxNLocator

    if _is_wide(axes.lines):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    elif asked.x == "points":
        if max(value for line in axes.lines for value in line.get_xdata()) == 1:
            axes.set_xlim(0.5, 1.5)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))


def _is_wide(lines: Sequence[Any]) -> bool:
    across = [value for line in lines for value in line.get_xdata()]
    return bool(min(across) > 0 and max(across) / min(across) > MANY)


def _told(name: str, performance: Performance) -> list[str]:
    curve = performance.curve
    form = "independent draws" if curve.form == "with replacement" else "points of a finite grid"
    form = "points of a search" if performance.chosen else form
    said = f"{name}: expected best of n {form} ({curve.form}), n up to {curve.n[-1]}; band: one standard deviation"
    if performance.each is not None:
        said += f"; a point took {performance.each:.3g} s on average, all repeats together"
    more = [
        f"{expected.CHOSEN}on the page of `resweep report`" if performance.chosen else "",
        tried.said(performance.pruned),
    ]
    more.append(tried.said_diverged(curve.diverged))
    return [said, *(f"{name}: {each}" for each in more if each)]
