"""What a search begins with: finished trials of other sweeps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from resweep import attempt, engine, gather, index, results
from resweep.choices import Choices
from resweep.errors import counted
from resweep.index import Entry
from resweep.points import points
from resweep.results import Row
from resweep.search.study import FROM, TRIAL, Journal
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


def adopt(journal: Journal, choices: Choices, paths: SweepPaths, listed: Iterable[Entry], asked: Sweep) -> str | None:
    """Tell the journal of points that have finished and that it does not know of, or knows as failed; says how many.

    A person has run them, or the journal is a new one.
    """
    known = {
        each.user_attrs[TRIAL]["id"]
        for each in journal.trials()
        if TRIAL in each.user_attrs and each.state.name in ("COMPLETE", "PRUNED", "RUNNING")
    }
    unknown = [entry for entry in listed if entry.current and entry.id not in known]
    library = engine.optuna().trial
    adopted = 0
    for point in points(results.rows(paths, unknown, asked.results)) if unknown else ():
        statistic = point.statistic(asked.results.metric or "")
        inside = choices.params(point.entry.swept)
        if statistic is None or inside is None or statistic.n < asked.n_trials or not math.isfinite(statistic.mean):
            continue
        params, distributions = inside
        ours = {"id": point.entry.id, "point": point.entry.swept, "by": attempt.this_process()}
        journal.study.add_trial(
            library.create_trial(
                params=params, distributions=distributions, value=statistic.mean, user_attrs={TRIAL: ours}
            )
        )
        adopted += 1
    return f"{counted(adopted, 'finished point')} that the journal did not know of" if adopted else None


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
