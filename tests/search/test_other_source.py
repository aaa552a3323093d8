"""Another source, or another rule, under trials that were stopped early."""

from __future__ import annotations

import pytest
from small_project import Project
from test_early import ASHA, SLOW, grid
from worked import EPOCHS, points, searched, states, work

pytestmark = pytest.mark.slow

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
