"""What a search costs for each trial beyond Optuna alone: its capsule, its place in the list, its result read back.

    python bench/search.py [TRIALS]     default 1000

Both ask the same points of TPE with the same seed, and keep the same journal on the same disk. Training is a pause of
30 ms in both: in it the template is made ready for the next point. A trial is made, claimed and finished for real, and
only that it trains is left out; what claiming and finishing cost is counted with neither (see bench/run.py).

Then `resweep status` of the search, which says what matters, against a script that has Optuna read its own journal and
rank the same parameters; start of Python and imports included.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from resweep.cli import main
from resweep.index import Entry
from resweep.launcher import claims, places, storage, supervise
from resweep.layout import SweepPaths
from resweep.run.run_options import Outcome
from resweep.run.status import status
from resweep.search.supplier import Search
from resweep.sweep import stored

PAUSE = 0.03
SWEEP = """
[hyper]
"params.x" = { uniform = [-5, 10] }
"params.y" = { uniform = [0, 15] }
[search]
method = "tpe"
n = %d
seed = 3
[results]
metric = "value"
mode = "min"
"""
LOOK = """\
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
optuna.logging.set_verbosity(optuna.logging.ERROR)
evaluator = optuna.importance.PedAnovaImportanceEvaluator()
study = optuna.load_study(study_name=None, storage=JournalStorage(JournalFileBackend("alone.journal")))
print(len(study.trials), study.best_value, optuna.importance.get_param_importances(study, evaluator=evaluator))
"""
FILES = {
    "setup.py": "from setuptools import setup\nsetup(name='qb', packages=['qb'])\n",
    "qb/__init__.py": "",
    "train.sh": "exit 1\n",
    "base.jsonnet": "function(x, y, random_seed=0) { x: x, y: y, seed: random_seed }\n",
}


def branin(x: float, y: float) -> float:
    """The function that is minimised."""
    b, c, t = 5.1 / (4 * math.pi**2), 5 / math.pi, 1 / (8 * math.pi)
    return (y - b * x**2 + c * x - 6) ** 2 + 10 * (1 - t) * math.cos(x) + 10


def ours(n: int) -> tuple[list[float], list[tuple[float, float]]]:
    """Seconds for each trial, and the points, of a search in the current directory."""
    paths = SweepPaths(Path.cwd(), "bench")
    supply = Search(paths, stored.read(paths), lambda _: None)
    seconds, points = [], []
    with contextlib.closing(supply):
        for _ in range(n):
            begin = time.perf_counter()
            entry = supply.next()
            took = time.perf_counter() - begin
            assert entry is not None
            x, y = entry.swept["params.x"], entry.swept["params.y"]
            points.append((x, y))
            finish(paths, entry, branin(x, y))
            time.sleep(PAUSE)
            outcome = Outcome(status(paths, entry), "")
            begin = time.perf_counter()
            supply.ended(outcome, leaving=False)
            seconds.append(took + time.perf_counter() - begin)
    return seconds, points


def finish(paths: SweepPaths, entry: Entry, value: float) -> None:
    """Let a trial have finished with this value."""
    place = paths.place(entry.name)
    _, record = claims.begin(place, places.read_manifest(place.capsule))
    directory = place.attempt(record["attempt"])
    os.makedirs(os.path.join(directory, places.OUTPUT))
    with open(os.path.join(directory, places.OUTPUT, "metrics.json"), "w", encoding="utf-8") as file:
        json.dump({"value": value}, file)
    record.update(state="finished", ended=storage.now(), seconds=0.0, exit_status=0)
    supervise.close(directory, record)
    assert claims.settle(place)


def alone(n: int) -> tuple[list[float], list[tuple[float, float]]]:
    """The same of Optuna alone, with its journal."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend("alone.journal")),
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=3),
    )
    seconds, points = [], []
    for _ in range(n):
        begin = time.perf_counter()
        trial = study.ask()
        x, y = trial.suggest_float("params.x", -5, 10), trial.suggest_float("params.y", 0, 15)
        took = time.perf_counter() - begin
        points.append((x, y))
        time.sleep(PAUSE)
        begin = time.perf_counter()
        study.tell(trial, branin(x, y))
        seconds.append(took + time.perf_counter() - begin)
    return seconds, points


def looked() -> dict[str, float]:
    """Seconds until `resweep status`, and Optuna alone, say how far a search is and what matters; the best of some."""
    best = {"resweep status": float("inf"), "Optuna alone": float("inf")}
    commands = {"resweep status": ["-m", "resweep", "status", "bench"], "Optuna alone": ["-c", LOOK]}
    for _ in range(3):
        for name, arguments in commands.items():
            begin = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=os.environ)
            best[name] = min(best[name], time.perf_counter() - begin)
    return best


def run(n: int) -> None:
    """Print both side by side."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name, text in {**FILES, "bench.toml": SWEEP % n}.items():
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).write_text(text, "utf-8")
        with contextlib.suppress(SystemExit):
            main(["bench.toml", "base.jsonnet", "bench"])
        found = {"resweep": ours(n), "Optuna alone": alone(n)}
        shown = looked()
    assert found["resweep"][1] == found["Optuna alone"][1], "both ask for the same points"
    for name, (seconds, _) in found.items():
        mean, median = statistics.fmean(seconds) * 1e3, statistics.median(seconds) * 1e3
        print(f"{name:<14} {n} trials: {mean:6.2f} ms a trial (median {median:.2f})")
    own, other = (statistics.fmean(seconds) for seconds, _ in found.values())
    medians = [statistics.median(seconds) for seconds, _ in found.values()]
    print(f"beyond Optuna: {(own - other) * 1e3:.2f} ms a trial (of the medians {(medians[0] - medians[1]) * 1e3:.2f})")
    print(f"ratio          {own / other:.2f}")
    for name, took in shown.items():
        print(f"{name:<14} {took:6.2f} s")
    print(f"ratio          {shown['resweep status'] / shown['Optuna alone']:.2f}")


if __name__ == "__main__":
    run(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
