"""The example's trials as runs of other tools: the numbers that AllenNLP wrote, read back by those tools."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from exported import Board, Store, values
from test_real_training import example

from resweep import gather, metrics, results

pytestmark = [pytest.mark.allennlp, pytest.mark.timeout(900)]


def test_allennlp_s_numbers_are_in_every_export(tmp_path: Path) -> None:
    """Two real trials, exported twice: TensorBoard's table and MLflow's store have the numbers of metrics.json once."""
    project = example(tmp_path / "my project")
    overrides = ["params.debug=true", "hyper.params.lr=[0.003]", "hyper.params.dropout=[0.25, 0.5]"]
    overrides += ["hyper.params.hidden_dim=[16]", "hyper.params.n_hidden_layers=[1]", "params.num_epochs=2"]
    sets = [word for override in overrides for word in ("--set", override)]
    project.resweep("config/rnn.toml", "rnn_model.jsonnet", "demo", *sets).ok()
    project.resweep("run", "demo", "--jobs", "2").ok()
    for target in ("tensorboard", "mlflow", "wandb", "comet") * 2:
        said = project.resweep("export", "demo", "--to", target, str(tmp_path / target)).ok()
        assert ": 2 runs" in said.out
        assert said.err == ""
    rows = gather.gather(project.root, ["demo"]).rows
    board = Board(tmp_path / "tensorboard")
    store = Store(tmp_path / "mlflow").runs(deleted=True)
    assert len(store) == len(rows) == 2
    for row in rows:
        written = json.loads(Path(results.where(project.paths("demo"), row).directory, "metrics.json").read_text())
        numbers = {name: value for name, value in written.items() if metrics.number(value)}
        entry = row.entry
        run = store[f"demo#{entry.number}"]
        assert run.data.metrics == pytest.approx(numbers)
        assert run.data.params["params.dropout"] == str(entry.swept["params.dropout"])
        name = f"demo/{entry.number}-{entry.id}-{entry.trial}"
        (group,) = (group for group in board.groups if group.sessions[0].name == name)
        assert values(group) == pytest.approx(numbers, rel=1e-6)
        record = project.record(entry, name="demo")
        times = [datetime.fromisoformat(record[key]).timestamp() for key in ("started", "ended")]
        (session,) = group.sessions
        assert [session.start_time_secs, session.end_time_secs] == pytest.approx(times, abs=1e-3)
        epochs = metrics.history(results.where(project.paths("demo"), row)).curves
        curve = next(curve for curve in epochs if curve.name == "validation_loss")
        found = board.scalars()[name]["validation_loss"]
        assert [value for _, value, _ in found] == pytest.approx(curve.values)
        assert [when for *_, when in found] == pytest.approx(curve.times)
    assert len(list((tmp_path / "wandb" / "wandb").iterdir())) == 2
    assert len(list((tmp_path / "comet").glob("*.zip"))) == 2
