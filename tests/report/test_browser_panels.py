"""Panels that have nothing to show, repeats of one configuration, and names that are too long for their places.

Code: report/page
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trained
from small_project import Project

if TYPE_CHECKING:
    from browser import Page

Opened = Callable[..., "Page"]

ONE = """\
n_trials = 5
[hyper]
"params.lr" = [0.001]
[params]
[results]
metric = "accuracy"
"""
ACCURACY = [0.77, 0.784, 0.772, 0.776, 0.78]
TEST = [0.756, 0.762, 0.764, 0.756, 0.762]
LONG = "a_metric_whose_name_is_so_long_that_no_panel_has_room_for_all_60"
KEYS = [f"a_key_whose_name_is_so_long_that_no_panel_has_room_for_all_of_{number}" for number in range(3)]
NAMES = [f"a_choice_as_long_as_sixty_letters_which_is_longer_than_a_panel_{number}" for number in range(2)]
SPACE = f"""\
[search]
method = "random"
n = 24
[hyper]
"params.{KEYS[0]}" = {{ loguniform = [1e-5, 1e-1] }}
"params.{KEYS[1]}" = {{ uniform = [0, 1] }}
"params.{KEYS[2]}" = {{ choice = ["{NAMES[0]}", "{NAMES[1]}"] }}
[params]
[results]
metric = "{LONG}"
"""
SWEEP = "a_sweep_that_has_a_name_as_long_as_sixty_letters_or_even_more"


@pytest.fixture(scope="module")
def repeats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of one configuration under five seeds, as `promote` makes them."""
    project = Project(tmp_path_factory.mktemp("repeats"))
    template = "function(lr, random_seed=0) { lr: lr, seed: random_seed }"
    project.write({"made.jsonnet": template, "config/made.toml": ONE})
    project.resweep("config/made.toml", "made.jsonnet", "rnn", "--no-slurm-job").ok()
    for place, entry in enumerate(project.entries()):
        curve = {"validation_loss": [1.0 - 0.1 * epoch for epoch in range(5)]}
        began = trained.BEGAN + timedelta(minutes=place)
        trained.finished(project, entry, "rnn", curve, began, accuracy=ACCURACY[place], test=TEST[place], epochs=5)
    project.resweep("report", "rnn", "-o", "r.html").ok()
    return project.root / "r.html"


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a random search in which every name has sixty letters."""
    project = Project(tmp_path_factory.mktemp("long"))
    arguments = ", ".join(f"{key}=1" for key in KEYS)
    template = f"function({arguments}, random_seed=0) {{ seed: random_seed }}"
    project.write({"made.jsonnet": template, "config/made.toml": SPACE})
    project.resweep("config/made.toml", "made.jsonnet", SWEEP, "--no-slurm-job").ok()
    for entry in project.entries(SWEEP):
        dice = random.Random(entry.number)
        if entry.number % 7:
            trained.finished(
                project, entry, SWEEP, {"validation_loss": [1, 0.5]}, trained.BEGAN, **{LONG: dice.random()}
            )
        else:
            trained.failed(project, entry, SWEEP, f"ValueError: {'no' * 60}", trained.BEGAN)
    project.resweep("report", SWEEP, "-o", "r.html").ok()
    return project.root / "r.html"


def panels(page: Page) -> dict[str, list[float]]:
    """By id of the panels that are seen: left, top, right and bottom."""
    script = """
        const place = ({ left, top, right, bottom }) => [left, top, right, bottom];
        const seen = [...document.querySelectorAll('main > .card')].filter((each) => each.offsetHeight);
        return Object.fromEntries(seen.map((each) => [each.id, place(each.getBoundingClientRect())]))"""
    return dict(page.run(script))


def holes(page: Page) -> list[str]:
    """Panels beside which a part of the page is empty."""
    found = panels(page)
    left, right = found["table-box"][0], found["table-box"][2]
    rows: dict[float, list[str]] = {}
    for name, box in found.items():
        rows.setdefault(round(box[1]), []).append(name)
    return [
        name
        for names in rows.values()
        for name in names
        if min(found[each][0] for each in names) > left + 1 or max(found[each][2] for each in names) < right - 1
    ]


def test_repeats_of_one_configuration_have_a_mean(repeats: Path, opened: Opened) -> None:
    """Mean and deviation as `results --by point` writes them, of the metric and of all else that was measured."""
    page = opened(repeats)
    titles = page.texts("#best .fact-title")
    facts = dict(zip(titles, page.texts("#best .fact b"), strict=True))
    assert facts["mean of the repeats"] == "0.7764 ± 0.0057"
    assert statistics.stdev(ACCURACY) == pytest.approx(0.0057, abs=0.00005)
    assert page.texts("#best .fact-about")[0] == "accuracy, n = 5"
    assert facts["best run"] == "0.784"
    words = page.texts("#best .pair")
    assert words[0] == "repeats rnn#1, #2, #3, #4, #5"
    assert "test 0.7600 ± 0.0037" in words
    assert "epochs 5" in words
    page.run("report.setFilter('run.number', {ranges: [[1, 1]]})")
    page.settle()
    assert page.texts("#best .fact-title")[0] == "best run"
    assert page.texts("#best .pair") == ["best run rnn#1"]
    page.run("report.change({filters: {'metric.accuracy': {ranges: [[0.78, 1]]}}})")
    page.settle()
    assert page.texts("#count") == ["2 of 5 runs"]
    assert page.texts("#best .fact b")[:2] == ["0.7764 ± 0.0057", "0.784"]
    assert page.complaints() == []


def test_a_point_is_as_good_as_the_mean_of_its_repeats(project: Project, opened: Opened) -> None:
    """The best point is not that of the lucky run, nor one that ran once, or of which a repeat diverged."""
    trained.sweep(project, repeats=2, lr="0.001")
    by_id: dict[str, list[float]] = {}
    first: dict[int, list[float | None]] = {0: [0.9, 0.1], 1: [0.7, 0.72], 2: [0.8, math.nan], 3: [0.8, None]}
    for entry in project.entries():
        place = len(by_id.setdefault(entry.id, []))
        value = first.get(list(by_id).index(entry.id), [0.3, 0.4])[place]
        by_id[entry.id].append(0.0)
        if value is None:
            continue
        trained.finished(project, entry, "rnn", {}, trained.BEGAN, best_validation_accuracy=value)
    project.resweep("report", "rnn", "-o", "r.html").ok()
    page = opened(project.root / "r.html")
    assert page.texts("#best .fact-title")[:2] == ["best point", "best run"]
    assert page.texts("#best .fact b")[:2] == ["0.710 ± 0.014", "0.9"]
    assert "best run rnn#1" in page.texts("#best .pair")
    assert page.complaints() == []


@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_panels_without_anything_to_show_are_a_sentence(repeats: Path, opened: Opened, width: int) -> None:
    """One configuration has no parallel coordinates, importance or failures, and no hole where they would stand."""
    page = opened(repeats, size=(width, 900))
    assert panels(page).keys() == {"best-box", "curves-card", "cost-box", "table-box"}
    said = page.texts("#absent")[0]
    assert "Parallel coordinates, each parameter against the metric, importance and correlation: no swept value" in said
    assert "Failures by cause: no trial failed." in said
    assert holes(page) == []
    assert page.run("return document.documentElement.scrollWidth") == width
    assert not page.element("#colour-label").is_displayed()
    assert page.complaints() == []


@pytest.mark.parametrize("width", [390, 1280, 1920])
@pytest.mark.parametrize("some", [1, 2, 3, 4, 5, 6])
def test_panels_leave_no_hole(page: Page, width: int, some: int) -> None:
    """However many there are, each row of them is full."""
    page.resize(width, 900)
    left_out = "[...document.querySelectorAll('main > .card:not(.wide)')].slice(arguments[0])"
    page.run(f"{left_out}.forEach((each) => each.remove()); report.layPanels()", some)
    page.settle()
    assert len(panels(page)) == some + 4
    assert holes(page) == []


def test_a_metric_decides_which_panels_there_are(project: Project, opened: Opened) -> None:
    """One that a single configuration has is not drawn over configurations; another is."""
    trained.sweep(project, lr="0.001")
    first, second = project.entries()[:2]
    trained.finished(project, first, "rnn", {}, trained.BEGAN, best_validation_accuracy=0.5, other=1.0)
    trained.finished(project, second, "rnn", {}, trained.BEGAN, best_validation_accuracy=0.6)
    project.resweep("report", "rnn", "-o", "r.html").ok()
    page = opened(project.root / "r.html")
    assert page.element("#expected-box").is_displayed()
    page.show("#expected")
    page.run("report.change({metric: 'metric.other', mode: 'max'})")
    page.settle()
    assert not page.element("#expected-box").is_displayed()
    assert "Best so far, expected performance: fewer than two configurations" in page.texts("#absent")[0]
    page.run("report.change({metric: 'metric.best_validation_accuracy', mode: 'max'})")
    page.settle()
    page.show("#expected")
    assert page.chart_runs("#expected", "value") == 2
    assert page.complaints() == []


@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_long_names_stay_in_their_panels(long: Path, opened: Opened, width: int) -> None:
    """Nothing runs out of its panel or the page; what is cut has the whole in a title."""
    page = opened(long, size=(width, 900))
    for chart in page.run("return report.charts.map((_, number) => number)"):
        page.run("report.charts[arguments[0]].element.scrollIntoView()", chart)
        page.settle()
    assert page.run("return document.documentElement.scrollWidth") == width
    script = """
        return [...document.querySelectorAll('.card *')].filter((each) => !each.closest('.scroll, .tabulator, .menu'))
          .filter((each) => each.getBoundingClientRect().right > each.closest('.card').getBoundingClientRect().right)
          .map((each) => each.outerHTML.slice(0, 200))"""
    assert page.run(script) == []
    assert any(name in page.element("#importance .cut").get_attribute("title") for name in NAMES)
    assert page.element("#importance .cut").text.startswith("higher with a_choice")


def test_names_that_begin_alike_are_told_apart(long: Path, opened: Opened) -> None:
    """Cut in the middle: their ends are what differs."""
    page = opened(long)
    page.show("#parallel")
    script = """
        const chart = report.charts.find((each) => each.element.id === 'parallel');
        return chart.instance.getOption().parallelAxis.map((each) => each.name)"""
    assert len(set(page.run(script))) == 4
    page.show("#curves")
    legend = page.texts("#curves-legend button")
    assert len(set(legend)) == len(legend) == 8
    assert len(set(page.texts("#importance tbody th"))) == 3
