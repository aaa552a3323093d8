"""What saved files mean, value by value: whatever differs is named, and nothing of them runs.

Code: proof/saved
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resweep.proof import saved
from resweep.proof.compare import Comparison, Output, Rules, compare
from resweep.sweep.definition import WEIGHTS

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
VALUES = st.recursive(LEAVES, lambda c: st.lists(c) | st.dictionaries(st.text(min_size=1), c), max_leaves=12)


def content(path: Path, data: bytes) -> saved.Content | None:
    """What these bytes mean."""
    path.write_bytes(data)
    return saved.read(path, lambda text: text.replace(str(path.parent), "HERE"))


def values(path: Path, data: bytes) -> dict[str, str]:
    """The values that these bytes hold."""
    found = content(path, data)
    assert found is not None
    return found.values


def compared(tmp_path: Path, write: Any) -> Comparison:
    """The comparison of what `write(DIRECTORY, NUMBER)` writes into two directories."""
    outputs = []
    for number, name in enumerate(("first", "the second")):
        top = tmp_path / name
        top.mkdir()
        write(top, number)
        outputs.append(Output(top, (str(top),)))
    return compare(outputs[0], outputs[1], Rules(weights=WEIGHTS))


def told(found: Comparison, path: str) -> dict[str, tuple[str | None, str | None]]:
    """The values of a file that differ."""
    return {each.key: (each.before, each.after) for each in found.values.get(path, [])}


@given(VALUES, VALUES, st.integers(2, pickle.HIGHEST_PROTOCOL))
def test_two_pickles_mean_the_same_exactly_when_their_values_do(first: Any, second: Any, protocol: int) -> None:
    """But for the order of a table; 1, 1.0, True and "1" are four values."""
    path = Path("/dev/shm" if os.path.isdir("/dev/shm") else "/tmp") / f"resweep-saved-{os.getpid()}"
    try:
        old, new = (content(path, pickle.dumps(each, protocol)) for each in (first, second))
        again = content(path, pickle.dumps(first, protocol))
    finally:
        path.unlink(missing_ok=True)
    if old is None or new is None or again is None:  # two values with one name: compared by their bytes
        return
    assert old.values == again.values
    assert (old.values == new.values) == (ordered(first) == ordered(second))


def ordered(value: Any) -> str:
    """A value as text, its tables in order."""
    if isinstance(value, dict):
        return f"{{{sorted((key, ordered(each)) for key, each in value.items())}}}"
    return f"[{[ordered(each) for each in value]}]" if isinstance(value, list) else repr(value)


class Evil:
    """Unpickling it runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        """As pickle asks for it."""
        return os.system, (self.command,)


def test_nothing_of_a_pickle_runs(tmp_path: Path) -> None:
    """What would be called is a name and its arguments."""
    found = values(tmp_path / "x", pickle.dumps({"a": Evil(f"touch {tmp_path}/ran"), "b": 1}))
    assert not (tmp_path / "ran").exists()
    assert found == {"a.().0": "'touch HERE/ran'", "a.class": f"{os.system.__module__}.system", "b": "1"}


class Kept:
    """An object with attributes."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


def test_objects_are_their_class_and_attributes(tmp_path: Path) -> None:
    """Also ordered tables and sets."""
    value = {"o": Kept(a=1, b=[2]), "d": OrderedDict(x=1), "s": {3, 4}, "t": (1, "a")}
    found = values(tmp_path / "x", pickle.dumps(value))
    assert found["o.a"] == "1"
    assert found["o.b.0"] == "2"
    assert found["o.class"].endswith("Kept")
    assert (found["d.x"], found["d.class"]) == ("1", "collections.OrderedDict")
    assert (found["s"], found["t.0"], found["t.1"]) == ("{3, 4}", "1", "'a'")


def test_a_table_within_itself_ends(tmp_path: Path) -> None:
    """A value that holds itself is said to."""
    value: dict[str, Any] = {"a": 1}
    value["me"] = value
    assert values(tmp_path / "x", pickle.dumps(value)) == {"a": "1", "me": "itself"}


@pytest.mark.parametrize(
    "value", [{"a": {"b": 1}, "a.b": 2}, {1: "x", "[1]": "y"}], ids=["dotted", "a number and its text"]
)
def test_two_values_with_one_name_are_not_told_apart_and_so_not_read(tmp_path: Path, value: Any) -> None:
    """The bytes are compared instead."""
    assert content(tmp_path / "x", pickle.dumps(value)) is None


def test_members_of_archives_are_named_and_their_times_are_not(tmp_path: Path) -> None:
    """zip in tar.gz: a member that differs by a byte, beside a config that names its run."""

    def write(top: Path, number: int) -> None:
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as zipped:
            zipped.writestr(zipfile.ZipInfo("same.txt", (1990 + number, 1, 1, 0, 0, 0)), "same")
            zipped.writestr("other.txt", f"other {number}")
        with tarfile.open(top / "model.tar.gz", "w:gz") as tar:
            for name, data in (("config.json", json.dumps({"dir": f"{top}/x"}).encode()), ("w.zip", inner.getvalue())):
                info = tarfile.TarInfo(name)
                info.size, info.mtime = len(data), number
                tar.addfile(info, io.BytesIO(data))

    found = compared(tmp_path, write)
    assert list(told(found, "model.tar.gz")) == ["w.zip.other.txt"]
    assert found.skipped == {"model.tar.gz: time stamps of archives"}


def test_a_time_in_a_state_is_passed_over_and_a_tensor_of_that_name_is_not(tmp_path: Path) -> None:
    """As in metrics: what says how long it took is no result. Bulk is never passed over."""

    def write(top: Path, number: int) -> None:
        state = {"training_time": number, "epoch": 3, "time_embedding": bytes([number]) * 99}
        (top / "state.pt").write_bytes(pickle.dumps(state))

    found = compared(tmp_path, write)
    assert list(told(found, "state.pt")) == ["time_embedding"]
    assert found.skipped == {"state.pt: training_time"}


def test_numpy_s_archives_are_compared_array_by_array(tmp_path: Path) -> None:
    """The array that differs is named."""

    def write(top: Path, number: int) -> None:
        np.savez(top / "a.npz", same=np.arange(3), other=np.arange(3) + number)

    found = compared(tmp_path, write)
    assert list(told(found, "a.npz")) == ["other.npy"]


def safetensors(tensors: dict[str, bytes], metadata: dict[str, str]) -> bytes:
    """The format's own description: length, header, bytes."""
    header: dict[str, Any] = {"__metadata__": metadata}
    data = b""
    for name, each in tensors.items():
        header[name] = {"dtype": "U8", "shape": [len(each)], "data_offsets": [len(data), len(data) + len(each)]}
        data += each
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def test_safetensors_are_compared_tensor_by_tensor(tmp_path: Path) -> None:
    """In whatever order they stand, and with a path in the metadata."""

    def write(top: Path, number: int) -> None:
        tensors = {"a": b"12", "b": b"345", "c": b"6" if number else b"7"}
        ordered = dict(sorted(tensors.items(), reverse=bool(number)))
        (top / "m.safetensors").write_bytes(safetensors(ordered, {"from": f"{top}/m"}))

    found = compared(tmp_path, write)
    assert list(told(found, "m.safetensors")) == ["c"]


