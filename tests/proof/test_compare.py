"""Two outputs side by side: whatever differs is named, but for what no two runs have in common.

Code: proof/compare
"""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resweep.proof.compare import Comparison, Output, Rules, compare
from resweep.sweep.definition import WEIGHTS

RULES = Rules(weights=WEIGHTS)
NAMES = st.sampled_from(
    ["metrics.json", "best.th", "deep/model.tar.gz", "predictions.txt", "out.log", "metrics_epoch_0.json"]
)


def write(top: Path, files: dict[str, bytes]) -> Output:
    """An output with these files."""
    shutil.rmtree(top, ignore_errors=True)
    for name, data in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(data)
    top.mkdir(exist_ok=True)
    return Output(top, (str(top),))


def compared(tmp_path: Path, old: dict[str, bytes], new: dict[str, bytes], rules: Rules = RULES) -> Comparison:
    """The comparison of two outputs."""
    return compare(write(tmp_path / "old", old), write(tmp_path / "newer", new), rules)


@pytest.mark.slow
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, st.binary(max_size=20)), st.dictionaries(NAMES, st.binary(max_size=20)))
def test_exactly_the_files_that_differ_are_named(tmp_path: Path, old: dict[str, bytes], new: dict[str, bytes]) -> None:
    """Missing, new and changed ones; logs never."""
    found = compared(tmp_path, old, new)
    differing = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)} - {"out.log"}
    assert {file.path for file in found.of("changed", "missing", "new")} == differing
    assert found.same == (not differing)
    assert {file.path for file in found.of("missing")} == (old.keys() - new.keys()) - {"out.log"}


def metrics(value: Any) -> dict[str, bytes]:
    """An output that has these metrics."""
    return {"metrics.json": json.dumps(value).encode()}


def test_metrics_are_compared_by_key_without_durations_and_memory(tmp_path: Path) -> None:
    """What AllenNLP writes of time and memory is left out, and listed."""
    first = {"accuracy": 0.5, "training_duration": "0:01", "peak_worker_0_memory_MB": 1.5, "time": 1}
    second = {"accuracy": 0.5, "training_duration": "0:02", "peak_worker_0_memory_MB": 2.5, "time": 2}
    found = compared(tmp_path, metrics(first), metrics(second))
    assert found.same
    assert found.same_metrics == 1
    assert found.ignored_keys == {"training_duration", "peak_worker_0_memory_MB", "time"}
    (metric,) = compared(tmp_path, metrics(first), metrics({**second, "accuracy": 0.75})).metrics
    assert (metric.key, metric.before, metric.after, metric.difference) == ("accuracy", 0.5, 0.75, 0.25)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (float("nan"), float("nan"), True),
        (1, 1.0, False),
        (1, True, False),
        (0.1, 0.1, True),
        (0.1, math.nextafter(0.1, 1), False),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, True),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, False),
        ([], {}, False),
        (None, 0, False),
    ],
)
def test_a_metric_is_the_same_to_the_bit_or_not(tmp_path: Path, old: Any, new: Any, same: bool) -> None:
    """NaN is NaN, 1 is not 1.0, and the last bit counts."""
    assert compared(tmp_path, metrics({"m": old}), metrics({"m": new})).same is same


def test_steps_are_no_time(tmp_path: Path) -> None:
    """Keys that only sound like durations are compared."""
    for key in ("timesteps", "times", "sometimes_right", "multi_mbert", "sentiment"):
        assert not compared(tmp_path, metrics({key: 1}), metrics({key: 2})).same, key


def archives(when: int, data: bytes, where: str = "model") -> dict[str, bytes]:
    """The same content as zip, tar.gz and gz, at a time."""
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr(zipfile.ZipInfo(f"{where}/data.pkl", (1980 + when, 1, 1, 0, 0, 0)), data)
    with tarfile.open(fileobj=tarred, mode="w:gz") as tar:
        info = tarfile.TarInfo("weights.th")
        info.size, info.mtime = len(data), when
        tar.addfile(info, io.BytesIO(data))
    return {"a.th": zipped.getvalue(), "model.tar.gz": tarred.getvalue(), "x.bin.gz": gzip.compress(data, mtime=when)}


