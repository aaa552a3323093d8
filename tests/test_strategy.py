"""`[search]`: what it may say, and what is said where it is wrong.

Code: sweep/search_table
"""

from __future__ import annotations

import sys
from typing import Any

import optuna
import pytest
from small_project import Project

from resweep.errors import ConfigError
from resweep.space import optuna_backend
from resweep.sweep import definition, search_table
from resweep.sweep.search_table import Search, StopAfter, StopRule

LEARNS = 'method = "tpe"\nn = 3\n'
METRIC = '[results]\nmetric = "loss"\nmode = "min"\n'
HYPER = '[hyper]\n"params.lr" = [1, 2]\n'


def read(search: str, rest: str = METRIC, hyper: str = HYPER) -> Search:
    """What a TOML with this `[search]` asks for."""
    return definition.parse(f"{hyper}[search]\n{search}\n{rest}", "x.toml").search


def refused(search: str, rest: str = METRIC, hyper: str = HYPER) -> str:
    """What is said of this `[search]`, in one line, by whoever reads it or makes Optuna's objects of it."""
    with pytest.raises(ConfigError) as found:
        optuna_backend.check("x.toml", read(search, rest, hyper))
    assert "\n" not in str(found.value)
    return str(found.value)


def test_everything_that_can_be_said() -> None:
    """Each word arrives where it is used."""
    text = """method = "tpe"
n = 40
seed = 7
start_from = ["rnn", "dan"]
stop_after = { value = 0.95, hours = 8, without_improvement = 30 }
[search.options]
n_startup_trials = 5
[search.stop]
method = "asha"
metric = "validation_loss"
mode = "min"
min_resource = 2
"""
    found = read(text)
    assert found == Search(
        method="tpe",
        n=40,
        seed=7,
        options={"n_startup_trials": 5},
        start_from=("rnn", "dan"),
        stop_after=StopAfter(0.95, 8.0, 30),
        stop=StopRule("asha", "validation_loss", "min", {"min_resource": 2}),
    )
    assert found.learns
    optuna_backend.check("x.toml", found)


def test_what_a_generation_keeps_leaves_out_what_is_not_said() -> None:
    """So that a new word of the tool does not make every search another one; a plain grid keeps nothing."""
    assert read("").record() is None
    assert read(LEARNS).record() == {"method": "tpe", "n": 3, "seed": 0}
    assert read(LEARNS + "stop_after = { hours = 1 }").record() == {
        "method": "tpe", "n": 3, "seed": 0, "stop_after": {"hours": 1.0},
    }  # fmt: skip
    assert read('[search.stop]\nmethod = "median"').record() == {
        "method": "grid", "n": 0, "seed": 0, "stop": {"method": "median"},
    }  # fmt: skip


@pytest.mark.parametrize("method", search_table.SAMPLERS)
def test_samplers_have_our_name_and_optunas(method: str) -> None:
    """In any case; each is made with the seed that is asked for."""
    name = search_table.SAMPLERS[method]
    for said in (method, method.upper(), name, name.lower()):
        assert read(f'method = "{said}"\nn = 3').method == method
    if method != "gp":  # which needs torch only to be asked
        assert type(optuna_backend.sampler("x", read(f'method = "{method}"\nn = 3'), 5)).__name__ == name


@pytest.mark.parametrize("method", search_table.PRUNERS)
def test_pruners_have_our_name_and_optunas(method: str) -> None:
    """With the arguments that each needs."""
    needed = {"percentile": "percentile = 25.0", "patient": "patience = 3", "threshold": "upper = 1.0"}.get(method, "")
    for said in (method, search_table.PRUNERS[method]):
        rule = read(f'[search.stop]\nmethod = "{said}"\n{needed}').stop
        assert rule is not None
        assert type(optuna_backend.pruner("x", rule)).__name__ == search_table.PRUNERS[method]


def test_a_patient_pruner_may_wait_on_another() -> None:
    """`of` names it, with its own defaults."""
    rule = read('[search.stop]\nmethod = "patient"\npatience = 2\nof = "median"').stop
    assert rule is not None
    made: Any = optuna_backend.pruner("x", rule)
    assert isinstance(made._wrapped_pruner, optuna.pruners.MedianPruner)


