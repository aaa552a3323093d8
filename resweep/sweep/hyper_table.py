"""`[hyper]`, or several `[[hyper]]` -> what is swept: axes of values or of a distribution, read and checked.

"params.lr" = [0.1, 0.01]                                  an axis; a value may be a list or a table
"params.lr" = { logspace = [1e-5, 1e-1, 5] }               a range or a distribution: see `forms`
"params.lr, params.batch_size" = [[0.1, 32], [0.01, 64]]   two axes zipped: they change together
exclude = [{ "params.lr" = 0.1, "params.depth" = 2 }]      points that match any of these are left out
include_default = true                                     and the values of the file itself, as the first point
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from resweep.errors import ConfigError, shown
from resweep.sweep import dotted_keys, ranges
from resweep.sweep.ranges import Distribution

_OWN = ("exclude", "include_default")
_TABLES = ("params", "ext_vars", "slurm")  # whose keys are swept, and they themselves are not

Table = dict[str, Any]


@dataclass(frozen=True)
class Axis:
    """One swept key, or several that change together: then each value is a list, one for each key."""

    keys: tuple[str, ...]
    values: tuple[Any, ...] | Distribution

    @property
    def name(self) -> str:
        """The keys as one text, which ParameterGrid sorts by."""
        return ", ".join(self.keys)

    def assign(self, value: Any) -> Table:
        """A value of the axis, as the values of its keys."""
        return dict(zip(self.keys, value, strict=True)) if len(self.keys) > 1 else {self.keys[0]: value}


@dataclass(frozen=True)
class Branch:
    """One table: the points of all its axes, but for those that match one of `exclude`."""

    axes: tuple[Axis, ...] = ()
    exclude: tuple[Table, ...] = ()

    @property
    def keys(self) -> list[str]:
        """Every key of its axes."""
        return [key for axis in self.axes for key in axis.keys]

    def excluded(self, point: Mapping[str, Any]) -> list[int]:
        """Which of the exclusions a point matches, by their place in the list."""
        return [
            number
            for number, table in enumerate(self.exclude)
            if all(key in point and same(point[key], value) for key, value in table.items())
        ]


@dataclass(frozen=True)
class Hyper:
    """Everything that is swept. `raw` is the TOML's own table, or list of tables."""

    branches: tuple[Branch, ...] = ()
    include_default: bool = False
    raw: Table | list[Table] | None = None

    @property
    def keys(self) -> list[str]:
        """Every swept key, each once."""
        return list(dict.fromkeys(key for branch in self.branches for key in branch.keys))

    @property
    def random(self) -> bool:
        """Whether any axis is a distribution."""
        return any(isinstance(axis.values, Distribution) for branch in self.branches for axis in branch.axes)

    def values(self, key: str) -> list[Any]:
        """Every value that a key takes on a list, in order."""
        found = []
        for axis in (axis for branch in self.branches for axis in branch.axes if key in axis.keys):
            if not isinstance(axis.values, Distribution):
                found += [axis.assign(value)[key] for value in axis.values]
        return found


