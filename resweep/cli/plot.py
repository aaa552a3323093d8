"""`resweep plot`: a figure for a paper, and what its caption should tell."""

from __future__ import annotations

from pathlib import Path

import click

from resweep.cli import notices, project
from resweep.report.figures import drawing, file
from resweep.report.figures.series import Asked
from resweep.results import load
from resweep.run import import_leaks


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--kind", type=click.Choice(list(drawing.KINDS)), required=True, help="Kind of figure.")
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="FILE.pdf, .png or .svg to write; an existing file is replaced.",
)
@click.option("--metric", metavar="KEY[:max|min]", help="Metric to draw. Default: the sweep's.")
@click.option(
    "--where", multiple=True, metavar="KEY=VALUE", help="Select points by a value, for example params.lr=0.001."
)
@click.option("--top", type=click.IntRange(min=1), metavar="K", help="Highlight the K best.")
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="KEY",
    help="Keys to draw (scatter, parallel), or measure to draw (curves); may be repeated.",
)
@click.option(
    "--x", type=click.Choice(["points", "duration"]), default="points", help="Unit of the x axis of performance."
)
@click.option(
    "--width",
    type=click.FloatRange(1, 40),
    metavar="INCHES",
    help="Width in inches. Default: one or two columns of a paper.",
)
@click.option(
    "--height", type=click.FloatRange(0.5, 40), metavar="INCHES", help="Height in inches. Default: depends on the kind."
)
def plot(
    names: tuple[str, ...],
    kind: str,
    target: Path,
    metric: str | None,
    where: tuple[str, ...],
    top: int | None,
    params: tuple[str, ...],
    x: str,
    width: float | None,
    height: float | None,
) -> None:
    """Draw the sweeps NAME... into FILE, a colour and a kind of line for each.

    performance: the expected best of n points. importance: which keys the metric depends on. parallel: every point as
    a line through its values. curves: training against validation of the best trials. scatter: each key against the
    metric.
    """
    _check_fitting(kind, {"--top": top is not None, "--param": bool(params), "--x": x != "points"})
    form = file.form(target)
    with load.no_collection():
        found = load.gather(project.root(), names, metric)
        load.check_metric(found, metric)
        content, notes = drawing.render(found, Asked(kind, x, where, top, params, width, height), form)
    file.write(target, content)
    click.echo(f"{target}: {kind} of {', '.join(paths.name for paths in found.sweeps)}, {project.size(len(content))}")
    notices.warn([*notes, *import_leaks.notes(found.sweeps, found.rows)])


_FITTING = {
    "--top": ("parallel", "curves", "scatter"),
    "--param": ("parallel", "curves", "scatter"),
    "--x": ("performance",),
}


def _check_fitting(kind: str, given: dict[str, bool]) -> None:
    for option, kinds in _FITTING.items():
        if given[option] and kind not in kinds:
            raise click.UsageError(f"{option} means nothing for --kind {kind}, only for {', '.join(kinds)}")
