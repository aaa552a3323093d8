"""Write, read and check one capsule.

Code: generation/capsule, lock
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sklearn.model_selection  # noqa: F401  imported once: generating asks it in this process then
from hypothesis import given, settings
from hypothesis import strategies as st
from small_project import SWEEP, Project

from resweep import layout, lock
from resweep.errors import ConfigError, TrialError
from resweep.generation import capsule
from resweep.generation.snapshot import Snapshot, SourceFile
from resweep.launcher import training_environment
from resweep.layout import TrialName
from resweep.sweep.definition import TRIAL_KEYS

NAME = TrialName("abcdefghijkl", 3)
ONE_MORE = SWEEP.replace("[0.1, 0.2]", "[0.1, 0.2, 0.3]")

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
_offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_toml = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text()
    | st.dates()
    | st.times()
    | st.datetimes()
    | st.datetimes(timezones=_offsets),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None)
@given(_json)
def test_the_filled_json_is_that_of_the_standard_library(value: Any) -> None:
    """Our quicker writer gives the bytes that json.dumps gives, and they are read back as the same value."""
    text = layout.pretty(value)
    assert text == json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    assert json.loads(text) == value


@pytest.mark.slow
@settings(deadline=None)
@given(st.dictionaries(st.text().filter(lambda key: key not in TRIAL_KEYS), _toml, max_size=4))
def test_the_toml_is_read_back_as_the_configuration_and_its_header(config: dict[str, Any]) -> None:
    """Any configuration survives the writing, with the header of the tool's keys before it."""
    read = tomllib.loads(capsule.toml_bytes(config, "rnn", NAME).decode())
    header = {key: read.pop(key) for key in TRIAL_KEYS}
    assert layout.canonical(read) == layout.canonical(config)
    assert header == {
        "generated_id": "abcdefghijkl",
        "name": "rnn",
        "trial": 3,
        "conf_dir": ".",
        "conf_path": "abcdefghijkl.toml",
        "allennlp_conf": "abcdefghijkl.json",
        "serialization_dir": "../../../../../model/generated/rnn/abcdefghijkl/3",
    }


@pytest.mark.slow
@settings(deadline=None)
@given(st.dictionaries(st.text().filter(lambda key: key not in TRIAL_KEYS), _toml, max_size=4))
def test_the_toml_does_not_depend_on_the_order_of_keys(config: dict[str, Any]) -> None:
    """Two people who write the same keys in another order get the same bytes."""
    backwards = dict(reversed(config.items()))
    assert capsule.toml_bytes(config, "rnn", NAME) == capsule.toml_bytes(backwards, "rnn", NAME)


@pytest.mark.slow
@settings(deadline=None)
@given(st.dictionaries(st.text().filter(lambda key: key not in TRIAL_KEYS), _toml, max_size=4), st.text(min_size=1))
def test_an_attempts_toml_differs_in_its_paths_alone(
    tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any], folder: str
) -> None:
    """Whoever launches makes four paths absolute, whatever the configuration says and the directory is called."""
    folder = "/somewhere/" + folder.replace("/", "-").replace("\0", "-")
    home = tmp_path_factory.getbasetemp()
    (home / "abcdefghijkl.toml").write_bytes(capsule.toml_bytes(config, "rnn", NAME))
    text = training_environment.attempt_toml(str(home), "abcdefghijkl", f"{folder}/x.toml", f"{folder}/output")
    read = tomllib.loads(text)
    assert read.pop("conf_path") == f"{folder}/x.toml"
    assert read.pop("serialization_dir") == f"{folder}/output"
    assert read.pop("conf_dir") == str(home)
    assert read.pop("allennlp_conf") == f"{home}/abcdefghijkl.json"
    assert (read.pop("generated_id"), read.pop("name"), read.pop("trial")) == ("abcdefghijkl", "rnn", 3)
    assert layout.canonical(read) == layout.canonical(config)


