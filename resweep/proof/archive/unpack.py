"""An archive -> a directory that works like the project that it was packed in. No code of the archive ever runs.

Everything is written below a temporary directory beside the wanted one, and renamed when it is whole.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from resweep import index
from resweep.errors import ArchiveError, DiskError, TrialError
from resweep.generation.capsule import NO_LINK, flush
from resweep.layout import SweepPaths
from resweep.proof.archive import contents, tar, write
from resweep.proof.archive.contents import Contents
from resweep.proof.archive.reading import AlteredError, Archive

LARGEST = 100_000_000_000  # bytes that are unpacked without being asked to


def unpack(path: Path, directory: Path, only: Sequence[str] = (), limit: int = LARGEST) -> Contents:
    """Unpack an archive, or the trials of it that `only` names, into `directory`, new or empty: whole or not at all.

    Returns the list of what was unpacked. Raises ArchiveError when the archive is damaged, was not written by `pack`
    or takes more than `limit` bytes, and TrialError when it has no such trial.
    """
    target = _checked(directory)
    with open(path, "rb") as file:
        found = Archive(file, path)
        listed, text = _wanted(found, path, only)
        _check_size(listed, path, target.parent, limit)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            root = temporary / "root"
            root.mkdir()
            _write(found, root, listed, text)
            flush(root)
            _rename(root, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return listed


def _checked(directory: Path) -> Path:
    """Where to unpack to; a TrialError unless it is new or empty."""
    target = directory.absolute()
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise TrialError(f"{directory}: not a directory; name a new or empty one")
    if directory.is_dir() and any(directory.iterdir()):
        raise TrialError(f"{directory}: is not empty, expected a new or empty directory; name another")
    if directory.is_dir() and directory.samefile(Path.cwd()):
        raise TrialError(f"{directory}: is the current directory, which cannot be replaced; name a new one")
    if not target.parent.is_dir():
        raise TrialError(f"{directory}: {target.parent} is not a directory")
    return target


def _wanted(found: Archive, path: Path, only: Sequence[str]) -> tuple[Contents, bytes]:
    """What is to be unpacked, and its index: everything, or what packing the trials of `only` alone had given."""
    if not only:
        return found.contents, found.text
    paths = SweepPaths(Path(), found.contents.sweep)
    chosen = [entry.name for name in only for entry in index.among(paths, found.index, name)]
    if not chosen:
        raise TrialError(f"{' '.join(only)}: names no trial of {path}")
    reduced = write.reduced(found.index, chosen)
    text = reduced.text().encode()
    return contents.narrowed(found.contents, chosen, write.generations(reduced), text), text


def _check_size(listed: Contents, path: Path, parent: Path, limit: int) -> None:
    """Refuse, before anything is written, what would take more than it may, or than there is."""
    count = len(listed.items) + len(listed.links) + len(listed.directories)
    # what a file takes besides its bytes, so that a million empty ones are not free
    size = listed.size + count * tar.BLOCK
    if size > limit:
        raise ArchiveError(f"{path}: would take {size:,} bytes, expected at most {limit:,}; --limit allows more")
    free = shutil.disk_usage(parent).free
    if size > free:
        raise DiskError(f"{parent}: {path} would take {size:,} bytes, and {free:,} are left")


def _write(found: Archive, root: Path, listed: Contents, text: bytes) -> None:
    tree = _Tree(root)
    data = listed.data()
    tree.write((contents.NAME,), contents.OWN[0], [data])
    tree.write(listed.files[0].paths, listed.files[0].mode, [text])
    wanted = {path for file in listed.files[1:] for path in file.paths}
    partial = listed != found.contents
    for file, pieces in found.files():
        paths = tuple(path for path in file.paths if path in wanted)
        try:
            tree.write(paths, file.mode, pieces) if paths else _skip(pieces)
        except AlteredError:
            raise found.damaged("its sha256 is not the one in the list") from None
        wanted.difference_update(paths)
        if partial and not wanted:
            break
    for path in listed.directories:
        tree.make(path)
    for path, target in listed.links:
        tree.link(path, target)


def _skip(pieces: Iterable[bytes]) -> None:
    for _ in pieces:
        pass


class _Tree:
    """Writes below `root`, which is empty and known to nobody else; every name was checked before."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._made: set[str] = set()

    def make(self, path: str) -> str:
        """Make a directory and those above it; its path."""
        folder = f"{self._root}/{path}"
        if folder not in self._made:
            os.makedirs(folder, exist_ok=True)
            self._made.add(folder)
        return folder

    def write(self, paths: Sequence[str], mode: int, pieces: Iterable[bytes]) -> None:
        """Write a file, and give it its other names."""
        first = self._place(paths[0])
        # never through a link, never into what is there: a disk may take two names for one
        descriptor = os.open(first, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            for piece in pieces:
                while piece:
                    piece = piece[os.write(descriptor, piece) :]
            os.fchmod(descriptor, mode)
            os.utime(descriptor, (tar.TIME, tar.TIME))
        finally:
            os.close(descriptor)
        for other in paths[1:]:
            place = self._place(other)
            try:
                os.link(first, place)
            except OSError as error:
                if error.errno not in NO_LINK:
                    raise
                shutil.copy2(first, place)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link."""
        os.symlink(target, self._place(path))

    def _place(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        return f"{self.make(folder)}/{name}"


def _rename(root: Path, target: Path) -> None:
    try:
        os.rename(root, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.ENOTDIR):
            raise
        raise TrialError(f"{target}: cannot be replaced ({error.strerror}); nothing was unpacked") from None
