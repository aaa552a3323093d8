"""Sweeps with made-up results, as their trainings would have left them: for the page, the figures and the exports."""

from __future__ import annotations

import json
import math
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from small_project import Project

from resweep.index import Entry

TEMPLATE = """\
function(lr, dropout, hidden_dim, n_layers=1, optimizer="adam", random_seed=0)
  { lr: lr, dropout: dropout, hidden_dim: hidden_dim, n_layers: n_layers, optimizer: optimizer, seed: random_seed }
"""
# 3 x 3 x 3 x 2 x 3 = 162 points
SWEEP = """\
n_trials = {repeats}

[hyper]
"params.lr" = [{lr}]
"params.dropout" = [0.0, 0.25, 0.5]
"params.hidden_dim" = [64, 256, 1024]
"params.n_layers" = [1, 2]
"params.optimizer" = ["adam", "adagrad", "sgd"]

[params]

[results]
metric = "best_validation_accuracy"
"""
EPOCHS = 12
BEGAN = datetime(2026, 11, 2, 8, tzinfo=UTC)
FAILURES = (
    "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate {} MiB",
    "ValueError: loss is not finite in epoch {}",
    "FileNotFoundError: [Errno 2] No such file or directory: 'data/glove.{}d.txt'",
)
TRACEBACK = 'Traceback (most recent call last):\n  File "qb/main.py", line 88, in <module>\n    main()\n'


def sweep(project: Project, name: str = "rnn", repeats: int = 1, lr: str = "0.0001, 0.001, 0.01", **extra: str) -> None:
    """Generate a sweep of 54 points for each learning rate."""
    project.write({"made.jsonnet": TEMPLATE, "config/made.toml": SWEEP.format(repeats=repeats, lr=lr)} | extra)
    project.begin("config/made.toml", "made.jsonnet", name, "--no-slurm-job")


def finish_all(project: Project, name: str = "rnn", *, fail: float = 0.06, run: int = 0) -> None:
    """Every trial as if it had run: some have failed, and the last `run` of them run or wait."""
    entries = project.entries(name)
    for place, entry in enumerate(entries):
        if place >= len(entries) - run:
            continue
        numbers = random.Random(f"{name} {entry.number}")
        began = BEGAN + timedelta(minutes=17 * place / 4 + numbers.random() * 9)
        if numbers.random() < fail:
            failed(project, entry, name, numbers.choice(FAILURES).format(numbers.choice([50, 300])), began)
        else:
            finished(project, entry, name, outcome(entry.swept, numbers), began)


def outcome(swept: dict[str, Any], numbers: random.Random) -> dict[str, list[float]]:
    """What training measured, by epoch: a learning rate that is right in the middle, and seeds that matter."""
    lr = {"adam": 0, "adagrad": -0.6, "sgd": -1.1}[swept["params.optimizer"]] + math.log10(swept["params.lr"]) + 3
    top = 0.78 - 0.11 * lr * lr + 0.045 * math.log2(swept["params.hidden_dim"] / 64) / 4
    top -= 0.35 * (swept["params.dropout"] - 0.25) ** 2 + 0.01 * swept["params.n_layers"] - numbers.gauss(0, 0.012)
    pace = 0.25 + 0.12 * math.log10(swept["params.lr"] / 0.0001)
    rise = [max(0.03, top * (1 - math.exp(-pace * (epoch + 1)))) for epoch in range(EPOCHS)]
    over = 0.16 - 0.22 * swept["params.dropout"]
    return {
        "validation_accuracy": [max(0.02, value + numbers.gauss(0, 0.006)) for value in rise],
        "training_accuracy": [min(0.99, v + over * e / EPOCHS) for e, v in enumerate(rise)],
        "validation_loss": [2.2 * (1.02 - v) + 0.02 * e * over * 4 for e, v in enumerate(rise)],
        "training_loss": [2.2 * (1.0 - min(0.98, v + over * e / EPOCHS)) for e, v in enumerate(rise)],
    }


def finished(
    project: Project, entry: Entry, name: str, measured: dict[str, list[float]], began: datetime, **values: Any
) -> None:
    """Leave what a trial leaves that has finished: metrics.json, its epochs, a log and a record."""
    seconds = 240 + 0.9 * entry.swept.get("params.hidden_dim", 64) * entry.swept.get("params.n_layers", 1)
    home, attempt = _places(project, entry, name)
    home.mkdir(parents=True)
    last = {key: numbers[-1] for key, numbers in measured.items()}
    if "validation_accuracy" in measured:
        last = {"best_validation_accuracy": max(measured["validation_accuracy"])} | last
    (home / "metrics.json").write_text(json.dumps(last | values))
    lines = [
        {"epoch": e} | {k: v[e] for k, v in measured.items()} for e in range(len(next(iter(measured.values()), [])))
    ]
    (home / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    log = "".join(f"epoch {line['epoch']}: {line}\n" for line in lines)
    (attempt / "log.txt").write_text(f"reads data/quiz.json\n{log}done\n")
    _record(attempt, entry, "finished", began, seconds)


def lasted(project: Project, entry: Entry, name: str, began: datetime, seconds: float) -> None:
    """Say of a trial that has finished how long it took."""
    path = Path(project.paths(name).place(entry.name).attempt(1)) / "record.json"
    record = json.loads(path.read_text())
    record |= {"seconds": seconds, "ended": (began + timedelta(seconds=seconds)).isoformat()}
    path.write_text(json.dumps(record))  # into the same file, which `finished` is another name of


def failed(project: Project, entry: Entry, name: str, error: str, began: datetime) -> None:
    """Leave what a trial leaves that has failed."""
    _, attempt = _places(project, entry, name)
    (attempt / "log.txt").write_text(f"reads data/quiz.json\n{TRACEBACK}{error}\n")
    _record(attempt, entry, "failed", began, 35.0)


def _places(project: Project, entry: Entry, name: str) -> tuple[Path, Path]:
    place = project.paths(name).place(entry.name)
    attempt = Path(place.attempt(1))
    attempt.mkdir(parents=True)
    return Path(place.output), attempt


def _record(attempt: Path, entry: Entry, state: str, began: datetime, seconds: float) -> None:
    ended = began + timedelta(seconds=seconds)
    record = {"format": 1, "id": entry.id, "trial": entry.trial, "attempt": 1, "state": state, "host": "node17"}
    record |= {"seconds": seconds, "started": began.isoformat(), "ended": ended.isoformat(), "slurm": {}, "gpus": []}
    record |= {"exit_status": int(state != "finished"), "signal": None, "leaked": None, "data": None, "boot": "0" * 36}
    record |= {"pid": 1, "pid_start": 1, "group": 1, "group_start": 1, "peak_memory_bytes": 612_000_000}
    (attempt / "record.json").write_text(json.dumps(record))
    if state == "finished":
        os.link(attempt / "record.json", attempt.parent / "finished")
