"""Files of JSON that are whole or not there, paths, times, and what a person can mend: an AttemptError."""

from __future__ import annotations

import contextlib
import json
import os
from datetime import datetime, timezone
from typing import Any, Dict

TYPE_CHECKING = False  # typing itself takes long to import
if TYPE_CHECKING:
    from typing import Any, Dict

    Record = Dict[str, Any]
else:
    Record = dict

FORMAT = 1


class AttemptError(Exception):
    """A mistake that a person can mend: one line, exit status 2."""


def toml_string(value: str) -> str:
    """`value` as a TOML basic string."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise AttemptError("%r: the path is not valid UTF-8, and TOML knows no other" % value) from None
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def read_json(path: str) -> Record:
    """The JSON object at `path`; empty when it is missing or torn (a record is written by a rename, so it is not)."""
    try:
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_json(path: str, value: Record, sync: bool = False) -> None:
    """Write `value` whole or not at all, and with `sync` past the disk's cache."""
    write(path, json.dumps(value, indent=2, sort_keys=True) + "\n", sync)


def fresh(capsule: str, stem: str, directory: str | None) -> str:
    """Make a directory for a re-run: `directory`, or the first free of STEM-1, STEM-2... here or beside the capsule."""
    if directory is not None:
        path = os.path.abspath(directory)
        if inside(path, capsule):
            raise AttemptError("%s: lies in the trial's own directory, which stays as it is; name another" % directory)
        try:
            os.makedirs(path, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise AttemptError("%s: is a file, expected a new or empty directory" % directory) from None
        if os.listdir(path):
            raise AttemptError("%s: is not empty, expected a new or empty directory; name another" % directory)
        return path
    parent = os.path.dirname(capsule) if inside(os.getcwd(), capsule) else os.getcwd()
    number = 1
    while True:
        path = os.path.join(parent, "%s-%d" % (stem, number))
        try:
            os.mkdir(path)
            return path
        except FileExistsError:
            number += 1


def inside(path: str, folder: str) -> bool:
    """Whether a path is a folder, or lies below it, whatever links lead there."""
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return path == folder or path.startswith(folder + os.sep)


def write(path: str, text: str, sync: bool = False) -> None:
    """Write `text` whole or not at all, and with `sync` past the disk's cache."""
    part = "%s.%d.part" % (path, os.getpid())
    with open(part, "w", encoding="utf-8") as file:
        file.write(text)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    os.replace(part, path)


def touch(path: str) -> None:
    """Set the time of a file to now; make it where there is none."""
    with open(path, "ab"):
        os.utime(path)


def remove(path: str) -> None:
    """Remove a file, if that can be done."""
    with contextlib.suppress(OSError):
        os.remove(path)


def now() -> str:
    """The time in UTC, as records hold it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
