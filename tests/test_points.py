"""Repeats together: the numbers are those of other implementations, and doubt is told.

Code: results/points, results/best_trial
"""

from __future__ import annotations

import math
import statistics

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resweep.index import Entry
from resweep.results import best_trial, points
from resweep.results.trial_rows import Row
from resweep.sweep.definition import ResultsOptions

NUMBERS = st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9)


def row(id_: str, repeat: int, value: float | None, state: str = "finished", sweep: str = "rnn") -> Row:
    """A trial with one metric."""
    entry = Entry(1, id_, repeat, "digest", "", "", {"x": id_}, 1)
    return Row(entry, state, 1.5, {} if value is None else {"a": value}, sweep=sweep)


@given(st.lists(NUMBERS, min_size=1, max_size=50))
def test_aggregates_are_those_of_the_standard_library(values: list[float]) -> None:
    """Mean and sample standard deviation, least and most; one value has no deviation."""
    found = points.statistic(values)
    assert found
    scale = max(map(abs, values), default=1.0)
    assert found.mean == pytest.approx(statistics.mean(values), rel=1e-12, abs=1e-12 * scale)
    assert (found.n, found.min, found.max) == (len(values), min(values), max(values))
    if len(values) == 1:
        assert found.sd is None
    else:
        assert found.sd == pytest.approx(statistics.stdev(values), rel=1e-9, abs=1e-9 * scale)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(-1e6, 1e6)), min_size=1, max_size=40))
def test_aggregates_are_those_of_pandas(values: list[tuple[str, float]]) -> None:
    """Grouping by point and aggregating gives what pandas gives."""
    table = points.points([row(key, number, value) for number, (key, value) in enumerate(values)])
    expected = pd.DataFrame(values, columns=["id", "a"]).groupby("id")["a"].agg(["mean", "std", "count", "min", "max"])
    for point in table:
        found = point.statistic("a")
        assert found
        mean, sd, n, least, most = expected.loc[point.entry.id]
        assert found.mean == pytest.approx(mean, rel=1e-9, abs=1e-6)
        assert (math.nan if found.sd is None else found.sd) == pytest.approx(sd, rel=1e-6, abs=1e-6, nan_ok=True)
        assert (found.n, found.min, found.max) == (n, least, most)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_repeat_that_diverged_is_not_hidden(value: float) -> None:
    """One repeat without a finite number leaves no mean to believe in."""
    found = points.statistic([1.0, value])
    assert found
    assert not math.isfinite(found.mean)
    assert found.sd is not None
    assert math.isnan(found.sd)


def test_huge_numbers_have_a_mean() -> None:
    """Sums beyond what a double holds do not end the table."""
    found = points.statistic([1.7e308, 1.7e308])
    assert found
    assert found.mean == pytest.approx(1.7e308)


def test_integers_beyond_every_double_are_infinite() -> None:
    """An integer that JSON can hold and no double can leaves no mean to believe in, and no crash."""
    found = points.statistic([10**400, 1])
    assert found
    assert (found.mean, found.min, found.max) == (math.inf, 1, math.inf)


def test_only_finished_repeats_of_one_sweep_and_id_are_together() -> None:
    """What runs or failed does not count, nor what has another source, thus id, or is another sweep's."""
    rows = [
        row("a", 1, 3.0),
        row("a", 0, 1.0),
        row("a", 2, 9.0, "running"),
        row("b", 0, 5.0),
        row("a", 0, 7.0, sweep="dan"),
    ]
    first, second, third = points.points(rows)
    assert first.statistic("a") == points.statistic([1.0, 3.0])
    assert first.states == "2 finished, 1 running"
    assert [each.statistic("a").n for each in (second, third)] == [1, 1]  # type: ignore[union-attr]
    assert first.statistic("nothing") is None


@pytest.mark.parametrize(("mode", "first"), [("max", "a"), ("min", "c")])
def test_the_runner_up_is_the_next_configuration(mode: str, first: str) -> None:
    """The best trial's point is compared with the best mean of another one, over their joint spread."""
    values = {"a": [9.0, 7.0], "b": [6.0, 6.5], "c": [1.0, 2.0]}
    rows = [row(key, n, value) for key, each in values.items() for n, value in enumerate(each)]
    options = ResultsOptions("a", mode)
    ranked = sorted(rows, key=lambda each: each.metrics["a"], reverse=mode == "max")
    found = points.best(rows, ranked, options)
    assert (found.row.entry.id, found.finished) == (first, 6)
    assert found.runner_up
    assert found.runner_up.entry.id == "b"
    assert found.ahead == (1.75 if mode == "max" else 4.75)
    expected = [statistics.variance(values[first]), statistics.variance(values["b"])]
    assert found.spread == pytest.approx(math.sqrt(sum(expected) / 2))


def test_a_best_whose_repeat_diverged_compares_with_nothing() -> None:
    """An infinite mean is neither ahead of another nor within its spread; that is said."""
    rows = [row("a", 0, 2.0), row("a", 1, math.inf), row("b", 0, 1.0), row("b", 1, 1.5)]
    found = best_trial.best("rnn", rows, ResultsOptions("a"), "trial")
    assert (found.row, found.finished, found.spread, best_trial.verdict(found)) == (rows[0], 3, None, "diverged")
    assert "diverged" in best_trial.runner_up(found)[-1]


def test_the_best_is_of_the_point_with_the_best_mean() -> None:
    """Not the luckiest seed of another one, which is named and can be asked for."""
    rows = [row("a", 1, 9.0), row("b", 1, 6.5), row("b", 0, 6.0), row("a", 0, 1.0)]
    found = best_trial.best("rnn", rows, ResultsOptions("a"))
    assert (found.row, found.points, found.lucky) == (rows[1], 2, rows[0])
    said = best_trial.metric(found, ResultsOptions("a"), "rnn")
    assert said.endswith(", mean of 2 repeats, the highest of 2 points of rnn")
    assert "9" in best_trial.lucky(found, ResultsOptions("a"))
    alone = best_trial.best("rnn", rows, ResultsOptions("a"), "trial")
    assert (alone.row, alone.lucky, alone.ahead) == (rows[0], None, -1.25)
    assert best_trial.metric(alone, ResultsOptions("a"), "rnn").endswith("a 9, the highest of 4 finished trials of rnn")


def test_a_point_of_which_most_repeats_are_missing_comes_behind() -> None:
    """The others could have been the bad ones; where no point has half of them, all are compared."""
    waiting = [row("a", n, None, "running") for n in (1, 2)]
    rows = [row("a", 0, 9.0), row("b", 1, 6.5), row("b", 0, 6.0), *waiting]
    options = ResultsOptions("a")
    assert best_trial.best("rnn", rows, options).row == rows[1]
    assert best_trial.best("rnn", [rows[0], *rows[1:3], waiting[0]], options).row == rows[0]
    assert best_trial.best("rnn", [rows[0], *waiting], options).row == rows[0]


def test_without_repeats_there_is_no_spread() -> None:
    """Single runs tell nothing of chance; a single configuration has no runner-up."""
    rows = [row("a", 0, 2.0), row("b", 0, 1.0)]
    assert points.best(rows, rows, ResultsOptions("a")).spread is None
    assert points.best(rows[:1], rows[:1], ResultsOptions("a")).runner_up is None
