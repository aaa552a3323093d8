"""`resweep generate --around SWEEP`: writes a narrower TOML from the best trials of a sweep, for a person to edit."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from resweep import index, layout
from resweep.cli import project
from resweep.errors import ConfigError, TrialError, counted, disk_errors
from resweep.results import points, trial_rows
from resweep.results.trial_rows import Row
from resweep.space import narrow
from resweep.sweep import definition, stored
from resweep.sweep.definition import ResultsOptions


def narrow_around(config: Path, base: Path, name: str, around: str, top: int) -> None:
    """Write NAME.toml beside CONFIG, and say what stands in it and what comes next."""
    target = config.parent / f"{layout.check_name(name)}.toml"
    if target.exists() or target.is_symlink():
        raise ConfigError(f"{target}: is there already, expected a NAME whose TOML is not; nothing was overwritten")
    asked = definition.load(config)
    best, options, count = _best(asked, around, top)
    which = f"the best {len(best)} of {count} of {around}"
    lines = [
        f"{which}, by {options.metric} ({options.mode})",
        *(
            f"  #{r.entry.number} {r.entry.name}  {r.metrics[options.metric or '']:.6g}  {r.entry.described()}"
            for r in best
        ),
    ]
    entries = [row.entry for row in best]
    text = narrow.text(asked, entries, [f"{config.name}, narrowed to {lines[0]}:", *lines[1:]])
    definition.parse(text, str(target))  # what is written can be generated
    with disk_errors(target), target.open("x", encoding="utf-8") as file:
        file.write(text)
    click.echo(f"{target}: written, from {lines[0]}")
    for line in lines[1:]:
        click.echo(line)
    click.echo(f"  look at it, and then: resweep {shlex.join([str(target), str(base), name])}")


def _best(asked: definition.Sweep, around: str, top: int) -> tuple[list[Row], ResultsOptions, str]:
    """The best trials, one of each of the best points; what they are ranked by, and of how many."""
    paths, entries = index.find(project.root(), around)
    own = stored.read(paths).results
    options = own if own.metric else asked.results
    if options.metric is None:
        raise ConfigError(
            f'--around: the sweep {paths.name} names no metric, expected [results] metric = "..." in {asked.where}'
        )
    rows = trial_rows.rows(paths, entries, options)
    found = trial_rows.best(rows, options)
    if not found:
        raise TrialError(f"--around: no finished trial of {paths.name} has a finite number for {options.metric}")
    order = points.ranked(rows, options)
    if all(len(point.rows) == 1 for point, _ in order):
        return found[:top], options, counted(len([row for row in rows if row.state == "finished"]), "finished trial")
    firsts = [points.first(point, found) for point, _ in order[:top]]
    return firsts, options, f"{counted(len(order), 'point')}, by the mean of their repeats,"
