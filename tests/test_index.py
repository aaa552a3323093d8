"""The list of trials, and how people name one.

Code: index
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resweep import index
from resweep.errors import TrialError
from resweep.index import Entry
from resweep.trial import SweepPaths


def entry(id_: str, trial: int = 0, number: int = 0, **swept: Any) -> Entry:
    """A trial of the sweep."""
    return Entry(number, id_, trial, "d" * 64, "p", "s", swept, 1)


def written(root: Path, name: str, *entries: Entry) -> SweepPaths:
    """A sweep whose index lists `entries`, numbered from 1."""
    paths = SweepPaths(root, name)
    paths.directory.mkdir(parents=True, exist_ok=True)
    paths.index.write_text(index.updated(index.Index(name), 1, list(entries)).text(), "utf-8")
    return paths


def test_a_trial_keeps_its_number_for_good() -> None:
    """One that is taken out stays as an orphan, new ones get the next numbers, and one that comes back has its own."""
    first = index.updated(index.Index("rnn"), 1, [entry("aa"), entry("bb"), entry("cc")])
    second = index.updated(first, 2, [entry("cc"), entry("dd"), entry("aa")])
    third = index.updated(second, 3, [entry("bb"), entry("aa")])
    numbers = {each.id: each.number for each in third.entries}
    assert numbers == {"aa": 1, "bb": 2, "cc": 3, "dd": 4}
    assert [each.id for each in second.current()] == ["aa", "cc", "dd"]
    assert [each.id for each in third.current()] == ["aa", "bb"]
    assert {each.id: each.generation for each in third.entries} == {"aa": 1, "bb": 1, "cc": 1, "dd": 2}


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text()), max_size=3))
def test_any_swept_value_is_read_back(tmp_path_factory: pytest.TempPathFactory, swept: dict[str, Any]) -> None:
    """Whatever characters a value has, line breaks of Unicode among them, the list is one line a trial."""
    paths = written(tmp_path_factory.getbasetemp(), "any", entry("aa"), Entry(0, "b", 0, "d", "p", "s", swept, 1))
    read = index.read(paths)
    assert [each.swept for each in read.entries] == [{}, swept]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with two sweeps."""
    written(tmp_path, "rnn", entry("aabb"), entry("aabb", 1), entry("aaccdd"), entry("2ddddd", 0), entry("2dddee"))
    written(tmp_path, "dan", entry("ffffff"), entry("aabb"))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "sweep", "found"),
    [
        ("rnn", "rnn", [1, 2, 3, 4, 5]),
        ("rnn#2", "rnn", [2]),
        ("aaccdd", "rnn", [3]),
        ("aaccd", "rnn", [3]),
        ("ffff", "dan", [1]),
        ("ffffff/0", "dan", [1]),
        ("config/generated/rnn/aabb", "rnn", [1, 2]),
        ("config/generated/rnn/aabb/1", "rnn", [2]),
        ("config/generated/dan/aabb/0", "dan", [2]),
        ("rnn/aabb/1/", "rnn", [2]),
        ("/elsewhere/config/generated/rnn/aaccdd/0", "rnn", [3]),
        ("2dddd", "rnn", [4]),
    ],
)
def test_a_trial_is_named_by_number_id_prefix_or_path(root: Path, text: str, sweep: str, found: list[int]) -> None:
    """Every way of naming trials finds the same ones."""
    paths, entries = index.find(root, text)
    assert (paths.name, [each.number for each in entries]) == (sweep, found)


def test_a_repeats_number_is_not_taken_for_the_beginning_of_an_id(tmp_path: Path) -> None:
    """Ids may begin with a digit, and `aabb/2` means the repeat 2 of aabb all the same."""
    written(tmp_path, "rnn", *(entry("aabb", number) for number in range(3)), entry("2ddd"))
    assert [each.number for each in index.find(tmp_path, "aabb/2")[1]] == [3]


@pytest.mark.parametrize("text", ["", "none", "aab", "rnn#9", "rnn#", "none#1", "aabb/7", "..", "/", "rnn#1#2"])
def test_a_trial_that_is_not_there_is_named(root: Path, text: str) -> None:
    """The message repeats what was asked for."""
    with pytest.raises(TrialError) as caught:
        index.find(root, text)
    assert str(caught.value).startswith(text.partition("#")[0])


def test_a_prefix_of_two_ids_is_refused(root: Path) -> None:
    """What could be two trials is neither, and the message shows some."""
    with pytest.raises(TrialError, match=r"could be any of 2 \(2ddddd, 2dddee.*expected more letters"):
        index.find(root, "2ddd")


def test_the_sweeps_of_a_project_are_those_with_a_list(root: Path) -> None:
    """A directory without an index, and hidden ones, are no sweep."""
    (root / "config/generated/none").mkdir()
    written(root, ".snapshots")
    assert [paths.name for paths in index.sweeps(root)] == ["dan", "rnn"]


@pytest.mark.parametrize("text", ["", "x\n", "{}\n", '{"format": 1}\n{"number": 1}\n', '{"format": 9}\n', "[]\n"])
def test_a_list_that_cannot_be_read_is_named(root: Path, text: str) -> None:
    """A damaged list, or one of a later format, is a mistake that names the file."""
    paths = SweepPaths(root, "rnn")
    paths.index.write_text(text)
    with pytest.raises(TrialError) as caught:
        index.read(paths)
    assert str(caught.value).startswith(str(paths.index))


def test_a_line_holds_what_people_and_programs_look_for(root: Path) -> None:
    """The header names the format and the sweep; a trial's line its number, id, digests and swept values."""
    header, first, *_ = map(json.loads, SweepPaths(root, "rnn").index.read_text().splitlines())
    assert header == {"format": 1, "sweep": "rnn", "generation": 1}
    assert first.keys() == {"number", "id", "trial", "digest", "point", "source", "swept", "generation"}
