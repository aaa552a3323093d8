"""`generate --around`: a narrower sweep from the best of an earlier one.

Code: space/narrow, cli/narrow
"""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from launched import Trial
from small_project import SWEEP, Project

from resweep.errors import TrialError
from resweep.index import Entry
from resweep.space import expand, narrow
from resweep.sweep import definition, hyper_table
from resweep.sweep.ranges import Distribution

METRIC = '[results]\nmetric = "best_validation_accuracy"\n'


def entry(number: int, swept: dict[str, Any]) -> Entry:
    """A trial with these values."""
    return Entry(number, f"id{number}", 0, "", "", "", swept, 1)


def narrowed(text: str, *best: dict[str, Any]) -> Any:
    """The [hyper] that is written for these values of the best trials; all else must be as it was."""
    found = narrow.text(definition.parse(text, "x.toml"), [entry(n, each) for n, each in enumerate(best, 1)], ["said"])
    assert "# said\n" in found
    definition.parse(found, "y.toml")
    table = tomllib.loads(found)
    assert {**tomllib.loads(text), "hyper": 0} == {**table, "hyper": 0}
    return table["hyper"]


_values = st.lists(st.integers(-3, 3) | st.sampled_from(["a", "b\n", "é", 0.5, True]), min_size=1, max_size=4)
_grids = st.dictionaries(st.sampled_from(["params.a", "params.b", "params.c"]), _values, min_size=1)


@settings(deadline=None)
@given(_grids, st.data())
def test_lists_keep_what_the_best_have(grid: dict[str, list[Any]], data: st.DataObject) -> None:
    """In the order of the file, each with the trials that it comes from; the best are points of the new sweep."""
    text = tomli_w.dumps({"hyper": grid, "params": {"z": 1}})
    with expand.Space(definition.parse(text, "x.toml")) as found:
        every = list(found.points())
    best = data.draw(st.lists(st.sampled_from(every), min_size=1, max_size=3))
    new = narrowed(text, *best)
    for key, values in grid.items():
        kept = [v for v in values if any(hyper_table.same(v, point[key]) for point in best)]
        assert json.dumps(new[key]) == json.dumps(kept)


def test_what_stands_outside_of_hyper_stays_as_it_is() -> None:
    """Comments, order and spaces; the comments of the tables around it, too; [hyper] alone is written anew."""
    text = """\
# A sweep.
n_trials   =   2  # repeats

# What is tried.
[hyper]  # every combination
# the rate
"params.lr" = [
    0.1,  # big
    0.2,
    0.3]
params.layers = [
  [64],
  [64, 64],
  [32]
]

# What is given.
[params]
text = '''
[hyper]
'''  # no table
lr = 0.5
"""
    found = narrow.text(
        definition.parse(text, "x.toml"),
        [entry(7, {"params.lr": 0.3, "params.layers": [64]}), entry(9, {"params.lr": 0.1, "params.layers": [64]})],
        ["the best", "  two"],
    )
    hyper = """\
# the best
#   two
[hyper]
"params.lr" = [0.1, 0.3]  # 0.1: #9; 0.3: #7
"params.layers" = [[64]]  # [64]: #7, #9

"""
    before, _, after = text.partition("[hyper]  #")
    assert found == before + hyper + after[after.index("# What is given.") :]


@pytest.mark.parametrize(
    "text",
    [
        'hyper = { "params.lr" = [0.1, 0.2] }\n[params]\nlr = 1\n',
        "hyper.params.lr = [0.1, 0.2]\n[params]\nlr = 1\n",
        '[params]\nlr = 1\n[hyper]\n"params.lr" = [0.1, 0.2]',
        "[hyper.params]\nlr = [0.1, 0.2]\n[params]\nlr = 1\n",
        '[hyper]\n[params]\nlr = 1\n[hyper.params]\nlr = [0.1, 0.2]\n[slurm]\nmem = "1g"\n',
    ],
)
def test_hyper_may_be_written_in_any_way(text: str) -> None:
    """Where it stands as no table of its own, the file is written anew, and says the same."""
    assert narrowed(text, {"params.lr": 0.2}) == {"params.lr": [0.2]}


