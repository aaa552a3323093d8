"""What came of running a trial again: one word, what it rests on, and the file that says so."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from resweep import __version__, attempt, index, results, trial
from resweep.index import Entry
from resweep.proof.causes import Change
from resweep.proof.compare import Comparison, Metric, is_number, read_table
from resweep.trial import SweepPaths

KIND = "resweep verdict"
REPEATS = 3  # finished trials of a point that a spread needs
DEVIATIONS = 2.0  # from the mean of the repeats that are within their spread

Word = Literal["identical", "within the spread", "different", "not compared"]


@dataclass(frozen=True)
class Spread:
    """What a metric is in the repeats of a point: how many there are, mean and standard deviation."""

    count: int
    mean: float
    deviation: float

    def holds(self, value: float) -> bool:
        """Whether a value is as near to the mean as repeats are."""
        return abs(value - self.mean) <= DEVIATIONS * self.deviation


@dataclass(frozen=True)
class Verdict:
    """What came of running a trial again, in `directory`: one word, what it rests on, and what may explain it."""

    word: Word
    directory: Path
    record: attempt.Record
    comparison: Comparison = field(default_factory=Comparison)
    spreads: Mapping[str, Spread] = field(default_factory=dict)
    changes: Sequence[Change] = ()
    unverified: Sequence[str] = ()
    reason: str = ""  # why nothing could be compared, or no spread be judged

    @property
    def lacking(self) -> list[str]:
        """The files that the first run wrote, and that are not there to compare."""
        return [file.path for file in self.comparison.of("not there to compare")]


def spreads(paths: SweepPaths, entry: Entry, found: Comparison) -> tuple[dict[str, Spread], str]:
    """The spreads of the metrics that differ, and why the trial is not within them, if it is not."""
    tables = list(_repeats(paths, entry))
    if trial.METRICS not in [file.path for file in found.of("same", "changed")]:
        return {}, f"no {trial.METRICS} of both to judge by"
    if len(tables) < REPEATS:
        return {}, f"no spread to judge by: it needs {REPEATS} finished trials of this point, found {len(tables)}"
    known: dict[str, Spread] = {}
    outside: list[str] = []
    for metric in found.metrics:
        if metric.file != trial.METRICS:  # of an epoch, say: what comes out in the end counts
            continue
        values = [table[metric.key] for table in tables if is_number(table.get(metric.key))]
        if len(values) < len(tables) or not is_number(metric.after) or not all(map(math.isfinite, values)):
            outside.append(metric.key)
            continue
        known[metric.key] = Spread(len(values), statistics.fmean(values), statistics.stdev(values))
        if not known[metric.key].holds(metric.after):
            outside.append(metric.key)
    return known, f"{', '.join(outside)} outside of the spread" if outside else ""


def _repeats(paths: SweepPaths, entry: Entry) -> Iterator[dict[str, Any]]:
    """The metrics of every finished trial of the point, the one in question among them."""
    for each in index.read(paths).entries:
        if each.id == entry.id:
            place = paths.place(each.name)
            state, record = attempt.state(place)
            path = Path(results.output(place, record), trial.METRICS)
            table = read_table(path) if state == "finished" and path.is_file() else None
            if table is not None:
                yield table


def as_table(paths: SweepPaths, entry: Entry, found: Verdict) -> dict[str, Any]:
    """The content of verdict.json."""
    compared = found.comparison
    table = {
        "format": trial.FORMAT,
        "kind": KIND,
        "verdict": found.word,
        "reason": found.reason or None,
        "sweep": paths.name,
        "id": entry.id,
        "trial": entry.trial,
        "digest": entry.digest,
        "attempt": attempt.state(paths.place(entry.name))[1].get("attempt"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "tool": {"name": "resweep", "version": __version__},
        "unverified": list(found.unverified),
        "files": {file.path: {"kind": file.kind, "is": file.what} for file in compared.files},
        "metrics": [_metric(each, found.spreads) for each in compared.metrics],
        "same_metrics": compared.same_metrics,
        "ignored": {"files": compared.ignored_files, "metrics": sorted(compared.ignored_keys)},
        "changes": [vars(each) for each in found.changes],
    }
    return trial.sealed(_plain(table))


def _metric(metric: Metric, spreads: Mapping[str, Spread]) -> dict[str, Any]:
    spread = spreads.get(metric.key) if metric.file == trial.METRICS else None
    return {**vars(metric), "difference": metric.difference, "spread": vars(spread) if spread else None}


def _plain(value: Any) -> Any:
    """A value as strict JSON has it: NaN and infinities as words."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value
