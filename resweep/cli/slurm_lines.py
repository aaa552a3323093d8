"""What `resweep status` says of Slurm: what waits and why, the workers, a canary that failed, nodes that fail all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from resweep.errors import counted
from resweep.layout import SweepPaths
from resweep.run import status as survey
from resweep.run.status import Status
from resweep.slurm import doubts, script, states
from resweep.slurm.states import CANCELLED_UNSTARTED, View

NAMED = 8  # tasks that a command names


def lines(paths: SweepPaths, statuses: Sequence[Status], view: View, most: int) -> Iterator[str]:
    """The lines, at most about `most` of a kind."""
    for canary, left in states.canaries(view, statuses):
        why = survey.cause(canary) if canary.state == "failed" else canary.note
        yield f"the canary #{canary.entry.number} {canary.state}, so {_others(left)}: {why}".rstrip(": ")
    yield from _waiting(statuses, most)
    working = [name for _, _, name in view.working()]
    for task, count in states.counted(view, working).items():
        yield f"{counted(count, 'worker')}: {_releasing(task, [states.shown(name) for name in working])}"
    for name, said in states.failed_workers(paths, view)[:most]:
        yield f"worker {name} failed: {said}; resweep submit {paths.name} starts another"
    yield from doubts.strangers(view)
    yield from doubts.open_ones(paths, view)
    yield from _unsubmitted(statuses, view, bool(working))
    for bad in survey.bad_nodes(statuses):
        elsewhere = f"{bad.failed_elsewhere} of {bad.ended_elsewhere} elsewhere"
        leave = f"resweep submit {paths.name} --exclude={_excluding(view, bad.node)} runs them on other nodes"
        yield f"{bad.failed} of {bad.ended} failed on {bad.node}, {elsewhere}; {leave}"


def _others(count: int) -> str:
    return f"{counted(count, 'other trial')} {'was' if count == 1 else 'were'} not started"


def _waiting(statuses: Sequence[Status], most: int) -> Iterator[str]:
    """What waits in Slurm and why, a line for each reason."""
    waiting: dict[str, list[Status]] = {}
    for each in statuses:
        if each.state == "queued" and each.task:
            waiting.setdefault(each.note, []).append(each)
    for note, trials in sorted(waiting.items(), key=lambda item: -len(item[1]))[:most]:
        jobs = ", ".join(dict.fromkeys(each.task.partition("_")[0] for each in trials[:most]))
        yield f"{len(trials)} queued in job {jobs}: {_releasing(note, [each.task for each in trials])}"


def _releasing(note: str, tasks: Sequence[str]) -> str:
    """The note with the tasks that its command is about: whole jobs where they would be many."""
    if "JOB`" not in note and " JOB " not in note:
        return note
    named = list(tasks) if len(tasks) <= NAMED else list(dict.fromkeys(task.partition("_")[0] for task in tasks))
    return note.replace("JOB`", f"{' '.join(named)}`")


def _unsubmitted(statuses: Sequence[Status], view: View, working: bool) -> Iterator[str]:
    unsure = view.elsewhere.keys() | view.recovered.trials().keys()
    left = [each for each in statuses if each.state == "queued" and not each.task and each.entry.name not in unsure]
    if not left or not view.submissions or view.error or working:
        return
    cancelled = sum(each.note == CANCELLED_UNSTARTED for each in left)
    were = "job was cancelled before it" if cancelled == 1 else "jobs were cancelled before they"
    more = f"; {cancelled} {were} started" if cancelled else ""
    yield f"{len(left)} queued, and not submitted{more}"


def _excluding(view: View, node: str) -> str:
    """The node, and those that the last submission left out already."""
    record: dict[str, Any] = view.submissions[-1].record if view.submissions else {}
    given = [each.get("options", {}).get("exclude") for each in record.get("lists", {}).values()]
    given.append(script.declared(record.get("extra", ())).get("exclude"))
    nodes = [each for option in given if option for each in _as_list(option)]
    return ",".join(dict.fromkeys([*nodes, node]))


def _as_list(option: object) -> Iterable[str]:
    return map(str, option) if isinstance(option, list) else str(option).split(",")
