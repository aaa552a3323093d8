"""Sweep -> points.

Code: space/expand
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from resweep.errors import ConfigError
from resweep.space import expand
from resweep.sweep import definition

_values = st.lists(st.integers(-9, 9) | st.booleans() | st.floats(-1, 1) | st.text(max_size=3), min_size=1, max_size=3)


def _points(text: str) -> list[dict[str, Any]]:
    """The points of a sweep's text, as ParameterGrid has confirmed them."""
    with expand.Space(definition.parse(text, "x.toml")) as grid:
        grid.confirm()
        return list(grid.points())


@settings(deadline=None)
@given(st.dictionaries(st.from_regex(r"params\.[a-z]{1,3}", fullmatch=True), _values, max_size=4))
def test_the_points_are_those_of_parameter_grid(grid: dict[str, list[Any]]) -> None:
    """For any grid written as TOML, the points are scikit-learn's, in its order."""
    from sklearn.model_selection import ParameterGrid

    points = _points(tomli_w.dumps({"hyper": grid}))
    assert json.dumps(points) == json.dumps(list(ParameterGrid(grid)))


def test_the_last_key_of_the_alphabet_varies_fastest() -> None:
    """The order of the points is that of ParameterGrid, and not that of the file."""
    points = _points('[hyper]\n"params.b" = [1, 2]\n"params.a" = [3, 4]\n')
    assert [(p["params.a"], p["params.b"]) for p in points] == [(3, 1), (3, 2), (4, 1), (4, 2)]


@pytest.mark.parametrize("text", ["", "[hyper]\n", "[params]\nlr = 1\n"])
def test_a_file_without_swept_keys_is_one_point(text: str) -> None:
    """What sweeps nothing is one empty point."""
    assert _points(text) == [{}]


@pytest.mark.slow
def test_the_points_are_confirmed_by_a_process_of_its_own_where_scikit_learn_is_not_imported_yet() -> None:
    """The command line does not wait for the import, and asks ParameterGrid all the same."""
    program = """
import sys
from resweep.space import expand
from resweep.sweep import definition
with expand.Space(definition.parse('[hyper]\\nparams.lr = [1, 0.5, "x"]\\nparams.b = [true]', "x.toml")) as grid:
    print(list(grid.points()))
    grid.confirm()
    assert "sklearn" not in sys.modules
    with expand.Space(definition.parse('[hyper]\\nparams.lr = [1]', "x.toml")) as other:
        other._branches = definition.parse('[hyper]\\nparams.lr = [2]', "x.toml").hyper.branches
        try:
            other.confirm()
        except RuntimeError as error:
            print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    points, difference = done.stdout.splitlines()
    assert points == str([{"params.b": True, "params.lr": value} for value in (1, 0.5, "x")])
    assert "expands the grid in another way" in difference


@pytest.mark.parametrize("key", ["params.lr", "params.new", "model.encoder.dim", "seed", "threads", "slurm.mem"])
def test_a_key_that_names_something_is_taken(key: str) -> None:
    """A swept key may stand in the file at any depth, or be a parameter that the template may take."""
    text = f'[hyper]\n"{key}" = [1]\n[params]\nlr = 1\n[model.encoder]\ndim = 1\n[slurm]\nmem = 1\n'
    expand.check_keys(definition.parse(text, "x.toml"))


@pytest.mark.parametrize(
    "key", ["parms.lr", "model.encodr.dim", "model.encoder.dims", "params.nested.typo", "params.lr.deeper", "slurm.qos"]
)
def test_a_key_that_names_nothing_is_refused_by_name(key: str) -> None:
    """A swept key that would quietly make a new table, or stand in [slurm] alone, is a mistake."""
    text = f'[hyper]\n"{key}" = [1]\n[params]\nlr = 1\nnested.right = 1\n[model.encoder]\ndim = 1\n'
    with pytest.raises(ConfigError, match=rf"x\.toml: hyper\.{key}: .*names nothing"):
        expand.check_keys(definition.parse(text, "x.toml"))
