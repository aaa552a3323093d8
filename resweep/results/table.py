"""Rows, or points, as a table: which columns there are, which of them are shown, which rows, and in which order."""

from __future__ import annotations

import fnmatch
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from resweep.errors import ConfigError
from resweep.results import metrics, trial_rows
from resweep.results.points import Point, Statistic, points
from resweep.results.trial_rows import Row
from resweep.sweep import conditions, definition, dotted_keys
from resweep.sweep.conditions import Condition
from resweep.sweep.definition import ResultsOptions

MOST_METRICS = 6  # shown at once, where nobody has said which

Kind = Literal["fixed", "swept", "metric"]
Item = Any  # a Row, or a Point: what one line is about


@dataclass(frozen=True)
class Column:
    """One column: its name, which is unlike any other's, what it is, and how a line's value is had."""

    name: str
    kind: Kind
    get: Callable[[Item], Any]
    head: str = ""  # what people see above it, if not its name

    @property
    def title(self) -> str:
        """What stands above it."""
        return self.head or self.name


@dataclass(frozen=True)
class Table:
    """Lines and the columns that are shown; `every` has all that there are, which conditions and orders may name."""

    lines: list[Item]
    columns: list[Column]
    every: Mapping[str, Column]

    def cells(self) -> list[list[Any]]:
        """The values, line by line: None, a plain value or a Statistic."""
        # a column at a time, since a line at a time costs a call more for each cell
        values = [list(map(column.get, self.lines)) for column in self.columns]
        return [list(line) for line in zip(*values, strict=True)] if values else [[] for _ in self.lines]


def of_rows(rows: Sequence[Row], fixed: Mapping[str, Mapping[str, Any]] | None = None) -> Table:
    """A line per trial. `fixed` has by sweep the configuration in which a key stands that only other sweeps vary."""
    columns = [
        Column("sweep", "fixed", lambda row: row.sweep),
        Column("number", "fixed", lambda row: row.entry.number, "#"),
        Column("trial", "fixed", lambda row: f"{row.entry.id}/{row.entry.trial}"),
        *_swept(rows, fixed or {}),
        Column("state", "fixed", lambda row: row.state),
        Column("seconds", "fixed", lambda row: row.seconds),
        Column("host", "fixed", lambda row: row.record.get("host")),
        *(Column(name, "metric", _metric(name)) for name in names(rows)),
        Column("problem", "fixed", lambda row: row.problem or None),
    ]
    return _table(list(rows), columns)


def of_points(rows: Sequence[Row], fixed: Mapping[str, Mapping[str, Any]] | None = None) -> Table:
    """A line per point, its finished repeats together; metrics and seconds are Statistics."""
    columns = [
        Column("sweep", "fixed", lambda point: point.sweep),
        Column("point", "fixed", lambda point: point.entry.id),
        *_swept(rows, fixed or {}),
        Column("state", "fixed", lambda point: point.states),
        Column("n", "fixed", lambda point: len(point.finished)),
        Column("seconds", "fixed", lambda point: point.seconds),
        Column("host", "fixed", _hosts),
        *(Column(name, "metric", _statistic(name)) for name in numeric(rows)),
        Column("problem", "fixed", lambda point: next((row.problem for row in point.rows if row.problem), None)),
    ]
    return _table(points(rows), columns)


def names(rows: Iterable[Row]) -> list[str]:
    """Every metric's name, in the order in which they appear."""
    return list(dict.fromkeys(name for keys in dict.fromkeys(tuple(row.metrics) for row in rows) for name in keys))


def numeric(rows: Sequence[Row]) -> list[str]:
    """The names of the metrics that are a number for some trial."""
    found: dict[str, None] = {}
    missing = dict.fromkeys(names(rows))
    for row in rows:  # most are numbers in the first row already
        for name in [name for name in missing if metrics.number(row.metrics.get(name))]:
            found[name] = missing.pop(name)
        if not missing:
            break
    return [name for name in names(rows) if name in found]


