"""Runs -> a log directory of TensorBoard, with HParams. Needs the `tensorboard` package alone.

DIR/events.out.tfevents.*                  the experiment: each hyperparameter with its domain, each metric
DIR/SWEEP/NUMBER-ID-TRIAL/events.out.*     a trial: what it was given, its curves, when it began and how it ended

A metric's tag is its name, as `resweep results` has it. Where a curve does not end with the number that `results`
shows, that number is final/NAME, for every trial, and it is that which HParams shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resweep.errors import ExportError
from resweep.export import home
from resweep.export.run import Run, Tally, Values, number, text, unlike, whole
from resweep.results.metrics import Curve

TARGET = "tensorboard"
DISCRETE = 9  # numbers up to which its page has a box to tick for each; beyond it wants from which to which
LISTED = 64  # texts beyond which a list of them is no help
LONGEST = 1000  # characters of a text that anybody reads in a table
FINAL = "final/"


@dataclass
class _Seen:
    """What the experiment's summary needs to know of all runs."""

    names: dict[str, None] = field(default_factory=dict)  # of metrics
    split: set[str] = field(default_factory=set)  # those whose curve ends with another number somewhere
    begun: float = math.inf


def write(directory: Path, runs: Iterable[Run], first: Sequence[str] = ()) -> Tally:
    """Write the runs into `directory`, in place of what an earlier export left there.

    `first` are the metrics that people see first: HParams shows five until they ask for others.
    """
    writer = _Writer()
    every = list(runs)
    tally, seen = Tally(), _Seen(dict.fromkeys(name for name in first if any(name in run.summary for run in every)))
    kinds = _kinds(every)
    with home.replaced(directory, TARGET) as part:
        for run in every:
            path = _path(part, run)
            path.parent.mkdir(parents=True)
            _write_run(writer, path, run, kinds, seen, tally)
            tally.new += 1
        for run in every if seen.split else ():
            writer.append(_path(part, run), [_finals(writer, run, seen.split)])
        if every:
            begun = seen.begun if math.isfinite(seen.begun) else 0.0
            writer.create(part / _file(begun), begun, [_experiment(writer, every, kinds, seen, begun)])
    return tally


class _Writer:
    """Event files, and the messages that they are made of."""

    def __init__(self) -> None:
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError:
            raise ExportError(
                "the package tensorboard is missing, expected it here: pip install 'resweep[tensorboard]'"
            ) from None
        self.api, self.data, self.metadata, self._record = api_pb2, plugin_data_pb2, metadata, RecordWriter
        self.event, self.summary = event_pb2.Event, summary_pb2.Summary

    def create(self, path: Path, begun: float, events: Iterable[Any]) -> None:
        """Write a new file."""
        self.append(path, [self.event(wall_time=begun, file_version="brain.Event:2"), *events])

    def append(self, path: Path, events: Iterable[Any]) -> None:
        """Add events to a file."""
        with open(path, "ab") as file:
            record = self._record(file)
            for event in events:
                record.write(event.SerializeToString(deterministic=True))

    def scalars(self, when: float, step: int, values: Iterable[tuple[str, float]]) -> Any:
        """Several metrics at one step. TensorBoard holds 32 bits of each."""
        found = [self.summary.Value(tag=tag, simple_value=value) for tag, value in values]
        return self.event(wall_time=when, step=step, summary=self.summary(value=found))

    def hparams(self, when: float, tag: str, **content: Any) -> Any:
        """What HParams is told, which stands in a summary's metadata."""
        data = self.data.HParamsPluginData(**content)
        value = self.summary.Value(tag=tag, metadata=self.metadata.create_summary_metadata(data))
        value.tensor.CopyFrom(self.metadata.NULL_TENSOR)
        return self.event(wall_time=when, summary=self.summary(value=[value]))


def _write_run(writer: _Writer, path: Path, run: Run, kinds: dict[str, str], seen: _Seen, tally: Tally) -> None:
    begun = run.started or 0.0
    seen.begun = min(seen.begun, begun)
    history = run.history()
    tally.notes += [f"{run.title}: {problem}" for problem in history.problems]
    start = writer.data.SessionStartInfo(group_name=_group(run), start_time_secs=begun)
    for name, value in _given(run, kinds).items():
        field_ = {"number": "number_value", "bool": "bool_value", "text": "string_value"}[kinds[name]]
        setattr(start.hparams[name], field_, value)
    events = [writer.hparams(begun, writer.metadata.SESSION_START_INFO_TAG, session_start_info=start)]
    events += _curves(writer, run, history.curves, seen)
    if run.state != "running":
        end = writer.data.SessionEndInfo(status=_status(writer, run.state), end_time_secs=run.ended or begun)
        events.append(writer.hparams(run.ended or begun, writer.metadata.SESSION_END_INFO_TAG, session_end_info=end))
    writer.create(path, begun, events)


