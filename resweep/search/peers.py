"""What the other workers of a search do, on this host or another one: by their processes, records and signs of life."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from resweep.launcher import places, processes, slurm_job, trial_state
from resweep.launcher.places import Place
from resweep.launcher.storage import Record
from resweep.layout import SweepPaths
from resweep.search.trial_writer import Maker

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

STALE = 60.0  # seconds after which a trial that nobody has begun, on another host, is nobody's

Own = dict[str, Any]  # the attribute TRIAL of one of Optuna's trials


def run(paths: SweepPaths, maker: Maker, own: Own | None) -> bool:
    """Whether another worker is at a point for certain."""
    if own is None:
        return False
    if processes.of_this_boot(own["by"]):
        return processes.same_process(own["by"]["pid"], own["by"]["pid_start"])
    wanted = maker.identify(own["point"])
    states = (trial_state.state(paths.place(each.entry.name)) for each in wanted)
    return any(state == "running" and not slurm_job.ended_on_slurm(record) for state, record in states)


def have_left(own: Own, asked: FrozenTrial, repeats: Sequence[Place]) -> bool:
    """Whether nobody runs a point, or is about to; `repeats` are where its trials are."""
    if processes.of_this_boot(own["by"]):
        return not processes.same_process(own["by"]["pid"], own["by"]["pid_start"])
    began = asked.datetime_start.timestamp() if asked.datetime_start else 0.0
    signs = [own.get("at", began)]
    stopped = False
    for place, seen in zip(repeats, own.get("after", [0] * len(repeats)), strict=True):
        state, record = trial_state.state(place)
        if state == "running" and not trial_state.gone(place, record):
            return False
        # its job is over, and it was an attempt of who has the point now
        ended = state == "running" or (state == "stopped" and interrupted(record))
        stopped |= ended and record["attempt"] > seen
        path = os.path.join(place.attempt(record.get("attempt", 0)), places.RECORD)
        if os.path.exists(path):
            signs.append(os.stat(path).st_mtime)
    return stopped or time.time() - max(signs) > STALE


def interrupted(record: Record) -> bool:
    """Whether Slurm stopped an attempt, and with it the worker: another one goes on."""
    return bool(record.get("slurm", {}).get(slurm_job.ENDED_BY))
