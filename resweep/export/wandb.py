"""Runs -> offline runs of W&B, DIR/wandb/offline-run-TIME-KEY/run-KEY.wandb, as `wandb sync` takes them.

The file is what W&B's own client writes offline: messages of its protocol, which the `wandb` package defines, in the
log format of LevelDB. Its client would start a server, take its own clock for a run's, and 60 ms for each; and W&B must
go on taking what its older versions wrote. Nothing here can reach the network.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from resweep.errors import ExportError, disk_errors
from resweep.export import home, quiet
from resweep.export.run import Run, Tally, number, text, unlike, whole
from resweep.results.metrics import Curve

TARGET = "wandb"
HEADER = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
BLOCK = 32768
HEAD = struct.Struct("<IHB")  # a piece's checksum, length, and place in its record
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
LONGEST_PROJECT = 128  # characters, W&B's own limit
FAILED = 1  # the exit status of a run that has none of its own


def write(directory: Path, runs: Iterable[Run], project: str) -> Tally:
    """Write an offline run for each run into `directory`; one that would be the same is left alone, sent or not."""
    messages = _messages()
    called = unlike([project], allowed="_-. ", longest=LONGEST_PROJECT)[project]
    tally = Tally()
    home.prepare(directory, TARGET)
    with disk_errors(directory):
        there = _there(directory / "wandb")
        for run in runs:
            path = directory / "wandb" / f"offline-run-{_moment(run)}-{run.key}" / f"run-{run.key}.wandb"
            content = HEADER + b"".join(_framed(_records(messages, run, called, tally)))
            old = there.get(run.key)
            if old is not None and old != path.parent:  # its trial began anew
                _remove(old, run)
            tally.count(old is not None, home.written(path, content, partial(_forget, path)))
    return tally


def _messages() -> Any:
    with quiet.surroundings("WANDB_", WANDB_MODE="offline", WANDB_ERROR_REPORTING="false", WANDB_SILENT="true"):
        try:
            from wandb.proto import wandb_internal_pb2
        except ImportError:
            raise ExportError("the package wandb is missing, expected it here: pip install 'resweep[wandb]'") from None
    return wandb_internal_pb2


def _there(home_: Path) -> dict[str, Path]:
    """The runs that an earlier export left, by key."""
    return {path.name.rpartition("-")[2]: path for path in home_.glob("offline-run-*-*")}


def _remove(folder: Path, run: Run) -> None:
    """Remove what we wrote of a run."""
    path = folder / f"run-{run.key}.wandb"
    _forget(path)
    path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _forget(path: Path) -> None:
    """Remove W&B's notes that a file was sent: what comes in its place was not."""
    for ending in (".synced", ".syncstate"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _moment(run: Run) -> str:
    return datetime.fromtimestamp(run.started or 0.0, UTC).strftime("%Y%m%d_%H%M%S")


def _records(messages: Any, run: Run, project: str, tally: Tally) -> Iterator[bytes]:
    """The messages of one run, each as bytes."""
    # a number for each, as W&B's own files have
    for count, message in enumerate(_said(messages, run, project, tally), 1):
        message.num = count
        yield message.SerializeToString(deterministic=True)


def _said(messages: Any, run: Run, project: str, tally: Tally) -> Iterator[Any]:
    version = messages.VersionInfo(producer="resweep", min_consumer="0.70.0")
    yield messages.Record(header=messages.HeaderRecord(version_info=version))
    record = messages.RunRecord(
        run_id=run.key,
        project=project,
        run_group=text(run.sweep),
        job_type=text(run.point),
        display_name=run.title,
        tags=[run.state],
        host=run.facts.get("host", ""),
    )
    record.start_time.FromMicroseconds(int((run.started or 0.0) * 1e6))
    for name, value in {**run.config, "resweep": run.facts}.items():
        record.config.update.add(key=name, value_json=_json(value))
    yield messages.Record(run=record)
    history = run.history()
    tally.notes += [f"{run.title}: {problem}" for problem in history.problems]
    row: dict[str, Any] = {}
    for row in _rows(history.curves, run.started or 0.0):
        record = messages.HistoryRecord(step=messages.HistoryStep(num=row["_step"]))
        for name, value in row.items():
            record.item.add(nested_key=[name], value_json=_json(value))
        yield messages.Record(history=record)
    yield _summary(messages, run, row)
    if run.state not in ("running", "lost"):  # one that says no end is no failure
        seconds = int(run.seconds or 0)
        yield messages.Record(exit=messages.RunExitRecord(exit_code=_status(run), runtime=seconds))


def _summary(messages: Any, run: Run, last: dict[str, Any]) -> Any:
    """The numbers that `results` shows, whatever the curves end with."""
    seconds = run.seconds if run.seconds is not None else last.get("_runtime", 0.0)
    timed = {"_runtime": seconds, "_wandb": {"runtime": int(seconds)}}
    if run.ended is not None:
        timed["_timestamp"] = run.ended
    if "_step" in last:
        timed["_step"] = last["_step"]
    record = messages.SummaryRecord()
    for name, value in {**run.summary, **timed}.items():
        record.update.add(key=name, value_json=_json(value))
    return messages.Record(summary=record)


def _rows(curves: Iterable[Curve], began: float) -> Iterator[dict[str, Any]]:
    """What was measured at one place of one axis together, in the order of time.

    Where all curves have one axis, `_step` is the place; else it counts, and each row has its axis as a value.
    """
    curves = list(curves)
    together: dict[tuple[str, int], dict[str, Any]] = {}
    moments: dict[tuple[str, int], float] = {}
    for curve in curves:
        for step, value, when in zip(whole(curve.steps), curve.values, curve.times, strict=True):
            place = (curve.axis, step)
            together.setdefault(place, {curve.axis: step} if curve.axis != "step" else {})[curve.name] = number(value)
            moments[place] = max(when, moments.get(place, when))
    one = len({curve.axis for curve in curves}) == 1
    ordered = sorted(together, key=lambda place: (place[1],) if one else (moments[place], *place))
    for count, place in enumerate(ordered):
        when = moments[place]
        timed = {
            "_step": place[1] if one and ordered[0][1] >= 0 else count,
            "_timestamp": when,
            "_runtime": round(when - began, 3),
        }
        yield {**together[place], **timed}


def _status(run: Run) -> int:
    if run.state == "finished":
        return 0
    said = run.facts.get("exit_status", "")
    return int(said) if said.isdigit() and 0 < int(said) < 256 else FAILED


def _json(value: Any) -> str:
    """A value as W&B takes it: numbers that JSON has not, as the texts that it takes for them."""
    return json.dumps(_finite(value), default=str)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list):
        return [_finite(each) for each in value]
    if isinstance(value, dict):
        return {text(name): _finite(each) for name, each in value.items()}
    return text(value) if isinstance(value, str) else value


def _framed(records: Iterable[bytes]) -> Iterator[bytes]:
    """Records in blocks of 32 KiB; one that does not fit is cut, and a block's last bytes stay empty."""
    place = len(HEADER)
    for record in records:
        first = True
        while True:
            left = BLOCK - place % BLOCK
            if left < HEAD.size:
                yield bytes(left)
                place, left = place + left, BLOCK
            piece, record = record[: left - HEAD.size], record[left - HEAD.size :]
            kind = (FULL if first else LAST) if not record else (FIRST if first else MIDDLE)
            yield HEAD.pack(zlib.crc32(bytes([kind]) + piece), len(piece), kind) + piece
            place += HEAD.size + len(piece)
            first = False
            if not record:
                break
