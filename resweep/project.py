"""Where the project is that a command is about, and the Python that builds and trains it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from resweep.errors import ConfigError, ProjectError
from resweep.launcher import places

SETUP = "setup.py"
PYPROJECT = "pyproject.toml"


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
        if folder.joinpath(*places.CONFIG_ROOT).is_dir():
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
