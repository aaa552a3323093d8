"""What surrounded a generation: git, the interpreter that trains, its packages, the machine. No part of any id."""

from __future__ import annotations

import json
import platform
import re
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resweep import __version__

LARGEST_DIFF = 1 << 20  # bytes of an uncommitted diff that are kept

_OURS = ("config/generated/", "model/generated/")

# Run in the interpreter that trains, which may be older than ours.
_PACKAGES = """
import json, os, platform, sys
from importlib.metadata import distributions
packages = {}
for d in distributions():
    # the directory's name says it; reading the metadata of a hundred packages takes longer than all the rest
    folder = os.path.basename(str(getattr(d, "_path", "")))
    name, dash, version = folder[:-len(".dist-info")].rpartition("-") if folder.endswith(".dist-info") else ("", "", "")
    if not dash:
        name, version = d.metadata["Name"], d.version
    if name:
        packages[name.replace("_", "-")] = version
print(json.dumps({"python": platform.python_version(), "implementation": platform.python_implementation(),
                  "executable": sys.executable, "packages": packages}))
"""


class Capture:
    """The capturing of an environment, started at once and finished when its result is asked for."""

    def __init__(self, root: Path, python: str) -> None:
        self._root = root
        self._process = subprocess.Popen(
            [python, "-B", "-c", _PACKAGES],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    def provenance(self) -> dict[str, Any]:
        """The content of provenance.json."""
        output = self._process.communicate()[0]
        return {
            "format": 1,
            "tool": {"name": "resweep", "version": __version__},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": sys.argv,
            "project": str(self._root),
            "host": socket.gethostname(),
            "platform": platform.platform(),
            "interpreter": json.loads(output) if self._process.returncode == 0 else None,
            "git": git(self._root),
        }

    def __enter__(self) -> Capture:
        """Nothing more: the capturing has started."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the capturing when its result was not wanted."""
        if self._process.stdout and not self._process.stdout.closed:
            self._process.kill()
            self._process.communicate()


def git(root: Path) -> dict[str, Any] | None:
    """The commit, branch, remote and uncommitted diff of the checkout at `root`; None where there is none."""
    if _git(root, "rev-parse", "--is-inside-work-tree") is None:
        return None
    diff = _git(root, "diff", "HEAD", "--binary") or ""
    untracked = _git(root, "ls-files", "--others", "--exclude-standard", "-z") or ""
    return {
        "commit": _line(_git(root, "rev-parse", "--verify", "-q", "HEAD")),
        "branch": _line(_git(root, "rev-parse", "--abbrev-ref", "HEAD")),
        "remote": without_credentials(_line(_git(root, "config", "--get", "remote.origin.url"))),
        "diff": diff[:LARGEST_DIFF],
        "diff_is_whole": len(diff) <= LARGEST_DIFF,
        "untracked": [name for name in untracked.split("\0") if name and not name.startswith(_OURS)][:1000],
    }


def without_credentials(url: str | None) -> str | None:
    """A remote's address with user name and password taken out."""
    return None if url is None else re.sub(r"^([a-z+]+://)[^/@]*@", r"\1", url)


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def _line(text: str | None) -> str | None:
    return text.strip() if text else None
