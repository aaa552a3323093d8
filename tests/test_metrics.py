"""Numbers are found in whatever a training leaves behind.

Code: results/metrics, results/metric_files, results/tensorboard
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resweep.results import metrics
from resweep.results.metrics import Output


def write(folder: Path, **files: str) -> Output:
    """An output directory with these files; `__` in a name stands for a dot."""
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, "utf-8")
    return Output(str(folder), str(folder / "log.txt"))


def events(folder: Path, *points: tuple[str, int, float], name: str = "events.out.tfevents.1.host") -> Path:
    """An event file, as TensorBoard's own writer writes it."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / name, "wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(file_version="brain.Event:2").SerializeToString())
        for tag, step, value in points:
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
            writer.write(Event(step=step, summary=summary).SerializeToString())
    return folder / name


def test_nested_tables_get_names_with_dots(tmp_path: Path) -> None:
    """Tables in metrics.json are joined with dots, at any depth; lists and texts stay as they are."""
    text = '{"a": 1, "validation": {"accuracy": 0.5, "per": {"class": [1, 2]}}, "empty": {}, "note": "x"}'
    found = metrics.read(write(tmp_path, metrics__json=text))
    assert found.values == {"a": 1, "validation.accuracy": 0.5, "validation.per.class": [1, 2], "note": "x"}
    assert found.problems == ()


def test_the_first_file_that_has_numbers_counts(tmp_path: Path) -> None:
    """metrics.json stands before the latest epoch, that before the lines, those before TensorBoard's files."""
    events(tmp_path / "log", ("a", 1, 4.0), ("b", 1, 4.0))
    assert metrics.read(Output(str(tmp_path))).values == {"a": 4.0, "b": 4.0}
    write(tmp_path, metrics__jsonl='{"a": 3}\n')
    assert metrics.read(Output(str(tmp_path))).values == {"a": 3}
    write(tmp_path, metrics_epoch_9__json='{"a": 1}', metrics_epoch_10__json='{"a": 2}')
    assert metrics.read(Output(str(tmp_path))).values == {"epoch": 10, "a": 2}
    write(tmp_path, metrics__json='{"a": 0}')
    assert metrics.read(Output(str(tmp_path))).values == {"a": 0}


def test_the_wanted_metric_is_looked_for_further(tmp_path: Path) -> None:
    """A later file adds the metric that the earlier lack, and changes nothing that they have."""
    events(tmp_path / "tb", ("accuracy", 1, 0.5), ("loss", 1, 9.0))
    output = write(tmp_path, metrics__json='{"loss": 1}')
    assert metrics.read(output, metric="loss").values == {"loss": 1}
    assert metrics.read(output, metric="accuracy").values == {"loss": 1, "accuracy": 0.5}


def test_the_last_line_with_a_name_counts(tmp_path: Path) -> None:
    """Of metrics.jsonl each name has the value of the last line that has it, also where lines differ."""
    output = write(tmp_path, metrics__jsonl='{"step": 1, "loss": 2}\n\n{"step": 2, "loss": 1}\n{"val": {"acc": 0.5}}\n')
    assert metrics.read(output).values == {"loss": 1, "val.acc": 0.5}
    curves = {curve.name: curve for curve in metrics.history(output).curves}
    assert (curves["loss"].axis, curves["loss"].steps, curves["loss"].values) == ("step", (1, 2), (2, 1))
    assert (curves["val.acc"].axis, curves["val.acc"].steps) == ("line", (4,))
    assert "step" not in curves


@pytest.mark.parametrize(
    ("files", "problem", "values"),
    [
        (
            {"metrics__json": "{", "metrics_epoch_0__json": '{"a": 1}'},
            "metrics.json cannot be read",
            {"epoch": 0, "a": 1},
        ),
        (
            {"metrics_epoch_1__json": "", "metrics_epoch_0__json": '{"a": 1}'},
            "metrics_epoch_1.json cannot be read",
            {"epoch": 0, "a": 1},
        ),
        ({"metrics__jsonl": '{"a": 1}\n{"a": 2'}, "metrics.jsonl cannot be read in line 2", {"a": 1}),
        ({"metrics__jsonl": '3\n{"a": 2}'}, "metrics.jsonl holds no table in line 1", {"a": 2}),
        ({"metrics__jsonl": "x\n" * 500}, "and 499 more", {}),
        ({}, "no metrics.json", {}),
    ],
    ids=["metrics", "epoch", "torn line", "no table", "many", "nothing"],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, files: dict[str, str], problem: str, values: dict[str, object]
) -> None:
    """A broken file is named, what stands beside it counts; in a trial that runs, a torn end is no problem."""
    output = write(tmp_path, **files)
    found = metrics.read(output)
    assert problem in "; ".join(found.problems)
    assert found.values == values
    running = metrics.read(Output(output.directory, output.log, running=True))
    assert ("line" in problem or "more" in problem) or not running.problems


def test_event_files_are_read_by_tag_and_part(tmp_path: Path) -> None:
    """A directory called train or validation stands before the tag, another does not; the last of a name counts."""
    events(tmp_path / "log" / "train", ("loss", 1, 2.0), ("loss", 2, 1.0))
    events(tmp_path / "log" / "validation", ("loss", 2, 1.5))
    events(tmp_path / "runs" / "Nov21_host", ("extra", 0, 7.0))
    assert metrics.read(Output(str(tmp_path))).values == {"train.loss": 1.0, "validation.loss": 1.5, "extra": 7.0}
    curves = {curve.name: curve for curve in metrics.history(Output(str(tmp_path))).curves}
    assert (curves["train.loss"].steps, curves["train.loss"].values) == ((1, 2), (2.0, 1.0))
    assert (curves["train.loss"].part, curves["train.loss"].measure) == ("train", "loss")


