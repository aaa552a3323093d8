"""The example's results: the numbers that AllenNLP wrote, its epochs as curves, and the best once more as a sweep.

Code: /qb/, results/trial_rows, generation/promote
"""

from __future__ import annotations

import csv
import io
import json
import statistics
from pathlib import Path

import pytest
from small_project import Project

from resweep.results import metrics, trial_rows
from resweep.sweep.definition import ResultsOptions

pytestmark = [pytest.mark.allennlp, pytest.mark.xdist_group("example"), pytest.mark.timeout(900)]


def test_allennlp_s_numbers_are_in_the_table(trained: Project) -> None:
    """Rows and points have what metrics.json says, the history what each epoch said; promoted, the best runs again."""
    project = trained
    rows = trial_rows.rows(project.paths("demo"), project.entries("demo")[:3], ResultsOptions())
    for row in rows:
        output = trial_rows.where(project.paths("demo"), row)
        assert row.problem == ""
        assert row.metrics == json.loads(Path(output.directory, "metrics.json").read_text())
        epochs = [json.loads(Path(output.directory, f"metrics_epoch_{n}.json").read_text()) for n in (0, 1)]
        curves = {curve.name: curve for curve in metrics.history(output).curves}
        for name in ("training_loss", "validation_loss", "validation_accuracy"):
            assert (curves[name].axis, curves[name].values) == ("epoch", tuple(each[name] for each in epochs))
            assert curves[name].values[-1] == row.metrics[name]
    text = project.resweep("results", "demo", "--by", "point", "--format", "csv").ok().out
    pair, single = csv.DictReader(io.StringIO(text))
    assert [pair["params.dropout"], single["params.dropout"]] == ["0.25", "0.5"]
    first, second, third = (row.metrics["validation_loss"] for row in rows)
    assert float(pair["validation_loss"]) == pytest.approx(statistics.mean([first, second]))
    assert float(pair["validation_loss.sd"]) == pytest.approx(statistics.stdev([first, second]))
    assert float(single["validation_loss"]) == pytest.approx(third)
    project.resweep("promote", "--best", "demo", "--set", "params.hidden_dim=32", "--as", "bigger").ok()
    project.resweep("run", "bigger").ok()
    (entry,) = project.entries("bigger")
    config = project.paths("bigger").capsule(entry.name) / f"{entry.id}.toml"
    assert "hidden_dim = 32\n" in config.read_text()
    (bigger,) = trial_rows.rows(project.paths("bigger"), [entry], ResultsOptions())
    assert (bigger.state, bigger.entry.swept) == ("finished", {})
    assert "bigger#1 " in project.resweep("results", "bigger", "demo", "--best", "--metric", "epoch").ok().out
