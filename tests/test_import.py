"""`resweep import`: what a sweep of W&B or a search space of AllenTune becomes, and what is lost.

Code: importers/, cli/import_, sweep/toml_writer
"""

from __future__ import annotations

import builtins
import datetime
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from small_project import Project

from resweep.importers import allentune, reading, wandb
from resweep.importers.translation import Translation
from resweep.space import optuna_backend
from resweep.sweep import definition

WANDB = """\
program: train.py
method: random
project: qb
metric: {name: val_loss, goal: minimize}
run_cap: 50
early_terminate: {type: hyperband, min_iter: 3}
command: ["${env}", python, "${program}", "${args}"]
parameters:
  learning-rate: {distribution: log_uniform_values, min: 1e-5, max: 0.1}
  batch_size: {values: [16, 32, 64], probabilities: [0.2, 0.5, 0.3]}
  dropout: {min: 0.0, max: 0.5}
  layers: {min: 1, max: 3}
  epochs: {value: 10}
  optimizer:
    parameters:
      name: {values: [adam, sgd]}
      beta: {distribution: beta, a: 1, b: 2}
      eps: {value: 1.0e-8}
"""
ALLENTUNE = {
    "LEARNING_RATE": {"sampling strategy": "loguniform", "bounds": [1e-4, 1e-1]},
    "DROPOUT": {"sampling strategy": "uniform", "bounds": [0, 0.5]},
    "NUM_FILTERS": {"sampling strategy": "integer", "bounds": [64, 512]},
    "NUM_OUTPUT_LAYERS": {"sampling strategy": "choice", "choices": [1, 2, 3]},
    "SUBSET": {"sampling strategy": "subset", "choices": [1, 2, 3]},
    "CUDA_DEVICE": 0,
    "THROTTLE": None,
    "VALIDATION_METRIC": "+npmi",
}


def loaded(said: Translation) -> Any:
    """The tables of what was translated, having been taken by the tool, with every loss in the comments."""
    text = said.text()
    definition.parse(text, "out.toml")
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert len([line for line in comments if line.startswith("#   ")]) == len(said.lost)
    return tomllib.loads(text)


def of_wandb(spec: Any, method: str = "random") -> tuple[Any, list[str]]:
    """What one parameter x of a W&B sweep becomes: its values or distribution, or its constant; and what is said."""
    said = wandb.translate({"method": method, "run_cap": 9, "parameters": {"x": spec}}, "x.yaml")
    tables = loaded(said)
    found = tables.get("hyper", {}).get("params.x", tables.get("params", {}).get("x"))
    return found, [line for line in said.lost if line.startswith("x")]


