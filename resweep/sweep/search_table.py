"""`[search]` -> how points are chosen, which trials are stopped early, and when the search is over.

method = "grid"                 all combinations (the default); "random": `n` points drawn from `seed`
method = "tpe"                  points that learn from results: any of Optuna's samplers by its name
n, seed                         how many points; finished and pruned ones count
start_from = ["rnn"]            sweeps whose finished trials the search begins with
stop_after = { value = 0.95, hours = 8, without_improvement = 30 }    whichever comes first
[search.options]                arguments of the sampler, as Optuna has them
[search.stop]                   method = "asha", ...: ends trials that do badly; metric, and the pruner's arguments
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from resweep import layout
from resweep.errors import ConfigError
from resweep.sweep.hyper_table import Hyper
from resweep.sweep.ranges import Distribution
from resweep.sweep.toml_reader import Reader

# our names -> Optuna's; those of its samplers that need neither a space written twice nor another sampler
SAMPLERS = {
    "tpe": "TPESampler",
    "gp": "GPSampler",
    "cmaes": "CmaEsSampler",
    "nsgaii": "NSGAIISampler",
    "nsgaiii": "NSGAIIISampler",
    "qmc": "QMCSampler",
    "bruteforce": "BruteForceSampler",
}
BLIND = ("qmc", "bruteforce")  # samplers that go their way whatever the results are
PRUNERS = {
    "asha": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
    "median": "MedianPruner",
    "percentile": "PercentilePruner",
    "patient": "PatientPruner",
    "threshold": "ThresholdPruner",
}
FIXED = ("grid", "random")  # methods whose points are known beforehand
KEYS = ("method", "n", "seed", "options", "start_from", "stop_after", "stop")

Table = dict[str, Any]


@dataclass(frozen=True)
class StopRule:
    """`[search.stop]`: which trials are stopped early, judged by `metric` (none: that of `[results]`).

    `mode` says whether high or low is good, none: as for `[results]`, and of another metric
    than that one what its name suggests; `arguments` are the pruner's.
    """

    method: str
    metric: str | None = None
    mode: str | None = None
    arguments: Table = field(default_factory=dict)


@dataclass(frozen=True)
class StopAfter:
    """`stop_after`: what ends a search before it has its `n` points."""

    value: float | None = None
    hours: float | None = None
    without_improvement: int | None = None


@dataclass(frozen=True)
class Search:
    """`[search]`: all points of a grid, `n` drawn at random from `seed`, or `n` that a sampler of Optuna's asks for."""

    method: str = "grid"
    n: int = 0
    seed: int = 0
    options: Table = field(default_factory=dict)
    start_from: tuple[str, ...] = ()
    stop_after: StopAfter = StopAfter()
    stop: StopRule | None = None

    @property
    def learns(self) -> bool:
        """Whether which point comes next depends on results: nobody knows the trials beforehand."""
        return self.method not in FIXED

    @property
    def chooses(self) -> bool:
        """Whether it chooses points by what came of earlier ones: they are no independent draws, nor a finite grid."""
        return self.learns and self.method not in BLIND

    def record(self) -> Table | None:
        """What a generation keeps of it; None for a plain grid. What is left out has its default."""
        if self == Search():
            return None
        own = {key: value for key, value in vars(self).items() if value != getattr(Search(), key)}
        if self.stop_after != StopAfter():
            own["stop_after"] = {key: value for key, value in asdict(self.stop_after).items() if value is not None}
        if self.stop is not None:
            own["stop"] = {key: value for key, value in asdict(self.stop).items() if value}
        return {"method": self.method, "n": self.n, "seed": self.seed, **own}


def read(where: str, tables: Mapping[str, Any], hyper: Hyper, metric: str | None) -> Search:
    """Read a file's `[search]`, for what `[hyper]` sweeps and the metric of `[results]`; a ConfigError for mistakes."""
    reader = Reader(where)
    table = reader.table(tables, "search", KEYS)
    method = _method(reader, table)
    n = reader.whole(table, "search.n", least=1) or 0
    _check_points(reader, method, n, table, hyper)
    search = Search(
        method=method,
        n=n,
        seed=reader.whole(table, "search.seed", least=0) or 0,
        options=dict(reader.table(table, "search.options")),
        start_from=reader.texts(table, "search.start_from") or (),
        stop_after=_stop_after(reader, table),
        stop=_stop(reader, table),
    )
    return _checked(reader, search, metric)


def _method(reader: Reader, table: Table) -> str:
    value = table.get("method", "grid")
    by_class = {name.lower(): own for own, name in SAMPLERS.items()}
    known = {**dict.fromkeys((*FIXED, *SAMPLERS)), **by_class, **ELSEWHERE}
    if not isinstance(value, str) or value.lower() not in known:
        raise reader.wrong("search.method", value, "one of " + ", ".join((*FIXED, *SAMPLERS)) + _close(value, known))
    return {**by_class, **ELSEWHERE}.get(value.lower(), value.lower())


