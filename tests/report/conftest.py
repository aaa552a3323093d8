"""One browser for all tests of the page, and sweeps that are made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
import trained
from small_project import Project

if TYPE_CHECKING:
    from browser import Page
    from selenium.webdriver import Chrome


@pytest.fixture(scope="session")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A real Chromium; where there is none its tests are skipped, and fail in continuous integration."""
    import browser

    missing = browser.missing()
    if missing:
        pytest.skip(f"no Chromium with its driver here: {missing}")
    with browser.chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def opened(chrome: Chrome) -> Iterator[Callable[..., Page]]:
    """Opens a page in the browser, which has none when the test is over: a page that nobody sees takes time, too."""
    from browser import Page

    yield lambda path, **how: Page(chrome, path, **how)
    chrome.get("about:blank")


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A sweep of 324 trials, most of which have finished, with its page in report.html. Read it only."""
    root = tmp_path_factory.mktemp("searched") / "a project"
    root.mkdir()
    project = Project(root)
    trained.sweep(project, repeats=2)
    trained.finish_all(project, run=9)
    project.resweep("report", "rnn", "-o", str(root / "report.html")).ok()
    return project


@pytest.fixture
def page(searched: Project, opened: Callable[..., Page]) -> Page:
    """The page of that sweep, fresh."""
    return opened(searched.root / "report.html")
