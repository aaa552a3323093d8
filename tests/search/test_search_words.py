"""What `[search]` says, in searches that run: where they begin, what they leave out, and when they end.

Code: search/ending, search/warm_start, cli/run_search
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from unittest import mock

import pytest
from running import FIND
from searched import generated, opened_journal
from small_project import MAIN, TRAIN, Project, Result

from resweep.search.journal import FROM, TRIAL
from resweep.sweep import stored

METRIC = '[results]\nmetric = "best_validation_accuracy"\n'
LINE = '[hyper]\n"params.lr" = { uniform = [0, 1] }\n'


@pytest.fixture(autouse=True)
def _patient_disk() -> Iterator[None]:
    """The journal is synced a few times for every trial, and the tests share a disk."""
    with mock.patch("os.fsync"):
        yield


def run(project: Project, search: str, hyper: str = LINE, rest: str = METRIC, name: str = "rnn") -> Result:
    """Generate a search and work for it until it is over."""
    generated(project, f"{hyper}[search]\n{search}{rest}", name=name)
    return project.resweep("run", name, "--jobs", "1")


def ending(project: Project) -> dict[str, str] | None:
    """Why a search is over, as `resweep status` says it to programs."""
    found: dict[str, str] | None = json.loads(project.resweep("status", "rnn", "--json").ok().out)["search"]["end"]
    return found


def tried(project: Project, name: str = "rnn") -> list[float]:
    """The rates of the trials, in the order in which they were asked for."""
    return [float(entry.swept["params.lr"]) for entry in project.entries(name)]


# --- where it begins -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_search_begins_with_what_another_sweep_found(project: Project) -> None:
    """Its finished points that lie in the space, at the values of its metric; they do not count, and nothing is run."""
    project.generate("--no-slurm-job", name="grid").ok()
    project.resweep("run", "grid", "--max-trials", "3").ok()
    hyper = '[hyper]\n"params.lr" = { uniform = [0, 0.15] }\n"params.dropout" = { uniform = [0, 1] }\n'
    result = run(project, 'method = "tpe"\nn = 2\nstart_from = ["grid"]\n', hyper).ok()
    rows = [entry.swept["params.lr"] for entry in project.entries("grid")[:3]]
    inside = [lr for lr in rows if lr <= 0.15]
    left = f"{3 - len(inside)} outside of what is searched, 1 without a result"
    assert f"rnn: starts from {len(inside)} points of grid (left out: {left})" in result.err
    trials = opened_journal(project, stored.read(project.paths())).trials()
    given = [each for each in trials if FROM in each.user_attrs]
    assert [(each.params["params.lr"], each.value) for each in given] == [(lr, lr) for lr in inside]
    assert len(project.entries()) == 2
    assert "2 of 2 points" in project.resweep("status", "rnn").ok().out


@pytest.mark.slow
def test_a_search_of_another_space_may_begin_with_its_own_trials(project: Project) -> None:
    """A changed space is another search, which forgets them unless it is told not to."""
    run(project, 'method = "tpe"\nn = 3\n').ok()
    before = tried(project)
    wider = LINE.replace("[0, 1]", "[0, 2]")
    generated(project, f'{wider}[search]\nmethod = "tpe"\nn = 2\nseed = 5\nstart_from = ["rnn"]\n{METRIC}')
    result = project.resweep("run", "rnn", "--jobs", "1").ok()
    assert "rnn: starts from 3 points of rnn\n" in result.err
    asked = stored.read(project.paths())
    trials = opened_journal(project, asked, 2).trials()
    assert [each.params["params.lr"] for each in trials if FROM in each.user_attrs] == sorted(before, reverse=True)
    assert len(project.entries()) == 2
    assert not set(tried(project)) & set(before)


@pytest.mark.parametrize("name", ["nobody", "rnn2"])
def test_a_sweep_that_there_is_not_is_refused_when_it_is_generated(project: Project, name: str) -> None:
    """And nothing is written."""
    project.write({"config/rnn.toml": f'{LINE}[search]\nmethod = "tpe"\nn = 2\nstart_from = ["{name}"]\n{METRIC}'})
    before = project.tree()
    result = project.generate("--no-slurm-job")
    assert result.status == 2
    assert f"search.start_from: found '{name}', which is no sweep of this project" in result.err
    assert project.tree() == before


@pytest.mark.slow
def test_the_files_own_values_are_tried_first(project: Project) -> None:
    """include_default is to compare with; one out of range is refused before anything is written."""
    hyper = LINE + "include_default = true\n[params]\nlr = 0.25\n"
    run(project, 'method = "tpe"\nn = 2\n', hyper).ok()
    assert tried(project)[0] == 0.25
    project.write({"config/out.toml": f'{hyper.replace("0.25", "3")}[search]\nmethod = "tpe"\nn = 2\n{METRIC}'})
    result = project.resweep("config/out.toml", "base.jsonnet", "out", "--no-slurm-job")
    assert "hyper.include_default: the values of the file (params.lr=3) are not among what is searched" in result.err


# --- what is tried ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_point_is_tried_once_and_excluded_ones_never(project: Project) -> None:
    """A space that is used up ends the search, which says so."""
    hyper = '[hyper]\n"params.lr" = [0.1, 0.2, 0.3, 0.4]\nexclude = [{ "params.lr" = 0.2 }]\n'
    result = run(project, 'method = "tpe"\nn = 9\n', hyper).ok()
    assert sorted(tried(project)) == [0.1, 0.3, 0.4]
    said = "the search is over: no new point is found; 3 of 9"
    assert said in result.err
    assert ending(project) == {"reason": "no_new_point", "said": said}
    assert project.resweep("run", "rnn").ok().err == f"rnn: {said}\n"
    trials = opened_journal(project, stored.read(project.paths())).trials()
    assert sum(TRIAL in each.user_attrs for each in trials) == 3
    repeats = [each for each in trials if "repeats" in each.user_attrs]
    assert all(each.value == trials[each.user_attrs["repeats"]].value for each in repeats)


@pytest.mark.slow
def test_several_tables_are_searched(project: Project) -> None:
    """A trial has the values of its table, and the template's own for the others."""
    hyper = (
        '[[hyper]]\n"params.lr" = { uniform = [0, 1] }\n[[hyper]]\n"params.lr" = [2]\n"params.dropout" = [0.1, 0.2]\n'
    )
    run(project, 'method = "tpe"\nn = 8\nseed = 1\n', hyper).ok()
    found = {tuple(entry.swept) for entry in project.entries()}
    assert found == {("params.lr",), ("params.dropout", "params.lr")}


