"""Records and Slurm's word together: what waits and why, what runs, and what ended a trial from outside."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from resweep.errors import SlurmError
from resweep.launcher import processes, slurm_job, trial_state
from resweep.layout import SweepPaths, TrialName
from resweep.run import status
from resweep.run.status import Status
from resweep.slurm import commands, identity, ledger, queue, recover
from resweep.slurm.ledger import Assigned, Job, Submission
from resweep.slurm.owners import Owners, is_of
from resweep.slurm.queue import Task, TaskName
from resweep.slurm.recover import Recovered

NOTHING = Task("")
ANSWER = 10.0  # seconds that Slurm has to answer a person who only looks
SILENT = f"Slurm did not answer for {ANSWER:.0f} seconds"
CANCELLED_UNSTARTED = "its job was cancelled before it started"
SAID = "slurm.txt"  # in an attempt: what its task had printed, moved there when it ended
_FAILED = ("FAILED", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL")


@dataclass(frozen=True)
class View:
    """The tasks of a sweep: which one each trial was given to, and what Slurm says of them now.

    All of it is about jobs of this cluster that are known to be the sweep's: by their ids, and by their identity.
    """

    submissions: list[Submission] = field(default_factory=list)
    assigned: dict[TrialName, Assigned] = field(default_factory=dict)
    every: dict[TrialName, list[Assigned]] = field(default_factory=dict)  # earlier tasks of a trial, too
    workers: list[tuple[Submission, Job]] = field(default_factory=list)
    tasks: dict[TaskName, Task] = field(default_factory=dict)
    error: str = ""  # why Slurm did not answer
    paths: SweepPaths | None = None
    cluster: str = ""
    ours: frozenset[str] = frozenset()  # the jobs of which Slurm and the ledger say the same
    elsewhere: dict[TrialName, Assigned] = field(default_factory=dict)  # trials that may wait on another cluster
    workers_elsewhere: list[tuple[Submission, Job]] = field(default_factory=list)
    strangers: dict[str, str] = field(default_factory=dict)  # jobs that have an id of ours -> why they are not ours
    recovered: Recovered = field(default_factory=lambda: Recovered([]))

    def task(self, name: TaskName | None) -> Task:
        """What Slurm says of a task; one without a state where it says nothing."""
        return self.tasks.get(name, NOTHING) if name else NOTHING

    def given(self, trial: TrialName) -> TaskName | None:
        """The task that a trial was submitted as."""
        return self.assigned[trial].task if trial in self.assigned else None

    def ran(self, each: Status) -> TaskName | None:
        """The task that ran a trial's last attempt, where that was on this cluster."""
        return of_record(each) if here(each.record.get("slurm") or {}, self.cluster) else None

    def working(self) -> list[tuple[Submission, Job, TaskName]]:
        """The workers that wait or run, each with the submission whose list it drains."""
        return [
            (submission, job, name)
            for submission, job in self.workers
            for name in job.tasks()
            if self.task(name).waits or self.task(name).runs
        ]

    def alive(self) -> set[TaskName]:
        """The tasks of the ledger that wait or run."""
        return {name for name, task in self.tasks.items() if name[0] in self.ours and (task.waits or task.runs)}


class Question:
    """What `look` finds, looked for while this thread goes on: within ANSWER seconds."""

    def __init__(self, paths: SweepPaths, statuses: Sequence[Status]) -> None:
        self._found: View | BaseException | None = None
        self._thread = threading.Thread(target=self._ask, args=(paths, statuses), daemon=True)
        self._thread.start()

    def _ask(self, paths: SweepPaths, statuses: Sequence[Status]) -> None:
        try:
            self._found = look(paths, statuses, patience=ANSWER)
        except BaseException as error:  # raised where it is asked for
            self._found = error

    def answer(self, seconds: float) -> View | None:
        """The answer, or None when there is none after so many seconds."""
        self._thread.join(seconds)
        if isinstance(self._found, BaseException):
            raise self._found
        return self._found


