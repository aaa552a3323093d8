"""Trials that did not run what they froze: every view of them says so, in the same words.

Code: run/import_leaks
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_project import SWEEP, Project

HELD = "what ran was not the frozen code"


@pytest.fixture
def leaky(project: Project) -> Project:
    """Three finished trials, of which the first and the second loaded a file of the working tree."""
    project.write({"config/rnn.toml": SWEEP + '\n[results]\nmetric = "best_validation_accuracy"\nmode = "min"\n'})
    project.generate().ok()
    project.resweep("run", "rnn#1-3").ok()
    for entry in project.entries()[:2]:
        place = project.paths().place(entry.name)
        finished = Path(place.attempts, "finished")
        record = json.loads(finished.read_text()) | {"leaked": [f"{project.root}/qb/main.py"]}
        finished.unlink()
        finished.write_text(json.dumps(record))
    return project


def imported(project: Project) -> str:
    """What is true of its file."""
    return f"qb/main.py was imported from {project.root}/qb/main.py, not from the trial"


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "results rnn --format latex",
        "results rnn --format csv",
        "plot rnn --kind scatter -o ../s.svg",
        "report rnn -o r.html",
        "export rnn ../tb --to tensorboard",
        "pack rnn -o ../a.tar.gz",
    ],
)
def test_every_view_of_the_trials_warns(leaky: Project, command: str) -> None:
    """One line beside what was asked for: how many trials, which, and of what."""
    result = leaky.resweep(*command.split()).ok()
    assert f"resweep: rnn: {HELD} in 2 trials (#1, #2): {imported(leaky)}\n" in result.err


@pytest.mark.parametrize("command", ["status rnn", "results rnn"])
def test_status_and_results_have_a_line_of_their_own(leaky: Project, command: str) -> None:
    """In the same words."""
    assert f"  leaked   2 trials (#1, #2): {imported(leaky)}\n" in leaky.resweep(*command.split()).ok().out


def test_the_best_trial_is_not_shown_without_it(leaky: Project) -> None:
    """For people and for programs; of a trial that ran what it froze there is nothing to say."""
    assert f"  leaked   {HELD}: {imported(leaky)}\n" in leaky.resweep("results", "rnn", "--best").ok().out
    form = ("results", "rnn", "--best", "--format", "json")
    assert json.loads(leaky.resweep(*form).ok().out)["leaked"] == f"{HELD}: {imported(leaky)}"
    sound = ("--metric", "best_validation_accuracy:max")
    assert "leaked" not in leaky.resweep("results", "rnn#3", "--best", *sound).ok().out
    found = json.loads(leaky.resweep("results", "rnn#3", "--best", *sound, "--format", "json").ok().out)
    assert found["leaked"] is None


@pytest.mark.slow
def test_what_is_made_of_such_a_trial_begins_with_a_warning(leaky: Project) -> None:
    """`promote` says it of the trial that it promotes, and only then."""
    said = f"resweep: rnn: {HELD} in 1 trial (#2): {imported(leaky)}\n"
    assert said in leaky.resweep("promote", "rnn#2", "--as", "final").ok().err
    assert HELD not in leaky.resweep("promote", "rnn#3", "--as", "sound").ok().err


def test_the_page_says_it_above_and_of_each_run(leaky: Project) -> None:
    """As a note, and where a click shows the run."""
    leaky.resweep("report", "rnn", "-o", "r.html").ok()
    text = (leaky.root / "r.html").read_text()
    assert f"<p>rnn: {HELD} in 2 trials (#1, #2): {imported(leaky)}</p>" in text
    assert text.count(f"{HELD}: {imported(leaky)}"[:190]) == 2


def test_an_exported_run_is_tagged(leaky: Project) -> None:
    """Its facts have the files."""
    from resweep.export import run
    from resweep.results import load

    found = load.gather(leaky.root, ["rnn"])
    tags = {each.number: each.facts.get("leaked") for each in run.runs(found, found.rows, "p")}
    assert tags == {1: f"{leaky.root}/qb/main.py", 2: f"{leaky.root}/qb/main.py", 3: None}


def test_two_such_trials_do_not_differ_in_it_and_say_it(leaky: Project) -> None:
    """`diff` has it beside each name, and where one alone did so also as a difference."""
    result = leaky.resweep("diff", "rnn#1", "rnn#2", "--only", "environment").ok()
    assert result.out.count(f"   {HELD}: {leaky.root}/qb/main.py from elsewhere\n") == 2
    assert leaky.resweep("diff", "rnn#1", "rnn#3", "--only", "environment").status == 1