def test_the_manifest_holds_the_digests_of_what_lies_beside_it(project: Project) -> None:
    """Every file of a capsule that is no provenance is in its manifest, and the manifest is in its own checksum."""
    project.generate("--set", "n_trials=2", "--set", "threads=4").ok()
    for folder in project.capsules():
        manifest = json.loads((folder / "manifest.json").read_text())
        listed = manifest["files"] | manifest["snapshot"]["files"]
        found = {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*")
            if path.is_file()
        }
        assert found.keys() - listed.keys() == {"manifest.json", "provenance.json", "environment.json"}
        assert listed.items() <= found.items()
        checksum = manifest.pop("checksum")
        assert checksum == layout.digest(manifest)
        assert manifest["format"] == 1
        assert manifest["id"] == folder.parent.name == layout.short_id(manifest["digest"])
        assert manifest["trial"] == manifest["seed"] == int(folder.name)
        assert manifest["threads"] == 4


def test_no_capsule_holds_a_path_a_host_or_a_time(project: Project) -> None:
    """Nothing that the tool put there tells where, on what machine or when it was written, provenance aside."""
    project.generate().ok()
    traces = re.compile(
        rb"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|"
        + b"|".join(
            re.escape(os.fsencode(path)) for path in (project.root, Path.home(), sys.prefix, tempfile.gettempdir())
        )
    )
    host = re.compile(rb'"' + re.escape(socket.gethostname().encode()) + rb'"')
    for folder in project.capsules():
        for path in folder.rglob("*"):
            if path.is_file() and path.name not in ("provenance.json", "environment.json"):
                assert not traces.search(path.read_bytes()), path
                assert not host.search(path.read_bytes()), path
        assert host.search((folder / "provenance.json").read_bytes())


def test_the_files_of_a_capsule_are_read_only_and_shared(project: Project) -> None:
    """Nobody is meant to edit them; what all trials have in common is stored once."""
    project.generate().ok()
    folders = project.capsules()
    for path in folders[0].rglob("*"):
        if path.is_file():
            executable = path.name in ("train.sh", "rerun.sh")
            assert path.stat().st_mode & 0o777 == (0o555 if executable else 0o444), path
    for name in ("qb/main.py", "qb/__init__.py", "train.sh", "rerun.sh", "provenance.json", "environment.json"):
        assert len({(folder / name).stat().st_ino for folder in folders}) == 1
        assert (folders[0] / name).stat().st_nlink == len(folders) + 1  # and the store's or the generation's own


@pytest.fixture
def other_disk(project: Project) -> Iterator[Path]:
    """A directory on another file system than the project's."""
    for home in ("/dev/shm", "/var/tmp", str(Path.home())):
        if os.access(home, os.W_OK) and os.stat(home).st_dev != os.stat(project.root).st_dev:
            folder = Path(tempfile.mkdtemp(dir=home))
            yield folder
            shutil.rmtree(folder)
            return
    pytest.skip("this machine has one file system")


@pytest.mark.slow
def test_copies_take_the_place_of_links_between_two_disks(project: Project, other_disk: Path) -> None:
    """Where a hard link cannot be made the capsule holds a read-only copy, and is otherwise the same."""
    (project.root / "config/generated").mkdir()
    (project.root / "config/generated/.snapshots").symlink_to(other_disk)
    project.generate().ok()
    (stored,) = other_disk.glob("*/files/qb/main.py")
    for folder in project.capsules():
        copy = folder / "qb/main.py"
        assert copy.stat().st_nlink == 1
        assert copy.stat().st_dev != stored.stat().st_dev
        assert copy.read_bytes() == stored.read_bytes()
        assert copy.stat().st_mode & 0o777 == 0o444
    assert "0 new trials, 4 kept" in project.generate().ok().out


