"""`resweep reproduce`: the words of the command, and the verdict, in its first line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from resweep import layout
from resweep.cli import best as best_of
from resweep.cli import project, select
from resweep.errors import ConfigError, counted, disk_errors
from resweep.index import Entry
from resweep.layout import SweepPaths
from resweep.proof import reproduce as proof
from resweep.proof.compare import Comparison, Kind, Metric, Value
from resweep.proof.environment_changes import Change
from resweep.proof.verdict import DEVIATIONS, Spread, Verdict, Word
from resweep.results.points import By
from resweep.run import import_leaks, status
from resweep.sweep import stored

STATUS = {"identical": 0, "different": 1, "not compared": 2, "within the spread": 3, "not proven": 4}
LONGEST_VALUE = 60  # characters of a value of a saved file; its end tells most of a path
MOST = 20  # metrics, and other changes, that are shown; the file has them all


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", metavar="[TRIAL]", required=False)
@best_of.options
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="New or empty directory to run in. Default: a fresh one beside the trial's attempts.",
)
@click.option("--unverified", is_flag=True, help="Run the trial even if its files were modified.")
@click.option("--allow-changed-data", is_flag=True, help="Run the trial even if its data changed.")
@click.option("--json", "as_json", is_flag=True, help="Print verdict.json.")
def reproduce(
    name: str | None,
    best: str | None,
    metric: str | None,
    by: By,
    into: Path | None,
    unverified: bool,
    allow_changed_data: bool,
    as_json: bool,
) -> None:
    """Run TRIAL, which has finished, once more from its frozen directory, and compare what comes out.

    It is verified first, and runs in a fresh directory: nothing that is there is touched. Compared is every file of the
    output but logs; of metrics everything but durations and memory. [results] compare and ignore say otherwise.

    Exit status 0: identical, to the bit; 3: different, but within the spread of the point's own repeats; 4: one of
    these, but what ran was not what was frozen, so that it proves nothing; 1: different; 2: a mistake, or nothing could
    be compared. The verdict is also a file, verdict.json, in the run's directory.
    """
    if (name is None) == (best is None):
        raise ConfigError("reproduce: expected a trial, or --best NAME, and only one of these")
    paths, entry = _chosen(name, best, metric, by)
    asked = stored.read(paths)
    options = proof.Options(into, unverified, allow_changed_data)
    with disk_errors(paths.root):
        passed_over = proof.ready(paths, entry, options)
        os.environ["RESWEEP_PYTHON"] = project.python(paths, asked)
        directory = proof.prepare(paths, entry, options)
        click.echo(f"{paths.name}{select.shown(entry)}: runs again in {project.short(directory)}", err=True)
        found = proof.reproduce(paths, entry, asked, directory, options, passed_over)
    if as_json:
        click.echo((directory / layout.VERDICT).read_text("utf-8"), nl=False)
    else:
        for line in _lines(paths, entry, found):
            click.echo(line)
    sys.exit(STATUS[found.word])


def _chosen(name: str | None, best: str | None, metric: str | None, by: By) -> tuple[SweepPaths, Entry]:
    return best_of.named(project.root(), best, metric, by) or select.one(project.root(), name or "")


def _lines(paths: SweepPaths, entry: Entry, found: Verdict) -> Iterator[str]:
    word, says = _verdict(found)
    astray = bool(found.leaked or found.altered)
    also = f", and {import_leaks.SHORT}" if astray and word == "different" else ""
    yield f"{word}{also}: {paths.name}#{entry.number} {entry.name}: {says}"
    compared = found.comparison
    for altered in found.altered[:MOST]:
        yield f"  changed   {import_leaks.imported(altered, '')}"
    for elsewhere in found.leaked[:MOST]:
        yield f"  leaked    {import_leaks.imported(status.frozen(paths, entry, elsewhere), _value(elsewhere))}"
    if found.lacking:
        weights = compared.of("not there to compare", kind="weights")
        what = "the weights are" if weights else counted(len(found.lacking), "file") + " of the first run are"
        yield f"  not compared  {what} not there to compare: {_few(found.lacking)}"
    metrics = list(_metrics(found))
    for line in metrics[:MOST]:
        yield f"  metric    {line}"
    if len(metrics) > MOST:
        yield f"            and {len(metrics) - MOST} more"
    for file in compared.of("changed", "missing", "new"):
        if file.kind != "metrics" or file.what != "changed":
            yield f"  {file.kind:<9} {file.path}: {file.what}{_differing(compared.values.get(file.path, ()))}"
    if compared.skipped:
        yield f"  ignored   metadata of saved files: {_passed_over(compared.skipped)}"
    for difference in found.unverified:
        yield f"  trial     {difference}, since it was written"
    if found.changes:
        yield "  what was not the same:" if compared.same else "  what may explain it:"
    for change in found.changes[:MOST]:
        yield f"    {change_line(change)}"
    if len(found.changes) > MOST:
        yield f"    and {len(found.changes) - MOST} more"
    if not found.changes and found.word in ("different", "within the spread"):
        yield "  nothing that is known explains it: machine, packages, variables and data are the same; perhaps chance"
        yield "  without a seed, or operations that do not repeat themselves, as on a GPU"
    yield f"  verdict   {project.short(found.directory / layout.VERDICT)}"


def _verdict(found: Verdict) -> tuple[str, str]:
    compared = found.comparison
    if found.word == "not compared":
        return found.word, found.reason
    if found.word == "not proven":
        said = _came_out(found, "identical" if compared.same else "within the spread")
        return found.word, f"{said}, but {import_leaks.SHORT}"
    return found.word, _came_out(found, found.word)


def _came_out(found: Verdict, word: Word) -> str:
    compared = found.comparison
    if word == "identical":
        parts = [_same(compared, kind) for kind in ("weights", "metrics", "file")]
        return f"{', '.join(part for part in parts if part)}, bit for bit"
    if word == "within the spread":
        count = next((each.count for each in found.judged.spreads.values()), 0)
        rule = f"mean ± {DEVIATIONS:g} sd of {count} repeats"
        return f"each metric that differs is within {rule}" if count else "every metric is the same, not every file"
    changed = len(compared.of("changed", "missing", "new"))
    reason = f" ({found.reason})" if found.reason else ""
    return f"{counted(len(compared.metrics), 'metric')}, {counted(changed, 'file')}{reason}"


def _same(compared: Comparison, kind: Kind) -> str:
    count = len(compared.of("same", kind=kind))
    if kind == "metrics":
        return counted(compared.same_metrics, "metric") if count else ""
    if kind == "weights":
        return f"{counted(count, 'file')} of weights" if count else ""
    return counted(count, "other file") if count else ""


def _metrics(found: Verdict) -> Iterator[str]:
    """What the runs came to first, and then what else differs in files of metrics."""
    told = {metric.key for metric in found.judged.metrics}
    for metric in found.judged.metrics:
        yield _metric(metric, metric.key, found.judged.spreads.get(metric.key))
    for metric in found.comparison.metrics:
        if metric.file != layout.METRICS:
            yield _metric(metric, f"{metric.file}: {metric.key}")
        elif metric.key not in told:
            yield _metric(metric, metric.key)


def _metric(metric: Metric, name: str, spread: Spread | None = None) -> str:
    difference = "" if metric.difference is None else f" ({metric.difference:+.3g})"
    usual = f", of {spread.count} repeats {spread.mean:.4g} ± {spread.deviation:.2g}" if spread else ""
    return f"{name}: {_value(metric.before)} -> {_value(metric.after)}{difference}{usual}"


def change_line(change: Change) -> str:
    """One thing that differs between what surrounded two runs."""
    return f"{change.section:<9} {change.what}: {_value(change.before)} -> {_value(change.after)}"


def _differing(values: Sequence[Value]) -> str:
    """Which values of a saved file differ: numbers and words first, then tensors by name."""
    shown = [f"{each.key}: {_short(each.before)} -> {_short(each.after)}" for each in values if not each.bulk]
    bulk = [each.key or "its content" for each in values if each.bulk]
    parts = shown[:3] + ([f"and {len(shown) - 3} more"] if len(shown) > 3 else [])
    return f" ({'; '.join([*parts, *([_few(bulk)] if bulk else [])])})" if values else ""


def _short(value: str | None) -> str:
    text = _value(value)
    return text if len(text) <= LONGEST_VALUE else f"...{text[3 - LONGEST_VALUE :]}"


def _passed_over(skipped: set[str]) -> str:
    """What was passed over, each once, whatever files have it."""
    return _few(sorted({each.partition(": ")[2] for each in skipped}))


def _value(value: object) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else layout.jsonnable(value)
    return text if text.isprintable() else ascii(text)


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
