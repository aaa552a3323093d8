"""The writing of a sweep, through the command line.

Code: generation/make, generation/fill, generation/plan, generation/changes, lock, cli/generate, cli/project, __main__
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sklearn.model_selection  # noqa: F401  imported once: generating asks it in this process then
from hypothesis import given, settings
from hypothesis import strategies as st
from small_project import MAIN, REPOSITORY, SWEEP, TRAIN, Project

from resweep import layout
from resweep.generation import fill
from resweep.generation.snapshot import Snapshot, SourceFile
from resweep.generation.template import Template
from resweep.layout import SweepPaths
from resweep.space import expand
from resweep.sweep import definition

ONE_MORE = SWEEP.replace("[0.1, 0.2]", "[0.1, 0.2, 0.3]")
CHANGED = {"qb/main.py": MAIN + "# changed\n"}


def names(project: Project) -> list[str]:
    """`ID/TRIAL` of every current trial, in order."""
    return [str(entry.name) for entry in project.entries()]


def times(project: Project) -> dict[str, int]:
    """Every file and directory with the time of its last change."""
    return {str(path): path.lstat().st_mtime_ns for path in project.root.rglob("*")}


def finish(project: Project, *entries: Any) -> None:
    """Run trials for real, until they have finished."""
    for entry in entries:
        project.resweep("run", f"rnn#{entry.number}").ok()


# --- what is written -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_sweep_of_the_card_is_72_capsules(project: Project) -> None:
    """3 x 3 x 4 x 2 points of the example's own TOML and jsonnet, each a directory of its own."""
    for name in ("config/rnn.toml", "rnn_model.jsonnet", "train.sh"):
        shutil.copy(REPOSITORY / name, project.root / name)
    said = project.resweep("config/rnn.toml", "rnn_model.jsonnet", "rnn").ok().out
    assert said.startswith("rnn: 72 new trials, 0 kept, 0 orphaned\n")
    assert len(project.capsules()) == len(project.entries()) == 72
    filled = [json.loads(next(folder.glob("*.json")).read_text()) for folder in project.capsules()]
    assert len({json.dumps(each, sort_keys=True) for each in filled}) == 72


def test_a_capsule_holds_what_the_contract_says(project: Project) -> None:
    """The files of a trial, by name; model/ is not touched."""
    project.generate().ok()
    for folder in project.capsules():
        id_ = folder.parent.name
        assert len(id_) == 12
        assert set(id_) <= set("abcdefghijklmnopqrstuvwxyz234567")
        found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        own = {f"{id_}.toml", f"{id_}.json", "train.sh", "rerun.sh", "manifest.json"}
        assert found == own | {"provenance.json", "environment.json", "qb/__init__.py", "qb/main.py"}
        assert (folder / "qb/main.py").read_text() == MAIN
        assert (folder / "train.sh").read_text() == TRAIN
    assert not (project.root / "model").exists()


@pytest.mark.slow
def test_generating_again_writes_nothing(project: Project) -> None:
    """Not a byte and not a time of a file or directory changes."""
    project.generate().ok()
    before, when = project.tree(), times(project)
    said = project.generate().ok()
    assert said.out == "rnn: 0 new trials, 4 kept, 0 orphaned\n  nothing to write\n"
    assert project.tree() == before
    assert times(project) == when


@pytest.mark.slow
def test_a_value_that_is_added_adds_only_its_own_trials(project: Project) -> None:
    """Capsules that exist stay as they are, and new trials get the next numbers."""
    project.generate().ok()
    old, before, when = project.entries(), project.tree("config/generated/rnn"), times(project)
    project.write({"config/rnn.toml": ONE_MORE})
    said = project.generate().ok().out
    assert said.startswith("rnn: 2 new trials, 4 kept, 0 orphaned\n  why      params.lr: 0.3 added\n")
    new = [entry for entry in project.entries() if entry.number > 4]
    assert [entry for entry in project.entries() if entry.number <= 4] == old
    assert [(entry.swept["params.lr"], entry.generation) for entry in new] == [(0.3, 2), (0.3, 2)]
    for folder in project.capsules():
        for path in (folder, *folder.rglob("*")):
            if str(folder.relative_to(project.paths().directory)) in {str(entry.name) for entry in old}:
                assert times(project)[str(path)] == when[str(path)]
    same = project.tree("config/generated/rnn")
    assert {name: same[name] for name in before if name != "index.jsonl"} == {
        name: data for name, data in before.items() if name != "index.jsonl"
    }


