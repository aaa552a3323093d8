"""Whether the script of 2020 has made a sweep, and which files of it are trials; `legacy` reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from resweep.layout import MANIFEST, SweepPaths


def is_sweep(paths: SweepPaths) -> bool:
    """Whether the script of 2020 has generated a sweep of this name here, and this tool none."""
    return (
        bool(paths.name)
        and "/" not in paths.name
        and paths.name[0] != "."
        and not paths.index.exists()
        and any(not (path.parent / MANIFEST).exists() for path in files(paths))
    )


def files(paths: SweepPaths) -> Iterator[Path]:
    """The TOML of every trial."""
    for pattern in ("*/*/*.toml", "*/*.toml"):
        for path in paths.directory.glob(pattern):
            # the id is the directory's name, and that of no file of ours: a generation's TOML is sweep.toml
            if path.stem in (path.parent.name, path.parent.parent.name):
                yield path
