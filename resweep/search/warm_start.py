"""What a search begins with: finished trials of other sweeps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from resweep import index
from resweep.errors import counted
from resweep.index import Entry
from resweep.launcher import processes, trial_state
from resweep.layout import SweepPaths
from resweep.results import load, trial_rows
from resweep.results.points import points
from resweep.results.trial_rows import Row
from resweep.search import ending
from resweep.search.journal import FROM, TRIAL, Journal
from resweep.search.tally import Tally
from resweep.space import optuna_backend
from resweep.space.optuna_space import Choices
from resweep.sweep import dotted_keys
from resweep.sweep.definition import Sweep

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


def start_from(opened: Study, choices: Choices, paths: SweepPaths, asked: Sweep, name: str) -> str:
    """Tell a study of the finished points of another sweep, or of earlier trials of this one; says how many.

    A key that the other sweep does not vary has the value that all of its trials share.
    """
    rows, fixed = _rows(paths, asked, name)
    library = optuna_backend.optuna()
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
    """Tell the journal of points that have finished and that it does not know of, or knows otherwise; says how many.

    A person has run them, or the journal is a new one.
    """
    told = Tally(asked, journal.trials()).points
    open_ = [each for each in listed if each.id not in told or _may_change(told[each.id])]
    unknown = _finished(paths, open_)
    library = optuna_backend.optuna().trial
    adopted = 0
    for point in points(trial_rows.rows(paths, unknown, asked.results)) if unknown else ():
        statistic = point.statistic(asked.results.metric or "")
        inside = choices.params(point.entry.swept)
        if statistic is None or inside is None or not math.isfinite(statistic.mean):
            continue
        # what was told of has the repeats that it has; of any other point the rest may follow
        if statistic.n < asked.n_trials and point.entry.id not in told:
            continue
        params, distributions = inside
        ours = {"id": point.entry.id, "point": point.entry.swept, "by": processes.this_process()}
        journal.study.add_trial(
            library.create_trial(
                params=params, distributions=distributions, value=statistic.mean, user_attrs={TRIAL: ours}
            )
        )
        adopted += 1
    return f"{counted(adopted, 'finished point')} that the journal did not know of" if adopted else None


def unheard(paths: SweepPaths, points: Mapping[str, FrozenTrial], listed: Iterable[Entry]) -> int:
    """How many points have finished that were told of as failed or pruned: the next worker will adopt them."""
    told = {key for key, each in points.items() if _may_change(each) and ending.UNREPORTED not in each.user_attrs}
    return len({entry.id for entry in _finished(paths, [entry for entry in listed if entry.id in told])})


def _may_change(told: FrozenTrial) -> bool:
    """Whether a point may finish after all: one that diverged has finished."""
    return told.state.name in ("FAIL", "PRUNED") and ending.DIVERGED not in told.user_attrs


def _finished(paths: SweepPaths, listed: Iterable[Entry]) -> list[Entry]:
    """The trials of those points that have one that finished, and none that runs or was stopped early."""
    groups: dict[str, list[Entry]] = {}
    for entry in listed:
        if entry.current:
            groups.setdefault(entry.id, []).append(entry)
    found: list[Entry] = []
    for group in groups.values():
        places = [paths.place(entry.name) for entry in group]
        if any(place.finished() for place in places) and not {"running", "pruned"} & {
            trial_state.state(place)[0] for place in places
        }:
            found += group
    return found


def _rows(paths: SweepPaths, asked: Sweep, name: str) -> tuple[list[Row], dict[str, Any]]:
    """The trials of a sweep, and what all of them have in common; of this very one, those of earlier searches."""
    if name == paths.name:
        earlier = [entry for entry in index.read(paths).entries if not entry.current]
        return trial_rows.rows(paths, earlier, asked.results), {}
    found = load.gather(paths.root, [name], f"{asked.results.metric}:{asked.results.mode}")
    return found.rows, found.fixed.get(name, {})


def _values(entry: Entry, fixed: dict[str, object], asked: Sweep) -> dict[str, object]:
    """The values of a point for the keys that are searched now."""
    values = dict(entry.swept)
    for key in asked.hyper.keys:
        if key in values:
            continue
        value = dotted_keys.given(fixed, key)
        if value is not None:
            values[key] = value
    return values
