"""Slurm's own commands, and what they say when they refuse, in words."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from resweep.errors import SlurmError

PATIENCE = 45  # seconds that a controller has to answer
FULL = "temporarily unable to accept job"
LONGEST_ARGUMENT = 100_000  # characters of one argument; Linux takes 131,072

# What a person's shell, or a job around us, has set would change what the commands do or print.
_CHANGES = re.compile(r"(SLURM_(?!CONF$|CLUSTERS$)|SQUEUE_|SACCT_|SCANCEL_|SINFO_)")
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


def environment() -> dict[str, str]:
    """This process's environment without what would make a job inherit another's numbers, or change the output."""
    return {key: value for key, value in os.environ.items() if not _CHANGES.match(key)}


def call(*command: str, cwd: Path | None = None) -> str:
    """What a command of Slurm's prints; a SlurmError with what it complains of, once and in words."""
    return _finish(_start(command, cwd), command)


def call_all(*commands: Iterable[str]) -> list[str | SlurmError]:
    """What several commands print, run side by side; those that fail give their error instead."""
    started: list[tuple[tuple[str, ...], subprocess.Popen[str] | SlurmError]] = []
    for words in commands:
        command = tuple(words)
        try:
            started.append((command, _start(command, None)))
        except SlurmError as error:
            started.append((command, error))
    results: list[str | SlurmError] = []
    for command, process in started:
        try:
            results.append(process if isinstance(process, SlurmError) else _finish(process, command))
        except SlurmError as error:
            results.append(error)
    return results


def _start(command: Iterable[str], cwd: Path | None) -> subprocess.Popen[str]:
    words = list(command)
    env = environment()
    if words[0] != "sbatch":  # whose environment its job inherits
        env["LC_ALL"] = "C"
    try:
        return subprocess.Popen(
            words,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        raise SlurmError(f"{words[0]}: not on PATH, expected Slurm's commands; --here runs the trials here") from None


def _finish(process: subprocess.Popen[str], command: Iterable[str]) -> str:
    name = next(iter(command))
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        # a controller that has as many jobs as it can hold makes sbatch try again, for minutes
        said = _complaint(process.communicate()[1])
        raise SlurmError(f"{name}: {said or f'did not answer for {PATIENCE} seconds; try again later'}") from None
    if process.returncode:
        raise SlurmError(f"{name}: {_complaint(err) or f'exit status {process.returncode}'}")
    return out


def _complaint(err: str) -> str:
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
