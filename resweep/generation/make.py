"""The writing of a sweep: calls the other modules of this package in order.

Nothing is written before everything is known to be right; what is written appears at once, at the end.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from resweep import index, layout, lock
from resweep.errors import ConfigError, disk_errors
from resweep.generation import capsule, fill, job_script, provenance, snapshot
from resweep.generation.build import Build
from resweep.generation.fill import Definition
from resweep.generation.plan import Plan, SourceChange, content, last_generation, plan
from resweep.generation.provenance import Capture
from resweep.generation.snapshot import Frozen
from resweep.generation.template import Template
from resweep.index import Index, described
from resweep.launcher import bundle
from resweep.launcher.fingerprints import Cache
from resweep.layout import SweepPaths
from resweep.project import find_python, find_root
from resweep.results import of_2020
from resweep.space import expand, optuna_backend
from resweep.space.expand import Space
from resweep.space.optuna_space import Choices
from resweep.sweep import definition, slurm_table
from resweep.sweep.definition import Sweep

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Request:
    """What a person asked for: the words of one `generate`. `config` is the sweep's file, or the sweep itself."""

    config: Path | Sweep
    base: Path
    name: str
    overrides: tuple[str, ...] = ()
    source_change: SourceChange = "ask"
    way: job_script.Way = "auto"
    many: bool = False  # so many trials as there are, are meant
    source: Path | None = None  # a capsule whose source and train.sh are taken, in place of the project's
    root: Path | None = None  # a directory of the project; by default the current one


def generate(request: Request, dry_run: bool = False, progress: Progress = lambda *_: None) -> Plan:
    """Generate a sweep: work out what is new, and unless `dry_run` write it.

    Raises a ResweepError for every mistake a person can make, and has written nothing then.
    """
    layout.check_name(request.name)
    paths = SweepPaths(find_root(Path(request.root or Path.cwd()).absolute()), request.name)
    if of_2020.is_sweep(paths):
        raise ConfigError(
            f"NAME: found {request.name!r}, whose trials in {paths.directory.relative_to(paths.root)} the script of "
            "2020 has made, expected another name: a new sweep would hide those"
        )
    given = request.config
    asked = given if isinstance(given, Sweep) else definition.load(given, request.overrides)
    python = find_python(asked.python, asked.where, paths.root)
    optuna_backend.check(asked.where, asked.search)
    train = fill.read_train(request.source or paths.root)
    with ExitStack() as stack:
        stack.enter_context(disk_errors(paths.root))
        # three processes of their own, each slower than what happens here meanwhile
        points = stack.enter_context(Space(asked))
        build = Frozen(request.source) if request.source else Build(paths.root, asked.snapshot, python)
        stack.enter_context(build)
        capture = stack.enter_context(Capture(paths.root, python))
        template = fill.template(paths.root, asked, request.base)
        expand.check_keys(asked)
        every = list(points.points())
        if not (dry_run or request.many):
            _check_count(asked, len(every))
        progress("filling", 0, len(every))
        filled = fill.fill(asked, template, every)
        del every  # of a hundred thousand trials, what is not needed any more takes much memory
        if asked.search.learns:
            _try(asked, template)
            _check_origins(paths, asked)
        cache = Cache(str(paths.data_cache))
        listing = fill.read_data(paths.root, asked, cache)
        frozen = fill.freeze(paths, asked, template, build.snapshot(), train, listing)
        wanted = fill.identify(frozen, filled)
        if dry_run:
            points.confirm()
            return plan(paths, request.source_change, frozen, wanted, points.doubts())
        with lock.locked(paths):
            planned = plan(paths, request.source_change, frozen, wanted, points.doubts())
            del filled, wanted
            cache.save()
            return _write(planned, request, frozen, capture, points.confirm, progress)


def _check_count(asked: Sweep, points: int) -> None:
    """Refuse more trials than anybody may have meant, before the work for them begins."""
    count = (asked.search.n if asked.search.learns else points) * asked.n_trials
    if count > expand.MANY:
        raise ConfigError(
            f"{asked.where}: found {count:,} trials, expected at most {expand.MANY:,}; --yes, if that is meant"
        )


def _try(asked: Sweep, template: Template) -> None:
    """Find now what a worker would stumble over: a template that refuses its parameters, a default out of range."""
    fill.fill(asked, template, expand.probes(asked))
    found = Choices(asked.hyper, expand.default(asked))
    if asked.hyper.include_default and found.params(expand.default(asked)) is None:
        raise ConfigError(
            f"{asked.where}: hyper.include_default: the values of the file ({described(expand.default(asked))}) are "
            "not among what is searched; widen the ranges and lists, or take it out"
        )


def _check_origins(paths: SweepPaths, asked: Sweep) -> None:
    """Refuse to begin with the trials of a sweep that there is not; those of this one may yet come."""
    for name in asked.search.start_from:
        if name != paths.name and not SweepPaths(paths.root, name).directory.is_dir():
            raise ConfigError(f"{asked.where}: search.start_from: found {name!r}, which is no sweep of this project")


