"""What is checked before an attempt: its capsule and its data are what they were."""

from __future__ import annotations

import hashlib
import os

from . import fingerprints, intact, places, storage, training_environment
from .places import Place
from .storage import AttemptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

    from .fingerprints import Cache
    from .intact import Memo
    from .storage import Record

ALLOW_CHANGED_DATA = "RESWEEP_ALLOW_CHANGED_DATA"
ALLOW_CHANGED_TRIALS = "RESWEEP_ALLOW_CHANGED_TRIALS"


def check(capsule: str, manifest: Record, directory: str) -> None:
    """Refuse what would stop an attempt in `directory`, before anything of it is written: an AttemptError."""
    if os.pathsep in capsule:
        raise AttemptError("%s: has a %r in it, which no PYTHONPATH can hold; move it" % (capsule, os.pathsep))
    training_environment.interpreter()
    training_environment.attempt_toml(capsule, manifest["id"], directory, directory)


def check_trial(place: Place, manifest: Record, remember: bool = True) -> Record:
    """What the record says of the capsule; an AttemptError where it is not what was written, unless a person allows."""
    memo = _memo(place) if remember else intact.Memo(None)
    changed = intact.changes(place.capsule, manifest, memo)
    if changed and not os.environ.get(ALLOW_CHANGED_TRIALS):
        more = " and %d more" % (len(changed) - 3) if len(changed) > 3 else ""
        raise AttemptError(
            "%s: modified since it was generated: %s%s; not started. `resweep verify` lists every change; to run it "
            "anyway: resweep run --allow-changed-trials, or %s=1"
            % (place.label, ", ".join(changed[:3]), more, ALLOW_CHANGED_TRIALS)
        )
    return {"trial_changed": changed}


def _memo(place: Place) -> Memo:
    """How the files that trials share looked when they were read last; one for a project, and for this process."""
    path = os.path.join(place.root, *places.CONFIG_ROOT, places.INTACT) if place.in_project else ""
    if path not in _MEMOS:
        _MEMOS[path] = intact.Memo(path or None)
    return _MEMOS[path]


_MEMOS: Dict[str, Memo] = {}


def sweep_data(place: Place) -> str | None:
    """The fingerprints of the data that the sweep's last generation asks for; None where it names none."""
    sweep = os.path.dirname(os.path.dirname(place.capsule))
    generation = storage.read_json(os.path.join(sweep, places.RUN_OPTIONS)).get("data")
    return os.path.join(sweep, "generations", str(generation), places.FINGERPRINTS) if generation else None


def data_root(place: Place) -> str:
    """The directory that relative paths of data start from."""
    return os.environ.get("RESWEEP_DATA") or (place.root if place.in_project else os.getcwd())


def data_cache(place: Place) -> Cache:
    """What is known of the data's files without reading them, shared by the sweeps of a project."""
    path = os.path.join(place.root, *places.CONFIG_ROOT, places.DATA_CACHE) if place.in_project else None
    return fingerprints.Cache(path)


def check_data(place: Place, listing: str | None) -> Record:
    """What the record says of the data; an AttemptError where it is not what it was, unless a person allows that."""
    recorded = storage.read_json(listing) if listing else {}
    if not recorded:
        return {"data": None, "data_changed": []}
    cache = data_cache(place)
    changed = [str(change) for change in fingerprints.changes(recorded, data_root(place), cache)]
    cache.save()
    if changed and not os.environ.get(ALLOW_CHANGED_DATA):
        more = " and %d more" % (len(changed) - 3) if len(changed) > 3 else ""
        raise AttemptError(
            "%s: the data changed since it was generated: %s%s; nothing was started. Restore it, or generate again, or "
            "allow it: resweep run --allow-changed-data, or %s=1"
            % (place.label, ", ".join(changed[:3]), more, ALLOW_CHANGED_DATA)
        )
    with open(listing or "", "rb") as file:
        return {"data": hashlib.sha256(file.read()).hexdigest(), "data_changed": changed}
