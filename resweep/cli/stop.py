"""`resweep stop`: end what this machine runs of a sweep, and check that it has ended."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from resweep import index
from resweep.cli import project, select
from resweep.errors import counted
from resweep.run import stop as stopping
from resweep.slurm import cancel as slurm


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", metavar="NAME|TRIAL...", nargs=-1, required=True)
@select.options
def stop(names: tuple[str, ...], where: tuple[str, ...], states: tuple[str, ...]) -> None:
    """Stop the running trials of each sweep NAME, or one TRIAL, here or on Slurm, and wait for their end.

    Stopping a whole sweep also cancels its jobs and ends its runners here, so that no other trial starts. Stopped
    trials run again when the sweep is run again. Exit status 1: something still runs, here or on another machine.
    """
    root = project.root()
    sys.exit(max([_stop(root, group, where, states) for group in select.by_sweep(root, names)]))


def _stop(root: Path, names: Sequence[str], where: Sequence[str], states: Sequence[str]) -> int:
    """Stop what is named of one sweep; gives the exit status."""
    paths, entries = select.trials(root, names, where, states)
    whole = not where and not states and any(name == paths.name for name in names)
    if whole:  # trials that are no longer in the sweep may run all the same
        entries = list(index.read(paths).entries)
    cancelled = slurm.cancel(paths, entries, whole)
    if cancelled.error:
        click.echo(f"{paths.name}: {cancelled.error}; what Slurm runs is not stopped", err=True)
    elif cancelled.tasks:
        click.echo(f"{paths.name}: {counted(cancelled.tasks, 'task')} of Slurm's cancelled")
    for line in cancelled.notes:
        click.echo(f"{paths.name}: note: {line}", err=True)
    done = stopping.stop(paths, entries, whole)
    if done.runners:
        click.echo(f"{paths.name}: {counted(done.runners, 'runner')} ended")
    for each in [*cancelled.stopped, *done.stopped]:
        click.echo(f"stopped  #{each.entry.number} {each.entry.name} {each.entry.described()}".rstrip())
    for each in done.elsewhere:
        host = each.record.get("host", "another machine")
        job = cancelled.jobs.get(each.entry.name)
        place = f"{host} {job}" if job else host
        click.echo(f"not here #{each.entry.number} {each.entry.name}: runs on {place}; stop it there", err=True)
    for each in done.left:
        click.echo(f"runs on  #{each.entry.number} {each.entry.name}: could not be stopped", err=True)
    for line in cancelled.doubts:
        click.echo(f"{paths.name}: not stopped: {line}", err=True)
    left = len(done.left) + len(cancelled.left)
    click.echo(f"{paths.name}: {len(cancelled.stopped) + len(done.stopped)} stopped, {left} left")
    return 1 if left or done.elsewhere or cancelled.error or cancelled.doubts else 0
