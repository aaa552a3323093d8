"""What is said of trials only where there is something to say: what they ran was not what was frozen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from resweep.errors import counted
from resweep.layout import SweepPaths
from resweep.run import import_leaks, status
from resweep.run.status import Status

MOST = 10  # files that are named


def leaks(paths: SweepPaths, statuses: Sequence[Status]) -> None:
    """Say which files trainings loaded from elsewhere than their trial, and which trials ran on changed data."""
    found = status.leaks(paths, statuses)
    for leak in found[:MOST]:
        click.echo(f"  leaked   {import_leaks.sentence(leak)}")
    if len(found) > MOST:
        click.echo(f"           and {counted(len(found) - MOST, 'other file')}")
    changed: dict[str, list[Status]] = {}
    for each in statuses:
        for file in each.record.get("data_changed") or ():
            changed.setdefault(file, []).append(each)
    for file, trials in list(changed.items())[:MOST]:
        click.echo(f"  allowed  {import_leaks.trials(trials)}: ran although the data had changed: {file}")


def warn(notes: Iterable[str]) -> None:
    """Say what should be known before a number is believed."""
    for note in notes:
        click.echo(f"resweep: {note}", err=True)
