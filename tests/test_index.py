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
from resweep.layout import SweepPaths


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
    paths = written(tmp_path_factory.mktemp("any"), "any", entry("aa"), Entry(0, "b", 0, "d", "p", "s", swept, 1))
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


@pytest.mark.parametrize("text", ["", "none", "aab", "2222", "rnn#9", "rnn#", "none#1", "aabb/7", "..", "/", "rnn#1#2"])
def test_a_trial_that_is_not_there_is_named(root: Path, text: str) -> None:
    """The message repeats what was asked for."""
    with pytest.raises(TrialError) as caught:
        index.find(root, text)
    assert str(caught.value).startswith(text.partition("#")[0])


@pytest.mark.parametrize("text", ["none#1", "#1"])
def test_a_sweep_that_is_not_there_is_told_from_a_number(root: Path, text: str, tmp_path_factory: Any) -> None:
    """The message names the sweeps that there are, or says that there is none."""
    with pytest.raises(TrialError, match=r"found no such sweep in .*, expected one of: dan, rnn$"):
        index.find(root, text)
    with pytest.raises(TrialError, match=r"found no such sweep in .*, expected one of: none yet$"):
        index.find(tmp_path_factory.mktemp("empty"), text)


def test_a_prefix_of_two_ids_is_refused(root: Path) -> None:
    """What could be two trials is neither, and the message shows some."""
    with pytest.raises(TrialError, match=r"could be any of 2 \(2ddddd, 2dddee.*expected more letters"):
        index.find(root, "2ddd")


def test_the_sweeps_of_a_project_are_those_with_a_list(root: Path) -> None:
    """A directory without an index, and hidden ones, are no sweep."""
    (root / "config/generated/none").mkdir()
    written(root, ".snapshots")
    assert [paths.name for paths in index.sweeps(root)] == ["dan", "rnn"]


LATER = '{"format": 9, "sweep": "rnn", "generation": 1}\n'


@pytest.mark.parametrize("text", ["", "x\n", "{}\n", '{"format": 1}\n{"number": 1}\n', LATER, "[]\n"])
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


def test_a_list_whose_last_line_is_torn_is_read_without_it(root: Path) -> None:
    """A worker of a search adds a line at a time: what it has not written to its end is not there yet."""
    paths = SweepPaths(root, "dan")
    whole = paths.index.read_text()
    paths.index.write_text(whole[:-1])
    assert [each.number for each in index.read(paths).entries] == [1]
    paths.index.write_text(whole + '{"number": 3, "id')
    assert [each.number for each in index.read(paths).entries] == [1, 2]
    paths.index.write_text(whole.splitlines()[0] + '\n{"number": 1, "id')
    assert index.read(paths) == index.Index("dan", 1)
    paths.index.write_text(whole.splitlines()[0])  # the header alone has no line to lose
    assert index.read(paths) == index.Index("dan", 1)


def test_empty_lines_that_an_editor_left_are_no_trials(root: Path) -> None:
    """A list that somebody has opened and saved is still that list."""
    path = SweepPaths(root, "rnn").index
    before = index.read(SweepPaths(root, "rnn"))
    path.write_text(path.read_text("utf-8") + "\n\n", "utf-8")
    assert index.read(SweepPaths(root, "rnn")) == before


def test_a_sweep_without_a_list_has_no_trial_and_no_generation(root: Path) -> None:
    """Before the first generation there is nothing, and that is no mistake."""
    paths = SweepPaths(root, "new")
    assert index.read(paths) == index.Index("new", generation=0, entries=(), last=0)
    assert index.generation(paths) == 0
    assert index.generation(SweepPaths(root, "rnn")) == 1


def test_the_number_of_a_removed_trial_is_not_given_again(tmp_path: Path) -> None:
    """The list says the highest number that there was where the trial that had it is gone, and only there."""
    paths = written(tmp_path, "rnn", entry("aa"), entry("bb"), entry("cc"))
    assert "last" not in json.loads(paths.index.read_text().splitlines()[0])
    assert index.read(paths).text() == paths.index.read_text()
    left = index.without(index.read(paths), {entry("cc").name, entry("aa").name})
    paths.index.write_text(left.text())
    read = index.read(paths)
    assert json.loads(paths.index.read_text().splitlines()[0])["last"] == read.last == 3
    assert [each.id for each in read.entries] == ["bb"]
    again = index.updated(read, 2, [entry("cc"), entry("bb"), entry("dd")])
    assert {each.id: each.number for each in again.entries} == {"bb": 2, "cc": 4, "dd": 5}
    assert index.updated(index.without(left, {entry("bb").name}), 3, [entry("bb")]).entries[0].number == 4


