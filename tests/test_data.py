"""Data is fingerprinted when it is generated and checked before each attempt, and big files are read once.

Code: launcher/fingerprints, cli/notices
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from launched import Trial
from small_project import SWEEP, Project, Result

from resweep.launcher import fingerprints
from resweep.launcher.fingerprints import Cache

DATA = SWEEP + '\n[data]\nfiles = ["data/*.json"]\n'
LONG_AGO = time.time() - 1000


def write(path: Path, text: str, when: float | None = LONG_AGO) -> None:
    """Write a file as if it were old: what was just written is never trusted to stay as it looks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if when is not None:
        os.utime(path, (when, when))


def sha(text: str) -> str:
    """The digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


@contextlib.contextmanager
def later(monkeypatch: pytest.MonkeyPatch, seconds: float = 100):  # type: ignore[no-untyped-def]
    """A while later: files that were written now have settled."""
    real = time.time_ns
    with monkeypatch.context() as patch:
        patch.setattr(fingerprints.time, "time_ns", lambda: real() + int(seconds * 1e9))
        yield


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read whole."""
    found: list[str] = []
    real = fingerprints._hash
    monkeypatch.setattr(fingerprints, "_hash", lambda file: (found.append(Path(file.name).name), real(file))[1])
    return found


# --- the cache --------------------------------------------------------------------------------------------------------


def test_an_unchanged_file_is_read_once(tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Size, times and inode unchanged: its digest comes from the cache, also in another process."""
    file, cache = tmp_path / "big", str(tmp_path / "cache")
    write(file, "one")
    with later(monkeypatch):
        first = Cache(cache)
        assert first.digest(str(file)) == (sha("one"), 3)
        assert first.digest(str(file)) == (sha("one"), 3)
        first.save()
        assert Cache(cache).digest(str(file)) == (sha("one"), 3)
    assert reads == ["big"]


def test_a_change_that_keeps_size_and_time_is_seen(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can set ctime: touching back the modification time hides nothing; nor does another file of that name."""
    file = tmp_path / "big"
    write(file, "one")
    with later(monkeypatch):
        cache = Cache(None)
        cache.digest(str(file))
        time.sleep(0.01)
        write(file, "two")
        assert cache.digest(str(file)) == (sha("two"), 3)
        write(tmp_path / "other", "six")
        os.replace(tmp_path / "other", file)
        assert cache.digest(str(file)) == (sha("six"), 3)
    assert len(reads) == 3


def test_a_file_that_was_just_written_is_not_trusted(tmp_path: Path, reads: list[str]) -> None:
    """It may be written again within one tick of its clock, so it is read again until it has settled."""
    file = tmp_path / "big"
    write(file, "one", when=None)
    cache = Cache(None)
    for _ in range(2):
        cache.digest(str(file))
    assert len(reads) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 9}', '{"format": 1, "files": 3}'])
def test_a_broken_cache_costs_a_reading(tmp_path: Path, text: str) -> None:
    """What is in the cache's place is replaced, and no digest depends on it."""
    file, cache = tmp_path / "big", tmp_path / "cache"
    write(file, "one")
    cache.write_text(text)
    mine = Cache(str(cache))
    assert mine.digest(str(file)) == (sha("one"), 3)
    mine.save()
    assert json.loads(cache.read_text())["files"]


def test_writers_at_once_leave_a_whole_cache(tmp_path: Path) -> None:
    """Eight at a time: whoever reads gets JSON, and right digests."""
    path = tmp_path / "cache"
    for number in range(8):
        write(tmp_path / str(number), str(number))

    def work(number: int) -> None:
        for _ in range(20):
            cache = Cache(str(path))
            assert cache.digest(str(tmp_path / str(number)))[0] == sha(str(number))
            cache.save()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(json.loads(path.read_text())["files"]) <= {str(tmp_path / str(number)) for number in range(8)}
    assert sorted(p.name for p in tmp_path.iterdir()) == [*map(str, range(8)), "cache"]


NAMES = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["", "x", "y", "zz"]))


@given(NAMES, NAMES)
def test_changes_are_exactly_the_differences(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, str], after: dict[str, str]
) -> None:
    """Two states of a directory: what is changed, missing or new is named, and nothing else."""
    root = tmp_path_factory.mktemp("data")
    before = {"always": "", **before}
    for name, text in before.items():
        write(root / "d" / name, text)
    recorded = fingerprints.listing(["d/*"], str(root), Cache(None))
    for name in before:
        (root / "d" / name).unlink()
    for name, text in ({"always": ""} | after).items():
        write(root / "d" / name, text)
    now = fingerprints.listing(["d/*"], str(root), Cache(None))
    expected = sorted(
        (f"d/{name}", "changed" if name in before and name in after else "missing" if name in before else "new")
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name) and name != "always"
    )
    assert [tuple(change) for change in fingerprints.changes(recorded, str(root), Cache(None))] == expected
    assert [tuple(change) for change in fingerprints.differences(recorded, now)] == expected


