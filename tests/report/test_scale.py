"""Which axis a key's values belong on.

Code: report/scale
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resweep.index import Entry
from resweep.report.scale import FEW, listed, number, scales
from resweep.results.trial_rows import Row
from resweep.sweep import definition


def rows(*values: object) -> list[Row]:
    """A row for each value of the key `k`."""
    return [Row(Entry(n, f"{n}", 0, "", "", "", {"k": value}, 1), "queued", None, {}) for n, value in enumerate(values)]


def random_search(form: str) -> definition.Sweep:
    """A random search over `k`."""
    text = f'[search]\nmethod = "random"\nn = 9\n[hyper]\nk = {form}\n'
    return definition.parse(f"k = 1\n{text}", "x.toml")


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1e-5, 1e-4, 1e-3], "log"),
        ([0.0003, 0.001, 0.003], "log"),
        ([1e-5, 1e-4, 1e-2], "log"),
        ([16, 32, 64, 128], "log"),
        ([0.001, 0.1], "log"),
        ([1, 2], "linear"),
        ([1, 2, 3], "linear"),
        ([0.1, 0.2, 0.3, 0.4], "linear"),
        ([0, 1e-5, 1e-4, 1e-3], "linear"),
        ([-1, -10, -100], "linear"),
        ([7], "linear"),
        ([1e-320, 1.7e308], "log"),
        ([10 ** (n / 20) for n in range(100)], "log"),
        ([0.00012, 0.0004, 0.0009, 0.0091, 0.02, 0.09], "log"),
        ([1, 30, 55, 58, 100], "linear"),
        (list(range(1, 1001)), "linear"),
        (["a", 1], "category"),
        ([True, False], "category"),
        ([[1], [2]], "category"),
        ([10**400, 1], "category"),
        ([None, None], "category"),
        ([None, 1, 2, 4, 8], "log"),
    ],
)
def test_the_scale_of_a_list(values: list[Any], scale: str) -> None:
    """A geometric progression of positive numbers is logarithmic; what is not all numbers has no scale."""
    assert scales({}, rows(*values)) == {"k": scale}


@pytest.mark.parametrize(
    ("form", "scale"),
    [
        ("{ loguniform = [1, 2] }", "log"),
        ("{ lognormal = [0, 1] }", "log"),
        ("{ uniform = [1, 100000] }", "linear"),
        ("{ choice = [1, 10, 100] }", "log"),
    ],
)
def test_a_distribution_says_it(form: str, scale: str) -> None:
    """What values are drawn from counts more than how they came out."""
    assert scales({"a": random_search(form)}, rows(1, 10, 100)) == {"k": scale}


@given(st.lists(st.floats(1e-300, 1e300), min_size=3, max_size=60, unique=True), st.sampled_from([0.5, 2.0, 1024.0]))
def test_units_do_not_matter(values: list[float], unit: float) -> None:
    """Counted in other units, values have the same scale."""
    assert scales({}, rows(*values)) == scales({}, rows(*(value * unit for value in values)))


@pytest.mark.parametrize("value", [None, True, "1", [1], {}, float("nan"), float("inf"), 10**400])
def test_what_is_no_number_is_none(value: object) -> None:
    """Only what a finite double can hold is a number."""
    assert number(value) is None


def points(*values: object) -> list[Row]:
    """A row for each value of the key `k`, each of its own point."""
    return [
        Row(Entry(n, f"{n}", 0, "", f"{n}", "", {"k": value}, 1), "queued", None, {}) for n, value in enumerate(values)
    ]


GRID = "k = 1\n[hyper]\nk = [1, 2]\n"
UNROUND = [0.071036, 0.25395, 0.41466]


@pytest.mark.parametrize(
    ("form", "values", "own"),
    [
        (None, [0.1, 0.25, 0.5], True),
        (None, UNROUND, False),
        (None, UNROUND * 2, True),
        (None, list(range(FEW)), True),
        (None, list(range(FEW + 1)), False),
        (None, ["a", "b"], False),
        ("{ uniform = [0, 1] }", UNROUND, False),
        ("{ uniform = [0, 1] }", UNROUND * 2, False),
        ("{ uniform = [0, 1] }", [0.1, 0.2], False),
        ("{ uniform = [0, 1], step = 0.1 }", [0.1, 0.2] * 3, True),
        ("{ choice = [0.071036, 0.25395, 0.41466] }", UNROUND, True),
    ],
)
def test_what_a_person_listed_has_its_own_marks(form: str | None, values: list[Any], own: bool) -> None:
    """Few values, of a list or round or tried again; not what chance drew from a range."""
    definitions = {} if form is None else {"a": random_search(form)}
    assert listed(definitions, points(*values)) == ({"k"} if own else set())


def test_a_list_has_its_own_marks_however_it_is_written() -> None:
    """Values that a grid names need not be round."""
    assert listed({"a": definition.parse(GRID, "x.toml")}, points(*UNROUND)) == {"k"}
