"""What can be said of a search space, and which points it means.

Code: sweep/hyper_table, sweep/ranges, space/sample
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tracemalloc
from typing import Any

import pytest
import tomli_w
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import ParameterGrid, ParameterSampler

from resweep.errors import ConfigError
from resweep.space import expand, sample
from resweep.sweep import definition, hyper_table
from resweep.sweep.ranges import Distribution


def points(text: str) -> list[dict[str, Any]]:
    """The points of a sweep, as scikit-learn has confirmed them."""
    with expand.Space(definition.parse(text, "x.toml")) as found:
        every = list(found.points())
        found.confirm()
        return every


def values(form: str) -> list[Any]:
    """What a form of one parameter is written out as."""
    return [point["params.x"] for point in points(f'[hyper]\n"params.x" = {form}\n')]


@pytest.mark.parametrize(
    ("form", "found"),
    [
        ("{ range = [0, 1, 0.25] }", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("{ range = [0.1, 0.5, 0.1] }", [0.1, 0.2, 0.3, 0.4, 0.5]),
        ("{ range = [1, 10, 4] }", [1, 5, 9]),
        ("{ range = [3, 1, -1] }", [3, 2, 1]),
        ("{ linspace = [0, 1, 5] }", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("{ linspace = [0, 1, 4] }", [0.0, 0.333333333333, 0.666666666667, 1.0]),
        ("{ linspace = [1, 5, 3] }", [1, 3, 5]),
        ("{ logspace = [1e-5, 1e-1, 5] }", [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]),
        ("{ logspace = [1e-4, 1e-2, 5] }", [0.0001, 0.000316, 0.001, 0.00316, 0.01]),
        ("{ powers_of_two = [4, 256] }", [4, 8, 16, 32, 64, 128, 256]),
        ("[[64], [64, 64]]", [[64], [64, 64]]),
        ('["adam", { type = "sgd", momentum = 0.9 }]', ["adam", {"type": "sgd", "momentum": 0.9}]),
    ],
)
def test_a_range_gives_the_numbers_that_a_person_would_type(form: str, found: list[Any]) -> None:
    """No 0.30000000000000004, whole numbers stay whole, and both ends are there."""
    assert json.dumps(values(form)) == json.dumps(found)


@given(st.integers(-50, 50), st.integers(1, 40), st.integers(0, 60), st.integers(0, 3))
def test_a_range_is_its_first_number_and_its_steps(first: int, step: int, count: int, digits: int) -> None:
    """In decimals, as a person adds: every number is the text of that many steps."""
    scale = 10**digits
    form = {"range": [first / scale, (first + count * step) / scale, step / scale]}
    hyper = hyper_table.read("x", {"params.x": form}, frozenset())
    assert [f"{value:.{digits}f}" for value in hyper.values("params.x")] == [
        f"{(first + number * step) / scale:.{digits}f}" for number in range(count + 1)
    ]


_values = st.lists(st.integers(-3, 3) | st.booleans() | st.sampled_from(["a", "b", 0.5]), min_size=1, max_size=3)
_keys = st.sampled_from(["params.a", "params.b", "params.c", "params.d"])
_table = st.dictionaries(_keys, _values, min_size=1, max_size=3)


@settings(deadline=None)
@given(st.lists(_table, min_size=1, max_size=3))
def test_several_tables_are_the_union_that_parameter_grid_makes(tables: list[dict[str, list[Any]]]) -> None:
    """Exactly ParameterGrid([...]), in its order."""
    found = points(tomli_w.dumps({"hyper": tables}))
    assert json.dumps(found) == json.dumps(list(ParameterGrid(tables)))


@pytest.mark.slow
@settings(deadline=None)
@given(_table, st.lists(st.tuples(st.integers(0, 3), st.sampled_from("pqr")), min_size=1, max_size=3), st.data())
def test_zips_and_exclusions_are_what_brute_force_says(
    table: dict[str, list[Any]], zipped: list[tuple[int, str]], data: st.DataObject
) -> None:
    """Every combination of the axes, the zipped ones changing together, without those that match an exclusion."""
    keys = [*table, "params.x", "params.y"]
    every = [
        dict(zip(keys, (*row, *pair), strict=True)) for row in itertools.product(*table.values()) for pair in zipped
    ]
    some = data.draw(st.sampled_from(every))
    kept = data.draw(st.sets(st.sampled_from(keys), min_size=1))
    excluded = {key: some[key] for key in kept}

    def matches(point: dict[str, Any]) -> bool:
        return all(isinstance(point[k], bool) == isinstance(v, bool) and point[k] == v for k, v in excluded.items())

    left = [point for point in every if not matches(point)]
    assume(left)
    hyper = {**table, "params.x, params.y": [list(pair) for pair in zipped], "exclude": [excluded]}
    found = points(tomli_w.dumps({"hyper": hyper}))
    as_text = [sorted(json.dumps(point, sort_keys=True) for point in each) for each in (found, left)]
    assert as_text[0] == as_text[1]


def test_an_exclusion_that_matches_nothing_is_worth_a_warning() -> None:
    """It is allowed, since values come and go, and named."""
    text = "[hyper]\n'params.lr' = [1, 2]\nexclude = [{ 'params.lr' = true }, { params.lr = 2.0 }]\n"
    with expand.Space(definition.parse(text, "x.toml")) as found:
        assert list(found.points()) == [{"params.lr": 1}]
        assert found.doubts() == ['x.toml: hyper.exclude: {"params.lr": true} matches no point']


def test_the_default_is_a_point_to_compare_with() -> None:
    """The values that stand in the file come first; a key that has none is left to the template."""
    text = "[hyper]\n'params.lr' = [1]\n'params.new' = [2]\ninclude_default = true\n[params]\nlr = 5\n"
    assert points(text) == [{"params.lr": 5}, {"params.lr": 1, "params.new": 2}]


@pytest.mark.slow
def test_a_hundred_thousand_points_come_one_after_another() -> None:
    """Without a list of them all: expanding takes little memory, however many there are."""
    table = {f"params.{name}": list(range(10)) for name in "abcde"}
    hyper = definition.parse(tomli_w.dumps({"hyper": table}), "x.toml").hyper
    tracemalloc.start()
    assert sum(1 for _ in expand.grid(hyper.branches[0])) == 100_000
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


# --- random --------------------------------------------------------------------------------------------------------

FORMS = {
    "params.u": {"uniform": [0, 0.5]},
    "params.l": {"loguniform": [1e-5, 1e-1]},
    "params.i": {"randint": [64, 512]},
    "params.n": {"normal": [0, 1]},
    "params.g": {"lognormal": [0, 0.5]},
    "params.c": ["a", "b", "c"],
}


def random_text(table: Any, n: int, seed: int = 7) -> str:
    """A sweep that draws."""
    return tomli_w.dumps({"hyper": table, "search": {"method": "random", "n": n, "seed": seed}})


@settings(deadline=None, max_examples=20)
@given(st.sets(st.sampled_from(sorted(FORMS)), min_size=1), st.integers(0, 2**31 - 1))
def test_points_are_drawn_by_parameter_sampler(keys: set[str], seed: int) -> None:
    """Each from the sweep's seed and its own number, with the distributions of scipy.stats."""
    from numpy.random import SeedSequence
    from scipy import stats

    theirs = {
        "params.u": stats.uniform(0, 0.5),
        "params.l": stats.loguniform(1e-5, 1e-1),
        "params.i": stats.randint(64, 512),
        "params.n": stats.norm(0, 1),
        "params.g": stats.lognorm(0.5),
        "params.c": ["a", "b", "c"],
    }
    table = {key: theirs[key] for key in sorted(keys)}
    state = int(SeedSequence([seed, 0, 0]).generate_state(1)[0])
    (expected,) = ParameterSampler(table, 1, random_state=state)
    (found,) = points(random_text({key: FORMS[key] for key in keys}, 1, seed))
    assert found == {key: getattr(value, "item", lambda value=value: value)() for key, value in expected.items()}


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(st.lists(_table, min_size=1, max_size=2), st.integers(0, 99))
def test_every_point_of_a_finite_space_is_drawn_once(tables: list[dict[str, list[Any]]], seed: int) -> None:
    """As many points as there are, each another one; one more is refused with their number."""
    every = {json.dumps(point, sort_keys=True) for point in ParameterGrid(tables)}
    found = [json.dumps(point, sort_keys=True) for point in points(random_text(tables, len(every), seed))]
    assert len(found) == len(every)
    assert set(found) == every
    with pytest.raises(ConfigError, match=f"expected at most {len(every)}:"):
        points(random_text(tables, len(every) + 1, seed))


