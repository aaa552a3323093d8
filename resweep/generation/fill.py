"""What a sweep's definition asks for: every point filled, every trial with its id, and what is frozen of it all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep import layout
from resweep.errors import ConfigError, ProjectError
from resweep.generation.packed import Packed
from resweep.generation.snapshot import Snapshot
from resweep.generation.template import CHUNK, FillError, Template, usable
from resweep.index import Entry, described
from resweep.launcher import fingerprints, storage
from resweep.launcher.fingerprints import Cache, DataError, Listing
from resweep.layout import SweepPaths, TrialName
from resweep.space import expand
from resweep.sweep import definition, dotted_keys, ext_vars, search_table
from resweep.sweep.definition import Sweep

BASE = "base"  # the folder of a generation that holds the template and what it imports


@dataclass(frozen=True)
class Filled:
    """One point, filled: its configuration, seeds and one filled template per trial."""

    point: expand.Point
    config: dict[str, Any]
    seed: int
    threads: int
    filled: list[Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A trial that the definition asks for, before it is known whether it exists."""

    entry: Entry
    points: Sequence[Filled]  # all that were filled
    place: int  # of its own among them

    @property
    def config(self) -> dict[str, Any]:
        """Its configuration."""
        return self.points[self.place].config

    @property
    def filled(self) -> Any:
        """The template, filled with its own seed."""
        return self.points[self.place].filled[self.entry.trial]

    @property
    def seed(self) -> int:
        """Its own seed."""
        return self.points[self.place].seed + self.entry.trial

    @property
    def threads(self) -> int:
        """Threads of the numerical libraries."""
        return self.points[self.place].threads


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