def look(
    paths: SweepPaths, statuses: Sequence[Status], whole: bool = False, patience: float = commands.PATIENCE
) -> View:
    """Ask Slurm about the tasks of all trials that have not finished, in a few calls, or none if there are none.

    With `whole` about all jobs that the ledger has, and all in the queue that it should have. All calls together have
    `patience` seconds.
    """
    end = time.monotonic() + patience
    submissions = ledger.read(paths) if paths.submissions.is_dir() else []
    if not any(each.jobs or not each.complete for each in submissions):
        return View(submissions, paths=paths)
    given = ledger.assigned(paths, submissions)
    workers = ledger.workers(submissions)
    open_ = [each for each in statuses if each.state not in status.OVER]
    view = View(submissions, {trial: each[-1] for trial, each in given.items()}, workers=workers, paths=paths)
    # trials of a search that are not known yet have no status
    searched = any(submission.searches(job) for submission, job in workers)
    if not whole and not open_ and not searched and all(each.complete for each in submissions):
        return view
    try:
        cluster = identity.cluster(patience)
        recovered = recover.look(submissions, cluster, whole, end - time.monotonic())
        return _look(paths, open_, recovered, cluster, whole, end - time.monotonic())
    except SlurmError as error:
        return replace(view, error=str(error))


def _look(
    paths: SweepPaths, open_: Sequence[Status], recovered: Recovered, cluster: str, whole: bool, patience: float
) -> View:
    submissions = recovered.submissions
    given = ledger.assigned(paths, submissions)
    local = {trial: found for trial, each in given.items() if (found := [a for a in each if is_of(a.cluster, cluster)])}
    workers = [(each, job) for each, job in ledger.workers(submissions) if is_of(each.cluster_of(job), cluster)]
    names = {local[each.entry.name][-1].task for each in open_ if each.entry.name in local}
    names |= {name for each in open_ if here(each.record.get("slurm") or {}, cluster) and (name := of_record(each))}
    names |= {name for submission, job in workers if open_ or submission.searches(job) for name in job.tasks()}
    besides = {each.task for trial in open_ for each in local.get(trial.entry.name, [])}
    if whole:
        jobs = [job for each in submissions for job in each.jobs if is_of(each.cluster_of(job), cluster)]
        besides |= {name for job in jobs for name in job.tasks()}
    owners = Owners.of(submissions, cluster, queue.look(names, besides, patience), _since(open_))
    mine = {trial: [one for one in each if owners.has(one)] for trial, each in local.items()}
    return View(
        submissions=submissions,
        assigned={trial: _latest(each, owners) for trial, each in mine.items() if each},
        every=mine,
        workers=[(each, job) for each, job in workers if owners.owner(job.id, each) == each.number],
        tasks=owners.tasks,
        paths=paths,
        cluster=cluster,
        ours=frozenset(owners.owners),
        elsewhere=_elsewhere(given, open_, cluster),
        workers_elsewhere=_workers_elsewhere(submissions, open_, cluster),
        strangers=owners.strangers,
        recovered=recovered,
    )


def _elsewhere(
    given: Mapping[TrialName, Sequence[Assigned]], open_: Sequence[Status], cluster: str
) -> dict[TrialName, Assigned]:
    """The trials whose last task is another cluster's, and may wait or run there."""
    last = {each.entry.name: (each, given[each.entry.name][-1]) for each in open_ if each.entry.name in given}
    return {
        name: one for name, (each, one) in last.items() if not is_of(one.cluster, cluster) and not _had_run(each, one)
    }


def _workers_elsewhere(
    submissions: list[Submission], open_: Sequence[Status], cluster: str
) -> list[tuple[Submission, Job]]:
    """The jobs of workers on other clusters that may still have something to do."""
    trials = {each.entry.name for each in open_}
    there = [(each, job) for each, job in ledger.workers(submissions) if not is_of(each.cluster_of(job), cluster)]
    return [(each, job) for each, job in there if each.searches(job) or trials & set(each.trials(job.list))]


def _latest(each: Sequence[Assigned], owners: Owners) -> Assigned:
    """The task that a trial was given to: the last one that has not ended, else the last one."""
    alive = [one for one in each if (task := owners.tasks.get(one.task)) and (task.waits or task.runs)]
    return (alive or each)[-1]


def _since(open_: Sequence[Status]) -> dict[str, float]:
    """When the last attempt began that ran in each job, for jobs that records name."""
    found = {}
    for each in open_:
        if (name := of_record(each)) and (moment := identity.moment(each.record.get("started"))):
            found[name[0]] = moment
    return found


def _had_run(each: Status, one: Assigned) -> bool:
    """Whether the task of another cluster that a trial was given to has run it to an end that Slurm does not repeat."""
    ids = each.record.get("slurm") or {}
    if of_record(each) != one.task or ids.get("SLURM_CLUSTER_NAME", one.cluster) != one.cluster:
        return False
    again = (
        ids.get(slurm_job.ENDED_BY) in ("requeue", "preemption")
        or each.record.get("exit_status") == trial_state.REQUEUE
    )
    return each.state == "failed" or (each.state == "stopped" and not again)


