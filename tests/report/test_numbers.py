"""The numbers on the page are those of pandas, SciPy and scikit-learn, computed from the files by themselves.

Code: report/expected, report/importance, results/points
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import trained
from small_project import Project

from resweep.report import expected as expectation
from resweep.results import formats, load, points

if TYPE_CHECKING:
    from browser import Page

Opened = Callable[..., "Page"]
METRIC = "best_validation_accuracy"


def frame(project: Project) -> pd.DataFrame:
    """Every trial of the sweep by its number, read from the files without the tool."""
    lines = (project.root / "config/generated/rnn/index.jsonl").read_text().splitlines()[1:]
    rows = []
    for line in map(json.loads, lines):
        home = project.root / "model/generated/rnn" / line["id"]
        record = home / f"{line['trial']}.attempts/1/record.json"
        metrics = home / str(line["trial"]) / "metrics.json"
        known = json.loads(record.read_text()) if record.exists() else {}
        rows.append(
            {"number": line["number"], "point": line["id"], **line["swept"], "state": known.get("state", "queued")}
            | {"ended": known.get("ended"), "seconds": known.get("seconds")}
            | (json.loads(metrics.read_text()) if metrics.exists() else {})
        )
    return pd.DataFrame(rows).set_index("number")


@pytest.fixture
def page(searched: Project, opened: Opened) -> Page:
    """The page of the sweep, fresh."""
    return opened(searched.root / "report.html")


def numbers(page: Page) -> list[int]:
    """The numbers of the chosen runs."""
    return list(page.run("return report.selected().map((run) => report.page.runs.number[run])"))


def narrow(page: Page) -> None:
    """Filter by a parameter and by the metric."""
    page.run("report.setFilter('swept.params.lr', {ranges: [[0.001, 0.01]]})")
    page.run(f"report.setFilter('metric.{METRIC}', {{text: '>0.7'}})")
    page.settle()


def test_correlations_are_those_of_pandas(page: Page, searched: Project) -> None:
    """Spearman's, over all runs and over those that are chosen."""
    table = frame(searched)
    for narrowed in (False, True):
        if narrowed:
            narrow(page)
        chosen = table.loc[numbers(page)]
        chosen = chosen[chosen.state == "finished"]
        for key in ("params.lr", "params.dropout", "params.hidden_dim", "params.n_layers"):
            shown = page.run(
                "return report.correlation(report.columns.get(arguments[0]), report.selected(), report.metricNow())",
                f"swept.{key}",
            )
            assert shown == pytest.approx(chosen[key].corr(chosen[METRIC], method="spearman"), abs=1e-9)
    names = "report.columns.get('swept.params.optimizer')"
    assert page.run(f"return report.correlation({names}, report.selected(), report.metricNow())") is None


def test_counts_median_and_time_are_those_of_pandas(page: Page, searched: Project) -> None:
    """What stands above the charts."""
    narrow(page)
    table = frame(searched)
    chosen = table[(table["params.lr"] >= 0.001) & (table[METRIC] > 0.7)]
    assert sorted(numbers(page)) == sorted(chosen.index)
    point, best, known, median, time = page.texts("#best .fact b")
    # all repeats of the points that have a chosen run, not the lucky ones alone
    repeats = table[table.point.isin(chosen.point) & (table.state == "finished")]
    found = [points.statistic(list(values)) for _, values in repeats.groupby("point")[METRIC]]
    groups = [each for each in found if each and each.n > 1]
    first = max(groups, key=lambda each: each.mean)
    assert point == formats.with_spread(first)
    assert page.texts("#best .fact-about")[0] == f"{METRIC}, n = {first.n}"
    assert float(best) == pytest.approx(chosen[METRIC].max(), rel=1e-3)
    assert int(known) == len(chosen)
    assert float(median) == pytest.approx(chosen[METRIC].median(), rel=1e-3)
    assert float(time.removesuffix(" h")) == pytest.approx(chosen.seconds.sum() / 3600, rel=0.01)
    assert f"best run rnn#{chosen[METRIC].idxmax()}" in page.texts("#best .best-words .pair")


