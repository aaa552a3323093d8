"""`resweep report`: one page to look at, to brush and to send on, of one or several sweeps."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from resweep.cli import notices, project
from resweep.errors import counted
from resweep.results import load
from resweep.results.load import Gathered
from resweep.run import import_leaks, status

OPEN = ("running", "queued")  # states of trials whose numbers may still come
EVERY = 30.0  # seconds between two pages, where nobody says


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write. Default: NAME-report.html in the project."
)
@click.option("--metric", metavar="KEY[:max|min]", help="Metric to rank by. Default: the sweep's.")
@click.option(
    "--watch",
    type=click.FloatRange(1),
    is_flag=False,
    flag_value=EVERY,
    metavar="[SECONDS]",
    help="Rewrite the page every N seconds while trials run. Default: 30.",
)
def report(names: tuple[str, ...], output: Path | None, metric: str | None, watch: float | None) -> None:
    """Write a page of the sweeps NAME...: charts, the table, each run's files. Any browser opens it, without a network.

    A drag in a chart, or what is typed above a column of the table, filters everything on the page.
    """
    from resweep.report import write  # a page is much to import for --help

    target = output or project.root() / f"{_stem(names)}-report.html"
    write.check(target)
    if watch is not None:
        _watch(names, metric, target, watch)
        return
    found = _checked(names, metric)
    for note in [*found.notes, *filter(None, [load.metric_missing(found)])]:
        click.echo(f"resweep: {note}", err=True)
    notices.warn(import_leaks.notes(found.sweeps, found.rows))
    size = _write(found, target, None)
    trials = counted(len(found.rows), "trial")
    click.echo(f"{project.short(target)}: {trials}, {size / 1e6:.1f} MB; open it in a browser")


def _stem(names: Sequence[str]) -> str:
    """A name for a file, of what was named: letters that need no quotes."""
    plain = [re.sub(r"[^A-Za-z0-9_.+-]+", "-", name).strip("-.") for name in dict.fromkeys(names)]
    return "-".join(filter(None, plain))[:100] or "sweep"


def _checked(names: Sequence[str], metric: str | None) -> Gathered:
    """The rows; an error where a metric is asked for that no trial reports: a good page is not replaced by another."""
    found = _gathered(names, metric)
    load.check_metric(found, metric)
    return found


def _gathered(names: Sequence[str], metric: str | None) -> Gathered:
    with load.no_collection():
        return load.gather(project.root(), names, metric)


def _write(found: Gathered, target: Path, watch: float | None) -> int:
    from resweep.report import page, write

    with load.no_collection():
        text = page.page(found, watch)
    write.write(target, text)
    return len(text)


def _watch(names: Sequence[str], metric: str | None, target: Path, seconds: float) -> None:
    """Write the page until all trials have ended, or Ctrl-C: the last one does not read itself again."""
    said = ""
    found = _checked(names, metric)
    try:
        with project.terminable():
            while counts := _still_open(found):
                began = time.monotonic()
                _write(found, target, seconds)
                if counts != said:
                    click.echo(f"{project.short(target)}: {counts}")
                    said = counts
                time.sleep(max(0.1, seconds - (time.monotonic() - began)))
                found = _gathered(names, metric)
    except KeyboardInterrupt:
        _write(found, target, None)
        click.echo(f"{project.short(target)}: no longer written; it stays as it is")
        return
    _write(found, target, None)
    click.echo(f"{project.short(target)}: all trials have ended")


def _still_open(found: Gathered) -> str:
    """How many trials are in which state, as people say it; empty when all have ended."""
    counts = Counter(row.state for row in found.rows)
    if not any(counts[state] for state in OPEN):
        return ""
    return ", ".join(f"{counts[state]:,} {state}" for state in status.STATES if counts[state])
