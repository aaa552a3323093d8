"""`[ext_vars]` and libraries: what a template written for AllenNLP reads from outside.

Code: sweep/ext_vars, generation/fill, generation/template
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from planned import Sweep
from small_project import Project

from resweep.errors import ConfigError, TemplateError
from resweep.generation import fill
from resweep.generation.template import FillError, Template
from resweep.sweep import definition

# what AllenTune's own example does: numbers are read out of texts
ALLENNLP = """\
local EPOCHS = std.parseInt(std.extVar("EPOCHS"));
local libs = import "sizes.libsonnet";
{ trainer: { num_epochs: EPOCHS, lr: std.extVar("LR") }, hidden: libs.hidden,
  numpy_seed: std.parseJson(std.extVar("SEED")) }
"""


@pytest.fixture
def rnn(tmp_path: Path) -> Sweep:
    """A sweep whose template takes nothing but external variables."""
    found = Sweep(tmp_path)
    (tmp_path / "base.jsonnet").write_text('{ lr: std.extVar("LR"), data: std.extVar("DATA") }')
    found.text = '[hyper]\n"ext_vars.LR" = [0.1, 1e-5, "big", true, [1, 2], 2026-01-01, inf]\n'
    found.text += '[ext_vars]\nDATA = "here"\n'
    return found


def filled(rnn: Sweep) -> list[Any]:
    """The configuration of every trial, in order."""
    return [each.filled for each in rnn.frozen()[1]]


@pytest.mark.slow
def test_values_are_texts_as_allennlp_gives_them(rnn: Sweep) -> None:
    """A text as it is, everything else as JSON; swept ones and those of the table, each in its own trial."""
    texts = ["0.1", "1e-05", "big", "true", "[1, 2]", "2026-01-01", "inf"]
    assert filled(rnn) == [{"lr": text, "data": "here"} for text in texts]


@pytest.mark.slow
def test_they_are_part_of_the_configuration_and_of_the_id(rnn: Sweep) -> None:
    """A trial's TOML has them, and another value is another trial, even where the template does not read it."""
    rnn.text = '[ext_vars]\nLR = "1"\nDATA = "here"\nMORE = 3\n'
    (first,) = rnn.frozen()[1]
    assert first.config["ext_vars"] == {"LR": "1", "DATA": "here", "MORE": 3}
    rnn.text = rnn.text.replace("3", "4")
    (second,) = rnn.frozen()[1]
    assert second.entry.id != first.entry.id
    assert second.filled == first.filled


@pytest.mark.slow
def test_a_trial_gets_its_seed_as_an_external_variable(rnn: Sweep) -> None:
    """Where seed_params names one; each repeat gets its own, and a point of the sweep may vary beside it."""
    (rnn.root / "base.jsonnet").write_text('{ lr: std.extVar("LR"), seed: std.parseInt(std.extVar("SEED")) }')
    rnn.text = 'n_trials = 2\nseed = 5\nseed_params = ["ext_vars.SEED"]\n[hyper]\n"ext_vars.LR" = ["a", "b"]\n'
    assert filled(rnn) == [{"lr": lr, "seed": seed} for lr in "ab" for seed in (5, 6)]


@pytest.mark.slow
def test_repeats_that_no_seed_reaches_are_refused(rnn: Sweep) -> None:
    """Whether nobody names an external variable for it, the template does not read it, or it is given."""
    rnn.text = "n_trials = 2\n[ext_vars]\nLR = 1\nDATA = 1\n"
    with pytest.raises(ConfigError, match=r"n_trials: found 2, expected 1: no seed can reach .*ext_vars\.SEED"):
        rnn.frozen()
    rnn.text = 'seed_params = ["ext_vars.SEED"]\n' + rnn.text
    with pytest.raises(ConfigError, match="no seed can reach"):
        rnn.frozen()
    rnn.text += "SEED = 3\n"
    with pytest.raises(ConfigError, match=r"ext_vars\.SEED is given, so every trial would run with one seed"):
        rnn.frozen()


@pytest.mark.slow
def test_one_that_is_missing_is_named_with_what_to_write(rnn: Sweep) -> None:
    """The message has the trial, the variable and both ways to give it."""
    rnn.text = '[hyper]\n"ext_vars.LR" = [1]\n'
    with pytest.raises(FillError) as caught:
        rnn.frozen()
    said = str(caught.value)
    assert 'std.extVar("DATA") is not set; add DATA = ... to [ext_vars], or DATA = { env = "DATA" }' in said
    assert "(in the trial ext_vars.LR=1)" in said


