"""`[hyper]`, or several `[[hyper]]` -> what is swept: axes of values or of a distribution, read and checked.

    "params.lr" = [0.1, 0.01]                                  an axis; a value may be a list or a table
    "params.lr" = { logspace = [1e-5, 1e-1, 5] }               written out: 1e-05, 0.0001, 0.001, 0.01, 0.1
    "params.x" = { range = [0, 1, 0.25] }                      0, 0.25, 0.5, 0.75, 1: both ends
    "params.x" = { linspace = [0, 1, 3] }                      so many numbers, both ends
    "params.dim" = { powers_of_two = [4, 256] }                4, 8, ... 256
    "params.lr, params.batch_size" = [[0.1, 32], [0.01, 64]]   two axes zipped: they change together
    "params.lr" = { loguniform = [1e-5, 1e-1] }                a distribution, for [search] method = "random"
    exclude = [{ "params.lr" = 0.1, "params.depth" = 2 }]      points that match any of these are left out
    include_default = true                                     and the values of the file itself, as the first point

Distributions: uniform, loguniform, randint (the upper bound excluded), normal and lognormal (mean, standard deviation),
choice (with `weights`); `step` rounds to steps, counted from the lower bound where there is one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from resweep.errors import ConfigError, shown

LARGEST_EXACT_INTEGER = 2**53  # jsonnet's numbers are doubles
LONGEST_RANGE = 1_000_000
DIGITS = 3  # of a number of a logarithmic scale, as a person would type it

RANGES = ("range", "linspace", "logspace", "powers_of_two")
DISTRIBUTIONS = ("uniform", "loguniform", "randint", "choice", "normal", "lognormal")
_FORMS = frozenset((*RANGES, *DISTRIBUTIONS, "step", "weights"))
_OWN = ("exclude", "include_default")

Table = dict[str, Any]


@dataclass(frozen=True)
class Distribution:
    """What a value is drawn from: `kind` of DISTRIBUTIONS with its arguments, as in the TOML."""

    kind: str
    arguments: tuple[Any, ...]
    step: float | int | None = None
    weights: tuple[float, ...] | None = None


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

    def excludes(self, point: Mapping[str, Any]) -> bool:
        """Whether a point matches one of the exclusions."""
        return any(all(k in point and same(point[k], v) for k, v in each.items()) for each in self.exclude)


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
    if not all(isinstance(table, dict) for table in tables):
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
        for key in keys:
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
    if key in ("params", "slurm"):
        raise ConfigError(f"{where}: {place}: is a whole table, expected a key in it, such as {key}.name")
    if key.partition(".")[0] in refused:
        raise ConfigError(
            f"{where}: {place}: this is the tool's own setting, not the trial's; expected a key of the trial's "
            "configuration, such as params.lr"
        )


def _values(where: str, place: str, keys: tuple[str, ...], value: Any) -> tuple[Any, ...] | Distribution:
    if isinstance(value, dict):
        if len(keys) > 1:
            raise ConfigError(f"{where}: {place}: found {shown(value)}, expected a list with a list for each point")
        return _form(where, place, value)
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
    check_numbers(where, place, value)
    return tuple(value)


def _form(where: str, place: str, table: Table) -> tuple[Any, ...] | Distribution:
    """A range written out, or a distribution."""
    names = [name for name in table if name in (*RANGES, *DISTRIBUTIONS)]
    extra = [name for name in table if name not in names]
    if len(names) != 1 or any(name not in _FORMS for name in extra):
        raise ConfigError(
            f"{where}: {place}: found {', '.join(table)}, expected one of {', '.join((*RANGES, *DISTRIBUTIONS))}"
        )
    kind, arguments = names[0], table[names[0]]
    place = f"{place}.{kind}"
    if not isinstance(arguments, list):
        raise ConfigError(f"{where}: {place}: found {shown(arguments)}, expected a list, [...]")
    allowed = {"choice": ("weights",), "randint": ("step",)}.get(kind, ("step",) if kind in DISTRIBUTIONS else ())
    for name in extra:
        if name not in allowed:
            raise ConfigError(f"{where}: {place}: found {name}, which {kind} does not take")
    if kind == "choice":
        return _choice(where, place, arguments, table.get("weights"))
    numbers = [_number(where, place, each) for each in arguments]
    wanted = 3 if kind in ("range", "linspace", "logspace") else 2
    if len(numbers) != wanted:
        raise ConfigError(f"{where}: {place}: found {len(numbers)} numbers, expected {wanted}: {_EXPECTED[kind]}")
    if kind in RANGES:
        return _written_out(where, place, kind, numbers)
    _check_bounds(where, place, kind, numbers)
    step = table.get("step")
    if step is not None and not _number(where, f"{place}: step", step) > 0:
        raise ConfigError(f"{where}: {place}: step: found {shown(step)}, expected a number above 0")
    return Distribution(kind, tuple(numbers), step)


_EXPECTED = {
    "range": "[first, last, step]",
    "linspace": "[first, last, how many]",
    "logspace": "[first, last, how many]",
    "powers_of_two": "[first, last]",
    "uniform": "[low, high]",
    "loguniform": "[low, high]",
    "randint": "[low, high], high itself is never drawn",
    "normal": "[mean, standard deviation]",
    "lognormal": "[mean, standard deviation] of the logarithm",
}


def _choice(where: str, place: str, values: list[Any], weights: object) -> Distribution:
    if not values:
        raise ConfigError(f"{where}: {place}: found an empty list, expected at least one value")
    check_numbers(where, place, values)
    if weights is None:
        return Distribution("choice", tuple(values))
    numbers = [_number(where, f"{place}: weights", each) for each in weights] if isinstance(weights, list) else []
    if len(numbers) != len(values) or min(numbers) < 0 or sum(numbers) <= 0:
        raise ConfigError(
            f"{where}: {place}: weights: found {shown(weights)}, expected {len(values)} numbers, one for each value, "
            "none below 0"
        )
    return Distribution("choice", tuple(values), weights=tuple(numbers))


def _check_bounds(where: str, place: str, kind: str, numbers: list[Any]) -> None:
    low, high = numbers
    found = f"found {shown(numbers)}, expected {_EXPECTED[kind]}"
    if kind in ("normal", "lognormal"):
        if high <= 0:
            raise ConfigError(f"{where}: {place}: {found}; the standard deviation is above 0")
        return
    if not low < high:
        raise ConfigError(f"{where}: {place}: {found}; low is below high")
    if kind == "loguniform" and low <= 0:
        raise ConfigError(f"{where}: {place}: {found}; both are above 0")
    if kind == "randint" and not all(isinstance(number, int) for number in numbers):
        raise ConfigError(f"{where}: {place}: {found}; both are whole numbers")


def _written_out(where: str, place: str, kind: str, numbers: list[Any]) -> tuple[Any, ...]:
    """The numbers of a range, as a person would type them."""
    found = f"found {shown(numbers)}, expected {_EXPECTED[kind]}"
    first, last, *third = numbers
    if kind in ("linspace", "logspace"):
        count = third[0]
        if not isinstance(count, int) or not 2 <= count <= LONGEST_RANGE:
            raise ConfigError(f"{where}: {place}: {found}; how many is a whole number, 2 or more")
        if kind == "logspace" and (first <= 0 or last <= 0):
            raise ConfigError(f"{where}: {place}: {found}; both are above 0")
        if first == last:
            raise ConfigError(f"{where}: {place}: {found}; they differ")
        return _linspace(first, last, count) if kind == "linspace" else _logspace(first, last, count)
    if kind == "powers_of_two":
        powers = all(isinstance(n, int) and n > 0 and n & (n - 1) == 0 for n in (first, last))
        if not powers or first > last:
            raise ConfigError(f"{where}: {place}: {found}; both are powers of two, the smaller one first")
        return tuple(2**power for power in range(first.bit_length() - 1, last.bit_length()))
    step = third[0]
    if step == 0 or (last - first) * step < 0 or abs((last - first) / step) > LONGEST_RANGE:
        raise ConfigError(f"{where}: {place}: {found}; the step leads from the first to the last")
    return _range(first, last, step)


def _range(first: Any, last: Any, step: Any) -> tuple[Any, ...]:
    """Decimal arithmetic: 0.1 three times is 0.3."""
    exact = [Decimal(repr(number)) for number in (first, last, step)]
    count = int((exact[1] - exact[0]) / exact[2])
    whole = all(isinstance(number, int) for number in (first, step))
    return tuple((int if whole else float)(exact[0] + number * exact[2]) for number in range(count + 1))


def _linspace(first: Any, last: Any, count: int) -> tuple[Any, ...]:
    low, high = Decimal(repr(first)), Decimal(repr(last))
    values = [low + (high - low) * number / (count - 1) for number in range(count)]
    if all(value == value.to_integral_value() for value in values) and isinstance(first, int) and isinstance(last, int):
        return tuple(int(value) for value in values)
    # 28 digits of a third are no number that a person would type
    return tuple(float(f"{value:.12g}") for value in values)


def _logspace(first: Any, last: Any, count: int) -> tuple[float, ...]:
    exact = [first * (last / first) ** (number / (count - 1)) for number in range(count)]
    for digits in range(DIGITS, 18):
        values = [float(first), *(float(f"{value:.{digits}g}") for value in exact[1:-1]), float(last)]
        if len(set(values)) == count:
            return tuple(values)
    return tuple(exact)


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
        if isinstance(value, dict) and prefix + key not in keys:
            yield from _pairs(value, keys, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def leaves(table: Table, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything in a table that is no table itself, and of each range and distribution."""
    for key, value in table.items():
        if isinstance(value, dict) and value and not _is_form(prefix + key, value):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _is_form(key: str, table: Table) -> bool:
    """Whether a table says what values its key takes, and is no table of keys."""
    return key not in ("params", "slurm") and any(name in RANGES or name in DISTRIBUTIONS for name in table)


