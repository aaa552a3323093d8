"""Capsules + records + metrics -> one row per trial."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resweep import attempt
from resweep import exec as execution
from resweep.index import Entry
from resweep.sweep import ResultsOptions
from resweep.trial import METRICS, SweepPaths


@dataclass(frozen=True)
class Row:
    """One trial: its state, how long its last attempt took in seconds, and its metrics.

    Those that training wrote have the names that it gave them; those of a command of `exec` come as LABEL.NAME.
    """

    entry: Entry
    state: str
    seconds: float | None
    metrics: dict[str, Any]
    problem: str = ""
    record: dict[str, Any] = field(default_factory=dict)
    executed: tuple[str, ...] = ()  # the names of the metrics that come from `exec`


def rows(paths: SweepPaths, entries: Iterable[Entry], options: ResultsOptions) -> list[Row]:
    """A row per trial; the best first where `[results]` names a metric, trials without it last, in sweep order."""
    table = [_row(paths, entry) for entry in entries]
    if options.metric is None:
        return table
    return sorted(table, key=lambda row: _rank(row, options))


def best(table: Iterable[Row], options: ResultsOptions) -> list[Row]:
    """The finished trials that have a number for the metric of `[results]`, the best first."""
    return [row for row in table if row.state == "finished" and not _rank(row, options)[0]]


def executed(table: Iterable[Row]) -> list[str]:
    """The names of the numbers that commands of `exec` gave for these trials."""
    return list(dict.fromkeys(k for row in table for k in row.executed if isinstance(row.metrics[k], int | float)))


def _rank(row: Row, options: ResultsOptions) -> tuple[bool, float]:
    value = row.metrics.get(options.metric or "")
    if isinstance(value, int | float) and value == value:
        return (False, -value if options.mode == "max" else value)
    return (True, 0.0)


def output(place: attempt.Place, record: attempt.Record) -> str:
    """The directory that holds what the training of a finished trial wrote, given the record that counts."""
    # a crash can leave the output with its attempt; the next run moves it
    if os.path.isdir(place.output):
        return place.output
    return os.path.join(place.attempt(record.get("attempt", 0)), attempt.OUTPUT)


def _row(paths: SweepPaths, entry: Entry) -> Row:
    place = paths.place(entry.name)
    state, record = attempt.state(place)
    metrics: dict[str, Any] = {}
    problem = ""
    executed: list[str] = []
    if state == "finished":
        trained, problem = _metrics(Path(output(place, record), METRICS))
        for label, path in execution.metrics(place).items():
            found, wrong = _metrics(path)
            metrics |= {f"{label}.{key}": value for key, value in found.items()}
            problem = problem or (wrong and f"{label}: {wrong}")
        executed = list(metrics)
        # what somebody asked for by itself stands before the many that training writes
        metrics |= trained
    return Row(entry, state, record.get("seconds"), metrics, problem, record, tuple(executed))


def _metrics(path: Path) -> tuple[dict[str, Any], str]:
    """The metrics in a file, or why there are none."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}, f"no {METRICS}"
    except (OSError, ValueError, RecursionError) as error:
        return {}, f"{METRICS} cannot be read ({error})"
    return (found, "") if isinstance(found, dict) else ({}, f"{METRICS} holds no table of metrics")
