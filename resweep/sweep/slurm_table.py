"""`[slurm]`: what trials ask of the cluster. Any long option of sbatch, and a few words of our own.

    parallel = 16                 so many trials at a time
    trials_per_job = 10           a job runs so many trials, one after another
    setup = ["module load cuda"]  lines of bash, run before slurm-allennlp.sh
    script = "slurm-allennlp.sh"  the site's script, called with CONF_DIR CONF_PATH
    signal = "USR1@120"           so many seconds before the time limit, passed on to the training
    max_requeues = 10             how often a trial may ask to be run again
    leave_node_after = 5          quick failures in a row after which a node gets no more trials; 0 for never
    [slurm.profiles.NAME]         the same words; what differs when --profile NAME is given

An option that is true stands alone, one that is false is taken out, a list is joined by commas.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resweep.errors import ConfigError, shown

SCRIPT = "slurm-allennlp.sh"
MAX_REQUEUES = 10
LEAVE_NODE_AFTER = 5

OWN = ("parallel", "trials-per-job", "setup", "script", "signal", "max-requeues", "leave-node-after", "profiles")
REFUSED = {
    "array": "the tool makes the arrays; parallel = N limits how many trials run at a time",
    "parsable": "the tool needs it itself",
    "wrap": "the job runs slurm-allennlp.sh, or what script = ... names",
    "test-only": "--dry-run prints what would be submitted",
    "wait": "`resweep status` says how far the sweep is",
    "clusters": "name the cluster in the environment variable SLURM_CLUSTERS, which all of Slurm's commands heed",
    "help": "it submits nothing",
    "usage": "it submits nothing",
    "version": "it submits nothing",
}
_OPTION = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_SIGNAL = re.compile(r"(?:B:)?(?:SIG)?(USR1|USR2)@([1-9][0-9]{0,4})")

Table = Mapping[str, Any]


@dataclass(frozen=True)
class Resources:
    """What a set of trials asks for. `options` are sbatch's, long, without dashes; values as in the TOML."""

    options: Table
    setup: tuple[str, ...] = ()
    script: str = SCRIPT
    parallel: int | None = None
    trials_per_job: int | None = None
    signal: str | None = None
    max_requeues: int = MAX_REQUEUES
    leave_node_after: int = LEAVE_NODE_AFTER

    def arguments(self) -> list[str]:
        """The options as arguments of sbatch."""
        return [argument for key, value in self.options.items() for argument in _argument(key, value)]

    def described(self) -> str:
        """The options, as a person reads them in one line."""
        return " ".join(argument.removeprefix("--") for argument in self.arguments())


def check(where: str, table: Table, prefix: str = "slurm", swept: bool = False) -> None:
    """Refuse a `[slurm]` table, or a profile of it, that means nothing: a ConfigError that says what would.

    What is `swept` can only be an option: the words of our own are one submission's.
    """
    seen: dict[str, str] = {}
    for key, value in table.items():
        name = key.replace("_", "-")
        if name in seen:
            raise _wrong(where, f"{prefix}.{key}", f"found {seen[name]}, too", "one of them")
        seen[name] = key
        if swept and name in OWN:
            raise _wrong(where, f"{prefix}.{key}", "found a word of the whole sweep", "an option of sbatch")
        if name == "profiles":
            _check_profiles(where, value, prefix)
        elif name in OWN:
            _check_own(where, f"{prefix}.{key}", name, value)
        else:
            _check_option(where, f"{prefix}.{key}", name, value)


def _check_profiles(where: str, value: object, prefix: str) -> None:
    if prefix != "slurm" or not isinstance(value, dict) or not all(isinstance(each, dict) for each in value.values()):
        raise _wrong(where, f"{prefix}.profiles", f"found {shown(value)}", "tables, [slurm.profiles.NAME]")
    for name, profile in value.items():
        check(where, profile, f"{prefix}.profiles.{name}")


def _check_own(where: str, key: str, name: str, value: object) -> None:
    if name in ("parallel", "trials-per-job", "max-requeues", "leave-node-after"):
        least = 0 if name in ("max-requeues", "leave-node-after") else 1
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise _wrong(where, key, f"found {shown(value)}", f"a whole number, {least} or more")
    elif name == "setup":
        if not isinstance(value, list) or not all(isinstance(line, str) and "\0" not in line for line in value):
            raise _wrong(where, key, f"found {shown(value)}", 'lines of bash, such as ["module load cuda"]')
    elif name == "signal":
        if value is not False and (not isinstance(value, str) or not _SIGNAL.fullmatch(value)):
            raise _wrong(where, key, f"found {shown(value)}", '"USR1@SECONDS" or "USR2@SECONDS"')
    elif not isinstance(value, str) or not value or "\0" in value:
        raise _wrong(where, key, f"found {shown(value)}", f'a path in the project, such as "{SCRIPT}"')


def _check_option(where: str, key: str, name: str, value: object) -> None:
    if name in REFUSED:
        raise ConfigError(f"{where}: {key}: cannot stand here: {REFUSED[name]}")
    if not _OPTION.fullmatch(name):
        raise ConfigError(f"{where}: {key}: expected the name of a long option of sbatch, such as partition")
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, str | int | float):
            raise _wrong(where, key, f"found {shown(value)}", "a text, a number, true, false, or a list of them")
        if "\0" in str(item) or "\n" in str(item):
            raise _wrong(where, key, f"found {shown(value)}", "one line")


def profiles(*tables: Table) -> dict[str, Table]:
    """The profiles of several `[slurm]` tables; a later one's goes before an earlier one's of the same name."""
    return {name: profile for table in tables for name, profile in table.get("profiles", {}).items()}


def resolve(*tables: Table, threads: int = 1, declared: Table | None = None) -> tuple[Resources, list[str]]:
    """What `tables`, each one before the next, ask for together, and what is worth a warning.

    `declared` are the options in the site's script: what stands there is not asked for again unless a table says so.
    """
    merged: dict[str, Any] = {}
    for table in tables:
        merged |= {key.replace("_", "-"): value for key, value in table.items()}
    options = {key: value for key, value in merged.items() if key not in OWN and value is not False}
    notes = []
    asked = options.get("cpus-per-task", (declared or {}).get("cpus-per-task"))
    if asked is None and "cpus-per-task" not in merged:
        options["cpus-per-task"] = threads
    elif asked is not None and str(asked).isdigit() and int(asked) < threads:
        notes.append(f"cpus-per-task={asked} is less than the trials' {threads} threads, which will share cores")
    signal = merged.get("signal") or None
    if signal is not None:
        match = _SIGNAL.fullmatch(signal)
        assert match, "checked when it was read"
        # B: to the launcher alone, which knows who wants it
        options["signal"] = f"B:{match[1]}@{match[2]}"
    resources = Resources(
        options=options,
        setup=tuple(merged.get("setup", ())),
        script=merged.get("script", SCRIPT),
        parallel=merged.get("parallel"),
        trials_per_job=merged.get("trials-per-job"),
        signal=signal,
        max_requeues=merged.get("max-requeues", MAX_REQUEUES),
        leave_node_after=merged.get("leave-node-after", LEAVE_NODE_AFTER),
    )
    return resources, notes


def _argument(key: str, value: Any) -> list[str]:
    if value is False:
        return []
    if value is True:
        return [f"--{key}"]
    return [f"--{key}=" + (",".join(map(str, value)) if isinstance(value, list) else str(value))]


def _wrong(where: str, key: str, found: str, expected: str) -> ConfigError:
    return ConfigError(f"{where}: {key}: {found}, expected {expected}")
