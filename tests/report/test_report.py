"""`resweep report`: where the page goes, what it never overwrites, and how it follows a sweep that runs.

Code: report/write, report/page, cli/report
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trained
from launched import until
from running import until_it_says
from small_project import SWEEP, Project
from test_results import give

from resweep.report import page as pages

if TYPE_CHECKING:
    from browser import Page

Opened = Callable[..., "Page"]


def test_the_page_stands_beside_the_jobs_script(swept: Project) -> None:
    """NAME-report.html in the project's root, wherever below it the command is called; written again in its place."""
    said = swept.resweep("report", "rnn").ok().out
    assert said.startswith("rnn-report.html: 4 trials, ")
    text = (swept.root / "rnn-report.html").read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert pages.is_ours(text[:4096])
    swept.resweep("report", "rnn#1", "rnn#2").ok()
    assert (swept.root / "rnn-1-rnn-2-report.html").exists()
    swept.shell(f"cd config && '{sys.executable}' -m resweep report rnn").ok()
    assert not list((swept.root / "config").glob("*.html"))


@pytest.mark.parametrize("text", ["", "<html>my thesis</html>", "<title>resweep report</title>", "\0\xff"])
def test_a_file_that_is_not_ours_stays(swept: Project, text: str) -> None:
    """Whatever is there and was not written by this command is not overwritten."""
    target = swept.root / "thesis.html"
    target.write_text(text, "latin-1")
    said = swept.resweep("report", "rnn", "-o", "thesis.html")
    assert said.status == 2
    assert "thesis.html: was not written by resweep report" in said.err
    assert target.read_text("latin-1") == text


def test_a_place_that_cannot_be_is_one_line(swept: Project) -> None:
    """No directory, a directory, a device: named before anything is read."""
    for target, words in {
        "no/where.html": "found no directory",
        "config": "is no file",
        "/dev/null": "is no file",
    }.items():
        said = swept.resweep("report", "rnn", "-o", target)
        assert said.status == 2
        assert words in said.err
        assert len(said.err.splitlines()) == 1
    assert swept.resweep("report", "nothing").status == 2


def test_only_scripts_that_are_in_the_page_may_run(swept: Project) -> None:
    """The policy names each script and style by its hash, and allows nothing else."""
    swept.resweep("report", "rnn", "-o", "r.html").ok()
    text = (swept.root / "r.html").read_text()
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert len(policy) == 1
    assert policy[0].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy[0]
    assert not re.findall(r"<(?:script|link|img|iframe|object)[^>]*(?:src|href)=", text.partition("<script>")[0])
    assert text.count("Apache License") >= 1
    assert "Oli Folkerd" in text
    assert "Baidu" in text
    assert "Bostock" in text


def test_a_sweep_without_metric_or_finished_trials_opens(swept: Project, opened: Opened) -> None:
    """What is missing is said, and the table is there."""
    swept.resweep("report", "rnn", "-o", "r.html").ok()
    page = opened(swept.root / "r.html")
    assert page.texts("#best .empty")[0].startswith("No run has a number yet")
    assert page.run("return report.table().getDataCount('active')") == 4
    assert not page.element("#parallel-box").is_displayed()
    page.click("#table .tabulator-row")
    assert "lr = 0." in page.texts("#tab-panel")[0]
    assert page.complaints() == []


def test_a_sweep_that_names_no_metric_takes_one(swept: Project, opened: Opened) -> None:
    """The first number counts, of validation before others; a person can choose another, and what is better of it."""
    swept.resweep("run", "rnn", "--jobs", "2").ok()
    swept.resweep("report", "rnn", "-o", "r.html").ok()
    page = opened(swept.root / "r.html")
    assert page.run("return [report.state.metric, report.state.mode]") == ["metric.best_validation_accuracy", "max"]
    assert page.texts("#best .fact b")[0] == "0.2"
    page.run("document.getElementById('mode').value = 'min'")
    page.run("document.getElementById('mode').dispatchEvent(new Event('change'))")
    page.settle()
    assert page.texts("#best .fact b")[0] == "0.1"
    assert "Importance hidden: 4 points, fewer than 6" in page.texts("#importance")[0]
    assert page.complaints() == []


def test_a_metric_that_nobody_reports_is_said(swept: Project, opened: Opened) -> None:
    """The terminal and the page say that no trial reports it, and what there is."""
    swept.write({"config/rnn.toml": SWEEP + '[results]\nmetric = "f1"\n'})
    swept.generate("--no-slurm-job").ok()
    swept.resweep("run", "rnn", "--jobs", "2").ok()
    said = swept.resweep("report", "rnn", "-o", "r.html").ok()
    assert "no finished trial reports f1; found best_validation_accuracy" in said.err
    page = opened(swept.root / "r.html")
    assert "no finished trial reports f1" in page.texts("#notes")[0]
    assert page.run("return report.state.metric") == "metric.best_validation_accuracy"
    assert page.complaints() == []


def test_a_metric_that_nobody_reports_replaces_no_page(swept: Project) -> None:
    """--metric of a name that no trial has is refused, with the names that there are; the page that is there stays."""
    give(swept, swept.entries()[0], '{"accuracy": 1}')
    swept.resweep("report", "rnn").ok()
    before = (swept.root / "rnn-report.html").read_text()
    refused = swept.resweep("report", "rnn", "--metric", "nope")
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert refused.err == "resweep: --metric nope: no finished trial reports nope; found accuracy\n"
    assert swept.resweep("results", "rnn", "--metric", "nope").err == refused.err
    near = swept.resweep("results", "rnn", "--best", "--metric", "accurcy:min")
    assert (near.status, near.out) == (2, "")
    assert near.err.endswith("no finished trial reports accurcy; found accuracy; did you mean accuracy?\n")
    assert (swept.root / "rnn-report.html").read_text() == before