def test_patterns_name_files_directories_and_whole_paths(tmp_path: Path) -> None:
    """`**` crosses directories, a directory stands for what is in it, an absolute pattern for itself."""
    root = tmp_path / "a [strange] root"
    for name in ("a.json", "d/b.json", "d/e/c.json", "d/e/f.txt"):
        write(root / name, "")
    assert fingerprints.find(["*.json"], str(root)) == ["a.json"]
    assert fingerprints.find(["**/*.json"], str(root)) == ["a.json", "d/b.json", "d/e/c.json"]
    assert fingerprints.find(["d", "a.json"], str(root)) == ["a.json", "d/b.json", "d/e/c.json", "d/e/f.txt"]
    assert fingerprints.find([f"{tmp_path}/*/d/e/*.txt"], "/") == [f"{root}/d/e/f.txt"]


# --- sweeps -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def fed(project: Project) -> Project:
    """A generated sweep with two files of data."""
    write(project.root / "data/a.json", "1")
    write(project.root / "data/b.json", "2")
    project.write({"config/rnn.toml": DATA}).generate("--no-slurm-job").ok()
    return project


def listing(project: Project, number: int = 1) -> dict[str, object]:
    """The fingerprints that a generation froze."""
    found: dict[str, object] = json.loads((project.paths().generations / str(number) / "fingerprints.json").read_text())
    return found


def test_fingerprints_are_stored_and_are_no_part_of_the_trial(fed: Project, tmp_path: Path) -> None:
    """One file for all capsules of a generation, none in the manifest; other data, or none, gives the same ids."""
    files = {"data/a.json": {"sha256": sha("1"), "size": 1}, "data/b.json": {"sha256": sha("2"), "size": 1}}
    assert listing(fed) == {"format": 1, "patterns": ["data/*.json"], "files": files}
    stored = fed.paths().generations / "1" / "fingerprints.json"
    for folder in fed.capsules():
        assert (folder / "fingerprints.json").samefile(stored)
        assert "fingerprints" not in (folder / "manifest.json").read_text()
        digest = json.loads((folder / "provenance.json").read_text())["data"]
        assert digest == hashlib.sha256(stored.read_bytes()).hexdigest()
    (tmp_path / "other").mkdir()
    other = Project(tmp_path / "other")
    other.generate("--no-slurm-job").ok()
    assert [entry.name for entry in other.entries()] == [entry.name for entry in fed.entries()]
    manifests = [[(folder / "manifest.json").read_bytes() for folder in each.capsules()] for each in (fed, other)]
    assert manifests[0] == manifests[1]


def run(project: Project, *options: str) -> Result:
    """`resweep run rnn`."""
    return project.resweep("run", "rnn", "--jobs", "1", *options)


