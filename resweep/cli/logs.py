"""`resweep logs`: the log of a trial's attempt, once or as it grows."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from resweep import attempt
from resweep.cli import project, select
from resweep.errors import TrialError
from resweep.slurm import ledger
from resweep.trial import SweepPaths, TrialName

LOOK = 0.3  # seconds between two looks at a log that grows


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", metavar="TRIAL")
@click.option("-f", "--follow", is_flag=True, help="Go on as the log grows, until the attempt ends.")
@click.option("--attempt", "number", type=click.IntRange(1), help="Of an earlier attempt. Default: the last.")
def logs(name: str, follow: bool, number: int | None) -> None:
    """Print the log of a trial's last attempt. TRIAL is NAME#NUMBER, an id, ID/TRIAL, or the trial's directory."""
    paths, entries = select.trials(project.root(), [name])
    if len(entries) != 1:
        raise TrialError(f"{name}: names {len(entries)} trials, expected one, such as {paths.name}#1")
    place = paths.place(entries[0].name)
    last = place.last()
    if not last:
        output = _before_attempt(paths, entries[0].name)
        if output is None:
            raise TrialError(f"{name}: has no log; the trial has not been started")
        click.echo(f"{name}: has had no attempt; this is what its job said, {project.short(output)}:", err=True)
        sys.stdout.write(output.read_text("utf-8", errors="replace"))
        return
    if number is not None and number > last:
        raise TrialError(f"--attempt: found {number}, expected at most {last}: {name} has so many attempts")
    directory = Path(place.attempt(number or last))
    _print(place, directory, follow)


def _before_attempt(paths: SweepPaths, trial: TrialName) -> Path | None:
    """What a job of Slurm's printed that ended before the trial's first attempt began."""
    given = ledger.assigned(paths, ledger.read(paths)).get(trial)
    return given.output if given and given.output.is_file() else None


def _print(place: attempt.Place, directory: Path, follow: bool) -> None:
    log = directory / attempt.LOG
    while follow and not log.exists() and _runs(place, directory):
        time.sleep(LOOK)
    try:
        file = open(log, "rb")  # noqa: SIM115
    except FileNotFoundError:
        raise TrialError(f"{log}: no such file; the attempt ended before its training started") from None
    with file:
        while True:
            # asked before reading: what was written before the end is read after it
            runs = follow and _runs(place, directory)
            while chunk := file.read(1 << 20):
                sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
            if not runs:
                return
            time.sleep(LOOK)


def _runs(place: attempt.Place, directory: Path) -> bool:
    """Whether this attempt runs: another one may have begun since."""
    return place.last() == int(directory.name) and attempt.state(place)[0] == "running"
