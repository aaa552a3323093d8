"""A finished trial once more, into a fresh directory, and the verdict: whether the same came out, and if not, why."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from resweep import layout
from resweep.errors import TrialError
from resweep.index import Entry
from resweep.launcher import attempt, checks, claims, places, storage, trial_state
from resweep.launcher.places import Place
from resweep.launcher.storage import AttemptError, Record
from resweep.layout import SweepPaths
from resweep.proof import environment_changes, verdict, verify
from resweep.proof.archive.contents import NAME as ARCHIVE_LIST
from resweep.proof.compare import Output, Rules, compare
from resweep.proof.environment_changes import Run
from resweep.proof.verdict import Judged, Verdict, Word
from resweep.results import clean, trial_rows
from resweep.run import gpus
from resweep.sweep.definition import Sweep


@dataclass(frozen=True)
class Options:
    """What a person asked for: where to, and what to pass over."""

    into: Path | None = None
    unverified: bool = False
    allow_changed_data: bool = False


def ready(paths: SweepPaths, entry: Entry, options: Options) -> list[str]:
    """What differs in the capsule of a trial that is to run again, if that is allowed; else a TrialError.

    The trial must have finished, and its capsule be what was written.
    """
    place = paths.place(entry.name)
    state, record = trial_state.state(place)
    if state != "finished":
        raise TrialError(
            f"{place.label}: {state}, expected a trial that has finished: there is nothing to compare with"
        )
    if not os.path.isdir(trial_rows.output(place, record)):
        raise TrialError(f"{place.label}: has finished, but its output is gone: there is nothing to compare with")
    found = verify.capsule(Path(place.capsule), verify.Cache())
    shown = [
        f"{each.path or 'the whole trial'} {each.kind}" + f" ({each.detail})" * bool(each.detail) for each in found
    ]
    if shown and not options.unverified:
        more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
        raise TrialError(
            f"{place.label}: is not what was written: {', '.join(shown[:3])}{more}; nothing was started. "
            "`resweep verify` names everything; --unverified runs it all the same"
        )
    return shown


def prepare(paths: SweepPaths, entry: Entry, options: Options) -> Path:
    """Make the directory that the trial runs in: a fresh one beside its attempts, or the one that was asked for."""
    place = paths.place(entry.name)
    if options.into is None:
        home = Path(place.output + layout.REPRODUCED_SUFFIX)
        home.mkdir(parents=True, exist_ok=True)
        number = max((int(path.name) for path in home.iterdir() if path.name.isdigit()), default=0)
        while True:
            number += 1
            try:
                (home / str(number)).mkdir()
                return home / str(number)
            except FileExistsError:
                continue
    for taken in (str(paths.generated), place.output, place.attempts):
        if storage.inside(str(options.into), taken):
            raise TrialError(f"{options.into}: lies in {taken}, which stays as it is; name another directory")
    try:
        return Path(storage.fresh(place.capsule, "", str(options.into)))
    except AttemptError as error:
        raise TrialError(str(error)) from None


def reproduce(
    paths: SweepPaths, entry: Entry, asked: Sweep, directory: Path, options: Options, unverified: Sequence[str] = ()
) -> Verdict:
    """Run a finished trial again in `directory`, compare, and write the verdict there.

    A TrialError, and no directory, when it cannot be started: data that changed, no card that is free.
    """
    place = paths.place(entry.name)
    before = trial_state.state(place)[1]
    try:
        with _surroundings(asked, options):
            manifest = places.read_manifest(place.capsule)
            checks.check(place.capsule, manifest, str(directory))
            fed = checks.check_trial(place, manifest)
            fed |= checks.check_data(place, _fingerprints(paths, place, before))
            with _cards(asked, before) as cards:
                record = {**claims.new_record(manifest, 1), **fed, "gpus": cards}
                record = attempt.execute(place.capsule, manifest, str(directory), record, checks.data_root(place))
    except (AttemptError, TrialError) as error:
        _remove(directory)
        raise TrialError(str(error)) from None
    attempts = (Path(place.attempt(before.get("attempt", 1))), directory)
    runs = before, record
    elsewhere, altered = (
        sorted({each for run in runs for each in run.get(key) or ()}) for key in ("leaked", "trial_changed")
    )
    found = _judged(paths, entry, asked, attempts, runs, list(unverified))
    found = replace(found, leaked=elsewhere, altered=altered)
    if (elsewhere or altered) and found.word in ("identical", "within the spread"):
        found = replace(found, word="not proven")
    part = directory / f".{layout.VERDICT}.part"
    part.write_text(layout.pretty(verdict.as_table(paths, entry, found)) + "\n", "utf-8")
    part.replace(directory / layout.VERDICT)
    return found


def _remove(directory: Path) -> None:
    """Take back a directory in which nothing was started."""
    for path in (directory / "bin" / "python", directory / "bin", directory):
        try:
            path.unlink() if path.is_file() else path.rmdir()
        except OSError:
            continue


@contextmanager
def _surroundings(asked: Sweep, options: Options) -> Iterator[None]:
    """While it is open, the launcher finds in the environment what was asked for."""
    changes = {checks.ALLOW_CHANGED_DATA: "1"} if options.allow_changed_data else {}
    if options.unverified:
        changes[checks.ALLOW_CHANGED_TRIALS] = "1"
    if asked.gpus == 0:
        changes[gpus.VISIBLE] = ""
    old = {name: os.environ.get(name) for name in (*changes, gpus.VISIBLE, "CUDA_DEVICE_ORDER")}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in old.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _cards(asked: Sweep, before: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """While it is open, as many cards are ours as the trial had, and pinned; as a record holds them."""
    count = len(before.get("gpus") or ())
    if not count or not gpus.cards():
        yield []
        return
    pool = gpus.Pool(asked.gpus if asked.gpus and count == 1 else count)
    taken = pool.take()
    if taken is None:
        raise TrialError(f"the trial had {count} GPUs, and so many are not free here; run it again when they are")
    os.environ.update(gpus.environment(taken))
    try:
        yield gpus.described(taken)
    finally:
        pool.give_back(taken, os.getpid())


def _fingerprints(paths: SweepPaths, place: Place, before: Mapping[str, Any]) -> str | None:
    """The fingerprints that the trial's data was checked against when it ran; those of its capsule if it was not."""
    known = [Path(place.capsule), *paths.generations.glob("*")]
    for folder in known:
        file = folder / layout.FINGERPRINTS
        if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == before.get("data"):
            return str(file)
    own = Path(place.capsule, layout.FINGERPRINTS)
    return str(own) if own.is_file() else None


