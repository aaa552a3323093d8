"""Workers of a search: what they ask for, how they share it, and what is left when they die.

Code: search/supplier, search/trial_writer, search/journal, search/peers
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from launched import until
from small_project import Project
from worked import BRANIN, HARTMANN, RESULTS, alone, functions, journal, points, searched, states, work

from resweep import index
from resweep.errors import counted

WRITE_X = """
with open(os.path.join(output, "metrics.json"), "w") as file:
    json.dump({"value": filled["x"][0]}, file)
"""
UNTIL_GO = """
while not os.path.exists(os.path.join(capsule, "../../../../../go")):
    time.sleep(0.02)
"""
RANGE = optuna.distributions.FloatDistribution


def start(project: Project, *options: str, name: str = "rnn") -> subprocess.Popen[str]:
    """A worker as users start it, in a process group of its own."""
    command = [sys.executable, "-m", "resweep", "run", name, "--jobs", "1", *options]
    return subprocess.Popen(
        command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
    )


def test_generating_a_search_freezes_everything_and_writes_no_trial(project: Project) -> None:
    """The definition, the source and the jobs script are there; the trials come later."""
    searched(project, 5)
    assert project.entries() == []
    assert project.capsules() == []
    assert (project.paths().generations / "1" / "base" / "base.jsonnet").is_file()
    assert "resweep run" in project.paths().jobs.read_text()
    again = project.generate().ok()
    assert "nothing to write" in again.out


@pytest.mark.slow
@pytest.mark.parametrize(("space", "keys", "kind"), [(BRANIN, "xy", "branin"), (HARTMANN, "uvwxyz", "hartmann")])
def test_one_worker_asks_exactly_what_optuna_alone_asks(project: Project, space: str, keys: str, kind: str) -> None:
    """Capsules, records and metrics in between change nothing of the search."""
    searched(project, 30, space, "seed = 3\n")
    work(project)
    function = functions()[kind]
    low, high = ({"x": -5.0, "y": 0.0}, {"x": 10.0, "y": 15.0}) if kind == "branin" else ({}, {})
    ranges = {key: RANGE(low.get(key, 0.0), high.get(key, 1.0)) for key in keys}
    expected = alone(lambda p: function([p.get(key, 0) for key in "xyzuvw"]), ranges, 30, seed=3)
    assert points(project, *keys) == expected
    assert set(states(project)) == {"finished"}


@pytest.mark.slow
def test_a_search_of_recorded_results_asks_what_optuna_alone_asks(project: Project) -> None:
    """On a table of real trainings, where points come up again; those are told of once more, and run once."""
    recorded = json.loads((Path(__file__).parent / "recorded.json").read_text("utf-8"))
    missed = [1 - max(row["validation_accuracy"]) for row in recorded["rows"]]
    write = f"""
with open(os.path.join(output, "metrics.json"), "w") as file:
    json.dump({{"value": {missed}[filled["x"][0]]}}, file)
