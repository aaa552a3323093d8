"""A project's source, frozen: its files, the hash that names them all, and the store in which each source lies once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from resweep import layout
from resweep.errors import TrialError
from resweep.launcher import places
from resweep.launcher.storage import AttemptError


@dataclass(frozen=True)
class SourceFile:
    """One file of a snapshot: its path with `/`, relative to the capsule, its hex sha256 and size in bytes."""

    path: str
    sha256: str
    size: int
    executable: bool


@dataclass(frozen=True)
class Snapshot:
    """The source that a sweep's trials run, lying at `tree`, with what is worth a warning."""

    files: tuple[SourceFile, ...]
    digest: str
    tree: Path
    warnings: tuple[str, ...] = ()

    @staticmethod
    def of(files: tuple[SourceFile, ...], tree: Path, warnings: tuple[str, ...] = ()) -> Snapshot:
        """The snapshot of these files, those of a directory before those of its subdirectories."""
        digest = layout.digest([[file.path, file.sha256, file.executable] for file in files])
        return Snapshot(files, digest, tree, warnings)

    def listing(self) -> dict[str, object]:
        """The list of files as a manifest holds it."""
        return {
            "digest": self.digest,
            "files": {file.path: file.sha256 for file in self.files},
            "executable": [file.path for file in self.files if file.executable],
        }


class Frozen:
    """The source of a trial that exists, in place of a build: what its manifest lists, whose files are in `capsule`."""

    def __init__(self, capsule: Path) -> None:
        self._capsule = capsule

    def __enter__(self) -> Frozen:
        """Nothing more: there is nothing to build."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing: there is nothing to remove."""

    def snapshot(self) -> Snapshot:
        """The source; a TrialError when a file of it is not what the manifest says."""
        try:
            listing = places.read_manifest(str(self._capsule))["snapshot"]
        except AttemptError as error:
            raise TrialError(str(error)) from None
        files = []
        for path in sorted(listing["files"], key=_place):
            try:
                data = (self._capsule / path).read_bytes()
            except OSError as error:
                raise TrialError(f"{self._capsule / path}: cannot be read ({error.strerror})") from None
            if hashlib.sha256(data).hexdigest() != listing["files"][path]:
                raise TrialError(f"{self._capsule / path}: is not the file that was frozen; restore it")
            files.append(SourceFile(path, listing["files"][path], len(data), path in listing["executable"]))
        return Snapshot(tuple(files), listing["digest"], self._capsule)


def store(snapshot: Snapshot, home: Path) -> Path:
    """Put the snapshot's files into the store at `home`, once by content, and return their directory.

    A stored snapshot is written whole or not at all, is read-only, and is read and compared before it is used again.
    The caller holds the lock of the project's sweeps.
    Raises TrialError when a stored file is not what its name says.
    """
    final = home / snapshot.digest
    if not final.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=home))
        try:
            _fill_store(snapshot, temporary)
            temporary.rename(final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    for file in snapshot.files:
        path = final / "files" / file.path
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != file.sha256:
            raise TrialError(
                f"{path}: was changed or removed since it was stored; the trials that share it changed with it. "
                "Restore the file, or remove the sweep"
            )
    return final / "files"


def _fill_store(snapshot: Snapshot, folder: Path) -> None:
    for file in snapshot.files:
        target = folder / "files" / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_read_only(target, (snapshot.tree / file.path).read_bytes(), file.executable)
    listing = json.dumps({"format": layout.FORMAT, **snapshot.listing()}, indent=1, sort_keys=True) + "\n"
    write_read_only(folder / "snapshot.json", listing.encode())
    folder.chmod(0o755)


def stored_files(home: Path, digest: str) -> dict[str, str]:
    """Path -> sha256 of a stored snapshot; empty when it is not in the store any more."""
    try:
        files: dict[str, str] = json.loads((home / digest / "snapshot.json").read_text("utf-8"))["files"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return files


def stored(home: Path, digest: str) -> Snapshot:
    """A stored snapshot, as its list says, unread; a TrialError where it is not in the store any more."""
    path = home / digest / "snapshot.json"
    try:
        listing = json.loads(path.read_text("utf-8"))
        executable = frozenset(listing["executable"])
        files = tuple(
            SourceFile(
                name, listing["files"][name], (home / digest / "files" / name).stat().st_size, name in executable
            )
            for name in sorted(listing["files"], key=_place)
        )
    except FileNotFoundError:
        raise TrialError(
            f"{path}: the frozen source is not here (what was unpacked has trials alone); generate the sweep again"
        ) from None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise TrialError(f"{path}: the frozen source cannot be read ({error}); generate the sweep again") from None
    return Snapshot(files, digest, home / digest / "files")


def write_read_only(path: str | Path, data: bytes, executable: bool = False) -> None:
    """Write a new file that nobody is meant to edit."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o555 if executable else 0o444)
    try:
        while data:  # a disk that fills up takes a part first, and fails then
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def listed_digest(files: Mapping[str, str], executable: Collection[str]) -> str:
    """The digest of a source, from the list of its files as a manifest or the store holds it."""
    return layout.digest([[path, files[path], path in executable] for path in sorted(files, key=_place)])


def _place(path: str) -> list[tuple[bool, str]]:
    """Where a file comes in the list that is hashed: those of a directory before those of its subdirectories."""
    *folders, name = path.split("/")
    return [*((True, folder) for folder in folders), (False, name)]
