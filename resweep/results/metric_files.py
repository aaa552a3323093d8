"""The files in which a trial's numbers may stand, each read by itself: values, curves, and what cannot be read."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from resweep.layout import METRICS
from resweep.results import tensorboard
from resweep.results.log import LINES
from resweep.sweep.definition import STEPS

# directories of event files whose names say what was measured on; also words in the names of metrics
PARTS = {"train": "training train", "validation": "validation valid val dev eval", "test": "test"}
PART = {word: part for part, words in PARTS.items() for word in words.split()}
_EPOCH = re.compile(r"metrics_epoch_([0-9]+)\.json")

# told of every file and directory before it is looked at
Look = Callable[[str], None]
Values = dict[str, Any]
Problems = list[str]


# by name: the axis and its place, the value, and when it was measured if that is known, as they were written
Points = dict[str, list[tuple[str, float, float, float | None]]]


def nobody(_: str) -> None:
    """Wants to know nothing of what is looked at."""


@dataclass(frozen=True)
class Output:
    """Where one trial's numbers may be: its output directory and log. One that is `running` may be half written."""

    directory: str
    log: str = ""
    running: bool = False


def table(path: str, look: Look = nobody) -> tuple[Values | None, Problems]:
    """The metrics in one file of JSON, tables in it as names with dots; None when there is no such file."""
    look(path)
    name = os.path.basename(path)
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return None, []
    except (OSError, ValueError, RecursionError) as error:
        return {}, [f"{name} cannot be read ({error})"]
    if not isinstance(found, dict):
        return {}, [f"{name} holds no table of metrics"]
    return flat(found), []


def flat(values: Mapping[str, Any]) -> Values:
    """A table with tables in it as one, their keys joined with dots."""
    if not any(isinstance(value, dict) for value in values.values()):
        return dict(values)
    return dict(_leaves(values, ""))


def number(value: object) -> bool:
    """Whether a value can be compared and averaged; NaN and the infinities cannot."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def finite(value: object) -> bool:
    """Whether a value can be the best: a number, and none that diverged to NaN or beyond what a double holds."""
    try:
        return number(value) and math.isfinite(value)  # type: ignore[arg-type]
    except OverflowError:
        return False


def _leaves(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def final(output: Output, look: Look) -> tuple[Values, Problems]:
    """What training wrote at its end; of one that runs, perhaps nothing whole yet."""
    found, problems = table(os.path.join(output.directory, METRICS), look)
    return found or {}, [] if output.running else problems


def _epoch_files(output: Output, look: Look) -> tuple[list[tuple[int, str]], Problems]:
    """The files of epochs, the latest first."""
    look(output.directory)
    try:
        names = os.listdir(output.directory)
    except (FileNotFoundError, NotADirectoryError):
        return [], []
    except OSError as error:
        return [], [f"the output cannot be read ({error})"]
    found = ((_EPOCH.fullmatch(name), os.path.join(output.directory, name)) for name in names)
    return sorted(((int(match[1]), path) for match, path in found if match), reverse=True), []


def last_epoch(output: Output, look: Look) -> tuple[Values, Problems]:
    """What AllenNLP wrote after its latest epoch that can be read."""
    files, problems = _epoch_files(output, look)
    for epoch, path in files:
        found, wrong = table(path, look)
        if found:
            return {"epoch": epoch, **found}, problems
        problems += [] if output.running else wrong
    return {}, problems


def epochs(output: Output, look: Look) -> tuple[Points, Problems]:
    """What AllenNLP wrote after each epoch, in their order."""
    points: Points = {}
    files, problems = _epoch_files(output, look)
    for epoch, path in reversed(files):
        found, wrong = table(path, look)
        problems += [] if output.running else wrong
        _add(points, found or {}, "epoch", epoch, _modified(path))
    return points, problems


def _records(output: Output, look: Look) -> Iterator[tuple[int, Values | str]]:
    """The lines of metrics.jsonl by number, or for one that cannot be read why."""
    path = os.path.join(output.directory, LINES)
    look(path)
    try:
        with open(path, "rb") as file:
            for count, line in enumerate(file, 1):
                if not line.strip() or (output.running and not line.endswith(b"\n")):
                    continue
                try:
                    found = json.loads(line)
                except (ValueError, RecursionError) as error:
                    yield count, f"{LINES} cannot be read in line {count} ({error})"
                    continue
                yield count, flat(found) if isinstance(found, dict) else f"{LINES} holds no table in line {count}"
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        yield 0, f"{LINES} cannot be read ({error})"


def last_lines(output: Output, look: Look) -> tuple[Values, Problems]:
    """Of each name what the last line of metrics.jsonl that has it says; the place in time is no measurement."""
    values: Values = {}
    problems: Problems = []
    for _, found in _records(output, look):
        if isinstance(found, str):
            problems.append(found)
        else:
            values |= {name: value for name, value in found.items() if name not in STEPS}
    return values, _few(problems)


def lines(output: Output, look: Look) -> tuple[Points, Problems]:
    """What each line of metrics.jsonl says, at the step that it names, else at its number."""
    points: Points = {}
    problems: Problems = []
    for count, found in _records(output, look):
        if isinstance(found, str):
            problems.append(found)
            continue
        axis = next((key for key in STEPS if number(found.get(key))), None)
        _add(points, found, axis or "line", found[axis] if axis else count)
    return points, _few(problems)


def scalars(output: Output, look: Look) -> tuple[Points, Problems]:
    """TensorBoard's scalars, in the order in which they were written."""
    files, problems = _event_files(output.directory, look)
    if not files:
        return {}, problems
    found, wrong = tensorboard.scalars(files, _event_name, output.running)
    return {name: [("step", *point) for point in points] for name, points in found.items()}, problems + wrong


