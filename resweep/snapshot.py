"""Source tree -> Snapshot: the project's source as its own build copies it, addressed by the hash of its content.

The build runs outside the source tree and leaves nothing in it. A stale `build/lib` or SOURCES.txt would bring
deleted files back, so neither is ever used.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from resweep import attempt, trial
from resweep.errors import ConfigError, ProjectError, TrialError
from resweep.sweep import SnapshotOptions

SETUP = "setup.py"
PYPROJECT = "pyproject.toml"
NO_BACKEND = 3  # exit status of the build when the backend cannot be imported

_NEVER = ("__pycache__", "*.pyc", "*.pyo")
# what the tool itself writes, and git: a pattern that matched it would make every generation another source
_NOT_SOURCE = ("config/generated/", "model/generated/", ".git/")

# Run in the interpreter that trains. argv: backend, object, folder for the wheel, backend-path...
_BUILD_WHEEL = """
import importlib, sys
backend, attributes, out, *path = sys.argv[1:]
sys.path[:0] = path
try:
    build = importlib.import_module(backend)
except ModuleNotFoundError as error:
    print(error)
    sys.exit(3)
for attribute in filter(None, attributes.split(".")):
    build = getattr(build, attribute)
build.build_wheel(out)
"""
_SETUPTOOLS_WITHOUT_SETUP_PY = "import setuptools; setuptools.setup()"


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

    def listing(self) -> dict[str, object]:
        """The list of files as a manifest holds it."""
        return {
            "digest": self.digest,
            "files": {file.path: file.sha256 for file in self.files},
            "executable": [file.path for file in self.files if file.executable],
        }


def find_root(start: Path) -> Path:
    """The project's root: the nearest directory from `start` upwards with a setup.py or pyproject.toml."""
    for folder in (start, *start.parents):
        if (folder / SETUP).is_file() or (folder / PYPROJECT).is_file():
            return folder
    raise ProjectError(
        f"{start}: found no {SETUP} or {PYPROJECT} here or above, expected one that says what the project's source is"
    )


def find_sweeps(start: Path) -> Path:
    """Where the sweeps of the nearest project are: its root, or what was unpacked of it, which needs no source."""
    for folder in (start, *start.parents):
        if folder.joinpath(*attempt.CONFIG_ROOT).is_dir():
            return folder
        if (folder / SETUP).is_file() or (folder / PYPROJECT).is_file():
            break
    return find_root(start)


def find_python(python: str | None, where: str, root: Path) -> str:
    """The interpreter that builds and trains: `[run] python`, or the tool's own."""
    if python is None:
        return sys.executable
    path = os.path.expanduser(python)
    if os.sep in path:  # relative to the project, as for the jobs script, wherever the command is called
        path = os.path.join(root, path)
    found = shutil.which(path)
    if found is None:
        raise ConfigError(f"{where}: run.python: found {python!r}, expected a Python interpreter on PATH or its path")
    return found


