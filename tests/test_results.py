"""Capsules + records + metrics -> the table of a sweep."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from launched import Trial
from small_project import SWEEP, Project

from resweep import index, results
from resweep.sweep import ResultsOptions


def give(project: Project, entry: index.Entry, metrics: str | None, state: str = "finished") -> None:
    """Let a trial have been run, with this metrics.json."""
    place = project.paths().place(entry.name)
    folder = Path(place.attempt(1))
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps({"state": state, "attempt": 1, "seconds": 2.25}))
    if state == "finished":
        Path(place.attempts, "finished").hardlink_to(folder / "record.json")
    Path(place.output).mkdir()
    if metrics is not None:
        Path(place.output, "metrics.json").write_text(metrics)


def rows(project: Project, metric: str | None = None, mode: str = "max") -> list[results.Row]:
    """The table."""
    return results.rows(project.paths(), project.entries(), ResultsOptions(metric, mode))


@pytest.mark.parametrize(("mode", "order"), [("max", [3, 4, 2, 1]), ("min", [2, 4, 3, 1])])
def test_best_first_and_without_the_metric_last(swept: Project, mode: str, order: list[int]) -> None:
    """Rows are ordered by the metric of [results], high or low first; trials without it come last."""
    for entry, value in zip(swept.entries(), ["NaN", "-1", "3.5", "2"], strict=True):
        give(swept, entry, f'{{"accuracy": {value}}}')
    assert [row.entry.number for row in rows(swept, "accuracy", mode)] == order


def test_sweep_order_without_a_metric(swept: Project) -> None:
    """Where [results] names no metric, rows stand in the sweep's order."""
    for entry, value in zip(swept.entries(), [1, 4, 2, 3], strict=True):
        give(swept, entry, f'{{"accuracy": {value}}}')
    assert [row.entry.number for row in rows(swept)] == [1, 2, 3, 4]
    assert [row.metrics["accuracy"] for row in rows(swept)] == [1, 4, 2, 3]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "no metrics.json"),
        ("", "cannot be read"),
        ('{"a": 1', "cannot be read"),
        ("[1, 2]", "no table of metrics"),
        ("3", "no table of metrics"),
        ("[" * 100_000, "cannot be read"),
    ],
    ids=["missing", "empty", "torn", "list", "number", "deep"],
)
def test_broken_metrics_are_reported(swept: Project, text: str | None, problem: str) -> None:
    """A metrics.json that is missing, torn or no table is named in its row, and costs no other row."""
    first, second, *_ = swept.entries()
    give(swept, first, text)
    give(swept, second, '{"a": 1}')
    table = rows(swept, "a")
    assert [(row.entry, row.metrics) for row in table][:2] == [(second, {"a": 1}), (first, {})]
    assert problem in table[1].problem
    shown = swept.resweep("results", "rnn").ok()
    assert problem in shown.out


@pytest.mark.parametrize("value", ['"high"', "true", "null", "[1]", "Infinity", "1e999"])
def test_metric_that_is_no_number_breaks_nothing(swept: Project, value: str) -> None:
    """A metric that is a text, a list or without bounds is shown, and the table still comes."""
    for entry in swept.entries():
        give(swept, entry, f'{{"a": {value}, "b": 2}}')
    assert len(rows(swept, "a")) == 4
    assert swept.resweep("results", "rnn").ok().out.count("finished") == 4


def test_states_and_times_are_those_of_the_records(swept: Project) -> None:
    """A row says what became of its trial and how long its last attempt took; only the finished have metrics."""
    first, second, third, _ = swept.entries()
    give(swept, first, '{"a": 1}')
    give(swept, second, '{"a": 2}', state="failed")
    give(swept, third, None, state="stopped")
    table = rows(swept)
    assert [row.state for row in table] == ["finished", "failed", "stopped", "queued"]
    assert [row.seconds for row in table] == [2.25, 2.25, 2.25, None]
    assert [row.metrics for row in table] == [{"a": 1}, {}, {}, {}]


def test_metrics_are_found_where_a_crash_left_them(trial: Trial) -> None:
    """Output that a crash kept from being moved to its place still has its metrics in the table."""
    trial.launch().ok()
    (trial.directory() / "output").unlink()
    trial.output.rename(trial.directory() / "output")
    assert rows(trial.project)[0].metrics["seed"] == 0


def test_command_shows_swept_values_state_and_metrics(project: Project) -> None:
    """`resweep results` prints a line per trial, the best first, under a line of names."""
    project.write({"config/rnn.toml": SWEEP + '[results]\nmetric = "best_validation_accuracy"\n'})
    project.generate("--no-slurm-job").ok()
    for entry in project.entries():
        give(project, entry, json.dumps({"best_validation_accuracy": entry.swept["params.lr"], "other": 1}))
    head, *lines = project.resweep("results", "rnn").ok().out.splitlines()
    names = ["#", "trial", "params.dropout", "params.lr", "state", "seconds", "best_validation_accuracy"]
    assert sorted(head.split()) == sorted(names)
    assert [line.split()[-1] for line in lines] == ["0.2", "0.2", "0.1", "0.1"]
    assert all("finished" in line and "2.2" in line for line in lines)


def test_command_shows_numbers_where_no_metric_is_named(swept: Project) -> None:
    """Without a metric the first numbers of metrics.json are columns, those of validation before the others."""
    for entry in swept.entries():
        give(swept, entry, '{"epoch": 3, "text": "x", "validation_loss": 0.123456}')
    head, *lines = swept.resweep("results", "rnn").ok().out.splitlines()
    assert head.split()[-2:] == ["validation_loss", "epoch"]
    assert all(line.split()[-2:] == ["0.1235", "3"] for line in lines)


def test_unknown_sweep_is_one_line(swept: Project) -> None:
    """A sweep that is not there gives one line and status 2."""
    result = swept.resweep("results", "nope")
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)


def test_results_write_nothing(trial: Trial) -> None:
    """Reading the results changes no file."""
    trial.launch().ok()
    before = trial.project.tree()
    trial.project.resweep("results", "rnn").ok()
    assert trial.project.tree() == before
    shutil.rmtree(trial.project.root / "model")
    assert trial.project.resweep("results", "rnn").ok().out.count("queued") == 4
