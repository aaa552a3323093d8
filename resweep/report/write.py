"""A page onto the disk: whole or not at all, and never in place of a file that is not ours."""

from __future__ import annotations

import os
from pathlib import Path

from resweep.errors import DiskError, disk_errors
from resweep.lock import PART
from resweep.report.page import is_ours

_HEAD = 4096  # bytes of a page, in which it says whose it is


def check(target: Path) -> None:
    """A DiskError where a page cannot or must not be written."""
    if not target.parent.is_dir():
        raise DiskError(f"{target}: found no directory {target.parent}, expected one that exists")
    if not target.exists():
        return
    if not target.is_file():
        raise DiskError(f"{target}: is no file, expected one that may be replaced, or nothing")
    with open(target, "rb") as file:
        if not is_ours(file.read(_HEAD).decode(errors="replace")):
            raise DiskError(f"{target}: was not written by resweep report, and stays; name another file with -o")


def write(target: Path, text: str) -> None:
    """Write the page, in place of an older one: whoever reads meanwhile has the one or the other."""
    final = Path(os.path.realpath(target))  # a link stays one
    part = final.with_name(f".{final.name}.{os.getpid()}{PART}")
    with disk_errors(target):
        try:
            part.write_text(text, "utf-8")
            check(target)
            part.replace(final)
        finally:
            part.unlink(missing_ok=True)
