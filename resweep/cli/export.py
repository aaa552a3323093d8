"""`resweep export`: runs for TensorBoard, W&B, MLflow and Comet, written as files."""

from __future__ import annotations

import importlib
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from resweep.cli import notices, project
from resweep.export import home, live, run
from resweep.export.run import Run, Tally
from resweep.results import load, table
from resweep.results.trial_rows import Row
from resweep.run import import_leaks, status

TARGETS = ("tensorboard", "wandb", "mlflow", "comet")
MOST_NOTES = 3  # that are told one by one


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--to", "target", type=click.Choice(TARGETS), required=True, help="Tool to write for.")
@click.option(
    "--where", multiple=True, metavar="KEY=VALUE", help="Select trials by a value, for example 'accuracy>0.5'."
)
@click.option("--state", "states", multiple=True, type=click.Choice(status.STATES), help="Select trials by state.")
@click.option("--all", "every", is_flag=True, help="Include trials whose training already logged to that tool.")
@click.option(
    "--project", "called", metavar="NAME", help="Project name in that tool. Default: the name of this directory."
)
def export(
    names: tuple[str, ...],
    directory: Path,
    target: str,
    where: tuple[str, ...],
    states: tuple[str, ...],
    every: bool,
    called: str | None,
) -> None:
    """Write the trials of the sweeps NAME... into DIR, as runs of TensorBoard, W&B, MLflow or Comet.

    Values, curves, metrics, states and times are those of the records; nothing is sent anywhere. Exporting again
    brings DIR up to date and doubles nothing. Trials that have not been started are left out.
    """
    root = project.root()
    home.outside(directory, root)
    with load.no_collection():
        found = load.gather(root, names)
        rows = [row for row in found.rows if not states or row.state in states]
        rows = table.where(table.of_rows(rows, found.fixed), where).lines
        called = called or run.project_name(root)
        left_out: Counter[str] = Counter()
        runs = run.runs(found, sorted(rows, key=lambda row: row.entry.number), called)
        runs = _unlogged(runs, target, left_out, every)
        target_module = importlib.import_module(f"resweep.export.{target}")
        further = table.shown_metrics(rows, found.options) if target == "tensorboard" else called
        tally: Tally = target_module.write(directory, runs, further)
    _tell(tally, rows, left_out, target, directory)
    notices.warn(import_leaks.notes(found.sweeps, rows))
    for line in _look(target, directory) if tally.new + tally.changed + tally.same else ():
        click.echo(f"  {line}")


def _unlogged(runs: Iterable[Run], target: str, left_out: Counter[str], every: bool) -> Iterator[Run]:
    """The runs that are not there yet by their training's own doing."""
    for each in runs:
        said = None if every else live.logged(each, target, each.facts.get("capsule", ""))
        if said is None:
            yield each
        else:
            left_out[said.partition("/")[0]] += 1


def _tell(tally: Tally, rows: list[Row], left_out: Counter[str], target: str, directory: Path) -> None:
    # what a directory that is written anew had before is not counted
    counts = [f"{tally.new} new", f"{tally.changed} changed", f"{tally.same} as before"]
    total = tally.new + tally.changed + tally.same
    click.echo(f"{directory}: {total} runs" + (f" ({', '.join(counts)})" if target != "tensorboard" else ""))
    waiting = sum(not run.begun(row) for row in rows)
    if waiting:
        click.echo(f"  left out  {_trials(waiting)} not started yet")
    if left_out:
        shown = ", ".join(left_out)
        click.echo(
            f"  left out  {_trials(left_out.total())} that the training has logged to {target} itself "
            f"(found {shown}); --all exports them, too"
        )
    for note in tally.notes[:MOST_NOTES]:
        click.echo(f"resweep: {note}", err=True)
    if len(tally.notes) > MOST_NOTES:
        click.echo(f"resweep: and {len(tally.notes) - MOST_NOTES} more such", err=True)


def _trials(count: int) -> str:
    return f"{count} trial" + "s" * (count != 1)


def _look(target: str, directory: Path) -> list[str]:
    """The commands with which to look at it."""
    there = shlex.quote(str(directory))
    if target == "tensorboard":
        return [f"look at it  tensorboard --logdir {there}"]
    if target == "mlflow":
        store = shlex.quote(f"sqlite:///{directory.resolve()}/mlflow.db")
        return [f"look at it  mlflow ui --backend-store-uri {store}    (its page needs all of it: pip install mlflow)"]
    if target == "wandb":
        return [f"send it  wandb sync {there}/wandb"]
    return [f"send it  comet upload {there}/*.zip"]
