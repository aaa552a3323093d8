"""What TensorBoard itself reads of an export: its HParams backend, and its server.

Code: export/tensorboard
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from exported import BEGAN, Board, four, give, runs, values
from launched import until
from small_project import REPOSITORY, Project

from resweep.export import tensorboard


def test_tensorboard_reads_what_was_tried_and_what_came_out(swept: Project, tmp_path: Path) -> None:
    """Domains, values, times, states and metrics are there, and each metric's tag is a scalar's."""
    tensorboard.write(tmp_path / "tb", runs(four(swept)))
    board = Board(tmp_path / "tb")
    infos = {info.name: info for info in board.experiment.hparam_infos}
    assert {name: list(info.domain_discrete) for name, info in infos.items()} == {
        "params.lr": [0.1, 0.2],
        "params.dropout": [0.3, 0.4],
    }
    tags = [info.name.tag for info in board.experiment.metric_infos]
    assert tags == ["loss", "acc", "best"]
    scalars = board.scalars()
    assert sum(len(each) > 0 for each in scalars.values()) == 3
    for tag in tags:
        assert any(tag in each for each in scalars.values())
    groups = {group.sessions[0].name: group for group in board.groups}
    entries = swept.entries()
    for number, entry in enumerate(entries[:3], 1):
        group = groups[f"rnn/{number}-{entry.id}-0"]
        assert {key: value.number_value for key, value in group.hparams.items()} == entry.swept
        (session,) = group.sessions
        assert (session.start_time_secs, session.end_time_secs) == (BEGAN, BEGAN + 100)
        assert session.status == (1 if number < 3 else 2)
    assert values(groups[f"rnn/2-{entries[1].id}-0"]) == pytest.approx({"loss": 0.5, "acc": 0.4, "best": 1.0})
    assert values(groups[f"rnn/3-{entries[2].id}-0"]) == {"loss": 9.0}


@pytest.mark.slow
def test_many_numbers_have_a_range_and_the_wanted_metric_is_first(project: Project, tmp_path: Path) -> None:
    """TensorBoard's page offers from which to which for more than nine numbers, and shows the first five metrics."""
    project.write({"config/rnn.toml": "[hyper]\n" + f'"params.lr" = {[n / 10 for n in range(12)]}\n[params]\n'})
    project.generate("--no-slurm-job").ok()
    for entry in project.entries():
        give(project, entry, {"a": 1.0, "b": 2.0})
    tensorboard.write(tmp_path / "tb", runs(project), ["b", "never"])
    experiment = Board(tmp_path / "tb").experiment
    (info,) = experiment.hparam_infos
    assert (info.domain_interval.min_value, info.domain_interval.max_value) == (0.0, 1.1)
    assert [info.name.tag for info in experiment.metric_infos] == ["b", "a"]


def test_curves_are_whole_once_with_their_times(swept: Project, tmp_path: Path) -> None:
    """Every point of a curve is there once, at its step."""
    tensorboard.write(tmp_path / "tb", runs(four(swept)))
    first = swept.entries()[0]
    found = Board(tmp_path / "tb").scalars()[f"rnn/1-{first.id}-0"]
    assert [(step, value) for step, value, _ in found["loss"]] == [(1, 1.0), (2, 0.5), (4, 0.25)]
    assert [when for *_, when in found["loss"]] == pytest.approx([BEGAN + 100 / 3, BEGAN + 200 / 3, BEGAN + 100])
    assert [(step, value) for step, value, _ in found["best"]] == [(4, 0.5)]


def test_what_a_training_wrote_for_tensorboard_is_one_curve_with_its_times(swept: Project, tmp_path: Path) -> None:
    """Scalars of its own event files have the names that `results` gives them, their own times, and are not doubled."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    first = swept.entries()[0]
    output = give(swept, first)
    (output / "log" / "train").mkdir(parents=True)
    with open(output / "log" / "train" / "events.out.tfevents.1.host", "wb") as file:
        for step in (1, 2):
            summary = Summary(value=[Summary.Value(tag="loss", simple_value=step)])
            RecordWriter(file).write(Event(step=step, wall_time=BEGAN + step, summary=summary).SerializeToString())
    tensorboard.write(tmp_path / "tb", runs(swept))
    found = Board(tmp_path / "tb").scalars()
    assert found == {f"rnn/1-{first.id}-0": {"train.loss": [(1, 1.0, BEGAN + 1), (2, 2.0, BEGAN + 2)]}}


def test_the_number_that_results_shows_is_the_one_in_the_table(swept: Project, tmp_path: Path) -> None:
    """A curve that ends elsewhere stays as it is; the number of metrics.json is final/NAME, for all trials."""
    first, second, *_ = swept.entries()
    give(swept, first, {"loss": 0.25}, [{"step": 1, "loss": 0.25}, {"step": 2, "loss": 0.75}])
    give(swept, second, {"loss": 0.5}, [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}])
    tensorboard.write(tmp_path / "tb", runs(swept))
    board = Board(tmp_path / "tb")
    assert [info.name.tag for info in board.experiment.metric_infos] == ["final/loss"]
    assert sorted(values(group)["final/loss"] for group in board.groups) == [0.25, 0.5]
    curves = [[value for _, value, _ in each["loss"]] for each in board.scalars().values()]
    assert sorted(curves) == [[0.25, 0.75], [1.0, 0.5]]


def test_finished_repeats_are_one_row_with_their_mean(project: Project, tmp_path: Path) -> None:
    """HParams' groups are points, as `--by point` has them; a repeat that failed is no part of the mean."""
    project.write({"config/rnn.toml": 'n_trials = 3\n[hyper]\n"params.lr" = [0.1]\n[params]\n'})
    project.generate("--no-slurm-job").ok()
    for entry, (value, state) in zip(
        project.entries(), [(1.0, "finished"), (2.0, "finished"), (9.0, "failed")], strict=True
    ):
        give(project, entry, {"a": value}, [{"step": 1, "a": value}], state=state)
    tensorboard.write(tmp_path / "tb", runs(project))
    found = sorted((len(group.sessions), values(group)["a"]) for group in Board(tmp_path / "tb").groups)
    assert found == [(1, 9.0), (2, 1.5)]


