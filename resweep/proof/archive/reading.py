"""An archive, read from its beginning to its end and believed in nothing.

Only what `pack` writes is read. The list in front is checked first; what an archive with such a list looks like is
then known to the byte, so that reading on is comparing: a member that is not in the list, twice, of another kind or
size, or leads elsewhere is a header that differs from the expected one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from resweep import index
from resweep.errors import ArchiveError, TrialError
from resweep.index import Index
from resweep.layout import SweepPaths
from resweep.proof import check
from resweep.proof.archive import contents, stream, tar
from resweep.proof.archive.contents import File

LARGEST_LIST = 1 << 28  # bytes of the list in front
_CHUNK = 1 << 20


class AlteredError(Exception):
    """A file's bytes have this sha256, and not the one that the list speaks of; reading can go on behind it."""


class Archive:
    """An archive that is being read. `data` is the list in front, `contents` what it says, `index` the list of trials.

    Raises ArchiveError where it is damaged, or is not what `pack` writes.
    """

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._name = str(path)
        self._reader = stream.Reader(file, self._name)
        self.data = self._list()
        self.contents = check.parse(self.data, self._name)
        self._files = self._each()
        # the first one: `contents` has made sure of that
        _, pieces = next(self._files)
        try:
            self.text = b"".join(pieces)
        except AlteredError:
            raise self._reader.damaged("its sha256 is not the one in the list") from None
        self.index = self._index()

    def files(self) -> Iterator[tuple[File, Iterator[bytes]]]:
        """Each file but the index with its bytes, which are to be read, and raise AlteredError when they are others."""
        return self._files

    def damaged(self, reason: str) -> ArchiveError:
        """The error for what was read last."""
        return self._reader.damaged(reason)

    def _list(self) -> bytes:
        first = self._reader.read(tar.BLOCK)
        size = tar.size_of(first, contents.NAME)
        if size is None:
            found = tar.described(first)
            raise self._reader.damaged(f"found {found}, expected {contents.NAME}; or not packed by resweep")
        if size > LARGEST_LIST:
            raise ArchiveError(f"{self._name}: {contents.NAME} has {size:,} bytes, expected at most {LARGEST_LIST:,}")
        self._reader.where = contents.NAME
        return b"".join(self._read(size))

    def _index(self) -> Index:
        """The index, which must be one of the trials that the archive lists: commands make paths of what it says."""
        listed = self.contents
        try:
            found = index.parse(SweepPaths(Path(), listed.sweep), self.text.decode("utf-8"))
            names = [entry.name for entry in found.entries]
            numbers = {entry.number for entry in found.entries}
            right = sorted(names) == list(listed.trials) and len(numbers) == len(names) and _typed(found)
        except TrialError as error:
            raise ArchiveError(f"{self._name}: {error}") from None
        except (ValueError, TypeError, AttributeError, RecursionError):
            right = False
        if not right:
            raise ArchiveError(f"{self._name}: {contents.INDEX}: is no index of the trials in the archive")
        return found

    def _each(self) -> Iterator[tuple[File, Iterator[bytes]]]:
        for path in self.contents.directories:
            self._expect(tar.header(path + "/", tar.DIRECTORY, mode=0o755), path)
        for file in self.contents.files:
            self._expect(tar.header(file.paths[0], size=file.size, mode=file.mode), file.paths[0])
            yield file, self._checked(file)
            for other in file.paths[1:]:
                self._expect(tar.header(other, tar.HARD_LINK, mode=file.mode, target=file.paths[0]), other)
        for path, target in self.contents.links:
            self._expect(tar.header(path, tar.SYMBOLIC_LINK, mode=0o777, target=target), path)
        self._reader.where = "its end"
        self._expect(tar.END, "its end")
        self._reader.finish()

    def _expect(self, header: bytes, path: str) -> None:
        # in blocks, so that the member that should not be there is named, and not the middle of it
        for start in range(0, len(header), tar.BLOCK):
            block = self._reader.read(tar.BLOCK)
            if block != header[start : start + tar.BLOCK]:
                raise self._reader.damaged(f"found {tar.described(block)} where its list has {path!a}")
        self._reader.where = path

    def _read(self, size: int) -> Iterator[bytes]:
        """So many bytes of content, and what fills the last block."""
        left = size
        while left:
            piece = self._reader.read(min(_CHUNK, left))
            left -= len(piece)
            yield piece
        padding = tar.padding(size)
        if self._reader.read(len(padding)) != padding:
            raise self._reader.damaged("the last block is not filled with zeros")

    def _checked(self, file: File) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for piece in self._read(file.size):
            digest.update(piece)
            yield piece
        if digest.hexdigest() != file.sha256:
            raise AlteredError(digest.hexdigest())


def _typed(known: Index) -> bool:
    """Whether an index has values of the types that every command relies on."""
    numbers = [known.generation, known.last, *(n for e in known.entries for n in (e.number, e.generation, e.trial))]
    texts = [text for e in known.entries for text in (e.id, e.digest, e.point, e.source)]
    tables = all(isinstance(entry.swept, dict) and isinstance(entry.current, bool) for entry in known.entries)
    return tables and all(type(n) is int and n >= 0 for n in numbers) and all(isinstance(t, str) for t in texts)