def same(one: Any, other: Any) -> bool:
    """Whether two values of a point are one: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    return bool(one == other)


def read(where: str, hyper: object, refused: frozenset[str]) -> Hyper:
    """Read `[hyper]`; a ConfigError for every mistake. `refused` are the first words of keys that cannot be swept."""
    tables = hyper if isinstance(hyper, list) else [hyper]
    if not tables or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"{where}: hyper: found {shown(hyper)}, expected one table, [hyper], or several, [[hyper]]")
    branches, default = [], False
    for number, table in enumerate(tables, 1):
        place = "hyper" if len(tables) == 1 else f"hyper {number}"
        own = table.get("include_default", False)
        if not isinstance(own, bool):
            raise ConfigError(f"{where}: {place}.include_default: found {shown(own)}, expected true or false")
        default = default or own
        branches.append(_branch(where, place, table, refused))
    raw = hyper if isinstance(hyper, list | dict) else None
    return Hyper(tuple(branches), default, raw)


def _branch(where: str, place: str, table: Table, refused: frozenset[str]) -> Branch:
    axes: dict[str, Axis] = {}
    for name, value in leaves({key: value for key, value in table.items() if key not in _OWN}):
        keys = tuple(key.strip() for key in name.split(","))
        for number, key in enumerate(keys):
            if key in keys[:number]:
                raise ConfigError(f"{where}: {place}.{name}: found {key} twice, expected each key once")
            if key in axes:
                alone = len(keys) == len(axes[key].keys) == 1
                twice = "quoted and unquoted" if alone else "alone and zipped, or zipped twice"
                raise ConfigError(f"{where}: {place}.{key}: stands there twice, {twice}; keep one")
            _check_key(where, f"{place}.{key}", key, refused)
        axis = Axis(keys, _values(where, f"{place}.{name}", keys, value))
        axes |= dict.fromkeys(keys, axis)
    for key in axes:
        longer = next((other for other in axes if other.startswith(key + ".")), None)
        if longer:
            raise ConfigError(
                f"{where}: {place}.{longer}: lies inside {place}.{key}, expected keys that do not overlap"
            )
    exclude = _exclude(where, f"{place}.exclude", table.get("exclude", []), list(axes))
    return Branch(_once(axes), exclude)


def _once(axes: dict[str, Axis]) -> tuple[Axis, ...]:
    """Each axis once, though it stands under each of its keys; values may be lists, which cannot be hashed."""
    return tuple(axis for key, axis in axes.items() if key == axis.keys[0])


def _check_key(where: str, place: str, key: str, refused: frozenset[str]) -> None:
    if not key:
        raise ConfigError(f"{where}: {place}: found an empty key, expected keys with commas between them")
    if key in _TABLES:
        raise ConfigError(f"{where}: {place}: is a whole table, expected a key in it, such as {key}.name")
    if key.startswith("ext_vars.") and key.count(".") > 1:
        raise ConfigError(f"{where}: {place}: found a table, expected an external variable, such as ext_vars.NAME")
    if key.partition(".")[0] in refused:
        raise ConfigError(
            f"{where}: {place}: this is the tool's own setting, not the trial's; expected a key of the trial's "
            "configuration, such as params.lr"
        )


def _values(where: str, place: str, keys: tuple[str, ...], value: Any) -> tuple[Any, ...] | Distribution:
    if isinstance(value, dict):
        if len(keys) > 1:
            raise ConfigError(f"{where}: {place}: found {shown(value)}, expected a list with a list for each point")
        return ranges.read(where, place, value, _is_filled(keys[0]))
    if not isinstance(value, list):
        raise ConfigError(f"{where}: {place}: found {shown(value)}, expected a list of values, [...]")
    if not value:
        raise ConfigError(f"{where}: {place}: found an empty list, expected at least one value")
    if len(keys) > 1:
        for number, row in enumerate(value, 1):
            if not isinstance(row, list) or len(row) != len(keys):
                raise ConfigError(
                    f"{where}: {place}: value {number}: found {shown(row)}, expected a list of {len(keys)} values, "
                    f"one for each of {', '.join(keys)}"
                )
    for row in value:
        for key, each in zip(keys, row if len(keys) > 1 else [row], strict=True):
            if _is_filled(key):
                ranges.check_numbers(where, place, each)
    return tuple(value)


def _is_filled(key: str) -> bool:
    """Whether a key's values reach the template as arguments; others, such as dates, only stand in a trial's TOML."""
    return key.startswith("params.")


def _exclude(where: str, place: str, tables: object, keys: list[str]) -> tuple[Table, ...]:
    if not isinstance(tables, list) or not all(isinstance(table, dict) and table for table in tables):
        raise ConfigError(f'{where}: {place}: found {shown(tables)}, expected tables, [{{ "params.lr" = 0.1 }}]')
    found = []
    for number, table in enumerate(tables, 1):
        values = dict(_pairs(table, keys))
        for key in values:
            if key not in keys:
                raise ConfigError(
                    f"{where}: {place}: table {number}: {key} is not swept here, expected one of {', '.join(keys)}"
                )
        found.append(values)
    return tuple(found)


def _pairs(table: Table, keys: list[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of an exclusion; what is swept is one, though its value may be a table."""
    for key, value in table.items():
        if isinstance(value, dict) and _key(prefix, key) not in keys:
            yield from _pairs(value, keys, f"{_key(prefix, key)}.")
        else:
            yield _key(prefix, key), value


def leaves(table: Table, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything in a table that is no table itself, and of each range and distribution."""
    for key, value in table.items():
        if isinstance(value, dict) and value and not _is_form(_key(prefix, key), value):
            yield from leaves(value, f"{_key(prefix, key)}.")
        else:
            yield _key(prefix, key), value


def _key(prefix: str, name: str) -> str:
    """The dotted key of a name in a table; at the top, names are dotted keys themselves."""
    return dotted_keys.joined(prefix, name) if prefix else name


def _is_form(key: str, table: Table) -> bool:
    """Whether a table says what values its key takes, and is no table of keys."""
    return key.removeprefix("hyper.") not in _TABLES and any(
        name in (*ranges.RANGES, *ranges.DISTRIBUTIONS) for name in table
    )


def described(raw: object) -> dict[str, list[Any]]:
    """What a `[hyper]` table, or several, hold, by key: the values, a range or distribution as it stands."""
    found: dict[str, list[Any]] = {}
    for table in raw if isinstance(raw, list) else [raw]:
        for key, value in leaves(table) if isinstance(table, dict) else ():
            known = found.setdefault(key, [])
            known += value if isinstance(value, list) else [value]
    return found
