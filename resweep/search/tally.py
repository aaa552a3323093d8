"""The points of a search, counted by its journal. What has ended never changes, and is looked at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from resweep.search.journal import FROM, TRIAL
from resweep.sweep.definition import Sweep

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def counts(point: FrozenTrial) -> bool:
    """Whether a point is one of the `n`: it has ended with a result."""
    return point.state.name in ("COMPLETE", "PRUNED")


class Tally:
    """What came of every point that the search has asked for.

    `points` has Optuna's trial of each by the id of ours, in the order in which they were asked for: of one that was
    run again by hand, and told again, the last. `ended` counts those with a result, `pruned` those of them that have
    none to be ranked by, `best` is the best of the others, the first of equals. `began` is when the first was asked
    for.
    """

    def __init__(self, asked: Sweep, trials: Sequence[FrozenTrial] = ()) -> None:
        self._sign = 1 if asked.results.mode == "max" else -1
        self._seen = 0
        self._open: list[int] = []
        self._counted: dict[str, tuple[bool, bool]] = {}
        self.points: dict[str, FrozenTrial] = {}
        self.ended = self.pruned = 0
        self.best: FrozenTrial | None = None
        self.began: datetime | None = None
        self.look(trials)

    def look(self, trials: Sequence[FrozenTrial]) -> None:
        """Take note of what is new among all trials of the study, in the order of their numbers."""
        news, self._open = [*self._open, *range(self._seen, len(trials))], []
        self._seen = len(trials)
        for number in news:
            each = trials[number]
            if not each.state.is_finished():
                self._open.append(number)
            if FROM not in each.user_attrs and each.datetime_start:
                self.began = min(self.began or each.datetime_start, each.datetime_start)
            if TRIAL in each.user_attrs:
                self._note(each)

    def running(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Those that ran when they were looked at last."""
        return [trials[number] for number in self._open if trials[number].state.name == "RUNNING"]

    def since_best(self) -> int:
        """How many points have ended that were asked for after the best."""
        return sum(counts(each) and each.number > self.best.number for each in self.points.values()) if self.best else 0

    def _note(self, each: FrozenTrial) -> None:
        key = each.user_attrs[TRIAL]["id"]
        before = self.points.get(key)
        if before is not None and before.number > each.number:
            return
        self.points[key] = each
        was, now = self._counted.get(key, (False, False)), (counts(each), each.state.name == "PRUNED")
        self._counted[key] = now  # and not what was there before: the library may change its trials in place
        self.ended += now[0] - was[0]
        self.pruned += now[1] - was[1]
        if before is not None and self.best is not None and before.number == self.best.number != each.number:
            self.best = None
            for other in self.points.values():
                self._rank(other)
        else:
            self._rank(each)

    def _rank(self, each: FrozenTrial) -> None:
        if each.state.name == "COMPLETE" and (self.best is None or self._order(each) > self._order(self.best)):
            self.best = each

    def _order(self, each: FrozenTrial) -> tuple[float, int]:
        return self._sign * float(each.value or 0), -each.number
