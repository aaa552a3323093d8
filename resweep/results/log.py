"""`resweep.log`: what a training measures, as a line of metrics.jsonl in the output of the attempt that it runs in."""

from __future__ import annotations

import contextlib
import json
import math
import os
from typing import Any

LINES = "metrics.jsonl"
OUTPUT = "RESWEEP_OUTPUT"  # the launcher says it, which cannot import this, nor this it: training would wait for both


def log(step: float, **metrics: Any) -> bool:
    """Append what was measured at `step` (an epoch, a batch: any number that grows) to the attempt's metrics.jsonl.

    Numbers of Python, numpy and torch are taken, NaN and the infinities among them; a TypeError for anything else. True
    if the line is on its way to the disk; outside of an attempt nothing happens, and False is returned.

    >>> log(3, loss=0.25, validation_accuracy=0.9)
    False
    """
    place = _number("step", step)
    if not math.isfinite(place):
        raise ValueError(f"resweep.log: step: found {place}, expected a number that can be counted to")
    line = json.dumps({"step": place, **{name: _number(name, value) for name, value in metrics.items()}}) + "\n"
    directory = os.environ.get(OUTPUT)
    if not directory:
        return False
    try:
        _append(os.path.join(directory, LINES), line.encode())
    except FileNotFoundError:  # training has not made its directory yet
        os.makedirs(directory, exist_ok=True)
        _append(os.path.join(directory, LINES), line.encode())
    return True


def _append(path: str, line: bytes) -> None:
    """Put a line at the end of a file in one write, so that processes which share it do not mix theirs."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        end = os.fstat(file).st_size
        if end and os.pread(file, 1, end - 1) != b"\n":  # the disk was full, or the machine lost its power
            line = b"\n" + line
        if os.write(file, line) < len(line):
            raise OSError(f"{path}: the disk took a part of the line only")
    finally:
        os.close(file)


def _number(name: str, value: Any) -> float:
    """A number of any library as one of Python's."""
    found = value
    if hasattr(value, "item"):
        with contextlib.suppress(TypeError, ValueError, RuntimeError):  # several numbers are none
            found = value.item()
    if isinstance(found, bool):
        return int(found)
    if isinstance(found, int | float):
        return found if isinstance(found, int) else float(found)
    try:
        return float(found.__float__())
    except (AttributeError, TypeError, ValueError, RuntimeError):
        raise TypeError(f"resweep.log: {name}: found {value!r:.60}, expected a number") from None
