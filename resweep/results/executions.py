"""What commands of `exec` left beside a trial's attempts, and the numbers among it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from resweep import layout
from resweep.launcher import places, storage
from resweep.launcher.places import Place


def metrics(place: Place, look: Callable[[str], None] = lambda _: None) -> dict[str, Path]:
    """By label, the metrics.json of the last command that finished and wrote one.

    `look` is told of every path that the answer depends on, beside the place of the attempts.
    """
    last: dict[str, tuple[int, Path]] = {}
    for label, number, directory in found(place):
        look(str(directory))
        look(str(directory / places.RECORD))
        path = directory / layout.METRICS
        if number > last.get(label, (0, path))[0] and path.exists() and _finished(directory):
            last[label] = (number, path)
    return {label: last[label][1] for label in sorted(last)}


def _finished(directory: Path) -> bool:
    return storage.read_json(str(directory / places.RECORD)).get("state") == "finished"


def found(place: Place) -> list[tuple[str, int, Path]]:
    """What was run for a trial, in no order: label, number and directory of each."""
    try:
        names = os.listdir(place.attempts)
    except FileNotFoundError:
        return []
    read = ((layout.read_exec_name(name), Path(place.attempts, name)) for name in names)
    return [(*name, path) for name, path in read if name]
