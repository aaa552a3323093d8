"""What is new, kept and orphaned, and why; writes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from resweep import index, layout
from resweep.errors import SourceChangedError, counted
from resweep.generation import capsule, changes, fill, snapshot
from resweep.generation.fill import Definition, Wanted
from resweep.index import Entry, Index
from resweep.launcher import fingerprints, storage, trial_state
from resweep.layout import SweepPaths
from resweep.sweep.search_table import Search

SourceChange = Literal["ask", "new-source", "keep-finished"]
# about how many bytes, beside what can be known beforehand
_REST_OF_MANIFEST = 700
_INDEX_LINE = 500
_PROVENANCE = 3000
_ENVIRONMENT = 20_000
_EXAMPLES = 100  # new trials whose files are measured
BLOCK = 4096  # bytes that most file systems give a file at least, and a directory


@dataclass(frozen=True)
class Plan:
    """What a generation does, or, in a dry run, would do."""

    paths: SweepPaths
    new: list[Entry]
    kept: list[Entry]
    orphaned: list[Entry]
    why: list[str]
    notes: list[str]
    files: int  # that the disk's quota counts: files and directories
    bytes: int  # of their blocks
    entries: list[Entry] = field(repr=False)  # new and kept, in the order of the grid
    search: Search = field(repr=False)
    study: int = 0  # the generation in which began what Optuna's study compares, and that goes on; 0: this one
    wanted: list[Wanted] = field(default_factory=list, repr=False)  # the new ones, with what is to be written of them
    old: Index = field(default_factory=lambda: Index(""), repr=False)  # as it was
    written: list[Path] = field(default_factory=list)  # beside the capsules

    def __repr__(self) -> str:
        """A short line, for a notebook."""
        new, kept, orphaned = (len(trials) for trials in (self.new, self.kept, self.orphaned))
        if self.search.learns:
            asked = counted(self.search.n, "point")
            return f"<{self.paths.name}: a search of {asked}, {counted(kept, 'trial')} kept, {orphaned} orphaned>"
        return f"<{self.paths.name}: {new} new, {kept} kept, {orphaned} orphaned>"


def plan(
    paths: SweepPaths, choice: SourceChange, frozen: Definition, wanted: list[Wanted], doubts: Sequence[str] = ()
) -> Plan:
    """Compare what is wanted with what is there. Raises SourceChangedError where a person has to choose first."""
    old = index.read(paths)
    last = last_generation(paths, old)
    changed = _source_changes(paths, frozen, last)
    known = {entry.name: entry for entry in old.entries}
    study = 0
    if frozen.sweep.search.learns:
        final, study, notes = _settle_search(paths, choice, frozen, old, changed)
    else:
        final, notes = _settle_source(paths, choice, [each.entry for each in wanted], old, changed)
        study = last["study"] if last and _comparable(last, frozen.record) else 0
    new, kept, entries = [], [], []
    home = str(paths.directory)
    for entry in final:
        folder = os.path.join(home, entry.id, str(entry.trial))
        if not os.path.isdir(folder):
            new.append(entry)
        else:
            listed = known.get(entry.name)
            if listed is not None and listed.digest == entry.digest:
                entry = listed.again(entry.swept)
            else:
                capsule.check_digest(Path(folder), entry.digest)
            kept.append(entry)
        entries.append(entry)
    names = {entry.name for entry in entries}
    orphaned = [entry for entry in old.current() if entry.name not in names]
    searched = last is not None and last.get("search") != frozen.record.get("search")
    explained = changes.changes(last, frozen.record, changed) if last and (new or orphaned or searched) else []
    notes = [*notes, *_pruned_otherwise(paths, kept, last, frozen)]
    explained += _data_changes(paths, old, last, frozen)
    notes = [*frozen.snapshot.warnings, *doubts, *fill.doubts(frozen), *notes, *_running(paths, orphaned)]
    asked = {entry.name for entry in new}
    written = [each for each in wanted if each.entry.name in asked]
    files, size = _cost(paths, frozen, written)
    search = frozen.sweep.search
    return Plan(paths, new, kept, orphaned, explained, notes, files, size, entries, search, study, written, old)


def _running(paths: SweepPaths, orphaned: list[Entry]) -> list[str]:
    """A note on trials that are no longer in the sweep and run all the same."""
    running = [e for e in orphaned if trial_state.state(paths.place(e.name))[0] == "running"]
    if not running:
        return []
    names = changes.some([f"#{entry.number}" for entry in running])
    return [f"no longer in the sweep, and running: {names}; `resweep stop {paths.name}` ends them"]


def last_generation(paths: SweepPaths, old: Index) -> dict[str, Any] | None:
    """The record of the generation that listed the trials last; None before the first."""
    try:
        text = (paths.generations / str(old.generation) / layout.GENERATION).read_text("utf-8")
    except FileNotFoundError:
        return None
    record: dict[str, Any] = json.loads(text)
    return record


def _source_changes(paths: SweepPaths, frozen: Definition, last: dict[str, Any] | None) -> list[str]:
    """The source files that differ from the last generation's, train.sh among them, by name."""
    if last is None:
        return []
    changes = [layout.TRAIN] if last["train"] != frozen.record["train"] else []
    if last["snapshot"] != frozen.snapshot.digest:
        before = snapshot.stored_files(paths.snapshots, last["snapshot"])
        now = {file.path: file.sha256 for file in frozen.snapshot.files}
        for path in sorted(before.keys() | now.keys()):
            if before.get(path) != now.get(path):
                changes.append(path + (" (new)" if path not in before else " (gone)" if path not in now else ""))
        changes = changes or ["the mode of a file"]
    return changes


