"""The directory that an export goes to: ours by a mark in it, and nothing of anybody else's is ever touched."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resweep.errors import ExportError, disk_errors
from resweep.launcher import places

MARK = "resweep-export.json"
KIND = "resweep export"
FORMAT = 1


def prepare(directory: Path, target: str) -> None:
    """Make a directory that runs are added to; an ExportError when it is there and not one of ours for `target`."""
    with disk_errors(directory):
        if not read(directory, target):
            _make(directory)
            _mark(directory, target, [])


def read(directory: Path, target: str) -> dict[str, Any] | None:
    """The mark of a directory of ours; None where there is nothing yet. An ExportError for any other directory."""
    if not os.path.lexists(directory):
        return None
    if not directory.is_dir():
        raise ExportError(f"{directory}: found a file, expected a directory to export to, or nothing")
    try:
        mark = json.loads((directory / MARK).read_bytes())
    except FileNotFoundError:
        if not any(directory.iterdir()):
            return None
        raise ExportError(
            f"{directory}: holds files and was not made by `resweep export`; nothing was written. Name a new directory"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ExportError(f"{directory / MARK}: cannot be read ({error}); name a new directory") from None
    if not isinstance(mark, dict) or mark.get("kind") != KIND or mark.get("format") != FORMAT:
        raise ExportError(f"{directory / MARK}: was not written by this version of resweep; name a new directory")
    if mark.get("to") != target:
        raise ExportError(f"{directory}: is an export to {mark.get('to')}, expected one to {target}; name another")
    return mark


def outside(directory: Path, root: Path) -> None:
    """Refuse a directory among what a project's sweeps and trainings wrote."""
    for parts in (places.CONFIG_ROOT, places.MODEL_ROOT):
        home = root.joinpath(*parts).resolve()
        if directory.resolve().is_relative_to(home):
            raise ExportError(f"{directory}: lies in {home}, which belongs to the sweeps; name a directory elsewhere")


@contextmanager
def replaced(directory: Path, target: str) -> Iterator[Path]:
    """A new directory to write to, which takes the place of a former export when it is whole.

    An ExportError when the former one has come to hold a file that we did not write.
    """
    directory = directory.resolve()
    with disk_errors(directory):
        _only_ours(directory, target)
        _make(directory.parent)
        part = directory.with_name(f".{directory.name}.{os.getpid()}.part")
        old = part.with_suffix(".old")
        try:
            part.mkdir()
            yield part
            _mark(part, target, sorted(_files(part)))
            _only_ours(directory, target)
            if directory.exists():
                directory.rename(old)
            part.rename(directory)
        finally:
            shutil.rmtree(part, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def written(path: Path, content: bytes, before: Callable[[], object] = lambda: None) -> bool:
    """Write a file whole, unless it has these bytes already. `before` is called before one is replaced."""
    try:
        if path.read_bytes() == content:
            return False
        before()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return True


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ExportError(f"{error.filename}: found a file, expected a directory, or nothing") from None


def _only_ours(directory: Path, target: str) -> None:
    mark = read(directory, target)
    if mark is None:
        return
    foreign = _files(directory) - {MARK, *mark.get("files", ())}
    if foreign:
        raise ExportError(
            f"{directory / min(foreign)}: was not written by `resweep export`, which would remove it; "
            "move it away, or name a new directory"
        )


def _files(directory: Path) -> set[str]:
    """Every file and link below a directory, relative to it."""
    found = set()
    for folder, folders, names in os.walk(directory):
        below = os.path.relpath(folder, directory)
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        found |= {os.path.normpath(os.path.join(below, name)) for name in (*names, *links)}
    return found


def _mark(directory: Path, target: str, files: list[str]) -> None:
    mark: dict[str, Any] = {"format": FORMAT, "kind": KIND, "to": target}
    if files:
        mark["files"] = files
    (directory / MARK).write_text(json.dumps(mark, indent=0, ensure_ascii=True) + "\n", "ascii")
