"""`resweep submit`: the words of a submission to Slurm, before and after."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TextIO

import click

from resweep.cli import project, run_search, select
from resweep.errors import ConfigError, SlurmError, counted
from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.slurm import commands, ledger, recover, script
from resweep.slurm import submit as slurm
from resweep.slurm.batches import Batch, Wish
from resweep.slurm.draft import Draft, draft
from resweep.slurm.submit import Submitted
from resweep.sweep import slurm_table, stored
from resweep.sweep.definition import Sweep
from resweep.sweep.slurm_table import Resources

WORDS = {"array": "an array of {}", "canary": "the canary"}


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "ignore_unknown_options": True, "allow_extra_args": True}
)
@click.argument("name", metavar="NAME|TRIALS")
@select.options
@click.option(
    "--only",
    type=click.File("r"),
    metavar="FILE",
    help="Submit the trials listed in FILE, ID/TRIAL first on each line; - is standard input.",
)
@click.option("--profile", metavar="PROFILE", help="Use the options of [slurm.profiles.PROFILE].")
@click.option("--workers", type=click.IntRange(1), help="Submit N workers that share the sweep's trials.")
@click.option("--max-trials", type=click.IntRange(1), help="Trials per worker before it exits.")
@click.option("--one-job-per-trial", is_flag=True, help="Submit one job per trial instead of an array.")
@click.option("--canary", is_flag=True, help="Run the first trial alone; Slurm starts the others if it succeeds.")
@click.option(
    "--ignore-other-clusters",
    "elsewhere",
    is_flag=True,
    help="Submit trials even if they have jobs on a cluster that cannot be queried from here.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be submitted; submit nothing.")
@click.pass_context
def submit(
    context: click.Context,
    name: str,
    where: tuple[str, ...],
    states: tuple[str, ...],
    only: TextIO | None,
    profile: str | None,
    workers: int | None,
    max_trials: int | None,
    one_job_per_trial: bool,
    canary: bool,
    elsewhere: bool,
    dry_run: bool,
) -> None:
    """Hand the trials of the sweep NAME to Slurm that have not finished, do not run, and do not wait there already.

    Of a search: workers, each of which asks for one trial after another until the search is over.

    Other options go to sbatch, as in --qos=gpu-long, and go before those of [slurm]. Start it again at any time: it
    submits what is missing. Exit status 1: Slurm did not take all of it.
    """
    for option, given in (("--workers", workers), ("--max-trials", max_trials)):
        if given and one_job_per_trial:
            raise ConfigError(f"{option} and --one-job-per-trial: found both, expected one of them")
    extra = _extra(context.args)
    paths, entries = select.trials(project.root(), [name], where, states)
    if only is not None:
        entries = select.listed(paths, entries, only)
    definition = stored.read(paths)
    wish = Wish(workers or 0, one_job_per_trial, profile, canary, extra, max_trials or 0, elsewhere=elsewhere)
    if definition.search.learns and name == paths.name and not where and not states and only is None:
        points, over = run_search.left(paths, definition)
        wish = replace(wish, points=points, over=over)
    elif definition.search.stop:
        run_search.check(definition)
    if dry_run:
        _show(_drafted(paths, definition, entries, wish, only_shown=True))
        return
    with ledger.locked(paths):
        for line in recover.note(paths):
            click.echo(f"{paths.name}: {line}")
        planned = _drafted(paths, definition, entries, wish)
        _opening(planned)
        if not planned.batches:
            return
        done = slurm.submit(planned, lambda batch, job, count: _told(planned, batch, job, count))
    sys.exit(_summary(done))


def _drafted(paths: SweepPaths, definition: Sweep, entries: list[Entry], wish: Wish, only_shown: bool = False) -> Draft:
    """What would be submitted; where Slurm cannot be asked, the line that runs the trials without it is named."""
    try:
        return draft(paths, definition, entries, wish, only_shown)
    except SlurmError as error:
        if "--here" in str(error):
            raise
        raise SlurmError(f"{error}; `bash {paths.jobs.name} --here` runs the trials on this machine") from None


def _extra(words: list[str]) -> tuple[str, ...]:
    """The options for sbatch: a word alone would be taken for its script."""
    if words and not words[0].startswith("-"):
        raise ConfigError(f"{words[0]}: expected options of sbatch, such as --qos=gpu-long, after the sweep's name")
    for option in script.declared(words):
        if option in slurm_table.REFUSED:
            raise ConfigError(f"--{option}: cannot be given to sbatch here: {slurm_table.REFUSED[option]}")
    return tuple(words)


def _opening(planned: Draft) -> None:
    skipped = ", ".join(f"{count} {reason}" for reason, count in planned.skipped.items())
    for note in planned.notes:
        click.echo(f"{planned.paths.name}: note: {note}", err=True)
    if not planned.batches:
        why = planned.wish.over or skipped
        click.echo(f"{planned.paths.name}: nothing to submit" + (f": {why}" if why else ""))
    elif skipped and planned.wish.points is not None:
        click.echo(f"{planned.paths.name}: {skipped}")
    elif skipped:
        click.echo(f"{planned.paths.name}: {counted(planned.trials, 'trial')} to submit; {skipped}")


def _told(planned: Draft, batch: Batch, job: str, count: int) -> None:
    if batch.kind == "single":  # thousands, perhaps
        return
    what = WORDS[batch.kind].format(count) if batch.kind in WORDS else counted(count, "worker")
    parallel = batch.resources.parallel
    throttle = f", {parallel} at a time" if parallel and parallel < count and batch.kind != "canary" else ""
    after = ", after the canary" if batch.kind != "canary" and planned.wish.canary else ""
    if planned.first(batch):
        after = f", after {_jobs(planned.behind)}" + (after and " and the canary")
    drains = f" for {counted(len(batch.trials), 'trial')}" if batch.kind == "workers" else ""
    if batch.runner == "search":
        drains = f", {counted(planned.wish.points or 0, 'point')} to go"
    asked = {key: value == "" or value for key, value in planned.options(batch).items() if key != "open-mode"}
    shown = Resources(asked).described()
    click.echo(f"{planned.paths.name}: submitted job {job}: {what}{drains}{throttle}{after}  ({shown})")


def _jobs(jobs: Sequence[str]) -> str:
    """Jobs as words, the first and the last where there are many."""
    if len(jobs) == 1:
        return f"job {jobs[0]}"
    return f"jobs {', '.join(jobs)}" if len(jobs) < 5 else f"{counted(len(jobs), 'job')}, {jobs[0]} to {jobs[-1]}"


def _summary(done: Submitted) -> int:
    name = done.draft.paths.name
    if done.unsure:
        what = f"{counted(done.tasks, 'task')} submitted, and of the next job nobody knows: {done.unsure}"
        advice = f"nothing is lost: `resweep status {name}` finds it if it comes; start it again later for the rest"
        click.echo(f"{name}: {what}; {advice}", err=True)
        return 1
    if done.interrupted:
        what = f"{counted(done.tasks, 'task')} submitted and noted, {done.left} not"
        click.echo(f"{name}: interrupted: {what}; `resweep stop {name}` cancels them", err=True)
        return 130
    if done.reason is not None or done.left:
        said = str(done.reason) if done.reason else "you may have no more jobs now"
        advice = "start it again when some have ended, or let fewer tasks drain all of it: --workers N"
        if done.reason is not None and not commands.submit_limit(done.reason):
            advice = "start it again when that is mended"
        click.echo(
            f"{name}: Slurm took {counted(done.tasks, 'task')}, and not the other {done.left} ({said}); {advice}",
            err=True,
        )
        return 1
    if single := [job for batch, job, _ in done.jobs if batch.kind == "single"]:
        click.echo(f"{name}: submitted {counted(len(single), 'job')}, {single[0]} to {single[-1]}")
    click.echo(f"  resweep status {name}    resweep stop {name}")
    return 0


def _show(planned: Draft) -> None:
    """The commands of a dry run, as they would be called once the submission is written down."""
    _opening(planned)
    after = ["afterok:CANARY"] if planned.wish.canary else []
    for batch in planned.batches:
        later = [*planned.first(batch), *(after if batch.kind != "canary" else [])]
        if batch.kind == "single":
            shown = planned.command(batch, 1, 1, later)
            more = f"   # and so on: {batch.tasks} jobs" if batch.tasks > 1 else ""
        else:
            number = counted(batch.tasks, "worker") if batch.runner == "search" else counted(len(batch.trials), "trial")
            shown, more = planned.command(batch, batch.tasks, 0, later), f"   # {number}"
        click.echo(shlex.join(shown) + more)
    if planned.batches:
        click.echo(f"{planned.paths.name}: nothing was submitted")
