"""What is said of trials whose training loaded the code from elsewhere: one sentence, wherever they are shown.

Such a trial ran, but its number is not that of the code that it froze. A table, a figure, a page and an archive of it
say so, and so does whatever is made of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from resweep.errors import counted
from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.results.trial_rows import Row
from resweep.run import status
from resweep.run.status import Leak, Status

SHORT = "what ran was not the frozen code"


def imported(frozen: str, file: str) -> str:
    """Which file stood for which of the trial's; where none did, what had been changed in the trial."""
    if not file:
        return f"trial files were modified before the run: {frozen}"
    return f"{frozen} was imported from {file}, not from the trial"


def sentence(leak: Leak) -> str:
    """Of which trials it is true, and what."""
    return f"{trials(leak.trials)}: {imported(leak.frozen, leak.file)}"


def trials(some: Sequence[Status]) -> str:
    """How many trials, and the numbers of the first."""
    numbers = ", ".join(f"#{each.entry.number}" for each in some[:3])
    return f"{counted(len(some), 'trial')} ({numbers}{', ...' if len(some) > 3 else ''})"


def statuses(paths: SweepPaths, rows: Iterable[Row]) -> list[Status]:
    """The rows of a sweep as statuses."""
    return [Status(row.entry, row.state, row.record, paths.directory) for row in rows if row.sweep == paths.name]


def notes(sweeps: Iterable[SweepPaths], rows: Sequence[Row]) -> list[str]:
    """A line for each sweep of whose rows this is true of any."""
    return [line for paths in sweeps for line in _note(paths, statuses(paths, rows))]


def note(paths: SweepPaths, entries: Iterable[Entry]) -> list[str]:
    """The line for some trials of a sweep; empty where it is true of none."""
    return _note(paths, status.survey(paths, entries))


def said(paths: SweepPaths, rows: Iterable[Row]) -> dict[int, str]:
    """By the number of a trial what is said of it alone."""
    found: dict[int, str] = {}
    for leak in status.leaks(paths, statuses(paths, rows)):
        for each in leak.trials:
            found.setdefault(each.entry.number, f"{SHORT}: {imported(leak.frozen, leak.file)}")
    return found


def _note(paths: SweepPaths, some: Sequence[Status]) -> list[str]:
    found = status.leaks(paths, some)
    if not found:
        return []
    every = [each for each in some if each.record.get("leaked") or each.record.get("trial_changed")]
    more = f" (and {counted(len(found) - 1, 'other file')})" if len(found) > 1 else ""
    example = imported(found[0].frozen, found[0].file)
    return [f"{paths.name}: {SHORT} in {trials(every)}: {example}{more}"]
