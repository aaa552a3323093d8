"""Dotted keys, such as `params.lr`, and the tables that they lead into. A name with a dot is quoted, as in TOML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

Table = dict[str, Any]

_NOTHING = object()
_PART = re.compile(r'("(?:[^"\\]|\\.)*")(?=\.|$)|[^.]*', re.DOTALL)


def parts(key: str) -> list[str]:
    """The names that a dotted key leads through: `paths."a.b"` is `paths` and `a.b`."""
    if '"' not in key:
        return key.split(".")
    found, place = [], 0
    while place <= len(key):
        match = _PART.match(key, place)
        assert match, "it matches nothing at all, too"
        found.append(_unquoted(match[1]) if match[1] else match[0])
        place = match.end() + 1
    return found


def _unquoted(name: str) -> str:
    try:
        return str(json.loads(name))
    except ValueError:
        return name


def joined(prefix: str, name: str) -> str:
    """The dotted key of `name` in a table, whose own key is `prefix` with a dot behind it."""
    return prefix + (json.dumps(name, ensure_ascii=False) if "." in name or '"' in name else name)


def fill(tables: Table, point: Mapping[str, Any]) -> Table:
    """`tables` with each dotted key of `point` set, at any depth; a missing table is made.

    Only the tables on the way are copied, and the rest is shared with `tables`: nobody changes any of them.
    """
    filled = dict(tables)
    for key, value in point.items():
        *parents, last = parts(key)
        table = filled
        for parent in parents:
            table[parent] = dict(table.get(parent, {}))
            table = table[parent]
        table[last] = value
    return filled


def given(tables: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """What stands in `tables` for the dotted `key`, or the default."""
    value: Any = tables
    for part in parts(key):
        if not isinstance(value, Mapping) or part not in value:
            return default
        value = value[part]
    return value


def names_something(tables: Mapping[str, Any], key: str) -> bool:
    """Whether the dotted `key` stands in `tables`."""
    return given(tables, key, _NOTHING) is not _NOTHING
