"""`resweep unpack`: the words of the command."""

from __future__ import annotations

from pathlib import Path

import click

from resweep.cli import project
from resweep.errors import ConfigError, counted, disk_errors
from resweep.proof.archive import stream
from resweep.proof.archive import unpack as unpacking


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("archive", type=click.Path(path_type=Path), metavar="FILE")
@click.argument("directory", type=click.Path(path_type=Path), metavar="[DIR]", required=False)
@click.option(
    "--only",
    multiple=True,
    metavar="TRIAL",
    help="Unpack this trial only: NAME#17, ID/TRIAL, an id or its start; may be repeated.",
)
@click.option(
    "--limit",
    type=click.FloatRange(0, min_open=True),
    default=unpacking.LARGEST / 1e9,
    show_default=True,
    metavar="GB",
    help="Largest size to accept on disk.",
)
def unpack(archive: Path, directory: Path | None, only: tuple[str, ...], limit: float) -> None:
    """Unpack FILE, which `pack` has written, into DIR, which is new or empty, or is made: by default FILE's own name.

    In DIR the sweep has its trials and what is known of them: status, results, logs, run and exec work there.
    """
    if not archive.is_file():
        raise ConfigError(f"{archive}: no such file, expected an archive that `resweep pack` has written")
    target = directory or Path(_stem(archive.name))
    with disk_errors(target), project.terminable():
        listed = unpacking.unpack(archive, target, only, int(limit * 1e9))
    count = len(listed.trials)
    trials = f"{counted(count, 'trial')} of {listed.sweep}"
    click.echo(f"{target}: {trials}, {project.size(listed.size)}, every byte as it was packed")


def _stem(name: str) -> str:
    for each in stream.FORMATS:
        for suffix in each.suffixes:
            if name.endswith(suffix) and name != suffix:
                return name.removesuffix(suffix)
    return f"{name}.unpacked"