@pytest.mark.parametrize(
    ("search", "says"),
    [
        ('method = "magic"\nn = 3', "search.method: found 'magic', expected one of grid, random, tpe, gp, cmaes, "),
        ('method = "tpesampler2"\nn = 3', "did you mean tpesampler?"),
        ('method = "cma-es"\nn = 3', "did you mean cmaes?"),
        ("method = 3\nn = 3", "search.method: found 3, expected one of grid, "),
        ('methd = "tpe"', "search.methd: unknown key, expected one of method, n, seed, "),
        ('method = "tpe"', "search.n: is missing, expected how many points to try, such as n = 100"),
        ('method = "random"', "search.n: is missing, expected how many points to draw"),
        ('method = "tpe"\nn = 0', "search.n: found 0, expected a whole number, 1 or more"),
        ('method = "tpe"\nn = true', "search.n: found True, expected a whole number, 1 or more"),
        ('method = "tpe"\nn = 2.5', "search.n: found 2.5"),
        (f'method = "tpe"\nn = {2**40}', "search.n: found 1099511627776"),
        ("n = 3", "search.n: has no meaning for a grid"),
        (LEARNS + "seed = -1", "search.seed: found -1, expected a whole number, 0 or more"),
        (LEARNS + 'start_from = "rnn"', "search.start_from: found 'rnn', expected a list of texts, such as"),
        (LEARNS + 'start_from = ["../x"]', "NAME: found '../x'"),
        ('start_from = ["rnn"]', 'search.start_from: has no meaning for method = "grid"'),
        ('method = "random"\nn = 3\nstop_after = { hours = 1 }', 'search.stop_after: has no meaning for method = "'),
        ("[search.options]\nmultivariate = true", 'search.options: has no meaning for method = "grid"'),
        (LEARNS + "stop_after = 3", "search.stop_after: found 3, expected a table, [search.stop_after]"),
        (LEARNS + "stop_after = { hour = 3 }", "search.stop_after.hour: unknown key, expected one of value, hours, "),
        (LEARNS + "stop_after = { hours = 0 }", "search.stop_after.hours: found 0, expected a number above 0"),
        (LEARNS + "stop_after = { value = nan }", "search.stop_after.value: found nan, expected a number"),
        (LEARNS + "stop_after = { value = '1' }", "search.stop_after.value: found '1', expected a number"),
        (LEARNS + "stop_after = { without_improvement = 0 }", "without_improvement: found 0, expected a whole"),
        (LEARNS + "options = 3", "search.options: found 3, expected a table, [search.options]"),
        (LEARNS + "[search.options]\nn_startup = 3", "search.options.n_startup: TPESampler does not take it, expected"),
        (LEARNS + "[search.options]\nseed = 3", "search.options.seed: has no effect, expected search.seed"),
        (LEARNS + "[search.options]\nn_startup_trials = 'x'", "n_startup_trials: found 'x', expected int"),
        (LEARNS + "[search.options]\nmultivariate = 1", "search.options.multivariate: found 1, expected bool"),
        (LEARNS + "[search.options]\nn_startup_trials = true", "n_startup_trials: found True, expected int"),
        (LEARNS + "[search.options]\ngamma = 3", "gamma: found 3, expected nothing: it takes objects of Python"),
        (LEARNS + "[search.stop]\nmethod = 'asha'\nmin_resource = 1.5", "found 1.5, expected str or int"),
        (LEARNS + "stop = 3", "search.stop: found 3, expected a table, [search.stop]"),
        (LEARNS + "[search.stop]\nmin_resource = 1", "search.stop.method: is missing, expected one of asha, hyperband"),
        (LEARNS + "[search.stop]\nmethod = 'ahsa'", "search.stop.method: found 'ahsa', expected one of asha, "),
        (LEARNS + "[search.stop]\nmethod = 'ahsa'", "did you mean asha?"),
        (LEARNS + "[search.stop]\nmethod = 3", "search.stop.method: found 3, expected one of asha"),
        (LEARNS + "[search.stop]\nmethod = 'asha'\nmode = 'up'", "search.stop.mode: found 'up', expected"),
        (LEARNS + "[search.stop]\nmethod = 'asha'\nmetric = 3", "search.stop.metric: found 3, expected a text"),
        (LEARNS + "[search.stop]\nmethod = 'asha'\neta = 3", "search.stop.eta: SuccessiveHalvingPruner does not take"),
        (LEARNS + "[search.stop]\nmethod = 'asha'\nreduction_factor = 1", "SuccessiveHalvingPruner says: "),
        (LEARNS + "[search.stop]\nmethod = 'percentile'", "search.stop.percentile: is missing, and PercentilePruner"),
        (LEARNS + "[search.stop]\nmethod = 'threshold'", "search.stop: ThresholdPruner says: "),
        (LEARNS + "[search.stop]\nmethod = 'patient'", "search.stop.patience: is missing, and PatientPruner needs it"),
        (LEARNS + "[search.stop]\nmethod = 'patient'\npatience = 1\nof = 'x'", "stop.of: found 'x', expected"),
        (LEARNS + "[search.stop]\nmethod = 'patient'\npatience = 1\nof = [1]", "stop.of: found [1], expected"),
        (LEARNS + "[search.stop]\nmethod = 'patient'\npatience = 1\nwrapped_pruner = 1", "wrapped_pruner: is no text"),
    ],
)  # fmt: skip
def test_mistakes_say_where_and_what_was_expected(search: str, says: str) -> None:
    """With the key, what was found and what to do; close names are offered."""
    said = refused(search)
    assert says in said
    assert said.startswith(("x.toml: ", "NAME: "))


