"""Signals that a launcher notes and passes on, and a process that tells which of them were for a whole job."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable

SENTINEL_SECONDS = 1.0  # within which a signal for a whole job reaches all its processes


class Signals:
    """While it is open, the signals that end a process are noted and passed on instead of ending this one."""

    STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    PASSED = (signal.SIGUSR1, signal.SIGUSR2)  # to a training that listens: its time is nearly over
    CAUGHT = STOP + PASSED

    def __init__(self, tell: Callable[[int], None] | None = None) -> None:
        """`tell` is called with each, in the midst of anything."""
        self._tell = tell

    def __enter__(self) -> Signals:
        """Begin to note signals, in `received`; `reader` becomes readable when one comes, or a child ends."""
        self.received: list[int] = []
        self.first: float | None = None  # when the first one came
        self.reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._fd = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._old: dict[int, Any] = {}
        for number in self.CAUGHT:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays in force
                self._old[number] = signal.signal(number, self._receive)
        # a worker holds them back until they can be heeded
        self._mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, self.CAUGHT)
        return self

    def _receive(self, number: int, _frame: object) -> None:
        self.first = self.first or time.monotonic()
        self.received.append(number)
        if self._tell:
            self._tell(number)

    def wait(self, descriptors: Iterable[int], seconds: float | None) -> list[int]:
        """Until one of the descriptors can be read, a signal arrives, or the time is over; those that can be read."""
        ready: list[int] = select.select([self.reader, *descriptors], [], [], seconds)[0]
        if self.reader in ready:
            os.read(self.reader, 4096)
            ready.remove(self.reader)
        return ready

    def __exit__(self, *_: object) -> None:
        """Restore the previous signal handlers."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd)
        os.close(self.reader)
        os.close(self._writer)


class Sentinel:
    """In a job of Slurm's, a process that does nothing: when a signal ends it, all processes of the job got that one.

    It has a session of its own, like the training, so that nobody signals it with its launcher by accident.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        if "SLURM_JOB_ID" in os.environ:
            self._start()

    def _start(self) -> None:
        with contextlib.suppress(OSError):
            # it reads what we never write, and so ends when we do
            self._process = subprocess.Popen(
                ["cat"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def fell(self, number: int) -> bool:
        """Whether a signal that has just come was for all processes of the job."""
        if self._process is None:
            return False
        try:
            status = self._process.wait(SENTINEL_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        self.close()
        self._start()
        return status == -number

    def close(self) -> None:
        """Let it end."""
        if self._process is not None:
            assert self._process.stdin
            self._process.stdin.close()
            self._process.wait()
            self._process = None
