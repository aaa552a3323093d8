"""A trial becomes a sweep of its own: its configuration, its template, and the source that was asked for.

Code: generation/promote, cli/promote, sweep/override
"""

from __future__ import annotations

import tomllib

import pytest
from running import lines, repeated
from small_project import MAIN, SWEEP, TEMPLATE, Project

from resweep.sweep import definition

TOOLS = """
[results]
metric = "best_validation_accuracy"
pattern = 'trains with (?P<a>\\d+)'

[run]
gpus = 0
"""


@pytest.fixture
def ready(project: Project) -> Project:
    """A generated sweep with settings of its own."""
    project.write({"config/rnn.toml": "seed = 7\nn_trials = 2\n" + SWEEP + TOOLS})
    project.begin("config/rnn.toml", "base.jsonnet", "rnn", "--no-slurm-job", "--set", "results.mode=min")
    return project


def test_the_definition_is_the_trial_s(ready: Project) -> None:
    """config/NEW.toml has the trial's values, the sweep's settings with their overrides, and no grid."""
    chosen = ready.entries()[2]
    said = ready.resweep("promote", "rnn#3", "--set", "n_trials=3", "--set", "params.lr=0.25", "--as", "full").ok()
    text = (ready.root / "config/full.toml").read_text()
    assert text.startswith(f"# Promoted from rnn#3, rnn/{chosen.name}.\n# with n_trials=3\n")
    table = tomllib.loads(text)
    assert table == {
        "seed": 7,
        "n_trials": 3,
        "params": {"lr": 0.25, "dropout": chosen.swept["params.dropout"]},
        "results": {"metric": "best_validation_accuracy", "mode": "min", "pattern": "trains with (?P<a>\\d+)"},
        "run": {"gpus": 0},
    }
    assert [entry.trial for entry in ready.entries("full")] == [0, 1, 2]
    assert "bash full-jobs.sh" in said.out
    assert definition.load(ready.root / "config/full.toml").n_trials == 3


@pytest.mark.slow
def test_an_unchanged_promotion_is_the_same_trial(ready: Project) -> None:
    """Without changes the id is the same; since the seed was chosen by, that is said. Again writes nothing."""
    first = ready.resweep("promote", "rnn#1", "--as", "same").ok()
    assert ready.entries("same")[0].id == ready.entries()[0].id
    assert "flatters" in first.err
    before = ready.tree()
    assert "nothing to write" in ready.resweep("promote", "rnn#1", "--as", "same").ok().out
    assert ready.tree() == before
    assert "flatters" not in ready.resweep("promote", "rnn#1", "--as", "new", "--set", "seed=1000").ok().err


@pytest.mark.slow
def test_the_source_is_the_one_that_was_asked_for(ready: Project) -> None:
    """By default the source is the project's, and the difference is named; --frozen-source takes the trial's."""
    ready.write({"qb/main.py": MAIN + "# edited\n", "qb/new.py": "", "train.sh": "exit 1\n"})
    now = ready.resweep("promote", "rnn#1", "--as", "now").ok()
    assert "qb/main.py, qb/new.py, train.sh differ" in now.err
    frozen = ready.resweep("promote", "rnn#1", "--as", "frozen", "--frozen-source").ok()
    assert "differ" not in frozen.err
    assert ready.entries("frozen")[0].digest == ready.entries()[0].digest
    assert ready.entries("now")[0].digest != ready.entries()[0].digest
    (capsule,) = ready.capsules("frozen")
    assert (capsule / "qb" / "main.py").read_text() == MAIN
    ready.resweep("run", "frozen").ok()


@pytest.mark.slow
def test_the_template_is_the_one_that_was_frozen(ready: Project) -> None:
    """A template that was edited since is not taken; one that was not is named as the project's own."""
    assert "base.jsonnet same" in ready.resweep("promote", "rnn#1", "--as", "same").ok().out
    ready.write({"base.jsonnet": TEMPLATE.replace("lr: lr", "lr: 2 * lr")})
    said = ready.resweep("promote", "rnn#1", "--as", "old").ok().out
    assert "config/generated/rnn/generations/1/base/base.jsonnet old" in said
    assert ready.entries("old")[0].digest == ready.entries()[0].digest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rnn#1", "--as", "rnn"], "another definition"),
        (["rnn#1", "--as", "other"], "a sweep of this name exists"),
        (["rnn#1", "--as", "a/b"], "NAME"),
        (["rnn#1", "--as", "x", "--set", "params.nope=1"], "nope"),
        (["rnn#1", "--as", "x", "--set", "nope=1"], "names nothing"),
        (["rnn", "--as", "x"], "expected one"),
        (["--as", "x"], "--best NAME"),
        (["rnn#1", "--best", "rnn", "--as", "x"], "only one"),
        (["--best", "rnn", "--as", "x"], "no trial has finished"),
    ],
)
def test_what_cannot_be_is_one_line_and_writes_nothing(ready: Project, arguments: list[str], says: str) -> None:
    """A name that is taken, a key that nobody takes, no trial or many: one line, status 2, no file."""
    ready.generate("--no-slurm-job", name="other").ok()
    before = ready.tree()
    result = ready.resweep("promote", *arguments)
    assert result.status == 2
    assert says in result.err
    assert ready.tree() == before


@pytest.mark.slow
def test_a_capsule_that_was_changed_is_not_taken_as_source(ready: Project) -> None:
    """--frozen-source checks what it takes against the manifest."""
    path = ready.paths().capsule(ready.entries()[0].name) / "qb" / "main.py"
    path.unlink()
    path.write_text("print('evil')\n")
    result = ready.resweep("promote", "rnn#1", "--as", "x", "--frozen-source")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "main.py" in result.err
    assert not (ready.root / "config/x.toml").exists()
    assert lines(ready) == []


@pytest.mark.slow
def test_the_best_by_another_metric_can_be_asked_for(project: Project) -> None:
    """For every command that takes --best, with the direction that its name suggests, or that is given."""
    train = 'mkdir -p "$out"; echo "{\\"acc\\": 0.$n, \\"loss\\": 0.$n}" > "$out/metrics.json"\n'
    repeated(project, 3, train, '[results]\nmetric = "acc"\n')
    project.resweep("run", "rnn").ok()
    for metric, number in (("loss", 1), ("loss:max", 3), ("acc:min", 1)):
        said = project.resweep("promote", "--best", "rnn", "--metric", metric, "--as", f"new-{number}").ok()
        assert f"promoted from rnn#{number}" in said.out
        done = project.resweep("exec", "--best", "rnn", "--metric", metric, "--", "true").ok()
        assert f"#{number} " in done.err
    assert "promoted from rnn#3" in project.resweep("promote", "--best", "rnn", "--as", "own").ok().out
    refused = project.resweep("promote", "--best", "rnn", "--metric", "los", "--as", "none")
    assert refused.err == (
        "resweep: --metric los: no finished trial reports los; found acc, loss; did you mean loss?\n"
    )
    assert "found no --best NAME" in project.resweep("reproduce", "rnn#1", "--metric", "loss").err
