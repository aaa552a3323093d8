"""A figure's file: its name says the form, and it is whole or not there."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from resweep.errors import ConfigError, disk_errors
from resweep.report.figures.look import FORMS


def form(target: Path) -> str:
    """The form that a file's name says; a ConfigError for another, and where no file can stand."""
    said = target.suffix.lower().removeprefix(".")
    if said not in FORMS:
        raise ConfigError(
            f"-o {target}: found the ending {target.suffix or 'of no form'}, expected .{', .'.join(FORMS)}"
        )
    if target.exists() and not target.is_file():
        raise ConfigError(f"-o {target}: is {'a directory' if target.is_dir() else 'no file'}, expected a file's name")
    if not target.parent.is_dir():
        raise ConfigError(f"-o {target}: {target.parent} is not a directory; name a file in one that exists")
    return said


def write(target: Path, content: bytes) -> None:
    """Put a file in place, of the one that may be there already; another program sees the old one or the new."""
    final = Path(os.path.realpath(target))  # a link stays one
    part = final.with_name(f".{os.getpid()}.part")
    with disk_errors(final), ExitStack() as undo:
        undo.callback(part.unlink, missing_ok=True)
        part.write_bytes(content)
        if final.exists():
            part.chmod(final.stat().st_mode & 0o777)
        part.replace(final)
