"""How much each swept key counts: its share of a forest's permutation importance, and its rank correlation."""

from __future__ import annotations

from typing import Any

from resweep.report import importance as analysis
from resweep.report import scale
from resweep.report.figures import look
from resweep.report.figures.series import Asked, Drawn, Series, series
from resweep.report.importance import LEAST_SURE, SURE, Importance
from resweep.results.load import Gathered

RHO = r"Spearman's $\rho$"
HOLLOW = f"p above {SURE}, or fewer than {LEAST_SURE} points"


def draw(found: Gathered, asked: Asked) -> Drawn:
    """Bars of the shares, with their spread, beside dots of Spearman's rho; none where the forest predicts badly.

    Of few points the keys are numbered in their order.
    """
    every, notes = series(found, asked)
    pairs = [(each, _analysed(each, found)) for each in every if each.known]
    keys = _ordered([importance for _, importance in pairs])
    width = asked.width or look.COLUMN
    height = asked.height or 0.87 + max(2, len(keys)) * (0.16 + 0.1 * len(pairs)) + 0.15 * (len(pairs) > 1)
    figure = look.new(width, height)
    shares, correlations = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    handles = []
    for number, (each, importance) in enumerate(pairs):
        handles.append(_bars(shares, keys, importance, number, len(pairs)))
        _ranks(shares, keys, importance, number, len(pairs))
        _dots(correlations, keys, importance, number, len(pairs))
        notes += _told(each.name, importance)
    _label(shares, correlations, keys, str(found.options.metric))
    if len(pairs) == 1:
        correlations.set_xlabel(f"{RHO}\nn = {_counted(pairs[0][1])}")
    hidden = [(each.name, importance) for each, importance in pairs if importance.trust != "shown"]
    if hidden:
        _say_hidden(shares, hidden, len(pairs))
    if len(pairs) > 1:
        look.legend(
            figure,
            handles,
            [f"{look.plain(each.name, 24)} (n = {_counted(importance)})" for each, importance in pairs],
            loc="outside upper center",
            ncols=2,
        )
    return Drawn(figure, tuple(notes))


def _analysed(each: Series, found: Gathered) -> Importance:
    rows = [row for point in each.points for row in point.rows]
    definitions = {each.name: each.definition} if each.definition is not None else {}
    return analysis.importance(each.points, found.options, scale.scales(definitions, rows))


def _ordered(every: list[Importance]) -> list[str]:
    """Every key, those first whose share is greatest somewhere."""
    most: dict[str, float] = {}
    for importance in every:
        for place, effect in enumerate(importance.effects):
            share = (effect.share or 0.0) if importance.trust == "shown" else 0.0
            share = -place if importance.trust == "ranked" and len(every) == 1 else share
            most[effect.key] = max(most.get(effect.key, share), share)
    return sorted(most, key=lambda key: -most[key])


def _bars(axes: Any, keys: list[str], importance: Importance, number: int, count: int) -> Any:
    from matplotlib.patches import Patch

    style = look.style(number)
    shown = [each for each in importance.effects if each.share is not None] if importance.trust == "shown" else []
    hatch = ("", "////", "....", "xxxx")[number % 4]
    axes.barh(
        [_place(keys.index(each.key), number, count) for each in shown],
        [each.share for each in shown],
        height=0.76 / count,
        xerr=[[min(each.spread or 0, each.share or 0) for each in shown], [each.spread or 0 for each in shown]],
        color=style.colour,
        hatch=hatch,
        edgecolor="white",
        linewidth=0,
        error_kw={"elinewidth": 0.8, "capsize": 1.5, "capthick": 0.8, "ecolor": "#333333"},
    )
    return Patch(facecolor=style.colour, hatch=hatch, edgecolor="white", linewidth=0)


def _ranks(axes: Any, keys: list[str], importance: Importance, number: int, count: int) -> None:
    for place, each in enumerate(importance.effects if importance.trust == "ranked" else (), 1):
        where = _place(keys.index(each.key), number, count)
        axes.text(0.02, where, f"{place}.", transform=axes.get_yaxis_transform(), va="center", fontsize=7)


def _dots(axes: Any, keys: list[str], importance: Importance, number: int, count: int) -> None:
    style = look.style(number)
    for each in importance.effects:
        if each.rho is not None and each.p is not None:
            axes.plot(
                [each.rho],
                [_place(keys.index(each.key), number, count)],
                style.marker,
                color=style.colour,
                markerfacecolor=style.colour if each.sure else "white",
                clip_on=False,
            )


def _counted(importance: Importance) -> str:
    """Of how many points the correlations are; some keys have fewer than others."""
    counts = [each.n for each in importance.effects if each.rho is not None] or [importance.points]
    return str(min(counts)) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def _place(key: int, number: int, count: int) -> float:
    return key + (number - (count - 1) / 2) * 0.76 / count


def _label(shares: Any, correlations: Any, keys: list[str], metric: str) -> None:
    names = look.short(keys, 20)  # what is longer leaves the right axis less room than its label takes
    shares.set_yticks(range(len(keys)), [names[key] for key in keys])
    shares.set_ylim(max(1, len(keys)) - 0.4, -0.6)
    shares.tick_params(axis="y", length=0)
    correlations.tick_params(axis="y", length=0)
    shares.set_xlim(0, 1)
    shares.grid(True, axis="x")
    shares.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    # narrow words: what is wider than its axes the layout gives no room beyond the figure's edge
    shares.set_xlabel("share of\nimportance")
    correlations.axvline(0, color="#888888", linewidth=0.6)
    correlations.set_xlim(-1.05, 1.05)
    correlations.set_xticks([-1, 0, 1], ["\N{MINUS SIGN}1", "0", "1"])
    correlations.grid(True, axis="x")
    correlations.set_xlabel(RHO)
    shares.set_title(look.plain(metric), loc="left")


def _say_hidden(axes: Any, hidden: list[tuple[str, Importance]], count: int) -> None:
    """In place of bars, why there are none."""
    names = [f"{look.plain(name, 16)}: " if count > 1 else "" for name, _ in hidden]
    reasons = [
        f"{name}no shares:\n{each.reason.replace(': ', ':' + chr(10)).replace(', ', ',' + chr(10))}"
        for name, (_, each) in zip(names, hidden, strict=True)
    ]
    axes.text(
        0.97, 0.5, "\n".join(reasons), transform=axes.transAxes, ha="right", va="center", fontsize=7, color="#555555"
    )


def _told(name: str, importance: Importance) -> list[str]:
    said = [f"{name}: {key} is left out: {why}" for key, why in importance.left_out.items()]
    said.append(f"{name}: correlations of {_counted(importance)} points; hollow dots: {HOLLOW}")
    if importance.trust == "ranked":
        return [f"{name}: importance without shares: {importance.reason}, out-of-bag R2 {importance.r2:.2f}", *said]
    if importance.trust == "hidden":
        return [f"{name}: importance is not shown: {importance.reason}", *said]
    grown = f"a random forest of {importance.used} points, out-of-bag R2 {importance.r2:.2f}"
    return [f"{name}: {grown}; bars: share of permutation importance", *said]
