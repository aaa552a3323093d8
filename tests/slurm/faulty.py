"""Commands of Slurm's that misbehave: a wrapper first on PATH, as a site or a bad day would put it there."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from on_slurm import Cluster


def path_with(folder: Path, **wrappers: str) -> str:
    """A PATH on which each command named is a line of bash, in which REAL is Slurm's own."""
    folder.mkdir(exist_ok=True)
    for name, text in wrappers.items():
        real = shutil.which(name)
        assert real
        (folder / name).write_text("#!/bin/bash\n" + text.replace("REAL", real) + "\n")
        (folder / name).chmod(0o755)
    return os.pathsep.join([str(folder), os.path.dirname(sys.executable), os.environ["PATH"]])


def fresh(cluster: Cluster) -> None:
    """Let the controller lose all that it knew, so that its job ids begin anew."""
    cluster.empty()
    cluster.do("forget")
    cluster.do("startcontroller")
    cluster.ready()