def last_events(output: Output, look: Look) -> tuple[Values, Problems]:
    """Of each of TensorBoard's scalars the last."""
    return last(scalars(output, look))


def _event_files(directory: str, look: Look) -> tuple[list[str], Problems]:
    """TensorBoard's files below an output, in the order of their names, which begin with their time."""
    found = []
    errors: list[OSError] = []
    for folder, folders, names in os.walk(directory, onerror=errors.append):
        look(folder)
        folders.sort()
        found += [os.path.join(folder, name) for name in names if ".tfevents." in name]
    for path in found:
        look(path)
    problems = [
        f"{os.path.basename(str(error.filename))} cannot be read ({error})"
        for error in errors
        if not isinstance(error, FileNotFoundError | NotADirectoryError)
    ]
    return sorted(found, key=lambda path: (os.path.basename(path), path)), problems


def _event_name(path: str, tag: str) -> str:
    """A scalar's name: its tag, after the directory of its file where that says what was measured on."""
    folder = os.path.basename(os.path.dirname(path))
    return f"{folder}.{tag}" if folder.lower() in PART else tag


def logged(output: Output, pattern: str | None, look: Look) -> tuple[Points, Problems]:
    """What the pattern finds in the lines of the log; a carriage return ends one, too."""
    points: Points = {}
    problems: Problems = []
    if pattern is None or not output.log:
        return points, problems
    look(output.log)
    search = re.compile(pattern).finditer
    try:
        with open(output.log, encoding="utf-8", errors="replace", newline=None) as file:
            for line in file:
                if output.running and not line.endswith("\n"):
                    continue
                for match in search(line):
                    problems += _add_match(points, match)
    except FileNotFoundError:
        pass
    except OSError as error:
        problems.append(f"{os.path.basename(output.log)} cannot be read ({error})")
    return points, _few(problems)


def _add_match(points: Points, match: re.Match[str]) -> Problems:
    values: Values = {}
    problems: Problems = []
    for name, text in match.groupdict().items():
        if text is None:
            continue
        try:
            values[name] = _parsed(text)
        except ValueError:
            problems.append(f"log: pattern found {name}={text!r}, expected a number")
    axis = next((key for key in STEPS if key in values), None)
    for name in values.keys() - set(STEPS):
        place = values[axis] if axis else len(points.get(name, ())) + 1
        points.setdefault(name, []).append((axis or "line", place, values[name], None))
    return problems


def _parsed(text: str) -> float:
    """A number as a log has it: an integer stays one; a percent sign or a comma after it is not part of it."""
    text = text.rstrip("%,;")
    try:
        return int(text)
    except ValueError:
        return float(text)


def _add(points: Points, values: Values, axis: str, place: float, when: float | None = None) -> None:
    for name, value in values.items():
        if name not in STEPS and number(value):
            points.setdefault(name, []).append((axis, place, value, when))


def _modified(path: str) -> float | None:
    """When a file was written last; None when it has gone."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None


def last(found: tuple[Points, Problems]) -> tuple[Values, Problems]:
    """The last value of each name, and the problems as they were."""
    points, problems = found
    return {name: each[-1][2] for name, each in points.items()}, problems


def _few(problems: Problems) -> Problems:
    """The first of many problems, and how many more there are."""
    return problems if len(problems) < 3 else [problems[0], f"and {len(problems) - 1} more such"]
