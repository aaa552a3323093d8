"""Every mistake that a person can make: one line that names it, exit status 2, and nothing written.

Code: errors, sweep/toml_reader, sweep/definition, project, cli/__init__, cli/generate
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_project import SWEEP, Project

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "{}"\n[project]\nname = "qb"\nversion = "1"\n'


def tree(project: Project) -> dict[str, object]:
    """Every file with its bytes and every directory of the project."""
    return {**project.tree(), **{str(path): None for path in project.root.rglob("*") if path.is_dir()}}


def refused(project: Project, *arguments: str, says: tuple[str, ...]) -> list[str]:
    """Check that a command is refused as it should be, and return the lines of detail."""
    before = tree(project)
    result = project.resweep(*arguments)
    assert result.status == 2, result
    assert result.out == ""
    first, *detail = result.err.splitlines()
    assert first.startswith("resweep: ")
    assert all(line.startswith("    ") for line in detail)
    for part in says:
        assert part in first
    assert tree(project) == before
    return [line[4:] for line in detail]


def params(line: str) -> str:
    """A sweep's TOML with one more line in [params]."""
    return f"{SWEEP}{line}\n"


# what is wrong -> the TOML file, and what the line has to say: key, found, expected
def random(axis: str, rest: str = "n = 2") -> str:
    """A sweep that draws one parameter."""
    return f"[hyper]\n'params.lr' = {axis}\n[search]\nmethod = 'random'\n{rest}\n"


