"""What would be submitted, worked out whole before Slurm is asked to take anything."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep.errors import ConfigError, SlurmError
from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.run import status
from resweep.slurm import batches, doubts, identity, ledger, limits, parallel, script, site, states
from resweep.slurm.batches import Batch, Wish
from resweep.slurm.limits import Limits
from resweep.slurm.script import SiteScript
from resweep.slurm.states import View
from resweep.sweep import slurm_table
from resweep.sweep.definition import Sweep
from resweep.sweep.slurm_table import Resources


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
    declared: dict[str, str]  # in the script, in SBATCH_ variables, or among the extra options
    cluster: str
    tag: str  # the comment of its jobs begins with it
    skipped: dict[str, int]  # why trials are not submitted -> how many
    notes: list[str]
    behind: tuple[str, ...] = ()  # jobs that have to end first, so that `parallel` holds for the sweep

    @property
    def trials(self) -> int:
        """How many trials are to be submitted."""
        return sum(len(batch.trials) for batch in self.batches)

    def command(self, batch: Batch, count: int, line: int = 0, after: Sequence[str] = ()) -> list[str]:
        """The sbatch of a batch's first `count` tasks, or of one line of it, to be run after other jobs."""
        array = not line and batch.kind != "canary"
        own = {"parsable": True, "job-name": self._job_name(batch, line), "open-mode": "append"}
        own["output"] = ledger.output_pattern(self.paths, array)
        own["comment"] = identity.comment(self.tag, batch.name, line)
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

    def first(self, batch: Batch) -> list[str]:
        """What the submission's first job has to wait for, as sbatch's --dependency says it."""
        return [f"afterany:{':'.join(self.behind)}"] if self.behind and parallel.throttled(batch) else []

    def options(self, batch: Batch) -> dict[str, Any]:
        """What sbatch heeds: the command line over [slurm] over SBATCH_ variables over the site's script."""
        return _effective(batch.resources, self.site, self.wish)

    def _job_name(self, batch: Batch, line: int) -> str:
        name = f"{identity.plain(self.paths.root.name)}-{self.paths.name}"
        if batch.kind == "canary":
            return f"{name}-canary"
        return f"{name}-{batch.trials[line - 1].id}-{batch.trials[line - 1].trial}" if line else name


def draft(
    paths: SweepPaths, definition: Sweep, entries: Sequence[Entry], wish: Wish, only_shown: bool = False
) -> Draft:
    """Work out what would be submitted; writes nothing. Raises SlurmError or ConfigError where nothing can be.

    What is `only_shown` is worked out as far as it can be where Slurm does not answer, and a note says so.
    """
    tables, files = site.read()
    own = [*tables, definition.slurm]
    if wish.profile is not None:
        own.append(_profile(wish.profile, own, definition.where))
    statuses = status.survey(paths, entries)
    view = states.look(paths, statuses)
    if view.error and not only_shown:
        raise SlurmError(view.error)
    runner = batches.runner(definition, wish)
    first, _ = slurm_table.resolve(*own)
    found = script.read(paths.root, first.script, _source(definition))
    declared = {**found.declared, **script.from_environment(), **script.declared(wish.extra)}
    allowed, cluster, unanswered = _site(view, only_shown)
    if runner == "search":
        asked, notes = slurm_table.resolve(*own, threads=definition.threads, declared=declared)
        jobs, skipped, said = batches.of_search(asked, wish, view, allowed)
        wanted = [asked]
    else:
        entries, skipped = batches.wanted(states.merged(statuses, view), view, wish)
        groups, notes = batches.groups(entries, own, definition, declared, wish)
        jobs, said = list(batches.of_trials(groups, wish, allowed, len(view.working()), runner)), []
        wanted = [asked for asked, _ in groups]
    notes += said + _notes(definition, wish, first, files)
    notes += _grace(definition, allowed)
    for each in wanted:
        notes += limits.doubts(allowed, _effective(each, found, wish))
    notes += doubts.strangers(view) + doubts.open_ones(paths, view)
    if unanswered:
        notes.insert(0, f"{unanswered}; shown without the site's limits and the jobs in its queue")
    python = os.environ.get("RESWEEP_PYTHON") or definition.python
    number = ledger.next_number(paths)
    return Draft(
        paths=paths,
        folder=paths.submissions / str(number),
        cluster=cluster,
        tag=identity.new_tag(paths.root.name, paths.name, number),
        batches=jobs,
        site=found,
        task_script=script.task_script(
            paths.name, found, first.setup, python, sys.executable, paths.root if runner else None
        ),
        limits=allowed,
        wish=wish,
        declared=declared,
        skipped=skipped,
        notes=list(dict.fromkeys(notes)),
        behind=tuple(parallel.behind(view.submissions, jobs, view.cluster)),
    )


def _site(view: View, only_shown: bool) -> tuple[Limits, str, str]:
    """What the site allows, the cluster's name, and why Slurm did not answer, where that may be."""
    try:
        return limits.read(), view.cluster or identity.cluster(), view.error
    except SlurmError as error:
        if not only_shown:
            raise
        return Limits(), view.cluster, str(error)


def _notes(definition: Sweep, wish: Wish, asked: Resources, files: Sequence[Path]) -> list[str]:
    """What is worth a word before anything is submitted."""
    notes = []
    if wish.one_job_per_trial and asked.parallel:
        notes.append(f"parallel = {asked.parallel} has no effect with one job per trial: Slurm throttles arrays only")
    if not definition.slurm and wish.profile is None:
        where = " and ".join(map(str, files)) if files else "the site's own"
        notes.append(f"no [slurm] table: the defaults are {where}")
    return notes


def _grace(definition: Sweep, allowed: Limits) -> list[str]:
    """What Slurm will not heed of `[run] grace`."""
    if not definition.grace or not allowed.kill_wait or definition.grace <= allowed.kill_wait:
        return []
    return [
        f"[run] grace = {definition.grace:g} is longer than this site's KillWait, {allowed.kill_wait:g} s: where Slurm "
        "ends the job, at a time limit or when it is cancelled or preempted, a trial has KillWait"
    ]


def _effective(asked: Resources, site_script: SiteScript, wish: Wish) -> dict[str, Any]:
    typed = script.declared(wish.extra)
    return {**site_script.declared, **script.from_environment(), **asked.options, **typed}


def _profile(name: str, tables: Sequence[dict[str, Any]], where: str) -> dict[str, Any]:
    known = slurm_table.profiles(*tables)
    if name not in known:
        shown = ", ".join(known) or f"none; write [slurm.profiles.{name}]"
        raise ConfigError(f"--profile {name}: found no such profile in {where}, expected one of: {shown}")
    return dict(known[name])


def _source(definition: Sweep) -> str:
    return definition.where if "script" in definition.slurm else "Slurm"
