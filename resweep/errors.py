"""What a user can get wrong, as exceptions.

ResweepError            one line for stderr, exit status 2; anything else is a bug and traces back
├── ConfigError         the TOML file, or an option: file, key, found, expected
├── TemplateError       the jsonnet or JSON file, or an argument it does not take
├── ProjectError        the project's directory: no setup.py, no train.sh, a build that fails
├── SourceChangedError  the source changed under trials that have finished
├── TrialError          a trial or sweep that cannot be found, or is not what it says
├── SlurmError          Slurm is not there, does not answer, or refuses
├── ArchiveError        an archive that is damaged, was not written by `pack`, or wants more than it may
├── ExportError         a place to export to that is not ours, or what another tool lacks
└── DiskError           the disk is full, read-only, or says no
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ResweepError(Exception):
    """A mistake that a user can make and mend.

    `detail` is more than one line can hold, such as jsonnet's own trace or a build's output; it is printed below
    the message.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class ConfigError(ResweepError):
    """The TOML file or an option on the command line is wrong."""


class TemplateError(ResweepError):
    """The jsonnet (or JSON) file cannot be filled with the parameters given."""


class ProjectError(ResweepError):
    """The project's directory lacks something, or its source cannot be built."""


class SourceChangedError(ResweepError):
    """The source changed, and trials of the same points have finished with the old one."""


class TrialError(ResweepError):
    """A trial or sweep was named that does not exist, or whose files are not what they should be."""


class SlurmError(ResweepError):
    """Slurm is not there, does not answer, or refuses what was asked."""


class ArchiveError(ResweepError):
    """An archive is damaged, was not written by `pack`, or wants more than it may."""


class ExportError(ResweepError):
    """What was asked to be exported cannot go where it was asked to, or the package that writes it is missing."""


class DiskError(ResweepError):
    """The disk refused: full, read-only, or no permission."""


_REFUSALS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up (of bytes or of files)",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "no permission to write",
    errno.EPERM: "no permission to write",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOTDIR: "a file stands where a directory should be",
}


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turn the disk's refusals below `where` into one line; let every other OSError be the bug that it is."""
    try:
        yield
    except OSError as error:
        reason = _REFUSALS.get(error.errno or 0)
        if reason is None:
            raise
        name = error.filename2 or error.filename or where
        raise DiskError(f"{_text(name)}: {reason}; nothing of what was to be written here counts") from error


def shown(value: object) -> str:
    """A value that was found, for a message: short, and a table as such."""
    text = "a table" if isinstance(value, dict) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def counted(count: int, what: str) -> str:
    """So many of something, for a message: `1 trial`, `10,000 trials`."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _text(name: object) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