TOML = {
    "TOML syntax": ('[hyper\n"params.lr" = [1]', ["not valid TOML", "line 1"]),
    "a key that stands twice": ("[params]\nlr = 1\nlr = 2\n", ["not valid TOML", "line 3"]),
    "values that are no list": ('[hyper]\n"params.lr" = 0.1\n', ["hyper.params.lr", "0.1", "expected a list"]),
    "values that are a text": ("[hyper]\nparams.lr = 'ab'\n", ["hyper.params.lr", "'ab'", "expected a list"]),
    "an empty list": ('[hyper]\n"params.lr" = []\n', ["hyper.params.lr", "empty list", "at least one value"]),
    "hyper that is no table": ("hyper = 3\n", ["hyper", "found 3", "one table, [hyper]", "[[hyper]]"]),
    "a zip of unequal lengths": (
        "[hyper]\n'params.lr, params.dropout' = [[0.1, 0.2], [0.3]]\n",
        ["hyper.params.lr, params.dropout: value 2", "found [0.3]", "a list of 2 values"],
    ),
    "a zip that is no list of lists": ("[hyper]\n'params.lr, params.dropout' = [1, 2]\n", ["value 1", "found 1"]),
    "a key alone and zipped": (
        "[hyper]\n'params.lr' = [1]\n'params.lr, params.dropout' = [[1, 2]]\n",
        ["hyper.params.lr", "twice", "zipped"],
    ),
    "a range without a step": ("[hyper]\n'params.lr' = { range = [0, 1] }\n", ["params.lr.range", "found 2", "step"]),
    "a range that leads nowhere": ("[hyper]\n'params.lr' = { range = [0, 1, -1] }\n", ["[0, 1, -1]", "leads"]),
    "a range of no step": ("[hyper]\n'params.lr' = { range = [0, 1, 0] }\n", ["[0, 1, 0]", "leads"]),
    "a logspace through zero": ("[hyper]\n'params.lr' = { logspace = [0, 1, 3] }\n", ["both are above 0"]),
    "powers of what is none": ("[hyper]\n'params.lr' = { powers_of_two = [3, 8] }\n", ["[3, 8]", "powers of two"]),
    "an unknown form": (
        "[hyper]\n'params.lr' = { uniform = [0, 1], steps = 3 }\n",
        ["hyper.params.lr", "uniform, steps", "expected one of range"],
    ),
    "a distribution in a grid": (
        "[hyper]\n'params.lr' = { uniform = [0, 1] }\n",
        ["hyper", "distributions", 'method = "random"'],
    ),
    "an exclusion of everything": (
        "[hyper]\n'params.lr' = [1, 2]\nexclude = [{ 'params.lr' = 1 }, { 'params.lr' = 2.0 }]\n",
        ["hyper.exclude", "no point"],
    ),
    "an exclusion of what is not swept": (
        "[hyper]\n'params.lr' = [1, 2]\nexclude = [{ 'params.dropout' = 1 }]\n",
        ["hyper.exclude", "table 1", "params.dropout is not swept", "params.lr"],
    ),
    "an exclusion that is no table": ("[hyper]\n'params.lr' = [1]\nexclude = [3]\n", ["hyper.exclude", "found [3]"]),
    "a default that is not true or false": ("[hyper]\n'params.lr' = [1]\ninclude_default = 1\n", ["include_default"]),
    "random without n": (random("[1, 2]", ""), ["search.n", "missing"]),
    "random with nothing to draw": ('[search]\nmethod = "random"\nn = 3\n', ["hyper", "nothing to draw"]),
    "more points than there are": (random("[1, 2]", "n = 3"), ["search.n", "found 3", "at most 2"]),
    "a distribution with swapped bounds": (random("{ uniform = [1, 0] }"), ["uniform", "[1, 0]", "low is below high"]),
    "a logarithmic distribution through zero": (random("{ loguniform = [0, 1] }"), ["loguniform", "above 0"]),
    "make_output that is no answer": (
        "[run]\nmake_output = 1\n" + SWEEP,
        ["run.make_output", "found 1", "true or false"],
    ),
    "cards below none": ("[run]\ngpus = -1\n" + SWEEP, ["run.gpus", "found -1", "0, 1, 2"]),
    "a randint of fractions": (random("{ randint = [0, 1.5] }"), ["randint", "whole numbers"]),
    "a normal that does not spread": (random("{ normal = [0, 0] }"), ["normal", "deviation"]),
    "a lognormal beyond all numbers": (random("{ lognormal = [900, 1] }"), ["lognormal", "no computer holds"]),
    "a distribution of an endless number": (random("{ uniform = [0, 1" + "0" * 400 + "] }"), ["uniform", "2^53"]),
    "a step of a fraction for whole numbers": (random("{ randint = [0, 9], step = 0.5 }"), ["step", "whole number"]),
    "a step that is too long": (random("{ uniform = [0, 1], step = 2 }"), ["step", "found 2", "width of its range"]),
    "every point excluded from the draws": (random("[1]\nexclude = [{ 'params.lr' = 1 }]", "n = 1"), ["no point"]),
    "a distribution for Slurm": (
        "[hyper]\n'slurm.mem' = { choice = ['1g'] }\n[slurm]\nmem = '1g'\n[search]\nmethod = 'random'\nn = 1\n",
        ["hyper.slurm.mem", "found a distribution", "expected a list"],
    ),
    "an empty table for values": ("[hyper]\n'params.lr' = {}\n", ["hyper.params.lr", "an empty table", "uniform"]),
    "two forms at once": (random("{ uniform = [0, 1], range = [0, 1, 1] }"), ["uniform, range", "expected one of"]),
    "a key zipped with itself": ("[hyper]\n'params.lr, params.lr' = [[1, 2]]\n", ["params.lr twice", "once"]),
    "powers of two beyond jsonnet": ("[hyper]\n'params.lr' = { powers_of_two = [4, 1152921504606846976] }\n", ["2^53"]),
    "a step of nothing": (random("{ uniform = [0, 1], step = 0 }"), ["step", "found 0", "above 0"]),
    "a step of a choice": (random("{ choice = [1], step = 1 }"), ["choice", "step"]),
    "a choice of nothing": (random("{ choice = [] }"), ["choice", "empty list"]),
    "weights of another number": (random("{ choice = [1, 2], weights = [1] }"), ["weights", "2 numbers"]),
    "weights below zero": (random("{ choice = [1, 2], weights = [1, -1] }"), ["weights", "none below 0"]),
    "a search of another kind": (
        '[search]\nmethod = "magic"\n' + SWEEP,
        ["search.method", '"magic"'.replace('"', "'"), "grid"],
    ),
    "a number of points of a grid": ("[search]\nn = 3\n" + SWEEP, ["search.n", "no meaning for a grid"]),
    "an empty table inside hyper": ("[hyper.params]\n", ["hyper.params", "whole table", "a key in it"]),
    "a key both quoted and not": ("[hyper]\nparams.lr = [1]\n'params.lr' = [1]\n", ["hyper.params.lr", "twice"]),
    "keys that overlap": ("[hyper]\n'params.a' = [1]\n'params.a.b' = [1]\n", ["params.a.b", "inside hyper.params.a"]),
    "the whole of [params] swept": ("[hyper]\nparams = [1, 2]\n", ["hyper.params", "whole table", "a key in it"]),
    "the whole of [slurm] swept": ("[hyper]\nslurm = [{mem = '8g'}]\n", ["hyper.slurm", "whole table"]),
    "a setting of the tool swept": ("[hyper]\nn_trials = [1, 2]\n", ["hyper.n_trials", "tool's own setting"]),
    "a table of the tool swept": ("[hyper]\n'run.python' = ['a']\n", ["hyper.run.python", "tool's own setting"]),
    "a parameter that nothing takes": (
        '[hyper]\n"params.rate" = [1]\n[params]\nlr = 1\n',
        ["base.jsonnet", "no parameter rate", "params.rate"],
    ),
    "a parameter of [params] that nothing takes": (params("rate = 1"), ["base.jsonnet", "no parameter rate"]),
    "a dotted key into nothing": ('[hyper]\n"model.dim" = [1]\n[model]\nsize = 1\n', ["hyper.model.dim", "nothing"]),
    "a misspelt nested key": (
        '[hyper]\n"model.encodr.dim" = [1]\n[model.encoder]\ndim = 1\n',
        ["hyper.model.encodr.dim", "names nothing"],
    ),
    "a key inside a value": ('[hyper]\n"params.lr.x" = [1]\n[params]\nlr = 1\n', ["params.lr.x", "names nothing"]),
    "a key of no table": ("[hyper]\nlr = [1]\n[params]\nlr = 1\n", ["hyper.lr", "names nothing"]),
    "a parameter that nothing gives": ("[params]\ndropout = 0.1\n", ["base.jsonnet", "needs lr", "[params]"]),
    "a parameter with a dash": (params("batch-size = 1"), ["params.batch-size", "use letters"]),
    "a parameter that is a word of jsonnet": (params("self = 1"), ["params.self", "use letters"]),
    "n_trials of 0": ("n_trials = 0\n" + SWEEP, ["n_trials", "found 0", "1 or more"]),
    "n_trials that is true": ("n_trials = true\n" + SWEEP, ["n_trials", "found True", "a whole number"]),
    "n_trials that is a text": ('n_trials = "3"\n' + SWEEP, ["n_trials", "found '3'", "a whole number"]),
    "n_trials of one and a half": ("n_trials = 1.5\n" + SWEEP, ["n_trials", "found 1.5", "a whole number"]),
    "a negative seed": ("seed = -1\n" + SWEEP, ["seed", "found -1", "0 or more"]),
    "no threads": ("threads = 0\n" + SWEEP, ["threads", "found 0", "1 or more"]),
    "a swept number of threads that is none": (
        "[hyper]\nthreads = [1, 0]\n[params]\nlr = 1\n",
        ["hyper.threads", "found 0", "1 or more"],
    ),
    "repeats with a seed in [params]": (
        "n_trials = 2\n" + params("random_seed = 1"),
        ["n_trials", "found 2", "params.random_seed"],
    ),
    "repeats with a swept seed": (
        'n_trials = 2\n[hyper]\n"params.random_seed" = [1, 2]\n[params]\nlr = 1\n',
        ["n_trials", "found 2", "params.random_seed"],
    ),
    "repeats whose seed reaches nothing": (
        'n_trials = 2\nseed_params = ["torch_seed"]\n' + SWEEP,
        ["n_trials", "found 2", "no seed can reach", "torch_seed"],
    ),
    "an unknown key of [data]": (params("[data]\nfile = []"), ["data.file", "unknown key", "files"]),
    "a wrong type in [data]": (params("[data]\nfiles = 'x'"), ["data.files", "'x'", "list of texts"]),
    "data that is nowhere": (params("[data]\nfiles = ['data/*.json']"), ["data.files", "no file", "data/*.json"]),
    "an unknown key of [run]": (params("[run]\npyton = 'x'"), ["run.pyton", "unknown key", "python"]),
    "an unknown key of [snapshot]": (params("[snapshot]\nincludes = []"), ["snapshot.includes", "unknown", "include"]),
    "an unknown key of [results]": (params("[results]\nmetrics = 'x'"), ["results.metrics", "unknown key", "metric"]),
    "a wrong type in [run]": (params("[run]\npython = 3"), ["run.python", "found 3", "a text"]),
    "[run] that is no table": ("run = 'python'\n" + SWEEP, ["run", "'python'", "[run]"]),
    "a wrong type in [snapshot]": (params("[snapshot]\ninclude = 'x'"), ["snapshot.include", "'x'", "list of texts"]),
    "a wrong item in [snapshot]": (params("[snapshot]\nexclude = [1]"), ["snapshot.exclude", "[1]", "list of texts"]),
    "an unknown source": (params("[snapshot]\nfrom = 'svn'"), ["snapshot.from", "'svn'", '"build" or "git"']),
    "a wrong type in [results]": (params("[results]\nmetric = 1"), ["results.metric", "found 1", "a text"]),
    "a pattern that is none": (params("[results]\npattern = '('"), ["results.pattern", "'('", "regular expression"]),
    "a pattern without a name": (params("[results]\npattern = 'a=(.*)'"), ["results.pattern", "named group"]),
    "a pattern of steps alone": (params("[results]\npattern = '(?P<epoch>.)'"), ["results.pattern", "named group"]),
    "a mode that is none": (params("[results]\nmode = 'up'"), ["results.mode", "'up'", '"max" or "min"']),
    "a wrong type in [slurm]": (params("[slurm]\nmem = [[1]]"), ["slurm.mem", "found [[1]]", "expected a text"]),
    "an option that sbatch cannot have": (params("[slurm]\n'a b' = 1"), ["slurm.a b", "option of sbatch"]),
    "a line break in [slurm]": (params("[slurm]\ncomment = 'a\\nb'".replace("'", '"')), ["slurm.comment", "one line"]),
    "params that are no table": ("params = 3\n", ["params", "found 3", "[params]"]),
    "an interpreter that is nowhere": (params("[run]\npython = 'no-such-python'"), ["run.python", "'no-such-python'"]),
    "an interpreter at no path": (params("[run]\npython = 'env/bin/python'"), ["run.python", "'env/bin/python'"]),
    "an include that matches nothing": (params("[snapshot]\ninclude = ['x/*.py']"), ["snapshot.include", "'x/*.py'"]),
    "an absolute include": (params("[snapshot]\ninclude = ['/etc/hosts']"), ["snapshot.include", "'/etc/hosts'"]),
    "an include from outside": (params("[snapshot]\ninclude = ['../x']"), ["snapshot.include", "'../x'", "inside"]),
    "an include that is no pattern": (params("[snapshot]\ninclude = ['**.py']"), ["snapshot.include", "'**.py'"]),
    "an include of the whole project": (params("[snapshot]\ninclude = ['.']"), ["snapshot.include", "'.'"]),
    "an include of train.sh": (params("[snapshot]\ninclude = ['train.sh']"), ["snapshot", "train.sh", "a trial's own"]),
    "an include of manifest.json": (
        params("[snapshot]\ninclude = ['manifest.json']"),
        ["snapshot", "manifest.json", "a trial's own"],
    ),
    "points that differ only for Slurm": (
        '[hyper]\n"slurm.mem" = ["8g", "16g"]\n[params]\nlr = 1\n[slurm]\nmem = "8g"\n',
        ["hyper.slurm.mem", '"8g" and "16g"', "expected each trial once"],
    ),
    "inf": (params("dropout = inf"), ["params.dropout", "found inf", "no dates, inf or nan"]),
    "nan in a list": (params("dropout = [[nan]]"), ["params.dropout", "found nan", "no dates, inf or nan"]),
    "a date": (params("dropout = 2020-01-01"), ["params.dropout", "2020", "no dates"]),
    "a swept time": ('[hyper]\n"params.lr" = [1, 07:32:00]\n', ["hyper.params.lr", "time", "no dates"]),
    "a whole number over 2^53": (params("dropout = 9007199254740993"), ["params.dropout", "9007199254740993", "2^53"]),
    "a swept number over 2^53": ('[hyper]\n"params.lr" = [{a = -9007199254740993}]\n', ["hyper.params.lr.a", "2^53"]),
    "an unknown key of [search]": ("[search]\ntrials = 3\n" + SWEEP, ["search.trials", "unknown key"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", TOML)
def test_a_mistake_in_the_toml_file_is_named(project: Project, what: str) -> None:
    """One line names the file (or the template), the key, what was found and what was expected."""
    text, says = TOML[what]
    project.write({"config/rnn.toml": text, "manifest.json": "{}"})
    file = "base.jsonnet" if says[0] == "base.jsonnet" else "params." if "dash" in what or "word of" in what else None
    refused(project, "config/rnn.toml", "base.jsonnet", "rnn", says=(file or "config/rnn.toml: ", *says))


def test_a_file_that_is_not_utf_8_is_named(project: Project) -> None:
    """A Latin-1 file is refused with the place of the first wrong byte."""
    (project.root / "config/rnn.toml").write_bytes("# für\n".encode("latin-1"))
    refused(project, "config/rnn.toml", "base.jsonnet", "rnn", says=("config/rnn.toml", "byte 3", "UTF-8"))


@pytest.mark.parametrize("config", ["config/none.toml", "config", "config/rnn.toml/x", "x" * 300])
def test_a_config_that_is_no_file_is_named(project: Project, config: str) -> None:
    """CONFIG may be missing, a directory, below a file or no possible name."""
    refused(project, config, "base.jsonnet", "rnn", says=(config, "expected the TOML file of a sweep"))


@pytest.mark.parametrize("base", ["none.jsonnet", "config", "base.jsonnet/x"])
def test_a_base_that_is_no_file_is_named(project: Project, base: str) -> None:
    """BASE may be missing, a directory or below a file."""
    refused(project, "config/rnn.toml", base, "rnn", says=(f"{base}: no such file", "expected the jsonnet"))


@pytest.mark.parametrize(
    "name", ["a/b", "/abs", "..", ".", "a..b", ".hidden", "a b", "-x", "", "x" * 101, "ünder", "a\nb", "$(x)", "a#1"]
)
def test_a_name_that_cannot_name_a_sweep_is_refused(project: Project, name: str) -> None:
    """NAME is one plain word: what it becomes is a directory, a script and a word on command lines."""
    refused(project, "generate", "--", "config/rnn.toml", "base.jsonnet", name, says=(repr(name), "expected letters"))


def test_params_for_a_plain_object_are_refused(project: Project) -> None:
    """A template that is no function takes nothing, and the message says what to do."""
    project.write({"base.jsonnet": "{ lr: 1 }"})
    refused(
        project, "config/rnn.toml", "base.jsonnet", "rnn", says=("base.jsonnet", "plain object", "lr", "function(...)")
    )


def test_repeats_of_a_plain_object_are_refused(project: Project) -> None:
    """No seed reaches what takes no parameter."""
    project.write({"base.jsonnet": "{ lr: 1 }", "config/rnn.toml": "n_trials = 3\n"})
    says = ("config/rnn.toml: n_trials", "found 3", "no seed can reach base.jsonnet")
    refused(project, "config/rnn.toml", "base.jsonnet", "rnn", says=says)


def test_a_syntax_error_of_jsonnet_comes_with_its_place(project: Project) -> None:
    """jsonnet's own words are the line, and are not said again below it."""
    project.write({"base.jsonnet": "function(lr, dropout) {\n  lr: lr,\n  dropout dropout,\n}"})
    detail = refused(project, "config/rnn.toml", "base.jsonnet", "rnn", says=("base.jsonnet:3:11",))
    assert detail == []


@pytest.mark.slow
def test_a_jsonnet_error_in_one_of_many_points_names_the_trial(project: Project) -> None:
    """The swept values of the first trial that fails, and jsonnet's trace with the line of the template."""
    project.write(
        {"base.jsonnet": "function(lr, dropout)\n  if lr > 0.1 && dropout > 0.3 then error 'too wild' else {}"}
    )
    says = ("base.jsonnet: too wild", "params.dropout=0.4 params.lr=0.2", "jsonnet says:")
    detail = refused(project, "config/rnn.toml", "base.jsonnet", "rnn", says=says)
    assert not any("too wild" in line for line in detail)
    assert any("base.jsonnet:2" in line for line in detail)


@pytest.mark.slow
def test_a_missing_import_is_named(project: Project) -> None:
    """The file that is not there, and the one that wants it."""
    project.write({"base.jsonnet": "function(lr, dropout) import 'none.libsonnet'"})
    refused(
        project, "config/rnn.toml", "base.jsonnet", "rnn", says=("base.jsonnet: ", "none.libsonnet", "No such file")
    )


def test_json_that_is_broken_is_named(project: Project) -> None:
    """BASE may be JSON, and then its mistakes are named in the same way."""
    project.write({"base.json": '{"a": 1,, "b": 2}', "config/rnn.toml": ""})
    refused(project, "config/rnn.toml", "base.json", "rnn", says=("base.json", "1:9"))


def test_a_project_without_setup_py_or_pyproject_is_named(project: Project) -> None:
    """What says what the source is must be there, here or above."""
    (project.root / "pyproject.toml").unlink()
    says = (str(project.root), "no setup.py or pyproject.toml")
    refused(project, "config/rnn.toml", "base.jsonnet", "rnn", says=says)


def test_a_project_without_train_sh_is_named(project: Project) -> None:
    """The command of a trial must be there."""
    (project.root / "train.sh").unlink()
    refused(project, "config/rnn.toml", "base.jsonnet", "rnn", says=("train.sh: no such file", "CONF_DIR CONF_PATH"))
    (project.root / "train.sh").mkdir()
    refused(project, "config/rnn.toml", "base.jsonnet", "rnn", says=("train.sh: cannot be read", "Is a directory"))


def test_a_build_that_fails_shows_its_output(project: Project) -> None:
    """The output of setup.py stands below the line."""
    project.write({"setup.py": "print('first words')\nraise SystemExit('last words')\n"})
    says = ("setup.py: the build failed with exit status 1", "its output:")
    assert refused(project, "config/rnn.toml", "base.jsonnet", "rnn", says=says) == ["first words", "last words"]


def test_a_build_that_copies_nothing_is_refused(project: Project) -> None:
    """A trial without source is nobody's wish."""
    project.write({"setup.py": "from setuptools import setup\nsetup(name='qb', packages=[])\n"})
    says = ("the snapshot is empty", "expected packages in setup.py")
    refused(project, "config/rnn.toml", "base.jsonnet", "rnn", says=says)


def test_a_backend_that_is_not_installed_is_named(project: Project) -> None:
    """The backend, and the interpreter that lacks it."""
    project.write({"pyproject.toml": PYPROJECT.format("no_such_backend.api")})
    says = ("pyproject.toml", "no_such_backend.api is not installed in", sys.executable)
    refused(project, "config/rnn.toml", "base.jsonnet", "rnn", says=says)
    project.write({"pyproject.toml": PYPROJECT.format("poetry.masonry.api")})
    says = ("poetry.masonry.api is not installed", "pip install poetry-core", "add a setup.py", 'from = "git"')
    refused(project, "config/rnn.toml", "base.jsonnet", "rnn", says=says)


def test_a_pyproject_that_is_no_toml_is_named(project: Project) -> None:
    """A broken pyproject.toml is the project's mistake."""
    project.write({"pyproject.toml": "[build-system"})
    refused(project, "config/rnn.toml", "base.jsonnet", "rnn", says=("pyproject.toml", "not valid TOML"))


def test_a_source_from_git_without_a_checkout_is_refused(project: Project) -> None:
    """`from = "git"` needs git."""
    project.write({"config/rnn.toml": params('[snapshot]\nfrom = "git"')})
    refused(project, "config/rnn.toml", "base.jsonnet", "rnn", says=('from = "git"', "no git checkout"))


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("params.debug", "expected KEY=VALUE"),
        ("=1", "expected KEY=VALUE"),
        ("a b=1", "is not a key"),
        ("params..x=1", "is not a key"),
        ("params.x=[1", "is not a value of TOML"),
        ("params.lr=1", "params.lr is swept by [hyper]; say --set hyper.params.lr=[...]"),
        ("parms.debug=true", "parms.debug names nothing"),
        ("params.lr.x=1", "lr is no table"),
        ("n_trials=0", "found 0"),
        ("n_trials=many", "found 'many'"),
        ("hyper.params.lr=1", "expected a list"),
    ],
)
def test_an_override_that_is_wrong_is_named(project: Project, override: str, says: str) -> None:
    """`--set` without '=', of a bad key, of a swept key, of nothing, or with a wrong value."""
    refused(project, "config/rnn.toml", "base.jsonnet", "rnn", "--set", override, says=(says,))


@pytest.mark.parametrize(
    "arguments",
    [
        ("config/rnn.toml", "base.jsonnet", "rnn", "--no-such-option"),
        ("config/rnn.toml", "base.jsonnet", "rnn", "too", "many"),
        ("config/rnn.toml", "base.jsonnet"),
        ("--no-such-option",),
        ("no-such-command",),
        ("config/rnn.toml", "base.jsonnet", "rnn", "--n-trials", "x"),
    ],
)
def test_words_that_no_command_takes_are_refused(project: Project, arguments: tuple[str, ...]) -> None:
    """An unknown option or command, or too few words: click's usage message, exit status 2, nothing written."""
    before = tree(project)
    result = project.resweep(*arguments)
    assert result.status == 2
    assert "Usage: " in result.err
    assert "Error: " in result.err
    assert tree(project) == before


@pytest.mark.parametrize("broken", ["config/generated", "config/generated/rnn"])
@pytest.mark.parametrize("how", ["a file", "a link to nothing"])
def test_a_file_where_a_directory_should_be_is_named(project: Project, broken: str, how: str) -> None:
    """A file, or a link to a disk that is not there, stands in the way: it is named and left alone."""
    path = project.root / broken
    path.parent.mkdir(exist_ok=True)
    if how == "a file":
        path.write_text("mine")
    else:
        path.symlink_to("/no/such/disk")
    refused(project, "config/rnn.toml", "base.jsonnet", "rnn", says=(broken, "stands where a directory should be"))
    assert path.is_symlink() or path.read_text() == "mine"


def _obey_permissions() -> None:
    """In a child: take from root the right to write where permissions say no. Others never had it."""
    if os.geteuid() == 0:
        assert ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0) == 0


