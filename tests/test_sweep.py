"""TOML text -> Sweep.

Code: sweep/definition, sweep/toml_reader, sweep/stored
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from resweep.errors import ConfigError
from resweep.sweep import definition


def test_a_quoted_and_a_bare_dotted_key_are_the_same() -> None:
    """`params.lr` in [hyper] may be written with quotes or without."""
    bare = definition.parse("[hyper]\nparams.lr = [1, 2]\n", "x.toml")
    quoted = definition.parse('[hyper]\n"params.lr" = [1, 2]\n', "x.toml")
    assert bare.hyper.branches == quoted.hyper.branches
    assert bare.hyper.values("params.lr") == [1, 2]


def test_the_tools_own_tables_are_no_part_of_the_configuration() -> None:
    """What is left for the trial is everything but the tool's tables, n_trials and a trial's own header."""
    text = """
    n_trials = 2
    seed = 3
    generated_id = "abc"
    name = "rnn"
    [hyper]
    "params.lr" = [1]
    [params]
    lr = 0
    [slurm]
    mem = "8g"
    [run]
    python = "python3"
    [snapshot]
    exclude = ["x"]
    [results]
    metric = "loss"
    mode = "min"
    [model]
    deep.er = true
    """
    read = definition.parse(text, "x.toml")
    assert read.config == {"seed": 3, "params": {"lr": 0}, "model": {"deep": {"er": True}}}
    assert (read.n_trials, read.seed, read.threads, read.python) == (2, 3, 1, "python3")
    assert (read.results.metric, read.results.mode) == ("loss", "min")
    assert read.slurm == {"mem": "8g"}
    assert (read.snapshot.exclude, read.snapshot.source) == (("x",), "build")


def test_a_list_may_hold_whole_numbers_and_fractions() -> None:
    """`[1, 0.5]`, which the toml package of 2020 refused, keeps its two types."""
    values = definition.parse('[hyper]\n"params.lr" = [1, 0.5, "1", true]\n', "x.toml").hyper.values("params.lr")
    assert [(v, type(v)) for v in values] == [(1, int), (0.5, float), ("1", str), (True, bool)]


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("params.debug=true", True),
        ("params.debug = 0.5", 0.5),
        ("params.debug=[1, 2]", [1, 2]),
        ("params.debug='quoted'", "quoted"),
        ("params.debug=a word", "a word"),
        ("params.debug=", ""),
        ("params.debug=a=b", "a=b"),
        ("params.debug=2020-01-01x", "2020-01-01x"),
    ],
)
def test_an_override_is_toml_or_else_a_text(override: str, value: object) -> None:
    """`--set KEY=VALUE` reads VALUE as TOML where it can, and as a text otherwise."""
    found = definition.parse("[params]\nlr = 1\n", "x.toml", (override,)).params["debug"]
    assert found == value
    assert type(found) is type(value)


def test_an_override_reaches_any_depth_and_the_tools_settings() -> None:
    """`--set` changes nested keys, n_trials, [slurm] and the values of a swept key."""
    text = '[hyper]\nparams.lr = [1, 2]\n[model.encoder]\ndim = 1\n[slurm]\nmem = "8g"\n'
    overrides = ("model.encoder.dim=2", "n_trials=3", "slurm.mem=16g", "hyper.params.lr=[5]", "hyper.params.dim=[6]")
    read = definition.parse(text, "x.toml", overrides)
    assert read.config["model"] == {"encoder": {"dim": 2}}
    assert read.n_trials == 3
    assert read.slurm == {"mem": "16g"}
    assert {key: read.hyper.values(key) for key in read.hyper.keys} == {"params.lr": [5], "params.dim": [6]}


@pytest.mark.parametrize("override", ["parms.debug=true", "model.encodr.dim=2", "lr=0.1"])
def test_an_override_of_a_key_that_names_nothing_is_refused(override: str) -> None:
    """A misspelt key of `--set` is a mistake, as it is in [hyper], and not a new part of the configuration."""
    with pytest.raises(ConfigError, match="names nothing"):
        definition.parse("[params]\nlr = 1\n[model.encoder]\ndim = 1\n", "x.toml", (override,))


def test_the_first_override_of_two_loses() -> None:
    """Overrides apply in the order in which they were given."""
    assert definition.parse("", "x.toml", ("seed=1", "seed=2")).seed == 2


def mistake(text: str) -> str:
    """What is said of a sweep's text; nothing when it is one."""
    try:
        definition.parse(text, "x.toml")
    except ConfigError as error:
        return str(error)
    return ""


@settings(deadline=None)
@given(st.text())
def test_any_text_is_a_sweep_or_a_mistake_that_is_named(text: str) -> None:
    """No text makes the reader fail in another way than by naming the file."""
    said = mistake(text)
    assert said == "" or said.startswith("x.toml: ")
    assert "\n" not in said


_keys = st.sampled_from(["n_trials", "seed", "threads", "hyper", "params", "slurm", "run", "snapshot", "results"])
_values = st.sampled_from(
    """0 -1 1 1.5 true "3" [] [1] ["a"] {} {a=1} {python=1} {from="x"} {include="x"} {include=[1]} {metric=1}
    {mode="up"} 2020-01-01 nan inf 99999999999""".split()  # noqa: SIM905
)


@settings(deadline=None)
@example({"hyper": "[]"})
@given(st.dictionaries(_keys, _values))
def test_any_type_in_any_place_is_a_sweep_or_a_mistake_that_is_named(table: dict[str, str]) -> None:
    """A value of the wrong type in the tool's own keys is refused by name and never goes unnoticed later."""
    text = "".join(f"{key} = {value}\n" for key, value in table.items())
    said = mistake(text)
    if said:
        assert any(f"x.toml: {key}" in said for key in table)
        return
    read = definition.parse(text, "x.toml")
    assert all(type(number) is int for number in (read.n_trials, read.seed, read.threads))
    assert read.n_trials >= 1
    assert read.threads >= 1
    assert all(isinstance(table, dict) for table in (read.params, read.slurm, read.hyper.raw))


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    """As some editors of Windows write it."""
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xef\xbb\xbf[params]\nlr = 0.1\n")
    assert definition.load(path).params == {"lr": 0.1}