def test_a_sweep_of_wandb_becomes_toml(project: Project) -> None:
    """What has an equivalent is in the tables, what has none in the comments and on stderr; it generates."""
    project.write({"sweep.yaml": WANDB})
    result = project.resweep("import", "sweep.yaml").ok()
    assert tomllib.loads(result.out) == {
        "hyper": {
            "params.learning_rate": {"loguniform": [1e-5, 0.1]},
            "params.batch_size": {"choice": [16, 32, 64], "weights": [0.2, 0.5, 0.3]},
            "params.dropout": {"uniform": [0.0, 0.5]},
            "params.layers": {"randint": [1, 4]},
            "params.optimizer.name": ["adam", "sgd"],
        },
        "search": {
            "method": "random",
            "n": 50,
            "stop": {"method": "asha", "min_resource": 3, "reduction_factor": 3},
        },
        "params": {"epochs": 10, "optimizer": {"eps": 1e-8, "name": "adam"}},
        "results": {"metric": "val_loss", "mode": "min"},
    }
    lost = [line.partition(": ")[0] for line in result.err.replace("resweep: sweep.yaml: ", "").splitlines()]
    assert lost == ["learning-rate", "optimizer.beta", "program", "project", "command"]
    assert all(f"#   {line.removeprefix('resweep: sweep.yaml: ')}" in result.out for line in result.err.splitlines())
    taken = "function(learning_rate, batch_size, dropout, layers, epochs, optimizer) { lr: learning_rate }"
    project.write({"config/it.toml": result.out, "it.jsonnet": taken})
    assert "50 new trials" in project.resweep("config/it.toml", "it.jsonnet", "it", "--dry-run").ok().out


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"value": 3}, 3),
        ({"distribution": "constant", "value": "a"}, "a"),
        ({"values": [1, "a", [2, 3]]}, [1, "a", [2, 3]]),
        ({"values": [1, 2], "distribution": "categorical"}, [1, 2]),
        ({"min": 1, "max": 1}, [1]),
        ({"distribution": "int_uniform", "min": 1, "max": 8}, {"randint": [1, 9]}),
        ({"min": 0, "max": 0.5}, {"uniform": [0, 0.5]}),
        ({"distribution": "uniform", "min": 0, "max": 5}, {"uniform": [0, 5]}),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.1}, {"uniform": [0.0, 1.0], "step": 0.1}),
        ({"distribution": "q_uniform", "min": 3, "max": 17, "q": 4}, {"uniform": [4, 16], "step": 4}),
        ({"distribution": "log_uniform", "min": -5, "max": 0}, {"loguniform": [0.00673795, 1.0]}),
        ({"distribution": "log_uniform_values", "min": "1e-5", "max": 1}, {"loguniform": [1e-5, 1]}),
        ({"distribution": "inv_log_uniform", "min": 0, "max": 5}, {"loguniform": [0.00673795, 1.0]}),
        ({"distribution": "inv_log_uniform_values", "min": 0.1, "max": 1.0}, {"loguniform": [0.1, 1.0]}),
        (
            {"distribution": "q_log_uniform_values", "min": 32, "max": 256, "q": 8},
            {"loguniform": [32, 256], "step": 8},
        ),
        ({"distribution": "q_log_uniform_values", "min": 0.3, "max": 9}, {"loguniform": [0.3, 9], "step": 1}),
        ({"mu": 1, "sigma": 2}, {"normal": [1, 2]}),
        ({"distribution": "normal"}, {"normal": [0, 1]}),
        ({"distribution": "q_normal", "mu": 5, "sigma": 2, "q": 0.5}, {"normal": [5, 2], "step": 0.5}),
        ({"distribution": "log_normal", "mu": 0, "sigma": 1}, {"lognormal": [0, 1]}),
        ({"distribution": "q_log_normal"}, {"lognormal": [0, 1], "step": 1}),
    ],
)
def test_every_distribution_of_wandb_has_its_own(spec: Any, found: Any) -> None:
    """Bounds included or not, exponents or values, steps: as W&B means them, in our words."""
    assert json.dumps(of_wandb(spec)[0]) == json.dumps(found)
    assert of_wandb(spec)[1] == []


@pytest.mark.parametrize(
    ("spec", "method", "found", "says"),
    [
        (
            {"distribution": "beta", "a": 1},
            "random",
            None,
            "x: the distribution beta has no equivalent",
        ),
        ({"value": 1, "extra": 1}, "random", 1, "x.extra: is not known here"),
        ({"distribution": "uniform", "min": 2, "max": 1}, "random", None, "low is below high"),
        ({"distribution": "uniform", "min": "a", "max": 1}, "random", None, "expected a number"),
        ({"distribution": "log_uniform", "min": 0, "max": 9999}, "random", None, "no computer holds"),
        ({"distribution": "int_uniform", "min": 0.5, "max": 2}, "random", None, "expected whole numbers"),
        ({"distribution": "q_uniform", "min": 1, "max": 2, "q": 0}, "random", None, "expected a number above 0"),
        ({"value": None}, "random", None, "TOML knows none"),
        ({"values": [1, None]}, "random", [1], "null is left out"),
        ({"values": []}, "random", None, "empty list"),
        ({"values": 3}, "random", None, "expected a list of values"),
        ({"values": [1, 2], "probabilities": [1]}, "random", None, "expected 2 numbers"),
        ({"values": [1, 2], "probabilities": [0.5, 0.5]}, "grid", [1, 2], "say nothing in a grid"),
        ({"min": 0.0, "max": 1.0}, "grid", None, "a grid needs values"),
        ({}, "random", None, "says no values"),
        (3, "random", None, "expected value, values, or min and max"),
        ({"value": 2**60}, "random", None, "2^53"),
    ],
)
def test_what_has_no_equivalent_is_said(spec: Any, method: str, found: Any, says: str) -> None:
    """By name, with what was found."""
    taken, lost = of_wandb(spec, method)
    assert taken == found
    assert says in "; ".join(lost)


def test_a_grid_of_wandb_is_a_grid() -> None:
    """Whole numbers and steps between bounds are written as ranges."""
    assert of_wandb({"min": 1, "max": 3}, "grid") == ({"range": [1, 3, 1]}, [])
    assert of_wandb({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.5}, "grid")[0] == {
        "range": [0.0, 1.0, 0.5]
    }
    said = wandb.translate({"method": "grid", "run_cap": 3, "parameters": {"x": {"values": [1]}}}, "x.yaml")
    assert "search" not in loaded(said)
    assert "run_cap: a grid is whole" in said.lost[0]


