"""The expected best so far: what trying every order would say, and never more than was tried.

Code: report/expected
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resweep.index import Entry
from resweep.report import expected
from resweep.results.points import points
from resweep.results.trial_rows import Row
from resweep.sweep import definition
from resweep.sweep.definition import ResultsOptions

FINITE = st.floats(allow_nan=False, allow_infinity=False)
MODERATE = st.floats(-1e6, 1e6)
MODES = st.sampled_from(["max", "min"])
FORMS = st.booleans()


def curve(values: Sequence[float], mode: str, grid: bool) -> expected.Expected:
    """The curve of values that are a whole grid, or independent draws."""
    return expected.expected(values, mode, len(values) if grid else None)


@given(st.lists(MODERATE, min_size=1, max_size=5), MODES, FORMS)
def test_it_is_the_mean_over_everything_that_could_be_drawn(values: list[float], mode: str, grid: bool) -> None:
    """Mean and deviation of the best, over all subsets of a grid or all tuples of draws, for each n."""
    found = curve(values, mode, grid)
    assert found.n == tuple(range(1, len(values) + 1))
    for n, value, sd in zip(found.n, found.value, found.sd, strict=True):
        drawn = itertools.combinations(values, n) if grid else itertools.product(values, repeat=n)
        bests = [max(each) if mode == "max" else min(each) for each in drawn]
        scale = max(map(abs, values))
        assert value == pytest.approx(statistics.fmean(bests), rel=1e-9, abs=1e-12 * scale)
        assert sd == pytest.approx(statistics.pstdev(bests), rel=1e-6, abs=1e-7 * scale)


@given(st.lists(FINITE, min_size=1, max_size=60), MODES, FORMS)
def test_more_points_are_never_worse_and_never_better_than_what_was_seen(
    values: list[float], mode: str, grid: bool
) -> None:
    """The curve runs towards the best, within the least and the most, also for the largest doubles."""
    found = curve(values, mode, grid)
    assert list(found.value) == sorted(found.value, reverse=mode == "min")
    for series in (found.low, found.value, found.high):
        assert all(min(values) <= each <= max(values) for each in series)
    assert all(low <= value <= high for low, value, high in zip(found.low, found.value, found.high, strict=True))


@given(st.lists(MODERATE, min_size=1, max_size=450), MODES)
def test_a_whole_grid_ends_at_its_best(values: list[float], mode: str) -> None:
    """When all points have been tried, the best is certain."""
    found = curve(values, mode, grid=True)
    assert found.n[-1] == len(values)
    assert found.value[-1] == (max(values) if mode == "max" else min(values))
    assert found.sd[-1] == 0


@given(st.lists(MODERATE, min_size=1, max_size=30), FORMS)
def test_the_lowest_is_the_highest_upside_down(values: list[float], grid: bool) -> None:
    """`min` of values is `max` of their negatives."""
    low, high = curve(values, "min", grid), curve([-value for value in values], "max", grid)
    assert low.value == tuple(-value for value in high.value)
    assert low.sd == high.sd
    assert low.low == tuple(-value for value in high.high)


@given(st.lists(MODERATE, min_size=1, max_size=20), st.lists(st.sampled_from([math.nan, math.inf, -math.inf])), MODES)
def test_what_diverged_was_tried_and_counts_as_the_worst(values: list[float], others: list[float], mode: str) -> None:
    """NaN and the infinities, whichever way is good, are as many more of the worst, and are counted."""
    found = expected.expected([*others, *values], mode)
    assert found.diverged == len(others)
    worst = min(values) if mode == "max" else max(values)
    assert found.value == expected.expected([*values, *[worst] * len(others)], mode).value
    assert found.n[-1] == len(values) + len(others)


def test_nothing_gives_an_empty_curve() -> None:
    """Without a number there is no curve, and it says how many points there would be."""
    found = expected.expected([math.nan], "max", 3)
    assert (found.n, found.value, found.diverged, found.missing) == ((), (), 1, 2)


def test_the_form_is_said() -> None:
    """Draws and grids are different laws, and the curve says which it followed."""
    assert expected.expected([1.0, 2.0], "max").form == "with replacement"
    assert expected.expected([1.0, 2.0], "max", 2).form == "without replacement"


@pytest.mark.slow
@pytest.mark.parametrize("grid", [True, False])
def test_a_hundred_thousand_points_are_exact(grid: bool) -> None:
    """Of 1, 2, ... N the best of n is known in closed form; a few hundred n are computed, each up to 200."""
    count = 100_000
    found = curve([float(value) for value in range(1, count + 1)], "max", grid)
    assert found.n[:200] == tuple(range(1, 201))
    assert found.n[-1] == count
    assert len(found.n) <= 401
    for n, value in zip(found.n, found.value, strict=True):
        # drawn without replacement: n(N+1)/(n+1); independently: the sum over k < N of 1 - (k/N)^n
        exact = n * (count + 1) / (n + 1) if grid else math.fsum(1 - (k / count) ** n for k in range(count))
        assert value == pytest.approx(exact, rel=1e-9)
        if not grid and n > 3:
            break


def row(id_: str, repeat: int, value: float | None, seconds: float | None = 2.0) -> Row:
    """A finished trial, or one that waits."""
    entry = Entry(1, id_, repeat, "digest", "", "", {"x": id_}, 1)
    if value is None:
        return Row(entry, "queued", None, {})
    return Row(entry, "finished", seconds, {"loss": value})


def test_repeats_count_once_in_the_curve_and_all_in_its_cost() -> None:
    """A point's value is the mean of its repeats, and its cost what all of them took."""
    rows = [row("a", 0, 1.0), row("a", 1, 3.0), row("b", 0, 5.0, 6.0), row("c", 0, None)]
    found = expected.performance(points(rows), ResultsOptions("loss", "min"), None)
    assert found.curve.value == (3.5, 2.0)
    assert (found.curve.form, found.curve.missing) == ("without replacement", 1)
    assert found.each == (2 + 2 + 6) / 2
    assert found.curve.seconds(5.0) == (5.0, 10.0)


