"""Search spaces end to end: from the TOML to trials, and what the other commands make of them.

Code: space/expand, space/sample, sweep/override
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from launched import Trial
from small_project import Project

from resweep import index
from resweep.space import expand

UNION = """\
[[hyper]]
"params.lr" = [0.1, 0.2]
[[hyper]]
"params.lr" = [0.1]
"params.dropout" = [0.3, 0.4]
"""
ZIPPED = """\
[hyper]
"params.lr, slurm.mem" = [[0.1, "8g"], [0.2, "32g"]]
[slurm]
mem = "1g"
"""


def generate(project: Project, text: str, *options: str, name: str = "rnn") -> str:
    """Generate a sweep from this text; gives what was said."""
    project.write({"config/rnn.toml": text})
    return project.generate("--no-slurm-job", *options, name=name).ok().out


def swept(project: Project, name: str = "rnn") -> list[dict[str, Any]]:
    """The swept values of the sweep's trials."""
    return [entry.swept for entry in project.entries(name)]


def test_a_branch_passes_what_it_names_and_nothing_else(project: Project) -> None:
    """The template's own default holds where a table of the union does not name a parameter."""
    generate(project, UNION)
    filled = [json.loads((path / f"{path.parent.name}.json").read_text()) for path in project.capsules()]
    assert sorted((each["lr"], each["dropout"]) for each in filled) == [(0.1, 0.3), (0.1, 0.4), (0.1, 0.5), (0.2, 0.5)]
    assert swept(project)[0] == {"params.lr": 0.1}
    assert swept(project)[-1] == {"params.dropout": 0.4, "params.lr": 0.1}


@pytest.mark.slow
def test_trials_of_different_keys_are_shown_by_every_command(project: Project) -> None:
    """results leaves a cell empty, status, --where and the jobs script name what each trial has."""
    generate(project, UNION)
    Trial(project, 1).launch()
    Trial(project, 3).launch()
    header, *rows = project.resweep("results", "rnn").ok().out.splitlines()
    end = header.index("params.dropout") + len("params.dropout")  # numbers end where their name ends
    assert sorted(row[end - 3 : end] for row in rows) == ["   ", "   ", "0.3", "0.4"]
    assert "4 trials: 2 finished, 2 queued" in project.resweep("status", "rnn").ok().out
    assert "1 trial:" in project.resweep("status", "rnn", "--where", "params.dropout=0.3").ok().out
    lines = project.paths().jobs.read_text()
    assert all(f"#{entry.number:<6} {entry.described()}\n" in lines for entry in project.entries())


def test_a_key_that_only_some_trials_have_tells_them_apart(project: Project) -> None:
    """Though it has one value wherever it is named."""
    generate(project, '[[hyper]]\n"params.lr" = [1]\n[[hyper]]\n"params.lr" = [1]\n"params.dropout" = [0]\n')
    assert index.varying(project.entries()) == ["params.dropout"]


@pytest.mark.parametrize("hyper", ["[0.5, 0.1]", "[0.1]"])
def test_the_default_is_one_trial_whether_or_not_the_grid_has_it(project: Project, hyper: str) -> None:
    """It comes first, and a point reached twice is one trial."""
    generate(project, f'[hyper]\n"params.lr" = {hyper}\ninclude_default = true\n[params]\nlr = 0.5\n')
    assert [each["params.lr"] for each in swept(project)] == [0.5, 0.1]


@pytest.mark.slow
def test_a_default_that_the_grid_has_asks_slurm_for_what_the_grid_says(project: Project) -> None:
    """[slurm] holds for the default only where no point says more."""
    generate(project, ZIPPED.replace("[slurm]", "include_default = true\n[params]\nlr = 0.2\n[slurm]"))
    assert swept(project) == [{"params.lr": 0.2, "slurm.mem": "32g"}, {"params.lr": 0.1, "slurm.mem": "8g"}]


