"""`resweep clean` of what early stopping leaves.

Code: results/clean
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from launched import Trial
from small_project import Project
from test_clean import STAYS, WEIGHTS, files, run


@pytest.mark.slow
def test_weights_of_pruned_trials_go(swept: Project) -> None:
    """They are never resumed; what else they wrote stays, and so do weights of trials that failed."""
    pruned, failed = run(swept, 1, "exit 1"), run(swept, 2, "exit 1")
    record = Path(pruned.directory(), "record.json")
    record.chmod(0o644)
    record.write_text(json.dumps({**json.loads(record.read_text()), "state": "pruned"}))
    assert Trial(swept, 1).state == "pruned"
    told = swept.resweep("clean", "rnn", "--weights", "--yes").ok().out
    assert "in 1 pruned trial (" in told
    assert files(pruned.directory() / "output") == STAYS | {"deep/vocabulary"}
    assert files(failed.directory() / "output") >= WEIGHTS
    assert Trial(swept, 1).state == "pruned"