def test_a_pruned_point_counts_with_its_last_value_and_its_time() -> None:
    """Those that finished are a selection; a point of which one repeat was pruned has the mean of both."""
    rows = [row("a", 0, 1.0), row("b", 0, 5.0), row("b", 1, 3.0), row("c", 0, 9.0), row("d", 0, math.nan)]
    rows = [replace(each, state="pruned" if place else "finished") for place, each in enumerate(rows)]
    rows[1] = replace(rows[1], state="finished")
    found = expected.performance(points(rows), ResultsOptions("loss", "min"), None)
    # that which diverged was tried as well, and is no better than the worst
    bests = [statistics.fmean(map(min, itertools.combinations([1, 4, 9, 9], n))) for n in (1, 2, 3, 4)]
    assert found.curve.value == pytest.approx(bests)
    assert (found.curve.diverged, found.curve.missing, found.pruned) == (1, 0, 2)
    assert found.each == pytest.approx((2 + 4 + 2 + 2) / 4)


@pytest.mark.parametrize(("method", "chosen"), [("tpe", True), ("gp", True), ("qmc", False), ("random", False)])
def test_points_that_a_search_chose_by_results_are_no_draws(method: str, chosen: bool) -> None:
    """Their curve is marked, for nobody to take it for an expectation."""
    text = f'[search]\nmethod = "{method}"\nn = 2\n[hyper]\n"params.x" = {{ uniform = [0, 1] }}\n[params]\nx = 1\n'
    text += '[results]\nmetric = "loss"\n'
    rows = [row("a", 0, 1.0), row("b", 0, 2.0)]
    asked = definition.parse(text, "x.toml")
    assert expected.performance(points(rows), ResultsOptions("loss", "min"), asked).chosen is chosen


def test_a_sweep_that_draws_from_distributions_has_independent_draws() -> None:
    """What the definition says decides the form."""
    text = '[search]\nmethod = "random"\nn = 2\n[hyper]\n"params.x" = {}\n[params]\nx = 1\n'
    rows = [row("a", 0, 1.0), row("b", 0, 2.0)]
    forms = {}
    for values in ("{ uniform = [0, 1] }", "[1, 2, 3]"):
        asked = definition.parse(text.format(values), "x.toml")
        forms[values] = expected.performance(points(rows), ResultsOptions("loss", "min"), asked).curve.form
    assert list(forms.values()) == ["with replacement", "without replacement"]
