"""Capsules + records + metrics -> one row per trial."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep import attempt
from resweep.index import Entry
from resweep.sweep import ResultsOptions
from resweep.trial import SweepPaths

METRICS = "metrics.json"


@dataclass(frozen=True)
class Row:
    """One trial: its state, how long its last attempt took in seconds, and the metrics that training wrote."""

    entry: Entry
    state: str
    seconds: float | None
    metrics: dict[str, Any]
    problem: str = ""


def rows(paths: SweepPaths, entries: Iterable[Entry], options: ResultsOptions) -> list[Row]:
    """A row per trial; the best first where `[results]` names a metric, trials without it last, in sweep order."""
    table = [_row(paths, entry) for entry in entries]
    if options.metric is None:
        return table
    sign = -1 if options.mode == "max" else 1

    def rank(row: Row) -> tuple[bool, float]:
        value = row.metrics.get(options.metric or "")
        if isinstance(value, int | float) and value == value:
            return (False, sign * value)
        return (True, 0.0)

    return sorted(table, key=rank)


def _row(paths: SweepPaths, entry: Entry) -> Row:
    place = paths.place(entry.name)
    state, record = attempt.state(place)
    metrics: dict[str, Any] = {}
    problem = ""
    if state == "finished":
        # a crash can leave the output with its attempt; the next run moves it
        output = (
            place.output
            if os.path.isdir(place.output)
            else os.path.join(place.attempt(record.get("attempt", 0)), attempt.OUTPUT)
        )
        try:
            found = json.loads(Path(output, METRICS).read_text("utf-8"))
            if isinstance(found, dict):
                metrics = found
            else:
                problem = f"{METRICS} holds no table of metrics"
        except FileNotFoundError:
            problem = f"no {METRICS}"
        except (OSError, ValueError, RecursionError) as error:
            problem = f"{METRICS} cannot be read ({error})"
    return Row(entry, state, record.get("seconds"), metrics, problem)
