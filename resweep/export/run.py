"""Rows -> runs: what every target is told of a trial, with names and values that no target chokes on."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from resweep import layout
from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.results import legacy, metrics, table, trial_rows
from resweep.results.load import Gathered
from resweep.results.metrics import Curve, Output
from resweep.results.trial_rows import Row
from resweep.sweep.definition import TRIAL_KEYS, Sweep

Values = dict[str, Any]
_TOLERANCE = 1.0  # seconds by which the clocks of a file server and a node may differ without our noticing


@dataclass(frozen=True)
class Run:
    """One trial as another tool sees it.

    `key` is 32 hexadecimal digits, the same for the same trial of the same sweep and project, wherever it is exported.
    `swept` are its swept values and `config` its whole configuration, both flat; `summary` its metrics, as `results`
    has them. Times are in seconds since 1970, None where nothing is known. `facts` is what else is worth a tag.
    """

    sweep: str
    number: int
    name: str
    key: str
    point: str
    state: str
    swept: Values
    config: Values
    summary: Values
    started: float | None
    ended: float | None
    output: Output
    pattern: str | None = None
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What people call it: `rnn#17`."""
        return f"{self.sweep}#{self.number}"

    @property
    def seconds(self) -> float | None:
        """How long its attempt took, if it has ended."""
        return None if self.started is None or self.ended is None else max(0.0, self.ended - self.started)

    def history(self) -> metrics.History:
        """Its curves with a time for each point, read now. Names are clean and unlike each other."""
        found = metrics.history(self.output, self.pattern)
        names = unlike(curve.name for curve in found.curves)
        curves = tuple(
            Curve(names[curve.name], curve.axis, curve.steps, curve.values, self._times(curve))
            for curve in found.curves
        )
        return metrics.History(curves, found.problems)

    def _times(self, curve: Curve) -> tuple[float, ...]:
        """What the files say, where it lies within the run; else as if it had gone on evenly."""
        start = self.started if self.started is not None else 0.0
        end = self.ended if self.ended is not None else math.inf
        if curve.times and all(start - _TOLERANCE <= time <= end + _TOLERANCE for time in curve.times):
            return curve.times
        length = end - start if math.isfinite(end) else 0.0
        count = len(curve.steps)
        return tuple(start + length * (number + 1) / count for number in range(count))


@dataclass
class Tally:
    """What an export did: how many runs are new, were changed, stayed as they were; and what people should know."""

    new: int = 0
    changed: int = 0
    same: int = 0
    notes: list[str] = field(default_factory=list)

    def count(self, was: bool, changed: bool) -> None:
        """Count one run: whether it was there before, and whether something was written."""
        if not was:
            self.new += 1
        elif changed:
            self.changed += 1
        else:
            self.same += 1


def runs(found: Gathered, rows: Iterable[Row], project: str) -> Iterator[Run]:
    """The runs of those rows whose trials have been started, one after another."""
    for row in rows:
        paths = found.paths(row)
        if not begun(row):
            continue
        output = trial_rows.where(paths, row) if row.entry.digest else legacy.where(paths, row.entry)
        yield Run(
            sweep=row.sweep,
            number=row.entry.number,
            name=f"{row.entry.id}/{row.entry.trial}",
            key=_key(project, row),
            point=row.entry.id if row.entry.digest else row.entry.point[: layout.ID_LENGTH],
            state=row.state,
            swept=clean(row.entry.swept),
            config=_configuration(paths, row.entry, found.definitions.get(row.sweep)),
            summary=clean(row.metrics),
            started=_seconds(row.record.get("started")),
            ended=_seconds(row.record.get("ended")),
            output=output,
            pattern=found.definitions[row.sweep].results.pattern if row.sweep in found.definitions else None,
            facts=_facts(paths, row, output),
        )


def begun(row: Row) -> bool:
    """Whether a trial has an attempt, or for one of 2020 an output."""
    return "attempt" in row.record if row.entry.digest else row.state != "queued"


def number(value: object) -> float | None:
    """A metric's value as the double that every target has; None when it is no number."""
    if not metrics.number(value):
        return None
    try:
        return float(value)  # type: ignore[arg-type]  # it is an int or a float
    except OverflowError:  # an integer beyond all doubles
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]


