"""Trials -> jobs: one array for all that ask for the same, in as few pieces as the site allows.

What is to run stands in a directory that is written before Slurm hears of it, and never changes; every job that sbatch
takes is written down at once. So generating again remaps nothing, and a crash loses no job.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from resweep import attempt, launcher, resources, status, task, trial
from resweep.errors import ConfigError, SlurmError, disk_errors
from resweep.index import Entry
from resweep.resources import Resources
from resweep.slurm import commands, ledger, limits, queue, script, site, states
from resweep.slurm.ledger import Kind, Runner, Submission
from resweep.slurm.limits import Limits
from resweep.slurm.script import SiteScript
from resweep.slurm.states import View
from resweep.sweep import Sweep
from resweep.trial import SweepPaths

TASK = "task.py"


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


@dataclass(frozen=True)
class Draft:
    """Everything that is known before Slurm is asked to take anything."""

    paths: SweepPaths
    folder: Path
    batches: list[Batch]
    site: SiteScript
    task_script: str
    limits: Limits
    wish: Wish
    declared: dict[str, str]  # in the script or among the extra options
    skipped: dict[str, int]  # why trials are not submitted -> how many
    notes: list[str]

    @property
    def trials(self) -> int:
        """How many trials are to be submitted."""
        return sum(len(batch.trials) for batch in self.batches)

    def command(self, batch: Batch, count: int, line: int = 0, after: Sequence[str] = ()) -> list[str]:
        """The sbatch of a batch's first `count` tasks, or of one line of it, to be run after other jobs."""
        array = not line and batch.kind != "canary"
        own = {"parsable": True, "job-name": self._job_name(batch, line), "open-mode": "append"}
        own["output"] = ledger.output_pattern(self.paths, array)
        if array:
            throttle = batch.resources.parallel
            own["array"] = f"1-{count}" + (f"%{throttle}" if throttle else "")
        options = {key: value for key, value in own.items() if key not in {**self.declared, **batch.resources.options}}
        command = ["sbatch", *Resources(options).arguments(), *batch.resources.arguments(), *self.wish.extra]
        if after:
            asked = str(self.options(batch).get("dependency", ""))
            command.append("--dependency=" + ",".join(filter(None, [asked, *after])))
            command.append("--kill-on-invalid-dep=yes")
        where = [str(self.folder / ledger.TASK_SCRIPT), str(self.folder), batch.name]
        return [*command, *where, *([str(line)] if line else [])]

    def options(self, batch: Batch) -> dict[str, Any]:
        """What sbatch will heed: the site's script's lines, before them [slurm], before that the command line."""
        return _effective(batch.resources, self.site, self.wish)

    def _job_name(self, batch: Batch, line: int) -> str:
        name = self.paths.name
        if batch.kind == "canary":
            return f"{name}-canary"
        return f"{name}-{batch.trials[line - 1].id}-{batch.trials[line - 1].trial}" if line else name


@dataclass
class Submitted:
    """What Slurm took: jobs with their numbers of tasks; what is left, and why."""

    draft: Draft
    jobs: list[tuple[Batch, str, int]] = field(default_factory=list)
    left: int = 0
    reason: SlurmError | None = None

    @property
    def tasks(self) -> int:
        """How many tasks there are in all."""
        return sum(count for _, _, count in self.jobs)


