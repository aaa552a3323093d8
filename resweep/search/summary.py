"""What a search has come to, and what it takes to matter: Optuna's journal, read as it stands. Nothing is written."""

from __future__ import annotations

import importlib
import math
import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from resweep import index, layout
from resweep.errors import ResweepError
from resweep.index import Entry
from resweep.launcher import storage
from resweep.layout import SweepPaths
from resweep.search import ending, journal, warm_start
from resweep.search.journal import FROM, TRIAL, Journal
from resweep.search.tally import Tally
from resweep.space import optuna_backend
from resweep.sweep import stored
from resweep.sweep.definition import Sweep

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

ENOUGH = 20  # points with a result, before anybody may believe that something matters

# A file that a person or a disk has changed may break the library anywhere
_BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, AssertionError)


@dataclass(frozen=True)
class Belief:
    """How far a search is: points by what came of them, the best one, and the parameters that matter.

    `diverged` points, whose metric is no finite number, count like pruned ones. `wanted` is None where the points are
    known beforehand. `begun` are points that have been asked for and have no result yet, `given` those of other sweeps.
    `importance` sums up to 1, the largest first: what gets a point among the best tenth. `unheard` points have finished
    since they were told of as failed or pruned. `end` says why no further point is tried, `problem` why nothing else is
    known.
    """

    method: str
    wanted: int | None
    metric: str
    mode: str
    finished: int = 0
    pruned: int = 0
    diverged: int = 0
    failed: int = 0
    begun: int = 0
    given: int = 0
    unheard: int = 0
    best: float | None = None
    trial: Entry | None = None
    importance: dict[str, float] = field(default_factory=dict)
    end: ending.End | None = None
    problem: str = ""

    @property
    def ended(self) -> int:
        """The points that count."""
        return self.finished + self.pruned + self.diverged


def believed(paths: SweepPaths) -> Belief | None:
    """What a sweep's search has come to; None for a sweep that has none, without a look at Optuna."""
    number = index.generation(paths)
    record = storage.read_json(str(paths.generations / str(number) / layout.GENERATION))
    if not record.get("search"):
        return None
    asked = stored.read(paths)
    if not asked.search.learns and asked.search.stop is None:
        return None
    try:
        began = journal.of_search(record) if asked.search.learns else journal.of_curves(asked, record)
        found = journal.read_study(paths, began)
        if not paths.study.exists() and asked.search.learns and index.read(paths).current():
            return _nothing(asked, _without_journal(paths, record))
        return _summed(paths, asked, found) if found else _nothing(asked)
    except ResweepError as error:
        return _nothing(asked, str(error))
    except _BROKEN as error:
        why = " ".join(str(error).split()) or type(error).__name__
        return _nothing(asked, f"{paths.study}: cannot be read ({why})")


def _without_journal(paths: SweepPaths, record: dict[str, Any]) -> str:
    if not (paths.snapshots / str(record.get("snapshot"))).is_dir():
        return "its journal and its source are not here, as after unpack: the search goes on where it was"
    return "its journal is not here; a worker begins another with what has finished"


def _nothing(asked: Sweep, problem: str = "") -> Belief:
    search = asked.search
    metric = asked.results.metric or journal.judged_by(asked)
    return Belief(search.method, search.n if search.learns else None, metric, asked.results.mode, problem=problem)


def _summed(paths: SweepPaths, asked: Sweep, found: Journal) -> Belief:
    trials, entries = found.trials(), index.read(paths).entries
    if not asked.search.learns:  # others may be orphans now
        listed = {str(entry.name) for entry in entries if entry.current}
        trials = [each for each in trials if each.user_attrs.get(TRIAL, {}).get("id") in listed]
    tally = Tally(asked, trials)
    states = [each.state.name for each in tally.points.values()]
    complete = [each for each in tally.points.values() if each.state.name == "COMPLETE"]
    diverged = sum(ending.DIVERGED in each.user_attrs for each in tally.points.values())
    best = tally.best
    empty = _nothing(asked)
    return Belief(
        method=empty.method,
        wanted=empty.wanted,
        metric=empty.metric,
        mode=empty.mode,
        finished=len(complete),
        pruned=tally.pruned - diverged,
        diverged=diverged,
        failed=states.count("FAIL"),
        begun=states.count("RUNNING"),
        given=sum(FROM in each.user_attrs for each in trials),
        unheard=warm_start.unheard(paths, tally.points, entries) if asked.search.learns else 0,
        best=best.value if best else None,
        trial=_entry(best.user_attrs[TRIAL]["id"], entries) if best else None,
        importance=_importance(found.study, complete),
        end=_end(asked, found, tally, entries) if asked.search.learns else None,
    )


def _end(asked: Sweep, found: Journal, tally: Tally, entries: Iterable[Entry]) -> ending.End | None:
    """What a worker that is started now would say, or what the last one has said when it gave up."""
    known = {entry.name: entry for entry in entries}
    if end := ending.over(asked, tally, known, found.study.user_attrs):
        return end
    trials = found.trials()
    return None if tally.running(trials) else ending.stuck(tally, trials)


def _entry(name: str, entries: Iterable[Entry]) -> Entry | None:
    """The trial of that name, or the first of the point of that id."""
    return next((each for each in entries if str(each.name) == name or (each.id == name and each.trial == 0)), None)


def _importance(opened: Study, complete: list[FrozenTrial]) -> dict[str, float]:
    """How much each parameter has to do with being among the best; empty where that cannot be told."""
    if len(complete) < ENOUGH or len({each.value for each in complete}) == 1:
        return {}
    library = _library()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = library.get_param_importances(opened, evaluator=library.PedAnovaImportanceEvaluator())
    except (ValueError, RuntimeError, AssertionError):  # nothing varies
        return {}
    shares = {str(name): float(value) for name, value in found.items()}
    return dict(sorted(shares.items(), key=lambda item: -item[1])) if all(map(math.isfinite, shares.values())) else {}


def _library() -> Any:
    """Optuna's module of importance, as where scikit-learn is not installed: importing that takes a second.

    Leaves no trace: who imports it after us has all of it.
    """
    parent = optuna_backend.optuna()
    name, unwanted = "optuna.importance", "sklearn.ensemble"
    if name in sys.modules or unwanted in sys.modules:
        return importlib.import_module(name)
    before = vars(parent).get("importance")  # the parent may have a stand-in for it
    sys.modules[unwanted] = None  # type: ignore[assignment]
    try:
        return importlib.import_module(name)
    finally:
        del sys.modules[unwanted]
        for each in [each for each in sys.modules if each == name or each.startswith(name + ".")]:
            del sys.modules[each]
        vars(parent).pop("importance", None)
        if before is not None:
            vars(parent)["importance"] = before
