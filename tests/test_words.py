"""What messages say of one, of some, and how often they say it.

Code: cli/__init__, cli/progress, errors
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_project import REPOSITORY, Project

from resweep.cli import progress
from resweep.errors import counted

# where a number cannot be one
_MORE_THAN_ONE = (
    "names {len(entries)} trials",
    "found {len(entries)} trials",
    "found {count:,} trials",
    "the last {len(failed)} trials",
    "of {len(ranked)} trials are drawn",
    "of {len(trials)} trials have no",
    "holds {len(entries)} such trials",
    "{REPEATS} finished trials",
    "{plan.files:,} files",
    "{batch.tasks} jobs",
)


@given(st.integers(0, 10**9))
def test_one_is_one_and_others_are_many(count: int) -> None:
    """The number can be read back, and only one trial is `1 trial`."""
    number, word = counted(count, "trial").split()
    assert int(number.replace(",", "")) == count
    assert (word == "trial") is (count == 1)


def test_no_message_counts_without_looking_at_the_number() -> None:
    """What puts a number before a plural asks whether it is one."""
    plural = re.compile(r"\{[^{}]*\} (?:\w+ )?(?:trials|files|jobs|tasks|workers|outputs|packages|runners|metrics)\b")
    found = []
    for path in sorted((REPOSITORY / "resweep").rglob("*.py")):
        for line in path.read_text("utf-8").splitlines():
            text = line
            for known in _MORE_THAN_ONE:
                text = text.replace(known, "")
            if 'f"' in text and plural.search(text):
                found.append(f"{path.name}: {line.strip()}")
    assert found == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["rnn#1"], "rnn: the trial that was asked for has finished: #1 "),
        (["rnn#1-2"], "rnn: all 2 trials that were asked for have finished (rnn#1-2)"),
        (["rnn#1", "rnn#3"], "rnn: all 2 trials that were asked for have finished (rnn#1 rnn#3)"),
        (
            ["rnn", "--where", "params.lr>0.1"],
            "rnn: all 2 trials that were asked for have finished (rnn --where params.lr>0.1)",
        ),
        (["rnn"], "rnn: all trials have finished"),
    ],
)
def test_run_says_whether_all_or_some_have_finished(swept: Project, names: list[str], says: str) -> None:
    """A part of a sweep that has finished is not taken for the sweep."""
    assert swept.resweep("run", *names).ok().out.splitlines()[-1].startswith(says)
    again = swept.resweep("run", *names).ok().out.splitlines()[-1]
    assert again.startswith("rnn: nothing to run")
    assert ("asked for" in again) is ("asked for" in says)


@pytest.mark.parametrize("template", ["function(lr, dropout) { lr: lr", 'function(lr, dropout) error "no such thing"'])
def test_a_mistake_of_the_template_is_said_once(project: Project, template: str) -> None:
    """jsonnet's first line is the message; what follows it is the place, and no path is said twice on a line."""
    project.write({"base.jsonnet": template})
    result = project.generate()
    assert (result.status, result.out) == (2, "")
    first, *rest = result.err.splitlines()
    said = first.rpartition(": ")[2]
    assert said
    assert not any(said in line for line in rest)
    assert first.startswith("resweep: base.jsonnet:")
    assert first.count("base.jsonnet") == 1


def test_a_plain_line_of_progress_is_for_what_takes_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is no terminal, nothing is said of what is over at once, whatever went before it."""
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with progress.progress_bar() as update:
        update("filling", 1, 100)
        now = 4.0
        update("writing", 2, 100)
        now = 8.0
        update("writing", 50, 100)
        assert capsys.readouterr().err == ""
        now = 9.5
        update("writing", 60, 100)
        update("writing", 61, 100)
        now = 100.0
        update("writing", 100, 100)
    assert capsys.readouterr().err == "writing: 60 of 100\n"


def test_conditions_of_every_command_compare(swept: Project) -> None:
    """`--where` of run, status and others takes <, > and != of swept values, as `results` does."""
    for condition, numbers in {
        "params.lr<0.2": 2, "params.lr>=0.1": 4, "params.lr!=0.1": 2, "params.lr>0.2": 0, "params.dropout==0.30": 2,
    }.items():  # fmt: skip
        said = swept.resweep("status", "rnn", "--where", condition).ok().out
        shown = swept.resweep("results", "rnn", "--where", condition, "--format", "jsonl").ok().out
        assert said.startswith(f"rnn: {numbers} trial"), condition
        assert shown.count("\n") == numbers
    for wrong in ("params.lr<high", "params.lr", "state=finished", "=1"):
        result = swept.resweep("status", "rnn", "--where", wrong)
        assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
        assert "params.lr=..." in result.err
