"""What a saved file means, value by value: archives, pickles, what torch saves, safetensors, numpy, HDF5.

Two files that mean the same may differ in their bytes: by the time in an archive's headers, by the path of the run in a
pickled state, by an id that torch gives to each file. Nothing of a file runs: a pickle's classes and functions are
names here, which nobody imports and nobody calls.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

LARGEST_TEXT = 1 << 26  # bytes that are looked through for the paths of a run
LARGEST_PICKLE = 1 << 28  # bytes without the tensors of a file of torch's; a larger one is compared by its bytes
MOST_VALUES = 2_000_000  # of one file: more are compared by its bytes
_DEEPEST = 8  # archives within archives
_IN_MEMORY = 1 << 26  # bytes of a member; larger ones go to a file
_CHUNK = 1 << 20
_SERIALIZATION_ID = ".data/serialization_id"  # torch: a hash of names and checksums, of the path in the pickle too
_HDF5 = b"\x89HDF\r\n\x1a\n"


class UnknownError(Exception):
    """A file of no format that is known here, or one that is damaged."""


@dataclass
class Content:
    """The values of a file by dotted name, as text; big ones as a digest. `skipped` says what was left out of them.

    `weights` are the names of those that are tensors or other bulk, not a word or a number.
    """

    values: dict[str, str] = field(default_factory=dict)
    weights: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)


def read(path: Path, own: Callable[[str], str]) -> Content | None:
    """What a file means; None where it has no format known here, or is damaged, or where two values have one name.

    `own` takes the paths of a run out of a text. Formats are told by their first bytes, not by names.
    """
    found = Content()
    try:
        with open(path, "rb") as file:
            _Reader(found, own).file(file, "", 0)
    except Exception:  # what bytes that are damaged, or only look like a format, make its library raise is without end
        return None
    return found


@dataclass
class _Reader:
    found: Content
    own: Callable[[str], str]

    def file(self, file: IO[bytes], name: str, depth: int) -> None:
        """Note the values of a file; UnknownError where nothing here reads it."""
        first = file.read(16)
        file.seek(0)
        if depth > _DEEPEST:
            raise UnknownError
        if first[:4] == b"PK\x03\x04":
            self._zip(file, name, depth)
        elif first[:2] == b"\x1f\x8b" or tarfile.is_tarfile(file):
            file.seek(0)
            self._compressed(file, name, depth, zipped=first[:2] == b"\x1f\x8b")
        elif first[:1] == b"\x80" and len(first) > 1 and first[1] <= pickle.HIGHEST_PROTOCOL:
            self._pickles(file, name)
        elif first[:8] == _HDF5:
            self._hdf5(file, name)
        elif first[8:9] == b"{":
            self._safetensors(file, name)
        else:
            raise UnknownError

    def _member(self, file: IO[bytes], name: str, depth: int) -> None:
        """Note a part of an archive: what it means, or its bytes."""
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as copy:
            while chunk := file.read(_CHUNK):
                copy.write(chunk)
            size = copy.tell()
            copy.seek(0)
            inner = _Reader(Content(), self.own)
            try:
                inner.file(copy, name, depth + 1)
            except Exception:
                copy.seek(0)
                self._bytes(copy, name, size)
                return
        self._add(inner.found)

    def _add(self, part: Content) -> None:
        for each, text in part.values.items():
            self._note(each, text)
        self.found.weights |= part.weights
        self.found.skipped |= part.skipped

    def _bytes(self, file: IO[bytes], name: str, size: int) -> None:
        if size > LARGEST_TEXT:
            self._bulk(name, _digest(file))
            return
        data = self.own(file.read().decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        self._bulk(name, f"sha256:{hashlib.sha256(data).hexdigest()}")

    def _zip(self, file: IO[bytes], name: str, depth: int) -> None:
        with zipfile.ZipFile(file) as zipped:
            names = zipped.namelist()
            if len(set(names)) != len(names):
                raise UnknownError
            pickled = [each for each in names if each.endswith("/data.pkl") and each.count("/") == 1]
            if len(pickled) == 1 and (inner := self._torch(zipped, pickled[0], name)):
                self._add(inner)
                return
            self.found.skipped.add("time stamps of archives")
            for each in sorted(names):
                with zipped.open(each) as member:
                    self._member(member, _below(name, each), depth)

    def _torch(self, zipped: zipfile.ZipFile, pickled: str, name: str) -> Content | None:
        """What torch has saved; None where it only looks like that."""
        inner = _Reader(Content(), self.own)
        try:
            inner._tensors(zipped, pickled, name)
        except Exception:
            return None
        return inner.found

    def _tensors(self, zipped: zipfile.ZipFile, pickled: str, name: str) -> None:
        top = pickled.partition("/")[0] + "/"
        tensors: dict[str, str] = {}
        for each in zipped.namelist():
            inner = each.removeprefix(top)
            if each == pickled:
                continue
            if inner == _SERIALIZATION_ID:
                self.found.skipped.add(_SERIALIZATION_ID)
                continue
            with zipped.open(each) as member:
                digest = _digest(member)
            if inner.startswith("data/"):
                tensors[inner.removeprefix("data/")] = digest
            else:  # version, byteorder, code: no name that a value has
                self._note(_below(name, f"({inner})"), digest)
        if zipped.getinfo(pickled).file_size > LARGEST_PICKLE:
            raise UnknownError
        used: set[str] = set()
        value = _Symbols(io.BytesIO(zipped.read(pickled)), tensors, used).load()
        self._value(value, name)
        for key in tensors.keys() - used:
            self._note(_below(name, f"(data/{key})"), tensors[key])

    def _compressed(self, file: IO[bytes], name: str, depth: int, *, zipped: bool) -> None:
        if zipped and not tarfile.is_tarfile(file):
            file.seek(0)
            with gzip.open(file) as plain:
                self._member(plain, _below(name, "content"), depth)  # type: ignore[arg-type]
            self.found.skipped.add("time stamps of archives")
            return
        file.seek(0)
        with tarfile.open(fileobj=file) as tar:
            self.found.skipped.add("time stamps of archives")
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if content is None:
                    self._note(_below(name, member.name), f"{member.type!r} {member.linkname}")
                else:
                    with content:
                        self._member(content, _below(name, member.name), depth)
        if zipped:  # reading members stops before the checksum at the end
            file.seek(0)
            with gzip.open(file) as whole:
                while whole.read(_CHUNK):
                    pass

    def _pickles(self, file: IO[bytes], name: str) -> None:
        """A pickle, or several; what torch saved before 1.6 has bytes behind them, and is not read."""
        file.seek(0, io.SEEK_END)
        size = file.tell()
        file.seek(0)
        if size > LARGEST_PICKLE:
            raise UnknownError
        values = []
        while file.tell() < size:
            values.append(_Symbols(file, {}, set()).load())
        self._value(values[0] if len(values) == 1 else values, name)

    def _safetensors(self, file: IO[bytes], name: str) -> None:
        """The format's own description: a length, a header in JSON, and the bytes of the tensors."""
        length = int.from_bytes(file.read(8), "little")
        if length > LARGEST_TEXT:
            raise UnknownError
        header = json.loads(file.read(length))
        for tensor, about in header.items():
            if tensor == "__metadata__":
                self._value(about, _below(name, tensor))
                continue
            begin, end = about["data_offsets"]
            file.seek(8 + length + begin)
            self._bulk(_below(name, tensor), f"{about['dtype']} {about['shape']} {_digest(file, end - begin)}")

    def _hdf5(self, file: IO[bytes], name: str) -> None:
        try:
            import h5py
        except ImportError:
            raise UnknownError from None

        def note(inner: str, each: Any) -> None:
            for key, value in each.attrs.items():
                self._value(value, _below(name, f"{inner}@{key}"))
            if isinstance(each, h5py.Dataset):
                data = each[()]
                plain = data.tobytes() if hasattr(data, "tobytes") and not data.dtype.hasobject else repr(data).encode()
                digest = hashlib.sha256(plain).hexdigest()
                self._bulk(_below(name, inner), f"{each.dtype} {list(each.shape)} sha256:{digest}")

        with h5py.File(file, "r") as opened:
            note("", opened)
            opened.visititems(note)

    def _note(self, name: str, text: str) -> None:
        if name in self.found.values or len(self.found.values) >= MOST_VALUES:
            raise UnknownError
        self.found.values[name] = text

    def _bulk(self, name: str, text: str) -> None:
        self._note(name, text)
        self.found.weights.add(name)

    def _value(self, value: Any, name: str) -> None:
        """Note the leaves of a value by dotted name."""
        waiting: list[tuple[Any, str, tuple[int, ...]]] = [(value, name, ())]
        while waiting:
            each, at, above = waiting.pop()
            if id(each) in above:
                self._note(at, "itself")
                continue
            children = _children(each)
            if children is None:
                bulk, text = _leaf(each)
                (self._bulk if bulk else self._note)(at, self.own(text))
                continue
            if not children:
                self._note(at, f"empty {type(each).__name__}")
            for key, child in children.items():
                waiting.append((child, _below(at, key), (*above, id(each))))


