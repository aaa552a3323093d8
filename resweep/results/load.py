"""The rows of one or several sweeps, with what ranks them all: what every view of results begins with."""

from __future__ import annotations

import difflib
import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from resweep import index
from resweep.errors import ConfigError
from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.results import legacy, of_2020, table, trial_rows
from resweep.results.trial_rows import Row
from resweep.sweep import metric_mode, stored
from resweep.sweep.definition import ResultsOptions, Sweep


@dataclass
class Gathered:
    """The rows, each trial once and the best first, and by sweep what they came from.

    `definitions` lacks sweeps of 2020, which have none; `fixed` has by sweep the configuration that all its trials
    share. `notes` are for people: one line each.
    """

    sweeps: list[SweepPaths] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    options: ResultsOptions = field(default_factory=ResultsOptions)
    definitions: dict[str, Sweep] = field(default_factory=dict)
    fixed: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def paths(self, row: Row) -> SweepPaths:
        """Where the sweep of a row is."""
        return next(paths for paths in self.sweeps if paths.name == row.sweep)


def gather(root: Path, names: Sequence[str], metric: str | None = None) -> Gathered:
    """The rows of what is named: sweeps, parts of sweeps, trials. `metric` is KEY or KEY:max or KEY:min."""
    entries: dict[str, dict[Entry, None]] = {}
    places: dict[str, SweepPaths] = {}
    for name in names:
        paths = SweepPaths(root, name)
        chosen: list[Entry] = []
        if not of_2020.is_sweep(paths):
            paths, chosen = index.find(root, name)
        places[paths.name] = paths
        entries.setdefault(paths.name, {}).update(dict.fromkeys(chosen))
    found = Gathered(list(places.values()))
    asked: list[ResultsOptions] = []
    for paths in found.sweeps:
        if of_2020.is_sweep(paths):
            asked.append(_options(ResultsOptions(), metric))
            found.rows += legacy.rows(paths, asked[-1])
            continue
        definition = found.definitions[paths.name] = stored.read(paths)
        found.fixed[paths.name] = table.configuration(definition)
        asked.append(_options(definition.results, metric))
        found.rows += trial_rows.rows(paths, entries[paths.name], asked[-1])
    found.options = _common(found, asked)
    if metric is not None:
        _check_asked(found, metric)
    if len(found.sweeps) > 1:
        found.rows = trial_rows.ranked(found.rows, found.options)
    return found


def _options(own: ResultsOptions, metric: str | None) -> ResultsOptions:
    if metric is None:
        return own
    name, colon, mode = metric.rpartition(":")
    if colon and mode in ("max", "min"):
        return replace(own, metric=name, mode=mode)
    if metric == own.metric or (own.metric is None and own.mode == "min"):
        return replace(own, metric=metric)
    # what a sweep says is of its own metric
    return replace(own, metric=metric, mode=metric_mode.guessed(metric))


def _check_asked(found: Gathered, metric: str) -> None:
    """Refuse a direction that is none, and say one that nobody has said."""
    _, colon, mode = metric.rpartition(":")
    if colon and mode in ("max", "min"):
        return
    if colon and not any(metric in row.metrics for row in found.rows):
        raise ConfigError(f"metric {metric}: found {mode!r} after the colon, expected max or min")
    if found.options.mode == "min" and not any(each.results.metric == metric for each in found.definitions.values()):
        found.notes.append(f"{metric}: lower is better, by its name; say {metric}:max or {metric}:min")


def _common(found: Gathered, asked: Sequence[ResultsOptions]) -> ResultsOptions:
    """What ranks the rows of several sweeps: the metric that all that name one agree on."""
    named = {(each.metric, each.mode): each for each in asked if each.metric}
    if len(named) > 1:
        said = ", ".join(
            f"{paths.name}: {each.metric} ({each.mode})" for paths, each in zip(found.sweeps, asked, strict=True)
        )
        found.notes.append(f"the sweeps name different metrics ({said}), so no order is common to them")
        return ResultsOptions()
    return next(iter(named.values()), ResultsOptions())


def metric_missing(found: Gathered) -> str | None:
    """What to say when no finished trial reports the metric that is to rank them, if one is named."""
    metric = found.options.metric
    finished = [row for row in found.rows if row.state == "finished"]
    if not metric or not finished or any(metric in row.metrics for row in finished):
        return None
    names = ", ".join(table.shown_metrics(finished, ResultsOptions())) or "no number at all"
    return f"results.metric: no finished trial reports {metric}; found {names}"


def check_metric(found: Gathered, asked: str | None) -> None:
    """A ConfigError where a person has asked for a metric that no trial reports, and some could have."""
    missing, metric = metric_missing(found), found.options.metric or ""
    if asked is None or missing is None or any(metric in row.metrics for row in found.rows):
        return
    near = difflib.get_close_matches(metric, table.numeric(found.rows), 3)
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    raise ConfigError(f"--metric {asked}: {missing.partition(': ')[2]}{meant}")


@contextmanager
def no_collection() -> Iterator[None]:
    """Without the garbage collector: it would scan every row, which takes a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
