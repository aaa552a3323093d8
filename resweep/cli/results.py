"""`resweep results`: one row per trial."""

from __future__ import annotations

from pathlib import Path

import click

from resweep import index
from resweep import results as table
from resweep.cli import marks, project
from resweep.status import Status
from resweep.sweep import ResultsOptions
from resweep.trial import jsonnable

MOST_METRICS = 6  # columns, where [results] names no metric


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name")
def results(name: str) -> None:
    """Show a row per trial of the sweep NAME: swept values, state, duration, metrics; the best first.

    Which metric is best stands in the sweep: [results] metric = "best_validation_accuracy", mode = "max".
    """
    paths, entries = index.find(project.root(), name)
    options = project.definition(paths).results
    rows = table.rows(paths, entries, options)
    metrics = list(dict.fromkeys([options.metric, *table.executed(rows)])) if options.metric else _numbers(rows)
    swept = list(dict.fromkeys(key for row in rows for key in row.entry.swept))
    lines = [["#", "trial", *swept, "state", "seconds", *metrics]]
    for row in rows:
        values = [jsonnable(row.entry.swept[key]) if key in row.entry.swept else "" for key in swept]
        seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
        lines.append(
            [str(row.entry.number), str(row.entry.name), *values, row.state, seconds]
            + [_number(row.metrics.get(metric)) for metric in metrics]
            + ([row.problem] if row.problem else [])
        )
    width = [max(len(line[i]) for line in lines if i < len(line)) for i in range(max(map(len, lines)))]
    for line in lines:
        click.echo("  ".join(f"{cell:<{width[i]}}" for i, cell in enumerate(line)).rstrip())
    _check_metric(options, rows)
    marks.leaks(paths, [Status(row.entry, row.state, row.record, Path()) for row in rows])


def _check_metric(options: ResultsOptions, rows: list[table.Row]) -> None:
    """Say so when no finished trial reports the metric that [results] names."""
    finished = [row for row in rows if row.state == "finished"]
    if options.metric and finished and not any(options.metric in row.metrics for row in finished):
        names = ", ".join(_numbers(finished)) or "no number at all"
        click.echo(f"resweep: results.metric: no finished trial reports {options.metric}; found {names}", err=True)


def _numbers(rows: list[table.Row]) -> list[str]:
    """The first metrics that are numbers, those of validation before the others."""
    names = dict.fromkeys(k for row in rows for k, v in row.metrics.items() if isinstance(v, int | float))
    return sorted(names, key=lambda name: "validation" not in name)[:MOST_METRICS]


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else jsonnable(value)
