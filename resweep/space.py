"""Sweep -> points: every assignment of the swept parameters, in the order of scikit-learn's ParameterGrid."""

from __future__ import annotations

import itertools
import pickle
import subprocess
import sys
from typing import Any

from resweep.errors import ConfigError
from resweep.sweep import Sweep, names_something

Point = dict[str, Any]

# argv: nothing; stdin: the pickled grid; stdout: its pickled points
_EXPAND = """
import gc, pickle, sys
gc.disable()
grid = pickle.load(sys.stdin.buffer)
from sklearn.model_selection import ParameterGrid
pickle.dump(list(ParameterGrid(grid)), sys.stdout.buffer)
"""


class Grid:
    """The points of a sweep, expanded by sklearn.model_selection.ParameterGrid.

    Importing scikit-learn takes 0.7 s, longer than filling and writing a thousand trials. So a process of its own asks
    ParameterGrid, while this one goes on with what it will say: the product of the values, keys in the order of the
    alphabet, the last varying fastest. Whoever writes anything calls `confirm` first.
    """

    def __init__(self, sweep: Sweep) -> None:
        self._hyper = dict(sweep.hyper)
        self._process: subprocess.Popen[bytes] | None = None
        if self._hyper and "sklearn.model_selection" not in sys.modules:
            command = [sys.executable, "-B", "-c", _EXPAND]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
            assert self._process.stdin
            self._process.stdin.write(pickle.dumps(self._hyper))
            self._process.stdin.close()

    def __enter__(self) -> Grid:
        """Nothing more: the expanding has started."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the expanding when its result was not wanted."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def points(self) -> list[Point]:
        """Every point; one empty point when nothing is swept."""
        keys = sorted(self._hyper)
        return [dict(zip(keys, values, strict=True)) for values in itertools.product(*(self._hyper[k] for k in keys))]

    def confirm(self) -> None:
        """Wait for ParameterGrid's own answer; anything but the same points in the same order is a bug."""
        if not self._hyper:
            return
        if self._process is None:
            from sklearn.model_selection import ParameterGrid

            expected = list(ParameterGrid(self._hyper))
        else:
            assert self._process.stdout
            expected = pickle.load(self._process.stdout)
        if expected != self.points():
            raise RuntimeError("ParameterGrid of the installed scikit-learn expands the grid in another way")


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
