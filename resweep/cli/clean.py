"""`resweep clean`: says what would go, asks, and removes it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from resweep import index
from resweep.cli import project, select
from resweep.cli.orphans import agreed, clean_orphans
from resweep.errors import ConfigError, TrialError, counted
from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.results import clean as cleaning
from resweep.results.clean import File, Kind, Plan
from resweep.results.trial_rows import Row
from resweep.run import status
from resweep.sweep import stored
from resweep.sweep.definition import ResultsOptions

MOST = 20  # trials that are named
KINDS: tuple[Kind, ...] = ("failed", "weights", "pruned", "reproduced")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name")
@click.argument("names", metavar="[TRIAL]...", nargs=-1)
@click.option("--failed", is_flag=True, help="Remove outputs of attempts that failed, were stopped or lost.")
@click.option(
    "--weights",
    is_flag=True,
    help="Remove files that match [results] weights from the outputs of finished and pruned trials.",
)
@click.option(
    "--keep-best",
    "keep",
    type=click.IntRange(1),
    metavar="K",
    help="Remove weights, except those of the K best trials by [results] metric.",
)
@click.option("--reproduced", is_flag=True, help="Remove outputs of `reproduce`, except its verdicts.")
@click.option(
    "--orphans",
    is_flag=True,
    help="Alone: trials that are no longer in the sweep and never ran. With others: files of such trials, too.",
)
@click.option("--dry-run", is_flag=True, help="List what would be removed, and stop.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
def clean(
    name: str,
    names: tuple[str, ...],
    failed: bool,
    weights: bool,
    keep: int | None,
    reproduced: bool,
    orphans: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Make room: remove files of the sweep NAME, or of some of its TRIALs, after saying which and asking.

    Capsules, logs, records, metrics and TOML files always stay, and running trials are left alone. --keep-best K
    means --weights, too, and the best are those of trials that are in the sweep. --orphans alone removes capsules.
    """
    chosen = bool(failed or weights or keep or reproduced)
    if orphans and names:
        raise ConfigError("clean: --orphans is about the whole sweep, expected no trials beside it")
    if orphans and not chosen:
        sys.exit(clean_orphans(name, dry_run, yes))
    if not chosen:
        raise ConfigError(
            "clean: expected what to remove: --failed, --weights, --keep-best K, --reproduced or --orphans"
        )
    paths, entries = _trials(name, names)
    if orphans and name != paths.name:
        raise TrialError(f"{name}: --orphans expects the name of a sweep")
    options = stored.read(paths).results
    spared, unknown = _spared(paths, entries, options, keep) if keep else ([], [])
    unknown = [row for row in unknown if row.entry in entries]
    patterns = options.weights if weights or keep else ()
    gone = [] if names or name != paths.name else [each for each in index.read(paths).entries if not each.current]
    plan = cleaning.plan(
        paths, [*entries, *gone] if orphans else entries, failed, patterns, spared, unknown, reproduced
    )
    if gone and not orphans:
        _say_orphans(paths, cleaning.plan(paths, gone, failed, patterns, reproduced=reproduced))
    if not plan.files():
        _say_left(plan)
        click.echo(f"{paths.name}: nothing to remove")
        return
    _say(paths, plan, options)
    if agreed(paths.name, dry_run, yes):
        sys.exit(_remove(paths, plan))


def _trials(name: str, names: Sequence[str]) -> tuple[SweepPaths, list[Entry]]:
    root = project.root()
    paths, entries = select.trials(root, [name])
    if not names:
        return paths, entries
    if name != paths.name:
        raise TrialError(f"{name}: expected a sweep's name before its trials")
    chosen, entries = select.trials(root, names)
    if chosen.name != paths.name:
        raise TrialError(f"{names[0]}: belongs to the sweep {chosen.name}, expected trials of {paths.name}")
    return paths, entries


