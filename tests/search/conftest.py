"""What tests of searches share."""

from __future__ import annotations

import pytest


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runners of this process look at what trials measure fifty times a second: trainings wait for each look."""
    monkeypatch.setattr("resweep.run.runner.TICK", 0.02)
