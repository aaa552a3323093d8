"""Dotted keys, and the tables that they lead into.

Code: sweep/dotted_keys
"""

from __future__ import annotations

from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from resweep.sweep import dotted_keys


def test_filling_a_point_leaves_the_tables_and_other_points_alone() -> None:
    """Every point starts from the same configuration, whatever was set for another, at any depth."""
    tables = {"params": {"lr": 1, "model": {"dim": 1, "layers": [1, 2]}}}
    before = deepcopy(tables)
    first = dotted_keys.fill(tables, {"params.lr": 2, "params.model.dim": 3, "params.new.deep": {"x": [1]}})
    second = dotted_keys.fill(tables, {"params.model.dim": 4})
    assert tables == before
    assert first["params"] == {"lr": 2, "model": {"dim": 3, "layers": [1, 2]}, "new": {"deep": {"x": [1]}}}
    assert second["params"] == {"lr": 1, "model": {"dim": 4, "layers": [1, 2]}}


def test_a_key_names_something_only_where_tables_lead_all_the_way() -> None:
    """A value on the way that is no table ends it, and nothing is looked up in a text."""
    tables = {"params": {"lr": 1, "kind": "gru"}}
    assert dotted_keys.names_something(tables, "params.lr")
    assert dotted_keys.names_something(tables, "params")
    assert not any(
        dotted_keys.names_something(tables, key) for key in ("params.x", "params.lr.x", "params.kind.g", "lr")
    )


def test_what_stands_for_a_key_is_given_whatever_it_is() -> None:
    """None is a value, and another thing than nothing."""
    tables = {"params": {"lr": None, "layers": [1]}}
    assert dotted_keys.given(tables, "params.lr", 3) is None
    assert dotted_keys.given(tables, "params.layers") == [1]
    assert dotted_keys.given(tables, "params.layers.0", 3) == 3
    assert dotted_keys.names_something(tables, "params.lr")


@given(st.lists(st.text() | st.text('a."\\\\'), min_size=1), st.integers())
def test_any_names_make_a_key_that_leads_through_them(names: list[str], value: int) -> None:
    """Dots, quotes and backslashes in a name are its own."""
    key = dotted_keys.joined("", names[0])
    for name in names[1:]:
        key = dotted_keys.joined(f"{key}.", name)
    assert dotted_keys.parts(key) == names
    assert dotted_keys.given(dotted_keys.fill({}, {key: value}), key) == value


@given(st.text() | st.text('a."\\\\'))
def test_whatever_a_key_is_it_has_parts(key: str) -> None:
    """One more than it has dots, at most."""
    assert 1 <= len(dotted_keys.parts(key)) <= key.count(".") + 1
