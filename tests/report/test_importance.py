"""Importance: what pandas and scikit-learn say of the same points, and silence where nothing can be said.

Code: report/importance
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from resweep.index import Entry
from resweep.report import importance as room
from resweep.report.importance import Effect, Importance
from resweep.results.points import Point, points
from resweep.results.trial_rows import Row
from resweep.sweep.definition import ResultsOptions

LOG = {"lr": "log"}


def sweep(values: Iterable[tuple[Mapping[str, Any], float]]) -> list[Point]:
    """Points with these swept values and this metric."""
    rows = []
    for number, (swept, metric) in enumerate(values, 1):
        entry = Entry(number, f"id{number}", 0, "digest", "", "", dict(swept), 1)
        rows.append(Row(entry, "finished", 1.0, {"accuracy": metric}))
    return points(rows)


def told(values: Iterable[tuple[Mapping[str, Any], float]], scales: Mapping[str, str] = LOG) -> Importance:
    """The importance of the keys of such points."""
    return room.importance(sweep(values), ResultsOptions("accuracy"), scales)


def drawn(count: int, seed: int = 0) -> list[tuple[dict[str, Any], float]]:
    """A random search: the optimizer counts most, then the learning rate, whose best is in the middle, and no more."""
    dice = random.Random(seed)
    found = []
    for _ in range(count):
        lr, size = 10 ** dice.uniform(-5, -1), dice.choice([16, 32, 64])
        optimizer, nesterov = dice.choice(["adam", "sgd", "rms"]), dice.random() < 0.5
        metric = (optimizer == "adam") * 2 - 0.2 * (math.log10(lr) + 3) ** 2 + dice.gauss(0, 0.05)
        found.append(({"lr": lr, "size": size, "optimizer": optimizer, "nesterov": nesterov}, metric))
    return found


def by_key(found: Importance) -> dict[str, Effect]:
    """The effects by their keys."""
    return {effect.key: effect for effect in found.effects}


@pytest.mark.slow
def test_numbers_are_those_of_an_independent_computation() -> None:
    """Shares and out-of-bag R2 from pandas' own encoding and a loop over scikit-learn's trees."""
    values = drawn(150)
    found = told(values)
    frame = pd.DataFrame([swept for swept, _ in values])
    target = pd.Series([metric for _, metric in values])

    def encoded(raw: pd.DataFrame) -> pd.DataFrame:
        numbers = pd.DataFrame({"lr": np.log(raw["lr"]), "size": raw["size"].astype(float)})
        numbers = (numbers - numbers.min()) / (numbers.max() - numbers.min())
        names = [pd.get_dummies(raw[key].map(str.lower if key == "optimizer" else str)) for key in raw.columns[2:]]
        return pd.concat([numbers, *names], axis=1).astype("float32")

    forest = RandomForestRegressor(
        room.TREES, min_samples_leaf=2, max_features=0.5, random_state=0, oob_score=True
    ).fit(encoded(frame).to_numpy(), target)
    assert found.r2 == pytest.approx(forest.oob_score_, abs=1e-6)

    def r2(raw: pd.DataFrame) -> float:
        design = encoded(raw).to_numpy()
        predictions = pd.DataFrame(index=raw.index, columns=range(room.TREES), dtype=float)
        for number, tree in enumerate(forest.estimators_):
            seen = np.random.RandomState(tree.random_state).randint(0, len(raw), len(raw))
            unseen = ~raw.index.isin(seen)
            predictions.loc[unseen, number] = tree.predict(design[unseen])
        residual = target - predictions.mean(axis=1)
        return float(1 - (residual**2).sum() / ((target - target.mean()) ** 2).sum())

    drops = {}
    for key in frame.columns:
        shuffler = np.random.default_rng(0)
        shuffles = [shuffler.permutation(len(frame)) for _ in range(room.SHUFFLES)]
        worse = [frame.assign(**{key: frame[key].to_numpy()[order]}) for order in shuffles]
        drops[key] = pd.Series([r2(frame) - r2(each) for each in worse])
    total = sum(max(0.0, each.mean()) for each in drops.values())
    for key, effect in by_key(found).items():
        assert effect.share == pytest.approx(max(0.0, drops[key].mean()) / total, abs=1e-4)
        assert effect.spread == pytest.approx(drops[key].std() / total, abs=1e-4)
    assert sum(effect.share or 0.0 for effect in found.effects) == pytest.approx(1)


@pytest.mark.slow
def test_shares_are_near_those_of_new_points() -> None:
    """scikit-learn's permutation importance on points that no tree has seen ranks and weighs the keys alike."""
    found = told(drawn(600))
    shares = {key: effect.share or 0.0 for key, effect in by_key(found).items()}

    def design(values: list[tuple[dict[str, Any], float]]) -> tuple[pd.DataFrame, list[float]]:
        frame = pd.DataFrame([swept for swept, _ in values])
        frame["lr"] = np.log(frame["lr"])
        frame["optimizer"] = frame["optimizer"] == "adam"  # the only difference that counts
        return frame.astype(float), [metric for _, metric in values]

    forest = RandomForestRegressor(100, random_state=1).fit(*design(drawn(600)))
    means = permutation_importance(forest, *design(drawn(600, seed=1)), n_repeats=10, random_state=1).importances_mean
    independent = dict(zip(drawn(1)[0][0], means / means.clip(0).sum(), strict=True))
    assert shares == {key: pytest.approx(value, abs=0.08) for key, value in independent.items()}
    assert [effect.key for effect in found.effects][:2] == ["optimizer", "lr"]
    assert found.trust == "shown"