@pytest.mark.slow
@pytest.mark.parametrize("read_only", [".", "config", "config/generated"])
def test_a_read_only_directory_is_named(project: Project, read_only: str) -> None:
    """Nothing is written, and nothing listed, where a directory cannot be written."""
    (project.root / "config/generated").mkdir()
    if read_only == "config":
        (project.root / "config/generated").rmdir()
    before = tree(project)
    (project.root / read_only).chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-m", "resweep", "config/rnn.toml", "base.jsonnet", "rnn"],
        cwd=project.root,
        preexec_fn=_obey_permissions,
        capture_output=True,
        text=True,
        check=False,
    )
    (project.root / read_only).chmod(0o755)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"resweep: {project.root}")
    assert "no permission to write" in done.stderr
    assert tree(project) == before


# Runs in a mount namespace of its own. For each size in KiB: generate onto a disk so small, and tell what was left.
_FULL_DISK = """
import json, pathlib, subprocess, sys
sys.path.insert(0, sys.argv[1])
from small_project import Project
project = Project(pathlib.Path(sys.argv[2]))
disk = project.root / "disk"
disk.mkdir()
(project.root / "config/generated").symlink_to(disk)
for size in sys.argv[3:]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", disk], check=True)
    result = project.generate()
    left = [str(path.relative_to(project.root)) for path in disk.rglob("*") if path.is_file()]
    left += [path.name for path in project.root.glob("*jobs*")] + [path.name for path in project.root.glob(".*")]
    print(json.dumps([size, result.status, result.err, left]))
    subprocess.run(["umount", disk], check=True)
"""


@pytest.mark.slow
def test_a_full_disk_is_named_and_leaves_nothing_half(project: Project) -> None:
    """Whenever the disk fills up, there is no capsule, no list and no jobs script; with room enough there are all."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    sizes = ["4", "16", "32", "56", "80", "112", "1000"]
    done = subprocess.run(
        [*unshare, sys.executable, "-c", _FULL_DISK, Path(__file__).parent, project.root, *sizes],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *small, enough = (json.loads(line) for line in done.stdout.splitlines())
    assert len(small) == len(sizes) - 1
    for size, status, err, left in small:
        assert (size, status, left) == (size, 2, [])
        assert err.startswith("resweep: ")
        assert err.endswith("the disk is full; nothing of what was to be written here counts\n")
        assert err.count("\n") == 1
    assert enough[1] == 0
    assert sum(name.endswith("manifest.json") for name in enough[3]) == 4
