"""Where the files of a row's trial are, and what runs it again; also of a trial that the script of 2020 wrote."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from resweep.layout import RERUN, TRAIN, SweepPaths
from resweep.results import legacy, trial_rows
from resweep.results.trial_rows import Row


@dataclass(frozen=True)
class Whereabouts:
    """The paths of one trial. `log` is None where nobody wrote one; `again` are the words of a command."""

    capsule: Path
    toml: Path
    json: Path
    output: Path
    log: Path | None
    again: tuple[Path, ...]

    def command(self, shown: Callable[[Path], Path] = Path) -> str:
        """What runs the trial once more, for bash; `shown` says how a path is written."""
        return shlex.join(["bash", *(str(shown(path)) for path in self.again)])


def of(paths: SweepPaths, row: Row) -> Whereabouts:
    """Where the trial of a row is."""
    entry = row.entry
    capsule = paths.capsule(entry.name)
    if legacy.is_row(row):
        if not capsule.is_dir():  # of before the script knew of trials
            capsule = capsule.parent
        toml, json = (capsule / f"{entry.id}.{suffix}" for suffix in ("toml", "json"))
        output = Path(legacy.output_of(paths, toml))
        return Whereabouts(capsule, toml, json, output, None, (capsule / TRAIN, capsule, toml))
    toml, json = (capsule / f"{entry.id}.{suffix}" for suffix in ("toml", "json"))
    if row.state == "queued":  # no attempt has a directory yet
        return Whereabouts(capsule, toml, json, Path(paths.place(entry.name).output), None, (capsule / RERUN,))
    found = trial_rows.where(paths, row)
    return Whereabouts(capsule, toml, json, Path(found.directory), Path(found.log), (capsule / RERUN,))