def _judged(
    paths: SweepPaths,
    entry: Entry,
    asked: Sweep,
    attempts: tuple[Path, Path],
    records: tuple[Record, Record],
    unverified: list[str],
) -> Verdict:
    place = paths.place(entry.name)
    changes = environment_changes.changes(*(_run(place, *each) for each in zip(attempts, records, strict=True)))
    record, directory = records[1], attempts[1]
    if record["state"] != "finished":
        said = trial_state.outcome(record, str(directory / places.LOG))
        return Verdict("not compared", directory, record, changes=changes, unverified=unverified, reason=said)
    outputs = (_first(paths, place, records[0], attempts[0], asked), _second(directory))
    found = compare(*outputs, Rules.of(asked.results))
    word: Word = "identical" if found.same else "different"
    held = Judged()
    reason = ""
    if not found.of("same", "changed", "missing", "new"):
        word, reason = "not compared", "the trial's output has no file that is compared"
    elif not found.same:
        held = verdict.judged(paths, entry, outputs, asked.results)
        reason = held.reason
        if not reason:
            word = "within the spread"
    return Verdict(word, directory, record, found, held, changes, unverified, reason)


def _run(place: Place, directory: Path, record: Record) -> Run:
    def reader(folder: Path) -> environment_changes.Read:
        return lambda name: (folder / name).read_bytes() if (folder / name).is_file() else None

    return environment_changes.run(reader(Path(place.capsule)), reader(directory), record)


def _first(paths: SweepPaths, place: Place, record: Record, directory: Path, asked: Sweep) -> Output:
    """What the trial wrote, as far as it is still there: weights may have been cleaned, or not been packed."""
    packed = storage.read_json(str(paths.root / ARCHIVE_LIST)).get("outputs")
    kept = clean.KEPT if packed in ("metrics", "none") else None
    own = _own(directory)
    return Output(Path(trial_rows.output(place, record)), own, kept, asked.results.weights)


def _second(directory: Path) -> Output:
    return Output(directory / places.OUTPUT, _own(directory))


def _own(directory: Path) -> tuple[str, ...]:
    """The paths by which a run knew its output, as the TOML says that it was given; the longest first."""
    import tomllib

    found = {str(directory / places.OUTPUT), str(directory)}
    for path in directory.glob("*.toml"):
        try:
            output = tomllib.loads(path.read_text("utf-8"))["serialization_dir"]
            found |= {str(output), os.path.dirname(output)}
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return tuple(sorted(found - {"", "/"}, key=len, reverse=True))