def test_raising_n_trials_adds_repeats_with_their_own_seeds(project: Project) -> None:
    """The ids stay, and trial t gets seed + t, also when there is one trial only."""
    project.generate("--set", "seed=7").ok()
    ids = {entry.id for entry in project.entries()}
    first = project.capsules()[0]
    assert json.loads((first / f"{first.parent.name}.json").read_text())["seed"] == 7
    said = project.generate("--set", "seed=7", "--n-trials", "3").ok().out
    assert "8 new trials, 4 kept, 0 orphaned" in said
    assert "n_trials: 1 is now 3" in said
    assert {entry.id for entry in project.entries()} == ids
    for folder in project.capsules():
        filled = json.loads((folder / f"{folder.parent.name}.json").read_text())
        assert filled["seed"] == 7 + int(folder.name)


@pytest.mark.slow
def test_a_value_that_is_taken_out_leaves_orphans_that_keep_their_numbers(project: Project) -> None:
    """Orphans stay on disk, out of the jobs script, and come back as what they were."""
    project.write({"config/rnn.toml": ONE_MORE})
    project.generate().ok()
    numbers, capsules = {entry.name: entry.number for entry in project.entries()}, project.capsules()
    project.write({"config/rnn.toml": SWEEP})
    said = project.generate().ok().out
    assert said.startswith("rnn: 0 new trials, 4 kept, 2 orphaned\n  why      params.lr: 0.3 taken out\n")
    assert project.capsules() == capsules
    assert project.paths().jobs.read_text().count("params.lr=") == 4
    project.write({"config/rnn.toml": ONE_MORE})
    assert "0 new trials, 6 kept, 0 orphaned" in project.generate().ok().out
    assert {entry.name: entry.number for entry in project.entries()} == numbers
    assert project.paths().jobs.read_text().count("params.lr=") == 6


@pytest.mark.slow
def test_a_value_of_another_type_is_another_point_and_said_so(project: Project) -> None:
    """1 and 1.0 are equal in Python, and give two configurations."""
    project.write({"config/rnn.toml": "[hyper]\nparams.lr = [1]\n"})
    project.generate().ok()
    project.write({"config/rnn.toml": "[hyper]\nparams.lr = [1, 1.0, true]\n"})
    said = project.generate().ok().out
    assert "2 new trials, 1 kept" in said
    assert "params.lr: 1.0, true added" in said


def test_a_value_that_stands_twice_is_one_point(project: Project) -> None:
    """Trials are what they hold, not how often they were asked for."""
    project.write({"config/rnn.toml": "[hyper]\nparams.lr = [0.1, 0.10, 1e-1]\n"})
    assert "1 new trial," in project.generate().ok().out


def test_two_sweeps_share_the_stored_source(project: Project) -> None:
    """The same trial under two names has one id, and the source is on disk once."""
    project.generate().ok()
    project.generate(name="other").ok()
    assert [entry.id for entry in project.entries("other")] == [entry.id for entry in project.entries()]
    assert len(list(project.root.glob("config/generated/.snapshots/*"))) == 1
    assert len({path.stat().st_ino for path in project.root.glob("config/generated/*/*/0/qb/main.py")}) == 1


@pytest.mark.slow
def test_a_capsule_that_was_removed_is_written_again(project: Project) -> None:
    """The same bytes come back under the same number."""
    project.generate().ok()
    folder, before = project.capsules()[1], project.tree("config/generated/rnn")
    shutil.rmtree(folder.parent)
    assert "1 new trial, 3 kept, 0 orphaned" in project.generate().ok().out
    after = project.tree("config/generated/rnn")
    same = [name for name in before if "provenance" not in name and "generations" not in name and "index" not in name]
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert [entry.number for entry in project.entries()] == [1, 2, 3, 4]


# --- anywhere --------------------------------------------------------------------------------------------------------


def capsules_without_provenance(project: Project) -> dict[str, bytes]:
    """Every file of every capsule, and the jobs script."""
    tree = {name: data for name, data in project.tree("config/generated/rnn").items() if name.count("/") > 1}
    tree = {n: d for n, d in tree.items() if "provenance" not in n and not n.startswith("generations/")}
    return tree | {"jobs": project.paths().jobs.read_bytes()}


