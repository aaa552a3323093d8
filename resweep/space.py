"""Sweep -> points: every assignment of the swept parameters, in the order of scikit-learn's ParameterGrid."""

from __future__ import annotations

from typing import Any

from resweep.errors import ConfigError
from resweep.sweep import Sweep, names_something

Point = dict[str, Any]


def points(sweep: Sweep) -> list[Point]:
    """Every point of the sweep; one empty point when nothing is swept.

    The last key, in the order of the alphabet, varies fastest (sklearn.model_selection.ParameterGrid).
    """
    if not sweep.hyper:
        return [{}]
    from sklearn.model_selection import ParameterGrid  # 0.7 s: only who generates waits for it

    return list(ParameterGrid(sweep.hyper))


def check_keys(sweep: Sweep) -> None:
    """Refuse a swept key that names nothing: a ConfigError.

    `params.X` that does not stand in [params] is the template's to take or refuse; every other key must stand in the
    file.
    """
    tables = {"seed": sweep.seed, "threads": sweep.threads, **sweep.config, "slurm": sweep.slurm}
    for key in sweep.hyper:
        head, *rest = key.split(".")
        if names_something(tables, key) or (head == "params" and rest and rest[0] not in sweep.params):
            continue
        raise ConfigError(f"{sweep.where}: hyper.{key}: {key} names nothing, expected a key that stands in this file")