def _curves(writer: _Writer, run: Run, curves: Sequence[Curve], seen: _Seen) -> list[Any]:
    """Every point of every curve, those of a step and time together, and what has only one number, at the last step."""
    together: dict[tuple[int, float], list[tuple[str, float]]] = {}
    ends: dict[str, float] = {}
    for curve in curves:
        values = [number(value) or 0.0 for value in curve.values]
        for step, when, value in zip(whole(curve.steps), curve.times, values, strict=True):
            together.setdefault((step, when), []).append((curve.name, value))
        ends[curve.name] = values[-1]
    last = max((step for step, _ in together), default=0)
    single = []
    for name, value in _numbers(run).items():
        seen.names[name] = None
        if name not in ends:
            single.append((name, value))
        elif not _same(ends[name], value):
            seen.split.add(name)
    found = [writer.scalars(when, step, values) for (step, when), values in sorted(together.items())]
    return [*found, writer.scalars(run.ended or run.started or 0.0, last, single)] if single else found


def _finals(writer: _Writer, run: Run, split: set[str]) -> Any:
    values = [(FINAL + name, value) for name, value in _numbers(run).items() if name in split]
    return writer.scalars(run.ended or run.started or 0.0, 0, values)


def _experiment(writer: _Writer, runs: Sequence[Run], kinds: dict[str, str], seen: _Seen, begun: float) -> Any:
    given = [_given(run, kinds) for run in runs]
    infos = [_info(writer, name, kind, [each[name] for each in given if name in each]) for name, kind in kinds.items()]
    tags = [FINAL + name if name in seen.split else name for name in seen.names]
    metrics = [writer.api.MetricInfo(name=writer.api.MetricName(tag=tag)) for tag in tags]
    experiment = writer.api.Experiment(
        name=text(" ".join(dict.fromkeys(run.sweep for run in runs))),
        time_created_secs=begun,
        hparam_infos=infos,
        metric_infos=metrics,
    )
    return writer.hparams(begun, writer.metadata.EXPERIMENT_TAG, experiment=experiment)


def _info(writer: _Writer, name: str, kind: str, values: list[Any]) -> Any:
    """A hyperparameter and its domain: the values it had, or where they are many, from which to which."""
    types = {"number": "DATA_TYPE_FLOAT64", "bool": "DATA_TYPE_BOOL", "text": "DATA_TYPE_STRING"}
    info = writer.api.HParamInfo(name=name, type=getattr(writer.api, types[kind]))
    distinct = sorted(set(values))
    if len(distinct) <= (DISCRETE if kind == "number" else LISTED):
        info.domain_discrete.extend(distinct)
    elif kind == "number":
        info.domain_interval.min_value, info.domain_interval.max_value = distinct[0], distinct[-1]
    if "differs" in info.DESCRIPTOR.fields_by_name:  # since TensorBoard 2.14
        info.differs = len(distinct) > 1
    return info


def _kinds(runs: Sequence[Run]) -> dict[str, str]:
    """The hyperparameters and the one type that all values of each have: number, bool, or else text.

    They are the swept values; where nothing was swept, the arguments of the template.
    """
    found: dict[str, set[str]] = {}
    swept = dict.fromkeys(name for run in runs for name in run.swept)
    names = swept or dict.fromkeys(name for run in runs for name in run.config if name.startswith("params."))
    for run in runs:
        for name in names:
            if name in run.config:
                found.setdefault(name, set()).add(_kind(run.config[name]))
    return {name: found[name].pop() if len(found[name]) == 1 else "text" for name in names if name in found}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    # HParams answers in JSON, which has no NaN
    return "number" if (exact := number(value)) is not None and math.isfinite(exact) else "text"


def _given(run: Run, kinds: dict[str, str]) -> Values:
    """A run's hyperparameters, each as its type; one that only other sweeps vary has its fixed value."""
    as_kind: dict[str, Callable[[Any], Any]]
    as_kind = {"number": number, "bool": bool, "text": lambda value: text(value)[:LONGEST]}
    return {name: as_kind[kind](run.config[name]) for name, kind in kinds.items() if name in run.config}


def _numbers(run: Run) -> dict[str, float]:
    return {name: exact for name, value in run.summary.items() if (exact := number(value)) is not None}


def _same(one: float, other: float) -> bool:
    return one == other or (one != one and other != other) or math.isclose(one, other, rel_tol=1e-6)


def _status(writer: _Writer, state: str) -> int:
    """TensorBoard has no word for what was stopped or lost."""
    names = {"finished": "STATUS_SUCCESS", "failed": "STATUS_FAILURE"}
    status: int = getattr(writer.api, names.get(state, "STATUS_UNKNOWN"))
    return status


def _group(run: Run) -> str:
    """The row of its table: the repeats of a point that finished are one, with their mean."""
    return f"{run.sweep}/{run.point}" if run.state == "finished" else f"{run.sweep}/{run.name} {run.state}"


def _path(home_: Path, run: Run) -> Path:
    name = f"{run.number}-{run.name.replace('/', '-')}"
    folders = [unlike([part], allowed="_.+-", longest=100)[part] for part in (run.sweep, name)]
    return home_.joinpath(*folders, _file(run.started or 0.0))


def _file(begun: float) -> str:
    return f"events.out.tfevents.{max(0, int(begun)):010d}.resweep"
