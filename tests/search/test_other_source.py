"""Another source, or another rule, under trials that were stopped early.

Code: search/warm_start, search/grid_stopping
"""

from __future__ import annotations

import json
import shutil
import sys

import pytest
from small_project import Project
from test_early import ASHA, SLOW, grid
from worked import EPOCHS, at_will, points, searched, states, work

from resweep.launcher import trial_state

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("often")]

HARSH = 'method = "asha"\nreduction_factor = 2\nmin_resource = 2'


def test_keeping_what_has_finished_keeps_what_was_stopped_early_in_a_search(project: Project) -> None:
    """It is a result as any other, and the search counts it: none is left out of tables and figures."""
    searched(project, 8, SLOW, ASHA, EPOCHS)
    work(project)
    before, asked = states(project), points(project, "x", "y")
    finished, pruned = before.count("finished"), before.count("pruned")
    assert finished
    assert pruned > 1
    project.write({"qb/more.py": "x = 1\n"})
    refused = project.generate()
    assert refused.status == 2
    assert f"(8 of them, {pruned} stopped early)" in refused.err
    said = project.generate("--keep-finished").ok()
    assert f"{finished} finished and {pruned} pruned trials of an earlier source: kept" in said.err
    assert states(project) == before
    assert points(project, "x", "y") == asked
    text = (project.root / "config/rnn.toml").read_text().replace("n = 8", "n = 10")
    project.write({"config/rnn.toml": text})
    project.generate().ok()
    work(project)
    assert states(project)[:8] == before
    assert len(states(project)) == 10


def test_keeping_what_has_finished_keeps_what_was_stopped_early_in_a_grid(project: Project) -> None:
    """Nothing of it runs again with the new source; --new-source runs all of it again."""
    grid(project, HARSH)
    before = states(project)
    assert before.count("pruned") > 1
    project.write({"qb/more.py": "x = 1\n"})
    assert project.generate().status == 2
    names = [entry.name for entry in project.entries()]
    project.generate("--keep-finished").ok()
    assert [entry.name for entry in project.entries()] == names
    said = project.generate("--new-source").ok()
    assert "pruned trials of an earlier source: left in place, and run again" in said.err
    assert states(project) == ["queued"] * 5


def test_another_rule_is_said_with_what_the_last_one_has_stopped(project: Project) -> None:
    """What it stopped stays as it is, and how to run it to its end is named."""
    grid(project, HARSH)
    pruned = states(project).count("pruned")
    text = (project.root / "config/rnn.toml").read_text()
    project.write({"config/rnn.toml": text.replace("min_resource = 2", "min_resource = 5")})
    said = project.generate().ok()
    assert "search.stop.min_resource: 2 is now 5" in said.out
    assert f"{pruned} trials stopped early by [search.stop] as it was: left as they are" in said.err
    assert "--state pruned" in said.err
    again = project.generate().ok()
    assert "is now" not in again.out
    assert "as it was" not in again.err


def test_what_was_stopped_with_the_wrong_mode_is_run_again_by_the_search_that_has_the_right_one(
    project: Project,
) -> None:
    """Its points come up again, and those were stopped for being good; what has finished is not run twice."""
    searched(project, 8, SLOW, ASHA, EPOCHS)
    right = (project.root / "config/rnn.toml").read_text()
    project.write({"config/rnn.toml": right.replace('mode = "min"', 'mode = "max"')})
    project.generate("--new-source").ok()
    work(project)
    wrongly = {entry.name for entry, state in zip(project.entries(), states(project), strict=True) if state == "pruned"}
    finished = {entry.name for entry in project.entries()} - wrongly
    assert len(wrongly) > 1
    project.write({"config/rnn.toml": right})
    assert "another search begins" in project.generate().ok().err
    said = work(project).messages
    assert "the search is over: 8 of 8 points" in said
    assert len(project.entries()) == 8
    for entry in project.entries():
        place = project.paths().place(entry.name)
        assert place.last() == (2 if entry.name in wrongly else 1)
        state, record = trial_state.state(place)
        assert state == "finished" or record["pruned"]["mode"] == "min"
    assert wrongly & {entry.name for entry in project.entries()}
    assert finished & {entry.name for entry in project.entries()}


def test_what_the_same_rule_has_stopped_counts_in_a_search_that_begins_anew(project: Project) -> None:
    """As when the journal is gone: nothing is trained again."""
    searched(project, 8, SLOW, ASHA, EPOCHS)
    work(project)
    before = states(project)
    project.paths().study.unlink()
    work(project)
    kept = zip(before, states(project), project.entries(), strict=False)
    assert all(project.paths().place(entry.name).last() == 1 for was, _, entry in kept if was == "finished")
    assert [state for state in states(project)[:8] if state == "pruned"] == ["pruned"] * before.count("pruned")
    assert {project.paths().place(entry.name).last() for entry in project.entries()} == {1}


