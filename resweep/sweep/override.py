"""`--set KEY=VALUE`: one more word in the tables of a sweep, as if it stood in the file."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from typing import Any

from resweep.errors import ConfigError
from resweep.sweep import hyper_table
from resweep.sweep.dotted_keys import joined, names_something, parts

Table = dict[str, Any]


def apply(table: Table, setting: str, settable: Collection[str]) -> None:
    """Set what one `--set KEY=VALUE` says in a parsed file; VALUE is TOML, or else a text.

    KEY stands in the file, or begins with one of `settable`: those mean something without standing there. A
    ConfigError says what is wrong with it.
    """
    key, equals, value = setting.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {setting}: expected KEY=VALUE, such as params.debug=true")
    try:
        parsed = tomllib.loads(f"{key} = {value}")
    except tomllib.TOMLDecodeError:
        try:
            parsed = tomllib.loads(f"{key} = ''")
        except tomllib.TOMLDecodeError:
            raise ConfigError(
                f"--set {setting}: {key.strip()!r} is not a key, expected one such as params.lr"
            ) from None
        if value.strip()[:1] in ("[", "{", '"', "'"):
            raise ConfigError(f"--set {setting}: {value.strip()} is not a value of TOML") from None
        _replace_leaf(parsed, value.strip())
    hyper = table.get("hyper")
    swept = hyper_table.described(hyper) if isinstance(hyper, dict | list) else {}
    if isinstance(parsed.get("hyper"), dict):
        _sweep(table, parsed.pop("hyper"), setting)
    for path, new in list(hyper_table.leaves(parsed)):
        if path in {key.strip() for keys in swept for key in keys.split(",")}:
            raise ConfigError(f"--set {setting}: {path} is swept by [hyper]; say --set hyper.{path}=[...]")
        if path.partition(".")[0] not in settable and not names_something(table, path):
            raise ConfigError(
                f"--set {setting}: {path} names nothing, expected a key that stands in the file, or one of [params]"
            )
        _set(table, parts(path), new, setting)


def _sweep(table: Table, given: Table, setting: str) -> None:
    """Set keys of `[hyper]`: there, a name with dots is a dotted key itself."""
    hyper = table.setdefault("hyper", {})
    if not isinstance(hyper, list | dict):
        raise ConfigError(f"--set {setting}: hyper is no table")
    if isinstance(hyper, list):
        raise ConfigError(f"--set {setting}: found several [[hyper]] tables, expected one; edit the file")
    for name, new in hyper_table.leaves(given):
        _drop(hyper, name)
        hyper[name] = new


def _replace_leaf(table: Table, value: str) -> None:
    for key, inner in table.items():
        if isinstance(inner, dict):
            _replace_leaf(inner, value)
        else:
            table[key] = value


def _drop(hyper: Table, key: str) -> None:
    """Take the swept key `key` out of `[hyper]`, quoted or not."""
    hyper.pop(key, None)
    head, *rest = parts(key)
    if not rest:
        hyper.pop(head, None)
    elif isinstance(hyper.get(head), dict):
        _drop(hyper[head], ".".join(joined("", name) for name in rest))
        if not hyper[head]:
            del hyper[head]


def _set(table: Table, path: list[str], value: object, setting: str) -> None:
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {setting}: {part} is no table")
    table[path[-1]] = value
