"""Whether a job of Slurm's is the one that was submitted: a job id alone may have come to mean another job.

Ids start again when a controller loses its state, wrap at MaxJobId, and mean something else on every cluster. So a
submission notes who submitted it, when and where, gives its jobs a comment of their own, and each look at a job
compares them.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
from dataclasses import dataclass
from datetime import datetime

from resweep.errors import SlurmError
from resweep.slurm import commands

PREFIX = "resweep:"
SKEW = 600.0  # seconds that the clocks of two machines may differ by; munge refuses more than 300
SHOWN = 80  # characters of a stranger's command in a message


@dataclass(frozen=True)
class Seen:
    """What Slurm says of whose a job is. `submitted` is in seconds since 1970, and renewed by a requeue."""

    uid: str = ""
    submitted: float | None = None
    comment: str = ""
    command: str = ""

    @classmethod
    def of(cls, uid: str, submitted: str, comment: str, command: str) -> Seen:
        """From the fields that squeue and sacct print with SLURM_TIME_FORMAT=%s."""
        return cls(uid, float(submitted) if submitted.isdigit() else None, comment, command)


@dataclass(frozen=True)
class Identity:
    """What a submission noted of itself. Those of before this was noted have no `uid` and no `tag`."""

    uid: str
    created: float | None
    tag: str
    start: str  # of the command of all its jobs: its task.sh and its directory

    def contradiction(self, seen: Seen, ended: bool = False) -> str:
        """Why a job cannot be shown to be one of the submission's; "" where it is.

        One that has `ended` may be without its command: accounting had none before Slurm 21.08, and gets it late.
        """
        tags = [word for word in seen.comment.split() if word.startswith(PREFIX)]
        if tags:
            if not self.tag or not any(belongs(word, self.tag) for word in tags):
                return f"its comment is {tags[0]}"
        elif not (ended and not seen.command) and f" {self.start} " not in f" {seen.command} ":
            # a comment that a person or the site's plugin has put in place of ours tells nothing
            return f"it runs {_short(seen.command)}" if seen.command else "Slurm does not say what it runs"
        if self.uid and seen.uid and self.uid != seen.uid:
            return f"it is {user_name(seen.uid)}'s"
        if self.created and seen.submitted and seen.submitted < self.created - SKEW:
            return "it was submitted earlier"
        return ""


def new_tag(project: str, sweep: str, number: int) -> str:
    """The comment of a submission's jobs, resweep:PROJECT/SWEEP/N:TOKEN: no two submissions have the same one."""
    return f"{PREFIX}{plain(project)}/{plain(sweep)}/{number}:{secrets.token_hex(4)}"


def comment(tag: str, name: str, line: int) -> str:
    """The comment of one job of a submission: which list it runs, or which line of it."""
    return f"{tag}:{name}" + (f":{line}" if line else "")


def belongs(word: str, tag: str) -> bool:
    """Whether a word of a comment is that of a job of the submission with this tag."""
    return word == tag or word.startswith(tag + ":")


def plain(name: str) -> str:
    """A name without what a comment, a job's name or sbatch's %x cannot hold."""
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)[:60] or "_"


def user() -> tuple[str, str]:
    """Whose processes we are, which no variable can change: the number, and the name."""
    uid = str(os.geteuid())
    return uid, user_name(uid)


def user_name(uid: str) -> str:
    """The name of a user, or the number where there is none."""
    try:
        return pwd.getpwuid(int(uid)).pw_name
    except (KeyError, ValueError):
        return uid


def cluster(patience: float = commands.PATIENCE) -> str:
    """The name of the cluster that Slurm's commands ask. Raises SlurmError when it does not answer."""
    text = commands.call("scontrol", "show", "config", patience=patience)
    match = re.search(r"^ClusterName\s*= *(\S+)", text, re.MULTILINE)
    if match is None:
        raise SlurmError("scontrol show config: names no ClusterName")
    return match[1]


def moment(text: object) -> float | None:
    """A time of a record or a ledger, in seconds since 1970; None where there is none."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None


def _short(command: str) -> str:
    command = " ".join(command.split())
    return command if len(command) <= SHOWN else command[: SHOWN - 3] + "..."
