"""What MLflow's own client reads of an export.

Code: export/mlflow
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from exported import BEGAN, Store, four, give, runs
from small_project import Project

from resweep.export import mlflow


@pytest.mark.slow
def test_mlflow_reads_what_was_tried_and_what_came_out(swept: Project, tmp_path: Path) -> None:
    """Params, metrics, curves, tags, times and states are there, in an experiment for the sweep."""
    mlflow.write(tmp_path / "out", runs(four(swept)), "p")
    store = Store(tmp_path / "out")
    assert {each.name for each in store.client.search_experiments()} == {"Default", "p/rnn"}
    found = store.runs()
    assert {name: run.info.status for name, run in found.items()} == {
        "rnn#1": "FINISHED",
        "rnn#2": "FINISHED",
        "rnn#3": "FAILED",
    }
    run, given = found["rnn#1"], runs(swept)[0]
    assert (run.info.start_time, run.info.end_time) == (BEGAN * 1000, (BEGAN + 100) * 1000)
    assert run.data.params == {name: str(value) for name, value in given.config.items()}
    assert run.data.metrics == {"loss": 0.25, "acc": 0.4, "best": 0.5}
    assert [(step, value) for step, value, _ in store.points(run, "loss")] == [(1, 1.0), (2, 0.5), (4, 0.25)]
    assert store.points(run, "acc")[-1][2] == (BEGAN + 100) * 1000
    assert run.data.tags["resweep.output"] == given.output.directory
    assert run.data.tags["metric.note"] == "fine"
    assert not list((tmp_path / "out").rglob("artifacts/*"))


@pytest.mark.slow
def test_exporting_again_doubles_nothing(swept: Project, tmp_path: Path) -> None:
    """The same runs with the same ids and as many points; another sweep's trials come beside them."""
    store = tmp_path / "out"
    mlflow.write(store, runs(four(swept)), "p")
    before = {name: run.to_dictionary() for name, run in Store(store).runs(deleted=True).items()}
    tally = mlflow.write(store, runs(swept), "p")
    assert (tally.new, tally.changed, tally.same) == (0, 0, 3)
    assert {name: run.to_dictionary() for name, run in Store(store).runs(deleted=True).items()} == before
    assert len(Store(store).points(Store(store).runs()["rnn#1"], "loss")) == 3


@pytest.mark.slow
def test_a_trial_that_went_on_is_the_same_run_with_more_points(swept: Project, tmp_path: Path) -> None:
    """A run that was running is brought up to date; a tag that somebody gave it in MLflow stays."""
    first = swept.entries()[0]
    output = give(swept, first, curve=[{"step": 1, "a": 1.0}], state="failed")
    mlflow.write(tmp_path / "out", runs(swept), "p")
    store = Store(tmp_path / "out")
    old = store.runs()["rnn#1"]
    store.client.set_tag(old.info.run_id, "mine", "kept")
    (output / "metrics.jsonl").write_text('{"step": 1, "a": 1.0}\n{"step": 2, "a": NaN}\n{"step": 3, "a": Infinity}\n')
    assert mlflow.write(tmp_path / "out", runs(swept), "p").changed == 1
    new = store.runs(deleted=True)["rnn#1"]
    assert new.info.run_id == old.info.run_id
    assert new.data.tags["mine"] == "kept"
    assert [step for step, *_ in store.points(new, "a")] == [1, 2, 3]
    assert math.isnan(store.points(new, "a")[1][1]) or store.points(new, "a")[1][1] == 0
    assert mlflow.write(tmp_path / "out", runs(swept), "p").same == 1


@pytest.mark.slow
def test_a_trial_that_began_anew_takes_the_old_one_s_place(swept: Project, tmp_path: Path) -> None:
    """Points that are no longer true do not stay: the old run is deleted, as MLflow deletes, and one is active."""
    first = swept.entries()[0]
    output = give(swept, first, curve=[{"step": 1, "a": 1.0}], state="failed")
    mlflow.write(tmp_path / "out", runs(swept), "p")
    old = Store(tmp_path / "out").runs()["rnn#1"].info.run_id
    (output / "metrics.jsonl").write_text('{"step": 1, "a": 7.0}\n')
    assert mlflow.write(tmp_path / "out", runs(swept), "p").changed == 1
    new = Store(tmp_path / "out").runs()["rnn#1"]
    assert new.info.run_id != old
    assert new.data.metrics == {"a": 7.0}


@pytest.mark.slow
def test_what_mlflow_cannot_hold_is_cut_and_said(swept: Project, tmp_path: Path) -> None:
    """Hostile names, long texts and numbers that are none crash nothing; what was cut off is told."""
    first = swept.entries()[0]
    names = ["../../up", "/abs", "a//b", ".", "a\nb", "ä?", "a!", "x" * 5000, "\ud800", "a b/c:d"]
    table = {name: float(number) for number, name in enumerate(names)}
    values = {"nan": math.nan, "inf": math.inf, "list": [1, None], "none": None, "long": "y" * 9000, "huge": 10**400}
    give(swept, first, {**table, **values}, [{"step": 0.5, **table}, {"step": 10**30, **table}])
    tally = mlflow.write(tmp_path / "out", runs(swept), "p")
    assert any("long" in note and "cut off" in note for note in tally.notes)
    (run,) = Store(tmp_path / "out").runs().values()
    assert len(run.data.metrics) == len(names) + 3
    assert set(table.values()) <= set(run.data.metrics.values())
    assert run.data.metrics["a b/c:d"] == 9.0
    assert len(run.data.tags["metric.long"]) == 5000
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"mlflow.db", "resweep-export.json"}
    assert mlflow.write(tmp_path / "out", runs(swept), "p").same == 1


@pytest.mark.slow
def test_many_points_are_written_in_batches(swept: Project, tmp_path: Path) -> None:
    """More points than MLflow takes at once are all there."""
    first = swept.entries()[0]
    give(swept, first, curve=[{"step": step, "a": step} for step in range(2500)])
    mlflow.write(tmp_path / "out", runs(swept), "p")
    store = Store(tmp_path / "out")
    assert [step for step, *_ in store.points(store.runs()["rnn#1"], "a")] == list(range(2500))


@pytest.mark.parametrize("name", ["..", ".", "/", "a/..", "//", "a/../../b", "../x"])
def test_no_name_is_a_path_that_leads_elsewhere(name: str) -> None:
    """MLflow's own check of names finds nothing wrong."""
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name

    _validate_metric_name(mlflow._path(name))
    _validate_param_name(mlflow._path(name))