def here(ids: Mapping[str, str], cluster: str) -> bool:
    """Whether the ids of a record are of this cluster's; of one whose cluster nobody noted, too."""
    return is_of(ids.get("SLURM_CLUSTER_NAME"), cluster)


def failed_workers(paths: SweepPaths, view: View) -> list[tuple[str, str]]:
    """The workers of a search, of the last submission, that have ended by a failure: task, and why."""
    found = []
    for submission, job in view.workers:
        if submission.number != view.submissions[-1].number or not submission.searches(job):
            continue
        for name in job.tasks():
            if view.task(name).state in _FAILED:
                found.append((shown(name), _why_failed(paths, submission, job, name, view.task(name))))
    return found


def _why_failed(paths: SweepPaths, submission: Submission, job: Job, name: TaskName, task: Task) -> str:
    """Why a worker has failed: Slurm's own text, else its last line, unless that is about a trial; else its state."""
    outputs = ledger.outputs(name, ledger.output(paths, name), submission.patterns(job), task.number, task.node)
    lines = [line.strip() for path in outputs for line in status.last_lines(path) if line.strip()]
    last = next(reversed(lines), "")
    told = said(outputs) or ("" if _PROGRESS.match(last) or last.startswith(f"{paths.name}/") else last)
    if task.state != "FAILED" or not told:
        return f"{task.words()}: {told}" if told else task.words()
    return told


_OWN_TEXT = re.compile(r"(?:slurmstepd|slurmd|slurm_load|srun|slurm)[\w-]*: (?:error: )?(?P<said>.*)")
_CANCELLED = re.compile(r"\*\*\* (?:JOB|STEP) \S+ ON \S+ CANCELLED AT \S+(?: DUE TO (?P<why>.*?))? \*\*\*")
# what a runner says of its trials: of one that was killed it is the last, and no reason
_PROGRESS = re.compile(r"\[\d+/\d+|[^ ]+: (?:best so far|searches|\d+ of \d+)")


def said(outputs: Sequence[Path]) -> str:
    """What Slurm itself has last written into what a task printed, such as "Exceeded job memory limit"."""
    for path in outputs:
        for line in reversed(status.last_lines(path)):
            match = _OWN_TEXT.match(line.strip())
            if match and not _CANCELLED.match(match["said"]):
                return match["said"].strip()
    return ""


def canaries(view: View, statuses: Sequence[Status]) -> list[tuple[Status, int]]:
    """The canary of the last submission where it did not finish: its trial, and how many others were not started."""
    last = view.submissions[-1] if view.submissions else None
    canary = next((job for job in last.jobs if last.kind(job) == "canary"), None) if last else None
    if last is None or canary is None or last.searches(canary):
        return []
    sang = set(last.trials(canary.list))
    others = {name for job in last.jobs if job is not canary for name in last.trials(job.list)} - sang
    first = next((each for each in statuses if each.entry.name in sang), None)
    left = [each for each in statuses if each.entry.name in others and each.state == "queued" and not each.task]
    if first is None or first.state not in ("failed", "stopped", "lost") or not left:
        return []
    return [(first, len(left))]


def counted(view: View, names: Sequence[TaskName]) -> dict[str, int]:
    """How many of the tasks are in which state, in words, the most frequent first."""
    return dict(Counter(view.task(name).words() for name in names).most_common())


def of_record(each: Status) -> TaskName | None:
    """The task that ran a trial's last attempt, as its record says."""
    ids = each.record.get("slurm") or {}
    if "SLURM_ARRAY_JOB_ID" in ids and "SLURM_ARRAY_TASK_ID" in ids:
        return ids["SLURM_ARRAY_JOB_ID"], int(ids["SLURM_ARRAY_TASK_ID"])
    return (ids["SLURM_JOB_ID"], None) if "SLURM_JOB_ID" in ids else None


def shown(name: TaskName) -> str:
    """A task as Slurm's commands take it."""
    job, index = name
    return job if index is None else f"{job}_{index}"


def merged(statuses: Sequence[Status], view: View) -> list[Status]:
    """Each status with what Slurm adds to it."""
    return [_merged(each, view) for each in statuses] if view.assigned or view.tasks else list(statuses)


