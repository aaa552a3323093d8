"""Records and Slurm's word together: what waits and why, what runs, and what ended a trial from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from resweep import attempt, status
from resweep.errors import SlurmError
from resweep.slurm import ledger, queue
from resweep.slurm.ledger import Assigned, Job, Submission
from resweep.slurm.queue import Task, TaskName
from resweep.status import Status
from resweep.trial import SweepPaths, TrialName

NOTHING = Task("")
_FAILED = ("FAILED", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL")


@dataclass(frozen=True)
class View:
    """The tasks of a sweep: which one each trial was given to, and what Slurm says of them now."""

    submissions: list[Submission] = field(default_factory=list)
    assigned: dict[TrialName, Assigned] = field(default_factory=dict)
    workers: list[tuple[Submission, Job]] = field(default_factory=list)
    tasks: dict[TaskName, Task] = field(default_factory=dict)
    error: str = ""  # why Slurm did not answer

    def task(self, name: TaskName | None) -> Task:
        """What Slurm says of a task; one without a state where it says nothing."""
        return self.tasks.get(name, NOTHING) if name else NOTHING

    def given(self, trial: TrialName) -> TaskName | None:
        """The task that a trial was submitted as."""
        return self.assigned[trial].task if trial in self.assigned else None

    def working(self) -> list[tuple[Submission, Job, TaskName]]:
        """The workers that wait or run, each with the submission whose list it drains."""
        return [
            (submission, job, name)
            for submission, job in self.workers
            for name in job.tasks()
            if self.task(name).waits or self.task(name).runs
        ]


def look(paths: SweepPaths, statuses: Sequence[Status]) -> View:
    """Ask Slurm about the tasks of all trials that have not finished, in a few calls, or none if there are none."""
    submissions = ledger.read(paths) if paths.submissions.is_dir() else []
    if not any(each.jobs for each in submissions):
        return View(submissions)
    assigned = ledger.assigned(paths, submissions)
    workers = ledger.workers(submissions)
    open_ = [each for each in statuses if each.state not in status.OVER]
    names = {assigned[each.entry.name].task for each in open_ if each.entry.name in assigned}
    names |= {name for name in map(of_record, open_) if name}
    # trials of a search that are not known yet have no status
    names |= {name for submission, job in workers if open_ or submission.searches(job) for name in job.tasks()}
    view = View(submissions, assigned, workers)
    try:
        return replace(view, tasks=queue.look(names))
    except SlurmError as error:
        return replace(view, error=str(error))


def failed_workers(paths: SweepPaths, view: View) -> list[tuple[str, str]]:
    """The workers of a search, of the last submission, that have ended by a failure: task, and what it said last."""
    found = []
    for submission, job in view.workers:
        if submission.number != view.submissions[-1].number or not submission.searches(job):
            continue
        for name in job.tasks():
            if view.task(name).state in _FAILED:
                lines = [line for line in status.last_lines(ledger.output(paths, name)) if line.strip()]
                found.append((shown(name), lines[-1].strip() if lines else view.task(name).words()))
    return found


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
    return [_merged(each, view) for each in statuses] if view.tasks else list(statuses)


def _merged(each: Status, view: View) -> Status:
    if each.state in status.OVER:
        return each
    ran, given = of_record(each), view.given(each.entry.name)
    task = view.task(given)
    if given and task.waits and each.state != "running":
        earlier = "" if each.state == "queued" else f", after attempt {each.attempts}: {each.state}"
        return replace(each, state="queued", task=shown(given), note=task.words() + earlier)
    if given and given != ran and task.state and not task.waits:
        return _without_attempt(each, view, given, task)
    if ran is None or not (task := view.task(ran)).state:
        return each
    if each.state == "running" and task.waits:  # requeued, and its launcher had no time to say so
        return replace(each, state="queued", task=shown(ran), note=task.words())
    if each.state == "running":
        # a node that failed takes the sign of life of its trials away with it, minutes before it is missed
        lost = not task.runs and not attempt.of_this_boot(each.record)
        return (
            replace(each, state="lost", task=shown(ran), note=task.words()) if lost else replace(each, task=shown(ran))
        )
    ended = task.state in queue.NAMED and (each.record["state"] != "failed" or task.state == "OUT_OF_MEMORY")
    if each.record.get("exit_status") == attempt.REQUEUE and each.state == "stopped":
        return replace(each, task=shown(ran), note="asked to be run again; submit it again, with what it has saved")
    by = each.record.get("slurm", {}).get(attempt.ENDED_BY)
    return replace(each, task=shown(ran), note=task.words() if ended else f"ended by Slurm: {by}" if by else "")


def _without_attempt(each: Status, view: View, given: TaskName, task: Task) -> Status:
    """The task that the trial was given to has begun, and made no attempt: yet, or before it ended."""
    if task.runs:
        return replace(each, state="queued", task=shown(given), note=f"starts: {task.words()}")
    if each.state != "queued" or task.state == "COMPLETED":
        return each
    if task.state == "CANCELLED":
        return replace(each, state="stopped", task=shown(given), note=task.words())
    output = view.assigned[each.entry.name].output
    note = f"its job ended before its training started ({task.state})"
    return replace(each, state="failed", task=shown(given), note=note, log=output)