def _settle_source(
    paths: SweepPaths, choice: SourceChange, wanted: list[Entry], old: Index, changed: list[str]
) -> tuple[list[Entry], list[str]]:
    """Decide what happens to finished trials of the same points that ran another source.

    Raises SourceChangedError when the source has changed since the last generation and the person has not chosen;
    an earlier choice to keep them holds until the source changes again.
    """
    names = {w.name for w in wanted}
    same = {(e.point, e.trial): e for e in old.current() if e.name not in names}
    replaced = {w.name: same[w.point, w.trial] for w in wanted if (w.point, w.trial) in same}
    earlier = {name: e for name, e in replaced.items() if _is_over(paths, e)}
    if not earlier:
        return wanted, [
            f"source changed: {changes.some(changed)}; the trials that it replaces had not finished"
        ] if changed and replaced else []
    if choice == "new-source":
        return wanted, [f"{_ended(paths, earlier.values())} of an earlier source: left in place, and run again"]
    if choice == "keep-finished" or not changed:
        kept = [earlier.get(w.name, w) for w in wanted]
        return kept, [f"{_ended(paths, earlier.values())} of an earlier source: kept"]
    raise _source_changed(paths, changed, earlier.values(), "runs them again", "keeps them and runs the others with it")


def _source_changed(
    paths: SweepPaths, changed: list[str], ended: Collection[Entry], again: str, keep: str
) -> SourceChangedError:
    pruned = len(ended) - _finished(paths, ended)
    many = f"{len(ended):,} of them" + (f", {pruned:,} stopped early" if pruned else "")
    return SourceChangedError(
        f"{paths.name}: the source changed ({changes.some(changed)}), and trials of the same points have finished "
        f"with the old one ({many}); nothing was written. Choose: --new-source {again} with the "
        f"new source, --keep-finished {keep}"
    )


def _is_over(paths: SweepPaths, entry: Entry) -> bool:
    """Whether a trial has finished, or was stopped early: it is not run again, and its result counts."""
    place = paths.place(entry.name)
    return place.finished() or trial_state.state(place)[0] == "pruned"


def _ended(paths: SweepPaths, over: Collection[Entry]) -> str:
    """Those trials in words."""
    finished = _finished(paths, over)
    pruned = len(over) - finished
    if finished and pruned:
        return f"{finished} finished and {counted(pruned, 'pruned trial')}"
    return counted(pruned, "pruned trial") if pruned else counted(finished, "finished trial")


