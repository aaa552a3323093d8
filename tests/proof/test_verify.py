"""`resweep verify`: whatever is not as it was written is named.

Code: proof/verify, proof/capsule_check, cli/verify
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from launched import Trial
from small_project import SWEEP, Project

from resweep import index, layout
from resweep.errors import TrialError
from resweep.generation import snapshot
from resweep.proof import verify
from resweep.proof.verify import Cache

same_project = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def flip(path: Path, position: int = 0, bits: int = 1) -> None:
    """Change one byte of a file where it is, for all its hard links."""
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= bits
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(mode)


def named(folder: Path) -> set[tuple[str, str]]:
    """What verifying one capsule names: path and kind."""
    return {(each.path, each.kind) for each in verify.capsule(folder, Cache())}


def reseal(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest, and give it the checksum of what it says now."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["checksum"]
    change(manifest)
    path.unlink()
    path.write_text(layout.pretty(layout.sealed(manifest)) + "\n")


def test_what_was_just_generated_is_as_it_was_written(project: Project) -> None:
    """A whole sweep, a trial of it and a copy of a capsule are sound, with repeats and after training."""
    project.generate("--set", "n_trials=2", "--set", "threads=3", "--set", "seed=5").ok()
    project.resweep("run", "rnn#1-2").ok()
    result = project.resweep("verify", "rnn").ok()
    assert (result.out, result.err) == ("rnn: 8 trials, every byte as it was written\n", "")
    assert project.resweep("verify", "rnn#2", "rnn#3").ok().out.startswith("rnn: 2 trials")
    shutil.copytree(project.capsules()[0], project.root / "copy")
    assert project.resweep("verify", "copy").ok().out == "copy: 1 trial, every byte as it was written\n"


@pytest.mark.slow
@same_project
@given(st.data())
def test_a_changed_byte_anywhere_in_a_capsule_is_named(swept: Project, data: st.DataObject) -> None:
    """Whichever byte of whichever file changes, it is named, and no other one, if the manifest is whole."""
    folder = data.draw(st.sampled_from(swept.capsules()))
    path = data.draw(st.sampled_from([p for p in sorted(folder.rglob("*")) if p.is_file() and p.stat().st_size]))
    before = path.read_bytes()
    flip(path, data.draw(st.integers(0, len(before) - 1)), data.draw(st.integers(1, 255)))
    found = named(folder)
    name = path.relative_to(folder).as_posix()
    assert (name, "changed") in found
    # these list others, which are then held against what they say
    assert len(found) == 1 or name in ("manifest.json", "provenance.json")
    path.chmod(0o644)
    path.write_bytes(before)
    path.chmod(0o444)


def test_a_flipped_bit_of_a_shared_file_is_one_line_that_names_every_trial(project: Project) -> None:
    """Hard links of one file are one line, with the trials that share it and the stored source."""
    project.generate().ok()
    flip(project.capsules()[0] / "qb" / "main.py", 100)
    result = project.resweep("verify", "rnn")
    assert result.status == 1
    (line,) = result.out.splitlines()
    assert "qb/main.py: changed; one file that 4 trials (rnn#1-4) and .snapshots/" in line
    assert result.err.splitlines()[-1] == "rnn: 1 difference in 5 places; 4 trials read"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda folder: (folder / "train.sh").unlink(), ("train.sh", "missing")),
        (lambda folder: (folder / "provenance.json").unlink(), ("provenance.json", "missing")),
        (lambda folder: (folder / "manifest.json").unlink(), ("manifest.json", "missing")),
        (lambda folder: (folder / "qb" / "main.py").chmod(0o555), ("qb/main.py", "changed")),
        (lambda folder: (folder / "qb" / "extra.py").touch(), ("qb/extra.py", "added")),
        (lambda folder: (folder / "qb" / "__pycache__").mkdir(), ("qb/__pycache__", "added")),
        (lambda folder: (folder / "link").symlink_to("/etc"), ("link", "added")),
        (lambda folder: os.mkfifo(folder / "pipe"), ("pipe", "added")),
        (lambda folder: ((folder / "train.sh").unlink(), (folder / "train.sh").mkdir()), ("train.sh", "changed")),
        (
            lambda folder: (
                (folder / "train.sh").rename(folder.parent / "t"),
                (folder / "train.sh").symlink_to("../t"),
            ),
            ("train.sh", "changed"),
        ),
    ],
)
def test_what_is_missing_added_or_of_another_kind_is_named(
    swept: Project, change: Callable[[Path], object], expected: tuple[str, str]
) -> None:
    """Files, directories, links, pipes and modes: each is one difference, and the exit status is 1."""
    folder = swept.capsules()[0]
    change(folder)
    assert named(folder) == {expected}
    assert swept.resweep("verify", "rnn").status == 1


@pytest.mark.parametrize("name", ["environment.json", "fingerprints.json"])
def test_what_the_provenance_names_is_held_against_it(swept: Project, name: str) -> None:
    """The environment and the data's fingerprints: missing, changed or there although none was written."""
    swept.write({"config/rnn.toml": SWEEP + '\n[data]\nfiles = ["pyproject.toml"]\n'})
    swept.generate(name="fed").ok()
    swept.resweep("verify", "fed").ok()
    first, second, third, fourth = swept.capsules("fed")
    assert named(first) == set()
    flip(first / name, 40)
    assert {(name, "changed")} == named(first) == named(second)
    assert f"{name}: changed; one file that 4 trials (fed#1-4)" in swept.resweep("verify", "fed").out
    (first / name).unlink()
    assert named(first) == {(name, "missing")}
    (first / name).mkdir()
    assert (name, "changed") in named(first)
    data = (second / name).read_bytes()
    for each in (third, fourth):
        (each / name).unlink()
    (third / name).symlink_to(second / name)
    assert named(third) == {(name, "changed")}
    (fourth / name).write_bytes(bytes([data[0], *data[1:40], data[40] ^ 1, *data[41:]]))
    assert named(fourth) == set()
    without = swept.capsules("rnn")[0]
    if name == "fingerprints.json":
        (without / name).touch()
        assert named(without) == {(name, "added")}


