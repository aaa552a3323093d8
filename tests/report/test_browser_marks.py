"""What stands on the axes of the page: the values that a person listed, and of all others a scale's marks.

Code: report/page, report/scale
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trained
from small_project import Project

if TYPE_CHECKING:
    from browser import Page

Opened = Callable[..., "Page"]

SPACE = """\
[search]
method = "random"
n = 12
[hyper]
"params.lr" = { loguniform = [0.002, 0.08] }
"params.dropout" = { uniform = [0, 1] }
"params.hidden_dim" = { choice = [48, 640] }
[params]
[results]
metric = "accuracy"
"""
METRIC = "metric.accuracy"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of twelve points that were drawn, which took less than a second each."""
    project = Project(tmp_path_factory.mktemp("drawn"))
    project.write({"made.jsonnet": trained.TEMPLATE, "config/made.toml": SPACE})
    project.resweep("config/made.toml", "made.jsonnet", "rnn", "--no-slurm-job").ok()
    for entry in project.entries():
        dice = random.Random(entry.number)
        began = trained.BEGAN + timedelta(seconds=entry.number)
        trained.finished(project, entry, "rnn", {}, began, accuracy=dice.random())
        trained.lasted(project, entry, "rnn", began, 0.25 + dice.random() / 4)
    project.resweep("report", "rnn", "-o", "r.html").ok()
    return project.root / "r.html"


def parallel(page: Page) -> dict[str, list[str]]:
    """By axis of the parallel coordinates what is written on it."""
    page.show("#parallel")
    script = """
        const chart = report.charts.find((each) => each.element.id === 'parallel');
        return Object.fromEntries(chart.dimensions.map((each, dim) => {
          const axis = chart.instance.getModel().getComponent('parallelAxis', dim).axis;
          return [each.name, axis.getViewLabels().map((label) => label.formattedLabel)];
        }))"""
    return dict(page.run(script))


def below(page: Page, chart: str, side: str = "xAxis") -> list[str]:
    """What is written along an axis of a chart."""
    page.show(chart)
    script = """
        const chart = report.charts.find((each) => each.element === document.querySelector(arguments[0]));
        const axis = chart.instance.getModel().getComponent(arguments[1], 0).axis;
        return axis.getViewLabels().map((label) => label.formattedLabel)"""
    return list(page.run(script, chart, side))


def scatter(page: Page, key: str) -> str:
    """The panel of a key, as a selector."""
    script = "return report.charts.filter((each) => each.column).findIndex((each) => each.column.name === arguments[0])"
    return f"#scatters figure:nth-child({page.run(script, key) + 1}) .chart"


def is_round(text: str) -> bool:
    """Whether a number has one digit, or is even in steps of a tenth."""
    return float(f"{float(text):.1g}") == float(text) or float(text) * 20 == int(float(text) * 20)


def test_drawn_values_have_marks_of_a_scale(drawn: Path, opened: Opened) -> None:
    """No mark is a value that chance drew, neither in the parallel coordinates nor in the scatter plots."""
    page = opened(drawn)
    marks = parallel(page)
    for key in ("params.lr", "params.dropout"):
        for written in (marks[key], below(page, scatter(page, key))):
            inner = [text for text in written if text]
            assert len(inner) >= 3
            # the ends of an axis that the chart divides itself have no label
            assert sum(not is_round(text) for text in inner) <= (2 if key == "params.dropout" else 0)
    assert {round(math.log10(float(text)) % 1, 3) for text in marks["params.lr"]} <= {0.0, 0.301, 0.699}
    assert page.complaints() == []


def test_values_that_a_person_listed_have_their_own_marks(drawn: Path, page: Page, opened: Opened) -> None:
    """Of a grid every value, and of a choice between few."""
    marks = parallel(page)
    assert marks["params.lr"] == ["0.0001", "0.001", "0.01"]
    assert marks["params.hidden_dim"] == ["64", "256", "1024"]
    assert below(page, scatter(page, "params.dropout")) == ["0", "0.25", "0.5"]
    page = opened(drawn)
    assert parallel(page)["params.hidden_dim"] == ["48", "640"]
    assert below(page, scatter(page, "params.hidden_dim")) == ["48", "640"]


@pytest.mark.parametrize(("width", "least"), [(390, 2), (1280, 4)])
def test_marks_of_time_are_even(drawn: Path, opened: Opened, width: int, least: int) -> None:
    """Runs of a quarter to half a second have marks every 0.05 s, not two at what the fastest and slowest took."""
    page = opened(drawn, size=(width, 900))
    marks = below(page, "#cost")
    assert len(marks) >= least
    seconds = [float(text.removesuffix(" s")) for text in marks]
    assert all(math.isclose(second * 100, round(second * 100)) for second in seconds)
    steps = {round(high - low, 4) for low, high in pairwise(seconds)}
    assert len(steps) == 1


def test_what_failed_at_once_does_not_stretch_the_axis_of_time(page: Page) -> None:
    """The failed runs took 35 seconds and have no quality: the axis begins near the fastest that has one."""
    page.show("#cost")
    script = """
        const axis = report.columns.get('run.seconds').axis;
        return [axis.from(axis.min), Math.min(...report.page.runs.seconds.filter((each) => each > 40))]"""
    low, fastest = page.run(script)
    assert low > fastest * 0.7
    assert all(re.fullmatch(r"\d+ (s|min)", text) for text in below(page, "#cost"))
