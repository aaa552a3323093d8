"""The best trial of what was gathered, and in words how sure one can be of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from resweep.errors import ConfigError, TrialError, counted
from resweep.results import points, trial_rows
from resweep.results.formats import rounded, with_spread
from resweep.results.points import Best, By
from resweep.results.trial_rows import Row
from resweep.sweep.definition import ResultsOptions

Verdict = Literal["alone", "no repeats", "diverged", "less than the spread", "more than the spread"]


def best(name: str, rows: Sequence[Row], options: ResultsOptions, by: By = "point") -> Best:
    """The best of the rows, by the metric of `options`; an error, about `name`, where none can be it."""
    return points.best(rows, ranked(name, rows, options), options, by)


def check(name: str, options: ResultsOptions, by_hand: str = "") -> None:
    """A ConfigError, about `name`, where nothing says what is best; `by_hand` is how the caller takes a metric."""
    if options.metric is None:
        raise ConfigError(
            f"{name}: the sweep names no metric, expected "
            + (f"{by_hand}, or " if by_hand else "")
            + '[results] metric = "..." in its TOML; generate it again with that'
        )


def ranked(name: str, rows: Sequence[Row], options: ResultsOptions) -> list[Row]:
    """The finished trials with a finite number for the metric, the best first; a TrialError when there is none."""
    check(name, options)
    found = trial_rows.best(rows, options)
    if not rows:
        raise TrialError(f"{name}: no trials selected")
    if not any(row.state == "finished" for row in rows):
        raise TrialError(f"{name}: no trial has finished")
    if not found:
        raise TrialError(f"{name}: no finished trial has a finite number for {options.metric} in its metrics")
    return found


def verdict(best: Best) -> Verdict:
    """Whether the best configuration differs from the next best one by more than repeats of one differ."""
    if best.other is None:
        return "alone"
    if best.ahead != best.ahead:
        return "diverged"
    if best.spread is None:
        return "no repeats"
    return "more than the spread" if abs(best.ahead) > best.spread else "less than the spread"


def metric(best: Best, options: ResultsOptions, name: str) -> str:
    """The best value, and of how many it is the best: `accuracy 0.5, the highest of 9 finished trials of rnn`.

    Where its point has repeats, their mean: `accuracy 0.45, mean of 5 repeats, the highest of 3 points of rnn`.
    """
    value = best.row.metrics[options.metric or ""]
    word = "highest" if options.mode == "max" else "lowest"
    if (mean := average(best)) and best.ahead >= 0:
        return f"{options.metric} {mean}, the {word} of {counted(best.points, 'point')} of {name}"
    return f"{options.metric} {rounded(value)}, the {word} of {counted(best.finished, 'finished trial')} of {name}"


def average(best: Best) -> str:
    """The best point's mean, as in `0.45, mean of 5 repeats`; empty without repeats, or where one diverged."""
    found = best.statistic
    return f"{rounded(found.mean)}, mean of {found.n} repeats" if found.n > 1 and found.mean == found.mean else ""


def lucky(best: Best, options: ResultsOptions) -> str:
    """Which single trial has a better value than any of the best point; empty where none has."""
    if best.lucky is None:
        return ""
    row = best.lucky
    value = rounded(row.metrics[options.metric or ""])
    return f"{row.sweep}#{row.entry.number} {row.entry.described()}: {value}; select it with --by trial"


def repeats(best: Best) -> str:
    """What is known of how far chance moves the best configuration."""
    found, of = best.statistic, len(best.point.rows)
    if found.n == 1:
        alone = "1 run" if of == 1 else f"1 of {of} repeats has finished"
        return f"{alone}: how far chance moves it is not known; promote it to several seeds to see"
    return f"{found.n} of {of}: {with_spread(found)}, from {rounded(found.min)} to {rounded(found.max)}"


def runner_up(best: Best) -> list[str]:
    """The best other configuration, and whether the difference to it is more than chance may make."""
    if best.runner_up is None or best.other is None:
        return ["no other configuration has finished"]
    entry = best.runner_up.entry
    known = counted(best.other.n, "run")
    lines = [f"{best.runner_up.sweep}#{entry.number} {entry.described()}: {with_spread(best.other)} ({known})"]
    if verdict(best) == "diverged":
        return [*lines, "a repeat of the best one diverged, so its mean compares with nothing"]
    better = f"{rounded(abs(best.ahead))} {'worse' if best.ahead >= 0 else 'better'} on average"
    if best.spread is None:
        lines.append(f"{better}; without repeats nobody can say whether that is chance")
    else:
        but = ", so it may be chance" if verdict(best) == "less than the spread" else ""
        lines.append(f"{better}: {verdict(best)} between repeats ({best.spread:.2g}){but}")
    return lines