def test_exporting_again_doubles_nothing_and_writes_the_same_bytes(swept: Project, tmp_path: Path) -> None:
    """The directory is written anew: same bytes for the same data, and what is gone from the sweep is gone."""
    four(swept)
    tensorboard.write(tmp_path / "tb", runs(swept))
    before = {path: path.read_bytes() for path in (tmp_path / "tb").rglob("*") if path.is_file()}
    tensorboard.write(tmp_path / "tb", runs(swept))
    assert {path: path.read_bytes() for path in (tmp_path / "tb").rglob("*") if path.is_file()} == before
    assert len(Board(tmp_path / "tb").groups) == 3
    tensorboard.write(tmp_path / "tb", runs(swept)[:1])
    assert len(Board(tmp_path / "tb").groups) == 1
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_hostile_names_and_values_are_read_and_stay_inside(swept: Project, tmp_path: Path) -> None:
    """Slashes, control characters, lone surrogates, NaN and huge numbers end up in tags and nowhere else."""
    first, second, *_ = swept.entries()
    names = ["../../up", "/abs", "a\nb", "\ud800", "x" * 5000, "</script>", "nan", "inf", "huge"]
    table = dict(zip(names, [1, 2, 3, 4, 5, 6, math.nan, math.inf, 10**400], strict=True))
    give(swept, first, {**table, "list": [1, None], "none": None, "yes": True}, [{"step": 0.5, **table}])
    give(swept, second, {"a": 1}, [{"step": 10**30, "a": 1.0}, {"step": math.nan, "a": 2.0}])
    before = set(tmp_path.rglob("*"))
    tensorboard.write(tmp_path / "tb", runs(swept))
    assert all(path.is_relative_to(tmp_path / "tb") for path in set(tmp_path.rglob("*")) - before)
    found = Board(tmp_path / "tb").scalars()[f"rnn/1-{first.id}-0"]
    assert len(found) == len(names)
    assert math.isnan(found["nan"][0][1])
    assert found["huge"][0][1] == math.inf


@pytest.mark.slow
def test_hyperparameters_of_several_kinds_have_one_type(project: Project, tmp_path: Path) -> None:
    """Numbers and texts together are texts, and lists are; truth values stay what they are."""
    lists = {"params.a": '[1, "two", true]', "x.b": "[true, false]", "x.c": "[[1, 2], [3]]"}
    text = "[hyper]\n" + "".join(f'"{key}" = {value}\n' for key, value in lists.items())
    project.write({"config/rnn.toml": text + "[params]\n[x]\nb = true\nc = [1]\n"})
    project.write({"base.jsonnet": "function(a, random_seed=1) { a: a, seed: random_seed }"})
    project.generate("--no-slurm-job").ok()
    for entry in project.entries():
        give(project, entry, {"m": 1.0})
    tensorboard.write(tmp_path / "tb", runs(project))
    board = Board(tmp_path / "tb")
    kinds = {info.name: (info.type, list(info.domain_discrete)) for info in board.experiment.hparam_infos}
    assert kinds == {
        "params.a": (1, ["1", "true", "two"]),
        "x.b": (2, [False, True]),
        "x.c": (1, ["[1, 2]", "[3]"]),
    }
    assert len(board.groups) == 12


@pytest.mark.slow
def test_tensorboard_s_server_answers(swept: Project, tmp_path: Path) -> None:
    """The real server, with its fast reader, gives HParams' table as JSON."""
    tensorboard.write(tmp_path / "tb", runs(four(swept)))
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path / "tb"), "--port", "0"]
    with open(tmp_path / "said", "w") as said:
        server = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        until(lambda: "http://" in (tmp_path / "said").read_text())
        url = next(word for word in (tmp_path / "said").read_text().split() if word.startswith("http://"))
        body = {"experimentName": "", "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE"], "startIndex": 0,
                "sliceSize": 100, "colParams": [{"hparam": "params.lr"}]}  # fmt: skip

        def answer() -> dict[str, Any]:
            request = urllib.request.Request(
                f"{url}data/plugin/hparams/session_groups",
                json.dumps(body).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=300) as found:
                return json.loads(found.read())  # type: ignore[no-any-return]

        until(lambda: answer().get("totalSize") == 3)
    finally:
        server.terminate()
        server.wait(300)


@pytest.mark.slow
def test_hundreds_of_trials_are_written(tmp_path: Path) -> None:
    """TensorBoard has all of 200 trials with 24 metrics and curves of five epochs; bench/export.py has the time."""
    sys.path.insert(0, str(REPOSITORY / "bench"))
    import results as bench  # type: ignore[import-not-found]

    root = tmp_path / "project"
    root.mkdir()
    for path in bench.generate(root, 200):
        for epoch in range(5):
            path.with_name(f"metrics_epoch_{epoch}.json").write_text(
                json.dumps({"loss": 1 / (epoch + 1), "acc": epoch})
            )
    program = "import sys; from resweep.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", program, "export", "big", "--to", "tensorboard", str(tmp_path / "tb")]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    board = Board(tmp_path / "tb")
    assert sum(len(group.sessions) for group in board.groups) == 200
    assert sum(len(points) for tags in board.scalars().values() for points in tags.values()) == 200 * (24 + 2 * 5)
