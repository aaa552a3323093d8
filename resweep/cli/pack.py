"""`resweep pack`: the words of the command, and what was packed."""

from __future__ import annotations

from pathlib import Path

import click

from resweep.cli import notices, project, select
from resweep.errors import counted, disk_errors
from resweep.proof.archive import contents, write
from resweep.run import import_leaks


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", metavar="NAME|TRIAL...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="Archive to write: FILE.tar.zst, .tar.gz or .tar.xz. An existing file is never overwritten.",
)
@click.option(
    "--outputs",
    type=click.Choice(contents.OUTPUTS),
    default="metrics",
    show_default=True,
    help="Outputs to include: none, only records, logs and metrics, or all.",
)
@select.options
def pack(names: tuple[str, ...], target: Path, outputs: str, where: tuple[str, ...], states: tuple[str, ...]) -> None:
    """Put the trials of the sweep NAME, or some of them, into one archive that `unpack`, and any tar, can read.

    The same trials give the same bytes, wherever and whenever they are packed. Every trial is verified first.
    """
    paths, entries = select.trials(project.root(), names, where, states)
    with disk_errors(target), project.terminable():
        packed = write.pack(paths, entries, target, outputs)
    if paths.study.exists():
        click.echo(f"{paths.name}: the journal of its search stays here, its trials are packed", err=True)
    for note in packed.notes:
        click.echo(f"{paths.name}: {note}", err=True)
    notices.warn(import_leaks.note(paths, entries))
    count = len(packed.contents.trials)
    what = f"{counted(count, 'trial')}, {project.size(packed.contents.size)}"
    done = f"packed as {project.size(packed.bytes)}" if packed.written else "there already, with these bytes"
    click.echo(f"{target}: {what}, {done}")
