"""`resweep.open`: a sweep in a notebook.

Code: __init__, notebook/, results/dataframe
"""

from __future__ import annotations

import contextlib
import datetime
import doctest
import html
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_project import REPOSITORY, SWEEP, Project
from test_legacy import TOML
from test_results import give

import resweep
from resweep.errors import ConfigError, ProjectError, ResweepError, TrialError
from resweep.notebook import display
from resweep.results import dataframe

NUMBERS = [0.70, 0.71, 0.85, 0.86, 0.81, None, 0.77, 0.78]


def finish(project: Project, number: int, value: Any, state: str = "finished", name: str = "rnn") -> None:
    """Let a trial have ended with this accuracy, three epochs and a record."""
    entry = project.entries(name)[number - 1]
    give(project, entry, json.dumps({"accuracy": value, "epochs": 3, "note": "<b>"}), state, name)
    place = project.paths(name).place(entry.name)
    record = {"state": state, "attempt": 1, "seconds": 62.5, "host": "node17"}
    Path(place.attempt(1), "record.json").write_text(json.dumps(record))
    lines = [
        {"epoch": e, "train_loss": t, "validation_loss": v} for e, t, v in [(0, 0.8, 0.9), (1, 0.4, 0.6), (2, 0.2, 0.5)]
    ]
    Path(place.output, "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def seen(project: Project) -> Project:
    """A sweep of four points with two repeats each, of which one has failed."""
    project.write({"config/rnn.toml": "n_trials = 2\n" + SWEEP + '[results]\nmetric = "accuracy"\n'})
    project.begin("config/rnn.toml", "base.jsonnet", "rnn", "--no-slurm-job")
    for number, value in enumerate(NUMBERS, 1):
        finish(project, number, value, "failed" if value is None else "finished")
    return project


def opened(project: Project, *names: str, metric: str | None = None) -> resweep.Opened:
    """The sweep, opened."""
    return resweep.open(*(names or ("rnn",)), root=project.root, metric=metric)


class _Checker(doctest.OutputChecker):
    """Takes any id for the one that the page shows, and the project's root for the page's."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        got = re.sub(r"\b[a-z2-7]{12}\b", "a3k7xmc2n5qd", got.replace(self.root, "/home/me/project"))
        got = re.sub(r"^bash '(.*)'$", r"bash \1", got)  # the tests' root has a space in it
        return super().check_output(want, got, optionflags)


def test_what_the_page_shows_is_what_comes(seen: Project) -> None:
    """Every example of docs/notebook.md, typed in the root of a project."""
    text = (REPOSITORY / "docs" / "notebook.md").read_text("utf-8")
    test = doctest.DocTestParser().get_doctest(text, {}, "notebook.md", None, None)
    said: list[str] = []
    with contextlib.chdir(seen.root):
        runner = doctest.DocTestRunner(_Checker(seen.root), optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
        found = runner.run(test, out=said.append)
    assert found.failed == 0, "".join(said)
    assert found.attempted > 25


def test_a_sweep_is_found_from_where_one_is(seen: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """From below the root, from elsewhere by `root`, and one that is not there is one line."""
    (seen.root / "notebooks").mkdir()
    monkeypatch.chdir(seen.root / "notebooks")
    assert len(resweep.open("rnn").trials) == 8
    monkeypatch.chdir("/")
    with pytest.raises(ProjectError):
        resweep.open("rnn")
    assert len(resweep.open("rnn", root=str(seen.root)).trials) == 8
    monkeypatch.chdir(seen.root.parent)
    assert resweep.open("rnn", root=seen.root.name).trials[0].path.is_absolute()
    for wrong in (lambda: opened(seen, "nope"), lambda: resweep.open(root=seen.root), lambda: resweep.open(3)):  # type: ignore[arg-type]
        with pytest.raises(ResweepError) as error:
            wrong()
        assert "\n" not in str(error.value)


def test_nothing_is_written_into_the_project(seen: Project) -> None:
    """Looking at everything there is leaves every file, and no other, as it was."""
    before = seen.tree()
    sweep = opened(seen)
    sweep.to_pandas("point")
    for trial in sweep.trials:
        assert trial.config
        assert trial.filled
        assert trial.manifest
        assert trial.history.to_pandas() is not None
    assert sweep._repr_html_()
    assert repr(sweep.best)
    assert seen.tree() == before


def test_it_stays_as_it_was_until_it_is_refreshed(seen: Project) -> None:
    """A trial that ends meanwhile is seen by `refresh`, and by opening again."""
    project = seen
    project.write({"config/rnn.toml": "n_trials = 3\n" + SWEEP + '[results]\nmetric = "accuracy"\n'})
    sweep = opened(project)
    held = sweep.trials[0]
    project.generate("--no-slurm-job").ok()
    number = next(entry.number for entry in project.entries() if entry.trial == 2)
    place = next(entry for entry in project.entries() if entry.number == number)
    give(project, place, '{"accuracy": 0.99}')
    assert len(sweep.trials) == 8
    assert sweep.refresh() is sweep
    assert len(sweep.trials) == 12
    assert sweep.trials[0].number == number
    assert sweep.trials["rnn#4"].values == held.values
    assert held.metrics["accuracy"] == 0.86


def test_numbers_are_those_of_the_table(seen: Project) -> None:
    """The data frame says what `results --format jsonl` says, by trial and by point."""
    for by in ("trial", "point"):
        said = seen.resweep("results", "rnn", "--by", by, "--format", "jsonl").ok().out.splitlines()
        table = opened(seen).to_pandas(by)  # type: ignore[arg-type]
        for line, (_, row) in zip(map(json.loads, said), table.iterrows(), strict=True):
            for key, value in line.items():
                mean = value["mean"] if isinstance(value, dict) else value
                assert (pandas.isna(row[key]) and mean is None) or row[key] == mean, key


def test_means_are_those_of_pandas(seen: Project) -> None:
    """Grouping the trials with pandas gives the means and deviations of the points."""
    sweep = opened(seen)
    trials = sweep.to_pandas()
    ours = sweep.to_pandas("point")
    theirs = (
        trials[trials["state"] == "finished"].groupby(["params.lr", "params.dropout"])["accuracy"].agg(["mean", "std"])
    )
    for _, row in ours.iterrows():
        mean, std = theirs.loc[(row["params.lr"], row["params.dropout"])]
        assert row["accuracy"] == pytest.approx(mean)
        assert (pandas.isna(std) and pandas.isna(row["accuracy.sd"])) or row["accuracy.sd"] == pytest.approx(std)


@pytest.mark.slow
def test_columns_have_the_types_of_their_values(seen: Project) -> None:
    """Numbers are numbers also where some are missing, and nothing becomes a category."""
    types = {name: str(kind) for name, kind in opened(seen).to_pandas().dtypes.items()}
    assert types["number"] == "int64"
    assert types["params.lr"] == types["accuracy"] == types["seconds"] == "float64"
    assert types["epochs"] == "Int64"
    assert "category" not in types.values()


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2], "int64"),
        ([1, None], "Int64"),
        ([1, 0.5, None], "float64"),
        ([2**70, 1], "object"),
        ([2**70, None], "object"),
        ([2**60 + 1, 0.5], "object"),
        ([True, False], "bool"),
        ([True, None], "boolean"),
        ([True, 1], "object"),
        ([[1], [2]], "object"),
        ([None, None], "object"),
        (["a", 1], "object"),
        ([datetime.date(2026, 1, 31)], "object"),
    ],
)
def test_a_column_of_any_values_has_a_type(values: list[Any], dtype: str) -> None:
    """The narrowest that holds every value as it is."""
    made = dataframe.frame([("x", values)])
    assert str(made["x"].dtype) == dtype
    assert [None if value is pandas.NA or value != value else value for value in made["x"]] == values


_values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(), max_size=3)


@given(st.lists(_values | st.lists(_values, max_size=2), max_size=6))
def test_a_data_frame_holds_every_value_as_it_is(values: list[Any]) -> None:
    """Huge numbers, lone surrogates and lists come back; None may come as pandas' own word for nothing."""
    back = dataframe.frame([("x", values)], [f"rnn#{n}" for n in range(len(values))])["x"].tolist()
    for before, after in zip(values, back, strict=True):
        assert after == before or (before is None and (after is None or after is pandas.NA or after != after))


def test_names_of_columns_may_clash(seen: Project) -> None:
    """A metric called like a column, or like a deviation, loses nothing."""
    give_more = {"accuracy": 1, "accuracy.sd": 7, "state": 3}
    for entry in seen.entries():
        Path(seen.paths().place(entry.name).output, "metrics.json").write_text(json.dumps(give_more))
    means = opened(seen).to_pandas("point")
    assert means.columns.is_unique
    assert means["accuracy.sd"].dropna().unique().tolist() == [7]
    assert means["metric.state"].dropna().unique().tolist() == [3]
    csv = seen.resweep("results", "rnn", "--by", "point", "--format", "csv").ok().out.splitlines()[0].split(",")
    assert list(means.columns) == csv


def test_trials_are_found_by_every_name(seen: Project) -> None:
    """By place, number, id, start of an id, with or without the sweep; what names several or none says so."""
    trials = opened(seen).trials
    third = trials["rnn#3"]
    for name in ("#3", f"{third.id}/0", f"rnn/{third.id}/0"):
        assert trials[name] is third
    assert trials.where(f"trial={third.id}/0")[0] is third
    assert trials[-1] is list(trials)[-1]
    assert third in trials
    assert trials.index(third) == 1
    for wrong in ("rnn#99", "other#3", third.id, "rnn", "", "#", "nope"):
        with pytest.raises(TrialError, match=r"expected one, such as rnn#\d"):
            trials[wrong]
    with pytest.raises(IndexError):
        trials[8]
    with pytest.raises(ConfigError, match=r"^where: nope=1: found no column nope"):
        trials.where("nope=1")
    point = opened(seen).points[third.id[:5]]
    assert point.name == f"rnn/{third.id}"
    with pytest.raises(TrialError):
        opened(seen).points["nope"]


def test_what_some_trials_are_best_at(seen: Project) -> None:
    """Filtering chooses among which trials there is a best, and what their points are."""
    some = opened(seen).trials.where("params.lr=0.1")
    assert some.best.trial.metrics["accuracy"] == 0.81
    assert len(some.points) == 2
    assert {trial.name for point in some.points for trial in point.trials} == {trial.name for trial in some}
    with pytest.raises(TrialError, match="no trial has finished"):
        _ = some.where("state=failed").best


def test_a_choice_of_nothing_says_so_and_keeps_its_columns(seen: Project) -> None:
    """A condition that is true of no trial leaves a data frame with all columns, and no best one."""
    none = opened(seen).trials.where("lr>5")
    assert len(none) == 0
    assert list(none.to_pandas()) == list(opened(seen).to_pandas())
    assert {"params.lr", "accuracy", "n"} <= set(none.points.to_pandas())
    with pytest.raises(TrialError, match="no trials selected"):
        _ = none.best


def test_what_is_missing_is_named(seen: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of names, no project and no metric: each says what to write instead."""
    with pytest.raises(ConfigError, match=r'open\("s1", "a1"\)'):
        resweep.open(["rnn", "dan"])  # type: ignore[arg-type]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProjectError, match="root="):
        resweep.open("rnn")
    seen.write({"config/rnn.toml": "n_trials = 2\n" + SWEEP})
    seen.generate("--no-slurm-job").ok()
    with pytest.raises(ConfigError, match='metric="KEY"'):
        _ = opened(seen).best


def test_another_metric_and_several_sweeps(seen: Project) -> None:
    """`metric` ranks by what it says; sweeps merge as in `results`, and an order that is not common is a warning."""
    assert opened(seen, metric="accuracy:min").best.value == 0.7
    with pytest.warns(UserWarning, match="no finished trial reports nothing"):
        assert repr(opened(seen, metric="nothing")) == "<rnn: 8 trials, 7 finished, 1 failed>"
    seen.write({"config/rnn.toml": SWEEP + '[results]\nmetric = "epochs"\n'})
    seen.generate("--no-slurm-job", name="dan").ok()
    with pytest.warns(UserWarning, match="different metrics"):
        both = opened(seen, "rnn", "dan")
    assert (both.name, both.metric, len(both.trials)) == ("rnn dan", None, 12)
    assert both.to_pandas().index.is_unique
    assert both.trials["dan#1"].sweep == "dan"
    with pytest.raises(ConfigError, match="names no metric"):
        _ = both.best
    with pytest.raises(TrialError, match="names 2 of 12 trials"):
        both.trials["#1"]
    with pytest.warns(UserWarning, match="different metrics"):
        assert len(opened(seen, "rnn#1-3", "dan#1").trials) == 4


def test_a_sweep_that_has_not_run_opens(swept: Project) -> None:
    """Queued trials have a configuration, and no output, log or history yet."""
    sweep = opened(swept)
    assert repr(sweep) == "<rnn: 4 trials, 4 queued>"
    trial = sweep.trials[0]
    assert trial.config["params"]["lr"] == trial.values["params.lr"]
    assert not trial.output.exists()
    assert (trial.log, trial.seconds, trial.host, trial.metrics, len(trial.history)) == (None, None, None, {}, 0)
    assert repr(trial.history) == "<no curves>"
    assert list(trial.history.to_pandas().columns) == ["metric", "part", "measure", "axis", "step", "value"]
    with pytest.raises(KeyError, match="no curves"):
        trial.history["loss"]
    assert len(sweep.to_pandas()) == 4
    assert sweep.points[0].metrics == {}


def test_what_a_trial_says_it_was_given_is_what_it_was_given(seen: Project) -> None:
    """Its TOML without the tool's keys, its filled template, its manifest; a damaged file is one line."""
    trial = opened(seen).trials[0]
    whole = tomllib.loads((trial.path / f"{trial.id}.toml").read_text())
    assert trial.config == {key: value for key, value in whole.items() if key == "params"}
    assert trial.filled == json.loads((trial.path / f"{trial.id}.json").read_text())
    assert trial.manifest["id"] == trial.id
    (trial.path / "manifest.json").unlink()
    (trial.path / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(TrialError) as error:
        _ = trial.manifest
    assert "\n" not in str(error.value)


def test_its_command_runs_it_again(swept: Project, tmp_path: Path) -> None:
    """In bash, from anywhere, though the path has a space in it."""
    trial = opened(swept).trials[0]
    done = subprocess.run(
        ["bash", "-c", f"{trial.command} again"],
        cwd=tmp_path,
        env={**os.environ, "RESWEEP_PYTHON": sys.executable},
        check=False,
    )
    assert done.returncode == 0
    assert json.loads(next(tmp_path.rglob("metrics.json")).read_text())["seed"] == trial.filled["seed"]


def test_sweeps_of_2020_open(project: Project) -> None:
    """With their configuration, output and command, and without what they never had."""
    for repeat in (0, 1):
        home = f"generated/old/1000001/{repeat}"
        project.write({f"config/{home}/1000001.toml": TOML.format(id=1000001, trial=repeat, lr=0.1)})
        project.write({f"config/{home}/1000001.json": '{"lr": 0.1}'})
        project.write({f"model/{home}/metrics.json": f'{{"a": {repeat}}}', f"model/{home}/COMPLETE": ""})
        project.write({f"model/{home}/metrics_epoch_0.json": '{"a": 9}'})
    sweep = opened(project, "old", metric="a")
    trial = sweep.best.trial
    assert trial.output == project.root / "model/generated/old/1000001/1"
    assert trial.config["params"]["lr"] == 0.1
    assert trial.filled == {"lr": 0.1}
    assert trial.history["a"].values == (9,)
    assert trial.log is None
    assert trial.command.endswith("1000001.toml'")
    assert sweep.to_pandas("point")["a.n"].tolist() == [2]
    with pytest.raises(TrialError):
        _ = trial.manifest


HOSTILE = '<script>alert("x")</script>\x1b[31m\n&\ud800' + "y" * 1000


@pytest.fixture
def hostile(seen: Project) -> Project:
    """A trial whose metrics have names and values that nobody should trust."""
    place = seen.paths().place(seen.entries()[3].name)
    Path(place.output, "metrics.json").write_text(json.dumps({"accuracy": 0.9, HOSTILE: HOSTILE, "n": float("nan")}))
    return seen


def test_no_value_is_read_as_markup_or_controls_a_terminal(hostile: Project) -> None:
    """Names and values that mean something to HTML or a terminal mean nothing, and none is endless."""
    sweep = opened(hostile)
    trial = sweep.trials[0]
    for page in (sweep._repr_html_(), trial._repr_html_(), sweep.trials._repr_html_(), sweep.best._repr_html_()):
        assert "<script" not in page
        assert "\x1b" not in page
        page.encode()
    assert html.escape("<script>") in trial._repr_html_()
    for thing in (sweep, trial, sweep.trials, sweep.points, sweep.points[0], sweep.best, trial.history):
        text = repr(thing)
        assert len(text) < 1000
        assert text.count("\n") <= 5
        assert "\x1b" not in text
    assert trial.metrics[HOSTILE] == HOSTILE
    assert sweep.to_pandas().loc[trial.name, HOSTILE] == HOSTILE


@given(st.text())
def test_a_line_is_one_line(text: str) -> None:
    """Whatever stands in it, a line can be printed and has an end."""
    said = display.line(text)
    said.encode()
    assert len(said) <= 2 * display.WIDEST
    assert not any(ord(character) < 32 for character in said)


def test_jupyter_shows_a_table_that_all_can_read(seen: Project) -> None:
    """IPython's own formatter finds the HTML: a caption, heads with a scope, no colours but the theme's."""
    from IPython.core.formatters import DisplayFormatter

    data, _ = DisplayFormatter().format(opened(seen))
    assert data["text/plain"].startswith("<rnn: 8 trials")
    page = data["text/html"]
    assert page.count('scope="col"') == 7
    assert page.count('scope="row"') == 8
    assert "<caption" in page
    assert set(re.findall(r"color[^;\"]*", page)) == {"color: inherit"}
    assert "background" not in page
    assert "rnn: 8 trials, 7 finished" in page


def test_missing_pandas_is_one_line(seen: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """And everything else works without it."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    sweep = opened(seen)
    assert sweep.best.value == 0.86
    for make in (sweep.to_pandas, sweep.trials[0].history.to_pandas, sweep.trials[0].history["train_loss"].to_pandas):
        with pytest.raises(ConfigError) as error:
            make()
        assert str(error.value).endswith("pip install 'resweep[pandas]'")
        assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match="expected 'trial' or 'point'"):
        sweep.to_pandas("points")  # type: ignore[arg-type]


def test_every_public_name_is_there_typed_and_listed() -> None:
    """`__all__` is what the package says it has, and a wheel carries the marker of its types."""
    assert sorted(resweep.__all__) == sorted({*resweep._MODULES, "__version__"} - {"open"})
    for name in resweep._MODULES:
        assert getattr(resweep, name).__doc__, name
        assert name in dir(resweep)
    assert resweep.open is not open
    stub = (REPOSITORY / "resweep" / "__init__.py").read_text("utf-8")
    typed = re.findall(r"^    from \S+ import \w+ as (\w+)", stub, re.MULTILINE)
    assert sorted(typed) == sorted(resweep._MODULES)


@pytest.mark.slow
def test_the_wheel_says_that_it_is_typed(tmp_path: Path) -> None:
    """py.typed is in what people install."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, REPOSITORY]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = tmp_path.glob("*.whl")
    assert "resweep/py.typed" in zipfile.ZipFile(wheel).namelist()


@pytest.mark.slow
def test_a_thousand_trials_open(tmp_path: Path) -> None:
    """And become a data frame; what a notebook shows of them is short. bench/results.py has the time."""
    spec = importlib.util.spec_from_file_location("bench_results", REPOSITORY / "bench" / "results.py")
    assert spec
    assert spec.loader
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    bench.generate(tmp_path, 1_000)
    sweep = resweep.open("big", root=tmp_path)
    table = sweep.to_pandas()
    assert len(table) == len(sweep.trials) == 1_000
    assert len(sweep._repr_html_()) < 20_000