CHANGES = {
    "data/a.json (changed)": lambda root: write(root / "data/a.json", "3"),
    "data/b.json (missing)": lambda root: (root / "data/b.json").unlink(),
    "data/c.json (new)": lambda root: write(root / "data/c.json", "4"),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_changed_data_stops_every_way_to_run(fed: Project, change: str) -> None:
    """One line with its name, exit status 2, no attempt; status says why nothing starts; restored, it runs."""
    before = fed.tree("data")
    CHANGES[change](fed.root)
    capsule = fed.capsules()[0]
    launched = fed.shell(f'python -ISB "{fed.paths().launcher}" run "{capsule}"')
    again = fed.shell(f'bash "{capsule}/rerun.sh" "{fed.root.parent}/again"')
    for result in (run(fed), launched, again):
        assert result.status == 2
        assert change in result.err
        assert result.err.count("\n") == 1
    assert not (fed.root.parent / "again").exists()
    assert not (fed.root / "model").exists()
    status = fed.resweep("status", "rnn").ok().out
    assert "4 queued" in status
    assert f"  data     changed since it was generated, so no trial starts: {change}\n" in status
    assert json.loads(fed.resweep("status", "rnn", "--json").out)["data_changed"] == [change]
    for path in (fed.root / "data").iterdir():
        path.unlink()
    for name, content in before.items():
        write(fed.root / "data" / name, content.decode())
    run(fed).ok()
    assert "data " not in fed.resweep("status", "rnn").out


@pytest.mark.slow
def test_data_that_changes_while_a_sweep_runs_stops_the_rest(fed: Project) -> None:
    """Each attempt checks for itself: those that come later are not started, and the runner says so."""
    fed.write({"train.sh": 'echo 5 > "$1/../../../../../data/a.json"\n'}).generate("--no-slurm-job").ok()
    result = run(fed)
    assert result.status == 1
    assert result.out.count("finished in") == 1
    assert result.err.count("data/a.json (changed)") == 3
    assert "1 finished, 3 queued" in fed.resweep("status", "rnn").out


@pytest.mark.slow
def test_changed_data_can_be_allowed_and_is_recorded(fed: Project) -> None:
    """--allow-changed-data runs; record, status and results say which files had changed. rerun.sh has a variable."""
    CHANGES["data/a.json (changed)"](fed.root)
    run(fed, "--allow-changed-data").ok()
    os.environ.pop("RESWEEP_ALLOW_CHANGED_DATA")
    entry = fed.entries()[0]
    stored = fed.paths().generations / "1" / "fingerprints.json"
    assert fed.record(entry)["data_changed"] == ["data/a.json (changed)"]
    assert fed.record(entry)["data"] == hashlib.sha256(stored.read_bytes()).hexdigest()
    for command in ("status", "results"):
        out = fed.resweep(command, "rnn").ok().out
        assert "  allowed  4 trials (#1, #2, #3, ...): ran although the data had changed: data/a.json (changed)" in out
    command = f'bash "{fed.capsules()[0]}/rerun.sh" "{fed.root.parent}/again"'
    fed.shell(command, RESWEEP_ALLOW_CHANGED_DATA="1").ok()
    assert json.loads((fed.root.parent / "again/record.json").read_text())["data_changed"]


@pytest.mark.slow
def test_generating_again_takes_the_data_as_it_is_and_says_so(fed: Project) -> None:
    """The plan names what changed and how many have finished with other data; the trials stay, and run."""
    run(fed, "--max-trials", "1").ok()
    CHANGES["data/a.json (changed)"](fed.root)
    CHANGES["data/c.json (new)"](fed.root)
    said = "data changed: data/a.json (changed), data/c.json (new); finished with the data as it was: 1 trial"
    tree = fed.tree()
    assert said in fed.generate("--no-slurm-job", "--dry-run").ok().out
    assert fed.tree() == tree
    result = fed.generate("--no-slurm-job").ok()
    assert "0 new trials, 4 kept, 0 orphaned" in result.out
    assert said in result.out
    assert set(listing(fed, 2)["files"]) == {"data/a.json", "data/b.json", "data/c.json"}  # type: ignore[call-overload]
    assert "nothing to write" in fed.generate("--no-slurm-job").ok().out
    run(fed).ok()
    fed.write({"config/rnn.toml": SWEEP})
    assert "data/a.json (missing)" in fed.generate("--no-slurm-job").ok().out
    assert "nothing to run" in run(fed).ok().out


@pytest.mark.slow
def test_relative_data_starts_from_resweep_data(fed: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When generating, running and running again alike; a moved capsule looks in the current directory."""
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere / "data/a.json", "1")
    write(elsewhere / "data/b.json", "2")
    (fed.root / "data").rename(tmp_path / "gone")
    assert run(fed).status == 2
    capsule = fed.capsules()[0]
    (tmp_path / "alone").mkdir()
    fed.shell(f'cp -r "{capsule}" "{tmp_path}/alone"').ok()
    moved = f'bash "{tmp_path}/alone/0/rerun.sh"'
    assert "data/a.json (missing)" in fed.shell(moved).err
    fed.shell(f'cd "{elsewhere}"; {moved}').ok()
    monkeypatch.setenv("RESWEEP_DATA", str(elsewhere))
    run(fed).ok()
    assert "nothing to write" in fed.generate("--no-slurm-job").ok().out


@pytest.mark.slow
def test_a_check_before_an_attempt_reads_no_big_file_again(
    trial: Trial, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Generating leaves the digests for all launchers of the project."""
    write(trial.project.root / "data/a.json", "1")
    trial.project.write({"config/rnn.toml": DATA})
    with later(monkeypatch):
        trial.project.generate("--no-slurm-job").ok()
        assert reads == ["a.json"]
        run(trial.project).ok()
    assert reads == ["a.json"]