def test_stored_environments_are_held_against_their_names(project: Project) -> None:
    """A changed one and a stranger among them are named; one that is gone is not needed."""
    project.generate().ok()
    (stored,) = project.paths().environments.iterdir()
    (project.paths().environments / "notes.txt").touch()
    flip(stored, 100)
    result = project.resweep("verify", "rnn")
    assert "environment.json: changed; one file that 4 trials (rnn#1-4) and .environments" in result.out
    assert ".environments: notes.txt: added" in result.out
    flip(stored, 100)
    stored.unlink()
    (project.paths().environments / "notes.txt").unlink()
    project.resweep("verify", "rnn").ok()


def test_the_fingerprints_of_a_generation_are_checked(swept: Project) -> None:
    """They are what the launcher checks the data against."""
    swept.write({"config/rnn.toml": SWEEP + '\n[data]\nfiles = ["pyproject.toml"]\n'})
    swept.generate(name="fed").ok()
    path = swept.paths("fed").generations / "1" / "fingerprints.json"
    flip(path, 20)
    assert (
        "fingerprints.json: changed; one file that 4 trials (fed#1-4) and fed/generations/1"
        in swept.resweep("verify", "fed").out
    )
    path.unlink()
    assert "fed/generations/1: fingerprints.json: missing" in swept.resweep("verify", "fed").out


def test_every_file_of_a_capsule_is_named_when_its_last_byte_changes(swept: Project) -> None:
    """No file of a capsule is without a digest that somebody holds it against."""
    swept.write({"config/rnn.toml": SWEEP + '\n[data]\nfiles = ["pyproject.toml"]\n'})
    swept.generate(name="fed").ok()
    folder = swept.capsules("fed")[0]
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size]
    assert {"environment.json", "fingerprints.json", "provenance.json", "rerun.sh"} <= {path.name for path in files}
    for path in files:
        flip(path, -1)
        assert (path.relative_to(folder).as_posix(), "changed") in named(folder)
        flip(path, -1)


def test_a_missing_directory_is_each_of_its_files(swept: Project) -> None:
    """Every file that has gone is a line of its own."""
    shutil.rmtree(swept.capsules()[0] / "qb")
    assert named(swept.capsules()[0]) == {("qb/__init__.py", "missing"), ("qb/main.py", "missing")}


