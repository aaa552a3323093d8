"""Room on disk: which files of a sweep's trials can go, what that frees, and their removal.

Only files below a trial's output, or below an attempt's own output, are ever looked at, and no symbolic link is
followed to get there. What says how a trial went is kept wherever it lies.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from resweep import layout
from resweep.index import Entry
from resweep.launcher import places, storage, trial_state
from resweep.launcher.places import Place
from resweep.launcher.storage import Record
from resweep.layout import SweepPaths
from resweep.results import executions, metrics, trial_rows
from resweep.results.trial_rows import Row
from resweep.sweep.definition import ResultsOptions

# of a trial's files those that a person would miss: metrics, logs, records, configuration
KEPT = ("metrics*.json", "metrics.jsonl", "events.out.tfevents*", "*.log", places.LOG, places.RECORD, "*.toml")
_FAILED = ("failed", "stopped", "lost")

Kind = Literal["failed", "weights", "pruned", "reproduced"]


@dataclass(frozen=True)
class File:
    """A file that can go. `inode` tells hard links of one file from files of their own; `links` says how many are."""

    path: str
    bytes: int
    inode: tuple[int, int]
    links: int


@dataclass(frozen=True)
class Output:
    """The files of one output that can go: of a failed attempt, weights of a finished or pruned trial, or a repeat's.

    A repeat is what `reproduce` ran; its verdict stays.
    """

    entry: Entry
    directory: str
    files: list[File]
    kind: Kind


@dataclass
class Plan:
    """What can go, and what is left alone: a line each, with its reason."""

    outputs: list[Output] = field(default_factory=list)
    spared: list[Row] = field(default_factory=list)
    left: list[tuple[Entry, str]] = field(default_factory=list)

    def files(self, kind: Kind | None = None) -> list[File]:
        """The files that can go, of one kind of output alone where that is said."""
        return [file for output in self.outputs if kind in (None, output.kind) for file in output.files]


@dataclass
class Removed:
    """What was removed, the trials that had begun to run meanwhile, and what could not be removed, with reasons."""

    files: list[File] = field(default_factory=list)
    left: list[tuple[Entry, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


def freed(files: Sequence[File]) -> int:
    """The bytes that the disk gets back: those of a file count once, when the last of its hard links goes."""
    links: dict[tuple[int, int], int] = {}
    total = 0
    for file in files:
        links[file.inode] = links.get(file.inode, 0) + 1
        if links[file.inode] == file.links:
            total += file.bytes
    return total


def best(
    paths: SweepPaths, entries: Sequence[Entry], options: ResultsOptions, count: int
) -> tuple[list[Row], list[Row]]:
    """The best `count` of the trials, and those that finished without their metric, so that nobody can rank them.

    What diverged, to NaN or an infinity, is neither: it is known to be no good.
    """
    rows = trial_rows.rows(paths, entries, options)
    unknown = [r for r in rows if r.state == "finished" and not metrics.number(r.metrics.get(options.metric or ""))]
    return trial_rows.best(rows, options)[:count], unknown


def plan(
    paths: SweepPaths,
    entries: Sequence[Entry],
    failed: bool = False,
    weights: Sequence[str] = (),
    spared: Sequence[Row] = (),
    unknown: Sequence[Row] = (),
    reproduced: bool = False,
) -> Plan:
    """What can go of these trials: with `failed` what attempts left that did not finish, and files like `weights`.

    With `reproduced` what `reproduce` ran goes, too, where it has come to a verdict, which stays. The weights of
    `spared` trials, and of those whose worth is `unknown`, stay.
    """
    found = Plan(spared=list(spared))
    kept = {row.entry.name for row in (*spared, *unknown)}
    found.left += [(row.entry, "finished without the metric, so it cannot be ranked") for row in unknown]
    for entry in entries:
        place = paths.place(entry.name)
        state, record = trial_state.state(place)
        if busy := in_use(place):
            found.left.append((entry, busy))
            continue
        if reproduced:
            _add_reproduced(found, entry, place)
        if failed:
            _add_failed(found, entry, place, state)
        if weights and entry.name not in kept:
            _add_weights(found, entry, place, (state, record), weights)
    return found


def remove(paths: SweepPaths, planned: Plan) -> Removed:
    """Remove what was planned, but for trials that run by now."""
    done = Removed()
    for output in planned.outputs:
        if busy := in_use(paths.place(output.entry.name)):
            done.left.append((output.entry, busy))
            continue
        for file in output.files:
            try:
                os.unlink(file.path)
                done.files.append(file)
            except FileNotFoundError:
                continue
            except OSError as error:
                done.refused.append((file.path, error.strerror or str(error)))
        if output.kind not in ("weights", "pruned"):
            _remove_empty(output.directory)
    return done


class _Only(Place):
    """A trial as if what has run in one directory were its only attempt: its state is that one's."""

    def __init__(self, place: Place, directory: str) -> None:
        super().__init__(place.capsule)
        self._directory = directory

    def attempt(self, number: int) -> str:
        return self._directory

    def last(self) -> int:
        return 1

    def finished(self) -> bool:
        return False


