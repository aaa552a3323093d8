"""Early stopping where all points are known: a supply of no trials, that follows those which run."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from resweep import index, lock
from resweep.index import Entry
from resweep.launcher import places
from resweep.launcher.storage import Record
from resweep.layout import SweepPaths
from resweep.results import metrics, trial_rows
from resweep.run.run_options import Outcome, Running
from resweep.search import journal, trial_writer
from resweep.search.journal import TRIAL
from resweep.search.pruning import Follower
from resweep.space import expand, optuna_backend
from resweep.space.optuna_space import Choices
from resweep.sweep.definition import Sweep

if TYPE_CHECKING:
    from optuna.trial import Trial


class Early:
    """What one runner has to do with `[search.stop]`: each trial is one of Optuna's, in a study of all runners."""

    open = False

    def __init__(
        self, paths: SweepPaths, asked: Sweep, told: Callable[[str], None], spared: Iterable[Entry] = ()
    ) -> None:
        """`spared` are trials that are not to be stopped; what they come to is told all the same."""
        self._paths = paths
        self._asked = asked
        self._told = told
        self._follower = Follower(asked)
        self._choices = Choices(asked.hyper, expand.default(asked))
        self._trials: dict[Entry, Trial] = {}
        self._unwatched = set(spared)
        paths.study.parent.mkdir(exist_ok=True)
        with lock.asking(paths):
            record = trial_writer.record(paths, index.generation(paths))
            self._journal = journal.open_study(paths, asked, journal.of_curves(asked, record))

    def next(self) -> Entry | None:
        """None: the trials are known."""
        return None

    def again(self, pruned: dict[str, Any]) -> bool:
        """No: what another rule has stopped is left as it is, too, since nobody asks for it anew."""
        return False

    def watch(self, running: Iterable[Running]) -> Iterator[tuple[Running, dict[str, Any]]]:
        """The trials that do badly."""
        for each in running:
            if each.entry in self._unwatched or not (news := self._follower.news(each)):
                continue
            with lock.asking(self._paths):
                why = self._follower.judge(self._journal, self._trial(each.entry), news)
            if why:
                self._unwatched.add(each.entry)
                yield each, why

    def ended(self, outcome: Outcome, leaving: bool) -> None:
        """Tell the study how a trial ended; one that was stopped goes on another time."""
        entry, state = outcome.entry, outcome.status.state
        if not outcome.here or state in ("stopped", "lost", "queued"):
            return
        record = outcome.status.record
        news = self._follower.rest(entry, self._output(entry, record), record["attempt"]) if state == "finished" else []
        with lock.asking(self._paths):
            own = self._trial(entry)
            self._follower.report(self._journal, own, news)
            if state == "finished" and (said := self._follower.complaint(self._journal, own, entry, record["attempt"])):
                self._told(said)
            value = self._value(entry, record) if state == "finished" else None
            states = optuna_backend.optuna().trial.TrialState
            if state == "pruned":
                self._journal.study.tell(own, state=states.PRUNED)
            elif value is None:
                self._journal.study.tell(own, state=states.FAIL)
            else:
                self._journal.study.tell(own, value)
            del self._trials[entry]

    def _trial(self, entry: Entry) -> Trial:
        """Optuna's trial for one of ours. The caller holds the lock."""
        if entry not in self._trials:
            name = str(entry.name)
            running = [each for each in self._journal.trials() if each.state.name == "RUNNING"]
            found = next((each for each in running if each.user_attrs.get(TRIAL, {}).get("id") == name), None)
            if found is None:
                params, distributions = self._choices.params(entry.swept) or ({}, {})
                self._trials[entry] = self._journal.began(params, distributions, {TRIAL: {"id": name}})
            else:
                self._trials[entry] = self._journal.trial(found.number)
        return self._trials[entry]

    def _value(self, entry: Entry, record: Record) -> float | None:
        """The metric of `[results]` of a trial that has finished; else the last that it was judged by."""
        options = self._asked.results
        name = options.metric or self._follower.metric
        value = metrics.read(self._output(entry, record), options.pattern, name).values.get(name)
        return float(value) if value is not None and metrics.number(value) and math.isfinite(value) else None

    def _output(self, entry: Entry, record: Record) -> metrics.Output:
        place = self._paths.place(entry.name)
        log = os.path.join(place.attempt(record.get("attempt", 0)), places.LOG)
        return metrics.Output(trial_rows.output(place, record), log)
