"""How long 100,000 points take to expand, and how much memory, beyond what the imports take.

python bench/expand.py [POINTS]

Each kind in a process of its own: the points of `space` as `generate` gets them, and beside them scikit-learn's own
ParameterGrid or ParameterSampler, walked in the same way.
"""

from __future__ import annotations

import itertools
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

AXES = ("params.a", "params.b", "params.c", "params.d", "params.e")


def kinds(points: int) -> dict[str, tuple[Any, dict[str, Any]]]:
    """What is expanded: [hyper] and [search], of as many points or a few more."""
    grid = {key: list(range(math.ceil(points ** (1 / len(AXES)) - 0.001))) for key in AXES}
    half = {**grid, "params.a": grid["params.a"][: len(grid["params.a"]) // 2]}
    union = [half, {**half, "params.x": [1], "exclude": [{"params.b": 1, "params.c": 1}]}]
    drawn = {**{key: {"loguniform": [1e-5, 1]} for key in AXES[:2]}, **{key: grid[key] for key in AXES[2:]}}
    return {
        "grid": (grid, {}),
        "union, with an exclusion": (union, {}),
        "random, two distributions": (drawn, {"method": "random", "n": points}),
    }


def walked(every: Iterable[Any]) -> tuple[int, float, float]:
    """How many there are, and the seconds and MiB that walking through them took."""
    before, start = _peak(), time.perf_counter()
    count = sum(1 for _ in every)
    return count, time.perf_counter() - start, _peak() - before


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(hyper: Any, search: Any) -> Callable[[], Iterable[Any]]:
    """The points as `generate` has them, and scikit-learn's own answer to check them by; all is imported before."""
    import scipy.stats
    import sklearn.model_selection
    import tomli_w

    from resweep.space import expand, sample
    from resweep.sweep import definition

    asked = definition.parse(tomli_w.dumps({"hyper": hyper, "search": search}), "bench.toml")
    assert sklearn
    assert scipy
    if search:
        next(iter(sample.points(asked.hyper.branches, 1)))  # what scipy loads with the first draw
        return lambda: itertools.islice(sample.points(asked.hyper.branches, 0), search["n"])
    return lambda: checked(expand.Space(asked))


def checked(space: Any) -> Iterator[Any]:
    """Every point; that they are scikit-learn's is checked at the end."""
    yield from space.points()
    space.confirm()


def theirs(hyper: Any, search: Any) -> Callable[[], Iterable[Any]]:
    """ParameterGrid, or ParameterSampler asked for one point at a time from a seed of its own."""
    from scipy import stats
    from sklearn.model_selection import ParameterGrid, ParameterSampler

    tables = [
        {
            key: stats.loguniform(*value["loguniform"]) if isinstance(value, dict) else value
            for key, value in table.items()
            if key != "exclude"
        }
        for table in (hyper if isinstance(hyper, list) else [hyper])
    ]
    if search:
        next(iter(ParameterSampler(tables, 1)))
        return lambda: (list(ParameterSampler(tables, 1, random_state=n)) for n in range(search["n"]))
    return lambda: ParameterGrid(tables)


def measure(side: str, kind: str, points: int) -> Any:
    """One side of one kind, in a process of its own."""
    command = [sys.executable, __file__, str(points), side, kind]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    amount = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    if len(sys.argv) > 2:
        print(json.dumps(walked({"ours": ours, "theirs": theirs}[sys.argv[2]](*kinds(amount)[sys.argv[3]])())))
        sys.exit()
    for name in kinds(amount):
        count, seconds, size = measure("ours", name, amount)
        _, reference, reference_size = measure("theirs", name, amount)
        print(
            f"{name:<28} {count:>8,} points  ours {seconds:6.2f} s {size:6.1f} MiB   scikit-learn {reference:6.2f} s "
            f"{reference_size:6.1f} MiB   ratio {seconds / reference:5.2f}"
        )
