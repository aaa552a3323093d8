"""What a notebook calls: the tables of a sweep as a dictionary, frozen as the TOML that says the same."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

from resweep import index
from resweep.errors import ConfigError, shown
from resweep.generation import make
from resweep.generation.make import Request
from resweep.generation.plan import Plan, SourceChange
from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.sweep import definition

WHERE = "resweep.generate"  # what messages name in place of a file


@dataclass(frozen=True)
class GeneratedTrial:
    """One trial of a sweep, as it was generated."""

    name: str
    """What names it on every command line: `rnn#17`."""
    id: str
    """The id of its configuration, which its repeats share."""
    repeat: int
    """Which repeat of its configuration it is, from 0."""
    values: dict[str, Any]
    """Its swept values, by key: `{"params.lr": 0.1}`."""
    path: Path
    """Its directory: configuration, source and command, frozen."""


@dataclass(frozen=True, repr=False)
class Generated:
    """What `resweep.generate` did or, with `dry_run`, would do."""

    name: str
    """The sweep's name."""
    new: tuple[GeneratedTrial, ...]
    """Trials that were not there before."""
    kept: tuple[GeneratedTrial, ...]
    """Trials that stay as they are."""
    orphaned: tuple[GeneratedTrial, ...]
    """Trials that are no longer in the sweep; nothing of them is removed."""
    why: tuple[str, ...]
    """Why there are new or orphaned ones: what differs from the last time, a sentence each."""
    written: tuple[Path, ...]
    """The files beside the trials that were written, the script that runs them among them."""
    said: str
    """The same in one line."""

    def __repr__(self) -> str:
        """How many trials are new, kept and orphaned."""
        return self.said


def _told(plan: Plan) -> Generated:
    listed = {entry.name: entry for entry in index.updated(plan.old, 0, plan.entries).entries}  # with their numbers
    new, kept, orphaned = (
        _trials(plan.paths, [listed[each.name] for each in some]) for some in (plan.new, plan.kept, plan.orphaned)
    )
    return Generated(
        plan.paths.name,
        new,
        kept,
        orphaned,
        tuple(plan.why),
        tuple(plan.written),
        repr(plan),
    )


def _trials(paths: SweepPaths, entries: Iterable[Entry]) -> tuple[GeneratedTrial, ...]:
    return tuple(
        GeneratedTrial(f"{paths.name}#{e.number}", e.id, e.trial, dict(e.swept), Path(paths.capsule(e.name)))
        for e in entries
    )


def generate(
    tables: Mapping[str, Any],
    base: str | Path,
    name: str,
    *,
    dry_run: bool = False,
    source_change: SourceChange = "ask",
    many: bool = False,
    root: str | os.PathLike[str] | None = None,
) -> Generated:
    """Generate the sweep `name` from `tables`, those of a sweep's TOML file, and the template `base`.

        >>> import resweep
        >>> tables = {"hyper": {"params.lr": [0.1, 0.2]}, "params": {"lr": 0.5}}
        >>> resweep.generate(tables, base="base.jsonnet", name="tried", dry_run=True)
        <tried: 2 new, 0 kept, 0 orphaned>
        >>> generated = resweep.generate(tables, base="base.jsonnet", name="tried")
        >>> [trial.values for trial in generated.new]
        [{'params.lr': 0.1}, {'params.lr': 0.2}]

    The project is the one of the current directory, or of the directory `root`. What numpy gives (arrays, its numbers)
    may stand among the values.
    `source_change` is "new-source" or "keep-finished" where the source changed under finished trials, and `many` says
    that more than 10,000 trials are meant. With `dry_run` nothing is written. What is worth a word is a warning; every
    mistake is a ResweepError, and nothing has been written then.
    """
    request = Request(
        read(tables),
        Path(base),
        name,
        source_change=source_change,
        many=many,
        root=None if root is None else Path(root),
    )
    plan = make.generate(request, dry_run)
    for note in plan.notes:
        warnings.warn(f"{name}: {note}", stacklevel=2)
    return _told(plan)


def read(tables: Mapping[str, Any]) -> definition.Sweep:
    """A sweep from its tables as a dictionary; a ConfigError for what TOML, or a sweep, cannot hold."""
    import tomli_w

    if not isinstance(tables, Mapping):
        raise ConfigError(f"{WHERE}: found {shown(tables)}, expected a dictionary of tables, such as hyper and params")
    try:
        text = tomli_w.dumps(_plain("", tables))
        text.encode()
    except RecursionError:
        raise ConfigError(f"{WHERE}: found a table or list that holds itself, expected plain values") from None
    except UnicodeEncodeError as error:
        raise ConfigError(f"{WHERE}: found {error.object[error.start]!r}, expected text that UTF-8 has") from None
    return definition.parse(text, WHERE)


def _plain(key: str, value: Any) -> Any:
    """The same value in what TOML has, numpy's numbers and arrays as Python's."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise ConfigError(f"{WHERE}: {key or 'tables'}: found the key {name!r}, expected a text")
        return {name: _plain(f"{key}.{name}" if key else name, each) for name, each in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(key, each) for each in value]
    if not isinstance(value, bool | int | float | str | date | time):
        hint = "; leave it out, for the template's own default" if value is None else ""
        raise ConfigError(f"{WHERE}: {key}: found {shown(value)}, expected a value that TOML has{hint}")
    return value
