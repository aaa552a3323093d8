"""Signals, and processes that end, as one thing to wait for."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

from resweep.launcher.signals import Signals


class Interrupts:
    """While it is open, signals wake who waits: each goes to `receive`, in the midst of anything."""

    def __init__(self, receive: Callable[[int], None]) -> None:
        self._tell = receive

    def __enter__(self) -> Interrupts:
        """Begin to catch them."""
        self._reader, self._writer = os.pipe()
        for descriptor in (self._reader, self._writer):
            os.set_blocking(descriptor, False)
        self._fd = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._old: dict[int, Any] = {}
        for number in Signals.CAUGHT:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays in force
                self._old[number] = signal.signal(number, self._receive)
        return self

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self._tell(number)

    def wait(self, descriptors: Iterable[int], seconds: float) -> list[int]:
        """Until one of the descriptors can be read, a signal arrives, or the time is over; those that can be read."""
        ready = select.select([self._reader, *descriptors], [], [], seconds)[0]
        if self._reader in ready:
            os.read(self._reader, 4096)
            ready.remove(self._reader)
        return ready

    def __exit__(self, *_: object) -> None:
        """Let them do again what they did."""
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd)
        os.close(self._reader)
        os.close(self._writer)
