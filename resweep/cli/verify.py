"""`resweep verify`: what differs from what was written, a line each."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from resweep import index, layout
from resweep.cli import project
from resweep.errors import ConfigError, counted
from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.proof import verify as proof
from resweep.proof.capsule_check import Difference
from resweep.proof.verify import Report


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", metavar="NAME|TRIAL...|ARCHIVE", nargs=-1, required=True)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object with every difference, and what could not be checked.",
)
def verify(names: tuple[str, ...], as_json: bool) -> None:
    """Check every byte of the trials of the sweep NAME, or of an archive, against what was written.

    A file that changed, is missing or should not be there is named, one a line. A whole sweep is checked with its list
    of trials, its generations and its stored sources, also trials that are no longer in it.

    Exit status 0: all is as it was written; 1: something differs; 2: a mistake in the command.
    """
    label, report, numbers = _verified(names)
    if as_json:
        click.echo(json.dumps(_as_json(report), indent=2, ensure_ascii=False))
        sys.exit(1 if report.differences else 0)
    for line in _lines(report.differences, numbers):
        click.echo(line)
    for what, where in report.notes.items():
        click.echo(f"{label}: {counted(len(where), 'trial')}: {what}", err=True)
    count = counted(report.capsules, "trial")
    if report.differences:
        trials = len({each.where for each in report.differences})
        files = len({each.file or (each.where, each.path) for each in report.differences})
        click.echo(f"{label}: {counted(files, 'difference')} in {counted(trials, 'place')}; {count} read", err=True)
        sys.exit(1)
    click.echo(f"{label}: {count}, every byte as it was written")


def _verified(names: Sequence[str]) -> tuple[str, Report, dict[str, str]]:
    """What to call what was verified, what came of it, and how people call each trial: NAME/ID/TRIAL -> NAME#17."""
    if any(Path(name).is_file() for name in names):
        if len(names) > 1:
            raise ConfigError(f"{' '.join(names)}: expected one archive, or trials of one sweep")
        from resweep.proof.archive import inspect

        return names[0], inspect.verify(Path(names[0])), {}
    folders = [Path(name) for name in names]
    if all((folder / layout.MANIFEST).is_file() for folder in folders):
        return " ".join(names), proof.copies(folders), {}
    root = project.root()
    if len(names) == 1 and "#" not in names[0] and SweepPaths(root, names[0]).index.is_file():
        paths = SweepPaths(root, names[0])
        return names[0], proof.sweep(paths), _numbers(paths, index.read(paths).entries)
    from resweep.cli import select

    paths, entries = select.trials(root, names)
    return paths.name, proof.trials(paths, entries), _numbers(paths, entries)


def _numbers(paths: SweepPaths, entries: Iterable[Entry]) -> dict[str, str]:
    return {f"{paths.name}/{entry.name}": f"{paths.name}#{entry.number}" for entry in entries}


def _lines(differences: Iterable[Difference], numbers: dict[str, str]) -> Iterable[str]:
    """A line for each file: hard links of one file are one."""
    groups: dict[object, list[Difference]] = {}
    for each in differences:
        own = (each.where, each.path, each.kind, each.detail)
        groups.setdefault((each.file, each.kind, each.detail) if each.file else own, []).append(each)
    for group in groups.values():
        first = group[0]
        name = f"{numbers[first.where]} {first.where}" if first.where in numbers else first.where
        detail = f" ({_shown(first.detail)})" if first.detail else ""
        yield f"{name}{': ' + _shown(first.path) if first.path else ''}: {first.kind}{detail}{_sharing(group, numbers)}"


def _sharing(group: Sequence[Difference], numbers: dict[str, str]) -> str:
    """Which trials share the file, beside the first place where it was found."""
    if len(group) == 1:
        return ""
    trials = sorted({int(numbers[each.where].partition("#")[2]) for each in group if each.where in numbers})
    others = sorted({each.where for each in group if each.where not in numbers})
    if not trials:
        return f"; one file that {len(others):,} places share"
    name = numbers[next(each.where for each in group if each.where in numbers)].partition("#")[0]
    shared = f"{counted(len(trials), 'trial')} ({name}#{_ranges(trials)})"
    return f"; one file that {' and '.join([shared, *others])} share"


def _ranges(numbers: Sequence[int]) -> str:
    """1-3,7 for 1, 2, 3, 7: as such trials are named on the command line."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ",".join("-".join(map(str, part)) for part in parts)


def _shown(text: str) -> str:
    """A text, with what no terminal should be told written out."""
    return text if text.isprintable() else ascii(text)


def _as_json(report: Report) -> dict[str, object]:
    return {
        "capsules": report.capsules,
        "differences": [
            {"where": each.where, "path": each.path, "kind": each.kind, "detail": each.detail}
            for each in report.differences
        ],
        "notes": report.notes,
    }