def test_orphans_are_written_down_as_such_and_current_trials_are_not(root: Path) -> None:
    """A line without `current` is of a trial of the sweep, as in every list that there is."""
    old = index.read(SweepPaths(root, "dan"))
    lines = index.updated(old, 2, [entry("aabb")]).text().splitlines()
    assert [json.loads(text).get("current") for text in lines[1:]] == [False, None]


def test_values_stand_in_the_list_as_people_write_them(tmp_path: Path) -> None:
    """The list is UTF-8, in which a value can be searched for."""
    assert (
        '"params.name": "größe"' in written(tmp_path, "rnn", entry("aa", **{"params.name": "größe"})).index.read_text()
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("rnn#2-3", [2, 3]),
        ("rnn#2-4", [2, 3]),  # 4 and 5 are orphans, which a range leaves out
        ("rnn#4", [4]),
        ("rnn#3,1-2,2", [3, 1, 2]),
        ("rnn", [1, 2, 3]),
        ("aaccdd", [3]),
        ("2dddd", [4]),
        ("rnn/aabb/1", [2]),
    ],
)
def test_ranges_leave_orphans_out_and_an_archive_is_asked_in_the_same_words(
    root: Path, text: str, found: list[int]
) -> None:
    """`find` looks for trials in a project, `among` in one sweep that may lie elsewhere: the same words do the same."""
    paths = SweepPaths(root, "rnn")
    old = index.read(paths)
    paths.index.write_text(index.updated(old, 2, list(old.entries[:3])).text())
    (root / "config/generated/dan/index.jsonl").unlink()
    assert [each.number for each in index.find(root, text)[1]] == found
    assert [each.number for each in index.among(paths, index.read(paths), text)] == found


@pytest.mark.parametrize("text", ["rnn#x", "rnn#1-", "rnn#-1", "rnn#1-x", "rnn#1,", "rnn#6", "rnn#6-9", "dan", "dan#1"])
def test_what_names_no_trial_of_one_sweep_is_refused(root: Path, text: str) -> None:
    """Where there is one sweep, another's name, or a number that is none, names nothing."""
    paths = SweepPaths(root, "rnn")
    with pytest.raises(TrialError) as caught:
        index.among(paths, index.read(paths), text)
    assert str(caught.value).startswith(text + ":")


def test_a_short_list_of_ids_is_shown_where_many_fit(tmp_path: Path) -> None:
    """Of many ids that begin alike the message shows four."""
    written(tmp_path, "rnn", *(entry(f"aaaa{letter}") for letter in "bcdefg"))
    with pytest.raises(TrialError, match=r"could be any of 6 \(aaaab, aaaac, aaaad, aaaae\.\.\.\)"):
        index.find(tmp_path, "aaaa")


def test_an_id_of_two_sweeps_is_that_of_the_sweep_in_the_path(root: Path) -> None:
    """Two sweeps may share a trial; one name of several means trials of one sweep only."""
    for name in ("rnn", "dan"):
        paths, found = index.find(root, f"config/generated/{name}/aabb")
        assert (paths.name, {each.id for each in found}) == (name, {"aabb"})
    paths, found = index.find(root, "aabb")
    assert (paths.name, [each.number for each in found]) == ("dan", [2])


def test_a_point_is_described_by_its_values_or_by_some_of_them() -> None:
    """What stands beside an id: every swept value, or those that were asked for, as JSON and not escaped."""
    trial = entry("aa", **{"params.lr": 0.1, "params.name": "größe", "params.on": True})
    assert trial.described() == 'params.lr=0.1 params.name="größe" params.on=true'
    assert trial.described({"params.lr", "params.other"}) == "params.lr=0.1"
    assert trial.described(()) == ""


def test_what_varies_is_what_tells_trials_apart() -> None:
    """A key with two values does, or one that only some trials have; 1 is not 1.0; what all share tells nothing."""
    one = entry("aa", a=1, b=1, c=1, d=[1])
    two = entry("bb", a=2, b=1, c=1.0, d=[1], e=5)
    assert index.varying([one, two]) == ["a", "c", "e"]
    assert index.varying([one]) == []
    assert index.varying(iter([one, one, two])) == ["a", "c", "e"]