def _finished(paths: SweepPaths, entries: Iterable[Entry]) -> int:
    return sum(paths.place(entry.name).finished() for entry in entries)


# what makes a search another one, whose results say nothing of this one's
_PROBLEM = ("hyper", "settings", "base", "sources")


def _settle_search(
    paths: SweepPaths, choice: SourceChange, frozen: Definition, old: Index, changed: list[str]
) -> tuple[list[Entry], int, list[str]]:
    """The trials of the search that goes on, the generation in which it began, and notes; 0 where another one begins.

    Raises SourceChangedError as for a grid.
    """
    last = last_generation(paths, old)
    current = [entry for entry in old.current() if paths.capsule(entry.name).is_dir()]
    if last is None or not _same_problem(last, frozen.record):
        note = (
            f"another search begins, without the last one's ({counted(len(current), 'trial')}); where it asks for one "
            f"that has finished, that is not run again; "
            f'[search] start_from = ["{paths.name}"] lets it learn from them'
        )
        return [], 0, [note] * bool(current)
    source = layout.digest([frozen.snapshot.digest, frozen.record["train"]])
    over = [entry for entry in current if _is_over(paths, entry)]
    # with their other repeats, and what runs: a point is measured by one source
    begun = {e.id for e in current if _is_over(paths, e) or trial_state.state(paths.place(e.name))[0] == "running"}
    earlier = [entry for entry in over if entry.source != source]
    if not changed and not (earlier and choice == "new-source"):
        note = f"{_ended(paths, earlier)} of an earlier source: kept"
        return current, last["study"], [note] * bool(earlier)
    if not over:
        note = f"source changed: {changes.some(changed)}; the trials that ran it had not finished"
        return [], 0, [note] * bool(current)
    if choice == "new-source":
        return [], 0, [f"{_ended(paths, over)} of an earlier source: left in place"]
    if choice == "keep-finished":
        kept = [entry for entry in current if entry.id in begun]
        more = f", with {len(kept) - len(over)} more of their points" if len(kept) > len(over) else ""
        return kept, last["study"], [f"{_ended(paths, over)} of an earlier source: kept{more}"]
    raise _source_changed(paths, changed, over, "begins anew", "goes on from them")


# what makes the curves of a grid's trials others, by which none of now can be judged
_TRAINING = ("base", "sources", "snapshot", "train", "data")


def _comparable(last: dict[str, Any], record: dict[str, Any]) -> bool:
    """Whether trials of two generations of a grid measure the same as they run."""
    were, are = ({**each["settings"], "n_trials": None} for each in (last, record))
    return "study" in last and were == are and all(last.get(key) == record[key] for key in _TRAINING)


def _same_problem(last: dict[str, Any], record: dict[str, Any]) -> bool:
    ranked = [(each.get("search", {}).get("metric"), each.get("search", {}).get("mode")) for each in (last, record)]
    return "study" in last and ranked[0] == ranked[1] and all(last.get(key) == record[key] for key in _PROBLEM)


def _pruned_otherwise(
    paths: SweepPaths, kept: Iterable[Entry], last: dict[str, Any] | None, frozen: Definition
) -> list[str]:
    """A note on trials that another rule stopped early."""
    rules = [each.get("search", {}).get("stop") for each in (last or {}, frozen.record)]
    if last is None or rules[0] == rules[1] or rules[0] is None:
        return []
    pruned = sum(trial_state.state(paths.place(entry.name))[0] == "pruned" for entry in kept)
    if not pruned:
        return []
    again = f"`resweep run {paths.name} --state pruned` trains them to their end"
    return [f"{counted(pruned, 'trial')} stopped early by [search.stop] as it was: left as they are; {again}"]


