"""What the numbers of a report cost: expected curves and importances, against NumPy and scikit-learn alone.

    python bench/analysis.py

An expected curve of 100,000 values has a few hundred n; the other side is the textbook's formula in NumPy for the same
n, which for draws with replacement is one line, and for a grid needs logarithms of binomial coefficients. Importance
is of 10,000 points of five parameters; the other side is scikit-learn's forest on as many of them as ours grows on,
and its own permutation importance. All in one process, after all imports.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import gammaln
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from resweep.index import Entry
from resweep.report import expected, importance
from resweep.results.points import points
from resweep.results.trial_rows import Row
from resweep.sweep.definition import ResultsOptions

ROUNDS = 3
VALUES = 100_000
POINTS = 10_000
KEYS = ("lr", "dropout", "hidden_dim", "layers", "momentum")


def with_replacement(values: Any, counts: tuple[int, ...]) -> list[float]:
    """The expected best of n draws, for each n."""
    share = np.arange(len(values) + 1) / len(values)
    return [float(values @ np.diff(share**n)) for n in counts]


def without_replacement(values: Any, counts: tuple[int, ...]) -> list[float]:
    """The expected best of n points of a grid, for each n."""
    size = len(values)
    below = np.arange(size + 1)
    found = []
    for n in counts:
        logs = np.full(size + 1, -np.inf)
        logs[n:] = gammaln(below[n:] + 1) - gammaln(below[n:] - n + 1)
        found.append(float(values @ np.diff(np.exp(logs - logs[-1]))))
    return found


def rows() -> list[Row]:
    """Finished trials, the metric of which depends on all keys but one."""
    dice = random.Random(1)
    found = []
    for number in range(1, POINTS + 1):
        swept = {key: dice.random() for key in KEYS}
        value = swept["lr"] - (swept["dropout"] - 0.4) ** 2 + swept["hidden_dim"] * swept["layers"] + dice.gauss(0, 0.1)
        found.append(
            Row(Entry(number, f"{number:012x}", 0, "digest", "", "", swept, 1), "finished", 2.0, {"loss": value})
        )
    return found


def alone(found: list[Row]) -> None:
    """scikit-learn's own importance, with the forest that ours is."""
    drawn = random.Random(0).sample(found, importance.MOST_POINTS)
    inputs = np.array([[row.entry.swept[key] for key in KEYS] for row in drawn])
    targets = np.array([row.metrics["loss"] for row in drawn])
    forest = RandomForestRegressor(importance.TREES, min_samples_leaf=2, max_features=0.5, random_state=0, n_jobs=1)
    forest.fit(inputs, targets)
    permutation_importance(forest, inputs, targets, n_repeats=importance.SHUFFLES, random_state=0)


def compare(name: str, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    """Measure both in turn, and print the best of each."""
    best = [float("inf"), float("inf")]
    for _ in range(ROUNDS):
        for side, work in enumerate((ours, theirs)):
            begin = time.perf_counter()
            work()
            best[side] = min(best[side], time.perf_counter() - begin)
    print(f"{name:<34} {best[0]:6.2f} s  against {best[1]:6.2f} s  ratio {best[0] / best[1]:5.2f}")


def main() -> None:
    """All three comparisons; that curves are the same is checked beforehand."""
    values = [float(value) for value in range(1, VALUES + 1)]
    array = np.array(values)
    for name, size, formula in (
        ("expected best, draws", None, with_replacement),
        ("expected best, points of a grid", VALUES, without_replacement),
    ):
        curve = expected.expected(values, "max", size)
        assert np.allclose(curve.value, formula(array, curve.n), rtol=1e-6), name
        compare(
            name,
            lambda size=size: expected.expected(values, "max", size),
            lambda formula=formula, n=curve.n: formula(array, n),
        )
    found = points(rows())
    options = ResultsOptions("loss", "min")
    compare("importance", lambda: importance.importance(found, options, {}), lambda: alone([p.rows[0] for p in found]))


if __name__ == "__main__":
    main()
