"""What a training has told a tracker itself, by the files that this leaves: such a run need not be exported to it."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from resweep.export.run import Run

_WANDB = re.compile(r"(offline-)?run-.+")
_COMET = re.compile(r"[0-9A-Za-z]{32,50}(-[0-9A-Za-z]+)?\.zip")


def logged(run: Run, target: str, capsule: str = "") -> str | None:
    """What shows that the run's training has logged it to `target` live; None when nothing does.

    It is looked for in its output, beside its log, and in the capsule, which is a training's working directory.
    """
    find = _FINDERS.get(target)
    if find is None:
        return None
    places = (run.output.directory, os.path.dirname(run.output.log), capsule)
    return next((found for place in places if place for found in [find(place)] if found), None)


def _wandb(place: str) -> str | None:
    return next((f"wandb/{name}" for name in _names(os.path.join(place, "wandb")) if _WANDB.fullmatch(name)), None)


def _mlflow(place: str) -> str | None:
    return next((name for name in _names(place) if name in ("mlruns", "mlflow.db")), None)


def _comet(place: str) -> str | None:
    for below in ("", ".cometml-runs"):
        home = os.path.join(place, below)
        for name in _names(home):
            if _COMET.fullmatch(name) and _is_comet(os.path.join(home, name)):
                return os.path.join(below, name)
    return None


def _is_comet(path: str) -> bool:
    if not Path(path).is_file():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return "experiment.json" in archive.namelist()
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
        return False


_FINDERS: dict[str, Callable[[str], str | None]] = {"wandb": _wandb, "mlflow": _mlflow, "comet": _comet}


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