def test_a_metric_of_early_stopping_that_nothing_reports_is_said_in_a_search_that_learns(project: Project) -> None:
    """Once, with what is reported, since nothing is ever stopped."""
    searched(project, 3, SLOW, ASHA + 'metric = "valeu"\n', EPOCHS)
    at_will(project)
    said = [message for message in work(project).messages if message.startswith("search.stop")]
    assert said == ["search.stop: #1 reported no valeu while it ran; found value"]
    assert states(project) == ["finished"] * 3


def test_a_trial_that_was_emptied_is_named_when_the_search_is_over(project: Project) -> None:
    """Its point has a result, so that no worker asks for it again; a person may."""
    searched(project, 3)
    project.resweep("run", "rnn").ok()
    entry = project.entries()[1]
    place = project.paths().place(entry.name)
    shutil.rmtree(place.attempts)
    shutil.rmtree(place.output)
    said = project.resweep("run", "rnn").ok().out
    assert "rnn: 1 trial of points that have a result did not run to the end, such as rnn#2" in said
    project.resweep("run", "rnn#2").ok()
    assert states(project) == ["finished"] * 3
    assert "did not run to the end" not in project.resweep("run", "rnn").ok().out


def test_points_that_diverged_are_counted_by_that_name(project: Project) -> None:
    """They finished, and count like pruned ones."""
    broken = """
with open(os.path.join(output, "metrics.json"), "w") as file:
    json.dump({"value": float("nan") if filled["x"][0] > 2 else filled["x"][0]}, file)
"""
    searched(project, 6, train=broken)
    project.resweep("run", "rnn").ok()
    diverged = sum(x > 2 for (x,) in points(project, "x"))
    assert 0 < diverged < 6
    out = project.resweep("status", "rnn").ok().out.splitlines()
    assert out[0] == "rnn: 6 trials: 6 finished"
    assert out[1] == f"  search   6 of 6 points (tpe): {6 - diverged} finished, 0 pruned, {diverged} diverged"
    found = json.loads(project.resweep("status", "rnn", "--json").ok().out)["search"]
    assert (found["finished"], found["pruned"], found["diverged"]) == (6 - diverged, 0, diverged)


@pytest.mark.parametrize("change", ["source", "params"])
def test_a_grid_that_measures_something_else_is_not_judged_by_what_it_measured_before(
    project: Project, change: str
) -> None:
    """The same trials as of a sweep that begins with that; and status tells of them alone."""
    rule = 'method = "median"\nn_startup_trials = 2'
    grid(project, rule)
    before = states(project)
    assert 0 < before.count("pruned") < 4
    text = (project.root / "config/rnn.toml").read_text()
    if change == "source":  # everything is worse than it was
        main = (project.root / "qb/main.py").read_text()
        project.write(
            {
                "qb/main.py": main.replace(
                    'FUNCTIONS[filled["kind"]](filled["x"])', '1000 + FUNCTIONS[filled["kind"]](filled["x"])'
                )
            }
        )
    else:
        project.write({"config/rnn.toml": text.replace("epochs = 12", "epochs = 11")})
    project.generate("--new-source").ok()
    assert states(project) == ["queued"] * 5
    project.resweep("run", "rnn", "--jobs", "1").ok()
    assert states(project) == before
    out = project.resweep("status", "rnn").ok().out
    pruned = before.count("pruned")
    assert f"stopped early: {5 - pruned} finished, {pruned} pruned" in out
    # what is added to a grid is judged by the rest of it
    project.write({"config/rnn.toml": (project.root / "config/rnn.toml").read_text().replace("-2.0]", "-2.0, -4.9]")})
    project.generate("--keep-finished").ok()
    project.resweep("run", "rnn", "--jobs", "1").ok()
    assert states(project) == [*before, "pruned"]


def test_keeping_what_has_finished_keeps_points_whole(project: Project) -> None:
    """A point whose repeats have not all run goes on with the source that it began with; none is counted twice."""
    searched(project, 4)
    project.write({"config/rnn.toml": "n_trials = 3\n" + (project.root / "config/rnn.toml").read_text()})
    project.generate().ok()
    # a process of its own, which is gone after that
    project.shell(f"{sys.executable} -m resweep run rnn --jobs 1 --max-trials 5").ok()
    before = states(project)
    assert (before.count("finished"), before.count("queued")) == (5, 1)
    project.write({"qb/more.py": "x = 1\n"})
    said = project.generate("--keep-finished").ok()
    assert "5 finished trials of an earlier source: kept, with 1 more of their points" in said.err
    work(project)
    by_point: dict[str, list[str]] = {}
    for entry, state in zip(project.entries(), states(project), strict=True):
        by_point.setdefault(entry.id, []).append(state)
    assert list(by_point.values()) == [["finished"] * 3] * 4
    assert {project.paths().place(entry.name).last() for entry in project.entries()} == {1}
    out = project.resweep("status", "rnn").ok().out
    assert "4 of 4 points (tpe): 4 finished, 0 pruned\n" in out
    assert "by hand" not in out
