"""Running trials -> which of them are stopped early: their metrics as training writes them, judged by a pruner."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from resweep.index import Entry
from resweep.launcher import places
from resweep.results import metrics
from resweep.results.metrics import Curve
from resweep.run.run_options import Running
from resweep.search import journal
from resweep.search.journal import Journal
from resweep.sweep.definition import Sweep

if TYPE_CHECKING:
    from optuna.trial import Trial

Stamp = tuple[int, int] | None


class Follower:
    """Reports what the trials of one runner measure to Optuna, and asks it which of them are not worth going on."""

    def __init__(self, asked: Sweep) -> None:
        rule = asked.search.stop
        assert rule is not None, "only a sweep with [search.stop] is followed"
        self.metric = journal.judged_by(asked)
        self.rule = {
            "method": rule.method,
            "metric": self.metric,
            "mode": journal.mode(asked),
            "arguments": rule.arguments,
        }
        self._sign = -1 if journal.turned(asked) else 1
        self._pattern = asked.results.pattern
        self._seen: dict[tuple[str, int], dict[str, Stamp]] = {}
        self._reported: dict[tuple[str, int], float] = {}
        self._others: dict[tuple[str, int], list[str]] = {}
        self._complained = False

    def news(self, running: Running) -> list[tuple[int, float]]:
        """The steps of the metric that training has written since the last look, each with its value."""
        directory = running.place.attempt(running.number)
        output = metrics.Output(os.path.join(directory, places.OUTPUT), os.path.join(directory, places.LOG), True)
        return self._read((str(running.entry.name), running.number), output)

    def rest(self, entry: Entry, output: metrics.Output, number: int) -> list[tuple[int, float]]:
        """What the attempt `number` of a trial has written between the last look and its end."""
        self._seen.pop((str(entry.name), number), None)
        return self._read((str(entry.name), number), output)

    def _read(self, key: tuple[str, int], output: metrics.Output) -> list[tuple[int, float]]:
        if key in self._seen and all(_stamp(path) == stamp for path, stamp in self._seen[key].items()):
            return []
        stamps: dict[str, Stamp] = {}

        def look(path: str) -> None:
            stamps.setdefault(path, _stamp(path))

        found = metrics.history(output, self._pattern, look)
        self._seen[key] = stamps
        self._others[key] = sorted({curve.name for curve in found.curves})
        last = self._reported.get(key, -1.0)
        points = [point for curve in found.curves if curve.name == self.metric for point in steps(curve)]
        self._reported[key] = max([last, *(step for step, _ in points)])
        return [(step, value) for step, value in points if step > last]

    def judge(self, journal: Journal, trial: Trial, news: list[tuple[int, float]]) -> dict[str, Any] | None:
        """Report new values; why the trial is to be stopped, if it is. The caller holds the search's lock."""
        for step, value in self._report(journal, trial, news):
            if trial.should_prune():
                why = f"{self.rule['method']} at step {step}: {self.metric} {value:.4g}"
                return {"why": why, **self.rule, "step": step, "value": value}
        return None

    def report(self, journal: Journal, trial: Trial, news: list[tuple[int, float]]) -> None:
        """Report the values of a trial that has ended: others are judged by them. The caller holds the lock."""
        for _ in self._report(journal, trial, news):
            pass

    def complaint(self, journal: Journal, trial: Trial, entry: Entry, number: int) -> str | None:
        """What is to be said, once, where the attempt `number` of a trial has ended without a value to judge it by."""
        if self._complained or journal.trials()[trial.number].intermediate_values:
            return None
        self._complained = True
        found = ", ".join(self._others.get((str(entry.name), number), [])) or "nothing"
        return f"search.stop: #{entry.number} reported no {self.metric} while it ran; found {found}"

    def _report(self, journal: Journal, trial: Trial, news: list[tuple[int, float]]) -> Iterator[tuple[int, float]]:
        # a worker that has died may have reported some of them
        known = journal.trials()[trial.number].intermediate_values if news else {}
        for step, value in news:
            if step not in known:
                trial.report(self._sign * value, step)
                yield step, value


def steps(curve: Curve) -> Iterator[tuple[int, float]]:
    """A curve by what was spent: steps that are counted from 0 are over when they are written.

    Of fractions of a step the last value counts.
    """
    shift = 1 if curve.steps and 0 <= curve.steps[0] < 1 else 0
    found = {int(step) + shift: value for step, value in zip(curve.steps, curve.values, strict=True) if step >= 0}
    yield from found.items()


def _stamp(path: str) -> Stamp:
    try:
        now = os.stat(path)
    except OSError:
        return None
    return now.st_mtime_ns, now.st_size