def test_files_are_named_also_beside_a_broken_manifest(swept: Project) -> None:
    """When the manifest has changed too, other changed files are named by what it says."""
    trial_ = Trial(swept)
    trial_.damage("train.sh", "exit 1\n")
    text = (trial_.capsule / "manifest.json").read_text()
    trial_.damage("manifest.json", text.replace('"threads": 1', '"threads": 2'))
    found = {each.path: each.detail for each in verify.capsule(trial_.capsule, Cache())}
    assert found.keys() == {"manifest.json", "train.sh"}
    assert found["train.sh"] == "by a manifest.json that changed"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [(".toml", "0.3", "0.7"), (".json", "0.3", "0.7"), ("train.sh", "cd", "cd "), ("qb/main.py", "trains", "strains")],
)
def test_a_capsule_that_was_forged_with_its_manifest_does_not_give_its_digest(
    swept: Project, name: str, old: str, new: str
) -> None:
    """A manifest that was made to fit a changed file is told by the digest, which the id abbreviates."""
    mine = Trial(swept)
    name = mine.name.id + name if name.startswith(".") else name
    text = (mine.capsule / name).read_text()
    assert old in text
    mine.damage(name, text.replace(old, new))

    def fit(manifest: dict[str, Any]) -> None:
        files = manifest["files"] if name in manifest["files"] else manifest["snapshot"]["files"]
        files[name] = verify.hash_file(str(mine.capsule / name))
        source = manifest["snapshot"]
        source["digest"] = snapshot.listed_digest(source["files"], source["executable"])

    reseal(mine.capsule, fit)
    (found,) = verify.capsule(mine.capsule, Cache())
    assert found.path == "manifest.json"
    assert "its digest is not what configuration, template, source, train.sh and threads give" in found.detail


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.update(threads=2), "threads is 2, expected 1"),
        (lambda m: m.update(seed=7), "seed is 7, expected 0"),
        (lambda m: m.update(trial=1), "is that of the trial"),
        (lambda m: m.update(digest="0" * 64), "which its digest abbreviates"),
        (lambda m: m.update(digest="nonsense"), "expected no sha256"),
        (lambda m: m["snapshot"].update(digest="0" * 64), "the digest of the source is not that of its list"),
        (lambda m: m["files"].pop("train.sh"), "lists no train.sh"),
        (lambda m: m.update(format=2), "format 2, expected 1"),
        (lambda m: m.pop("files"), "holds no manifest"),
        (lambda m: m["snapshot"].update(files={"qb": 1}), "holds no manifest"),
        (lambda m: m["snapshot"].update(executable=1), "holds no manifest"),
    ],
)
def test_a_manifest_that_says_something_else_is_named(
    swept: Project, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    """Each value of a manifest is held against the capsule, whatever its checksum says."""
    folder = swept.capsules()[0]
    reseal(folder, change)
    assert says in " ".join(each.detail for each in verify.capsule(folder, Cache()) if each.path == "manifest.json")


def rewrite(path: Path, text: str | bytes) -> None:
    """Put another text in place of a read-only file, for this one of its hard links."""
    path.unlink()
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace('  "threads"', '   "threads"'), "checksum"),
        (lambda text: text.rstrip("\n"), "checksum"),
        (lambda text: text + "\n", "checksum"),
        (lambda text: text.replace('"trial": 0', '"trial": 0,\n  "trial": 0'), "checksum"),
        (lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "checksum"}), "checksum"),
        (lambda text: text.replace('"checksum": "', '"checksum": "0'), "checksum"),
        (lambda text: text.replace('"trial": 0', '"trial": 0, "x": NaN'), "checksum"),
        (lambda text: text.replace('"trial": 0', f'"trial": 0, "x": {"[" * 600}{"]" * 600}'), "checksum"),
        (lambda _: "nonsense", "cannot be read as JSON"),
        (lambda _: b"\xff\xfe\xfd", "cannot be read as JSON"),
        (lambda _: "[" * 100_000, "cannot be read as JSON"),
        (lambda _: "9" * 5000, "cannot be read as JSON"),
        (lambda _: "[]", "holds no manifest"),
        (lambda _: "null", "holds no manifest"),
        (lambda _: "{}", "holds no manifest"),
        (lambda text: text.replace('"format": 1', '"format": "1"'), "format '1', expected 1"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "format 2, expected 1"),
        (lambda text: text.replace('"threads": 1', '"threads": "1"'), "holds no manifest"),
        (lambda text: text.replace('"trial": 0', '"trial": null'), "holds no manifest"),
        (lambda text: text.replace('"seed": 0', '"seed": 0.0'), "holds no manifest"),
        (lambda text: text.replace('"id": "', '"id": 1, "x": "'), "holds no manifest"),
        (lambda text: text.replace('"digest": "', '"digest": 1, "x": "'), "holds no manifest"),
        (lambda text: text.replace('"files": {', '"files": [], "x": {'), "holds no manifest"),
        (lambda text: text.replace('"train.sh": "', '"train.sh": 1, "x": "'), "holds no manifest"),
        (lambda text: text.replace('"snapshot": {', '"snapshot": "", "x": {'), "holds no manifest"),
    ],
)
def test_a_manifest_is_what_was_written_to_the_byte(
    swept: Project, change: Callable[[str], str | bytes], says: str
) -> None:
    """Other spaces, a key twice, another type and what is no manifest at all: one difference, which says what it is."""
    folder = swept.capsules()[0]
    rewrite(folder / "manifest.json", change((folder / "manifest.json").read_text()))
    (found,) = (each for each in verify.capsule(folder, Cache()) if each.path == "manifest.json")
    assert (found.kind, says in found.detail) == ("changed", True), found
    if "checksum" not in says:  # there is nothing to go by
        assert len(verify.capsule(folder, Cache())) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.update(seed=True), "seed is True, expected 0"),
        (lambda m: m["files"].clear(), "lists no {id}.toml or no {id}.json or no train.sh"),
        (lambda m: m["files"].update({"../x": "0" * 64}), ""),
        (lambda m: m["snapshot"]["files"].clear(), "the digest of the source is not that of its list of files"),
        (lambda m: m["snapshot"]["executable"].append("qb/main.py"), "the digest of the source"),
        (lambda m: m["snapshot"].pop("digest"), "holds no manifest"),
        (lambda m: m["snapshot"].update(digest=1), "holds no manifest"),
        (lambda m: m["snapshot"].pop("files"), "holds no manifest"),
    ],
)
def test_a_manifest_that_lists_something_else_is_named(
    swept: Project, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    """Though its checksum fits."""
    folder = swept.capsules()[0]
    reseal(folder, change)
    found = verify.capsule(folder, Cache())
    assert says.format(id=folder.parent.name) in " ".join(each.detail for each in found if each.path == "manifest.json")
    assert found


def test_what_may_be_executed_is_held_against_the_list(swept: Project) -> None:
    """Both ways: a source file that may be executed and could not be, and one that cannot be and could."""
    folder = swept.capsules()[0]
    (folder / "qb" / "main.py").chmod(0o555)
    (found,) = verify.capsule(folder, Cache())
    assert (found.path, found.kind, found.detail) == ("qb/main.py", "changed", "may be executed, and could not be")

    def list_it(manifest: dict[str, Any]) -> None:
        source = manifest["snapshot"]
        source["executable"] = ["qb/main.py"]
        source["digest"] = snapshot.listed_digest(source["files"], source["executable"])

    reseal(folder, list_it)
    assert {each.path for each in verify.capsule(folder, Cache())} == {"manifest.json"}
    (folder / "qb" / "main.py").chmod(0o444)
    details = {each.path: each.detail for each in verify.capsule(folder, Cache())}
    assert details["qb/main.py"] == "could be executed, and cannot be"


@pytest.mark.parametrize("name", ["manifest.json", "provenance.json", "environment.json", "train.sh", "qb/main.py"])
def test_a_link_to_the_same_bytes_is_no_file(swept: Project, name: str) -> None:
    """A capsule is whole by itself: what lies elsewhere may change."""
    folder = swept.capsules()[0]
    (folder / name).rename(swept.root / "elsewhere")
    (folder / name).symlink_to(swept.root / "elsewhere")
    (found,) = verify.capsule(folder, Cache())
    assert (found.path, found.kind, found.detail) == (name, "changed", "a symbolic link")


@pytest.mark.parametrize("name", ["manifest.json", "provenance.json", "environment.json", "train.sh"])
def test_a_directory_or_pipe_in_place_of_a_file_is_named(swept: Project, name: str) -> None:
    """It is neither the file nor nothing."""
    folder = swept.capsules()[0]
    (folder / name).unlink()
    os.mkfifo(folder / name)
    (found,) = verify.capsule(folder, Cache())
    assert (found.path, found.kind, found.detail) == (name, "changed", "no regular file")
    (folder / name).unlink()
    (folder / name).mkdir()
    (found,) = verify.capsule(folder, Cache())
    expected = ("changed", "a directory, expected a file") if name in ("train.sh", "environment.json") else ("missing",)
    assert (found.path, found.kind, found.detail)[: 1 + len(expected)] == (name, *expected)


def test_what_is_missing_needs_no_words(swept: Project) -> None:
    """But for the manifest, without which the rest cannot be judged."""
    folder = swept.capsules()[0]
    for name in ("train.sh", "qb/main.py", "environment.json"):
        (folder / name).unlink()
    assert {(e.path, e.kind, e.detail) for e in verify.capsule(folder, Cache())} == {
        (name, "missing", "") for name in ("train.sh", "qb/main.py", "environment.json")
    }
    (folder / "provenance.json").unlink()
    assert {(e.path, e.kind, e.detail) for e in verify.capsule(folder, Cache()) if e.path[0] == "p"} == {
        ("provenance.json", "missing", "")
    }
    (folder / "manifest.json").unlink()
    (found,) = verify.capsule(folder, Cache())
    assert found.detail == "without it the rest of this trial cannot be judged"


def test_hard_links_of_a_file_have_one_identity(swept: Project) -> None:
    """So that a file that several places share is one line: its inode, wherever it is told."""
    first, second, *_ = swept.capsules()
    for name in ("train.sh", "environment.json"):
        flip(first / name, 30)
    found = [e for e in verify.sweep(swept.paths()).differences if e.path.endswith(("train.sh", "environment.json"))]
    for name in ("train.sh", "environment.json"):
        at = (first / name).stat()
        files = {each.file for each in found if each.path == name}
        assert files == {(at.st_dev, at.st_ino)}, name
    assert {e.detail for e in found} == {""}
    assert {e.where for e in found} > {"rnn/generations/1"}
    assert (second / "train.sh").samefile(first / "train.sh")
    generation = swept.paths().generations / "1"
    rewrite(generation / "sweep.toml", "x")
    (generation / "train.sh").unlink()
    at = (generation / "sweep.toml").stat()
    told_ = [e for e in verify.sweep(swept.paths()).differences if e.where == "rnn/generations/1"]
    assert {(e.path, e.kind, e.detail, e.file) for e in told_} == {
        ("sweep.toml", "changed", "", (at.st_dev, at.st_ino)),
        ("train.sh", "missing", "", None),
    }


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        (".toml", lambda _: "[[[", "the trial's configuration, which has its digest, cannot be read"),
        (".json", lambda _: "{", "the trial's configuration, which has its digest, cannot be read"),
        (".json", lambda _: "[" * 100_000, "the trial's configuration, which has its digest, cannot be read"),
        (".toml", lambda text: text.replace("trial = 0", "trial = 1"), "/1"),
        (".toml", lambda text: text.replace('generated_id = "', 'generated_id = "x'), "says that it is the trial x"),
        (".toml", lambda text: text.replace("trial = 0", ""), "/None"),
        (".toml", lambda text: 'seed = "x"\n' + text, "seed is 0, expected x, by"),
        (".toml", lambda text: "seed = 3\n" + text, "seed is 0, expected 3, by"),
        (".toml", lambda text: "threads = 2\n" + text, "threads is 1, expected 2, by"),
        (".toml", lambda text: 'threads = "x"\n' + text, "threads is 1, expected x, by"),
    ],
)
def test_a_configuration_that_was_forged_with_its_manifest_is_named(
    swept: Project, name: str, change: Callable[[str], str], says: str
) -> None:
    """What cannot be read, is another trial's, or has another seed than the manifest: one line each, no traceback."""
    mine = Trial(swept)
    path = mine.capsule / (mine.name.id + name)
    text = path.read_text()
    assert change(text) != text
    mine.damage(path.name, change(text))
    reseal(mine.capsule, lambda manifest: manifest["files"].update({path.name: verify.hash_file(str(path))}))
    found = verify.capsule(mine.capsule, Cache())
    assert {each.path for each in found} == {"manifest.json"}
    assert says in " ".join(each.detail for each in found)


