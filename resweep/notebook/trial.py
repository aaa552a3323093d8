"""One trial, as a notebook sees it: its row of the results, and its files, read when they are asked for."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resweep.errors import TrialError
from resweep.layout import MANIFEST, SweepPaths
from resweep.notebook import display
from resweep.results import locations, metrics
from resweep.results.metrics import History
from resweep.results.trial_rows import Row
from resweep.sweep.definition import TRIAL_KEYS


class Trial:
    """One run of one configuration with one seed.

    What stands in the table of results is as it was when the sweep was opened; `config`, `filled`, `manifest` and
    `history` are read from the trial's files when they are asked for.
    """

    __slots__ = ("_history", "_paths", "_pattern", "_row")

    def __init__(self, row: Row, paths: SweepPaths, pattern: str | None = None) -> None:
        self._row = row
        self._paths = paths
        self._pattern = pattern
        self._history: History | None = None

    @property
    def name(self) -> str:
        """What names it on every command line: `rnn#17`."""
        return f"{self._row.sweep}#{self._row.entry.number}"

    @property
    def sweep(self) -> str:
        """The name of its sweep."""
        return self._row.sweep

    @property
    def number(self) -> int:
        """Its number in the sweep, for good."""
        return self._row.entry.number

    @property
    def id(self) -> str:
        """The id of its configuration, which its repeats share."""
        return self._row.entry.id

    @property
    def repeat(self) -> int:
        """Which repeat of its configuration it is, from 0."""
        return self._row.entry.trial

    @property
    def values(self) -> dict[str, Any]:
        """Its swept values, by key: `{"params.lr": 0.1}`."""
        return dict(self._row.entry.swept)

    @property
    def state(self) -> str:
        """What it is doing, or came to: finished, running, failed, stopped, lost or queued."""
        return self._row.state

    @property
    def seconds(self) -> float | None:
        """How long its last attempt took; None where it has not ended."""
        return self._row.seconds

    @property
    def host(self) -> str | None:
        """The machine that it ran on."""
        return self._row.record.get("host")

    @property
    def record(self) -> dict[str, Any]:
        """What else is known of its last attempt, or of the one that counts: attempt, started, ended, signal, ..."""
        return dict(self._row.record)

    @property
    def metrics(self) -> dict[str, Any]:
        """Its last value of each metric; so far, while it runs."""
        return dict(self._row.metrics)

    @property
    def problem(self) -> str | None:
        """Which of its files of metrics could not be read, and why; None where all could."""
        return self._row.problem or None

    @property
    def path(self) -> Path:
        """Its capsule: configuration, source and command, frozen."""
        return self._where().capsule

    @property
    def output(self) -> Path:
        """The directory of what training wrote, or will write; of a failed trial what its last attempt left."""
        return self._where().output

    @property
    def log(self) -> Path | None:
        """What the training printed; None where it never began."""
        return self._where().log

    @property
    def command(self) -> str:
        """What runs it again from its frozen files, into a fresh directory: a line of bash."""
        return self._where().command()

    @property
    def config(self) -> dict[str, Any]:
        """Its configuration, swept values filled in: what its TOML says, but for the tool's own keys."""
        table = _read(self._where().toml, tomllib.loads)
        return {key: value for key, value in table.items() if key not in TRIAL_KEYS}

    @property
    def filled(self) -> Any:
        """What its training was configured with: the template, filled."""
        return _read(self._where().json, json.loads)

    @property
    def manifest(self) -> dict[str, Any]:
        """What its capsule holds, to the byte: digests, seed, threads. A trial of 2020 has none."""
        found: dict[str, Any] = _read(self.path / MANIFEST, json.loads)
        return found

    @property
    def history(self) -> History:
        """How its metrics came about: a curve per name. Read once, when it is first asked for."""
        if self._history is None:
            where = self._where()
            log = where.log or where.output / "no log"
            output = metrics.Output(str(where.output), str(log), self.state == "running")
            self._history = metrics.history(output, self._pattern)
        return self._history

    def __repr__(self) -> str:
        """One line: its name, id, state and swept values."""
        return f"<{self._said()}>"

    def _repr_html_(self) -> str:
        """Its values and metrics as a table, for Jupyter."""
        swept = [(key, display.value(value)) for key, value in self.values.items()]
        came = [(key, display.value(value)) for key, value in list(self._row.metrics.items())[: display.ROWS]]
        took = [] if self.seconds is None else [("seconds", f"{self.seconds:.1f}")]
        return display.pairs(f"{self.name} {self._row.entry.name}: {self.state}", [*swept, *took, *came])

    def _said(self) -> str:
        entry = self._row.entry
        return display.line(f"{self.name} {entry.name} {self.state}: {entry.described()}".removesuffix(": "))

    def _where(self) -> locations.Whereabouts:
        return locations.of(self._paths, self._row)


def _read(path: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TrialError(f"{path}: cannot be read ({error}), expected a file of the trial") from None
