"""`resweep promote`: a new sweep from one trial."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from resweep import index
from resweep.cli import best as best_of
from resweep.cli import generate, notices, project
from resweep.errors import ConfigError
from resweep.generation import promote as promotion
from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.results.points import By
from resweep.run import import_leaks

MOST = 6  # changed files that are named


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("trial", required=False)
@best_of.options
@click.option("--as", "name", metavar="NEW", required=True, help="Name of the new sweep, written to config/NEW.toml.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, for example n_trials=5.")
@click.option(
    "--frozen-source", is_flag=True, help="Use the trial's frozen source instead of the project's current one."
)
def promote(
    trial: str | None,
    best: str | None,
    metric: str | None,
    by: By,
    name: str,
    overrides: tuple[str, ...],
    frozen_source: bool,
) -> None:
    """Make a new sweep of a TRIAL: its configuration as the only point, with what --set says. For example:

        resweep promote --best rnn --set params.hidden_dim=1500 --set n_trials=5 --as rnn-full

    The definition is written to config/NEW.toml, to be read and edited, and generated at once.
    """
    paths, entry = _chosen(trial, best, metric, by)
    done = promotion.promote(paths, entry, name, overrides, frozen_source)
    click.echo(f"{name}: promoted from {paths.name}#{entry.number} {entry.described()}".rstrip())
    click.echo(f"  config   {_shown(done.config)}")
    generate.say(done.plan)
    again = f"resweep {_shown(done.config)} {_shown(done.base)} {name}"
    click.echo(f"  edited?  {again}")
    _say_notes(paths, entry, done)


def _chosen(trial: str | None, best: str | None, metric: str | None, by: By) -> tuple[SweepPaths, Entry]:
    if (trial is None) == (best is None):
        raise ConfigError("promote: expected a trial, or --best NAME, and only one of these")
    if found := best_of.named(project.root(), best, metric, by):
        return found
    paths, entries = index.find(project.root(), trial or "")
    if len({entry.id for entry in entries}) > 1:
        raise ConfigError(f"{trial}: found {len(entries)} trials, expected one, such as {paths.name}#1, or --best NAME")
    return paths, entries[0]


def _say_notes(paths: SweepPaths, entry: Entry, done: promotion.Promotion) -> None:
    """What a person should know before believing the numbers."""
    name = done.plan.paths.name
    notices.warn(import_leaks.note(paths, [entry]))
    if done.changed:
        files = ", ".join(done.changed[:MOST]) + (" and others" if len(done.changed) > MOST else "")
        click.echo(
            f"resweep: {name}: the source is not the one that {paths.name}#{entry.number} ran: {files} differ; "
            "--frozen-source takes that one",
            err=True,
        )
    if done.same:
        click.echo(
            f"resweep: {name}: one of its trials is the run that {paths.name}#{entry.number} was chosen by, which "
            "flatters a mean; --set seed=1000 gives seeds that nothing was chosen by",
            err=True,
        )


def _shown(path: Path) -> str:
    return shlex.quote(str(project.short(path)))
