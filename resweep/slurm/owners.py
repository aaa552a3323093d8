"""Whose jobs the ids are: what the ledger has under an id, compared with what Slurm says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resweep.slurm import identity
from resweep.slurm.ledger import Assigned, Submission
from resweep.slurm.queue import Task, TaskName


def is_of(noted: str | None, cluster: str) -> bool:
    """Whether what was noted is of this cluster; what older versions noted without one may be."""
    return noted in (None, "", cluster)


@dataclass(frozen=True)
class Owners:
    """Whose jobs the ids are: of which submission, or why of none that we know."""

    owners: dict[str, int]
    strangers: dict[str, str]
    tasks: dict[TaskName, Task]  # without the strangers'

    @classmethod
    def of(
        cls, submissions: Sequence[Submission], cluster: str, tasks: dict[TaskName, Task], since: dict[str, float]
    ) -> Owners:
        """Compare what Slurm says of each job with what the ledger has under its id, or records alone (`since`)."""
        claims: dict[str, list[Submission]] = {}
        for submission in submissions:
            for job in submission.jobs:
                if is_of(submission.cluster_of(job), cluster):
                    claims.setdefault(job.id, []).append(submission)
        seen = {job: task.seen for (job, _), task in tasks.items()}
        alive = {job for (job, _), task in tasks.items() if task.waits or task.runs}
        owners: dict[str, int] = {}
        strangers: dict[str, str] = {}
        for id_, whose in seen.items():
            reasons = {
                each.number: each.identity.contradiction(whose, id_ not in alive) for each in claims.get(id_, [])
            }
            own = [number for number, reason in reasons.items() if not reason]
            if own:
                owners[id_] = own[-1]
            elif reasons:
                strangers[id_] = list(reasons.values())[-1]
            elif whose.submitted and whose.submitted > since.get(id_, whose.submitted) + identity.SKEW:
                strangers[id_] = "it was submitted after the trial had begun"
        return cls(owners, strangers, {name: task for name, task in tasks.items() if name[0] not in strangers})

    def owner(self, job: str, claimant: Submission) -> int:
        """The submission whose job it is; the claimant's where Slurm knows nothing of it any more."""
        return self.owners.get(job, claimant.number)

    def has(self, one: Assigned) -> bool:
        """Whether a trial's task is one of a job that is still that submission's."""
        return self.owners.get(one.task[0], one.submission) == one.submission