def test_a_sweep_of_2020_opens(project: Project, opened: Opened) -> None:
    """Its values, states, numbers and configuration; without times there is an order."""
    for number, lr in enumerate((0.1, 0.2, 0.3), 1000001):
        for trial in (0, 1):
            project.write(
                {f"config/generated/old/{number}/{trial}/{number}.toml": f"name = 'old'\nlr = {lr}\ntrial = {trial}\n"}
            )
            home = f"model/generated/old/{number}/{trial}"
            project.write({f"{home}/metrics.json": f'{{"accuracy": {lr + trial / 100}}}', f"{home}/COMPLETE": ""})
    project.resweep("report", "old", "--metric", "accuracy", "-o", "r.html").ok()
    page = opened(project.root / "r.html")
    assert page.texts("#states") == ["6 finished"]
    assert page.texts("#best .fact b")[:2] == ["0.3050 ± 0.0071", "0.31"]
    page.show("#best-so-far")
    assert page.chart_runs("#best-so-far", "chosen") == 6
    page.click("#table .tabulator-row")
    assert "lr = 0.3" in page.texts("#tab-panel")[0]
    page.click("#tab-command")
    assert "train.sh config/generated/old/1000003/1 " in page.texts("#tab-panel")[0]
    assert page.complaints() == []


def watching(project: Project, every: int = 1) -> subprocess.Popen[str]:
    """`resweep report rnn --watch N`, as a process."""
    command = [sys.executable, "-m", "resweep", "report", "rnn", "--watch", str(every), "-o", "r.html"]
    return subprocess.Popen(command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def embedded(project: Project) -> str:
    """What the page holds now."""
    return (project.root / "r.html").read_text().partition('id="data">')[2].partition("</script>")[0]


@pytest.mark.slow
def test_watching_follows_trials_until_all_have_ended(project: Project) -> None:
    """Each page is whole, reads itself again while trials run, and not any more when all have ended."""
    trained.sweep(project, lr="0.001")
    process = watching(project)
    try:
        until(lambda: (project.root / "r.html").exists())
        assert '"watch":1.0' in embedded(project)
        trained.finish_all(project, fail=0.1)
        said = process.communicate(timeout=300)[0]
    finally:
        process.kill()
    assert process.returncode == 0
    assert said.splitlines()[0] == "r.html: 54 queued"  # then, on a slow machine, a line of some that have ended
    assert said.splitlines()[-1] == "r.html: all trials have ended"
    assert '"watch":null' in embedded(project)
    assert [path.name for path in project.root.iterdir() if "r.html" in path.name] == ["r.html"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watching_ends_when_told(project: Project, number: int) -> None:
    """Ctrl-C leaves a page that does not read itself again; a TERM leaves a whole one."""
    trained.sweep(project, lr="0.001")
    process = watching(project)
    try:
        until_it_says(process.stdout, "r.html: 54 queued")
        process.send_signal(number)
        said = process.communicate(timeout=300)[0]
    finally:
        process.kill()
    assert "Traceback" not in said
    assert (project.root / "r.html").read_text().endswith("</html>\n")
    if number == signal.SIGINT:
        assert process.returncode == 0
        assert '"watch":null' in embedded(project)
    assert [path.name for path in project.root.iterdir() if "r.html" in path.name] == ["r.html"]


def test_a_watched_page_reads_itself_again_and_keeps_what_is_chosen(project: Project, opened: Opened) -> None:
    """New numbers appear in an open page, its filters stay; paused, or with a run open, it stays as it is."""
    trained.sweep(project, lr="0.001")
    entries = project.entries()
    trained.finished(project, entries[0], "rnn", {"validation_accuracy": [0.1, 0.2]}, trained.BEGAN)
    process = watching(project, 5)  # a page that takes longer than that to open would never be there
    try:
        until(lambda: (project.root / "r.html").exists())
        page = opened(project.root / "r.html")
        page.run("report.setFilter('swept.params.dropout', {ranges: [[0, 0.25]]})")
        trained.finished(project, entries[1], "rnn", {"validation_accuracy": [0.1, 0.7]}, trained.BEGAN)
        until(
            lambda: page.run("return window.report && report.page.runs.state.filter((code) => code === 0).length") == 2
        )
        page.run("document.querySelector('#watch').click()")
        page.run("window.same = true")
        page.settle()
        assert page.filters() == {"swept.params.dropout": {"ranges": [[0, 0.25]]}}
        assert len(page.selected()) == 36
        time.sleep(6)
        assert page.run("return window.same")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=300)


@pytest.mark.slow
def test_the_wheel_has_all_that_a_page_is_made_of(tmp_path: Path) -> None:
    """Template, styles, scripts, libraries and notices are in what is installed."""
    import zipfile

    from small_project import REPOSITORY

    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(REPOSITORY)]
    subprocess.run(command, check=True, capture_output=True, env=os.environ)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    here = REPOSITORY / "resweep" / "report"
    files = [path for path in here.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert len(files) > 20
    assert {str(path.relative_to(REPOSITORY)) for path in files} <= names
