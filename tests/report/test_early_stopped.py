"""The page of a sweep whose trials were stopped early, and of few points: what counts, and what is said of it.

Code: report/tried, report/data
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import made
import pytest
import trained
from scipy import stats
from small_project import Project

from resweep.report import expected
from resweep.report import page as pages
from resweep.report.figures import curves
from resweep.results import load, points

if TYPE_CHECKING:
    from browser import Page

Opened = Callable[..., "Page"]
FINISHED, PRUNED = 6, 10


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a sweep of which six trials finished and ten were pruned."""
    project = Project(tmp_path_factory.mktemp("stopped"))
    trained.sweep(project, lr="0.0012345678901234")
    for number, entry in enumerate(project.entries()[: FINISHED + PRUNED]):
        value = number / 10 if number < FINISHED else -number / 100
        trained.finished(project, entry, "rnn", {}, trained.BEGAN, best_validation_accuracy=value)
        if number >= FINISHED:
            place = project.paths("rnn").place(entry.name)
            _prune(Path(place.attempt(1)), Path(place.output))
    project.resweep("report", "rnn", "-o", "r.html").ok()
    return project.root


def _prune(attempt: Path, output: Path) -> None:
    record = attempt / "record.json"
    found = json.loads(record.read_text()) | {"state": "pruned", "exit_status": 143}
    (attempt.parent / "finished").unlink()
    output.rename(attempt / "output")
    record.write_text(json.dumps(found))


def test_the_curve_is_over_all_that_were_tried_and_the_page_says_so(stopped: Path, opened: Opened) -> None:
    """Pruned points count as in the figure, whatever state is filtered; best and median are of finished runs."""
    page = opened(stopped / "r.html")
    found = load.gather(stopped, ["rnn"])
    curve = expected.performance(points.points(found.rows), found.options, found.definitions["rnn"])
    assert curve.pruned == PRUNED
    for _ in range(2):
        shown = page.run("return report.expectedCurves()[0]")
        assert shown["pruned"] == PRUNED
        assert [each["value"] for each in shown["curve"]] == pytest.approx(list(curve.curve.value))
        page.run("report.setFilter('run.state', {codes: [report.page.runs.states.indexOf('finished')]})")
    page.run("report.setFilter('run.state', null)")
    page.settle()
    page.show("#expected")
    assert "10 pruned configurations count with the value at which they stopped" in page.texts("#expected-note")[0]
    page.show("#best-so-far")
    assert "Hollow ones were pruned" in page.texts("#pruned-note")[0]
    assert page.texts("#best .fact b")[:3] == ["0.5", "6", "0.25"]
    assert "10 pruned" in page.texts("#best .fact-about")[1]
    page.show("#parallel")
    assert page.chart_runs("#parallel", "chosen") + page.chart_runs("#parallel", "behind") == FINISHED + PRUNED
    assert page.complaints() == []


def test_the_page_s_curve_counts_what_diverged_and_calls_points_of_a_search_no_draws(
    tmp_path: Path, opened: Opened
) -> None:
    """As the figure's; and it says both."""
    found = made.gathered(made.diverged())
    found.definitions["rnn"] = made.learning()
    (tmp_path / "r.html").write_text(pages.page(found), "utf-8")
    page = opened(tmp_path / "r.html")
    curve = expected.performance(points.points(found.rows), found.options, found.definitions["rnn"])
    shown = page.run("return report.expectedCurves()[0]")
    assert [each["value"] for each in shown["curve"]] == pytest.approx(list(curve.curve.value))
    assert (shown["diverged"], shown["leftOut"], shown["pruned"]) == (3, 0, 0)
    page.show("#expected")
    (note,) = page.texts("#expected-note")
    assert "3 configurations diverged, and count as the worst." in note
    assert "Taken as points of a search (with replacement). " in note
    assert "rnn chose its points by the results of earlier ones, so they are no independent draws" in note
    assert page.complaints() == []


def test_chance_is_that_of_scipy(stopped: Path, opened: Opened) -> None:
    """Of many pairs Student's t; of few the share of all orders."""
    page = opened(stopped / "r.html")
    for count in (9, 10, 30):
        pairs = [[n, (n * 7) % count + n / 9] for n in range(count)]
        known = stats.spearmanr(*zip(*pairs, strict=True))
        assert page.run("return report.chance(...arguments)", pairs, known.statistic) == pytest.approx(known.pvalue)
    assert page.run("return report.chance([[1, 1], [2, 2], [3, 3]], 1)") == pytest.approx(2 / 6)
    assert page.run("return report.chance([[1, 1], [2, 2], [3, 3], [4, 4]], 1)") == pytest.approx(2 / 24)


def test_the_median_is_the_middle_of_two(stopped: Path, opened: Opened) -> None:
    """Whichever way is better, and no mark of 24 sweeps comes twice."""
    page = opened(stopped / "r.html")
    assert page.run("return report.median([4, 1, 3, 2])") == 2.5
    assert page.run("return report.median([3, 1, 2])") == 2
    for way in ("sweepStroke", "sweepSymbol"):
        alike = f"Array.from({{length: 24}}, (_, n) => `${{n % 8}} ${{report.{way}(n)}}`)"
        assert page.run(f"return new Set({alike}).size") == 24


def test_a_curve_of_a_figure_is_named_by_five_digits() -> None:
    """What was drawn has seventeen, for which a legend has no room; what is no such number is whole."""
    values = (0.0012345678901234, 123456789, "adam", [0.5], True)
    assert [curves._value(value) for value in values] == ["0.0012346", "123456789", '"adam"', "[0.5]", "true"]


def test_drawn_values_are_rounded_and_whole_in_the_title(stopped: Path, opened: Opened) -> None:
    """Five digits in a cell, all of them in its title and among a run's values."""
    page = opened(stopped / "r.html")
    page.run("report.change({columns: {'swept.params.lr': true}})")  # the same in every run, thus hidden at first
    page.show("#table")
    cells = page.run(
        "return [...document.querySelectorAll('#table .tabulator-cell [title]')]"
        ".map((each) => `${each.textContent} ${each.title}`)"
    )
    assert "0.0012346 0.0012345678901234" in cells
    page.run("report.change({open: 0, tab: 'values'})")
    page.settle()
    assert "0.0012345678901234" in page.texts("#tab-panel td")


def test_the_skip_link_leaves_the_address_alone(stopped: Path, opened: Opened) -> None:
    """The filters that stand in it are still there, and the table has the focus."""
    page = opened(stopped / "r.html")
    page.run("report.setFilter('metric.best_validation_accuracy', {text: '>0.2'})")
    page.settle()
    before = page.run("return location.hash")
    page.run("document.querySelector('.skip').click()")
    assert page.run("return location.hash") == before != ""
    assert page.run("return document.activeElement.id") == "table-box"
