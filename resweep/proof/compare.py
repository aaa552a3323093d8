"""Two outputs of a trial, file by file and metric by metric: to the bit, but for what no two runs have in common.

Logs, durations, memory and the paths of the two directories are left out. What was saved (archives, pickles, what torch
and numpy save) is compared value by value, since its bytes tell the time and the place.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from resweep.proof import saved
from resweep.sweep.definition import ResultsOptions

# files that tell when and where a run was
LOGS = ("*.log", "log.txt", "events.out.tfevents*", "*.prof", "*.pid")
# keys of metrics, whatever their case, whole or one part of a dotted key: how long it took, what memory, when
PASSING = (
    *("*duration*", "*elapsed*", "*runtime*", "*timestamp*", "time", "time_*", "*_time", "*_seconds", "seconds"),
    *("*per_second*", "*_per_sec", "*memory*", "*_mb", "*_mib", "*_gb", "*_gib"),
)
METRICS = ("metrics*.json", "metrics*.jsonl")

Kind = Literal["weights", "metrics", "file"]
What = Literal["same", "changed", "missing", "new", "not there to compare"]


@dataclass(frozen=True)
class Rules:
    """What is compared: `files` (none: all), and patterns of the files and metrics that are not."""

    files: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()

    @classmethod
    def of(cls, options: ResultsOptions) -> Rules:
        """As `[results]` says."""
        return cls(options.compare, options.ignore, options.weights)

    def kind(self, path: str) -> Kind | None:
        """What a file of the output is; None when it is not compared."""
        if fits(path, (*LOGS, *self.ignored)) or (self.files and not fits(path, self.files)):
            return None
        return "metrics" if fits(path, METRICS) else "weights" if fits(path, self.weights) else "file"

    def ignores(self, key: str) -> bool:
        """Whether a metric is left out."""
        names = [name.lower() for name in (key, *key.split("."))]
        return any(fnmatchcase(name, each.lower()) for name in names for each in (*PASSING, *self.ignored))


@dataclass(frozen=True)
class Output:
    """What one run wrote: its directory, the paths that its files may name, and patterns of files that may have gone.

    `kept` are those that are there for sure, if they ever were; None: all are.
    """

    directory: Path
    own: tuple[str, ...] = ()
    kept: tuple[str, ...] | None = None
    gone: tuple[str, ...] = ()

    def may_lack(self, path: str) -> bool:
        """Whether a file may have been there when the run ended, and was taken away or left behind since."""
        return fits(path, self.gone) or (self.kept is not None and not fits(path, self.kept))


@dataclass(frozen=True)
class File:
    """A file of the outputs, and how the second differs from the first."""

    path: str
    kind: Kind
    what: What


@dataclass(frozen=True)
class Metric:
    """A metric that differs; None where one of the two has none."""

    file: str
    key: str
    before: Any
    after: Any

    @property
    def difference(self) -> float | None:
        """How much there is more, where that means something."""
        if not (is_number(self.before) and is_number(self.after)):
            return None
        return float(self.after - self.before)


@dataclass(frozen=True)
class Value:
    """A value in a saved file that differs; None where one has none. A tensor is `bulk`, told by its digest."""

    key: str
    before: str | None
    after: str | None
    bulk: bool


@dataclass
class Comparison:
    """How two outputs differ: every file that was compared, what differs in them, and what was left out.

    `values` are by file. `skipped` names what tells only when and where a file was saved: "FILE: WHAT".
    """

    files: list[File] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    values: dict[str, list[Value]] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    same_metrics: int = 0
    ignored_files: list[str] = field(default_factory=list)
    ignored_keys: set[str] = field(default_factory=set)

    def of(self, *what: What, kind: Kind | None = None) -> list[File]:
        """The files that are so, of one kind if that is said."""
        return [file for file in self.files if file.what in what and kind in (None, file.kind)]

    @property
    def same(self) -> bool:
        """Whether nothing that was compared differs."""
        return not self.of("changed", "missing", "new")


def compare(before: Output, after: Output, rules: Rules) -> Comparison:
    """Compare what two runs wrote."""
    old, new = (dict(_listed(each.directory)) for each in (before, after))
    found = Comparison()
    for path in sorted(old.keys() | new.keys()):
        kind = rules.kind(path)
        if kind is None:
            found.ignored_files.append(path)
        elif path not in old:
            found.files.append(File(path, kind, "not there to compare" if before.may_lack(path) else "new"))
        elif path not in new:
            found.files.append(File(path, kind, "missing"))
        else:
            same = _same(found, path, (before, after), rules, kind)
            found.files.append(File(path, kind, "same" if same else "changed"))
    return found


def came_to(
    tables: tuple[Mapping[str, Any], Mapping[str, Any]], outputs: tuple[Output, Output], rules: Rules
) -> list[Metric]:
    """The metrics by dotted key that differ between what two runs came to, but for those that are left out."""
    found = Comparison()
    _same_table(found, "", tables, outputs, rules, "metrics")
    return found.metrics


def fits(path: str, patterns: tuple[str, ...]) -> bool:
    """Whether a path below the output fits a pattern: by its name, or whole where the pattern has a slash."""
    name = path.rpartition("/")[2]
    return any(fnmatchcase(path if "/" in pattern else name, pattern) for pattern in patterns)


def is_number(value: object) -> bool:
    """Whether a value of JSON is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _listed(top: Path) -> Iterator[tuple[str, Path]]:
    """The files and links below a directory."""
    for folder, folders, names in os.walk(top):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in (*names, *links):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
                yield path.relative_to(top).as_posix(), path


