"""`resweep status`: what every trial of a sweep is doing, at any time, from any process."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import click

from resweep import index
from resweep import status as survey
from resweep.cli import beliefs, marks, project, select
from resweep.errors import counted
from resweep.search import belief as searched
from resweep.search.belief import Belief
from resweep.slurm import states as slurm
from resweep.slurm.states import View
from resweep.status import Status
from resweep.trial import SweepPaths

MOST = 20  # running trials, and causes of failure, that are listed


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@select.options
@click.option("--json", "as_json", is_flag=True, help="One JSON object: counts, and every trial with its record.")
def status(names: tuple[str, ...], where: tuple[str, ...], states: tuple[str, ...], as_json: bool) -> None:
    """Show how many trials of the sweep NAME have finished, run, failed and wait; what runs, and why some failed."""
    paths, entries = select.trials(project.root(), names, where, states)
    statuses = survey.survey(paths, entries)
    view = slurm.look(paths, statuses)
    statuses = slurm.merged(statuses, view)
    orphans = [entry for entry in index.read(paths).entries if not entry.current] if paths.name in names else []
    belief = searched.believed(paths)
    if as_json:
        found = {**_as_json(paths, statuses), "search": beliefs.as_json(belief) if belief else None}
        click.echo(json.dumps(found, indent=2, default=str))
        return
    counts = {state: count for state, count in survey.counts(statuses).items() if count}
    shown = ", ".join(f"{count:,} {state}" for state, count in counts.items())
    said = f"{paths.name}: {counted(len(statuses), 'trial')}" + (f": {shown}" if shown else "")
    click.echo(said + _pace(paths, statuses, belief))
    for line in beliefs.lines(belief) if belief else ():
        click.echo(f"  {line}")
    if orphans:
        counts = {state: count for state, count in survey.counts(survey.survey(paths, orphans)).items() if count}
        shown = ", ".join(f"{count:,} {state}" for state, count in counts.items())
        click.echo(f"  besides  {len(orphans)} that are no longer in the sweep: {shown}")
    for line in _slurm(paths, statuses, view):
        click.echo(f"  slurm    {line}")
    running = [each for each in statuses if each.state == "running"]
    for each in running[:MOST]:
        click.echo(f"  running  {_trial(each)}  {_where(each)}")
        if metric := survey.latest_metric(each.log):
            click.echo(f"           {metric[:160]}")
    if len(running) > MOST:
        click.echo(f"           and {len(running) - MOST} more")
    for each in [each for each in statuses if each.state in ("lost", "stopped")][:MOST]:
        host = f"on {each.record['host']}" if each.record else ""
        click.echo(f"  {each.state:<8} {_trial(each)}  {'; '.join(filter(None, [host, each.note]))}".rstrip())
    failures = survey.failures(statuses)
    for failure in failures[:MOST]:
        count = len(failure.trials)
        click.echo(f"  failed   {counted(count, 'trial')}: {failure.cause}")
        click.echo(f"           for example {_trial(failure.trials[0])}  log: {project.short(failure.trials[0].log)}")
    if len(failures) > MOST:
        click.echo(f"           and {len(failures) - MOST} other causes")
    if changed := survey.data_changes(paths):
        more = f" and {len(changed) - MOST} more" if len(changed) > MOST else ""
        click.echo(f"  data     changed since it was generated, so no trial starts: {', '.join(changed[:MOST])}{more}")
    marks.leaks(paths, statuses)


def _slurm(paths: SweepPaths, statuses: list[Status], view: View) -> list[str]:
    """What waits in Slurm and why, a line for each reason, and whether that cannot be told."""
    lines = [f"{view.error}; what follows is from the records alone"] if view.error else []
    waiting: dict[str, list[Status]] = {}
    for each in statuses:
        if each.state == "queued" and each.task:
            waiting.setdefault(each.note, []).append(each)
    for note, trials in sorted(waiting.items(), key=lambda item: -len(item[1]))[:MOST]:
        jobs = ", ".join(dict.fromkeys(each.task.partition("_")[0] for each in trials[:MOST]))
        lines.append(f"{len(trials)} queued in job {jobs}: {note}")
    if working := view.working():
        for task, count in slurm.counted(view, [name for _, _, name in working]).items():
            lines.append(f"{counted(count, 'worker')}: {task}")
    for name, said in slurm.failed_workers(paths, view)[:MOST]:
        lines.append(f"worker {name} failed: {said}; resweep submit {paths.name} starts another")
    unsubmitted = sum(each.state == "queued" and not each.task for each in statuses)
    if unsubmitted and view.submissions and not view.error and not working:
        lines.append(f"{unsubmitted} queued, and not submitted")
    return lines


def _trial(each: Status) -> str:
    return f"#{each.entry.number} {each.entry.name} {each.entry.described()}".rstrip()


def _where(each: Status) -> str:
    record = each.record
    parts = [f"on {record.get('host', 'an unknown host')}"]
    if record.get("gpus"):
        parts.append("GPU " + ",".join(str(card["index"]) for card in record["gpus"]))
    if started := record.get("started"):
        since = (datetime.now(UTC) - datetime.fromisoformat(started)).total_seconds()
        parts.append(f"for {survey.duration(max(0.0, since))}")
    if each.task:
        parts.append(f"job {each.task}")
    if each.attempts > 1:
        parts.append(f"attempt {each.attempts}")
    return ", ".join(parts)


def _pace(paths: SweepPaths, statuses: list[Status], belief: Belief | None) -> str:
    left = sum(each.state not in ("finished", "pruned") for each in statuses)
    if belief is not None and belief.wanted is not None:  # most of its trials are not known yet
        left = 0 if belief.end else belief.wanted - belief.ended
    if left <= 0 or not any(each.state == "running" for each in statuses):
        return ""
    rate = survey.rate(paths, statuses)
    if not rate:
        return ""
    return f"; {rate * 3600:.0f} an hour, about {survey.duration(left / rate)} to go"


def _as_json(paths: SweepPaths, statuses: list[Status]) -> dict[str, object]:
    return {
        "format": 1,
        "sweep": paths.name,
        "time": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds"),
        "counts": survey.counts(statuses),
        "failures": [
            {"cause": failure.cause, "trials": [str(each.entry.name) for each in failure.trials]}
            for failure in survey.failures(statuses)
        ],
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
