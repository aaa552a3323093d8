"""Trials that do badly are stopped early, and what they came to is kept.

Code: search/grid_stopping, search/pruning
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest
from small_project import Project
from worked import BRANIN, EPOCHS, at_will, functions, journal, points, searched, states, work

from resweep.errors import counted
from resweep.launcher import trial_state
from resweep.run import status
from resweep.run.run_options import Options
from resweep.run.runner import Runner
from resweep.search.grid_stopping import Early
from resweep.sweep import stored

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("often")]

SLOW = BRANIN + "epochs = 12\n"
ASHA = '\n[search.stop]\nmethod = "asha"\nreduction_factor = 2\nmin_resource = 2\n'
GRID = """
[hyper]
"params.x" = [3.0, -5.0, 0.0, 9.0, -2.0]
[params]
kind = "branin"
epochs = 12
"""


def grid(project: Project, stop: str, jobs: int = 1, more: str = "") -> list[str]:
    """Run a grid of five trials with `[search.stop]`, here; what was told."""
    searched(project, 1, GRID, train=EPOCHS)
    results = '[results]\nmetric = "value"\nmode = "min"\n' + more
    project.write({"config/rnn.toml": f"{GRID}\n[search.stop]\n{stop}\n{results}"})
    project.generate().ok()
    said = project.resweep("run", "rnn", "--jobs", str(jobs)).ok()
    return (said.out + said.err).splitlines()


def steps(project: Project) -> dict[float, int]:
    """How many epochs each trial of the grid has trained, by x."""
    found = {}
    for entry in project.entries():
        place = project.paths().place(entry.name)
        found[entry.swept["params.x"]] = len(list(Path(place.attempt(1), "output").glob("metrics_epoch_*.json")))
    return found


def decisions(pruner: optuna.pruners.BasePruner, curves: Sequence[Sequence[float]]) -> list[int | None]:
    """At which step Optuna alone would stop each of these curves, one after the other."""
    study = optuna.create_study(direction="minimize", pruner=pruner)
    found: list[int | None] = []
    for curve in curves:
        trial = study.ask()
        stopped = None
        for step, value in enumerate(curve, 1):
            trial.report(value, step)
            if trial.should_prune():
                stopped = step
                break
        if stopped is None:
            study.tell(trial, curve[-1])
        else:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        found.append(stopped)
    return found


@pytest.mark.parametrize(
    ("stop", "pruner"),
    [
        ('method = "asha"\nmin_resource = 2\nreduction_factor = 2', optuna.pruners.SuccessiveHalvingPruner(2, 2)),
        ('method = "median"\nn_startup_trials = 1', optuna.pruners.MedianPruner(1)),
        ('method = "percentile"\npercentile = 25.0\nn_startup_trials = 1', optuna.pruners.PercentilePruner(25.0, 1)),
        ('method = "threshold"\nupper = 100.0\nn_warmup_steps = 3', optuna.pruners.ThresholdPruner(None, 100.0, 3)),
    ],
)
def test_each_rule_stops_what_optuna_alone_would_stop(
    project: Project, stop: str, pruner: optuna.pruners.BasePruner
) -> None:
    """At the same step, judged by the same values, although the training knows nothing of it."""
    grid(project, stop)
    values = [functions()["branin"]([x, 0]) for x in (3.0, -5.0, 0.0, 9.0, -2.0)]
    order = [entry.swept["params.x"] for entry in project.entries()]
    by_x = dict(zip((3.0, -5.0, 0.0, 9.0, -2.0), values, strict=True))
    expected = decisions(pruner, [[by_x[x] + 20 / epoch for epoch in range(1, 13)] for x in order])
    assert any(expected)
    assert not all(expected)
    found = []
    for entry in project.entries():
        record = project.record(entry)
        found.append(record["pruned"]["step"] if record["state"] == "pruned" else None)
    assert found == expected


def test_a_pruned_trial_is_kept_with_its_metrics_and_not_run_again(project: Project) -> None:
    """Its state says so everywhere; what it had written is its result."""
    said = grid(project, 'method = "median"\nn_startup_trials = 1')
    assert any("pruned after" in line and "median at step" in line for line in said)
    assert "pruned" in states(project)
    spent = steps(project)
    assert max(spent.values()) == 12
    assert min(spent.values()) < 8
    again = project.resweep("run", "rnn").ok()
    assert [project.paths().place(entry.name).last() for entry in project.entries()] == [1] * 5
    assert "finished" in again.out
    rows = json.loads(project.resweep("results", "rnn", "--format", "json").ok().out)
    pruned = [row for row in rows if row["state"] == "pruned"]
    assert pruned
    assert all(isinstance(row["value"], float) for row in pruned)
    best = project.resweep("results", "rnn", "--best").ok().out
    assert "finished trials" in best
    assert " pruned" in project.resweep("status", "rnn").ok().out
    assert project.resweep("verify", "rnn").status == 0
    assert len(journal(project)) == 5


def test_pruned_trials_that_a_person_asks_for_are_trained_to_their_end(project: Project) -> None:
    """As new attempts from the start, even where retries resume; what was pruned is kept, and the rule stops none."""
    grid(project, 'method = "median"\nn_startup_trials = 1', more='[run]\non_retry = "resume"\n')
    pruned = [entry for entry, state in zip(project.entries(), states(project), strict=True) if state == "pruned"]
    assert pruned
    at_will(project)
    first = [project.record(entry) for entry in pruned]
    said = project.resweep("run", "rnn").ok().out
    assert f"{counted(len(pruned), 'trial')} stopped early before, and not run again; --state pruned runs them" in said
    assert project.resweep("run", "rnn", "--state", "failed").ok()
    assert [project.paths().place(entry.name).last() for entry in pruned] == [1] * len(pruned)
    assert project.resweep("run", "rnn", "--state", "pruned", "--jobs", "2").ok()
    assert states(project) == ["finished"] * 5
    assert [project.record(entry) for entry in pruned] == first
    assert all(project.record(entry, 2)["resumed"] is None for entry in pruned)
    outputs = [Path(project.paths().place(entry.name).attempt(1), "output") for entry in pruned]
    assert all((output / "metrics_epoch_0.json").exists() for output in outputs)
    assert all(Path(project.paths().place(entry.name).output, "metrics_epoch_11.json").exists() for entry in pruned)
    out = project.resweep("status", "rnn").ok().out.splitlines()
    assert out[:2] == [
        "rnn: 5 trials: 5 finished",
        "  search   trials that do badly are stopped early: 5 finished, 0 pruned",
    ]
    again = project.resweep("run", "rnn", "--state", "pruned").ok().out
    assert again.endswith("rnn: nothing to run: no trial is what was asked for (rnn --state pruned)\n")
    assert project.resweep("verify", "rnn").status == 0


def test_pruned_points_of_a_search_that_finish_after_all_are_learned_from(project: Project) -> None:
    """The next worker tells of them; the search is as over as it was, and each point counts once."""
    searched(project, 8, SLOW, ASHA, EPOCHS)
    work(project, jobs=2)
    pruned = states(project).count("pruned")
    at_will(project)
    assert project.resweep("run", "rnn", "--state", "pruned", "--jobs", "2").ok()
    assert states(project) == ["finished"] * 8
    out = project.resweep("status", "rnn").ok().out
    assert f"  search   8 of 8 points (tpe): {8 - pruned} finished, {pruned} pruned" in out
    assert f"{counted(pruned, 'point')} finished when run again by hand; the next worker tells the search" in out
    said = work(project).messages
    assert said == [
        f"{counted(pruned, 'finished point')} that the journal did not know of",
        "the search is over: 8 of 8 points",
    ]
    assert "  search   8 of 8 points (tpe): 8 finished, 0 pruned" in project.resweep("status", "rnn").ok().out


def test_a_pruned_training_may_end_by_itself_cleanly(project: Project) -> None:
    """It gets TERM, and time to write down what it has."""
    catch = """
