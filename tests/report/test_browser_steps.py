"""Filters on learning curves in a real browser: a drag along a step, a condition by hand, and what both leave.

Code: report/page, report/learning
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import trained
from selenium.webdriver.common.keys import Keys
from small_project import Project

if TYPE_CHECKING:
    from browser import Page

Opened = Callable[..., "Page"]

PIXEL = """
    const chart = report.charts.find((each) => each.element.id === 'curves');
    return chart.instance.convertToPixel('grid', arguments[0])"""


def place(page: Page, step: float, value: float) -> tuple[float, float]:
    """Where the chart of the curves has a value at a step, in its pixels."""
    page.show("#curves")
    x, y = page.run(PIXEL, [step, value])
    return float(x), float(y)


def at_epoch(page: Page, epoch: int | None, part: str = "validation") -> list[float | None]:
    """By run what its curve of accuracy has in an epoch, or at its end."""
    curves = page.data()["curves"]["runs"]
    found: list[float | None] = []
    for run in range(len(page.data()["runs"]["number"])):
        curve: Any = next((each for each in curves.get(str(run), []) if each[:2] == [0, part]), None)
        found.append(curve[3][-1 if epoch is None else curve[2].index(epoch)] if curve else None)
    return found


def within(values: list[float | None], low: float, high: float) -> list[int]:
    """The runs whose value is between these."""
    return [run for run, value in enumerate(values) if value is not None and low <= value <= high]


def test_a_drag_along_a_step_filters_everything(page: Page) -> None:
    """The runs that pass between its ends in the nearest epoch are left, everywhere, and in the address."""
    every = len(page.selected())
    page.drag("#curves", place(page, 6.8, 0.71), place(page, 6.8, 0.62))
    (key,) = page.filters()
    assert json.loads(key.partition(".")[2]) == ["accuracy", "epoch", "validation", 7]
    ((low, high),) = page.filters()[key]["ranges"]
    assert (low, high) == (pytest.approx(0.62, abs=0.01), pytest.approx(0.71, abs=0.01))
    chosen = page.selected()
    assert chosen == within(at_epoch(page, 7), low, high)
    assert 10 < len(chosen) < every / 2
    assert page.run("return report.table().getDataCount('active')") == len(chosen)
    assert page.texts("#chips .chip")[0].startswith("validation accuracy at epoch 7: ")
    missing = sum(value is None for value in at_epoch(page, 7))
    assert f"left out {missing} runs without a value there." in page.texts("#curves-note")[0]
    assert set(page.run("return report.chosenCurves().best")) <= set(chosen)
    assert page.chart_runs("#curves", "band") == 2
    page.show("#parallel")
    assert page.chart_runs("#parallel", "chosen") == len(chosen)
    page.driver.refresh()
    page.settle()
    assert page.selected() == chosen
    page.click("#chips .chip")
    assert len(page.selected()) == every
    assert page.complaints() == []


def test_a_filter_on_curves_does_not_change_expected_performance(page: Page) -> None:
    """It chooses runs for being good, of which the best of n is no expectation."""
    before = page.run("return report.expectedCurves()[0].curve")
    page.run("report.setFilter(report.stepColumn(0, 'validation', 7).key, {text: '>0.7'})")
    page.settle()
    assert 0 < len(page.selected()) < 162
    assert page.run("return report.expectedCurves()[0].curve") == before


def test_a_click_on_a_curve_still_opens_its_run(page: Page) -> None:
    """Who does not move the mouse does not filter."""
    best = page.run("return report.chosenCurves().best[0]")
    value = at_epoch(page, 3)[best]
    assert value is not None
    where = place(page, 3, value)
    page.drag("#curves", where, where)
    assert page.filters() == {}
    opened = page.run("return report.state.open")  # the one that is drawn above others which pass there, too
    assert at_epoch(page, 3)[opened] == pytest.approx(value, abs=0.01)


def test_a_condition_at_the_last_step_is_written_by_keyboard(page: Page) -> None:
    """Part, condition and step by hand; without a step the end of each curve counts; what is no condition is said."""
    page.show("#at-step")
    page.run("document.getElementById('step-part').value = 'train'")
    page.run("document.getElementById('step-part').dispatchEvent(new Event('change'))")
    assert "whose train curve passes" in page.texts("#step-hint")[0]
    page.element("#step-condition").send_keys("good", Keys.ENTER)
    page.settle()
    assert page.filters() == {}
    assert "Expected a condition" in page.run("return document.getElementById('step-condition').validationMessage")
    page.element("#step-condition").clear()
    page.element("#step-condition").send_keys(">=0.8", Keys.ENTER)
    page.settle()
    assert page.selected() == within(at_epoch(page, None, "train"), 0.8, 9)
    page.element("#step-condition").clear()
    page.element("#step-condition").send_keys("0.3..0.5", Keys.TAB, "4", Keys.ENTER)
    page.settle()
    both = set(within(at_epoch(page, 4, "train"), 0.3, 0.5)) & set(within(at_epoch(page, None, "train"), 0.8, 9))
    assert set(page.selected()) == both
    assert len(page.texts("#chips .chip")) == 2
    assert page.complaints() == []


@pytest.mark.parametrize(
    "key",
    ['["x","epoch","validation",7]', '["accuracy","epoch","dev",7]', '["accuracy","epoch","train","7"]', "[", "7"],
)
def test_an_address_with_a_curve_that_is_none_changes_nothing(page: Page, key: str) -> None:
    """What somebody wrote into an address names a curve of this page, or counts for nothing."""
    hash_ = json.dumps({"filters": {f"curve.{key}": {"text": ">0.5"}}})
    page.run("location.hash = encodeURIComponent(arguments[0])", hash_)
    page.settle()
    assert page.filters() == {}
    assert page.complaints() == []


def test_between_two_steps_the_line_counts_and_beyond_its_ends_nothing(project: Project, opened: Opened) -> None:
    """A run that measured less often is where its line is; one that stopped before has no value; nor has a NaN."""
    trained.sweep(project)
    entries = project.entries()[:3]
    curves = [[0.1, 0.2, 0.3, 0.4, 0.5], [0.2, 0.3], [0.1, 0.2, float("nan"), 0.4, 0.6]]
    for entry, values in zip(entries, curves, strict=True):
        trained.finished(project, entry, "rnn", {"validation_accuracy": values}, trained.BEGAN)
    project.resweep("report", "rnn", "-o", "r.html").ok()
    page = opened(project.root / "r.html")
    order = [page.data()["runs"]["number"].index(entry.number) for entry in entries]

    def values(step: float | None) -> list[float | None]:
        every = page.run("return report.stepColumn(0, 'validation', arguments[0]).values", step)
        return [every[run] for run in order]

    assert values(1) == [0.2, 0.3, 0.2]
    assert values(0.5) == [pytest.approx(0.15), pytest.approx(0.25), pytest.approx(0.15)]
    assert values(2) == [0.3, None, None]
    assert values(2.5) == [pytest.approx(0.35), None, None]
    assert values(-1) == [None, None, None] == values(9)
    assert values(None) == [0.5, 0.3, 0.6]
