"""The journal of a sweep's search: a study of Optuna's in a file, which workers and Optuna's dashboard open alike."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resweep.errors import ConfigError
from resweep.layout import SweepPaths
from resweep.space import optuna_backend
from resweep.sweep import metric_mode
from resweep.sweep.definition import Sweep

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import JournalStorage
    from optuna.trial import FrozenTrial, Trial

TRIAL = "trial"  # the attribute of Optuna's trial that says which of ours it is, and who asked for it
FROM = "from"  # of one that another sweep gave


class HeldLock:
    """The lock that Optuna's journal asks for: whoever writes holds ours, which the system frees when its holder dies.

    Before anything is appended, the part of a line is cut off that a worker wrote as it was killed.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def acquire(self) -> bool:
        """Make sure that the journal ends with a whole line."""
        with open(self._path, "rb+") as file:
            end = file.seek(0, os.SEEK_END)
            start = end
            while start and (file.seek(start - 1), file.read(1))[1] != b"\n":
                start -= 1
            if start != end:
                file.truncate(start)
        return True

    def release(self) -> None:
        """Nothing: our lock is held on."""


def name(paths: SweepPaths, began: int | str) -> str:
    """What a study is called, which the dashboard lists."""
    return f"{paths.name}-{began}"


def of_search(record: Mapping[str, Any]) -> int:
    """Which study a generation's `record` goes on with: that of the generation in which its search began."""
    return int(record["study"])


def of_curves(asked: Sweep, record: Mapping[str, Any]) -> str:
    """Which study judges trials that are known: by its metric, and the last generation that changed what they measure.

    So do trials of a search that a person runs by hand: what the search itself has asked for is another study.
    """
    return f"{judged_by(asked)}-{record.get('study', record.get('generation', 0))}"


def judged_by(asked: Sweep) -> str:
    """The metric that trials are stopped early by, or else ranked by."""
    rule = asked.search.stop
    return (rule.metric if rule else None) or asked.results.metric or ""


@dataclass(frozen=True)
class Journal:
    """A study in its storage, which knows it by a number."""

    study: Study
    storage: JournalStorage
    number: int

    def trials(self) -> list[FrozenTrial]:
        """Every trial as it is now; not to be changed."""
        return self.study.get_trials(deepcopy=False)

    def trial(self, number: int) -> Trial:
        """One trial, to be reported and told of."""
        key = self.storage.get_trial_id_from_study_id_trial_number(self.number, number)
        return optuna_backend.optuna().Trial(self.study, key)  # type: ignore[no-any-return]

    def began(self, params: dict[str, Any], distributions: dict[str, Any], attributes: dict[str, Any]) -> Trial:
        """A new trial that runs, whose parameters are known."""
        library = optuna_backend.optuna().trial
        asked = library.create_trial(
            state=library.TrialState.RUNNING, params=params, distributions=distributions, user_attrs=attributes
        )
        return optuna_backend.optuna().Trial(self.study, self.storage.create_new_trial(self.number, asked))  # type: ignore[no-any-return]


def open_study(paths: SweepPaths, asked: Sweep, began: int | str) -> Journal:
    """The study that `began` names, made if there is none, with the pruner of `[search.stop]`; the lock is held."""
    storage = _storage(paths)
    own = name(paths, began)
    ways = optuna_backend.optuna().study.StudyDirection
    wanted = ways.MAXIMIZE if asked.results.mode == "max" else ways.MINIMIZE
    try:
        number = storage.get_study_id_from_name(own)
    except KeyError:
        number = storage.create_new_study([wanted], own)
    if storage.get_study_directions(number) != [wanted]:
        if isinstance(began, str):  # trials are judged alike, but for the direction: another study
            return open_study(paths, asked, f"{began} {asked.results.mode}")
        raise ConfigError(
            f"{asked.where}: results.mode: found {asked.results.mode}, the search began as the other; generate again"
        )
    rule = asked.search.stop
    pruner = optuna_backend.pruner(asked.where, rule, turned(asked)) if rule else None
    return Journal(optuna_backend.optuna().load_study(study_name=own, storage=storage, pruner=pruner), storage, number)


def turned(asked: Sweep) -> bool:
    """Whether the study is shown the negative of what trials measure: it has one direction, that of `[results]`."""
    return asked.search.stop is not None and mode(asked) != asked.results.mode


def mode(asked: Sweep) -> str:
    """Whether high or low values of what trials are judged by while they run are good: `max` or `min`."""
    rule = asked.search.stop
    if rule is None or (rule.mode is None and rule.metric in (None, asked.results.metric)):
        return asked.results.mode
    return rule.mode or metric_mode.guessed(rule.metric or "")


def read_study(paths: SweepPaths, began: int | str) -> Journal | None:
    """The study as it is now, only to be read; None where no worker has begun it."""
    if not paths.study.exists():
        return None
    storage, own = _storage(paths), name(paths, began)
    try:
        number = storage.get_study_id_from_name(own)
    except KeyError:
        return None
    return Journal(optuna_backend.optuna().load_study(study_name=own, storage=storage), storage, number)


def _storage(paths: SweepPaths) -> JournalStorage:
    optuna_backend.optuna()  # silent, before its storages are imported
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    backend = JournalFileBackend(str(paths.study), lock_obj=HeldLock(str(paths.study)))  # type: ignore[arg-type]
    return JournalStorage(backend)
