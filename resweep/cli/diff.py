"""`resweep diff`: two trials side by side, section by section."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from resweep import layout
from resweep.cli import project, select
from resweep.errors import TrialError, counted
from resweep.proof import diff as proof
from resweep.proof import subject
from resweep.proof.diff import File, Section, Value
from resweep.proof.subject import Side
from resweep.run import import_leaks

STATUS = {True: 0, False: 1, None: 2}
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("a")
@click.argument("b")
@click.option(
    "--only", multiple=True, type=click.Choice(list(proof.SECTIONS)), help="Show this section only; may be repeated."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def diff(a: str, b: str, only: tuple[str, ...], as_json: bool) -> None:
    """Show how the trials A and B differ: swept values, configuration, source, environment, data, seed, metrics.

    A trial is named as everywhere; or by its directory, also in another project; or in an archive, which is read as it
    is: FILE.tar.zst#17, FILE.tar.zst#ID/TRIAL.

    Exit status 0: nothing differs; 1: something does; 2: a mistake in the command, or nothing could be compared.
    """
    sides = _side(a), _side(b)
    found = proof.diff(*sides, only)
    if as_json:
        table = proof.as_table(*sides, found)
        click.echo(json.dumps(table, indent=2, sort_keys=True, ensure_ascii=False, default=str))
    else:
        gone = proof.nothing(*sides, found)
        for line in _heads(sides):
            click.echo(line)
        for name, section in found.items():
            for line in [f"{name}: nothing to compare: {gone[name]}"] if name in gone else _lines(name, section):
                click.echo(line)
    sys.exit(STATUS[proof.same(*sides, found)])


def _side(text: str) -> Side:
    path, _, word = text.rpartition("#") if "#" in text else (text, "", "")
    for file, named in ((Path(text), ""), (Path(path), word)):
        if file.is_file():
            return subject.of_archive(file, named)
    folder = Path(text)
    if (folder / layout.MANIFEST).is_file():
        return subject.of_directory(folder)
    if ".tar." in path:
        raise TrialError(f"{text}: no such file, expected an archive that `resweep pack` has written, or a trial")
    return subject.of_project(*select.one(project.root(), text))


def _heads(sides: tuple[Side, Side]) -> Iterator[str]:
    for name, each in zip("ab", sides, strict=True):
        yield f"{name}: {_safe(each.label)}"
        elsewhere = list(each.run.record.get("leaked") or ())
        if elsewhere:
            more = f" and {counted(len(elsewhere) - 1, 'other file')}" if len(elsewhere) > 1 else ""
            yield f"   {import_leaks.SHORT}: {_safe(str(elsewhere[0]))}{more} from elsewhere"
        if altered := list(each.run.record.get("trial_changed") or ()):
            yield f"   {import_leaks.SHORT}: {_safe(import_leaks.imported(str(altered[0]), ''))}"


def _lines(name: str, section: Section) -> Iterator[str]:
    if not section:
        yield f"{name}: the same"
        return
    yield f"{name}:"
    for each in section:
        yield from _file(each) if isinstance(each, File) else _value(each)


def _value(value: Value) -> Iterator[str]:
    yield f"  {_safe(value.key)}: {_shown(value.before)} -> {_shown(value.after)}"


def _file(file: File) -> Iterator[str]:
    if file.lines is None:
        yield f"  {_safe(file.path)}: {file.what} (no text)"
        return
    if not file.lines:
        yield f"  {_safe(file.path)}: {file.what} (empty)"
    for line in file.lines:
        # click takes the colours out again where this is no terminal
        yield click.style(_safe(line), fg=_COLOURS.get(line[:1]))


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    return _safe(value if isinstance(value, str) else layout.jsonnable(value))


def _safe(text: str) -> str:
    """A text that others may have written, with what no terminal should be told written out."""
    if text.isprintable() or not sys.stdout.isatty():
        return text
    return "".join(char if char.isprintable() or char == "\t" else ascii(char)[1:-1] for char in text)
