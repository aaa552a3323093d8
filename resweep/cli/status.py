"""`resweep status`: what every trial of a sweep is doing, at any time, from any process."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from resweep import index
from resweep.cli import notices, project, search_summary, select, slurm_lines
from resweep.errors import counted
from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.run import registry
from resweep.run import status as survey
from resweep.run.status import Status
from resweep.search import summary as searched
from resweep.search.summary import Belief
from resweep.slurm import states as slurm
from resweep.slurm.states import View

MOST = 20  # running trials, and causes of failure, that are listed
PROMPT = 2.0  # seconds in which Slurm has to answer, or the records are shown without what it says


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@select.options
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object with counts and every trial's record; for several sweeps, a list of them.",
)
def status(names: tuple[str, ...], where: tuple[str, ...], states: tuple[str, ...], as_json: bool) -> None:
    """Show how many trials of each sweep NAME have finished, run, failed and wait; what runs, and why some failed.

    Where Slurm is slow to answer, the records are shown first, and what it says when it comes, within 10 seconds.
    """
    groups = select.by_sweep(project.root(), names)
    tables = [table for group in groups if (table := _status(group, where, states, as_json)) is not None]
    if as_json:
        click.echo(json.dumps(tables[0] if len(groups) == 1 else tables, indent=2, default=str))


def _status(names: Sequence[str], where: Sequence[str], states: Sequence[str], as_json: bool) -> dict[str, Any] | None:
    """Show one sweep; or give what is to be shown, as a table."""
    paths, entries = select.trials(project.root(), names, where, states)
    records = survey.survey(paths, entries)
    question = slurm.Question(paths, records)
    orphans = [entry for entry in index.read(paths).entries if not entry.current] if paths.name in names else []
    belief = searched.believed(paths)
    view = question.answer(2 * slurm.ANSWER if as_json else PROMPT)
    if as_json:
        view = view or View(error=slurm.SILENT)
        return _as_json(paths, slurm.merged(records, view), view, belief)
    if view is None:
        _Report(paths, records, View(), orphans, belief).show("has not answered yet; this is from the records alone")
        sys.stdout.flush()
        view = question.answer(2 * slurm.ANSWER) or View(error=slurm.SILENT)
        if view.error:
            click.echo(f"  slurm    {view.error}; the above is from the records alone")
            return None
        click.echo(f"{paths.name}: what Slurm says:")
    note = f"{view.error}; what follows is from the records alone" if view.error else ""
    _Report(paths, slurm.merged(records, view), view, orphans, belief).show(note)
    return None


@dataclass(frozen=True)
class _Report:
    """What is shown of a sweep."""

    paths: SweepPaths
    statuses: list[Status]
    view: View
    orphans: list[Entry]
    belief: Belief | None

    def show(self, note: str) -> None:
        """Print all of it; `note` is about Slurm's answer."""
        statuses, belief = self.statuses, self.belief
        said = f"{self.paths.name}: {counted(len(statuses), 'trial')}"
        if shown := _counts(statuses):
            said += f": {shown}"
        click.echo(said + _pace(statuses, belief))
        for line in self._lines(note):
            click.echo(f"  {line}")
        notices.leaks(self.paths, statuses)

    def _lines(self, note: str) -> Iterator[str]:
        if self.belief:
            yield from search_summary.lines(self.belief, _nobody_works(self.paths, self.statuses, self.view))
        if self.orphans:
            shown = _counts(survey.survey(self.paths, self.orphans))
            yield f"besides  {len(self.orphans)} that are no longer in the sweep: {shown}"
        if note:
            yield f"slurm    {note}"
        for line in slurm_lines.lines(self.paths, self.statuses, self.view, MOST):
            yield f"slurm    {line}"
        yield from _running([each for each in self.statuses if each.state == "running"])
        yield from _interrupted(self.statuses)
        yield from _failed(self.statuses)
        if changed := survey.data_changes(self.paths):
            more = f" and {len(changed) - MOST} more" if len(changed) > MOST else ""
            yield f"data     changed since it was generated, so no trial starts: {', '.join(changed[:MOST])}{more}"


def _counts(statuses: Sequence[Status]) -> str:
    """How many trials are in which state."""
    suspended = sum(each.state == "running" and each.note == survey.SUSPENDED for each in statuses)
    shown = []
    for state, count in survey.counts(statuses).items():
        if count:
            more = f" ({suspended} of them suspended)" if state == "running" and suspended else ""
            shown.append(f"{count:,} {state}{more}")
    return ", ".join(shown)


def _running(running: Sequence[Status]) -> Iterator[str]:
    for each in running[:MOST]:
        yield f"running  {_trial(each)}  {_where(each)}"
        if metric := survey.latest_metric(each.log):
            yield f"         {metric[:160]}"
    if len(running) > MOST:
        yield f"         and {len(running) - MOST} more"


