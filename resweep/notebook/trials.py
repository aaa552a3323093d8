"""Trials and points, as a notebook sees them: sequences that can be cut, filtered and made data frames of."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex, TypeVar, overload

from resweep.errors import TrialError, counted
from resweep.index import SHORTEST_PREFIX
from resweep.notebook import display
from resweep.notebook.trial import Trial
from resweep.results import best_trial, dataframe, formats, table, terminal
from resweep.results import points as pointing
from resweep.results.points import Statistic
from resweep.results.table import Table
from resweep.results.trial_rows import Row
from resweep.run.status import STATES
from resweep.sweep.definition import ResultsOptions

if TYPE_CHECKING:
    import pandas

NAMED = 5  # trials or points that a line of text names


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)


@dataclass(frozen=True)
class Shared:
    """What all trials of an opened sweep share: its name, what ranks them, and by sweep what is fixed in it."""

    name: str
    options: ResultsOptions
    fixed: Mapping[str, Mapping[str, Any]]
    rows: Sequence[Row] = ()  # of all trials: where none are chosen, they still say which columns there are
    drawn: frozenset[str] = frozenset()  # the keys whose values nobody wrote down


class _Items(Sequence[T]):
    """Things that have names, in an order."""

    def __init__(self, items: Iterable[T], shared: Shared) -> None:
        self._items: tuple[T, ...] = tuple(items)
        self._shared = shared

    def __len__(self) -> int:
        """How many there are."""
        return len(self._items)

    def _repr_html_(self) -> str:
        """The first of them as a table, for Jupyter."""
        return display.html(self.shown(), self._counted())

    def __repr__(self) -> str:
        """One line: how many there are, and the first of them."""
        more = ", ..." if len(self) > NAMED else ""
        names = ", ".join(each.name for each in self._items[:NAMED])
        return display.line(f"<{self._counted()}: {names}{more}>" if names else f"<{self._counted()}>")

    def _table(self) -> Table:
        raise NotImplementedError

    def _counted(self) -> str:
        raise NotImplementedError

    def shown(self) -> Table:
        """The table of them with the columns that people see first."""
        rows = self._rows()
        chosen = table.default(self._table(), table.shown_metrics(rows, self._shared.options))
        return terminal.rounded(chosen, self._shared.drawn, terminal.PAPER)

    def _rows(self) -> list[Row]:
        raise NotImplementedError

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame with a row for each, under its name; the columns are those of `results --format csv`."""
        return dataframe.frame(list(formats.flat(self._table())), [each.name for each in self._items])


class Trials(_Items[Trial]):
    """Trials in their order: by place (`trials[0]`, `trials[:5]`) or by name (`trials["rnn#17"]`, an id)."""

    @overload
    def __getitem__(self, key: SupportsIndex | str) -> Trial: ...
    @overload
    def __getitem__(self, key: slice) -> Trials: ...
    def __getitem__(self, key: SupportsIndex | str | slice) -> Trial | Trials:
        """The trial at a place, from 0, or of a name; several of a slice."""
        if isinstance(key, slice):
            return Trials(self._items[key], self._shared)
        return self._named(key) if isinstance(key, str) else self._items[operator.index(key)]

    def where(self, *conditions: str) -> Trials:
        """Those of which all conditions are true, such as `"params.lr=0.001"`, `"accuracy>0.5"`, `"state!=failed"`."""
        kept = table.where(self._table(), conditions, "where: ").lines
        return Trials([self._by_row[id(row)] for row in kept], self._shared)

    @property
    def finished(self) -> Trials:
        """Those that have finished."""
        return Trials([each for each in self._items if each.state == "finished"], self._shared)

    @property
    def states(self) -> dict[str, int]:
        """How many are in which state."""
        found = [each.state for each in self._items]
        return {state: found.count(state) for state in STATES if state in found}

    @cached_property
    def points(self) -> Points:
        """Their configurations, each with the repeats that are among these trials; the best mean first."""
        shown = table.of_points(self._rows(), self._shared.fixed)
        metric = self._shared.options.metric
        if metric in shown.every:
            shown = table.sort(shown, metric or "", self._shared.options)
        return Points(map(self._point, shown.lines), self._shared)

    @property
    def best(self) -> Best:
        """The best of them and how sure one can be of it; an error where no metric, or no trial, says so."""
        shared = self._shared
        best_trial.check(shared.name, shared.options, 'metric="KEY" in resweep.open')
        found = best_trial.best(shared.name, self._rows(), shared.options)
        other = self._point(found.runner_up) if found.runner_up else None
        return Best(self._by_row[id(found.row)], self._point(found.point), other, found, shared)

    def _point(self, point: pointing.Point) -> Point:
        return Point(point, Trials([self._by_row[id(row)] for row in point.rows], self._shared))

    def _named(self, text: str) -> Trial:
        """The one trial of a name: `rnn#17`, `#17`, an id, an id and its repeat, the start of an id."""
        exact = self._by_name.get(text)
        if exact is not None:
            return exact
        sweep, hash_, number = text.rpartition("#")
        found = [
            each
            for each in self._items
            if (
                str(each.number) == number and sweep in ("", each.sweep)
                if hash_
                else _names(text, each.id, *_whole(each))
            )
        ]
        if len(found) == 1:
            return found[0]
        said = f"names {len(found)} of {self._counted()}" if found else f"names none of {self._counted()}"
        first = found or self._items
        raise TrialError(f"{text}: {said}, expected one" + (f", such as {first[0].name}" if first else ""))

    @cached_property
    def _by_name(self) -> dict[str, Trial]:
        return {each.name: each for each in self._items}

    @cached_property
    def _by_row(self) -> dict[int, Trial]:
        return {id(each._row): each for each in self._items}

    def _counted(self) -> str:
        return counted(len(self), "trial")

    def _rows(self) -> list[Row]:
        return [each._row for each in self._items]

    def _table(self) -> Table:
        if not self._items:
            return replace(table.of_rows(self._shared.rows, self._shared.fixed), lines=[])
        return table.of_rows(self._rows(), self._shared.fixed)