def _below(name: str, key: str) -> str:
    return f"{name}.{key}" if name and key else name or key


class _Named:
    """What a class or a function of a pickle makes: its name, what it is given, and what is put into it."""

    name = ""
    arguments: tuple[Any, ...]
    state: Any
    items: list[tuple[Any, Any]]
    added: list[Any]

    def __new__(cls, *arguments: Any, **named: Any) -> _Named:
        self = object.__new__(cls)
        self.arguments = (*arguments, *([named] if named else []))
        self.state, self.items, self.added = None, [], []
        return self

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))

    def append(self, value: Any) -> None:
        self.added.append(value)

    def extend(self, values: Any) -> None:
        self.added.extend(values)

    add = append


@dataclass(frozen=True)
class _Storage:
    kind: str
    digest: str


class _Symbols(pickle.Unpickler):
    """Reads a pickle without anything of it being imported or called: what it names stays a name."""

    def __init__(self, file: IO[bytes], tensors: Mapping[str, str], used: set[str]) -> None:
        super().__init__(file, encoding="latin-1")
        self._tensors = tensors
        self._used = used
        self._classes: dict[str, type[_Named]] = {}

    def find_class(self, module: str, name: str) -> type[_Named]:
        """A class of ours that only bears the name."""
        whole = f"{module}.{name}"
        return self._classes.setdefault(whole, type("_Named", (_Named,), {"name": whole}))

    def persistent_load(self, pid: Any) -> Any:
        """A tensor's bytes, which torch keeps beside the pickle: ("storage", class, key, device, length)."""
        if not isinstance(pid, tuple) or len(pid) < 3 or pid[0] != "storage":
            raise UnknownError
        kind = pid[1].name if isinstance(pid[1], type) and issubclass(pid[1], _Named) else repr(pid[1])
        self._used.add(str(pid[2]))
        return _Storage(kind, self._tensors[str(pid[2])])


