"""What differs in what surrounded two runs, and may explain that they differ: packages, hardware, threads, data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from resweep import layout
from resweep.launcher import fingerprints
from resweep.launcher.fingerprints import Listing

# of `machine` in an attempt's environment.json, as people say them; memory says little
_MACHINE = {
    "cpu": "CPU",
    "cores": "cores",
    "cores_usable": "usable cores",
    "machine": "processor family",
    "libc": "C library",
    "kernel": "kernel",
    "driver": "NVIDIA driver",
}
_PINNED = ("CUDA_VISIBLE_DEVICES",)  # which card of several says nothing; the record has its name

# a capsule's or attempt's file by name; None where it is not there
Read = Callable[[str], bytes | None]


@dataclass(frozen=True)
class Change:
    """Something that differs: of `packages`, `machine`, `threads`, `variables`, `data`, `source` or `run`."""

    section: str
    what: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Run:
    """What is known of one run: its record, its environment.json, that of its capsule, and its data's fingerprints."""

    record: Mapping[str, Any] = field(default_factory=dict)
    ran: Mapping[str, Any] = field(default_factory=dict)
    generated: Mapping[str, Any] = field(default_factory=dict)
    data: Listing | None = None

    @property
    def packages(self) -> dict[str, str | None] | None:
        """Version of each package that the run had, Python's among them; as generated where the run does not tell.

        None where neither says.
        """
        if not self.generated:
            return None
        found = {key: str(each["version"]) for key, each in self.generated["packages"].items()}
        found |= {key: str(self.generated["python"][field]) for key, field in _PYTHON.items()}
        found |= {f"conda {k}": f"{v['version']} {v['build']}" for k, v in (self.generated["conda"] or {}).items()}
        return {**found, **{change["what"]: change["after"] for change in self.ran.get("drift") or ()}}

    @property
    def cards(self) -> list[str] | None:
        """The names of the cards that it was given, or of those that were there; None where nobody asked."""
        cards = self.record.get("gpus") or self.ran.get("cards")
        return None if cards is None else sorted(card["name"] for card in cards)


_PYTHON = {"python": "version", "implementation": "implementation"}


def changes(before: Run, after: Run) -> list[Change]:
    """Everything that differs between what surrounded two runs."""
    found = [*_packages(before, after), *_hardware(before, after), *_variables(before, after)]
    return [*found, *_data(before, after), *_record(before, after)]


def _packages(before: Run, after: Run) -> Iterator[Change]:
    old, new = before.packages, after.packages
    if old is None or new is None:
        return
    # a drift that was not looked at says nothing of what was there
    known = [_known(each) for each in (before, after)]
    if known[0] != known[1]:
        yield Change("packages", "packages", *known)
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield Change("packages", key, old.get(key), new.get(key))
    libraries = [_libraries(each) for each in (before, after)]
    # the packages' own versions stand above, under their own names
    for key in sorted(libraries[0].keys() & libraries[1].keys() - old.keys()):
        if libraries[0][key] != libraries[1][key]:
            yield Change(
                "threads" if key.endswith(".threads") else "packages", key, libraries[0][key], libraries[1][key]
            )


def _known(run: Run) -> str:
    return "known" if run.ran.get("drift") is not None or not run.ran else "not known: no Python process reported"


def _libraries(run: Run) -> dict[str, str]:
    return dict(run.ran.get("libraries") or {})


def _hardware(before: Run, after: Run) -> Iterator[Change]:
    old, new = (each.ran.get("machine") or {} for each in (before, after))
    for key, name in _MACHINE.items():
        if key in old and key in new and old[key] != new[key]:
            yield Change("machine", name, old[key], new[key])
    if before.cards is not None and after.cards is not None and before.cards != after.cards:
        yield Change("machine", "GPU", *(", ".join(each.cards or ()) or None for each in (before, after)))
    hosts = [each.record.get("host") for each in (before, after)]
    if hosts[0] != hosts[1] and None not in hosts:
        yield Change("machine", "host", *hosts)


def _variables(before: Run, after: Run) -> Iterator[Change]:
    if not (before.ran and after.ran):
        return
    old, new = (each.ran.get("variables") or {} for each in (before, after))
    for key in sorted(old.keys() | new.keys()):
        if key not in _PINNED and old.get(key) != new.get(key):
            yield Change("threads" if key.endswith("_THREADS") else "variables", key, old.get(key), new.get(key))


def _data(before: Run, after: Run) -> Iterator[Change]:
    for change in fingerprints.differences(before.data, after.data):
        yield Change("data", change.file, "as fingerprinted" if change.what != "new" else None, change.what)
    for when, run in (("before", before), ("after", after)):
        for change_ in run.record.get("data_changed") or ():
            name, _, what = change_.rpartition(" (")
            words = ("as fingerprinted", what.rstrip(")"))
            yield Change("data", name, *(words if when == "after" else words[::-1]))


def _record(before: Run, after: Run) -> Iterator[Change]:
    leaked = [tuple(each.record.get("leaked") or ()) for each in (before, after)]
    for file in sorted({*leaked[0]} ^ {*leaked[1]}):
        words = ["loaded from elsewhere than the trial" if file in each else "not loaded" for each in leaked]
        yield Change("source", file, *words)
    resumed = [each.record.get("resumed") for each in (before, after)]
    if resumed[0] != resumed[1]:
        words_ = [f"went on with attempt {each}" if each else "from its beginning" for each in resumed]
        yield Change("run", "training", *words_)


def facts(data: bytes | None) -> dict[str, Any]:
    """A table of JSON; empty where there is none, or none that can be read."""
    try:
        found = json.loads(data or b"")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def run(capsule: Read, attempt: Read, record: Mapping[str, Any], listing: Listing | None = None) -> Run:
    """What is known of a run, given how to read the files of its capsule and of its attempt."""
    ran = facts(attempt(layout.ENVIRONMENT))
    generated = facts(capsule(layout.ENVIRONMENT))
    return Run(
        record,
        ran if "drift" in ran else {},  # else it failed to tell
        generated if "packages" in generated else {},
        listing or facts(capsule(layout.FINGERPRINTS)) or None,
    )
