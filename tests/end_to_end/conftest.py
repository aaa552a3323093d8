"""A sweep of the example that AllenNLP has trained: once for all tests, each of which has its own copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import example
import pytest
from small_project import Project

_MADE: list[Path] = []


@pytest.fixture
def trained(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The sweep `demo` of two points with two repeats each: #1 to #3 have finished, #4 was left out of the jobs script.

    Its tests share a worker, by `pytest.mark.xdist_group("example")`, and it is moved: trained at another path.
    """
    if not _MADE:
        _MADE.append(tmp_path_factory.mktemp("example"))
        _train(example.clone(_MADE[0] / "my project"))
        (_MADE[0] / "trained").touch()
    assert (_MADE[0] / "trained").exists(), "the training failed, in the first test that needed it"
    root = tmp_path / "a copy" / "my project"
    shutil.copytree(_MADE[0] / "my project", root, symlinks=True)
    return example.at(root)


def _train(project: Project) -> None:
    """Two epochs of 64 questions for each trial, through the jobs script."""
    template = (project.root / "rnn_model.jsonnet").read_text()
    assert template.count(example.EPOCHS) == 1
    project.write({"rnn_model.jsonnet": template.replace(example.EPOCHS, "num_epochs")})
    sets = example.changes(
        "n_trials=2",
        "params.debug=true",
        "params.num_epochs=2",
        "hyper.params.lr=[0.003]",
        "hyper.params.dropout=[0.25, 0.5]",
        "hyper.params.hidden_dim=[16]",
        "hyper.params.n_hidden_layers=[1]",
    )
    project.resweep("config/rnn.toml", "rnn_model.jsonnet", "demo", *sets).ok()
    script = project.root / "demo-jobs.sh"
    line = f"\n{project.entries('demo')[3].name} "
    assert script.read_text().count(line) == 1
    script.write_text(script.read_text().replace(line, line.replace("\n", "\n# ")))
    done = project.shell("bash demo-jobs.sh --here --jobs 2").ok()
    assert "all 3 trials that were asked for have finished" in done.out, done
