"""What early stopping saves on the example, and what it costs: AllenNLP trains for real, for half an hour.

    python bench/early.py [SEED ...]    default 1 2 3 4 5

For each seed 16 random points of the averaging network, all epochs of all of them, and the same points with
[search.stop] asha; one trial at a time. Epochs are counted by what training has written.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from resweep.results import load, metrics, trial_rows

REPOSITORY = Path(__file__).resolve().parent.parent
SWEEP = """
[hyper]
"params.lr" = { loguniform = [1e-4, 3e-2] }
"params.word_dropout" = { uniform = [0.0, 0.6] }
"params.hidden_dim" = [50, 100, 200, 400]
"params.n_hidden_layers" = [1, 2]
[params]
lr = 0.003
word_dropout = 0.3
hidden_dim = 200
n_hidden_layers = 1
dropout = 0.2
embedding_dim = 100
num_epochs = 15
[search]
method = "random"
n = 16
seed = %d
[results]
metric = "best_validation_accuracy"
mode = "max"
"""
STOP = '[search.stop]\nmethod = "asha"\nmin_resource = 3\nreduction_factor = 3\n'


def run(root: Path, name: str, text: str) -> None:
    """Generate a sweep, and run it, one trial at a time."""
    (root / "config" / f"{name}.toml").write_text(text, "utf-8")
    # what is run is what is imported here, whatever is installed
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    for words in ([f"config/{name}.toml", "dan_model.jsonnet", name], ["run", name, "--jobs", "1"]):
        command = [sys.executable, "-m", "resweep", *words]
        subprocess.run(command, cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)


def read(root: Path, name: str) -> tuple[int, float]:
    """How many epochs all trials of a sweep trained, and the best metric of those that finished."""
    found = load.gather(root, [name])
    epochs = 0
    for row in found.rows:
        curves = metrics.history(trial_rows.where(found.sweeps[0], row)).curves
        epochs += next(len(curve.steps) for curve in curves if curve.name == "validation_accuracy")
    best = trial_rows.best(found.rows, found.options)[0]
    return epochs, float(best.metrics["best_validation_accuracy"])


def compare(root: Path, seeds: list[int]) -> None:
    """Print a line for each seed, and the medians."""
    shares, losses = [], []
    for seed in seeds:
        (full, best), (spent, found) = read(root, f"s{seed}"), read(root, f"a{seed}")
        shares.append(spent / full)
        losses.append((best - found) * 100)
        print(
            f"seed {seed}: {full} epochs, best {best:.4f}; with asha {spent} epochs ({spent / full:.0%}), "
            f"best {found:.4f}, {losses[-1]:.1f} points lower"
        )
    print(f"median: {statistics.median(shares):.0%} of the epochs, {statistics.median(losses):.1f} points lower")


def main(seeds: list[int]) -> None:
    """Train everything, and compare."""
    root = Path(tempfile.mkdtemp(prefix="resweep-early-"))
    for name in ("setup.py", "train.sh", "dan_model.jsonnet"):
        shutil.copy(REPOSITORY / name, root)
    shutil.copytree(REPOSITORY / "qb", root / "qb", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "config").mkdir()
    for seed in seeds:
        run(root, f"s{seed}", SWEEP % seed)
        run(root, f"a{seed}", SWEEP % seed + STOP)
    compare(root, seeds)
    print(f"the trials are in {root}")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [1, 2, 3, 4, 5])