def test_what_a_trial_asks_of_slurm_may_go_with_its_values(project: Project) -> None:
    """A zipped slurm.mem stands among the swept values, reaches sbatch, and is no part of the id."""
    generate(project, ZIPPED)
    generate(project, '[hyper]\n"params.lr" = [0.1, 0.2]\n', name="plain")
    assert swept(project) == [{"params.lr": 0.1, "slurm.mem": "8g"}, {"params.lr": 0.2, "slurm.mem": "32g"}]
    assert [each.id for each in project.entries()] == [each.id for each in project.entries("plain")]
    script = project.paths().jobs.read_text()
    assert "needs_resweep=slurm.mem\n" in script  # a job for each trial, without resweep, could not have both
    assert '#1      params.lr=0.1 slurm.mem="8g"' in script
    assert "mem" not in (project.capsules()[0] / f"{project.capsules()[0].parent.name}.toml").read_text()


@pytest.mark.slow
def test_one_value_for_slurm_needs_no_resweep(project: Project) -> None:
    """It goes to sbatch as if it stood in [slurm]; one that only some trials have does not."""
    generate(project, ZIPPED.replace("32g", "8g"))
    assert "sbatch_options=(--mem=8g " in project.paths().jobs.read_text()
    generate(
        project, '[[hyper]]\n"params.lr" = [1]\n"slurm.mem" = ["2g"]\n[[hyper]]\n"params.lr" = [2]\n' + ZIPPED[-20:]
    )
    script = project.paths().jobs.read_text()
    assert "needs_resweep=slurm.mem\n" in script
    assert "sbatch_options=(--mem=1g " in script


def test_a_search_raised_later_keeps_the_first_draws(project: Project) -> None:
    """n = 5 and then n = 8: five are kept, three are new, and the reason is named."""
    text = '[hyper]\n"params.lr" = { loguniform = [1e-5, 1e-1] }\n[search]\nmethod = "random"\nn = 5\n'
    generate(project, text)
    before = project.entries()
    said = generate(project, text.replace("n = 5", "n = 8"))
    assert "3 new trials, 5 kept, 0 orphaned" in said
    assert "search.n: 5 is now 8" in said
    assert project.entries()[:5] == before


GRID = '[hyper]\n"params.lr" = [1, 2]\n"params.dropout" = [0.1, 0.2]\n'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (GRID, GRID + "exclude = [{ 'params.lr' = 1 }]\n", ['exclude: {"params.lr": 1} added']),
        (GRID + "exclude = [{ 'params.lr' = 1 }]\n", GRID, ['exclude: {"params.lr": 1} taken out']),
        (GRID, GRID + "include_default = true\n[params]\nlr = 5\n", ["include_default: added", "params.lr: "]),
        (GRID, GRID.replace("[1, 2]", "{ range = [1, 3, 1] }"), ["params.lr: 3 added"]),
        (GRID, GRID.replace("[hyper]", "[[hyper]]") + UNION, ["params.lr: 0.1, 0.2, 0.1 added", "one table is now 3"]),
        (UNION, GRID, ["params.dropout: 0.1, 0.2 added", "params.lr: 0.1, 0.2, 0.1 taken", "2 tables is now one"]),
        (
            '[hyper]\n"params.lr, params.dropout" = [[1, 0.1], [2, 0.2]]\n',
            '[hyper]\n"params.lr, params.dropout" = [[1, 0.1], [2, 0.3]]\n',
            ["params.lr, params.dropout: [2, 0.3] added", "params.lr, params.dropout: [2, 0.2] taken out"],
        ),
        (
            '[[hyper]]\n"params.lr" = [1]\n"params.dropout" = [0.1, 0.2]\n[[hyper]]\n"params.lr" = [2]\n',
            '[[hyper]]\n"params.lr" = [2]\n"params.dropout" = [0.1, 0.2]\n[[hyper]]\n"params.lr" = [1]\n',
            ["the same values are combined in another way"],
        ),
        (
            GRID,
            '[hyper]\n"params.lr" = { uniform = [0, 1] }\n[search]\nmethod = "random"\nn = 2\n',
            ["params.lr: uniform [0, 1] added", "params.dropout: 0.1, 0.2 taken out", "search.method: nothing is now"],
        ),
    ],
)
def test_a_dry_run_says_why_a_space_has_other_points(project: Project, before: str, after: str, why: list[str]) -> None:
    """Every form that changed is named, and what then happens is what was said."""
    generate(project, before)
    project.write({"config/rnn.toml": after})
    said = project.generate("--dry-run").ok().out
    assert all(reason in said for reason in why), said
    done = generate(project, after)
    assert all(reason in done for reason in why)


