"""Why a generation has new trials or orphans: what differs from the last one, by name. Writes nothing."""

from __future__ import annotations

from typing import Any

from resweep import layout
from resweep.errors import ConfigError
from resweep.sweep import hyper_table
from resweep.sweep.hyper_table import Hyper
from resweep.sweep.ranges import Distribution

Record = dict[str, Any]  # generation.json


def changes(last: Record, now: Record, files: list[str]) -> list[str]:
    """What differs between two generations, a line each; `files` are those of the source that changed."""
    why = _hyper_changes(last["hyper"], now["hyper"])
    were, are = (_flat({**each["settings"], "search": each.get("search", {})}) for each in (last, now))
    for key in sorted(were.keys() | are.keys()):
        if were.get(key) != are.get(key):
            said = key.replace("search.stop.arguments.", "search.stop.")
            old, new = (layout.cut(each.get(key, "nothing")) for each in (were, are))
            why.append(f"{said}: {old} is now {new}")
    sources, earlier = now["sources"], last["sources"]
    templates = [name for name in sorted(sources.keys() | earlier.keys()) if sources.get(name) != earlier.get(name)]
    why += [f"template changed: {some(templates)}"] if templates else []
    why += [f"source changed: {some(files)}"] if files else []
    return why


def some(names: list[str], most: int = 6) -> str:
    """The first of them, and how many more there are."""
    return ", ".join(map(layout.cut, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")


def _hyper_changes(last: Any, now: Any) -> list[str]:
    if last == now:
        return []
    try:
        before, after = (hyper_table.read("", raw, frozenset()) for raw in (last, now))
    except ConfigError:  # what an earlier version allowed
        return ["hyper: changed"]
    why = []
    were, are = _said(before), _said(after)
    for name in sorted(were.keys() | are.keys()):
        old, new = were.get(name, []), are.get(name, [])
        added, gone = [v for v in new if v not in old], [v for v in old if v not in new]
        why += [f"{name}: {some(added)} added"] if added else []
        why += [f"{name}: {some(gone)} taken out"] if gone else []
    if before.include_default != after.include_default:
        why.append(f"include_default: {'added' if after.include_default else 'taken out'}")
    if len(before.branches) != len(after.branches):
        why.append(f"hyper: {_tables(before)} is now {_tables(after)}")
    if not why and _combined(before) != _combined(after):
        why.append("hyper: the same values are combined in another way")
    return why


def _said(hyper: Hyper) -> dict[str, list[str]]:
    """What each axis takes, and what is excluded, as text: 1, 1.0 and true are equal in Python, and three points."""
    found: dict[str, list[str]] = {}
    for branch in hyper.branches:
        for axis in branch.axes:
            values = axis.values
            said = [values.described()] if isinstance(values, Distribution) else map(layout.jsonnable, values)
            found.setdefault(axis.name, []).extend(said)
        if branch.exclude:
            # a table, whose keys mean the same in any order
            excluded = (layout.jsonnable(dict(sorted(each.items()))) for each in branch.exclude)
            found.setdefault("exclude", []).extend(excluded)
    return found


def _combined(hyper: Hyper) -> list[dict[str, list[str]]]:
    return [_said(Hyper((branch,))) for branch in hyper.branches]


def _tables(hyper: Hyper) -> str:
    count = len(hyper.branches)
    return "one table" if count == 1 else f"{count} tables"


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: layout.jsonnable(value)}
    return flat
