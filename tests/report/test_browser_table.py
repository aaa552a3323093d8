"""The table of runs in a real browser: which columns it shows, and the file of what is chosen.

Code: report/page
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trained
from launched import until
from selenium.webdriver.common.keys import Keys
from small_project import Project

if TYPE_CHECKING:
    from browser import Page

Opened = Callable[..., "Page"]

HEADS = "#table .tabulator-col-title span"
NAMES = "return report.tableColumns().map((each) => each.name)"
MANY = [f"params.p{number:02}" for number in range(40)]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two values of two parameters and one each of 38 others; 40 metrics, every second the same in all runs."""
    root = tmp_path_factory.mktemp("wide") / "project"
    root.mkdir()
    project = Project(root)
    names = [name.partition(".")[2] for name in MANY]
    values = "\n".join(f'"{name}" = {"[1, 2]" if place < 2 else "[7]"}' for place, name in enumerate(MANY))
    sweep = f'n_trials = 2\n[hyper]\n{values}\n[params]\n[results]\nmetric = "validation_accuracy"\n'
    arguments = ", ".join([*(f"{name}=0" for name in names), "random_seed=0"])
    fields = ", ".join(f"{name}: {name}" for name in names)
    project.write({"wide.jsonnet": f"function({arguments}) {{ {fields} }}", "config/wide.toml": sweep})
    project.resweep("config/wide.toml", "wide.jsonnet", "wide", "--no-slurm-job").ok()
    for entry in project.entries("wide"):
        more = {f"m{number:02}": entry.number * (number % 2) + 0.5 for number in range(39)}
        trained.finished(
            project, entry, "wide", {"validation_accuracy": [0.1, 0.2 * entry.number]}, trained.BEGAN, **more
        )
    project.resweep("report", "wide", "-o", "report.html").ok()
    return project


def test_a_table_of_many_parameters_begins_with_those_that_differ(wide: Project, opened: Opened) -> None:
    """What is the same in every run is hidden, and said in words; of metrics some are shown."""
    page = opened(wide.root / "report.html")
    names = page.run(NAMES)
    assert [name for name in names if name in MANY] == MANY[:2]
    assert names[:3] == ["#", "state", "validation_accuracy"]
    assert len(names) < 15
    assert not any(name.startswith("m") and int(name[1:]) % 2 == 0 for name in names)
    assert "params.p02 = 7" in page.texts("#table-note")[0]
    assert "and 30 more values" in page.texts("#table-note")[0]
    assert page.run(f"return [...document.querySelectorAll('{HEADS}')].map((each) => each.title)") == [
        "Compare",
        *names,
    ]


def test_columns_are_chosen_and_stay_in_the_address(wide: Project, opened: Opened) -> None:
    """A column is found by its letters, shown, and there after a reload, with the filter of one that was hidden."""
    page = opened(wide.root / "report.html")
    before = page.run(NAMES)
    page.run("report.setFilter('swept.params.p00', {text: '=1'})")
    page.click("#columns-menu summary")
    page.element("#columns-find").send_keys("p3")
    page.settle()
    assert len(page.texts("#columns-list label")) == 10
    page.click("#columns-list [data-key='swept.params.p31']")
    page.element("#columns-find").clear()
    page.element("#columns-find").send_keys("p00")
    page.settle()
    page.click("#columns-list [data-key='swept.params.p00']")
    chosen = list(page.run(NAMES))
    assert set(chosen) ^ set(before) == {"params.p31", "params.p00"}
    assert page.run(f"return [...document.querySelectorAll('{HEADS}')].map((each) => each.title)") == [
        "Compare",
        *chosen,
    ]
    assert len(page.selected()) == 4
    page.element("[aria-label='Filter params.p01']").send_keys("=2")
    until(lambda: "swept.params.p01" in page.filters())  # a table waits for the next letter
    page.settle()
    assert page.filters().keys() == {"swept.params.p00", "swept.params.p01"}
    assert len(page.selected()) == 2 == page.run("return report.table().getDataCount('active')")
    page.driver.refresh()
    page.settle()
    assert page.run(NAMES) == chosen
    assert len(page.selected()) == 2
    page.click("#columns-menu summary")
    page.click("#columns-first")
    assert page.run(NAMES) == before
    assert page.complaints() == []


