"""`resweep import`: another tool's search space as our TOML."""

from __future__ import annotations

from pathlib import Path

import click

from resweep.errors import ConfigError, disk_errors
from resweep.importers import reading


@click.command("import", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="OUT.toml",
    help="File to write. Default: standard output.",
)
def import_(file: Path, output: Path | None) -> None:
    """Print the sweep of W&B (YAML) or the search space of AllenTune (JSON) in FILE as the TOML of a sweep.

    What has no equivalent stands in its comments, and on stderr.
    """
    said = reading.load(file)
    text = said.text()
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(output, text)
    for line in said.lost:
        click.echo(f"resweep: {file.name}: {line}", err=True)


def _write(output: Path, text: str) -> None:
    try:
        with disk_errors(output), output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{output}: is there already, expected a new file; nothing was overwritten") from None
    except FileNotFoundError:
        raise ConfigError(f"{output}: its directory does not exist") from None
    click.echo(f"{output}: written; look at it, and then: resweep {output} BASE NAME")
