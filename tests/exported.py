"""A sweep whose trials have run, to be exported: values, curves and records as a test says."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from small_project import Project

from resweep import index
from resweep.export import run
from resweep.results import load

STARTED = "2026-11-20T10:00:00+00:00"
ENDED = "2026-11-20T10:01:40+00:00"
BEGAN = 1795168800.0  # STARTED in seconds since 1970


def give(
    project: Project,
    entry: index.Entry,
    metrics: Mapping[str, Any] | None = None,
    curve: list[dict[str, Any]] | None = None,
    state: str = "finished",
    name: str = "rnn",
    **record: Any,
) -> Path:
    """Let a trial have had an attempt: its metrics.json, and a line of metrics.jsonl for each table of `curve`."""
    place = project.paths(name).place(entry.name)
    folder = Path(place.attempt(1))
    folder.mkdir(parents=True)
    said = {"state": state, "attempt": 1, "seconds": 100.0, "started": STARTED, "ended": ENDED, "host": "node17"}
    (folder / "record.json").write_text(json.dumps(said | {"exit_status": int(state != "finished")} | record))
    output = folder / "output"
    if state == "finished":
        Path(place.attempts, "finished").hardlink_to(folder / "record.json")
        output = Path(place.output)
    output.mkdir()
    if metrics is not None:
        (output / "metrics.json").write_text(json.dumps(metrics))
    if curve is not None:
        (output / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in curve))
    return output


def four(project: Project) -> Project:
    """The four trials of the sweep: two that finished, one that failed, one that never ran."""
    first, second, third, _ = project.entries()
    for number, entry in enumerate((first, second), 1):
        curve = [{"step": step, "loss": number / step, "acc": 0.1 * step} for step in (1, 2, 4)]
        give(project, entry, {"loss": number / 4, "acc": 0.4, "best": 0.5 * number, "note": "fine"}, curve)
    give(project, third, curve=[{"step": 1, "loss": 9.0}], state="failed")
    return project


def runs(project: Project, *names: str) -> list[run.Run]:
    """The runs of these sweeps."""
    found = load.gather(project.root, names or ("rnn",))
    return list(run.runs(found, sorted(found.rows, key=lambda row: (row.sweep, row.entry.number)), "a project"))


def no_network(home: Path) -> dict[str, str]:
    """An environment in which every connection that a Python process asks for is written to `home`/asked, and refused.

    Programs that are no Python are sent to a proxy that is not there.
    """
    home.mkdir()
    (home / "sitecustomize.py").write_text(
        "import sys\n"
        "def refuse(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.gethostbyname', 'socket.sendto'):\n"
        "        if isinstance(arguments[-1], str): return  # a socket of this machine's own\n"
        f"        open({str(home / 'asked')!r}, 'a').write(f'{{event}} {{arguments}}\\n')\n"
        "        raise OSError('no network here')\n"
        "sys.addaudithook(refuse)\n"
    )
    dead = "http://127.0.0.1:9"
    return {"PYTHONPATH": str(home), "HTTP_PROXY": dead, "HTTPS_PROXY": dead, "HOME": os.fspath(home)}


class Board:
    """TensorBoard's own reading of a log directory, as its server does it."""

    def __init__(self, logdir: Path) -> None:
        from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
        from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
        from tensorboard.context import RequestContext
        from tensorboard.plugins import base_plugin
        from tensorboard.plugins.hparams import backend_context

        multiplexer = EventMultiplexer({}, tensor_size_guidance={"scalars": 0})
        multiplexer.AddRunsFromDirectory(str(logdir))
        multiplexer.Reload()
        self.provider = MultiplexerDataProvider(multiplexer, str(logdir))
        self.context = backend_context.Context(base_plugin.TBContext(data_provider=self.provider))
        self.request = RequestContext()

    @property
    def experiment(self) -> Any:
        """What HParams knows of the experiment."""
        metadata = self.context.hparams_metadata(self.request, "")
        return self.context.experiment_from_metadata(self.request, "", True, metadata, [])

    @property
    def groups(self) -> list[Any]:
        """The rows of HParams' table."""
        from tensorboard.plugins.hparams import api_pb2, list_session_groups

        statuses = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
        wanted = api_pb2.ListSessionGroupsRequest(
            allowed_statuses=[getattr(api_pb2, name) for name in statuses],
            col_params=[api_pb2.ColParams(hparam=info.name) for info in self.experiment.hparam_infos],
            start_index=0,
            slice_size=10**6,
            aggregation_type=api_pb2.AGGREGATION_AVG,
        )
        return list(list_session_groups.Handler(self.request, self.context, "", wanted).run().session_groups)

    def scalars(self) -> dict[str, dict[str, list[tuple[int, float, float]]]]:
        """By run and tag the points: step, value, time."""
        found = self.provider.read_scalars(self.request, experiment_id="", plugin_name="scalars", downsample=10**6)
        return {
            run: {tag: [(p.step, p.value, p.wall_time) for p in points] for tag, points in tags.items()}
            for run, tags in found.items()
        }


def values(group: Any) -> dict[str, float]:
    """A row's metrics by tag."""
    return {each.name.tag: each.value for each in group.metric_values}


class Store:
    """The store in a directory, through MLflow's client."""

    def __init__(self, directory: Path) -> None:
        from mlflow.tracking import MlflowClient

        self.client = MlflowClient(tracking_uri=f"sqlite:///{directory.resolve()}/mlflow.db")

    def runs(self, deleted: bool = False) -> dict[str, Any]:
        """The runs by name."""
        from mlflow.entities import ViewType

        experiments = [each.experiment_id for each in self.client.search_experiments()]
        view = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY
        return {run.info.run_name: run for run in self.client.search_runs(experiments, run_view_type=view)}

    def points(self, run: Any, name: str) -> list[tuple[int, float, int]]:
        """A curve: step, value, time in milliseconds."""
        found = self.client.get_metric_history(run.info.run_id, name)
        return sorted((each.step, each.value, each.timestamp) for each in found)
