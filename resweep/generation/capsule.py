"""Write, read and check one capsule; the only writer of capsules.

A capsule is written under a temporary name, flushed, and renamed into place; the disk is asked to flush once for
all. Power loss, `kill -9`, a full disk and two writers at once leave nothing half.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import tomli_w

from resweep import layout, lock
from resweep.errors import TrialError
from resweep.generation.snapshot import Snapshot, write_read_only
from resweep.launcher import bundle, places
from resweep.launcher.storage import AttemptError
from resweep.layout import TrialName

# where a file cannot get one more hard link, and a copy must do
NO_LINK = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS)


@dataclass(frozen=True)
class Content:
    """What is a trial's own in its capsule: everything else it shares with the trials of its generation."""

    name: TrialName
    digest: str  # the full sha256 that the id abbreviates
    toml: bytes
    json: bytes
    seed: int
    threads: int


@dataclass(frozen=True)
class Shared:
    """What the capsules of one generation share, as read-only files to link to: path in the capsule -> file."""

    snapshot: Snapshot
    source: Path
    files: Mapping[str, Path]  # train.sh, rerun.sh, and where they came from: PROVENANCES
    run: Mapping[str, object] = field(default_factory=dict)  # what of `[run]` a capsule that lies alone must know


def toml_bytes(config: Mapping[str, Any], sweep_name: str, name: TrialName) -> bytes:
    """`{id}.toml`: a header of the tool's keys with paths relative to the capsule, a blank line, the configuration."""
    models = "../" * (len(places.CONFIG_ROOT) + 3) + "/".join(places.MODEL_ROOT)
    header = (  # names of sweeps and ids need no escapes
        f'generated_id = "{name.id}"\n'
        f'name = "{sweep_name}"\n'
        f"trial = {name.trial}\n"
        'conf_dir = "."\n'
        f'conf_path = "{name.id}.toml"\n'
        f'allennlp_conf = "{name.id}.json"\n'
        f'serialization_dir = "{models}/{sweep_name}/{name}"\n'
    )
    return f"{header}\n{configuration(config)}".encode()


def configuration(config: Mapping[str, Any]) -> str:
    """A trial's configuration as TOML, the keys of every table in order."""
    return tomli_w.dumps(_sorted(config))


def json_bytes(filled: object) -> bytes:
    """`{id}.json`: the filled template, sorted and indented, the same bytes wherever it is written."""
    return (layout.pretty(filled) + "\n").encode()


def rerun_bytes() -> bytes:
    """`rerun.sh`: bash that runs the launcher it carries, so that a capsule needs bash and Python alone."""
    return (_RERUN + bundle.text()).encode()


_MARK = "# --- the launcher: attempt.py of resweep ---"
_RERUN = f"""\
#!/usr/bin/env bash
# Runs this trial again, from the files in this directory alone. Needs bash, Python and what the training imports.
#
#   bash rerun.sh [DIR]     DIR is new or empty; default: the next free rerun-ID-TRIAL-N in the current directory
#
# DIR gets output/ (what training writes), log.txt and record.json. Nothing here, and no earlier output, is touched.
# RESWEEP_PYTHON names another interpreter; RESWEEP_DATA the directory that relative data paths start from.
# RESWEEP_ALLOW_CHANGED_DATA=1 runs it although the data is not what it was, RESWEEP_ALLOW_CHANGED_TRIALS=1 although a
# file of this directory is not.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "${{BASH_SOURCE[0]}}")" && pwd) || exit
python=${{RESWEEP_PYTHON:-$(command -v python || command -v python3)}}
command -v "$python" >/dev/null || {{ echo "found no ${{python:-python}}; RESWEEP_PYTHON names a Python" >&2; exit 2; }}
export RESWEEP_PYTHON=$python
# the launcher is read from below, since it would fill most of what Linux lets one argument be; -I is -Es without the
# current directory, and unknown to Python 2
exec "$python" -EsSB -c '
import sys
sys.path = [path for path in sys.path if path]
if sys.version_info < (3, 8):
    found = "%s is Python %d.%d" % (sys.executable, sys.version_info[0], sys.version_info[1])
    sys.exit("rerun.sh: " + found + ", expected 3.8 or newer; RESWEEP_PYTHON names another")
with open(sys.argv.pop(1), encoding="utf-8") as file:
    text = file.read().partition("\\n{_MARK}\\n")[2]
exec(compile(text, "the launcher in rerun.sh", "exec"))
' "$here/{layout.RERUN}" rerun "$here" "$@"
{_MARK}
"""


