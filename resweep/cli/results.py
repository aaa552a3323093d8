"""`resweep results`: what was tried and what came out, as a table in many forms; and the best of it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

import click

from resweep.cli import best as best_of
from resweep.cli import notices, project
from resweep.errors import counted
from resweep.results import formats, load, table, terminal
from resweep.results import trial_rows as reading
from resweep.results.load import Gathered
from resweep.results.table import Table
from resweep.results.trial_rows import Row
from resweep.run import import_leaks, status

MOST = 10  # columns that are named as left out


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option(
    "--by",
    type=click.Choice(["trial", "point"]),
    help="Show one row per trial (default) or per point. With --best: rank points (default) or single trials.",
)
@click.option("--best", is_flag=True, help="Show the best trial, how certain that is, and commands to use it.")
@click.option("--metric", metavar="KEY[:max|min]", help="Metric to rank by. Default: the sweep's.")
@click.option("--where", multiple=True, metavar="KEY=VALUE", help="Select rows by a value, for example 'accuracy>0.5'.")
@click.option("--state", "states", multiple=True, type=click.Choice(status.STATES), help="Select trials by state.")
@click.option("--sort", metavar="KEY[:asc|desc]", help="Column to sort by. Default: best first.")
@click.option("--top", type=click.IntRange(min=0), metavar="K", help="Show the first K rows only.")
@click.option("--columns", metavar="A,B,...", help="Columns to show, in this order; * matches any text.")
@click.option(
    "--format", "form", type=click.Choice(list(formats.FORMATS)), default="table", help="Output format. Default: table."
)
def results(
    names: tuple[str, ...],
    by: Literal["trial", "point"] | None,
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
    with load.no_collection():
        found = load.gather(project.root(), names, metric)
        load.check_metric(found, metric)
        _tell(found.notes)
        every = len(found.rows)
        found.rows = rows = [row for row in found.rows if not states or row.state in states]
        if best:
            best_of.show(found, form, by or "point", [*where, *filter(None, (sort, columns))])
            return
        shown = _table(found, rows, by, where, sort, top)
        if columns is not None:
            wanted = [name.strip() for name in columns.split(",") if name.strip()]
            shown = table.choose(table.with_fixed(shown, wanted, found.fixed), wanted)
        elif form not in formats.WHOLE:
            shown = table.default(shown, table.shown_metrics(rows, found.options), short=form == "latex")
        gone: list[str] = []
        if form in ("markdown", "latex"):
            shown = terminal.rounded(shown, terminal.drawn(found.definitions.values()), terminal.PAPER)
        if form == "table" and sys.stdout.isatty():
            shown = terminal.rounded(shown, terminal.drawn(found.definitions.values()))
            width = shutil.get_terminal_size().columns
            shown, gone = terminal.fit(shown, width, found.options.metric, leave_out=columns is None)
        text = formats.FORMATS[form](shown)
    project.say(text)
    _tell(filter(None, [_none(every, shown, [*where, *states]), load.metric_missing(found), _left_out(gone)]))
    if "problem" in gone:
        _say_problems(rows)
    if form == "table":
        for paths in found.sweeps:
            marked = [row for row in rows if not row.record.keys().isdisjoint(reading.MARKS)]
            notices.leaks(paths, import_leaks.statuses(paths, marked))
        return
    notices.warn(import_leaks.notes(found.sweeps, rows))
    if form in ("markdown", "latex"):
        _say_problems(rows)


def _table(
    found: Gathered, rows: list[Row], by: str | None, where: Sequence[str], sort: str | None, top: int | None
) -> Table:
    fixed = found.fixed if len(found.sweeps) > 1 else {}
    shown = table.of_points(rows, fixed) if by == "point" else table.of_rows(rows, fixed)
    shown = table.where(shown, where)
    if sort is not None:
        shown = table.sort(shown, sort, found.options)
    elif by == "point" and found.options.metric in shown.every:
        shown = table.sort(shown, found.options.metric or "", found.options)
    return shown if top is None else replace(shown, lines=shown.lines[:top])


def _none(every: int, shown: Table, asked: Sequence[str]) -> str | None:
    """What to say of an empty table, so that nobody takes it for an empty sweep."""
    return None if shown.lines or not asked else f"0 of {counted(every, 'trial')} match {', '.join(asked)}"


def _left_out(names: Sequence[str]) -> str | None:
    """What a terminal has no room for, and how to see it."""
    if not names:
        return None
    shown = ", ".join(names[:MOST]) + (f" and {counted(len(names) - MOST, 'more column')}" * (len(names) > MOST))
    return f"left out, for want of room: {shown}; --columns A,B,... says which to show, --format csv has all"


def _tell(notes: Iterable[str]) -> None:
    for note in notes:
        click.echo(f"resweep: {note}", err=True)


def _say_problems(rows: Sequence[Row]) -> None:
    """What a table for a paper has no column for: trials whose numbers could not be read."""
    wrong = [row for row in rows if row.problem]
    if wrong:
        first = wrong[0]
        click.echo(
            f"resweep: {len(wrong)} of {counted(len(rows), 'trial')}: numbers could not be read, for example "
            f"{first.sweep}#{first.entry.number}: {first.problem}",
            err=True,
        )