def draft(paths: SweepPaths, definition: Sweep, entries: Sequence[Entry], wish: Wish) -> Draft:
    """Work out what would be submitted; writes nothing. Raises SlurmError or ConfigError where nothing can be."""
    tables, files = site.read()
    own = [*tables, definition.slurm]
    if wish.profile is not None:
        own.append(_profile(wish.profile, own, definition.where))
    statuses = status.survey(paths, entries)
    view = states.look(paths, statuses)
    if view.error:
        raise SlurmError(view.error)
    runner = _runner(definition, wish)
    first, _ = resources.resolve(*own)
    found = script.read(paths.root, first.script, _source(definition))
    declared = {**found.declared, **script.declared(wish.extra)}
    if runner == "search":
        asked, notes = resources.resolve(*own, threads=definition.threads, declared=declared)
        groups: list[tuple[Resources, list[Entry]]] = [(_limited(asked, wish), [])]
        tasks, skipped, said = _workers(asked, wish, view)
        notes += said
    else:
        wanted, skipped = _wanted(states.merged(statuses, view), view, wish)
        groups, notes = _groups(wanted, own, definition, declared, wish)
    if wish.one_job_per_trial and first.parallel:
        notes.append(f"parallel = {first.parallel} has no effect with one job per trial: Slurm throttles arrays only")
    if not definition.slurm and wish.profile is None:
        where = " and ".join(map(str, files)) if files else "the site's own"
        notes.append(f"no [slurm] table: the defaults are {where}")
    allowed = limits.read()
    for each, _ in groups:
        notes += limits.doubts(allowed, _effective(each, found, wish))
    if runner == "search":
        batches = list(_search(groups[0][0], tasks, wish, allowed))
    else:
        batches = list(_batches(groups, wish, allowed, len(view.working()), runner))
    python = os.environ.get("RESWEEP_PYTHON") or definition.python
    return Draft(
        paths=paths,
        folder=paths.submissions / str(max((each.number for each in view.submissions), default=0) + 1),
        batches=batches,
        site=found,
        task_script=script.task_script(
            paths.name, found, first.setup, python, sys.executable, paths.root if runner else None
        ),
        limits=allowed,
        wish=wish,
        declared=declared,
        skipped=skipped,
        notes=list(dict.fromkeys(notes)),
    )


def _runner(definition: Sweep, wish: Wish) -> Runner:
    """Whether the tasks are runners of the tool's own, and what they work on."""
    runner: Runner = "search" if wish.points is not None else "list" if definition.search.stop else ""
    if runner and wish.one_job_per_trial:
        what, why = ("a search", "ask for its trials") if runner == "search" else ("[search.stop]", "follow the trials")
        raise ConfigError(f"--one-job-per-trial: found {what}, expected --workers N, since it is workers who {why}")
    return runner


def _workers(asked: Resources, wish: Wish, view: View) -> tuple[int, dict[str, int], list[str]]:
    """How many workers a search wants besides those that it has, how many those are, and what is worth a note."""
    working = sum(submission.searches(job) for submission, job, _ in view.working())
    points, wanted, notes = wish.points or 0, wish.workers or asked.parallel or 1, []
    if not wish.workers and not asked.parallel and points > 1:
        notes.append("one worker; --workers N starts more, and so does parallel = N in [slurm]")
    if wanted > points > 0:
        notes.append(f"{points} points are left: no more workers than that")
    return max(0, min(wanted, points) - working), {"workers wait or run already": working} if working else {}, notes


def _search(asked: Resources, tasks: int, wish: Wish, allowed: Limits) -> Iterator[Batch]:
    """The jobs of a search: an array of workers, perhaps behind one that tries a single trial."""
    if tasks and wish.canary:
        yield Batch("canary", "canary", (), asked, 1, "search")
    if tasks:
        yield Batch("1", "workers", (), asked, min(tasks, allowed.array), "search")


def _limited(asked: Resources, wish: Wish) -> Resources:
    return replace(asked, trials_per_job=wish.max_trials) if wish.max_trials else asked


def _effective(asked: Resources, site_script: SiteScript, wish: Wish) -> dict[str, Any]:
    return {**site_script.declared, **asked.options, **script.declared(wish.extra)}


def _profile(name: str, tables: Sequence[dict[str, Any]], where: str) -> dict[str, Any]:
    known = resources.profiles(*tables)
    if name not in known:
        shown = ", ".join(known) or f"none; write [slurm.profiles.{name}]"
        raise ConfigError(f"--profile {name}: found no such profile in {where}, expected one of: {shown}")
    return dict(known[name])


def _source(definition: Sweep) -> str:
    return definition.where if "script" in definition.slurm else "Slurm"