@pytest.mark.slow
def test_a_file_with_as_many_links_as_the_disk_allows_is_copied_once(project_on_disk: Project) -> None:
    """ext4 stops at 65,000 links: a fresh copy takes the stored file's place and serves the next trials."""
    project = project_on_disk
    project.generate().ok()
    (stored,) = project.root.glob("config/generated/.snapshots/*/files/qb/main.py")
    links = project.root.parent / "links"
    links.mkdir()
    refusal = None
    for number in range(70_000):
        try:
            os.link(stored, links / str(number))
        except OSError as error:
            refusal = error.errno
            break
    full = stored.stat()
    if refusal != errno.EMLINK:
        shutil.rmtree(links)
        pytest.skip("this file system allows more than 70,000 links")
    project.write({"config/rnn.toml": ONE_MORE})
    result = project.generate()
    shutil.rmtree(links)
    assert "2 new trials, 4 kept" in result.ok().out
    inodes = [(folder / "qb/main.py").stat().st_ino for folder in project.capsules()]
    assert sorted(map(inodes.count, set(inodes))) == [2, 4]
    assert stored.stat().st_ino != full.st_ino
    assert stored.stat().st_nlink == 3
    assert stored.stat().st_mode == full.st_mode
    assert len({(folder / "qb/main.py").read_bytes() for folder in project.capsules()}) == 1


def test_a_capsule_that_is_another_trials_is_refused(project: Project) -> None:
    """Two digests may share twelve letters: nothing is overwritten, and the message says both."""
    project.generate().ok()
    folder = project.capsules()[0]
    manifest = json.loads((folder / "manifest.json").read_text())
    other = manifest["digest"][:16] + "0" * 48
    assert layout.short_id(other) == manifest["id"]
    for path in (folder / "manifest.json", project.paths().index):
        text = path.read_text()
        path.chmod(0o644)
        path.write_text(text.replace(manifest["digest"], other))
    before = project.tree()
    result = project.generate()
    assert result.status == 2
    assert result.err.startswith(f"resweep: {folder}: holds the trial {other}, expected {manifest['digest']}")
    assert result.err.count("\n") == 1
    assert project.tree() == before


def test_of_two_writers_of_one_capsule_the_first_counts(tmp_path: Path) -> None:
    """Whoever comes second finds it there and leaves it alone, and is refused when it is another trial."""
    (tmp_path / "train.sh").write_text("train")
    source = Snapshot((), "0" * 64, tmp_path)
    shared = capsule.Shared(source, tmp_path, {"train.sh": tmp_path / "train.sh"})

    def write(digest: str, text: bytes) -> None:
        with capsule.Writer(tmp_path / "home", shared) as writer:
            writer.write(capsule.Content(NAME, digest, text, b"{}", 0, 1))
            writer.commit()

    write("a" * 64, b"first")
    write("a" * 64, b"second")
    toml = tmp_path / "home" / NAME.id / "3" / f"{NAME.id}.toml"
    assert toml.read_bytes() == b"first"
    with pytest.raises(TrialError, match="nothing was overwritten"):
        write("b" * 64, b"third")
    assert toml.read_bytes() == b"first"
    assert [path.name for path in (tmp_path / "home").iterdir()] == [NAME.id]


@pytest.mark.parametrize("damage", ["", "[]", '{"format": 2}', "{"])
def test_a_capsule_without_a_readable_manifest_is_refused(project: Project, damage: str) -> None:
    """A directory in the place of a capsule that is none, or of a later format, is named and left alone."""
    project.generate().ok()
    path = project.capsules()[0] / "manifest.json"
    path.chmod(0o644)
    path.write_text(damage)
    project.paths().index.unlink()
    before = project.tree()
    result = project.generate()
    assert result.status == 2
    assert result.err.startswith(f"resweep: {path.parent}: ")
    assert result.err.count("\n") == 1
    assert project.tree() == before


# --- names and digests: what ids are made of -------------------------------------------------------------------------


