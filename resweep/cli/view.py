"""What `resweep run` shows while it runs: a live table on a terminal, a plain line per trial that ended elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from resweep import index
from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.run import status
from resweep.run.run_options import Outcome
from resweep.run.runner import Runner

if TYPE_CHECKING:
    from resweep.search.supplier import Search

REFRESH = 0.5  # seconds
ROWS = 20  # running trials that are shown


@contextmanager
def watcher(paths: SweepPaths, entries: Sequence[Entry]) -> Iterator[Lines]:
    """Whoever shows what the runner does, as fits where it is shown."""
    if sys.stdout.isatty():
        with Live(paths, entries).open() as live:
            yield live
    else:
        yield Lines(paths, entries)


class Lines:
    """A line for each trial that ended."""

    def __init__(self, paths: SweepPaths, entries: Sequence[Entry]) -> None:
        self.paths = paths
        self.count = len(entries)
        self.before = 0  # trials of those asked for that had finished already
        self.search: Search | None = None
        self.runner: Runner | None = None
        self.done = 0
        self.failed = 0

    def ended(self, outcome: Outcome) -> None:
        """A trial's last attempt has ended."""
        self.done += 1
        self.failed += not outcome.finished
        entry = outcome.entry
        # also what other runners have ended meanwhile
        done = self.before + (len(self.runner.outcomes) if self.runner else self.done)
        shown = f"[{done}/{self.before + self.count}]"
        if self.search is not None:  # of all workers; a trial may be no point, or one of several
            shown = f"[{self.search.counted}/{self.count} points]"
        self.say(f"{shown} #{entry.number} {entry.name} {entry.described()}: {outcome.said}")

    def tick(self, runner: Runner) -> None:
        """Nothing: whoever reads this wants lines."""

    def told(self, message: str) -> None:
        """Something that a person should know."""
        click.echo(f"{self.paths.name}: {message}", err=True)

    def say(self, line: str) -> None:
        """One line."""
        click.echo(line)


class Live(Lines):
    """The running trials with their latest metric line, and how far everything is, drawn anew twice a second.

    Drawn by the runner's own loop: a thread that draws could hold a lock while the runner forks.
    """

    def __init__(self, paths: SweepPaths, entries: Sequence[Entry]) -> None:
        super().__init__(paths, entries)
        self._began = time.monotonic()
        self._drawn = 0.0
        self._live: Any = None
        self._keys = index.varying(entries)

    @contextmanager
    def open(self) -> Iterator[Live]:
        """While it is open, the view stands at the bottom of the terminal."""
        from rich.live import Live as RichLive

        with RichLive(auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False) as live:
            self._live = live
            yield self

    def say(self, line: str) -> None:
        """A line above the view."""
        self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def told(self, message: str) -> None:
        """A line above the view."""
        self.say(f"{self.paths.name}: {message}")

    def tick(self, runner: Runner) -> None:
        """Draw the view, if it is time."""
        if time.monotonic() - self._drawn >= REFRESH:
            self._drawn = time.monotonic()
            self._live.update(self._table(runner), refresh=True)

    def _table(self, runner: Runner) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        size = self._live.console.size
        rows = max(1, min(ROWS, size.height - 4))
        table = Table.grid(padding=(0, 2), expand=True)
        # the values may be long, and leave the metric its half; the last lines are no rows, whose width they would set
        for ratio, most in ((None, size.width // 2), (None, None), (None, None), (1, None)):
            table.add_column(ratio=ratio, max_width=most, no_wrap=True, overflow="ellipsis")
        running = list(runner.running.values())
        for each in running[:rows]:
            cards = " ".join(card.called for card in each.cards)
            table.add_row(
                Text(f"#{each.entry.number} {self._described(each.entry)}".rstrip()),
                Text(status.duration(time.monotonic() - each.since)),
                Text(cards),
                Text(status.latest_metric(each.log), style="dim"),
            )
        parts: list[Table | Text] = [table] if running else []
        if len(running) > rows:
            parts.append(Text(f"and {len(running) - rows} more"))
        return Group(*parts, Text(self._progress(runner), style="bold", no_wrap=True, overflow="ellipsis"))

    def _described(self, entry: Entry) -> str:
        """What tells a trial from the others; of a search, whose numbers nobody has typed, four digits."""
        if self.search is None:
            return entry.described(self._keys)
        values = entry.swept.items()
        return index.described({k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in values})

    def _progress(self, runner: Runner) -> str:
        parts = [f"{self.failed} failed", f"{len(runner.running)} running"]
        if runner.elsewhere:
            parts.append(f"{len(runner.elsewhere)} elsewhere")
        if self.search is not None:  # the line is about all workers, what follows about this one
            return f"{self.paths.name}: {self.search.line}; here " + ", ".join(parts)
        parts.insert(0, f"{self.done - self.failed} done")
        parts.append(f"{len(runner.queue)} left")
        if self.done:
            pace = self.done / (time.monotonic() - self._began)
            parts.append(f"{pace * 3600:.0f} an hour")
            parts.append(f"about {status.duration(runner.left / pace)} to go")
        return f"{self.paths.name}: " + ", ".join(parts)