@pytest.mark.slow
def test_a_swept_one_that_nobody_reads_is_said(rnn: Sweep) -> None:
    """Its values would change nothing; one that is read is not worth a word."""
    rnn.text = '[hyper]\n"ext_vars.LR" = [1, 2]\n"ext_vars.lr" = [1, 2]\n[ext_vars]\nDATA = 1\n'
    (note,) = fill.doubts(rnn.frozen()[0])
    assert note.startswith("ext_vars.lr: ")
    assert note.endswith("never reads it, so its values have no effect")


def test_what_the_environment_says_is_fixed_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is taken to the letter, stays what it was where the definition is read again, and has a default."""
    text = '[ext_vars]\nDATA = { env = "WHERE" }\nMORE = { env = "NOWHERE", default = "a" }\nX = 1\n'
    monkeypatch.setenv("WHERE", 'a "b"\n\\c $(d)')
    first = definition.parse(text, "x.toml")
    assert first.config["ext_vars"] == {"DATA": 'a "b"\n\\c $(d)', "MORE": "a", "X": 1}
    monkeypatch.setenv("WHERE", "other")
    assert definition.parse(text, "x.toml", first.overrides).config == first.config


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('DATA = { env = "NOT_SET" }', "x.toml: ext_vars.DATA: the variable NOT_SET is not set; export it, or add"),
        ("DATA = { a = 1 }", 'x.toml: ext_vars.DATA: found a table, expected a value, or { env = "NAME"'),
        ("DATA = { env = 1 }", "x.toml: ext_vars.DATA: found a table"),
        ('"a.b" = 1', "x.toml: ext_vars: found 'a.b', expected a name without '.'"),
        ('LR = { env = "HOME" }', "x.toml: ext_vars.LR: is swept by [hyper], expected a value here, or nothing"),
        ('BYTES = { env = "BYTES" }', "x.toml: ext_vars.BYTES: the variable BYTES is not UTF-8"),
    ],
)
def test_what_is_wrong_with_one_is_one_line(text: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """File, key, found and expected."""
    monkeypatch.setenv("BYTES", "\udcff")
    with pytest.raises(ConfigError) as caught:
        definition.parse(f'[hyper]\n"ext_vars.LR" = [1]\n[ext_vars]\n{text}\n', "x.toml")
    assert str(caught.value).startswith(says)


def test_only_whole_variables_are_swept() -> None:
    """Neither the table, nor what lies inside a variable."""
    for key, says in (("ext_vars", "is a whole table"), ("ext_vars.A.b", "expected an external variable")):
        with pytest.raises(ConfigError, match=says):
            definition.parse(f'[hyper]\n"{key}" = [1]\n', "x.toml")
    with pytest.raises(ConfigError, match="ext_vars: found 3, expected a table"):
        definition.parse("ext_vars = 3\n", "x.toml")


# --- libraries -------------------------------------------------------------------------------------------------------


def template(root: Path, *jpath: str, base: str = "base.jsonnet") -> Template:
    """The project's template, with these folders of libraries."""
    asked = definition.parse(f"[jsonnet]\njpath = {json.dumps(jpath)}\n", "x.toml")
    return fill.template(root, asked, root / base)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of libraries beside the project, where a library imports its neighbour."""
    folder = tmp_path / "vendor"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.libsonnet").write_text('{ a: "vendor", b: import "deep/b.libsonnet" }')
    (folder / "deep" / "b.libsonnet").write_text('importstr "../c.txt"')
    (folder / "c.txt").write_text("c")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project whose template imports a library that is not beside it."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "base.jsonnet").write_text('import "a.libsonnet"')
    return root


@pytest.mark.slow
def test_imports_are_found_in_the_listed_folders_in_their_order(
    home: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the file first, then in those of jpath, then in those of JSONNET_PATH."""
    vendor = {"a": "vendor", "b": "c"}
    assert template(home, "../vendor").fill([{}])[0] == [vendor]
    monkeypatch.setenv("JSONNET_PATH", f"{home / 'none'}:{outside}")
    assert template(home).fill([{}])[0] == [vendor]
    (home / "lib").mkdir()
    (home / "lib" / "a.libsonnet").write_text('"lib"')
    assert template(home, "lib").fill([{}])[0] == ["lib"]
    (home / "a.libsonnet").write_text('"beside"')
    assert template(home, "lib").fill([{}])[0] == ["beside"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("crossed", ["project/base.jsonnet", "vendor/a.libsonnet", "vendor/deep/b.libsonnet", "vendor/c.txt"]),
        ("../vendor", ["base.jsonnet", ".library/0/a.libsonnet", ".library/0/deep/b.libsonnet", ".library/0/c.txt"]),
        ("lib", ["base.jsonnet", "lib/a.libsonnet", "lib/deep/b.libsonnet", "lib/c.txt"]),
    ],
)
def test_libraries_are_frozen_with_the_template(
    home: Path, outside: Path, tmp_path: Path, where: str, names: list[str]
) -> None:
    """What is frozen fills the same from its own folder when the libraries are gone; no name leads out of it."""
    if where == "lib":
        outside.rename(home / "lib")
    if where == "crossed":
        (home / "base.jsonnet").write_text('import "../vendor/a.libsonnet"')
    first = template(home, "../vendor" if where == "crossed" else where)
    (value,) = first.fill([{}])[0]
    files, libraries = fill.sources(first), fill.library(first)
    assert list(files) == names
    folder = tmp_path / "generations" / "1"
    for name, data in files.items():
        (folder / "base" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "base" / name).write_bytes(data)
    record = {"library": [f"base/{name}" for name in libraries]}
    (folder / "generation.json").write_text(json.dumps(record))
    first.sources.clear()
    for path in (*home.rglob("*.libsonnet"), *outside.rglob("*.libsonnet")):
        path.write_text("error 'gone'")
    assert fill.template(home, definition.parse("", "x"), folder / "base" / names[0]).fill([{}])[0] == [value]


