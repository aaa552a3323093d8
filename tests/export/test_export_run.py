"""What every target is told of a trial.

Code: export/run, export/live
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from exported import BEGAN, four, give, runs
from hypothesis import given
from hypothesis import strategies as st
from small_project import SWEEP, Project

from resweep.export import run

NAMES = st.lists(st.text(st.characters(codec=None), max_size=20) | st.sampled_from(["..", "/a", "a/../b"]), unique=True)


def test_only_trials_with_an_attempt_are_runs(swept: Project) -> None:
    """What waits is left out; what failed is a run with its state, and the curves that it had until then."""
    found = runs(four(swept))
    assert [each.state for each in found] == ["finished", "finished", "failed"]
    assert [each.title for each in found] == ["rnn#1", "rnn#2", "rnn#3"]
    assert [curve.values for curve in found[2].history().curves] == [(9.0,)]
    assert found[2].summary == {}


def test_a_run_has_its_whole_configuration_and_its_own_times(swept: Project) -> None:
    """Configuration, swept values, seed; begin and end as the record says."""
    (first, *_) = runs(four(swept))
    entry = swept.entries()[0]
    assert first.config == {"params.lr": entry.swept["params.lr"], "seed": 0, "trial": 0, **entry.swept}
    assert (first.started, first.ended, first.seconds) == (BEGAN, BEGAN + 100, 100)
    assert first.summary == {"loss": 0.25, "acc": 0.4, "best": 0.5, "note": "fine"}


@pytest.mark.slow
def test_an_orphan_has_the_configuration_that_its_capsule_has(project: Project) -> None:
    """The sweep's definition of today is not that of a trial that is no longer in it."""
    project.write({"config/rnn.toml": SWEEP + "sleep = 0\n"})
    project.generate("--no-slurm-job").ok()
    (first, *_) = project.entries()
    give(project, first, {"a": 1})
    project.write({"config/rnn.toml": SWEEP + "sleep = 0.001\n"})
    project.generate("--no-slurm-job").ok()
    (found,) = runs(project, "rnn#1")
    assert found.config["params.sleep"] == 0
    assert found.config["params.lr"] == first.swept["params.lr"]


def test_keys_are_stable_and_unlike(swept: Project, tmp_path: Path) -> None:
    """A run's key is the same again and in a moved project, and no two trials or projects share one."""
    before = [each.key for each in runs(four(swept))]
    assert len(set(before)) == 3
    assert all(len(key) == 32 and int(key, 16) >= 0 for key in before)
    swept.root.rename(tmp_path / "moved")
    swept.root = tmp_path / "moved"
    assert [each.key for each in runs(swept)] == before


def test_times_of_points_are_known_or_even(swept: Project) -> None:
    """An epoch's file says when it was; where nothing does, or cannot be right, the points lie evenly in the run."""
    first, second, *_ = swept.entries()
    for entry, wrong in ((first, 0), (second, 10**6)):
        output = give(swept, entry, {"a": 1})
        for epoch, when in enumerate((BEGAN + 10, BEGAN + 70)):
            path = output / f"metrics_epoch_{epoch}.json"
            path.write_text('{"a": 2}')
            os.utime(path, (when - wrong, when - wrong))
    known, even = runs(swept)
    assert known.history().curves[0].times == (BEGAN + 10, BEGAN + 70)
    assert even.history().curves[0].times == (BEGAN + 50, BEGAN + 100)


def test_sweeps_of_2020_are_runs(project: Project) -> None:
    """A trial with an output is a run, with what differs as its values; one without is none."""
    for number, complete in ((1, True), (2, False), (3, None)):
        home = project.root / "config/generated/old" / str(number) / "0"
        home.mkdir(parents=True)
        (home / f"{number}.toml").write_text(f"trial = 0\n[params]\nlr = {number}\nbatch = 3\n")
        output = project.root / "model/generated/old" / str(number) / "0"
        if complete is not None:
            output.mkdir(parents=True)
            (output / "metrics_epoch_0.json").write_text('{"a": 0.5}')
            (output / "metrics.json").write_text('{"a": 0.5}')
        if complete:
            (output / "COMPLETE").write_text("")
    first, second = runs(project, "old")
    assert (first.state, first.swept, first.summary) == ("finished", {"params.lr": 1}, {"a": 0.5})
    assert (second.state, second.started) == ("lost", None)
    assert [curve.values for curve in first.history().curves] == [(0.5,)]
    assert first.key != second.key


@given(NAMES)
def test_names_become_what_may_be_written_and_stay_unlike(names: list[str]) -> None:
    """However hostile, a name becomes a text of UTF-8 without control characters, short, and no two become one."""
    for allowed in (None, "_.-"):
        called = run.unlike(names, allowed, 100)
        assert len(set(called.values())) == len(names)
        for name in called.values():
            assert name.encode()
            assert name.isprintable()
            assert 0 < len(name) <= 100
            assert allowed is None or "/" not in name


@pytest.mark.parametrize("name", ["a", "params.lr", "validation_loss", "train/loss", "größe", "a b"])
def test_ordinary_names_stay(name: str) -> None:
    """What people call things is not changed."""
    assert run.unlike([name])[name] == name


@pytest.mark.slow
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_every_value_is_a_text_on_one_line(value: Any) -> None:
    """Whatever a value is, there is a text of it that can be seen."""
    assert run.text(value).isprintable()
    assert run.text(value).encode("utf-8").decode("utf-8") == run.text(value)


@given(st.lists(st.floats(allow_nan=True) | st.integers()))
def test_steps_are_integers(steps: list[float]) -> None:
    """Whole steps are themselves, others their order."""
    found = run.whole(steps)
    assert all(isinstance(step, int) for step in found)
    assert len(found) == len(steps)
    if all(isinstance(step, int) and abs(step) < 2**53 for step in steps):
        assert found == steps


def test_numbers_beyond_doubles_are_infinite() -> None:
    """A huge integer of JSON is no crash; a truth value is no number."""
    assert run.number(10**400) == math.inf
    assert run.number(-(10**400)) == -math.inf
    assert run.number(True) is None
    assert run.number(json.loads("3")) == 3.0
