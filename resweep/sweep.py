"""TOML text -> Sweep: what to try, validated and typed; every mistake names file, key, found and expected.

The tool reads its own tables and a few keys; everything else is the researcher's configuration, and travels whole
into every trial.

    n_trials = 3                          repeats of each point, trial 0, 1, 2 (default 1)
    seed = 0                              trial t gets seed + t (default 0)
    threads = 1                           of the numerical libraries (default 1)
    seed_params = ["random_seed", ...]    the arguments of the template that take the seed
    [hyper]       dotted key -> values; every combination is a point: see `axes`; several: [[hyper]]
    [search]      method = "random", n, seed: so many points drawn instead; "tpe", ...: see `strategy`
    [params]      arguments of the template (part of the configuration)
    [slurm]       options of sbatch, and a few words of our own: see `resources`
    [run]         python = "..."          the interpreter that builds the snapshot and trains
                  gpus = 0.5              cards for each trial; a fraction shares one
                  on_retry = "resume"     a new attempt goes on with the last one's output
    [snapshot]    include, exclude, from
    [data]        files = ["data/*.json"] shared files whose content is checked before each attempt
    [results]     metric, mode
                  pattern = '...'         a regular expression: numbers in the log, by named groups
                  weights = ["*.th", ...] files of the output that `clean --weights` removes
                  compare, ignore         what `reproduce` compares: files; files and metrics that it does not
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from resweep import axes, direction, forms, resources, strategy
from resweep.axes import Hyper
from resweep.errors import ConfigError, shown
from resweep.forms import Distribution
from resweep.strategy import Search as Search

TOOL_TABLES = ("hyper", "search", "slurm", "run", "results", "snapshot", "data")
# What a generated {id}.toml says of itself: feeding it to `generate` again gives the same point, not another one.
TRIAL_KEYS = ("generated_id", "name", "trial", "conf_dir", "conf_path", "allennlp_conf", "serialization_dir")
TOP_KEYS = ("n_trials", "seed", "threads", "seed_params")
SEED_PARAMS = ("random_seed", "numpy_seed", "pytorch_seed")  # AllenNLP's three
# the first words of keys that are not a trial's
_NOT_SWEPT = frozenset({*(set(TOOL_TABLES) - {"slurm"}), *TRIAL_KEYS, "n_trials", "seed_params"})
# what --set may also add, because it means something without standing in the file
_SETTABLE = (*TOOL_TABLES, "params", "n_trials", "seed", "threads", "seed_params")

# what training frameworks call the files that fill disks
WEIGHTS = ("*.th", "*.pt", "*.pth", "*.ckpt", "*.safetensors", "*.bin", "model.tar.gz", "*.h5")

# what trainings call the place of a measurement in time: in lines of metrics.jsonl, and as groups of `pattern`
STEPS = ("step", "global_step", "iteration", "epoch")

Table = dict[str, Any]


@dataclass(frozen=True)
class SnapshotOptions:
    """`[snapshot]`: globs of files to add and leave out, relative to the project, and where the source comes from."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    source: str = "build"
    where: str = ""  # the file that says so, for messages


@dataclass(frozen=True)
class ResultsOptions:
    """`[results]`: the metric that says which trial is best, and whether high (`max`) or low (`min`) is good.

    Where the TOML names a metric and no mode, `mode` is what the metric's name suggests.
    `weights` are patterns, as the shell has them, of the files of a trial's output that can go when space is short;
    `compare` (none: all) and `ignore` those that two runs of a trial are compared by, or are not, metrics too.
    `pattern` is a regular expression that finds numbers in a line of the log; its named groups name them.
    """

    metric: str | None = None
    mode: str = "max"
    weights: tuple[str, ...] = WEIGHTS
    compare: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    pattern: str | None = None


@dataclass(frozen=True)
class Sweep:
    """A sweep's definition. `where` names the file in messages; `text` is its bytes as they were read."""

    where: str
    text: str
    path: Path | None = None  # of the file that it was read from, if it was
    overrides: tuple[str, ...] = ()
    hyper: Hyper = field(default_factory=Hyper)
    search: Search = field(default_factory=Search)
    config: Table = field(default_factory=dict)
    slurm: Table = field(default_factory=dict)
    snapshot: SnapshotOptions = SnapshotOptions()
    results: ResultsOptions = ResultsOptions()
    data: tuple[str, ...] = ()
    python: str | None = None
    gpus: float | None = None
    resume: bool = False
    n_trials: int = 1
    seed: int = 0
    threads: int = 1
    seed_params: tuple[str, ...] = SEED_PARAMS

    @property
    def params(self) -> Table:
        """`[params]`: the arguments of the template, before any point fills them."""
        table: Table = self.config.get("params", {})
        return table


