"""A node that Slurm takes for dead while its job runs on: no second attempt beside it, and its files stay its own.

Code: launcher/attempt, launcher/slurm_task
"""

from __future__ import annotations

import os
import signal

import on_slurm
import pytest
import running
from on_slurm import Cluster, go, record, start, status, sweep
from small_project import Project

from resweep.launcher import processes, storage

pytestmark = pytest.mark.timeout(400)

# Writes a line into its output all the time, by the path that it was given, and says where that fails.
WRITES = """\
mkdir -p "$out"; touch "$root/started-$n-$RESWEEP_ATTEMPT"
while [ ! -e "$root/go" ]; do
    echo "$RESWEEP_ATTEMPT" >> "$out/lines" 2>> "$root/lost" || true
    sleep 0.1
done
cp "$out/lines" "$root/lines-$RESWEEP_ATTEMPT"
echo '{"best_validation_accuracy": 0.5}' > "$out/metrics.json"
"""
RESUME = '[run]\non_retry = "resume"\n'


def frozen(cluster: Cluster, project: Project, *options: str) -> tuple[str, str]:
    """Start the sweep, freeze the node of its only trial, and wait until Slurm runs its job on the other one."""
    start(project, *options).ok()
    on_slurm.until((project.root / "started-0-1").exists)
    node = running.record(project, 1)["slurm"]["SLURM_NODELIST"]
    cluster.do("freezenode", node)
    other = "node2" if node == "node1" else "node1"
    on_slurm.until(lambda: f"RUNNING {other}" in cluster.ask("squeue", "-h", "-o", "%T %N"), 90, cluster.queue)
    return node, other


def thaw(cluster: Cluster, node: str) -> None:
    """Let a node answer again, and wait until Slurm takes jobs there."""
    cluster.do("thawnode", node)
    on_slurm.until(
        lambda: node not in cluster.ask("sinfo", "-h", "-N", "-p", "cpu", "-t", "down,drain", "-o", "%N"), 60
    )


@pytest.mark.parametrize("options", [(), ("--workers", "1")], ids=["array", "worker"])
def test_an_attempt_that_still_runs_on_a_frozen_node_is_waited_for(
    split: Cluster, project: Project, options: tuple[str, ...]
) -> None:
    """Its job begins again elsewhere, and waits: the trial finishes once, with the one output, which nobody moved."""
    sweep(project, 1, WRITES, settings=RESUME)
    node, _ = frozen(split, project, *options)
    try:
        said = project.root / "model/generated/rnn/.slurm"
        on_slurm.until(lambda: any("may still run; waits" in path.read_text() for path in said.glob("*.txt")), 60)
        assert running.attempts(project) == [1]
        go(project)
        on_slurm.until(lambda: running.states(project) == ["finished"], 60, lambda: status(project))
    finally:
        thaw(split, node)
    split.drained()
    assert running.states(project) == ["finished"]
    assert running.attempts(project) == [1]
    assert not (project.root / "lost").exists() or not (project.root / "lost").read_text()
    assert set(running.lines(project, "lines-1")) == {"1"}


def test_an_attempt_that_gives_no_sign_of_life_is_followed_by_one_with_a_copy(split: Cluster, project: Project) -> None:
    """It may only be cut off: what it goes on to write stays its own, and the next attempt has what was there."""
    sweep(project, 1, WRITES, settings=RESUME)
    node, other = frozen(split, project)
    now = running.record(project, 1)
    directory = project.paths().place(project.entries()[0].name).attempt(1)
    try:
        os.kill(now["pid"], signal.SIGSTOP)  # no sign of life, as if its files were out of its reach
        os.utime(f"{directory}/heartbeat", (1, 1))  # for long
        on_slurm.until((project.root / "started-0-2").exists, 90, lambda: status(project))
        assert processes.start_time(now["group"]), "the training of the first attempt lives"
        lines = os.path.join(directory, "output", "lines")
        before = os.path.getsize(lines)
        on_slurm.until(lambda: os.path.getsize(lines) > before)
        assert record(project, 1, 2)["slurm"]["SLURM_NODELIST"] == other
        go(project)
        on_slurm.until(lambda: running.states(project) == ["finished"], 60, lambda: status(project))
    finally:
        os.kill(now["pid"], signal.SIGCONT)
        thaw(split, node)
    split.drained()
    assert not (project.root / "lost").exists() or not (project.root / "lost").read_text()
    assert record(project, 1, 2)["resumed"] == 1
    assert set(running.lines(project, "lines-2")) == {"1", "2"}
    assert set(running.lines(project, "lines-1")) == {"1"}
    assert storage.read_json(os.path.join(os.path.dirname(directory), "finished"))["attempt"] == 2


def test_a_life_that_slurm_ends_late_neither_requeues_nor_claims_the_next_one(split: Cluster, project: Project) -> None:
    """When the node answers again, its old life gets TERM: that it saves asks for no requeue of the next one."""
    train = """mkdir -p "$out"; touch "$root/started-$n-$RESWEEP_ATTEMPT"
trap 'echo "$RESWEEP_ATTEMPT" >> "$out/checkpoint"; exit 85' TERM
[ ! -e "$out/checkpoint" ] || { echo '{}' > "$out/metrics.json"; exit 0; }
while :; do sleep 0.1; done
"""
    sweep(project, 1, train)
    node, _ = frozen(split, project)
    thaw(split, node)
    on_slurm.until(lambda: running.states(project) == ["finished"], 120, lambda: status(project))
    split.drained()
    first, second = record(project, 1, 1), record(project, 1, 2)
    assert (first["state"], first["exit_status"], first["slurm"]["ended_by"]) == ("stopped", 85, "requeue")
    assert (second["resumed"], second["slurm"]["SLURM_RESTART_COUNT"]) == (1, "1")
    assert running.attempts(project) == [2]
