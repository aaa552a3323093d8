"""Smoothing of learning curves in a real browser: what it computes, and that nothing but the eye follows it.

Code: report/page
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from selenium.webdriver.common.keys import Keys
from small_project import Project

if TYPE_CHECKING:
    from browser import Page

Opened = Callable[..., "Page"]

SERIES = """
    const chart = report.charts.find((each) => each.element.id === arguments[0]);
    return chart.instance.getOption().series
      .map(({ id, data, silent }) => ({ id, silent, values: data.map((each) => each[1]) }))"""


def series(page: Page, chart: str) -> dict[str, Any]:
    """By name the lines that a chart draws."""
    return {each["id"]: each for each in page.run(SERIES, chart)}


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.6, 0.99])
def test_smoothing_is_the_average_that_pandas_has(page: Page, weight: float) -> None:
    """An exponential moving average whose weights sum to one from the first value on; gaps stay gaps."""
    import pandas

    values = [0.9, 0.1, None, 0.4, -2.0, 1e6, None, 0.3]
    ours = page.run("return report.smoothed(arguments[0], arguments[1])", values, weight)
    theirs = pandas.Series(values, dtype=float).ewm(alpha=1 - weight, adjust=True, ignore_na=True).mean()
    for given, one, other in zip(values, ours, theirs, strict=True):
        assert one is None if given is None else math.isclose(one, other, rel_tol=1e-9)


def test_smoothing_is_off_until_a_person_asks(page: Page) -> None:
    """By the arrows of the keyboard; what was measured stays behind, the page says so, and reloading keeps it."""
    page.show("#curves")
    before = series(page, "curves")
    assert all(name.startswith("curve") for name in before)
    assert page.texts("#smooth-value") == ["off"]
    page.run("document.getElementById('smooth').focus()")
    page.press(*[Keys.ARROW_RIGHT] * 60)
    assert page.texts("#smooth-value") == ["0.60"]
    after = series(page, "curves")
    assert len(after) == 2 * len(before)
    for name, line in before.items():
        behind = after[name.replace("curve", "measured")]
        assert (behind["values"], behind["silent"]) == (line["values"], True)
        assert after[name]["values"] == page.run("return report.smoothed(arguments[0], 0.6)", line["values"])
        assert after[name]["values"] != line["values"]
    assert "exponential moving average of weight 0.60" in page.texts("#curves-note")[0]
    page.driver.refresh()
    page.settle()
    page.show("#curves")
    assert series(page, "curves") == after
    page.run("location.hash = encodeURIComponent('{\"smooth\":1}')")
    page.settle()
    assert series(page, "curves") == before
    assert page.complaints() == []


def test_filters_are_of_what_was_measured(page: Page) -> None:
    """A drag along a step chooses the same runs, smooth or not."""
    page.run("report.setFilter(report.stepColumn(0, 'validation', 5).key, {ranges: [[0.6, 0.7]]})")
    page.settle()
    chosen = page.selected()
    page.run("report.change({smooth: 0.9})")
    page.driver.refresh()
    page.settle()
    assert page.selected() == chosen
    assert len(chosen) > 10


def test_compared_curves_are_smoothed_alike(searched: Project, opened: Opened) -> None:
    """One choice for both charts, on a phone, too."""
    page = opened(searched.root / "report.html", size=(390, 844))
    page.run("report.change({smooth: 0.5, compare: ['rnn#1', 'rnn#40']})")
    page.settle()
    page.show("#compare-curves")
    assert sorted({name[:5] for name in series(page, "compare-curves")}) == ["curve", "measu"]
    assert page.texts("#compare-smooth-value") == ["0.50"]
    assert "weight 0.50" in page.texts("#compare-curves-note")[0]
    assert page.run("return document.documentElement.scrollWidth") == 390
