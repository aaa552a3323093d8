"""Sweeps that the script of 2020 wrote: read, and never written to.

config/generated/NAME/NUMBER/TRIAL/NUMBER.toml    a trial (before it knew of trials: NAME/NUMBER/NUMBER.toml)
model/generated/NAME/NUMBER/TRIAL/                what training wrote, and COMPLETE when it ended well

There is no list of trials, and nothing says what was swept: the values that differ between the TOML files were.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from resweep import layout
from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.results import metrics, of_2020
from resweep.results.trial_rows import Row, ranked
from resweep.sweep.definition import TRIAL_KEYS, ResultsOptions

COMPLETE = "COMPLETE"


def is_row(row: Row) -> bool:
    """Whether a row is of such a sweep, whose trials have no digest."""
    return not row.entry.digest


def rows(paths: SweepPaths, options: ResultsOptions) -> list[Row]:
    """A row per trial, in the order of their numbers; the best first where `options` name a metric."""
    read = [(path, *_read(path)) for path in sorted(of_2020.files(paths), key=_order)]
    configs = [metrics.flat({k: v for k, v in table.items() if k not in TRIAL_KEYS}) for _, table, _ in read]
    varying = _varying([config for config, (_, _, wrong) in zip(configs, read, strict=True) if not wrong])
    table = []
    for number, ((path, header, wrong), config) in enumerate(zip(read, configs, strict=True), 1):
        swept = {key: config[key] for key in varying if key in config}
        repeat = header.get("trial", path.parent.name)
        repeat = int(repeat) if str(repeat).isdigit() and path.parent.name != path.stem else 0
        entry = Entry(number, path.stem, repeat, "", layout.digest(config), "", swept, 0)
        table.append(_row(paths, entry, path, header, wrong, options))
    return ranked(table, options)


def _row(
    paths: SweepPaths, entry: Entry, path: Path, header: dict[str, Any], wrong: str, options: ResultsOptions
) -> Row:
    output = directory(paths, path, header)
    complete = os.path.exists(os.path.join(output, COMPLETE))
    # what has neither ended well nor a record may run, or have failed: nobody knows
    state = "finished" if complete else "lost" if os.path.isdir(output) else "queued"
    reading = metrics.Reading()
    if complete:
        reading = metrics.read(metrics.Output(output), options.pattern, options.metric)
    problems = [wrong, *reading.problems] if wrong else list(reading.problems)
    return Row(entry, state, None, reading.values, "; ".join(problems), sweep=paths.name)


def directory(paths: SweepPaths, path: Path, header: dict[str, Any]) -> str:
    """The output of the trial whose TOML is at `path`: beside it in the project, else where the TOML says."""
    models = paths.directory.parents[2] / "model" / "generated" / paths.name
    beside = models / path.parent.relative_to(paths.directory)
    said = header.get("serialization_dir")
    # projects are moved, and paths of then may be somebody else's now
    if beside.exists() or not isinstance(said, str) or not os.path.isdir(said):
        return str(beside)
    return said


def where(paths: SweepPaths, entry: Entry) -> metrics.Output:
    """Where the numbers of a trial are, for its history. Nothing says where its log is."""
    home = paths.directory / entry.id
    beside = home / str(entry.trial) / f"{entry.id}.toml"
    return metrics.Output(output_of(paths, beside if beside.is_file() else home / f"{entry.id}.toml"))


def output_of(paths: SweepPaths, path: Path) -> str:
    """The output of the trial whose TOML is at `path`."""
    return directory(paths, path, _read(path)[0])


def _order(path: Path) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in (path.stem, path.parent.name)]


def _read(path: Path) -> tuple[dict[str, Any], str]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8")), ""
    except (OSError, ValueError) as error:
        return {}, f"{path.name} cannot be read ({error})"


def _varying(configs: list[dict[str, Any]]) -> list[str]:
    """The keys whose values differ, or that some have and others have not."""
    seen: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for config in configs:
        for key, value in config.items():
            seen.setdefault(key, set()).add(layout.canonical(value))
            counts[key] = counts.get(key, 0) + 1
    return [key for key, values in seen.items() if len(values) > 1 or counts[key] < len(configs)]