def _data_changes(paths: SweepPaths, old: Index, last: dict[str, Any] | None, frozen: Definition) -> list[str]:
    """Whether the data is another than the last generation's, by name: the ids do not tell."""
    if last is None or last.get("data") == frozen.record["data"]:
        return []
    before = storage.read_json(str(paths.generations / str(old.generation) / layout.FINGERPRINTS))
    changed = changes.some([str(change) for change in fingerprints.differences(before, frozen.data)])
    finished = _finished(paths, old.current())
    ran = f"; finished with the data as it was: {counted(finished, 'trial')}" if finished else ""
    return [f"data changed: {changed or '[data] files'}{ran}"]


def content(paths: SweepPaths, wanted: Wanted) -> capsule.Content:
    """What is to be written of a trial."""
    return capsule.Content(
        name=wanted.entry.name,
        digest=wanted.entry.digest,
        toml=capsule.toml_bytes(wanted.config, paths.name, wanted.entry.name),
        json=capsule.json_bytes(wanted.filled),
        seed=wanted.seed,
        threads=wanted.threads,
    )


class _Room:
    """What files and directories take on a disk, in whole blocks: what a quota counts."""

    def __init__(self) -> None:
        self.count = 0
        self.bytes = 0

    def files(self, *sizes: int) -> None:
        """Files of so many bytes each."""
        self.count += len(sizes)
        self.bytes += sum(-(-size // BLOCK) * BLOCK for size in sizes)

    def repeat(self, times: float) -> None:
        """What was counted so far, so many times."""
        self.count, self.bytes = round(self.count * times), round(self.bytes * times)

    def folders(self, count: int) -> None:
        """So many directories, of a block each."""
        self.count += count
        self.bytes += count * BLOCK


def _cost(paths: SweepPaths, frozen: Definition, wanted: list[Wanted]) -> tuple[int, int]:
    """How many files and directories this generation takes, and about how many bytes on the disk; links cost neither.

    Files that it writes anew count with what they grow by. The first hundred new trials stand for those that follow.
    """
    room = _Room()
    if not wanted:
        return 0, 0
    source = frozen.snapshot
    folders = _folders(file.path for file in source.files)
    manifest = len(layout.pretty({"snapshot": source.listing()})) + _REST_OF_MANIFEST
    for each in wanted[:_EXAMPLES]:
        written = content(paths, each)
        room.files(len(written.toml), len(written.json), manifest)
    room.repeat(len(wanted) / len(wanted[:_EXAMPLES]))
    room.folders((1 + folders) * len(wanted))
    home = str(paths.directory)
    room.folders(sum(not os.path.isdir(os.path.join(home, id_)) for id_ in {each.entry.id for each in wanted}))
    if not (paths.snapshots / source.digest).is_dir():
        room.files(*(file.size for file in source.files), manifest)
        room.folders(folders + 2)
    frozen_files = fill.sources(frozen.template)
    rerun = len(capsule.rerun_bytes())
    record = len(json.dumps(frozen.record, indent=2))
    room.files(record, len(frozen.sweep.text), len(frozen.train), rerun, _PROVENANCE)
    room.files(*map(len, frozen_files.values()))
    room.folders(1 + _folders(f"{fill.BASE}/{name}" for name in frozen_files))
    beside = {paths.lock, paths.snapshots, paths.environments, paths.generations}
    if not paths.environments.is_dir():  # whether the same is stored already is known when it has been captured
        room.files(_ENVIRONMENT)
    if frozen.fingerprints is not None:
        beside.add(paths.data_cache)
        room.files(len(frozen.fingerprints))
    beside |= {folder for path in {*beside, *paths.replaced} for folder in path.parents}
    room.folders(sum(not path.exists() for path in beside))
    lines = len(wanted) * _INDEX_LINE
    for path in paths.replaced:
        if not path.exists():
            room.files(rerun if path == paths.launcher else lines)
    return room.count, room.bytes


def _folders(paths: Iterable[str]) -> int:
    """How many folders hold the files at relative `paths`."""
    return len({str(parent) for path in paths for parent in Path(path).parents} - {"."})
