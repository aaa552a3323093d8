"""Runs side by side in a real browser: how they are chosen, what differs, and their curves.

Code: report/page, report/details
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from selenium.webdriver.common.keys import Keys
from small_project import Project

if TYPE_CHECKING:
    from browser import Page

Opened = Callable[..., "Page"]

ROWS = "#table .tabulator-row"


def cells(page: Page) -> dict[str, list[str]]:
    """By row of the comparison what stands in it."""
    script = """return [...document.querySelectorAll('#compare tbody tr')]
        .map((row) => [...row.children].map((cell) => cell.innerText.trim()))"""
    return {row[0]: row[1:] for row in page.run(script)}


def names(page: Page) -> list[str]:
    """The runs that are compared."""
    return list(page.run("return report.state.compare"))


def test_two_runs_show_what_differs(page: Page, searched: Project) -> None:
    """Ticked in the table: swept values that differ, each metric with its difference, and the two curves alone."""
    page.click(f"{ROWS}:nth-child(1) .pick input")
    page.show("#table")
    page.run("document.querySelectorAll('#table .tabulator-row .pick')[1].click()")  # beside the box
    page.settle()
    assert page.run("return report.state.open") is None
    one, other = page.run("return report.compared()")
    data = page.data()
    swept = {each["name"]: each for each in data["swept"]}
    shown = cells(page)
    for name, each in swept.items():
        values = each.get("values") or [each["labels"][code] for code in each["codes"]]
        assert (name in shown) == (values[one] != values[other])
        if name in shown:
            assert shown[name] == [str(values[one]), str(values[other])]
        else:
            assert f"{name} {values[one]}" in page.texts("#compare-note")[0]
    accuracy = data["metrics"][0]["values"]
    first, second = shown["best_validation_accuracy"]
    assert first == f"{accuracy[one]:.4g}"
    assert second.split()[0] == f"{accuracy[other]:.4g}"
    far = float(second.split()[1].replace("\N{MINUS SIGN}", "-"))
    assert far == float(f"{accuracy[other] - accuracy[one]:.4g}")
    page.show("#compare-curves")
    drawn = "return report.charts.find((each) => each.element.id === 'compare-curves').lines.map((each) => each.run)"
    assert page.run(drawn) == [one, one, other, other]
    assert f"resweep diff '{names(page)[0]}' '{names(page)[1]}'" in page.texts("#compare-note")[0]
    assert searched.resweep("diff", *names(page)).status == 1
    assert page.complaints() == []


def test_what_is_compared_survives_a_reload_and_a_filter(page: Page) -> None:
    """The address names the runs; one that a filter leaves out stays, and says so."""
    page.run("report.change({compare: ['rnn#3', 'rnn#200']})")
    page.settle()
    page.driver.refresh()
    page.settle()
    assert names(page) == ["rnn#3", "rnn#200"]
    page.run("report.setFilter('run.number', {ranges: [[1, 100]]})")
    page.settle()
    assert [text.split("✕")[0].strip() for text in page.texts("#compare thead th")] == ["rnn#3", "rnn#200"]
    assert ["filtered out" in text for text in page.texts("#compare thead th")] == [False, True]
    for nonsense in (
        '{"compare":["rnn#0"]}',
        '{"compare":"rnn#1"}',
        '{"compare":["rnn#1","rnn#1"]}',
        '{"compare":[3]}',
    ):
        page.run("location.hash = encodeURIComponent(arguments[0])", nonsense)
        page.settle()
        assert names(page) == []
        assert not page.element("#compare-box").is_displayed()
    assert page.complaints() == []


def test_repeats_are_called_repeats(page: Page) -> None:
    """Two runs of one configuration differ in nothing that was swept."""
    points = page.data()["runs"]["point"]
    numbers = page.data()["runs"]["number"]
    second = next(run for run, point in enumerate(points) if point == points[0] and run)
    page.run("report.change({compare: arguments[0]})", [f"rnn#{numbers[0]}", f"rnn#{numbers[second]}"])
    page.settle()
    assert "Swept values that differ" not in cells(page)
    assert "These are repeats of one configuration." in page.texts("#compare-note")[0]


def test_runs_are_compared_by_keyboard(page: Page) -> None:
    """Space chooses the row that has the focus; the bar leads to the comparison, where a run is taken away again."""
    page.show("#table")
    page.run("document.querySelector(arguments[0]).focus()", ROWS)
    page.press(Keys.SPACE, Keys.ARROW_DOWN, Keys.SPACE)
    assert len(names(page)) == 2
    assert page.run("return [...document.querySelectorAll('#table .pick input:checked')].length") == 2
    page.run("document.getElementById('compare-go').focus()")
    page.press(Keys.ENTER)
    assert page.run("return document.activeElement.id") == "compare-box"
    page.press(Keys.TAB, Keys.TAB, Keys.TAB, Keys.ENTER)
    assert len(names(page)) == 1
    assert page.run("return [...document.querySelectorAll('#table .pick input:checked')].length") == 1
    page.click("#compare-stop")
    assert names(page) == []
    assert not page.element("#compare-box").is_displayed()


def test_an_open_run_is_compared_from_its_pane(page: Page) -> None:
    """A run that was clicked in a chart is chosen without looking for its row."""
    page.run("report.change({open: 5})")
    page.settle()
    page.click("#details-compare")
    assert page.element("#details-compare").get_attribute("aria-pressed") == "true"
    assert page.run("return report.compared()") == [5]
    assert "choose another" in page.texts("#compare-note")[0]


def test_at_most_eight_are_compared(page: Page) -> None:
    """As many as have a colour; the other boxes are closed until one is free."""
    page.run("report.change({compare: [1, 2, 3, 4, 5, 6, 7].map((number) => `rnn#${number}`)})")
    page.show("#table")
    page.run("document.querySelectorAll('#table .pick input:not(:checked)')[0].click()")
    page.settle()
    assert len(names(page)) == 8
    assert page.run("return document.querySelectorAll('#table .pick input:not(:checked):not(:disabled)').length") == 0


def test_a_comparison_fits_a_phone(searched: Project, opened: Opened) -> None:
    """The page stays as wide as the window; the comparison scrolls in its own box."""
    page = opened(searched.root / "report.html", size=(390, 844))
    page.run("report.change({compare: [1, 40, 77, 120, 200].map((number) => `rnn#${number}`)})")
    page.settle()
    assert page.run("return document.documentElement.scrollWidth") == 390
    assert page.run("const e = document.getElementById('compare'); return e.scrollWidth > e.clientWidth")


def test_a_comparison_is_printed(page: Page) -> None:
    """On paper it stands with its curves drawn."""
    page.run("report.change({compare: ['rnn#1', 'rnn#40']})")
    page.settle()
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    assert page.run("return report.charts.every((each) => each.instance && !each.stale)")
    page.run("window.dispatchEvent(new Event('afterprint'))")
