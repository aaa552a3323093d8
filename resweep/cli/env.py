"""`resweep env`: what a trial was frozen and run with, and its packages once more."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import click

from resweep import layout
from resweep.cli import project, select
from resweep.errors import counted, disk_errors
from resweep.generation import provenance
from resweep.index import Entry
from resweep.launcher import places, storage, trial_state
from resweep.launcher.places import Place
from resweep.layout import SweepPaths

WIDTH = 100  # of the lines that list packages
TOOL = "resweep"
_IMPORTS_TOOL = re.compile(rb"^[ \t]*(?:import|from)[ \t]+resweep\b", re.MULTILINE)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", metavar="TRIAL")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object with the environment of the generation and of the attempt.",
)
@click.option(
    "--recreate",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Install the same packages into a new virtual environment at DIR.",
)
def env(name: str, as_json: bool, directory: Path | None) -> None:
    """Show the environment that TRIAL was generated in, and what its last attempt ran on: Python, packages, machine.

    --recreate rebuilds the packages in their exact versions with uv, or else with pip, whose own settings apply, and
    says what cannot be rebuilt, and why. Exit status 1: something could not.
    """
    capsule, label, last = _trial(name)
    recorded = provenance.of_capsule(capsule)
    ran = provenance.of_attempt(last) if last else {}
    if directory is not None:
        sys.exit(_recreate(_without_the_tool(recorded, capsule, label), directory, label))
    if as_json:
        origin = storage.read_json(str(capsule / layout.PROVENANCE))
        click.echo(json.dumps({"format": 1, "environment": recorded, "provenance": origin, "attempt": ran}, indent=2))
        return
    _say(label, capsule, recorded)
    if ran:
        _say_attempt(ran, last)


def _trial(name: str) -> tuple[Path, str, Path | None]:
    """A trial's capsule, what people call it, and the directory of its last attempt; also of one that was moved."""
    if (Path(name) / layout.MANIFEST).is_file() and not Place(name).in_project:
        return Path(name), name, None
    paths, entry = select.one(project.root(), name)
    place = paths.place(entry.name)
    _, record = trial_state.state(place)
    number = record.get("attempt") or place.last()
    return Path(place.capsule), _called(paths, entry), Path(place.attempt(number)) if number else None


def _called(paths: SweepPaths, entry: Entry) -> str:
    return f"{paths.name}#{entry.number}"


def _say(label: str, capsule: Path, recorded: dict[str, Any]) -> None:
    python, platform = recorded["python"], recorded["platform"]
    packages = recorded["packages"].values()
    origin = storage.read_json(str(capsule / layout.PROVENANCE))
    click.echo(f"{label}: generated {origin.get('created', 'at an unknown time')} in {origin.get('project', '?')}")
    click.echo(f"  python    {python['implementation']} {python['version']}  {python['executable']}")
    click.echo(f"  platform  {platform['system']} {platform['machine']}, {platform['libc'] or 'unknown C library'}")
    _say_git(origin.get("git"))
    click.echo(
        f"  packages  {len(packages)}, {sum(each['origin'] == 'index' for each in packages)} of them from an index"
    )
    for each in packages:
        if each["origin"] != "index":
            where = " ".join(str(each[key]) for key in ("url", "path", "commit") if key in each)
            click.echo(f"    {each['origin']:<9} {each['name']} {each['version']}  {where}")
    _fill(f"{each['name']}=={each['version']}" for each in packages if each["origin"] == "index")
    if recorded["conda"]:
        click.echo(f"  conda     {counted(len(recorded['conda']), 'package')}")
        _fill(f"{name}={each['version']}={each['build']}" for name, each in recorded["conda"].items())
    for name, value in recorded["variables"].items():
        click.echo(f"  variable  {name}={value}")


def _say_git(git: dict[str, Any] | None) -> None:
    if git:
        dirty = ", with uncommitted changes" if git["diff"] else ""
        untracked = f", {counted(len(git['untracked']), 'untracked file')}" if git["untracked"] else ""
        click.echo(f"  git       {git['commit']} on {git['branch']}{dirty}{untracked}  {git['remote'] or ''}".rstrip())


def _say_attempt(ran: dict[str, Any], directory: Path | None) -> None:
    machine = ran["machine"]
    memory = f"{machine['memory_bytes'] / 2**30:.0f} GiB" if machine["memory_bytes"] else "unknown memory"
    record = storage.read_json(str(Path(directory or "", places.RECORD)))
    click.echo(f"  attempt   {record.get('attempt', '?')} on {record.get('host', 'an unknown host')}")
    click.echo(
        f"    machine   {machine['cpu'] or machine['machine']}, {counted(machine['cores'] or 0, 'core')}, {memory}"
    )
    for card in ran["cards"] or ():
        click.echo(f"    card      {card['index']} {card['name']}, driver {card['driver']}")
    for name, version in ran["libraries"].items():
        click.echo(f"    library   {name} {version}")
    if ran["drift"] is None:
        click.echo("    drift     not known: no Python process of the training reported")
    elif not ran["drift"]:
        click.echo("    drift     none: the packages are those of the generation")
    for change in ran["drift"] or ():
        click.echo(f"    drift     {change['what']}: {change['before'] or 'nothing'} -> {change['after'] or 'nothing'}")


def _fill(words: Any) -> None:
    """Many words in few lines."""
    line = "   "
    for word in words:
        if len(line) + len(word) > WIDTH:
            click.echo(line)
            line = "   "
        line += f" {word}"
    if line.strip():
        click.echo(line)


def _without_the_tool(recorded: dict[str, Any], capsule: Path, label: str) -> dict[str, Any]:
    """What is recorded, without the package that ran the trial and that no file of the trial imports."""
    packages = recorded["packages"]
    if TOOL not in packages or any(_IMPORTS_TOOL.search(path.read_bytes()) for path in capsule.rglob("*.py")):
        return recorded
    click.echo(f"{label}: leaves out {TOOL}, which runs trials and which this one does not import")
    return {**recorded, "packages": {key: each for key, each in packages.items() if key != TOOL}}


def _recreate(recorded: dict[str, Any], directory: Path, label: str) -> int:
    from resweep.generation import recreate

    with disk_errors(directory):
        result = recreate.recreate(recorded, directory.absolute(), lambda line: click.echo(f"{label}: {line}"))
    count = len(recorded["packages"])
    click.echo(f"{label}: {directory} has {result.installed} of {counted(count, 'package')} in their versions")
    for note in result.notes:
        click.echo(f"  differs   {note}")
    for name, why in result.missing.items():
        click.echo(f"  missing   {name}: {why}")
    return 0 if result.whole else 1
