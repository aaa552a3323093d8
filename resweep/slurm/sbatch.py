"""One call of sbatch, and what is certain after it: a job's id, a refusal, or neither.

sbatch may submit and then fail, or be killed while the controller answers; a site's wrapper may print lines of its own.
Only a line that is an id counts as an answer. Without one, the caller looks for the job in the queue.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from resweep.errors import SlurmError
from resweep.slurm import commands

PATIENCE = 45.0  # seconds for an answer; a full controller makes sbatch try again for minutes
AFTER_INTERRUPT = 10.0  # seconds for an answer once a person has pressed Ctrl-C

_ANSWER = re.compile(r"(\d+)(?:;([\w.-]+))?")
_REFUSED = "Batch job submission failed: "
# sbatch has lost the connection: the controller may take the job all the same, even seconds later
_LOST = (
    "timed out",
    "Zero Bytes",
    "connect failure",
    "send failure",
    "receive failure",
    "shutdown failure",
    "Transport endpoint",
    "Connection reset",
    "Broken pipe",
    "Unexpected message",
    "Header lengths",
)
# variables of a job around us; outside of a job a person's SLURM_ variables are for the steps of theirs
_OF_A_JOB = re.compile(r"SLURM_(JOB|ARRAY_|STEP|TASK_PID|PROCID|LOCALID|NODEID|GTIDS|RESTART_COUNT|SUBMIT_)")
_NEVER = re.compile(
    # sbatch would wait for the job's end; turn a single job into an array; submit elsewhere than we look
    r"SBATCH_(WAIT|ARRAY_INX|TEST_ONLY|CLUSTERS)$"
)


@dataclass(frozen=True)
class Answer:
    """A job that Slurm took; `cluster` only where sbatch names one, as with SLURM_CLUSTERS."""

    id: str
    cluster: str | None = None


class LostError(SlurmError):
    """sbatch gave no answer: Slurm may have taken the job. `late`: it may even take it after a look at the queue."""

    def __init__(self, message: str, late: bool) -> None:
        super().__init__(message)
        self.late = late


def environment() -> dict[str, str]:
    """What sbatch is given, and by it the job: a person's own, without the numbers of a job around us."""
    if "SLURM_JOB_ID" in os.environ or "SLURM_JOBID" in os.environ:
        # which of its variables are a person's nobody can tell
        kept = {key: value for key, value in os.environ.items() if not commands.changes(key)}
    else:
        kept = {key: value for key, value in os.environ.items() if not _OF_A_JOB.match(key)}
    if asked := os.environ.get("SBATCH_CLUSTERS"):
        kept["SLURM_CLUSTERS"] = asked
    return {key: value for key, value in kept.items() if not _NEVER.match(key)}


def call(command: Sequence[str], root: Path, interrupted: Callable[[], bool] = lambda: False) -> Answer:
    """Call sbatch, and give its answer. Raises SlurmError where it refuses, and LostError where nobody can know.

    It runs in a process group of its own, so that Ctrl-C does not end it while the controller answers.
    """
    with commands.scratch() as out, commands.scratch() as err:
        # files, not pipes: what a wrapper leaves behind may hold a pipe open for ever
        try:
            process = subprocess.Popen(
                command, cwd=root, env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=err, process_group=0
            )
        except FileNotFoundError:
            raise SlurmError(
                f"{command[0]}: not on PATH, expected Slurm's commands; --here runs the trials here"
            ) from None
        status = _wait(process, interrupted)
        printed, said = commands.text(out), commands.text(err)
    answers = read(printed)
    if len(answers) == 1:
        return answers[0]
    text = commands.complaint(said)
    if status is None or status < 0:
        how = f"did not answer for {PATIENCE:.0f} seconds" if not interrupted() else "was interrupted"
        raise LostError(f"sbatch: {text or how}", late=commands.FULL not in text)
    if not status:
        raise LostError(f"sbatch: printed no id of a job ({' '.join(printed.split())[:80] or 'nothing'})", late=False)
    lost = not text or any(word in text for word in _LOST)
    if _REFUSED in said and not lost:  # the controller has answered
        raise SlurmError(f"sbatch: {text}")
    raise LostError(f"sbatch: {text or f'exit status {status}'}", late=lost)


def read(printed: str) -> list[Answer]:
    """The lines of what sbatch --parsable printed that are an id, or ID;CLUSTER, and nothing else."""
    matches = (_ANSWER.fullmatch(line.strip()) for line in printed.splitlines())
    return [Answer(match[1], match[2]) for match in matches if match]


def _wait(process: subprocess.Popen[bytes], interrupted: Callable[[], bool]) -> int | None:
    """Wait for sbatch's end; None where it had to be killed, with all that it has started."""
    left, step = PATIENCE, 0.5
    while left > 0:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(step)
        left = min(left - step, AFTER_INTERRUPT) if interrupted() else left - step
    commands.kill(process)
    return None


class Interrupted:
    """While it is open, Ctrl-C and other signals that end a process are noted, and do nothing else."""

    def __init__(self) -> None:
        self.signals: list[int] = []

    def __bool__(self) -> bool:
        """Whether there was one."""
        return bool(self.signals)


@contextlib.contextmanager
def held() -> Iterator[Interrupted]:
    """Hold back the signals that end a process, so that no job is submitted without being noted."""
    seen = Interrupted()

    def note(number: int, _frame: FrameType | None) -> None:
        seen.signals.append(number)

    old: dict[int, Any] = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays in force
            old[number] = signal.signal(number, note)
    try:
        yield seen
    finally:
        for caught, handler in old.items():
            signal.signal(caught, handler)
