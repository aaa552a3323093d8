"""Runs -> a store of MLflow in one SQLite file, DIR/mlflow.db; an experiment for each sweep.

A run is known again by its tag resweep.run, so that exporting again brings it up to date. Files are not copied: the
tags resweep.output and resweep.capsule say where they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from resweep import layout
from resweep.errors import ExportError
from resweep.export import home, quiet
from resweep.export.run import Run, Tally, number, text, unlike, whole

TARGET = "mlflow"
DATABASE = "mlflow.db"
KEY, DIGEST = "resweep.run", "resweep.export"
STATUS = {"finished": "FINISHED", "failed": "FAILED", "stopped": "KILLED", "lost": "KILLED", "running": "RUNNING"}
# MLflow's own limits: characters of a name, of a parameter's value, of a tag's
ALLOWED = "_-. :/"
LONGEST_NAME, LONGEST_PARAM, LONGEST_TAG = 250, 6000, 5000
BATCH_METRICS, BATCH = 800, 100  # of metrics, of parameters and of tags; 1000 in all
LARGEST = 1.7976931348623157e308  # what MLflow makes of infinity

Point = tuple[str, int, float, int]  # a metric's name, step and value, and when, in milliseconds


def write(directory: Path, runs: Iterable[Run], project: str) -> Tally:
    """Write the runs into the store in `directory`, which is made where there is none."""
    with quiet.surroundings("MLFLOW_", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true"):
        tracking = _tracking()
        home.prepare(directory, TARGET)
        store = _Store(tracking, directory.resolve(), project)
        for run in runs:
            store.put(run)
        return store.tally


def _tracking() -> Any:
    try:
        import alembic  # noqa: F401  # MLflow's store needs both, and says so late
        import mlflow.entities
        import mlflow.tracking
        import sqlalchemy  # noqa: F401
    except ImportError as error:
        raise ExportError(
            f"the package {error.name} is missing, expected it here: pip install 'resweep[mlflow]'"
        ) from None
    return mlflow


class _Store:
    """One store, and the runs of ours that it has by experiment and key."""

    def __init__(self, mlflow: Any, directory: Path, project: str) -> None:
        self.entities = mlflow.entities
        self.directory, self.project = directory, project
        self.client = mlflow.tracking.MlflowClient(tracking_uri=f"sqlite:///{directory / DATABASE}")
        self.known: dict[str, tuple[str, dict[str, Any]]] = {}  # by sweep: its experiment, and the runs in it
        self.tally = Tally()

    def put(self, run: Run) -> None:
        """Write a run, or bring the one of its key up to date."""
        experiment, known = self._experiment(run.sweep)
        history = run.history()
        self.tally.notes += [f"{run.title}: {problem}" for problem in history.problems]
        points = list(_points(run, history.curves))
        tags, params = self._tags(run), self._params(run)
        digest = layout.digest([points, tags, params, run.state, run.started, run.ended, run.title])
        old = known.get(run.key)
        self.tally.count(old is not None, old is None or old.data.tags.get(DIGEST) != digest)
        if old is not None and old.data.tags.get(DIGEST) == digest:
            return
        there: set[tuple[str, int, float]] = set()
        if old is not None:
            there = self._there(old)
            if not self._fits(old, params, there, points):
                self.client.delete_run(old.info.run_id)
                old, there = None, set()
        if old is None:
            made = self.client.create_run(experiment, _milliseconds(run.started), {KEY: run.key}, run.title)
            run_id = made.info.run_id
        else:
            run_id = old.info.run_id
        self._log(run_id, [point for point in points if _same(*point[:3]) not in there], params, tags)
        self._end(run_id, run)
        self.client.set_tag(run_id, DIGEST, digest)  # last: a run that was half written is written again

    def _experiment(self, sweep: str) -> tuple[str, dict[str, Any]]:
        """The experiment of a sweep, and its runs of ours by key."""
        if sweep not in self.known:
            called = text(f"{self.project}/{sweep}")[:LONGEST_NAME]
            found = self.client.get_experiment_by_name(called)
            if found is None:
                place = (self.directory / "artifacts").as_uri()
                number_ = self.client.create_experiment(called, place, {"resweep.sweep": text(sweep)})
            else:
                number_ = found.experiment_id
                if found.lifecycle_stage != "active":
                    self.client.restore_experiment(number_)
            self.known[sweep] = number_, {run.data.tags[KEY]: run for run in self._runs(number_)}
        return self.known[sweep]

    def _runs(self, experiment: str) -> Iterator[Any]:
        token = None
        while True:
            page = self.client.search_runs([experiment], max_results=1000, page_token=token)
            yield from (run for run in page if KEY in run.data.tags)
            token = page.token
            if not token:
                return

    def _there(self, old: Any) -> set[tuple[str, int, float]]:
        """The points that a run has."""
        names = list(old.data.metrics)
        history = (each for name in names for each in self.client.get_metric_history(old.info.run_id, name))
        return {_same(each.key, each.step, each.value) for each in history}

    def _fits(self, old: Any, params: dict[str, str], there: set[tuple[str, int, float]], points: list[Point]) -> bool:
        """Whether what a run has can stay: MLflow changes no parameter, and forgets no point."""
        fixed = all(params.get(name) == value for name, value in old.data.params.items())
        return fixed and there <= {_same(*point[:3]) for point in points}

    def _log(self, run_id: str, points: list[Point], params: dict[str, str], tags: dict[str, str]) -> None:
        entities = self.entities
        metrics = [entities.Metric(name, value, when, step) for name, step, value, when in points]
        given = [entities.Param(name, value) for name, value in params.items()]
        said = [entities.RunTag(name, value) for name, value in tags.items()]
        calls = max(math.ceil(len(metrics) / BATCH_METRICS), math.ceil(max(len(given), len(said)) / BATCH))
        for call in range(calls):  # each is a transaction, and waits for the disk
            few, many = slice(call * BATCH, (call + 1) * BATCH), slice(call * BATCH_METRICS, (call + 1) * BATCH_METRICS)
            self.client.log_batch(run_id, metrics[many], given[few], said[few])

    def _end(self, run_id: str, run: Run) -> None:
        status = STATUS.get(run.state, "KILLED")
        if status == "RUNNING":
            self.client.update_run(run_id, status, run.title)
        else:
            ended = run.ended if run.ended is not None else run.started
            self.client.set_terminated(run_id, status, _milliseconds(ended))

    def _params(self, run: Run) -> dict[str, str]:
        names = unlike(run.config, ALLOWED, LONGEST_NAME)
        return {
            _path(names[name]): self._cut(run, name, text(value), LONGEST_PARAM) for name, value in run.config.items()
        }

    def _tags(self, run: Run) -> dict[str, str]:
        """What is known of a run beside its numbers; metrics that are no numbers among it."""
        tags = {f"resweep.{name}": value for name, value in run.facts.items()} | {
            KEY: run.key,
            "resweep.point": run.point,
        }
        other = {name: text(value) for name, value in run.summary.items() if number(value) is None}
        names = unlike((f"metric.{name}" for name in other), ALLOWED, LONGEST_NAME)
        tags |= {_path(names[f"metric.{name}"]): value for name, value in other.items()}
        return {name: self._cut(run, name, value, LONGEST_TAG) for name, value in tags.items()}

    def _cut(self, run: Run, name: str, value: str, longest: int) -> str:
        if len(value) <= longest:
            return value
        self.tally.notes.append(
            f"{run.title}: {name}: {len(value)} characters, of which MLflow takes {longest}; the rest was cut off"
        )
        return value[: longest - 1] + "…"


def _points(run: Run, curves: Iterable[Any]) -> Iterator[Point]:
    """Every point of every curve, and what `results` shows where that is not a curve's end: at the last step."""
    curves = list(curves)
    steps = [whole(curve.steps) for curve in curves]
    names = unlike([*(curve.name for curve in curves), *run.summary], ALLOWED, LONGEST_NAME)
    ends: dict[str, float] = {}
    for curve, places in zip(curves, steps, strict=True):
        for step, value, when in zip(places, curve.values, curve.times, strict=True):
            exact = number(value)
            assert exact is not None
            yield _path(names[curve.name]), step, exact, _milliseconds(when) or 0
            ends[curve.name] = exact
    last = max((places[-1] for places in steps), default=0)
    for name, value in run.summary.items():
        exact = number(value)
        if exact is None or (name in ends and (ends[name] == exact or ends[name] != ends[name])):
            continue
        called = f"final/{names[name]}" if name in ends else names[name]
        yield _path(called)[:LONGEST_NAME], last, exact, _milliseconds(run.ended or run.started) or 0


def _path(name: str) -> str:
    """MLflow takes a name for a path, which may not lead anywhere else."""
    if any(part in ("", ".", "..") for part in name.split("/")):
        plain = name.replace("/", "_").replace("..", "__")
        return f"{plain[: LONGEST_NAME - 9]}-{layout.digest(name)[:8]}"
    return name


def _same(name: str, step: int, value: float) -> tuple[str, int, float]:
    """A point as MLflow keeps it: NaN as 0 and the infinities as the largest doubles."""
    if math.isnan(value):
        return name, step, 0.0
    return name, step, max(-LARGEST, min(LARGEST, value))


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)
