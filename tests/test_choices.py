"""`[hyper]` as a space of Optuna's: what is suggested is a point, and a point is what would be suggested.

Code: space/optuna_space, space/optuna_backend
"""

from __future__ import annotations

import json
import math
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resweep.space import optuna_backend
from resweep.space.optuna_space import TABLE, Choices
from resweep.sweep import hyper_table
from resweep.sweep.hyper_table import Hyper

optuna_backend.optuna()
# Optuna's own rounding of a range would take its last step away, and say so; what another test left open, and is found
# while this one runs, is not this one's
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.filterwarnings("ignore::ResourceWarning")]


def hyper(table: Any) -> Hyper:
    """What a `[hyper]` table, or several, sweep."""
    return hyper_table.read("x.toml", table, frozenset())


def study(seed: int = 1) -> optuna.Study:
    """One that asks at random."""
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))


def points(space: Choices, count: int = 60) -> list[dict[str, Any]]:
    """What is suggested first."""
    opened = study()
    return [space.suggest(opened.ask()) for _ in range(count)]


# --- the law ---------------------------------------------------------------------------------------------------------

_value = st.recursive(
    st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text("ab1", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
_number = st.integers(-50, 50) | st.floats(-50, 50).map(lambda number: round(number, 3))
_width = st.integers(1, 40) | st.floats(0.01, 40).map(lambda number: round(number, 3))
_positive = st.floats(1e-6, 1e3)


@st.composite
def _form(draw: st.DrawFn) -> Any:
    kind = draw(st.sampled_from(["list", "uniform", "step", "loguniform", "randint", "normal", "lognormal", "choice"]))
    low, width = draw(_number), draw(_width)
    if kind in ("list", "choice"):
        values = draw(st.lists(_value, min_size=1, max_size=5))
        return values if kind == "list" else {"choice": values}
    if kind == "randint":
        whole = draw(st.integers(1, 30))
        step = draw(st.none() | st.integers(1, whole))
        return {"randint": [math.floor(low), math.floor(low) + whole], **({"step": step} if step else {})}
    if kind == "loguniform":
        first = draw(_positive)
        return {"loguniform": [first, first * draw(st.floats(1.5, 1e4))]}
    if kind in ("normal", "lognormal"):
        return {kind: [draw(st.floats(-5, 5)), draw(st.floats(0.01, 3))]}
    if kind == "step":
        return {"uniform": [low, round(low + width, 3)], "step": round(width / draw(st.integers(1, 9)), 4) or 0.01}
    return {"uniform": [low, low + width]}


@st.composite
def _table(draw: st.DrawFn) -> dict[str, Any]:
    table = {f"params.{name}": draw(_form()) for name in draw(st.sets(st.sampled_from("abc"), min_size=1))}
    if draw(st.booleans()):
        table["params.y, params.z"] = draw(st.lists(st.tuples(_value, _value).map(list), min_size=1, max_size=3))
    return table


def _valid(tables: list[dict[str, Any]]) -> Hyper | None:
    try:
        return hyper(tables)
    except hyper_table.ConfigError:  # a step that is wider than its range, an empty range: others test what is said
        return None


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(st.lists(_table(), min_size=1, max_size=3), st.integers(0, 2**16))
def test_a_suggested_point_is_what_would_be_suggested_for_it(tables: list[dict[str, Any]], seed: int) -> None:
    """Back and forth: the same parameters, or those of another table that has the very same point."""
    asked = _valid(tables)
    if asked is None:
        return
    space = Choices(asked)
    opened = study(seed)
    for _ in range(4):
        trial = opened.ask()
        point = space.suggest(trial)
        assert not space.excluded(point)
        found = space.params(point)
        assert found is not None
        params, distributions = found
        optuna.trial.create_trial(params=params, distributions=distributions, value=0.0)  # refuses what does not fit
        again = space.suggest(optuna.trial.FixedTrial(params))  # type: ignore[arg-type]
        # 0 of one table is 0.0 of another, for whoever asks which table a point is of
        assert json.dumps(again) == json.dumps(point) or (len(tables) > 1 and again == point)
        if len(tables) == 1 and not _repeats(tables[0]):
            kept = {name: value for name, value in trial.params.items() if not isinstance(value, float)}
            assert kept.items() <= params.items()
            assert all(math.isclose(params[name], value, abs_tol=1e-9) for name, value in trial.params.items()
                       if isinstance(value, float))  # fmt: skip
            assert distributions == trial.distributions


def _repeats(table: dict[str, Any]) -> bool:
    """Whether a list names one value twice: 1 and 1.0 are one."""
    lists = [form.get("choice") if isinstance(form, dict) else form for form in table.values()]
    return any(
        any(hyper_table.same(one, other) for n, one in enumerate(values) for other in values[:n])
        for values in lists
        if values
    )


# --- each form -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3],
        [0.1, "a", True],
        [1, True, 1.5],
        [True, False, "true"],
        [[64], [64, 64]],
        ["adam", {"type": "sgd", "momentum": 0.9}],
        ["[64]", [64]],
        ['{"a":1}', {"a": 1}, [{"a": 1}]],
        [0.1],
    ],
)
def test_values_of_a_list_come_as_they_were_written(values: list[Any]) -> None:
    """Lists, tables, 1 beside true and texts that look like them: each is asked for, and is itself."""
    space = Choices(hyper({"params.x": values}))
    found = {json.dumps(point["params.x"]) for point in points(space)}
    assert found == {json.dumps(value) for value in values}
    assert space.size == len(values)