@pytest.mark.parametrize("what", ["template", "manifest", "both"])
def test_a_repeat_is_not_judged_by_a_first_trial_that_changed(swept: Project, what: str) -> None:
    """Its digest cannot be computed then, which is a note: the first trial is what is named."""
    first = swept.capsules()[0]
    name = f"{first.parent.name}.json"
    cache = Cache()
    assert cache.first(str(first)) == (first / name).read_bytes()
    if what != "manifest":
        flip(first / name, 5)
    if what != "template":
        text = (first / "manifest.json").read_text()
        digest = verify.hash_file(str(first / name))
        listed = json.loads(text)["files"][name]
        rewrite(first / "manifest.json", text.replace(listed, digest).replace('"seed": 0', '"seed": 1'))
    assert Cache().first(str(first)) is None


def test_a_stored_source_is_named_once_in_a_verification(swept: Project) -> None:
    """However many trials are verified one after the other."""
    (store,) = swept.paths().snapshots.iterdir()
    (store / "files" / "extra").touch()
    cache = Cache()
    entries = swept.entries()
    reports = [verify.trials(swept.paths(), [entry], cache) for entry in entries]
    assert [len(report.differences) for report in reports] == [1, 0, 0, 0]
    assert verify.trials(swept.paths(), entries).capsules == 4