def _merged(each: Status, view: View) -> Status:
    if each.state in status.OVER or view.error:
        return each
    ran, given = view.ran(each), view.given(each.entry.name)
    task = view.task(given)
    if given and task.waits and each.state != "running":
        earlier = "" if each.state == "queued" else f", after attempt {each.attempts}: {each.state}"
        return replace(each, state="queued", task=shown(given), note=task.words() + earlier)
    if given and given != ran and each.state == "queued":
        return _without_attempt(each, view, given, task)
    if given and given != ran and task.runs:
        return replace(each, state="queued", task=shown(given), note=f"starts: {task.words()}")
    if ran is None:
        return each
    return _with_attempt(each, view, ran)


def _with_attempt(each: Status, view: View, ran: TaskName) -> Status:
    """What Slurm says of the task that made the trial's last attempt."""
    task = view.task(ran)
    told = _told(each, view) if each.state in ("lost", "failed", "stopped") else ""
    if not task.state:
        return replace(each, note=told)
    if each.state == "running" and task.waits:  # requeued, and its launcher had no time to say so
        return replace(each, state="queued", task=shown(ran), note=task.words())
    if each.state == "running":
        # a node that failed takes the sign of life of its trials away with it, minutes before it is missed
        if not task.runs and not processes.of_this_boot(each.record):
            return replace(each, state="lost", task=shown(ran), note=_joined(task.words(), _told(each, view)))
        return replace(each, task=shown(ran), note=status.SUSPENDED if task.suspended else "")
    ended = task.state in queue.NAMED and (each.record["state"] != "failed" or task.state == "OUT_OF_MEMORY")
    if each.record.get("exit_status") == trial_state.REQUEUE and each.state == "stopped":
        return replace(each, task=shown(ran), note="asked to be run again; submit it again, with what it has saved")
    by = each.record.get("slurm", {}).get(slurm_job.ENDED_BY)
    note = task.words() if ended or each.state == "lost" else f"ended by Slurm: {by}" if by else ""
    return replace(each, task=shown(ran), note=_joined(note, told))


def _told(each: Status, view: View) -> str:
    """Slurm's own text about an attempt that did not end by itself, or was killed."""
    if each.state == "failed" and not each.record.get("signal"):
        return ""
    return said(outputs(each, view))


def outputs(each: Status, view: View) -> list[Path]:
    """The files with what the task printed that made a trial's last attempt, or where there is none was to make it."""
    given, ran = view.assigned.get(each.entry.name), of_record(each)
    if not each.record:
        task = view.task(given.task if given else None)
        return given.outputs(task.number, task.node) if given else []
    number, node = each.record.get("slurm", {}).get("SLURM_JOB_ID", ""), status.node_of(each)
    found = [each.log.with_name(SAID)] if each.log.with_name(SAID).is_file() else []
    if given and given.task == ran:
        return found + given.outputs(number, node)
    if ran and view.paths and (worker := next(((of, job) for of, job in view.workers if job.id == ran[0]), None)):
        patterns = worker[0].patterns(worker[1])
        return found + ledger.outputs(ran, ledger.output(view.paths, ran), patterns, number, node)
    return found


def _joined(note: str, told: str) -> str:
    return f"{note}: {told}" if note and told else note or told


def _without_attempt(each: Status, view: View, given: TaskName, task: Task) -> Status:
    """The trial was given to a task that does not wait, and made no attempt: yet, or before it ended.

    What Slurm has forgotten is judged by the file that it made when the task began, so that nothing changes by time.
    """
    if task.runs:
        return replace(each, task=shown(given), note=f"starts: {task.words()}")
    assigned = view.assigned[each.entry.name]
    outputs = assigned.outputs(task.number, task.node)
    if task.state == "CANCELLED":
        return replace(each, note=CANCELLED_UNSTARTED)
    told = said(outputs)
    if task.state == "COMPLETED" or not (task.state or told or _ended(outputs, each)):
        return each
    why = f" ({task.state})" if task.state else ""
    note = _joined(f"its job ended before its training started{why}", told)
    log = (outputs or [assigned.output])[0]
    return replace(each, state="failed", task=shown(given), note=note, log=log, node=task.node)


def _ended(outputs: Sequence[Path], each: Status) -> bool:
    """Whether a task that Slurm has forgotten had printed why it ended, and not that it was cancelled or idle."""
    lines = [line.strip() for path in outputs for line in status.last_lines(path) if line.strip()]
    cancelled = [match for line in lines if (match := _CANCELLED.search(line))]
    if cancelled and not cancelled[-1]["why"]:
        return False
    return any(f"{each.entry.name}: " not in line for line in lines)
