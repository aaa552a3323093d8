"""A point -> its capsules, made of what the sweep's last generation froze, whatever the working tree has become."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

from resweep import index, layout
from resweep.errors import TrialError
from resweep.generation import capsule, fill, plan, snapshot
from resweep.generation.capsule import Shared
from resweep.generation.fill import Definition, Wanted
from resweep.generation.template import Template
from resweep.index import Entry, Index
from resweep.layout import SweepPaths
from resweep.search import journal
from resweep.search.prepared import Prepared
from resweep.space import expand
from resweep.space.expand import Point
from resweep.sweep.definition import Sweep


class Maker:
    """Fills, names and writes trials of a search, and lists them. Who writes or lists holds the search's lock."""

    def __init__(self, paths: SweepPaths, asked: Sweep) -> None:
        self.paths = paths
        self.generation = index.generation(paths)
        folder = paths.generations / str(self.generation)
        self._record = record(paths, self.generation)
        self._template = _prepared(asked, fill.template(paths.root, asked, folder / self._record["base"]))
        source = snapshot.stored(paths.snapshots, self._record["snapshot"])
        train = (folder / layout.TRAIN).read_bytes()
        self._frozen = Definition(asked, self._template, source, train, self._record)
        files = {name: folder / name for name in (layout.TRAIN, layout.RERUN, layout.PROVENANCE)}
        if (folder / layout.FINGERPRINTS).exists():
            files[layout.FINGERPRINTS] = folder / layout.FINGERPRINTS
        found = json.loads((folder / layout.PROVENANCE).read_text("utf-8"))["environment"]
        if found:
            files[layout.ENVIRONMENT] = paths.environments / f"{found}.json"
        self._shared = Shared(source, source.tree, files, asked.run_options)
        self.list = Listing(paths)

    @property
    def study(self) -> int:
        """The generation in which the search began."""
        return journal.of_search(self._record)

    def identify(self, point: Point) -> list[Wanted]:
        """The trials of a point, one for each repeat."""
        asked = self._frozen.sweep
        return fill.identify(self._frozen, fill.fill(asked, self._frozen.template, [point]))

    def close(self) -> None:
        """End what waits for further points."""
        self._template.close()

    def write(self, wanted: list[Wanted]) -> list[Entry]:
        """Write the capsules that are not there, and list the trials; gives them with their numbers."""
        missing = [each for each in wanted if not os.path.isdir(self.paths.capsule(each.entry.name))]
        if missing:
            with capsule.Writer(self.paths.directory, self._shared) as writer:
                for each in missing:
                    writer.write(plan.content(self.paths, each))
                writer.commit(last=False)  # were it gone after a crash, the journal would have it written again
        return self.list.add([replace(each.entry, generation=self.generation) for each in wanted])


def _prepared(asked: Sweep, template: Template) -> Prepared:
    """The template, ready for the arguments that points of the sweep give it."""
    seeds = fill.free_seed_params(asked)
    configs = [fill.configuration(asked, point) for point in expand.probes(asked)]
    inputs = [fill.arguments(config, seeds, 0) for config in configs]
    optional = [name for name in seeds if any(name in given for given, _ in inputs)]
    return Prepared(template, [given for given, _ in inputs], optional, [given for _, given in inputs])


class Listing:
    """The sweep's index as this process knows it: what others have added since the last look is read, and no more."""

    def __init__(self, paths: SweepPaths) -> None:
        self._paths = paths
        self._file: tuple[int, int] = (0, 0)
        self._end = 0
        self._known = Index(paths.name)
        self.entries: dict[layout.TrialName, Entry] = {}
        self.refresh()

    @property
    def generation(self) -> int:
        """The generation that wrote the list last."""
        return self._known.generation

    def refresh(self) -> None:
        """Read what others have added."""
        with open(self._paths.index, "rb") as file:
            now = os.fstat(file.fileno())
            if self._file != (now.st_dev, now.st_ino) or now.st_size < self._end:
                self._file, self._end = (now.st_dev, now.st_ino), 0
            if now.st_size == self._end:
                return
            file.seek(self._end)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        if self._end == 0:
            self._known = index.parse(self._paths, whole.decode())
            self.entries = {entry.name: entry for entry in self._known.entries}
            self._last = self._known.last
        else:
            for line in whole.splitlines():
                self._note(Entry(**json.loads(line)))
        self._end += len(whole)

    def add(self, wanted: list[Entry]) -> list[Entry]:
        """Append those that are not listed; one that was an orphan is back. The caller holds the search's lock."""
        self.refresh()
        if any(not known.current for each in wanted if (known := self.entries.get(each.name))):
            self._bring_back({each.name for each in wanted})
        found, lines = [], []
        for each in wanted:
            known = self.entries.get(each.name)
            if known is None:
                known = replace(each, number=self._last + 1)
                self._note(known)
                lines.append(index.line(known))
            found.append(known)
        if lines:
            data = "".join(lines).encode()
            with open(self._paths.index, "r+b") as file:
                file.truncate(self._end)  # what a worker that was killed wrote of a line
                file.seek(self._end)
                file.write(data)
            self._end += len(data)
        return found

    def _bring_back(self, names: set[layout.TrialName]) -> None:
        """Write the list anew, with these orphans among its trials."""
        entries = [replace(e, current=e.current or e.name in names) for e in self.entries.values()]
        text = Index(self._paths.name, self._known.generation, tuple(entries), self._last).text()
        part = self._paths.index.with_name(f".{self._paths.index.name}.{os.getpid()}.part")
        part.write_text(text, "utf-8")
        os.replace(part, self._paths.index)
        self.refresh()

    def _note(self, entry: Entry) -> None:
        self.entries[entry.name] = entry
        self._last = max(self._last, entry.number)

    _last = 0


def record(paths: SweepPaths, number: int) -> dict[str, Any]:
    """What a generation of the sweep noted of itself."""
    path = paths.generations / str(number) / layout.GENERATION
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TrialError(f"{path}: cannot be read ({error}); generate the sweep again") from None
    return found