def test_a_generation_that_only_the_index_knows_is_missing(swept: Project) -> None:
    """The one that listed the trials last, and each that one of them is of."""
    text = swept.paths().index.read_text()
    header, first, *rest = text.splitlines()
    changed = [
        header.replace('"generation": 1', '"generation": 3'),
        first.replace('"generation": 1', '"generation": 2'),
    ]
    swept.paths().index.write_text("\n".join([*changed, *rest]) + "\n")
    for number in (2, 3):
        assert told(swept, f"rnn/generations/{number}") == {"generation.json": ("missing", "")}
    assert told(swept, "rnn/generations/1") == told(swept, "rnn/generations/0") == {}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: text.replace('"host"', '"ghost"'), {"provenance.json": "checksum"}),
        (lambda text: text + " ", {"provenance.json": "checksum"}),
        (lambda _: "[]", {"provenance.json": "checksum", "environment.json": "by a provenance.json that changed"}),
        (lambda _: "{", {"provenance.json": "checksum", "environment.json": "by a provenance.json that changed"}),
        (lambda _: "[" * 100_000, {"provenance.json": "checksum", "environment.json": "that changed"}),
        (
            lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "checksum"}),
            {"provenance.json": "checksum"},
        ),
        (
            lambda text: text.replace('"environment": "', '"environment": "0'),
            {"provenance.json": "checksum", "environment.json": "by a provenance.json that changed"},
        ),
        (
            lambda text: text.replace('"environment": "', '"environment": 0, "x": "'),
            {"provenance.json": "checksum", "environment.json": "by a provenance.json that changed"},
        ),
    ],
)
def test_a_provenance_is_what_was_written_to_the_byte(
    swept: Project, change: Callable[[str], str], expected: dict[str, str]
) -> None:
    """What it names beside it is held against it all the same, and said to be doubtful."""
    folder = swept.capsules()[0]
    rewrite(folder / "provenance.json", change((folder / "provenance.json").read_text()))
    found = {each.path: each.detail for each in verify.capsule(folder, Cache())}
    assert found.keys() == expected.keys()
    assert all(says in found[path] for path, says in expected.items()), found


def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    """Its sha256 is that of all of it, however large it is."""
    for size in (0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1):
        data = bytes(size - 1) + b"x" if size else b""
        (tmp_path / "file").write_bytes(data)
        assert verify.hash_file(str(tmp_path / "file")) == hashlib.sha256(data).hexdigest()


def test_a_file_that_changed_meanwhile_is_read_again(tmp_path: Path) -> None:
    """One of another size, time or inode is another file."""
    path, cache = tmp_path / "file", Cache()
    path.write_bytes(b"one")
    os.utime(path, ns=(1, 1))
    seen = [cache.sha256(str(path), path.lstat())]
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 2))
    seen.append(cache.sha256(str(path), path.lstat()))
    path.write_bytes(b"three")
    os.utime(path, ns=(1, 2))
    seen.append(cache.sha256(str(path), path.lstat()))
    (tmp_path / "other").write_bytes(b"seven")
    os.utime(tmp_path / "other", ns=(1, 2))
    seen.append(cache.sha256(str(tmp_path / "other"), (tmp_path / "other").lstat()))
    assert seen == [hashlib.sha256(data).hexdigest() for data in (b"one", b"two", b"three", b"seven")]


