"""What can stand in place of a list of values: a range, which is written out, or a distribution to draw from.

    { range = [0, 1, 0.25] }              0, 0.25, 0.5, 0.75, 1: both ends
    { linspace = [0, 1, 3] }              so many numbers, both ends
    { logspace = [1e-5, 1e-1, 5] }        1e-05, 0.0001, 0.001, 0.01, 0.1
    { powers_of_two = [4, 256] }          4, 8, ... 256
    { loguniform = [1e-5, 1e-1] }         a distribution

Distributions: uniform, loguniform, randint (the upper bound excluded), normal and lognormal (mean, standard deviation),
choice (with `weights`); `step` rounds to steps, counted from the lower bound where there is one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from resweep import layout
from resweep.errors import ConfigError, shown

LARGEST_EXACT_INTEGER = 2**53  # jsonnet's numbers are doubles
LONGEST_RANGE = 1_000_000
LARGEST_LOGARITHM = math.log(1e300)
DIGITS = 3  # of a number of a logarithmic scale, as a person would type it

RANGES = ("range", "linspace", "logspace", "powers_of_two")
DISTRIBUTIONS = ("uniform", "loguniform", "randint", "choice", "normal", "lognormal")
_FORMS = frozenset((*RANGES, *DISTRIBUTIONS, "step", "weights"))

Table = dict[str, Any]


@dataclass(frozen=True)
class Distribution:
    """What a value is drawn from: `kind` of DISTRIBUTIONS with its arguments, as in the TOML."""

    kind: str
    arguments: tuple[Any, ...]
    step: float | int | None = None
    weights: tuple[float, ...] | None = None

    def described(self) -> str:
        """The distribution as people read it: `loguniform [1e-05, 0.1]`."""
        said = f"{self.kind} {layout.jsonnable(self.arguments)}"
        said += f", weights {layout.jsonnable(self.weights)}" if self.weights else ""
        return said + (f", step {self.step}" if self.step else "")


def read(where: str, place: str, table: Table, filled: bool = True) -> tuple[Any, ...] | Distribution:
    """The values of a range, written out, or a distribution; a ConfigError for every mistake.

    Values that are `filled` into the template are those that jsonnet has.
    """
    names = [name for name in table if name in (*RANGES, *DISTRIBUTIONS)]
    extra = [name for name in table if name not in names]
    if len(names) != 1 or any(name not in _FORMS for name in extra):
        found = ", ".join(table) or "an empty table"
        raise ConfigError(f"{where}: {place}: found {found}, expected one of {', '.join((*RANGES, *DISTRIBUTIONS))}")
    kind, arguments = names[0], table[names[0]]
    place = f"{place}.{kind}"
    if not isinstance(arguments, list):
        raise ConfigError(f"{where}: {place}: found {shown(arguments)}, expected a list, [...]")
    allowed = {"choice": ("weights",), "randint": ("step",)}.get(kind, ("step",) if kind in DISTRIBUTIONS else ())
    for name in extra:
        if name not in allowed:
            raise ConfigError(f"{where}: {place}: found {name}, which {kind} does not take")
    if kind == "choice":
        return _choice(where, place, arguments, table.get("weights"), filled)
    numbers = [_number(where, place, each) for each in arguments]
    wanted = 3 if kind in ("range", "linspace", "logspace") else 2
    if len(numbers) != wanted:
        raise ConfigError(f"{where}: {place}: found {len(numbers)} numbers, expected {wanted}: {_EXPECTED[kind]}")
    if kind in RANGES:
        return _written_out(where, place, kind, numbers)
    _check_bounds(where, place, kind, numbers)
    step = table.get("step")
    if step is not None:
        _check_step(where, f"{place}: step", kind, numbers, step)
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


def _choice(where: str, place: str, values: list[Any], weights: object, filled: bool) -> Distribution:
    if not values:
        raise ConfigError(f"{where}: {place}: found an empty list, expected at least one value")
    if filled:
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
        if kind == "lognormal" and abs(low) + 9 * high > LARGEST_LOGARITHM:
            raise ConfigError(f"{where}: {place}: {found}; these would give numbers that no computer holds")
        return
    if not low < high or not math.isfinite(high - low):
        raise ConfigError(f"{where}: {place}: {found}; low is below high")
    if kind == "loguniform" and low <= 0:
        raise ConfigError(f"{where}: {place}: {found}; both are above 0")
    if kind == "randint" and not all(isinstance(number, int) for number in numbers):
        raise ConfigError(f"{where}: {place}: {found}; both are whole numbers")


def _check_step(where: str, place: str, kind: str, numbers: list[Any], step: object) -> None:
    number = _number(where, place, step)
    if number <= 0 or (kind == "randint" and not isinstance(number, int)):
        expected = "a whole number above 0" if kind == "randint" else "a number above 0"
        raise ConfigError(f"{where}: {place}: found {shown(step)}, expected {expected}")
    if kind not in ("normal", "lognormal") and number > numbers[1] - numbers[0]:
        raise ConfigError(f"{where}: {place}: found {shown(step)}, expected at most the width of its range")


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
    low, high = math.log(first), math.log(last)
    exact = [math.exp(low + (high - low) * number / (count - 1)) for number in range(count)]
    for digits in range(DIGITS, 18):
        values = [float(first), *(float(f"{value:.{digits}g}") for value in exact[1:-1]), float(last)]
        if len(set(values)) == count:
            return tuple(values)
    return tuple(exact)


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
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{where}: {place}: found {shown(value)}, expected a number")
    check_numbers(where, place, value)
    return value