def _same(found: Comparison, path: str, outputs: tuple[Output, Output], rules: Rules, kind: Kind) -> bool:
    """Whether a file of both is the same; notes the metrics that differ."""
    first, second = (each.directory / path for each in outputs)
    if first.is_symlink() or second.is_symlink():
        return first.is_symlink() and second.is_symlink() and len({_link(each, path) for each in outputs}) == 1
    tables = [read_table(each) for each in (first, second)]
    if tables[0] is not None and tables[1] is not None:
        return _same_table(found, path, (tables[0], tables[1]), outputs, rules, kind)
    if _digest(first) == _digest(second):
        return True
    contents = [saved.read(each.directory / path, functools.partial(_own, output=each)) for each in outputs]
    if contents[0] is not None and contents[1] is not None:
        return _same_values(found, path, (contents[0], contents[1]), rules)
    texts = [_without_paths(each, path) for each in outputs]
    return texts[0] is not None and texts[0] == texts[1]


def _same_table(
    found: Comparison,
    path: str,
    tables: tuple[Mapping[str, Any], Mapping[str, Any]],
    outputs: tuple[Output, Output],
    rules: Rules,
    kind: Kind,
) -> bool:
    old, new = ({key: _own(value, each) for key, value in t.items()} for t, each in zip(tables, outputs, strict=True))
    same = True
    for key in sorted(old.keys() | new.keys()):
        if rules.ignores(key):
            found.ignored_keys.add(key)
        # as text, so that 1 and 1.0 differ, and NaN is NaN
        elif key in old and key in new and json.dumps(old[key]) == json.dumps(new[key]):
            found.same_metrics += kind == "metrics"
        else:
            same = False
            if kind == "metrics":
                found.metrics.append(Metric(path, key, old.get(key), new.get(key)))
    return same


def _same_values(found: Comparison, path: str, contents: tuple[saved.Content, saved.Content], rules: Rules) -> bool:
    """Whether two saved files mean the same; notes the values that differ, and what was passed over."""
    old, new = (each.values for each in contents)
    found.skipped |= {f"{path}: {what}" for each in contents for what in each.skipped}
    differing = []
    for key in sorted(old.keys() | new.keys()):
        bulk = any(key in each.weights for each in contents)
        if old.get(key) == new.get(key):
            continue
        if not bulk and key in old and key in new and rules.ignores(key):
            found.skipped.add(f"{path}: {key}")
        else:
            differing.append(Value(key, old.get(key), new.get(key), bulk))
    if differing:
        found.values[path] = differing
    return not differing


def read_table(path: Path) -> dict[str, Any] | None:
    """The values of a JSON file by dotted key, of each line where it has lines; None where it holds no such."""
    if path.suffix not in (".json", ".jsonl") or path.stat().st_size > saved.LARGEST_TEXT:
        return None
    try:
        text = path.read_text("utf-8")
        lines = text.splitlines() if path.suffix == ".jsonl" else [text]
        values = [json.loads(line) for line in lines if line.strip()]
        if not all(isinstance(value, dict) for value in values):
            return None
        return dict(flat(dict(enumerate(values)) if path.suffix == ".jsonl" else values[0]))
    except (OSError, ValueError, IndexError, RecursionError):
        return None


def flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested tables and lists by dotted key; an empty one is a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not items:
        yield key, value
    for name, each in items:
        yield from flat(each, f"{key}.{name}" if key else str(name))


def _own(value: Any, output: Output) -> Any:
    """A value without the paths of its run."""
    if isinstance(value, str):
        for path in output.own:
            value = value.replace(path, "<output>")
    return value


def _link(output: Output, path: str) -> str:
    return str(_own(os.readlink(output.directory / path), output))


def _without_paths(output: Output, path: str) -> bytes | None:
    """The bytes of a file without the paths of its run; None of a big one."""
    file = output.directory / path
    if file.stat().st_size > saved.LARGEST_TEXT:
        return None
    data = file.read_bytes()
    for each in output.own:
        data = data.replace(os.fsencode(each), b"<output>")
    return data


def _digest(path: Path) -> str:
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
