"""One writer of a project's sweeps at a time, and files that appear at once."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from resweep.errors import DiskError
from resweep.layout import SweepPaths

LOCK = ".lock"  # beside a study
PART = ".part"  # ends the name of a file that is not whole yet
TEMPORARY = ".new-"  # begins that of a directory in the making


def stage(undo: ExitStack, texts: dict[Path, str], executable: Collection[Path] = ()) -> dict[Path, Path]:
    """Write, under other names, the files whose bytes change; who may write to them, the umask says."""
    staged = {}
    for final, text in texts.items():
        if final.is_dir():
            raise DiskError(f"{final}: is a directory, expected a file that may be replaced, or nothing")
        if final.is_file() and _holds(final, text):
            continue
        part = final.with_name(f".{final.name}.{os.getpid()}{PART}")
        undo.callback(part.unlink, missing_ok=True)
        with open(part, "wb") as file:
            file.writelines(_slices(text))
        if final in executable:
            mode = part.stat().st_mode
            part.chmod(mode | (mode & 0o444) >> 2)
        staged[final] = part
    return staged


def _holds(path: Path, text: str) -> bool:
    """Whether a file has this text; the list of a hundred thousand trials is not in memory several times for it."""
    with open(path, "rb") as file:
        return all(file.read(len(each)) == each for each in _slices(text)) and not file.read(1)


def _slices(text: str) -> Iterator[bytes]:
    return (text[start : start + 2**20].encode() for start in range(0, len(text), 2**20))


@contextmanager
def locked(paths: SweepPaths) -> Iterator[None]:
    """One generation of the project at a time; another waits. The system frees the lock when its holder dies."""
    made = [path for path in (paths.lock, paths.directory, *paths.directory.parents) if not path.exists()]
    with _open_lock(paths), asking(paths):
        try:
            for home in (paths.snapshots, paths.directory, paths.generations, paths.environments):
                remove_leftovers(home)
            for final in paths.replaced:
                for part in final.parent.glob(f".{final.name}.*{PART}"):
                    part.unlink()
            yield
        except BaseException:
            if made:  # nothing was written: leave no empty sweep behind
                _remove_empty(paths, made)
            raise


@contextmanager
def asking(paths: SweepPaths) -> Iterator[None]:
    """One writer of a sweep's trials at a time, where workers of a search write them; another waits."""
    if not paths.study.parent.is_dir():
        yield
        return
    with open(paths.study.with_name(LOCK), "a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remove_leftovers(home: Path) -> None:
    """Remove what a generation that was killed left under temporary names; the caller holds the sweep's lock."""
    for path in home.glob(TEMPORARY + "*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _open_lock(paths: SweepPaths) -> IO[str]:
    """The lock, held; the sweep's directory stands then."""
    while True:
        try:
            paths.directory.mkdir(parents=True, exist_ok=True)
            lock = open(paths.lock, "a", encoding="utf-8")  # noqa: SIM115
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(lock.fileno()), os.stat(paths.lock)) and paths.directory.is_dir():
                return lock
            lock.close()
        except FileExistsError as error:
            where = error.filename
            raise DiskError(f"{where}: a file, or a link to nothing, stands where a directory should be") from None
        except FileNotFoundError:  # another generation that failed took away what it had made, the lock's file too
            continue


def _remove_empty(paths: SweepPaths, made: list[Path]) -> None:
    if paths.lock in made:
        paths.lock.unlink(missing_ok=True)
    for folder in (paths.generations, paths.snapshots, paths.environments, *made):
        with suppress(OSError):
            folder.rmdir()
