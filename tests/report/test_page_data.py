"""What the page is given: every value as it was measured, whatever it was, in few bytes.

Code: report/data, report/learning, report/details
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import trained
from hypothesis import given
from hypothesis import strategies as st
from small_project import Project

from resweep.report import data, details, learning, page
from resweep.results import load

ODD: list[Any] = [
    math.nan,
    math.inf,
    -math.inf,
    10**400,
    2**60,
    "a text",
    None,
    [1, 2],
    True,
    0.1,
]


def table(project: Project, *names: str) -> dict[str, Any]:
    """What the page of these sweeps is given, as a browser reads it."""
    values = data.data(load.gather(project.root, names or ["rnn"]))
    found: dict[str, Any] = json.loads(page.embedded(values))
    return found


def named(found: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    """One column."""
    column: dict[str, Any] = next(each for each in found[kind] if each["name"] == name)
    return column


def test_numbers_that_json_has_not_are_told_beside_their_column(project: Project) -> None:
    """NaN, infinities and huge integers are null in the column, and named; what nobody measured is null alone."""
    trained.sweep(project, lr="0.001")
    entries = project.entries()
    for entry, value in zip(entries, ODD, strict=False):
        trained.finished(project, entry, "rnn", {}, trained.BEGAN, odd=value)
    found = table(project)
    column = named(found, "metrics", "odd")
    by_number = dict(zip(found["runs"]["number"], range(len(entries)), strict=True))
    values = [column["values"][by_number[number + 1]] for number in range(len(ODD))]
    said = [column["odd"].get(str(by_number[number + 1])) for number in range(len(ODD))]
    assert values == [None, None, None, None, float(2**60), None, None, None, None, 0.1]
    assert said[:3] == ["nan", "inf", "-inf"]
    assert said[3]
    assert said[4:] == [None, '"a text"', None, "[1, 2]", "true", None]


def test_swept_values_of_any_kind_have_a_column(project: Project) -> None:
    """Numbers stay numbers; texts, lists and mixtures become labels, each value its own."""
    trained.sweep(project, lr="0.001")
    paths = project.paths().index
    text = paths.read_text()
    for place, value in enumerate(["adam", 10**20, [1, "<b>"], None, True, "x" * 300]):
        text = text.replace('"params.optimizer": "adam"', f'"params.optimizer": {json.dumps(value)}', 1 + place)
    paths.write_text(text)
    column = named(table(project), "swept", "params.optimizer")
    assert str(10**20) in column["labels"]
    assert '"adagrad"' in column["labels"]
    assert '[1, "<b>"]' in column["labels"]
    assert None in column["codes"]
    assert max(map(len, column["labels"])) <= data.LONGEST
    numbers = named(table(project), "swept", "params.hidden_dim")
    assert set(numbers["values"]) == {64, 256, 1024}


@pytest.mark.slow
def test_scales_are_those_of_the_figures(project: Project) -> None:
    """A geometric list of learning rates has a logarithmic axis, dropout has not."""
    trained.sweep(project)
    found = table(project)
    assert {each["name"]: each["log"] for each in found["swept"]}["params.lr"] is True
    assert {each["name"]: each["log"] for each in found["swept"]}["params.dropout"] is False


@pytest.mark.slow
def test_failures_have_their_cause(project: Project) -> None:
    """Each failed run names the cause that `status` names, the most frequent first."""
    trained.sweep(project)
    trained.finish_all(project, fail=0.4)
    found = table(project)
    codes = [code for code in found["runs"]["cause"] if code >= 0]
    counts = [codes.count(code) for code in range(len(found["causes"]))]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == sum(found["runs"]["states"][code] == "failed" for code in found["runs"]["state"])
    assert any("CUDA out of memory" in cause for cause in found["causes"])


def test_the_best_runs_have_curves_in_few_points(searched: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more runs than there is room for the best have theirs, thinned, with the first and the last point."""
    monkeypatch.setattr(learning, "MOST_RUNS", 20)
    monkeypatch.setattr(learning, "BUDGET", 20 * 4 * 8)
    found = table(searched)
    assert [each["name"] for each in found["curves"]["measures"]] == ["accuracy", "loss"]
    assert found["curves"]["runs"].keys() == {str(place) for place in range(20)}
    monkeypatch.setattr(learning, "READ", 10 * 4 * trained.EPOCHS)
    assert table(searched)["curves"]["asked"] == 10
    for place, own in found["curves"]["runs"].items():
        assert {(measure, part) for measure, part, _, _ in own} == {
            (m, p) for m in (0, 1) for p in ("train", "validation")
        }
        for _, _, steps, values in own:
            assert len(steps) == len(values) == 8
            assert (steps[0], steps[-1]) == (0, trained.EPOCHS - 1)
        last = next(values[-1] for measure, part, _, values in own if (measure, part) == (0, "validation"))
        assert last == pytest.approx(named(found, "metrics", "validation_accuracy")["values"][int(place)], rel=1e-5)


