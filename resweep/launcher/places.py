"""Where a trial's files are, and what they are called."""

from __future__ import annotations

import json
import os

from . import storage
from .storage import AttemptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .storage import Record

RECORD = "record.json"
LOG = "log.txt"
OUTPUT = "output"
FINISHED = "finished"
HEARTBEAT = "heartbeat"
RUN_OPTIONS = "run.json"
ATTEMPTS_SUFFIX = ".attempts"
MANIFEST = "manifest.json"
FINGERPRINTS = "fingerprints.json"
ENVIRONMENT = "environment.json"
DATA_CACHE = ".data-cache.json"
INTACT = ".intact.json"
CONFIG_ROOT = ("config", "generated")
MODEL_ROOT = ("model", "generated")
PRUNE = "prune.json"  # in an attempt: why it is stopped early, written before the signal that stops it


class Place:
    """Where a trial's files are: `capsule`, and for one that stands in a project its root, output and attempts."""

    def __init__(self, capsule: str) -> None:
        # abspath, not realpath: config/generated may be a symbolic link to another disk
        self.capsule = os.path.abspath(capsule)
        parts = self.capsule.split(os.sep)
        self.in_project = len(parts) > 5 and tuple(parts[-5:-3]) == CONFIG_ROOT
        if self.in_project:
            self.root = os.sep.join(parts[:-5]) or os.sep
            self.output = os.path.join(self.root, *MODEL_ROOT, *parts[-3:])
            self.attempts = self.output + ATTEMPTS_SUFFIX

    @property
    def label(self) -> str:
        """NAME/ID/TRIAL, for messages."""
        return "/".join(self.capsule.split(os.sep)[-3:])

    def attempt(self, number: int) -> str:
        """The directory of attempt `number`, counted from 1."""
        return os.path.join(self.attempts, str(number))

    def last(self) -> int:
        """The number of the latest attempt, 0 when there is none."""
        try:
            names = os.listdir(self.attempts)
        except FileNotFoundError:
            return 0
        return max((int(name) for name in names if name.isdigit()), default=0)

    def finished(self) -> bool:
        """Whether an attempt of this trial has finished and counts."""
        return os.path.exists(os.path.join(self.attempts, FINISHED))


def read_manifest(capsule: str) -> Record:
    """The capsule's manifest.json; an AttemptError when `capsule` holds none, or one of a newer format."""
    try:
        with open(os.path.join(capsule, MANIFEST), encoding="utf-8") as file:
            manifest: Record = json.load(file)
        if manifest["format"] != storage.FORMAT:
            raise AttemptError(
                "%s: format %r, expected %d: made by another version" % (capsule, manifest["format"], storage.FORMAT)
            )
        return manifest
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AttemptError(
            "%s: not a trial's directory, no readable %s in it (%s)" % (capsule, MANIFEST, error)
        ) from None
