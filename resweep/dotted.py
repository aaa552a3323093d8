"""Dotted keys, such as `params.lr`, and the tables that they lead into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Table = dict[str, Any]

_NOTHING = object()


def fill(tables: Table, point: Mapping[str, Any]) -> Table:
    """`tables` with each dotted key of `point` set, at any depth; a missing table is made.

    Only the tables on the way are copied, and the rest is shared with `tables`: nobody changes any of them.
    """
    filled = dict(tables)
    for key, value in point.items():
        *parents, last = key.split(".")
        table = filled
        for parent in parents:
            table[parent] = dict(table.get(parent, {}))
            table = table[parent]
        table[last] = value
    return filled


def given(tables: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """What stands in `tables` for the dotted `key`, or the default."""
    value: Any = tables
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return default
        value = value[part]
    return value


def names_something(tables: Mapping[str, Any], key: str) -> bool:
    """Whether the dotted `key` stands in `tables`."""
    return given(tables, key, _NOTHING) is not _NOTHING
