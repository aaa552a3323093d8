"""One trial -> the definition of a new sweep: its configuration as the only point, in a TOML file that people edit."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from resweep import layout
from resweep.errors import ConfigError, DiskError, TrialError
from resweep.generation import capsule, make
from resweep.generation.fill import BASE
from resweep.generation.make import Request
from resweep.generation.plan import Plan
from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.sweep import definition, dotted_keys

# what belongs to the sweep, and stays with it: what was searched is found
_KEPT = tuple(table for table in definition.TOOL_TABLES if table not in ("hyper", "search"))


@dataclass(frozen=True)
class Promotion:
    """A new sweep that was generated: the files that define it, and how its source differs from the trial's."""

    plan: Plan
    config: Path
    base: Path
    changed: tuple[str, ...]  # files of the source, by name
    same: bool  # among its trials is the one that it was made of


def promote(
    paths: SweepPaths, entry: Entry, name: str, overrides: Sequence[str] = (), frozen_source: bool = False
) -> Promotion:
    """Make the sweep `name` of the trial `entry`: config/NAME.toml with `overrides` in it, and what generating writes.

    The template is the one that the trial was filled from. The source is the project's as it is now, or with
    `frozen_source` the trial's. Raises a ResweepError, and has written nothing then.
    """
    layout.check_name(name)
    new = SweepPaths(paths.root, name)
    config = paths.root / "config" / f"{name}.toml"
    text = as_toml(paths, entry, overrides)
    base = template(paths, entry)
    fresh = _check_free(new, config, text)
    folder = Path(paths.capsule(entry.name))
    request = Request(config, base, name, source_change="keep-finished", source=folder if frozen_source else None)
    if fresh:
        _write(config, text)
    try:
        planned = make.generate(request)
    except BaseException:
        if fresh:
            config.unlink(missing_ok=True)
        raise
    same = any((each.point, each.trial) == (entry.point, entry.trial) for each in planned.entries)
    return Promotion(planned, config, base, tuple(_changes(folder, new.capsule(planned.entries[0].name))), same)


def as_toml(paths: SweepPaths, entry: Entry, overrides: Sequence[str] = ()) -> str:
    """The TOML of a sweep whose only point is this trial's, with the tool's tables of the sweep that it was part of."""
    folder = paths.generations / str(entry.generation)
    record = _read(folder / layout.GENERATION, json.loads)
    where = str(folder / layout.DEFINITION)
    old = definition.tables(_read(Path(where), str), where, tuple(record["overrides"]))
    file = paths.capsule(entry.name) / f"{entry.id}.toml"
    own = _read(file, tomllib.loads)
    table: dict[str, Any] = {key: value for key, value in own.items() if key not in definition.TRIAL_KEYS}
    table |= {key: old[key] for key in _KEPT if key in old}
    table = dotted_keys.fill(table, {key: value for key, value in entry.swept.items() if key.startswith("slurm.")})
    changed = definition.tables(tomli_w.dumps(table), "--set", tuple(overrides))
    said = "".join(f"# with {override}\n" for override in overrides if override.isprintable())
    head = f"# Promoted from {paths.name}#{entry.number}, {paths.name}/{entry.name}.\n{said}\n"
    # what stands in no table comes first, as TOML wants it
    ordered = dict(sorted(changed.items(), key=lambda item: isinstance(item[1], dict)))
    return head + tomli_w.dumps(ordered)


def template(paths: SweepPaths, entry: Entry) -> Path:
    """The template that a trial was filled from: the project's own, if that and what it imports are unchanged."""
    folder = paths.generations / str(entry.generation)
    record = _read(folder / layout.GENERATION, json.loads)
    frozen: Path = folder / record["base"]
    own = paths.root / Path(record["base"]).relative_to(BASE)
    return own if len(record["sources"]) == 1 and _same(own, frozen) else frozen


def _check_free(new: SweepPaths, config: Path, text: str) -> bool:
    """Whether the TOML is to be written: it is not there. Refuses to touch a definition or a sweep that is another."""
    if config.exists():
        if config.is_file() and config.read_bytes() == text.encode():
            return False
        raise ConfigError(
            f"--as {new.name}: {config} exists and is another definition, expected the name of a new sweep"
        )
    if new.index.exists() or new.jobs.exists():
        raise ConfigError(f"--as {new.name}: a sweep of this name exists, expected the name of a new sweep")
    return True


def _write(config: Path, text: str) -> None:
    try:
        config.parent.mkdir(exist_ok=True)
        with open(config, "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise DiskError(f"{config}: cannot be written ({error.strerror})") from None


def _changes(old: Path, new: Path) -> list[str]:
    """The files of the source, train.sh among them, that differ between two capsules."""
    before, now = (_source(capsule.read_manifest(folder)) for folder in (old, new))
    return [path for path in sorted(before.keys() | now.keys()) if before.get(path) != now.get(path)]


def _source(manifest: dict[str, Any]) -> dict[str, str]:
    files: dict[str, str] = manifest["snapshot"]["files"]
    return {**files, layout.TRAIN: manifest["files"][layout.TRAIN]}


def _same(one: Path, other: Path) -> bool:
    try:
        return one.read_bytes() == other.read_bytes()
    except OSError:
        return False


def _read(path: Path, parse: Any) -> Any:
    try:
        return parse(path.read_bytes().decode("utf-8"))
    except (OSError, ValueError) as error:
        raise TrialError(f"{path}: cannot be read ({error}), expected what `generate` wrote there") from None
