"""The learning curves of a trial that belong to a metric: what was measured while it trained, by part of the data."""

from __future__ import annotations

import re
from collections.abc import Mapping

from resweep.results import legacy, metrics, trial_rows
from resweep.results.load import Gathered
from resweep.results.metrics import Curve, History
from resweep.results.trial_rows import Row

# what trainings put before the name of a metric that they keep the best value of
_BEST = re.compile(r"(?:^|(?<=[_./ -]))(?:best|final|last)[_./ -]|[_./ -](?:best|final|last)$", re.IGNORECASE)


def history(found: Gathered, row: Row) -> History:
    """The curves of a row's trial, whichever tool wrote its sweep."""
    paths = found.paths(row)
    definition = found.definitions.get(row.sweep)
    if definition is None:
        return metrics.history(legacy.where(paths, row.entry))
    return metrics.history(trial_rows.where(paths, row), definition.results.pattern)


def measure(name: str) -> str:
    """What a metric measures, without the part of the data and without being the best of its values."""
    return metrics.apart(_BEST.sub("", name))[1]


def belonging(history: History, wanted: str) -> Mapping[str, Curve]:
    """By part (train, validation, test, or nothing) the curve of what a metric measures.

    `best_validation_accuracy` gives training_accuracy and validation_accuracy. A curve with the very name counts where
    nothing else does. Of several curves of a part, the one whose name is most like the wanted one.
    """
    found: dict[str, Curve] = {}
    asked = _BEST.sub("", wanted)
    for curve in history.curves:
        if curve.measure == measure(wanted) and (curve.part not in found or curve.name == asked):
            found[curve.part] = curve
    exact = {curve.part: curve for curve in history.curves if curve.name == wanted}
    return found or exact


def measures(history: History) -> list[str]:
    """What the curves of a trial measure, each once."""
    return list(dict.fromkeys(curve.measure for curve in history.curves))