METRIC = {"metric": {"name": "val_loss", "goal": "minimize"}}


def test_bayes_becomes_a_search_that_learns() -> None:
    """Of as many points as run_cap says, or as is said; chances and steps that Optuna does not take are lost."""
    parameters = {
        "x": {"min": 0.0, "max": 1.0},
        "y": {"values": [1, 2], "probabilities": [0.5, 0.5]},
        "z": {"distribution": "q_log_uniform_values", "min": 1, "max": 9, "q": 1},
        "w": {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.5},
    }
    said = wandb.translate({"method": "bayes", "run_cap": 7, "parameters": parameters, **METRIC}, "x.yaml")
    tables = loaded(said)
    assert tables["search"] == {"method": "tpe", "n": 7}
    assert tables["results"] == {"metric": "val_loss", "mode": "min"}
    assert tables["hyper"] == {
        "params.x": {"uniform": [0.0, 1.0]},
        "params.y": [1, 2],
        "params.z": {"loguniform": [1, 9]},
        "params.w": {"uniform": [0, 1], "step": 0.5},
    }
    assert [line.partition(":")[0] for line in said.lost] == ["method", "y.probabilities", "z.q"]
    said = wandb.translate({"method": "bayes", "parameters": {"x": {"min": 0.0, "max": 1.0}}, **METRIC}, "x.yaml")
    assert loaded(said)["search"] == {"method": "tpe", "n": 100}
    assert [line.partition(":")[0] for line in said.lost] == ["method", "run_cap"]


def test_bayes_without_a_metric_is_drawn_at_random_and_said() -> None:
    """Nothing can learn from nothing."""
    said = wandb.translate({"method": "bayes", "run_cap": 9, "parameters": {"x": {"min": 0.0, "max": 1.0}}}, "x.yaml")
    assert loaded(said)["search"] == {"method": "random", "n": 9}
    assert said.lost == ["method: bayes names no metric, so points are drawn at random"]


@pytest.mark.parametrize("method", ["grid", "random", "bayes"])
@pytest.mark.parametrize(
    ("early", "stop", "says"),
    [
        ({"min_iter": 3}, {"min_resource": 3, "reduction_factor": 3}, ""),
        ({"min_iter": 2, "eta": 4}, {"min_resource": 2, "reduction_factor": 4}, ""),
        ({"max_iter": 27, "s": 2}, {"min_resource": 3, "reduction_factor": 3}, "first of its 2 brackets is at step 3"),
        ({"max_iter": 4, "s": 9}, {"min_resource": 1, "reduction_factor": 3}, "is at step 1"),
        ({"min_iter": 1, "max_iter": 9, "s": 2}, {"min_resource": 1, "reduction_factor": 3}, "are left out"),
        ({"min_iter": 1, "strict": True}, {"min_resource": 1, "reduction_factor": 3}, "strict: is not known here"),
        ({}, None, "neither min_iter nor max_iter and s"),
        ({"max_iter": 27}, None, "neither min_iter nor max_iter and s"),
        ({"min_iter": 0}, None, "found min_iter = 0"),
        ({"min_iter": 1, "eta": 1}, None, "expected a whole number, 2 or more"),
        ({"min_iter": 1, "eta": 2.5}, None, "found eta = 2.5"),
        ({"min_iter": 1, "type": "envelope"}, None, "found 'envelope', expected hyperband"),
    ],
)
def test_hyperband_becomes_successive_halving(method: str, early: Any, stop: Any, says: str) -> None:
    """With the same first bracket and the same share that goes on; what Optuna's pruner has no argument for is said."""
    parameters = {"x": {"values": [1, 2]}}
    found = {"method": method, "run_cap": 2, "parameters": parameters, **METRIC}
    said = wandb.translate({**found, "early_terminate": {"type": "hyperband", **early}}, "x.yaml")
    text = said.text()
    assert loaded(said).get("search", {}).get("stop") == (stop and {"method": "asha", **stop})
    optuna_backend.check("x", definition.parse(text, "x").search)
    assert says in "; ".join(line for line in said.lost if line.startswith("early_terminate"))


def test_early_termination_without_a_metric_is_said() -> None:
    """There is nothing to judge a trial by."""
    found = {"method": "grid", "parameters": {"x": {"values": [1]}}, "early_terminate": {"type": "hyperband"}}
    assert "names no metric, so no trial is stopped early" in wandb.translate(found, "x.yaml").lost[0]


