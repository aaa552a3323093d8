"""A sweep in our words as it grows from another tool's: what was taken over, and what has no equivalent."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any

import tomli_w

from resweep import layout
from resweep.errors import ConfigError, shown
from resweep.sweep import definition, ext_vars, toml_writer

N = 100  # points to draw, where the other tool leaves that open
MOST_VALUES = 1_000_000  # that a file may stand for: a few lines of YAML can name the same table over and over
DEEPEST = 50
LARGEST = 1e300

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")

_BECOME = {
    "params": "Names have become arguments of the template, params.NAME.",
    ext_vars.TABLE: 'Names are external variables of the template, std.extVar("NAME").',
}

Table = dict[str, Any]


class NoEquivalentError(Exception):
    """A parameter cannot be said in our words; the text says why."""


@dataclass
class Translation:
    """The tables of the sweep, and a line for everything that was left out or changed.

    `home` is the table that parameters belong to: arguments of the template, or its external variables.
    """

    origin: str
    home: str = "params"
    hyper: Table = field(default_factory=dict)
    params: Table = field(default_factory=dict)
    search: Table = field(default_factory=dict)
    results: Table = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)

    def constant(self, name: str, value: Any) -> None:
        """Take over a parameter that has one value; where it cannot be, say why."""
        self._take(name, False, value)

    def swept(self, name: str, form: Any) -> None:
        """Take over a parameter that is searched, with its list of values, range or distribution; or say why not."""
        self._take(name, True, form)

    def at_most(self, n: int) -> int:
        """`n`, or how many different points there are, where that is less: no more could be drawn."""
        count = 1
        for form in self.hyper.values():
            if not isinstance(form, list) and not (isinstance(form, dict) and form.keys() & {"choice", "randint"}):
                return n
            count *= _different(form)
        return min(n, count)

    def tables(self) -> Table:
        """The sweep as a table of TOML."""
        params = _with_swept(self.hyper, self.params, only_nested=True)
        found = {"hyper": self.hyper, "search": self.search, self.home: params, "results": self.results}
        return {name: table for name, table in found.items() if table}

    def text(self) -> str:
        """The file: a comment that says what is missing, the tables, a key a line."""
        comments = [f"From {self.origin}. {_BECOME[self.home]}"]
        comments += (
            ["", "Without an equivalent, or changed:", *(f"  {line}" for line in self.lost)] if self.lost else []
        )
        text = "".join(f"# {toml_writer.comment(line)}".rstrip() + "\n" for line in comments)
        for name, table in self.tables().items():
            if name == self.home:
                text += "\n" + tomli_w.dumps({name: table})
            else:
                text += f"\n[{name}]\n" + "".join(
                    f"{toml_writer.key(k)} = {toml_writer.toml(v)}\n" for k, v in table.items()
                )
        return text

    def _take(self, name: str, is_swept: bool, value: Any) -> None:
        try:
            parts = _parts(name)
            if parts != name.split("."):
                self.lost.append(f"{name}: is called {'.'.join(parts)} here, as a name of jsonnet")
            changed = copy.deepcopy({"hyper": self.hyper, "params": self.params})
            if is_swept:
                _put_new(changed["hyper"], [".".join((self.home, *parts))], plain(value))
            else:
                _put_new(changed["params"], parts, plain(value))
            _check(changed, self.home)
        except NoEquivalentError as error:
            self.lost.append(f"{name}: {error}")
            return
        self.hyper, self.params = changed["hyper"], changed["params"]


def plain(value: Any) -> Any:
    """A value as TOML has it; NoEquivalentError for what it has not."""
    if value is None:
        raise NoEquivalentError("has no value, and TOML knows none; the template's own default holds")
    if isinstance(value, dict):
        return {_text(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, str):
        return _text(value)
    if not isinstance(value, bool | int | float | date | time):
        raise NoEquivalentError(f"found {shown(value)}, which TOML does not know")
    return value


def number(value: Any) -> Any:
    """A number, also where YAML takes 1e-5, which has no dot, for a text; a NoEquivalentError for anything else."""
    if isinstance(value, str) and _EXPONENT.fullmatch(value):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        raise NoEquivalentError(f"found {shown(value)}, expected a number")
    return value


def check_size(value: Any) -> None:
    """Refuse a file that stands for more than anybody means, or that holds itself."""
    left, count = [(value, 0)], 0
    while left:
        each, depth = left.pop()
        count += 1
        if count > MOST_VALUES or depth > DEEPEST:
            raise ConfigError(f"found more than {MOST_VALUES:,} values, or {DEEPEST} tables in each other")
        if isinstance(each, dict | list | tuple | set):
            left += [(inner, depth + 1) for inner in (each.values() if isinstance(each, dict) else each)]


def _different(form: Any) -> int:
    """How many values a list, a choice or whole numbers have."""
    if isinstance(form, dict) and "randint" in form:
        low, high = form["randint"]
        return max(1, len(range(low, high, form.get("step") or 1)))
    return len({layout.canonical(each) for each in (form if isinstance(form, list) else form["choice"])})


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise NoEquivalentError(f"found the key {shown(value)}, expected a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NoEquivalentError(f"found {shown(value)}, which is no text that UTF-8 has") from None
    return value


def _parts(name: str) -> list[str]:
    """The name as names of jsonnet, one for each table that it lies in."""
    parts = name.replace("-", "_").split(".")
    if not all(map(_NAME.fullmatch, parts)):
        raise NoEquivalentError("is no name that an argument of jsonnet can have: letters, digits, '_'")
    return parts


def _put_new(table: Table, parts: Sequence[str], value: Any) -> None:
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise NoEquivalentError(f"lies inside {part}, which has a value of its own")
    if parts[-1] in table:
        raise NoEquivalentError("is there already under this name")
    table[parts[-1]] = value


def _with_swept(hyper: Table, params: Table, only_nested: bool = False) -> Table:
    """The parameters with a value of each that is swept; a NoEquivalentError where one stands in another's place.

    One that is swept inside a table has to stand in that table, with any value.
    """
    filled = copy.deepcopy(params)
    for key, form in hyper.items():
        parts = key.split(".")[1:]
        if not only_nested or (len(parts) > 1 and parts[0] in params):
            _put_new(filled, parts, (form if isinstance(form, list) else next(iter(form.values())))[0])
    return filled


def _check(tables: Table, home: str) -> None:
    """Whether the tool takes this; its own words where it does not."""
    search = {"search": {"method": "random", "n": 1}} if tables["hyper"] else {}
    try:
        definition.parse(tomli_w.dumps({"hyper": tables["hyper"], home: tables["params"], **search}), "")
    except ConfigError as error:
        raise NoEquivalentError(str(error).removeprefix(": ")) from None
    _with_swept(**tables)
