"""Sweep -> points: every assignment of the swept parameters, as scikit-learn expands or draws them."""

from __future__ import annotations

import hashlib
import itertools
import pickle
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from resweep import layout
from resweep.errors import ConfigError
from resweep.space import sample
from resweep.sweep import dotted_keys, ext_vars
from resweep.sweep.definition import Sweep
from resweep.sweep.hyper_table import Axis, Branch
from resweep.sweep.ranges import Distribution

Point = dict[str, Any]

MANY = 10_000  # trials that may be a slip of the pen

# argv: where this package lies; stdin: what to do, pickled; stdout: what came of it, pickled
_CHILD = """
import gc, pickle, sys
gc.disable()
sys.path.insert(0, sys.argv[1])
from resweep.space import expand
pickle.dump(expand.answer(*pickle.load(sys.stdin.buffer)), sys.stdout.buffer)
"""


class Space:
    """The points of a sweep, as sklearn.model_selection's ParameterGrid or ParameterSampler has them.

    Importing scikit-learn takes 0.7 s, longer than filling and writing a thousand trials. So a process of its own asks
    it, while this one goes on: with what ParameterGrid will say, the product of the values, keys in the order of the
    alphabet, the last varying fastest. Whoever writes anything calls `confirm` first. Random points are waited for.
    """

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._branches = sweep.hyper.branches
        self._random = sweep.search.method == "random"
        self._answer: Any = None
        self.idle_exclusions: list[Point] = []  # those that matched nothing, once every point is known
        self._process: subprocess.Popen[bytes] | None = None
        self._learns = sweep.search.learns
        if sweep.hyper.keys and not self._learns and "sklearn.model_selection" not in sys.modules:
            command = [sys.executable, "-B", "-c", _CHILD, str(Path(__file__).parent.parent.parent)]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
            assert self._process.stdin
            self._process.stdin.write(pickle.dumps(self._question()))
            self._process.stdin.close()

    def __enter__(self) -> Space:
        """Nothing more: the expanding has started."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the expanding when its result was not wanted."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def points(self) -> Iterator[Point]:
        """Every point, one after another; one empty point when nothing is swept. A ConfigError when there is none.

        A search that learns has none yet.
        """
        hyper = self._sweep.hyper
        if self._learns:
            return
        if hyper.include_default:
            yield default(self._sweep)
        if not hyper.keys:
            if not hyper.include_default:
                yield {}
            return
        if self._random:
            yield from self._drawn()
            return
        none = True
        idle = []
        for branch in self._branches:
            used: set[int] = set()
            for values in grid(branch):
                matched = branch.excluded(values) if branch.exclude else ()
                used.update(matched)
                if not matched:
                    none = False
                    yield values
            idle += [table for number, table in enumerate(branch.exclude) if number not in used]
        if none:
            raise ConfigError(f"{self._sweep.where}: hyper.exclude: leaves no point at all, expected at least one")
        self.idle_exclusions = idle

    def doubts(self) -> list[str]:
        """What is allowed and looks like a mistake, once every point is known: a line each."""
        return [
            f"{self._sweep.where}: hyper.exclude: {layout.brief(table)} matches no point"
            for table in self.idle_exclusions
        ]

    def confirm(self) -> None:
        """Wait for scikit-learn's own answer; anything but the same points in the same order is a bug."""
        if not self._sweep.hyper.keys or self._random or self._learns:
            return
        expected = self._asked()
        if expected != fingerprint(itertools.chain.from_iterable(map(grid, self._branches))):
            raise RuntimeError("ParameterGrid of the installed scikit-learn expands the grid in another way")

    def _drawn(self) -> list[Point]:
        points: list[Point] = self._asked()
        wanted = self._sweep.search.n
        if not points:
            raise ConfigError(f"{self._sweep.where}: hyper.exclude: leaves no point at all, expected at least one")
        if len(points) < wanted:
            raise ConfigError(
                f"{self._sweep.where}: search.n: found {wanted}, expected at most {len(points)}: no more different "
                "points could be drawn"
            )
        return points

    def _question(self) -> tuple[Any, ...]:
        search = self._sweep.search
        return (self._branches, self._random, search.n, search.seed)

    def _asked(self) -> Any:
        if self._answer is None and self._process is None:
            self._answer = answer(*self._question())
        elif self._answer is None:
            assert self._process
            assert self._process.stdout
            self._answer = pickle.load(self._process.stdout)
        return self._answer


