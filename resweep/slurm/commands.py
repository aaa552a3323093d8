"""Slurm's own commands, and what they say when they refuse, in words."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from resweep.errors import SlurmError

PATIENCE = 45  # seconds that a controller has to answer
LAST = 1.0  # seconds that what was killed has to end
FULL = "temporarily unable to accept job"
LONGEST_ARGUMENT = 100_000  # characters of one argument; Linux takes 131,072

# What a person's shell, or a job around us, has set would change what the commands do or print.
# Where the controller is, and who we are to it, stays.
_CHANGES = re.compile(r"(SLURM_(?!CONF$|CONF_SERVER$|CLUSTERS$|JWT$)|SQUEUE_|SACCT_|SCANCEL_|SINFO_)")
_HINTS = (
    ("Invalid qos", "`sacctmgr show assoc user=$USER format=account,qos` lists those that you may use"),
    ("Invalid partition", "`sinfo -o %R` lists the partitions"),
    ("Invalid account", "`sacctmgr show assoc user=$USER format=account,partition` lists yours"),
    ("node configuration is not available", "no node has all of it: see gres, mem, cpus-per-task and constraint"),
    ("Invalid generic resource", "`sinfo -o '%R %G'` lists what gres each partition has"),
    ("unrecognized option", "`man sbatch` lists the options"),
    ("Invalid feature", "`sinfo -o '%R %f'` lists what constraint may name"),
    ("Invalid dependency", "`squeue --me` lists the jobs that there are"),
    ("Unable to contact slurm controller", "Slurm does not answer; try again later"),
    ("Connection refused", "Slurm does not answer; try again later"),
    ("Requested time limit is invalid", "see time, and the limits of the partition: `sinfo -o '%R %l'`"),
)


class NoAnswerError(SlurmError):
    """A command that did not end in the time it had."""


def changes(variable: str) -> bool:
    """Whether a variable of a job around us, or of a person's, would change what Slurm's commands ask or print."""
    return bool(_CHANGES.match(variable))


def environment() -> dict[str, str]:
    """This process's environment without what would change what Slurm's commands ask or print."""
    kept = {key: value for key, value in os.environ.items() if not changes(key)}
    if asked := os.environ.get("SBATCH_CLUSTERS"):  # all commands ask the cluster that sbatch submits to
        kept["SLURM_CLUSTERS"] = asked
    # whole lists of an array's tasks, which are cut after 64 characters otherwise; times in seconds since 1970
    return kept | {"LC_ALL": "C", "SLURM_BITSTR_LEN": "0", "SLURM_TIME_FORMAT": "%s"}


def call(*command: str, cwd: Path | None = None, patience: float = PATIENCE) -> str:
    """What a command of Slurm's prints; a SlurmError with what it complains of, once and in words.

    A command that takes longer than `patience` seconds is killed, with all that it has started: a NoAnswerError.
    """
    return _finish(_start(command, cwd), time.monotonic() + patience)


def call_all(*commands: Iterable[str], patience: float = PATIENCE) -> list[str | SlurmError]:
    """What several commands print, run side by side; those that fail give their error instead."""
    end = time.monotonic() + patience
    started: list[_Started | SlurmError] = []
    for words in commands:
        try:
            started.append(_start(words, None))
        except SlurmError as error:
            started.append(error)
    results: list[str | SlurmError] = []
    for each in started:
        try:
            results.append(each if isinstance(each, SlurmError) else _finish(each, end))
        except SlurmError as error:
            results.append(error)
    return results


@dataclass(frozen=True)
class _Started:
    """A command that runs, in a process group of its own, and the files that it prints to.

    Files and no pipes: where `squeue` is a site's wrapper, a child of it that lives on would keep a pipe open.
    """

    name: str
    process: subprocess.Popen[bytes]
    out: IO[bytes]
    err: IO[bytes]
    began: float


def _start(command: Iterable[str], cwd: Path | None) -> _Started:
    words = list(command)
    out, err = scratch(), scratch()
    try:
        process = subprocess.Popen(
            words, cwd=cwd, env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=err, process_group=0
        )
    except FileNotFoundError:
        raise SlurmError(f"{words[0]}: not on PATH, expected Slurm's commands; --here runs the trials here") from None
    return _Started(words[0], process, out, err, time.monotonic())


def scratch() -> IO[bytes]:
    """A file in memory: a login node's /tmp may be full."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("slurm"), "w+b")
    return tempfile.TemporaryFile()


def _finish(started: _Started, end: float) -> str:
    with started.out, started.err:
        name, process = started.name, started.process
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            kill(process)
            waited = f"did not answer for {time.monotonic() - started.began:.0f} seconds; try again later"
            raise NoAnswerError(f"{name}: {complaint(text(started.err)) or waited}") from None
        except BaseException:
            kill(process)
            raise
        if process.returncode:
            raise SlurmError(f"{name}: {complaint(text(started.err)) or f'exit status {process.returncode}'}")
        return text(started.out)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a command with all that it has started, and do not wait for what cannot be ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(LAST)


def text(file: IO[bytes]) -> str:
    """What a command has printed to such a file."""
    file.seek(0)
    return file.read().decode(errors="replace").replace("\r\n", "\n")


def complaint(err: str) -> str:
    """The one line that matters of what a command said, with what to do about it."""
    lines = [re.sub(r"^(?:\w+: )?(?:error: )?", "", line).strip() for line in err.splitlines()]
    lines = [line for line in lines if line and not line.startswith("Try ")]
    said = "; ".join(dict.fromkeys(line.removeprefix("Batch job submission failed: ") for line in lines))
    hint = next((hint for text, hint in _HINTS if text in said), "")
    return f"{said}; {hint}" if hint else said


def submit_limit(error: SlurmError) -> bool:
    """Whether sbatch refused because the user may have no more jobs just now."""
    text = str(error)
    return any(word in text for word in ("SubmitJob", "job submit limit", FULL))


def pieces(jobs: Iterable[str]) -> list[str]:
    """Ids joined by commas, in as few pieces as fit into an argument."""
    result = [""]
    for job in jobs:
        if len(result[-1]) + len(job) > LONGEST_ARGUMENT:
            result.append("")
        result[-1] += f",{job}" if result[-1] else job
    return [piece for piece in result if piece]