def _whole(trial: Trial) -> tuple[str, ...]:
    """The names of a trial that begin with its sweep, or end with its repeat."""
    numbered = f"{trial.id}/{trial.repeat}"
    return numbered, f"{trial.sweep}/{trial.id}", f"{trial.sweep}/{numbered}"


class Point:
    """One configuration with its repeats: the trials that share an id."""

    __slots__ = ("_point", "trials")

    def __init__(self, point: pointing.Point, trials: Trials) -> None:
        self._point = point
        self.trials = trials

    @property
    def name(self) -> str:
        """What names its trials on every command line: `rnn/a3k7xmc2n5qd`."""
        return f"{self._point.sweep}/{self.id}"

    @property
    def id(self) -> str:
        """Its id."""
        return self._point.entry.id

    @property
    def sweep(self) -> str:
        """The name of its sweep."""
        return self._point.sweep

    @property
    def values(self) -> dict[str, Any]:
        """Its swept values, by key."""
        return dict(self._point.entry.swept)

    @property
    def n(self) -> int:
        """How many of its trials have finished: those that its metrics are of."""
        return len(self._point.finished)

    @property
    def metrics(self) -> dict[str, Statistic]:
        """Mean, deviation, count, minimum and maximum of each metric that is a number, over the finished trials."""
        found = {name: self._point.statistic(name) for name in table.numeric(self._point.finished)}
        return {name: statistic for name, statistic in found.items() if statistic is not None}

    @property
    def seconds(self) -> Statistic | None:
        """How long its finished trials took."""
        return self._point.seconds

    def __repr__(self) -> str:
        """One line: its name, its swept values, and how many of its trials have finished."""
        values = f": {self._point.entry.described()}".removesuffix(": ")
        return display.line(f"<{self.name} {self.n} of {len(self.trials)} finished{values}>")


class Points(_Items[Point]):
    """Configurations in their order: by place (`points[0]`) or by id (`points["a3k7xmc2n5qd"]`)."""

    @overload
    def __getitem__(self, key: SupportsIndex | str) -> Point: ...
    @overload
    def __getitem__(self, key: slice) -> Points: ...
    def __getitem__(self, key: SupportsIndex | str | slice) -> Point | Points:
        """The point at a place, from 0, or of an id or its start; several of a slice."""
        if isinstance(key, slice):
            return Points(self._items[key], self._shared)
        if not isinstance(key, str):
            return self._items[operator.index(key)]
        found = [each for each in self._items if _names(key, each.id, each.name)]
        if len(found) != 1:
            raise TrialError(f"{key}: names {len(found) or 'none'} of {self._counted()}, expected one")
        return found[0]

    def _counted(self) -> str:
        return counted(len(self), "point")

    def _rows(self) -> list[Row]:
        return [trial._row for each in self._items for trial in each.trials]

    def _table(self) -> Table:
        if not self._items:
            return replace(table.of_points(self._shared.rows, self._shared.fixed), lines=[])
        return table.of_points(self._rows(), self._shared.fixed)


class Best:
    """The best trial, the point that it is of, and the best of the other points; what prints says how sure one can be.

    `ahead` is by how much the best trial's point has the better mean than `runner_up`, less than 0 where it has not;
    `spread` the standard deviation within the two, None where neither has repeats.
    """

    def __init__(
        self, trial: Trial, point: Point, runner_up: Point | None, found: pointing.Best, shared: Shared
    ) -> None:
        self.trial = trial
        self.point = point
        self.runner_up = runner_up
        self._found = found
        self._shared = shared

    @property
    def value(self) -> float:
        """The trial's value of the metric."""
        value: float = self.trial._row.metrics[self._shared.options.metric or ""]
        return value

    @property
    def finished(self) -> int:
        """Of how many finished trials with a number for the metric it is the best."""
        return self._found.finished

    @property
    def statistic(self) -> Statistic:
        """The metric over the repeats of the best trial's point."""
        return self._found.statistic

    @property
    def other(self) -> Statistic | None:
        """The same of the runner-up."""
        return self._found.other

    @property
    def ahead(self) -> float | None:
        """By how much its point's mean is better than the runner-up's; None without one."""
        return self._found.ahead if self.runner_up else None

    @property
    def spread(self) -> float | None:
        """The standard deviation within the two points together; None where neither has repeats."""
        return self._found.spread

    @property
    def verdict(self) -> best_trial.Verdict:
        """Whether they differ by more than repeats of one do."""
        return best_trial.verdict(self._found)

    def __repr__(self) -> str:
        """A few lines: the trial, of how many it is the best, its repeats, the runner-up."""
        return "\n".join([f"{self.trial!r}", *(display.line(f"  {label:<8} {text}") for label, text in self._lines())])

    def _repr_html_(self) -> str:
        """The same as a table, for Jupyter."""
        return display.pairs(f"{self.trial!r}"[1:-1], self._lines())

    def _lines(self) -> list[tuple[str, str]]:
        found, options = self._found, self._shared.options
        first, *more = best_trial.runner_up(found)
        return [
            ("metric", best_trial.metric(found, options, self._shared.name)),
            ("repeats", best_trial.repeats(found)),
            ("next", first),
            *(("", line) for line in more),
        ]


def _names(text: str, id_: str, *whole: str) -> bool:
    """Whether a text names what has this id, or is called one of these."""
    return text == id_ or text in whole or (len(text) >= SHORTEST_PREFIX and id_.startswith(text))