def test_columns_are_chosen_by_keyboard(wide: Project, opened: Opened) -> None:
    """Enter opens the menu, Tab and Space choose, Escape closes it and gives the focus back."""
    page = opened(wide.root / "report.html")
    before = page.run(NAMES)
    page.run("document.querySelector('#columns-menu summary').focus()")
    page.press(Keys.ENTER, Keys.TAB)
    page.press("p3", *[Keys.TAB] * 4, Keys.SPACE)
    assert set(page.run(NAMES)) ^ set(before) == {"params.p30"}
    assert page.run("return document.activeElement.dataset.key") == "swept.params.p30"
    page.press(Keys.ESCAPE)
    assert not page.element("#columns-find").is_displayed()
    assert page.run("return document.activeElement.tagName") == "SUMMARY"


def test_a_sort_outlives_a_choice_of_columns(wide: Project, opened: Opened) -> None:
    """The order of the rows is the person's, also when columns come and go; numbers stand as numbers."""
    page = opened(wide.root / "report.html")
    page.run("report.table().setSort('c1', 'asc')")
    order = "return report.table().getData('active').map((line) => report.page.runs.number[line.run])"
    page.run("report.change({columns: {'swept.params.p20': true}})")
    page.settle()
    assert page.run("return report.table().getSorters().map((each) => each.dir)") == ["asc"]
    assert page.run(order) == sorted(page.run(order))
    page.run("report.table().setSort('c1', 'desc')")
    assert page.run(order) == list(range(8, 0, -1))


def test_the_metric_that_is_chosen_has_a_column(wide: Project, opened: Opened) -> None:
    """Also one that is not shown at first; a person may hide it."""
    page = opened(wide.root / "report.html")
    assert "m37" not in page.run(NAMES)
    page.run("report.change({metric: 'metric.m37'})")
    page.settle()
    assert "m37" in page.run(NAMES)
    page.run("report.change({columns: {'metric.m37': false}})")
    page.settle()
    assert "m37" not in page.run(NAMES)


def test_a_page_without_any_number_has_columns_a_file_and_runs_to_compare(project: Project, opened: Opened) -> None:
    """Before anything was measured there are no charts, and nothing else is missing."""
    trained.sweep(project)
    project.resweep("report", "rnn", "-o", "r.html").ok()
    page = opened(project.root / "r.html")
    assert page.run(NAMES)[:3] == ["#", "state", "params.dropout"]
    page.run("report.change({compare: ['rnn#1', 'rnn#2'], columns: {'run.state': false}})")
    page.settle()
    assert page.run(NAMES)[:2] == ["#", "params.dropout"]
    assert page.element("#compare table").is_displayed()
    assert len(page.run("return report.csvOf(report.selected())").split("\r\n")) == 162 + 2
    page.run("location.hash = encodeURIComponent(arguments[0])", '{"filters":{"curve.[0]":{"text":">0"}},"smooth":0.5}')
    page.settle()
    assert len(page.selected()) == 162
    assert page.complaints() == []


@pytest.mark.parametrize("nonsense", ['{"columns":{"x":true}}', '{"columns":[1]}', '{"columns":{"run.state":3}}'])
def test_an_address_with_columns_that_are_none_changes_nothing(wide: Project, opened: Opened, nonsense: str) -> None:
    """What somebody wrote into an address is looked at before it counts."""
    page = opened(wide.root / "report.html")
    before = page.run(NAMES)
    page.run("location.hash = encodeURIComponent(arguments[0])", nonsense)
    page.settle()
    assert page.run(NAMES) == before
    assert page.complaints() == []