def fill(definition: Sweep, template: Template, points: Sequence[expand.Point]) -> Packed[Filled]:
    """Fill the template for every trial of every point, all in as few evaluations as possible."""
    _check_names(definition)
    seeds = free_seed_params(definition)
    found: Packed[Filled] = Packed()
    many = max(1, CHUNK // definition.n_trials)
    for start in range(0, max(1, len(points)), many):
        made, seeds = _fill(definition, template, points[start : start + many], seeds)
        for each in made:
            found.append(each)
    return found


def _fill(
    definition: Sweep, template: Template, points: Sequence[expand.Point], seeds: Sequence[str]
) -> tuple[list[Filled], list[str]]:
    """As `fill`; and those of `seeds` that the template takes."""
    n = definition.n_trials
    configs = [configuration(definition, point) for point in points]
    numbers = [(_whole(definition, c, "seed", definition.seed), _whole(definition, c, "threads", 1)) for c in configs]
    inputs = [
        arguments(config, seeds, seed + number)
        for config, (seed, _) in zip(configs, numbers, strict=True)
        for number in range(n)
    ]
    outside = [name for name in seeds if _is_ext_var(name)]
    try:
        filled, taken = template.fill(
            [given for given, _ in inputs],
            [name for name in seeds if name not in outside],
            [given for _, given in inputs] if any(given for _, given in inputs) else (),
        )
    except FillError as error:
        point = points[error.position // n]
        which = described(point) or "the only point"
        more = "; jsonnet says:" if error.detail else ""
        raise type(error)(f"{error} (in the trial {which}){more}", error.detail, error.position) from None
    rows = [filled[place : place + n] for place in range(0, len(filled), n)]
    if not taken and (not outside or any(row[0] in row[1:] for row in rows)):
        takers = ", ".join(definition.seed_params) or "none"
        _refuse_repeats(
            definition,
            f"no seed can reach {template.path}, which takes none of the parameters {takers}; "
            f'add one to its function, or name it in seed_params = [...], as "{ext_vars.TABLE}.SEED" for std.extVar',
        )
    made = [
        Filled(point, config, seed, threads, row)
        for point, config, (seed, threads), row in zip(points, configs, numbers, rows, strict=True)
    ]
    return made, [*taken, *outside]


def _check_names(definition: Sweep) -> None:
    """Refuse an argument that no function can have, where it stands."""
    swept = [dotted_keys.parts(key)[1] for key in definition.hyper.keys if key.startswith("params.")]
    for name in (*definition.params, *swept):
        if not usable(name):
            raise ConfigError(
                f"{definition.where}: params.{name}: not a valid parameter name in jsonnet; use letters, digits and _, "
                "and no keyword of jsonnet"
            )


def arguments(config: Mapping[str, Any], seeds: Sequence[str], seed: int) -> tuple[dict[str, Any], dict[str, str]]:
    """What a configuration gives the template: the arguments of its function, and the external variables."""
    inside = {**config.get("params", {}), **{name: seed for name in seeds if not _is_ext_var(name)}}
    outside = {name.removeprefix(_EXT_VAR): str(seed) for name in seeds if _is_ext_var(name)}
    return inside, {**ext_vars.texts(config), **outside}


_EXT_VAR = f"{ext_vars.TABLE}."


def _is_ext_var(seed_param: str) -> bool:
    return seed_param.startswith(_EXT_VAR)


def free_seed_params(definition: Sweep) -> list[str]:
    """The parameters that take the trial's seed, as far as the person does not give them."""
    given = []
    for name in definition.seed_params:
        key = name if _is_ext_var(name) else f"params.{name}"
        if key in definition.hyper.keys or dotted_keys.names_something(definition.config, key):
            given.append(name)
            _refuse_repeats(definition, f"{key} is given, so every trial would run with one seed; take it out")
    return [name for name in definition.seed_params if name not in given]


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


def configuration(definition: Sweep, point: expand.Point) -> dict[str, Any]:
    """The configuration of a trial of one point: what Slurm is asked for is no part of it."""
    return dotted_keys.fill(definition.config, {k: value for k, value in point.items() if not k.startswith("slurm.")})


def identify(frozen: Definition, filled: Sequence[Filled]) -> list[Wanted]:
    """Give every trial its id. A point reached twice is one; points that differ in slurm.* alone are a mistake."""
    definition = frozen.sweep
    source = layout.digest([frozen.snapshot.digest, frozen.record["train"]])
    wanted: dict[TrialName, Wanted] = {}
    for place, each in enumerate(filled):
        identity = {"config": each.config, "json": each.filled[0], "threads": each.threads}
        digest = layout.digest({**identity, "snapshot": frozen.snapshot.digest, "train": frozen.record["train"]})
        point = layout.digest(identity)
        name = TrialName(layout.short_id(digest), 0)
        swept = each.point
        if name in wanted:
            _check_same(definition, wanted[name].entry, digest, swept)
            swept = _with_slurm(wanted[name].entry.swept, swept)
        swept = layout.plain(swept)
        for number in range(len(each.filled)):
            entry = Entry(0, name.id, number, digest, point, source, swept, 0).shared()
            wanted[entry.name] = Wanted(entry, filled, place)
    return list(wanted.values())


def _check_same(definition: Sweep, first: Entry, digest: str, point: expand.Point) -> None:
    if first.digest != digest:
        raise ConfigError(f"{definition.where}: two points share the id {first.id} and differ; change a value a little")
    slurm = [key for key in first.swept if key.startswith("slurm.") and key in point]
    different = [key for key in slurm if point[key] != first.swept[key]]
    if different:
        values = " and ".join(layout.brief(p[different[0]]) for p in (first.swept, point))
        raise ConfigError(
            f"{definition.where}: hyper.{different[0]}: found points that differ only in {different[0]} ({values}), "
            "expected each trial once: what Slurm is asked for is no part of a trial"
        )


def _with_slurm(first: expand.Point, again: expand.Point) -> expand.Point:
    """A point that was reached twice: what one way says of slurm.* and the other does not is said."""
    return first | {key: value for key, value in again.items() if key.startswith("slurm.")}


def doubts(frozen: Definition) -> list[str]:
    """What is allowed and looks like a mistake: one line each."""
    asked = frozen.sweep
    notes = []
    for key in asked.hyper.keys:
        head = key.partition(".")[0]
        if head not in ("params", ext_vars.TABLE, "slurm", "seed", "threads"):
            notes.append(
                f"{key} does not reach {frozen.template.path}, which gets [params] and [{ext_vars.TABLE}]; "
                f"what reads the trial's TOML will find it there"
            )
    notes += [
        f"{key}: {frozen.template.path} never reads it, so its values have no effect"
        for key in asked.hyper.keys
        if _is_ext_var(key) and not _is_read(asked, frozen.template, key)
    ]
    said = str(definition.tables(asked.text, asked.where, asked.overrides).get("search", {}).get("method"))
    if said.lower() in search_table.ELSEWHERE:
        notes.append(f"{asked.where}: search.method: {said} runs as {asked.search.method}, Optuna's TPE sampler")
    for key, meant in definition.misspelt(asked.config).items():
        notes.append(f"{asked.where}: {key}: taken for your own; did you mean {meant}?")
    return notes


def _is_read(asked: Sweep, template: Template, key: str) -> bool:
    """Whether the template asks for an external variable: the first point of any table fails without it."""
    seeds = free_seed_params(asked)
    for point in expand.probes(asked):
        inside, outside = arguments(configuration(asked, point), seeds, 0)
        outside.pop(key.removeprefix(_EXT_VAR), None)
        try:
            template.fill([inside], [name for name in seeds if name in inside], [outside])
        except FillError:
            return True
    return False


def read_train(root: Path) -> bytes:
    """The project's train.sh; a ProjectError when there is none."""
    try:
        return (root / layout.TRAIN).read_bytes()
    except FileNotFoundError:
        raise ProjectError(
            f"{root / layout.TRAIN}: no such file, expected the script that runs a trial, called with "
            "CONF_DIR CONF_PATH"
        ) from None
    except OSError as error:
        raise ProjectError(
            f"{root / layout.TRAIN}: cannot be read ({error.strerror}), expected the script that runs a trial"
        ) from None


def read_data(root: Path, definition: Sweep, cache: Cache) -> Listing | None:
    """The fingerprints of the files that `[data]` names, None if it names none; a ConfigError if one is not there."""
    if not definition.data:
        return None
    try:
        return fingerprints.listing(definition.data, os.environ.get("RESWEEP_DATA") or str(root), cache)
    except DataError as error:
        raise ConfigError(f"{definition.where}: data.files: {error}") from None


def _fingerprints(listing: Listing) -> bytes:
    return (layout.pretty(listing) + "\n").encode()


def freeze(
    paths: SweepPaths,
    definition: Sweep,
    template: Template,
    source: Snapshot,
    train: bytes,
    listing: Listing | None = None,
) -> Definition:
    """Gather what a generation freezes, its record as it is read back from JSON."""
    files, libraries = sources(template), library(template)
    record = {
        "format": layout.FORMAT,
        "sweep": paths.name,
        "config": os.path.relpath(definition.path, paths.root) if definition.path else None,
        "overrides": list(definition.overrides),
        "base": f"{BASE}/{next(iter(files))}",
        **({"library": [f"{BASE}/{name}" for name in libraries]} if libraries else {}),
        "sources": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        "text": hashlib.sha256(definition.text.encode()).hexdigest(),
        "hyper": definition.hyper.raw,
        **_search(definition),
        "settings": definition.config | {"n_trials": definition.n_trials},
        "snapshot": source.digest,
        "train": hashlib.sha256(train).hexdigest(),
        "data": None if listing is None else hashlib.sha256(_fingerprints(listing)).hexdigest(),
    }
    return Definition(definition, template, source, train, layout.plain(record), listing)


def _search(definition: Sweep) -> dict[str, Any]:
    """What a generation keeps of `[search]`, with the metric where that decides which points are asked for."""
    search = definition.search.record()
    if search is None:
        return {}
    ranked = {"metric": definition.results.metric, "mode": definition.results.mode} if definition.search.learns else {}
    return {"search": {**search, **ranked}}


def template(root: Path, asked: Sweep, base: Path) -> Template:
    """The template `base` of a sweep of the project at `root`.

    Its imports are looked for in the folders of `[jsonnet] jpath`, then in those of JSONNET_PATH, as jsonnet does. One
    that a generation froze has the libraries that were frozen with it.
    """
    for folder in base.absolute().parents:
        if folder.name == BASE and (folder.parent / layout.GENERATION).is_file():
            record = storage.read_json(str(folder.parent / layout.GENERATION))
            return Template(base, folder, [folder.parent / name for name in record.get("library", ())])
    listed = [path for path in os.environ.get("JSONNET_PATH", "").split(os.pathsep) if path]
    return Template(base, root, [*(root / path for path in asked.jpath), *map(Path, listed)])


def sources(template: Template) -> dict[str, bytes]:
    """The template's files, itself first, by name: relative to one folder, so that imports still resolve."""
    return {_frozen_name(template, path): data for path, data in template.sources.items()}


def library(template: Template) -> list[str]:
    """The folders of libraries that any of the template's files lies in, named as those are."""
    return [_frozen_name(template, folder) for folder in _used(template)]


def _used(template: Template) -> list[Path]:
    return [each for each in template.library if any(path.is_relative_to(each) for path in template.sources)]


def _frozen_name(template: Template, path: Path) -> str:
    """What a file or folder is called below BASE: its place in the project, or in a library that lies outside of it.

    Where relative imports lead from the one into the other, all keep their places to each other.
    """
    own = [each for each in (*_used(template), *template.sources) if _is_own(template, each)]
    if path in own:
        together = os.path.commonpath([each if each in template.library else each.parent for each in own])
        return path.relative_to(together).as_posix()
    number, folder = next((n, each) for n, each in enumerate(template.library) if path.is_relative_to(each))
    return (Path(_LIBRARY, str(number)) / path.relative_to(folder)).as_posix()


def _is_own(template: Template, path: Path) -> bool:
    return template.crossed or any(path.is_relative_to(tree) for tree in template.trees)


_LIBRARY = ".library"