def test_the_text_that_is_hashed_is_the_same_wherever_it_is_written() -> None:
    """Sorted keys, no spaces, nothing escaped, 1 and 1.0 apart, and TOML's dates as what they are: a contract."""
    value = {"ü": [1, 1.0, True, None], "a": {"z": date(2020, 2, 29), "y": time(1, 2), "x": "größe"}}
    value["b"] = {"t": datetime(2020, 2, 29, 1, 2, 3, tzinfo=UTC)}
    assert layout.canonical(value) == (
        '{"a":{"x":"größe","y":{"$toml":"time 01:02:00"},"z":{"$toml":"date 2020-02-29"}},'
        '"b":{"t":{"$toml":"datetime 2020-02-29T01:02:03+00:00"}},"ü":[1,1.0,true,null]}'
    )
    assert layout.digest(value) == hashlib.sha256(layout.canonical(value).encode()).hexdigest()
    assert layout.digest({"ü": "é"}) == "fbb071c9b15e6c310aaf49a21ca407805f69d1e005ca3ba0540751f8c19948bb"
    assert layout.short_id("ff" * 32) == "7" * 12


@pytest.mark.parametrize("value", [{1, 2}, b"x", object()])
def test_what_toml_cannot_hold_is_not_hashed(value: object) -> None:
    """Nothing gets an id by a text that happens to describe it."""
    with pytest.raises(TypeError, match="no value of TOML"):
        layout.digest({"a": value})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_filled_number_that_json_has_not_is_refused(value: float) -> None:
    """A capsule's JSON is read by other programs, which know no NaN."""
    for nested in (value, [1.5, value], {"a": {"b": value}}):
        with pytest.raises(ValueError, match="JSON"):
            layout.pretty(nested)


def test_values_are_shown_as_people_write_them() -> None:
    """Beside an id stands JSON whose characters are not escaped, and a date as TOML has it."""
    assert layout.jsonnable({"größe": [1, 1.0, date(2020, 2, 29)]}) == '{"größe": [1, 1.0, "2020-02-29"]}'


def test_a_seal_tells_a_table_that_was_changed() -> None:
    """The checksum is that of all the rest: True as it was sealed, False after a change, None where there was none."""
    table = {"a": 1, "b": [1, 2]}
    sealed = layout.sealed(table)
    assert sealed == {**table, "checksum": layout.digest(table)}
    assert layout.check_seal(sealed) is True
    assert layout.check_seal(sealed | {"a": 2}) is False
    assert layout.check_seal({key: sealed[key] for key in ("a", "checksum")}) is False
    assert layout.check_seal(table) is None


@pytest.mark.parametrize("name", ["a", "_", "9.b+c-d", "x" * 100])
def test_a_plain_word_names_a_sweep(name: str) -> None:
    """Up to 100 characters, and no more, which every file system takes with what is added to it."""
    assert layout.check_name(name) == name
    with pytest.raises(ConfigError, match="at most 100"):
        layout.check_name(name + "x" * 100)


def test_a_label_is_a_plain_word_too() -> None:
    """It may be as long as a sweep's name, and its directory's name says it with the number of the time."""
    assert layout.check_label("x" * 100) == "x" * 100
    for label in ("x" * 101, "", "a.b", "a b"):
        with pytest.raises(ConfigError, match="--as: found"):
            layout.check_label(label)
    assert layout.exec_name("with-beam_4", 12) == "exec-with-beam_4-12"
    assert layout.read_exec_name("exec-with-beam_4-12") == ("with-beam_4", 12)
    assert [layout.read_exec_name(name) for name in ("1", "exec-a-0", "exec-a", "exec-a-1.part")] == [None] * 4


def test_trials_are_in_the_order_of_their_names() -> None:
    """By id, then by the number of the repeat, not by its text."""
    names = [TrialName("b", 1), TrialName("a", 10), TrialName("a", 9)]
    assert list(map(str, sorted(names))) == ["a/9", "a/10", "b/1"]


# --- the writer ------------------------------------------------------------------------------------------------------


