"""`resweep show`: what a trial was given, or a point would be given.

Code: cli/show
"""

from __future__ import annotations

import json
import tomllib

import pytest
from small_project import Project


@pytest.mark.parametrize("name", ["rnn#3", "{id}", "{id}/0", "config/generated/rnn/{id}/0"])
def test_a_trial_is_shown_by_any_of_its_names(swept: Project, name: str) -> None:
    """The bytes of its two files, each alone or both under their names."""
    entry = swept.entries()[2]
    capsule = swept.paths().capsule(entry.name)
    texts = [(capsule / f"{entry.id}.{suffix}").read_text() for suffix in ("toml", "json")]
    before = swept.tree()
    given = name.format(id=entry.id)
    assert [swept.resweep("show", given, f"--{kind}").ok().out for kind in ("toml", "json")] == texts
    said = swept.resweep("show", given).ok().out
    assert said.startswith(f"# rnn#3 {entry.name}  {entry.described()}: {entry.id}.toml\n{texts[0]}")
    assert said.endswith(f"\n# {entry.id}.json\n{texts[1]}")
    assert swept.tree() == before


@pytest.mark.slow
def test_a_point_is_what_its_trial_would_get(swept: Project) -> None:
    """Each point of the file, in order, is filled as generating fills it; nothing is written."""
    before = swept.tree()
    for number, entry in enumerate(swept.entries(), 1):
        capsule = swept.paths().capsule(entry.name)
        point = ("show", "config/rnn.toml", "base.jsonnet", "--point", str(number))
        assert swept.resweep(*point, "--json").ok().out == (capsule / f"{entry.id}.json").read_text()
        toml = (capsule / f"{entry.id}.toml").read_text()
        assert swept.resweep(*point, "--toml").ok().out == toml.partition("\n\n")[2]
        assert f"# point {number} of config/rnn.toml  {entry.described()}\n" in swept.resweep(*point).ok().out
    assert swept.tree() == before


def test_overrides_and_the_first_point(project: Project) -> None:
    """--set counts, the first point is the default, and without BASE the configuration alone is shown."""
    said = project.resweep("show", "config/rnn.toml", "--set", "params.sleep=2", "--toml").ok().out
    assert tomllib.loads(said) == {"params": {"lr": 0.1, "dropout": 0.3, "sleep": 2}}
    filled = project.resweep("show", "config/rnn.toml", "base.jsonnet", "--set", "seed=3", "--json").ok().out
    assert json.loads(filled)["seed"] == 3
    assert not (project.root / "config/generated").exists()


def test_what_slurm_is_asked_for_is_named_and_no_part_of_it(project: Project) -> None:
    """A swept slurm.mem stands in the title alone."""
    text = '[hyper]\n"params.lr, slurm.mem" = [[1, "8g"], [2, "32g"]]\n[slurm]\nmem = "1g"\n'
    project.write({"config/rnn.toml": text})
    said = project.resweep("show", "config/rnn.toml", "--point", "2").ok().out
    assert said == '# point 2 of config/rnn.toml  params.lr=2 slurm.mem="32g"\n[params]\nlr = 2\n'


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rnn"], "names 4 trials, expected one, such as rnn#1"),
        (["rnn#9"], "has no trial number 9"),
        (["nope"], "found no such sweep or trial"),
        (["rnn#1", "--point", "2"], "is a trial, whose values are fixed"),
        (["rnn#1", "--set", "params.lr=1"], "is a trial, whose values are fixed"),
        (["rnn#1", "--json", "--toml"], "expected one of them"),
        (["config/nope.toml"], "config/nope.toml: no such file"),
        (["config/rnn.toml", "nope.jsonnet"], "nope.jsonnet: no such file"),
        (["config/rnn.toml", "--json"], "expects the jsonnet (or JSON) file to fill, too"),
        (["config/rnn.toml", "--point", "5"], "--point: found 5, expected at most 4"),
        (["config/rnn.toml", "--point", "0"], "--point"),
        (["config/rnn.toml", "--set", "parms.lr=1"], "parms.lr names nothing"),
        (["config/rnn.toml", "base.jsonnet", "--set", "params.nope=1"], "nope"),
    ],
)
def test_mistakes_are_named(swept: Project, arguments: list[str], says: str) -> None:
    """With status 2, and nothing on stdout."""
    result = swept.resweep("show", *arguments)
    assert (result.status, result.out) == (2, "")
    assert says in result.err


def test_a_trial_that_lost_its_file_is_named(swept: Project) -> None:
    """In one line."""
    entry = swept.entries()[0]
    (swept.paths().capsule(entry.name) / f"{entry.id}.toml").unlink()
    result = swept.resweep("show", "rnn#1")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "expected a file of the trial" in result.err


def test_a_point_of_a_draw_is_shown(project: Project) -> None:
    """The one that generating would draw."""
    hyper = '[hyper]\n"params.lr" = { uniform = [0, 1] }\n[search]\nmethod = "random"\nn = 3\n'
    project.write({"config/rnn.toml": hyper})
    project.generate("--no-slurm-job").ok()
    shown = tomllib.loads(project.resweep("show", "config/rnn.toml", "--point", "3", "--toml").ok().out)
    assert shown == {"params": {"lr": project.entries()[2].swept["params.lr"]}}
