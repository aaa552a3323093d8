"""What every command that reads a sweep needs: the project it is called in, its interpreter, words for people."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from resweep.layout import SweepPaths
from resweep.project import find_python, find_sweeps
from resweep.sweep.definition import Sweep


def root() -> Path:
    """The root of the project, or of what was unpacked of one, that the command was called in."""
    return find_sweeps(Path.cwd())


def python(paths: SweepPaths, asked: Sweep) -> str:
    """The interpreter that trains: the environment's word counts most, then the sweep's."""
    named = os.environ.get("RESWEEP_PYTHON")
    return find_python(named or asked.python, "RESWEEP_PYTHON" if named else paths.name, paths.root)


@contextmanager
def terminable() -> Iterator[None]:
    """While it is open, a TERM ends this process as Ctrl-C does: what was half written is removed."""

    def end(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    old = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


def say(text: str) -> None:
    """Print text of any origin: a lone surrogate, which JSON can hold, becomes the escape that JSON has for it."""
    click.echo(text.encode("utf-8", "backslashreplace").decode(), nl=False)


def short(path: Path) -> Path:
    """The path as people like it: relative, where it lies below the current directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def size(count: int) -> str:
    """Bytes as people say them, in powers of ten as disks are sold."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
