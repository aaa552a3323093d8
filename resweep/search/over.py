"""When a search is over, and what is left of it until then: read from its journal by whoever wants to know."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from resweep import index
from resweep.search import maker, study
from resweep.search.study import FROM, TRIAL
from resweep.sweep import Sweep
from resweep.trial import SweepPaths

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def counts(each: FrozenTrial) -> bool:
    """Whether a trial of Optuna's is one of the `n`: it has ended with a result, and is this search's own."""
    return each.state.name in ("COMPLETE", "PRUNED") and TRIAL in each.user_attrs


def over(asked: Sweep, trials: Sequence[FrozenTrial], best: FrozenTrial | None) -> str | None:
    """Why the search with these trials, `best` among those with a value, is over, if it is."""
    wanted, after = asked.search.n, asked.search.stop_after
    ended = [each for each in trials if counts(each)]
    if len(ended) >= wanted:
        return f"the search is over: {len(ended)} of {wanted} points"
    sign = 1 if asked.results.mode == "max" else -1
    if after.value is not None and best and sign * float(best.value or 0) >= sign * after.value:
        return f"the search is over: {asked.results.metric} {best.value:.4g} has reached {after.value:g}"
    if after.without_improvement and best:
        since = [each for each in ended if each.number > best.number]
        if len(since) >= after.without_improvement:
            return f"the search is over: {len(since)} points without improvement"
    own = [each.datetime_start for each in trials if FROM not in each.user_attrs and each.datetime_start]
    if after.hours is not None and own:
        hours = (datetime.now(UTC) - min(own).astimezone(UTC)).total_seconds() / 3600
        if hours >= after.hours:
            return f"the search is over: {after.hours:g} hours have passed"
    return None


def best_of(asked: Sweep, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """The best of the search's own trials that have a value."""
    complete = [each for each in trials if counts(each) and each.state.name == "COMPLETE"]
    sign = 1 if asked.results.mode == "max" else -1
    return max(complete, key=lambda each: sign * float(each.value or 0), default=None)


def left(paths: SweepPaths, asked: Sweep) -> tuple[int, str]:
    """How many points are left, those included that are being tried, and why the search is over, if it is."""
    opened = study.read_study(paths, int(maker.record(paths, index.generation(paths))["study"]))
    trials = opened.trials() if opened else []
    said = over(asked, trials, best_of(asked, trials)) or ""
    return 0 if said else asked.search.n - sum(map(counts, trials)), said
