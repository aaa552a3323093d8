"""Thousands of trials in one go, where a site's arrays are shorter than that.

Code: slurm/submit, slurm/batches, cli/submit
"""

from __future__ import annotations

import pytest
import running
from on_slurm import Cluster, jobs, runs
from small_project import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_1200_trials_go_in_as_three_arrays_where_an_array_has_at_most_500_and_all_complete(
    thousands: Project, patient_cluster: Cluster
) -> None:
    """Each trial has run exactly once."""
    assert [(job.first, job.last) for job in jobs(thousands)] == [(1, 500), (1, 500), (1, 200)]
    patient_cluster.drained(550)
    assert set(running.states(thousands)) == {"finished"}
    assert set(running.attempts(thousands)) == {1}
    assert runs(thousands) == list(range(1200))