def default(sweep: Sweep) -> Point:
    """The values of the file itself, of every swept key that has one; [slurm] holds for it without being said."""
    tables = _tables(sweep)
    keys = [key for key in sweep.hyper.keys if dotted_keys.names_something(tables, key)]
    return {key: dotted_keys.given(tables, key) for key in keys if not key.startswith("slurm.")}


def probes(sweep: Sweep) -> list[Point]:
    """A point of each table, to try the template with before a search asks for any."""
    return [
        {
            key: value
            for axis in sorted(branch.axes, key=lambda axis: axis.name)
            for key, value in axis.assign(_first(axis)).items()
        }
        for branch in sweep.hyper.branches
    ]


def _first(axis: Axis) -> Any:
    return axis.values.arguments[0] if isinstance(axis.values, Distribution) else axis.values[0]


def grid(branch: Branch) -> Iterator[Point]:
    """Every point of one table of lists, in the order of ParameterGrid."""
    axes = sorted(branch.axes, key=lambda axis: axis.name)
    if all(len(axis.keys) == 1 for axis in axes):
        keys = [axis.keys[0] for axis in axes]
        for values in itertools.product(*(_list(axis) for axis in axes)):
            yield dict(zip(keys, values, strict=True))
        return
    for values in itertools.product(*(_list(axis) for axis in axes)):
        yield {key: each for axis, value in zip(axes, values, strict=True) for key, each in axis.assign(value).items()}


def _list(axis: Axis) -> tuple[Any, ...]:
    assert not isinstance(axis.values, Distribution), "refused when it was read"
    return axis.values


def answer(branches: tuple[Branch, ...], random: bool, n: int, seed: int) -> Any:
    """scikit-learn's answer: the points that it draws, or a fingerprint of those of its grid."""
    if random:
        return list(itertools.islice(sample.points(branches, seed), n))
    from sklearn.model_selection import ParameterGrid

    axes = {axis.name: axis for branch in branches for axis in branch.axes}
    tables = [{axis.name: list(_list(axis)) for axis in branch.axes} for branch in branches]
    points = ParameterGrid(tables)
    return fingerprint(
        {key: each for name, value in point.items() for key, each in axes[name].assign(value).items()}
        for point in points
    )


def fingerprint(points: Iterable[Point]) -> tuple[int, str]:
    """How many points there are, and a digest of them in their order."""
    digest, count = hashlib.sha256(), 0
    for count, point in enumerate(points, 1):  # noqa: B007
        digest.update(repr(sorted(point.items())).encode("utf-8", "surrogatepass"))
    return count, digest.hexdigest()


def check_keys(sweep: Sweep) -> None:
    """Refuse a swept key that names nothing: a ConfigError.

    What does not stand in [params] or [ext_vars] is the template's to take or refuse; every other key must stand in
    the file.
    """
    tables = _tables(sweep)
    for key in sweep.hyper.keys:
        head, *rest = dotted_keys.parts(key)
        new = head in ("params", ext_vars.TABLE) and rest and rest[0] not in sweep.config.get(head, {})
        if new or dotted_keys.names_something(tables, key):
            continue
        raise ConfigError(f"{sweep.where}: hyper.{key}: {key} names nothing, expected a key that stands in this file")


def _tables(sweep: Sweep) -> dict[str, Any]:
    return {"seed": sweep.seed, "threads": sweep.threads, **sweep.config, "slurm": sweep.slurm}
