"""The example's best trial is evaluated on the test fold, through `resweep exec`.

Code: /qb/, exec
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_real_training import example

pytestmark = [pytest.mark.allennlp, pytest.mark.timeout(900)]


def test_the_best_trial_is_evaluated_on_the_test_fold(tmp_path: Path) -> None:
    """The frozen code scores the weights of the best trial, whose row gets the accuracy; its output stays as it is."""
    project = example(tmp_path / "my project")
    overrides = ["params.debug=true", "hyper.params.lr=[0.003]", "hyper.params.dropout=[0.25]"]
    overrides += ["hyper.params.hidden_dim=[16, 32]", "hyper.params.n_hidden_layers=[1]"]
    sets = [word for override in overrides for word in ("--set", override)]
    project.resweep("config/rnn.toml", "rnn_model.jsonnet", "demo", *sets).ok()
    project.resweep("run", "demo", "--jobs", "2").ok()
    scores = {}
    for entry in project.entries("demo"):
        metrics = json.loads(Path(project.paths("demo").place(entry.name).output, "metrics.json").read_text())
        scores[entry] = metrics["best_validation_accuracy"]
    best = max(scores, key=lambda entry: (scores[entry], -entry.number))
    before = project.tree()
    (project.root / "qb" / "guessers.py").write_text("raise SystemExit('the live source was used')\n")
    command = ["python", "{capsule}/qb/main.py", "evaluate", "{conf}", "--output", "metrics.json"]
    result = project.resweep("exec", "--best", "demo", "--as", "test", "--", *command).ok()
    assert json.loads(result.out)["fold"] == "guesstest"
    place = project.paths("demo").place(best.name)
    written = json.loads(Path(place.attempts, "exec-test-1", "metrics.json").read_text())
    assert written == json.loads(result.out)
    after = {key: value for key, value in project.tree().items() if "/exec-test-1/" not in key}
    del before["qb/guessers.py"], after["qb/guessers.py"]
    assert after == before
