"""The signal before a time limit, on a real Slurm: it reaches who listens, once, and ends nobody else.

Code: launcher/attempt, launcher/delivery, launcher/slurm_task
"""

from __future__ import annotations

import checkpoints
import pytest
import running
from checkpoints import came, saves, seen, task_of, warn
from on_slurm import Cluster, record, start
from small_project import Project

pytestmark = pytest.mark.timeout(240)

# Two ranks of torchrun: the first one that is told to writes the checkpoint, and all end with 85.
TORCH = """\
import os, pathlib, signal, sys, time
import torch, torch.distributed as dist
out, root, n = map(pathlib.Path, sys.argv[1:4])
dist.init_process_group("gloo")
rank, attempt, told = dist.get_rank(), os.environ["RESWEEP_ATTEMPT"], []
def came(number, frame):
    told.append(number)
    with open(root / f"signals-{n}", "a") as file:
        file.write(f"{attempt} {rank} {signal.Signals(number).name}\\n")
signal.signal(signal.SIGUSR1, came)
(root / f"started-{n}-{attempt}-{rank}").touch()
out.mkdir(exist_ok=True)
if (out / "checkpoint").exists():
    sys.exit(0)
while True:
    total = torch.tensor([len(told)])
    dist.all_reduce(total)
    if total.item() >= 2:
        break
    time.sleep(0.1)
if rank == 0:
    (out / "checkpoint").write_text(attempt)
dist.barrier()
(root / f"ended-{n}-{attempt}-{rank}").touch()
sys.exit(85)
"""


def asks_once(project: Project, slurm: Cluster, ranks: tuple[str, ...] = ("-",)) -> None:
    """The only trial runs on these ranks, is warned, asks once to be run again, and its second attempt finishes."""
    start(project).ok()
    seen(project, *(f"started-0-1-{rank}" for rank in ranks))
    warn(slurm, task_of(project, 1))
    seen(project, *(f"started-0-2-{rank}" for rank in ranks))
    slurm.drained()
    assert running.states(project) == ["finished"]
    first, second = record(project, 1, 1), record(project, 1, 2)
    assert (first["state"], first["exit_status"], first["signal"]) == ("stopped", 85, None)
    assert second["resumed"] == 1
    assert sorted(came(project, 0)) == [f"1 {rank} SIGUSR1" for rank in ranks]


@pytest.mark.parametrize("before", ["", "trap 'touch \"$root/cleaned\"' EXIT\n"], ids=["bash", "exit-trap"])
def test_the_signal_ends_no_bash_around_the_training(slurm: Cluster, project: Project, before: str) -> None:
    """A train.sh that runs the training as its child, with a trap for its end or without, hands its 85 on."""
    checkpoints.sweep(project, 1, before + saves().removeprefix("exec ") + "\nexit $?\n")
    asks_once(project, slurm)
    assert (project.root / "cleaned").exists() == bool(before)


@pytest.mark.parametrize("nodes", [1, 2])
def test_the_signal_reaches_each_rank_of_srun_once(slurm: Cluster, project: Project, nodes: int) -> None:
    """srun holds it back, and its ranks descend from slurmstepd; srun hands their 85 on."""
    table = f'nodes = {nodes}\nntasks = 2\ncpus-per-task = 1\nmem = "100M"'
    checkpoints.sweep(project, 1, "srun " + saves().removeprefix("exec ") + "\n", slurm=table)
    asks_once(project, slurm, ("0", "1"))


def test_the_signal_ends_no_bash_that_is_a_rank_of_srun(slurm: Cluster, project: Project) -> None:
    """`scancel --signal` would end a rank that is a bash without a handler; its training gets the signal alone."""
    rank = f'srun bash -c \'root=$1 out=$2 n=$3; {saves().removeprefix("exec ")}; exit $?\' - "$root" "$out" "$n"\n'
    checkpoints.sweep(project, 1, rank, slurm='ntasks = 2\ncpus-per-task = 1\nmem = "100M"')
    asks_once(project, slurm, ("0", "1"))


def test_the_signal_reaches_the_ranks_of_torchrun(slurm: Cluster, project: Project) -> None:
    """They have sessions of their own, below an agent without a handler; all get it once, and torchrun reports 85."""
    pytest.importorskip("torch")
    project.write({"qb/torch_saves.py": TORCH})
    run = (
        "python -m torch.distributed.run --nproc_per_node=2 --master_addr=127.0.0.1 --master_port=0 --standalone "
        'qb/torch_saves.py "$out" "$root" "$n"\n'
        '[ ! -e "$root/ended-$n-$RESWEEP_ATTEMPT-0" ] || exit 85\n'
    )
    checkpoints.sweep(project, 1, run)
    asks_once(project, slurm, ("0", "1"))


def test_the_signal_that_comes_before_the_launcher_is_kept(slurm: Cluster, project: Project) -> None:
    """While the site's script still prepares its node there is no launcher; the training gets the signal later."""
    checkpoints.sweep(project, 1, saves())
    script = project.root / "slurm-allennlp.sh"
    text = script.read_text().replace(
        "exec ", 'touch "$1/../../../../../preparing"; while [ ! -e "$1/../../../../../on" ]; do sleep 0.1; done\nexec '
    )
    script.write_text(text)
    start(project).ok()
    seen(project, "preparing")
    warn(slurm, task_of(project, 1))
    (project.root / "on").touch()
    seen(project, "started-0-2--")
    slurm.drained()
    assert running.states(project) == ["finished"]
    assert came(project, 0) == ["1 - SIGUSR1"]