@pytest.mark.slow
def test_repeats_of_a_point_count_once_with_their_mean(project: Project) -> None:
    """Every seed is run; what Optuna is told is what they have in common."""
    project.write({"qb/main.py": MAIN.replace('filled["lr"],', 'filled["lr"] + filled["seed"],')})
    run(project, 'method = "tpe"\nn = 2\n', rest="[params]\n" + METRIC, hyper="n_trials = 3\n" + LINE).ok()
    entries = project.entries()
    assert [entry.trial for entry in entries] == [0, 1, 2] * 2
    trials = opened_journal(project, stored.read(project.paths())).trials()
    assert [each.value for each in trials] == [pytest.approx(entries[n].swept["params.lr"] + 1) for n in (0, 3)]


# --- when it ends ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("after", "points", "said"),
    [
        ("value = 0.0", 1, r"best_validation_accuracy reached 0 \(0\.\d+, #1\)"),
        ("hours = 1e-9", 1, r"1e-09 hours have passed"),
        ("value = 5, without_improvement = 2", None, r"2 points without improvement since #\d+"),
    ],
)
def test_a_search_ends_sooner(project: Project, after: str, points: int | None, said: str) -> None:
    """Whichever comes first; started again, it is over still."""
    result = run(project, f'method = "tpe"\nn = 30\nstop_after = {{ {after} }}\n').ok()
    assert re.search(f"rnn: the search is over: {said}\n", result.err)
    rates = tried(project)
    if points is None:  # the metric is the rate
        assert rates.index(max(rates)) == len(rates) - 3
    else:
        assert len(rates) == points
    again = project.resweep("run", "rnn").ok()
    assert re.search(f"rnn: the search is over: {said}\n", again.err)
    assert tried(project) == rates
    assert re.search(f"\n {{11}}the search is over: {said}\n", project.resweep("status", "rnn").ok().out)
    end = ending(project)
    assert end is not None
    assert end["reason"] == after.replace("value = 5, ", "").partition(" ")[0]
    assert again.err == f"rnn: {end['said']}\n"


@pytest.mark.slow
def test_points_that_have_begun_when_a_search_ends_are_tried_to_their_end(project: Project) -> None:
    """With all of their repeats: no trial is left queued, and no point under way, in a search that is over."""
    # the last repeat of the first point ends when another point has begun
    begun = 'touch "$root/begun-$trial"\nbegun() { ls "$root" | grep ^begun- | cut -d- -f2 | sort -u | wc -l; }\n'
    waits = 'while [ "$n" = 2 ] && [ "$(begun)" -lt 2 ]; do sleep 0.1; done\n'
    project.write({"train.sh": FIND + begun + waits + TRAIN})
    generated(project, f'n_trials = 3\n{LINE}[search]\nmethod = "tpe"\nn = 30\nstop_after = {{ value = 0 }}\n{METRIC}')
    assert "best_validation_accuracy reached 0" in project.resweep("run", "rnn", "--jobs", "2").ok().err
    points = len(project.entries()) // 3
    assert points > 1
    out = project.resweep("status", "rnn").ok().out.splitlines()
    assert out[0] == f"rnn: {3 * points} trials: {3 * points} finished"
    assert out[1] == f"  search   {points} of 30 points (tpe): {points} finished, 0 pruned"


