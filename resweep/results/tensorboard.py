"""TensorBoard's event files -> scalars. Needs the `tensorboard` package, and neither TensorFlow nor torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

EXTRA = "pip install 'resweep[tensorboard]'"

# by name: step, value, and when it was written, in seconds since 1970
Scalars = dict[str, list[tuple[float, float, float]]]


def scalars(files: Sequence[str], name: Callable[[str, str], str], running: bool) -> tuple[Scalars, list[str]]:
    """By name, step, value and time of every scalar in `files`, as they were written, and what could not be read.

    `name` makes the name of a file's path and a tag. The end of a file that is still written may be torn.
    """
    try:
        from tensorboard.compat.proto import event_pb2
    except ImportError:
        return {}, [f"{os.path.basename(files[0])} cannot be read without TensorBoard: {EXTRA}"]
    found: Scalars = {}
    problems: list[str] = []
    for path in files:
        try:
            for record in _records(path, running):
                event = event_pb2.Event.FromString(record)
                for value in event.summary.value:
                    scalar = _scalar(value)
                    if scalar is not None:
                        found.setdefault(name(path, value.tag), []).append((event.step, scalar, event.wall_time))
        # tensorboard's errors and protobuf's have no other base class; what came before the damage counts
        except Exception as error:
            problems.append(f"{os.path.basename(path)} cannot be read to its end ({_first_line(error)})")
    return found, problems


def _records(path: str, running: bool) -> Iterator[bytes]:
    """The records of one file; their checksums hold."""
    from tensorboard.compat.tensorflow_stub import errors
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

    reader = PyRecordReader_New(path)
    try:
        while True:
            try:
                reader.GetNext()
            except errors.OutOfRangeError:
                return
            except errors.DataLossError:
                if running:
                    return
                raise
            yield reader.record()
    finally:
        reader.file_handle.close()


def _scalar(value: Any) -> float | None:
    """A summary's number, in the form of TensorFlow 1 and torch or of TensorFlow 2; None when it is something else."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if value.HasField("tensor") and value.metadata.plugin_data.plugin_name in ("scalars", ""):
        from tensorboard.util import tensor_util

        array = tensor_util.make_ndarray(value.tensor)
        if array.size == 1 and array.dtype.kind in "fiu":
            return float(array.item())
    return None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
