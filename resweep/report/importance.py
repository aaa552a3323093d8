"""Which swept keys the metric depends on: a random forest's permutation importance, and Spearman's rank correlation.

The forest learns the points' means from their swept values. A key's importance is how much worse the forest predicts
the points that each tree has not seen when that key's values are shuffled among them. It is a statement about the
forest, so it counts only where the forest predicts well: `r2` is the share of the variance that it explains of points
that it has not seen, and below LEAST_R2 the verdict is to hide it. With few points the order of the keys is told, and
no shares; with very few nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, permutations
from typing import Any, Literal

from resweep import layout
from resweep.report.scale import number
from resweep.results.points import Point
from resweep.sweep.definition import ResultsOptions

LEAST_POINTS = 20  # below which no shares are told
LEAST_RANKED = 6  # and below which no order
LEAST_R2 = 0.3
MOST_POINTS = 2000  # of more points so many, drawn at random but always the same
MOST_NAMES = 30  # of a key that is not numbers: the most frequent, and the others as one
TREES = 100
SHUFFLES = 10
EXACT = 8  # points: of so many every order is tried, of more the p of a correlation is that of Student's t
LEAST_SURE = 5  # points, below which no correlation is called sure
SURE = 0.05

Array = Any  # of numpy, which is imported where it is needed


@dataclass(frozen=True)
class Effect:
    """What is known of one key.

    `share` is its part of all keys' importance, `spread` the standard deviation of that over the shuffles; None where
    no forest was grown. `rho` and `p` are Spearman's correlation with the metric over the `n` points that have a
    number for the key, None where its values have no order; of two names `one` is the one that counts as the higher.
    """

    key: str
    share: float | None = None
    spread: float | None = None
    rho: float | None = None
    p: float | None = None
    n: int = 0
    one: str = ""

    @property
    def sure(self) -> bool:
        """Whether the correlation is more than chance easily gives: p below SURE, of LEAST_SURE points or more."""
        return self.p is not None and self.p < SURE and self.n >= LEAST_SURE


@dataclass(frozen=True)
class Importance:
    """The keys, the most important first, and how far to trust that.

    `r2` is out of bag: of points that a tree has not seen. `points` counts those with a finite mean, `used` those that
    the forest was grown on, `without` the others. `left_out` says by key why it has no effect of its own. When `trust`
    is "ranked", only the order of the effects means something, when it is "hidden", not even that; `reason` says why,
    and the correlations stand for themselves.
    """

    effects: tuple[Effect, ...] = ()
    r2: float | None = None
    points: int = 0
    used: int = 0
    without: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)
    trust: Literal["shown", "ranked", "hidden"] = "hidden"
    reason: str = ""


@dataclass(frozen=True)
class _Key:
    """A key as columns of numbers, and, where its values have an order, as one: NaN where a point has no value."""

    name: str
    columns: Array
    order: Array | None
    one: str = ""


def importance(points: Sequence[Point], options: ResultsOptions, scales: Mapping[str, str]) -> Importance:
    """How the metric of `options` depends on the swept keys of the points of one sweep.

    `scales` says which keys are logarithmic (see `scale.scales`).
    """
    import numpy as np

    measured = [(point, point.statistic(str(options.metric))) for point in points]
    known = [(point, each.mean) for point, each in measured if each and math.isfinite(each.mean)]
    without = len(points) - len(known)
    if not known:
        return Importance(without=without, reason="no finished point has a number for the metric")
    keys, left_out = _keys([point.entry.swept for point, _ in known], scales)
    target = np.asarray([mean for _, mean in known], dtype=float)
    used = min(len(known), MOST_POINTS)
    reason = _hopeless(len(known), keys, target)
    r2: float | None = None
    shares: dict[str, tuple[float, float]] = {}
    if not reason:
        r2, shares, reason = _grown(keys, target, used)
    effects = [_effect(key, target, *shares.get(key.name, (None, None))) for key in keys]
    effects.sort(key=lambda each: (-(each.share or 0.0), -abs(each.rho or 0.0)))
    ranked = not reason and len(known) < LEAST_POINTS
    if ranked:
        effects = [replace(each, share=None, spread=None) for each in effects]
        reason = f"{len(known)} points, fewer than {LEAST_POINTS}; only the ranks are shown"
    return Importance(
        tuple(effects),
        r2,
        len(known),
        used if shares else 0,
        without,
        left_out,
        "ranked" if ranked else "hidden" if reason else "shown",
        reason,
    )


def _hopeless(count: int, keys: Sequence[_Key], target: Array) -> str:
    """Why no forest can tell anything, if so."""
    if not keys:
        return "no swept key differs between the points"
    if count < LEAST_RANKED:
        return f"{count} points, fewer than {LEAST_RANKED}"
    if target.min() == target.max():
        return "all points have the same value"
    return ""


def _grown(keys: Sequence[_Key], target: Array, used: int) -> tuple[float, dict[str, tuple[float, float]], str]:
    """Out-of-bag R2, share and spread by key, and why not to trust them, if so."""
    import numpy as np

    chosen = np.arange(len(target))
    if used < len(chosen):
        chosen = np.sort(np.random.default_rng(0).choice(len(chosen), used, replace=False))
    _, exponent = np.frexp(np.abs(target).max())  # R2 has no unit; its squares have the range of a double
    r2, drops = _drops([key.columns[chosen] for key in keys], np.ldexp(target[chosen], -int(exponent)))
    means = np.clip(drops.mean(axis=1), 0.0, None)
    if not means.sum() > 0:
        return r2, {}, f"the forest predicts nothing (out-of-bag R2 {r2:.2f})"
    spreads = drops.std(axis=1, ddof=1) / means.sum()
    shares = {
        key.name: (float(mean), float(spread))
        for key, mean, spread in zip(keys, means / means.sum(), spreads, strict=True)
    }
    reason = "" if r2 >= LEAST_R2 else f"the forest predicts badly: out-of-bag R2 {r2:.2f}, below {LEAST_R2}"
    return r2, shares, reason


def _drops(blocks: Sequence[Array], target: Array) -> tuple[float, Array]:
    """R2 of a forest on what its trees have not seen, and how much less it is with each key shuffled, by shuffle."""
    import numpy as np
    from sklearn.ensemble import RandomForestRegressor

    design = np.hstack(list(blocks)).astype(np.float32)
    forest = RandomForestRegressor(TREES, min_samples_leaf=2, max_features=0.5, random_state=0, n_jobs=1)
    forest.fit(design, target)
    unseen = [np.setdiff1d(np.arange(len(target)), seen) for seen in forest.estimators_samples_]
    base = _r2(forest, unseen, design, target)
    drops = np.empty((len(blocks), SHUFFLES))
    edges = np.cumsum([0, *(block.shape[1] for block in blocks)])
    for place, (start, end) in enumerate(pairwise(edges)):
        shuffler = np.random.default_rng(0)
        for repeat in range(SHUFFLES):
            # all columns of a key together: each point gets another point's value, not a mixture
            shuffled = design.copy()
            shuffled[:, start:end] = design[shuffler.permutation(len(target)), start:end]
            drops[place, repeat] = base - _r2(forest, unseen, shuffled, target)
    return base, drops


def _r2(forest: Any, unseen: Sequence[Array], design: Array, target: Array) -> float:
    """R2 of predictions, each by the trees that have not seen the point."""
    import numpy as np

    sums, counts = np.zeros(len(target)), np.zeros(len(target))
    for tree, rows in zip(forest.estimators_, unseen, strict=True):
        sums[rows] += tree.tree_.predict(design[rows])[:, 0]
        counts[rows] += 1
    seen = counts > 0
    left = target[seen] - sums[seen] / counts[seen]
    return float(1 - left @ left / np.square(target[seen] - target[seen].mean()).sum())


def _effect(key: _Key, target: Array, share: float | None, spread: float | None) -> Effect:
    """A key's share, with its rank correlation where its values have an order and differ."""
    import numpy as np
    from scipy import stats

    if key.order is None:
        return Effect(key.name, share, spread)
    there = ~np.isnan(key.order)
    ordered, values = key.order[there], target[there]
    count = len(ordered)
    if count < 3 or ordered.min() == ordered.max() or values.min() == values.max():
        return Effect(key.name, share, spread, n=count, one=key.one)
    found = stats.spearmanr(ordered, values)
    p = _exact(ordered, values) if count <= EXACT else float(found.pvalue)
    return Effect(key.name, share, spread, float(found.statistic), p, count, key.one)


