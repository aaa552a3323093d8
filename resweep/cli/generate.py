"""`resweep generate`: the words of the command, and what it says."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import click

from resweep.cli import project
from resweep.cli.narrow import narrow_around
from resweep.cli.progress import progress_bar
from resweep.errors import counted
from resweep.generation.make import Request
from resweep.generation.make import generate as generate_sweep
from resweep.generation.plan import Plan, SourceChange
from resweep.index import Entry

SHOWN = 10  # trials that a dry run lists of each kind


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("name")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key of CONFIG, for example params.debug=true.",
)
@click.option("--n-trials", type=int, help="Trials per point, each with its own seed; short for --set n_trials=N.")
@click.option(
    "--dry-run", is_flag=True, help="Show which trials would be new, kept and orphaned, and why; write nothing."
)
@click.option(
    "--slurm-job/--no-slurm-job",
    "slurm",
    default=None,
    help="Make the jobs script always / never use sbatch. Default: use sbatch where it is installed.",
)
@click.option("--yes", is_flag=True, help="Allow more than 10,000 trials.")
@click.option("--new-source", is_flag=True, help="Run finished trials again with the changed source.")
@click.option("--keep-finished", is_flag=True, help="Keep finished trials although the source changed.")
@click.option(
    "--around",
    metavar="SWEEP",
    help="Write NAME.toml beside CONFIG, narrowed to the values of SWEEP's best trials; generate nothing.",
)
@click.option(
    "--top", type=click.IntRange(1), metavar="K", help="Number of best trials to use with --around. Default: 5."
)
def generate(
    config: Path,
    base: Path,
    name: str,
    overrides: tuple[str, ...],
    n_trials: int | None,
    dry_run: bool,
    slurm: bool | None,
    yes: bool,
    new_source: bool,
    keep_finished: bool,
    around: str | None,
    top: int | None,
) -> None:
    """Generate the sweep NAME: one directory per trial, and NAME-jobs.sh, which runs them.

    CONFIG is the TOML file that says what to try; BASE the jsonnet (or JSON) file that configures one run.
    """
    if new_source and keep_finished:
        raise click.UsageError("--new-source and --keep-finished: found both, expected one of them")
    if around is not None:
        if overrides or n_trials is not None or dry_run or slurm is not None or yes or new_source or keep_finished:
            raise click.UsageError("--around: generates nothing, expected no other option beside it but --top")
        narrow_around(config, base, name, around, top or 5)
        return
    if top is not None:
        raise click.UsageError("--top needs --around")
    if n_trials is not None:
        overrides = (*overrides, f"n_trials={n_trials}")
    way = {None: "auto", True: "slurm", False: "here"}[slurm]
    change: SourceChange = "new-source" if new_source else "keep-finished" if keep_finished else "ask"
    request = Request(config, base, name, overrides, change, way, yes)  # type: ignore[arg-type]
    with progress_bar() as progress:
        plan = generate_sweep(request, dry_run, progress)
    if dry_run:
        say_notes(plan)
        _say_dry(plan)
    else:
        say(plan)


def say_notes(plan: Plan) -> None:
    """Say what is allowed and looks like a mistake."""
    for note in plan.notes:
        click.echo(f"resweep: {plan.paths.name}: {note}", err=True)


def say(plan: Plan) -> None:
    """Say what was written, and what runs it."""
    say_notes(plan)
    name = plan.paths.name
    if plan.search.learns:
        click.echo(f"{name}: {_searched(plan)}; {counted(len(plan.kept), 'trial')} kept, {len(plan.orphaned)} orphaned")
    else:
        counts = f"{counted(len(plan.new), 'new trial')}, {len(plan.kept)} kept, {len(plan.orphaned)} orphaned"
        click.echo(f"{name}: {counts}")
    _say_why(plan)
    if not plan.new and not plan.written:
        click.echo("  nothing to write")
        return
    if plan.new:
        click.echo(f"  written  {project.short(plan.paths.directory)}/  ({_cost(plan)})")
    click.echo(f"  run      bash {shlex.quote(str(project.short(plan.paths.jobs)))}")


def _say_dry(plan: Plan) -> None:
    name = plan.paths.name
    if plan.search.learns:
        kept = f"keep {counted(len(plan.kept), 'trial')}, orphan {len(plan.orphaned)}"
        click.echo(f"{name}: a dry run: {_searched(plan)}; {kept}; nothing was written")
        _say_why(plan)
        return
    click.echo(
        f"{name}: would write {counted(len(plan.new), 'new trial')}, keep {len(plan.kept)}, "
        f"orphan {len(plan.orphaned)}; nothing was written"
    )
    _say_why(plan)
    if plan.new:
        click.echo(f"  disk     {_cost(plan)}")
    _list("new", plan.new, lambda entry: f"{entry.name}  {entry.described()}")
    _list("orphan", plan.orphaned, lambda entry: f"#{entry.number} {entry.name}  {entry.described()}")


def _searched(plan: Plan) -> str:
    again = "the search goes on" if plan.study else "a search"
    return f"{again}: {counted(plan.search.n, 'point')}, {plan.search.method}; its workers write the trials"


def _say_why(plan: Plan) -> None:
    for number, why in enumerate(plan.why):
        click.echo(f"  {'why' if number == 0 else '':<8} {why}")


def _list(label: str, entries: list[Entry], line: Callable[[Entry], str]) -> None:
    for number, entry in enumerate(entries[:SHOWN]):
        click.echo(f"  {label if number == 0 else '':<8} {line(entry)}".rstrip())
    if len(entries) > SHOWN:
        click.echo(f"           and {len(entries) - SHOWN} more")


def _cost(plan: Plan) -> str:
    size = f"{plan.bytes / 1e6:.1f} MB" if plan.bytes >= 1e6 else f"{plan.bytes / 1e3:.0f} kB"
    return f"{plan.files:,} files and directories, about {size}"
