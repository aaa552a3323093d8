"""A second look is fast, and never tells anything but the first would tell now.

Code: results/cache
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest
from small_project import Project
from test_metrics import events
from test_results import give

from resweep.results import cache, metrics, trial_rows
from resweep.sweep.definition import ResultsOptions


@pytest.fixture
def looked(swept: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Project:
    """Four finished trials, looked at once; their files count as settled at once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "RACY_NANOSECONDS", 0)
    for number, entry in enumerate(swept.entries()):
        give(swept, entry, json.dumps({"a": number}), state="failed" if number == 3 else "finished")
    time.sleep(0.02)  # the clock of file times is coarser than that of the system
    assert look(swept) == [0, 1, 2, None]
    return swept


def look(project: Project) -> list[object]:
    """The metric of every trial."""
    rows = trial_rows.rows(project.paths(), project.entries(), ResultsOptions())
    return [row.metrics.get("a") for row in rows]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The directories that are read from now on."""
    found: list[str] = []
    real = metrics.read

    def read(output: metrics.Output, *arguments: object, **more: object) -> metrics.Reading:
        found.append(output.directory)
        return real(output, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(metrics, "read", read)
    return found


def test_a_second_look_reads_nothing_and_is_the_same(looked: Project, reads: list[str]) -> None:
    """Nothing has changed: no metrics are read, and the rows are equal to those of a first look."""
    options = ResultsOptions()
    again = trial_rows.rows(looked.paths(), looked.entries(), options)
    assert reads == []
    for file in (cache.home() / "results").iterdir():
        file.unlink()
    assert trial_rows.rows(looked.paths(), looked.entries(), options) == again
    assert len(reads) == 3


def _edit(project: Project) -> None:
    """The same size, in place, and the time of the change put back."""
    path = Path(project.paths().place(project.entries()[0].name).output, "metrics.json")
    before = path.stat()
    path.write_text('{"a": 9}')
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(project: Project) -> None:
    path = Path(project.paths().place(project.entries()[0].name).output, "metrics.json")
    before = path.stat()
    other = path.with_name("other")
    other.write_text('{"a": 9}')
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(path)


def _rename_output(project: Project) -> None:
    output = Path(project.paths().place(project.entries()[0].name).output)
    output.rename(output.with_name("elsewhere"))
    output.mkdir()
    (output / "metrics.json").write_text('{"a": 9}')


@pytest.mark.parametrize("change", [_edit, _replace, _rename_output])
def test_a_change_is_seen(looked: Project, change: object) -> None:
    """What is written again with the same size and time, replaced, or put elsewhere, is read again."""
    change(looked)  # type: ignore[operator]
    assert look(looked) == [9, 1, 2, None]


def test_a_new_attempt_is_seen(looked: Project) -> None:
    """A failed trial that runs again and finishes has its metrics."""
    place = looked.paths().place(looked.entries()[3].name)
    second = Path(place.attempt(2))
    second.mkdir()
    (second / "record.json").write_text(json.dumps({"state": "finished", "attempt": 2, "seconds": 1}))
    Path(place.attempts, "finished").hardlink_to(second / "record.json")
    assert look(looked) == [0, 1, 2, 3]


def test_what_exec_measured_is_seen(looked: Project) -> None:
    """A command of exec that ends after the first look joins the row, also when it was running then."""
    place = looked.paths().place(looked.entries()[0].name)
    folder = Path(place.attempts, "exec-test-1")
    folder.mkdir()
    (folder / "record.json").write_text('{"state": "running"}')
    (folder / "metrics.json").write_text('{"b": 5}')
    options = ResultsOptions()
    time.sleep(0.02)
    assert "test.b" not in trial_rows.rows(looked.paths(), looked.entries(), options)[0].metrics
    (folder / "record.json").write_text('{"state": "finished"}')
    assert trial_rows.rows(looked.paths(), looked.entries(), options)[0].metrics["test.b"] == 5


def test_what_is_a_moment_old_is_not_kept(
    swept: Project, reads: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file that has just been written could change again within the same tick of the clock: it is read again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    give(swept, swept.entries()[0], '{"a": 1}')
    look(swept)
    look(swept)
    assert len(reads) == 2


@pytest.mark.parametrize("damage", ["", "x", "1 0\n[]", "torn", "flipped"])
def test_a_damaged_cache_is_as_none(looked: Project, damage: str) -> None:
    """A cache that is empty, torn, of another kind or changed by a bit gives no row, and is written anew."""
    (file,) = (cache.home() / "results").iterdir()
    data = bytearray(file.read_bytes())
    if damage == "torn":
        del data[-10:]
    elif damage == "flipped":
        data[data.index(b"[[0]") if b"[[0]" in data else -5] ^= 1
    else:
        data = bytearray(damage.encode())
    file.write_bytes(data)
    assert look(looked) == [0, 1, 2, None]
    assert file.read_bytes() != data


def test_without_a_place_to_write_results_are_shown(
    swept: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that cannot be written costs time and nothing else."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(cache, "RACY_NANOSECONDS", 0)
    give(swept, swept.entries()[0], '{"a": 1}')
    time.sleep(0.02)
    assert look(swept)[0] == 1


def test_options_and_projects_do_not_share(looked: Project) -> None:
    """Another metric may be in another file: what was read for one is not told for the other."""
    output = Path(looked.paths().place(looked.entries()[0].name).output)
    (output / "metrics.jsonl").write_text('{"b": 7}\n')
    rows = trial_rows.rows(looked.paths(), looked.entries(), ResultsOptions(metric="b"))
    assert rows[0].metrics == {"b": 7, "a": 0}
    assert look(looked) == [0, 1, 2, None]


def test_a_missing_package_is_not_remembered(swept: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is installed after the first look is used at the second, although no file of the trial has changed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "RACY_NANOSECONDS", 0)
    give(swept, swept.entries()[0], None)
    events(Path(swept.paths().place(swept.entries()[0].name).output), ("a", 1, 2.0))
    time.sleep(0.02)
    with monkeypatch.context() as without:
        for name in [name for name in sys.modules if name.partition(".")[0] == "tensorboard"]:
            without.delitem(sys.modules, name)
        without.setitem(sys.modules, "tensorboard", None)
        assert look(swept)[0] is None
    assert look(swept)[0] == 2.0