def _wanted(statuses: Sequence[status.Status], view: View, wish: Wish) -> tuple[list[Entry], dict[str, int]]:
    """The trials that want a task, and how many do not for which reason."""
    lists = {(submission.folder, job.list): submission for submission, job, _ in view.working()}
    drained = {name for (_, each), submission in lists.items() for name in submission.trials(each)}
    wanted, skipped = (
        [],
        dict.fromkeys(("have finished", "were stopped early", "run", "wait in Slurm", "are left to workers"), 0),
    )
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
        else:
            wanted.append(each.entry)
    return wanted, {reason: count for reason, count in skipped.items() if count}


def _groups(
    wanted: Sequence[Entry], tables: Sequence[dict[str, Any]], definition: Sweep, declared: dict[str, str], wish: Wish
) -> tuple[list[tuple[Resources, list[Entry]]], list[str]]:
    """The trials that ask for the same, together."""
    groups: dict[str, tuple[Resources, list[Entry]]] = {}
    notes: list[str] = []
    for entry in wanted:
        swept = {key.removeprefix("slurm."): value for key, value in entry.swept.items() if key.startswith("slurm.")}
        threads = entry.swept.get("threads", definition.threads)
        key = trial.canonical([swept, threads])
        if key not in groups:
            asked, found = resources.resolve(*tables, swept, threads=threads, declared=declared)
            notes += found
            groups[key] = (_limited(asked, wish), [])
        groups[key][1].append(entry)
    return list(groups.values()), notes