def test_a_file_that_cannot_be_read_is_named(swept: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails is told with its reason, and the other files are checked."""
    folder = swept.capsules()[0]
    flip(folder / "train.sh")
    real = verify.hash_file

    def fails(path: str) -> str:
        if path.endswith("main.py"):
            raise OSError(5, "Input/output error")
        return real(path)

    monkeypatch.setattr(verify, "hash_file", fails)
    found = {each.path: each.detail for each in verify.capsule(folder, Cache())}
    assert found == {"qb/main.py": "cannot be read (Input/output error)", "train.sh": ""}


def test_copies_are_verified_wherever_they_lie(swept: Project) -> None:
    """By the manifest alone: a directory's name means nothing there; one without a manifest is a mistake."""
    shutil.copytree(swept.capsules()[0], swept.root / "copy")
    shutil.copytree(swept.capsules()[1], swept.root / "7")
    assert verify.copies([swept.root / "copy", swept.root / "7"]) == verify.Report(2, [], {})
    (swept.root / "7" / "rerun.sh").unlink()
    report = verify.copies([swept.root / "copy", swept.root / "7"])
    assert [(each.where, each.path, each.kind) for each in report.differences] == [
        (str(swept.root / "7"), "rerun.sh", "missing")
    ]
    with pytest.raises(TrialError, match=r"found no manifest\.json"):
        verify.copies([swept.root / "copy", swept.root / "qb"])
    assert [(e.path, e.kind) for e in verify.capsule(swept.root / "nowhere", Cache())] == [("", "missing")]


def test_a_capsule_in_anothers_place_is_named(swept: Project) -> None:
    """Two capsules that changed places are each whole, and not the trials that their directories say."""
    first, second, *_ = swept.capsules()
    first.rename(first.parent / "away")
    second.rename(first)
    (first.parent / "away").rename(second)
    result = swept.resweep("verify", "rnn")
    assert result.out.count("is that of the trial") == 2


def test_a_repeats_digest_needs_the_first_trial(project: Project) -> None:
    """The digest of trial 1 is computed with the template of trial 0, and a note says when that is away."""
    project.generate("--set", "n_trials=2").ok()
    second = next(folder for folder in project.capsules() if folder.name == "1")
    cache = Cache()
    assert (verify.capsule(second, cache), cache.notes) == ([], {})
    shutil.rmtree(second.parent / "0")
    assert (verify.capsule(second, cache := Cache()), len(cache.notes)) == ([], 1)
    assert "could not be computed" in next(iter(cache.notes))


def test_a_provenance_of_an_earlier_version_has_no_checksum(swept: Project) -> None:
    """One without a checksum, of a time that knew no environment.json, is told, and no difference."""
    for path in swept.root.glob("config/generated/rnn/**/provenance.json"):
        table = json.loads(path.read_text())
        for key in ("checksum", "environment", "data"):
            del table[key]
        path.unlink()
        path.write_text(json.dumps({**table, "platform": "Linux", "interpreter": {}}))
        (path.parent / "environment.json").unlink(missing_ok=True)
    result = swept.resweep("verify", "rnn").ok()
    assert "4 trials: provenance.json has no checksum" in result.err


def test_the_index_is_held_against_the_capsules(swept: Project) -> None:
    """A trial without a capsule, a capsule without a trial, and values that are not the trial's are named."""
    first, second, third, fourth = swept.entries()
    shutil.rmtree(swept.paths().capsule(first.name))
    text = swept.paths().index.read_text()
    lines = text.splitlines()
    lines[2] = lines[2].replace('"params.lr": 0.2', '"params.lr": 0.9')
    lines[3] = lines[3].replace(third.digest, "0" * 64)
    swept.paths().index.write_text("\n".join(lines[:4]) + "\n")
    result = swept.resweep("verify", "rnn")
    assert result.status == 1
    assert result.out.splitlines() == [
        f"rnn#1 rnn/{first.name}: missing",
        f"rnn: index.jsonl: changed (its params.lr of rnn#2 {second.name} is not the trial's own)",
        f"rnn: index.jsonl: changed (its digest of rnn#3 {third.name} is not the trial's own)",
        f"rnn/{fourth.name}: added (not in the index)",
    ]


@pytest.mark.slow
def test_orphans_are_verified_with_the_sweep(swept: Project) -> None:
    """A trial that is no longer in the sweep keeps its capsule, and is checked."""
    orphan = swept.entries()[3]
    swept.write({"config/rnn.toml": SWEEP.replace("[0.1, 0.2]", "[0.1]")})
    swept.generate().ok()
    flip(swept.paths().capsule(orphan.name) / f"{orphan.id}.toml")
    assert f"rnn#4 rnn/{orphan.name}: {orphan.id}.toml: changed" in swept.resweep("verify", "rnn").out


@pytest.mark.parametrize("name", ["sweep.toml", "base/base.jsonnet", "generation.json", "provenance.json"])
def test_a_frozen_definition_that_changed_is_named(swept: Project, name: str) -> None:
    """What a generation froze is checked with the sweep."""
    path = swept.paths().generations / "1" / name
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data.replace(b"0.5", b"0.6").replace(b'"format": 1', b'"format": 3'))
    assert f"rnn/generations/1: {name}: changed" in swept.resweep("verify", "rnn").out
    path.unlink()
    assert f"rnn/generations/1: {name}: missing" in swept.resweep("verify", "rnn").out


def test_a_stored_source_is_checked_and_not_needed(swept: Project) -> None:
    """The store's own list and files are checked; a capsule is sound without them."""
    (store,) = swept.paths().snapshots.iterdir()
    (store / "files" / "extra").touch()
    flip(store / "snapshot.json", 30)
    result = swept.resweep("verify", "rnn")
    assert f".snapshots/{store.name}: snapshot.json: changed" in result.out
    flip(store / "snapshot.json", 30)
    assert f".snapshots/{store.name}: files/extra: added" in swept.resweep("verify", "rnn").out
    shutil.rmtree(store)
    swept.resweep("verify", "rnn").ok()


def told(project: Project, where: str) -> dict[str, tuple[str, str]]:
    """What verifying the sweep names below `where`: kind and detail of each path."""
    found = [each for each in verify.sweep(project.paths()).differences if each.where == where]
    assert len({each.path for each in found}) == len(found)
    return {each.path: (each.kind, each.detail) for each in found}


