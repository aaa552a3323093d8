"""What a runner is given, and what it tells of the trials that it runs."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from resweep.index import Entry
from resweep.launcher import bad_node, places
from resweep.launcher.places import Place
from resweep.run.gpus import Card
from resweep.run.status import Status
from resweep.run.worker import Worker


@dataclass(frozen=True)
class Job:
    """What a runner heeds that is a task of Slurm's.

    It runs the site's `script` in place of train.sh, repeats nothing that has failed `since` it was submitted, lets a
    trial ask at most `max_requeues` times to be run again, leaves what others run to them, and leaves its `node` when
    that fails what it is given.
    """

    script: str
    since: float
    max_requeues: int
    node: bad_node.Node | None = None
    kill_wait: float | None = None  # of the site, in seconds
    grace_time: float = 0.0  # of the job's partition, in seconds


@dataclass(frozen=True)
class Options:
    """How to run: so many trials at a time, on so many cards each (0: not pinned; a fraction shares one)."""

    jobs: int = 1
    gpus: float = 0.0
    hide_gpus: bool = False  # [run] gpus = 0: the trials see no card
    max_attempts: int = 0  # failed attempts of a trial in all; 0: one in each run
    max_trials: int = 0  # that this runner starts; 0: all
    pruned: bool = False  # also what was stopped early before, since a person asked for it
    canary: bool = False  # the first alone, the others only when it succeeds
    job: Job | None = None  # of Slurm's


@dataclass(frozen=True)
class Outcome:
    """How the last attempt of a trial ended. `said` is the launcher's line; `here` whether this runner ran it."""

    status: Status
    said: str
    here: bool = True

    @property
    def entry(self) -> Entry:
        """The trial."""
        return self.status.entry

    @property
    def finished(self) -> bool:
        """Whether the trial has finished, now or earlier; or was stopped early, since it did badly, as it should be."""
        return self.status.state in ("finished", "pruned")


@dataclass
class Running:
    """A trial that this runner runs, the worker that conducts it, and its cards."""

    entry: Entry
    place: Place
    number: int
    worker: Worker
    cards: list[Card]
    since: float = field(default_factory=time.monotonic)

    @property
    def log(self) -> Path:
        """The attempt's log."""
        return Path(self.place.attempt(self.number), places.LOG)


class Supply(Protocol):
    """Where trials come from that nobody knows beforehand, and who looks at how those do that run."""

    @property
    def open(self) -> bool:
        """Whether there may be another trial later."""

    def next(self) -> Entry | None:
        """Another trial for this runner; None when there is none now."""

    def ended(self, outcome: Outcome, leaving: bool) -> None:
        """A trial's last attempt has ended, or it had ended before; `leaving`: the runner starts no other."""

    def again(self, pruned: dict[str, Any]) -> bool:
        """Whether a trial of the supply that was stopped early before, for what its record has, is to run once more."""

    def watch(self, running: Iterable[Running]) -> Iterable[tuple[Running, dict[str, Any]]]:
        """Those trials that are to be stopped early, each with why, as its record will hold it."""