def _batches(
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


@contextmanager
def locked(paths: SweepPaths) -> Iterator[None]:
    """One submission of the sweep at a time: the next one sees what this one has submitted."""
    with disk_errors(paths.directory):
        paths.submissions.mkdir(exist_ok=True)
        with open(paths.submissions / ".lock", "a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def submit(planned: Draft, told: Callable[[Batch, str, int], None] = lambda *_: None) -> Submitted:
    """Submit what was worked out; the caller holds the lock. What Slurm refuses is in the result, with its reason."""
    with disk_errors(planned.folder):
        submission = _write(planned)
    done = Submitted(planned)
    rooms: dict[tuple[str, str], int | None] = {}
    space = limits.space(planned.limits, sum(batch.tasks for batch in planned.batches))
    after: list[str] = []
    try:
        for batch in planned.batches:
            options = planned.options(batch)
            whose = str(options.get("qos", "")), str(options.get("account", ""))
            if whose not in rooms:
                rooms[whose] = limits.room(planned.limits, *whose)
            known = [rooms[whose], None if space is None else space - done.tasks]
            room = min((each for each in known if each is not None), default=None)
            for job, first, last in _submit_batch(planned, batch, after, room):
                array = batch.kind in ("array", "workers")
                submission.note(id=job, list=batch.name, first=first, last=last, array=array)
                done.jobs.append((batch, job, last - first + 1))
                told(batch, job, last - first + 1)
                if (left := rooms[whose]) is not None:
                    rooms[whose] = left - (last - first + 1)
            after = _after(batch, done, after)
    except _LimitError as error:
        done.reason = error.__cause__ if isinstance(error.__cause__, SlurmError) else None
    except SlurmError as error:
        done.reason = error
        if not done.jobs:
            shutil.rmtree(planned.folder)
            raise
    submission.note(complete=True)
    done.left = sum(batch.tasks for batch in planned.batches) - done.tasks
    return done


class _LimitError(Exception):
    """The user may have no more jobs now."""


def _after(batch: Batch, done: Submitted, before: list[str]) -> list[str]:
    """What the next job has to wait for: the canary; and with a throttle the job before, since it holds for all."""
    canary = [word for word in before if word.startswith("afterok")]
    if batch.kind == "canary":
        return [f"afterok:{done.jobs[-1][1]}"]
    if batch.resources.parallel and batch.kind != "single":
        return [*canary, f"afterany:{done.jobs[-1][1]}"]
    return canary


def _submit_batch(
    planned: Draft, batch: Batch, after: Sequence[str], room: int | None
) -> Iterator[tuple[str, int, int]]:
    """Submit a batch, and yield each job with the lines that it runs. Raises _LimitError when there is no more room."""
    if batch.kind == "single":
        for line in range(1, batch.tasks + 1):
            if room is not None and line > room:
                raise _LimitError
            yield _sbatch(planned.command(batch, 1, line, after), planned.paths.root), line, line
        return
    count = batch.tasks if room is None else min(batch.tasks, room)
    while count:
        try:
            job = _sbatch(planned.command(batch, count, 0, after), planned.paths.root)
        except _LimitError as error:
            if count == 1 or commands.FULL in str(error.__cause__):
                raise
            count //= 2
            continue
        yield job, 1, count
        break
    if count < batch.tasks:
        raise _LimitError


def _sbatch(command: list[str], root: Path) -> str:
    try:
        return commands.call(*command, cwd=root).strip().partition(";")[0]
    except SlurmError as error:
        if commands.submit_limit(error):
            raise _LimitError from error
        raise


def _write(planned: Draft) -> Submission:
    """Write the submission's directory, whole, before Slurm hears of it."""
    paths = planned.paths
    paths.slurm_output.mkdir(parents=True, exist_ok=True)
    part = paths.submissions / f".new-{os.getpid()}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    first = planned.batches[0].resources
    record = {
        "format": trial.FORMAT,
        "sweep": paths.name,
        "created": attempt.now(),
        "host": socket.gethostname(),
        "user": getpass.getuser(),
        "profile": planned.wish.profile,
        "extra": list(planned.wish.extra),
        "script": planned.site.path.name,
        "calls_the_launcher": planned.site.calls_the_launcher,
        "max_requeues": first.max_requeues,
        "lists": {batch.name: batch.record() for batch in planned.batches},
    }
    files = {
        ledger.SUBMISSION: (json.dumps(record, indent=2, sort_keys=True, default=str) + "\n").encode(),
        ledger.TASK_SCRIPT: planned.task_script.encode(errors="surrogateescape"),
        TASK: Path(task.__file__).read_bytes(),
        script.LAUNCHER: launcher.text().encode(),
        planned.site.path.name: planned.site.data,
        **{f"{batch.name}.txt": "".join(f"{e.name}\n" for e in batch.trials).encode() for batch in planned.batches},
    }
    for name, data in files.items():
        with open(part / name, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        (part / name).chmod(0o555 if name in (ledger.TASK_SCRIPT, planned.site.path.name) else 0o444)
    part.rename(planned.folder)
    return Submission(planned.folder, json.loads(files[ledger.SUBMISSION]))


def recover(paths: SweepPaths) -> list[str]:
    """Find the jobs of a submission that was killed between sbatch and its note; the caller holds the lock."""
    found = []
    for submission in ledger.read(paths):
        if submission.complete:
            continue
        for job in _unnoted(submission):
            submission.note(**job)
            found.append(f"job {job['id']} of submission {submission.number} was not noted; found in the queue")
        submission.note(complete=True)
    return found


def _unnoted(submission: Submission) -> list[dict[str, Any]]:
    """The jobs in the queue that run a submission's task.sh, and stand in no line of it."""
    start = str(submission.folder / ledger.TASK_SCRIPT)
    text = commands.call("squeue", "-h", "--states=all", f"--user={getpass.getuser()}", "-o", "%F|%K|%o")
    known = {job.id for job in submission.jobs}
    jobs: dict[str, dict[str, Any]] = {}
    for line in text.splitlines():
        job, indices, command = (*line.split("|", 2), "", "")[:3]
        if not command.startswith(start) or job in known:
            continue
        name, *rest = command.removeprefix(f"{start} {submission.folder} ").split(" ")
        tasks = list(queue.numbers(indices)) or [int(rest[0]) if rest else 1]
        each = jobs.setdefault(job, {"id": job, "list": name, "first": 1, "last": 1, "array": indices != "N/A"})
        each["last"] = max(each["last"], *tasks)
        each["first"] = each["first"] if each["array"] else each["last"]
    return list(jobs.values())