def test_the_best_so_far_is_a_running_maximum(page: Page, searched: Project) -> None:
    """In the order in which runs ended."""
    table = frame(searched)
    finished = table[table.state == "finished"].assign(ended=lambda each: pd.to_datetime(each.ended))
    ordered = finished.sort_values("ended", kind="stable")
    shown = page.run("return report.bestSoFar(report.selected(), report.metricNow(), 'max').map((each) => each.best)")
    assert shown == pytest.approx(list(ordered[METRIC].cummax()))


def test_means_of_repeats_are_those_of_pandas(page: Page, searched: Project) -> None:
    """A point's mean over its finished runs."""
    table = frame(searched)
    means = table[table.state == "finished"].groupby("point")[METRIC].mean()
    shown = page.run(
        "return report.byPoint(report.selected(), [report.metricNow()])"
        ".map((each) => [report.page.runs.trial[each.run].split('/')[0], each.values[0]])"
    )
    assert dict(shown) == pytest.approx(dict(means))


def test_expected_performance_is_the_figure_s_and_that_of_all_draws(page: Page, searched: Project) -> None:
    """Equal to the one that `plot` draws, and, of few points, to the mean over every choice of n of them."""
    found = load.gather(searched.root, ["rnn"])
    curve = expectation.performance(points.points(found.rows), found.options, found.definitions["rnn"]).curve
    shown = page.run("return report.expectedCurves()[0]")
    assert shown["drawn"] is False
    assert [each["n"] for each in shown["curve"]] == list(curve.n)
    assert [each["value"] for each in shown["curve"]] == pytest.approx(list(curve.value), rel=1e-9)
    assert [each["sd"] for each in shown["curve"]] == pytest.approx(list(curve.sd), abs=1e-7)
    assert [each["low"] for each in shown["curve"]] == pytest.approx(list(curve.low), abs=1e-7)
    page.run("report.setFilter('swept.params.lr', {ranges: [[0.001, 0.001]]})")
    page.run("report.setFilter('swept.params.dropout', {ranges: [[0.25, 0.25]]})")
    page.run("report.setFilter('swept.params.n_layers', {ranges: [[1, 1]]})")
    page.settle()
    table = frame(searched)
    few = table[(table["params.lr"] == 0.001) & (table["params.dropout"] == 0.25) & (table["params.n_layers"] == 1)]
    means = few[few.state == "finished"].groupby("point")[METRIC].mean()
    assert 5 < len(means) <= 9
    for mode, best in (("max", max), ("min", min)):
        page.run("report.change({mode: arguments[0]})", mode)
        for each in page.run("return report.expectedCurves()[0].curve"):
            draws = [best(draw) for draw in itertools.combinations(means, each["n"])]
            assert each["value"] == pytest.approx(np.mean(draws))
            assert each["sd"] == pytest.approx(np.std(draws), abs=1e-7)


def test_a_brush_on_the_metric_leaves_expected_performance_alone(page: Page) -> None:
    """The best of n chosen by their results would be no expectation; a brush on a parameter counts."""
    whole = page.run("return report.expectedCurves()[0].curve")
    page.run(f"report.setFilter('metric.{METRIC}', {{ranges: [[0.7, 1]]}})")
    assert page.run("return report.expectedCurves()[0].curve") == whole
    page.run("report.setFilter('swept.params.lr', {ranges: [[0.001, 0.01]]})")
    assert len(page.run("return report.expectedCurves()[0].curve")) < len(whole)


def test_draws_may_come_again_where_the_search_is_random(project: Project, opened: Opened) -> None:
    """The curve of a random search is that of draws with replacement."""
    text = trained.SWEEP.format(repeats=1, lr="0.1").replace('"params.lr" = [0.1]\n', "")
    text = text.replace('"params.optimizer" = ["adam", "adagrad", "sgd"]', '"params.optimizer" = ["adam"]')
    drawn = '"params.lr" = { loguniform = [1e-4, 1e-1] }\n[search]\nmethod = "random"\nn = 30\n[params]'
    text = text.replace("[params]", drawn)
    project.write({"made.jsonnet": trained.TEMPLATE, "config/made.toml": text})
    project.resweep("config/made.toml", "made.jsonnet", "rnn", "--no-slurm-job").ok()
    trained.finish_all(project, fail=0)
    project.resweep("report", "rnn", "-o", "r.html").ok()
    page = opened(project.root / "r.html")
    shown = page.run("return report.expectedCurves()[0]")
    assert shown["drawn"] is True
    values = np.sort(frame(project)[METRIC])
    ranks = np.arange(len(values) + 1) / len(values)
    for each in shown["curve"]:
        assert each["value"] == pytest.approx(values @ np.diff(ranks ** each["n"]))
    page.show("#expected")
    assert "(with replacement)" in page.texts("#expected-note")[0]