def test_tables_zips_and_exclusions() -> None:
    """Each trial counts for the table that says most of it; what is idle goes."""
    text = """\
[[hyper]]
"params.opt" = ["adam", "rmsprop"]
"params.lr, params.bs" = [[0.1, 32], [0.2, 64]]
exclude = [{ "params.opt" = "adam", "params.lr" = 0.1 }, { "params.opt" = "rmsprop" }]
[[hyper]]
"params.opt" = ["sgd"]
"params.lr, params.bs" = [[0.1, 32], [0.2, 64]]
"params.momentum" = [0.5, 0.9]
include_default = true
[[hyper]]
"params.opt" = ["none"]
[params]
opt = "sgd"
"""
    sgd = {"params.opt": "sgd", "params.lr": 0.1, "params.bs": 32, "params.momentum": 0.9}
    adam = {"params.opt": "adam", "params.lr": 0.2, "params.bs": 64}
    assert narrowed(text, sgd, adam) == [
        {"params.opt": ["adam"], "params.lr, params.bs": [[0.2, 64]], "include_default": True},
        {"params.opt": ["sgd"], "params.lr, params.bs": [[0.1, 32]], "params.momentum": [0.9]},
    ]
    other = {**adam, "params.opt": "rmsprop"}
    assert narrowed(text, adam, other, {**adam, "params.lr": 0.1, "params.bs": 32})["exclude"] == [
        {"params.opt": "adam", "params.lr": 0.1},
        {"params.opt": "rmsprop"},
    ]


def test_trials_of_another_space_are_a_mistake() -> None:
    """When the file no longer has any of the values of the best, nothing can be narrowed."""
    with pytest.raises(TrialError, match="none of the best trials lies in its"):
        narrowed('[hyper]\n"params.lr" = [1, true]\n', {"params.lr": 2}, {"params.x": 1})


@pytest.mark.parametrize(
    ("form", "best", "new"),
    [
        ("uniform = [0, 0.5]", [0.2, 0.3], "uniform = [0.15, 0.35]"),
        ("uniform = [0, 1]", [0.01], "uniform = [0, 0.11]"),
        ("uniform = [1000, 1001]", [1000.5], "uniform = [1000.4, 1000.6]"),
        ("uniform = [0, 1], step = 0.25", [0.5, 0.75], "uniform = [0.25, 0.85], step = 0.25"),
        ("uniform = [0, 1], step = 0.5", [0.5], "uniform = [0.0, 0.6], step = 0.5"),
        ("loguniform = [1e-5, 1e-1]", [0.001, 0.002], "loguniform = [0.000398, 0.00502]"),
        ("randint = [64, 512]", [100, 128], "randint = [64, 173]"),
        ("randint = [64, 512], step = 64", [128, 192], "randint = [64, 237], step = 64"),
        ("normal = [0, 1]", [0.2, 0.4], "normal = [0.3, 0.1]"),
        ("normal = [0, 1]", [-5, 5], "normal = [0.0, 1.0]"),
        ("lognormal = [0, 1]", [1], "lognormal = [0.0, 0.1]"),
        ('choice = ["a", "b", "c"], weights = [1, 2, 3]', ["c", "a"], 'choice = ["a", "c"], weights = [1, 3]'),
        ("choice = [1, 2]", [2], "choice = [2]"),
    ],
)
def test_distributions_come_closer(form: str, best: list[Any], new: str) -> None:
    """Around what the best have, within the earlier bounds, in short numbers."""
    text = f'[hyper]\n"params.x" = {{ {form} }}\n[search]\nmethod = "random"\nn = 9\n'
    assert repr(narrowed(text, *({"params.x": value} for value in best))) == repr(
        tomllib.loads(f'"params.x" = {{ {new} }}')
    )


