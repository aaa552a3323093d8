"""Records -> what each trial is doing, what the failed ones failed of, and how long the rest will take."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resweep.index import Entry
from resweep.launcher import checks, fingerprints, places, storage, trial_state
from resweep.launcher.places import Place
from resweep.layout import SweepPaths

STATES = ("finished", "pruned", "running", "failed", "stopped", "lost", "queued")
OVER = ("finished", "pruned")  # never to run again
TAIL = 64 * 1024  # bytes of a log's end that are looked at
RECENT = 20  # finished trials whose durations the rate is taken from
SUSPENDED = "suspended"  # the note of a running trial whose job does not get on
LEAST_BAD = 3  # failures of one node before it is called bad

_TRACEBACK = "Traceback (most recent call last):"
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(: .*)?$")
_OWN = "\ufdd0"  # stands for the trial's own id, as in paths of its output; no text has it
_VARIES = re.compile(rf"{_OWN}|0x[0-9a-fA-F]+|\d+(\.\d+)?([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Status:
    """What one trial is doing: its state, and the record of its last attempt (of the one that counts, if finished)."""

    entry: Entry
    state: str
    record: dict[str, Any]
    log: Path
    task: str = ""  # of Slurm's, that was or is to run it
    note: str = ""  # what Slurm says of that
    node: str = ""  # on which a task ended before its attempt began

    @property
    def attempts(self) -> int:
        """How many attempts there were, this one included."""
        return int(self.record.get("attempt", 0))


@dataclass(frozen=True)
class Failure:
    """Trials of one cause: the last line of the traceback, or what Slurm says."""

    cause: str
    trials: list[Status]


def survey(paths: SweepPaths, entries: Iterable[Entry]) -> list[Status]:
    """The status of each trial, in order."""
    return [status(paths, entry) for entry in entries]


def status(paths: SweepPaths, entry: Entry) -> Status:
    """The status of one trial."""
    place = paths.place(entry.name)
    state, record = trial_state.state(place)
    number = record.get("attempt") or place.last() or 1 if state != "queued" else 1
    return Status(entry, state, record, Path(place.attempt(number), places.LOG))


def counts(statuses: Iterable[Status]) -> dict[str, int]:
    """How many trials are in each state, in the order of STATES, none left out."""
    found = Counter(each.state for each in statuses)
    return {state: found[state] for state in STATES}


def failures(statuses: Iterable[Status]) -> list[Failure]:
    """The failed trials by cause, the most frequent first. Numbers and the trial's own id make no other cause."""
    return alike((each for each in statuses if each.state == "failed"), cause)


def alike(statuses: Iterable[Status], why: Callable[[Status], str]) -> list[Failure]:
    """Trials by what is said of them, but for numbers and their own ids, the most frequent first."""
    groups: dict[tuple[str, ...], list[Status]] = {}
    varied: dict[tuple[str, ...], dict[tuple[str, ...], None]] = {}
    for each in statuses:
        key, varying = _parts(why(each), each.entry.id)
        varied.setdefault(key, {})[varying] = None
        groups.setdefault(key, []).append(each)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [Failure(_common(key, list(varied[key])), trials) for key, trials in ordered]


@dataclass(frozen=True)
class BadNode:
    """A node on which nearly all trials have failed, of those that ended there, while others go well elsewhere."""

    node: str
    failed: int
    ended: int
    failed_elsewhere: int
    ended_elsewhere: int


def node_of(each: Status) -> str:
    """The node of a trial's last attempt by Slurm's name, which --exclude takes; else the host."""
    if each.node:
        return each.node
    nodes = str((each.record.get("slurm") or {}).get("SLURM_NODELIST", ""))
    return nodes if re.fullmatch(r"[\w.-]+", nodes) else str(each.record.get("host", ""))


def bad_nodes(statuses: Iterable[Status]) -> list[BadNode]:
    """The nodes of Slurm's that fail what runs there, those with most failures first."""
    good: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for each in statuses:
        if each.node or (each.record.get("slurm") or {}).get("SLURM_JOB_ID"):
            good[node_of(each)] += each.state in ("finished", "pruned")
            failed[node_of(each)] += each.state == "failed"
    found = []
    for node, count in failed.most_common():
        others, fine = failed.total() - count, good.total() - good[node]
        # what fails everywhere is not the node's fault
        if (
            count >= LEAST_BAD
            and count > 9 * good[node]
            and 2 * others * (count + good[node]) <= count * (others + fine)
        ):
            found.append(BadNode(node, count, count + good[node], others, others + fine))
    return [each for each in found if each.ended_elsewhere > each.failed_elsewhere]