@pytest.mark.slow
def test_a_search_that_has_its_points_says_so_when_asked(project: Project) -> None:
    """With the sentence of the worker that ended it, and no time to go; a raised n takes it back."""
    result = run(project, 'method = "tpe"\nn = 2\n').ok()
    said = "the search is over: 2 of 2 points"
    assert f"rnn: {said}\n" in result.err
    assert ending(project) == {"reason": "points", "said": said}
    out = project.resweep("status", "rnn").ok().out.splitlines()
    assert out[1:3] == ["  search   2 of 2 points (tpe): 2 finished, 0 pruned", f"           {said}"]
    generated(project, f'{LINE}[search]\nmethod = "tpe"\nn = 3\n{METRIC}')
    assert ending(project) is None


@pytest.mark.slow
def test_more_points_go_on_where_it_was(project: Project) -> None:
    """A raised n is the same search, with the trials that it has."""
    run(project, 'method = "tpe"\nn = 2\n').ok()
    before = tried(project)
    result = run(project, 'method = "tpe"\nn = 4\n').ok()
    assert "this worker ran 2 trials" in result.out
    assert tried(project)[:2] == before
    assert len(tried(project)) == 4


@pytest.mark.slow
def test_a_search_whose_trials_all_fail_gives_up(project: Project) -> None:
    """Failed points do not count; the cause is told."""
    result = run(project, 'method = "tpe"\nn = 30\n', LINE + "[params]\nfail = true\nlr = 0.1\n")
    assert result.status == 1
    assert "rnn: the search has stopped: the last 10 trials failed, for example: this trial fails" in result.err
    assert "search   0 of 30 points (tpe): 0 finished, 0 pruned, 10 failed" in project.resweep("status", "rnn").ok().out
    said = "the search has stopped: the last 10 trials failed, for example: this trial fails"
    assert ending(project) == {"reason": "failures", "said": said}


@pytest.mark.slow
def test_a_worker_that_is_started_after_ten_failures_tries_ten_more(project: Project) -> None:
    """What was wrong may have been mended outside of the sweep; the failures of others are not its own."""
    project.write({"qb/main.py": MAIN.replace('filled.get("fail")', 'not os.path.exists("../../../../../mended")')})
    assert run(project, 'method = "tpe"\nn = 3\n').status == 1
    assert "for example: this trial fails" in project.resweep("run", "rnn", "--jobs", "1").err
    assert len(tried(project)) == 20
    project.write({"mended": ""})
    assert "the search is over: 3 of 3 points" in project.resweep("run", "rnn", "--jobs", "1").ok().err
    end = ending(project)
    assert end is not None
    assert end["reason"] == "points"


@pytest.mark.slow
def test_a_metric_that_no_trial_reports_is_said_after_the_first(project: Project) -> None:
    """With the names that it did report."""
    result = run(project, 'method = "tpe"\nn = 30\n', rest='[results]\nmetric = "validation_f1"\n')
    assert result.status == 1
    name = project.entries()[0].name
    said = f"rnn: results.metric: #1 {name} reports no validation_f1; found best_validation_accuracy, seed; the search"
    assert said in result.err
    assert len(project.entries()) == 1
    end = ending(project)
    assert end is not None
    assert end["reason"] == "metric"
    assert f"rnn: {end['said']}\n" in result.err


@pytest.mark.slow
def test_a_failed_point_that_a_person_runs_again_is_told_by_the_next_worker(project: Project) -> None:
    """Status says so until then; from then on it is a point like any other, and counts once."""
    project.write({"qb/main.py": MAIN.replace('filled.get("fail")', 'not os.path.exists("../../../../../mended")')})
    run(project, 'method = "tpe"\nn = 3\n')
    project.write({"mended": ""})
    assert "finished" in project.resweep("run", "rnn#1").ok().out
    lines = project.resweep("status", "rnn").ok().out.splitlines()
    assert lines[0] == "rnn: 10 trials: 1 finished, 9 failed"
    assert "  search   0 of 3 points (tpe): 0 finished, 0 pruned, 10 failed" in lines
    assert "           1 point finished when run again by hand; the next worker tells the search" in lines
    result = project.resweep("run", "rnn", "--jobs", "1").ok()
    assert "rnn: 1 finished point that the journal did not know of" in result.err
    lines = project.resweep("status", "rnn").ok().out.splitlines()
    assert lines[0] == "rnn: 12 trials: 3 finished, 9 failed"
    assert "  search   3 of 3 points (tpe): 3 finished, 0 pruned, 9 failed" in lines
    assert not [line for line in lines if "by hand" in line]
    assert "did not know" not in project.resweep("run", "rnn").ok().err


@pytest.mark.slow
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_trial_that_diverged_counts_as_badly_as_can_be(project: Project, value: str) -> None:
    """It is a point with a result, and no reason to try it again."""
    project.write({"qb/main.py": MAIN.replace('filled["lr"],', f'float("{value}"),')})
    run(project, 'method = "tpe"\nn = 2\n').ok()
    found = json.loads(project.resweep("status", "rnn", "--json").ok().out)["search"]
    assert (found["diverged"], found["pruned"], found["finished"], found["best"]) == (2, 0, 0, None)
    assert found["unheard"] == 0
    assert "did not know" not in project.resweep("run", "rnn").ok().err
