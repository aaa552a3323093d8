"""What a search begins with: finished trials of other sweeps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from resweep import engine, gather, index, results
from resweep.choices import Choices
from resweep.index import Entry
from resweep.points import points
from resweep.results import Row
from resweep.search.study import FROM
from resweep.sweep import Sweep
from resweep.trial import SweepPaths

if TYPE_CHECKING:
    from optuna import Study


def start_from(opened: Study, choices: Choices, paths: SweepPaths, asked: Sweep, name: str) -> str:
    """Tell a study of the finished points of another sweep, or of earlier trials of this one; says how many.

    A key that the other sweep does not vary has the value that all of its trials share.
    """
    rows, fixed = _rows(paths, asked, name)
    library = engine.optuna()
    taken = outside = without = 0
    for point in points(rows):
        statistic = point.statistic(asked.results.metric or "")
        if statistic is None or not math.isfinite(statistic.mean):
            without += 1
            continue
        inside = choices.params(_values(point.entry, fixed, asked))
        if inside is None:
            outside += 1
            continue
        params, distributions = inside
        opened.add_trial(
            library.trial.create_trial(
                params=params,
                distributions=distributions,
                value=statistic.mean,
                user_attrs={FROM: f"{point.sweep}#{point.entry.number}"},
            )
        )
        taken += 1
    left = [f"{outside} outside of what is searched"] * bool(outside) + [f"{without} without a result"] * bool(without)
    return f"starts from {taken} points of {name}" + (f" (left out: {', '.join(left)})" if left else "")


def _rows(paths: SweepPaths, asked: Sweep, name: str) -> tuple[list[Row], dict[str, Any]]:
    """The trials of a sweep, and what all of them have in common; of this very one, those of earlier searches."""
    if name == paths.name:
        earlier = [entry for entry in index.read(paths).entries if not entry.current]
        return results.rows(paths, earlier, asked.results), {}
    found = gather.gather(paths.root, [name], f"{asked.results.metric}:{asked.results.mode}")
    return found.rows, found.fixed.get(name, {})


def _values(entry: Entry, fixed: dict[str, object], asked: Sweep) -> dict[str, object]:
    """The values of a point for the keys that are searched now."""
    values = dict(entry.swept)
    for key in asked.hyper.keys:
        if key in values:
            continue
        value: object = fixed
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            values[key] = value
    return values
