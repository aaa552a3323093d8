"""A node that fails at once what it is given: counted, said, and left after a few failures.

Code: launcher/bad_node, launcher/slurm_task, run/status
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import on_slurm
import pytest
import running
from on_slurm import Cluster, go, jobs, start, status, sweep
from small_project import Project

pytestmark = pytest.mark.timeout(300)

# fails at once on node1; elsewhere it waits until the test says so
BAD = 'echo "$n" >> "$root/on-$SLURMD_NODENAME"\n[ "$SLURMD_NODENAME" != node1 ] || exit 3\n' + on_slurm.WAIT
HALF = 'cpus-per-task = 4\nmem = "50M"\n'  # two trials fill a node


@contextmanager
def joining_late(cluster: Cluster, project: Project, others: int) -> Iterator[None]:
    """node1 is away until so many trials run on the other nodes, and have done so for a while."""
    cluster.ask("scontrol", "update", "nodename=node1", "state=drain", "reason=test")
    try:
        yield
        on_slurm.until(lambda: running.states(project).count("running") == others, told=lambda: status(project))
        time.sleep(4)  # so that they have lived for longer than any that fails at once
    finally:
        cluster.ask("scontrol", "update", "nodename=node1", "state=resume")


def on(project: Project, node: str) -> list[str]:
    """The trials that were begun on a node."""
    return running.lines(project, f"on-{node}")


def test_trials_leave_a_node_after_a_few_quick_failures_in_a_row(slurm: Cluster, project: Project) -> None:
    """Two more than the limit may have begun at once; all others run elsewhere, and status says what to do."""
    sweep(project, 20, BAD, slurm=HALF + "leave_node_after = 3")
    with joining_late(slurm, project, 6):
        start(project).ok()
    on_slurm.until(lambda: "node1" in slurm.ask("squeue", "-h", f"--jobs={jobs(project)[0].id}", "-o", "%x"))
    go(project)
    slurm.drained(150)
    assert 3 <= len(on(project, "node1")) <= 5
    assert running.states(project).count("failed") == len(on(project, "node1"))
    assert running.states(project).count("finished") == 20 - len(on(project, "node1"))
    assert set(running.attempts(project)) == {1}
    count = len(on(project, "node1"))
    said = status(project)
    leave = "resweep submit rnn --exclude=node1 runs them on other nodes"
    assert f"{count} of {count} failed on node1, 0 of {20 - count} elsewhere; {leave}" in said
    assert f"failed   {count} trials, all on node1: " in said
    project.resweep("submit", "rnn", "--exclude=node1").ok()
    slurm.drained(150)
    assert running.states(project) == ["finished"] * 20


def test_zero_lets_trials_run_wherever_slurm_puts_them(slurm: Cluster, project: Project) -> None:
    """The off-switch: the node drains what waits."""
    sweep(project, 12, BAD, slurm=HALF + "leave_node_after = 0")
    with joining_late(slurm, project, 6):
        start(project).ok()
    on_slurm.until(lambda: running.states(project).count("failed") == 6, told=lambda: status(project))
    go(project)
    slurm.drained(150)
    assert len(on(project, "node1")) == 6


def test_no_node_is_left_for_what_fails_everywhere(slurm: Cluster, project: Project) -> None:
    """A mistake in the training fails on all nodes: each trial fails once, where it was put."""
    sweep(project, 20, "exit 3\n", slurm=HALF + "leave_node_after = 2")
    start(project).ok()
    slurm.drained(150)
    assert running.states(project) == ["failed"] * 20
    assert set(running.attempts(project)) == {1}
    assert "--exclude" not in status(project)


def test_a_worker_leaves_such_a_node_and_its_trials_to_others(slurm: Cluster, project: Project) -> None:
    """A worker there would fail the whole sweep by itself: after three trials it goes on on another node."""
    sweep(project, 16, BAD, slurm=HALF + "leave_node_after = 3")
    with joining_late(slurm, project, 2):
        start(project, "--workers", "2").ok()
    project.resweep("submit", "rnn", "--workers", "3", "--nodelist=node1").ok()
    on_slurm.until(lambda: len(on(project, "node1")) >= 3)
    worker = jobs(project)[-1].id
    on_slurm.until(lambda: slurm.ask("squeue", "-h", f"--jobs={worker}", "-o", "%x").strip() == "node1")
    assert len(on(project, "node1")) == 3
    slurm.ask("scancel", worker)  # it was asked to run nowhere else
    go(project)
    slurm.drained(150)
    assert running.states(project).count("failed") == 3
    assert running.states(project).count("finished") == 13
