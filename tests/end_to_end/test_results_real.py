"""The example's results: the numbers that AllenNLP wrote, its epochs as curves, and the best once more as a sweep.

Code: /qb/, results, promote
"""

from __future__ import annotations

import csv
import io
import json
import statistics
from pathlib import Path

import pytest
from test_real_training import example

from resweep import metrics, results
from resweep.sweep import ResultsOptions

pytestmark = [pytest.mark.allennlp, pytest.mark.timeout(900)]


def test_allennlp_s_numbers_are_in_the_table(tmp_path: Path) -> None:
    """Rows and points have what metrics.json says, the history what each epoch said; promoted, the best runs again."""
    project = example(tmp_path / "my project")
    overrides = ["params.debug=true", "hyper.params.lr=[0.003]", "hyper.params.dropout=[0.25]", "n_trials=2"]
    overrides += ["hyper.params.hidden_dim=[16]", "hyper.params.n_hidden_layers=[1]"]
    sets = [word for override in overrides for word in ("--set", override)]
    project.resweep("config/rnn.toml", "rnn_model.jsonnet", "demo", *sets).ok()
    project.resweep("run", "demo", "--jobs", "2").ok()
    rows = results.rows(project.paths("demo"), project.entries("demo"), ResultsOptions())
    for row in rows:
        output = results.where(project.paths("demo"), row)
        assert row.problem == ""
        assert row.metrics == json.loads(Path(output.directory, "metrics.json").read_text())
        curves = {curve.name: curve for curve in metrics.history(output).curves}
        for name in ("training_loss", "validation_loss", "validation_accuracy"):
            assert (curves[name].axis, curves[name].values) == ("epoch", (row.metrics[name],))
    text = project.resweep("results", "demo", "--by", "point", "--format", "csv").ok().out
    (point,) = csv.DictReader(io.StringIO(text))
    losses = [row.metrics["validation_loss"] for row in rows]
    assert float(point["validation_loss"]) == pytest.approx(statistics.mean(losses))
    assert float(point["validation_loss.sd"]) == pytest.approx(statistics.stdev(losses))
    project.resweep("promote", "--best", "demo", "--set", "params.hidden_dim=32", "--as", "bigger").ok()
    project.resweep("run", "bigger").ok()
    (entry,) = project.entries("bigger")
    config = project.paths("bigger").capsule(entry.name) / f"{entry.id}.toml"
    assert "hidden_dim = 32\n" in config.read_text()
    (bigger,) = results.rows(project.paths("bigger"), [entry], ResultsOptions())
    assert (bigger.state, bigger.entry.swept) == ("finished", {})
    assert "bigger#1 " in project.resweep("results", "bigger", "demo", "--best", "--metric", "epoch").ok().out
