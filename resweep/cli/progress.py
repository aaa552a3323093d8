"""A progress bar for what takes longer than a second, on a terminal; elsewhere a plain line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

PATIENCE = 1.0  # seconds before anything appears
EVERY = 5.0  # seconds before a plain line, and between two


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A function to call with (what, done, total) as often as one likes."""
    shown = _Bar() if sys.stderr.isatty() else _Lines()
    try:
        yield shown.update
    finally:
        shown.close()


class _Lines:
    def __init__(self) -> None:
        self._what = ""
        self._next = 0.0

    def update(self, what: str, done: int, total: int) -> None:
        if what != self._what:  # what takes less is told by what comes after it
            self._what = what
            self._next = time.monotonic() + EVERY
        if done < total and time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY
            click.echo(f"{what}: {done:,} of {total:,}", err=True)

    def close(self) -> None:
        pass


class _Bar:
    def __init__(self) -> None:
        self._start = time.monotonic()
        self._progress: Any = None
        self._task: Any = None
        self._what = ""

    def update(self, what: str, done: int, total: int) -> None:
        if self._progress is None:
            if time.monotonic() - self._start < PATIENCE:
                return
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
            self._progress.start()
        if what != self._what:
            self._what = what
            self._task = self._progress.add_task(what)
        self._progress.update(self._task, completed=done, total=total)

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
