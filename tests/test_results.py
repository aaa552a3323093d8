"""Capsules + records + metrics -> the table of a sweep.

Code: results/trial_rows, results/load, sweep/conditions, results/locations, cli/results
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from launched import Trial, until
from small_project import REPOSITORY, SWEEP, TEMPLATE, Project

from resweep import index
from resweep.results import metrics, trial_rows
from resweep.sweep.definition import ResultsOptions


def give(project: Project, entry: index.Entry, metrics: str | None, state: str = "finished", name: str = "rnn") -> None:
    """Let a trial have been run, with this metrics.json."""
    place = project.paths(name).place(entry.name)
    folder = Path(place.attempt(1))
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps({"state": state, "attempt": 1, "seconds": 2.25}))
    if state == "finished":
        Path(place.attempts, "finished").hardlink_to(folder / "record.json")
    Path(place.output).mkdir()
    if metrics is not None:
        Path(place.output, "metrics.json").write_text(metrics)


def rows(project: Project, metric: str | None = None, mode: str = "max") -> list[trial_rows.Row]:
    """The table."""
    return trial_rows.rows(project.paths(), project.entries(), ResultsOptions(metric, mode))


def test_a_loss_that_is_asked_for_ranks_the_lowest_first_and_says_so(swept: Project) -> None:
    """One line names the direction that nobody has said; a direction that is none is refused."""
    for entry, value in zip(swept.entries(), [3, 1, 2, 4], strict=True):
        give(swept, entry, json.dumps({"val_loss": value, "a:b": value}))
    said = swept.resweep("results", "rnn", "--best", "--metric", "val_loss").ok()
    assert said.out.startswith("rnn#2 ")
    assert said.err == "resweep: val_loss: lower is better, by its name; say val_loss:max or val_loss:min\n"
    assert swept.resweep("results", "rnn", "--best", "--metric", "val_loss:max").ok().err == ""
    assert swept.resweep("results", "rnn", "--best", "--metric", "a:b").ok().out.startswith("rnn#4 ")
    refused = swept.resweep("results", "rnn", "--metric", "val_loss:foo")
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "found 'foo' after the colon, expected max or min" in refused.err


def test_short_names_and_nan_choose_rows(swept: Project) -> None:
    """`lr` is params.lr where only one is meant, NaN is found, and an empty choice says of how many."""
    for entry, value in zip(swept.entries(), ["NaN", "1", "NaN", "2"], strict=True):
        give(swept, entry, f'{{"a": {value}, "x.b": 1, "y.b": 2}}')
    found = shown(swept, "rnn", "--where", "a=nan", "--columns", "number,lr")
    assert [(line["number"], "params.lr" in line) for line in found] == [(1, True), (3, True)]
    assert [line["number"] for line in shown(swept, "rnn", "--where", "a!=nan")] == [2, 4]
    assert shown(swept, "rnn", "--where", "lr=0.1") == shown(swept, "rnn", "--where", "params.lr=0.1")
    several = swept.resweep("results", "rnn", "--where", "b=1")
    assert several.status == 2
    assert "expected one of: x.b, y.b" in several.err
    assert "0 of 4 trials" in swept.resweep("results", "rnn", "--where", "a=7").ok().err
    assert "--metric KEY" in swept.resweep("results", "rnn", "--best").err
    assert swept.resweep("status", "rnn", "--where", "lr=0.1").ok()


@pytest.mark.parametrize("mode", ["max", "min"])
def test_what_diverged_is_never_best(swept: Project, mode: str) -> None:
    """NaN, both infinities and integers beyond a double rank after every finite number, in rows and in points."""
    for entry, value in zip(swept.entries(), ["Infinity", "-Infinity", "0.5", "1" + "0" * 400], strict=True):
        give(swept, entry, f'{{"a": {value}}}')
    found = rows(swept, "a", mode)
    assert found[0].entry.number == 3
    assert [row.entry.number for row in trial_rows.best(found, ResultsOptions("a", mode))] == [3]
    metric = ("--metric", f"a:{mode}")
    assert "of 1 finished trial" in swept.resweep("results", "rnn", "--best", *metric).ok().out
    by_point = swept.resweep("results", "rnn", "--by", "point", "--format", "json", *metric).ok().out
    assert json.loads(by_point)[0]["a"]["mean"] == 0.5


@pytest.mark.parametrize(("mode", "order"), [("max", [3, 4, 2, 1]), ("min", [2, 4, 3, 1])])
def test_best_first_and_without_the_metric_last(swept: Project, mode: str, order: list[int]) -> None:
    """Rows are ordered by the metric of [results], high or low first; trials without it come last."""
    for entry, value in zip(swept.entries(), ["NaN", "-1", "3.5", "2"], strict=True):
        give(swept, entry, f'{{"accuracy": {value}}}')
    assert [row.entry.number for row in rows(swept, "accuracy", mode)] == order


def test_sweep_order_without_a_metric(swept: Project) -> None:
    """Where [results] names no metric, rows stand in the sweep's order."""
    for entry, value in zip(swept.entries(), [1, 4, 2, 3], strict=True):
        give(swept, entry, f'{{"accuracy": {value}}}')
    assert [row.entry.number for row in rows(swept)] == [1, 2, 3, 4]
    assert [row.metrics["accuracy"] for row in rows(swept)] == [1, 4, 2, 3]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "no metrics.json"),
        ("", "cannot be read"),
        ('{"a": 1', "cannot be read"),
        ("[1, 2]", "no table of metrics"),
        ("3", "no table of metrics"),
        ("[" * 100_000, "cannot be read"),
    ],
    ids=["missing", "empty", "torn", "list", "number", "deep"],
)
def test_broken_metrics_are_reported(swept: Project, text: str | None, problem: str) -> None:
    """A metrics.json that is missing, torn or no table is named in its row, and costs no other row."""
    first, second, *_ = swept.entries()
    give(swept, first, text)
    give(swept, second, '{"a": 1}')
    table = rows(swept, "a")
    assert [(row.entry, row.metrics) for row in table][:2] == [(second, {"a": 1}), (first, {})]
    assert problem in table[1].problem
    shown = swept.resweep("results", "rnn").ok()
    assert problem in shown.out


