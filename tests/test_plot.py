"""`resweep plot`: figures of sweeps on the disk, and one line for each mistake.

Code: cli/plot, report/figures/file
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_project import Project
from test_legacy import TOML
from test_results import give

from resweep.report import curves as learning
from resweep.report.figures import curves, drawing
from resweep.report.figures.series import Asked
from resweep.results import load

KINDS = list(drawing.KINDS)
METRIC = "--metric", "best_validation_accuracy"


@pytest.fixture
def measured(swept: Project) -> Project:
    """A sweep of four points, whose trials have an accuracy and three epochs."""
    for number, entry in enumerate(swept.entries()):
        finish(swept, entry, number)
    return swept


def finish(project: Project, entry: Any, number: int, name: str = "rnn") -> None:
    """Let a trial have trained for three epochs."""
    give(
        project, entry, json.dumps({"best_validation_accuracy": number / 8, "validation_loss": 2.0 - number}), name=name
    )
    home = Path(project.paths(name).place(entry.name).output)
    for epoch in range(3):
        values = {"training_accuracy": epoch / 4, "validation_accuracy": number / 8 - (2 - epoch) / 100}
        (home / f"metrics_epoch_{epoch}.json").write_text(json.dumps({"epoch": epoch, **values}))


def figure(project: Project, names: list[str], kind: str, metric: str | None = METRIC[1], **asked: Any) -> Any:
    """The figure that the command would write."""
    return drawing.draw(load.gather(project.root, names, metric), Asked(kind, **asked)).figure


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("form", "magic"), [("pdf", b"%PDF"), ("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_every_kind_in_every_form(measured: Project, kind: str, form: str, magic: bytes) -> None:
    """The command writes the file, says so, writes nothing else, and the same bytes again."""
    before = measured.tree()
    done = measured.resweep("plot", "rnn", "--kind", kind, *METRIC, "-o", f"x.{form}").ok()
    assert done.out.startswith(f"x.{form}: {kind} of rnn, ")
    first = (measured.root / f"x.{form}").read_bytes()
    assert first.startswith(magic)
    measured.resweep("plot", "rnn", "--kind", kind, *METRIC, "-o", f"x.{form}").ok()
    assert measured.tree() == {**before, f"x.{form}": first}


def test_numbers_are_those_of_results(measured: Project) -> None:
    """The last value of the performance curve and the dots of a scatter are in `results --by point`."""
    text = measured.resweep("results", "rnn", "--by", "point", "--format", "csv").ok().out
    table = list(csv.DictReader(io.StringIO(text)))
    values = [float(line["best_validation_accuracy"]) for line in table]
    (line, _) = figure(measured, ["rnn"], "performance").axes[0].lines
    expected = [np.mean([max(each) for each in itertools.combinations(values, n)]) for n in (1, 2, 3, 4)]
    assert list(line.get_ydata()) == pytest.approx(expected)
    (axes,) = figure(measured, ["rnn"], "scatter", params=("lr",)).axes
    offsets = max((each.get_offsets() for each in axes.collections), key=len)
    wanted = sorted((float(line["params.lr"]), float(line["best_validation_accuracy"])) for line in table)
    assert sorted(map(tuple, offsets)) == wanted


def test_a_random_search_is_told_from_a_grid(measured: Project) -> None:
    """What a caption should say follows the definition; `min` turns the curve."""
    done = measured.resweep("plot", "rnn", "--kind", "performance", "--metric", "validation_loss:min", "-o", "x.pdf")
    assert "points of a finite grid (without replacement), n up to 4" in done.ok().err
    (line, _) = figure(measured, ["rnn"], "performance", "validation_loss:min").axes[0].lines
    assert line.get_ydata()[-1] == -1


def test_curves_show_training_against_validation(measured: Project) -> None:
    """The best trials have both in one colour, the others validation alone, faint; values are those of the files."""
    (axes,) = figure(measured, ["rnn"], "curves", top=1).axes
    shown = [(list(line.get_xdata()), list(line.get_ydata()), line.get_color()) for line in axes.lines]
    best = [(x, y) for x, y, colour in shown if colour == "#0072B2"]
    assert best[0] == ([0, 1, 2], pytest.approx([0.355, 0.365, 0.375]))
    assert best[1] == ([0, 1, 2], [0, 0.25, 0.5])
    faint = sorted(y[-1] for _, y, colour in shown if colour != "#0072B2")
    assert faint == [0, 0.125, 0.25]
    texts = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert texts[:2] == ["validation", "train"]
    assert texts[2] == "#4 dropout=0.4 lr=0.2"
    assert texts[3] == "others"


def test_curves_of_another_measure(measured: Project) -> None:
    """--param names what is drawn; a measure that no trial has is refused with those that there are."""
    done = measured.resweep("plot", "rnn", "--kind", "curves", *METRIC, "--param", "recall", "-o", "x.svg")
    assert done.status == 2
    assert "--param recall: found no learning curve of it" in done.err
    assert "accuracy" in done.err
    assert figure(measured, ["rnn"], "curves", "validation_loss:min", params=("validation_accuracy",))


@pytest.mark.slow
def test_several_sweeps_in_one_figure(measured: Project) -> None:
    """Each has its own line and its name; a key that one fixes has its fixed value there."""
    measured.write({"config/rnn.toml": '[hyper]\n"params.lr" = [0.1, 0.3]\n[params]\nlr = 0.5\ndropout = 0.7\n'})
    measured.generate("--no-slurm-job", name="dan").ok()
    for number, entry in enumerate(measured.entries("dan")):
        finish(measured, entry, number + 3, "dan")
    for kind in KINDS:
        measured.resweep("plot", "rnn", "dan", "--kind", kind, *METRIC, "-o", f"{kind}.pdf").ok()
    (axes,) = figure(measured, ["rnn", "dan"], "scatter", params=("params.dropout",)).axes
    offsets = [tuple(each) for one in axes.collections for each in one.get_offsets() if len(one.get_offsets())]
    assert {x for x, _ in offsets} == {0.3, 0.4, 0.7}


@pytest.mark.slow
def test_a_sweep_of_2020_has_figures(project: Project) -> None:
    """Its curves and points are drawn; durations, which it did not record, are refused."""
    for number in range(4):
        home = f"{100 + number}/0"
        toml = TOML.format(id=100 + number, trial=0, lr=0.1 * (number + 1))
        project.write({f"config/generated/old/{home}/{100 + number}.toml": toml})
        project.write({f"model/generated/old/{home}/metrics.json": json.dumps({"accuracy": number / 4})})
        project.write({f"model/generated/old/{home}/COMPLETE": ""})
        for epoch in range(2):
            text = json.dumps({"validation_accuracy": epoch / 2})
            project.write({f"model/generated/old/{home}/metrics_epoch_{epoch}.json": text})
    for kind in KINDS:
        project.resweep("plot", "old", "--kind", kind, "--metric", "accuracy", "-o", "x.pdf").ok()
    (axes,) = figure(project, ["old"], "curves", "accuracy").axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[0, 0.5]] * 4
    options = "--kind", "performance", "--metric", "accuracy", "--x", "duration"
    done = project.resweep("plot", "old", *options, "-o", "y.pdf")
    assert (done.status, "found no durations in old" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-o", "x.eps"), "-o x.eps: found the ending .eps, expected .pdf, .png, .svg"),
        (("-o", "x"), "found the ending of no form"),
        (("-o", "folder.pdf"), "folder.pdf: is a directory"),
        (("-o", "pipe.pdf"), "pipe.pdf: is no file"),
        (("-o", "nowhere/x.pdf"), "nowhere is not a directory"),
        (
            ("-o", "x.pdf", "--metric", "nothing"),
            "--metric nothing: no finished trial reports nothing; found validation_accuracy",
        ),
        (("-o", "x.pdf", "--metric", "validation_acc"), "; did you mean validation_accuracy"),
        (("-o", "x.pdf", "--where", "params.lr=9"), "found no finished point"),
        (("-o", "x.pdf", "--where", "nothing=9"), "--where nothing=9: found no column nothing"),
        (("-o", "x.pdf", "--param", "params.sleep"), "--param params.sleep: found no such key"),
        (("-o", "x.pdf", "--param", "r"), "--param r: found no such key, expected one that differs"),
        (("-o", "x.pdf", "--x", "duration"), "--x means nothing for --kind scatter"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(measured: Project, options: tuple[str, ...], said: str) -> None:
    """Each names the option, what was found and what was expected."""
    (measured.root / "folder.pdf").mkdir()
    os.mkfifo(measured.root / "pipe.pdf")
    done = measured.resweep("plot", "rnn", "--kind", "scatter", *METRIC, *options)
    assert done.status == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert not (measured.root / "x.pdf").exists()


def test_without_a_metric_there_is_no_figure(measured: Project) -> None:
    """A sweep that names none is told how to."""
    done = measured.resweep("plot", "rnn", "--kind", "parallel", "-o", "x.pdf")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "--metric KEY:max" in done.err


def test_without_matplotlib_the_extra_is_named(measured: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what to install."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = measured.resweep("plot", "rnn", "--kind", "scatter", *METRIC, "-o", "x.pdf")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "pip install 'resweep[plot]'" in done.err


def test_a_file_is_replaced_whole_and_a_link_stays(measured: Project) -> None:
    """A figure that is there is replaced, with its permissions; what a link leads to is; no other file is left."""
    target = measured.root / "paper.pdf"
    target.write_text("old")
    target.chmod(0o640)
    (measured.root / "link.pdf").symlink_to(target)
    before = set(measured.tree())
    measured.resweep("plot", "rnn", "--kind", "scatter", *METRIC, "-o", "link.pdf").ok()
    assert (measured.root / "link.pdf").is_symlink()
    assert target.read_bytes().startswith(b"%PDF")
    assert target.stat().st_mode & 0o777 == 0o640
    assert set(measured.tree()) == before


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_values_of_a_real_sweep_are_letters(project: Project, kind: str) -> None:
    """Mathematics, line ends, markup and a very long text in values, metric and curves break no figure."""
    values = ["$x_1$", "a\nb\u001b[31m", "</svg>", "\\frac{$", "x" * 5000]
    project.write({"config/rnn.toml": f'[hyper]\n"params.lr" = {json.dumps(values)}\n[params]\nlr = 0.5\n'})
    project.generate("--no-slurm-job").ok()
    for number, entry in enumerate(project.entries()):
        give(project, entry, json.dumps({"$m_1$": number, "</svg>\n": "text"}))
        lines = [{"step": step, "train/$m_1$": step, "val/$m_1$": math.nan if step else 10**400} for step in range(3)]
        home = Path(project.paths().place(entry.name).output)
        (home / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    project.resweep("plot", "rnn", "--kind", kind, "--metric", "$m_1$", "-o", "x.svg").ok()
    assert (project.root / "x.svg").read_text().count("</svg>") == 1


def test_curves_of_a_big_sweep_read_the_best_alone(measured: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that stand out and so many of the next best; no file of the others is opened, and a note says so."""
    read: list[int] = []
    real = learning.history

    def history(found: Any, row: Any) -> Any:
        read.append(row.entry.number)
        return real(found, row)

    monkeypatch.setattr(curves, "MOST_OTHERS", 2)
    monkeypatch.setattr(learning, "history", history)
    drawn = drawing.draw(load.gather(measured.root, ["rnn"], METRIC[1]), Asked("curves", top=1))
    assert "the 3 best of 4 trials are drawn" in drawn.notes
    assert read == [4, 3, 2]