def _exact(one: Array, other: Array) -> float:
    """The share of all orders in which two lists without any relation have so great a rank correlation."""
    import numpy as np
    from scipy import stats

    ranks = [stats.rankdata(values) - (len(values) + 1) / 2 for values in (one, other)]
    sums = np.abs(ranks[1][np.asarray(list(permutations(range(len(one)))))] @ ranks[0])
    return float(np.mean(sums >= abs(ranks[0] @ ranks[1]) - 1e-9))  # ties are multiples of a quarter, but for rounding


def _keys(swept: Sequence[Mapping[str, Any]], scales: Mapping[str, str]) -> tuple[list[_Key], dict[str, str]]:
    """The keys that differ, as numbers; and why each other one is left out."""
    keys: list[_Key] = []
    left_out: dict[str, str] = {}
    partitions: dict[tuple[int, ...], str] = {}
    for name in dict.fromkeys(key for each in swept for key in each):
        values = [each.get(name) for each in swept]
        texts = [layout.canonical(value) for value in values]
        numbers = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        if len(numbers) < 2:
            left_out[name] = "the same everywhere"
            continue
        partition = tuple(numbers[text] for text in texts)
        # where every point has its own value, all keys part the points alike, and that says nothing
        if partition in partitions and len(numbers) <= len(swept) / 2:
            left_out[name] = f"changes together with {partitions[partition]}"
            continue
        partitions[partition] = name
        keys.append(_numeric(name, values, scales) or _named(name, values, texts))
    return keys, left_out


