"""Many attempts, here: one after another, each through the launcher that the sweep carries."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from resweep import attempt
from resweep.index import Entry
from resweep.trial import SweepPaths


@dataclass(frozen=True)
class Outcome:
    """How one trial ended: the launcher's exit status (0: it has finished) and its last attempt's log."""

    entry: Entry
    status: int
    said: str
    log: Path

    @property
    def finished(self) -> bool:
        """Whether the trial has finished, now or earlier."""
        return self.status == 0


def run(
    paths: SweepPaths, entries: Iterable[Entry], python: str, started: Callable[[Entry], None] = lambda _: None
) -> Iterable[Outcome]:
    """Run each trial that has not finished, one after another, and tell how each ended.

    The launcher is a process of its own and keeps its own record, so that a runner that dies takes nothing with it.
    """
    environment = {**os.environ, "RESWEEP_PYTHON": python}
    for entry in entries:
        place = paths.place(entry.name)
        if place.finished():
            continue
        started(entry)
        command = [sys.executable, "-B", str(paths.launcher), "run", place.capsule]
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        yield Outcome(entry, done.returncode, said, Path(place.attempt(max(place.last(), 1)), attempt.LOG))