def saved(page: Page, where: Path) -> tuple[str, str]:
    """The name and text of the file that the button saves."""
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(where)})
    page.click("#csv")
    until(lambda: any(path.stat().st_size for path in where.glob("*.csv")))
    (file,) = where.glob("*.csv")
    return file.name, file.read_bytes().decode()


def plain(cell: str) -> Any:
    """A cell as what it says: a number, or a text."""
    try:
        return float(cell)
    except ValueError:
        return cell


def lines(text: str) -> dict[str, dict[str, Any]]:
    """By trial its cells."""
    return {
        line["trial"]: {k: plain(v) for k, v in line.items()} for line in csv.DictReader(io.StringIO(text, newline=""))
    }


def test_the_file_has_what_the_command_gives(page: Page, searched: Project, tmp_path: Path) -> None:
    """The chosen runs with every column of `resweep results`, all digits, in the table's order, asked of nobody."""
    page.run(
        "report.change({filters: {'swept.params.optimizer': {text: 'ada'}}, columns: {'metric.training_loss': false}})"
    )
    page.settle()
    page.requested()
    name, text = saved(page, tmp_path)
    assert name == "rnn-runs.csv"
    assert text.count("\r\n") == text.count("\n") == 217
    ours = lines(text)
    theirs = lines(searched.resweep("results", "rnn", "--format", "csv").ok().out)
    chosen = {line: cells for line, cells in theirs.items() if str(cells["params.optimizer"]).startswith("ada")}
    assert ours.keys() == chosen.keys()
    for trial, cells in chosen.items():
        assert {key: ours[trial][key] for key in cells} == cells
    in_order = [each["number"] for each in lines(text).values()]
    script = "return report.table().getData('active').map((line) => report.page.runs.number[line.run])"
    assert in_order == page.run(script)
    assert [url for url in page.requested() if not url.startswith(("blob:", "file:"))] == []
    assert page.complaints() == []


def test_the_file_changes_no_value(project: Project, opened: Opened, tmp_path: Path) -> None:
    """Commas, quotes, ends of lines, formulas and markup come back as they were; a NaN is one."""
    strange = [
        'a,"b"',
        "two\nlines\r\nor three",
        "=1+1",
        "@SUM(A1)",
        " spaces ",
        "</script><b>",
        "\u00fc\U0001f600",
        "plain",
    ]
    trained.sweep(project)
    sweep = trained.SWEEP.format(repeats=1, lr="0.1").replace(
        '["adam", "adagrad", "sgd"]', f"[{', '.join(json.dumps(each, ensure_ascii=False) for each in strange)}]"
    )
    project.write({"config/strange.toml": sweep})
    project.resweep("config/strange.toml", "made.jsonnet", "strange", "--no-slurm-job").ok()
    for entry in project.entries("strange"):
        value = float("nan") if entry.number == 1 else 1 / (3 + entry.number)
        trained.finished(project, entry, "strange", {}, trained.BEGAN, best_validation_accuracy=value, state=0.5)
    project.resweep("report", "strange", "-o", "r.html").ok()
    page = opened(project.root / "r.html")
    _, text = saved(page, tmp_path)
    ours = list(csv.DictReader(io.StringIO(text, newline="")))
    by_number = {int(line["number"]): line for line in ours}
    for entry in project.entries("strange"):
        line = by_number[entry.number]
        assert line["params.optimizer"] == entry.swept["params.optimizer"]
        value = float(line["best_validation_accuracy"])
        assert value == 1 / (3 + entry.number) or (entry.number == 1 and value != value)
        assert (line["state"], line["metric.state"]) == ("finished", "0.5")
    assert page.complaints() == []


def test_a_page_that_rounds_says_so_beside_the_file(page: Page) -> None:
    """Of so many runs that metrics have fewer digits, the button names the command that has them all."""
    assert "--format csv" not in page.texts("#csv-note")[0]
    page.run("report.page.digits = 7; report.change({})")
    page.settle()
    assert "metrics other than best_validation_accuracy have 7 digits" in page.texts("#csv-note")[0]
    assert "resweep results 'rnn' --format csv" in page.texts("#csv-note")[0]
