"""The example's best trial is evaluated on the test fold, through `resweep exec`.

Code: /qb/, run/exec
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_project import Project

pytestmark = [pytest.mark.allennlp, pytest.mark.xdist_group("example"), pytest.mark.timeout(900)]


def test_the_best_trial_is_evaluated_on_the_test_fold(trained: Project) -> None:
    """The frozen code scores the weights of the best trial, whose row gets the accuracy; its output stays as it is."""
    project = trained
    scores = {}
    for entry in project.entries("demo")[:3]:
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