@pytest.mark.parametrize("value", ['"high"', "true", "null", "[1]", "Infinity", "1e999"])
def test_metric_that_is_no_number_breaks_nothing(swept: Project, value: str) -> None:
    """A metric that is a text, a list or without bounds is shown, and the table still comes."""
    for entry in swept.entries():
        give(swept, entry, f'{{"a": {value}, "b": 2}}')
    assert len(rows(swept, "a")) == 4
    assert swept.resweep("results", "rnn").ok().out.count("finished") == 4


def test_states_and_times_are_those_of_the_records(swept: Project) -> None:
    """A row says what became of its trial and how long its last attempt took; only the finished have metrics."""
    first, second, third, _ = swept.entries()
    give(swept, first, '{"a": 1}')
    give(swept, second, '{"a": 2}', state="failed")
    give(swept, third, None, state="stopped")
    table = rows(swept)
    assert [row.state for row in table] == ["finished", "failed", "stopped", "queued"]
    assert [row.seconds for row in table] == [2.25, 2.25, 2.25, None]
    assert [row.metrics for row in table] == [{"a": 1}, {}, {}, {}]


def test_metrics_are_found_where_a_crash_left_them(trial: Trial) -> None:
    """Output that a crash kept from being moved to its place still has its metrics in the table."""
    trial.launch().ok()
    (trial.directory() / "output").unlink()
    trial.output.rename(trial.directory() / "output")
    assert rows(trial.project)[0].metrics["seed"] == 0


def test_command_shows_swept_values_state_and_metrics(project: Project) -> None:
    """`resweep results` prints a line per trial, the best first, under a line of names."""
    project.write({"config/rnn.toml": SWEEP + '[results]\nmetric = "best_validation_accuracy"\n'})
    project.generate("--no-slurm-job").ok()
    for entry in project.entries():
        give(project, entry, json.dumps({"best_validation_accuracy": entry.swept["params.lr"], "other": 1}))
    head, *lines = project.resweep("results", "rnn").ok().out.splitlines()
    names = ["#", "trial", "params.dropout", "params.lr", "state", "seconds", "best_validation_accuracy"]
    assert sorted(head.split()) == sorted(names)
    assert [line.split()[-1] for line in lines] == ["0.2", "0.2", "0.1", "0.1"]
    assert all("finished" in line and "2.2" in line for line in lines)