def _numeric(name: str, values: Sequence[Any], scales: Mapping[str, str]) -> _Key | None:
    """A key that is all numbers where it is there; None of another."""
    import numpy as np

    exact = [number(value) for value in values]
    there = [value is not None for value in values]
    if any(value is None and given for value, given in zip(exact, there, strict=True)):
        return None
    order = np.asarray([math.nan if value is None else value for value in exact])
    known = order[there]
    if scales.get(name) == "log" and known.min() > 0:
        known = np.log(known)
    # the forest counts in single precision: what it sees lies between 0 and 1
    low, high = known.min() / 2, known.max() / 2
    column = np.full(len(values), 0.5)
    column[there] = (known / 2 - low) / (high - low) if high > low else 0.5
    columns = [column] if high > low else []
    columns += [] if all(there) else [np.asarray(there, dtype=float)]
    return _Key(name, np.column_stack(columns), order)


def _named(name: str, values: Sequence[Any], texts: Sequence[str]) -> _Key:
    """A key of names, lists, tables: a column of zeros and ones for each; no value is one of them."""
    import numpy as np

    counts = Counter(texts)
    frequent = sorted(counts, key=lambda text: (-counts[text], text))[:MOST_NAMES]
    columns = [np.asarray([text == each for text in texts], dtype=float) for each in sorted(frequent)]
    if len(counts) > MOST_NAMES:
        columns.append(np.asarray([text not in frequent for text in texts], dtype=float))
    given = sorted({text for text, value in zip(texts, values, strict=True) if value is not None})
    order = None
    if len(given) == 2:
        order = np.asarray([given.index(text) if text in given else math.nan for text in texts], dtype=float)
    return _Key(name, np.column_stack(columns), order, given[1] if len(given) == 2 else "")
