"""Compressed streams that are the same bytes wherever they are written, and end with the sha256 of all before it.

The checksums of the formats cover what is compressed, not the few bits of a header that change nothing; with the
sha256 at the end no bit can flip unseen. It stands where other programs pass over it: a skippable frame of zstd, an
empty member of gzip, a second stream of xz after the end of the tar.
"""

from __future__ import annotations

import hashlib
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from resweep.errors import ArchiveError, ConfigError

# bytes that are handed to a decompressor at once: a bomb makes of them a few hundred times as much memory, not more
_SLICE = 2048
_WINDOW = 23  # zstd: 8 MiB, so that reading never takes more
_LEVEL = 9
_GZIP = b"\x1f\x8b\x08\x00\0\0\0\0\x00\xff"  # no name, no time, unknown system
_GZIP_END = b"\x1f\x8b\x08\x04\0\0\0\0\x00\xff" + b"\x24\x00" + b"RS\x20\x00"  # 36 more bytes, a field of 32


class Compressor(Protocol):
    """What the libraries have in common."""

    def compress(self, data: bytes, /) -> bytes:
        """The next bytes of the stream."""

    def flush(self) -> bytes:
        """The last ones."""


@dataclass(frozen=True)
class Format:
    """A way to compress: its file names, first bytes, both directions, how the sha256 stands at the end."""

    suffixes: tuple[str, ...]
    magic: bytes
    compressor: Callable[[], Compressor]
    decompressor: Callable[[], Any]
    trailer: Callable[[bytes], bytes]
    errors: Callable[[], tuple[type[Exception], ...]]  # of the decompressor


class _Gzip:
    """gzip's own frame, which zlib writes differently on different systems, around what zlib compresses."""

    def __init__(self) -> None:
        self._inner = zlib.compressobj(6, zlib.DEFLATED, -15)
        self._crc = self._size = 0
        self._start = _GZIP

    def compress(self, data: bytes) -> bytes:
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        start, self._start = self._start, b""
        return start + self._inner.compress(data)

    def flush(self) -> bytes:
        end = self._crc.to_bytes(4, "little") + (self._size % 2**32).to_bytes(4, "little")
        return self._start + self._inner.flush() + end


def _zstd_compressor() -> Compressor:
    zstandard = _zstandard()
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, window_log=_WINDOW, write_checksum=1, write_content_size=0, threads=0
    )
    compressor: Compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return compressor


def _zstd_decompressor() -> Any:
    return _zstandard().ZstdDecompressor(max_window_size=1 << _WINDOW).decompressobj()


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        raise ConfigError(
            "zstandard is not installed, which .tar.zst needs: pip install 'resweep[archive]'; "
            ".tar.gz and .tar.xz need nothing"
        ) from None
    return zstandard


FORMATS = (
    Format(
        (".tar.zst", ".tzst"),
        b"\x28\xb5\x2f\xfd",
        _zstd_compressor,
        _zstd_decompressor,
        lambda digest: b"\x50\x2a\x4d\x18" + len(digest).to_bytes(4, "little") + digest,
        lambda: (_zstandard().ZstdError,),
    ),
    Format(
        (".tar.gz", ".tgz"),
        _GZIP[:4],
        _Gzip,
        lambda: zlib.decompressobj(31),
        lambda digest: _GZIP_END + digest + b"\x03\x00" + bytes(8),
        lambda: (zlib.error,),
    ),
    Format(
        (".tar.xz", ".txz"),
        b"\xfd7zXZ\x00",
        lambda: lzma.LZMACompressor(lzma.FORMAT_XZ, lzma.CHECK_CRC64, preset=6),
        lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=1 << 27),
        lambda digest: lzma.compress(digest, lzma.FORMAT_XZ, lzma.CHECK_CRC64, preset=6),
        lambda: (lzma.LZMAError, EOFError),
    ),
)


def by_name(path: Path) -> Format:
    """The format that a file's name asks for; a ConfigError when it asks for none."""
    for each in FORMATS:
        if path.name.endswith(each.suffixes):
            return each
    known = ", ".join(each.suffixes[0] for each in FORMATS)
    raise ConfigError(f"{path}: expected a name that ends in one of {known}")


class Writer:
    """Compresses into a file, its sha256 at the end."""

    def __init__(self, file: IO[bytes], form: Format) -> None:
        self._file = file
        self._form = form
        self._compressor = form.compressor()
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Add to the stream."""
        self._put(self._compressor.compress(data))

    def close(self) -> None:
        """End the stream; the file stays open."""
        self._put(self._compressor.flush())
        self._file.write(self._form.trailer(self._digest.digest()))

    def _put(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)


class Reader:
    """Decompresses a file piece by piece. `where` says, in errors, how far one had come."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._name = name
        self._file = file
        self._form = self._found()
        self._digest = hashlib.sha256()
        self._pieces = self._decompressed()
        self._buffer = bytearray()
        self.where = "its beginning"

    def _found(self) -> Format:
        start = self._file.read(6)
        self._file.seek(0)
        for each in FORMATS:
            if start.startswith(each.magic):
                return each
        raise ArchiveError(f"{self._name}: found no .tar.zst, .tar.gz or .tar.xz; not an archive, or damaged")

    def read(self, size: int) -> bytes:
        """The next `size` bytes; an ArchiveError when there are no more so many, or the stream is damaged."""
        while len(self._buffer) < size:
            piece = next(self._pieces, None)
            if piece is None:
                raise self.damaged("the archive ends too early")
            self._buffer += piece
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def finish(self) -> None:
        """Make sure that nothing follows, and that every byte of the file is as it was written."""
        if self._buffer or next(self._pieces, None) is not None:
            raise self.damaged("something follows the end of the archive")

    def damaged(self, reason: str) -> ArchiveError:
        """The error for a stream that is not what it should be."""
        return ArchiveError(f"{self._name}: damaged at or after {self.where}: {reason}")

    def _decompressed(self) -> Iterator[bytes]:
        trailer = len(self._form.trailer(hashlib.sha256().digest()))
        left = self._file.seek(0, 2) - trailer
        self._file.seek(0)
        inner, errors = self._form.decompressor(), self._form.errors()
        while left > 0 and (data := self._file.read(min(_SLICE, left))):
            left -= len(data)
            self._digest.update(data)
            if inner.eof:
                raise self.damaged("something follows the end of the archive")
            try:
                piece = inner.decompress(data)
            except errors as error:
                raise self.damaged(f"cannot be decompressed ({error})") from None
            if inner.unused_data:
                raise self.damaged("something follows the end of the archive")
            if piece:
                yield piece
        if not inner.eof:
            raise self.damaged("the archive ends too early")
        if self._file.read() != self._form.trailer(self._digest.digest()):
            raise self.damaged("its last bytes are not the sha256 of all before them")
