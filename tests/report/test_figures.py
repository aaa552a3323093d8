"""Figures: what they draw is what pandas computes, always the same bytes, and no name or value breaks them.

Code: report/figures/
"""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made import METRIC, diverged, drawn, gathered, learning, row

from resweep.errors import ConfigError
from resweep.report import importance
from resweep.report.figures import drawing, look
from resweep.report.figures.series import Asked
from resweep.results.load import Gathered
from resweep.results.points import points
from resweep.results.trial_rows import Row
from resweep.sweep.definition import ResultsOptions

IN_MEMORY = ("performance", "importance", "parallel", "scatter")
MAGIC = {"pdf": b"%PDF-1.4", "png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml version="}


def figure(found: Gathered, kind: str, **asked: Any) -> Any:
    """The figure of these rows."""
    return drawing.draw(found, Asked(kind, **asked)).figure


def frame(rows: list[Row]) -> pd.DataFrame:
    """The rows as pandas has them: swept values, sweep, point, metric."""
    return pd.DataFrame([{**row.entry.swept, "sweep": row.sweep, "point": row.entry.id, **row.metrics} for row in rows])


def test_the_curve_is_that_of_every_order_of_the_points() -> None:
    """The performance line has, for each n, the mean best over all subsets of the points' means."""
    rows = drawn(7, repeats=3)
    means = frame(rows).groupby("point")["accuracy"].mean()
    (line, end) = figure(gathered(rows), "performance").axes[0].lines
    expected = [np.mean([max(each) for each in itertools.combinations(means, n)]) for n in range(1, 8)]
    assert list(line.get_xdata()) == list(range(1, 8))
    assert list(line.get_ydata()) == pytest.approx(expected)
    assert (end.get_xdata()[0], end.get_ydata()[0]) == (7, pytest.approx(means.max()))