def test_zipped_axes_change_together() -> None:
    """They are one parameter of Optuna's, whose choice is a row."""
    rows = [[0.1, 32], [0.01, 64], [0.01, 32]]
    space = Choices(hyper({"params.lr, params.batch": rows}))
    assert {(point["params.lr"], point["params.batch"]) for point in points(space)} == {tuple(row) for row in rows}
    found = space.params({"params.lr": 0.01, "params.batch": 64})
    assert found is not None
    assert list(found[0]) == ["params.lr, params.batch"]
    assert space.params({"params.lr": 0.1, "params.batch": 64}) is None
    assert space.params({"params.lr": 0.1}) is None


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ({"uniform": [0, 1], "step": 0.1}, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        ({"uniform": [0.3, 1.0], "step": 0.3}, [0.3, 0.6, 0.9]),
        ({"uniform": [1, 9], "step": 3}, [1, 4, 7]),
        ({"uniform": [-0.3, 0.3], "step": 0.3}, [-0.3, 0.0, 0.3]),
        ({"randint": [4, 8]}, [4, 5, 6, 7]),
        ({"randint": [64, 96], "step": 8}, [64, 72, 80, 88]),
        ({"randint": [0, 9], "step": 8}, [0, 8]),
    ],
)
def test_steps_are_numbers_that_a_person_would_type(form: Any, values: list[Any]) -> None:
    """0.3 and not 0.30000000000000004; whole numbers stay whole; both ends where the steps meet them."""
    space = Choices(hyper({"params.x": form}))
    found = sorted({point["params.x"] for point in points(space, 200)})
    assert json.dumps(found) == json.dumps(values)
    assert space.size == len(values)
    assert all(space.params({"params.x": value}) for value in values)
    assert space.params({"params.x": values[0] + 0.05}) is None


def test_normal_and_lognormal_are_three_deviations_to_each_side() -> None:
    """Optuna knows no other than a range; lognormal is one of the logarithm."""
    space = Choices(hyper({"params.x": {"normal": [1, 2]}, "params.y": {"lognormal": [0, 1]}}))
    found = points(space, 300)
    assert -5 <= min(point["params.x"] for point in found) < -3
    assert 5 < max(point["params.x"] for point in found) <= 7
    assert math.exp(-3) <= min(point["params.y"] for point in found) < math.exp(-2)
    assert math.exp(2) < max(point["params.y"] for point in found) <= math.exp(3)
    assert space.params({"params.x": 7.1, "params.y": 1.0}) is None
    assert space.size == 0


