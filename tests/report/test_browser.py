"""The page in a real browser: what is brushed, filtered, clicked and typed, and what it never does.

Code: report/page
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trained
from small_project import Project

if TYPE_CHECKING:
    from browser import Page

Opened = Callable[..., "Page"]

ROWS = "#table .tabulator-row"
TABLE_COUNT = "return report.table().getDataCount('active')"


def axis(page: Page, name: str) -> tuple[float, float, float]:
    """Where an axis of the parallel coordinates is: x, and the y of its ends, in pixels of the chart."""
    script = """
        const chart = report.charts.find((each) => each.element.id === 'parallel');
        const dim = chart.dimensions.findIndex((each) => each.name === arguments[0]);
        const model = chart.instance.getModel();
        const system = model.getComponent('parallel').coordinateSystem;
        const place = system.getAxisLayout(model.getComponent('parallelAxis', dim).axis.dim);
        return [place.position[0], place.position[1], place.axis ? 0 : system.getRect().height]"""
    x, bottom, height = page.run(script, name)
    return float(x), float(bottom) - float(height), float(bottom)


def test_a_drag_along_an_axis_filters_everything(page: Page) -> None:
    """The brush of the parallel coordinates reaches table, scatter plots, curves, counts and the address."""
    page.show("#parallel")
    everything = len(page.selected())
    x, top, bottom = axis(page, "params.hidden_dim")
    page.drag("#parallel", (x, top + 2), (x, top + (bottom - top) * 0.25))
    chosen = page.selected()
    data = page.data()
    dims = next(each["values"] for each in data["swept"] if each["name"] == "params.hidden_dim")
    assert chosen == [run for run in range(everything) if dims[run] == 1024]
    assert page.run(TABLE_COUNT) == len(chosen) == everything / 3
    assert page.texts("#count") == [f"{len(chosen)} of {everything} runs"]
    measured = sum(data["metrics"][0]["values"][run] is not None for run in chosen)
    assert page.chart_runs("#parallel", "chosen") == measured
    for chart in ("#scatters figure:nth-child(1) .chart", "#best-so-far", "#cost"):
        page.show(chart)
        assert page.chart_runs(chart, "chosen") == measured
    page.show("#curves")
    best = page.run("return report.chosenCurves().best")
    assert all(dims[run] == 1024 for run in best)
    assert page.texts("#curves-legend button") == [f"rnn#{data['runs']['number'][run]}" for run in best]
    assert page.complaints() == []


def test_a_box_in_a_scatter_plot_filters_parallel_coordinates_and_table(page: Page) -> None:
    """What a box surrounds is what is left: by the parameter and by the metric."""
    chart = "#scatters figure:nth-child(1) .chart"
    page.show(chart)
    name = page.run(
        "return report.charts.find((e) => e.element === document.querySelector(arguments[0])).column.name", chart
    )
    to_pixels = """
        const chart = report.charts.find((each) => each.element === document.querySelector(arguments[0]));
        return chart.instance.convertToPixel('grid', [arguments[1], arguments[2]])"""
    column = next(each for each in page.data()["swept"] if each["name"] == name)
    assert name == "params.lr"
    corner = page.run(to_pixels, chart, -3.4, 0.62)  # the axis is logarithmic
    other = page.run(to_pixels, chart, -2.6, 0.79)
    page.drag(chart, corner, other)
    values = page.data()["metrics"][0]["values"]
    lows, highs = zip(*page.filters()["metric.best_validation_accuracy"]["ranges"], strict=True)
    assert lows[0] == pytest.approx(0.62, abs=0.01)
    assert highs[0] == pytest.approx(0.79, abs=0.01)
    expected = [
        run
        for run, value in enumerate(values)
        if column["values"][run] == 0.001 and value is not None and lows[0] <= value <= highs[0]
    ]
    assert page.selected() == expected
    assert 10 < len(expected) < len(values) / 3
    page.show("#parallel")
    assert page.chart_runs("#parallel", "chosen") == len(expected) == page.run(TABLE_COUNT)


def test_a_box_over_time_survives_a_reload(page: Page) -> None:
    """Runs that ended in the first hours, of whatever quality; and the same after reading the address."""
    page.show("#best-so-far")
    width, height = page.run("const e = document.querySelector('#best-so-far'); return [e.clientWidth, e.clientHeight]")
    page.drag("#best-so-far", (60, 16), (width / 2, height - 52))
    (low, high) = page.filters()["run.hours"]["ranges"][0]
    runs = page.data()["runs"]
    first = min(at for at in runs["started"] if at is not None)
    ended = [None if at is None else at - first for at in runs["ended"]]
    assert page.filters().keys() <= {"run.hours", "metric.best_validation_accuracy"}
    within = {run for run, at in enumerate(ended) if at is not None and low <= at <= high}
    chosen = page.selected()
    assert len(chosen) > 50
    assert set(chosen) <= within
    page.driver.refresh()
    page.settle()
    assert page.selected() == chosen
    assert page.complaints() == []


def test_what_is_typed_above_the_table_filters_the_charts(page: Page) -> None:
    """A condition on a number and letters of a word, both at once; taken away, everything is there again."""
    every = page.selected()
    page.show("#table")
    page.element("[aria-label='Filter params.optimizer']").send_keys("ada")
    page.run("return new Promise((done) => setTimeout(done, 500))")
    page.element("[aria-label='Filter best_validation_accuracy']").send_keys(">0.75")
    page.run("return new Promise((done) => setTimeout(done, 500))")
    page.settle()
    data = page.data()
    optimizer = next(each for each in data["swept"] if each["name"] == "params.optimizer")
    names = [optimizer["labels"][code] for code in optimizer["codes"]]
    values = data["metrics"][0]["values"]
    expected = [run for run in every if names[run] != "sgd" and (values[run] or 0) > 0.75]
    assert page.selected() == expected
    assert 0 < len(expected) < len(every) / 2
    page.show("#parallel")
    assert page.chart_runs("#parallel", "chosen") == len(expected) == page.run(TABLE_COUNT)
    page.click("#clear")
    assert page.selected() == every
    assert page.element("[aria-label='Filter params.optimizer']").get_attribute("value") == ""
    assert page.run(TABLE_COUNT) == len(every)


def test_a_click_on_a_cause_or_state_filters(page: Page) -> None:
    """Failures of one cause; clicked again, all."""
    every = page.selected()
    causes = page.data()["runs"]["cause"]
    page.click("#failures .cause")
    assert page.selected() == [run for run in every if causes[run] == 0]
    page.click("#failures .cause")
    assert page.selected() == every
    page.click("#states .failed")
    assert page.selected() == [run for run in every if causes[run] >= 0]


def test_a_click_on_a_run_shows_its_files(page: Page, searched: Project) -> None:
    """Configuration, filled template, command, log and manifest, each as it is on the disk."""
    page.click(ROWS)
    place = page.run("return report.state.open")
    data = page.data()
    name = data["runs"]["trial"][place]
    capsule = searched.paths().directory / name
    id_ = name.partition("/")[0]
    assert page.texts("#details-title")[0].startswith(f"rnn#{data['runs']['number'][place]}")
    shown = {}
    for tab in ("config", "filled", "command", "log", "manifest"):
        page.click(f"#tab-{tab}")
        shown[tab] = page.run("return document.querySelector('#tab-panel pre').textContent")
    assert shown["config"] == (capsule / f"{id_}.toml").read_text()
    assert shown["filled"] == (capsule / f"{id_}.json").read_text()
    assert shown["manifest"] == (capsule / "manifest.json").read_text()
    assert shown["log"].endswith("done")
    assert f"bash config/generated/rnn/{name}/rerun.sh\n" in shown["command"]
    page.click("#tab-values")
    assert str(data["metrics"][0]["values"][place]) in page.texts("#tab-panel")[0]
    page.click("#close")
    assert not page.element("#details").is_displayed()


def test_the_keyboard_is_enough(page: Page) -> None:
    """Tab reaches a row, arrows the next, Enter opens it, arrows change the tab, Escape gives the focus back."""
    from selenium.webdriver.common.keys import Keys

    page.show("#table")
    page.element("[aria-label='Filter params.lr']").send_keys("=0.001")
    page.run("return new Promise((done) => setTimeout(done, 500))")
    page.settle()
    assert len(page.selected()) == 108
    page.run("document.querySelector(arguments[0]).focus()", ROWS)
    page.press(Keys.ARROW_DOWN)
    focused = page.run("return document.activeElement.dataset.run")
    assert focused == page.run("return document.querySelectorAll(arguments[0])[1].dataset.run", ROWS)
    page.press(Keys.ENTER)
    assert page.run("return report.state.open") == int(focused)
    assert page.run("return document.activeElement.id") == "close"
    page.press(Keys.TAB, Keys.ARROW_RIGHT)
    assert page.element("[aria-selected='true']").get_attribute("id") == "tab-filled"
    page.press(Keys.ESCAPE)
    assert not page.element("#details").is_displayed()
    assert page.run("return document.activeElement.dataset.run") == focused


def test_what_is_chosen_survives_a_reload(page: Page) -> None:
    """Filters, metric and the open run stand in the address; one that says nonsense changes nothing."""
    page.run("report.setFilter('swept.params.lr', {ranges: [[0.001, 0.01]]})")
    page.run("report.change({metric: 'metric.training_loss', mode: 'min', open: 3})")
    page.settle()
    chosen = page.selected()
    address = page.run("return location.hash")
    page.driver.refresh()
    page.settle()
    assert page.run("return location.hash") == address
    assert page.selected() == chosen
    assert page.run("return [report.state.metric, report.state.mode, report.state.open]") == [
        "metric.training_loss",
        "min",
        3,
    ]
    assert page.element("#details").is_displayed()
    x = axis(page, "params.lr")[0]
    assert x > 0
    intervals = """
        const chart = report.charts.find((each) => each.element.id === 'parallel');
        const dim = chart.dimensions.findIndex((each) => each.name === 'params.lr');
        return chart.instance.getModel().getComponent('parallelAxis', dim).activeIntervals.length"""
    page.show("#parallel")
    assert page.run(intervals) == 1
    for nonsense in ('{"filters":{"x":{"text":"a"}},"metric":"__proto__"}', "[1", "null", '{"filters":[1],"open":1e9}'):
        page.run("location.hash = encodeURIComponent(arguments[0])", nonsense)
        page.settle()
        assert page.run("return report.state.metric") == "metric.best_validation_accuracy"
        assert len(page.selected()) == 324
    assert page.complaints() == []


def test_an_address_names_runs_and_labels(project: Project, opened: Opened) -> None:
    """A page that was written again, with other causes and another order, shows the same run and the same cause."""
    trained.sweep(project)
    first, second, third, fourth = project.entries()[:4]
    trained.failed(project, first, "rnn", "ValueError: one", trained.BEGAN)
    trained.finished(project, second, "rnn", {}, trained.BEGAN, best_validation_accuracy=0.5)
    project.resweep("report", "rnn", "-o", "r.html").ok()
    page = opened(project.root / "r.html")
    page.run("report.setFilter('run.cause', {codes: [0]})")
    page.run("report.change({open: report.page.runs.number.indexOf(2)})")
    page.settle()
    address = page.run("return location.hash")
    for entry in (third, fourth):
        trained.failed(project, entry, "rnn", "AssertionError: another", trained.BEGAN)
    trained.finished(project, project.entries()[4], "rnn", {}, trained.BEGAN, best_validation_accuracy=0.9)
    project.resweep("report", "rnn", "-o", "r.html").ok()
    page = opened(project.root / "r.html", address=address)
    assert page.data()["causes"][0] != "ValueError: one"
    assert page.texts("#chips .chip") == ["cause: ValueError: one \N{MULTIPLICATION X}"]
    assert page.texts("#details-title")[0].startswith("rnn#2")
    page.run('location.hash = encodeURIComponent(\'{"filters":{"run.cause":{"labels":["gone"]}}}\')')
    page.settle()
    assert page.filters() == {}
    assert page.complaints() == []


def test_dark_follows_the_system_until_a_person_says(page: Page) -> None:
    """prefers-color-scheme counts, and the switch counts more; text can be read in both."""

    def contrast() -> float:
        script = """
            const light = (text) => text.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
              .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
              .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
            const card = getComputedStyle(document.querySelector('.card')).backgroundColor;
            const note = getComputedStyle(document.querySelector('.hint')).color;
            const [one, other] = [light(card), light(note)];
            return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)"""
        return float(page.run(script))

    page.run("localStorage.clear()")
    page.prefers("dark")
    page.settle()
    assert page.run("return document.documentElement.dataset.theme") == "dark"
    assert contrast() >= 4.5
    page.prefers("light")
    page.settle()
    assert page.run("return document.documentElement.dataset.theme") == "light"
    assert contrast() >= 4.5
    page.click("#theme")
    assert page.run("return document.documentElement.dataset.theme") == "dark"
    page.prefers("dark")
    page.prefers("light")
    page.settle()
    assert page.run("return document.documentElement.dataset.theme") == "dark"
    page.run("localStorage.clear()")


def test_the_page_asks_nobody_for_anything(page: Page) -> None:
    """Opened, scrolled through, printed: one file is read, and the policy has nothing to forbid."""
    for box in page.run("return [...document.querySelectorAll('.chart')].map((_, n) => n)"):
        page.run("document.querySelectorAll('.chart')[arguments[0]].scrollIntoView()", box)
        page.settle()
    page.driver.execute_cdp_cmd("Page.printToPDF", {})
    requested = page.requested()
    assert requested
    assert {url.partition("#")[0] for url in requested} <= {page.path.as_uri(), "about:blank"}
    assert page.complaints() == []


def test_the_policy_forbids_a_script_that_is_not_the_page_s(searched: Project, opened: Opened, tmp_path: Path) -> None:
    """A page into which somebody put a script, a style or an image runs and asks for none of them."""
    text = (searched.root / "report.html").read_text()
    strange = "<script>window.stranger = 1</script><img src=x onerror='window.stranger = 2'><b style='color:red'></b>"
    (tmp_path / "edited.html").write_text(
        text.replace("</footer>", f"</footer>{strange}<script src='http://127.0.0.1:9/x.js'></script>")
    )
    page = opened(tmp_path / "edited.html")
    assert page.run("return window.stranger") is None
    assert len(page.complaints()) >= 3
    assert page.blocked() >= 1
    assert len(page.selected()) == 324


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
def test_nothing_is_cut_off_at_the_side(searched: Project, opened: Opened, width: int) -> None:
    """From a phone to a wide screen the page is as wide as the window, and each card stays inside."""
    page = opened(searched.root / "report.html", size=(width, 900))
    assert page.run("return document.documentElement.scrollWidth") == width
    boxes = "[...document.querySelectorAll('.card, .controls > *, #scatters .chart')]"
    ends = page.run(f"return {boxes}.map((each) => each.getBoundingClientRect().right)")
    assert ends
    assert max(ends) <= width


def test_a_page_for_paper_is_light_and_has_the_runs(page: Page) -> None:
    """Printing from a dark page takes light colours, draws charts that were not seen yet, and lists the best runs."""
    page.click("#theme")
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    assert page.run("return document.documentElement.dataset.theme") == "light"
    assert page.run("return report.charts.every((each) => !each.element.clientWidth || (each.instance && !each.stale))")
    rows = page.run("return [...document.querySelectorAll('#printed tbody tr')].map((e) => e.textContent)")
    best = max(value for value in page.data()["metrics"][0]["values"] if value is not None)
    assert len(rows) == 40
    assert f"{best:.4g}" in rows[0]
    page.run("window.dispatchEvent(new Event('afterprint'))")
    assert page.run("return document.documentElement.dataset.theme") == "dark"
    page.run("localStorage.clear()")


HOSTILE = "</script><img src=x onerror=window.hurt=1><script>window.hurt=2</script>{{data}}${window.hurt=3}\u2028]]>-->"


def test_hostile_names_and_values_run_nothing(project: Project, opened: Opened) -> None:
    """Names of keys and metrics, values, logs and causes with markup in them are seen as they are, and do nothing."""
    trained.sweep(project, repeats=1)
    entries = project.entries()
    text = project.paths().index.read_text()
    quoted = json.dumps(HOSTILE, ensure_ascii=False)[1:-1]
    text = text.replace("params.optimizer", f"params.{quoted}").replace('"adagrad"', f'"{quoted}"')
    project.paths().index.write_text(text)
    project.write({"config/other.toml": trained.SWEEP})
    entries = project.entries()
    measured = {"validation_accuracy": [0.1, 0.2], HOSTILE: [0.3, 0.5]}
    for number, entry in enumerate(entries):
        if number % 5:
            trained.finished(
                project, entry, "rnn", measured, trained.BEGAN, **{f"best {HOSTILE}": 0.1 * number, "text": HOSTILE}
            )
        else:
            trained.failed(project, entry, "rnn", f"ValueError: {HOSTILE}", trained.BEGAN)
    said = project.resweep("report", "rnn", "-o", "r.html").ok()
    assert said.err == ""
    page = opened(project.root / "r.html")
    page.run(f"report.change({{metric: {json.dumps('metric.best ' + HOSTILE)}}})")
    for chart in page.run("return report.charts.map((_, number) => number)"):
        page.run("report.charts[arguments[0]].element.scrollIntoView()", chart)
        page.settle()
    page.click("#failures .cause")
    page.click(ROWS)
    for tab in page.run("return [...document.querySelectorAll('#tabs button')].map((each) => each.id)"):
        page.click(f"#{tab}")
    page.press("\ue00c")  # Escape
    page.click("#columns-menu summary")
    page.click("#columns-all")
    page.run("report.change({compare: [1, 2, 3, 4].map((number) => `rnn#${number}`)})")
    page.settle()
    assert any(HOSTILE in text for text in page.texts("#compare th"))
    assert any(HOSTILE in text for text in page.texts("#columns-list label"))
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    page.settle()
    assert page.run("return window.hurt") is None
    assert page.run("return document.querySelectorAll('img').length") == 0
    assert page.run("return document.scripts.length") == 4
    assert any(HOSTILE[:20] in text for text in page.texts("#failures .cause"))
    assert page.complaints() == []
    assert {url.partition("#")[0] for url in page.requested()} <= {page.path.as_uri(), "about:blank"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thousands_of_runs_are_filtered_like_a_few(project: Project, opened: Opened) -> None:
    """Every run is in the table and in the counts, and of lines so many are drawn; bench/report.py has ten thousand."""
    trained.sweep(project, repeats=5, lr=", ".join(str((number + 1) / 5000) for number in range(13)))
    trained.finish_all(project)
    project.resweep("report", "rnn", "-o", "r.html").ok()
    assert (project.root / "r.html").stat().st_size < 2_700_000
    page = opened(project.root / "r.html")
    assert page.texts("#count") == ["3,510 of 3,510 runs"]
    page.show("#parallel")
    x, top, bottom = axis(page, "params.hidden_dim")
    page.drag("#parallel", (x, top + 2), (x, top + (bottom - top) * 0.75))
    assert len(page.selected()) == 2340 == page.run(TABLE_COUNT)
    assert page.chart_runs("#parallel", "chosen") == 2000
    # those that failed have no line
    assert "2,000 lines of 2,221 are drawn" in page.texts("#parallel-note")[0]
    page.show("#scatters")
    assert page.chart_runs("#scatters .chart", "chosen") > 2000
    page.run("report.setFilter('swept.params.dropout', {ranges: [[0, 0.25]]})")
    page.settle()
    assert len(page.selected()) == 1560 == page.run(TABLE_COUNT)
    assert page.complaints() == []
