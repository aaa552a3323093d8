"""Whether high or low is good, by a metric's name.

Code: sweep/metric_mode
"""

from __future__ import annotations

import pytest

from resweep.sweep import definition, metric_mode
from resweep.sweep.search_table import StopRule


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("loss", "min"),
        ("best_validation_loss", "min"),
        ("loss/val \N{LATIN SMALL LETTER E WITH ACUTE}", "min"),
        ("valLoss", "min"),
        ("logloss", "min"),
        ("RMSE", "min"),
        ("test.error_rate", "min"),
        ("WER2", "min"),
        ("accuracy", "max"),
        ("answered", "max"),
        ("glossary", "max"),
        ("terror", "max"),
        ("", "max"),
    ],
)
def test_a_loss_is_low_where_nobody_says(name: str, mode: str) -> None:
    """Whole words count, however they are joined; the TOML takes the same, and what it says itself counts first."""
    assert metric_mode.guessed(name) == mode
    for said in ("max", "min"):
        assert definition.parse(f"[results]\nmetric = '{name or 'x'}'\nmode = '{said}'", "x").results.mode == said
    assert definition.parse(f"[results]\nmetric = '{name or 'x'}'", "x").results.mode == mode


def test_early_stopping_judges_another_metric_by_its_own_name() -> None:
    """A loss under [search.stop] is low although the sweep maximises an accuracy."""
    from resweep.search.pruning import Follower

    def turned(metric: str, stop: str) -> bool:
        text = f"[hyper]\na = [1, 2]\n[results]\nmetric = '{metric}'\n[search.stop]\nmethod = 'median'\n{stop}"
        asked = definition.parse(text, "x")
        assert isinstance(asked.search.stop, StopRule)
        return Follower(asked)._sign == -1

    assert turned("accuracy", "metric = 'loss'")
    assert not turned("accuracy", "metric = 'loss'\nmode = 'max'")
    assert not turned("accuracy", "")
    assert not turned("loss", "")
