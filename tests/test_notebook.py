"""`resweep.generate({...})`: the tables of a sweep as a dictionary.

Code: notebook/generate
"""

from __future__ import annotations

import contextlib
import datetime
import doctest
import json
import subprocess
import sys
import tomllib
import typing
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_project import SWEEP, Project

import resweep
from resweep import layout
from resweep.errors import ConfigError, ResweepError
from resweep.notebook import generate

TABLES: dict[str, Any] = {"hyper": {"params.lr": [0.1, 0.2], "params.dropout": [0.3, 0.4]}, "params": {"lr": 0.5}}


def test_the_same_tables_are_the_same_trials(swept: Project) -> None:
    """A dictionary is what a file says: the ids are the file's, and what is frozen says the same."""
    with contextlib.chdir(swept.root):
        generated = resweep.generate(TABLES, base="base.jsonnet", name="tried")
    assert repr(generated) == "<tried: 4 new, 0 kept, 0 orphaned>"
    assert [(each.name, each.id, each.repeat, each.values, each.path) for each in generated.new] == [
        (f"tried#{entry.number}", entry.id, 0, entry.swept, Path(swept.paths("tried").capsule(entry.name)))
        for entry in swept.entries("tried")
    ]
    assert swept.root / "tried-jobs.sh" in generated.written
    assert [entry.name for entry in swept.entries("tried")] == [entry.name for entry in swept.entries("rnn")]
    frozen = swept.paths("tried").generations / "1"
    assert tomllib.loads((frozen / "sweep.toml").read_text()) == TABLES
    assert json.loads((frozen / "generation.json").read_text())["config"] is None
    assert swept.resweep("results", "tried").ok().out.count("queued") == 4


def test_the_example_of_its_documentation_holds(project: Project) -> None:
    """As a reader would type it, in the root of a project."""
    test = doctest.DocTestFinder().find(resweep.generate, "generate", module=False)[0]
    said: list[str] = []
    with contextlib.chdir(project.root):
        results = doctest.DocTestRunner().run(test, out=said.append)
    assert (results.failed, results.attempted) == (0, 5), said


def test_a_notebook_below_the_root_finds_the_project(project: Project) -> None:
    """`base` is relative to where the notebook runs, as for any command."""
    (project.root / "notebooks").mkdir()
    with contextlib.chdir(project.root / "notebooks"):
        resweep.generate(TABLES, base="../base.jsonnet", name="rnn")
    assert len(project.capsules()) == 4


def test_the_project_may_be_named(project: Project, tmp_path: Path) -> None:
    """From anywhere; what was generated goes into that project alone."""
    with contextlib.chdir(tmp_path):
        resweep.generate(TABLES, base=project.root / "base.jsonnet", name="rnn", root=project.root)
    assert len(project.capsules()) == 4


def test_what_is_worth_a_word_is_a_warning(project: Project) -> None:
    """As a note of the command line, with the name of the sweep."""
    tables = {**TABLES, "hyper": {**TABLES["hyper"], "exclude": [{"params.lr": 7}]}}
    with contextlib.chdir(project.root), pytest.warns(UserWarning, match=r"rnn: .* matches no point"):
        resweep.generate(tables, base="base.jsonnet", name="rnn", dry_run=True)
    assert not (project.root / "config/generated").exists()


def test_numbers_of_numpy_are_numbers() -> None:
    """Arrays and scalars, as they stand in notebooks."""
    hyper = {"params.lr": numpy.array([0.1, 0.5]), "params.dim": [numpy.int64(3)], "params.x": range(2)}
    assert generate.read({"hyper": hyper}).hyper.raw == {
        "params.lr": [0.1, 0.5], "params.dim": [3], "params.x": [0, 1],
    }  # fmt: skip


_plain = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.\"' é", max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text("ab.\"' é", max_size=3), _plain, max_size=4))
def test_every_plain_dictionary_is_frozen_as_it_is(params: dict[str, Any]) -> None:
    """TOML and back: the same values, of the same types."""
    assert layout.canonical(generate.read({"params": params}).params) == layout.canonical(params)


_looped: list[Any] = []
_looped.append(_looped)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"lr": None}, "params.lr: found None, expected a value that TOML has; leave it out"),
        ({"lr": [1, {"x": {1, 2}}]}, "params.lr.x: found {1, 2}, expected a value that TOML has"),
        ({"lr": object}, "params.lr: found <class 'object'>"),
        ({"lr": float("nan")}, "params.lr: found nan, expected a value that jsonnet has"),
        ({"lr": datetime.date(2026, 1, 31)}, "params.lr: found datetime.date"),
        ({"lr": 2**60}, "expected at most 2^53"),
        ({3: 1}, "params: found the key 3, expected a text"),
        ({"lr": "\ud800"}, "expected text that UTF-8 has"),
        ({"lr": _looped}, "holds itself"),
    ],
)
def test_what_toml_cannot_hold_is_named(params: dict[Any, Any], says: str) -> None:
    """With its key, in one line."""
    with pytest.raises(ConfigError) as error:
        generate.read({"params": params})
    assert says in str(error.value)
    assert str(error.value).startswith("resweep.generate: ")
    assert "\n" not in str(error.value)


def test_mistakes_are_the_errors_of_the_command_line(project: Project) -> None:
    """Raised, not printed, and nothing is written."""
    with contextlib.chdir(project.root):
        with pytest.raises(ResweepError, match=r"resweep\.generate: hyper\.params\.lr: found an empty list"):
            resweep.generate({"hyper": {"params.lr": []}}, base="base.jsonnet", name="rnn")
        with pytest.raises(ConfigError, match="expected a dictionary of tables"):
            resweep.generate(SWEEP, base="base.jsonnet", name="rnn")  # type: ignore[arg-type]
    assert not (project.root / "config/generated").exists()


def test_importing_is_light_and_everything_public_is_there() -> None:
    """`import resweep` imports nothing else of the tool; what it offers is listed, and typed."""
    program = "import sys, resweep; print([name for name in sys.modules if name.startswith('resweep.')])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"
    assert set(resweep.__all__) <= set(dir(resweep))
    assert all(hasattr(resweep, name) for name in resweep.__all__)
    assert "return" in typing.get_type_hints(resweep.generate)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = resweep.nothing  # type: ignore[attr-defined]