def described(raw: object) -> dict[str, list[Any]]:
    """What a `[hyper]` table, or several, hold, by key: the values, a range or distribution as it stands."""
    found: dict[str, list[Any]] = {}
    for table in raw if isinstance(raw, list) else [raw]:
        for key, value in leaves(table) if isinstance(table, dict) else ():
            known = found.setdefault(key, [])
            known += value if isinstance(value, list) else [value]
    return found


def check_numbers(where: str, key: str, value: object) -> None:
    """Refuse what jsonnet cannot hold: its numbers are finite doubles, and it has no dates."""
    if isinstance(value, dict):
        for name, item in value.items():
            check_numbers(where, f"{key}.{name}", item)
    elif isinstance(value, list):
        for item in value:
            check_numbers(where, key, item)
    elif isinstance(value, bool | str):
        return
    elif isinstance(value, int):
        if abs(value) > LARGEST_EXACT_INTEGER:
            raise ConfigError(f"{where}: {key}: found {value}, expected at most 2^53; jsonnet would round it")
    elif not isinstance(value, float) or not math.isfinite(value):
        raise ConfigError(
            f"{where}: {key}: found {shown(value)}, expected a value that jsonnet has (no dates, inf or nan)"
        )


def _number(where: str, place: str, value: object) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"{where}: {place}: found {shown(value)}, expected a number")
    return value
