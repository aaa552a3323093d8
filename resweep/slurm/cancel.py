"""End what Slurm runs or holds of a sweep, and look that it has ended.

Only jobs that are shown to be the sweep's are cancelled. A trial that runs in a job of which the ledger knows nothing,
such as a person's own allocation, is ended by a signal to its launcher.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from resweep.errors import SlurmError
from resweep.index import Entry
from resweep.launcher import slurm_job
from resweep.layout import SweepPaths, TrialName
from resweep.run import status, stop
from resweep.run.status import Status
from resweep.slurm import doubts, identity, ledger, queue, states
from resweep.slurm.queue import TaskName
from resweep.slurm.recover import Recovered
from resweep.slurm.states import View

PATIENCE = 60.0  # seconds beyond those that a training has between TERM and KILL
LOOK, LONGEST_LOOK = 1.0, 5.0  # seconds between two questions: a busy controller has better to do


@dataclass(frozen=True)
class Cancelled:
    """What became of it: tasks that were cancelled, those that have not ended, trials that ended.

    `notes` are jobs that were left alone, and `doubts` what may run or wait all the same, a line each; `jobs` says for
    trials in which job they run that is not the sweep's.
    """

    tasks: int
    left: list[TaskName]
    stopped: list[Status]
    error: str = ""
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    jobs: dict[TrialName, str] = field(default_factory=dict)


def cancel(paths: SweepPaths, entries: Sequence[Entry], whole: bool) -> Cancelled:
    """Cancel the tasks of the trials, or with `whole` all jobs of the sweep, and wait until they have ended."""
    before = status.survey(paths, entries)
    view = states.look(paths, before, whole)
    if view.error:
        return Cancelled(0, [], [], view.error)
    workers = {name for _, _, name in view.working()}
    targets = view.alive()
    if not whole:
        given = {one.task for each in before for one in view.every.get(each.entry.name, [])}
        targets &= given | {view.ran(each) for each in before}
    busy = targets & {view.ran(each) for each in before if each.state == "running"}
    refused = ""
    if whole:
        refused = _cancel(view, {(job, None) for job, _ in targets})
    elif targets:
        # a worker has other trials: it is told to end this one
        refused = _cancel(view, busy & workers, "--batch", "--signal=HUP")
        targets -= workers
        refused = _cancel(view, targets) or refused
    left = _wait(paths, entries, targets, busy - targets) if not refused else sorted(targets | busy, key=str)
    ran = [each for each in before if each.state == "running" and view.ran(each) in targets | busy]
    return Cancelled(
        tasks=len(targets),
        left=left,
        stopped=_settle(paths, ran),
        notes=doubts.strangers(view),
        doubts=_doubts(paths, view, before, whole) + ([refused] if refused else []),
        jobs=_others(view, before),
    )


def _cancel(view: View, names: Iterable[TaskName], *options: str) -> str:
    """Cancel tasks; why Slurm does not let us, where they are another user's."""
    by_user: dict[str, list[TaskName]] = {}
    users = {job: task.seen.uid for (job, _), task in view.tasks.items()}
    for name in sorted(names, key=str):
        by_user.setdefault(users.get(name[0], ""), []).append(name)
    refused = ""
    for uid, each in by_user.items():
        try:
            queue.cancel(each, *options)
        except SlurmError as error:
            if uid in ("", identity.user()[0]):
                raise
            jobs = ", ".join(dict.fromkeys(job for job, _ in each))
            refused = f"job {jobs} is {identity.user_name(uid)}'s, who can stop it ({error})"
    return refused


def _doubts(paths: SweepPaths, view: View, before: Sequence[Status], whole: bool) -> list[str]:
    """What may run or wait all the same."""
    if not whole and not view.recovered.trials().keys() & {each.entry.name for each in before}:
        view = replace(view, recovered=Recovered([]))
    lines = doubts.open_ones(paths, view)
    if whole and ledger.under_way(paths):
        lines.append("somebody submits trials of it just now; stop it again when that has ended")
    return lines


def _others(view: View, before: Sequence[Status]) -> dict[TrialName, str]:
    """The jobs that trials run in and that are in no ledger of the sweep's, or on another cluster, for people."""
    found = {}
    for each in before:
        name, ids = states.of_record(each), each.record.get("slurm") or {}
        if each.state != "running" or name is None:
            continue
        if view.cluster and not states.here(ids, view.cluster):
            found[each.entry.name] = f"in job {states.shown(name)} of the cluster {ids['SLURM_CLUSTER_NAME']}"
        elif name[0] not in view.ours:
            found[each.entry.name] = f"in job {states.shown(name)}, which is not one of the sweep's"
    return found


def _wait(paths: SweepPaths, entries: Sequence[Entry], targets: set[TaskName], told: set[TaskName]) -> list[TaskName]:
    """Wait until the tasks have ended, and the workers that were told run other trials; those that do not."""
    capsule = paths.place(entries[0].name).capsule if entries else str(paths.directory)
    end = time.monotonic() + PATIENCE + slurm_job.grace(capsule, on_slurm=True).usual
    pause, left = LOOK, list(targets)
    while True:
        with contextlib.suppress(SlurmError):  # it has taken the cancellation; this is only a look
            found = queue.look(targets, patience=max(LOOK, end - time.monotonic()))
            left = [name for name, task in found.items() if task.waits or task.runs]
        told_left: list[TaskName] = []
        if told:
            running = {states.of_record(each) for each in status.survey(paths, entries) if each.state == "running"}
            told_left = list(told & running)
        if not (left or told_left) or time.monotonic() > end:
            return [*left, *told_left]
        time.sleep(pause)
        pause = min(LONGEST_LOOK, 1.5 * pause)


def _settle(paths: SweepPaths, ran: Sequence[Status]) -> list[Status]:
    """The trials that have been stopped; records the end of those whose launcher could not, since it was killed."""
    entries = [each.entry for each in ran]
    now = status.survey(paths, entries)
    for each in states.merged(now, states.look(paths, now)):
        if each.state == "lost":
            stop.mark(paths, each)
    return [each for each in status.survey(paths, entries) if each.state == "stopped"]
