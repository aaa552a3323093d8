"""What a trial is called and where its files are: every name on disk is spelled here, or in `attempt` for a run's.

PROJECT/config/generated/NAME/ID/TRIAL/    a capsule
PROJECT/config/generated/NAME/             the sweep: index, generations, launcher
PROJECT/config/generated/.snapshots/       the sources, each stored once by its content
PROJECT/config/generated/.environments/    the environments, likewise
PROJECT/model/generated/NAME/ID/TRIAL/     what training wrote; beside it its attempts, what `exec` and `reproduce` ran
PROJECT/NAME-jobs.sh                       runs them all
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

from resweep.errors import ConfigError
from resweep.launcher import places, storage
from resweep.launcher.places import Place

FORMAT = storage.FORMAT
ID_LENGTH = 12
LONGEST = 100  # characters of a value beside other things, where people read
TRAIN = "train.sh"
RERUN = "rerun.sh"
MANIFEST = places.MANIFEST
PROVENANCE = "provenance.json"
ENVIRONMENT = places.ENVIRONMENT  # of a capsule: where it was generated; of an attempt: where it ran
FINGERPRINTS = places.FINGERPRINTS
# what a capsule says of its origin: no part of the id or the manifest, for others may get the same trial elsewhere
PROVENANCES = frozenset({PROVENANCE, ENVIRONMENT, FINGERPRINTS})
REPRODUCED_SUFFIX = ".reproduced"  # beside a trial's output: what `reproduce` ran
VERDICT = "verdict.json"  # and what came of it
GENERATION = "generation.json"  # of a generation: its record, and below its definition as it was read
DEFINITION = "sweep.toml"
METRICS = "metrics.json"  # what training, and a command of `exec`, may write: a table of numbers
# what a capsule holds beside the source and the two files named after its id
CAPSULE_FILES = frozenset({TRAIN, RERUN, MANIFEST}) | PROVENANCES

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_LABEL = re.compile(r"[A-Za-z0-9_-]+")
# beside a trial's attempts, whose names are all digits
_EXEC = re.compile(r"exec-([A-Za-z0-9_-]+)-([1-9][0-9]*)")


def check_name(name: str) -> str:
    """Return `name` if it can name a sweep; a ConfigError says what is wrong with it otherwise.

    A name becomes a directory, a script and a word on command lines, so it is one plain word.
    """
    if not _NAME.fullmatch(name) or ".." in name or len(name) > 100:
        raise ConfigError(
            f"NAME: found {name!r}, expected letters, digits, '_', '-', '+' or '.', beginning with a letter, digit "
            "or '_', without '..', at most 100 characters"
        )
    return name


def check_label(label: str) -> str:
    """Return `label` if it can name what `exec` runs; a ConfigError says what is wrong with it otherwise.

    A label becomes part of a directory's name, and of the names of the metrics.
    """
    if not _LABEL.fullmatch(label) or len(label) > 100:
        raise ConfigError(f"--as: found {label!r}, expected letters, digits, '_' or '-', at most 100 characters")
    return label


def exec_name(label: str, number: int) -> str:
    """The name of the directory, beside a trial's attempts, in which `exec` runs a command."""
    return f"exec-{label}-{number}"


def read_exec_name(name: str) -> tuple[str, int] | None:
    """The label and number that `exec_name` made `name` of; None when it is another directory's."""
    found = _EXEC.fullmatch(name)
    return (found[1], int(found[2])) if found else None


