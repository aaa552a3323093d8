"""Capsules + records + metrics -> one row per trial."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from resweep.index import Entry
from resweep.launcher import places, trial_state
from resweep.launcher.places import Place
from resweep.launcher.storage import Record
from resweep.layout import SweepPaths
from resweep.results import cache, executions, metrics, tensorboard
from resweep.sweep.definition import ResultsOptions

# what a row keeps of a record, where it says something
RECORDED = ("attempt", "host", "started", "ended", "exit_status", "signal", "peak_memory_bytes", "gpus")
# what is said of a trial beside its row, where it has any
MARKS = ("leaked", "data_changed", "trial_changed")
# what a trial in one of these states came to is in its files alone; the others depend on processes and clocks
ENDED = ("finished", "pruned", "failed", "stopped")


@dataclass(frozen=True)
class Row:
    """One trial: its state, how long its last attempt took in seconds, and its metrics.

    Those that training wrote have the names that it gave them; those of a command of `exec` come as LABEL.NAME. A trial
    that runs has its metrics so far.
    """

    entry: Entry
    state: str
    seconds: float | None
    metrics: dict[str, Any]
    problem: str = ""
    record: dict[str, Any] = field(default_factory=dict)
    executed: tuple[str, ...] = ()  # the names of the metrics that come from `exec`
    sweep: str = ""


def rows(paths: SweepPaths, entries: Iterable[Entry], options: ResultsOptions) -> list[Row]:
    """A row per trial; the best first where `[results]` names a metric, trials without it last, in sweep order."""
    base = os.path.join(str(paths.root), *places.MODEL_ROOT, paths.name, "")
    known = cache.Cache(base, [options.metric, options.pattern])
    table = [_known_row(paths, base, entry, options, known) for entry in entries]
    known.save()
    return ranked(table, options)


def ranked(table: Iterable[Row], options: ResultsOptions) -> list[Row]:
    """The rows, the best first where `[results]` names a metric; then those that diverged, and those without it."""
    if options.metric is None:
        return list(table)
    return sorted(table, key=lambda row: _rank(row, options))


def best(table: Iterable[Row], options: ResultsOptions) -> list[Row]:
    """The finished trials that have a finite number for the metric of `[results]`, the best first."""
    return [row for row in table if row.state == "finished" and metrics.finite(row.metrics.get(options.metric or ""))]


def executed(table: Iterable[Row]) -> list[str]:
    """The names of the numbers that commands of `exec` gave for these trials."""
    return list(dict.fromkeys(k for row in table for k in row.executed if metrics.number(row.metrics[k])))


def _rank(row: Row, options: ResultsOptions) -> tuple[int, float]:
    value: Any = row.metrics.get(options.metric or "")
    if not metrics.number(value) or value != value:
        return (2, 0.0)
    # what diverged to an infinity is no result, whichever way is good
    return (0 if metrics.finite(value) else 1, -value if options.mode == "max" else value)


def output(place: Place, record: Record) -> str:
    """The directory that holds what the training of a finished trial wrote, given the record that counts."""
    # a crash can leave the output with its attempt; the next run moves it
    if os.path.isdir(place.output):
        return place.output
    return os.path.join(place.attempt(record.get("attempt", 0)), places.OUTPUT)


def where(paths: SweepPaths, row: Row) -> metrics.Output:
    """Where the numbers of a row's trial are, for its history: those of its last attempt, or of the one that counts."""
    place = paths.place(row.entry.name)
    directory = place.attempt(row.record.get("attempt", 0))
    log = os.path.join(directory, places.LOG)
    if row.state == "finished":
        return metrics.Output(output(place, row.record), log)
    return metrics.Output(os.path.join(directory, places.OUTPUT), log, row.state == "running")


def _known_row(paths: SweepPaths, base: str, entry: Entry, options: ResultsOptions, known: cache.Cache) -> Row:
    """A trial's row, from what is known of it if nothing has changed."""
    name = f"{entry.id}/{entry.trial}"
    kept = known.get(name)
    if kept is not None:
        (state, seconds, problem, record, executed), values = kept
        return Row(entry, state, seconds, values, problem, record, tuple(executed), paths.name)
    watch = cache.Watch(base + name)
    row = read(paths, entry, options, watch.look)
    if row.state in ENDED and row.record and not _passes(row.problem):
        known.put(name, watch, [row.state, row.seconds, row.problem, row.record, row.executed], row.metrics)
    return row


def _passes(problem: str) -> bool:
    """Whether a problem may be gone the next time, although no file has changed: the disk's, or a missing package."""
    return "[Errno " in problem or tensorboard.EXTRA in problem


def read(paths: SweepPaths, entry: Entry, options: ResultsOptions, look: metrics.Look = metrics.nobody) -> Row:
    """A trial's row, from its files as they are; `look` is told of every path that it depends on."""
    place = paths.place(entry.name)
    look(place.attempts)
    look(os.path.join(place.attempts, places.FINISHED))
    state, record = trial_state.state(place)
    directory = place.attempt(record.get("attempt", 0))
    values: dict[str, Any] = {}
    problems: list[str] = []
    executed: list[str] = []
    if state == "finished":
        if not os.path.isdir(place.output):
            look(place.output)
        trained = trained_in(output(place, record), directory, options, look)
        values, problems = _executed(place, look)
        executed = list(values)
        # what somebody asked for by itself stands before the many that training writes
        values |= trained.values
        problems = [*trained.problems, *problems]
    elif state in ("running", "pruned"):
        if state == "pruned":
            look(os.path.join(directory, places.RECORD))
        trained = trained_in(os.path.join(directory, places.OUTPUT), directory, options, look, running=True)
        values, problems = trained.values, list(trained.problems)
    elif state in ENDED:  # what is kept must have been looked at before it was read
        look(os.path.join(directory, places.RECORD))
        state, record = trial_state.state(place)
    kept = {key: record[key] for key in (*RECORDED, *MARKS) if record.get(key) is not None and record[key] != []}
    return Row(entry, state, record.get("seconds"), values, "; ".join(problems), kept, tuple(executed), paths.name)


def trained_in(
    found: str, directory: str, options: ResultsOptions, look: metrics.Look = metrics.nobody, running: bool = False
) -> metrics.Reading:
    """What training has written into its output `found`, and printed in the attempt at `directory`."""
    log = os.path.join(directory, places.LOG)
    return metrics.read(metrics.Output(found, log, running), options.pattern, options.metric, look)


def _executed(place: Place, look: metrics.Look) -> tuple[dict[str, Any], list[str]]:
    """What commands of `exec` have measured, as LABEL.NAME."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for label, path in executions.metrics(place, look).items():
        found, wrong = metrics.table(str(path), look)
        values |= {f"{label}.{key}": value for key, value in (found or {}).items()}
        problems += [f"{label}: {each}" for each in wrong]
    return values, problems
