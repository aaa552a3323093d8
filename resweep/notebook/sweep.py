"""What a notebook looks at: a sweep as it was when it was opened, its trials, its points, its best."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from resweep.errors import ConfigError, ProjectError, counted, shown
from resweep.notebook import display
from resweep.notebook.trial import Trial
from resweep.notebook.trials import Best, Points, Shared, Trials
from resweep.project import find_sweeps
from resweep.results import best_trial, load, terminal, trial_rows
from resweep.results.load import Gathered

if TYPE_CHECKING:
    import pandas


def open(  # noqa: A001
    *names: str, root: str | os.PathLike[str] | None = None, metric: str | None = None
) -> Opened:
    """Open the sweeps `names`, or parts of them such as `rnn#3-9`, as they are now; nothing is ever written.

        >>> import resweep
        >>> sweep = resweep.open("rnn")
        >>> sweep
        <rnn: 4 trials, 4 finished; best by accuracy (max): rnn#4, 0.75>

    The project is the one of the current directory, or of the directory `root`. `metric` is KEY or KEY:max or KEY:min,
    in place of the one in the sweep's `[results]`. Several sweeps are opened as one, as `resweep results` shows them.
    """
    if not names:
        raise ConfigError('resweep.open: found no name, expected that of a sweep, such as resweep.open("rnn")')
    for name in names:
        if isinstance(name, list | tuple):
            raise ConfigError('resweep.open: found a list, expected the names one by one: resweep.open("s1", "a1")')
        if not isinstance(name, str):
            raise ConfigError(f"resweep.open: found {shown(name)}, expected the name of a sweep, such as 'rnn'")
    start = Path(os.path.abspath(os.getcwd() if root is None else root))
    try:
        project = find_sweeps(start)
    except ProjectError as error:
        if root is not None:
            raise
        raise ProjectError(f"{error}; or say which project: resweep.open({names[0]!r}, root=...)") from None
    return Opened(project, names, metric)


class Opened:
    """One sweep, or several as one: what was there when it was opened, or when it was last refreshed.

    What ranks the trials is `metric`, the highest or the lowest as `mode` says; None where no sweep names one, or they
    differ.
    """

    def __init__(self, root: Path, names: Sequence[str], metric: str | None = None) -> None:
        self._root = root
        self._names = tuple(names)
        self._asked = metric
        self._found, self._trials = self._read()

    def refresh(self) -> Opened:
        """Read anew what the disk has, and give this sweep back; trials that were taken from it stay as they were."""
        self._found, self._trials = self._read()
        return self

    def _read(self) -> tuple[Gathered, Trials]:
        with load.no_collection():
            found = load.gather(self._root, self._names, self._asked)
            fixed = found.fixed if len(found.sweeps) > 1 else {}
            places = {paths.name: paths for paths in found.sweeps}
            patterns = {name: each.results.pattern for name, each in found.definitions.items()}
            drawn = frozenset(terminal.drawn(found.definitions.values()))
            trials = [Trial(row, places[row.sweep], patterns.get(row.sweep)) for row in found.rows]
        for note in filter(None, [*found.notes, load.metric_missing(found)]):
            warnings.warn(f"{self.name}: {note}", stacklevel=4)
        return found, Trials(trials, Shared(self.name, found.options, fixed, found.rows, drawn))

    @property
    def name(self) -> str:
        """What it was opened by."""
        return " ".join(self._names)

    @property
    def root(self) -> Path:
        """The project's directory."""
        return self._root

    @property
    def sweeps(self) -> tuple[str, ...]:
        """The names of the sweeps."""
        return tuple(paths.name for paths in self._found.sweeps)

    @property
    def metric(self) -> str | None:
        """The metric that says which trial is best."""
        return self._found.options.metric

    @property
    def mode(self) -> str:
        """Whether the highest value of it is best, `max`, or the lowest, `min`."""
        return self._found.options.mode

    @property
    def trials(self) -> Trials:
        """Every trial, the best first; in the sweep's order where no metric ranks them."""
        return self._trials

    @property
    def points(self) -> Points:
        """Every configuration with its repeats, the best mean first."""
        return self._trials.points

    @property
    def best(self) -> Best:
        """The best trial and how sure one can be of it; an error where no metric, or no trial, says so."""
        return self._trials.best

    def to_pandas(self, by: Literal["trial", "point"] = "trial") -> pandas.DataFrame:
        """A row per trial, or per point with means, deviations (NAME.sd) and counts (NAME.n) of its repeats.

        The columns are those of `resweep results --format csv`.
        """
        if by not in ("trial", "point"):
            raise ConfigError(f"to_pandas: by: found {by!r}, expected 'trial' or 'point'")
        return self.trials.to_pandas() if by == "trial" else self.points.to_pandas()

    def __repr__(self) -> str:
        """One line: how many trials, in which states, and the best."""
        return display.line(f"<{self._said()}>")

    def _repr_html_(self) -> str:
        """The first trials as a table, for Jupyter."""
        return display.html(self._trials.shown(), self._said())

    def _said(self) -> str:
        counts = ", ".join(f"{count:,} {state}" for state, count in self._trials.states.items())
        said = f"{self.name}: {counted(len(self._trials), 'trial')}" + (f", {counts}" if counts else "")
        options = self._found.options
        if not trial_rows.best(self._found.rows, options):
            return said
        best = best_trial.best(self.name, self._found.rows, options)
        name = f"{best.row.sweep}#{best.row.entry.number}"
        value = best_trial.average(best) or display.value(best.row.metrics[options.metric or ""])
        return f"{said}; best by {options.metric} ({options.mode}): {name}, {value}"