def test_more_points_are_the_same_and_others() -> None:
    """n raised later keeps the first draws; another seed draws others."""
    assert points(random_text(FORMS, 5)) == points(random_text(FORMS, 12))[:5]
    assert points(random_text(FORMS, 5)) != points(random_text(FORMS, 5, seed=8))


def test_excluded_points_are_drawn_again() -> None:
    """So that there are n all the same."""
    table = {"params.c": [1, 2, 3], "params.d": [1, 2, 3], "exclude": [{"params.c": 1}, {"params.d": 2}]}
    found = points(random_text(table, 4))
    assert {(p["params.c"], p["params.d"]) for p in found} == {(2, 1), (2, 3), (3, 1), (3, 3)}


def test_zipped_values_are_drawn_together() -> None:
    """A pair of the list, and no other."""
    table = {"params.x, params.y": [[1, "a"], [2, "b"]], "params.u": {"uniform": [0, 1]}}
    assert {(p["params.x"], p["params.y"]) for p in points(random_text(table, 12))} == {(1, "a"), (2, "b")}


@pytest.mark.parametrize(
    ("form", "allowed"),
    [
        ({"randint": [64, 512], "step": 64}, set(range(64, 512, 64))),
        ({"randint": [1, 4]}, {1, 2, 3}),
        ({"uniform": [0.1, 0.5], "step": 0.1}, {0.1, 0.2, 0.3, 0.4, 0.5}),
        ({"loguniform": [1, 10], "step": 3}, {1, 4, 7, 10}),
        ({"choice": [16, 32, 64], "weights": [1, 0, 3]}, {16, 64}),
    ],
)
def test_quantized_and_weighted_draws_are_those_that_are_allowed(form: dict[str, Any], allowed: set[Any]) -> None:
    """Every one of them comes up, nothing else does, as a number that a person would type."""
    from numpy.random import RandomState

    state = RandomState(3)
    table = hyper_table.read("x", {"params.x": form}, frozenset()).branches[0].axes[0].values
    assert isinstance(table, Distribution)
    drawn = sample.distribution(table)
    found = [drawn.rvs(random_state=state) for _ in range(400)]
    assert {getattr(value, "item", lambda value=value: value)() for value in found} == allowed


def test_steps_of_a_normal_are_multiples() -> None:
    """Counted from zero, on both sides of it."""
    from numpy.random import RandomState

    drawn = sample.distribution(Distribution("normal", (0, 1), 0.5))
    found = {drawn.rvs(random_state=RandomState(seed)) for seed in range(300)}
    assert found <= {number / 2 for number in range(-10, 11)}
    assert min(found) < 0 < max(found)


def test_weights_are_heeded() -> None:
    """Three of four draws, where the weights say so."""
    from numpy.random import RandomState

    state = RandomState(0)
    drawn = sample.distribution(Distribution("choice", ("a", "b"), weights=(3, 1)))
    assert 0.7 < sum(drawn.rvs(random_state=state) == "a" for _ in range(2000)) / 2000 < 0.8


@pytest.mark.slow
def test_random_points_are_the_same_in_a_process_of_its_own() -> None:
    """The command line asks scikit-learn beside its own work, and gets what it would have got itself."""
    text = random_text(FORMS, 6)
    program = f"""
import sys, json
from resweep.space import expand
from resweep.sweep import definition
with expand.Space(definition.parse({text!r}, "x.toml")) as found:
    print(json.dumps(list(found.points())))
    assert "sklearn" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == points(text)
