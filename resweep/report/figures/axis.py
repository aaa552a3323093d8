"""Swept values and metrics on axes: where a value stands, and what is written there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from resweep import layout
from resweep.report.figures import look
from resweep.report.figures.series import LARGEST
from resweep.report.scale import number

FEW = 6  # different numbers: each of them has its own tick
MOST_NAMES = 12  # names that are written; of more, some
WIDE = 1000  # how many times its least a metric's most is where its axis is logarithmic


@dataclass(frozen=True)
class Axis:
    """One key's values on a line: `scale` is linear, log or category, `ticks` what stands where, if it is said."""

    key: str
    scale: str
    names: tuple[str, ...] = ()
    ticks: tuple[tuple[float, str], ...] = ()
    low: float = 0.0
    high: float = 1.0

    def at(self, value: Any) -> float | None:
        """Where a value stands, in the axis' own units; None for no value, and for one that cannot be drawn."""
        if value is None:
            return None
        if self.scale == "category":
            text = layout.canonical(value)
            return float(self.names.index(text)) if text in self.names else None
        return _drawable(value)


def axis(key: str, values: Iterable[Any], scale: str) -> Axis:
    """The axis of a key for these values."""
    there = [value for value in values if value is not None]
    if scale == "category":
        # of any two values equal as JSON the first says how it is written
        texts = {layout.canonical(value): value for value in reversed(there)}
        names = tuple(sorted(texts))
        step = -(-len(names) // MOST_NAMES)
        ticks = tuple((float(place), _name(texts[names[place]])) for place in range(0, len(names), max(1, step)))
        return Axis(key, scale, names, ticks, 0.0, float(max(1, len(names) - 1)))
    numbers = sorted({each for value in there if (each := _drawable(value)) is not None})
    if not numbers:
        return Axis(key, "linear")
    log = scale == "log" and numbers[0] >= 1 / LARGEST
    ticks = tuple((each, f"{each:g}") for each in numbers) if len(numbers) <= FEW else ()
    return Axis(key, "log" if log else "linear", (), ticks, numbers[0], numbers[-1])


def metric(name: str, values: Sequence[float]) -> Axis:
    """The axis of a metric: logarithmic where its values span more than three powers of ten."""
    low, high = min(values), max(values)
    log = low >= 1 / LARGEST and high / low >= WIDE
    return Axis(name, "log" if log else "linear", (), (), low, high)


def apply(line: Axis, side: Any) -> None:
    """Give an axis of matplotlib's (`axes.xaxis` or `axes.yaxis`) the scale and ticks of this one."""
    from matplotlib.ticker import NullFormatter, NullLocator

    if line.scale == "log":
        (side.axes.set_xscale if side.axis_name == "x" else side.axes.set_yscale)("log")
    if line.ticks:
        side.set_ticks([place for place, _ in line.ticks], [text for _, text in line.ticks])
        side.set_minor_locator(NullLocator())
        side.set_minor_formatter(NullFormatter())


def _drawable(value: Any) -> float | None:
    exact = number(value)
    return exact if exact is not None and abs(exact) <= LARGEST else None


def _name(value: Any) -> str:
    return look.plain(value if isinstance(value, str) else layout.jsonnable(value), 16)
