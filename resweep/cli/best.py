"""The best trial of a sweep: which it is, for whoever says --best NAME; and all that is known of it, for people."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from resweep import frozen, index, legacy, points, results
from resweep.cli import project, select
from resweep.errors import ConfigError, TrialError
from resweep.formats import rounded, with_spread
from resweep.index import Entry
from resweep.points import Best, Point, Statistic
from resweep.results import Row
from resweep.sweep import ResultsOptions
from resweep.trial import TRAIN, SweepPaths, jsonnable


def trial(paths: SweepPaths, entries: Sequence[Entry]) -> Row:
    """The best of these trials, by [results] of their sweep, told to people; an error where none can be it."""
    options = frozen.definition(paths).results
    check(paths, options)
    row = ranked(paths, results.rows(paths, entries, options), options)[0]
    value = row.metrics[options.metric or ""]
    click.echo(f"{paths.name}: best by {options.metric} ({value:.4g}): {select.shown(row.entry)}", err=True)
    return row


def named(root: Path, name: str) -> tuple[SweepPaths, list[Entry]]:
    """The sweep and the one trial that `--best NAME` names."""
    paths, entries = index.find(root, name)
    return paths, [trial(paths, entries).entry]


def check(paths: SweepPaths, options: ResultsOptions) -> None:
    """A ConfigError where nothing says what is best."""
    if options.metric is None:
        raise ConfigError(
            f'--best {paths.name}: the sweep names no metric, expected [results] metric = "..." in its TOML; '
            "generate it again with that"
        )


def ranked(paths: SweepPaths, rows: Sequence[Row], options: ResultsOptions) -> list[Row]:
    """The finished trials with a number for the metric, the best first; a TrialError when there is none."""
    found = results.best(rows, options)
    if not any(row.state == "finished" for row in rows):
        raise TrialError(f"--best {paths.name}: no trial has finished")
    if not found:
        raise TrialError(f"--best {paths.name}: no finished trial has a number for {options.metric} in its metrics")
    return found


def show(sweeps: Sequence[SweepPaths], rows: Sequence[Row], options: ResultsOptions, others: Sequence[str]) -> None:
    """Print the best trial, how sure one can be of it, where it is, and what can be done with it."""
    if others:
        raise ConfigError(f"--best: found {others[0]!r} beside it, expected sweeps, --metric and --state alone")
    check(sweeps[0], options)
    name = sweeps[0].name if len(sweeps) == 1 else " ".join(paths.name for paths in sweeps)
    found = points.best(rows, ranked(sweeps[0], rows, options), options)
    paths = next(paths for paths in sweeps if paths.name == found.row.sweep)
    value = found.row.metrics[options.metric or ""]
    word = "highest" if options.mode == "max" else "lowest"
    click.echo(f"{paths.name}#{found.row.entry.number} {found.row.entry.name}")
    _line("metric", f"{options.metric} {rounded(value)}, the {word} of {found.finished} finished trials of {name}")
    for number, (key, swept) in enumerate(found.row.entry.swept.items()):
        _line("values" if number == 0 else "", f"{key} = {jsonnable(swept)}")
    _line("repeats", _repeats(found.point, found.statistic))
    for number, line in enumerate(_runner_up(found, options)):
        _line("next" if number == 0 else "", line)
    if found.row.problem:
        _line("problem", found.row.problem)
    _paths(paths, found.row)


def _repeats(point: Point, statistic: Statistic) -> str:
    if statistic.n == 1:
        alone = "" if len(point.rows) == 1 else f" of {len(point.rows)} repeats has finished"
        return f"1{alone or ' run'}: how far chance moves it is not known; promote it to several seeds to see"
    spread = f"{with_spread(statistic)}, from {rounded(statistic.least)} to {rounded(statistic.most)}"
    return f"{statistic.n} of {len(point.rows)}: {spread}"


def _runner_up(found: Best, options: ResultsOptions) -> list[str]:
    """The best other configuration, and whether the difference to it is more than chance may make."""
    if found.runner_up is None or found.other is None:
        return ["no other configuration has finished"]
    entry = found.runner_up.entry
    known = f"{found.other.n} run{'' if found.other.n == 1 else 's'}"
    lines = [f"{found.runner_up.sweep}#{entry.number} {entry.described()}: {with_spread(found.other)} ({known})"]
    better = f"{rounded(abs(found.ahead))} {'worse' if found.ahead >= 0 else 'better'} on average"
    if found.spread is None:
        lines.append(f"{better}; without repeats nobody can say whether that is chance")
    elif abs(found.ahead) > found.spread:
        lines.append(f"{better}: more than the spread between repeats ({found.spread:.2g})")
    else:
        lines.append(f"{better}: less than the spread between repeats ({found.spread:.2g}), so it may be chance")
    return lines


def _paths(paths: SweepPaths, row: Row) -> None:
    """Where the trial is, and the commands that go on with it."""
    place = paths.place(row.entry.name)
    capsule = Path(place.capsule)
    if legacy.is_sweep(paths):
        if not capsule.is_dir():  # of before the script knew of trials
            capsule = capsule.parent
        toml = capsule / f"{row.entry.id}.toml"
        _line("trial", _shown(capsule))
        _line("again", f"bash {_shown(capsule / TRAIN)} {_shown(capsule)} {_shown(toml)}")
        return
    where = results.where(paths, row)
    numbered = shlex.quote(f"{paths.name}#{row.entry.number}")
    _line("trial", f"{_shown(capsule)}  ({row.entry.id}.toml, {row.entry.id}.json, train.sh)")
    _line("output", _shown(Path(where.directory)))
    _line("log", _shown(Path(where.log)))
    _line("again", f"bash {_shown(capsule / 'rerun.sh')}")
    _line("proof", f"resweep reproduce {numbered}")
    _line("promote", f"resweep promote {numbered} --set n_trials=5 --as {paths.name}-best")


def _shown(path: Path) -> str:
    return shlex.quote(os.fspath(project.short(path)))


def _line(label: str, text: str) -> None:
    click.echo(f"  {label:<8} {text}")