@pytest.mark.slow
def test_what_is_imported_generates_a_search(project: Project) -> None:
    """As it stands, with a template of those parameters."""
    names = "learning_rate, batch_size, dropout, layers, epochs, optimizer"
    project.write({"sweep.yaml": WANDB.replace("method: random", "method: bayes")})
    project.write({"it.jsonnet": f"function({names}) {{ x: [{names}] }}"})
    project.resweep("import", "sweep.yaml", "-o", "config/it.toml").ok()
    said = project.resweep("config/it.toml", "it.jsonnet", "it", "--no-slurm-job").ok().out
    assert said.startswith("it: a search: 50 points, tpe; its workers write the trials")


@pytest.mark.parametrize("name", ["a,b", "a b", "", "a..b", "é", "3", "a.b", "a-b"])
def test_names_become_names_of_jsonnet_or_are_said(name: str) -> None:
    """Dots lead into tables, dashes become underscores; what can be no argument is named."""
    parameters = {name: {"values": [1]}, "other": {"value": 2}}
    said = wandb.translate({"method": "grid", "parameters": parameters}, "x.yaml")
    assert loaded(said).get("hyper", {}).keys() <= {"params.a.b", "params.a_b"}
    assert ("hyper" in loaded(said)) == (name in ("a.b", "a-b"))
    assert bool(said.lost) == (name != "a.b")


@pytest.mark.parametrize("names", [("a", "a.b"), ("a.b", "a"), ("a-b", "a_b"), ("a.b.c", "a.b")])
@pytest.mark.parametrize("specs", [({"value": 1}, {"values": [2]}), ({"values": [2]}, {"value": 1})])
def test_two_names_for_one_place_are_said(names: tuple[str, str], specs: tuple[Any, Any]) -> None:
    """The first has it."""
    said = wandb.translate({"method": "grid", "parameters": dict(zip(names, specs, strict=True))}, "x.yaml")
    loaded(said)
    assert said.lost[-1].startswith(f"{names[1]}: ")
    assert (said.hyper == {}) == ("value" in specs[0])


@pytest.mark.parametrize("suffix", ["json", "jsonnet", "yaml"])
def test_a_search_space_of_allentune_becomes_toml(project: Project, suffix: str) -> None:
    """The JSON or jsonnet of its examples; integers without the upper bound, as there."""
    project.write({f"space.{suffix}": json.dumps(ALLENTUNE)})
    result = project.resweep("import", f"space.{suffix}", "-o", "config/space.toml").ok()
    assert result.out.startswith("config/space.toml: written")
    text = (project.root / "config/space.toml").read_text()
    definition.parse(text, "space.toml")
    assert tomllib.loads(text) == {
        "hyper": {
            "ext_vars.LEARNING_RATE": {"loguniform": [1e-4, 1e-1]},
            "ext_vars.DROPOUT": {"uniform": [0, 0.5]},
            "ext_vars.NUM_FILTERS": {"randint": [64, 512]},
            "ext_vars.NUM_OUTPUT_LAYERS": [1, 2, 3],
        },
        "search": {"method": "random", "n": 100},
        "ext_vars": {"CUDA_DEVICE": 0, "VALIDATION_METRIC": "+npmi"},
    }
    lost = [line.split(": ")[2] for line in result.err.splitlines()]
    assert lost == ["SUBSET", "THROTTLE", "--num-samples"]
    before = project.tree()
    assert project.resweep("import", f"space.{suffix}", "-o", "config/space.toml").status == 2
    assert project.tree() == before


def test_dates_are_taken_over() -> None:
    """YAML has them, TOML has them, and what stands outside of the template's arguments may be one."""
    when = datetime.datetime(2026, 1, 1, 10)
    found = allentune.translate({"WHEN": {"sampling strategy": "choice", "choices": [when, when.date()]}}, "x.json")
    assert loaded(found)["hyper"] == {"ext_vars.WHEN": [when, when.date()]}


# --- whatever the file says ----------------------------------------------------------------------------------------