def _interrupted(statuses: Sequence[Status]) -> Iterator[str]:
    """The lost and the stopped trials, those of one cause together."""
    for state in ("lost", "stopped"):
        groups = survey.alike((each for each in statuses if each.state == state), lambda each: each.note)
        for group in groups[:MOST]:
            first = group.trials[0]
            on = f"on {_names(list(dict.fromkeys(map(_host, group.trials))))}"
            if len(group.trials) == 1:
                yield f"{state:<8} {_trial(first)}  {'; '.join(filter(None, [on, first.note]))}"
            else:
                yield f"{state:<8} {counted(len(group.trials), 'trial')} {on}" + (group.cause and f": {group.cause}")
                yield f"         for example {_trial(first)}"
        if len(groups) > MOST:
            yield f"         and {len(groups) - MOST} other causes"


def _failed(statuses: Sequence[Status]) -> Iterator[str]:
    """The failed trials by cause, and the nodes that are to blame."""
    failures = survey.failures(statuses)
    several = len({survey.node_of(each) for each in statuses if each.record}) > 1
    for failure in failures[:MOST]:
        nodes = {survey.node_of(each) for each in failure.trials}
        on = f", all on {nodes.pop()}" if several and len(nodes) == 1 and len(failure.trials) > 1 else ""
        yield f"failed   {counted(len(failure.trials), 'trial')}{on}: {failure.cause}"
        yield f"         for example {_trial(failure.trials[0])}  log: {project.short(failure.trials[0].log)}"
    if len(failures) > MOST:
        yield f"         and {len(failures) - MOST} other causes"


def _host(each: Status) -> str:
    return survey.node_of(each) or "an unknown host"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _nobody_works(paths: SweepPaths, statuses: Sequence[Status], view: View) -> bool:
    """Whether no worker of a search is at work, as far as can be told: none of Slurm's, none here, no running trial."""
    if view.error or (view.paths is None and paths.submissions.is_dir()):
        return False
    if view.workers_elsewhere or view.recovered.open:
        return False
    if view.working() or registry.on_this_machine(paths) or any(each.state == "running" for each in statuses):
        return False
    return not any(each.state == "running" for each in survey.survey(paths, index.read(paths).entries))


def _trial(each: Status) -> str:
    return f"#{each.entry.number} {each.entry.name} {each.entry.described()}".rstrip()


def _where(each: Status) -> str:
    record = each.record
    parts = [f"on {record.get('host', 'an unknown host')}"]
    if record.get("gpus"):
        parts.append(
            "GPU " + ",".join(str(card["uuid"] if card["index"] is None else card["index"]) for card in record["gpus"])
        )
    if started := record.get("started"):
        since = (datetime.now(UTC) - datetime.fromisoformat(started)).total_seconds()
        parts.append(f"for {survey.duration(max(0.0, since))}")
    if each.task:
        parts.append(f"job {each.task}")
    if each.attempts > 1:
        parts.append(f"attempt {each.attempts}")
    if each.note == survey.SUSPENDED:
        parts.append("suspended")
    return ", ".join(parts)


def _pace(statuses: Sequence[Status], belief: Belief | None) -> str:
    left = sum(each.state not in survey.OVER for each in statuses)
    if belief is not None and belief.wanted is not None:  # most of its trials are not known yet
        left = 0 if belief.end else belief.wanted - belief.ended
    pace = survey.pace(statuses, left) if left > 0 else None
    return f"; {pace.rate * 3600:.0f} an hour, about {survey.duration(pace.to_go)} to go" if pace else ""


def _as_json(paths: SweepPaths, statuses: list[Status], view: View, belief: Belief | None) -> dict[str, object]:
    return {
        "format": 1,
        "sweep": paths.name,
        "time": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds"),
        "counts": survey.counts(statuses),
        "failures": [
            {"cause": failure.cause, "trials": [str(each.entry.name) for each in failure.trials]}
            for failure in survey.failures(statuses)
        ],
        "slurm_error": view.error or None,
        "bad_nodes": [vars(each) for each in survey.bad_nodes(statuses)],
        "search": search_summary.as_json(belief, _nobody_works(paths, statuses, view)) if belief else None,
        "data_changed": survey.data_changes(paths),
        "trials": [
            {
                "number": each.entry.number,
                "id": each.entry.id,
                "trial": each.entry.trial,
                "swept": each.entry.swept,
                "state": each.state,
                "task": each.task or None,
                "note": each.note or None,
                "log": str(each.log) if each.attempts else None,
                "record": each.record or None,
            }
            for each in statuses
        ],
    }