def in_use(place: Place) -> str | None:
    """What uses the output of a trial now, if anything does: words for a person."""
    if trial_state.state(place)[0] == "running":
        return "runs"
    for label, number, directory in executions.found(place):
        if trial_state.state(_Only(place, str(directory)))[0] == "running":
            return f"a command runs on it ({layout.exec_name(label, number)})"
    return None


def _add_weights(found: Plan, entry: Entry, place: Place, known: tuple[str, Record], weights: Sequence[str]) -> None:
    """Add the weights of a trial that finished, or that was pruned: no attempt ever goes on with those."""
    state, record = known
    if state == "pruned":
        numbers = [n for n in range(1, place.last() + 1) if _own_output(place, n)]
        states = {n: trial_state.state(_Only(place, place.attempt(n)))[0] for n in numbers}
        directories = [os.path.join(place.attempt(n), places.OUTPUT) for n in numbers if states[n] == "pruned"]
    else:
        directories = [trial_rows.output(place, record)] if state == "finished" else []
    for directory in directories:
        if os.path.islink(directory):
            found.left.append((entry, "its output is a symbolic link"))
            continue
        files = [file for file in _files(directory) if _matches(file.path, directory, weights)]
        if files:
            found.outputs.append(Output(entry, directory, files, "pruned" if state == "pruned" else "weights"))


def _add_failed(found: Plan, entry: Entry, place: Place, state: str) -> None:
    """Add what the attempts of a trial that did not finish left in their own outputs."""
    numbers = [n for n in range(place.last(), 0, -1) if _own_output(place, n)]
    if numbers and state != "finished" and _resumes(place):
        # the launcher lets the next attempt go on with the last output there is
        found.left.append((entry, "a retry goes on with its last output, [run] on_retry"))
        numbers = numbers[1:]
    for number in sorted(numbers):
        if trial_state.state(_Only(place, place.attempt(number)))[0] in _FAILED:
            directory = os.path.join(place.attempt(number), places.OUTPUT)
            files = list(_files(directory))
            if files:
                found.outputs.append(Output(entry, directory, files, "failed"))


def _add_reproduced(found: Plan, entry: Entry, place: Place) -> None:
    """Add what `reproduce` left of runs that nobody looks at any more; one that has no verdict yet may be compared."""
    home = place.output + layout.REPRODUCED_SUFFIX
    if os.path.islink(home):
        return
    for number in sorted((name for name in _listed(home) if name.isdigit()), key=int):
        directory = os.path.join(home, number)
        output = os.path.join(directory, places.OUTPUT)
        if os.path.islink(directory) or os.path.islink(output) or not os.path.isdir(output):
            continue
        state = trial_state.state(_Only(place, directory))[0]
        if state not in _FAILED and not os.path.isfile(os.path.join(directory, layout.VERDICT)):
            found.left.append((entry, f"{os.path.basename(home)}/{number} has no verdict yet"))
            continue
        files = list(_files(output))
        if files:
            found.outputs.append(Output(entry, output, files, "reproduced"))


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _own_output(place: Place, number: int) -> bool:
    """Whether an attempt has an output of its own, where it belongs: a link leads to the one that counts."""
    way = (place.attempts, place.attempt(number), os.path.join(place.attempt(number), places.OUTPUT))
    return all(os.path.isdir(path) and not os.path.islink(path) for path in way)


def _resumes(place: Place) -> bool:
    options = storage.read_json(os.path.join(place.capsule, "..", "..", places.RUN_OPTIONS))
    return options.get("on_retry") == "resume"


def _files(directory: str) -> Iterator[File]:
    """Every file below a directory that may go; links are files here, and not followed."""
    for folder, folders, names in os.walk(directory):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted((*names, *links)):
            if any(fnmatchcase(name, pattern) for pattern in KEPT):
                continue
            path = os.path.join(folder, name)
            try:
                found = os.lstat(path)
            except FileNotFoundError:
                continue
            regular = stat.S_ISREG(found.st_mode)
            yield File(path, found.st_size if regular else 0, (found.st_dev, found.st_ino), found.st_nlink)


def _matches(path: str, directory: str, patterns: Sequence[str]) -> bool:
    """Whether a real file's name fits a pattern; one with a slash is held against the path below the output."""
    if os.path.islink(path):
        return False
    below = os.path.relpath(path, directory)
    return any(fnmatchcase(below if "/" in pattern else os.path.basename(path), pattern) for pattern in patterns)


def _remove_empty(directory: str) -> None:
    """Remove the directories in which nothing is left."""
    for folder, _, _ in os.walk(directory, topdown=False):
        try:
            os.rmdir(folder)
        except OSError:  # what is kept lies in it
            continue
