"""`resweep clean --orphans`: says which trials would go, asks, and removes them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from resweep import index
from resweep.cli import project
from resweep.errors import ConfigError, TrialError, counted
from resweep.generation import orphans
from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.run import registry, status
from resweep.slurm import recover
from resweep.slurm import states as slurm

MOST = 20  # trials that are named


def clean_orphans(name: str, dry_run: bool, yes: bool) -> int:
    """Remove the trials of the sweep that are no longer in it and never ran; gives the exit status."""
    paths, _ = index.find(project.root(), name)
    if paths.name != name:
        raise TrialError(f"{name}: --orphans expects the name of a sweep")
    found = orphans.idle(paths)
    left = _waiting(paths, found)
    _list("left", [(entry, left[entry]) for entry in found if entry in left])
    chosen = [entry for entry in found if entry not in left]
    if not chosen:
        click.echo(f"{name}: nothing to remove")
        return 0
    click.echo(f"{name}: to be removed: {counted(len(chosen), 'trial')}, no longer in the sweep and never run")
    _list("trial", [(entry, entry.described()) for entry in chosen])
    if not agreed(name, dry_run, yes):
        return 0
    _check_runners(paths)
    done = orphans.remove(paths, {entry.name for entry in chosen})
    _list("left", [(entry, "in use by now") for entry in done.left])
    click.echo(f"{name}: removed {counted(len(done.entries), 'trial')}; their numbers are not given again")
    return 0


def agreed(name: str, dry_run: bool, yes: bool) -> bool:
    """Whether what was shown is to be removed: somebody says so, here or by an option."""
    if dry_run:
        click.echo(f"{name}: nothing was removed (--dry-run)")
        return False
    if not yes and not sys.stdin.isatty():
        raise ConfigError("clean: nothing was removed: there is no terminal to ask on; expected --yes or --dry-run")
    if not yes and not click.confirm("Remove them?"):
        click.echo(f"{name}: nothing was removed")
        return False
    return True


def _waiting(paths: SweepPaths, found: Sequence[Entry]) -> dict[Entry, str]:
    """The trials that Slurm has, or may have, in its queue."""
    view = slurm.look(paths, status.survey(paths, found)) if found else slurm.View()
    if view.working() or view.workers_elsewhere:
        raise TrialError(f"{paths.name}: workers on Slurm drain the sweep; `resweep stop {paths.name}` ends them first")
    waiting = {}
    unsure = view.recovered.trials()
    for entry in found:
        if entry.name in view.elsewhere:
            one = view.elsewhere[entry.name]
            waiting[entry] = f"was submitted as {slurm.shown(one.task)} of the cluster {one.cluster}"
        elif entry.name in unsure:
            waiting[entry] = f"may have been submitted: {recover.why(unsure[entry.name], view.cluster)}"
        task = view.given(entry.name)
        if task and (view.error or view.task(task).waits or view.task(task).runs):
            waiting[entry] = f"was submitted as {slurm.shown(task)}, and {view.error or view.task(task).words()}"
    return waiting


def _check_runners(paths: SweepPaths) -> None:
    """Refuse while somebody runs the sweep, whose list of trials may hold what is to be removed."""
    registry.on_this_machine(paths)  # forgets those that have died here
    for path in paths.runners.glob("*.json"):
        raise TrialError(
            f"{paths.name}: nothing was removed: a runner is at work, as {project.short(path)} says; end it first with "
            f"`resweep stop {paths.name}`, or remove the file if its machine is gone"
        )


def _list(label: str, lines: Sequence[tuple[Entry, str]]) -> None:
    for number, (entry, said) in enumerate(lines[:MOST]):
        click.echo(f"  {label if number == 0 else '':<8} #{entry.number} {entry.name}  {said}".rstrip())
    if len(lines) > MOST:
        click.echo(f"           and {len(lines) - MOST} more")
