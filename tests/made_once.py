"""Sweeps that tests begin with, generated once in a session: the next project with the same files gets a copy."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

_HOME = Path(tempfile.mkdtemp(prefix="resweep-tests-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
_MADE: dict[str, Path] = {}


def made_once(root: Path, words: tuple[str, ...], make: Callable[[], object]) -> None:
    """Let `make` change the project at `root`, or copy what it has changed in another with the same files.

    `words` are what `make` depends on besides the files. What a sweep is made of holds no path, so a copy is as good.
    """
    if (root / "config" / "generated").exists():  # what is there may change, and a copy only adds
        make()
        return
    key = _digest(root, words)
    if key in _MADE:
        copy(_MADE[key], root)
        return
    before = set(_files(root))
    make()
    home = _MADE[key] = _HOME / key
    home.mkdir()
    copy(root, home, leave=before)


def copy(source: Path, target: Path, leave: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    """Copy a tree but the files in `leave`; what is one file under several names stays one."""
    known: dict[tuple[int, int], Path] = {}
    folders = []
    for folder, names, files in os.walk(source):
        here = target / os.path.relpath(folder, source)
        if here != target / "." and not here.exists():
            here.mkdir()
            folders.append((folder, here))
        names[:] = [name for name in names if not _link(folder, name, here)]
        for name in files:
            path, to = Path(folder, name), here / name
            if os.path.relpath(path, source) in leave or _link(folder, name, here):
                continue
            status = path.stat()
            first = known.setdefault((status.st_dev, status.st_ino), to)
            if first is to:
                shutil.copy2(path, to)
            else:
                os.link(first, to)
    for folder, here in reversed(folders):
        shutil.copystat(folder, here)


def _link(folder: str, name: str, here: Path) -> bool:
    path = Path(folder, name)
    if path.is_symlink() and not (here / name).is_symlink():
        os.symlink(os.readlink(path), here / name)
    return path.is_symlink()


def _files(root: Path) -> list[str]:
    return sorted(os.path.relpath(Path(folder, name), root) for folder, _, names in os.walk(root) for name in names)


def _digest(root: Path, words: tuple[str, ...]) -> str:
    digest = hashlib.sha256(repr(words).encode())
    for name in _files(root):
        path = root / name
        digest.update(f"\n{name} {path.lstat().st_mode} ".encode("utf-8", "surrogateescape"))
        digest.update(os.readlink(path).encode() if path.is_symlink() else path.read_bytes())
    return digest.hexdigest()[:20]
