"""Which runners of a sweep are at work: a small file for each, so that `stop` finds those of this machine."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

from resweep.launcher import processes, storage
from resweep.layout import SweepPaths


@contextlib.contextmanager
def registered(paths: SweepPaths) -> Iterator[float]:
    """List this process as a runner of the sweep; gives the time of the file server's clock at which it began."""
    folder = paths.runners
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{socket.gethostname()}-{os.getpid()}.json"
    storage.write_json(str(path), processes.this_process())
    try:
        yield path.stat().st_mtime
    finally:
        path.unlink(missing_ok=True)


def on_this_machine(paths: SweepPaths) -> list[int]:
    """The pids of the sweep's runners that live on this machine; forgets those that have died here."""
    pids = []
    for path in sorted(paths.runners.glob("*.json")):
        noted = storage.read_json(str(path))
        if not processes.of_this_boot(noted):
            continue
        if processes.same_process(noted["pid"], noted["pid_start"]):
            pids.append(int(noted["pid"]))
        else:
            path.unlink(missing_ok=True)
    return pids