@pytest.mark.slow
def test_texts_have_a_bound(searched: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many runs the best, failed ones of every cause and running ones have their texts, as far as there is room."""
    whole = table(searched)["details"]
    assert len(whole["runs"]) == details.BEST + sum(code >= 0 for code in table(searched)["runs"]["cause"])
    train = {each["command"] for each in whole["runs"].values()}
    assert all("train.sh" in whole["texts"][text] for text in train)
    monkeypatch.setattr(details, "BUDGET", 50_000)
    assert sum(map(len, table(searched)["details"]["texts"])) <= 50_000
    monkeypatch.setattr(details, "LONGEST", 100)
    assert max(map(len, table(searched)["details"]["texts"])) < 8_100


@pytest.mark.slow
def test_a_log_loses_what_a_terminal_would_obey(project: Project) -> None:
    """Colours, titles and control characters are no part of what the page shows; other alphabets are."""
    trained.sweep(project, lr="0.001")
    entry = project.entries()[0]
    trained.failed(
        project, entry, "rnn", "ValueError: \x1b[31mroşu\x1b[0m \x1b]0;title\x07 \x00\x9b end", trained.BEGAN
    )
    found = table(project)["details"]
    place = next(place for place, own in found["runs"].items() if "log" in own)
    assert found["texts"][found["runs"][place]["log"]].endswith("ValueError: roşu   end")


@given(st.dictionaries(st.text(), st.text() | st.floats() | st.integers() | st.none() | st.lists(st.text())))
def test_embedded_values_come_back_and_hold_no_markup(values: dict[str, Any]) -> None:
    """What is embedded is the same JSON for a program, and no letter of it means anything to HTML."""
    finite = {
        key: 0 if isinstance(value, float) and not math.isfinite(value) else value for key, value in values.items()
    }
    text = page.embedded(finite)
    assert json.loads(text) == finite
    assert not set("<>&\u2028\u2029\r") & set(text)
    assert text.isascii()


@pytest.mark.slow
def test_ten_thousand_runs_are_a_few_megabytes(project: Project) -> None:
    """Metrics of many runs have seven digits, but for the one that ranks, which has all."""
    trained.sweep(project, lr="0.001", repeats=2)
    trained.finish_all(project)
    exact = table(project)["metrics"]
    data_limit, data.EXACT_RUNS = data.EXACT_RUNS, 10
    try:
        short = table(project)["metrics"]
    finally:
        data.EXACT_RUNS = data_limit
    assert short[0] == exact[0]
    assert len(json.dumps(short[1])) < 0.75 * len(json.dumps(exact[1]))
    for one, other in zip(short[1]["values"], exact[1]["values"], strict=True):
        assert (one is None) == (other is None)
        assert one is None or one == pytest.approx(other, rel=1e-6)


@pytest.mark.slow
def test_several_sweeps_have_the_values_that_one_of_them_fixes(project: Project) -> None:
    """A key that one sweep varies and another fixes has its fixed value there."""
    trained.sweep(project, lr="0.001")
    fixed = trained.SWEEP.format(repeats=1, lr="0.001").replace('"params.dropout" = [0.0, 0.25, 0.5]\n', "")
    project.write({"config/fixed.toml": fixed.replace("[params]", "[params]\ndropout = 0.75")})
    project.resweep("config/fixed.toml", "made.jsonnet", "other", "--no-slurm-job").ok()
    found = table(project, "rnn", "other")
    assert found["sweeps"] == ["rnn", "other"]
    values = named(found, "swept", "params.dropout")["values"]
    assert {v for v, sweep in zip(values, found["runs"]["sweep"], strict=True) if sweep} == {0.75}


@pytest.mark.slow
def test_the_page_is_the_same_to_the_byte_for_the_same_files(searched: Project, tmp_path: Path) -> None:
    """Written twice, nothing differs; and reading wrote nothing into the project."""
    before = searched.tree()
    searched.resweep("report", "rnn", "-o", str(tmp_path / "again.html")).ok()
    assert (tmp_path / "again.html").read_bytes() == (searched.root / "report.html").read_bytes()
    assert searched.tree() == before