class Writer:
    """Writes capsules into the sweep directory `home`, so that `commit` makes them appear together, or none appears.

    A capsule that is there already stays as it is; a TrialError when it is another trial's.
    """

    def __init__(self, home: Path, shared: Shared) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._home = home
        self._temporary = Path(tempfile.mkdtemp(prefix=lock.TEMPORARY, dir=home))
        self._written: list[tuple[TrialName, str]] = []
        self._links = {path: str(source) for path, source in shared.files.items()}
        self._links |= {file.path: str(shared.source / file.path) for file in shared.snapshot.files}
        self._folders = sorted({str(p) for path in self._links for p in Path(path).parents} - {"."})
        self._listing = shared.snapshot.listing()
        self._run = shared.run
        self._digests = {
            path: hashlib.sha256(source.read_bytes()).hexdigest()
            for path, source in shared.files.items()
            if path not in layout.PROVENANCES
        }

    def __enter__(self) -> Writer:
        """Nothing more: the temporary directory stands."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what was not committed."""
        shutil.rmtree(self._temporary, ignore_errors=True)

    def write(self, content: Content) -> None:
        """Write one capsule under a temporary name."""
        folder = f"{self._temporary}/{len(self._written)}"
        os.mkdir(folder)
        for name in self._folders:
            os.mkdir(f"{folder}/{name}")
        for name, source in self._links.items():
            self._link(name, source, f"{folder}/{name}")
        own = {f"{content.name.id}.toml": content.toml, f"{content.name.id}.json": content.json}
        for name, data in own.items():
            write_read_only(f"{folder}/{name}", data)
        write_read_only(f"{folder}/{layout.MANIFEST}", self._manifest(content, own))
        self._written.append((content.name, content.digest))

    def _link(self, name: str, source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in NO_LINK:
                raise
            if error.errno == errno.EMLINK:
                # ext4 stops at 65,000 links: a fresh copy takes the stored file's place and serves the next 65,000
                _copy(source, part := f"{self._temporary}/relink")
                os.replace(part, source)
                os.link(source, target)
            else:
                _copy(source, target)

    def _manifest(self, content: Content, own: Mapping[str, bytes]) -> bytes:
        files = {name: hashlib.sha256(data).hexdigest() for name, data in own.items()}
        manifest: dict[str, object] = {
            "format": layout.FORMAT,
            "id": content.name.id,
            "digest": content.digest,
            "trial": content.name.trial,
            "seed": content.seed,
            "threads": content.threads,
            "files": self._digests | files,
            "snapshot": self._listing,
            **self._run,
        }
        return (layout.pretty(layout.sealed(manifest)) + "\n").encode()

    def commit(self, last: bool = True) -> None:
        """Flush every capsule written so far to the disk, and rename them into place.

        When it returns, that is on the disk, too; or, unless this is the `last` thing to do, in the disk's order.
        """
        flush(self._temporary)
        for number, (name, digest) in enumerate(self._written):
            target = self._home / name.id
            target.mkdir(exist_ok=True)
            try:
                os.rename(f"{self._temporary}/{number}", target / str(name.trial))
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                check_digest(target / str(name.trial), digest)
        if last:
            flush(self._home)


def read_manifest(capsule: Path) -> dict[str, Any]:
    """The manifest of the capsule at `capsule`; a TrialError when there is none that can be read."""
    try:
        manifest: dict[str, Any] = places.read_manifest(str(capsule))
    except AttemptError as error:
        raise TrialError(str(error)) from None
    return manifest


def check_digest(capsule: Path, digest: str) -> None:
    """Refuse a capsule that has the same twelve letters as another trial's id and is not that trial."""
    found = read_manifest(capsule)["digest"]
    if found != digest:
        raise TrialError(
            f"{capsule}: holds the trial {found}, expected {digest}: two trials share an id, or one was changed; "
            "nothing was overwritten. Choose another NAME"
        )


def _copy(source: str, target: str) -> None:
    shutil.copyfile(source, target)
    os.chmod(target, os.stat(source).st_mode & 0o777)


def flush(folder: Path) -> None:
    """Bring everything written to the folder's file system to the disk, at once: an fsync each costs far more."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if (syncfs := _syncfs()) is None:
            os.sync()
        elif syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


@cache
def _syncfs() -> Any:
    try:
        return ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):  # not Linux
        return None


def _sorted(value: Any) -> Any:
    """The same value with the keys of every table in order: two orders of writing are one configuration."""
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value
