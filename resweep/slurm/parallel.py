"""`parallel` for a whole sweep: what is submitted waits for what earlier submissions have at work or waiting.

Slurm throttles each array alone, so trials that are added while an array runs would come on top of those.
"""

from __future__ import annotations

from collections.abc import Sequence

from resweep.slurm import queue
from resweep.slurm.batches import Batch
from resweep.slurm.identity import Identity
from resweep.slurm.ledger import Submission
from resweep.slurm.owners import is_of


def throttled(batch: Batch) -> bool:
    """Whether a batch heeds `parallel`: one job per trial cannot."""
    return bool(batch.resources.parallel) and batch.kind != "single"


def behind(submissions: Sequence[Submission], batches: Sequence[Batch], cluster: str) -> list[str]:
    """The jobs of earlier submissions that have to end before these batches begin; none where all fit in beside them.

    The batches of one submission run one after another, so that the largest counts.
    """
    asked = [(batch.resources.parallel or 0, batch.tasks) for batch in batches if throttled(batch)]
    if not asked:
        return []
    claims: dict[str, list[Identity]] = {}
    for submission in submissions:
        for job in submission.jobs:
            if is_of(submission.cluster_of(job), cluster):
                claims.setdefault(job.id, []).append(submission.identity)
    living = queue.living(claims, lambda job, seen: any(not each.contradiction(seen) for each in claims.get(job, [])))
    parallel, tasks = min(each for each, _ in asked), max(count for _, count in asked)
    return sorted(living, key=int) if sum(living.values()) + min(parallel, tasks) > parallel else []