ELSEWHERE = {"bayes": "tpe"}  # what other tools call the usual way to learn from results


def _close(value: object, known: Collection[str]) -> str:
    """What was perhaps meant."""
    found = difflib.get_close_matches(value.lower(), known, 1) if isinstance(value, str) else []
    return f"; did you mean {found[0]}?" if found else ""


def _check_points(reader: Reader, method: str, n: int, table: Table, hyper: Hyper) -> None:
    """Whether the method can search what is swept."""
    where = reader.where
    if method == "grid" and hyper.random:
        raise ConfigError(
            f"{where}: hyper: found distributions, which a grid cannot hold, expected [search] method = "
            '"random" or "tpe"'
        )
    if method == "grid" and "n" in table:
        raise ConfigError(f'{where}: search.n: has no meaning for a grid, expected method = "random" or "tpe"')
    if method != "grid" and not n:
        what = "to draw" if method == "random" else "to try"
        raise ConfigError(f"{where}: search.n: is missing, expected how many points {what}, such as n = 100")
    if method != "grid" and not hyper.keys:
        raise ConfigError(f"{where}: hyper: found nothing to draw from, expected keys with lists or distributions")
    if method in FIXED:
        return
    slurm = next((key for key in hyper.keys if key.startswith("slurm.")), None)
    if slurm:
        raise ConfigError(
            f"{where}: hyper.{slurm}: cannot be searched, since workers have their job before a point is asked for; "
            "expected it in [slurm]"
        )
    for branch in hyper.branches:
        for axis in branch.axes:
            _check_axis(reader, method, axis.name, axis.values)


def _check_axis(reader: Reader, method: str, name: str, values: object) -> None:
    """Refuse what Optuna has no distribution for."""
    place = f"{reader.where}: hyper.{name}"
    if not isinstance(values, Distribution):
        return
    if values.weights:
        raise ConfigError(f'{place}: found weights, which only method = "random" heeds, expected a list of values')
    if method == "bruteforce" and values.kind not in ("choice", "randint") and not values.step:
        raise ConfigError(
            f"{place}: found {values.kind}, which has no end of values, expected lists or steps for method = "
            '"bruteforce"'
        )
    if values.step and values.kind not in ("uniform", "randint"):
        raise ConfigError(f'{place}: found a step, which only uniform and randint take where method = "{method}"')


def _stop_after(reader: Reader, table: Table) -> StopAfter:
    words = reader.table(table, "search.stop_after", ("value", "hours", "without_improvement"))
    return StopAfter(
        value=reader.number(words, "search.stop_after.value"),
        hours=reader.number(words, "search.stop_after.hours", above=0),
        without_improvement=reader.whole(words, "search.stop_after.without_improvement", least=1),
    )


def _stop(reader: Reader, table: Table) -> StopRule | None:
    if "stop" not in table:
        return None
    words = reader.table(table, "search.stop")
    if "method" not in words:
        raise ConfigError(f"{reader.where}: search.stop.method: is missing, expected one of {', '.join(PRUNERS)}")
    method = words["method"]
    by_class = {name.lower(): own for own, name in PRUNERS.items()}
    known = {**dict.fromkeys(PRUNERS), **by_class}
    if not isinstance(method, str) or method.lower() not in known:
        raise reader.wrong("search.stop.method", method, "one of " + ", ".join(PRUNERS) + _close(method, known))
    return StopRule(
        method=by_class.get(method.lower(), method.lower()),
        metric=reader.text(words, "search.stop.metric"),
        mode=reader.text(words, "search.stop.mode", ("max", "min")),
        arguments={key: value for key, value in words.items() if key not in ("method", "metric", "mode")},
    )


def _checked(reader: Reader, search: Search, metric: str | None) -> Search:
    """Refuse words that have no meaning together; nothing that is said is silently without effect."""
    for key, said in (("options", search.options), ("start_from", search.start_from)):
        if said and not search.learns:
            raise ConfigError(
                f'{reader.where}: search.{key}: has no meaning for method = "{search.method}", expected "tpe" or '
                "another of Optuna's samplers"
            )
    if search.stop_after != StopAfter() and not search.learns:
        raise ConfigError(
            f'{reader.where}: search.stop_after: has no meaning for method = "{search.method}", expected "tpe" or '
            "another of Optuna's samplers"
        )
    if search.learns and not metric:
        raise ConfigError(
            f"{reader.where}: results.metric: is missing, expected what the search is to improve, such as metric = "
            '"best_validation_accuracy"'
        )
    if search.stop and not (search.stop.metric or metric):
        raise ConfigError(
            f"{reader.where}: search.stop.metric: is missing, expected what trials are judged by while they run"
        )
    for name in search.start_from:
        layout.check_name(name)
    return search
