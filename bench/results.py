"""How fast a big sweep is seen: `resweep results`, first and again, and `status`, against opening each metrics.json.

    python bench/results.py [TRIALS]

The trials have what AllenNLP leaves: a record and a metrics.json of 24 numbers. The other side is a loop that opens and
parses every metrics.json, knows where each is, and prints one number of each: what a script of one's own does at least.
The first look has an empty cache, and every file in the system's: what the disk costs depends on the disk.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
ROUNDS = 3
SWEEP = """\
n_trials = 10
[hyper]
"params.lr" = [{lr}]
"params.dropout" = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
[params]
[results]
metric = "best_validation_accuracy"
"""
TEMPLATE = "function(lr, dropout, random_seed=0) { lr: lr, dropout: dropout, seed: random_seed }\n"
LOOP = """\
import json, sys
for path in open(sys.argv[1]).read().splitlines():
    with open(path) as file:
        print(path, json.load(file)["best_validation_accuracy"])
"""


def generate(root: Path, trials: int) -> list[Path]:
    """A sweep whose trials have finished; the metrics.json of each."""
    (root / "setup.py").write_text("from setuptools import setup\nsetup(name='p', py_modules=['p'])\n")
    (root / "p.py").write_text("")
    (root / "train.sh").write_text("true\n")
    (root / "base.jsonnet").write_text(TEMPLATE)
    lr = ", ".join(f"{(i + 1) / 1000}" for i in range(trials // 100))
    (root / "big.toml").write_text(SWEEP.format(lr=lr))
    command = [sys.executable, "-m", "resweep", "big.toml", "base.jsonnet", "big"]
    subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL, env=environment(root))
    lines = (root / "config" / "generated" / "big" / "index.jsonl").read_text().splitlines()[1:]
    return [finish(root / "model" / "generated" / "big", **json.loads(line)) for line in lines]


def finish(home: Path, id: str, trial: int, **_: object) -> Path:  # noqa: A002  # as in the index
    """Leave behind what a trial leaves."""
    attempt = home / id / f"{trial}.attempts" / "1"
    attempt.mkdir(parents=True)
    record = {"format": 1, "id": id, "trial": trial, "attempt": 1, "state": "finished", "host": "node17", "slurm": {}}
    record |= {"seconds": 4.5, "started": "2026-11-21T00:00:00+00:00", "ended": "2026-11-21T00:00:04+00:00"}
    record |= {"exit_status": 0, "signal": None, "peak_memory_bytes": 612_000_000, "gpus": [], "leaked": None}
    record |= {"boot": "0" * 36, "pid": 1, "pid_start": 1, "group": 1, "group_start": 1, "data": None}
    (attempt / "record.json").write_text(json.dumps(record, indent=2, sort_keys=True))
    os.link(attempt / "record.json", attempt.parent / "finished")
    (home / id / str(trial)).mkdir()
    numbers = random.Random(f"{id}/{trial}")
    metrics = {f"{part}_{name}": numbers.random() for part in ("training", "validation", "best_validation")
               for name in ("accuracy", "loss", "reg_loss", "f1", "top5", "perplexity", "buzz", "mrr")}  # fmt: skip
    path = home / id / str(trial) / "metrics.json"
    path.write_text(json.dumps(metrics, indent=2))
    return path


def environment(root: Path) -> dict[str, str]:
    """That of a person whose cache is in `root`, and who calls this repository's tool."""
    return {**os.environ, "XDG_CACHE_HOME": str(root / ".cache"), "PYTHONPATH": str(REPOSITORY)}


def seconds(root: Path, *command: str) -> float:
    """How long a command takes, its start included."""
    start = time.perf_counter()
    with open(root / "output", "w") as output:
        subprocess.run([sys.executable, *command], cwd=root, check=True, stdout=output, env=environment(root))
    return time.perf_counter() - start


def asked(default: int) -> int:
    """The number of trials that the command line names."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else default
    if trials < 100 or trials % 100:
        sys.exit("TRIALS: expected a multiple of 100")
    return trials


def listed(root: Path, trials: int) -> list[Path]:
    """A sweep of so many trials: their metrics.json, which the file `list` names, too."""
    files = generate(root, trials)
    (root / "list").write_text("".join(f"{path}\n" for path in files))
    return files


def main() -> None:
    """Measure all of them in turn, and print the best of each."""
    trials = asked(10_000)
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        root = Path(home)
        listed(root, trials)
        time.sleep(4)  # what is a moment old is not kept
        best: dict[str, float] = {}
        for _ in range(ROUNDS):
            shutil.rmtree(root / ".cache", ignore_errors=True)
            for name, command in {
                "a loop": ("-c", LOOP, "list"),
                "first look": ("-m", "resweep", "results", "big"),
                "second look": ("-m", "resweep", "results", "big"),
                "ten best": ("-m", "resweep", "results", "big", "--top", "10"),
                "by point": ("-m", "resweep", "results", "big", "--by", "point"),
                "in pandas": ("-c", "import resweep; resweep.open('big').to_pandas()"),
                "status": ("-m", "resweep", "status", "big"),
                "as jsonl": ("-m", "resweep", "results", "big", "--format", "jsonl"),
            }.items():
                best[name] = min(best.get(name, float("inf")), seconds(root, *command))
        for name, took in best.items():
            print(f"{name:<12} {took:6.2f} s  {took / best['a loop']:5.2f} of the loop   ({trials:,} trials)")


if __name__ == "__main__":
    main()