def test_each_file_of_a_stored_source_is_checked(swept: Project) -> None:
    """Changed, missing, of another kind or mode; and its list against the digest that names the directory."""
    (store,) = swept.paths().snapshots.iterdir()
    where = f".snapshots/{store.name}"
    main, init = store / "files" / "qb" / "main.py", store / "files" / "qb" / "__init__.py"
    data, listing = main.read_bytes(), (store / "snapshot.json").read_text()
    rewrite(main, data + b"#")
    assert told(swept, where) == {"files/qb/main.py": ("changed", "")}
    rewrite(main, data)
    main.chmod(0o555)
    assert told(swept, where) == {"files/qb/main.py": ("changed", "may be executed, or may not, unlike before")}
    main.unlink()
    main.symlink_to(init)
    assert told(swept, where) == {"files/qb/main.py": ("changed", "a symbolic link")}
    main.unlink()
    (store / "qb").touch()
    assert told(swept, where) == {"files/qb/main.py": ("missing", ""), "qb": ("added", "")}
    (store / "qb").unlink()
    main.write_bytes(data)
    assert told(swept, where) == {}
    changed = json.loads(listing)
    changed["executable"] = ["qb/main.py"]
    for text, says in (
        (json.dumps(changed), "its digest is not that of its list"),
        (listing.replace(store.name, "0" * 64), "its digest is not that of its list"),
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "cannot be read"),
    ):
        rewrite(store / "snapshot.json", text)
        ((path, (kind, detail)),) = told(swept, where).items()
        assert (path, kind, detail.startswith(says)) == ("snapshot.json", "changed", True)
    (store / "snapshot.json").unlink()
    assert told(swept, where) == {"snapshot.json": ("missing", "")}
    store.rename(store.with_name("0" * 64))
    assert verify.sweep(swept.paths()).differences == []


def test_a_stored_source_that_was_forged_with_its_list_is_named(swept: Project) -> None:
    """A list that fits itself has another digest than its directory."""
    (store,) = swept.paths().snapshots.iterdir()
    listing = json.loads((store / "snapshot.json").read_text())
    main = store / "files" / "qb" / "main.py"
    rewrite(main, main.read_bytes() + b"#")
    listing["files"]["qb/main.py"] = verify.hash_file(str(main))
    listing["digest"] = snapshot.listed_digest(listing["files"], listing["executable"])
    rewrite(store / "snapshot.json", json.dumps(listing))
    assert list(told(swept, f".snapshots/{store.name}")) == ["snapshot.json"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: "{", {"generation.json": "cannot be read"}),
        (lambda text: "[]", {"generation.json": "cannot be read"}),
        (lambda text: "{}", {"generation.json": "cannot be read"}),
        (lambda text: text + " ", {"generation.json": "its checksum"}),
        (lambda text: text.replace('"base.jsonnet": "', '"base.jsonnet": "0'), {"base/base.jsonnet": ""}),
        (lambda text: text.replace('"text": "', '"text": "0'), {"sweep.toml": ""}),
        (lambda text: text.replace('"train": "', '"train": "0'), {"train.sh": ""}),
        (
            lambda text: text.replace('"base.jsonnet"', '"other.jsonnet"'),
            {"base/base.jsonnet": "", "base/other.jsonnet": ""},
        ),
        (
            lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "checksum"} | {"x": 1}),
            {"generation.json": "its checksum"},
        ),
    ],
)
def test_the_record_of_a_generation_is_what_was_written(
    swept: Project, change: Callable[[str], str], expected: dict[str, str]
) -> None:
    """And what it lists is held against it."""
    path = swept.paths().generations / "1" / "generation.json"
    rewrite(path, change(path.read_text()))
    found = told(swept, "rnn/generations/1")
    assert {path for path in found if path != "generation.json"} == {p for p in expected if p != "generation.json"}
    assert found["generation.json"][0] == "changed"
    assert found["generation.json"][1].startswith(expected.get("generation.json", "its checksum"))


def test_a_generation_holds_what_its_record_lists_and_no_more(swept: Project) -> None:
    """A file more, a link in place of one, a generation that no trial is of, and one that has gone."""
    home = swept.paths().generations
    (home / "1" / "base" / "more.jsonnet").touch()
    (home / "1" / "link").symlink_to("/etc")
    assert told(swept, "rnn/generations/1") == {
        "base/more.jsonnet": ("added", ""),
        "link": ("added", "a symbolic link"),
    }
    (home / "1" / "link").unlink()
    (home / "1" / "base" / "more.jsonnet").unlink()
    (home / "1" / "sweep.toml").rename(swept.root / "sweep.toml")
    (home / "1" / "sweep.toml").symlink_to(swept.root / "sweep.toml")
    assert told(swept, "rnn/generations/1")["sweep.toml"][0] == "changed"
    (home / "7").mkdir()
    (home / "notes").mkdir()
    assert told(swept, "rnn/generations/7") == {"generation.json": ("missing", "")}
    assert told(swept, "rnn/generations/notes") == {}
    shutil.rmtree(home / "1")
    assert told(swept, "rnn/generations/1") == {"generation.json": ("missing", "")}


