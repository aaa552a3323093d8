"""What surrounded a generation: git, the interpreter that trains, its packages, the machine. No part of any id."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resweep import __version__, layout
from resweep.errors import TrialError
from resweep.launcher import host
from resweep.lock import PART

LARGEST_DIFF = 1 << 20  # bytes of an uncommitted diff that are kept
LARGEST_UNTRACKED = 1 << 20  # bytes of untracked files that are kept, in all
MOST_UNTRACKED = 1000  # untracked files that are named

_OURS = ("config/generated/", "model/generated/")
_STAGED = re.compile(rf"\.[^/]+-jobs\.sh\.\d+{re.escape(PART)}")  # the jobs script that is about to appear
# untracked files whose content stays where it is: a capsule is made to be shared
_SECRETS = (".env*", "*.pem", "*.key", "id_*", ".netrc", ".pypirc", "*secret*", "*credential*", "*token*", "*password*")


class Capture:
    """The capturing of an environment, started at once and finished when its result is asked for."""

    def __init__(self, root: Path, python: str) -> None:
        self._root = root
        self._process = subprocess.Popen(
            [python, "-B", "-c", Path(host.__file__).read_text("utf-8")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    def environment(self) -> bytes | None:
        """The content of environment.json; None where the interpreter could not tell (older than Python 3.8)."""
        output = self._process.communicate()[0]
        if self._process.returncode:
            return None
        return (layout.pretty({"format": layout.FORMAT, **json.loads(output)}) + "\n").encode()

    def __enter__(self) -> Capture:
        """Nothing more: the capturing has started."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the capturing when its result was not wanted."""
        if self._process.stdout and not self._process.stdout.closed:
            self._process.kill()
            self._process.communicate()


def provenance(root: Path, environment: bytes | None, fingerprints: bytes | None) -> dict[str, Any]:
    """The content of provenance.json; it names the files beside it by their digests."""
    return {
        "format": layout.FORMAT,
        "tool": {"name": "resweep", "version": __version__},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "project": str(root),
        "host": socket.gethostname(),
        "environment": environment and hashlib.sha256(environment).hexdigest(),
        "data": fingerprints and hashlib.sha256(fingerprints).hexdigest(),
        "git": git(root),
    }


def of_capsule(capsule: Path) -> dict[str, Any]:
    """The environment that a capsule was generated in; a TrialError for a capsule that does not know."""
    path = capsule / layout.ENVIRONMENT
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if found["format"] != layout.FORMAT:
            raise TrialError(f"{path}: format {found['format']}, expected {layout.FORMAT}: made by another version")
    except FileNotFoundError:
        raise TrialError(f"{capsule}: has no {layout.ENVIRONMENT}, so its packages are not known") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrialError(f"{path}: cannot be read ({error})") from None
    return found


def of_attempt(directory: Path) -> dict[str, Any]:
    """What an attempt ran on: machine, cards, packages that had changed; empty for one that does not say."""
    try:
        found = json.loads((directory / layout.ENVIRONMENT).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and "drift" in found else {}


def git(root: Path) -> dict[str, Any] | None:
    """The commit, branch, remote, uncommitted diff and untracked files at `root`; None where there is no checkout."""
    if _git(root, "rev-parse", "--is-inside-work-tree") is None:
        return None
    diff = _git(root, "diff", "HEAD", "--binary") or ""
    listed = (_git(root, "ls-files", "--others", "--exclude-standard", "-z") or "").split("\0")
    untracked = [name for name in listed if name and not name.startswith(_OURS) and not _STAGED.fullmatch(name)]
    return {
        "commit": _line(_git(root, "rev-parse", "--verify", "-q", "HEAD")),
        "branch": _line(_git(root, "rev-parse", "--abbrev-ref", "HEAD")),
        "remote": host.without_credentials(_line(_git(root, "config", "--get", "remote.origin.url"))),
        "diff": diff[:LARGEST_DIFF],
        "diff_is_whole": len(diff) <= LARGEST_DIFF,
        "untracked": _untracked(root, untracked),
    }


def _untracked(root: Path, names: list[str]) -> list[dict[str, Any]]:
    """The untracked files, the small ones first with their content, until LARGEST_UNTRACKED bytes are kept."""
    sizes = {name: _size(root / name) for name in names[:MOST_UNTRACKED]}
    left = LARGEST_UNTRACKED
    found = []
    for name, size in sorted(sizes.items(), key=lambda item: (item[1], item[0])):
        file: dict[str, Any] = {"path": name, "size": size}
        if any(fnmatch.fnmatch(os.path.basename(name).lower(), pattern) for pattern in _SECRETS):
            file["left_out"] = "its name looks like a secret's"
        elif size > left:
            file["left_out"] = "too big"
        else:
            left -= size
            file |= _content(root / name)
        found.append(file)
    return sorted(found, key=lambda file: str(file["path"]))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _content(path: Path) -> dict[str, str]:
    if path.is_symlink() or not path.is_file():
        return {"left_out": "no regular file"}
    try:
        data = path.read_bytes()
    except OSError as error:
        return {"left_out": f"cannot be read ({error.strerror})"}
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def _line(text: str | None) -> str | None:
    return text.strip() if text else None
