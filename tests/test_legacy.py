"""Sweeps that the script of 2020 wrote open in the table, and nothing of them is touched.

Code: results/legacy, results/of_2020
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_project import Project

TOML = """\
generated_id = "{id}"
name = "old"
trial = {trial}
allennlp_conf = "/home/pedro/code/config/generated/old/{id}/{trial}/{id}.json"
serialization_dir = "/home/pedro/code/model/generated/old/{id}/{trial}"
conf_dir = "/home/pedro/code/config/generated/old/{id}/{trial}"
conf_path = "/home/pedro/code/config/generated/old/{id}/{trial}/{id}.toml"
[params]
lr = {lr}
dropout = 0.5
[slurm]
qos = "gpu-medium"
"""


@pytest.fixture
def old(project: Project) -> Project:
    """Two points with two trials each: one without COMPLETE, one that never ran."""
    for number, (id_, repeat, lr) in enumerate(
        [(1000001, 0, 0.1), (1000001, 1, 0.1), (1999999, 0, 0.2), (1999999, 1, 0.2)]
    ):
        project.write({f"config/generated/old/{id_}/{repeat}/{id_}.toml": TOML.format(id=id_, trial=repeat, lr=lr)})
        if number < 3:
            home = f"model/generated/old/{id_}/{repeat}"
            project.write({f"{home}/metrics.json": json.dumps({"accuracy": number / 10, "deep": {"x": 1}})})
            if number != 1:
                project.write({f"{home}/COMPLETE": ""})
    return project


def rows(project: Project, *options: str) -> list[dict[str, object]]:
    """What `resweep results old --format jsonl` says."""
    return [
        json.loads(line)
        for line in project.resweep("results", "old", "--format", "jsonl", *options).ok().out.splitlines()
    ]


def test_swept_values_are_those_that_differ(old: Project) -> None:
    """The TOML files tell what was swept, COMPLETE who finished; the old paths in them do not matter."""
    before = old.tree()
    found = rows(old)
    assert [row["trial"] for row in found] == ["1000001/0", "1000001/1", "1999999/0", "1999999/1"]
    assert [row["params.lr"] for row in found] == [0.1, 0.1, 0.2, 0.2]
    assert "params.dropout" not in found[0]
    assert [row["state"] for row in found] == ["finished", "lost", "finished", "queued"]
    assert [row["accuracy"] for row in found] == [0.0, None, 0.2, None]
    assert found[0]["deep.x"] == 1
    assert old.tree() == before


def test_the_best_is_named_with_what_runs_it_again(old: Project) -> None:
    """--best works with a metric from the command line, as such a sweep names none."""
    said = old.resweep("results", "old", "--best", "--metric", "accuracy").ok().out
    assert "1999999/0" in said
    assert "bash config/generated/old/1999999/0/train.sh config/generated/old/1999999/0" in said
    lowest = old.resweep("results", "old", "--best", "--metric", "accuracy:min").ok().out
    assert "1000001/0" in lowest
    refused = old.resweep("results", "old", "--best")
    assert (refused.status, refused.err.count("\n")) == (2, 1)


def test_repeats_with_ids_of_their_own_are_one_point(project: Project) -> None:
    """Before the script knew of trials every run had a random number: equal configurations are one point."""
    for id_, lr in ((1, 0.1), (2, 0.1), (3, 0.2)):
        text = TOML.format(id=id_, trial=0, lr=lr).replace("trial = 0\n", "")
        project.write({f"config/generated/old/{id_}/{id_}.toml": text})
        project.write({f"model/generated/old/{id_}/metrics.json": json.dumps({"a": id_})})
        project.write({f"model/generated/old/{id_}/COMPLETE": ""})
    found = rows(project, "--by", "point", "--sort", "params.lr")
    assert [(row["params.lr"], row["n"], row["a"]["mean"]) for row in found] == [(0.1, 2, 1.5), (0.2, 1, 3.0)]  # type: ignore[index]


def test_a_broken_toml_is_named_and_old_and_new_merge(old: Project) -> None:
    """A TOML that cannot be read costs no other row; a sweep of now stands in the same table."""
    Path(old.root, "config/generated/old/1999999/1/1999999.toml").write_text("lr = [1, 0.5")
    old.generate("--no-slurm-job").ok()
    table = old.resweep("results", "rnn", "old", "--format", "jsonl").ok().out
    found = [json.loads(line) for line in table.splitlines()]
    assert [row["sweep"] for row in found] == ["rnn"] * 4 + ["old"] * 4
    assert "1999999.toml cannot be read" in str(found[-1]["problem"])


def test_a_new_sweep_does_not_hide_an_old_one(old: Project) -> None:
    """The name is refused in one line, and nothing is written."""
    before = old.tree()
    result = old.generate(name="old")
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert "the script of 2020 has made, expected another name" in result.err
    assert old.tree() == before
    old.generate("--no-slurm-job", name="new").ok()


@pytest.mark.parametrize("words", [("status", "old"), ("run", "old#1"), ("stop", "old"), ("verify", "old")])
def test_commands_that_need_a_record_say_what_such_a_sweep_is(old: Project, words: tuple[str, ...]) -> None:
    """One line that names the commands which show it, not that there is no such sweep."""
    result = old.resweep(*words)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert "the script of 2020 has made this sweep" in result.err
    assert "`resweep results`" in result.err