def test_command_shows_numbers_where_no_metric_is_named(swept: Project) -> None:
    """Without a metric the first numbers of metrics.json are columns, those of validation before the others."""
    for entry in swept.entries():
        give(swept, entry, '{"epoch": 3, "text": "x", "validation_loss": 0.123456}')
    head, *lines = swept.resweep("results", "rnn").ok().out.splitlines()
    assert head.split()[-2:] == ["validation_loss", "epoch"]
    assert all(line.split()[-2:] == ["0.1235", "3"] for line in lines)


def test_a_key_that_the_sweep_fixes_is_a_column_on_request(swept: Project) -> None:
    """By its name, its end or a pattern; not unless it is asked for, and a column of the table comes first."""
    template = TEMPLATE.replace("random_seed=1,", 'random_seed=1, name="x",')
    swept.write({"base.jsonnet": template, "config/rnn.toml": SWEEP + 'sleep = 0.0\nname = "a_1"\n'})
    swept.generate(name="one").ok()
    for name in ("params.name", "name", "*.name"):
        head, *lines = swept.resweep("results", "one", "--columns", f"#,{name}").ok().out.splitlines()
        assert head.split() == ["#", "params.name"]
        assert [line.split()[-1] for line in lines] == ['"a_1"'] * 4
    assert "params.sleep" not in swept.resweep("results", "one", "--format", "csv").ok().out
    assert "params.sleep" not in swept.resweep("results", "one", "--columns", "params.*").ok().out
    paper = swept.resweep("results", "one", "--by", "point", "--columns", "params.sleep", "--format", "latex").ok().out
    assert "$0.0$" in paper
    result = swept.resweep("results", "one", "--columns", "params.nope")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert swept.resweep("results", "one", "--columns", "seed").status == 2


def test_the_place_of_a_measurement_is_no_metric(swept: Project) -> None:
    """Lines of metrics.jsonl say at which step; a curve has that as its axis, a table not as a column."""
    swept.resweep("run", "rnn#1").ok()
    place = swept.paths().place(swept.entries()[0].name)
    Path(place.output, "metrics.json").unlink()
    Path(place.output, "metrics.jsonl").write_text('{"step": 3, "epoch": 1, "acc": 0.5}\n')
    (found,) = json.loads(swept.resweep("results", "rnn#1", "--format", "json").ok().out)
    assert found["acc"] == 0.5
    assert not {"step", "epoch"} & found.keys()


def test_unknown_sweep_is_one_line(swept: Project) -> None:
    """A sweep that is not there gives one line and status 2."""
    result = swept.resweep("results", "nope")
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)


def test_results_write_nothing(trial: Trial) -> None:
    """Reading the results changes no file."""
    trial.launch().ok()
    before = trial.project.tree()
    trial.project.resweep("results", "rnn").ok()
    assert trial.project.tree() == before
    shutil.rmtree(trial.project.root / "model")
    assert trial.project.resweep("results", "rnn").ok().out.count("queued") == 4


def test_a_running_trial_has_its_metrics_so_far(trial: Trial) -> None:
    """What a training has written and printed until now is in its row, and is not kept as its result."""
    trial.train('mkdir -p "$out"; echo \'{"a": 1}\' > "$out/metrics.jsonl"; echo b=2; touch "$root/ready"; sleep 600')
    options = ResultsOptions(pattern=r"b=(?P<b>\d+)")
    trial.start()
    until((trial.project.root / "ready").exists)
    (row, *_) = trial_rows.rows(trial.project.paths(), trial.project.entries(), options)
    assert (row.state, row.metrics, row.problem) == ("running", {"a": 1, "b": 2}, "")
    output = trial_rows.where(trial.project.paths(), row)
    assert {curve.name for curve in metrics.history(output, options.pattern).curves} == {"a", "b"}