import signal
def end(*_):
    open(os.path.join(output, "saved"), "w").close()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
"""
    searched(project, 1, GRID, train=catch + EPOCHS)
    stop = '\n[search.stop]\nmethod = "threshold"\nupper = 100.0\n[results]\nmetric = "value"\nmode = "min"\n'
    project.write({"config/rnn.toml": GRID + stop})
    project.generate().ok()
    project.resweep("run", "rnn", "--jobs", "2").ok()
    pruned = [entry for entry in project.entries() if project.record(entry)["state"] == "pruned"]
    assert pruned
    assert all(Path(project.paths().place(entry.name).attempt(1), "output", "saved").exists() for entry in pruned)


def test_a_rule_may_judge_by_another_metric_in_the_other_direction(project: Project) -> None:
    """A threshold on a loss, where the sweep maximises an accuracy."""
    searched(project, 1, GRID, train=EPOCHS)
    stop = '\n[search.stop]\nmethod = "median"\nn_startup_trials = 1\nmetric = "value"\nmode = "min"\n'
    project.write({"config/rnn.toml": GRID + stop + '[results]\nmetric = "epoch"\nmode = "max"\n'})
    project.generate().ok()
    project.resweep("run", "rnn", "--jobs", "1").ok()
    pruned = {entry.swept["params.x"] for entry in project.entries() if project.record(entry)["state"] == "pruned"}
    assert -5.0 in pruned  # the worst
    assert 9.0 not in pruned  # the best


@pytest.mark.parametrize(("bound", "stopped"), [("upper = 25.0", {-5.0, 0.0, -2.0}), ("lower = 30.0", {3.0, 9.0})])
def test_the_bounds_of_a_threshold_are_the_metric_s_own(project: Project, bound: str, stopped: set[float]) -> None:
    """Also where the sweep maximises another metric."""
    searched(project, 1, GRID, train=EPOCHS)
    stop = f'[search.stop]\nmethod = "threshold"\nn_warmup_steps = 3\n{bound}\nmetric = "value"\nmode = "min"\n'
    project.write({"config/rnn.toml": f'{GRID}\n{stop}[results]\nmetric = "epoch"\nmode = "max"\n'})
    project.generate().ok()
    project.resweep("run", "rnn", "--jobs", "2").ok()
    pruned = {entry.swept["params.x"] for entry in project.entries() if project.record(entry)["state"] == "pruned"}
    values = {x: functions()["branin"]([x, 0]) for x in (3.0, -5.0, 0.0, 9.0, -2.0)}
    assert pruned == stopped, values


def test_a_metric_that_no_training_reports_as_it_runs_is_said_once(project: Project) -> None:
    """And stops nothing."""
    at_will(project)
    said = grid(project, 'method = "asha"\nmetric = "accuracy"', jobs=2)
    assert sum("reported no accuracy while it ran" in line for line in said) == 1
    assert states(project) == ["finished"] * 5


def test_a_search_stops_early_and_counts_what_it_stopped(project: Project) -> None:
    """Pruned points are among the n, and the search learns from them."""
    searched(project, 10, SLOW, ASHA, EPOCHS)
    work(project, jobs=2)
    found = states(project)
    assert sorted(set(found)) == ["finished", "pruned"]
    assert len(found) == 10
    told = {trial.state.name for trial in journal(project)}
    assert told == {"COMPLETE", "PRUNED"}
    spent = [
        len(list(Path(project.paths().place(entry.name).attempt(1), "output").glob("metrics_epoch_*")))
        for entry in project.entries()
    ]
    assert sum(spent) < 0.8 * 12 * 10
    assert len(points(project, "x", "y")) == 10


def test_asha_on_recorded_trainings_spends_little_and_finds_nearly_the_best(project: Project) -> None:
    """The learning curves of 80 real trainings, 16 for each of five seeds, epoch by epoch once more."""
    rows = json.loads((Path(__file__).parent / "recorded.json").read_text("utf-8"))["rows"]
    replay = f"""