def load(path: Path, overrides: tuple[str, ...] = ()) -> Sweep:
    """Read a sweep's TOML file and apply `overrides` of the form KEY=VALUE.

    Raises ConfigError for every mistake: unreadable file, TOML syntax, unknown keys of the tool's tables, wrong types.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file, expected the TOML file of a sweep") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}), expected the TOML file of a sweep") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8, expected a TOML file") from None
    return replace(parse(text, str(path), overrides), path=path)


def parse(text: str, where: str, overrides: tuple[str, ...] = ()) -> Sweep:
    """Read a sweep from TOML `text`; as `load`, for text that is at hand."""
    table = tables(text, where, overrides)
    reader = _Reader(where, table)
    hyper = axes.read(where, table.get("hyper", {}), _NOT_SWEPT)
    _check_slurm_values(where, hyper)
    snapshot = reader.table("snapshot", "include", "exclude", "from")
    results = reader.table("results", "metric", "mode", "weights", "compare", "ignore", "pattern")
    metric = reader.text(results, "results.metric", None)
    data = reader.table("data", "files")
    run = reader.table("run", "python", "gpus", "on_retry")
    params = reader.table("params")
    resources.check(where, reader.table("slurm"))
    forms.check_numbers(where, "params", params)
    source = reader.text(snapshot, "snapshot.from", "build", ("build", "git"))
    config = {key: value for key, value in table.items() if key not in (*TOOL_TABLES, *TRIAL_KEYS, "n_trials")}
    return Sweep(
        where=where,
        text=text,
        overrides=overrides,
        hyper=hyper,
        search=strategy.read(where, table.get("search", {}), hyper, metric),
        config=config,
        slurm=table.get("slurm", {}),
        snapshot=SnapshotOptions(
            include=reader.texts(snapshot, "snapshot.include", ()),
            exclude=reader.texts(snapshot, "snapshot.exclude", ()),
            source=source or "build",
            where=where,
        ),
        results=ResultsOptions(
            metric=metric,
            mode=reader.text(results, "results.mode", None, ("max", "min")) or direction.guessed(metric or ""),
            weights=reader.texts(results, "results.weights", WEIGHTS),
            compare=reader.texts(results, "results.compare", ()),
            ignore=reader.texts(results, "results.ignore", ()),
            pattern=reader.pattern(results, "results.pattern"),
        ),
        data=reader.texts(data, "data.files", ()),
        python=reader.text(run, "run.python", None),
        gpus=reader.cards(run, "run.gpus"),
        resume=reader.text(run, "run.on_retry", "clean", ("clean", "resume")) == "resume",
        n_trials=reader.integer("n_trials", 1, at_least=1),
        seed=reader.integer("seed", 0, at_least=0),
        threads=reader.integer("threads", 1, at_least=1),
        seed_params=reader.texts(table, "seed_params", SEED_PARAMS),
    )


def tables(text: str, where: str, overrides: tuple[str, ...] = ()) -> Table:
    """The tables of a sweep's TOML `text` with `overrides` applied, not yet checked."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not valid TOML: {error}") from None
    for override in overrides:
        _override(table, override)
    return table


