"""Searches whose journals are written at once: what many trials came to, without running them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from unittest import mock

import optuna
from small_project import Project

from resweep import index, lock
from resweep.search import journal
from resweep.search.journal import TRIAL, Journal
from resweep.search.trial_writer import Maker
from resweep.space.optuna_space import Choices
from resweep.sweep import stored
from resweep.sweep.definition import Sweep

SEARCH = """\
[hyper]
"params.lr" = { uniform = [0, 1] }
"params.dropout" = { uniform = [0, 1] }

[search]
method = "qmc"
n = 40

[results]
metric = "best_validation_accuracy"
"""


def generated(project: Project, text: str = SEARCH, *options: str, name: str = "rnn") -> Sweep:
    """Generate a search from this text, without running it; gives what was frozen."""
    project.write({"config/rnn.toml": text})
    project.begin("config/rnn.toml", "base.jsonnet", name, "--no-slurm-job", *options)
    return stored.read(project.paths(name))


def opened_journal(project: Project, asked: Sweep, began: int | str = 1, name: str = "rnn") -> Journal:
    """The journal of a search, opened as a worker does."""
    paths = project.paths(name)
    paths.study.parent.mkdir(exist_ok=True)
    with lock.asking(paths):
        return journal.open_study(paths, asked, began)


def told(
    project: Project, asked: Sweep, count: int, value: Callable[[Mapping[str, Any]], float], name: str = "rnn"
) -> list[index.Entry]:
    """Write down so many points of a search, each with this result; gives the trials, which have no capsules."""
    maker, choices = Maker(project.paths(name), asked), Choices(asked.hyper)
    opened = opened_journal(project, asked, maker.study, name)
    opened.study.sampler = optuna.samplers.RandomSampler(seed=count)
    entries = []
    # a disk that many wait for would make the tests wait, too
    with lock.asking(project.paths(name)), mock.patch("os.fsync"):
        for _ in range(count):
            trial = opened.study.ask()
            wanted = maker.identify(choices.suggest(trial))
            trial.set_user_attr(TRIAL, {"id": wanted[0].entry.id, "point": wanted[0].entry.swept, "by": {}})
            entries += maker.list.add([replace(each.entry, generation=maker.generation) for each in wanted])
            opened.study.tell(trial, value(wanted[0].entry.swept))
    return entries
