"""What cannot be known of a sweep's jobs from here, in words, for `status`, `submit` and `stop` alike."""

from __future__ import annotations

from collections import Counter

from resweep.errors import counted
from resweep.layout import SweepPaths
from resweep.slurm import ledger
from resweep.slurm.states import View


def strangers(view: View) -> list[str]:
    """The jobs with an id of the ledger's or of records that cannot be shown to be the sweep's, a line each."""
    return [
        f"job {job} is not this sweep's ({why}); its id was used again, or somebody changed it: it is left alone"
        for job, why in view.strangers.items()
    ]


def open_ones(paths: SweepPaths, view: View) -> list[str]:
    """What may wait or run and cannot be seen from here, a line each: on another cluster, or an answer got lost."""
    unseen = f", which {view.cluster} cannot see"
    there = Counter((one.cluster, one.task[0]) for one in view.elsewhere.values())
    lines = [
        f"{counted(count, 'trial')} in job {job} of the cluster {cluster}{unseen}"
        for (cluster, job), count in there.items()
    ]
    lines += [
        f"{counted(job.last - job.first + 1, 'worker')} in job {job.id} of the cluster "
        f"{submission.cluster_of(job)}{unseen}"
        for submission, job in view.workers_elsewhere
    ]
    if view.recovered.open and not ledger.under_way(paths):
        lines += view.recovered.why()
    return lines