def test_duration_counts_all_repeats_of_a_point() -> None:
    """The x axis is n times the mean of the points' sums of seconds, in a unit that suits."""
    rows = [row(n, {"a": n // 2}, float(n), n % 2, seconds=1800.0 + n) for n in range(8)]
    axes = figure(gathered(rows), "performance", x="duration").axes[0]
    each = sum(1800.0 + n for n in range(8)) / 4
    assert list(axes.lines[0].get_xdata()) == pytest.approx([n * each / 3600 for n in range(1, 5)])
    assert "hours" in axes.get_xlabel()


def test_sweeps_differ_in_colour_line_and_marker() -> None:
    """Each of several sweeps has its own line, which ends with its own number of points, and its name in the legend."""
    rows = [*drawn(9), *drawn(6, "dan"), *drawn(4, "_hidden")]
    axes = figure(gathered(rows), "performance").axes[0]
    curves, ends = axes.lines[::2], axes.lines[1::2]
    assert [len(line.get_xdata()) for line in curves] == [4, 6, 9]
    assert len({line.get_color() for line in curves}) == 3
    assert len({str(line.get_linestyle()) + str(line._unscaled_dash_pattern) for line in curves}) == 3
    assert len({line.get_marker() for line in ends}) == 3
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["_hidden", "dan", "rnn"]


def test_no_two_of_35_sweeps_look_the_same() -> None:
    """Neither colour and marker nor colour and line come together a second time."""
    styles = [look.style(number) for number in range(35)]
    assert len({(each.colour, each.marker) for each in styles}) == 35
    assert len({(each.colour, str(each.stroke)) for each in styles}) == 35


@pytest.mark.slow
def test_three_points_have_hollow_dots_and_their_number() -> None:
    """A perfect order of three is no finding."""
    drawn_ = figure(gathered([row(n, {"a": n}, float(n)) for n in range(3)]), "importance")
    correlations = drawn_.axes[1]
    dots = [line for line in correlations.lines if line.get_marker() == "o"]
    assert [line.get_markerfacecolor() for line in dots] == ["white"]
    assert "n = 3" in correlations.get_xlabel()


def test_bars_and_dots_are_the_importance() -> None:
    """Bars have the shares, dots the correlations of pandas; hollow ones are not sure."""
    rows = drawn(80)
    bars, dots = figure(gathered(rows), "importance").axes
    names = [label.get_text() for label in bars.get_yticklabels()]
    found = importance.importance(points(gathered(rows).rows), METRIC, {"params.lr": "log", "params.hidden_dim": "log"})
    shares = {effect.key.removeprefix("params."): effect.share for effect in found.effects}
    assert {name: bar.get_width() for name, bar in zip(names, bars.patches, strict=True)} == pytest.approx(shares)
    numbers = frame(rows)[["params.lr", "params.hidden_dim", "params.dropout", "accuracy"]]
    rho = numbers.corr(method="spearman")["accuracy"]
    shown = {names[round(line.get_ydata()[0])]: line for line in dots.lines if len(line.get_xdata()) == 1}
    for key in ("lr", "hidden_dim", "dropout"):
        assert shown[key].get_xdata()[0] == pytest.approx(rho[f"params.{key}"])
    p = {effect.key.removeprefix("params."): effect.p for effect in found.effects}
    assert {key for key, line in shown.items() if line.get_markerfacecolor() == "white"} == {
        key for key in shown if (p[key] or 0) >= 0.05
    }


@pytest.mark.parametrize("keys", [("x",), ("lr", "dropout", "hidden"), ("k" * 40, "b"), ("b" * 12, "c" * 13)])
def test_the_labels_of_importance_have_room(keys: tuple[str, ...]) -> None:
    """Short or long names: no letter is beyond the figure's edge, and none in another's place."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    rows = [row(n, {key: float(np.sin(n + place)) for place, key in enumerate(keys)}, n / 30) for n in range(30)]
    with look.ours():
        found = drawing.draw(gathered(rows), Asked("importance")).figure
        canvas = FigureCanvasAgg(found)
        canvas.draw()
        boxes = [axes.xaxis.label.get_window_extent(canvas.get_renderer()) for axes in found.axes]
    assert all(box.x0 >= 0 and box.x1 <= found.bbox.x1 and box.y0 >= 0 for box in boxes)
    assert boxes[0].x1 < boxes[1].x0


def test_importance_that_cannot_be_trusted_is_not_drawn() -> None:
    """No bar, but the reason, in the figure and beside it; the correlations stay."""
    drawing_ = drawing.draw(gathered(drawn(5)), Asked("importance"))
    bars, dots = drawing_.figure.axes
    assert not bars.patches
    assert "fewer than 6" in "".join(text.get_text() for text in bars.texts)
    assert any("importance is not shown: 5 points" in note for note in drawing_.notes)
    assert len(dots.lines) > 3


def test_importance_of_few_points_is_an_order() -> None:
    """No bar, but the place of each key, and why; also where the other sweep has shares."""
    drawing_ = drawing.draw(gathered(drawn(19)), Asked("importance"))
    bars, dots = drawing_.figure.axes
    assert not bars.patches
    places = [text.get_text() for text in bars.texts if text.get_text().endswith(".")]
    assert places == [f"{place}." for place in range(1, len(bars.get_yticklabels()) + 1)]
    assert any("importance without shares: 19 points, fewer than 20" in note for note in drawing_.notes)
    assert len(dots.lines) > 3


def test_dots_are_the_means_of_points_with_their_deviation() -> None:
    """Scatter draws pandas' mean and std of each point over its swept value, logarithmic where the values are."""
    rows = drawn(20, repeats=3)
    (axes,) = figure(gathered(rows), "scatter", params=("params.lr",)).axes
    grouped = frame(rows).groupby("params.lr")["accuracy"].agg(["mean", "std"])
    offsets = max((each.get_offsets() for each in axes.collections if hasattr(each, "get_sizes")), key=len)
    assert sorted(map(tuple, offsets)) == [
        (pytest.approx(lr), pytest.approx(mean)) for lr, mean in grouped["mean"].items()
    ]
    bars = [path.vertices for each in axes.collections if hasattr(each, "get_segments") for path in each.get_paths()]
    heights = {float(bar[0][0]): (bar[1][1] - bar[0][1]) / 2 for bar in bars}
    assert heights == pytest.approx(dict(grouped["std"].items()))
    assert axes.get_xscale() == "log"


def test_points_of_the_same_value_stand_side_by_side() -> None:
    """Where a key has a few values and there are many points, each stands nearest to its own value."""
    rows = drawn(200)
    (axes,) = figure(gathered(rows), "scatter", params=("params.hidden_dim",)).axes
    offsets = max((each.get_offsets() for each in axes.collections), key=len)
    by_value = {mean: value for value, mean in frame(rows)[["params.hidden_dim", "accuracy"]].itertuples(index=False)}
    assert len({x for x, _ in offsets}) > 190
    for x, mean in offsets:
        assert by_value[mean] == min((64, 128, 256, 512), key=lambda value: abs(math.log(value / x)))


def test_a_line_passes_each_axis_at_its_value() -> None:
    """Parallel coordinates: places are those of min-max scaling, logarithmic where the values are; none is below."""
    rows = drawn(30)
    (axes,) = figure(gathered(rows), "parallel").axes
    (lines,) = axes.collections
    table = frame(rows)
    lr = np.log(table["params.lr"])
    wanted = pd.DataFrame(
        {
            "lr": (lr - lr.min()) / (lr.max() - lr.min()),
            "optimizer": (table["params.optimizer"] == "sgd").astype(float),
            "none": table["params.momentum"].isna(),
            "metric": (table["accuracy"] - table["accuracy"].min()) / np.ptp(table["accuracy"]),
        }
    ).sort_values("metric")
    heights = [[y for _, y in path.vertices] for path in lines.get_paths()]
    assert [each[-1] for each in heights] == pytest.approx(list(wanted["metric"]))
    names = [text.get_text() for text in axes.texts]
    assert {"lr", "hidden_dim", "optimizer", "dropout", "momentum", "accuracy", "none"} <= set(names)
    assert sorted(each[0] for each in heights) == pytest.approx(sorted(wanted["lr"]))
    assert [each[2] for each in heights] == list(wanted["optimizer"])
    assert [each[4] < 0 for each in heights] == list(wanted["none"])


@pytest.mark.parametrize("mode", ["max", "min"])
def test_the_best_k_stand_out_and_lie_on_top(mode: str) -> None:
    """With top, the others are faint, and drawn first."""
    rows = drawn(30)
    (axes,) = figure(gathered(rows, ResultsOptions("accuracy", mode)), "parallel", top=4).axes
    (lines,) = axes.collections
    widths = lines.get_linewidths()
    assert list(widths[-4:] > 1) == [True] * 4
    assert not any(widths[:-4] > 1)
    ends = [path.vertices[-1][1] for path in lines.get_paths()]
    best = sorted(ends, reverse=mode == "max")[:4]
    assert sorted(ends[-4:], reverse=mode == "max") == best


def test_diverged_and_unfinished_points_are_left_out_and_told() -> None:
    """NaN, the infinities and what no axis can hold are counted, not drawn."""
    values = [math.nan, math.inf, 1.7e308, 10**400, "text", None]
    rows = [*drawn(5), *(row(10 + n, {"params.lr": 0.1, "n": n}, value) for n, value in enumerate(values))]
    rows.append(row(30, {"params.lr": 0.2, "n": 9}, 1.0, state="running"))
    found = drawing.draw(gathered(rows), Asked("scatter", params=("params.lr",)))
    reasons = "4 diverged (NaN, infinite, or too large to draw), 2 finished without accuracy, 1 running"
    assert f"rnn: 7 of 12 points left out: {reasons}" in found.notes


def test_pruned_points_are_in_the_curve_and_in_its_cost_and_are_told() -> None:
    """Of points of which some were pruned the curve is over all, their time counts, and points are whole numbers."""
    rows = [row(n, {"a": n}, n / 10, seconds=60.0) for n in range(2)]
    rows += [row(9 + n, {"a": 9 + n}, -1.0, state="pruned", seconds=30.0) for n in range(6)]
    drawn_ = drawing.draw(gathered(rows), Asked("performance"))
    line = drawn_.figure.axes[0].lines[0]
    assert list(line.get_xdata()) == list(range(1, 9))
    assert line.get_ydata()[0] == pytest.approx((0.1 - 6) / 8)
    assert "rnn: 6 pruned points count with the value at which they stopped" in drawn_.notes
    assert not any("left out" in note for note in drawn_.notes)
    assert all(float(tick).is_integer() for tick in drawn_.figure.axes[0].get_xticks())
    axes = figure(gathered(rows), "performance", x="duration").axes[0]
    assert axes.lines[0].get_xdata()[-1] == pytest.approx((2 * 60 + 6 * 30) / 60)
    assert "rnn: 6 of 8 points left out: 6 pruned" in drawing.draw(gathered(rows), Asked("scatter")).notes


def test_points_that_diverged_or_were_chosen_by_results_are_told_in_the_curve() -> None:
    """What diverged was tried, and counts as the worst; points of a search that learns are called no draws."""
    found = gathered(diverged())
    told = drawing.draw(found, Asked("performance"))
    line = told.figure.axes[0].lines[0]
    assert line.get_xdata()[-1] == 5
    assert line.get_ydata()[0] == pytest.approx((0.1 + 0.3 + 3 * 0.1) / 5)
    assert "rnn: 3 points diverged, and count as the worst" in told.notes
    assert "rnn: 1 of 6 points left out: 1 failed" in told.notes
    found.definitions["rnn"] = learning()
    notes = " ".join(drawing.draw(found, Asked("performance")).notes)
    assert "points of a search (with replacement)" in notes
    assert "rnn: chose its points by the results of earlier ones, so they are no independent draws" in notes
    assert "n independent draws" not in notes


def test_choosing_by_outcome_is_refused_where_it_would_lie() -> None:
    """Performance of points that were chosen by their metric is not the sweep's."""
    for kind in ("performance", "importance"):
        with pytest.raises(ConfigError, match="would bias"):
            figure(gathered(drawn(9)), kind, where=("accuracy>0.5",))
    assert figure(gathered(drawn(9)), "scatter", where=("accuracy>0.1",))
    rows = drawn(30)
    adam = frame(rows)["params.optimizer"].eq("adam").sum()
    (line, _) = figure(gathered(rows), "performance", where=("params.optimizer=adam",)).axes[0].lines
    assert len(line.get_xdata()) == adam


HOSTILE = [
    "$x_1$",
    "$\\frac{",
    "_hidden",
    "a\nb\r\x00\x1b[31m",
    "\ud800",
    "</svg><script>",
    "%s{}\\",
    "é漢字🙂",
    "x" * 9000,
    "",
]


@pytest.mark.slow
@pytest.mark.parametrize("form", look.FORMS)
@pytest.mark.parametrize("kind", IN_MEMORY)
def test_hostile_names_and_values_are_letters(kind: str, form: str) -> None:
    """Mathematics, markup, control characters and very long texts as metric, key, value and sweep break nothing."""
    for number, name in enumerate(HOSTILE):
        options = ResultsOptions(name or "m")
        values = [name, 10**400, [name], {"a": None}, 1e-320, True]
        rows = [
            row(n, {name: values[n % len(values)], "k": n}, n / 7, sweep=sweep, metric=options.metric)
            for n in range(30)
            for sweep in (name.replace("/", "") or "s", "other")[: 1 + number % 2]
        ]
        content, _ = drawing.render(gathered(rows, options), Asked(kind), form)
        assert content.startswith(MAGIC[form])
        assert b"<script>" not in content
        assert len(content) < 1_000_000


def test_nothing_in_a_name_is_mathematics() -> None:
    """Dollars and underscores stand in the figure as they stand in the name."""
    rows = [row(n, {"$a_1$": n}, n / 7, metric="$m^2$") for n in range(30)]
    (axes,) = figure(gathered(rows, ResultsOptions("$m^2$")), "scatter").axes
    for label, text in ((axes.xaxis.label, "$a_1$"), (axes.yaxis.label, "$m^2$")):
        assert label._preprocess_math(label.get_text()) == (text, False)


@pytest.mark.slow
@pytest.mark.parametrize("values", [[1e-300, 1e300], [-1.7e308, 1.7e308], [5e-324, 1.0], [0.0, 0.0], [1e99, -1e99]])
@pytest.mark.parametrize("kind", IN_MEMORY)
def test_no_number_breaks_an_axis(kind: str, values: list[float]) -> None:
    """The largest and least doubles, as metric and as swept values."""
    rows = [row(n, {"k": values[n % 2], "n": n}, values[n // 2 % 2] if n < 20 else 0.5) for n in range(24)]
    assert drawing.render(gathered(rows), Asked(kind), "png")[0].startswith(MAGIC["png"])


@pytest.mark.parametrize("kind", IN_MEMORY)
def test_one_point_is_drawn_or_refused_in_one_line(kind: str) -> None:
    """A sweep of a single point has a curve of one n, and nothing to compare."""
    found = gathered([row(1, {"a": 1}, 0.5)])
    if kind in ("performance", "importance"):
        assert figure(found, kind)
    else:
        with pytest.raises(ConfigError, match="no swept key that differs"):
            figure(found, kind)


PROGRAM = """
import hashlib
from made import drawn, gathered
from resweep.report.figures import drawing
from resweep.report.figures.series import Asked
found = gathered([*drawn(30), *drawn(20, "dan")])
for kind in ("performance", "importance", "parallel", "scatter"):
    for form in ("pdf", "png", "svg"):
        print(kind, form, hashlib.sha256(drawing.render(found, Asked(kind), form)[0]).hexdigest())
"""


@pytest.mark.slow
def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    """Whatever the hour, the order of Python's sets, and the user's own settings of matplotlib."""
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nsvg.fonttype: none\nbackend: tkagg\ntext.usetex: True\n")
    said = []
    for seed, settings in (("1", {}), ("2", {"MATPLOTLIBRC": str(tmp_path / "matplotlibrc"), "TZ": "Asia/Tokyo"})):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent), **settings}
        environment.pop("DISPLAY", None)
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        said.append(done.stdout)
    assert said[0] == said[1]
    assert said[0].count("\n") == 12


@pytest.mark.slow
def test_pdf_has_fonts_that_publishers_take() -> None:
    """TrueType, embedded; none of Type 3; no time of writing. The picture is as wide as it was asked to be."""
    content, _ = drawing.render(gathered(drawn(30)), Asked("scatter", width=5.5, height=2.0), "pdf")
    assert b"/FontFile2" in content
    assert b"/Type3" not in content
    assert b"CreationDate" not in content
    assert b"/MediaBox [ 0 0 396 144 ]" in content


@pytest.mark.slow
@pytest.mark.parametrize("kind", IN_MEMORY)
def test_ten_thousand_points_take_few_bytes(kind: str) -> None:
    """A figure of a big sweep is no burden on a paper."""
    content, _ = drawing.render(gathered(drawn(10_000)), Asked(kind), "pdf")
    assert len(content) < 3_000_000