@pytest.mark.slow
def test_pattern_of_the_sweep_reads_the_log(project: Project) -> None:
    """[results] pattern finds a metric that training only prints, which can be the one that ranks."""
    results_ = """[results]\nmetric = "shown"\npattern = "'lr': (?P<shown>[0-9.]+)"\n"""
    project.write({"config/rnn.toml": SWEEP + results_})
    project.generate("--no-slurm-job").ok()
    project.resweep("run", "rnn").ok()
    found = [json.loads(line) for line in project.resweep("results", "rnn", "--format", "jsonl").ok().out.splitlines()]
    assert [row["shown"] for row in found] == [row["params.lr"] for row in found] == [0.2, 0.2, 0.1, 0.1]


@pytest.fixture
def two(project: Project) -> Project:
    """Two sweeps of one metric, with two repeats of each point; one varies what is fixed in the other."""
    metric = '[results]\nmetric = "a"\n'
    one = 'n_trials = 2\n[hyper]\n"params.lr" = [0.1, 0.2]\n[params]\nlr = 0.5\ndropout = 0.3\n'
    project.write({"config/rnn.toml": one + metric})
    project.generate("--no-slurm-job").ok()
    project.write({"config/rnn.toml": SWEEP + metric})
    project.generate("--no-slurm-job", name="dan").ok()
    for entry, value in zip(project.entries(), [1.0, 2.0, 5.0, 3.0], strict=True):
        give(project, entry, json.dumps({"a": value}))
    for entry, value in zip(project.entries("dan"), [7.0, 0.5, 0.25, 0.125], strict=True):
        give(project, entry, json.dumps({"a": value}), name="dan")
    return project


def shown(project: Project, *arguments: str) -> list[dict[str, Any]]:
    """The rows that a call gives, as JSON lines."""
    return [
        json.loads(line) for line in project.resweep("results", *arguments, "--format", "jsonl").ok().out.splitlines()
    ]


def test_sweeps_merge_into_one_table(two: Project) -> None:
    """Several sweeps are one ranked table with a column for the sweep; a key that one fixes has its value there."""
    found = shown(two, "rnn", "dan")
    assert [(row["sweep"], row["a"]) for row in found][:3] == [("dan", 7.0), ("rnn", 5.0), ("rnn", 3.0)]
    assert {row["params.dropout"] for row in found if row["sweep"] == "rnn"} == {0.3}
    assert len(shown(two, "rnn#1", "rnn#2-3", "rnn#1", "dan#1")) == 4
    assert "rnn" in two.resweep("results", "rnn", "dan").ok().out.splitlines()[2]


def test_points_have_mean_spread_and_count(two: Project) -> None:
    """--by point aggregates repeats, ranks by the mean, and its conditions are of the mean."""
    found = shown(two, "rnn", "--by", "point")
    assert [(row["params.lr"], row["n"]) for row in found] == [(0.2, 2), (0.1, 2)]
    assert found[0]["a"] == {"mean": 4.0, "sd": 2**0.5, "n": 2, "min": 3.0, "max": 5.0}
    assert [row["params.lr"] for row in shown(two, "rnn", "--by", "point", "--where", "a<4.5", "--where", "a>2")] == [
        0.2
    ]
    text = two.resweep("results", "rnn", "--by", "point").ok().out
    assert "4.0 ± 1.4" in text
    table = two.resweep("results", "rnn", "--by", "point", "--format", "csv", "--columns", "a,n").ok().out
    assert table.splitlines() == ["a,a.sd,a.n,n", "4.0,1.4142135623730951,2,2", "1.5,0.7071067811865476,2,2"]


def test_rows_are_chosen_ordered_and_cut(two: Project) -> None:
    """--where, --state, --sort, --top and --columns say which rows and columns, in which order."""
    assert [row["a"] for row in shown(two, "rnn", "--where", "a>1.5", "--sort", "a:asc", "--top", "2")] == [2.0, 3.0]
    assert [row["a"] for row in shown(two, "rnn", "--where", "params.lr=0.1", "--sort", "#:desc")] == [2.0, 1.0]
    assert shown(two, "rnn", "--state", "failed") == []
    assert list(shown(two, "rnn", "--columns", "params.*,a")[0]) == ["params.lr", "a"]
    for arguments, says in (
        (["--where", "nope=1"], "params.lr"),
        (["--sort", "nope"], "params.lr"),
        (["--columns", "nope"], "params.lr"),
        (["--best", "--top", "3", "--sort", "a"], "--best"),
    ):
        result = two.resweep("results", "rnn", *arguments)
        assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
        assert says in result.err