def _spared(
    paths: SweepPaths, entries: Sequence[Entry], options: ResultsOptions, keep: int
) -> tuple[list[Row], list[Row]]:
    """The best trials of the whole sweep, also where only some of its trials are cleaned."""
    if options.metric is None:
        raise ConfigError(
            f'--keep-best: the sweep {paths.name} names no metric, expected [results] metric = "..." in its TOML; '
            "generate it again with that"
        )
    every = dict.fromkeys((*index.read(paths).current(), *entries))
    spared, unknown = cleaning.best(paths, list(every), options, keep)
    if not spared and any(each.state == "finished" for each in status.survey(paths, every)):
        raise TrialError(
            f"--keep-best: no finished trial of {paths.name} has {options.metric} in its metrics as a finite number"
        )
    return spared, unknown


def _say(paths: SweepPaths, plan: Plan, options: ResultsOptions) -> None:
    click.echo(f"{paths.name}: to be removed")
    for kind in KINDS:
        files = plan.files(kind)
        if not files:
            continue
        count = sum(output.kind == kind for output in plan.outputs)
        if kind == "failed":
            owners = f"{counted(count, 'output')} of failed, stopped or lost attempts"
        elif kind == "reproduced":
            owners = f"{counted(count, 'output')} of what `reproduce` ran"
        elif kind == "pruned":
            owners = f"{counted(count, 'pruned trial')} ({', '.join(options.weights)})"
        else:
            owners = f"{counted(count, 'finished trial')} ({', '.join(options.weights)})"
        click.echo(f"  {kind:<8} {_amount(files)}, in {owners}")
    if plan.spared:
        best = ", ".join(f"#{row.entry.number}" for row in plan.spared[:MOST])
        more = f" and {len(plan.spared) - MOST} more" if len(plan.spared) > MOST else ""
        click.echo(f"  kept     weights of the best by {options.metric} ({options.mode}): {best}{more}")
    _say_left(plan)
    every = plan.files()
    click.echo(f"  in all   {_amount(every)}; frees {project.size(cleaning.freed(every))}{_shared(every)}")


def _say_orphans(paths: SweepPaths, plan: Plan) -> None:
    """Tell of files that nobody would think of: of trials that are no longer in the sweep."""
    if files := plan.files():
        trials = counted(len({output.entry.name for output in plan.outputs}), "trial")
        click.echo(
            f"{paths.name}: besides, {_amount(files)} of {trials} no longer in the sweep; --orphans takes them, too"
        )


def _say_left(plan: Plan) -> None:
    for entry, why in plan.left[:MOST]:
        click.echo(f"  left     #{entry.number} {entry.name}: {why}")
    if len(plan.left) > MOST:
        click.echo(f"           and {len(plan.left) - MOST} more")


def _remove(paths: SweepPaths, plan: Plan) -> int:
    done = cleaning.remove(paths, plan)
    for entry, why in dict.fromkeys(done.left):
        click.echo(f"  left     #{entry.number} {entry.name}: {why}", err=True)
    for path, why in done.refused[:MOST]:
        click.echo(f"  {path}: {why}", err=True)
    freed = project.size(cleaning.freed(done.files))
    click.echo(f"{paths.name}: removed {counted(len(done.files), 'file')}, {freed} freed")
    if done.refused:
        count = len(done.refused)
        click.echo(f"{paths.name}: {counted(count, 'file')} could not be removed", err=True)
    return 1 if done.refused else 0


def _amount(files: Sequence[File]) -> str:
    return f"{counted(len(files), 'file')}, {project.size(sum({file.inode: file.bytes for file in files}.values()))}"


def _shared(files: Sequence[File]) -> str:
    """Why less is freed than is removed."""
    names: dict[tuple[int, int], int] = {}
    for file in files:
        names[file.inode] = names.get(file.inode, 0) + 1
    shared = len({file.inode for file in files if names[file.inode] < file.links})
    return f" ({shared:,} also linked from elsewhere, which frees nothing)" if shared else ""
