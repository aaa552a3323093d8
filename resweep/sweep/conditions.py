"""What a person asks of a value: `params.lr=0.001`, `best_validation_accuracy>0.5`, `state!=failed`."""

from __future__ import annotations

import operator
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

_CONDITION = re.compile(r"([^=<>!]+)(==|!=|<=|>=|=|<|>)(.*)", re.DOTALL)
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Condition:
    """A key, a comparison and the value to compare with."""

    key: str
    operator: str
    value: Any

    @property
    def orders(self) -> bool:
        """Whether it asks for less or more, which only numbers are."""
        return self.operator in _ORDER

    def holds(self, value: Any) -> bool:
        """Whether it is true of a value; of None, which stands for no value, nothing is."""
        if value is None:
            return False
        if self.orders:
            return _is_number(value) and _is_number(self.value) and _ORDER[self.operator](value, self.value)
        return equal(value, self.value) == (self.operator != "!=")


def parse(text: str) -> Condition | None:
    """The condition that a text is; None when it is none, such as one that orders by what is no number."""
    found = _CONDITION.fullmatch(text)
    if not found or not found[1].strip():
        return None
    condition = Condition(found[1].strip(), found[2].replace("==", "="), value(found[3].strip()))
    return None if condition.orders and not _is_number(condition.value) else condition


def value(text: str) -> Any:
    """A value as people write it: as in TOML, or a text without quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def equal(one: Any, other: Any) -> bool:
    """Whether two values are the same for a person: true is not 1, which it is in Python."""
    if (
        isinstance(one, float) and isinstance(other, float) and one != one
    ):  # who asks for nan wants to see what diverged
        return other != other
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def whole(key: str, names: Iterable[str]) -> list[str]:
    """What a key may mean: itself where it is a name, else the names that end in it, as `params.lr` ends in `lr`."""
    known = list(names)
    return [key] if key in known else [name for name in known if name.endswith(f".{key}")]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
