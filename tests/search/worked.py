"""Searches whose training is a published function: what is minimised is known, and a trial takes milliseconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from small_project import Project

from resweep.launcher import trial_state
from resweep.run.run_options import Options, Outcome
from resweep.run.runner import Runner
from resweep.search.supplier import Search
from resweep.sweep import stored

TEMPLATE = "function(x=0, y=0, z=0, u=0, v=0, w=0, kind='', epochs=0, random_seed=0)\n" + (
    "  { x: [x, y, z, u, v, w], kind: kind, epochs: epochs, seed: random_seed }\n"
)
# reads the filled template beside it, and writes what the function has there
MAIN = """\
import json, math, os, sys, time

capsule, toml = sys.argv[1:]
with open(os.path.join(capsule, os.path.basename(os.path.dirname(capsule)) + ".json")) as file:
    filled = json.load(file)
output = os.path.join(os.path.dirname(toml), "output")
os.makedirs(output, exist_ok=True)
journal = os.path.join(capsule, os.pardir, os.pardir, "search", "study.journal")

def branin(x):
    b, c, t = 5.1 / (4 * math.pi**2), 5 / math.pi, 1 / (8 * math.pi)
    return (x[1] - b * x[0] ** 2 + c * x[0] - 6) ** 2 + 10 * (1 - t) * math.cos(x[0]) + 10

# waits until the search has been told of this, behind byte `since` of its journal; or where nobody is to tell it
def judged(epoch, value, since=0):
    line = '"step":%d,"intermediate_value":' % (epoch + 1)
    while not os.path.exists(os.path.join(capsule, *[os.pardir] * 5, "at-will")):
        with open(journal) as file:
            file.seek(since)
            told = file.read()
        if line + repr(value) in told or line + repr(-value) in told:
            return
        time.sleep(0.005)

A = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
P = [[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991],
     [2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]]

def hartmann(x):
    inner = [sum(a * (v - p / 1e4) ** 2 for a, v, p in zip(A[i], x, P[i])) for i in range(4)]
    return -sum(alpha * math.exp(-each) for alpha, each in zip([1, 1.2, 3, 3.2], inner))

FUNCTIONS = {"branin": branin, "hartmann": hartmann}
"""
WRITE = """
with open(os.path.join(output, "metrics.json"), "w") as file:
    json.dump({"value": FUNCTIONS[filled["kind"]](filled["x"])}, file)
"""
# as training goes on: the value and what is still to be gained, an epoch at a time, each judged before the next
EPOCHS = (
    """
value = FUNCTIONS[filled["kind"]](filled["x"])
for epoch in range(filled["epochs"]):
    with open(os.path.join(output, "epoch.part"), "w") as file:
        json.dump({"epoch": epoch, "value": value + 20 / (epoch + 1)}, file)
    os.rename(os.path.join(output, "epoch.part"), os.path.join(output, "metrics_epoch_%d.json" % epoch))
    judged(epoch, value + 20 / (epoch + 1))
"""
    + WRITE
)
TRAIN = 'exec "${RESWEEP_PYTHON:-python}" -S -E "$1/qb/main.py" "$1" "$2"\n'

BRANIN = """
[hyper]
"params.x" = { uniform = [-5, 10] }
"params.y" = { uniform = [0, 15] }

[params]
kind = "branin"
"""
HARTMANN = "[hyper]\n" + "".join(f'"params.{key}" = {{ uniform = [0, 1] }}\n' for key in "xyzuvw")
HARTMANN += '\n[params]\nkind = "hartmann"\n'
RESULTS = '\n[results]\nmetric = "value"\nmode = "min"\n'

Values = Mapping[str, Any]


def searched(
    project: Project, n: int, space: str = BRANIN, more: str = "", train: str = WRITE, name: str = "rnn"
) -> None:
    """Generate a search of `n` points with TPE; `more` goes into [search]."""
    project.write(
        {
            "qb/main.py": MAIN + train,
            "train.sh": TRAIN,
            "base.jsonnet": TEMPLATE,
            "config/rnn.toml": f'{space}\n[search]\nmethod = "tpe"\nn = {n}\n{more}{RESULTS}',
        }
    )
    project.begin("config/rnn.toml", "base.jsonnet", "rnn")


class Silent:
    """Who watches a runner, and keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.outcomes: list[Outcome] = []

    def ended(self, outcome: Outcome) -> None:
        """A trial has ended."""
        self.outcomes.append(outcome)

    def tick(self, runner: Runner) -> None:
        """Nothing."""

    def told(self, message: str) -> None:
        """Keep it."""
        self.messages.append(message)


def work(project: Project, name: str = "rnn", jobs: int = 1, **options: Any) -> Silent:
    """One worker, in this process, until it is done."""
    paths = project.paths(name)
    watching = Silent()
    supply = Search(paths, stored.read(paths), watching.told)
    try:
        Runner(paths, [], Options(jobs=jobs, **options), watching, supply).run()
    finally:
        supply.close()
    return watching


def at_will(project: Project) -> None:
    """Let trainings from now on wait for no judgement."""
    (project.root / "at-will").touch()


def points(project: Project, *keys: str, name: str = "rnn") -> list[tuple[float, ...]]:
    """The values of every trial, in the order in which they were asked for."""
    return [tuple(entry.swept[f"params.{key}"] for key in keys) for entry in project.entries(name)]


def states(project: Project, name: str = "rnn") -> list[str]:
    """The state of every trial."""
    return [trial_state.state(project.paths(name).place(entry.name))[0] for entry in project.entries(name)]


def alone(
    objective: Callable[[Values], float], ranges: Mapping[str, Any], n: int, seed: int = 0, maximise: bool = False
) -> list[tuple[Any, ...]]:
    """What Optuna alone asks for in one process: parameters in the order of their names."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed), direction="maximize" if maximise else "minimize"
    )
    asked = []
    for _ in range(n):
        trial = study.ask({name: ranges[name] for name in sorted(ranges)})
        asked.append(tuple(trial.params[name] for name in sorted(ranges)))
        study.tell(trial, objective(trial.params))
    return asked


def functions() -> dict[str, Callable[[list[float]], float]]:
    """The functions that the training has."""
    room: dict[str, Any] = {"math": math}
    text = MAIN[MAIN.index("def branin") :]
    exec(text, room)
    found: dict[str, Callable[[list[float]], float]] = room["FUNCTIONS"]
    return found


def journal(project: Project, name: str = "rnn") -> list[optuna.trial.FrozenTrial]:
    """Optuna's own trials, read as its dashboard reads them."""
    path: Path = project.paths(name).study
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    (study,) = optuna.get_all_study_summaries(storage)
    return optuna.load_study(study_name=study.study_name, storage=storage).trials