def test_torch_and_tensorflow_2_write_what_is_read(tmp_path: Path) -> None:
    """Scalars as torch's writer leaves them, and as tensors, as TensorFlow 2 does, are the same numbers."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.scalar.metadata import create_summary_metadata
    from tensorboard.summary.writer.record_writer import RecordWriter
    from tensorboard.util.tensor_util import make_tensor_proto
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(tmp_path / "torch")) as writer:
        writer.add_scalar("val/acc", 0.25, 3)
    (tmp_path / "tf2").mkdir()
    with open(tmp_path / "tf2" / "events.out.tfevents.2.v2", "wb") as file:
        value = Summary.Value(tag="epoch_loss", tensor=make_tensor_proto(1.5), metadata=create_summary_metadata("", ""))
        RecordWriter(file).write(Event(step=1, summary=Summary(value=[value])).SerializeToString())
    assert metrics.read(Output(str(tmp_path))).values == {"val/acc": 0.25, "epoch_loss": 1.5}


@pytest.mark.parametrize("damage", ["torn", "flipped"])
def test_a_damaged_event_file_is_named(tmp_path: Path, damage: str) -> None:
    """What stands before the damage counts; the file is named, unless it is only still being written."""
    path = events(tmp_path, ("loss", 1, 2.0), ("loss", 2, 1.0))
    data = bytearray(path.read_bytes())
    if damage == "torn":
        del data[-3:]
    else:
        data[-8] ^= 1
    path.write_bytes(data)
    found = metrics.read(Output(str(tmp_path)))
    assert found.values == {"loss": 2.0}
    assert path.name in found.problems[0]
    running = metrics.read(Output(str(tmp_path), running=True))
    assert (running.values, running.problems) == ({"loss": 2.0}, ())


def test_without_tensorboard_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only event files are there and the package is not, the row says what to install; else it is not needed."""
    events(tmp_path, ("loss", 1, 2.0))
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert "resweep[tensorboard]" in metrics.read(Output(str(tmp_path))).problems[0]
    write(tmp_path, metrics__json='{"a": 1}')
    assert metrics.read(Output(str(tmp_path))).problems == ()


PATTERN = r"(?:epoch (?P<epoch>\d+).*)?val_acc=(?P<val_acc>\S+)"


def test_pattern_finds_numbers_in_the_log(tmp_path: Path) -> None:
    """Named groups name metrics, the last match counts, each redrawn line is one, epoch is a step."""
    log = "epoch 1 val_acc=0.25\repoch 2 val_acc=50%,\nnothing\nepoch 3 val_acc=1e-1\n"
    output = write(tmp_path, log__txt=log)
    assert metrics.read(output, PATTERN) == metrics.Reading({"val_acc": 0.1})
    (curve,) = metrics.history(output, PATTERN).curves
    assert (curve.axis, curve.steps, curve.values) == ("epoch", (1, 2, 3), (0.25, 50, 0.1))
    write(tmp_path, metrics__json='{"val_acc": 7, "b": 1}')
    assert metrics.read(output, PATTERN).values == {"val_acc": 7, "b": 1}


def test_pattern_that_finds_no_number_is_a_problem(tmp_path: Path) -> None:
    """What a group matched and is no number is named."""
    output = write(tmp_path, log__txt="val_acc=high\n")
    assert "val_acc='high'" in metrics.read(output, PATTERN).problems[0]


def test_unfinished_lines_of_a_running_trial_wait(tmp_path: Path) -> None:
    """The last line without its end may be half a number: it counts when it is whole."""
    output = write(tmp_path, log__txt="val_acc=0.5\nval_acc=0.", metrics__jsonl='{"a": 1}\n{"a": 2}')
    running = Output(output.directory, output.log, running=True)
    assert metrics.read(running, PATTERN).values == {"a": 1, "val_acc": 0.5}


def test_history_of_epochs(tmp_path: Path) -> None:
    """The files of AllenNLP's epochs are curves, in the order of the epochs, numbers only."""
    files = {
        f"metrics_epoch_{n}__json": json.dumps({"epoch": n, "validation_loss": 1 / (n + 1), "t": "0:01"})
        for n in range(12)
    }
    history = metrics.history(write(tmp_path, **files))
    (curve,) = history.curves
    assert (curve.name, curve.axis, curve.steps) == ("validation_loss", "epoch", tuple(range(12)))
    assert (curve.part, curve.measure) == ("validation", "loss")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("training_loss", ("train", "loss")),
        ("best_validation_accuracy", ("validation", "best_accuracy")),
        ("val/acc", ("validation", "acc")),
        ("dev.f1", ("validation", "f1")),
        ("test_accuracy", ("test", "accuracy")),
        ("train", ("train", "train")),
        ("value", ("", "value")),
        ("latest_loss", ("", "latest_loss")),
    ],
)
def test_names_say_what_was_measured_on(name: str, expected: tuple[str, str]) -> None:
    """A word of a name tells training from validation and test; a part of a word does not."""
    assert metrics.apart(name) == expected


@pytest.mark.slow
@given(
    st.dictionaries(
        st.text(), st.recursive(st.floats() | st.text(), lambda c: st.dictionaries(st.text(), c), max_leaves=12)
    )
)
def test_flat_has_no_tables(table: dict[str, object]) -> None:
    """However deep, no value of a flat table is a table."""
    assert not any(isinstance(value, dict) for value in metrics.flat(table).values())
