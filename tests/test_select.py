"""Which trials a command is about: names, numbers, ids, values and states, of one sweep.

Code: cli/select, sweep/conditions
"""

from __future__ import annotations

import json

import pytest
from running import FIND, lines, repeated
from small_project import SWEEP, Project

TRAIN = FIND + 'echo "${path##*/}" >> "$root/runs"\n'


@pytest.fixture
def grid(project: Project) -> Project:
    """Six trials: two learning rates, three kinds of values of another key."""
    sweep = (
        '[hyper]\n"params.lr" = [0.1, 1]\n"params.dropout" = [true, 1, "a b"]\n\n[params]\nlr = 0.5\ndropout = 0.5\n'
    )
    project.write({"config/rnn.toml": sweep, "train.sh": TRAIN})
    project.generate("--no-slurm-job").ok()
    return project


def ran(project: Project, *arguments: str) -> set[int]:
    """The numbers of the trials that a run with these arguments ran."""
    before = len(lines(project))
    project.resweep("run", *arguments, "--jobs", "1").ok()
    numbers = {entry.id: entry.number for entry in project.entries()}
    return {numbers[line] for line in lines(project)[before:]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["rnn#2-4"], {2, 3, 4}),
        (["rnn#1-2,6"], {1, 2, 6}),
        (["rnn#5-99"], {5, 6}),
        (["rnn#1", "rnn#3", "rnn#1"], {1, 3}),
        (["rnn#1", "{id4}"], {1, 4}),
        (["{id2}/0", "config/generated/rnn/{id5}/0"], {2, 5}),
        (["{prefix3}"], {3}),
    ],
)
def test_names_add_up(grid: Project, names: list[str], numbers: set[int]) -> None:
    """Ranges, lists, ids, their beginnings and paths of one sweep add up, each trial once."""
    known = {f"id{entry.number}": entry.id for entry in grid.entries()}
    known |= {f"prefix{entry.number}": entry.id[:9] for entry in grid.entries()}
    assert ran(grid, *(name.format(**known) for name in names)) == numbers


@pytest.mark.slow
@pytest.mark.parametrize("key", ["params.lr", " params.lr "])
def test_where_compares_values(grid: Project, key: str) -> None:
    """--where KEY=VALUE takes numbers as numbers: 1.0 is 1, and 0.10 is 0.1."""
    expected = {entry.number for entry in grid.entries() if entry.swept["params.lr"] == 1}
    assert len(expected) == 3
    assert ran(grid, "rnn", "--where", f"{key}=1.0") == expected
    assert len(ran(grid, "rnn", "--where", "params.lr=0.10")) == 3


@pytest.mark.parametrize("value", ["true", "1", "a b", '"a b"'])
def test_where_tells_true_one_and_text_apart(grid: Project, value: str) -> None:
    """--where takes true, 1 and text as different values; text needs no quotes, and several conditions all hold."""
    wanted = {"true": True, "1": 1}.get(value, "a b")
    (expected,) = {
        entry.number
        for entry in grid.entries()
        if repr(entry.swept["params.dropout"]) == repr(wanted) and entry.swept["params.lr"] == 0.1
    }
    assert ran(grid, "rnn", "--where", f"params.dropout={value}", "--where", "params.lr=0.1") == {expected}


@pytest.mark.slow
def test_state_chooses(project: Project) -> None:
    """--state takes trials in that state only, and may be given twice."""
    repeated(project, 4, 'echo "$n" >> "$root/runs"; [ $n != 1 ]')
    project.resweep("run", "rnn", "--max-trials", "2", "--jobs", "1")
    assert lines(project) == ["0", "1"]
    project.resweep("run", "rnn", "--state", "failed")
    assert lines(project) == ["0", "1", "1"]
    project.resweep("run", "rnn", "--state", "failed", "--state", "queued", "--jobs", "1")
    assert lines(project)[3:] == ["1", "2", "3"]
    assert "0 of 0 trials" in project.resweep("run", "rnn", "--state", "lost").ok().out


@pytest.mark.slow
def test_only_and_other_conditions_hold_together(grid: Project) -> None:
    """--only together with --where or a range runs what is in both."""
    names = {entry.number: str(entry.name) for entry in grid.entries()}
    grid.write({"list": "".join(f"{names[n]} #{n}\n" for n in (6, 3, 2))})
    assert ran(grid, "rnn#1-3", "--only", "list") == {2, 3}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rnn#7"], "no trial number 7"),
        (["rnn#3-"], "'3-'"),
        (["rnn#-3"], "'-3'"),
        (["rnn#a"], "'a'"),
        (["rnn#9-12"], "9-12"),
        (["rnn", "--where", "params.nope=1"], "params.lr=..."),
        (["rnn", "--where", "params.lr"], "params.lr=..."),
        (["nope"], "nope"),
    ],
)
@pytest.mark.parametrize("command", ["run", "status", "stop"])
def test_wrong_choice_is_one_line(grid: Project, command: str, arguments: list[str], says: str) -> None:
    """What names nothing is one line that says what was expected; status 2."""
    result = grid.resweep(command, *arguments)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert says in result.err
    assert lines(grid) == []


@pytest.mark.slow
def test_several_sweeps_are_run_shown_and_stopped_one_after_another(grid: Project) -> None:
    """Sweeps and trials of several, in any order; the worst exit status is the command's; --json has a list."""
    grid.write({"config/rnn.toml": SWEEP})
    grid.generate("--no-slurm-job", name="other").ok()
    shown = grid.resweep("status", "rnn", "other#1").ok().out
    assert [line for line in shown.splitlines() if "trial" in line] == [
        "rnn: 6 trials: 6 queued",
        "other: 1 trial: 1 queued",
    ]
    tables = json.loads(grid.resweep("status", "other", "rnn", "--json").ok().out)
    assert [(table["sweep"], len(table["trials"])) for table in tables] == [("other", 4), ("rnn", 6)]
    out = grid.resweep("run", "other#2", "rnn#1", "other#1", "--jobs", "1").ok().out
    assert [line.partition(":")[0] for line in out.splitlines() if "to run" in line] == ["other", "rnn"]
    assert len(lines(grid)) == 3
    assert "--only works with one sweep, not with 2" in grid.resweep("run", "rnn", "other", "--only", "-").err
    stopped = grid.resweep("stop", "rnn", "other").ok().out
    assert stopped.splitlines() == ["rnn: 0 stopped, 0 left", "other: 0 stopped, 0 left"]


def test_without_a_name_the_usage_is_shown(grid: Project) -> None:
    """A command without a name says what it needs, status 2."""
    result = grid.resweep("run")
    assert result.status == 2
    assert "NAME" in result.err.splitlines()[-1]
