"""What a task of Slurm's does that is a runner of the tool's own: as its submission says, which never changes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from resweep.errors import SlurmError
from resweep.launcher import bad_node, storage
from resweep.run.run_options import Job, Options
from resweep.slurm import ledger


@dataclass(frozen=True)
class Work:
    """The work of one task: for a search, or on a list of trials."""

    trials: Path | None  # the list; None for a search, which asks for its trials
    options: Options


def read(path: Path) -> Work:
    """The work of the tasks of one list, SUBMISSION/LIST; a SlurmError where no submission says what that is."""
    record = storage.read_json(str(path.parent / ledger.SUBMISSION))
    asked = record.get("lists", {}).get(path.name, {})
    if asked.get("runner") not in ledger.RUNNERS:
        raise SlurmError(f"{path}: expected a list of a submission, for tasks that are runners")
    job = Job(
        script=str(path.parent / record["script"]),
        since=os.stat(path.parent / ledger.SUBMISSION).st_mtime,
        max_requeues=int(record["max_requeues"]),
        node=bad_node.Node(str(path.parents[2]), str(path.parent), int(record.get("leave_node_after") or 0)),
        kill_wait=record.get("kill_wait"),
        grace_time=asked.get("grace_time") or 0.0,
    )
    canary = asked["kind"] == "canary"
    return Work(
        trials=None if asked["runner"] == "search" else path.with_name(f"{path.name}.txt"),
        # a job's cards are all for its trial
        options=Options(job=job, canary=canary, max_trials=1 if canary else asked["trials_per_job"] or 0),
    )
