"""What a sweep's definition asks for: every point filled, every trial with its id, and what is frozen of it all."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from resweep import data, dotted, space, sweep, trial
from resweep.data import Cache, DataError, Listing
from resweep.errors import ConfigError, ProjectError
from resweep.index import Entry, described
from resweep.snapshot import Snapshot
from resweep.sweep import Sweep
from resweep.template import FillError, Template
from resweep.trial import SweepPaths, TrialName

BASE = "base"  # the folder of a generation that holds the template and what it imports


@dataclass(frozen=True)
class Wanted:
    """A trial that the definition asks for, before it is known whether it exists."""

    entry: Entry
    config: dict[str, Any]
    filled: Any
    seed: int
    threads: int


@dataclass(frozen=True)
class Definition:
    """Everything that a generation freezes, ready to be compared with the last one and written."""

    sweep: Sweep
    template: Template
    snapshot: Snapshot
    train: bytes
    record: dict[str, Any]  # generation.json without its number and plan
    data: Listing | None = None  # the fingerprints of what [data] names

    @property
    def fingerprints(self) -> bytes | None:
        """The content of fingerprints.json."""
        return None if self.data is None else _fingerprints(self.data)

    def same_as(self, last: dict[str, Any] | None) -> bool:
        """Whether the last generation froze exactly this."""
        return last is not None and all(last.get(key) == value for key, value in self.record.items())


@dataclass(frozen=True)
class Filled:
    """One point, filled: its configuration, seeds and one filled template per trial."""

    point: space.Point
    config: dict[str, Any]
    seed: int
    threads: int
    filled: list[Any]


def fill(definition: Sweep, template: Template, points: list[space.Point]) -> list[Filled]:
    """Fill the template for every trial of every point, all in as few evaluations as possible."""
    seeds = free_seed_params(definition)
    configs = [configuration(definition, point) for point in points]
    numbers = [(_whole(definition, c, "seed", definition.seed), _whole(definition, c, "threads", 1)) for c in configs]
    arguments = [
        {**config.get("params", {}), **dict.fromkeys(seeds, seed + number)}
        for config, (seed, _) in zip(configs, numbers, strict=True)
        for number in range(definition.n_trials)
    ]
    try:
        filled, taken = template.fill(arguments, seeds)
    except FillError as error:
        point = points[error.position // definition.n_trials]
        which = described(point) or "the only point"
        more = "; jsonnet says:" if error.detail else ""
        raise type(error)(f"{error} (in the trial {which}){more}", error.detail, error.position) from None
    if not taken:
        takers = ", ".join(definition.seed_params) or "none"
        _refuse_repeats(
            definition,
            f"no seed can reach {template.path}, which takes none of the parameters {takers}; "
            "add one to its function, or name it in seed_params = [...]",
        )
    n = definition.n_trials
    return [
        Filled(point, config, seed, threads, filled[i * n : (i + 1) * n])
        for i, (point, config, (seed, threads)) in enumerate(zip(points, configs, numbers, strict=True))
    ]


def free_seed_params(definition: Sweep) -> list[str]:
    """The parameters that take the trial's seed, as far as the person does not give them."""
    given = [p for p in definition.seed_params if p in definition.params or f"params.{p}" in definition.hyper.keys]
    if given:
        _refuse_repeats(definition, f"params.{given[0]} is given, so every trial would run with one seed; take it out")
    return [p for p in definition.seed_params if p not in given]


def _refuse_repeats(definition: Sweep, reason: str) -> None:
    """Refuse repeats that would repeat one run."""
    if definition.n_trials > 1:
        raise ConfigError(f"{definition.where}: n_trials: found {definition.n_trials}, expected 1: {reason}")


def _whole(definition: Sweep, config: dict[str, Any], key: str, default: int) -> int:
    value = config.get(key, default)
    least = 1 if key == "threads" else 0
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{definition.where}: hyper.{key}: found {value!r}, expected whole numbers, {least} or more")
    return value


def configuration(definition: Sweep, point: space.Point) -> dict[str, Any]:
    """The configuration of a trial of one point: what Slurm is asked for is no part of it."""
    return dotted.fill(definition.config, {k: value for k, value in point.items() if not k.startswith("slurm.")})


def identify(frozen: Definition, filled: list[Filled]) -> list[Wanted]:
    """Give every trial its id. A point reached twice is one; points that differ in slurm.* alone are a mistake."""
    definition = frozen.sweep
    source = trial.digest([frozen.snapshot.digest, frozen.record["train"]])
    wanted: dict[TrialName, Wanted] = {}
    for each in filled:
        identity = {"config": each.config, "json": each.filled[0], "threads": each.threads}
        digest = trial.digest({**identity, "snapshot": frozen.snapshot.digest, "train": frozen.record["train"]})
        point = trial.digest(identity)
        name = TrialName(trial.short_id(digest), 0)
        if name in wanted:
            _check_same(definition, wanted[name].entry, digest, each.point)
            each = replace(each, point=_with_slurm(wanted[name].entry.swept, each.point))
        for number, content in enumerate(each.filled):
            entry = Entry(0, name.id, number, digest, point, source, each.point, 0)
            wanted[entry.name] = Wanted(entry, each.config, content, each.seed + number, each.threads)
    return list(wanted.values())


