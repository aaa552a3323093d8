"""Trials -> batches: one array for all that ask for the same, in as few pieces as the site allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from resweep import layout
from resweep.errors import ConfigError
from resweep.index import Entry
from resweep.layout import TrialName
from resweep.run import status
from resweep.slurm.ledger import Job, Kind, Runner, Submission
from resweep.slurm.limits import Limits
from resweep.slurm.states import View
from resweep.sweep import slurm_table
from resweep.sweep.definition import Sweep
from resweep.sweep.slurm_table import Resources


@dataclass(frozen=True)
class Wish:
    """How a person wants the trials submitted: by default as arrays."""

    workers: int = 0  # so many tasks that drain the trials together
    one_job_per_trial: bool = False
    profile: str | None = None
    canary: bool = False
    extra: tuple[str, ...] = ()  # options of sbatch, as on its command line
    max_trials: int = 0  # that a worker runs; 0: as many as there are, or as `trials_per_job` says
    points: int | None = None  # left to a search, whose trials nobody knows; None for trials that are known
    over: str = ""  # why there is nothing left to a search
    elsewhere: bool = False  # what was submitted to a cluster that cannot be seen from here, too


@dataclass(frozen=True)
class Batch:
    """What is one job of Slurm's, or for one job per trial one after another: a list of trials."""

    name: str
    kind: Kind
    trials: tuple[Entry, ...]
    resources: Resources
    tasks: int
    runner: Runner = ""

    def record(self) -> dict[str, Any]:
        """The list, as the submission's file holds it."""
        asked = self.resources
        return {
            "kind": self.kind,
            "trials": len(self.trials),
            "tasks": self.tasks,
            "trials_per_job": asked.trials_per_job if self.kind == "workers" else None,
            **({"runner": self.runner} if self.runner else {}),
            "options": asked.options,
        }


def runner(definition: Sweep, wish: Wish) -> Runner:
    """Whether the tasks are runners of the tool's own, and what they work on."""
    runner: Runner = "search" if wish.points is not None else "list" if definition.search.stop else ""
    if runner and wish.one_job_per_trial:
        what, why = ("a search", "ask for its trials") if runner == "search" else ("[search.stop]", "follow the trials")
        raise ConfigError(f"--one-job-per-trial: found {what}, expected --workers N, since it is workers who {why}")
    return runner


def wanted(statuses: Sequence[status.Status], view: View, wish: Wish) -> tuple[list[Entry], dict[str, int]]:
    """The trials that want a task, and how many do not for which reason."""
    drained = _drained((submission, job) for submission, job, _ in view.working())
    there = set() if wish.elsewhere else view.elsewhere.keys() | _drained(view.workers_elsewhere)
    unsure = {
        name
        for name, submission in view.recovered.trials().items()
        if not (wish.elsewhere and submission.cluster not in (None, view.cluster))
    }
    wanted: list[Entry] = []
    skipped = dict.fromkeys((*_SKIPPED, *_UNSEEN), 0)
    for each in statuses:
        if each.state == "finished":
            skipped["have finished"] += 1
        elif each.state == "pruned":
            skipped["were stopped early"] += 1
        elif each.state == "running" or view.task(view.given(each.entry.name)).runs:
            skipped["run"] += 1
        elif not wish.workers and view.task(view.given(each.entry.name)).waits:
            skipped["wait in Slurm"] += 1
        elif not wish.workers and each.entry.name in drained:
            skipped["are left to workers"] += 1
        elif each.entry.name in unsure:
            skipped["may have been submitted just now"] += 1
        elif each.entry.name in there:
            skipped["were submitted to another cluster"] += 1
        else:
            wanted.append(each.entry)
    return wanted, {reason: count for reason, count in skipped.items() if count}


_SKIPPED = ("have finished", "were stopped early", "run", "wait in Slurm", "are left to workers")
_UNSEEN = ("may have been submitted just now", "were submitted to another cluster")