@dataclass(frozen=True)
class _Reader:
    """Typed reading of one parsed file; each mistake is a ConfigError with its place."""

    where: str
    root: Table

    def table(self, key: str, *known: str) -> Table:
        value = self.root.get(key, {})
        if not isinstance(value, dict):
            raise self._wrong(key, value, f"a table, [{key}]")
        for name in value:
            if known and name not in known:
                raise ConfigError(f"{self.where}: {key}.{name}: unknown key, expected one of {', '.join(known)}")
        return value

    def text(self, table: Table, key: str, default: str | None, choices: tuple[str, ...] = ()) -> str | None:
        value = table.get(key.rpartition(".")[2], default)
        if value is default:
            return default
        if not isinstance(value, str) or not value or (choices and value not in choices):
            raise self._wrong(key, value, " or ".join(f'"{choice}"' for choice in choices) or "a text")
        return value

    def texts(self, table: Table, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        value = table.get(key.rpartition(".")[2], None)
        if value is None:
            return default
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self._wrong(key, value, 'a list of texts, such as ["one", "two"]')
        return tuple(value)

    def pattern(self, table: Table, key: str) -> str | None:
        value = self.text(table, key, None)
        if value is None:
            return None
        try:
            named = re.compile(value).groupindex
        except re.error as error:
            raise ConfigError(
                f"{self.where}: {key}: found {shown(value)}, expected a regular expression ({error})"
            ) from None
        if not set(named) - set(STEPS):
            raise self._wrong(key, value, r"a named group for each metric, such as 'val_acc=(?P<val_acc>\S+)'")
        return value

    def integer(self, key: str, default: int, at_least: int) -> int:
        return self.whole(self.root, key, default, at_least)

    def whole(self, table: Table, key: str, default: int, at_least: int) -> int:
        value = table.get(key.rpartition(".")[2])
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not at_least <= value < 2**31:
            raise self._wrong(key, value, f"a whole number, {at_least} or more")
        return value

    def cards(self, table: Table, key: str) -> float | None:
        value = table.get(key.rpartition(".")[2])
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not valid_cards(value):
            raise self._wrong(key, value, "a number of cards: 0, 1, 2, ... or a fraction of one, such as 0.5")
        return float(value)

    def _wrong(self, key: str, value: object, expected: str) -> ConfigError:
        return ConfigError(f"{self.where}: {key}: found {shown(value)}, expected {expected}")


def _check_slurm_values(where: str, hyper: Hyper) -> None:
    for branch in hyper.branches:
        for axis in branch.axes:
            slurm = [key for key in axis.keys if key.startswith("slurm.")]
            if slurm and isinstance(axis.values, Distribution):
                raise ConfigError(
                    f"{where}: hyper.{slurm[0]}: found a distribution, expected a list: what Slurm is asked for is no "
                    "part of a trial"
                )
    for key in hyper.keys:
        if key.startswith("slurm."):
            for value in hyper.values(key):
                resources.check(where, {key.partition(".")[2]: value}, "hyper.slurm", swept=True)


def _override(table: Table, override: str) -> None:
    """Apply one --set KEY=VALUE to a parsed file; VALUE is TOML, or else a text."""
    key, equals, value = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {override}: expected KEY=VALUE, such as params.debug=true")
    try:
        parsed = tomllib.loads(f"{key} = {value}")
    except tomllib.TOMLDecodeError:
        try:
            parsed = tomllib.loads(f"{key} = ''")
        except tomllib.TOMLDecodeError:
            raise ConfigError(
                f"--set {override}: {key.strip()!r} is not a key, expected one such as params.lr"
            ) from None
        if value.strip()[:1] in ("[", "{", '"', "'"):
            raise ConfigError(f"--set {override}: {value.strip()} is not a value of TOML") from None
        _replace_leaf(parsed, value.strip())
    hyper = table.get("hyper")
    swept = axes.described(hyper) if isinstance(hyper, dict | list) else {}
    for path, new in list(axes.leaves(parsed)):
        name = path.partition(".")[2]
        if path.startswith("hyper.") and isinstance(hyper, list):
            raise ConfigError(f"--set {override}: found several [[hyper]] tables, expected one; edit the file")
        if path.startswith("hyper.") and isinstance(hyper, dict):
            _drop(hyper, name)
            hyper[name] = new
            continue
        if path in {key.strip() for keys in swept for key in keys.split(",")}:
            raise ConfigError(f"--set {override}: {path} is swept by [hyper]; say --set hyper.{path}=[...]")
        if path.partition(".")[0] not in _SETTABLE and not names_something(table, path):
            raise ConfigError(
                f"--set {override}: {path} names nothing, expected a key that stands in the file, or one of [params]"
            )
        _set(table, path.split("."), new, override)


def _replace_leaf(table: Table, value: str) -> None:
    for key, inner in table.items():
        if isinstance(inner, dict):
            _replace_leaf(inner, value)
        else:
            table[key] = value


def _drop(hyper: Table, key: str) -> None:
    """Take the swept key `key` out of `[hyper]`, quoted or not."""
    hyper.pop(key, None)
    head, _, rest = key.partition(".")
    if rest and isinstance(hyper.get(head), dict):
        _drop(hyper[head], rest)
        if not hyper[head]:
            del hyper[head]


def _set(table: Table, path: list[str], value: object, override: str) -> None:
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {override}: {part} is no table")
    table[path[-1]] = value


def valid_cards(value: float) -> bool:
    """Whether a trial can be given so many cards: none, a fraction of one, or whole ones."""
    return 0 <= value < 1 or (1 <= value < float("inf") and value == int(value))


def fill(tables: Table, point: Mapping[str, Any]) -> Table:
    """`tables` with each dotted key of `point` set, at any depth; a missing table is made.

    Only the tables on the way are copied, and the rest is shared with `tables`: nobody changes any of them.
    """
    filled = dict(tables)
    for key, value in point.items():
        *parents, last = key.split(".")
        table = filled
        for parent in parents:
            table[parent] = dict(table.get(parent, {}))
            table = table[parent]
        table[last] = value
    return filled


def names_something(tables: Table, key: str) -> bool:
    """Whether the dotted `key` stands in `tables`."""
    value: object = tables
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True