curve = {[row["validation_accuracy"] for row in rows]}[filled["x"][0]]
for epoch in range(len(curve)):
    since, best = os.path.getsize(journal), max(curve[: epoch + 1])
    with open(os.path.join(output, "epoch.part"), "w") as file:
        json.dump({{"validation_accuracy": curve[epoch], "best": best}}, file)
    os.rename(os.path.join(output, "epoch.part"), os.path.join(output, "metrics_epoch_%d.json" % epoch))
    judged(epoch, best, since)
"""
    stop = '[search.stop]\nmethod = "asha"\nmin_resource = 3\nreduction_factor = 3\n'
    shares, losses = [], []
    for seed in (1, 2, 3, 4, 5):
        numbers = [number for number, row in enumerate(rows) if row["seed"] == seed]
        searched(project, 1, train=replay)
        text = f'[hyper]\n"params.x" = {numbers}\n[params]\nkind = "recorded"\n{stop}[results]\nmetric = "best"\n'
        project.write({f"config/s{seed}.toml": text})
        project.resweep(f"config/s{seed}.toml", "base.jsonnet", f"s{seed}").ok()
        project.resweep("run", f"s{seed}", "--jobs", "1").ok()
        spent, best = 0, 0.0
        for entry in project.entries(f"s{seed}"):
            record = project.record(entry, name=f"s{seed}")
            curve = rows[entry.swept["params.x"]]["validation_accuracy"]
            spent += record["pruned"]["step"] if record["state"] == "pruned" else len(curve)
            best = max(best, 0.0 if record["state"] == "pruned" else max(curve))
        shares.append(spent / sum(len(rows[number]["validation_accuracy"]) for number in numbers))
        losses.append(max(max(rows[number]["validation_accuracy"]) for number in numbers) - best)
    assert sorted(shares)[2] <= 0.6, shares
    assert sorted(losses)[2] <= 0.01, losses


def repeated(project: Project, n: int, stop: str = ASHA) -> None:
    """A search of `n` points with two repeats each."""
    searched(project, n, SLOW, stop, EPOCHS)
    project.write({"config/rnn.toml": "n_trials = 2\n" + (project.root / "config/rnn.toml").read_text()})
    project.generate().ok()


def test_a_pruned_repeat_ends_its_point(project: Project) -> None:
    """The first repeat is judged; the others are no trials before it has done well, so nothing waits for ever."""
    repeated(project, 6)
    watching = work(project, jobs=2)
    by_point: dict[str, list[str]] = {}
    for entry, state in zip(project.entries(), states(project), strict=True):
        by_point.setdefault(entry.id, []).append(state)
    assert ["pruned"] in by_point.values()
    assert ["finished", "finished"] in by_point.values()
    assert len(by_point) == 6
    assert len(project.capsules()) == len(project.entries())
    assert [entry.number for entry in project.entries()] == list(range(1, len(project.entries()) + 1))
    pruned = list(by_point.values()).count(["pruned"])
    out = project.resweep("status", "rnn").ok().out.splitlines()
    shown = f"{(6 - pruned) * 2} finished, {pruned} pruned"
    assert out[0] == f"rnn: {len(project.entries())} trials: {shown}"
    assert out[1] == f"  search   6 of 6 points (tpe): {6 - pruned} finished, {pruned} pruned"
    assert "the search is over: 6 of 6 points" in watching.messages
    assert project.resweep("verify", "rnn").status == 0


def test_another_worker_goes_on_with_the_repeats(project: Project) -> None:
    """Where the first has ended well, and its worker with it, before the second was written."""
    repeated(project, 1, '\n[search.stop]\nmethod = "threshold"\nupper = 1e6\n')
    project.shell(f"{sys.executable} -m resweep run rnn --jobs 1 --max-trials 1").ok()
    assert states(project) == ["finished"]
    assert [each.state.name for each in journal(project)] == ["RUNNING"]
    work(project)
    assert states(project) == ["finished"] * 2
    assert [project.paths().place(entry.name).last() for entry in project.entries()] == [1, 1]
    assert [each.state.name for each in journal(project)] == ["COMPLETE"]


def test_a_runner_that_dies_leaves_its_judgements_to_the_next(project: Project) -> None:
    """A trial that is run again is the same one of Optuna's, and its steps are reported once."""
    searched(project, 1, GRID, train=EPOCHS)
    project.write(
        {"config/rnn.toml": GRID + '\n[search.stop]\nmethod = "threshold"\nupper = 1e6\n[results]\nmetric = "value"\n'}
    )
    project.generate().ok()
    paths, asked = project.paths(), stored.read(project.paths())

    class Leaves:
        leaves = True

        def ended(self, outcome: object) -> None:
            """Nothing."""

        def told(self, message: str) -> None:
            """Nothing."""

        def tick(self, runner: Runner) -> None:
            """Stop the runner in the middle of its first trial."""
            if self.leaves and '"step":2,' in paths.study.read_text():
                runner.interrupts = 2

    entries = project.entries()[:1]
    watching = Leaves()
    Runner(paths, entries, Options(), watching, Early(paths, asked, print)).run()
    assert status.status(paths, entries[0]).state == "stopped"
    watching.leaves = False
    Runner(paths, entries, Options(), watching, Early(paths, asked, print)).run()
    assert trial_state.state(paths.place(entries[0].name))[0] == "finished"
    (only,) = journal(project)
    assert only.state.name == "COMPLETE"
    assert sorted(only.intermediate_values) == list(range(1, 13))