_bounds = st.tuples(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(st.sampled_from(["uniform", "loguniform"]), _bounds, st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_new_bounds_hold_the_best_and_lie_in_the_old_ones(
    kind: str, bounds: tuple[float, float], places: list[float]
) -> None:
    """Whatever the numbers are."""
    low, high = bounds if kind == "uniform" else (abs(bounds[0]) + 1e-9, abs(bounds[0]) + 1e-9 + bounds[1] - bounds[0])
    if not low < high:
        return
    best = [min(high, max(low, low + (high - low) * place)) for place in places]
    first, last = narrow.closer(Distribution(kind, (low, high)), best).arguments
    assert low <= first <= min(best)
    assert max(best) <= last <= high
    assert first < last


# --- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def ranked(project: Project) -> Project:
    """A sweep with a metric, whose first three trials have finished with 0.1, 0.4 and 0.3."""
    project.write({"config/rnn.toml": "# mine\n" + SWEEP + METRIC})
    project.begin("config/rnn.toml", "base.jsonnet", "rnn", "--no-slurm-job")
    for number, value in enumerate((0.1, 0.4, 0.3), 1):
        trial = Trial(project, number)
        trial.train(f"""mkdir -p "$out"; echo '{{"best_validation_accuracy": {value}}}' > "$out/metrics.json" """)
        trial.launch()
    return project


@pytest.mark.slow
def test_a_narrower_toml_is_written_and_nothing_generated(ranked: Project) -> None:
    """Beside CONFIG; what was written, from which trials, and the next command are said; and that command works."""
    before = ranked.tree()
    result = ranked.resweep(
        "generate", "config/rnn.toml", "base.jsonnet", "closer", "--around", "rnn", "--top", "2"
    ).ok()
    best = [ranked.entries()[1], ranked.entries()[2]]
    after = ranked.tree()
    assert after.keys() - before.keys() == {"config/closer.toml"}
    assert {key: after[key] for key in before} == before
    text = after["config/closer.toml"].decode()
    assert text.startswith("# mine\n# rnn.toml, narrowed to the best 2 of 3 finished trials of rnn, by best_")
    assert all(
        f"#   #{each.number} {each.name}" in text and f"  #{each.number} {each.name}" in result.out for each in best
    )
    assert result.out.splitlines()[-1].endswith("resweep config/closer.toml base.jsonnet closer")
    new = tomllib.loads(text)
    for key in ("params.lr", "params.dropout"):
        assert set(new["hyper"][key]) == {each.swept[key] for each in best}
    ranked.resweep("config/closer.toml", "base.jsonnet", "closer", "--no-slurm-job").ok()
    assert {each.id for each in best} <= {each.id for each in ranked.entries("closer")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rnn", "--around", "rnn"], "config/rnn.toml: is there already"),
        (["new", "--around", "nope"], "found no such sweep"),
        (["new", "--around", "rnn#4"], "no finished trial of rnn has a finite number for best_validation_accuracy"),
        (["a b", "--around", "rnn"], "NAME: found 'a b'"),
        (["new", "--around", "rnn", "--dry-run"], "--around: generates nothing"),
        (["new", "--around", "rnn", "--set", "params.lr=1"], "--around: generates nothing"),
        (["new", "--top", "3"], "--top needs --around"),
        (["new", "--around", "rnn", "--top", "0"], "--top"),
    ],
)
def test_mistakes_write_nothing(ranked: Project, arguments: list[str], says: str) -> None:
    """One that a person can mend says how."""
    before = ranked.tree()
    result = ranked.resweep("generate", "config/rnn.toml", "base.jsonnet", *arguments)
    assert (result.status, result.out) == (2, "")
    assert says in result.err
    assert ranked.tree() == before


def test_a_sweep_without_a_metric_cannot_be_narrowed(swept: Project) -> None:
    """Which trials are best, somebody has to say."""
    result = swept.resweep("generate", "config/rnn.toml", "base.jsonnet", "new", "--around", "rnn")
    assert "the sweep rnn names no metric" in result.err
    assert result.status == 2
