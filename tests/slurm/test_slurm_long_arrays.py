"""More trials in one go than a site's arrays may have tasks; bench/submit.py has ten thousand.

Code: slurm/submit, slurm/batches, cli/submit
"""

from __future__ import annotations

import pytest
import running
from on_slurm import Cluster, jobs, runs
from small_project import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_60_trials_go_in_as_three_arrays_where_an_array_has_at_most_24_and_all_complete(
    many: Project, patient_cluster: Cluster
) -> None:
    """Each trial has run exactly once."""
    assert [(job.first, job.last) for job in jobs(many)] == [(1, 24), (1, 24), (1, 12)]
    patient_cluster.drained(550)
    assert set(running.states(many)) == {"finished"}
    assert set(running.attempts(many)) == {1}
    assert runs(many) == list(range(60))