def test_importance_is_that_of_a_forest_of_scikit_learn(page: Page, searched: Project) -> None:
    """The out-of-bag R2 and the order of the keys are those of a forest that is grown here; it ignores filters."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    table = frame(searched)
    finished = table[table.state == "finished"]
    keys = [key for key in finished if key.startswith("params.")]
    by_point = finished.groupby("point").agg(dict.fromkeys(keys, "first") | {METRIC: "mean"})
    design = by_point[keys].assign(**{"params.lr": np.log(by_point["params.lr"])})
    design["params.optimizer"] = design["params.optimizer"].map({"adam": 0, "sgd": 1, "adagrad": 2})
    forest = RandomForestRegressor(300, oob_score=True, random_state=1).fit(design, by_point[METRIC])
    narrow(page)
    trust = page.texts("#importance .trust")[0]
    r2, count = re.findall(r"R² ([\d.]+), (\d+) configurations", trust)[0]
    assert float(r2) == pytest.approx(forest.oob_score_, abs=0.05)
    assert int(count) == len(by_point)
    found = permutation_importance(forest, design, by_point[METRIC], n_repeats=5, random_state=1).importances_mean
    order = [keys[place] for place in np.argsort(-found)]
    rows = page.run("return [...document.querySelectorAll('#importance tbody tr')].map((row) => row.dataset.name)")
    assert rows[:2] == order[:2]
    shares = [float(text.split()[0]) for text in page.texts("#importance tbody td:nth-child(2)")]
    assert sum(shares) == pytest.approx(100, abs=3)
    assert shares[:2] == pytest.approx(list(100 * np.sort(found / found.sum())[::-1][:2]), abs=12)


def test_what_has_no_value_is_counted(project: Project, opened: Opened) -> None:
    """NaN and missing numbers are said, and are in no chart, median or mean."""
    trained.sweep(project, lr="0.001")
    entries = project.entries()
    for number, entry in enumerate(entries[:30]):
        value = {0: math.nan, 1: math.inf, 2: None, 3: "text"}.get(number, number / 100)
        trained.finished(project, entry, "rnn", {}, trained.BEGAN, best_validation_accuracy=value)
    trained.failed(project, entries[30], "rnn", "ValueError: no", trained.BEGAN)
    project.resweep("report", "rnn", "-o", "r.html").ok()
    page = opened(project.root / "r.html")
    assert page.texts("#missing") == [
        f"Without a value for {METRIC}, thus in no chart of it: 3 that diverged (NaN or infinite) or are no number, "
        "1 finished, 1 failed, 23 queued."
    ]
    page.show("#parallel")
    page.show("#cost")
    assert page.chart_runs("#cost", "chosen") == 26
    assert page.texts("#best .fact b")[:2] == ["0.29", "26"]
    page.run(f"report.setFilter('metric.{METRIC}', {{text: 'nan'}})")
    assert len(page.selected()) == 1
    page.run(f"report.setFilter('metric.{METRIC}', {{text: 'none'}})")
    assert len(page.selected()) == 25
    assert page.complaints() == []


def test_times_are_what_the_records_say(page: Page, searched: Project, tmp_path: Path) -> None:
    """The x axis of the best so far is the time since the first start."""
    table = frame(searched)
    found: dict[str, Any] = page.data()["runs"]
    ended = pd.to_datetime(table.ended.dropna())
    shown = {number: at for number, at in zip(found["number"], found["ended"], strict=True) if at is not None}
    assert shown == pytest.approx({number: at.timestamp() for number, at in ended.items()}, abs=0.1)