_leaf = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(["1e-5", "a"])
    | st.dates()
)  # fmt: skip
_any = st.recursive(
    _leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
_name = st.text("ab.-_, é\n", max_size=4) | st.integers(0, 3)
_number = st.integers(-3, 300) | st.floats() | st.sampled_from(["1e-3", None])
_spec = st.fixed_dictionaries(
    {},
    optional={
        "value": _any, "values": st.lists(_any, max_size=3) | _any, "min": _number, "max": _number, "mu": _number,
        "sigma": _number, "q": _number, "probabilities": st.lists(_number, max_size=3) | _any, "other": _any,
        "distribution": st.sampled_from(
            [
                "constant", "categorical", "categorical_w_probabilities", "int_uniform", "uniform", "q_uniform",
                "log_uniform", "log_uniform_values", "q_log_uniform", "q_log_uniform_values", "inv_log_uniform",
                "inv_log_uniform_values", "normal", "q_normal", "log_normal", "q_log_normal", "beta", "q_beta",
            ]
        ) | _any,
    },
)  # fmt: skip
_parameters = st.recursive(
    st.dictionaries(_name, _spec | _any, max_size=4),
    lambda inner: st.dictionaries(_name, st.fixed_dictionaries({"parameters": inner}), max_size=2),
    max_leaves=4,
)
_sweep = st.fixed_dictionaries(
    {"parameters": _parameters},
    optional={
        "method": st.sampled_from(["grid", "random", "bayes"]) | _any, "run_cap": _any,
        "metric": st.fixed_dictionaries({"name": _any}, optional={"goal": _any, "target": _any}) | _any, "name": _any,
        "early_terminate": st.fixed_dictionaries(
            {"type": st.just("hyperband") | _any},
            optional={"min_iter": _number, "max_iter": _number, "s": _number, "eta": _number},
        ) | _any,
    },
)  # fmt: skip


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(_sweep)
def test_every_sweep_of_wandb_gives_a_toml_that_loads(found: Any) -> None:
    """Whatever stands in it: what is written is a sweep, and what is lost is in its comments."""
    loaded(wandb.translate(found, "x\ny.yaml"))


_sampling = st.fixed_dictionaries(
    {"sampling strategy": st.sampled_from(["choice", "integer", "uniform", "loguniform"]) | _any},
    optional={"bounds": st.lists(_number, max_size=3) | _any, "choices": st.lists(_leaf, max_size=3) | _any},
)


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(st.dictionaries(_name, _sampling | _any, max_size=4))
def test_every_space_of_allentune_gives_a_toml_that_loads(found: Any) -> None:
    """Whatever stands in it."""
    loaded(allentune.translate(found, "x.json"))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("x.yaml", "a: [1", "x.yaml: not valid YAML: while parsing"),
        ("x.yaml", "when: 2026-02-31", "x.yaml: not valid YAML"),
        ("x.yaml", "- 1\n", "neither a sweep of W&B"),
        ("x.yaml", "", "neither a sweep of W&B"),
        ("x.yaml", "!!python/object/apply:os.system ['touch ran']", "x.yaml: not valid YAML: could not determine"),
        ("x.yaml", "a: &a [*a]\nparameters: {x: {values: *a}}", "tables in each other"),
        ("x.yaml", "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
            f"{n}: &{n} [{', '.join([f'*{p}'] * 10)}]\n" for p, n in zip("abcdefg", "bcdefgh", strict=True)
        ), "more than 1,000,000 values"),
        ("x.json", "{", "x.json: not valid JSON"),
        ("x.json", "[" * 100_000, "nested too deeply"),
        ("x.jsonnet", "{ a: ", "x.jsonnet: not valid jsonnet"),
        ("x.jsonnet", "import '/etc/passwd'", "expected a file that stands alone"),
        ("x.toml", "[hyper]\nx = 1", "x.toml: "),
        ("none.yaml", None, "cannot be read (No such file"),
        (".", None, "cannot be read (Is a directory)"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_one_line(project: Project, name: str, text: str | None, says: str) -> None:
    """With what was expected; nothing runs, nothing is written."""
    if text is not None:
        project.write({name: text})
    before = project.tree()
    result = project.resweep("import", name, "-o", "out.toml")
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1), result
    assert says in result.err
    assert project.tree() == before


def test_bytes_that_are_no_text_are_one_line(project: Project) -> None:
    """Of another encoding, or none."""
    (project.root / "x.yaml").write_bytes(b"a: \xff")
    assert "byte 3 is not UTF-8" in project.resweep("import", "x.yaml").err


def test_yaml_without_pyyaml_says_what_to_install(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON needs nothing."""
    whole = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "yaml":
            raise ImportError(name)
        return whole(name, *arguments, **named)

    project.write({"x.yaml": WANDB, "x.json": json.dumps(yaml.safe_load(WANDB))})
    monkeypatch.setattr(builtins, "__import__", without)
    assert "pip install 'resweep[import]'" in project.resweep("import", "x.yaml").err
    assert project.resweep("import", "x.json").ok().out.startswith("# From x.json, a sweep of W&B.")


def test_an_output_whose_directory_is_missing_is_one_line(project: Project) -> None:
    """And nothing is made."""
    project.write({"x.yaml": WANDB})
    result = project.resweep("import", "x.yaml", "-o", "none/x.toml")
    assert (result.status, result.err) == (2, "resweep: none/x.toml: its directory does not exist\n")
    assert isinstance(reading.load(Path(project.root / "x.yaml")), Translation)