@given(st.lists(st.tuples(st.integers(1, 6), st.booleans(), st.floats(-10, 10)), min_size=3, max_size=30))
@settings(max_examples=25, deadline=None)
def test_correlations_are_those_of_pandas(values: list[tuple[int, bool, float]]) -> None:
    """Spearman's rho, of numbers and of what is true or false, with the number of points."""
    found = by_key(told([({"a": a, "b": b}, metric) for a, b, metric in values], {}))
    frame = pd.DataFrame(values, columns=["a", "b", "metric"]).astype(float)
    expected = frame.corr(method="spearman")["metric"]
    for key, effect in found.items():
        assert effect.n == len(values)
        assert (math.nan if effect.rho is None else effect.rho) == pytest.approx(expected[key], nan_ok=True)
        assert effect.p is None or 0 <= effect.p <= 1


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=3, max_size=5))
@settings(max_examples=8, deadline=None)
def test_p_of_few_points_is_that_of_every_order(values: list[tuple[int, int]]) -> None:
    """The share of orders with so great a rho, and of fewer than five points nothing is sure."""
    effect = by_key(told([({"a": a}, float(metric)) for a, metric in values], {})).get("a")
    if effect is None or effect.rho is None:
        return
    one, other = zip(*values, strict=True)
    every = [abs(stats.spearmanr(one, order).statistic) for order in itertools.permutations(other)]
    assert effect.p == pytest.approx(np.mean(np.asarray(every) >= abs(effect.rho) - 1e-9))
    assert effect.sure == (effect.p < 0.05 and len(values) >= 5)


def test_the_same_points_give_the_same_numbers() -> None:
    """Nothing depends on chance, nor on more than the points."""
    assert told(drawn(60)) == told(drawn(60))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (drawn(5), "5 points, fewer than 6"),
        ([({"a": a}, 1.0) for a in range(40)], "all points have the same value"),
        ([({"a": 1}, float(a)) for a in range(40)], "no swept key differs"),
        ([({"a": a}, random.Random(a).random()) for a in range(40)], "predicts"),
        ([], "no finished point"),
    ],
    ids=["few", "constant", "nothing swept", "noise", "nothing"],
)
def test_what_cannot_be_trusted_is_hidden_with_a_reason(
    values: list[tuple[Mapping[str, Any], float]], reason: str
) -> None:
    """Few points, no variance, a forest that predicts nothing."""
    found = told(values)
    assert found.trust == "hidden"
    assert reason in found.reason


def test_of_few_points_the_order_is_told_and_no_share() -> None:
    """Six to nineteen points, where the forest predicts them; it is the order of the shares that were not told."""
    clear = [({"big": big, "small": small}, 10.0 * big + small) for big in range(4) for small in range(4)]
    found = told(clear)
    assert found.trust == "ranked"
    assert found.reason == "16 points, fewer than 20; only the ranks are shown"
    effects = [(each.key, each.share, each.spread) for each in found.effects]
    assert effects == [("big", None, None), ("small", None, None)]
    assert all(each.rho is not None for each in found.effects)
    assert told(clear[:5]).trust == "hidden"


def test_a_key_that_only_some_points_have_counts() -> None:
    """A value of one branch of a union is told apart from none, which is a value of its own."""
    dice = random.Random(0)
    values: list[tuple[dict[str, Any], float]] = []
    for _ in range(60):
        values.append(({"kernel": "poly", "degree": (degree := dice.choice([2, 3, 4]))}, 1 + 0.5 * degree))
        values.append(({"kernel": "rbf"}, dice.gauss(0, 0.01)))
    found = by_key(told(values))
    assert set(found) == {"kernel", "degree"}
    assert found["degree"].share is not None
    assert found["degree"].share > 0.2
    assert (found["degree"].n, found["degree"].rho) == (60, pytest.approx(1))
    assert found["kernel"].one == '"rbf"'
    assert found["kernel"].rho is not None
    assert found["kernel"].rho < -0.8


def test_keys_without_an_effect_of_their_own_are_named() -> None:
    """A key that never differs, and one that changes with another."""
    zipped = [({"a": a % 4, "b": f"with {a % 4}", "c": None, "d": 7}, float(a % 4)) for a in range(40)]
    found = told(zipped)
    assert found.left_out == {
        "b": "changes together with a",
        "c": "the same everywhere",
        "d": "the same everywhere",
    }
    assert by_key(found)["a"].share == 1


def test_points_without_a_finite_mean_are_counted() -> None:
    """A diverged point is no measurement, and not forgotten."""
    found = told([*drawn(30), ({"lr": 0.1}, math.nan), ({"lr": 0.1}, math.inf)])
    assert (found.points, found.without) == (30, 2)


@pytest.mark.parametrize(
    "value",
    [10**400, -1.7e308, 1e-320, math.nan, [1, [2]], {"a": 1}, "</script>", "\x00", "", "9" * 5000],
    ids=["huge", "large", "tiny", "nan", "list", "table", "markup", "control", "empty", "long"],
)
def test_no_value_breaks_it(value: object) -> None:
    """Whatever a sweep's values are, there is an answer, and shares stay shares."""
    others = [1.7e308, 1, "x", None]
    found = told([({"k": ([value, *others])[n % 5], "n": n}, float(n % 5)) for n in range(60)], {"k": "log"})
    assert {effect.key for effect in found.effects} == {"k", "n"}
    assert all(0 <= (effect.share or 0) <= 1 for effect in found.effects)


@pytest.mark.slow
def test_of_ten_thousand_points_the_forest_grows_on_some() -> None:
    """Always on the same; correlations are those of all."""
    found = told(drawn(10_000))
    assert (found.points, found.used) == (10_000, room.MOST_POINTS)
    assert by_key(found)["lr"].n == 10_000
