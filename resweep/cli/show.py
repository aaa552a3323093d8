"""`resweep show`: the filled configuration of any trial or point; writes nothing."""

from __future__ import annotations

from pathlib import Path

import click

from resweep import index
from resweep.cli import project
from resweep.errors import ConfigError, ProjectError, TrialError
from resweep.generation import capsule, fill
from resweep.index import Entry, described
from resweep.layout import SweepPaths
from resweep.project import find_root
from resweep.space import expand
from resweep.space.expand import Space
from resweep.sweep import definition
from resweep.sweep.definition import Sweep


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("what", metavar="TRIAL|CONFIG")
@click.argument("base", metavar="[BASE]", required=False, type=click.Path(path_type=Path))
@click.option("--point", type=click.IntRange(1), metavar="N", help="Number of the point of CONFIG. Default: the first.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key of CONFIG, for example params.debug=true.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the filled template only.")
@click.option("--toml", "as_toml", is_flag=True, help="Print the configuration only.")
def show(
    what: str, base: Path | None, point: int | None, overrides: tuple[str, ...], as_json: bool, as_toml: bool
) -> None:
    """Print what a TRIAL was given, or what a point of CONFIG would be given: its configuration, and BASE filled.

    A TRIAL is named as everywhere: rnn#17, an id or its beginning, a path.
    """
    if as_json and as_toml:
        raise click.UsageError("--json and --toml: found both, expected one of them, or neither for both texts")
    is_config = base is not None or what.endswith(".toml") or Path(what).is_file()
    if not is_config and (point or overrides):
        raise click.UsageError(f"{what}: is a trial, whose values are fixed; --point and --set are for a CONFIG")
    texts = _point(Path(what), base, point or 1, overrides, as_json) if is_config else _trial(what)
    if as_json or as_toml:
        click.echo(texts[as_json][1], nl=False)
        return
    click.echo("\n".join(f"# {title}\n{text}" for title, text in texts), nl=False)


def _trial(what: str) -> list[tuple[str, str]]:
    """The two files of a capsule, each with its title."""
    paths, entries = index.find(project.root(), what)
    if len(entries) != 1:
        some = f"{paths.name}#{entries[0].number}" if entries else f"{paths.name}#1"
        raise TrialError(f"{what}: names {len(entries)} trials, expected one, such as {some}")
    (entry,) = entries
    texts = [_read(paths, entry, suffix) for suffix in ("toml", "json")]
    said = f"{paths.name}#{entry.number} {entry.name}  {entry.described()}".rstrip()
    return [(f"{said}: {entry.id}.toml", texts[0]), (f"{entry.id}.json", texts[1])]


def _read(paths: SweepPaths, entry: Entry, suffix: str) -> str:
    path = paths.capsule(entry.name) / f"{entry.id}.{suffix}"
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise TrialError(f"{path}: cannot be read ({error.strerror}), expected a file of the trial") from None


def _point(
    config: Path, base: Path | None, number: int, overrides: tuple[str, ...], as_json: bool
) -> list[tuple[str, str]]:
    """One point's configuration and, where there is a template, its filled one, each with its title."""
    asked = definition.load(config, overrides)
    if base is None and as_json:
        raise ConfigError(f"{config}: --json expects the jsonnet (or JSON) file to fill, too: CONFIG BASE")
    expand.check_keys(asked)
    point = _nth(asked, number)
    title = f"point {number} of {config}  {described(point)}".rstrip()
    if base is None:
        return [(title, capsule.configuration(fill.configuration(asked, point)))]
    (filled,) = fill.fill(asked, fill.template(_root(config), asked, base), [point])
    return [
        (title, capsule.configuration(filled.config)),
        (str(base), capsule.json_bytes(filled.filled[0]).decode()),
    ]


def _root(config: Path) -> Path:
    """Where paths of the file start from: the project, or where there is none, the file's own folder."""
    try:
        return find_root(Path.cwd())
    except ProjectError:
        return config.parent


def _nth(asked: Sweep, number: int) -> expand.Point:
    """The point of this number, from 1; those before it are not kept."""
    if asked.search.learns:
        raise ConfigError(f"{asked.where}: --point: a search has no points before its workers ask for them")
    with Space(asked) as points:
        for count, point in enumerate(points.points(), 1):
            if count == number:
                return point
    raise ConfigError(f"{asked.where}: --point: found {number}, expected at most {count}, which it has")
