"""A table in six forms: escaped, rounded for people and exact for programs.

Code: results/formats, results/table
"""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resweep.errors import ConfigError
from resweep.index import Entry
from resweep.results import formats, table
from resweep.results.points import Statistic
from resweep.results.trial_rows import Row
from resweep.sweep.definition import ResultsOptions

NASTY = "a|b & 50%_\\x {y} $z$ #1 ~^ <i> \"q\", 'r' `c` *d*\n[e]"


def rows(values: list[dict[str, Any]], swept: list[dict[str, Any]] | None = None) -> list[Row]:
    """Finished trials with these metrics."""
    keys = swept or [{} for _ in values]
    return [
        Row(Entry(n, f"id{n}", 0, "d", "", "", key, 1), "finished", 1.0, value, sweep="rnn")
        for n, (value, key) in enumerate(zip(values, keys, strict=True), 1)
    ]


def whole(values: list[dict[str, Any]], swept: list[dict[str, Any]] | None = None) -> table.Table:
    """Every column of a table of trials."""
    return table.of_rows(rows(values, swept))


TEXTS = st.text(st.characters(exclude_categories=("Cs",)))
NAMES = TEXTS.filter(
    lambda name: name and name not in ("sweep", "number", "trial", "state", "seconds", "host", "problem")
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
METRICS = st.lists(st.dictionaries(NAMES, VALUES, max_size=4), min_size=1, max_size=5)


@given(METRICS)
def test_jsonl_comes_back_as_it_was(values: list[dict[str, Any]]) -> None:
    """A line a trial, each JSON, every value exactly what it was."""
    lines = formats.json_lines(whole(values)).rstrip("\n").split("\n")
    back = [json.loads(line, parse_constant=lambda word: pytest.fail(word)) for line in lines]
    assert back == json.loads(formats.json_list(whole(values)))
    for found, metrics in zip(back, values, strict=True):
        assert {key: found[key] for key in metrics} == metrics
        assert [type(found[key]) for key in metrics] == [type(value) for value in metrics.values()]


@given(METRICS)
def test_csv_comes_back_as_it_was(values: list[dict[str, Any]]) -> None:
    """Numbers read from a cell are the same number, texts the same text, whatever is in them."""
    text = formats.comma_separated(whole(values))
    for found, metrics in zip(csv.DictReader(io.StringIO(text, newline="")), values, strict=True):
        for key, value in metrics.items():
            cell = found[key]
            if value is None:
                assert cell == ""
            elif isinstance(value, bool):
                assert cell == str(value).lower()
            else:
                assert type(value)(cell) == value


def test_pandas_reads_both() -> None:
    """What pandas reads of CSV and of JSON lines is the same table."""
    import pandas as pd

    text = whole([{"a": 0.1, "b": 3}, {"a": 1e-9, "b": 4}], [{"params.lr": 0.1}, {"params.lr": 1}])
    one = pd.read_csv(io.StringIO(formats.comma_separated(text)))
    two = pd.read_json(io.StringIO(formats.json_lines(text)), lines=True)
    assert list(one.columns) == list(two.columns)
    assert one["a"].tolist() == two["a"].tolist() == [0.1, 1e-9]


@pytest.mark.parametrize(("value", "text"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")])
def test_what_json_has_not_is_a_text_that_reads_as_a_number(value: float, text: str) -> None:
    """NaN and the infinities keep the lines valid JSON, and are not lost."""
    (line,) = formats.json_lines(whole([{"a": value, "deep": [value]}])).splitlines()
    found = json.loads(line, parse_constant=lambda word: pytest.fail(word))
    assert (found["a"], found["deep"]) == (text, [text])
    assert float(formats.comma_separated(table.choose(whole([{"a": value}]), ["a"])).split()[1]) == pytest.approx(
        value, nan_ok=True
    )


def test_markdown_has_as_many_cells_in_every_line() -> None:
    """No value and no name breaks a line or a cell, or is taken for markup."""
    shown = table.choose(whole([{NASTY: 1.0, "b": NASTY}]), ["number", NASTY, "b"])
    lines = formats.markdown(shown).splitlines()
    assert len(lines) == 3
    for line in lines:
        assert line.replace("\\|", "").count("|") == 4
    for letter in "*_`<[$":
        assert f"\\{letter}" in lines[2]
        assert letter not in lines[2].replace("\\" + letter, "")


def test_latex_escapes_everything_that_means_something() -> None:
    """Each character that LaTeX reads as markup is written so that it is printed."""
    shown = table.choose(whole([{NASTY: NASTY}]), [NASTY])
    text = formats.latex(shown)
    body = text.splitlines()[5]
    for escaped in (r"\&", r"\%", r"\_", r"\textbackslash{}", r"\{", r"\}", r"\$", r"\#", r"\textasciitilde{}"):
        assert escaped in body
    assert body.count("&") == body.count(r"\&")
    assert len(text.splitlines()) == 8


def test_latex_numbers_are_mathematics() -> None:
    """Exponents and negative numbers are set as such, names are escaped, words are words."""
    text = formats.latex(table.choose(whole([{"a_b": 1.5e-7, "c": -2}, {"a_b": 1e22, "c": "x_y"}]), ["a_b", "c"]))
    lines = text.splitlines()
    assert lines[1] == r"\begin{tabular}{rl}"
    assert lines[3] == r"a\_b & c \\"
    assert lines[5] == r"$1.5 \times 10^{-7}$ & $-2$ \\"
    assert lines[6] == r"$1 \times 10^{22}$ & x\_y \\"


@pytest.mark.slow
def test_latex_has_texts_without_quotes_where_they_can_be_nothing_else() -> None:
    """A name stands as it is, the text "true" too among texts; beside a truth or a number it is quoted."""
    cases: list[tuple[list[Any], list[str]]] = [
        (["a_1", "b", None], [r"a\_1", "b", ""]),
        (["true", "1"], ["true", "1"]),
        (["true", True, "gelu"], ["``true''", "true", "gelu"]),
        (["1", 1], ["``1''", "$1$"]),
        (["", "a"], ["``''", "a"]),
    ]
    for values, cells in cases:
        swept = [{} if value is None else {"params.x": value} for value in values]
        lines = formats.latex(table.choose(whole([{} for _ in values], swept), ["params.x"])).splitlines()
        assert [line.removesuffix(r" \\").strip() for line in lines[5:-2]] == cells


def test_a_mean_of_some_of_the_repeats_says_of_how_many() -> None:
    """What people read tells it in the cell; of all repeats nothing is added, and programs have a column."""
    entries = [Entry(n, "id", n, "d", "", "", {}, 1) for n in range(4)]
    metrics = [{"acc": 0.5 + 0.1 * n, **({"test.acc": 0.25 * n} if n < 2 else {})} for n in range(4)]
    metrics[0]["once"] = 0.5
    done = [Row(entry, "finished", 1.0, m, sweep="rnn") for entry, m in zip(entries, metrics, strict=True)]
    shown = table.choose(table.of_points(done), ["n", "acc", "test.acc", "once"])
    assert formats.text(shown).splitlines()[1].split("  ") == ["4", "0.65 ± 0.13", "0.12 ± 0.18 (n=2)", "0.5 (n=1)"]
    assert formats.markdown(shown).splitlines()[2] == "| 4 | 0.65 ± 0.13 | 0.12 ± 0.18 (n=2) | 0.5 (n=1) |"
    assert formats.latex(shown).splitlines()[5] == (
        r"$4$ & $0.65 \pm 0.13$ & $0.12 \pm 0.18$ ($n=2$) & $0.5$ ($n=1$) \\"
    )
    assert "0.125,0.1767766952966369,2,0.5,,1" in formats.comma_separated(shown)
    assert '"test.acc": {"mean": 0.125' in formats.json_lines(shown)


def test_latex_compiles(tmp_path: Any) -> None:
    """Where LaTeX is installed, it takes the table; elsewhere the braces at least are in pairs."""
    text = formats.latex(whole([{NASTY: NASTY, "b": 1e-9}]))
    assert text.replace(r"\{", "").replace(r"\}", "").count("{") == text.replace(r"\{", "").replace(r"\}", "").count(
        "}"
    )
    if shutil.which("pdflatex"):
        (tmp_path / "t.tex").write_text(
            "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs}\\begin{document}\n"
            + text
            + "\\end{document}\n"
        )
        subprocess.run(["pdflatex", "-halt-on-error", "t.tex"], cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("statistic", "text"),
    [
        (Statistic(0.51234, 0.0132, 5, 0, 1), "0.512 ± 0.013"),
        (Statistic(0.5, None, 1, 0.5, 0.5), "0.5"),
        (Statistic(0.5, 0.0, 3, 0.5, 0.5), "0.5 ± 0"),
        (Statistic(1234.5, 99.6, 3, 0, 1), "1234 ± 100"),
        (Statistic(0.1, 1e-12, 3, 0, 1), "0.1 ± 1e-12"),
        (Statistic(3e20, 1e19, 3, 0, 1), "3e+20 ± 1e+19"),
        (Statistic(math.nan, math.nan, 3, 0, 1), "nan ± nan"),
    ],
)
def test_a_mean_has_the_digits_that_its_spread_allows(statistic: Statistic, text: str) -> None:
    """Two digits of the deviation, and the mean to the same place."""
    assert formats.with_spread(statistic) == text


def test_names_that_are_taken_are_told_apart() -> None:
    """A metric that is called like a column of ours, or like a swept value, is a column of its own."""
    shown = whole([{"state": 5, "lr": 6}], [{"lr": 0.1, "host": "h"}])
    found = json.loads(formats.json_lines(shown))
    assert (found["state"], found["metric.state"]) == ("finished", 5)
    assert (found["lr"], found["metric.lr"]) == (0.1, 6)
    assert (found["host"], found["swept.host"]) == (None, "h")
    assert "metric.state" in formats.text(table.default(shown, ["state"]))


def test_columns_are_chosen_by_name_and_pattern() -> None:
    """Names and patterns give columns in their order, each once; a name with [ ] in it names itself."""
    shown = whole([{"val_a": 1, "val_b": 2, "x[0]": 3}])
    assert [c.name for c in table.choose(shown, ["val_*", "#", "val_a", "x[0]"]).columns] == [
        "val_a",
        "val_b",
        "number",
        "x[0]",
    ]
    with pytest.raises(ConfigError, match="found no column"):
        table.choose(shown, ["nope*"])


def test_rows_without_a_value_come_last_either_way() -> None:
    """Sorting puts NaN and what is missing last, and texts after numbers."""
    shown = whole([{"a": 2}, {}, {"a": math.nan}, {"a": 1}])
    for order, expected in (("a", [4, 1, 2, 3]), ("a:desc", [1, 4, 2, 3])):
        assert [line.entry.number for line in table.sort(shown, order, ResultsOptions()).lines] == expected
    assert table.sort(shown, "a", ResultsOptions("a", "max")).lines[0].entry.number == 1
    with pytest.raises(ConfigError, match="asc or desc"):
        table.sort(shown, "a:up", ResultsOptions())


@pytest.mark.parametrize(
    ("condition", "numbers"),
    [
        ("a>1", [2]),
        ("a>=1", [1, 2]),
        ("a<2", [1]),
        ("a!=1", [2]),
        ("a = 1.0", [1]),
        ("a=true", []),
        ("b=x=y", [3]),
        ('b="x=y"', [3]),
        ("state!=finished", []),
    ],
)
def test_conditions_hold_for_values_and_metrics(condition: str, numbers: list[int]) -> None:
    """Comparisons are of numbers, = and != of anything; what has no value fulfils nothing."""
    shown = table.where(whole([{"a": 1}, {"a": 2}, {"b": "x=y"}]), [condition])
    assert [line.entry.number for line in shown.lines] == numbers


@pytest.mark.parametrize("condition", ["a", "a>", "a>high", "=1", "nope=1", "a>true"])
def test_a_wrong_condition_is_one_line(condition: str) -> None:
    """What is no condition, names no column, or orders by what is no number is refused."""
    with pytest.raises(ConfigError):
        table.where(whole([{"a": 1}]), [condition])


@pytest.mark.parametrize("form", formats.FORMATS)
def test_no_rows_are_a_table(form: str) -> None:
    """A sweep without rows, and columns without values, break no format."""
    text = formats.FORMATS[form](whole([]))
    assert text == "" if form == "jsonl" else text.endswith("\n")
