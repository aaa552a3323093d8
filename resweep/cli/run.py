"""`resweep run`: the words of the command; a live view on a terminal, a line for every trial elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import click

from resweep import index
from resweep.cli import project, run_search, select
from resweep.cli.view import watcher
from resweep.errors import ConfigError, TrialError, counted, disk_errors
from resweep.index import Entry
from resweep.launcher import checks, claims, trial_state
from resweep.launcher.storage import AttemptError
from resweep.layout import SweepPaths
from resweep.run import gpus, status
from resweep.run import runner as runner
from resweep.run.run_options import Options, Outcome
from resweep.slurm import work
from resweep.sweep import stored
from resweep.sweep.definition import Sweep, valid_cards

INTERRUPTED = 130  # the exit status


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1),
    help="Trials to run at the same time. Default: one per idle GPU, or as many as the cores allow.",
)
@click.option(
    "--gpus",
    "cards",
    type=click.FloatRange(0),
    help="GPUs per trial; with 0.5 two trials share one. Default: [run] gpus, or 1 where there are GPUs.",
)
@select.options
@click.option(
    "--only",
    type=click.File("r"),
    metavar="FILE",
    help="Run the trials listed in FILE, ID/TRIAL first on a line; - is stdin.",
)
@click.option("--max-trials", type=click.IntRange(1), default=None, help="Stop after starting N trials.")
@click.option(
    "--max-attempts",
    type=click.IntRange(1),
    default=None,
    help="Retry a trial until it failed N times in all. Default: one attempt per run.",
)
@click.option("--canary", is_flag=True, help="Run the first trial alone; continue only if it succeeds.")
@click.option("--task", type=click.Path(path_type=Path), hidden=True, help="Run as a task of Slurm: SUBMISSION/LIST.")
@click.option(
    "--allow-changed-data", is_flag=True, help="Run trials although files of [data] changed; records name them."
)
@click.option(
    "--allow-changed-trials", is_flag=True, help="Run trials whose files were modified, and mark their results."
)
def run(
    names: tuple[str, ...],
    jobs: int | None,
    cards: float | None,
    where: tuple[str, ...],
    states: tuple[str, ...],
    only: TextIO | None,
    max_trials: int | None,
    max_attempts: int | None,
    canary: bool,
    task: Path | None,
    allow_changed_data: bool,
    allow_changed_trials: bool,
) -> None:
    """Run the trials of the sweep NAME here that have not finished, several at a time; one that fails stops no other.

    NAME may also be one trial or some: NAME#3-9, an id, a trial's directory. Several sweeps run one after another.

    Start it again when it was stopped: what has finished is not run again, what runs elsewhere is waited for. Ctrl-C
    stops starting trials, a second one stops those that run. What [search.stop] stopped early is run again with --state
    pruned alone, and then to its end. Exit status 1: some trials did not finish.
    """
    words = _Words(jobs, cards, where, states, only, max_trials or 0, max_attempts or 0, canary, task)
    if allow_changed_data:
        os.environ[checks.ALLOW_CHANGED_DATA] = "1"  # for the launchers, which check before each attempt
    if allow_changed_trials:
        os.environ[checks.ALLOW_CHANGED_TRIALS] = "1"
    groups = select.by_sweep(project.root(), names)
    if only is not None and len(groups) > 1:
        raise ConfigError(f"--only works with one sweep, not with {len(groups)}")
    worst = 0
    for group in groups:
        ended = _run(group, words)
        worst = max(worst, ended)
        if ended == INTERRUPTED:
            break
    sys.exit(worst)


@dataclass(frozen=True)
class _Words:
    """The words of the command, but for the names."""

    jobs: int | None
    cards: float | None
    where: tuple[str, ...]
    states: tuple[str, ...]
    only: TextIO | None
    max_trials: int
    max_attempts: int
    canary: bool
    task: Path | None


def _run(names: tuple[str, ...], words: _Words) -> int:
    """Run what is named of one sweep; gives the exit status."""
    where, states, only = words.where, words.states, words.only
    paths, entries = select.trials(project.root(), names, where, states)
    if only is not None:
        entries = select.listed(paths, entries, only)
    definition = stored.read(paths)
    job = work.read(words.task) if words.task else None
    if job and job.trials:
        with open(job.trials, encoding="ascii") as trials:
            entries = select.listed(paths, entries, trials)
    whole = names == (paths.name,) and not where and not states and only is None and not (job and job.trials)
    os.environ["RESWEEP_PYTHON"] = project.python(paths, definition)
    options = job.options if job else _options(definition, words)
    options = replace(options, pruned="pruned" in states)
    if job and not job.trials and not definition.search.learns:
        raise TrialError(f"{paths.name}: is no search any more, since it was generated again; submit it again")
    if definition.search.learns and whole:
        return run_search.run(paths, definition, options)
    with disk_errors(paths.root):
        left = [entry for entry in entries if not claims.settle(paths.place(entry.name))]
        pruned = {entry for entry in left if trial_state.state(paths.place(entry.name))[0] == "pruned"}
        spared: set[Entry] = pruned if options.pruned else set()
        if pruned := pruned - spared:
            said = f"{counted(len(pruned), 'trial')} stopped early before, and not run again; --state pruned runs them"
            click.echo(f"{paths.name}: {said}")
            left = [entry for entry in left if entry not in pruned]
        _check_data(paths, left)
        opening = _opening(len(left), len(entries) - len(pruned), options, definition)
        click.echo(f"{paths.name}: {opening}")
        with watcher(paths, left) as watching:
            supply = run_search.early_stopping(paths, definition, watching, spared)
            here = runner.Runner(paths, left, options, watching, supply)
            watching.runner, watching.before = here, len(entries) - len(pruned) - len(left)
            outcomes = here.run()
    asked = _asked(names, where, states) if len(entries) < len(index.read(paths).current()) else ""
    if asked and not entries:
        click.echo(f"{paths.name}: nothing to run: no trial is what was asked for ({asked})")
        return 0
    return _summary(paths, here, outcomes, left, asked)


def _asked(names: Sequence[str], where: Sequence[str], states: Sequence[str]) -> str:
    """What was asked for, as it was typed."""
    return " ".join([*names, *(f"--where {each}" for each in where), *(f"--state {each}" for each in states)])


def _check_data(paths: SweepPaths, left: list[Entry]) -> None:
    """Refuse at once, and once for all, what would stop every trial before it starts."""
    if left:
        place = paths.place(left[0].name)
        try:
            checks.check_data(place, checks.sweep_data(place))
        except AttemptError as error:
            raise TrialError(str(error)) from None


def _options(definition: Sweep, words: _Words) -> Options:
    jobs, cards = words.jobs, words.cards
    asked = definition.gpus if cards is None else cards
    there = gpus.cards() if asked is None or asked > 0 else []
    if asked is not None and asked > len(there):
        names = f"{len(there)} of them" if there else "none (by nvidia-smi and CUDA_VISIBLE_DEVICES)"
        key = "run.gpus" if cards is None else "--gpus"
        raise ConfigError(f"{key}: found {asked:g}, expected at most the cards of this machine: {names}")
    if asked is not None and not valid_cards(asked):
        raise ConfigError(f"--gpus: found {asked:g}, expected a whole number of cards, or a fraction of one")
    each = (1.0 if there else 0.0) if asked is None else asked
    if jobs is None:
        jobs = max(1, gpus.Pool(each).places()) if each else max(1, _cores() // definition.threads)
    return Options(
        jobs=jobs,
        gpus=each,
        hide_gpus=asked == 0,
        max_attempts=words.max_attempts,
        max_trials=words.max_trials,
        canary=words.canary,
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _opening(left: int, count: int, options: Options, definition: Sweep) -> str:
    cards = f", {options.gpus:g} GPU each" if options.gpus else ""
    at_a_time = "one at a time" if options.jobs == 1 else f"{options.jobs} at a time"
    grace = f", grace {definition.grace:g} s" if definition.grace else ""
    return (
        f"{left} of {counted(count, 'trial')} to run, {count - left} finished already; here, {at_a_time}{cards}{grace}"
    )


def _summary(paths: SweepPaths, here: runner.Runner, outcomes: list[Outcome], chosen: list[Entry], asked: str) -> int:
    """Say how it went, of all or, where `asked` says which, of some trials of the sweep; gives the exit status."""
    left = len(chosen)
    unfinished = [outcome for outcome in outcomes if not outcome.finished]
    not_started = left - len(outcomes)
    if unfinished:
        click.echo(f"{paths.name}: {len(unfinished)} of {counted(left, 'trial')} did not finish:", err=True)
        for failure in status.failures(outcome.status for outcome in unfinished if outcome.status.record):
            click.echo(f"  {len(failure.trials)} failed: {failure.cause}", err=True)
        for outcome in unfinished:
            log = f"log: {project.short(outcome.status.log)}" if outcome.status.log.is_file() else outcome.said
            click.echo(f"  #{outcome.entry.number} {outcome.entry.name}  {log}", err=True)
    if here.interrupts:
        click.echo(f"{paths.name}: interrupted; {_not_started(not_started)}; run this again to go on", err=True)
        return INTERRUPTED
    if here.warned or here.options.job:
        click.echo(f"{paths.name}: {counted(here.started, 'trial')} run by this worker")
    elif here.canary_failed:
        click.echo(f"{paths.name}: {_not_started(not_started)}, since the canary did not finish", err=True)
    elif not unfinished and not_started:
        click.echo(f"{paths.name}: {counted(here.started, 'trial')} started, as --max-trials says; {not_started} left")
    elif not unfinished:
        click.echo(f"{paths.name}: {_done(chosen, asked)}")
    return 1 if unfinished else 0


def _done(chosen: list[Entry], asked: str) -> str:
    """What to say when all that was to run has finished."""
    if not chosen:
        return f"nothing to run: what was asked for ({asked}) has finished" if asked else "nothing to run"
    if not asked:
        return "all trials have finished"
    if len(chosen) == 1:
        return f"the trial that was asked for has finished: #{chosen[0].number} {chosen[0].name}"
    return f"all {counted(len(chosen), 'trial')} that were asked for have finished ({asked})"


def _not_started(count: int) -> str:
    return f"{counted(count, 'trial')} {'was' if count == 1 else 'were'} not started"