def _parts(why: str, own: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What stands before, between and after what varies in a line; and what varies."""
    text = why.replace(own, _OWN)
    found = list(_VARIES.finditer(text))
    ends = [0, *(each.end() for each in found)]
    starts = [*(each.start() for each in found), len(text)]
    between = tuple(text[end:start] for end, start in zip(ends, starts, strict=True))
    return between, tuple(own if each[0] == _OWN else each[0] for each in found)


def _common(between: Sequence[str], varied: Sequence[Sequence[str]]) -> str:
    """Lines that differ in what varies alone as one, with dots for what does."""
    shown = [each[0] if len(set(each)) == 1 else "..." for each in zip(*varied, strict=True)]
    return "".join(text + value for text, value in zip(between, [*shown, ""], strict=True))


def cause(failed: Status) -> str:
    """Why a trial failed, in one line: the exception of the last traceback, else a signal, else the log's last line."""
    lines = last_lines(failed.log)
    if failed.note:  # Slurm knows better: it was out of memory, or never came to its training
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"{failed.note}: {said}" if said and not failed.record else failed.note
    exception = _exception(lines)
    if exception:
        return exception
    if failed.record.get("signal"):
        hint = ", out of memory?" if failed.record["signal"] == "SIGKILL" else ""
        return f"killed by {failed.record['signal']}{hint}"
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return said or f"exit status {failed.record.get('exit_status')}, and nothing in the log"


def _exception(lines: Sequence[str]) -> str | None:
    """The line that names the exception of the last traceback."""
    start = next((n for n in range(len(lines) - 1, -1, -1) if lines[n].strip() == _TRACEBACK), None)
    if start is None:
        return None
    indent = len(lines[start]) - len(lines[start].lstrip())
    for line in lines[start + 1 :]:
        if line.strip() and len(line) - len(line.lstrip()) <= indent and _EXCEPTION.match(line.strip()):
            return line.strip()
    return None


@dataclass(frozen=True)
class Leak:
    """Trials that ran what was not frozen: `file`, from elsewhere, stood for `frozen` in the trial.

    Where `file` is empty, it is the trial that had been changed, and `frozen` says how: `qb/model.py (changed)`.
    """

    file: str
    frozen: str
    trials: list[Status]


def leaks(paths: SweepPaths, statuses: Iterable[Status]) -> list[Leak]:
    """What trainings ran that was not frozen: from elsewhere, or changed in the trial; those of most trials first."""
    found: dict[str, list[Status]] = {}
    changed: dict[str, list[Status]] = {}
    for each in statuses:
        for file in each.record.get("leaked") or ():
            found.setdefault(file, []).append(each)
        for change in each.record.get("trial_changed") or ():
            changed.setdefault(change, []).append(each)
    leaks = [Leak(file, frozen(paths, trials[0].entry, file), trials) for file, trials in found.items()]
    leaks += [Leak("", change, trials) for change, trials in changed.items()]
    return sorted(leaks, key=lambda leak: (-len(leak.trials), leak.file, leak.frozen))


def frozen(paths: SweepPaths, entry: Entry, file: str) -> str:
    """Which file of a trial another file stands for: the longest end of its path that the trial has; else its name."""
    capsule = paths.capsule(entry.name)
    parts = Path(file).parts[1:]
    ends = (Path(*parts[start:]) for start in range(len(parts)))
    return str(next((end for end in ends if (capsule / end).exists()), Path(file).name))


def data_changes(paths: SweepPaths) -> list[str]:
    """The files of the sweep's data that have changed, as far as a look tells, without reading them."""
    place = Place(str(paths.directory / "-" / "-"))
    recorded = storage.read_json(checks.sweep_data(place) or os.devnull)
    if not recorded:
        return []
    return [str(change) for change in fingerprints.noticed(recorded, checks.data_root(place), checks.data_cache(place))]


def last_lines(log: Path) -> list[str]:
    """The lines at the end of a log; empty when there is none."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            # a progress bar redraws its line: what stands there in the end is what counts
            text = file.read().decode(errors="replace").replace("\r\n", "\n")
    except OSError:
        return []
    return [line.rsplit("\r", 1)[-1] for line in text.split("\n")]


# a measurement in the many ways that programs print one: loss: 0.1, val_acc=0.9, | accuracy | 0.5
_MEASURED = re.compile(
    r"(loss|acc|f1|auc|bleu|rouge|perplexity|ppl|reward|error|metric|score)\w*['\"]?\s*[:=|]\s*[-+.\d]", re.I
)
_TIMESTAMP = re.compile(r"^\[?\d{4}-\d\d-\d\d[T ][\d:.,]+\]?\s*(- )?((DEBUG|INFO|WARNING|ERROR)\s*(- )?)?")


def latest_metric(log: Path) -> str:
    """The last line of a log that looks like a measurement, else its last line; without its time stamp."""
    lines = [line.strip() for line in last_lines(log) if line.strip()]
    line = next((line for line in reversed(lines) if _MEASURED.search(line)), lines[-1] if lines else "")
    return _TIMESTAMP.sub("", line)


@dataclass(frozen=True)
class Pace:
    """How fast a sweep goes: trials per second with as many at a time as now, and seconds until `left` have ended."""

    rate: float
    to_go: float


def pace(statuses: Iterable[Status], left: int) -> Pace | None:
    """The pace, from how long the last RECENT trials took and how many run; None before the second has finished.

    Not from when trials finished: of sixteen that began together all finish within a minute.
    """
    finished, running = [], []
    for each in statuses:
        if each.state == "finished" and each.record.get("seconds") is not None:
            finished.append((str(each.record.get("ended")), float(each.record["seconds"])))
        elif each.state == "running" and each.note != SUSPENDED and each.record.get("started"):
            running.append((datetime.now(UTC) - datetime.fromisoformat(each.record["started"])).total_seconds())
    took = [seconds for _, seconds in sorted(finished)[-RECENT:]]
    if len(took) < 2 or not running or not sum(took):
        return None
    mean = sum(took) / len(took)
    begun = sum(min(max(0.0, seconds), mean) for seconds in running)
    return Pace(len(running) / mean, max(0.0, left * mean - begun) / len(running))


def duration(seconds: float) -> str:
    """A time span as people say it: 48 s, 12 min, 3 h 20 min, 4 d."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{round(hours / 24)} d"
