"""A sweep planned and written in this process, without a build, a capture of the environment or a command line."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import sklearn.model_selection  # noqa: F401  imported once: a space asks it in this process then

from resweep import index, layout, lock
from resweep.generation import capsule, fill, plan, snapshot
from resweep.generation.fill import Definition, Filled, Wanted
from resweep.generation.plan import Plan, SourceChange
from resweep.generation.snapshot import Snapshot, SourceFile
from resweep.generation.template import Template
from resweep.launcher import claims, places, storage
from resweep.launcher.fingerprints import Listing
from resweep.layout import SweepPaths
from resweep.space import expand
from resweep.sweep import definition

TEXT = '[hyper]\n"params.lr" = [0.1, 0.2]\n"params.dropout" = [0.3, 0.4]\n[params]\nlr = 0.5\n'
TEMPLATE = "function(lr, dropout=0.5, random_seed=1) { lr: lr, dropout: dropout, seed: random_seed }\n"
SOURCE = {"qb/__init__.py": "", "qb/main.py": "train()\n"}


class Sweep:
    """A sweep whose text, template, source, train.sh and data the test says."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = SweepPaths(root, "rnn")
        self.text = TEXT
        self.source = dict(SOURCE)
        self.executable: set[str] = set()
        self.train = b"train"
        self.listing: Listing | None = None
        self._cache: dict[tuple[str, str], tuple[Template, Sequence[Filled]]] = {}
        (root / "base.jsonnet").write_text(TEMPLATE)

    def frozen(self) -> tuple[Definition, list[Wanted]]:
        """What would be frozen now, and the trials that are asked for."""
        (self.root / "rnn.toml").write_text(self.text, "utf-8")
        asked = definition.load(self.root / "rnn.toml")
        template, filled = self._filled(asked)
        source = fill.freeze(self.paths, asked, template, self._snapshot(), self.train, self.listing)
        return source, fill.identify(source, filled)

    def _filled(self, asked: definition.Sweep) -> tuple[Template, Sequence[Filled]]:
        """The points of this text, filled; once for each text and template, since jsonnet takes a while to start."""
        key = (self.text, (self.root / "base.jsonnet").read_text())
        if key not in self._cache:
            template = fill.template(self.root, asked, self.root / "base.jsonnet")
            with expand.Space(asked) as grid:
                self._cache[key] = template, fill.fill(asked, template, list(grid.points()))
        return self._cache[key]

    def _snapshot(self) -> Snapshot:
        tree = self.root / "tree"
        files = []
        for name, text in sorted(self.source.items()):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(text)
            digest = hashlib.sha256(text.encode()).hexdigest()
            files.append(SourceFile(name, digest, len(text.encode()), name in self.executable))
        return Snapshot.of(tuple(files), tree)

    def plan(self, choice: SourceChange = "ask") -> Plan:
        """What a generation would do."""
        return plan.plan(self.paths, choice, *self.frozen())

    def write(self, choice: SourceChange = "ask") -> Plan:
        """Do it: capsules, index and the generation's record, as `generate` leaves them."""
        frozen, wanted = self.frozen()
        with lock.locked(self.paths):
            planned = plan.plan(self.paths, choice, frozen, wanted)
            old = index.read(self.paths)
            updated = index.updated(old, old.generation + 1, planned.entries)
            stored = snapshot.store(frozen.snapshot, self.paths.snapshots)
            folder = self.paths.generations / str(updated.generation)
            folder.mkdir(parents=True)
            study = {"study": planned.study or updated.generation}
            (folder / layout.GENERATION).write_text(json.dumps({**frozen.record, **study}))
            if frozen.fingerprints:
                (folder / layout.FINGERPRINTS).write_bytes(frozen.fingerprints)
            with capsule.Writer(self.paths.directory, capsule.Shared(frozen.snapshot, stored, {})) as writer:
                for each in planned.wanted:
                    writer.write(plan.content(self.paths, each))
                writer.commit()
            self.paths.index.write_text(updated.text(), "utf-8")
        return planned

    def end(self, number: int, state: str = "finished", **values: object) -> None:
        """Let a trial have ended so, in an attempt of its own."""
        entry = next(entry for entry in index.read(self.paths).entries if entry.number == number)
        place = self.paths.place(entry.name)
        manifest: Mapping[str, object] = places.read_manifest(place.capsule)
        record = {**claims.new_record(dict(manifest), place.last() + 1), "state": state, **values}
        folder = place.attempt(place.last() + 1)
        os.makedirs(folder)
        storage.write_json(os.path.join(folder, places.RECORD), record)
        claims.settle(place)

    def numbers(self) -> dict[str, int]:
        """The values of every current trial, and its number."""
        return {entry.described(): entry.number for entry in index.read(self.paths).current()}
