"""Running trials -> which of them are stopped early: their metrics as training writes them, judged by a pruner."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from resweep import attempt, direction, metrics
from resweep.index import Entry
from resweep.metrics import Curve
from resweep.running import Running
from resweep.search.study import Journal
from resweep.sweep import Sweep

if TYPE_CHECKING:
    from optuna.trial import Trial

Stamp = tuple[int, int] | None


class Follower:
    """Reports what the trials of one runner measure to Optuna, and asks it which of them are not worth going on."""

    def __init__(self, asked: Sweep) -> None:
        rule = asked.search.stop
        assert rule is not None, "only a sweep with [search.stop] is followed"
        self._rule = rule
        self.metric = rule.metric or asked.results.metric or ""
        # pruners know the study's direction alone
        own = asked.results.mode if self.metric == asked.results.metric else direction.guessed(self.metric)
        self._sign = 1 if (rule.mode or own) == asked.results.mode else -1
        self._pattern = asked.results.pattern
        self._seen: dict[tuple[str, int], dict[str, Stamp]] = {}
        self._reported: dict[tuple[str, int], float] = {}

    def news(self, running: Running) -> list[tuple[int, float]]:
        """The steps of the metric that training has written since the last look, each with its value."""
        directory = running.place.attempt(running.number)
        output = metrics.Output(os.path.join(directory, attempt.OUTPUT), os.path.join(directory, attempt.LOG), True)
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
        last = self._reported.get(key, -1.0)
        points = [point for curve in found.curves if curve.name == self.metric for point in steps(curve)]
        self._reported[key] = max([last, *(step for step, _ in points)])
        return [(step, value) for step, value in points if step > last]

    def judge(self, journal: Journal, trial: Trial, news: list[tuple[int, float]]) -> dict[str, Any] | None:
        """Report new values; why the trial is to be stopped, if it is. The caller holds the search's lock."""
        for step, value in self._report(journal, trial, news):
            if trial.should_prune():
                why = f"{self._rule.method} at step {step}: {self.metric} {value:.4g}"
                return {"why": why, "method": self._rule.method, "metric": self.metric, "step": step, "value": value}
        return None

    def report(self, journal: Journal, trial: Trial, news: list[tuple[int, float]]) -> None:
        """Report the values of a trial that has ended: others are judged by them. The caller holds the lock."""
        for _ in self._report(journal, trial, news):
            pass

    def _report(self, journal: Journal, trial: Trial, news: list[tuple[int, float]]) -> Iterator[tuple[int, float]]:
        # a worker that has died may have reported some of them
        known = journal.trials()[trial.number].intermediate_values if news else {}
        for step, value in news:
            if step not in known:
                trial.report(self._sign * value, step)
                yield step, value


def steps(curve: Curve) -> Iterator[tuple[int, float]]:
    """A curve by what was spent: epochs that are counted from 0 are over when they are written."""
    shift = 1 if curve.axis in ("epoch", "line") and curve.steps and curve.steps[0] == 0 else 0
    for step, value in zip(curve.steps, curve.values, strict=True):
        if step >= 0:
            yield int(step) + shift, value


def _stamp(path: str) -> Stamp:
    try:
        now = os.stat(path)
    except OSError:
        return None
    return now.st_mtime_ns, now.st_size
