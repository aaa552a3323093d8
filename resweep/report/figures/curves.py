"""Learning curves: of the best trials training against validation, the others faint behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from resweep import index
from resweep.errors import ConfigError
from resweep.layout import jsonnable
from resweep.report import curves as learning
from resweep.report.figures import axis, look
from resweep.report.figures.series import LARGEST, Asked, Drawn, series
from resweep.results import trial_rows
from resweep.results.load import Gathered
from resweep.results.metrics import Curve
from resweep.results.trial_rows import Row

BEST = 5  # trials that stand out, where nobody says how many
BEST_OF_SEVERAL = 2  # of each of several sweeps
MOST_LINES = 3  # of a trial in the legend
LETTER = 0.057  # inches, of a legend
MOST_OTHERS = 200  # whose files are read

_PARTS: dict[str, Any] = {"validation": "-", "test": (0, (1, 1.2)), "train": (0, (5, 2)), "": "-"}


@dataclass(frozen=True)
class _Trial:
    row: Row
    curves: Mapping[str, Curve]  # by the part of the data


def draw(found: Gathered, asked: Asked) -> Drawn:
    """The K best trials in colour, and as many of the next best as can soon be read."""
    every, notes = series(found, asked)
    shown = {(one.name, row.entry.name) for one in every for point in one.points for row in point.rows}
    ranked = [row for row in trial_rows.best(found.rows, found.options) if (row.sweep, row.entry.name) in shown]
    metric = str(found.options.metric)
    chosen = _best(ranked, [one.name for one in every], asked.top)
    out = {id(row) for row in chosen}
    others = [row for row in ranked if id(row) not in out]
    if len(others) > MOST_OTHERS:
        notes.append(f"the {len(chosen) + MOST_OTHERS} best of {len(ranked)} trials are drawn")
    wanted = (*asked.params, metric)[0]
    best = [_read(found, row, wanted) for row in chosen]
    rest = [_read(found, row, wanted) for row in others[:MOST_OTHERS]]
    trials = [*best, *rest]
    have = [trial for trial in trials if trial.curves]
    if not have:
        raise _nothing(found, ranked[0], asked)
    if len(have) < len(trials):
        notes.append(f"{len(trials) - len(have)} of {len(trials)} trials have no such curve")
    width = asked.width or look.COLUMN
    best = [trial for trial in best if trial.curves]
    names = [_name(trial, found, int((width - 0.65) / LETTER)) for trial in best]
    lines = sum(name.count("\n") + 1 for name in names) + 3
    figure = look.new(width, asked.height or 0.62 * width + 0.135 * lines)
    axes = figure.add_subplot()
    _faint(axes, [trial for trial in rest if trial.curves])
    handles = [_coloured(axes, trial, style) for trial, style in zip(best, _styles(best, found), strict=True)]
    _frame(axes, have)
    _legend(figure, handles, names, best, len(have) > len(best))
    return Drawn(figure, tuple(notes))


def _best(ranked: Sequence[Row], sweeps: Sequence[str], top: int | None) -> list[Row]:
    """The rows that stand out: the K best of each sweep."""
    count = top or (BEST if len(sweeps) == 1 else BEST_OF_SEVERAL)
    return [row for sweep in sweeps for row in [row for row in ranked if row.sweep == sweep][:count]]


def _read(found: Gathered, row: Row, wanted: str) -> _Trial:
    return _Trial(row, learning.belonging(learning.history(found, row), wanted))


def _nothing(found: Gathered, row: Row, asked: Asked) -> ConfigError:
    names = ", ".join(learning.measures(learning.history(found, row))) or "none"
    wanted = f"--param {asked.params[0]}" if asked.params else f"plot: {found.options.metric}"
    return ConfigError(
        f"{wanted}: found no learning curve of it, expected --param with one of those that "
        f"{row.sweep}#{row.entry.number} has: {names}"
    )


def _xy(curve: Curve) -> tuple[list[float], list[float]]:
    """Steps and values that can be drawn."""
    pairs = [(x, y) for x, y in zip(curve.steps, curve.values, strict=True) if abs(x) <= LARGEST and abs(y) <= LARGEST]
    return [x for x, _ in pairs], [y for _, y in pairs]


def _faint(axes: Any, trials: Sequence[_Trial]) -> None:
    """The other trials, on the part of the data by which the best are chosen."""
    for trial in trials:
        curve = trial.curves[_main(trial)]
        axes.plot(*_xy(curve), color=look.FAINT, linewidth=0.6, alpha=0.7, zorder=1)


def _main(trial: _Trial) -> str:
    return next(part for part in ("validation", "", "test", "train") if part in trial.curves)


def _coloured(axes: Any, trial: _Trial, style: look.Style) -> Any:
    """One of the best: a line for each part of the data; what stands for it in a legend."""
    handle = None
    for part in sorted(trial.curves, key=lambda part: part != _main(trial)):
        x, y = _xy(trial.curves[part])
        main = part == _main(trial)
        (line,) = axes.plot(
            x,
            y,
            color=style.colour,
            linestyle=_PARTS[part],
            linewidth=1.4 if main else 1.0,
            marker=style.marker if main else None,
            markevery=max(1, len(x) // 6),
            zorder=3 if main else 2,
        )
        handle = handle or line
    return handle


def _frame(axes: Any, trials: Sequence[_Trial]) -> None:
    curves = [trial.curves[_main(trial)] for trial in trials]
    axes.grid(True)
    axes.set_xlabel(look.plain(curves[0].axis))
    axes.set_ylabel(look.plain(curves[0].measure, 32))
    values = [y for trial in trials for curve in trial.curves.values() for y in _xy(curve)[1]]
    if values:
        axis.apply(axis.metric("", values), axes.yaxis)
    if all(float(x).is_integer() for curve in curves for x in _xy(curve)[0]):
        from matplotlib.ticker import MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _name(trial: _Trial, found: Gathered, letters: int) -> str:
    """A trial by its number and what tells it apart in its sweep, on lines of so many letters; three at most."""
    entry = trial.row.entry
    keys = index.varying(row.entry for row in found.rows if row.sweep == trial.row.sweep)
    short = look.short(keys)
    values = [look.plain(f"{short[key]}={_value(entry.swept[key])}", letters) for key in keys if key in entry.swept]
    sweep = f"{look.plain(trial.row.sweep, 16)} " * (len(found.sweeps) > 1)
    lines = [f"{sweep}#{entry.number}"]
    for value in values:
        if len(lines[-1]) + 1 + len(value) <= letters:
            lines[-1] += f" {value}"
        else:
            lines.append(value)
    return "\n".join(lines if len(lines) <= MOST_LINES else [*lines[:MOST_LINES], "..."])


def _value(value: Any) -> str:
    """A swept value with five digits, which tell trials apart; what was drawn has seventeen."""
    return f"{value:.5g}" if isinstance(value, float) else jsonnable(value)


def _styles(best: Sequence[_Trial], found: Gathered) -> list[look.Style]:
    """A colour for each trial of one sweep, for each of several sweeps; always a marker for each trial."""
    if len(found.sweeps) == 1:
        return [look.style(number) for number in range(len(best))]
    sweeps = [paths.name for paths in found.sweeps]
    colours = [look.style(sweeps.index(trial.row.sweep)).colour for trial in best]
    return [replace(look.style(number), colour=colour) for number, colour in enumerate(colours)]


def _legend(figure: Any, handles: Sequence[Any], names: Sequence[str], best: Sequence[_Trial], others: bool) -> None:
    """Below the axes: what is which part of the data, and the best trials by their values."""
    from matplotlib.lines import Line2D

    parts = [part for part in _PARTS if any(part in trial.curves for trial in best)]
    lines, texts = [*handles], [*names]
    if len(parts) > 1:
        lines = [*(Line2D([], [], color="#555555", linestyle=_PARTS[part]) for part in parts), *lines]
        texts = [*(part or "not said" for part in parts), *texts]
    if others:
        lines.append(Line2D([], [], color=look.FAINT, linewidth=0.8))
        texts.append("others")
    if lines:
        look.legend(figure, lines, texts, loc="outside lower center", ncols=1)