@dataclass(frozen=True)
class SweepPaths:
    """Where the files of the sweep `name` of the project at `root` are."""

    root: Path
    name: str

    @property
    def generated(self) -> Path:
        """Home of all sweeps of the project."""
        return self.root.joinpath(*places.CONFIG_ROOT)

    @property
    def directory(self) -> Path:
        """Home of this sweep's capsules, index and generations."""
        return self.generated / self.name

    @property
    def index(self) -> Path:
        """The list of trials, one JSON object a line."""
        return self.directory / "index.jsonl"

    @property
    def generations(self) -> Path:
        """Home of what each run of `generate` planned, and of the definition it froze."""
        return self.directory / "generations"

    @property
    def launcher(self) -> Path:
        """The copy of attempt.py that runs this sweep's trials."""
        return self.directory / "attempt.py"

    @property
    def run_options(self) -> Path:
        """What `[run]` says and the launcher must know; only where it says something."""
        return self.directory / places.RUN_OPTIONS

    @property
    def lock(self) -> Path:
        """Held while a sweep of the project is written, for they share stored sources; trials run without it."""
        return self.generated / ".lock"

    @property
    def snapshots(self) -> Path:
        """Home of the stored sources; shared by the sweeps of a project, since they mostly share their source."""
        return self.generated / ".snapshots"

    @property
    def environments(self) -> Path:
        """Home of the environments that generations found, each stored once by its content."""
        return self.generated / ".environments"

    @property
    def data_cache(self) -> Path:
        """What is known of the data's files without reading them."""
        return self.generated / places.DATA_CACHE

    @property
    def runners(self) -> Path:
        """Home of the notes of those that run this sweep's trials now."""
        return self.root.joinpath(*places.MODEL_ROOT) / self.name / ".runners"

    @property
    def study(self) -> Path:
        """Optuna's journal of a sweep whose points are asked for one after another."""
        return self.directory / "search" / "study.journal"

    @property
    def submissions(self) -> Path:
        """Home of what was submitted to Slurm, a directory for each time."""
        return self.directory / "submissions"

    @property
    def slurm_output(self) -> Path:
        """Home of what Slurm's tasks print outside of an attempt."""
        return self.root.joinpath(*places.MODEL_ROOT) / self.name / ".slurm"

    @property
    def jobs(self) -> Path:
        """The script that runs every trial."""
        return self.root / f"{self.name}-jobs.sh"

    @property
    def replaced(self) -> tuple[Path, ...]:
        """The files beside the capsules that `generate` writes anew when they change."""
        return (self.launcher, self.run_options, self.index, self.jobs)

    def capsule(self, trial: TrialName) -> Path:
        """The directory of one trial."""
        return self.directory / trial.id / str(trial.trial)

    def place(self, trial: TrialName) -> Place:
        """The same trial as the launcher sees it: its capsule, output and attempts."""
        return Place(str(self.capsule(trial)))


@dataclass(frozen=True, order=True, slots=True)
class TrialName:
    """One trial of a sweep: the id of its point, and which repeat it is, from 0."""

    id: str
    trial: int

    def __str__(self) -> str:
        """`ID/TRIAL`."""
        return f"{self.id}/{self.trial}"


def short_id(digest: str) -> str:
    """The id that people see: the first 60 bits of a hex sha256 as lower-case base32 (RFC 4648)."""
    return base64.b32encode(bytes.fromhex(digest)).decode("ascii")[:ID_LENGTH].lower()


def digest(value: Any) -> str:
    """The hex sha256 of a plain value (tables, lists, strings, numbers, dates), whatever the order of its keys."""
    return hashlib.sha256(canonical(value).encode("utf-8")).hexdigest()


def sealed(table: Mapping[str, Any]) -> dict[str, Any]:
    """The same table with the checksum of its content, which must be what JSON can hold."""
    return {**table, "checksum": digest(table)}


def check_seal(table: Mapping[str, Any]) -> bool | None:
    """Whether a table that was sealed is what it was then; None when it never had a checksum."""
    if "checksum" not in table:
        return None
    return bool(table["checksum"] == digest({key: value for key, value in table.items() if key != "checksum"}))


def canonical(value: Any) -> str:
    """`value` as JSON that is the same text wherever it is written: sorted keys, no spaces, 1 and 1.0 distinct."""
    return _canonical(value)


def pretty(value: Any, indent: str = "") -> str:
    """`value` as JSON for people: sorted keys, two spaces a level, the same text wherever it is written.

    The standard library's indenting encoder is written in Python, and took most of the time of a big sweep.
    """
    if isinstance(value, dict) and value:
        inner = indent + "  "
        lines = [f"{inner}{_quoted(key)}: {pretty(value[key], inner)}" for key in sorted(value)]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        inner = indent + "  "
        return "[\n" + ",\n".join([inner + pretty(item, inner) for item in value]) + f"\n{indent}]"
    kind = type(value)
    if kind is str:
        return _quoted(value)
    if kind is int or (kind is float and value - value == 0):  # neither infinite nor NaN: those are for the encoder
        return repr(value)
    return _leaf(value)


_quoted = json.encoder.encode_basestring
_leaf = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def _dated(value: object) -> Mapping[str, str]:
    if isinstance(value, date | time):  # datetime is a date; TOML has all three
        return {"$toml": f"{type(value).__name__} {value.isoformat()}"}
    raise TypeError(f"{type(value).__name__} is no value of TOML")


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_dated).encode


def plain(value: Any) -> Any:
    """`value` as JSON has it: what TOML has besides, dates and what is no finite number, as TOML's own text."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float) and value - value != 0:
        return repr(value)
    return str(value) if isinstance(value, date | time) else value


def jsonnable(value: object) -> str:
    """`value` as people see it beside an id: JSON, dates as in TOML."""
    return _shown(value)


def brief(value: object) -> str:
    """`value` as `jsonnable` has it, without its middle where that is long: many values differ at their ends."""
    return cut(_shown(value))


def cut(text: str) -> str:
    """A text without its middle, where it is long."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2 - 3]} ... {text[3 - LONGEST // 2 :]}"


_shown = json.JSONEncoder(ensure_ascii=False, default=str).encode