@pytest.mark.slow
def test_another_checkout_gives_the_same_bytes(project: Project, tmp_path: Path) -> None:
    """At another path, with another order of keys, other [slurm] and another umask: the same ids and files."""
    project.generate().ok()
    root = tmp_path / "somewhere else"
    shutil.copytree(project.root, root, ignore=shutil.ignore_patterns("generated", "*-jobs.sh"))
    other = Project(root)
    turned = '[params]\nlr = 0.5\n[hyper]\n"params.dropout" = [0.3, 0.4]\n"params.lr" = [0.1, 0.2]\n# a comment\n'
    other.write({"config/rnn.toml": turned})
    mask = os.umask(0o027)
    try:
        other.generate().ok()
    finally:
        os.umask(mask)
    assert capsules_without_provenance(other) == capsules_without_provenance(project)


@pytest.mark.parametrize(("mask", "mode"), [(0o002, 0o664), (0o022, 0o644), (0o077, 0o600)])
def test_who_may_write_to_a_sweep_s_own_files_is_what_the_umask_says(project: Project, mask: int, mode: int) -> None:
    """People who share a project by a group add to the same list; who may read the jobs script may run it."""
    before = os.umask(mask)
    try:
        project.generate().ok()
    finally:
        os.umask(before)
    paths = project.paths()
    for path in (paths.index, paths.run_options, paths.launcher):
        assert path.stat().st_mode & 0o777 == mode, path
    assert paths.jobs.stat().st_mode & 0o777 == mode | (mode & 0o444) >> 2


