"""What every test gets: a clean environment, and a small project to sweep."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import pytest_randomly
import tiers
from launched import Trial
from small_project import Project

# Only the order is random. The seeders that other packages offer would load torch into every worker.
pytest_randomly.entrypoint_reseeds = []
SKIP_NOTHING = bool(os.environ.get("RESWEEP_TESTS_SKIP_NOTHING"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test is marked and grouped before others choose among the tests by marker and group."""
    tiers.arrange(items)


def pytest_collection_finish(session: pytest.Session) -> None:
    """A pytest that pytest-xdist does not know would tear groups apart without a word."""
    if getattr(session.config.option, "loadgroup", False):
        torn = [item for item in session.items if item.get_closest_marker("xdist_group") and "@" not in item.nodeid]
        if torn:
            raise pytest.UsageError(
                f"pytest {pytest.__version__} and pytest-xdist do not keep groups of tests together"
            )


class _AtOnce:
    """Tells of each failure when it happens; the whole of it follows at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._plugins = config.pluginmanager

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One line: which test, and what went wrong."""
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            first = (crash.message if crash else report.longreprtext).partition("\n")[0]
            self._plugins.get_plugin("terminalreporter").write_line(f"\nFAILED {report.nodeid}: {first}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Failures are told at once, by the process that has the terminal; and Ctrl-C works, also below `nohup`."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # all processes that tests start would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_AtOnce(config), "at-once")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where nothing may be skipped, as in continuous integration, a test that would be is a failure."""
    report = yield
    if SKIP_NOTHING and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"would be skipped, and RESWEEP_TESTS_SKIP_NOTHING is set: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No setting of the person who runs the tests reaches what is tested, and no file of theirs is written to."""
    for name in list(os.environ):
        if name.startswith(("PYTHON", "RESWEEP_", "SLURM_", "SBATCH_")) or name == "CUDA_VISIBLE_DEVICES":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    # `python` of a train.sh of 2020, and resweep of a jobs script, are those that run the tests
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"])
    yield
    for name in [name for name in os.environ if name.startswith("RESWEEP_")]:
        del os.environ[name]  # `resweep run`, called in this process, sets some for its trials


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose path has a space in it."""
    root = tmp_path / "a project"
    root.mkdir()
    return Project(root)


@pytest.fixture
def project_on_disk() -> Iterator[Project]:
    """A project on the disk, where others are in memory (Makefile): blocks and links are counted otherwise there."""
    with tempfile.TemporaryDirectory(prefix="resweep-") as home:
        root = Path(home, "a project")
        root.mkdir()
        yield Project(root)


@pytest.fixture
def swept(project: Project) -> Project:
    """The project with its sweep of four trials generated."""
    project.begin("config/rnn.toml", "base.jsonnet", "rnn", "--no-slurm-job")
    return project


@pytest.fixture
def trial(swept: Project) -> Iterator[Trial]:
    """One trial of the generated sweep; nothing that it started outlives the test."""
    trial = Trial(swept)
    yield trial
    trial.end()


@pytest.fixture
def trials(swept: Project) -> list[Trial]:
    """The four trials of the sweep, whose training leaves a line each in the project's file `runs`."""
    four = [Trial(swept, number) for number in (1, 2, 3, 4)]
    for trial in four:
        trial.train('echo "${1%/*}" >> "$root/runs"')
    return four
