"""The table of results on a terminal: as wide as that is, and whole everywhere else.

Code: results/terminal, results/table
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_project import Project
from test_results import give

import resweep
from resweep.index import Entry
from resweep.results import formats, table, terminal
from resweep.results.trial_rows import Row
from resweep.sweep.definition import ResultsOptions

RANDOM = """\
[hyper]
"params.lr" = { loguniform = [1e-5, 1.0] }
"params.dropout" = [0.123456789, 0.25]
[search]
method = "random"
n = 4
[params]
lr = 0.5
[results]
metric = "accuracy"
"""


def rows(keys: Sequence[str], metrics: Sequence[str], value: object = 0.125) -> list[Row]:
    """Three trials with these swept keys and metrics."""
    found = []
    for n in (1, 2, 3):
        entry = Entry(n, "a" * 12, 0, "d", "", "", dict.fromkeys(keys, value), 1)
        numbers = dict.fromkeys(metrics, n / 3)
        found.append(Row(entry, "finished", 2.0, numbers, record={"host": f"node{n}"}, sweep="rnn"))
    return found


def shown(found: list[Row], metric: str | None = "acc") -> table.Table:
    """The table that people see first."""
    options = ResultsOptions(metric)
    return table.default(table.of_rows(found), table.shown_metrics(found, options))


def heads(found: table.Table) -> list[str]:
    """What stands above the columns."""
    return [column.title for column in found.columns]


def widest(found: table.Table) -> int:
    """The longest line of the table."""
    return max(map(len, formats.text(found).splitlines()))


def test_papers_have_six_digits_of_what_was_drawn(project: Project) -> None:
    """Markdown, LaTeX and Jupyter round values that nobody wrote down; CSV does not."""
    text = '[search]\nmethod = "random"\nn = 2\n[hyper]\n"params.lr" = { loguniform = [0.001, 1] }\n[params]\n'
    project.write({"config/rnn.toml": text})
    project.generate("--no-slurm-job").ok()
    lr = project.entries()[0].swept["params.lr"]
    assert len(repr(lr)) > 12
    for form in ("markdown", "latex"):
        said = project.resweep("results", "rnn", "--format", form).ok().out
        assert f"{lr:.6g}" in said
        assert repr(lr) not in said
    assert repr(lr) in project.resweep("results", "rnn", "--format", "csv").ok().out
    shown = resweep.open("rnn", root=project.root)._repr_html_()
    assert f"{lr:.6g}" in shown
    assert repr(lr) not in shown


def test_what_has_room_is_left_as_it_is() -> None:
    """A table that fits has whole names and every column."""
    whole = shown(rows(["params.lr"], ["acc"]))
    assert terminal.fit(whole, widest(whole), "acc") == (whole, [])


def test_heads_are_shortened_where_that_is_clear() -> None:
    """To the last part of a key, or as many as tell it from other keys and columns."""
    keys = ["params.lr", "params.encoder.dim", "params.decoder.dim", "params.state", "plain"]
    short, gone = terminal.fit(shown(rows(keys, ["acc"])), 110, "acc")
    assert gone == []
    assert heads(short) == [
        "#", "trial", "lr", "encoder.dim", "decoder.dim", "params.state", "plain", "state", "seconds", "host", "acc",
    ]  # fmt: skip


def test_columns_go_in_the_order_of_their_worth() -> None:
    """Host, id and seconds before other metrics, those before swept values; number, state and the metric stay."""
    found = rows(["params.lr", "params.dim"], ["acc", "loss"])
    options = ResultsOptions(None)
    whole = table.default(table.of_rows(found), table.shown_metrics(found, options))
    assert terminal.fit(whole, 50, None)[1] == ["host", "trial"]
    assert terminal.fit(whole, 1, None)[1] == ["host", "trial", "seconds", "loss", "params.dim", "params.lr"]
    assert heads(terminal.fit(whole, 1, None)[0]) == ["#", "state", "acc"]
    assert "acc" not in terminal.fit(whole, 1, "acc")[1]
    assert terminal.fit(whole, 1, None, leave_out=False)[1] == []


_keys = st.lists(st.text("ab.", min_size=1, max_size=12), max_size=6, unique=True)


@given(_keys, st.integers(1, 120), st.lists(st.sampled_from(["acc", "loss", "f1", "params.lr"]), unique=True))
def test_a_table_fits_or_nothing_more_can_go(keys: list[str], width: int, metrics: list[str]) -> None:
    """Every line is in the width, what is left out is named, and no two columns have the same head."""
    whole = shown(rows(keys, metrics))
    fitted, gone = terminal.fit(whole, width, "acc")
    assert {column.name for column in fitted.columns} | set(gone) == {column.name for column in whole.columns}
    assert widest(fitted) <= width or heads(fitted) == ["#", "state", "acc"]
    assert len(set(heads(fitted))) == len(fitted.columns)


def on_terminal(project: Project, width: int, *arguments: str) -> list[str]:
    """What a call prints on a terminal so wide, both streams."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-m", "resweep", "results", *arguments]
    process = subprocess.Popen(command, cwd=project.root, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    while True:
        try:
            chunk = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        said += chunk
    os.close(ours)
    assert process.wait(timeout=300) == 0, said
    return said.decode().splitlines()


@pytest.fixture
def drawn(project: Project) -> Project:
    """Four random trials that have finished."""
    project.write({"config/rnn.toml": RANDOM})
    project.begin("config/rnn.toml", "base.jsonnet", "rnn", "--no-slurm-job")
    for number, entry in enumerate(project.entries()):
        give(project, entry, json.dumps({"accuracy": number / 10, "test_metric_of_a_long_name": 1}))
    return project


@pytest.mark.slow
def test_a_terminal_gets_what_it_has_room_for(drawn: Project) -> None:
    """Draws with four digits, written values as they are, short heads, and a line that says what was left out."""
    wide = on_terminal(drawn, 200, "rnn")
    assert wide[0].split() == ["#", "trial", "params.dropout", "params.lr", "state", "seconds", "accuracy"]
    draws = {entry.number: entry.swept["params.lr"] for entry in drawn.entries()}
    for line in wide[1:]:
        number, _, dropout, lr, *_ = line.split()
        assert lr == json.dumps(float(f"{draws[int(number)]:.4g}"))
        assert dropout in ("0.123456789", "0.25")
    narrow = on_terminal(drawn, 60, "rnn")
    assert all(len(line) <= 60 for line in narrow[:5])
    assert narrow[0].split()[:3] == ["#", "dropout", "lr"]
    assert narrow[5].startswith("resweep: left out, for want of room: trial")
    assert "--columns" in narrow[5]
    chosen = on_terminal(drawn, 40, "rnn", "--columns", "trial,params.*,state,host,seconds,accuracy")
    assert len(chosen[0].split()) == 7
    assert len(chosen) == 5


def test_nothing_is_cut_where_there_is_no_terminal(drawn: Project) -> None:
    """A pipe and the forms for programs have whole names and every digit."""
    out = drawn.resweep("results", "rnn").ok().out
    for entry in drawn.entries():
        assert json.dumps(entry.swept["params.lr"]) in out
    assert "params.dropout" in out
    csv = on_terminal(drawn, 20, "rnn", "--format", "csv")
    assert "test_metric_of_a_long_name" in csv[0]
    assert all(any(json.dumps(entry.swept["params.lr"]) in line for line in csv) for entry in drawn.entries())


def test_a_problem_that_has_no_room_is_told(drawn: Project) -> None:
    """A file of metrics that cannot be read is named although its column was left out."""
    place = drawn.paths().place(drawn.entries()[0].name)
    with open(os.path.join(place.output, "metrics.json"), "w") as file:
        file.write("{")
    said = on_terminal(drawn, 80, "rnn")
    assert any("left out, for want of room: problem" in line for line in said)
    assert any("1 of 4 trials: numbers could not be read" in line for line in said)