"""
    numbers = list(range(len(missed)))
    searched(project, 20, f'[hyper]\n"params.x" = {numbers}\n[params]\nkind = "recorded"\n', train=write)
    work(project)
    choices = {"x": optuna.distributions.CategoricalDistribution(numbers)}
    asked = alone(lambda point: missed[point["x"]], choices, 200)
    once = list(dict.fromkeys(asked))[:20]
    assert points(project, "x") == once
    needed = asked[: asked.index(once[-1]) + 1]
    assert len(needed) > 20, "some come up again"
    told = [trial for trial in journal(project) if trial.state.name == "COMPLETE"]
    assert [(trial.params["params.x"],) for trial in told] == needed


@pytest.mark.slow
def test_eight_workers_finish_exactly_n(project: Project) -> None:
    """They race for every point, and none is run twice or left over."""
    searched(project, 40)
    workers = [start(project) for _ in range(8)]
    said = [worker.communicate(timeout=500)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 8, said
    assert states(project) == ["finished"] * 40
    assert len(set(points(project, "x", "y"))) == 40
    assert [entry.number for entry in project.entries()] == list(range(1, 41))
    assert all(project.paths().place(entry.name).last() == 1 for entry in project.entries())
    assert sum(trial.state.name == "COMPLETE" for trial in journal(project)) == 40
    assert project.resweep("verify", "rnn").status == 0


@pytest.mark.slow
def test_a_search_whose_workers_are_killed_thirty_times_finishes(project: Project) -> None:
    """KILL at any moment: while it asks, writes, trains or tells; others take over, and nothing is counted twice."""
    searched(project, 60)
    chance = random.Random(5)
    workers = [start(project) for _ in range(3)]
    for _ in range(30):
        time.sleep(chance.uniform(0.05, 0.9))
        victim = chance.randrange(3)
        os.kill(workers[victim].pid, signal.SIGKILL)
        workers[victim].wait()
        workers[victim] = start(project)
    for worker in workers:
        said = worker.communicate(timeout=500)[0]
        assert worker.returncode == 0, said
    assert states(project).count("finished") == 60
    assert len(project.entries()) == 60
    ended = [trial for trial in journal(project) if trial.state.name == "COMPLETE"]
    assert len(ended) == 60
    assert not [trial for trial in journal(project) if trial.state.name == "RUNNING"]
    assert project.resweep("verify", "rnn").status == 0
    assert not list(project.paths().directory.glob(".new-*"))


@pytest.mark.slow
def test_a_worker_that_starts_removes_what_a_killed_one_was_writing(project: Project) -> None:
    """Nobody else writes trials while it looks."""
    searched(project, 2)
    work(project, max_trials=1)
    (project.paths().directory / ".new-abc" / "0").mkdir(parents=True)
    work(project)
    assert not list(project.paths().directory.glob(".new-*"))
    assert states(project) == ["finished"] * 2


@pytest.mark.slow
def test_every_trial_is_of_the_frozen_source(project: Project) -> None:
    """What happens to the working tree while workers ask reaches no trial."""
    searched(project, 6)
    work(project, max_trials=2)
    project.write(
        {"qb/main.py": "raise SystemExit('edited')\n", "base.jsonnet": "error 'edited'", "train.sh": "exit 3"}
    )
    work(project)
    assert states(project) == ["finished"] * 6
    assert len({entry.source for entry in project.entries()}) == 1
    assert project.resweep("verify", "rnn").status == 0


@pytest.mark.slow
def test_a_worker_that_comes_later_goes_on_without_repeating(project: Project) -> None:
    """Two workers, one after the other, ask for other points, although both have the sweep's seed."""
    searched(project, 24)
    work(project, max_trials=8)
    assert len(states(project)) == 8
    said = work(project).messages
    assert len(set(points(project, "x", "y"))) == 24
    assert "the search is over: 24 of 24 points" in said


@pytest.mark.slow
def test_raising_n_goes_on_with_the_same_search(project: Project) -> None:
    """Earlier points are kept, and learned from."""
    searched(project, 5)
    work(project)
    before = project.entries()
    text = (project.root / "config/rnn.toml").read_text().replace("n = 5", "n = 8")
    project.write({"config/rnn.toml": text})
    assert "the search goes on: 8 points" in project.generate().ok().out
    work(project)
    assert project.entries()[:5] == before
    assert states(project) == ["finished"] * 8


@pytest.mark.slow
def test_another_space_begins_another_search(project: Project) -> None:
    """The trials of the last one are no longer in the sweep, and can be learned from by name."""
    searched(project, 5)
    work(project)
    text = (project.root / "config/rnn.toml").read_text().replace("[-5, 10]", "[-5, 5]")
    project.write({"config/rnn.toml": text.replace("n = 5", 'n = 5\nstart_from = ["rnn"]')})
    said = project.generate().ok()
    assert 'start_from = ["rnn"]' in said.err
    assert project.entries() == []
    watching = work(project)
    assert any(message.startswith("starts from ") for message in watching.messages)
    assert states(project) == ["finished"] * 5
    own = [entry for entry in index.read(project.paths()).entries if not entry.current]
    assert len(own) == 5


@pytest.mark.slow
def test_a_point_of_several_repeats_is_judged_by_their_mean(project: Project) -> None:
    """Each repeat is a trial with a seed of its own."""
    noisy = """
with open(os.path.join(output, "metrics.json"), "w") as file:
    json.dump({"value": filled["x"][0] + filled["seed"]}, file)
"""
    searched(project, 3, train=noisy)
    text = "n_trials = 3\nseed = 10\n" + (project.root / "config/rnn.toml").read_text()
    project.write({"config/rnn.toml": text})
    project.generate().ok()
    work(project)
    assert len(project.entries()) == 9
    told = [trial for trial in journal(project) if trial.state.name == "COMPLETE"]
    # the last study of the journal is the one that counts
    assert [trial.value for trial in told] == pytest.approx([trial.params["params.x"] + 11 for trial in told])