def test_hdf5_is_compared_by_datasets_and_attributes(tmp_path: Path) -> None:
    """The times that the format keeps are no difference."""
    h5py = pytest.importorskip("h5py")

    def write(top: Path, number: int) -> None:
        with h5py.File(top / "w.h5", "w") as file:
            file.create_dataset("layer/same", data=np.arange(4.0), track_times=True)
            file.create_dataset("layer/other", data=np.arange(4.0) + number)
            file["layer"].attrs["name"] = f"layer of {top}"

    found = compared(tmp_path, write)
    assert list(told(found, "w.h5")) == ["layer/other"]


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\x80\x04", b"PK\x03\x04", b"\x1f\x8b", b"\x89HDF\r\n\x1a\n", b"x" * 99]
)
def test_what_is_damaged_or_unknown_is_not_read(tmp_path: Path, data: bytes) -> None:
    """It is compared by its bytes."""
    assert content(tmp_path / "x", data) is None


@given(st.binary(max_size=200), st.sampled_from([b"PK\x03\x04", b"\x80\x04", b"\x1f\x8b\x08", b"\x02\0\0\0\0\0\0\0{}"]))
def test_no_bytes_are_an_error(rest: bytes, first: bytes) -> None:
    """Whatever follows the first bytes of a format."""
    path = Path("/dev/shm" if os.path.isdir("/dev/shm") else "/tmp") / f"resweep-saved-{os.getpid()}"
    try:
        content(path, first + rest)
    finally:
        path.unlink(missing_ok=True)


def test_gzip_with_a_wrong_checksum_is_not_read(tmp_path: Path) -> None:
    """A file that is damaged means nothing."""
    data = bytearray(gzip.compress(b"weights" * 100))
    data[-6] ^= 1
    assert content(tmp_path / "x", bytes(data)) is None


@pytest.mark.slow
def test_what_torch_saves_is_compared_tensor_by_tensor(tmp_path: Path) -> None:
    """A path in a state, and the id that torch gives to a file, are no difference; a weight and a word are."""
    import torch

    def write(top: Path, number: int) -> None:
        torch.manual_seed(1)
        model = torch.nn.Linear(3, 2)
        trainer = {"best_model_filename": f"{top}/best.th", "lr": 0.1, "version": 1}
        state = {"trainer": trainer, "model": model.state_dict(), "version": 1, "byteorder": "little"}
        torch.save(state, top / "same.th")
        torch.save(model, top / "whole.pt")
        with torch.no_grad():
            model.bias[0] += number
        state["trainer"]["lr"] += number
        torch.save(state, top / "other.th")

    found = compared(tmp_path, write)
    assert (tmp_path / "first/same.th").read_bytes() != (tmp_path / "the second/same.th").read_bytes()
    assert [file.path for file in found.of("changed")] == ["other.th"]
    assert list(told(found, "other.th")) == ["model.bias", "trainer.lr"]
    assert told(found, "other.th")["trainer.lr"] == ("0.1", "1.1")
    assert [each.bulk for each in found.values["other.th"]] == [True, False]
    assert "same.th: .data/serialization_id" in found.skipped
