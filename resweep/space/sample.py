"""Branches -> random points, drawn by scikit-learn's ParameterSampler, each from the sweep's seed and its own number.

So the same seed gives the same points, and more of them are these and others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from resweep import layout
from resweep.sweep.hyper_table import Axis, Branch
from resweep.sweep.ranges import Distribution

REDRAWS = 1000  # draws for one point, beside 20 for each point that there is, before the space counts as used up

_TABLE = ""  # no key is called so: which table of several a point was drawn from


def points(branches: Sequence[Branch], seed: int) -> Iterator[dict[str, Any]]:
    """Different points, none of them excluded, until no other is found."""
    from numpy.random import SeedSequence
    from sklearn.model_selection import ParameterSampler

    tables = [
        {_TABLE: [number], **{axis.name: _drawable(axis) for axis in branch.axes}}
        for number, branch in enumerate(branches)
    ]
    size = _size(branches)
    patience = REDRAWS + 20 * min(size, 100_000)
    found: set[str] = set()
    met: set[tuple[int, str]] = set()  # of each table, with those that it excludes
    for number in range(2**31):
        for attempt in range(patience):
            if size and len(met) == size:
                return
            state = int(SeedSequence([seed, number, attempt]).generate_state(1)[0])
            (drawn,) = ParameterSampler(tables, 1, random_state=state)
            branch = branches[drawn[_TABLE]]
            point = _point(branch, drawn)
            key = layout.canonical(point)
            met.add((drawn[_TABLE], key))
            if key not in found and not branch.excluded(point):
                found.add(key)
                yield point
                break
        else:
            return


def _point(branch: Branch, drawn: Mapping[str, Any]) -> dict[str, Any]:
    ordered = sorted(branch.axes, key=lambda axis: axis.name)
    return {key: each for axis in ordered for key, each in axis.assign(_plain(drawn[axis.name])).items()}


def _plain(value: Any) -> Any:
    """A number of numpy's as Python's."""
    return value.item() if hasattr(value, "item") else value


def _size(branches: Sequence[Branch]) -> int:
    """How many points there are at most; 0 where nobody can count them."""
    sizes: list[int] = []
    for branch in branches:
        counts = [_count(axis) for axis in branch.axes]
        sizes.append(0 if 0 in counts else math.prod(counts))
    return 0 if 0 in sizes else sum(sizes)


def _count(axis: Axis) -> int:
    values = axis.values
    if not isinstance(values, Distribution):
        return len(values)
    if values.kind == "choice":
        return len(values.arguments)
    if values.kind == "randint" or (values.kind in ("uniform", "loguniform") and values.step):
        low, high = map(float, values.arguments)
        return math.ceil((high - low) / float(values.step or 1)) + 1
    return 0


def _drawable(axis: Axis) -> Any:
    """A list, or an object with scipy's `rvs(random_state=...)`, as ParameterSampler takes them."""
    if not isinstance(axis.values, Distribution):
        return list(axis.values)
    return distribution(axis.values)


def distribution(asked: Distribution) -> Any:
    """The distribution of scipy.stats by its name, quantized where a step is asked for."""
    from scipy import stats

    if asked.kind == "choice":
        return _Choice(asked.arguments, asked.weights)
    one, other = asked.arguments
    if asked.kind == "randint":
        step = asked.step or 1
        if step == 1:
            return stats.randint(one, other)
        return _Stepped(stats.randint(0, math.ceil((other - one) / step)), one, None, step, steps=True)
    frozen = {
        "uniform": lambda: stats.uniform(one, other - one),
        "loguniform": lambda: stats.loguniform(one, other),
        "normal": lambda: stats.norm(one, other),
        "lognormal": lambda: stats.lognorm(s=other, scale=math.exp(one)),
    }[asked.kind]()
    if asked.step is None:
        return frozen
    if asked.kind == "uniform":
        count = int((Decimal(repr(other)) - Decimal(repr(one))) / Decimal(repr(asked.step))) + 1
        return _Stepped(stats.randint(0, count), one, None, asked.step, steps=True)
    low, high = (one, other) if asked.kind == "loguniform" else (0, None)
    return _Stepped(frozen, low, high, asked.step)


@dataclass(frozen=True)
class _Choice:
    """One of some values, with weights."""

    values: tuple[Any, ...]
    weights: tuple[float, ...] | None

    def rvs(self, size: int | None = None, random_state: Any = None) -> Any:
        total = sum(self.weights or ())
        shares = [weight / total for weight in self.weights] if self.weights else None
        return self.values[int(random_state.choice(len(self.values), p=shares))]


@dataclass(frozen=True)
class _Stepped:
    """Draws of another distribution as multiples of a step from `low`: rounded, or already counted in `steps`."""

    frozen: Any
    low: Any
    high: Any
    step: Any
    steps: bool = False

    def rvs(self, size: int | None = None, random_state: Any = None) -> Any:
        drawn = float(self.frozen.rvs(random_state=random_state))
        low, step = Decimal(repr(self.low)), Decimal(repr(self.step))
        number = round(drawn) if self.steps else round((drawn - float(low)) / float(step))
        if self.high is not None:
            number = min(number, int((Decimal(repr(self.high)) - low) / step))
        value = low + max(number, 0 if self.high is not None else number) * step
        whole = all(isinstance(each, int) for each in (self.low, self.step))
        return int(value) if whole else float(value)
