"""The repository's example as a project: a clone of it, and what its sweeps and trainings are given."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from small_project import REPOSITORY, Project

EPOCHS = "if debug then 1 else num_epochs"  # of the templates: tests take several on few questions
# of metrics.json: what no two runs share
TIMES_AND_MEMORY = ("duration", "memory")


def clone(root: Path) -> Project:
    """A copy of the repository's example, as a clone would have it."""
    root.mkdir(parents=True)
    for name in ("setup.py", "train.sh", "hyper.py", "rnn_model.jsonnet", "dan_model.jsonnet", "slurm-allennlp.sh"):
        shutil.copy(REPOSITORY / name, root)
    for name in ("qb", "resweep"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "config").mkdir()
    for path in (REPOSITORY / "config").glob("*.toml"):
        shutil.copy(path, root / "config")
    return at(root)


def at(root: Path) -> Project:
    """The project that lies there already."""
    project = Project.__new__(Project)
    project.root = root
    return project


def changes(*assignments: str) -> list[str]:
    """`--set` before each of `KEY=VALUE`."""
    return [word for each in assignments for word in ("--set", each)]


def numbers(directory: Path) -> dict[str, object]:
    """The metrics of a run without durations and memory."""
    metrics = json.loads((directory / "metrics.json").read_text())
    return {key: value for key, value in metrics.items() if not any(word in key for word in TIMES_AND_MEMORY)}
