"""Runs -> offline archives of Comet, DIR/KEY.zip, as `comet upload` takes them. Needs no package.

An archive is experiment.json, what the experiment is, and messages.json, a message a line. Comet must go on taking what
its older versions wrote, so the form is as stable as any; what is written here is what comet_ml 3.47 to 3.58 write.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from resweep.errors import disk_errors
from resweep.export import home
from resweep.export.run import Run, Tally, number, text, whole

TARGET = "comet"
EPOCH = (1980, 1, 1, 0, 0, 0)  # of the archive's files: the same bytes for the same run


def write(directory: Path, runs: Iterable[Run], project: str) -> Tally:
    """Write an archive for each run into `directory`; one that would be the same is left alone."""
    tally = Tally()
    home.prepare(directory, TARGET)
    with disk_errors(directory):
        for run in runs:
            path = directory / f"{run.key}.zip"
            was = path.exists()
            tally.count(was, home.written(path, _archive(run, text(project), tally)))
    return tally


def _archive(run: Run, project: str, tally: Tally) -> bytes:
    lines = []
    for count, (kind, payload) in enumerate(_messages(run, tally), 1):
        message = {"payload": {**payload, "message_id": count}, "type": kind}
        lines.append(json.dumps(message, sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, said in (
            ("experiment.json", json.dumps(_experiment(run, project))),
            ("messages.json", "".join(lines)),
        ):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), said, zipfile.ZIP_DEFLATED)
    return content.getvalue()


def _experiment(run: Run, project: str) -> dict[str, Any]:
    failed = run.state not in ("finished", "running")
    began = _milliseconds(run.started) or 0
    return {
        "offline_id": run.key,
        "project_name": project,
        "start_time": began,
        "stop_time": _milliseconds(run.ended) or began,
        "tags": [text(run.sweep), run.state],
        "workspace": None,
        "resume_strategy": "create",
        "customer_error_reported": failed,
        "customer_error_message": f"the trial is {run.state}" if failed else None,
        "user_provided_experiment_key": True,
        "comet_start_sourced": False,
    }


def _messages(run: Run, tally: Tally) -> Iterator[tuple[str, dict[str, Any]]]:
    began, ended = _milliseconds(run.started) or 0, _milliseconds(run.ended or run.started) or 0
    others = {"offline_experiment": True, "Name": run.title, "Group": f"{run.sweep}/{run.point}", **run.facts}
    others |= {f"metric.{name}": _plain(value) for name, value in run.summary.items() if number(value) is None}
    for key, value in others.items():
        yield "log_other", {"key": key, "value": value}
    for name, value in run.config.items():
        param = {"paramName": name, "paramValue": _plain(value), "source": "manual", "step": None}
        yield "parameter_msg", {"local_timestamp": began, "param": param}
    history = run.history()
    tally.notes += [f"{run.title}: {problem}" for problem in history.problems]
    ends: dict[str, float | None] = {}
    last = 0
    for curve in history.curves:
        for step, value, when in zip(whole(curve.steps), curve.values, curve.times, strict=True):
            yield "metric_msg", _metric(curve.name, value, step, curve.axis, _milliseconds(when))
            ends[curve.name], last = number(value), max(last, step)
    for name, value in run.summary.items():
        exact = number(value)
        if exact is None or (name in ends and ends[name] in (exact, None)):
            continue
        yield "metric_msg", _metric(f"final/{name}" if name in ends else name, exact, last, "", ended)


def _metric(name: str, value: float, step: int, axis: str, when: int | None) -> dict[str, Any]:
    epoch = step if axis == "epoch" else None
    metric = {"metricName": name, "metricValue": _plain(number(value)), "step": step, "epoch": epoch}
    return {"local_timestamp": when, "metric": metric}


def _plain(value: Any) -> Any:
    """A value as Comet's messages have it: what JSON has not, as a text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value if isinstance(value, int | float) else text(value)


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)