@pytest.mark.slow
def test_failed_points_do_not_count(project: Project) -> None:
    """A search of six finishes six, however many fail on the way."""
    half = """
if filled["x"][0] < 2:
    raise SystemExit("too small")
with open(os.path.join(output, "metrics.json"), "w") as file:
    json.dump({"value": 1 / filled["x"][0]}, file)
"""
    searched(project, 6, train=half)
    work(project)
    assert states(project).count("finished") == 6
    failed = [trial for trial in journal(project) if trial.state.name == "FAIL"]
    assert failed
    assert failed[0].user_attrs["failed"] == "too small"


@pytest.mark.slow
def test_a_search_in_which_everything_fails_ends_and_says_why(project: Project) -> None:
    """Ten in a row are enough."""
    searched(project, 50, train="raise SystemExit('no such data')\n")
    done = project.resweep("run", "rnn", "--jobs", "1")
    assert done.status == 1
    assert "the last 10 trials failed, for example: no such data" in done.err
    assert states(project) == ["failed"] * 10


@pytest.mark.slow
def test_a_metric_that_nobody_reports_is_said_after_the_first_trial(project: Project) -> None:
    """With the names that it did report."""
    searched(project, 50)
    text = (project.root / "config/rnn.toml").read_text().replace('metric = "value"', 'metric = "accuracy"')
    project.write({"config/rnn.toml": text})
    project.generate().ok()
    done = project.resweep("run", "rnn", "--jobs", "1")
    assert done.status == 1
    assert "reports no accuracy; found value; the search cannot go on" in done.err
    assert len(project.entries()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("value", ["math.nan", "math.inf", "-math.inf"])
def test_a_value_that_is_no_finite_number_counts_as_bad(project: Project, value: str) -> None:
    """A training that diverged ends its point; Optuna learns to stay away."""
    train = f"""
with open(os.path.join(output, "metrics.json"), "w") as file:
    json.dump({{"value": {value} if filled["x"][0] < 2 else filled["x"][0]}}, file)
"""
    searched(project, 8, train=train)
    work(project)
    assert len(states(project)) == 8
    bad = [trial for trial in journal(project) if trial.params["params.x"] < 2]
    assert bad
    assert {trial.state.name for trial in bad} == {"PRUNED"}


@pytest.mark.slow
def test_a_list_that_is_used_up_ends_the_search(project: Project) -> None:
    """There are six points, and eight were asked for."""
    searched(project, 8, '[hyper]\n"params.x" = [1, 2, 3]\n"params.y" = [1, 2]\n[params]\nkind = "branin"\n')
    watching = work(project)
    assert states(project) == ["finished"] * 6
    assert "the search is over: no new point is found; 6 of 8" in watching.messages


@pytest.mark.slow
def test_a_torn_journal_and_a_torn_list_are_mended(project: Project) -> None:
    """What a worker that lost its power has left of a line disappears."""
    searched(project, 6)
    work(project, max_trials=3)
    for path in (project.paths().study, project.paths().index):
        with open(path, "ab") as file:
            file.write(b'{"torn')
    assert len(project.entries()) == 3
    work(project)
    assert states(project) == ["finished"] * 6
    assert b"torn" not in project.paths().study.read_bytes() + project.paths().index.read_bytes()


@pytest.mark.slow
def test_a_search_generated_again_ends_its_workers(project: Project) -> None:
    """They do not mix two definitions."""
    searched(project, 30, train=UNTIL_GO + WRITE_X)
    worker = start(project)
    until(project.entries)
    text = (project.root / "config/rnn.toml").read_text().replace("[-5, 10]", "[-4, 10]")
    project.write({"config/rnn.toml": text})
    project.generate().ok()
    (project.root / "go").touch()
    said = worker.communicate(timeout=300)[0]
    assert "the sweep was generated again; start the workers again" in said


@pytest.mark.slow
def test_trials_of_a_search_are_trials_like_any_other(project: Project) -> None:
    """Results, rerun and reproduction know no difference."""
    searched(project, 4)
    work(project)
    assert project.resweep("results", "rnn", "--top", "1").ok().out.count("finished") == 1
    assert "identical" in project.resweep("reproduce", "rnn#2").out
    assert project.resweep("run", "rnn#2").ok()
    assert project.resweep("promote", "--best", "rnn", "--as", "more", "--set", "n_trials=2").ok()
    assert len(project.entries("more")) == 2


@pytest.mark.slow
def test_ctrl_c_leaves_a_search_that_goes_on(project: Project) -> None:
    """A trial that was stopped with its worker is run again by the next one."""
    searched(project, 3, train=UNTIL_GO + WRITE_X)
    worker = start(project)
    until(lambda: states(project) == ["running"])
    worker.terminate()
    worker.wait(timeout=300)
    assert states(project) == ["stopped"]
    (project.root / "go").touch()
    work(project)
    assert states(project) == ["finished"] * 3
    assert project.paths().place(project.entries()[0].name).last() == 2


@pytest.mark.slow
def test_the_template_of_a_search_is_the_frozen_one(project: Project) -> None:
    """And what a worker fills is what the command fills, byte for byte."""
    searched(project, 2)
    work(project)
    entry = project.entries()[0]
    values = json.dumps(entry.swept["params.x"]), json.dumps(entry.swept["params.y"])
    text = f'[hyper]\n"params.x" = [{values[0]}]\n"params.y" = [{values[1]}]\n[params]\nkind = "branin"\n{RESULTS}'
    project.write({"config/one.toml": text})
    project.resweep("config/one.toml", "base.jsonnet", "one").ok()
    (same,) = project.entries("one")
    assert same.id == entry.id


@pytest.mark.slow
@pytest.mark.parametrize("n", [4, 10])
def test_bruteforce_ends_when_every_point_has_been_tried(project: Project, n: int) -> None:
    """Through the command line, which must not wait for anything then."""
    searched(project, n, '[hyper]\n"params.x" = [1, 2]\n"params.y" = [1, 2]\n[params]\nkind = "branin"\n')
    text = (project.root / "config/rnn.toml").read_text().replace('"tpe"', '"bruteforce"')
    project.write({"config/rnn.toml": text})
    project.generate().ok()
    worker = start(project)
    said = worker.communicate(timeout=300)[0]
    assert worker.returncode == 0, said
    assert states(project) == ["finished"] * 4


@pytest.mark.slow
def test_a_damaged_journal_ends_a_worker_with_one_line(project: Project) -> None:
    """At its start, and in the middle of its work; without the journal the search goes on from the trials."""
    searched(project, 60, train=UNTIL_GO + WRITE_X)
    worker = start(project)
    until(lambda: states(project) == ["running"])
    with open(project.paths().study, "ab") as file:
        file.write(b"garbage\nmore\n")
    (project.root / "go").touch()
    said = worker.communicate(timeout=300)[0]
    assert worker.returncode == 2
    assert "study.journal: cannot be read" in said
    again = project.resweep("run", "rnn")
    assert again.status == 2
    assert "study.journal: cannot be read" in again.err
    project.paths().study.unlink()
    finished = states(project).count("finished")
    text = (project.root / "config/rnn.toml").read_text().replace("n = 60", f"n = {finished + 2}")
    project.write({"config/rnn.toml": text})
    project.generate().ok()
    said = work(project).messages
    assert f"{counted(finished, 'finished point')} that the journal did not know of" in said
    assert states(project).count("finished") == finished + 2


@pytest.mark.slow
def test_a_trial_that_a_person_ran_after_all_is_told(project: Project) -> None:
    """A point that failed, and was mended, counts for the next worker."""
    fails = '\nif not os.path.exists(os.path.join(capsule, "../../../../../fine")):\n    raise SystemExit("not yet")\n'
    searched(project, 12, train=fails + WRITE_X)
    project.resweep("run", "rnn", "--jobs", "1", "--max-trials", "2")
    assert states(project) == ["failed", "failed"]
    project.write({"fine": ""})
    project.resweep("run", "rnn#1").ok()
    said = work(project).messages
    assert "1 finished point that the journal did not know of" in said
    assert states(project).count("finished") == 12


@pytest.mark.slow
def test_another_source_can_be_asked_for_after_one_was_kept(project: Project) -> None:
    """--new-source begins anew, also when the source has not changed since --keep-finished."""
    searched(project, 3)
    work(project)
    project.write({"qb/more.py": "x = 1\n"})
    assert project.generate().status == 2
    project.generate("--keep-finished").ok()
    assert len(project.entries()) == 3
    assert "3 finished trials of an earlier source: kept" in project.generate().ok().err
    project.generate("--new-source").ok()
    assert project.entries() == []


@pytest.mark.slow
def test_points_of_a_search_cannot_be_shown_before_they_are_asked_for(project: Project) -> None:
    """In one line."""
    searched(project, 3)
    done = project.resweep("show", "config/rnn.toml", "base.jsonnet", "--point", "3")
    assert done.status == 2
    assert "a search has no points before its workers ask for them" in done.err