def test_a_link_among_stored_environments_is_named(swept: Project) -> None:
    """What a generation is writing is not; a directory's files are."""
    home = swept.paths().environments
    (stored,) = home.iterdir()
    (home / ".new-1").touch()
    (home / "deep").mkdir()
    (home / "deep" / stored.name).write_bytes(stored.read_bytes())
    assert told(swept, ".environments") == {f"deep/{stored.name}": ("added", "")}
    shutil.rmtree(home / "deep")
    stored.rename(swept.root / "environment.json")
    stored.symlink_to(swept.root / "environment.json")
    assert told(swept, ".environments") == {stored.name: ("changed", "a symbolic link")}
    stored.unlink()
    (swept.root / "environment.json").rename(home / f"{'0' * 64}.json")
    assert told(swept, ".environments") == {f"{'0' * 64}.json": ("changed", "")}


def test_the_index_says_of_each_trial_what_its_capsule_says(swept: Project) -> None:
    """Digest, source and swept values: each wrong one is named."""
    paths = swept.paths()
    text = paths.index.read_text()
    header, first, *rest = text.splitlines()
    entry = json.loads(first)
    for values, says in (
        ({"source": "0" * 64}, "its source of"),
        ({"source": "0" * 64, "digest": "0" * 64}, "its digest and source of"),
        ({"swept": {"params.lr": 0.1, "params.dropout": 1}}, "its params.dropout of"),
        ({"swept": {"params.lr": "0.1"}}, "its params.lr of"),
    ):
        paths.index.write_text("\n".join((header, json.dumps({**entry, **values}), *rest)) + "\n")
        report = verify.sweep(paths)
        assert [(e.where, e.path, e.kind) for e in report.differences] == [("rnn", "index.jsonl", "changed")]
        assert report.differences[0].detail.startswith(says)
        assert report.capsules == 4
    for swept_ in ({"params.nothing": 1}, {"params.lr.deeper": 1}, {"nothing": 1}):
        # it may be a key that the template takes, and the configuration does not hold
        paths.index.write_text("\n".join((header, json.dumps({**entry, "swept": swept_}), *rest)) + "\n")
        assert verify.sweep(paths).differences == []


def test_only_capsules_that_are_there_are_counted_as_read(swept: Project) -> None:
    """A capsule with a difference was read; one that is not there was not, and one that is not listed is told."""
    first, second, third, _ = (swept.paths().capsule(each.name) for each in swept.entries())
    ids = [entry.id for entry in swept.entries()]
    flip(first / "train.sh")
    shutil.rmtree(second)
    rewrite(third / "train.sh", (third / "train.sh").read_bytes())  # of its own from here on
    shutil.copytree(third, third.with_name("1"))
    (third.parent / "notes").mkdir()
    (third.parent / "notes" / "manifest.json").touch()
    report = verify.sweep(swept.paths())
    assert report.capsules == 3
    assert [(e.where, e.kind, e.detail) for e in report.differences if not e.path] == [
        (f"rnn/{ids[1]}/0", "missing", ""),
        (f"rnn/{ids[2]}/1", "added", "not in the index"),
    ]


@pytest.mark.slow
def test_files_that_capsules_share_are_read_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many trials there are, as many files are hashed as there are inodes."""
    project.generate("--set", "n_trials=25").ok()
    hashed = []
    real = verify.hash_file
    monkeypatch.setattr(verify, "hash_file", lambda path: hashed.append(path) or real(path))
    report = verify.trials(project.paths(), index.read(project.paths()).entries)
    assert (report.capsules, report.differences) == (100, [])
    inodes = {path.stat().st_ino for folder in project.capsules() for path in folder.rglob("*") if path.is_file()}
    assert len(hashed) == len(inodes) + 1  # the store's list
    assert len(inodes) == 3 * 100 + 6


def test_json_says_the_same(project: Project) -> None:
    """--json is one object, with every place of a shared file."""
    project.generate().ok()
    flip(project.capsules()[0] / "qb" / "main.py", 100)
    result = project.resweep("verify", "rnn", "--json")
    found = json.loads(result.out)
    assert result.status == 1
    assert found["capsules"] == 4
    assert len(found["differences"]) == 5
    assert {each["kind"] for each in found["differences"]} == {"changed"}


@pytest.mark.parametrize("names", [["nope"], ["rnn#9"], ["rnn", "pyproject.toml"]])
def test_a_mistake_is_one_line(swept: Project, names: list[str]) -> None:
    """What names nothing is no difference: status 2."""
    result = swept.resweep("verify", *names)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)


@pytest.mark.slow
@given(
    st.dictionaries(
        st.lists(st.sampled_from(["a", "b", "A", "é", "a.b"]), min_size=1, max_size=3).map("/".join), st.text()
    )
)
def test_the_digest_of_a_list_is_that_of_the_tree(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, str]
) -> None:
    """A list of files in any order has the digest that their source got when it was built."""
    home = tmp_path_factory.mktemp("tree")
    written = {}
    for path in files:
        try:
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).touch()
            written[(home / path).relative_to(home).as_posix()] = files[path]
        except OSError:
            continue
    order = []
    for folder, folders, names in os.walk(home):
        folders.sort()
        order += [Path(folder, name).relative_to(home).as_posix() for name in sorted(names)]
    written = {path: files_ for path, files_ in written.items() if path in order}
    built = layout.digest([[path, written[path], False] for path in order])
    assert snapshot.listed_digest(dict(sorted(written.items())), []) == built