class Build:
    """The building of a snapshot, started at once and finished when its result is asked for.

    It runs beside what the caller does meanwhile: building and importing scikit-learn take the same time.
    """

    def __init__(self, root: Path, options: SnapshotOptions, python: str) -> None:
        self._root = root
        self._options = options
        self._python = python
        self._temporary = tempfile.TemporaryDirectory(prefix="resweep-", ignore_cleanup_errors=True)
        self._lib = Path(self._temporary.name, "lib")
        self._lib.mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] = open(Path(self._temporary.name, "output"), "w+b")  # noqa: SIM115
        self._backend = ""
        if options.source == "build":
            command = self._command()
            environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
            self._process = subprocess.Popen(
                command,
                cwd=root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C is for us alone; whatever the build has started ends with it
            )

    def __enter__(self) -> Build:
        """Nothing more: the build has started."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the build and remove what it made."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._output.close()
        self._temporary.cleanup()

    def snapshot(self) -> Snapshot:
        """Wait for the build, and add, leave out and hash files. The tree lies there until the build is closed."""
        if self._options.source == "git":
            self._copy_tracked()
        else:
            self._finish()
        self._include()
        files = tuple(self._hashed())
        if not files:
            raise ProjectError(
                f"{self._root}: the snapshot is empty: the build copied no file; "
                f"expected packages in {SETUP}, or [snapshot] include"
            )
        warnings = () if self._options.source == "git" else tuple(self._left_out({file.path for file in files}))
        return Snapshot(files, _digest(files), self._lib, warnings)

    def _command(self) -> list[str]:
        """The command that copies the source to `lib` or makes a wheel of it."""
        base = self._temporary.name
        lib = str(self._lib)
        setup = ["egg_info", "--egg-base", base, "build", "--build-base", f"{base}/build", "--build-lib", lib]
        if (self._root / SETUP).is_file():
            return [self._python, "-B", SETUP, *setup]
        try:
            system = tomllib.loads((self._root / PYPROJECT).read_text("utf-8")).get("build-system", {})
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ProjectError(f"{self._root / PYPROJECT}: not valid TOML: {error}") from None
        self._backend, _, attributes = system.get("build-backend", "setuptools.build_meta").partition(":")
        if self._backend.partition(".")[0] == "setuptools":
            self._backend = ""
            return [self._python, "-B", "-c", _SETUPTOOLS_WITHOUT_SETUP_PY, *setup]
        path = [str(self._root / folder) for folder in system.get("backend-path", [])]
        return [self._python, "-B", "-c", _BUILD_WHEEL, self._backend, attributes, base, *path]

    def _finish(self) -> None:
        assert self._process is not None
        status = self._process.wait()
        self._output.seek(0)
        output = self._output.read().decode(errors="replace").strip()
        if status == NO_BACKEND and self._backend:
            raise ProjectError(
                f"{self._root / PYPROJECT}: the build backend {self._backend} is not installed in {self._python} "
                f"({output}); install it there"
            )
        if status and "No module named 'setuptools'" in output:
            raise ProjectError(
                f"{self._root}: {self._python} has no setuptools, which builds the source; install it there"
            )
        if status:
            how = SETUP if (self._root / SETUP).is_file() else PYPROJECT
            raise ProjectError(f"{self._root / how}: the build failed with exit status {status}; its output:", output)
        for wheel in Path(self._temporary.name).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                for info in archive.infolist():
                    if ".dist-info/" not in info.filename and ".data/" not in info.filename:
                        path = Path(archive.extract(info, self._lib))
                        if info.external_attr >> 16 & 0o100 and path.is_file():
                            path.chmod(0o755)

    def _copy_tracked(self) -> None:
        tracked = _git_files(self._root)
        if tracked is None:
            raise ProjectError(f'{self._root}: [snapshot] from = "git", but this is no git checkout')
        ours = {trial.TRAIN, trial.RERUN}
        for name in tracked:
            if name not in ours and not name.startswith(_NOT_SOURCE):
                self._copy(self._root / name, name)

    def _include(self) -> None:
        for pattern in self._options.include:
            wrong = f"{self._options.where}: snapshot.include: found {pattern!r}, "
            if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
                raise ConfigError(f"{wrong}expected a path inside the project")
            try:
                found = sorted(self._root.glob(pattern))
            except (ValueError, IndexError) as error:  # "**.py", "."
                raise ConfigError(f"{wrong}expected a pattern such as scripts/*.py ({error})") from None
            files = [file for path in found for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
            names = [file.relative_to(self._root).as_posix() for file in files if file.is_file()]
            names = [name for name in names if not name.startswith(_NOT_SOURCE)]
            if not names:
                raise ConfigError(f"{wrong}which matches no file of {self._root}")
            for name in names:
                self._copy(self._root / name, name)

    def _copy(self, source: Path, name: str) -> None:
        if source.is_file():  # git also lists what was deleted since, and submodules
            target = self._lib / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)

    def _hashed(self) -> Iterable[SourceFile]:
        for folder, folders, names in os.walk(self._lib):
            folders.sort()
            for name in sorted(names):
                file = Path(folder, name)
                path = file.relative_to(self._lib).as_posix()
                if _matches(path, self._options.exclude) or any(_matches(part, _NEVER) for part in path.split("/")):
                    continue
                _check_path(path, self._options.where)
                data = file.read_bytes()
                executable = bool(file.stat().st_mode & 0o111)
                yield SourceFile(path, hashlib.sha256(data).hexdigest(), len(data), executable)

    def _left_out(self, taken: set[str]) -> Iterable[str]:
        """A warning for what git tracks under a package and the build did not copy: mostly undeclared package data."""
        packages = {path.partition("/")[0] for path in taken if "/" in path}
        missing = []
        for name in _git_files(self._root) or ():
            path = name.removeprefix("src/")
            left_out = path.partition("/")[0] in packages and path not in taken
            if left_out and not _matches(path, self._options.exclude) and (self._root / name).exists():
                missing.append(name)
        if missing:
            shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            yield (
                f"git tracks {shown}, but the build leaves {'it' if len(missing) == 1 else 'them'} out of the trials; "
                f"declare package_data in {SETUP}, or name what is not wanted in [snapshot] exclude"
            )


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
            listing = attempt.read_manifest(str(self._capsule))["snapshot"]
        except attempt.AttemptError as error:
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
    listing = json.dumps({"format": trial.FORMAT, **snapshot.listing()}, indent=1, sort_keys=True) + "\n"
    write_read_only(folder / "snapshot.json", listing.encode())
    folder.chmod(0o755)


def stored_files(home: Path, digest: str) -> dict[str, str]:
    """Path -> sha256 of a stored snapshot; empty when it is not in the store any more."""
    try:
        listing = json.loads((home / digest / "snapshot.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    files: dict[str, str] = listing["files"]
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
    except (OSError, ValueError, KeyError) as error:
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


def _digest(files: tuple[SourceFile, ...]) -> str:
    return trial.digest([[file.path, file.sha256, file.executable] for file in files])


def listed_digest(files: Mapping[str, str], executable: Collection[str]) -> str:
    """The digest of a source, from the list of its files as a manifest or the store holds it."""
    return trial.digest([[path, files[path], path in executable] for path in sorted(files, key=_place)])


def _place(path: str) -> list[tuple[bool, str]]:
    """Where a file comes in the list that is hashed: those of a directory before those of its subdirectories."""
    *folders, name = path.split("/")
    return [*((True, folder) for folder in folders), (False, name)]


def _check_path(path: str, where: str) -> None:
    if path in trial.CAPSULE_FILES:
        raise ConfigError(
            f"{where}: snapshot: found {path}, expected no source file of this name, which is a trial's own; "
            "leave it out with [snapshot] exclude"
        )
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"{where}: snapshot: {path!r} is not valid UTF-8; rename it, or leave it out with [snapshot] exclude"
        ) from None


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, p) or path.startswith(p.rstrip("/") + "/") for p in patterns)


def _git_files(root: Path) -> list[str] | None:
    """What git tracks below `root`, or None where git or a checkout is missing."""
    try:
        done = subprocess.run(
            ["git", "ls-files", "-z", "--recurse-submodules"], cwd=root, capture_output=True, check=False
        )
    except FileNotFoundError:
        return None
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name] if done.returncode == 0 else None
