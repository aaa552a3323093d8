"""A search: a supply of trials for a runner, each the next point that Optuna asks for.

Any number of workers share one study. What is known stands in two places that agree again after any crash: Optuna's
journal says what was asked for and told, the trials' records say what ran. Everything that changes the journal or the
list of trials happens under one lock.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from resweep import layout, lock
from resweep.errors import ConfigError
from resweep.generation.fill import Wanted
from resweep.index import Entry
from resweep.launcher import places, processes, trial_state
from resweep.launcher.storage import Record
from resweep.layout import SweepPaths, TrialName
from resweep.results import metrics, table, trial_rows
from resweep.results.trial_rows import Row
from resweep.run import status
from resweep.run.run_options import Outcome, Running
from resweep.search import journal, peers, warm_start
from resweep.search.ending import DIVERGED, FAILED, UNREPORTED, USED_UP, over, stuck
from resweep.search.journal import TRIAL, Journal
from resweep.search.pruning import Follower
from resweep.search.tally import Tally, counts
from resweep.search.trial_writer import Maker
from resweep.space import expand, optuna_backend
from resweep.space.optuna_space import Choices
from resweep.sweep.definition import ResultsOptions, Sweep

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

PATIENCE = 20  # points in a row that are no new ones, before others are drawn at random
MOST = 300  # before the space counts as used up
LOOK = 1.0  # seconds between two looks at trials of other workers
DOUBT = 5.0  # seconds between two questions whether those all run, which Slurm answers


@dataclass
class Active:
    """A point that this worker tries: its trial of Optuna's, its repeats, and what came of those that have ended.

    `later` are repeats that nobody writes or lists before the first has ended: one that does badly has no others.
    """

    asked: Trial
    waiting: deque[Entry]
    entries: list[Entry]
    later: list[Wanted] = field(default_factory=list)
    values: dict[Entry, float | None] = field(default_factory=dict)
    states: dict[Entry, str] = field(default_factory=dict)
    cause: str = ""
    unreported: str = ""


class Search:
    """A worker's part of a search. `problem` says why it cannot go on, if it cannot."""

    def __init__(self, paths: SweepPaths, asked: Sweep, told: Callable[[str], None]) -> None:
        self._paths = paths
        self._asked = asked
        self._told = told
        self._active: dict[int, Active] = {}
        self._tally = Tally(asked)
        self._tried: dict[str, str] = {}  # points as text -> ids, of all that were asked for
        self._told_of: set[int] = set()
        self._gives_up = False  # also the points that it has begun
        self._next_look = self._next_doubt = 0.0
        self._follower = Follower(asked) if asked.search.stop else None
        self._pruned: set[Entry] = set()
        self.open = True
        self.problem: str | None = None
        paths.study.parent.mkdir(exist_ok=True)
        with lock.asking(paths):
            self._maker = Maker(paths, asked)
            self._choices = Choices(asked.hyper, expand.default(asked))
            self._journal = self._begin()
            self._study = self._journal.study

    def _begin(self) -> Journal:
        """Open the study; the first worker puts in what the search begins with."""
        opened = journal.open_study(self._paths, self._asked, self._maker.study)
        worker = int(opened.study.user_attrs.get("workers", 0))
        seed = self._asked.search.seed
        if worker:
            lock.remove_leftovers(self._paths.directory)  # of workers that were killed: nobody else writes now
            from numpy.random import SeedSequence

            # with the same numbers as the first one it would ask for the same points
            seed = int(SeedSequence([seed, worker]).generate_state(1)[0])
        else:
            self._fill(opened.study)
        opened.study.sampler = optuna_backend.sampler(self._asked.where, self._asked.search, seed)
        opened.study.set_user_attr("workers", worker + 1)
        if USED_UP in opened.study.user_attrs:  # chance had its part in that
            opened.study.set_user_attr(USED_UP, None)
        if said := warm_start.adopt(opened, self._choices, self._paths, self._maker.list.entries.values(), self._asked):
            self._told(said)
        return opened

    def _fill(self, opened: Study) -> None:
        asked = self._asked
        for name in asked.search.start_from:
            self._told(warm_start.start_from(opened, self._choices, self._paths, asked, name))
        if asked.hyper.include_default and (found := self._choices.params(expand.default(asked))):
            opened.enqueue_trial(found[0])

    # --- asking ---------------------------------------------------------------------------------------------------

    def next(self) -> Entry | None:
        """The next trial for this worker; None when there is none now, or `open` says that there will be none."""
        if self._gives_up:
            return None
        for active in self._active.values():
            if active.waiting:
                return active.waiting.popleft()
        if not self.open and not self._active:
            return None
        with lock.asking(self._paths):
            self._maker.list.refresh()
            if self._maker.list.generation != self._maker.generation:
                self._gives_up = True
                self._close("the sweep was generated again; start the workers again")
                return None
            if (repeat := self._further_repeat()) or not self.open:
                return repeat
            return self._left_behind() or self._another()

    def _further_repeat(self) -> Entry | None:
        """Another trial of a point whose first one has not been stopped early."""
        for active in self._active.values():
            if active.later and active.states:
                entries = self._maker.write(active.later)
                active.later = []
                active.entries += entries
                active.waiting += entries
                return active.waiting.popleft()
        return None

    def _another(self) -> Entry | None:
        trials = self._journal.trials()
        self._tally.look(trials)
        if end := over(self._asked, self._tally, self._maker.list.entries, self._study.user_attrs):
            self._close(end.said)
            return None
        running = self._tally.running(trials)
        if self.counted + len(running) >= self._asked.search.n:
            if not self._active and "SLURM_JOB_ID" in os.environ and self._run_elsewhere(running):
                self._close("others try the points that are left; this worker has nothing to do")
            return None
        return self._ask(bool(running))

    def _close(self, said: str) -> None:
        self.open = False
        self._told(said)

    def _ask(self, any_runs: bool) -> Entry | None:
        """Ask Optuna until it names a point that nobody has tried. One that has a result gets the same once more."""
        known, tried = self._tally.points, self._known_texts()
        for tries in range(MOST):
            if self._choices.size and len(known) >= self._choices.size:
                break
            asked = self._suggested(tries >= PATIENCE)
            point = self._choices.suggest(asked)
            if self._choices.excluded(point):
                self._study.tell(asked, state=_state("FAIL"))
                continue
            # most points that come up again are known without filling the template
            own = tried.get(layout.canonical(point))
            wanted = [] if own else self._maker.identify(point)
            twin = known.get(own or wanted[0].entry.id)
            if twin is not None:
                self._repeat(asked, twin)
                continue
            asked.set_user_attr(TRIAL, {"id": wanted[0].entry.id, "point": point, "by": processes.this_process()})
            return self._take(asked, wanted)
        if not self._active and not any_runs:
            self._study.set_user_attr(USED_UP, self._asked.search.n)  # the next look finds the search over
        return None

    def _known_texts(self) -> dict[str, str]:
        """The ids of all points by their text: the id of one never changes, and comes after those that are known."""
        for key, each in islice(self._tally.points.items(), len(self._tried), None):
            self._tried[layout.canonical(each.user_attrs[TRIAL]["point"])] = key
        return self._tried

    def _suggested(self, random: bool) -> Trial:
        if not random:
            return self._study.ask()
        own = self._study.sampler
        self._study.sampler = optuna_backend.optuna().samplers.RandomSampler()
        try:
            return self._study.ask()
        finally:
            self._study.sampler = own

    def _repeat(self, asked: Trial, twin: FrozenTrial) -> None:
        """Tell Optuna of a point that it has asked for before, without running it again."""
        asked.set_user_attr("repeats", twin.number)
        if twin.state.name == "COMPLETE":
            self._study.tell(asked, twin.value)
        else:
            self._study.tell(asked, state=_state("PRUNED" if twin.state.name == "PRUNED" else "FAIL"))

    def _take(self, asked: Trial, wanted: list[Wanted]) -> Entry:
        """Write and list the trials of a point, and begin; where it may be stopped early, only the first as yet."""
        now = len(wanted) if self._follower is None else 1
        return self._begun(asked, self._maker.write(wanted[:now]), wanted[now:])

    def _begun(self, asked: Trial, entries: list[Entry], later: Sequence[Wanted] = ()) -> Entry:
        active = Active(asked, deque(entries), entries, [*later])
        self._active[asked.number] = active
        return active.waiting.popleft()

    def _run_elsewhere(self, running: list[FrozenTrial]) -> bool:
        """Whether other workers are at all of these points for certain: then a job need not wait for their ends."""
        if time.monotonic() < self._next_doubt:
            return False
        self._next_doubt = time.monotonic() + DOUBT
        return all(peers.run(self._paths, self._maker, each.user_attrs.get(TRIAL)) for each in running)

    # --- what other workers left ----------------------------------------------------------------------------------

    def _left_behind(self) -> Entry | None:
        """A trial whose worker is gone; what has ended meanwhile is told."""
        if time.monotonic() < self._next_look:
            return None
        self._next_look = time.monotonic() + LOOK
        trials = self._journal.trials()
        self._tally.look(trials)
        for each in self._tally.running(trials):
            if each.number in self._active:
                continue
            own = each.user_attrs.get(TRIAL)
            asked = self._journal.trial(each.number)
            if own is None:  # killed before it knew which trial that is; nobody else is asking now
                self._study.tell(asked, state=_state("FAIL"))
                continue
            names = [TrialName(own["id"], repeat) for repeat in range(self._asked.n_trials)]
            places = [self._paths.place(name) for name in names]
            if not peers.have_left(own, each, places):
                continue
            wanted = self._maker.identify(own["point"])
            kept: list[Entry] = []
            if wanted[0].entry.id != own["id"]:  # of an earlier source: what was kept of it, or nothing
                kept = [entry for name in names if (entry := self._maker.list.entries.get(name)) and entry.current]
                if not kept:
                    self._study.tell(asked, state=_state("FAIL"))
                    continue
            taken = {"by": processes.this_process(), "at": time.time(), "after": [place.last() for place in places]}
            asked.set_user_attr(TRIAL, {**own, **taken})
            return self._begun(asked, kept) if kept else self._take(asked, wanted)
        return None

    # --- telling --------------------------------------------------------------------------------------------------

    def ended(self, outcome: Outcome, leaving: bool) -> None:
        """A trial has ended. One that was stopped with its worker, when that is `leaving`, is for another worker."""
        active = next((each for each in self._active.values() if outcome.entry in each.entries), None)
        if active is None:
            return
        state, record = outcome.status.state, outcome.status.record
        if state == "stopped" and (leaving or peers.interrupted(record)):
            del self._active[active.asked.number]
            return
        active.states[outcome.entry] = state
        if state == "finished":
            active.values[outcome.entry] = self._value(active, outcome.entry, record)
            self._report_rest(active, outcome.entry, record)
        elif state == "pruned":
            active.waiting.clear()
            active.later.clear()
        else:
            active.cause = active.cause or _cause(outcome)
        if active.waiting or active.later or (len(active.states) < len(active.entries) and state != "pruned"):
            return
        del self._active[active.asked.number]
        with lock.asking(self._paths):
            self._tell(active)

    def _tell(self, active: Active) -> None:
        values = [value for value in active.values.values() if value is not None]
        self._told_of.add(active.asked.number)
        if "pruned" in active.states.values():
            self._study.tell(active.asked, state=_state("PRUNED"))
        elif not values:
            active.asked.set_user_attr(FAILED, active.cause)
            if active.unreported:
                active.asked.set_user_attr(UNREPORTED, active.unreported)
            self._study.tell(active.asked, state=_state("FAIL"))
        elif not all(map(math.isfinite, values)):  # it diverged, which is as bad as can be, and no reason to try again
            active.asked.set_user_attr(DIVERGED, str(values[0]))
            self._study.tell(active.asked, state=_state("PRUNED"))
        else:
            self._study.tell(active.asked, statistics.fmean(values))
        trials = self._journal.trials()
        self._tally.look(trials)
        if values:
            self._praise(active)
        elif not self.problem and (end := stuck(self._tally, trials, self._told_of)):
            self.problem = end.said
            self.open = False
            self._gives_up = True

    def _praise(self, active: Active) -> None:
        """Say so when a point is the best so far."""
        best = self._tally.best
        if best is not None and best.number == active.asked.number:
            entry, metric = active.entries[0], self._asked.results.metric
            self._told(f"best so far: {metric} {best.value:.4g} #{entry.number} {entry.described()}")

    def _value(self, active: Active, entry: Entry, record: Record) -> float | None:
        """What a finished trial reports for the metric; where it does not, that is said."""
        options = self._asked.results
        found = metrics.read(self._output(entry, record), options.pattern, options.metric)
        value = found.values.get(options.metric or "")
        if value is not None and metrics.number(value):
            return float(value)
        names = ", ".join(table.shown_metrics([Row(entry, "finished", None, found.values)], ResultsOptions()))
        said = f"#{entry.number} {entry.name} reports no {options.metric}; found {names or 'no number at all'}"
        active.cause = active.cause or said
        active.unreported = said
        self._told(said)
        return None

    def _output(self, entry: Entry, record: Record) -> metrics.Output:
        place = self._paths.place(entry.name)
        log = os.path.join(place.attempt(record.get("attempt", 0)), places.LOG)
        return metrics.Output(trial_rows.output(place, record), log)

    # --- early stopping -------------------------------------------------------------------------------------------

    def watch(self, running: Iterable[Running]) -> Iterator[tuple[Running, dict[str, Any]]]:
        """The trials that do badly."""
        if self._follower is None:
            return
        for each in running:
            active = next((active for active in self._active.values() if each.entry in active.entries), None)
            if active is None or each.entry in self._pruned or each.entry != active.entries[0]:
                continue
            news = self._follower.news(each)
            if not news:
                continue
            with lock.asking(self._paths):
                why = self._follower.judge(self._journal, active.asked, news)
            if why:
                self._pruned.add(each.entry)
                yield each, why

    def again(self, pruned: dict[str, Any]) -> bool:
        """Whether another rule has stopped a trial, in an earlier search: what it did says nothing to this one."""
        return self._follower is None or any(pruned.get(key) != value for key, value in self._follower.rule.items())

    def left_out(self) -> list[Entry]:
        """Trials that nobody has run, or that were begun in vain, of points that have a result."""
        self._tally.look(self._journal.trials())
        told = {key for key, each in self._tally.points.items() if counts(each)}
        listed = [each for each in self._maker.list.entries.values() if each.current and each.id in told]
        return [
            each
            for each in listed
            if trial_state.state(self._paths.place(each.name))[0] in ("queued", "stopped", "lost")
        ]

    def close(self) -> None:
        """End what this worker has started for itself."""
        self._maker.close()

    def _report_rest(self, active: Active, entry: Entry, record: Record) -> None:
        if self._follower is None or entry != active.entries[0]:
            return
        number = record.get("attempt", 0)
        news = self._follower.rest(entry, self._output(entry, record), number)
        with lock.asking(self._paths):
            self._follower.report(self._journal, active.asked, news)
            if said := self._follower.complaint(self._journal, active.asked, entry, number):
                self._told(said)

    # --- looking --------------------------------------------------------------------------------------------------

    @property
    def counted(self) -> int:
        """How many points have a result, as this worker knows."""
        return self._tally.ended

    @property
    def line(self) -> str:
        """How far the search is, for the live view: of all workers."""
        pruned = f", {self._tally.pruned} pruned" if self._tally.pruned else ""
        return f"{self.counted} of {self._asked.search.n} points{pruned}{self._best_shown()}"

    def _best_shown(self) -> str:
        best = self._tally.best
        if best is None:
            return ""
        entry = self._maker.list.entries.get(TrialName(best.user_attrs[TRIAL]["id"], 0))
        return f", best {best.value:.4g}" + (f" (#{entry.number})" if entry else "")


def _cause(outcome: Outcome) -> str:
    """Why a trial has not finished; what never came to its training has nothing in its log."""
    state, record = outcome.status.state, outcome.status.record
    if state != "failed":
        return state
    began = record.get("exit_status") is not None or record.get("signal")
    return status.cause(outcome.status) if began or not outcome.said else outcome.said


def _state(name: str) -> Any:
    return optuna_backend.optuna().trial.TrialState[name]


def check(asked: Sweep) -> None:
    """Refuse to begin without Optuna: a ConfigError."""
    if not asked.search.learns and asked.search.stop is None:
        raise ConfigError(f"{asked.where}: search: asks for nothing that learns")
    optuna_backend.check(asked.where, asked.search)
