"""Real Slurms on this machine: four virtual nodes each, started when a test wants one and ended with the session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import on_slurm
import pytest
from on_slurm import Cluster
from small_project import Project


@contextmanager
def _running(cluster: Cluster) -> Iterator[Cluster]:
    try:
        cluster.do("start")
        yield cluster
    finally:
        cluster.do("clean")


@pytest.fixture(scope="session")
def _installed() -> None:
    missing = on_slurm.missing(*on_slurm.PROGRAMS)
    if missing or os.geteuid():
        pytest.skip(f"needs root and an installed Slurm (missing: {', '.join(missing) or 'root'})")


@pytest.fixture(scope="session")
def _accounting_installed(_installed: None) -> None:
    if missing := on_slurm.missing(*on_slurm.ACCOUNTING):
        pytest.skip(f"needs Slurm's accounting (missing: {', '.join(missing)})")


@pytest.fixture(scope="session")
def plain_cluster(_installed: None) -> Iterator[Cluster]:
    """A cluster without accounting."""
    with _running(Cluster(DBD=0, TIMEOUT=6)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def accounting_cluster(_accounting_installed: None) -> Iterator[Cluster]:
    """A cluster with accounting, and so with QOS, accounts and their limits."""
    with _running(Cluster(DBD=1)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def forgetful_cluster(_accounting_installed: None) -> Iterator[Cluster]:
    """A cluster with accounting whose controller forgets jobs within a minute."""
    with _running(Cluster(DBD=1, MINJOBAGE=2)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def patient_cluster(_installed: None) -> Iterator[Cluster]:
    """A cluster with Slurm's own MaxArraySize, whose thousands of tasks leave the processor to the other tests."""
    with _running(Cluster(nice=15, DBD=0, MAXARRAY=1001)) as cluster:
        yield cluster


@pytest.fixture
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No person's or site's defaults."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "xdg-site"))


def _given(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    yield cluster
    cluster.empty()


@pytest.fixture
def slurm(plain_cluster: Cluster, monkeypatch: pytest.MonkeyPatch, _own_settings: None) -> Iterator[Cluster]:
    """The cluster without accounting, empty, and found by the commands of Slurm."""
    yield from _given(plain_cluster, monkeypatch)


@pytest.fixture
def accounting(accounting_cluster: Cluster, monkeypatch: pytest.MonkeyPatch, _own_settings: None) -> Iterator[Cluster]:
    """The cluster with accounting, empty, and found by the commands of Slurm."""
    yield from _given(accounting_cluster, monkeypatch)


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Project]:
    """Makes projects that outlive one test."""

    def make(name: str) -> Project:
        return Project(tmp_path_factory.mktemp(name))

    return make


@pytest.fixture(scope="session", autouse=True)
def _what_takes_long_begins_at_once(request: pytest.FixtureRequest) -> None:
    """What waits for Slurm's minutes, and for thousands of tasks, goes on beside the other tests."""
    wanted = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    for name in ("minute", "thousands"):
        if name in wanted:
            request.getfixturevalue(name)


@pytest.fixture(scope="session")
def thousands(patient_cluster: Cluster, new_project: Callable[[str], Project]) -> Project:
    """A sweep of 2,500 trials, submitted when the session began."""
    project = on_slurm.sweep(new_project("thousands"), 2500)
    on_slurm.start(project, **patient_cluster.environment).ok()
    return project
