"""Run one attempt of one trial: its TOML, its environment, its record. Needs Python 3.8 and bash, nothing else.

    python attempt.py run CAPSULE            one attempt, recorded under model/generated/NAME/ID/TRIAL.attempts/N
    ... run CAPSULE --with SCRIPT            SCRIPT CONF_DIR CONF_PATH in place of the capsule's train.sh
    python attempt.py rerun CAPSULE [DIR]    the capsule once more, into a fresh directory
    python attempt.py task SUBMISSION LIST [LINE]    what one task of a Slurm job does; LINE is by default its number

The exit status is that of train.sh; 75 (try again later) when another process has the trial, 2 for a mistake. A
train.sh that ends with 85 has saved a checkpoint and asks to be run again: the next attempt goes on with its output.

This file is copied into every sweep, and into every trial's rerun.sh, so that a trial runs when the tool is long gone.
So it imports nothing of the tool: the modules of resweep/launcher stand below, each as its text.
"""

from __future__ import annotations

import contextlib
import importlib.util
import marshal
import os
import sys
from importlib.machinery import ModuleSpec

TYPE_CHECKING = False  # typing itself takes long to import
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any, Dict

PACKAGE = "launcher"
SOURCES: Dict[str, str] = {}


class Carried:
    """Imports the modules whose text is given, as those of the package `launcher`.

    Compiling them takes longer than all else before a training starts, so that what came of it is kept for this user
    and this Python, in the user's cache.
    """

    def __init__(self, sources: Dict[str, str]) -> None:
        self._sources = sources
        self._codes: Dict[str, CodeType] = {}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Where a module comes from: from here, if it is one of these."""
        package, _, module = name.partition(".")
        if package != PACKAGE or (module and module not in self._sources):
            return None
        return ModuleSpec(name, self, is_package=not module)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """A module as any other."""

    def exec_module(self, module: ModuleType) -> None:
        """Run a module's code; the package itself has none."""
        name = module.__name__.partition(".")[2]
        if name:
            self._codes = self._codes or self._kept() or self._compiled()
            exec(self._codes[name], module.__dict__)

    def get_source(self, name: str) -> str | None:
        """A module's text, for who asks its loader: a traceback does."""
        return self._sources.get(name.partition(".")[2])

    def _kept(self) -> Dict[str, CodeType]:
        """What was compiled earlier; nothing where it is not there, not whole, or not this user's own."""
        with contextlib.suppress(OSError, ValueError, EOFError, TypeError):
            with open(self._path(), "rb") as file:
                status = os.fstat(file.fileno())
                data = file.read() if status.st_uid == os.getuid() and not status.st_mode & 0o022 else b""
            if data[:8] == importlib.util.source_hash(data[8:]):
                codes: Dict[str, CodeType] = marshal.loads(data[8:])
                return codes
        return {}

    def _compiled(self) -> Dict[str, CodeType]:
        """Compile all of them, and keep that for the next time, where it can be kept."""
        codes = {name: compile(text, "%s.py of attempt.py" % name, "exec") for name, text in self._sources.items()}
        data = marshal.dumps(codes)
        path = self._path()
        part = "%s.%s.%d.part" % (path, os.uname().nodename, os.getpid())
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(importlib.util.source_hash(data) + data)
            os.replace(part, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.remove(part)
        return codes

    def _path(self) -> str:
        """The file of these texts and this Python."""
        cache = os.environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(cache):
            cache = os.path.join(os.path.expanduser("~"), ".cache")
        digest = importlib.util.source_hash("\0".join(map(str, self._sources.items())).encode()).hex()
        tag = "%s-%d" % (sys.implementation.cache_tag, sys.flags.optimize)
        return os.path.join(cache, "resweep", "launcher-%s-%s" % (digest, tag))


if __name__ == "__main__":
    sys.meta_path.insert(0, Carried(SOURCES))
    from launcher.main import main  # type: ignore[import-not-found]

    sys.exit(main(sys.argv[1:]))
