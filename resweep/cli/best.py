"""The best trial of a sweep: which it is, for whoever says --best NAME; and all that is known of it, in two forms."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from resweep import index
from resweep.cli import project, select
from resweep.errors import ConfigError
from resweep.index import Entry
from resweep.layout import SweepPaths, brief
from resweep.results import best_trial, formats, legacy, load, locations
from resweep.results.load import Gathered
from resweep.results.points import Best, By, Point, Statistic
from resweep.results.trial_rows import Row
from resweep.run import import_leaks

F = TypeVar("F", bound=Callable[..., Any])

FORMAT = 1  # of the object that --format json gives


def options(command: F) -> F:
    """`--best NAME`, `--by` and `--metric` of a command that takes the best trial of a sweep in place of a trial."""
    command = click.option(
        "--by",
        type=click.Choice(["point", "trial"]),
        default="point",
        help="Rank points by the mean of their repeats (default), or single trials; with --best.",
    )(command)
    command = click.option(
        "--metric", metavar="KEY[:max|min]", help="Metric to rank by with --best. Default: the sweep's."
    )(command)
    said = "The best trial of a sweep that has finished, by [results] metric."
    return click.option("--best", metavar="NAME", help=said)(command)


def named(root: Path, name: str | None, metric: str | None, by: By) -> tuple[SweepPaths, Entry] | None:
    """The sweep and the one trial that `--best`, `--by` and `--metric` name, told to people; None without a NAME.

    A ConfigError or TrialError where none can be the best.
    """
    if name is None:
        if metric is not None:
            raise ConfigError(f"--metric {metric}: found no --best NAME that it is to choose from")
        return None
    paths, _ = index.find(root, name)
    found = load.gather(root, [name], metric)
    load.check_metric(found, metric)
    label = f"--best {paths.name}"
    best_trial.check(label, found.options, "--metric KEY")
    best = best_trial.best(label, found.rows, found.options, by)
    value = f"{best.row.metrics[found.options.metric or '']:.4g}"
    if by == "point" and (mean := best_trial.average(best)):
        value = f"{mean}; this trial: {value}"
    click.echo(f"{paths.name}: best by {found.options.metric} ({value}): {select.shown(best.row.entry)}", err=True)
    if lucky := best_trial.lucky(best, found.options):
        click.echo(f"  best single trial: {lucky}", err=True)
    return paths, best.row.entry


def show(found: Gathered, form: str, by: By, others: Sequence[str]) -> None:
    """Print the best trial, how sure one can be of it, where it is, and what can be done with it."""
    if others:
        raise ConfigError(
            f"--best: found {others[0]!r} beside it, expected sweeps, --metric, --state and --format alone"
        )
    if form not in ("table", "json"):
        raise ConfigError(f"--best: found --format {form}, expected table or json")
    name = f"--best {found.sweeps[0].name}"
    best_trial.check(name, found.options, "--metric KEY")
    best = best_trial.best(name, found.rows, found.options, by)
    paths = found.paths(best.row)
    if form == "json":
        project.say(formats.one(_object(found, paths, best)))
    else:
        _lines(found, paths, best)


def _lines(found: Gathered, paths: SweepPaths, best: Best) -> None:
    row = best.row
    project.say(f"{paths.name}#{row.entry.number} {row.entry.name}\n")
    _line("metric", best_trial.metric(best, found.options, " ".join(paths.name for paths in found.sweeps)))
    for number, (key, swept) in enumerate(row.entry.swept.items()):
        _line("values" if number == 0 else "", f"{key} = {brief(swept)}")
    _line("repeats", best_trial.repeats(best))
    if lucky := best_trial.lucky(best, found.options):
        _line("single", lucky)
    for number, line in enumerate(best_trial.runner_up(best)):
        _line("next" if number == 0 else "", line)
    if row.problem:
        _line("problem", row.problem)
    if row.entry.number in (said := import_leaks.said(paths, [row])):
        _line("leaked", said[row.entry.number])
    _paths(paths, row)


def _paths(paths: SweepPaths, row: Row) -> None:
    """Where the trial is, and the commands that go on with it."""
    where = locations.of(paths, row)
    if legacy.is_row(row):
        _line("trial", _shown(where.capsule))
    else:
        _line("trial", f"{_shown(where.capsule)}  ({where.toml.name}, {where.json.name}, train.sh)")
        _line("output", _shown(where.output))
        _line("log", _shown(where.log) if where.log else "none")
    for label, command in _commands(paths, row, where.command(project.short)).items():
        _line(label, command)


def _commands(paths: SweepPaths, row: Row, again: str) -> dict[str, str]:
    """What can be done with the best trial; one of 2020 can only be run again."""
    if legacy.is_row(row):
        return {"again": again}
    numbered = shlex.quote(f"{paths.name}#{row.entry.number}")
    return {
        "again": again,
        "proof": f"resweep reproduce {numbered}",
        "promote": f"resweep promote {numbered} --set n_trials=5 --as {paths.name}-best",
    }


def _object(found: Gathered, paths: SweepPaths, best: Best) -> dict[str, Any]:
    """The same for programs; docs/results.md has its fields."""
    row, options = best.row, found.options
    where = locations.of(paths, row)
    files = {"trial": where.capsule, "config": where.toml, "filled": where.json, "output": where.output}
    return {
        "format": FORMAT,
        "metric": options.metric,
        "mode": options.mode,
        "value": row.metrics[options.metric or ""],
        "points": best.points,
        "lucky": {"sweep": best.lucky.sweep, "number": best.lucky.entry.number} if best.lucky else None,
        "finished": best.finished,
        **_point(row, best.point, best.statistic),
        "seconds": row.seconds,
        "problem": row.problem or None,
        "leaked": import_leaks.said(paths, [row]).get(row.entry.number),
        "runner_up": _point(best.runner_up.rows[0], best.runner_up, best.other) if best.runner_up else None,
        "ahead": best.ahead if best.runner_up else None,
        "spread": best.spread,
        "verdict": best_trial.verdict(best),
        "paths": {**{name: str(path) for name, path in files.items()}, "log": where.log and str(where.log)},
        "commands": _commands(paths, row, where.command()),
    }


def _point(row: Row, point: Point, repeats: Statistic | None) -> dict[str, Any]:
    """A configuration, by one of its trials: how many repeats there are, and what came of those that finished."""
    entry = row.entry
    names = {"sweep": row.sweep, "number": entry.number, "trial": str(entry.name)}
    return {**names, "values": entry.swept, "n_trials": len(point.rows), "repeats": repeats}


def _shown(path: Path) -> str:
    return shlex.quote(os.fspath(project.short(path)))


def _line(label: str, text: str) -> None:
    project.say(f"  {label:<8} {text}\n")
