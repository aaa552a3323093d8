"""Typed reading of the tables of a TOML file: each mistake is a ConfigError with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resweep.errors import ConfigError, shown

Table = dict[str, Any]


@dataclass(frozen=True)
class Reader:
    """Reads the words of the file that `where` names.

    Every `key` is dotted, as messages show it, and its last part is looked up in the table that is given. What is
    missing is None, or empty.
    """

    where: str

    def table(self, tables: Mapping[str, Any], key: str, known: tuple[str, ...] = ()) -> Table:
        """A table, whose keys are among `known`, if any are."""
        value = _value(tables, key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, value, f"a table, [{key}]")
        for name in value:
            if known and name not in known:
                raise ConfigError(f"{self.where}: {key}.{name}: unknown key, expected one of {', '.join(known)}")
        return value

    def text(self, table: Mapping[str, Any], key: str, choices: tuple[str, ...] = ()) -> str | None:
        """A text that is not empty, one of `choices`, if there are any."""
        value = _value(table, key)
        if value is None:
            return None
        if not isinstance(value, str) or not value or (choices and value not in choices):
            raise self.wrong(key, value, " or ".join(f'"{choice}"' for choice in choices) or "a text")
        return value

    def texts(self, table: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
        """A list of texts, none of them empty."""
        value = _value(table, key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.wrong(key, value, 'a list of texts, such as ["one", "two"]')
        return tuple(value)

    def whole(self, table: Mapping[str, Any], key: str, least: int) -> int | None:
        """A whole number, `least` or more."""
        value = _value(table, key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**31:
            raise self.wrong(key, value, f"a whole number, {least} or more")
        return value

    def number(self, table: Mapping[str, Any], key: str, above: float | None = None) -> float | None:
        """A finite number, above `above`, if that is given."""
        value = _value(table, key)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or value - value != 0:
            raise self.wrong(key, value, "a number")
        if above is not None and value <= above:
            raise self.wrong(key, value, f"a number above {above:g}")
        return float(value)

    def flag(self, table: Mapping[str, Any], key: str, default: bool) -> bool:
        """True or false."""
        value = _value(table, key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, value, "true or false")
        return value

    def wrong(self, key: str, value: object, expected: str) -> ConfigError:
        """The message for a value that is not what was expected."""
        return ConfigError(f"{self.where}: {key}: found {shown(value)}, expected {expected}")


def _value(table: Mapping[str, Any], key: str, default: object = None) -> Any:
    return table.get(key.rpartition(".")[2], default)
