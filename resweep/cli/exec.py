"""`resweep exec`: which trials a command is run for, and what is said of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from resweep.cli import best as best_of
from resweep.cli import project, select
from resweep.errors import ConfigError, TrialError, counted, disk_errors
from resweep.index import Entry
from resweep.launcher import places, trial_state
from resweep.launcher.signals import Signals
from resweep.layout import SweepPaths, check_label
from resweep.results.points import By
from resweep.run import exec as execution
from resweep.run import gpus
from resweep.sweep import stored


class _WithCommand(click.Command):
    """What follows `--` is another program's command line, and no word of it ours."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        context.obj = []
        if "--" in args:
            place = args.index("--")
            args, context.obj = args[:place], args[place + 1 :]
        return super().parse_args(context, args)


@click.command("exec", cls=_WithCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", metavar="[TRIAL]... -- COMMAND...", nargs=-1)
@best_of.options
@click.option(
    "--finished", metavar="NAME", help="Run the command for every finished trial of a sweep, one after another."
)
@click.option(
    "--as",
    "label",
    metavar="LABEL",
    default="exec",
    show_default=True,
    help="Label for the metrics and the directory of this command.",
)
@click.pass_obj
def exec_(
    command: list[str],
    names: tuple[str, ...],
    best: str | None,
    metric: str | None,
    by: By,
    finished: str | None,
    label: str,
) -> None:
    """Run COMMAND with the frozen code, environment and configuration of a TRIAL that has finished.

    In COMMAND, {conf} stands for the path of a TOML whose serialization_dir is the trial's output, {capsule} for the
    trial's frozen directory, {output} for its output. For example:

        resweep exec --best rnn --as test -- python {capsule}/qb/main.py evaluate {conf} --output metrics.json

    COMMAND starts in a fresh directory of its own beside the trial's attempts, which also gets its log and record. A
    metrics.json that it writes there joins the trial's results, as LABEL.accuracy and so on.

    The exit status is COMMAND's; for several trials 1 if it failed for any.
    """
    check_label(label)
    if sum((bool(names), best is not None, finished is not None)) != 1:
        raise ConfigError("exec: expected trials, or --best NAME, or --finished NAME, and only one of these")
    if not command or not command[0]:
        raise ConfigError("exec: found no command, expected one after --, as in resweep exec rnn#1 -- python ...")
    paths, entries = _chosen(names, best, metric, by, finished)
    definition = stored.read(paths)
    os.environ["RESWEEP_PYTHON"] = project.python(paths, definition)
    changes = {gpus.VISIBLE: ""} if definition.gpus == 0 else {}
    with disk_errors(paths.root), Signals() as signals:
        status = _run(paths, entries, command, label, signals, changes, finished is not None or len(entries) > 1)
    sys.exit(status)


exec = exec_  # noqa: A001  # the command line finds a command by its name


def _chosen(
    names: Sequence[str], best: str | None, metric: str | None, by: By, finished: str | None
) -> tuple[SweepPaths, list[Entry]]:
    root = project.root()
    if found := best_of.named(root, best, metric, by):
        return found[0], [found[1]]
    paths, entries = select.trials(root, names or [finished or ""])
    states = {entry: trial_state.state(paths.place(entry.name))[0] for entry in entries}
    if finished is not None:
        entries = [entry for entry in entries if states[entry] == "finished"]
        if not entries:
            raise TrialError(f"--finished {finished}: no trial has finished")
        return paths, entries
    unfinished = [entry for entry in entries if states[entry] != "finished"]
    if unfinished:
        shown = ", ".join(f"#{entry.number} {entry.name} ({states[entry]})" for entry in unfinished[:3])
        more = f" and {len(unfinished) - 3} more" if len(unfinished) > 3 else ""
        raise TrialError(f"{paths.name}: expected trials that have finished, found {shown}{more}")
    return paths, entries


def _run(
    paths: SweepPaths,
    entries: Sequence[Entry],
    command: Sequence[str],
    label: str,
    signals: Signals,
    changes: dict[str, str],
    several: bool,
) -> int:
    """Run the command for one trial after another, and give the exit status of it all."""
    failed: list[Entry] = []
    status = 0
    for entry in entries:
        try:
            done = execution.run(paths.place(entry.name), command, label, signals, _show, changes)
        except TrialError as error:
            if not several:
                raise
            click.echo(f"{select.shown(entry)}: {error}", err=True)
            failed.append(entry)
            continue
        said = trial_state.outcome(done.record, str(project.short(done.directory / places.LOG)))
        where = f", in {project.short(done.directory)}" if done.record["state"] == "finished" else ""
        click.echo(f"{select.shown(entry)}: {said}{where}", err=True)
        if signals.received:
            return 128 + signals.received[0]
        if done.record["state"] != "finished":
            failed.append(entry)
            status = done.exit_status
    if several and failed:
        click.echo(f"{paths.name}: failed for {len(failed)} of {counted(len(entries), 'trial')}:", err=True)
        for entry in failed:
            click.echo(f"  {select.shown(entry)}", err=True)
        return 1
    if several:
        click.echo(f"{paths.name}: finished for {counted(len(entries), 'trial')}", err=True)
    return status


def _show(chunk: bytes, to_stderr: bool) -> None:
    """Pass on what the command says, byte for byte where that is possible."""
    stream = sys.stderr if to_stderr else sys.stdout
    binary = getattr(stream, "buffer", None)
    if binary is None:
        stream.write(chunk.decode(errors="replace"))
    else:
        binary.write(chunk)
    stream.flush()
