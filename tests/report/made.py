"""Rows as `gather` gives them, made in memory: what a sweep of many trials comes to, without running any."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.results import trial_rows
from resweep.results.load import Gathered
from resweep.results.trial_rows import Row
from resweep.sweep import definition as definitions
from resweep.sweep.definition import ResultsOptions

METRIC = ResultsOptions("accuracy")


def row(number: int, swept: Mapping[str, Any], value: Any, repeat: int = 0, sweep: str = "rnn", **more: Any) -> Row:
    """A finished trial; those of the same values are repeats of one point."""
    id_ = str(sorted(swept.items(), key=str))
    entry = Entry(number, id_, repeat, "digest", id_, "", dict(swept), 1)
    metric = more.get("metric", METRIC.metric)
    return Row(entry, more.get("state", "finished"), more.get("seconds", 60.0), {metric: value}, sweep=sweep)


def gathered(rows: Iterable[Row], options: ResultsOptions = METRIC) -> Gathered:
    """These rows, the best first, as if their sweeps had been read."""
    ranked = trial_rows.ranked(rows, options)
    names = dict.fromkeys(sorted(row.sweep for row in ranked))
    return Gathered([SweepPaths(Path("/nowhere"), name) for name in names], ranked, options)


def diverged() -> list[Row]:
    """Two points with a value, three that diverged, one of them pruned, and one that failed."""
    rows = [row(n, {"a": n}, value) for n, value in enumerate([0.1, 0.3, math.nan, math.inf])]
    rows.append(row(9, {"a": 9}, math.nan, state="pruned"))
    return [*rows, row(10, {"a": 10}, None, state="failed")]


def learning() -> definitions.Sweep:
    """A search that chooses its points by the results of earlier ones."""
    text = '[search]\nmethod = "tpe"\nn = 5\n[hyper]\n"a" = { uniform = [0, 9] }\n[results]\nmetric = "accuracy"\n'
    return definitions.parse(text, "x.toml")


def drawn(count: int, sweep: str = "rnn", repeats: int = 1, seed: int = 0) -> list[Row]:
    """A random search that likes adam and a middling learning rate; some points have a momentum."""
    dice = random.Random(f"{sweep}{seed}")
    rows = []
    for _ in range(count):
        swept: dict[str, Any] = {
            "params.lr": 10 ** dice.uniform(-5, -1),
            "params.hidden_dim": dice.choice([64, 128, 256, 512]),
            "params.optimizer": dice.choice(["adam", "sgd"]),
            "params.dropout": round(dice.random(), 3),
        }
        if swept["params.optimizer"] == "sgd":
            swept["params.momentum"] = dice.choice([0.0, 0.9])
        mean = 0.9 - 0.08 * (math.log10(swept["params.lr"]) + 3) ** 2 - 0.15 * (swept["params.optimizer"] == "sgd")
        mean -= 0.1 * swept["params.dropout"] ** 2 - dice.gauss(0, 0.02)
        for repeat in range(repeats):
            rows.append(
                row(len(rows) + 1, swept, mean + dice.gauss(0, 0.01), repeat, sweep, seconds=dice.uniform(30, 90))
            )
    return rows
