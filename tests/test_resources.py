"""[slurm]: what it may hold, and what several tables ask for together.

Code: sweep/slurm_table
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resweep.errors import ConfigError
from resweep.sweep import slurm_table


def ask(*tables: dict[str, object], threads: int = 1, declared: dict[str, object] | None = None) -> list[str]:
    """What the tables ask of sbatch."""
    return slurm_table.resolve(*tables, threads=threads, declared=declared)[0].arguments()


@pytest.mark.parametrize(
    ("table", "options"),
    [
        ({}, []),
        ({"mem": "8g", "time": 60}, ["--mem=8g", "--time=60"]),
        ({"exclusive": True, "requeue": False}, ["--exclusive"]),
        ({"mem_per_cpu": 2.5}, ["--mem-per-cpu=2.5"]),
        ({"comment": 'it\'s $(x) `y` "z"'}, ['--comment=it\'s $(x) `y` "z"']),
        ({"mail-type": ["END", "FAIL"], "exclude": ["a1", "a2"]}, ["--mail-type=END,FAIL", "--exclude=a1,a2"]),
        ({"signal": "USR1@120"}, ["--signal=B:USR1@120"]),
        ({"signal": "B:SIGUSR2@60"}, ["--signal=B:USR2@60"]),
        ({"signal": False}, []),
        ({"parallel": 4, "setup": ["x"], "script": "s.sh", "trials_per_job": 2, "max_requeues": 1}, []),
    ],
)
def test_a_table_becomes_options_of_sbatch(table: dict[str, object], options: list[str]) -> None:
    """true is a bare option, false none, a list is joined; our own words are no options."""
    slurm_table.check("x.toml", table)
    assert ask({**table, "cpus-per-task": False}) == options


def test_threads_are_the_cores_of_a_task() -> None:
    """`threads` is cpus-per-task, unless the table, or the site's script, says otherwise."""
    assert ask({}, threads=3) == ["--cpus-per-task=3"]
    assert ask({"cpus_per_task": 8}, threads=3) == ["--cpus-per-task=8"]
    assert ask({"cpus-per-task": False}, threads=3) == []
    assert ask({}, threads=3, declared={"cpus-per-task": "4"}) == []


@pytest.mark.parametrize("declared", [True, False])
def test_fewer_cores_than_threads_are_worth_a_warning(declared: bool) -> None:
    """What stands there is asked for, and the warning names both numbers."""
    table = {"cpus-per-task": "2"}
    asked, notes = slurm_table.resolve({} if declared else table, threads=4, declared=table if declared else {})
    assert asked.arguments() == ([] if declared else ["--cpus-per-task=2"])
    assert ["cpus-per-task=2" in note and "4 threads" in note for note in notes] == [True]
    assert slurm_table.resolve(table, threads=2)[1] == []


def test_a_later_table_goes_before_an_earlier_one() -> None:
    """The site's defaults, the sweep, the profile, the swept values; however a key is spelled."""
    site = {"partition": "cpu", "mem_per_cpu": "1g", "setup": ["a"], "qos": "low"}
    sweep = {"partition": "gpu", "setup": ["b"]}
    profile = {"mem-per-cpu": "2g", "qos": False, "parallel": 3}
    asked, _ = slurm_table.resolve(site, sweep, profile, {"partition": "big"})
    assert asked.arguments() == ["--partition=big", "--mem-per-cpu=2g", "--cpus-per-task=1"]
    assert (asked.setup, asked.parallel, asked.script) == (("b",), 3, "slurm-allennlp.sh")


def test_profiles_of_a_later_table_go_before_those_of_an_earlier_one() -> None:
    """A sweep's profile replaces the site's of the same name, and leaves the others."""
    site = {"profiles": {"a": {"mem": "1g"}, "b": {"mem": "2g"}}}
    sweep = {"profiles": {"a": {"mem": "3g"}}}
    assert slurm_table.profiles(site, sweep) == {"a": {"mem": "3g"}, "b": {"mem": "2g"}}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"array": "1-5"}, ["slurm.array", "parallel = N"]),
        ({"wrap": "true"}, ["slurm.wrap", "slurm-allennlp.sh"]),
        ({"clusters": "b"}, ["slurm.clusters", "SLURM_CLUSTERS"]),
        ({"parallel": 0}, ["slurm.parallel", "found 0", "1 or more"]),
        ({"parallel": True}, ["slurm.parallel", "found True", "whole number"]),
        ({"trials_per_job": "2"}, ["slurm.trials_per_job", "found '2'", "whole number"]),
        ({"max_requeues": -1}, ["slurm.max_requeues", "0 or more"]),
        ({"setup": "module load"}, ["slurm.setup", "found 'module load'", "lines of bash"]),
        ({"setup": [1]}, ["slurm.setup", "lines of bash"]),
        ({"signal": "USR1"}, ["slurm.signal", "found 'USR1'", "USR1@SECONDS"]),
        ({"signal": "TERM@60"}, ["slurm.signal", "USR1@SECONDS"]),
        ({"script": ""}, ["slurm.script", "a path"]),
        ({"profiles": "scav"}, ["slurm.profiles", "found 'scav'", "[slurm.profiles.NAME]"]),
        ({"profiles": {"a": 1}}, ["slurm.profiles", "[slurm.profiles.NAME]"]),
        ({"profiles": {"a": {"profiles": {}}}}, ["slurm.profiles.a.profiles", "[slurm.profiles.NAME]"]),
        ({"profiles": {"a": {"mem": {}}}}, ["slurm.profiles.a.mem", "a table", "a text"]),
        ({"mem": {"a": 1}}, ["slurm.mem", "a table", "a text"]),
        ({"mem_per_cpu": "1g", "mem-per-cpu": "2g"}, ["slurm.mem-per-cpu", "mem_per_cpu", "one of them"]),
        ({"a b": 1}, ["slurm.a b", "option of sbatch"]),
        ({"comment": "a\nb"}, ["slurm.comment", "one line"]),
    ],
)
def test_a_mistake_in_the_table_is_named(table: dict[str, object], says: list[str]) -> None:
    """One line: the file, the key, what was found, what was expected."""
    with pytest.raises(ConfigError) as caught:
        slurm_table.check("config/x.toml", table)
    text = str(caught.value)
    assert text.startswith("config/x.toml: ")
    assert "\n" not in text
    assert [word for word in says if word not in text] == []


@pytest.mark.parametrize("word", slurm_table.OWN)
def test_what_is_one_submissions_cannot_be_swept(word: str) -> None:
    """Trials can differ in options of sbatch, and not in what the whole submission is."""
    with pytest.raises(ConfigError, match=f"hyper.slurm.{word}"):
        slurm_table.check("x.toml", {word: 1}, "hyper.slurm", swept=True)


_names = st.sampled_from(["mem", "qos", "time", "partition", "mail-type", "exclusive"])
_values = st.one_of(st.booleans(), st.integers(), st.text(st.characters(exclude_characters="\0\n")))


@given(st.lists(st.dictionaries(_names, _values), max_size=4))
def test_tables_are_merged_key_by_key(tables: list[dict[str, object]]) -> None:
    """Each option has the value of the last table that has it, and false takes it out."""
    merged: dict[str, object] = {}
    for table in tables:
        merged |= table
    expected = {key: value for key, value in merged.items() if value is not False}
    found = dict(slurm_table.resolve(*tables)[0].options)
    assert found.pop("cpus-per-task") == 1
    assert found == expected
