"""The headers of a tar file, byte for byte what POSIX says, and always the same for the same member.

The standard library's `tarfile` writes slightly other bytes from version to version, and reads far more kinds of tar
files than anyone should read from a stranger. These few lines write one kind, which every `tar` reads.
"""

from __future__ import annotations

BLOCK = 512
END = bytes(2 * BLOCK)
TIME = 315532800  # of every member: 1980 began; GNU tar warns of a time of 0, zip knows nothing older

FILE, HARD_LINK, SYMBOLIC_LINK, DIRECTORY = b"0", b"1", b"2", b"5"
_EXTENDED = b"x"
_KINDS = {
    b"0": "file",
    b"\0": "file",
    b"1": "hard link",
    b"2": "symbolic link",
    b"3": "character device",
    b"4": "block device",
    b"5": "directory",
    b"6": "fifo",
}
_LARGEST = 8**11  # bytes of a file whose size does not fit into a plain header


def header(path: str, kind: bytes = FILE, size: int = 0, mode: int = 0o644, target: str = "") -> bytes:
    """The blocks that stand before a member's content; an extended header first, where the plain one is too narrow."""
    name, link = path.encode(), target.encode()
    extended = b""
    if len(name) > 100 or not name.isascii():
        extended += _record("path", name)
    if len(link) > 100 or not link.isascii():
        extended += _record("linkpath", link)
    if size >= _LARGEST:
        extended += _record("size", str(size).encode())
    plain = _plain(_narrow(name), kind, 0 if size >= _LARGEST else size, mode, _narrow(link))
    if not extended:
        return plain
    before = _plain(b"resweep-extended-header", _EXTENDED, len(extended), 0o644, b"")
    return before + extended + padding(len(extended)) + plain


def padding(size: int) -> bytes:
    """What fills the last block of content of so many bytes."""
    return bytes(-size % BLOCK)


def _narrow(name: bytes) -> bytes:
    """What a plain header says where an extended one says it all."""
    return name.decode().encode("ascii", "replace")[:100]


def _plain(name: bytes, kind: bytes, size: int, mode: int, target: bytes) -> bytes:
    nobody = b"0000000\0"
    block = b"".join(
        (
            name.ljust(100, b"\0"),
            b"%07o\0" % mode,
            nobody,  # user
            nobody,  # group
            b"%011o\0" % size,
            b"%011o\0" % TIME,
            b" " * 8,  # the checksum, counted as spaces
            kind,
            target.ljust(100, b"\0"),
            b"ustar\00000",
            bytes(64),  # names of user and group
            nobody,
            nobody,  # numbers of a device
            bytes(155 + 12),
        )
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _record(key: str, value: bytes) -> bytes:
    """A line of an extended header, which begins with its own length."""
    rest = b" %s=%s\n" % (key.encode(), value)
    length = len(rest)
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def size_of(block: bytes, path: str) -> int | None:
    """The size in the plain header of the member `path`; None when `block` is not its header."""
    try:
        size = int(block[124:135], 8)
    except ValueError:
        return None
    return size if header(path, size=size) == block else None


def described(block: bytes) -> str:
    """What a header that nobody expected says it is, for a message; never trusted."""
    if not block.strip(b"\0"):
        return "the end of the archive"
    if block[257:262] != b"ustar":
        return "no header of a member"
    name = block[:100].rstrip(b"\0").decode(errors="replace")
    target = block[157:257].rstrip(b"\0").decode(errors="replace")
    kind = _KINDS.get(block[156:157], f"member of kind {block[156:157]!r}")
    return f"the {kind} {name!a}" + (f" to {target!a}" if target else "")
