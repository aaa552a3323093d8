"""Trials -> one file: capsules, what they came from, and as much of their outputs as is wanted.

The bytes depend on what is packed alone: no time, owner, host or order of a directory goes into them.
"""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

from resweep import index, layout
from resweep.errors import ConfigError, TrialError
from resweep.index import Entry, Index
from resweep.launcher import places
from resweep.launcher.places import Place
from resweep.layout import SweepPaths, TrialName
from resweep.proof import check, verify
from resweep.proof.archive import contents, stream, tar
from resweep.proof.archive.contents import Contents, Item
from resweep.results import clean

_CHUNK = 1 << 20
# what the launcher leaves for a while, or makes for the machine that it runs on
_PASSING = (places.HEARTBEAT, "bin", ".new-*", ".now-*", "*.part")


@dataclass(frozen=True)
class Packed:
    """What was packed, what the list in front says of it, and what was left out, with the reason."""

    path: Path
    contents: Contents
    bytes: int
    notes: list[str]
    written: bool  # False: the file was there already, with these bytes


@dataclass
class _Found:
    """What is to be packed, as it is found."""

    prefix: str  # of every path: the project's root, with its slash
    cache: verify.Cache
    items: list[Item] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    directories: set[str] = field(default_factory=set)
    texts: dict[str, bytes] = field(default_factory=dict)  # files whose bytes are not those on the disk
    notes: list[str] = field(default_factory=list)

    def name(self, path: str | Path) -> str:
        """A path as it stands in the archive."""
        return str(path).removeprefix(self.prefix)

    def add(self, path: str | Path, shared: bool) -> None:
        """Add a file."""
        found = os.lstat(path)
        mode = (contents.SHARED if shared else contents.OWN)[bool(found.st_mode & 0o111)]
        self.items.append(Item(self.name(path), self.cache.sha256(str(path), found), found.st_size, mode))

    def add_text(self, path: Path, data: bytes) -> None:
        """Add a file with other bytes than it has."""
        name = self.name(path)
        self.texts[name] = data
        self.items.append(Item(name, hashlib.sha256(data).hexdigest(), len(data), contents.OWN[0]))


def pack(paths: SweepPaths, entries: Sequence[Entry], target: Path, outputs: str = "metrics") -> Packed:
    """Write an archive of these trials to `target`, whole or not at all.

    `outputs` are none, metrics (records, logs, metrics, TensorBoard's events) or all. Raises TrialError when a capsule
    is not what was written, and ConfigError when `target` is another file; one with the same bytes stays as it is.
    """
    form = stream.by_name(target)
    form.compressor()  # a library that is missing is said before an hour of reading
    if not entries:
        raise TrialError(f"{paths.name}: no trial to pack")
    found = _Found(os.path.join(paths.root, ""), verify.Cache())
    _add_sweep(found, paths, entries)
    for entry in entries:
        _add_capsule(found, paths.capsule(entry.name))
        if outputs != "none":
            _add_outputs(found, paths.place(entry.name), str(entry.name), outputs == "all")
    _settle_links(found)
    names = [entry.name for entry in entries]
    listed = contents.arranged(paths.name, outputs, names, found.items, found.links, found.directories)
    check.check(listed, str(target))
    size, written = _write(target, form, listed, found)
    return Packed(target, listed, size, found.notes, written)


def reduced(listed: Index, names: Iterable[TrialName]) -> Index:
    """The index of these trials alone."""
    wanted = set(names)
    return replace(listed, entries=tuple(entry for entry in listed.entries if entry.name in wanted))


def generations(listed: Index) -> set[int]:
    """The generations that an index refers to."""
    return {entry.generation for entry in listed.entries} | {listed.generation}


def _add_sweep(found: _Found, paths: SweepPaths, entries: Sequence[Entry]) -> None:
    listed = reduced(index.read(paths), (entry.name for entry in entries))
    found.add_text(paths.index, listed.text().encode())
    for path in (paths.launcher, paths.run_options):
        if path.is_file():
            found.add(path, shared=False)
    for number in sorted(generations(listed)):
        folder = paths.generations / str(number)
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                found.add(path, shared=True)


def _add_capsule(found: _Found, capsule: Path) -> None:
    differences = verify.capsule(capsule, found.cache)
    if differences:
        first = differences[0]
        raise TrialError(
            f"{first.where}: {first.path or 'the whole trial'} {first.kind}; only what is as it was written is packed; "
            "`resweep verify` names everything that is not"
        )
    manifest = json.loads((capsule / layout.MANIFEST).read_bytes())
    origins = sorted(name for name in layout.PROVENANCES if (capsule / name).is_file())
    for path in (*manifest["files"], *manifest["snapshot"]["files"], layout.MANIFEST, *origins):
        found.add(f"{capsule}/{path}", shared=True)


def _add_outputs(found: _Found, place: Place, name: str, everything: bool) -> None:
    """Add what a trial's attempts left."""
    if busy := clean.in_use(place):
        found.notes.append(f"{name}: {busy}; its output is left out")
        return
    patterns = ("*",) if everything else clean.KEPT
    _add_tree(found, place.output, patterns)
    for folder in _listdir(place.attempts):
        path = os.path.join(place.attempts, folder)
        if folder == places.FINISHED:
            found.add(path, shared=False)
        elif folder.isdigit():
            _add_attempt(found, place, path, patterns)
        elif layout.read_exec_name(folder):
            _add_tree(found, path, patterns, _PASSING)


