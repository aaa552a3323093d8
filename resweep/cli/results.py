"""`resweep results`: what was tried and what came out, as a table in many forms; and the best of it."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import click

from resweep import formats, index, legacy, status, table
from resweep import results as reading
from resweep.cli import best as best_of
from resweep.cli import marks, project
from resweep.results import Row
from resweep.status import Status
from resweep.sweep import ResultsOptions
from resweep.table import Table
from resweep.trial import SweepPaths


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--by", type=click.Choice(["trial", "point"]), default="trial", help="A row per trial, or per point.")
@click.option("--best", is_flag=True, help="The best trial: how sure one can be, where it is, what to do with it.")
@click.option("--metric", metavar="KEY[:max|min]", help="The metric that says what is best, in place of the sweep's.")
@click.option("--where", multiple=True, metavar="KEY=VALUE", help="Only rows with this, as in 'accuracy>0.5'.")
@click.option("--state", "states", multiple=True, type=click.Choice(status.STATES), help="Only trials in this state.")
@click.option("--sort", metavar="KEY[:asc|desc]", help="The order of the rows. Default: the best first.")
@click.option("--top", type=click.IntRange(min=0), metavar="K", help="The first K rows only.")
@click.option("--columns", metavar="A,B,...", help="Which columns, in this order; with * for any letters.")
@click.option("--format", "form", type=click.Choice(list(formats.FORMATS)), default="table", help="Default: table.")
def results(
    names: tuple[str, ...],
    by: Literal["trial", "point"],
    best: bool,
    metric: str | None,
    where: tuple[str, ...],
    states: tuple[str, ...],
    sort: str | None,
    top: int | None,
    columns: str | None,
    form: str,
) -> None:
    """Show a row per trial of the sweeps NAME...: swept values, state, duration, metrics; the best first.

    Which metric is best stands in the sweep: [results] metric = "best_validation_accuracy", mode = "max". With
    --by point the repeats of a configuration are one row: mean, standard deviation, and how many have finished.
    """
    with _no_collection():
        found = _read(names, metric)
        rows = [row for row in found.rows if not states or row.state in states]
        if best:
            best_of.show(found.sweeps, rows, found.options, [*where, *filter(None, (sort, columns))])
            return
        shown = _table(found, rows, by, where, sort, top)
        if columns is not None:
            shown = table.choose(shown, [name.strip() for name in columns.split(",") if name.strip()])
        elif form not in formats.WHOLE:
            shown = table.default(shown, table.shown_metrics(rows, found.options), short=form == "latex")
        text = formats.FORMATS[form](shown)
    # a lone surrogate, which JSON can hold, becomes the escape that JSON has for it
    click.echo(text.encode("utf-8", "backslashreplace").decode(), nl=False)
    _check_metric(found.options, rows)
    if form == "table":
        for paths in found.sweeps:
            own = [row for row in rows if row.sweep == paths.name and not row.record.keys().isdisjoint(reading.MARKS)]
            marks.leaks(paths, [Status(row.entry, row.state, row.record, paths.directory) for row in own])
    elif form in ("markdown", "latex"):
        _say_problems(rows)


@dataclass
class Found:
    """The rows of one or several sweeps, and what ranks them all."""

    sweeps: list[SweepPaths] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    options: ResultsOptions = field(default_factory=ResultsOptions)
    fixed: dict[str, dict[str, Any]] = field(default_factory=dict)


def _read(names: Sequence[str], metric: str | None) -> Found:
    """The rows of what is named, each once, the best first."""
    root = project.root()
    entries: dict[str, dict[index.Entry, None]] = {}
    places: dict[str, SweepPaths] = {}
    for name in names:
        paths = SweepPaths(root, name)
        chosen: list[index.Entry] = []
        if not legacy.is_sweep(paths):
            paths, chosen = index.find(root, name)
        places[paths.name] = paths
        entries.setdefault(paths.name, {}).update(dict.fromkeys(chosen))
    found = Found(list(places.values()))
    asked: list[ResultsOptions] = []
    for paths in found.sweeps:
        if legacy.is_sweep(paths):
            asked.append(_options(ResultsOptions(), metric))
            found.rows += legacy.rows(paths, asked[-1])
            continue
        definition = project.definition(paths)
        found.fixed[paths.name] = table.configuration(definition)
        asked.append(_options(definition.results, metric))
        found.rows += reading.rows(paths, entries[paths.name], asked[-1])
    found.options = _common(found.sweeps, asked)
    if len(found.sweeps) > 1:
        found.rows = reading.ranked(found.rows, found.options)
    return found


def _options(own: ResultsOptions, metric: str | None) -> ResultsOptions:
    if metric is None:
        return own
    name, colon, mode = metric.rpartition(":")
    if colon and mode in ("max", "min"):
        return replace(own, metric=name, mode=mode)
    return replace(own, metric=metric)


def _common(sweeps: Sequence[SweepPaths], asked: Sequence[ResultsOptions]) -> ResultsOptions:
    """What ranks the rows of several sweeps: the metric that all that name one agree on."""
    named = {(each.metric, each.mode): each for each in asked if each.metric}
    if len(named) > 1:
        said = ", ".join(
            f"{paths.name}: {each.metric} ({each.mode})" for paths, each in zip(sweeps, asked, strict=True)
        )
        click.echo(f"resweep: the sweeps name different metrics ({said}), so no order is common to them", err=True)
        return ResultsOptions()
    return next(iter(named.values()), ResultsOptions())


def _table(found: Found, rows: list[Row], by: str, where: Sequence[str], sort: str | None, top: int | None) -> Table:
    fixed = found.fixed if len(found.sweeps) > 1 else {}
    shown = table.of_points(rows, fixed) if by == "point" else table.of_rows(rows, fixed)
    shown = table.where(shown, where)
    if sort is not None:
        shown = table.sort(shown, sort, found.options)
    elif by == "point" and found.options.metric in shown.every:
        shown = table.sort(shown, found.options.metric or "", found.options)
    return shown if top is None else replace(shown, lines=shown.lines[:top])


def _check_metric(options: ResultsOptions, rows: list[Row]) -> None:
    """Say so when no finished trial reports the metric that [results] names."""
    finished = [row for row in rows if row.state == "finished"]
    if options.metric and finished and not any(options.metric in row.metrics for row in finished):
        names = ", ".join(table.shown_metrics(finished, ResultsOptions())) or "no number at all"
        click.echo(f"resweep: results.metric: no finished trial reports {options.metric}; found {names}", err=True)


def _say_problems(rows: Sequence[Row]) -> None:
    """What a table for a paper has no column for: trials whose numbers could not be read."""
    wrong = [row for row in rows if row.problem]
    if wrong:
        first = wrong[0]
        click.echo(
            f"resweep: {len(wrong)} of {len(rows)} trials: numbers could not be read, for example "
            f"{first.sweep}#{first.entry.number}: {first.problem}",
            err=True,
        )


@contextmanager
def _no_collection() -> Iterator[None]:
    """Ten thousand rows are no garbage: looking for some in them takes a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