def shown_metrics(rows: Sequence[Row], options: ResultsOptions) -> list[str]:
    """The metrics that people see unless they ask for others: the one of [results] and what `exec` measured.

    Where no metric is named, the first numbers, those of validation before the others.
    """
    if options.metric:
        return list(dict.fromkeys([options.metric, *trial_rows.executed(rows)]))
    return sorted(numeric(rows), key=lambda name: "validation" not in name)[:MOST_METRICS]


def where(table: Table, wanted: Iterable[str], said: str = "--where ") -> Table:
    """The lines of which all these conditions are true; of a Statistic its mean counts. `said` begins what is wrong."""
    lines = table.lines
    for text in wanted:
        condition = conditions.parse(text)
        if condition is None:
            raise ConfigError(
                f"{said}{text}: expected KEY=VALUE, KEY!=VALUE, or KEY<NUMBER and the like, such as params.lr=0.001"
            )
        column = _named(table, condition.key, f"{said}{text}")
        lines = [line for line in lines if _holds(condition, column.get(line))]
    return replace(table, lines=lines)


def sort(table: Table, order: str, options: ResultsOptions) -> Table:
    """The lines by KEY, KEY:asc or KEY:desc; those without a value last. Metrics of [results] stand the best first."""
    key, colon, direction = order.rpartition(":")
    if not colon or (direction not in ("asc", "desc") and order in table.every):
        key, direction = order, ""
    elif direction not in ("asc", "desc"):
        raise ConfigError(f"--sort {order}: found {direction!r} after the colon, expected asc or desc")
    column = _named(table, key, f"--sort {order}")
    ranks = not direction and column.name in (options.metric, f"metric.{options.metric}")
    down = direction == "desc" or (ranks and options.mode == "max")
    if ranks:  # what diverged is no result, whichever way is good
        lines = sorted(table.lines, key=lambda line: not metrics.finite(_plain(column.get(line))))
        good = sum(metrics.finite(_plain(column.get(line))) for line in lines)
        first, last = (_sorted(column, part, down) for part in (lines[:good], lines[good:]))
        return replace(table, lines=[*first, *last])
    return replace(table, lines=_sorted(column, table.lines, down))


def _sorted(column: Column, lines: Sequence[Item], down: bool) -> list[Item]:
    keyed = [(_order(column.get(line)), line) for line in lines]
    known = sorted(((key, line) for key, line in keyed if key), key=operator.itemgetter(0), reverse=down)
    return [line for _, line in known] + [line for key, line in keyed if not key]


def with_fixed(table: Table, wanted: Iterable[str], fixed: Mapping[str, Mapping[str, Any]]) -> Table:
    """The table in which those of these names that are no column are one, where a sweep fixes a key of that name.

    `fixed` has by sweep what it gives all of its trials alike; the seed is each trial's own.
    """
    known = dict.fromkeys(key for config in fixed.values() for key in metrics.flat(config) if key != "seed")
    more: dict[str, Column] = {}
    for name in wanted:
        if not (fnmatch.filter(table.every, name) or name in table.every or conditions.whole(name, table.every)):
            for key in [*fnmatch.filter(known, name), *conditions.whole(name, known)]:
                more[key] = Column(key, "swept", _value(key, fixed))
    return replace(table, every={**table.every, **more})


def choose(table: Table, wanted: Sequence[str]) -> Table:
    """The table with the columns that these names or patterns say, in their order, each once."""
    chosen: dict[str, None] = {}
    for pattern in wanted:
        name = "number" if pattern == "#" else pattern
        # a name that has [ ] or * in it names itself
        found = [name] if name in table.every else fnmatch.filter(table.every, name)
        found = found or [_named(table, name, f"--columns {pattern}").name] * bool(conditions.whole(name, table.every))
        if not found:
            raise ConfigError(f"--columns {pattern}: found no such column, expected some of: {', '.join(table.every)}")
        chosen |= dict.fromkeys(found)
    return replace(table, columns=[table.every[name] for name in chosen])


