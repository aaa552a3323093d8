"""`resweep run` of a search: a worker that asks for trials until there are enough, and what it says."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator

import click

from resweep.cli.view import Lines, watcher
from resweep.errors import TrialError, counted, disk_errors
from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.run import runner as runner
from resweep.run import status
from resweep.run.run_options import Options, Outcome, Supply
from resweep.sweep.definition import Sweep


def run(paths: SweepPaths, asked: Sweep, options: Options) -> int:
    """Work for the search until it is over, or this worker is to end; the exit status."""
    from resweep.search.supplier import Search

    check(asked)
    with disk_errors(paths.root), _readable(paths):
        at_a_time = "one at a time" if options.jobs == 1 else f"{options.jobs} at a time"
        click.echo(
            f"{paths.name}: searches {counted(asked.search.n, 'point')} ({asked.search.method}); here, {at_a_time}"
        )
        with watcher(paths, []) as watching:
            watching.count = asked.search.n
            supply = Search(paths, asked, watching.told)
            watching.search = supply
            work = runner.Runner(paths, [], options, watching, supply)
            with contextlib.closing(supply):
                outcomes = work.run()
                left_out = [] if supply.open or work.interrupts else supply.left_out()
    if left_out:
        trials = f"{counted(len(left_out), 'trial')} of points that have a result"
        one = f"{paths.name}#{left_out[0].number}"
        click.echo(f"{paths.name}: {trials} did not run to the end, such as {one}; `resweep run {one}` runs it")
    return _summary(paths, supply.problem, work, outcomes)


def left(paths: SweepPaths, asked: Sweep) -> tuple[int, str]:
    """How many points of a search are left, and why it is over, if it is."""
    from resweep.search import ending

    check(asked)
    return ending.left(paths, asked)


def check(asked: Sweep) -> None:
    """Refuse early stopping where Optuna is not installed, or does not take what it is given."""
    from resweep.search import supplier

    supplier.check(asked)


@contextlib.contextmanager
def _readable(paths: SweepPaths) -> Iterator[None]:
    """Say so in a line when the journal is damaged."""
    try:
        yield
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise TrialError(
            f"{paths.study}: cannot be read ({error}); move it away, and the search goes on from the trials themselves"
        ) from None


def early_stopping(paths: SweepPaths, asked: Sweep, watching: Lines, spared: Iterable[Entry]) -> Supply | None:
    """Who looks at trials that are known, but for the `spared`, where `[search.stop]` says so."""
    if asked.search.stop is None:
        return None
    from resweep.search.grid_stopping import Early

    check(asked)
    return Early(paths, asked, watching.told, spared)


def _summary(paths: SweepPaths, problem: str | None, work: runner.Runner, outcomes: list[Outcome]) -> int:
    failed = [outcome for outcome in outcomes if not outcome.finished]
    for failure in status.failures(outcome.status for outcome in failed if outcome.status.record):
        click.echo(f"{paths.name}: {counted(len(failure.trials), 'trial')} failed: {failure.cause}", err=True)
    if problem:
        click.echo(f"{paths.name}: {problem}", err=True)
        return 1
    if work.canary_failed:
        return 1
    if work.interrupts:
        click.echo(f"{paths.name}: interrupted; run this again to go on", err=True)
        return 130
    click.echo(f"{paths.name}: this worker ran {counted(work.started, 'trial')}")
    return 0
