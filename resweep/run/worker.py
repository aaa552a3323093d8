"""A launcher that stays: a process of its own, forked once, that conducts one attempt after another for a runner.

Forking once saves the milliseconds that a fork, or the twenty that a new interpreter, would cost for each trial. When
the runner dies, the worker finishes and records the attempt that it conducts, and ends.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterable

from resweep.launcher import attempt, main, places
from resweep.launcher.places import Place
from resweep.launcher.signals import Signals
from resweep.launcher.storage import Record

_HELD_BACK = Signals.CAUGHT
_FORGOTTEN = (signal.SIGTERM, *Signals.PASSED)  # when they come too late for an attempt

Environment = dict[str, str | None]


class Worker:
    """A worker process as its runner sees it. `output` becomes readable when an attempt, or the worker, has ended."""

    def __init__(self, close: Iterable[int]) -> None:
        down, self._input = os.pipe()
        self.output, up = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)  # the runner's handlers are not the child's
        self.pid = os.fork()
        if self.pid == 0:
            # with another worker's pipe open, that one would not see its runner die
            for descriptor in (self._input, self.output, *close):
                os.close(descriptor)
            _work(down, up)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(down)
        os.close(up)

    @property
    def descriptors(self) -> tuple[int, int]:
        """The runner's ends of the pipes."""
        return self._input, self.output

    def conduct(self, capsule: str, record: Record, environment: Environment, script: str | None = None) -> None:
        """Let the worker run the attempt that this process has claimed, with changes to its environment.

        Where a site's `script` is named, that is run in place of train.sh.
        """
        order = json.dumps([capsule, record, environment, script]) + "\n"
        with contextlib.suppress(BrokenPipeError):  # it has died: its output says so
            os.write(self._input, order.encode())

    def result(self) -> str | None:
        """What the launcher said of the attempt that has ended; None when the worker has died."""
        line = b""
        while not line.endswith(b"\n"):
            chunk = os.read(self.output, 65536)
            if not chunk:
                return None
            line += chunk
        said: str = json.loads(line)
        return said

    def close(self) -> None:
        """Let the worker end when it has nothing to do, and wait for that."""
        os.close(self._input)
        os.close(self.output)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _work(down: int, up: int) -> None:
    """In the child: conduct attempts until the runner closes the pipe.

    The signals that end a process are held back but while an attempt heeds them: one that comes earlier stops it.
    """
    try:
        os.setsid()  # the terminal's Ctrl-C is for the runner
        signal.set_wakeup_fd(-1)
        for number in _HELD_BACK:
            if signal.getsignal(number) is not signal.SIG_IGN:
                if number in (signal.SIGINT, signal.SIGHUP):  # a terminal's, and meant for the runner
                    signal.signal(number, signal.SIG_IGN)
                signal.signal(number, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        with os.fdopen(down, "rb") as orders:
            for order in orders:
                said = _conduct(*json.loads(order))
                for number in _FORGOTTEN:
                    signal.signal(number, signal.SIG_IGN)
                    signal.signal(number, signal.SIG_DFL)
                os.write(up, (json.dumps(said) + "\n").encode())
    finally:
        os._exit(0)


def _conduct(capsule: str, record: Record, environment: Environment, script: str | None) -> str:
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    place = Place(capsule)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main.guarded(lambda: attempt.conduct(place, places.read_manifest(capsule), record, script))
        except Exception:
            traceback.print_exc()
    return said.getvalue().strip()[:60000]
