"""What came of running a trial again: one word, what it rests on, and the file that says so."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from resweep import __version__, index, layout
from resweep.index import Entry
from resweep.launcher import trial_state
from resweep.launcher.storage import Record
from resweep.layout import SweepPaths
from resweep.proof.compare import Comparison, Metric, Output, Rules, came_to, flat, is_number
from resweep.proof.environment_changes import Change
from resweep.results import trial_rows
from resweep.results.metrics import finite
from resweep.sweep.definition import ResultsOptions

KIND = "resweep verdict"
REPEATS = 3  # finished trials of a point that a spread needs
DEVIATIONS = 2.0  # from the mean of the repeats that are within their spread

Word = Literal["identical", "within the spread", "different", "not compared", "not proven"]


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
class Judged:
    """The numbers that two runs of a trial came to and that differ, with the spreads that they are held against.

    They are those that `results` shows, wherever they stand. `reason` says why they are not within the spread, if so.
    """

    metrics: Sequence[Metric] = ()
    spreads: Mapping[str, Spread] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Verdict:
    """What came of running a trial again, in `directory`: one word, what it rests on, and what may explain it.

    It is "not proven" where the same came out, or within the spread, of what was not frozen in one of the two runs.
    """

    word: Word
    directory: Path
    record: Record
    comparison: Comparison = field(default_factory=Comparison)
    judged: Judged = field(default_factory=Judged)
    changes: Sequence[Change] = ()
    unverified: Sequence[str] = ()
    reason: str = ""  # why nothing could be compared, or no spread be judged
    leaked: Sequence[str] = ()  # what one of the runs, or both, loaded in place of what was frozen
    altered: Sequence[str] = ()  # what was not as it was written when one of them ran, but was allowed

    @property
    def lacking(self) -> list[str]:
        """The files that the first run wrote, and that are not there to compare."""
        return [file.path for file in self.comparison.of("not there to compare")]


def judged(paths: SweepPaths, entry: Entry, outputs: tuple[Output, Output], asked: ResultsOptions) -> Judged:
    """What the two runs came to, held against the finished trials of the point."""
    rules = Rules.of(asked)
    place = paths.place(entry.name)
    first = Path(place.attempt(trial_state.state(place)[1].get("attempt", 0)))
    attempts = first, outputs[1].directory.parent
    tables = [_numbers(each.directory, where, asked) for each, where in zip(outputs, attempts, strict=True)]
    if not any(not rules.ignores(key) and is_number(tables[1][key]) for key in tables[0].keys() & tables[1].keys()):
        return Judged(reason="no number of both to judge by")
    differ = came_to((tables[0], tables[1]), outputs, rules)
    repeats = list(_repeats(paths, entry, asked))
    if len(repeats) < REPEATS:
        needs = f"it needs {REPEATS} finished trials of this point, found {len(repeats)}"
        return Judged(differ, reason=f"no spread to judge by: {needs}")
    known: dict[str, Spread] = {}
    outside: list[str] = []
    for metric in differ:
        values = [table[metric.key] for table in repeats if is_number(table.get(metric.key))]
        if len(values) < len(repeats) or not is_number(metric.after) or not all(map(finite, values)):
            outside.append(metric.key)
            continue
        known[metric.key] = Spread(len(values), statistics.fmean(values), statistics.stdev(values))
        if not known[metric.key].holds(metric.after):
            outside.append(metric.key)
    return Judged(differ, known, f"{', '.join(outside)} outside of the spread" if outside else "")


def _numbers(output: Path, directory: Path, asked: ResultsOptions) -> dict[str, Any]:
    """What a training measured, which ran in an attempt's `directory`; lists by dotted key, too."""
    found = trial_rows.trained_in(str(output), str(directory), asked).values
    return dict(flat(found)) if found else {}


def _repeats(paths: SweepPaths, entry: Entry, asked: ResultsOptions) -> Iterator[dict[str, Any]]:
    """The metrics of every finished trial of the point that has any, the one in question among them."""
    for each in index.read(paths).entries:
        if each.id == entry.id:
            place = paths.place(each.name)
            state, record = trial_state.state(place)
            directory = Path(place.attempt(record.get("attempt", 0)))
            table = _numbers(Path(trial_rows.output(place, record)), directory, asked) if state == "finished" else {}
            if table:
                yield table


def as_table(paths: SweepPaths, entry: Entry, found: Verdict) -> dict[str, Any]:
    """The content of verdict.json."""
    compared = found.comparison
    table = {
        "format": layout.FORMAT,
        "kind": KIND,
        "verdict": found.word,
        "reason": found.reason or None,
        "sweep": paths.name,
        "id": entry.id,
        "trial": entry.trial,
        "digest": entry.digest,
        "attempt": trial_state.state(paths.place(entry.name))[1].get("attempt"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "tool": {"name": "resweep", "version": __version__},
        "unverified": list(found.unverified),
        "files": {file.path: {"kind": file.kind, "is": file.what} for file in compared.files},
        "values": {path: [vars(value) for value in values] for path, values in compared.values.items()},
        "metrics": [_metric(each, found.judged.spreads) for each in compared.metrics],
        "results": [_result(each, found.judged.spreads) for each in found.judged.metrics],
        "same_metrics": compared.same_metrics,
        "ignored": {
            "files": compared.ignored_files,
            "metrics": sorted(compared.ignored_keys),
            "values": sorted(compared.skipped),
        },
        "changes": [vars(each) for each in found.changes],
        "leaked": list(found.leaked),
        "trial_changed": list(found.altered),
    }
    return layout.sealed(_plain(table))


def _metric(metric: Metric, spreads: Mapping[str, Spread]) -> dict[str, Any]:
    spread = spreads.get(metric.key) if metric.file == layout.METRICS else None
    return {**vars(metric), "difference": metric.difference, "spread": vars(spread) if spread else None}


def _result(metric: Metric, spreads: Mapping[str, Spread]) -> dict[str, Any]:
    spread = spreads.get(metric.key)
    shown = {"key": metric.key, "before": metric.before, "after": metric.after, "difference": metric.difference}
    return {**shown, "spread": vars(spread) if spread else None}


def _plain(value: Any) -> Any:
    """A value as strict JSON has it: NaN and infinities as words."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value
