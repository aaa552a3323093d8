"""The person's or the site's own defaults: ~/.config/resweep/slurm.toml, and the same below $XDG_CONFIG_DIRS."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from resweep.errors import ConfigError
from resweep.sweep import slurm_table

FILE = Path("resweep", "slurm.toml")


def paths() -> list[Path]:
    """Where the defaults may stand, what counts less first."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    site = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    return [Path(folder) / FILE for folder in [*reversed(site.split(os.pathsep)), str(home)] if folder]


def read() -> tuple[list[dict[str, Any]], list[Path]]:
    """The tables that there are, each as `[slurm]` of a sweep, what counts less first, and the files they stand in."""
    tables, found = [], []
    for path in paths():
        try:
            table = tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read as TOML ({error})") from None
        slurm_table.check(str(path), table)
        tables.append(table)
        found.append(path)
    return tables, found