def test_overrides_of_several_tables_are_refused(project: Project) -> None:
    """Which of them is meant, nobody knows; other keys can be set."""
    project.write({"config/rnn.toml": UNION})
    result = project.generate("--dry-run", "--set", "hyper.params.lr=[1]")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "found several [[hyper]] tables, expected one; edit the file" in result.err
    assert "params.lr is swept by [hyper]" in project.generate("--dry-run", "--set", "params.lr=1").err
    assert project.generate("--dry-run", "--set", "params.sleep=1", "--set", "seed=3").ok()


@pytest.mark.parametrize(
    ("override", "count"),
    [
        ("hyper.params.lr={ range = [1, 3, 1] }", 6),
        ("hyper.exclude=[{ 'params.lr' = 1 }]", 2),
        ("hyper.include_default=true", 5),
        ("hyper.'params.sleep, params.fail'=[[1, true], [2, false]]", 8),
    ],
)
def test_every_form_can_be_set_on_the_command_line(project: Project, override: str, count: int) -> None:
    """As it would stand in the file."""
    project.write({"config/rnn.toml": GRID + "[params]\nlr = 5\n"})
    assert f"would write {count} new trials" in project.generate("--dry-run", "--set", override).ok().out


@pytest.mark.slow
def test_more_trials_than_anybody_means_want_a_word(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over 10,000: one line, nothing written, --yes goes on; a dry run is no danger."""
    project.write({"config/rnn.toml": '[hyper]\n"params.lr" = { range = [1, 10001, 1] }\n'})
    result = project.generate()
    assert (result.status, result.out) == (2, "")
    assert "found 10,001 trials, expected at most 10,000; --yes, if that is meant" in result.err
    assert not (project.root / "config/generated").exists()
    assert "10,001 new trials" in project.generate("--dry-run").ok().out
    monkeypatch.setattr(expand, "MANY", 3)
    project.write({"config/rnn.toml": GRID})
    assert project.generate().status == 2
    assert "4 new trials" in project.generate("--yes").ok().out


def test_an_idle_exclusion_is_worth_a_warning(project: Project) -> None:
    """On stderr, and the sweep is generated."""
    project.write(
        {"config/rnn.toml": '[hyper]\n"params.lr" = [1]\nexclude = [{ "params.lr" = 2 }]\n[params]\ndropout = 1\n'}
    )
    assert 'hyper.exclude: {"params.lr": 2} matches no point' in project.generate("--dry-run").ok().err


def test_a_misspelt_form_is_refused_unless_a_table_has_such_a_key(project: Project) -> None:
    """Every trial would be given a table where a number was meant."""
    swept = '[hyper]\n"params.lr" = [1]\n"params.dropout" = { unifrom = [1] }\n'
    project.write({"config/rnn.toml": swept})
    refused = project.generate("--dry-run")
    assert refused.status == 2
    assert "hyper.params.dropout: found unifrom, did you mean uniform?" in refused.err
    project.write({"config/rnn.toml": swept + "[params.dropout]\nunifrom = 2\n"})
    assert "unifrom" not in project.generate("--dry-run").ok().err


def test_a_misspelt_table_is_named_where_what_it_holds_is_missed(project: Project) -> None:
    """Tables of the researcher's own are allowed, so that it is no mistake by itself."""
    text = '[search]\nmethod = "random"\nn = 3\n[hypr]\n"params.lr" = { uniform = [0, 1] }\n'
    project.write({"config/rnn.toml": text})
    refused = project.generate("--dry-run")
    assert "found nothing to draw from" in refused.err
    assert refused.err.rstrip().endswith("; found hypr, did you mean hyper?")
