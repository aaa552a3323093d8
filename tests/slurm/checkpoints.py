"""Trainings that save a checkpoint when a signal comes, and say what came to them."""

from __future__ import annotations

import on_slurm
import running
from on_slurm import Cluster
from small_project import Project

# Says what comes in ROOT/signals-N, a line "ATTEMPT RANK SIGNAL" each, and touches ROOT/started-N-ATTEMPT. On a signal
# that it heeds it takes SAVE seconds to write OUT/checkpoint, and ends with STATUS. The next attempt finds that, and
# ends with 0.
SAVES = """\
import os, pathlib, signal, sys, time
out, root, n, status = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
heeds, save = sys.argv[5].split(","), float(sys.argv[6])
attempt = os.environ["RESWEEP_ATTEMPT"]
rank = os.environ.get("SLURM_PROCID", "-") if "SLURM_STEP_ID" in os.environ else os.environ.get("RANK", "-")
out.mkdir(exist_ok=True)
def came(number, frame):
    name = signal.Signals(number).name
    with open(root / f"signals-{n}", "a") as file:
        file.write(f"{attempt} {rank} {name}\\n")
    if name in heeds and not came.saving:
        came.saving = True
        end = time.monotonic() + save
        while time.monotonic() < end:
            time.sleep(0.05)
        with open(out / "checkpoint", "a") as file:
            file.write(f"{attempt} {rank}\\n")
        os._exit(status)
came.saving = False
signal.signal(signal.SIGUSR1, came)
signal.signal(signal.SIGTERM, came)
(root / f"started-{n}-{attempt}-{rank}").touch()
if (out / "checkpoint").exists():
    (root / f"checkpoint-{n}").write_text((out / "checkpoint").read_text())
    (out / "metrics.json").write_text('{"best_validation_accuracy": 0.5}')
    sys.exit(0)
while not (root / "go").exists() and not (root / f"go-{n}").exists():
    time.sleep(0.05)
(out / "metrics.json").write_text('{"best_validation_accuracy": 0.5}')
"""


def saves(status: int = 85, heeds: str = "SIGUSR1", save: float = 0.0, python: str = "python") -> str:
    """The last line of a train.sh for such a training."""
    return f'exec {python} qb/saves.py "$out" "$root" "$n" {status} {heeds} {save}'


def sweep(project: Project, count: int, train: str, slurm: str = "", settings: str = "") -> Project:
    """A sweep whose train.sh is `train`, begun in the capsule."""
    project.write({"qb/saves.py": SAVES})
    return on_slurm.sweep(project, count, 'root=$(cd "$root" && pwd); cd "$1"\n' + train, slurm, settings)


def task_of(project: Project, number: int) -> str:
    """Slurm's name of the task of the trial rnn#NUMBER in the last array."""
    return f"{on_slurm.jobs(project)[-1].id}_{number}"


def seen(project: Project, *names: str) -> None:
    """Wait until trainings have made these files."""
    for name in names:
        on_slurm.until((project.root / name).exists, 90, lambda name=name: f"{name}\n{on_slurm.status(project)}")


def came(project: Project, n: int) -> list[str]:
    """What signals came to the trainings of trial N, counted from 0: "ATTEMPT RANK SIGNAL" each."""
    return running.lines(project, f"signals-{n}")


def warn(cluster: Cluster, task: str) -> None:
    """What Slurm sends before a time limit with [slurm] signal = "USR1@...": to the batch script alone."""
    cluster.ask("scancel", "--batch", "--signal=USR1", task)