def test_where_the_command_is_called_and_what_python_finds_does_not_matter(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a subdirectory, with PYTHONPATH and PYTHONSAFEPATH set: nothing new."""
    project.generate().ok()
    before = project.tree()
    (tmp_path / "path/qb").mkdir(parents=True)
    (tmp_path / "path/qb/__init__.py").write_text("another = 1\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    sub = Project.__new__(Project)
    sub.root = project.root / "qb"
    result = sub.resweep("../config/rnn.toml", "../base.jsonnet", "rnn").ok()
    assert "0 new trials, 4 kept" in result.out
    assert "nothing to write" in result.out
    assert project.tree() == before


@pytest.mark.slow
def test_config_generated_may_be_a_link_to_another_place(project: Project, tmp_path: Path) -> None:
    """As on a cluster, where the big disk is elsewhere: written there, run from there."""
    (tmp_path / "scratch").mkdir()
    (project.root / "config/generated").symlink_to(tmp_path / "scratch")
    project.generate().ok()
    assert len(list((tmp_path / "scratch/rnn").glob("*/0/manifest.json"))) == 4
    finish(project, project.entries()[0])
    assert "nothing to write" in project.generate().ok().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("base", "text", "filled"),
    [
        ("base.jsonnet", "local lib = import 'lib/l.libsonnet'; function(lr) { lr: lib.twice(lr) }", {"lr": 1.0}),
        ("base.jsonnet", "(import 'lib/l.libsonnet') { lr:: 1, twice:: null }", {"other": [1, None]}),
        ("base.jsonnet", "function(lr, random_seed, numpy_seed=3) [lr, random_seed, numpy_seed]", [0.5, 0, 0]),
        ("base.json", '{"b": [1, 2.5], "a": null}', {"b": [1, 2.5], "a": None}),
    ],
)
def test_base_may_be_a_function_an_object_or_json(project: Project, base: str, text: str, filled: object) -> None:
    """With imports or without; a file without [hyper] is a sweep of one point."""
    given_ = "[params]\nlr = 0.5\n" if "function" in text else "[other]\nx = 1\n"
    project.write({base: text, "lib/l.libsonnet": "{ twice(x): 2 * x, other: [1, null] }", "config/rnn.toml": given_})
    project.resweep("config/rnn.toml", base, "rnn").ok()
    (folder,) = project.capsules()
    assert json.loads((folder / f"{folder.parent.name}.json").read_text()) == filled
    frozen = project.paths().generations / "1/base"
    assert (frozen / base).read_text() == text
    assert (frozen / "lib/l.libsonnet").exists() == ("import" in text)


@pytest.mark.slow
def test_a_trials_own_toml_gives_the_same_trial(project: Project) -> None:
    """A capsule's {id}.toml, given to `generate` again, is one point with the same id."""
    project.write(
        {"config/rnn.toml": "seed = 3\nthreads = 2\n" + SWEEP + "[other]\nwhen = 2020-01-01\nx = [1.5, nan]\n"}
    )
    project.generate("--n-trials", "2").ok()
    for folder in project.capsules()[:3]:
        id_ = folder.parent.name
        project.resweep(str(folder / f"{id_}.toml"), "base.jsonnet", f"again-{id_}").ok()
        assert [str(entry.name) for entry in project.entries(f"again-{id_}")] == [f"{id_}/0"]


@pytest.mark.slow
def test_an_override_is_part_of_the_trial(project: Project) -> None:
    """`--set` gives the ids that the same words in the file give."""
    project.generate("--set", "params.sleep=0.5", "--set", "hyper.params.lr=[0.1]").ok()
    text = '[hyper]\n"params.lr" = [0.1]\n"params.dropout" = [0.3, 0.4]\n[params]\nlr = 0.5\nsleep = 0.5\n'
    project.write({"config/rnn.toml": text})
    assert "0 new trials, 2 kept, 0 orphaned" in project.generate().ok().out


# --- ids -------------------------------------------------------------------------------------------------------------

FILE = SourceFile("qb/main.py", "a" * 64, 1, False)


@cache
def read_template(path: Path) -> Template:
    """The template at `path`, read once."""
    return Template(path)


def ids(home: Path, text: str, source: SourceFile = FILE, train: bytes = b"train") -> list[str]:
    """The ids of the trials of a sweep's text, without building or writing anything."""
    asked = definition.parse(text, str(home / "rnn.toml"))
    template = read_template(home / "base.jsonnet")
    with expand.Space(asked) as grid:
        filled = fill.fill(asked, template, list(grid.points()))
    snapshot = Snapshot((source,), layout.digest([[source.path, source.sha256, source.executable]]), home)
    frozen = fill.freeze(SweepPaths(home, "rnn"), asked, template, snapshot, train)
    return [str(each.entry.name) for each in fill.identify(frozen, filled)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template that takes anything in `value`."""
    folder = tmp_path_factory.mktemp("ids")
    seeds = "random_seed, numpy_seed, pytorch_seed"
    (folder / "base.jsonnet").write_text(f"function(lr, {seeds}, value=null) {{ lr: lr, v: value, s: [{seeds}] }}")
    return folder


_values = st.text() | st.integers(-9, 9) | st.booleans() | st.floats(-1, 1)
_tables = st.dictionaries(st.from_regex("[a-z]{1,3}", fullmatch=True), _values, min_size=2, max_size=4)


def _toml(table: dict[str, Any]) -> str:
    import tomli_w

    return tomli_w.dumps(table)


@pytest.mark.slow
@settings(deadline=None, max_examples=12)
@given(_tables, st.lists(_values, min_size=1, max_size=3))
def test_ids_do_not_depend_on_the_order_of_keys_or_the_tools_tables(
    home: Path, table: dict[str, Any], values: list[Any]
) -> None:
    """Two people who ask Slurm for different things, in another order of keys, get the same trials."""
    hyper = {"params.value": values}
    one = {"model": table, "params": {"lr": 1}, "hyper": hyper}
    two = {
        "hyper": hyper,
        "params": {"lr": 1},
        "model": dict(reversed(table.items())),
        "slurm": {"mem": "8g"},
        "results": {"metric": "loss"},
        "run": {"python": "python3"},
        "snapshot": {"exclude": ["x"]},
        "name": "another",
    }
    assert ids(home, _toml(one)) == ids(home, _toml(two))
    assert set(ids(home, "n_trials = 2\n" + _toml(one))) > set(ids(home, _toml(one)))


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(_values, _values)
def test_ids_differ_where_values_differ(home: Path, one: Any, two: Any) -> None:
    """Two values that are not the same text in JSON never share an id."""
    found = ids(home, _toml({"params": {"lr": 1}, "hyper": {"params.value": [one, two]}}))
    assert len(found) == (1 if layout.canonical(one) == layout.canonical(two) else 2)


@pytest.mark.slow
def test_everything_that_changes_a_trial_changes_its_id(home: Path, tmp_path: Path) -> None:
    """Values, the template's result, other configuration, seed, threads, source, its modes and train.sh."""
    text = "[params]\nlr = 1\n"
    (tmp_path / "base.jsonnet").write_text("function(lr, random_seed=1) { lr: 2 * lr }")
    found = [
        ids(home, text),
        ids(home, "[params]\nlr = 1.0\n"),
        ids(home, "seed = 1\n" + text),
        ids(home, "threads = 2\n" + text),
        ids(home, text + "[model]\nx = 1\n"),
        ids(home, text, SourceFile("qb/main.py", "b" * 64, 1, False)),
        ids(home, text, SourceFile("qb/other.py", "a" * 64, 1, False)),
        ids(home, text, SourceFile("qb/main.py", "a" * 64, 1, True)),
        ids(home, text, train=b"another"),
        ids(tmp_path, text),
    ]
    assert len({each[0] for each in found}) == len(found)


# --- a dry run -------------------------------------------------------------------------------------------------------


def inodes(project: Project) -> dict[int, int]:
    """What the disk's quota counts: every inode of the project, with the bytes of its blocks, as du tells them."""
    status = [path.lstat() for path in project.root.rglob("*")]
    return {each.st_ino: each.st_blocks * 512 for each in status}


@pytest.mark.slow
@pytest.mark.parametrize("second", [SWEEP + "\n", ONE_MORE, "n_trials = 3\n" + SWEEP])
def test_a_dry_run_says_what_then_happens(project_on_disk: Project, second: str) -> None:
    """Trials, values by name, files and bytes; nothing is written; and the real run does just that."""
    project = project_on_disk
    said: dict[str, str] = {}
    for text in (SWEEP, second):
        project.write({"config/rnn.toml": text})
        before, tree, when = inodes(project), project.tree(), times(project)
        said = dict(line.split(maxsplit=1) for line in project.generate("--dry-run").ok().out.splitlines())
        assert project.tree() == tree
        assert times(project) == when
        project.generate().ok()
        after = inodes(project)
        if "disk" not in said:
            continue
        files, size = said["disk"].split(" files and directories, about ")
        assert int(files) == len(after) - len(before)
        written = sum(after.values()) - sum(before.values())
        assert float(size.removesuffix(" kB")) * 1000 == pytest.approx(written, rel=0.1)
    assert ("disk" in said) == (second != SWEEP + "\n")


def test_a_dry_run_names_what_changed(project: Project) -> None:
    """Values added and taken out, settings, and the files of the source and the template, by name."""
    project.write({"lib.libsonnet": "1"})
    project.generate().ok()
    project.write(CHANGED | {"qb/new.py": "", "train.sh": TRAIN + "# changed\n"})
    (project.root / "qb/__init__.py").write_text("x = 1\n")
    project.write({"base.jsonnet": (project.root / "base.jsonnet").read_text().replace("sleep: ", "slept: ")})
    project.write({"config/rnn.toml": SWEEP.replace("0.2]", "0.7]").replace("lr = 0.5", "lr = 0.5\nsleep = 0.1")})
    said = project.generate("--dry-run").ok().out
    assert said.startswith("rnn: would write 4 new trials, keep 0, orphan 4; nothing was written\n")
    for part in (
        "params.lr: 0.7 added",
        "params.lr: 0.2 taken out",
        "params.sleep: nothing is now 0.1",
        "template changed: base.jsonnet",
        "source changed: train.sh, qb/__init__.py, qb/main.py, qb/new.py (new)",
    ):
        assert part in said
    assert said.count("  orphan   #1 ") == 1


# --- the source changes ----------------------------------------------------------------------------------------------


@pytest.fixture
def half_done(project: Project) -> Project:
    """A sweep of which the first trial has finished, and whose source has changed since."""
    project.generate().ok()
    finish(project, project.entries()[0])
    return project.write(CHANGED)


@pytest.mark.slow
@pytest.mark.parametrize("changed", ["qb/main.py", "train.sh", "qb/new.py"])
def test_a_changed_source_under_finished_trials_stops(project: Project, changed: str) -> None:
    """The files are named, the two ways on offered, and nothing is written; a dry run stops as well."""
    project.generate().ok()
    finish(project, project.entries()[0])
    path = project.root / changed
    path.write_text((path.read_text() if path.exists() else "") + "# changed\n")
    before = project.tree()
    for options in ((), ("--dry-run",)):
        result = project.generate(*options)
        assert (result.status, result.out) == (2, "")
        assert result.err.startswith(f"resweep: rnn: the source changed ({changed}")
        assert "trials of the same points have finished with the old one (1 of them)" in result.err
        assert "--new-source" in result.err
        assert "--keep-finished" in result.err
        assert result.err.count("\n") == 1
    assert project.tree() == before


@pytest.mark.slow
def test_a_changed_source_with_nothing_finished_goes_on_and_says_so(project: Project) -> None:
    """All trials are new, the old ones orphans, and the changed files are named."""
    project.generate().ok()
    project.write(CHANGED)
    result = project.generate().ok()
    assert "4 new trials, 0 kept, 4 orphaned" in result.out
    assert result.err == "resweep: rnn: source changed: qb/main.py; the trials that it replaces had not finished\n"
    assert {(folder / "qb/main.py").read_text() for folder in project.capsules()} == {MAIN, CHANGED["qb/main.py"]}


@pytest.mark.slow
def test_new_source_runs_finished_trials_again(half_done: Project) -> None:
    """Every point gets a new trial; what had finished stays where it is."""
    first = half_done.entries()[0]
    result = half_done.generate("--new-source").ok()
    assert "4 new trials, 0 kept, 4 orphaned" in result.out
    assert "1 finished trial of an earlier source: left in place" in result.err
    assert first.id not in {entry.id for entry in half_done.entries()}
    assert half_done.paths().place(first.name).finished()
    assert "nothing to write" in half_done.generate().ok().out


@pytest.mark.slow
def test_keep_finished_keeps_them_and_is_remembered(half_done: Project) -> None:
    """The finished trial stays in the sweep, the others get the new source; the choice holds until the next change."""
    first = half_done.entries()[0]
    assert "3 new trials, 1 kept, 3 orphaned" in half_done.generate("--keep-finished").ok().out
    kept = half_done.entries()
    assert first in kept
    assert [entry.id == first.id for entry in kept].count(True) == 1
    before = half_done.tree()
    assert "nothing to write" in half_done.generate().ok().out
    assert half_done.tree() == before
    half_done.write({"config/rnn.toml": ONE_MORE})
    assert "2 new trials, 4 kept, 0 orphaned" in half_done.generate().ok().out
    assert first in half_done.entries()
    half_done.write({"qb/main.py": MAIN + "# changed again\n"})
    assert half_done.generate().status == 2


# --- whole or not at all ---------------------------------------------------------------------------------------------

MANY = '[hyper]\n"params.lr" = [%s]\n' % ", ".join(f"0.{number:03}" for number in range(1, 120))  # noqa: UP031


def comparable(project: Project) -> dict[str, bytes]:
    """Everything but what tells when it was written, and by which of several attempts."""
    varies = ("provenance.json", "generation.json")
    return {name: data for name, data in project.tree().items() if not name.endswith(varies)}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a generation of many trials leaves that nothing disturbs."""
    calm = Project(tmp_path_factory.mktemp("undisturbed")).write({"config/rnn.toml": MANY})
    calm.generate().ok()
    return comparable(calm)


def in_a_child(project: Project) -> int:
    """Start generating in a process of its own, forked: nothing has to be imported there."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        tempfile.tempdir = str(project.root.parent)
        status = project.generate().status
    finally:
        os._exit(status)


def until(condition: Callable[[], bool]) -> None:
    """Wait for what is sure to come."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.slow
def test_a_generation_that_is_killed_leaves_whole_capsules_and_can_be_repeated(
    project: Project, undisturbed: dict[str, bytes]
) -> None:
    """Killed at any moment of the writing: every capsule there is whole, the next run ends as an undisturbed one."""
    project.write({"config/rnn.toml": MANY})
    moments = random.Random(1)
    cut_short = 0
    while cut_short < 3:
        shutil.rmtree(project.root / "config/generated", ignore_errors=True)
        project.paths().jobs.unlink(missing_ok=True)
        child = in_a_child(project)
        until(project.paths().lock.exists)
        time.sleep(moments.uniform(0, 0.06))
        os.kill(child, signal.SIGKILL)
        cut_short += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        for folder in project.paths().directory.glob("[!.]*/[0-9]*"):
            if folder.parent.name != "generations":
                name = f"config/generated/rnn/{folder.relative_to(project.paths().directory)}"
                found = {n for n in undisturbed if n.startswith(name + "/")}
                assert {n for n in found if (project.root / n).read_bytes() == undisturbed[n]} == found
                assert (folder / "provenance.json").read_bytes()
        assert all(project.paths().capsule(entry.name).is_dir() for entry in project.entries())
        project.generate().ok()
        assert comparable(project) == undisturbed


@pytest.mark.slow
def test_two_generations_at_once_end_with_one_whole_result(project: Project, undisturbed: dict[str, bytes]) -> None:
    """The second waits for the first and finds everything there."""
    project.write({"config/rnn.toml": MANY})
    children = [in_a_child(project) for _ in range(2)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    assert comparable(project) == undisturbed
    assert [path.name for path in project.paths().generations.iterdir()] == ["1"]


@pytest.mark.slow
def test_a_failing_generation_beside_others_takes_nothing_away(project: Project) -> None:
    """Sweeps of one project share stored sources: three at once, one of which cannot be written, harm no other."""
    project.write({"bad-jobs.sh/mine": ""})
    program = "import sys, sklearn.model_selection; from resweep.cli import main; main(sys.argv[1:])"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, "config/rnn.toml", "base.jsonnet", name],
            cwd=project.root,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("bad", "one", "two")
    ]
    said = [process.communicate()[1] for process in running]
    said = [re.sub(r"^(writing|filling): \d+ of \d+\n", "", text, flags=re.M) for text in said]  # a slow disk
    assert [process.returncode for process in running] == [2, 0, 0]
    expected = f"{project.root}/bad-jobs.sh: is a directory, expected a file that may be replaced, or nothing"
    assert said == [f"resweep: {expected}\n", "", ""]
    assert [len(project.capsules(name)) for name in ("bad", "one", "two")] == [0, 4, 4]
    left = sorted(path.name for path in project.paths().generated.iterdir())
    assert left == [".environments", ".lock", ".snapshots", "one", "two"]
    assert len(list(project.paths().environments.iterdir())) == 1
    assert len(list(project.paths().snapshots.iterdir())) == 1


@pytest.mark.slow
def test_a_generation_waits_while_another_of_the_project_writes(project: Project) -> None:
    """The lock is the system's, so it is free again when its holder dies."""
    lock = project.paths().lock
    lock.parent.mkdir()
    with open(lock, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        # not forked: a child that shares the open file would share the lock
        command = [sys.executable, "-m", "resweep", "config/rnn.toml", "base.jsonnet", "rnn"]
        process = subprocess.Popen(command, cwd=project.root, stdout=subprocess.DEVNULL)
        waiting = re.compile(rf"-> FLOCK .*:{lock.stat().st_ino} ")
        until(lambda: bool(waiting.search(Path("/proc/locks").read_text())))
        assert project.capsules() == []
        assert not project.paths().index.exists()
    assert process.wait() == 0
    assert len(project.capsules()) == len(project.entries()) == 4


def interrupted(project: Project, when: Callable[[subprocess.Popen[str]], None]) -> None:
    """Start generating, call `when`, which sends Ctrl-C, and check that it ends as it should."""
    before = project.tree()
    process = subprocess.Popen(
        [sys.executable, "-m", "resweep", "config/rnn.toml", "base.jsonnet", "rnn"],
        cwd=project.root,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    when(process)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 130
    assert said.strip() == "resweep: interrupted"
    (project.root / "started").unlink(missing_ok=True)
    assert project.tree() == before


@pytest.mark.slow
def test_an_interrupted_build_says_so_in_a_line_and_leaves_nothing(project: Project) -> None:
    """Ctrl-C while the source is built: exit status 130, no trace of helpers, nothing on disk."""
    project.write({"setup.py": "import time, pathlib\npathlib.Path('started').touch()\ntime.sleep(600)\n"})

    def when(process: subprocess.Popen[str]) -> None:
        until((project.root / "started").exists)
        os.killpg(process.pid, signal.SIGINT)

    interrupted(project, when)


@pytest.mark.slow
def test_an_interrupt_inside_jsonnet_is_not_taken_for_a_missing_file(project: Project) -> None:
    """Ctrl-C while the engine reads an import, here one that is slow to come."""
    os.mkfifo(project.root / "slow.jsonnet")
    project.write({"base.jsonnet": "function(lr, dropout) import 'slow.jsonnet'"})

    def when(process: subprocess.Popen[str]) -> None:
        with open(project.root / "slow.jsonnet", "w") as slow:  # opens when the engine reads
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.1)
            with contextlib.suppress(BrokenPipeError):
                slow.write("{}")
                slow.flush()

    interrupted(project, when)