@pytest.mark.slow
def test_a_library_that_nothing_is_read_from_is_not_frozen(home: Path, outside: Path) -> None:
    """JSONNET_PATH of somebody else makes no difference."""
    (home / "base.jsonnet").write_text("{}")
    read = template(home, "../vendor")
    read.fill([{}])
    assert fill.library(read) == []


@pytest.mark.slow
@pytest.mark.parametrize("form", ["import", "importstr"])
def test_no_file_of_another_place_is_read(home: Path, outside: Path, form: str) -> None:
    """Neither by an absolute path nor by a relative one; so none of them gets into a capsule."""
    for path, says in (
        (outside / "c.txt", "absolute imports are not allowed"),
        (Path("../vendor/c.txt"), "outside the project"),
        (Path("/etc/hostname"), "absolute imports are not allowed"),
    ):
        (home / "base.jsonnet").write_text(f'{form} "{path}"')
        with pytest.raises(TemplateError, match=says):
            template(home).fill([{}])


@pytest.mark.slow
def test_a_sweep_written_for_allennlp_is_generated_and_promoted(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its template as it is; what the environment said and what a library held stay what they were."""
    project.write(
        {
            "base.jsonnet": ALLENNLP,
            "lib/sizes.libsonnet": "{ hidden: 32 }",
            "config/rnn.toml": """\
n_trials = 2
seed_params = ["ext_vars.SEED"]
[jsonnet]
jpath = ["lib"]
[hyper]
"ext_vars.LR" = [0.1, 0.01]
[ext_vars]
EPOCHS = { env = "EPOCHS" }
""",
        }
    )
    assert "the variable EPOCHS is not set" in project.generate().err
    monkeypatch.setenv("EPOCHS", "3")
    assert "4 new trials" in project.generate().ok().out
    monkeypatch.delenv("EPOCHS")
    shown = json.loads(project.resweep("show", "rnn#2", "--json").ok().out)
    assert shown == {"trainer": {"num_epochs": 3, "lr": "0.1"}, "hidden": 32, "numpy_seed": 1}
    project.write({"lib/sizes.libsonnet": "{ hidden: 64 }"})
    project.resweep("promote", "rnn#3", "--as", "again", "--frozen-source").ok()
    assert json.loads(project.resweep("show", "again#1", "--json").ok().out)["hidden"] == 32
    project.resweep("verify", "rnn").ok()
    project.resweep("verify", "again").ok()


@pytest.mark.slow
@pytest.mark.parametrize("swept", ["ext_vars.LR", "params.x"])
def test_a_search_gives_them_to_each_trial(project: Project, swept: str) -> None:
    """Whether they are searched themselves or stand beside what is; the environment of the workers says nothing."""
    project.write(
        {
            "base.jsonnet": """\
local lr = std.parseJson(std.extVar("LR"));
function(x=1) { lr: lr, x: x, seed: std.parseInt(std.extVar("SEED")) }
""",
            "config/rnn.toml": f"""\
seed_params = ["ext_vars.SEED"]
seed = 4
[search]
method = "tpe"
n = 3
[results]
metric = "best_validation_accuracy"
[hyper]
"{swept}" = {{ uniform = [0.25, 0.5] }}
[ext_vars]
{"LR = 0.125" if swept == "params.x" else "OTHER = 1"}
""",
        }
    )
    project.generate().ok()
    project.resweep("run", "rnn", "--jobs", "1").ok()
    rows = [json.loads(project.resweep("show", f"rnn#{number}", "--json").ok().out) for number in (1, 2, 3)]
    assert [row["seed"] for row in rows] == [4, 4, 4]
    assert len({row["lr"] for row in rows}) == (3 if swept == "ext_vars.LR" else 1)
    assert all(0.125 <= row["lr"] <= 0.5 for row in rows)
