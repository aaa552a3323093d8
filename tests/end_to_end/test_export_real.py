"""The example's trials as runs of other tools: the numbers that AllenNLP wrote, read back by those tools.

Code: /qb/, export/
"""

from __future__ import annotations

import json
import statistics
from datetime import datetime
from pathlib import Path

import pytest
from exported import Board, Store, values
from small_project import Project

from resweep.results import load, metrics, trial_rows

pytestmark = [pytest.mark.allennlp, pytest.mark.xdist_group("example"), pytest.mark.timeout(900)]


def test_allennlp_s_numbers_are_in_every_export(trained: Project, tmp_path: Path) -> None:
    """Three real trials, exported twice: TensorBoard's table and MLflow's store have metrics.json's numbers once."""
    project = trained
    for target in ("tensorboard", "mlflow", "wandb", "comet") * 2:
        said = project.resweep("export", "demo", "--to", target, str(tmp_path / target)).ok()
        assert ": 3 runs" in said.out
        assert said.err == ""
    rows = [row for row in load.gather(project.root, ["demo"]).rows if row.state == "finished"]
    board = Board(tmp_path / "tensorboard")
    store = Store(tmp_path / "mlflow").runs(deleted=True)
    assert len(store) == len(rows) == 3
    # repeats of a point are one row of TensorBoard's, with a session each
    sessions = {session.name: session for group in board.groups for session in group.sessions}
    for group in board.groups:
        for name, value in values(group).items():
            assert value == pytest.approx(statistics.mean(values(session)[name] for session in group.sessions))
    for row in rows:
        written = json.loads(Path(trial_rows.where(project.paths("demo"), row).directory, "metrics.json").read_text())
        numbers = {name: value for name, value in written.items() if metrics.number(value)}
        entry = row.entry
        run = store[f"demo#{entry.number}"]
        assert run.data.metrics == pytest.approx(numbers)
        assert run.data.params["params.dropout"] == str(entry.swept["params.dropout"])
        name = f"demo/{entry.number}-{entry.id}-{entry.trial}"
        session = sessions[name]
        assert values(session) == pytest.approx(numbers, rel=1e-6)
        record = project.record(entry, name="demo")
        times = [datetime.fromisoformat(record[key]).timestamp() for key in ("started", "ended")]
        assert [session.start_time_secs, session.end_time_secs] == pytest.approx(times, abs=1e-3)
        epochs = metrics.history(trial_rows.where(project.paths("demo"), row)).curves
        curve = next(curve for curve in epochs if curve.name == "validation_loss")
        assert len(curve.values) == 2
        found = board.scalars()[name]["validation_loss"]
        assert [value for _, value, _ in found] == pytest.approx(curve.values)
        assert [when for *_, when in found] == pytest.approx(curve.times)
    assert len(list((tmp_path / "wandb" / "wandb").iterdir())) == 3
    assert len(list((tmp_path / "comet").glob("*.zip"))) == 3
