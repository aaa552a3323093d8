"""Source tree -> Snapshot: the project's source as its own build copies it.

The build runs outside the source tree and leaves nothing in it. A stale `build/lib` or SOURCES.txt would bring
deleted files back, so neither is ever used.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from resweep import layout
from resweep.errors import ConfigError, ProjectError
from resweep.generation.snapshot import Snapshot, SourceFile
from resweep.project import PYPROJECT, SETUP
from resweep.sweep.definition import SnapshotOptions

# 1980-01-01 in UTC, the first day that a zip can tell: what __DATE__ and archives hold, unless a person says otherwise
EPOCH = "315532800"
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
    try:
        build = importlib.import_module(backend)
    except ModuleNotFoundError:
        if backend != "poetry.masonry.api":  # its name until poetry-core came, in 2020
            raise
        build = importlib.import_module("poetry.core.masonry.api")
except ModuleNotFoundError as error:
    print(error)
    sys.exit(3)
for attribute in filter(None, attributes.split(".")):
    build = getattr(build, attribute)
build.build_wheel(out)
"""
_SETUPTOOLS_WITHOUT_SETUP_PY = "import setuptools; setuptools.setup()"


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
            self._process = subprocess.Popen(
                command,
                cwd=root,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C is for us alone; whatever the build has started ends with it
            )

    def _environment(self) -> dict[str, str]:
        """Of the build: what is compiled does not say where and when that was, so that its id is the same elsewhere."""
        environment = {"SOURCE_DATE_EPOCH": EPOCH, **os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        maps = [shlex.quote(f"-ffile-prefix-map={path}=.") for path in (self._temporary.name, str(self._root))]
        for flags in ("CFLAGS", "CXXFLAGS"):
            environment[flags] = " ".join([*filter(None, [os.environ.get(flags)]), *maps])
        return environment

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
        return Snapshot.of(files, self._lib, warnings)

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
            name = self._backend.partition(".")[0]
            package = {"poetry": "poetry-core", "flit": "flit-core"}.get(name, name.replace("_", "-"))
            raise ProjectError(
                f"{self._root / PYPROJECT}: the build backend {self._backend} is not installed in {self._python} "
                f"({output}); install it (pip install {package}), add a {SETUP}, or freeze what git tracks: "
                'from = "git" in [snapshot]'
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
        ours = {layout.TRAIN, layout.RERUN}
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


def _check_path(path: str, where: str) -> None:
    if path in layout.CAPSULE_FILES:
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
