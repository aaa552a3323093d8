"""`[hyper]` as a space of Optuna's: what can be suggested, and which point that is.

A list is a categorical parameter; a distribution is the one of Optuna's that it is, normal and lognormal a range of
three standard deviations to each side. Several tables are a choice between them, the parameter TABLE, and below it only
the parameters of that table are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from resweep import layout
from resweep.space import optuna_backend
from resweep.space.expand import Point
from resweep.sweep.hyper_table import Axis, Branch, Hyper, same
from resweep.sweep.ranges import Distribution

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

TABLE = "[[hyper]]"
WIDE = 3.0  # standard deviations to each side of a mean

Params = dict[str, Any]


@dataclass(frozen=True)
class Parameter:
    """One parameter of Optuna's, which is one axis; `values` are those of a list, in the order of its choices."""

    name: str
    axis: Axis
    distribution: BaseDistribution
    values: tuple[Any, ...] | None

    def suggest(self, asked: Trial) -> Point:
        """What Optuna wants, as the values of the axis's keys."""
        kind: Any = self.distribution
        if self.values is not None:
            return self.axis.assign(
                self.values[self._choices.index(asked.suggest_categorical(self.name, kind.choices))]
            )
        if isinstance(kind.low, int):
            return self.axis.assign(asked.suggest_int(self.name, kind.low, kind.high, step=kind.step))
        value = asked.suggest_float(self.name, kind.low, kind.high, step=kind.step, log=kind.log)
        if kind.step:  # a person would write 0.3, not 0.30000000000000004
            low, step = Decimal(repr(kind.low)), Decimal(repr(kind.step))
            value = float(low + round((Decimal(repr(value)) - low) / step) * step)
        return self.axis.assign(value)

    def suggestion(self, point: Mapping[str, Any]) -> tuple[bool, Any]:
        """Whether the point's values are in the space, and what is suggested for them."""
        if not all(key in point for key in self.axis.keys):
            return False, None
        own = [point[key] for key in self.axis.keys]
        value = own if len(own) > 1 else own[0]
        if self.values is not None:
            place = next((n for n, each in enumerate(self.values) if _same(each, value)), None)
            return place is not None, None if place is None else self._choices[place]
        kind: Any = self.distribution
        if isinstance(value, bool) or not isinstance(value, int | float) or not kind.low <= value <= kind.high:
            return False, None
        steps = (value - kind.low) / kind.step if kind.step else 0
        return abs(steps - round(steps)) < 1e-6, int(value) if isinstance(kind.low, int) else float(value)

    @cached_property
    def _choices(self) -> list[Any]:
        return list(self.distribution.choices)  # type: ignore[attr-defined]


class Choices:
    """The space of a search. `fixed` has the values that swept keys have in a table that does not name them."""

    def __init__(self, hyper: Hyper, fixed: Mapping[str, Any] | None = None) -> None:
        self._branches = hyper.branches
        self._keys = hyper.keys
        self._fixed = fixed or {}
        self._parameters = _parameters(hyper.branches)

    def suggest(self, asked: Trial) -> Point:
        """The point that Optuna wants, each parameter asked for in the order of the axes' names."""
        number = 0
        if len(self._branches) > 1:
            number = asked.suggest_categorical(TABLE, range(1, len(self._branches) + 1)) - 1
        point: Point = {}
        for parameter in self._parameters[number]:
            point |= parameter.suggest(asked)
        return point

    def excluded(self, point: Point) -> bool:
        """Whether the point matches one of the exclusions of the table that it is of."""
        return any(set(branch.keys) == set(point) and branch.excluded(point) for branch in self._branches)

    def params(self, point: Mapping[str, Any]) -> tuple[Params, dict[str, BaseDistribution]] | None:
        """What would be suggested for a point, by name, with the distributions; None where it is not in the space.

        `point` may have values that are not searched.
        """
        for number, (branch, parameters) in enumerate(zip(self._branches, self._parameters, strict=True), 1):
            found = [parameter.suggestion(point) for parameter in parameters]
            if not all(inside for inside, _ in found) or branch.excluded(point) or not self._fits(branch, point):
                continue
            params = {each.name: value for each, (_, value) in zip(parameters, found, strict=True)}
            distributions = {each.name: each.distribution for each in parameters}
            if len(self._branches) > 1:
                choices = range(1, len(self._branches) + 1)
                params[TABLE] = number
                distributions[TABLE] = optuna_backend.optuna().distributions.CategoricalDistribution(choices)
            return params, distributions
        return None

    def _fits(self, branch: Branch, point: Mapping[str, Any]) -> bool:
        """Whether what else the point has of the swept values is what the table would give it."""
        others = [key for key in self._keys if key in point and key not in branch.keys]
        return all(key in self._fixed and _same(self._fixed[key], point[key]) for key in others)

    @cached_property
    def size(self) -> int:
        """How many points there are at most; 0 where nobody can count them."""
        sizes = [math.prod(_count(each.distribution) for each in parameters) for parameters in self._parameters]
        return 0 if 0 in sizes else sum(sizes)