@pytest.fixture
def shared(tmp_path: Path) -> capsule.Shared:
    """What the capsules of a generation share: a source with a folder in a folder, train.sh and provenance."""
    tree = tmp_path / "tree"
    for name in ("qb/deep/a.py", "b.py", "train.sh", "provenance.json"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    files = tuple(SourceFile(name, "0" * 64, 1, False) for name in ("b.py", "qb/deep/a.py"))
    source = Snapshot(files, "0" * 64, tree)
    return capsule.Shared(source, tree, {name: tree / name for name in ("train.sh", "provenance.json")})


def content(name: TrialName = NAME) -> capsule.Content:
    """What one trial has of its own."""
    return capsule.Content(name, "a" * 64, b"toml", b"{}", 5, 2)


def test_capsules_appear_together_or_not_at_all(tmp_path: Path, shared: capsule.Shared) -> None:
    """Until they are committed nothing stands in its place, and what is never committed leaves nothing."""
    home = tmp_path / "new" / "home"
    names = [TrialName("a" * 12, number) for number in (0, 1)]
    with capsule.Writer(home, shared) as writer:
        for name in names:
            writer.write(content(name))
        assert [path.name.startswith(".new-") for path in home.iterdir()] == [True]
    assert list(home.iterdir()) == []
    with capsule.Writer(home, shared) as writer:
        for name in names:
            writer.write(content(name))
        writer.commit(last=False)
    own = [f"{names[0].id}.toml", f"{names[0].id}.json", "manifest.json"]
    files = sorted([*own, "train.sh", "provenance.json", "b.py", "qb/deep/a.py"])
    for name in names:
        folder = home / str(name)
        assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == files


def test_the_manifest_lists_what_is_no_provenance(tmp_path: Path, shared: capsule.Shared) -> None:
    """Digests of the trial's own files and of train.sh; where it came from is nobody's part of it."""
    with capsule.Writer(tmp_path / "home", shared) as writer:
        writer.write(content())
        writer.commit()
    manifest = capsule.read_manifest(tmp_path / "home" / NAME.id / "3")
    assert layout.check_seal(manifest)
    assert manifest["files"] == {
        f"{NAME.id}.toml": hashlib.sha256(b"toml").hexdigest(),
        f"{NAME.id}.json": hashlib.sha256(b"{}").hexdigest(),
        "train.sh": hashlib.sha256(b"train.sh").hexdigest(),
    }
    assert (manifest["seed"], manifest["threads"], manifest["trial"]) == (5, 2, 3)


def test_a_source_that_is_gone_while_capsules_are_written_is_an_error(tmp_path: Path, shared: capsule.Shared) -> None:
    """Only where a disk has no more links does a copy do; anything else is told, and leaves nothing."""
    (shared.source / "b.py").unlink()
    with capsule.Writer(tmp_path / "home", shared) as writer, pytest.raises(FileNotFoundError):
        writer.write(content())
    assert list((tmp_path / "home").iterdir()) == []


def test_a_file_in_the_place_of_a_capsule_is_not_replaced(tmp_path: Path, shared: capsule.Shared) -> None:
    """What is no directory is no trial that was there first."""
    (tmp_path / "home" / NAME.id).mkdir(parents=True)
    (tmp_path / "home" / NAME.id / "3").write_text("mine")
    with capsule.Writer(tmp_path / "home", shared) as writer:
        writer.write(content())
        with pytest.raises(NotADirectoryError):
            writer.commit()
    assert (tmp_path / "home" / NAME.id / "3").read_text() == "mine"


def test_leftovers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    """Directories and files under the writer's temporary names; capsules and hidden files stay."""
    for name in (".new-a/0/x", ".new-b", "abc/0/x", ".lock", "new-c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    lock.remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "abc", "new-c"]


def test_a_disk_that_cannot_be_flushed_is_told(tmp_path: Path) -> None:
    """A folder that is not there has no disk to flush; one that is there is flushed without a word."""
    capsule.flush(tmp_path)
    with pytest.raises(FileNotFoundError):
        capsule.flush(tmp_path / "none")