def _children(value: Any) -> dict[str, Any] | None:
    """What a value consists of, by name; None for one that is a leaf. UnknownError where two parts have one name."""
    parts = _parts(value)
    if parts is None:
        return None
    found = dict(parts)
    if len(found) != len(parts):
        raise UnknownError
    return found


def _parts(value: Any) -> list[tuple[str, Any]] | None:
    if isinstance(value, dict):
        return _named(value.items())
    if isinstance(value, list | tuple):
        return [(str(number), each) for number, each in enumerate(value)]
    if not isinstance(value, _Named) or _tensor(value):
        return None
    if value.name.endswith("._rebuild_parameter") and value.arguments and value.state is None:
        return [("", value.arguments[0]), ("requires_grad", value.arguments[1:2])]
    parts = [*_named(value.items), *((str(number), each) for number, each in enumerate(value.added))]
    if isinstance(value.state, dict):
        parts += _named(value.state.items())
    elif value.state is not None:
        parts.append(("state", value.state))
    if value.arguments:
        parts.append(("()", value.arguments))
    return [*parts, ("class", type(value))] if parts else None


def _named(items: Iterable[tuple[Any, Any]]) -> list[tuple[str, Any]]:
    return [(_key(key), each) for key, each in items]


def _key(key: Any) -> str:
    return key if isinstance(key, str) else f"[{_leaf(key)[1]}]"


def _tensor(value: _Named) -> bool:
    return "._rebuild_" in value.name and bool(value.arguments) and isinstance(value.arguments[0], _Storage)


def _leaf(value: Any) -> tuple[bool, str]:
    """Whether a leaf is bulk, and its text."""
    if isinstance(value, _Named) and _tensor(value):
        storage, *rest = value.arguments
        shape = rest[1] if len(rest) > 1 else ()
        how = hashlib.sha256(_plain(rest).encode()).hexdigest()[:8]  # offset, strides, hooks
        return True, f"{storage.kind} {shape!r} {storage.digest} {how}"
    if isinstance(value, bytes | bytearray):
        return True, f"{len(value)} bytes sha256:{hashlib.sha256(value).hexdigest()}"
    if isinstance(value, _Storage):
        return True, f"{value.kind} {value.digest}"
    return False, _plain(value)


def _plain(value: Any) -> str:
    """A value as text that says the same for the same value, in whichever process."""
    if isinstance(value, str):
        return f"'{value}'"  # 1 is a number, '1' is a text
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_plain, value))})"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(_plain, value)))}}}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_plain(key)}: {_plain(each)}' for key, each in value.items())}}}"
    if isinstance(value, type):
        return value.name if issubclass(value, _Named) else value.__name__
    if isinstance(value, _Named):
        parts = [_plain(list(part)) for part in (value.arguments, value.items, value.added) if part]
        return value.name + "".join(parts) + (_plain(value.state) if value.state is not None else "")
    return repr(value)


def _digest(file: IO[bytes], size: int = -1) -> str:
    digest = hashlib.sha256()
    while size and (chunk := file.read(_CHUNK if size < 0 else min(size, _CHUNK))):
        digest.update(chunk)
        size -= len(chunk) if size > 0 else 0
    return f"sha256:{digest.hexdigest()}"