def _parameters(branches: tuple[Branch, ...]) -> list[list[Parameter]]:
    """The parameters of each table. An axis that stands in several with other values gets a name for each."""
    told: dict[str, Axis] = {}
    found = []
    for number, branch in enumerate(branches, 1):
        own = []
        for axis in sorted(branch.axes, key=lambda axis: axis.name):
            name = axis.name
            if told.setdefault(name, axis).values != axis.values:
                name = f"{name} ({number})"
            own.append(_parameter(name, axis))
        found.append(own)
    return found


def _parameter(name: str, axis: Axis) -> Parameter:
    kinds = optuna_backend.optuna().distributions
    asked = axis.values
    if isinstance(asked, Distribution) and asked.kind != "choice":
        return Parameter(name, axis, _range(kinds, asked), None)
    values = asked.arguments if isinstance(asked, Distribution) else asked
    return Parameter(name, axis, kinds.CategoricalDistribution(_labels(values)), values)


def _labels(values: tuple[Any, ...]) -> list[Any]:
    """The values as choices that Optuna can hold and tell apart; lists and tables as JSON."""
    plain = all(isinstance(value, bool | int | float | str) for value in values)
    # 1 and true are one for Optuna, and for a dictionary
    if plain and len(set(values)) == len(values):
        return list(values)
    labels = [layout.canonical(value) for value in values]
    return labels if len(set(labels)) == len(labels) else [f"{n}: {label}" for n, label in enumerate(labels, 1)]


def _range(kinds: Any, asked: Distribution) -> BaseDistribution:
    one, other = asked.arguments
    if asked.kind == "randint":
        step = asked.step or 1
        return kinds.IntDistribution(one, one + (other - 1 - one) // step * step, step=step)  # type: ignore[no-any-return]
    if asked.kind == "normal":
        return kinds.FloatDistribution(one - WIDE * other, one + WIDE * other)  # type: ignore[no-any-return]
    if asked.kind == "lognormal":
        low, high = math.exp(one - WIDE * other), math.exp(one + WIDE * other)
        return kinds.FloatDistribution(low, high, log=True)  # type: ignore[no-any-return]
    low, high = float(one), float(other)
    whole = asked.step and all(isinstance(each, int) for each in (one, other, asked.step))
    if whole:
        return kinds.IntDistribution(one, one + (other - one) // asked.step * asked.step, step=asked.step)  # type: ignore[no-any-return]
    if asked.step:
        first, last, width = (Decimal(repr(each)) for each in (low, high, float(asked.step)))
        return kinds.FloatDistribution(low, float(first + (last - first) // width * width), step=float(width))  # type: ignore[no-any-return]
    return kinds.FloatDistribution(low, high, log=asked.kind == "loguniform")  # type: ignore[no-any-return]


def _count(distribution: Any) -> int:
    """How many values a distribution has; 0 for infinitely many."""
    if hasattr(distribution, "choices"):
        return len(distribution.choices)
    if distribution.step is None:
        return 0
    count: int = round((distribution.high - distribution.low) / distribution.step) + 1
    return count


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return same(one, other)
