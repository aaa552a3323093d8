"""`resweep run`: the words of the command, and a line for every trial."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

import click

from resweep import index, snapshot
from resweep import run as runner
from resweep.cli import project
from resweep.errors import TrialError
from resweep.index import Entry
from resweep.trial import SweepPaths


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name")
@click.option(
    "--only",
    type=click.File("r"),
    metavar="FILE",
    help="Run the trials listed in FILE, ID/TRIAL first on a line; - is stdin.",
)
def run(name: str, only: TextIO | None) -> None:
    """Run the trials of the sweep NAME here that have not finished. A trial that fails does not stop the others.

    NAME may also be one trial: NAME#NUMBER, an id, or its directory. Exit status 1: some trials did not finish.
    """
    paths, entries = index.find(project.root(), name)
    if only is not None:
        entries = _listed(
            paths, [line.split()[0] for line in only if line.strip() and not line.lstrip().startswith("#")]
        )
    python = snapshot.find_python(project.definition(paths).python, name)
    done = sum(paths.place(entry.name).finished() for entry in entries)
    left = len(entries) - done
    click.echo(
        f"{paths.name}: {left} of {len(entries)} trials to run, {done} finished already; here, one after another"
    )
    failed: list[runner.Outcome] = []
    for count, outcome in enumerate(runner.run(paths, entries, python), 1):
        said = outcome.said.partition(": ")[2] or outcome.said
        click.echo(f"[{count}/{left}] #{outcome.entry.number} {outcome.entry.name} {outcome.entry.described()}: {said}")
        if not outcome.finished:
            failed.append(outcome)
        if outcome.status in (128 + 2, 128 + 15):
            break
    sys.exit(_summary(paths, failed, left))


def _summary(paths: SweepPaths, failed: list[runner.Outcome], left: int) -> int:
    if not failed:
        click.echo(f"{paths.name}: all trials have finished" if left else f"{paths.name}: nothing to run")
        return 0
    click.echo(f"{paths.name}: {len(failed)} of {left} trials did not finish:", err=True)
    for outcome in failed:
        click.echo(f"  #{outcome.entry.number} {outcome.entry.name}  log: {_short(outcome.log)}", err=True)
    return 1


def _listed(paths: SweepPaths, names: list[str]) -> list[Entry]:
    known = {str(entry.name): entry for entry in index.read(paths).entries}
    for name in names:
        if name not in known:
            raise TrialError(f"{paths.name}: no trial {name}; was the jobs script edited, or is it another sweep's?")
    return [known[name] for name in names]


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