def _write(
    planned: Plan,
    request: Request,
    frozen: Definition,
    capture: Capture,
    confirm: Callable[[], None],
    progress: Progress,
) -> Plan:
    """Write everything that is new: capsules first, what refers to them last. `confirm` may still stop it."""
    paths, old = planned.paths, planned.old
    changed = planned.new or planned.orphaned or not frozen.same_as(last_generation(paths, old))
    updated = index.updated(old, old.generation + 1 if changed else old.generation, planned.entries)
    found = capture.environment() if changed else None
    with ExitStack() as undo:
        staged = lock.stage(undo, _texts(paths, request, frozen, updated), executable=[paths.jobs])
        if changed:
            origin = provenance.provenance(paths.root, found, frozen.fingerprints)
            folder = _write_generation(undo, planned, frozen, updated.generation, origin)
            shared = _shared(undo, planned, frozen, folder, found)
            _write_capsules(planned, shared, confirm, progress)
            if frozen.sweep.search.learns:
                paths.study.parent.mkdir(exist_ok=True)
        else:
            confirm()
        undo.pop_all()
    for final, part in staged.items():
        os.replace(part, final)
    return replace(planned, written=list(staged))


def _texts(paths: SweepPaths, request: Request, frozen: Definition, updated: Index) -> dict[Path, str]:
    """The files beside the capsules."""
    asked, current = frozen.sweep, updated.current()
    slurm = {key: current[0].swept.get(key) for key in asked.hyper.keys if key.startswith("slurm.")}
    needs = [key for key in index.varying(current) if key in slurm] if slurm else []
    one_value = {k.partition(".")[2]: value for k, value in slurm.items() if k not in needs and value is not None}
    wanted, _ = slurm_table.resolve(asked.slurm, one_value, threads=asked.threads)
    needs += ["[slurm] setup"] if wanted.setup else []
    needs += ["[search.stop]"] if asked.search.stop else []
    options = {
        "format": layout.FORMAT,
        "on_retry": "resume" if asked.resume else "clean",
        "data": updated.generation if frozen.data else None,
        **({"grace": asked.grace} if asked.grace else {}),
        **asked.run_options,
    }
    script = job_script.script(paths.name, current, wanted, needs, request.way, asked.python, asked.search.learns)
    return {
        paths.launcher: bundle.text(),
        paths.run_options: layout.pretty(options) + "\n",
        paths.index: updated.text(),
        paths.jobs: script,
    }


def _write_generation(
    undo: ExitStack, planned: Plan, frozen: Definition, number: int, provenance: dict[str, Any]
) -> Path:
    """Freeze the definition as generation `number`; the snapshot goes to the store."""
    paths = planned.paths
    if not (paths.snapshots / frozen.snapshot.digest).is_dir():
        undo.callback(shutil.rmtree, paths.snapshots / frozen.snapshot.digest, ignore_errors=True)
    snapshot.store(frozen.snapshot, paths.snapshots)
    paths.generations.mkdir(exist_ok=True)
    final = paths.generations / str(number)
    if final.exists():  # of a run that was killed before its index: nothing refers to it
        shutil.rmtree(final)
    temporary = Path(tempfile.mkdtemp(prefix=lock.TEMPORARY, dir=paths.generations))
    undo.callback(shutil.rmtree, temporary, ignore_errors=True)
    counts = {"new": len(planned.new), "kept": len(planned.kept), "orphaned": len(planned.orphaned), "why": planned.why}
    search = frozen.sweep.search
    study = {"study": planned.study or number} if search.learns or search.stop else {}
    files = {
        layout.GENERATION: _json(layout.sealed({**frozen.record, **study, "generation": number, "plan": counts})),
        layout.DEFINITION: frozen.sweep.text.encode(),
        layout.PROVENANCE: _json(layout.sealed(provenance)),
        layout.TRAIN: frozen.train,
        layout.RERUN: capsule.rerun_bytes(),
        **({layout.FINGERPRINTS: frozen.fingerprints} if frozen.fingerprints else {}),
        **{f"{fill.BASE}/{name}": data for name, data in fill.sources(frozen.template).items()},
    }
    for name, data in files.items():
        (temporary / name).parent.mkdir(parents=True, exist_ok=True)
        snapshot.write_read_only(temporary / name, data, executable=name in (layout.TRAIN, layout.RERUN))
    temporary.chmod(0o755)
    undo.callback(shutil.rmtree, final, ignore_errors=True)
    temporary.rename(final)
    return final


def _shared(
    undo: ExitStack, planned: Plan, frozen: Definition, generation: Path, found: bytes | None
) -> capsule.Shared:
    """What the capsules of this generation share; the environment is stored once by its content."""
    paths = planned.paths
    files = {name: generation / name for name in (layout.TRAIN, layout.RERUN, layout.PROVENANCE)}
    if frozen.fingerprints is not None:
        files[layout.FINGERPRINTS] = generation / layout.FINGERPRINTS
    if found is not None:
        files[layout.ENVIRONMENT] = stored = paths.environments / f"{hashlib.sha256(found).hexdigest()}.json"
        if not stored.exists() or stored.read_bytes() != found:  # else another generation's, or one that was changed
            paths.environments.mkdir(exist_ok=True)
            part = stored.with_name(f"{lock.TEMPORARY}{stored.name}")
            part.unlink(missing_ok=True)
            undo.callback(part.unlink, missing_ok=True)
            snapshot.write_read_only(part, found)
            if not stored.exists():
                undo.callback(stored.unlink, missing_ok=True)
            os.replace(part, stored)
    source = paths.snapshots / frozen.snapshot.digest / "files"
    return capsule.Shared(frozen.snapshot, source, files, frozen.sweep.run_options)


def _write_capsules(planned: Plan, shared: capsule.Shared, confirm: Callable[[], None], progress: Progress) -> None:
    with capsule.Writer(planned.paths.directory, shared) as writer:
        for number, each in enumerate(planned.wanted, 1):
            writer.write(content(planned.paths, each))
            progress("writing", number, len(planned.wanted))
        confirm()
        writer.commit()


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=str) + "\n").encode()
