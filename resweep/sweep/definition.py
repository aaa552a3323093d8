"""TOML text -> Sweep: what to try, validated and typed; every mistake names file, key, found and expected.

The tool reads its own tables and a few keys; everything else is the researcher's configuration, and travels whole
into every trial.

    n_trials = 3                          repeats of each point, trial 0, 1, 2 (default 1)
    seed = 0                              trial t gets seed + t (default 0)
    threads = 1                           of the numerical libraries (default 1)
    seed_params = ["random_seed", ...]    the arguments of the template that take the seed, or "ext_vars.SEED"
    [hyper]       dotted key -> values; every combination is a point: see `axes`; several: [[hyper]]
    [search]      method = "random", n, seed: so many points drawn instead; "tpe", ...: see `strategy`
    [params]      arguments of the template (part of the configuration)
    [ext_vars]    its external variables, std.extVar (part of the configuration): see `ext_vars`
    [jsonnet]     jpath = ["lib"]         folders where its imports are looked for, too
    [slurm]       options of sbatch, and a few words of our own: see `resources`
    [run]         python = "..."          the interpreter that builds the snapshot and trains
                  gpus = 0.5              cards for each trial; a fraction shares one
                  on_retry = "resume"     a new attempt goes on with the last one's output
                  make_output = false     training makes its output directory, and refuses one that exists
                  grace = 60              seconds between TERM and KILL (default 10; in a Slurm job the site's)
    [snapshot]    include, exclude, from
    [data]        files = ["data/*.json"] shared files whose content is checked before each attempt
    [results]     metric, mode
                  pattern = '...'         a regular expression: numbers in the log, by named groups
                  weights = ["*.th", ...] files of the output that `clean --weights` removes
                  compare, ignore         what `reproduce` compares: files; files and metrics that it does not
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from resweep.errors import ConfigError
from resweep.sweep import ext_vars, hyper_table, metric_mode, override, ranges, search_table, slurm_table
from resweep.sweep.dotted_keys import names_something
from resweep.sweep.hyper_table import Hyper
from resweep.sweep.ranges import Distribution
from resweep.sweep.search_table import Search as Search
from resweep.sweep.toml_reader import Reader

TOOL_TABLES = ("hyper", "search", "slurm", "run", "results", "snapshot", "data", "jsonnet")
# What a generated {id}.toml says of itself: feeding it to `generate` again gives the same point, not another one.
TRIAL_KEYS = ("generated_id", "name", "trial", "conf_dir", "conf_path", "allennlp_conf", "serialization_dir")
TOP_KEYS = ("n_trials", "seed", "threads", "seed_params")
SEED_PARAMS = ("random_seed", "numpy_seed", "pytorch_seed")  # AllenNLP's three
# the first words of keys that are not a trial's
_NOT_SWEPT = frozenset({*(set(TOOL_TABLES) - {"slurm"}), *TRIAL_KEYS, "n_trials", "seed_params"})
# what --set may also add, because it means something without standing in the file
_SETTABLE = (*TOOL_TABLES, "params", ext_vars.TABLE, "n_trials", "seed", "threads", "seed_params")

# what training frameworks call the files that fill disks
WEIGHTS = ("*.th", "*.pt", "*.pth", "*.ckpt", "*.safetensors", "*.bin", "model.tar.gz", "*.h5")

# what trainings call the place of a measurement in time: in lines of metrics.jsonl, and as groups of `pattern`
STEPS = ("step", "global_step", "iteration", "epoch")

_FORMS = (*ranges.RANGES, *ranges.DISTRIBUTIONS)

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
    grace: float | None = None  # seconds between TERM and KILL
    make_output: bool = True
    jpath: tuple[str, ...] = ()  # folders of jsonnet's libraries, relative to the project
    n_trials: int = 1
    seed: int = 0
    threads: int = 1
    seed_params: tuple[str, ...] = SEED_PARAMS

    @property
    def run_options(self) -> Table:
        """What of `[run]` the launcher must know of a capsule that lies alone: only where it says something."""
        return {} if self.make_output else {"make_output": False}

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
        text = path.read_bytes().decode("utf-8-sig")  # an editor may put a byte order mark in front
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
    try:
        return _read(table, text, where, overrides)
    except ConfigError as error:
        # what is missing may stand there, misspelt
        said = "".join(f"; found {key}, did you mean {meant}?" for key, meant in misspelt(table).items())
        raise ConfigError(f"{error}{said}") from None


def misspelt(table: Table) -> dict[str, str]:
    """The keys of a file that are almost one of the tool's own, which is what was perhaps meant."""
    known = (*TOOL_TABLES, *TOP_KEYS, "params", ext_vars.TABLE)
    close = {key: difflib.get_close_matches(key, known, 1, cutoff=0.8) for key in table if key not in known}
    return {key: found[0] for key, found in close.items() if found}


