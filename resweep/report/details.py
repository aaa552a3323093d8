"""What a click on a run shows: the texts of its capsule and the end of its log, of as many runs as have room."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from resweep.layout import MANIFEST, RERUN, TRAIN, SweepPaths
from resweep.results import of_2020, trial_rows
from resweep.results.load import Gathered
from resweep.results.trial_rows import Row
from resweep.run import status
from resweep.run.status import Failure

ALL = 200  # runs that all have their texts
BEST, FAILED, RUNNING = 60, 60, 20  # of more runs, so many have them
BUDGET = 1_500_000  # characters of all texts together
LONGEST = 16_000  # of one text
LOG_LINES, LOG_LENGTH = 80, 8_000

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])|[\x00-\x08\x0b-\x1f\x7f-\x9f]")

Table = dict[str, Any]


def details(found: Gathered, failures: Sequence[Failure]) -> Table:
    """By run its texts, each a number in `texts`, where equal ones stand once; and its files, for commands."""
    texts: dict[str, int] = {}
    runs: dict[str, Table] = {}
    room = BUDGET
    for place in _chosen(found.rows, failures):
        row = found.rows[place]
        own = {name: text for name, text in _texts(found.paths(row), row) if text}
        room -= sum(len(text) for text in own.values() if text not in texts)
        if room < 0:
            break
        runs[str(place)] = {name: texts.setdefault(text, len(texts)) for name, text in own.items()}
    return {"texts": list(texts), "runs": runs, "old": [of_2020.is_sweep(paths) for paths in found.sweeps]}


def _chosen(rows: Sequence[Row], failures: Sequence[Failure]) -> list[int]:
    """Which runs: all of few; else the best, failed ones of every cause in turn, and some that run."""
    if len(rows) <= ALL:
        return list(range(len(rows)))
    place = {id(row.entry): number for number, row in enumerate(rows)}
    turns = (each for turn in zip_longest(*(failure.trials for failure in failures)) for each in turn if each)
    failed = [place[id(each.entry)] for each in islice(turns, FAILED)]
    best = (number for number, row in enumerate(rows) if row.state == "finished")
    running = (number for number, row in enumerate(rows) if row.state == "running")
    return list(dict.fromkeys([*islice(best, BEST), *failed, *islice(running, RUNNING)]))


def log(paths: SweepPaths, row: Row) -> Path:
    """The log of a row's last attempt, or of the one that counts."""
    return Path(trial_rows.where(paths, row).log)


def _texts(paths: SweepPaths, row: Row) -> Iterator[tuple[str, str]]:
    capsule = _capsule(paths, row)
    yield "config", _read(capsule / f"{row.entry.id}.toml")
    yield "filled", _read(capsule / f"{row.entry.id}.json")
    yield "command", _command(paths, row, capsule)
    yield "log", _tail(log(paths, row))
    yield "manifest", _read(capsule / MANIFEST)


def _capsule(paths: SweepPaths, row: Row) -> Path:
    """A trial's directory; the first sweeps of 2020 had none below the number's."""
    capsule = paths.capsule(row.entry.name)
    return capsule if capsule.is_dir() else capsule.parent


def _command(paths: SweepPaths, row: Row, capsule: Path) -> str:
    """What runs the trial again, as a line for a shell in the project, and what that runs."""
    home = shlex.quote(os.path.relpath(capsule, paths.root))
    again = f"bash {home}/{RERUN}"
    if not (capsule / RERUN).exists():
        again = f"bash {home}/{TRAIN} {home} {home}/{shlex.quote(row.entry.id)}.toml"
    script = _read(capsule / TRAIN)
    return f"# once more, called in the project's directory\n{again}\n" + (script and f"\n# {TRAIN}\n{script}")


def _read(path: Path) -> str:
    """A text without what a terminal would obey; empty when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(LONGEST + 1)
    except OSError:
        return ""
    if len(text) > LONGEST:
        text = text[:LONGEST] + "\n... (the rest is in the file)\n"
    return _ESCAPES.sub("", text)


def _tail(path: Path) -> str:
    lines = status.last_lines(path)[-LOG_LINES:]
    return _ESCAPES.sub("", "\n".join(lines))[-LOG_LENGTH:].strip("\n")