def _add_attempt(found: _Found, place: Place, folder: str, patterns: Sequence[str]) -> None:
    """Add what the launcher left of an attempt, whatever it is called, and what training did."""
    for name in _listdir(folder):
        path = os.path.join(folder, name)
        if name != places.OUTPUT and not _matches(name, _PASSING) and stat.S_ISREG(os.lstat(path).st_mode):
            found.add(path, shared=False)
    output = os.path.join(folder, places.OUTPUT)
    if not os.path.islink(output):
        _add_tree(found, output, patterns)
    elif os.path.isdir(output) and os.path.samefile(output, place.output):
        found.links[found.name(output)] = os.path.relpath(place.output, folder)


def _add_tree(found: _Found, top: str, patterns: Sequence[str], left_out: Sequence[str] = ()) -> None:
    """Add the files below a directory that fit a pattern; one in which none does is there, and empty."""
    strange = 0
    for folder, folders, names in os.walk(top):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = sorted(name for name in folders if name not in links and not _matches(name, left_out))
        empty = not folders
        for name in sorted((*names, *links)):
            path = os.path.join(folder, name)
            if not _matches(name, patterns) or _matches(name, left_out):
                continue
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                found.links[found.name(path)] = os.readlink(path)
            elif stat.S_ISREG(mode):
                found.add(path, shared=False)
                empty = False
            else:
                strange += 1
        if empty:
            found.directories.add(found.name(folder))
    if strange:
        found.notes.append(f"{found.name(top)}: {strange} sockets, pipes or devices are left out")


def _settle_links(found: _Found) -> None:
    """Keep the symbolic links that lead, without another on the way, to what is packed."""
    there = {item.path for item in found.items} | found.directories
    there |= {"/".join(parts[:n]) for path in there if (parts := path.split("/")) for n in range(1, len(parts))}
    lost = [path for path, target in found.links.items() if check.leads_to(path, target) not in there]
    for path in lost:
        del found.links[path]
    if lost:
        many = "a symbolic link that leads" if len(lost) == 1 else f"{len(lost):,} symbolic links that lead"
        found.notes.append(f"{many} elsewhere than to what is packed: left out, such as {lost[0]}")
    # a directory in which nothing but such links lay
    found.directories -= {"/".join(path.split("/")[:-1]) for path in found.links}


def _listdir(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _write(target: Path, form: stream.Format, listed: Contents, found: _Found) -> tuple[int, bool]:
    """Write the archive under another name, and give it its own when it is on the disk; its size, whether it is new."""
    folder = target.absolute().parent
    if not folder.is_dir():
        raise ConfigError(f"{target}: {folder} is not a directory")
    descriptor, part = tempfile.mkstemp(prefix=f".{target.name}.", dir=folder)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o666 & ~_umask())
            _write_members(stream.Writer(file, form), listed, found)
            file.flush()
            os.fsync(descriptor)
            size = file.tell()
        return size, _publish(part, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _publish(part: str, target: Path) -> bool:
    """Give a file its name, unless another file has it; False when that has the same bytes."""
    try:
        try:
            os.link(part, target)
        except OSError as error:
            if isinstance(error, FileExistsError) or os.path.lexists(target):
                raise FileExistsError from None
            os.rename(part, target)  # a file system without hard links
    except FileExistsError:
        if target.is_file() and filecmp.cmp(part, target, shallow=False):
            return False
        raise ConfigError(f"{target}: exists, with other bytes; nothing was overwritten. Name another file") from None
    descriptor = os.open(target.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


def _write_members(writer: stream.Writer, listed: Contents, found: _Found) -> None:
    data = listed.data()
    for piece in (tar.header(contents.NAME, size=len(data)), data, tar.padding(len(data))):
        writer.write(piece)
    for path in listed.directories:
        writer.write(tar.header(path + "/", tar.DIRECTORY, mode=0o755))
    for file in listed.files:
        path = file.paths[0]
        writer.write(tar.header(path, size=file.size, mode=file.mode))
        for chunk in _checked(found, path, file):
            writer.write(chunk)
        writer.write(tar.padding(file.size))
        for other in file.paths[1:]:
            writer.write(tar.header(other, tar.HARD_LINK, mode=file.mode, target=path))
    for path, link in listed.links:
        writer.write(tar.header(path, tar.SYMBOLIC_LINK, mode=0o777, target=link))
    writer.write(tar.END)
    writer.close()


def _checked(found: _Found, path: str, file: contents.File) -> Iterator[bytes]:
    """The bytes of a file; a TrialError when they are no longer those that the list speaks of."""
    digest, left = hashlib.sha256(), file.size
    with _opened(found, path) as source:
        while chunk := source.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            digest.update(chunk)
            if left < 0:
                break
            yield chunk
    if left or digest.hexdigest() != file.sha256:
        raise TrialError(f"{path}: changed while it was packed; pack again when nothing writes to it")


def _opened(found: _Found, path: str) -> IO[bytes]:
    if path in found.texts:
        import io

        return io.BytesIO(found.texts[path])
    return open(found.prefix + path, "rb", buffering=0)