def _read(table: Table, text: str, where: str, overrides: tuple[str, ...]) -> Sweep:
    reader = Reader(where)
    hyper = hyper_table.read(where, table.get("hyper", {}), _NOT_SWEPT)
    for taken in ext_vars.from_environment(where, table, hyper.keys):
        override.apply(table, taken, _SETTABLE)
        overrides += (taken,)
    _check_slurm_values(where, hyper)
    _check_forms(where, table, hyper)
    results = _results(reader, table)
    data = reader.table(table, "data", ("files",))
    run = reader.table(table, "run", ("python", "gpus", "on_retry", "grace", "make_output"))
    slurm_table.check(where, reader.table(table, "slurm"))
    ranges.check_numbers(where, "params", reader.table(table, "params"))
    config = {key: value for key, value in table.items() if key not in (*TOOL_TABLES, *TRIAL_KEYS, "n_trials")}
    return Sweep(
        where=where,
        text=text,
        overrides=overrides,
        hyper=hyper,
        search=search_table.read(where, table, hyper, results.metric),
        config=config,
        slurm=table.get("slurm", {}),
        snapshot=_snapshot(reader, table),
        results=results,
        data=reader.texts(data, "data.files") or (),
        python=reader.text(run, "run.python"),
        gpus=_cards(reader, run),
        resume=reader.text(run, "run.on_retry", ("clean", "resume")) == "resume",
        grace=reader.number(run, "run.grace", above=0),
        make_output=reader.flag(run, "run.make_output", True),
        jpath=reader.texts(reader.table(table, "jsonnet", ("jpath",)), "jsonnet.jpath") or (),
        n_trials=reader.whole(table, "n_trials", least=1) or 1,
        seed=reader.whole(table, "seed", least=0) or 0,
        threads=reader.whole(table, "threads", least=1) or 1,
        seed_params=_or(reader.texts(table, "seed_params"), SEED_PARAMS),
    )


def _snapshot(reader: Reader, table: Table) -> SnapshotOptions:
    words = reader.table(table, "snapshot", ("include", "exclude", "from"))
    return SnapshotOptions(
        include=reader.texts(words, "snapshot.include") or (),
        exclude=reader.texts(words, "snapshot.exclude") or (),
        source=reader.text(words, "snapshot.from", ("build", "git")) or "build",
        where=reader.where,
    )


def _results(reader: Reader, table: Table) -> ResultsOptions:
    words = reader.table(table, "results", ("metric", "mode", "weights", "compare", "ignore", "pattern"))
    metric = reader.text(words, "results.metric")
    return ResultsOptions(
        metric=metric,
        mode=reader.text(words, "results.mode", ("max", "min")) or metric_mode.guessed(metric or ""),
        weights=_or(reader.texts(words, "results.weights"), WEIGHTS),
        compare=reader.texts(words, "results.compare") or (),
        ignore=reader.texts(words, "results.ignore") or (),
        pattern=_pattern(reader, words),
    )


def _or(said: tuple[str, ...] | None, default: tuple[str, ...]) -> tuple[str, ...]:
    """What was said, be it nothing at all, or else the default."""
    return default if said is None else said


def tables(text: str, where: str, overrides: tuple[str, ...] = ()) -> Table:
    """The tables of a sweep's TOML `text` with `overrides` applied, not yet checked."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not valid TOML: {error}") from None
    for each in overrides:
        override.apply(table, each, _SETTABLE)
    return table


def _pattern(reader: Reader, results: Table) -> str | None:
    """A regular expression whose groups name what the log tells."""
    key = "results.pattern"
    value = reader.text(results, key)
    if value is None:
        return None
    try:
        named = re.compile(value).groupindex
    except re.error as error:
        raise reader.wrong(key, value, f"a regular expression ({error})") from None
    if not set(named) - set(STEPS):
        raise reader.wrong(key, value, r"a named group for each metric, such as 'val_acc=(?P<val_acc>\S+)'")
    return value


def _cards(reader: Reader, run: Table) -> float | None:
    value = run.get("gpus")
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not valid_cards(value):
        raise reader.wrong("run.gpus", value, "a number of cards: 0, 1, 2, ... or a fraction of one, such as 0.5")
    return float(value)


def _check_forms(where: str, table: Table, hyper: Hyper) -> None:
    """Refuse a misspelt range or distribution, which would be a key of its own below the swept one."""
    for key in hyper.keys:
        parent, _, last = key.rpartition(".")
        close = difflib.get_close_matches(last, _FORMS, 1, cutoff=0.8)
        if close and last not in _FORMS and parent.count(".") and not names_something(table, parent):
            raise ConfigError(
                f"{where}: hyper.{parent}: found {last}, did you mean {close[0]}? A key of your own would want a table "
                f"[{parent}]"
            )


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
                slurm_table.check(where, {key.partition(".")[2]: value}, "hyper.slurm", swept=True)


def valid_cards(value: float) -> bool:
    """Whether a trial can be given so many cards: none, a fraction of one, or whole ones."""
    return 0 <= value < 1 or (1 <= value < float("inf") and value == int(value))