def _check_same(definition: Sweep, first: Entry, digest: str, point: space.Point) -> None:
    if first.digest != digest:
        raise ConfigError(f"{definition.where}: two points share the id {first.id} and differ; change a value a little")
    slurm = [key for key in first.swept if key.startswith("slurm.") and key in point]
    different = [key for key in slurm if point[key] != first.swept[key]]
    if different:
        values = " and ".join(trial.jsonnable(p[different[0]]) for p in (first.swept, point))
        raise ConfigError(
            f"{definition.where}: hyper.{different[0]}: found points that differ only in {different[0]} ({values}), "
            "expected each trial once: what Slurm is asked for is no part of a trial"
        )


def _with_slurm(first: space.Point, again: space.Point) -> space.Point:
    """A point that was reached twice: what one way says of slurm.* and the other does not is said."""
    return first | {key: value for key, value in again.items() if key.startswith("slurm.")}


def doubts(frozen: Definition) -> list[str]:
    """What is allowed and looks like a mistake: one line each."""
    asked = frozen.sweep
    notes = []
    for key in asked.hyper.keys:
        head = key.partition(".")[0]
        if head not in ("params", "slurm", "seed", "threads"):
            notes.append(
                f"{key} does not reach {frozen.template.path}, which gets [params] alone; "
                f"what reads the trial's TOML will find it there"
            )
    for key, meant in sweep.misspelt(asked.config).items():
        notes.append(f"{asked.where}: {key}: taken for your own; did you mean {meant}?")
    return notes


def read_train(root: Path) -> bytes:
    """The project's train.sh; a ProjectError when there is none."""
    try:
        return (root / trial.TRAIN).read_bytes()
    except FileNotFoundError:
        raise ProjectError(
            f"{root / trial.TRAIN}: no such file, expected the script that runs a trial, called with CONF_DIR CONF_PATH"
        ) from None
    except OSError as error:
        raise ProjectError(
            f"{root / trial.TRAIN}: cannot be read ({error.strerror}), expected the script that runs a trial"
        ) from None


def read_data(root: Path, definition: Sweep, cache: Cache) -> Listing | None:
    """The fingerprints of the files that `[data]` names, None if it names none; a ConfigError if one is not there."""
    if not definition.data:
        return None
    try:
        return data.listing(definition.data, os.environ.get("RESWEEP_DATA") or str(root), cache)
    except DataError as error:
        raise ConfigError(f"{definition.where}: data.files: {error}") from None


def _fingerprints(listing: Listing) -> bytes:
    return (trial.pretty(listing) + "\n").encode()


def freeze(
    paths: SweepPaths,
    definition: Sweep,
    template: Template,
    source: Snapshot,
    train: bytes,
    listing: Listing | None = None,
) -> Definition:
    """Gather what a generation freezes, its record as it is read back from JSON."""
    files = sources(template)
    record = {
        "format": trial.FORMAT,
        "sweep": paths.name,
        "config": os.path.relpath(definition.path, paths.root) if definition.path else None,
        "overrides": list(definition.overrides),
        "base": f"{BASE}/{next(iter(files))}",
        "sources": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        "text": hashlib.sha256(definition.text.encode()).hexdigest(),
        "hyper": definition.hyper.raw,
        **_search(definition),
        "settings": definition.config | {"n_trials": definition.n_trials},
        "snapshot": source.digest,
        "train": hashlib.sha256(train).hexdigest(),
        "data": None if listing is None else hashlib.sha256(_fingerprints(listing)).hexdigest(),
    }
    return Definition(definition, template, source, train, json.loads(json.dumps(record, default=str)), listing)


def _search(definition: Sweep) -> dict[str, Any]:
    """What a generation keeps of `[search]`, with the metric where that decides which points are asked for."""
    search = definition.search.record()
    if search is None:
        return {}
    ranked = {"metric": definition.results.metric, "mode": definition.results.mode} if definition.search.learns else {}
    return {"search": {**search, **ranked}}


def sources(template: Template) -> dict[str, bytes]:
    """The template's files, itself first, named relative to the folder that holds them all: imports still resolve."""
    folder = os.path.commonpath([path.parent for path in template.sources])
    return {path.relative_to(folder).as_posix(): data for path, data in template.sources.items()}