def test_the_best_tells_how_sure_one_can_be(two: Project) -> None:
    """--best names the trial, its repeats, the runner-up, its files, and what to do next."""
    said = two.resweep("results", "rnn", "--best").ok().out
    assert said.startswith("rnn#3 ")
    assert "a 4, mean of 2 repeats, the highest of 2 points of rnn" in said
    assert "2 of 2: 4.0 ± 1.4, from 3 to 5" in said
    assert "2.5 worse on average: more than the spread between repeats (1.1)" in said
    for line in said.splitlines():
        if "log.txt" not in line and any(f"  {word}" in line for word in ("trial ", "output ", "again ")):
            assert (two.root / line.split()[-1 if "again" in line or "output" in line else 1]).exists()
    assert "resweep promote 'rnn#3' --set n_trials=5 --as rnn-best" in said
    assert "rnn#1" in two.resweep("results", "rnn", "--best", "--metric", "a:min").ok().out.splitlines()[0]


def test_the_best_as_an_object_keeps_its_fields(two: Project) -> None:
    """--best --format json says what the lines for people say, with absolute paths, and is the same text each time."""
    text = two.resweep("results", "rnn", "--best", "--format", "json").ok().out
    assert two.resweep("results", "rnn", "--best", "--format", "json").out == text
    found = json.loads(text)
    assert list(found) == [
        "format", "metric", "mode", "value", "points", "lucky", "finished", "sweep", "number", "trial", "values",
        "n_trials", "repeats", "seconds", "problem", "leaked", "runner_up", "ahead", "spread", "verdict",
        "paths", "commands",
    ]  # fmt: skip
    assert (found["format"], found["metric"], found["value"], found["number"]) == (1, "a", 5.0, 3)
    assert found["repeats"] == {"mean": 4.0, "sd": 2**0.5, "n": 2, "min": 3.0, "max": 5.0}
    assert found["runner_up"]["repeats"]["mean"] == 1.5
    assert (found["ahead"], found["verdict"]) == (2.5, "more than the spread")
    assert found["spread"] == pytest.approx(((2 + 0.5) / 2) ** 0.5)
    assert all(Path(path).is_absolute() for path in found["paths"].values())
    assert Path(found["paths"]["filled"]).is_file()
    documented = (REPOSITORY / "docs" / "results.md").read_text("utf-8")
    assert all(f"`{field}`" in documented for field in found)
    refused = two.resweep("results", "rnn", "--best", "--format", "csv")
    assert (refused.status, refused.out) == (2, "")
    assert "expected table or json" in refused.err


def test_the_best_of_strange_numbers_is_json_still(swept: Project) -> None:
    """An infinity is never best, and a name that UTF-8 has not is one in the object still."""
    for entry, value in zip(swept.entries(), ["Infinity", "1", "NaN", "2"], strict=True):
        give(swept, entry, f'{{"\\ud800": {value}}}')
    metric = ("--metric", "\ud800")
    found = json.loads(swept.resweep("results", "rnn", "--best", "--format", "json", *metric).ok().out)
    assert (found["value"], found["metric"], found["verdict"]) == (2, "\ud800", "no repeats")
    assert swept.resweep("results", "rnn", "--best", *metric).ok().out


@pytest.mark.slow
def test_sweeps_with_different_metrics_are_not_ranked(two: Project) -> None:
    """Where the sweeps name different metrics there is no common order, which is said; --metric gives one."""
    two.write({"config/rnn.toml": SWEEP + '[results]\nmetric = "a"\nmode = "min"\n'})
    two.generate("--no-slurm-job", name="dan").ok()
    result = two.resweep("results", "rnn", "dan").ok()
    assert "different metrics" in result.err
    assert two.resweep("results", "rnn", "dan", "--metric", "a:max").ok().err == ""