def _drained(jobs: Iterable[tuple[Submission, Job]]) -> set[TrialName]:
    """The trials in the lists of workers."""
    lists = {(submission.folder, job.list): submission for submission, job in jobs if not submission.searches(job)}
    return {name for (_, each), submission in lists.items() for name in submission.trials(each)}


def of_search(
    asked: Resources, wish: Wish, view: View, allowed: Limits
) -> tuple[list[Batch], dict[str, int], list[str]]:
    """The jobs of a search, how many workers it has already, and what is worth a note.

    An array of workers, as many as are missing, perhaps behind one that tries a single trial.
    """
    working = sum(submission.searches(job) for submission, job, _ in view.working()) + view.recovered.searchers()
    points, workers, notes = wish.points or 0, wish.workers or asked.parallel or 1, []
    if not wish.workers and not asked.parallel and points > 1:
        notes.append("one worker; --workers N starts more, and so does parallel = N in [slurm]")
    if workers > points > 0:
        notes.append(f"{points} points are left: no more workers than that")
    tasks, asked = max(0, min(workers, points) - working), _limited(asked, wish)
    batches = [Batch("canary", "canary", (), asked, 1, "search")] if tasks and wish.canary else []
    if tasks:
        batches.append(Batch("1", "workers", (), asked, min(tasks, allowed.array), "search"))
    return batches, {"workers wait or run already": working} if working else {}, notes


def _limited(asked: Resources, wish: Wish) -> Resources:
    return replace(asked, trials_per_job=wish.max_trials) if wish.max_trials else asked


def groups(
    wanted: Sequence[Entry], tables: Sequence[dict[str, Any]], definition: Sweep, declared: dict[str, str], wish: Wish
) -> tuple[list[tuple[Resources, list[Entry]]], list[str]]:
    """The trials that ask for the same, together."""
    groups: dict[str, tuple[Resources, list[Entry]]] = {}
    notes: list[str] = []
    for entry in wanted:
        swept = {key.removeprefix("slurm."): value for key, value in entry.swept.items() if key.startswith("slurm.")}
        threads = entry.swept.get("threads", definition.threads)
        key = layout.canonical([swept, threads])
        if key not in groups:
            asked, found = slurm_table.resolve(*tables, swept, threads=threads, declared=declared)
            notes += found
            groups[key] = (_limited(asked, wish), [])
        groups[key][1].append(entry)
    return list(groups.values()), notes


def of_trials(
    groups: list[tuple[Resources, list[Entry]]], wish: Wish, allowed: Limits, working: int, runner: Runner
) -> Iterator[Batch]:
    """The jobs: as many lists as the groups, and the site's longest array, make necessary."""
    number = 0
    everything = sum(len(entries) for _, entries in groups) - wish.canary
    for each, (asked, entries) in enumerate(groups):
        if wish.canary and each == 0:
            yield Batch("canary", "canary", (entries[0],), asked, 1, runner)
            entries = entries[1:]
        workers = wish.workers or runner or (asked.trials_per_job and not wish.one_job_per_trial)
        size = len(entries) if workers or wish.one_job_per_trial else allowed.array
        for start in range(0, len(entries), size or 1):
            number += 1
            trials = tuple(entries[start : start + size])
            kind: Kind = "workers" if workers else "single" if wish.one_job_per_trial else "array"
            tasks = len(trials)
            if wish.workers:
                share = (wish.workers - working) * len(trials) // everything
                tasks = min(max(share, 0 if working else 1), len(trials))
            elif workers:
                tasks = -(-len(trials) // (asked.trials_per_job or 1))
                if not asked.trials_per_job:  # more would only wait for their turn
                    tasks = min(tasks, asked.parallel or tasks)
            if tasks:
                yield Batch(str(number), kind, trials, asked, min(tasks, allowed.array) if workers else tasks, runner)