def default(table: Table, shown: Sequence[str], short: bool = False) -> Table:
    """The table with the columns that people see first: `shown` are the metrics; a `short` one goes into a paper."""
    every = table.every
    left_out = {
        "sweep": len({line.sweep for line in table.lines}) < 2,
        "host": short or len({every["host"].get(line) for line in table.lines} - {None}) < 2,
        "problem": short or not any(map(every["problem"].get, table.lines)),
        **dict.fromkeys(("number", "trial", "point", "state", "seconds"), short),
    }
    chosen = [column for name, column in every.items() if column.kind != "metric" and not left_out.get(name)]
    last = [chosen.pop()] if chosen and chosen[-1].name == "problem" else []
    return replace(table, columns=[*chosen, *(_shown(table, name) for name in shown), *last])


def _shown(table: Table, name: str) -> Column:
    """The column of a metric; one that nobody reports is a column, too: it is seen to be empty."""
    for called in (name, f"metric.{name}"):
        if called in table.every and table.every[called].kind == "metric":
            return table.every[called]
    return Column(name, "metric", lambda _: None)


def _table(lines: list[Item], columns: list[Column]) -> Table:
    """The table of all these columns; one whose name is taken, by ours first of all, gets its kind before it."""
    taken = {column.name for column in columns if column.kind == "fixed"}
    every: dict[str, Column] = {}
    for column in columns:
        name = column.name
        while column.kind != "fixed" and name in taken:
            name = f"{column.kind}.{name}"
        taken.add(name)
        every[name] = column if name == column.name else replace(column, name=name)
    return Table(lines, list(every.values()), every)


def _swept(rows: Sequence[Row], fixed: Mapping[str, Mapping[str, Any]]) -> list[Column]:
    keys = dict.fromkeys(key for each in dict.fromkeys(tuple(row.entry.swept) for row in rows) for key in each)
    return [Column(key, "swept", _value(key, fixed)) for key in keys]


def _value(key: str, fixed: Mapping[str, Mapping[str, Any]]) -> Callable[[Item], Any]:
    constant = {name: dotted_keys.given(config, key) for name, config in fixed.items()}

    def get(item: Row | Point) -> Any:
        swept = item.entry.swept
        return swept[key] if key in swept else constant.get(item.sweep)

    return get


def _metric(name: str) -> Callable[[Item], Any]:
    return lambda row: row.metrics.get(name)


def _statistic(name: str) -> Callable[[Item], Any]:
    return lambda point: point.statistic(name)


def _hosts(point: Point) -> str | None:
    return ", ".join(dict.fromkeys(row.record["host"] for row in point.rows if "host" in row.record)) or None


def _named(table: Table, key: str, said: str) -> Column:
    found = conditions.whole("number" if key == "#" else key, table.every)
    if len(found) > 1:
        raise ConfigError(f"{said}: {key} is short for several columns, expected one of: {', '.join(found)}")
    if not found:
        raise ConfigError(f"{said}: found no column {key}, expected one of: {', '.join(table.every)}")
    return table.every[found[0]]


def _plain(value: Any) -> Any:
    return value.mean if isinstance(value, Statistic) else value


def _holds(condition: Condition, value: Any) -> bool:
    return condition.holds(_plain(value))


def _order(value: Any) -> tuple[int, Any] | None:
    """What a value is sorted by, numbers before texts; None for what has no place: nothing, NaN, a list."""
    value = _plain(value)
    if isinstance(value, str):
        return (1, value)
    if isinstance(value, int | float) and value == value:
        return (0, value)
    return None


def configuration(asked: definition.Sweep) -> dict[str, Any]:
    """What a sweep gives all of its trials alike, for the columns of keys that other sweeps vary."""
    return {**asked.config, "slurm": asked.slurm}