@pytest.mark.parametrize("value", [True, "1", None, [1], 2.5, math.nan, math.inf, -1, 10, 10**400])
def test_what_is_no_number_of_a_range_is_outside(value: Any) -> None:
    """True is not 1, and NaN is nowhere."""
    assert Choices(hyper({"params.x": {"randint": [0, 10]}})).params({"params.x": value}) is None


def test_whole_numbers_are_in_a_range_of_reals() -> None:
    """As 1 is written for 1.0."""
    found = Choices(hyper({"params.x": {"uniform": [0, 1]}})).params({"params.x": 1})
    assert found is not None
    assert found[0] == {"params.x": 1.0}


# --- several tables --------------------------------------------------------------------------------------------------

UNION = [
    {"params.optimizer": ["adam"], "params.lr": {"loguniform": [1e-4, 1e-2]}},
    {"params.optimizer": ["sgd"], "params.lr": {"loguniform": [1e-2, 1]}, "params.momentum": [0.0, 0.9]},
]


def test_several_tables_are_a_choice_with_the_parameters_of_one() -> None:
    """A point has the keys of its table; a key with other values elsewhere has a parameter of its own there."""
    space = Choices(hyper(UNION))
    opened = study()
    for _ in range(40):
        trial = opened.ask()
        point = space.suggest(trial)
        first = trial.params[TABLE] == 1
        assert point.keys() == UNION[not first].keys()
        own = (
            {"params.optimizer", "params.lr"} if first else {"params.optimizer (2)", "params.lr (2)", "params.momentum"}
        )
        assert trial.params.keys() == own | {TABLE}
    assert {trial.params[TABLE] for trial in opened.trials} == {1, 2}


def test_a_key_with_the_same_values_is_one_parameter() -> None:
    """What is learned of it in one table holds in the other."""
    space = Choices(hyper([{"params.lr": [1, 2]}, {"params.lr": [1, 2], "params.dropout": [0.1]}]))
    opened = study()
    for _ in range(20):
        space.suggest(opened.ask())
    assert {name for trial in opened.trials for name in trial.params} == {TABLE, "params.lr", "params.dropout"}
    assert space.size == 4


def test_a_point_is_of_the_table_that_names_all_of_it() -> None:
    """A table that leaves out one of its values would give it another, unless the file itself has this one."""
    tables = [{"params.lr": [1, 2]}, {"params.lr": [1, 2], "params.dropout": [0.1, 0.2]}]
    point = {"params.lr": 1, "params.dropout": 0.1}

    def table(space: Choices, point: dict[str, Any]) -> int | None:
        found = space.params(point)
        return found[0][TABLE] if found else None

    assert table(Choices(hyper(tables)), point) == 2
    assert table(Choices(hyper(tables)), {"params.lr": 1}) == 1
    assert table(Choices(hyper(tables)), {**point, "params.dropout": 0.5}) is None
    assert table(Choices(hyper(tables), {"params.dropout": 0.5}), {**point, "params.dropout": 0.5}) == 1
    assert table(Choices(hyper(tables)), {**point, "params.other": 3}) == 2


def test_exclusions_hold_in_their_own_table() -> None:
    """A point that is excluded is neither asked for nor learned from."""
    tables = [
        {"params.lr": [1, 2], "exclude": [{"params.lr": 2}]},
        {"params.lr": [2], "params.dropout": [0.1, 0.2], "exclude": [{"params.dropout": 0.2}]},
    ]
    space = Choices(hyper(tables))
    assert space.excluded({"params.lr": 2})
    assert not space.excluded({"params.lr": 1})
    assert not space.excluded({"params.lr": 2, "params.dropout": 0.1})
    assert space.excluded({"params.lr": 2, "params.dropout": 0.2})
    assert space.params({"params.lr": 2}) is None
    assert space.params({"params.lr": 2, "params.dropout": 0.1}) is not None
