"""Optuna's samplers and pruners, made of the words of `[search]`."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from resweep.errors import ConfigError, shown
from resweep.sweep.search_table import PRUNERS, SAMPLERS, Search, StopRule

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

EXTRA = "pip install 'resweep[search]'"
# what some samplers import when they are asked, in the midst of a search
NEEDS = {"cmaes": (("cmaes",), EXTRA), "gp": (("scipy", "torch"), "pip install scipy torch")}
# the types in the signatures of Optuna's classes that a TOML can give; the others are objects of Python
_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str": (str,),
    "dict": (dict,),
    "list": (list,),
    "Sequence": (list,),
}


def optuna() -> Any:
    """The library, silent but for errors; a ConfigError that names the extra where it is not installed."""
    try:
        import optuna as library
    except ImportError:
        raise ConfigError(f"search: needs Optuna, which is not installed: {EXTRA}") from None
    library.logging.set_verbosity(library.logging.ERROR)
    warnings.filterwarnings("ignore", category=library.exceptions.ExperimentalWarning)
    # several workers with seeds of their own are meant
    warnings.filterwarnings("ignore", module=r"optuna\.samplers")
    return library


def check(where: str, search: Search) -> None:
    """Refuse what Optuna would not take: a ConfigError. Without a search that needs it, Optuna is not imported."""
    if search.learns:
        sampler(where, search, 0)
    if search.stop is not None:
        pruner(where, search.stop)


def sampler(where: str, search: Search, seed: int) -> BaseSampler:
    """The sampler that the search asks, its random numbers from `seed`."""
    kind = getattr(optuna().samplers, SAMPLERS[search.method])
    packages, how = NEEDS.get(search.method, ((), ""))
    for name in packages:
        if not _installed(name):
            raise ConfigError(f"{where}: search.method: {search.method} needs {name}, which is not installed: {how}")
    if "seed" in search.options:
        raise ConfigError(f"{where}: search.options.seed: has no effect, expected search.seed")
    made = _made(f"{where}: search.options", kind, {**search.options, "seed": seed}, own=("seed",))
    if search.method == "bruteforce":
        # it would stop a loop of Optuna's when nothing is left; ours sees that for itself
        made.after_trial = lambda *_: None
    return made  # type: ignore[no-any-return]


def pruner(where: str, rule: StopRule, turned: bool = False) -> BasePruner:
    """The pruner that says which trials are stopped early. `patient` may wait on another one: of = "median".

    Where the values that it sees are `turned`, the negative of what was measured, its bounds are, too.
    """
    kind = getattr(optuna().pruners, PRUNERS[rule.method])
    arguments = dict(rule.arguments)
    place = f"{where}: search.stop"
    if rule.method == "patient":
        inner = arguments.pop("of", None)
        if "wrapped_pruner" in arguments:
            raise ConfigError(f'{place}.wrapped_pruner: is no text, expected of = "asha", "hyperband" or "median"')
        if inner is not None and (
            not isinstance(inner, str) or inner not in PRUNERS or inner in ("patient", "percentile", "threshold")
        ):
            raise ConfigError(f"{place}.of: found {shown(inner)}, expected asha, hyperband or median")
        arguments["wrapped_pruner"] = getattr(optuna().pruners, PRUNERS[inner])() if inner else None
        return _made(place, kind, arguments, own=("wrapped_pruner",))  # type: ignore[no-any-return]
    made = _made(place, kind, arguments)
    if rule.method == "threshold" and turned:
        bounds = {"lower": arguments.get("upper"), "upper": arguments.get("lower")}
        arguments |= {name: None if value is None else -value for name, value in bounds.items()}
        made = kind(**arguments)
    return made  # type: ignore[no-any-return]


def _made(place: str, kind: Any, arguments: Mapping[str, Any], own: tuple[str, ...] = ()) -> Any:
    """An object of one of Optuna's classes; a ConfigError for arguments that it does not take."""
    taken = inspect.signature(kind).parameters
    for name, value in arguments.items():
        if name in own:
            continue
        if name not in taken:
            known = ", ".join(key for key, each in taken.items() if key not in own and _expected(each.annotation))
            raise ConfigError(f"{place}.{name}: {kind.__name__} does not take it, expected some of {known}")
        expected = _expected(taken[name].annotation)
        if not any(_is(value, each) for each in expected):
            what = " or ".join(expected) or "nothing: it takes objects of Python alone"
            raise ConfigError(f"{place}.{name}: found {shown(value)}, expected {what}")
    missing = [
        name for name, each in taken.items() if each.default is inspect.Parameter.empty and name not in arguments
    ]
    if missing:
        raise ConfigError(f"{place}.{missing[0]}: is missing, and {kind.__name__} needs it")
    try:
        return kind(**{name: value for name, value in arguments.items() if name in taken})
    except (TypeError, ValueError, ImportError) as error:
        said = " ".join(str(error).split())
        raise ConfigError(f"{place}: {kind.__name__} says: {said}") from None


def _installed(name: str) -> bool:
    return sys.modules[name] is not None if name in sys.modules else importlib.util.find_spec(name) is not None


def _expected(annotation: object) -> list[str]:
    """The types of an argument that a TOML can give."""
    said = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    parts = [part.strip().partition("[")[0] for part in said.split("|")]
    return [part for part in parts if part in _KINDS]


def _is(value: object, kind: str) -> bool:
    return isinstance(value, _KINDS[kind]) and (kind == "bool" or not isinstance(value, bool))
