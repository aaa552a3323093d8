"""A search space of AllenTune: a JSON (or jsonnet) table of parameters, each sampled in some way or of one value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resweep.errors import shown
from resweep.importers.translation import N, NoEquivalentError, Translation, number
from resweep.sweep import ext_vars

STRATEGY = "sampling strategy"
_KINDS = {"uniform": "uniform", "loguniform": "loguniform", "integer": "randint"}


def looks_like(found: Mapping[str, Any]) -> bool:
    """Whether a file's table is a search space of AllenTune."""
    return any(isinstance(value, dict) and STRATEGY in value for value in found.values())


def translate(found: Mapping[str, Any], origin: str) -> Translation:
    """The same search space as far as it has an equivalent."""
    said = Translation(f"{origin}, a search space of AllenTune", home=ext_vars.TABLE)
    for key, value in found.items():
        name = str(key)
        if not isinstance(value, dict) or STRATEGY not in value:
            said.constant(name, value)
            continue
        try:
            said.swept(name, _form(value))
        except NoEquivalentError as error:
            said.lost.append(f"{name}: {error}")
    if said.hyper:
        n = said.at_most(N)
        said.search = {"method": "random", "n": n}
        said.lost.append(f"--num-samples: was said on AllenTune's command line; {n} points are drawn here")
    return said


def _form(spec: Mapping[str, Any]) -> Any:
    strategy = spec[STRATEGY]
    if strategy == "choice":
        choices = spec.get("choices")
        if not isinstance(choices, list):
            raise NoEquivalentError(f"found {shown(choices)}, expected a list of choices")
        return choices
    bounds = spec.get("bounds")
    if strategy not in list(_KINDS):
        raise NoEquivalentError(f"the sampling strategy {shown(strategy)} has no equivalent")
    if not isinstance(bounds, list) or len(bounds) != 2:
        raise NoEquivalentError(f"found the bounds {shown(bounds)}, expected two numbers")
    low, high = map(number, bounds)
    if strategy == "integer":
        low, high = (int(end) if isinstance(end, float) and end.is_integer() else end for end in (low, high))
    return [low] if low == high and strategy != "integer" else {_KINDS[strategy]: [low, high]}
