"""The trials that a command is about: names, and conditions on values and states."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click

from resweep import index
from resweep.errors import TrialError
from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.results import of_2020
from resweep.run import status
from resweep.slurm import named
from resweep.sweep import conditions
from resweep.sweep.conditions import Condition

Command = TypeVar("Command", bound=Callable[..., Any])


def options(command: Command) -> Command:
    """Add --where and --state to a command."""
    where = click.option(
        "--where",
        multiple=True,
        metavar="KEY=VALUE",
        help="Select trials by a swept value, for example 'params.lr<0.01'.",
    )
    state = click.option(
        "--state",
        "states",
        multiple=True,
        type=click.Choice(status.STATES),
        help="Select trials by state; may be repeated.",
    )
    return where(state(command))


def trials(
    root: Path, names: Sequence[str], where: Sequence[str] = (), states: Sequence[str] = ()
) -> tuple[SweepPaths, list[Entry]]:
    """The trials of one sweep that all of this is true of, each once, in the order named."""
    found: dict[Entry, None] = {}
    sweep: SweepPaths | None = None
    for name in names:
        paths, entries = _find(root, name)
        if sweep is not None and paths.name != sweep.name:
            raise TrialError(f"{name}: belongs to the sweep {paths.name}, expected trials of one sweep, {sweep.name}")
        sweep = paths
        found |= dict.fromkeys(entries)
    assert sweep is not None, "click asks for at least one name"
    asked = _conditions(sweep, list(found), where)
    chosen = [entry for entry in found if all(each.holds(entry.swept.get(each.key)) for each in asked)]
    if states:
        chosen = [each.entry for each in status.survey(sweep, chosen) if each.state in states]
    return sweep, chosen


def by_sweep(root: Path, names: Sequence[str]) -> list[tuple[str, ...]]:
    """The names of each sweep, in the order in which the sweeps are first named."""
    if len(names) == 1:
        return [tuple(names)]
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_find(root, name)[0].name, []).append(name)
    return [tuple(each) for each in groups.values()]


def _find(root: Path, name: str) -> tuple[SweepPaths, list[Entry]]:
    """The trials of a name; one that squeue shows is taken, too, where it names no trial otherwise."""
    if named.is_task(name) and (found := named.find(root, name)):
        return found
    try:
        return index.find(root, name)
    except TrialError:
        if name.isascii() and name.isdigit():
            with contextlib.suppress(TrialError):
                if found := named.find(root, name):
                    return found
        if of_2020.is_sweep(SweepPaths(root, name.partition("#")[0])):
            raise TrialError(
                f"{name}: the script of 2020 has made this sweep, expected one of this tool's; `resweep results` and "
                "`report` show it"
            ) from None
        raise


def one(root: Path, name: str) -> tuple[SweepPaths, Entry]:
    """The one trial that is named; a TrialError when there are several."""
    paths, entries = trials(root, [name])
    if not entries:
        raise TrialError(f"{name}: names no trial, expected one")
    if len(entries) > 1:
        raise TrialError(f"{name}: names {len(entries)} trials, expected one, such as {paths.name}#{entries[0].number}")
    return paths, entries[0]


def shown(entry: Entry) -> str:
    """A trial as people know it: number, id, swept values."""
    return f"#{entry.number} {entry.name} {entry.described()}".rstrip()


def listed(paths: SweepPaths, entries: list[Entry], only: TextIO) -> list[Entry]:
    """Those of `entries` that stand in a list, one a line, in its order; and orphans that do."""
    names = [line.split()[0] for line in only if line.strip() and not line.lstrip().startswith("#")]
    known = {str(entry.name): entry for entry in index.read(paths).entries}
    for name in names:
        if name not in known:
            raise TrialError(f"{paths.name}: no trial {name}; was the jobs script edited, or is it another sweep's?")
    chosen = {entry.name for entry in entries}
    return [known[n] for n in dict.fromkeys(names) if known[n].name in chosen or not known[n].current]


def _conditions(sweep: SweepPaths, entries: list[Entry], where: Sequence[str]) -> list[Condition]:
    """What is asked of swept values; a TrialError for what is no condition, or of a key that nothing sweeps."""
    swept = dict.fromkeys(key for entry in entries for key in entry.swept)
    expected = ", ".join(f"{key}=..." for key in swept) or "nothing: this sweep varies no value"
    found = []
    for text in where:
        condition = conditions.parse(text)
        if condition is None:
            raise TrialError(
                f"--where {text}: expected KEY=VALUE, KEY!=VALUE, or KEY<NUMBER and the like, such as params.lr=0.001; "
                f"of {sweep.name}'s swept keys: {expected}"
            )
        keys = conditions.whole(condition.key, swept)
        if len(keys) != 1:
            raise TrialError(f"--where {text}: expected one of {sweep.name}'s swept keys: {expected}")
        found.append(replace(condition, key=keys[0]))
    return found