def whole(steps: Iterable[float]) -> list[int]:
    """Steps as the integers that targets have: themselves where all are whole, else 1, 2, 3, ..."""
    every = list(steps)
    if all(math.isfinite(step) and float(step).is_integer() and abs(step) < 2**53 for step in every):
        return [int(step) for step in every]
    return list(range(1, len(every) + 1))


def clean(values: Mapping[str, Any]) -> Values:
    """A table as a flat one, whose names are texts that can be written and unlike each other."""
    flat = metrics.flat(values)
    names = unlike(flat)
    return {names[name]: text(value) if isinstance(value, str) else value for name, value in flat.items()}


def text(value: object) -> str:
    """A value as text that UTF-8 has, on one line: a text itself, anything else as JSON."""
    found = value if isinstance(value, str) else layout.jsonnable(value)
    found = found.encode("utf-8", "backslashreplace").decode()  # lone surrogates
    return found if found.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in found)


def unlike(names: Iterable[str], allowed: str | None = None, longest: int = 250) -> dict[str, str]:
    """By name what to call it: itself, unless it holds what must not be written, or is longer than `longest`.

    `allowed` are the characters beside letters and digits that a name may have; None: all that can be seen. A name that
    changes gets a few digits of its digest, so that no two become one, and the same name is always changed alike.
    """
    called = {}
    for name in names:
        fit = text(name)
        if allowed is not None:
            fit = "".join(c if c.isascii() and (c.isalnum() or c in allowed) else "_" for c in fit)
        if fit != name or not fit or len(fit) > longest:
            fit = f"{fit[: longest - 9]}-{layout.digest(text(name))[:8]}"
        called[name] = fit
    return called


def _key(project: str, row: Row) -> str:
    entry = row.entry
    return layout.digest(["resweep export", text(project), row.sweep, entry.digest, entry.id, entry.trial])[:32]


def _configuration(paths: SweepPaths, entry: Entry, definition: Sweep | None) -> Values:
    """The whole configuration of a trial; of one of 2020, what differs."""
    if definition is None:
        return clean(entry.swept)
    if entry.current:  # what its sweep says now is what it was given, or it would have another id
        config = {key: value for key, value in table.configuration(definition).items() if key != "slurm"}
        fixed: Values = metrics.flat({**config, "seed": definition.seed + entry.trial})
    else:
        fixed = metrics.flat(_capsule(paths, entry))
    inside = tuple(f"{key}." for key in entry.swept)  # of a table that another took the place of
    kept = {key: value for key, value in fixed.items() if not key.startswith(inside)} if inside else fixed
    return clean({**kept, **entry.swept, "trial": entry.trial})


def _capsule(paths: SweepPaths, entry: Entry) -> Values:
    try:
        text_ = (paths.capsule(entry.name) / f"{entry.id}.toml").read_text("utf-8")
        return {key: value for key, value in tomllib.loads(text_).items() if key not in TRIAL_KEYS}
    except (OSError, ValueError):
        return {}


def _facts(paths: SweepPaths, row: Row, output: Output) -> dict[str, str]:
    """What a target keeps beside values and metrics."""
    facts: Values = {
        "sweep": row.sweep,
        "number": row.entry.number,
        "trial": f"{row.entry.id}/{row.entry.trial}",
        "state": row.state,
        "digest": row.entry.digest,
        "output": output.directory,
        "capsule": str(paths.capsule(row.entry.name)) if row.entry.digest else "",
        "problem": row.problem,
        "leaked": ", ".join([*(row.record.get("leaked") or ()), *(row.record.get("trial_changed") or ())]),
        **{key: row.record.get(key) for key in ("attempt", "host", "started", "ended", "exit_status", "signal")},
    }
    return {key: text(value) for key, value in facts.items() if value not in (None, "")}


def _seconds(moment: object) -> float | None:
    """A time of a record in seconds since 1970."""
    if not isinstance(moment, str):
        return None
    try:
        return datetime.fromisoformat(moment).timestamp()
    except (ValueError, OverflowError):
        return None


def project_name(root: Path) -> str:
    """What a project is called where nobody says: as its directory."""
    return root.resolve().name or "resweep"