@pytest.mark.parametrize(
    ("search", "hyper", "says"),
    [
        ("", '{ uniform = [0, 1] }', 'found distributions, which a grid cannot hold, expected [search] method = "ran'),
        (LEARNS, '{ loguniform = [1, 9], step = 1 }', "hyper.params.lr: found a step, which only uniform and randint"),
        (LEARNS, '{ choice = [1, 2], weights = [1, 2] }', "hyper.params.lr: found weights, which only method = "),
        ('method = "bruteforce"\nn = 3', '{ uniform = [0, 1] }', "found uniform, which has no end of values, expected"),
        ('method = "bruteforce"\nn = 3', '{ normal = [0, 1] }', "found normal, which has no end of values"),
    ],
)  # fmt: skip
def test_a_space_that_the_method_cannot_search_is_refused(search: str, hyper: str, says: str) -> None:
    """Before anything is generated."""
    assert says in refused(search, hyper=f'[hyper]\n"params.lr" = {hyper}\n')


def test_what_slurm_is_asked_for_cannot_be_searched() -> None:
    """A worker has its job before it knows the point."""
    said = refused(LEARNS, hyper='[hyper]\n"params.lr" = [1]\n"slurm.mem" = ["1g", "2g"]\n')
    assert "hyper.slurm.mem: cannot be searched, since workers have their job before a point is asked for" in said


def test_a_search_without_a_metric_is_refused() -> None:
    """Nothing can learn from nothing; early stopping may have a metric of its own."""
    assert "results.metric: is missing, expected what the search is to improve" in refused(LEARNS, rest="")
    assert "search.stop.metric: is missing" in refused("[search.stop]\nmethod = 'asha'", rest="")
    assert read("[search.stop]\nmethod = 'asha'\nmetric = 'x'", rest="").stop == StopRule("asha", "x")


def test_nothing_to_search_is_refused() -> None:
    """An empty [hyper] has one point, which no search is needed for."""
    assert "hyper: found nothing to draw from" in refused(LEARNS, hyper="")


@pytest.mark.parametrize("search", [LEARNS, '[search.stop]\nmethod = "asha"\n'])
def test_without_optuna_the_extra_is_named(project: Project, monkeypatch: pytest.MonkeyPatch, search: str) -> None:
    """When the search is generated, before anything is written."""
    project.write({"config/rnn.toml": f"{HYPER}[search]\n{search}{METRIC}"})
    monkeypatch.setitem(sys.modules, "optuna", None)
    before = project.tree()
    result = project.generate("--no-slurm-job")
    assert result.status == 2
    assert result.err == "resweep: search: needs Optuna, which is not installed: pip install 'resweep[search]'\n"
    assert project.tree() == before


@pytest.mark.parametrize(
    ("method", "package", "says"),
    [("cmaes", "cmaes", "pip install 'resweep[search]'"), ("gp", "torch", "pip install scipy torch")],
)
def test_a_sampler_whose_own_package_is_missing_says_so_at_once(
    monkeypatch: pytest.MonkeyPatch, method: str, package: str, says: str
) -> None:
    """Not in the midst of a search, when it is first asked."""
    monkeypatch.setitem(sys.modules, package, None)
    said = refused(f'method = "{method}"\nn = 3')
    assert said == f"x.toml: search.method: {method} needs {package}, which is not installed: {says}"