def test_archives_are_compared_by_what_they_hold(tmp_path: Path) -> None:
    """The time in a header is no difference; a byte of a member, or its name, is."""
    assert compared(tmp_path, archives(1, b"weights"), archives(9, b"weights")).same
    assert len(compared(tmp_path, archives(1, b"weights"), archives(1, b"weighty")).of("changed", kind="weights")) == 2
    assert [each.path for each in compared(tmp_path, archives(1, b"w"), archives(1, b"w", "n")).of("changed")] == [
        "a.th"
    ]


def test_a_damaged_archive_is_changed(tmp_path: Path) -> None:
    """One that cannot be read is compared as bytes."""
    whole = archives(1, b"weights" * 100)
    for cut in (5, 20, 30):
        broken = {name: data[:-cut] for name, data in whole.items()}
        assert len(compared(tmp_path, whole, broken).of("changed")) == 3


def test_the_paths_of_the_two_runs_are_no_difference(tmp_path: Path) -> None:
    """A file, a table or a link that names its own directory."""

    def named(top: Path) -> dict[str, bytes]:
        return {"config.json": json.dumps({"out": f"{top}/best.th"}).encode(), "note.txt": f"in {top}!".encode()}

    old, new = tmp_path / "old", tmp_path / "newer"
    outputs = write(old, named(old)), write(new, named(new))
    for top in (old, new):
        os.symlink(top / "best.th", top / "latest")
    assert compare(*outputs, RULES).same
    (new / "latest").unlink()
    os.symlink("/elsewhere", new / "latest")
    (new / "note.txt").write_text(f"in {new}?")
    assert {file.path for file in compare(*outputs, RULES).of("changed")} == {"latest", "note.txt"}


def test_the_sweep_says_what_is_compared(tmp_path: Path) -> None:
    """Globs of files, with or without a directory, and of metrics."""
    old = {"deep/a.txt": b"1", "b.txt": b"1", **metrics({"x": {"noise": 1}, "y": 1})}
    new = {"deep/a.txt": b"2", "b.txt": b"2", **metrics({"x": {"noise": 2}, "y": 1})}
    assert len(compared(tmp_path, old, new).of("changed")) == 3
    assert compared(tmp_path, old, new, Rules(ignored=("*.txt", "noise"))).same
    assert compared(tmp_path, old, new, Rules(ignored=("*.txt", "x.*"))).same
    found = compared(tmp_path, old, new, Rules(files=("deep/*",)))
    assert [file.path for file in found.files] == ["deep/a.txt"]


def test_what_may_have_gone_is_no_difference(tmp_path: Path) -> None:
    """Weights that were cleaned, and what was not packed, are not there to compare; anything else is new."""
    new = write(tmp_path / "new", {"best.th": b"1", "other.txt": b"1", **metrics({"y": 1})})
    cleaned = Output(write(tmp_path / "old", metrics({"y": 1})).directory, gone=WEIGHTS)
    assert {f.path: f.what for f in compare(cleaned, new, RULES).files} == {
        "best.th": "not there to compare",
        "other.txt": "new",
        "metrics.json": "same",
    }
    packed = Output(cleaned.directory, kept=("metrics*.json",))
    assert compare(packed, new, RULES).same
    (tmp_path / "old" / "metrics.json").unlink()
    assert [file.path for file in compare(packed, new, RULES).of("new")] == ["metrics.json"]


def test_lines_of_json_are_tables(tmp_path: Path) -> None:
    """metrics.jsonl is compared line by line and key by key."""
    old = {"metrics.jsonl": b'{"loss": 1, "elapsed": 5}\n{"loss": 2}\n'}
    assert compared(tmp_path, old, {"metrics.jsonl": b'{"loss": 1, "elapsed": 6}\n{"loss": 2}\n'}).same
    (metric,) = compared(tmp_path, old, {"metrics.jsonl": b'{"loss": 1, "elapsed": 6}\n{"loss": 3}\n'}).metrics
    assert metric.key == "1.loss"
