"""When a search is over, or cannot go on, and what is left of it until then: told by its journal alone.

Workers and whoever looks ask the same functions, so that all of them say the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from resweep import index
from resweep.errors import counted
from resweep.index import Entry
from resweep.layout import SweepPaths, TrialName
from resweep.search import journal, trial_writer
from resweep.search.journal import TRIAL
from resweep.search.tally import Tally
from resweep.sweep.definition import Sweep
from resweep.sweep.search_table import StopAfter

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

MOST_FAILURES = 10  # in a row, before a worker gives up
# attributes of Optuna's trials that failed
FAILED = "failed"  # of what
UNREPORTED = "unreported"  # what it reports in place of the metric
DIVERGED = "value"  # of one that counts as pruned: its value, which is no finite number
# an attribute of the study
USED_UP = "no_new_point"  # the n for which a worker found none


@dataclass(frozen=True)
class End:
    """Why no further point is tried, as a word for programs and as a sentence for people."""

    reason: str  # points, value, without_improvement, hours, no_new_point; failures and metric: until that is mended
    said: str


def over(asked: Sweep, tally: Tally, entries: Mapping[TrialName, Entry], attributes: Mapping[str, Any]) -> End | None:
    """Why the search is over, if it is: by its points and the attributes of its study; `entries` have the numbers."""
    found = None
    if tally.ended >= asked.search.n:
        found = End("points", f"{tally.ended} of {asked.search.n} points")
    elif asked.search.stop_after != StopAfter():
        found = _after(asked, tally, entries)
    if found is None and attributes.get(USED_UP) == asked.search.n:
        found = End(USED_UP, f"no new point is found; {tally.ended} of {asked.search.n}")
    return End(found.reason, f"the search is over: {found.said}") if found else None


def _after(asked: Sweep, tally: Tally, entries: Mapping[TrialName, Entry]) -> End | None:
    """Which of `stop_after` holds."""
    after, best = asked.search.stop_after, tally.best
    sign = 1 if asked.results.mode == "max" else -1
    if best:
        value = float(best.value or 0)
        entry = entries.get(TrialName(best.user_attrs[TRIAL]["id"], 0))
        number = f"#{entry.number}" if entry else "a trial that is not listed"
        if after.value is not None and sign * value >= sign * after.value:
            return End("value", f"{asked.results.metric} reached {after.value:g} ({value:.4g}, {number})")
        if after.without_improvement and (since := tally.since_best()) >= after.without_improvement:
            return End("without_improvement", f"{counted(since, 'point')} without improvement since {number}")
    if after.hours is not None and tally.began:
        hours = (datetime.now(UTC) - tally.began.astimezone(UTC)).total_seconds() / 3600
        if hours >= after.hours:
            passed = "1 hour has" if after.hours == 1 else f"{after.hours:g} hours have"
            return End("hours", f"{passed} passed")
    return None


def stuck(tally: Tally, trials: Iterable[FrozenTrial], told: Collection[int] | None = None) -> End | None:
    """Why a worker that has `told` of these trials gives up, if it does; None: one that has told of all of them."""
    known = [each for each in tally.points.values() if told is None or each.number in told]
    ended = [(each.datetime_complete, each.number, each) for each in known if each.datetime_complete]
    latest = [each for _, _, each in sorted(ended, key=lambda end: end[:2], reverse=True)]
    failed = list(takewhile(lambda each: each.state.name == "FAIL", latest))
    last = failed[0].user_attrs if failed else {}
    if UNREPORTED in last and not any(each.state.name == "COMPLETE" for each in trials):
        return End("metric", f"results.metric: {last[UNREPORTED]}; the search cannot go on")
    if len(failed) < MOST_FAILURES:
        return None
    cause = next((each.user_attrs[FAILED] for each in failed if each.user_attrs.get(FAILED)), "nothing is known of it")
    said = f"the last {len(failed)} trials failed, for example: {cause}"
    return End("failures", f"the search has stopped: {said}")


def left(paths: SweepPaths, asked: Sweep) -> tuple[int, str]:
    """How many points are left, those included that are being tried, and why the search is over, if it is."""
    opened = journal.read_study(paths, journal.of_search(trial_writer.record(paths, index.generation(paths))))
    if opened is None:
        return asked.search.n, ""
    tally = Tally(asked, opened.trials())
    entries = {entry.name: entry for entry in index.read(paths).entries}
    found = over(asked, tally, entries, opened.study.user_attrs)
    return (0, found.said) if found else (asked.search.n - tally.ended, "")
