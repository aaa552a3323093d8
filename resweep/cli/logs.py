"""`resweep logs`: the log of a trial's attempt, once or as it grows."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from resweep.cli import project, select
from resweep.errors import TrialError
from resweep.index import Entry
from resweep.launcher import places, trial_state
from resweep.launcher.places import Place
from resweep.layout import SweepPaths
from resweep.run import status
from resweep.slurm import ledger, states
from resweep.slurm.states import View

LOOK = 0.3  # seconds between two looks at a log that grows


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", metavar="TRIAL")
@click.option("-f", "--follow", is_flag=True, help="Keep printing as the log grows, until the attempt ends.")
@click.option("--attempt", "number", type=click.IntRange(1), help="Show attempt N instead of the last one.")
def logs(name: str, follow: bool, number: int | None) -> None:
    """Print the log of a trial's last attempt. TRIAL is NAME#NUMBER, an id, ID/TRIAL, or the trial's directory.

    JOB_TASK, as squeue shows it, is the trial of that task. Where a job of Slurm's ended the attempt, what it printed
    beside the log follows, with Slurm's own words.
    """
    paths, entries = select.trials(project.root(), [name])
    if len(entries) != 1:
        raise TrialError(f"{name}: names {len(entries)} trials, expected one, such as {paths.name}#1")
    place = paths.place(entries[0].name)
    last = place.last()
    if not last:
        outputs = _outputs(paths, entries[0])
        if not outputs:
            raise TrialError(f"{name}: has no log; the trial has not been started")
        for output in outputs:
            click.echo(f"{name}: has had no attempt; this is what its job said, {project.short(output)}:", err=True)
            sys.stdout.write(output.read_text("utf-8", errors="replace"))
        return
    if number is not None and number > last:
        raise TrialError(f"--attempt: found {number}, expected at most {last}: {name} has so many attempts")
    directory = Path(place.attempt(number or last))
    try:
        _print(place, directory, follow)
    finally:
        if number in (None, last) and trial_state.state(place)[0] in ("failed", "stopped", "lost"):
            _print_said(name, paths, entries[0])


def _print_said(name: str, paths: SweepPaths, entry: Entry) -> None:
    """What the job of the last attempt printed beside the log, where there is anything."""
    for output in _outputs(paths, entry):
        if any(line.strip() for line in status.last_lines(output)):
            click.echo(f"{name}: its job said, {project.short(output)}:", err=True)
            sys.stdout.write(output.read_text("utf-8", errors="replace"))
            sys.stdout.flush()


def _outputs(paths: SweepPaths, entry: Entry) -> list[Path]:
    """The files with what a job of Slurm's printed that ran the trial's last attempt, or ended before it began one."""
    each = status.status(paths, entry)
    if not each.record:  # where a person chose the file's name, it takes a number that only Slurm knows
        return states.outputs(each, states.look(paths, [each], patience=states.ANSWER))
    submissions = ledger.read(paths) if paths.submissions.is_dir() else []
    assigned = {trial: given[-1] for trial, given in ledger.assigned(paths, submissions).items()}
    return states.outputs(each, View(submissions, assigned, workers=ledger.workers(submissions), paths=paths))


def _print(place: Place, directory: Path, follow: bool) -> None:
    log = directory / places.LOG
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


def _runs(place: Place, directory: Path) -> bool:
    """Whether this attempt runs: another one may have begun since."""
    return place.last() == int(directory.name) and trial_state.state(place)[0] == "running"
