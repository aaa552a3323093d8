"""Real Slurms on this machine: four virtual nodes each, started when a test wants one and ended with the session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import on_slurm
import pytest
import running
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
    with _running(Cluster(DBD=0)) as cluster:
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
def frail_cluster(_installed: None) -> Iterator[Cluster]:
    """A cluster without accounting, whose nodes may die."""
    with _running(Cluster(DBD=0, TIMEOUT=6)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kind_cluster(_installed: None) -> Iterator[Cluster]:
    """A cluster whose KillWait is twice as long as the launcher's own default grace."""
    with _running(Cluster(DBD=0, KILLWAIT=20, NODES=2)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def split_cluster(_installed: None) -> Iterator[Cluster]:
    """A cluster whose nodes have hostnames of their own, and are soon taken for dead; KillWait is Slurm's own."""
    with _running(Cluster(DBD=0, TIMEOUT=6, NODES=2, UTS=1, KILLWAIT=30)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def patient_cluster(_installed: None) -> Iterator[Cluster]:
    """A cluster whose arrays have at most 24 tasks, and which leaves the processor to the other tests."""
    with _running(Cluster(nice=5, DBD=0, MAXARRAY=25, NODES=1, CPUS=6)) as cluster:
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
def kind(kind_cluster: Cluster, monkeypatch: pytest.MonkeyPatch, _own_settings: None) -> Iterator[Cluster]:
    """The cluster that waits long before it kills, empty, and found by the commands of Slurm."""
    yield from _given(kind_cluster, monkeypatch)


@pytest.fixture
def split(split_cluster: Cluster, monkeypatch: pytest.MonkeyPatch, _own_settings: None) -> Iterator[Cluster]:
    """The cluster of nodes with hostnames of their own, empty, and found by the commands of Slurm."""
    yield from _given(split_cluster, monkeypatch)


@pytest.fixture
def accounting(accounting_cluster: Cluster, monkeypatch: pytest.MonkeyPatch, _own_settings: None) -> Iterator[Cluster]:
    """The cluster with accounting, empty, and found by the commands of Slurm."""
    yield from _given(accounting_cluster, monkeypatch)


@pytest.fixture
def frail(frail_cluster: Cluster, monkeypatch: pytest.MonkeyPatch, _own_settings: None) -> Cluster:
    """The cluster on which nodes were killed, found by the commands of Slurm; what runs there belongs to `killed`."""
    monkeypatch.setenv("SLURM_CONF", frail_cluster.environment["SLURM_CONF"])
    return frail_cluster


@pytest.fixture
def forgetful(forgetful_cluster: Cluster, monkeypatch: pytest.MonkeyPatch, _own_settings: None) -> Cluster:
    """The cluster that forgets, found by the commands of Slurm; what runs there belongs to `minute`."""
    monkeypatch.setenv("SLURM_CONF", forgetful_cluster.environment["SLURM_CONF"])
    return forgetful_cluster


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Project]:
    """Makes projects that outlive one test."""

    def make(name: str) -> Project:
        return Project(tmp_path_factory.mktemp(name))

    return make


# --- what takes long is submitted once for several tests, on a worker that waits while others work ------------------


@pytest.fixture(scope="session")
def many(patient_cluster: Cluster, new_project: Callable[[str], Project]) -> Project:
    """A sweep of 60 trials, submitted."""
    project = on_slurm.sweep(new_project("many"), 60)
    on_slurm.start(project, **patient_cluster.environment).ok()
    return project


@pytest.fixture(scope="session")
def killed(frail_cluster: Cluster, new_project: Callable[[str], Project]) -> tuple[Project, Project]:
    """Two sweeps, half of each on a node that lost its power: one whose jobs are requeued, and one whose are not."""
    again, never = new_project("again"), new_project("never")
    dead = []
    for project, option in ((again, "requeue"), (never, "no-requeue")):
        on_slurm.sweep(project, 8, on_slurm.WAIT, slurm=f'{option} = true\nmem = "50M"\ncpus-per-task = 2')
        on_slurm.start(project, **frail_cluster.environment).ok()
        on_slurm.until(lambda project=project: len(list(project.root.glob("started-*"))) == 8)
        dead.append(running.record(project, 1)["slurm"]["SLURM_NODELIST"])
    for node in dead:
        frail_cluster.do("killnode", node)
    for project in (again, never):
        (project.root / "dead").write_text(" ".join(dead))
        on_slurm.go(project)
    return again, never


@pytest.fixture(scope="session")
def minute(forgetful_cluster: Cluster, new_project: Callable[[str], Project]) -> dict[str, Project]:
    """Three sweeps with time limits of a minute and a word before that, and one whose job ended at once."""
    listens = """cd "$1"; exec python -c '
import os, pathlib, signal, sys, time
out = pathlib.Path(sys.argv[1])
if (out / "checkpoint").exists():
    (out / "metrics.json").write_text("{}")
    sys.exit()
def save(number, frame):
    (out / "checkpoint").write_text(os.environ["RESWEEP_ATTEMPT"])
    sys.exit(85)
signal.signal(signal.SIGUSR1, save)
out.mkdir(exist_ok=True)
time.sleep(1000)
' "$out"
"""
    dies = "kill -9 $PPID; kill -9 0\n"  # the launcher first, which so leaves no word of it
    tables = {
        "deaf": (on_slurm.LONG, 'time = 1\nsignal = "USR1@50"'),
        "listens": (listens, 'time = 1\nsignal = "USR1@50"'),
        "cancelled": (on_slurm.LONG, "time = 5"),
        "dies": (dies, "no-requeue = true"),
    }
    projects = {}
    for name, (train, table) in tables.items():
        projects[name] = on_slurm.sweep(new_project(name), 2 if name == "cancelled" else 1, train, slurm=table)
        on_slurm.start(projects[name], **forgetful_cluster.environment).ok()
    on_slurm.until(lambda: len(list(projects["cancelled"].root.glob("started-*"))) == 2)
    forgetful_cluster.ask("scancel", on_slurm.jobs(projects["cancelled"])[0].id)
    return projects
