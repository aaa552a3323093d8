"""The card's own sweep: 72 capsules, the same wherever they are generated, by the commands of the README.

Code: /config/, /rnn_model.jsonnet, /hyper.py, generation/make
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import example
import pytest
from small_project import Project

CARD = ("config/rnn.toml", "rnn_model.jsonnet", "rnn")


@pytest.fixture
def card(tmp_path: Path) -> Project:
    """A clone of the example at a path with a space."""
    return example.clone(tmp_path / "first clone")


def ids(project: Project) -> list[str]:
    """Every trial's id and repeat, in order."""
    return [str(entry.name) for entry in project.entries()]


@pytest.mark.slow
def test_the_commands_of_the_card_write_72_capsules_and_then_nothing(card: Project) -> None:
    """`python hyper.py config/rnn.toml rnn_model.jsonnet rnn` twice: 72 trials, then not one byte."""
    command = [sys.executable, "hyper.py", *CARD]
    first = subprocess.run(command, cwd=card.root, capture_output=True, text=True, check=True)
    assert "72 new trials" in first.stdout
    assert len(card.capsules()) == 72
    before = {path: path.stat().st_mtime_ns for path in (card.root / "config").rglob("*")}
    second = subprocess.run(command, cwd=card.root, capture_output=True, text=True, check=True)
    assert "nothing to write" in second.stdout
    assert before == {path: path.stat().st_mtime_ns for path in (card.root / "config").rglob("*")}


@pytest.mark.slow
def test_a_value_added_to_the_grid_writes_only_its_own_trials(card: Project) -> None:
    """A fourth learning rate adds 24 trials, and the 72 stay."""
    card.resweep(*CARD).ok()
    before = ids(card)
    toml = card.root / "config" / "rnn.toml"
    toml.write_text(toml.read_text().replace("[0.0003, 0.001, 0.003]", "[0.0003, 0.001, 0.003, 0.01]"))
    assert "24 new trials, 72 kept, 0 orphaned" in card.resweep(*CARD).ok().out
    assert ids(card)[:72] == before


@pytest.mark.slow
def test_another_clone_at_another_path_gives_the_same_bytes(card: Project, tmp_path: Path) -> None:
    """Ids and every file of every capsule are equal between two clones; provenance aside."""
    other = example.clone(tmp_path / "elsewhere" / "second clone")
    trees = []
    for project in (card, other):
        project.resweep(*CARD).ok()
        tree = project.tree("config/generated/rnn")
        trees.append({k: v for k, v in tree.items() if k[0] not in "." and "provenance" not in k and "/" in k})
    assert ids(card) == ids(other)
    assert trees[0] == trees[1]


@pytest.mark.slow
def test_generated_capsules_may_lie_behind_a_symbolic_link(card: Project, tmp_path: Path) -> None:
    """With config/generated a link to another disk's directory, everything is written there and runs from here."""
    (tmp_path / "scratch").mkdir()
    (card.root / "config" / "generated").symlink_to(tmp_path / "scratch")
    card.resweep(*CARD).ok()
    assert len(list((tmp_path / "scratch" / "rnn").glob("*/*/manifest.json"))) == 72
    capsule = card.capsules()[0]
    train = 'echo "$1 $2" >&2; exit 3\n'
    card.write({"train.sh": train})
    card.resweep(*CARD, "--set", "hyper.params.lr=[0.5]").ok()
    done = card.resweep("run", f"rnn#{card.entries()[0].number}")
    assert done.status == 1
    assert capsule.is_dir()
    log = next((card.root / "model").rglob("log.txt")).read_text()
    assert str(card.root / "config" / "generated") in log, "the project's own path, not the link's target"


@pytest.mark.slow
def test_what_is_installed_is_the_tool_and_what_is_frozen_is_the_example(card: Project, tmp_path: Path) -> None:
    """Wheel and sdist hold resweep and not qb; the snapshot holds qb and not resweep."""
    from small_project import REPOSITORY

    clone = tmp_path / "clone"
    shutil.copytree(
        REPOSITORY, clone,
        ignore=shutil.ignore_patterns(".venv", ".git", "__pycache__", "generated", "*.egg-info", ".*_cache"),
    )  # fmt: skip
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(clone)]
    subprocess.run(command, check=True, capture_output=True)
    names: dict[str, set[str]] = {}
    for archive in (tmp_path / "dist").iterdir():
        shutil.unpack_archive(archive, tmp_path / archive.name, "zip" if archive.suffix == ".whl" else "gztar")
        files = list((tmp_path / archive.name).rglob("*.py"))
        names[archive.suffix] = {p.parent.name for p in files}
        assert any(p.name == "attempt.py" for p in files)
    assert names.keys() == {".whl", ".gz"}
    assert all("qb" not in found for found in names.values()), names
    card.resweep(*CARD).ok()
    capsule = card.capsules()[0]
    assert (capsule / "qb" / "main.py").is_file()
    assert (capsule / "qb" / "data" / "quiz.json").is_file()
    assert not list(capsule.rglob("*resweep*"))
    assert {path.name for path in capsule.iterdir() if path.is_dir()} == {"qb"}
