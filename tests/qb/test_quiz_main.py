"""The command that trains and evaluates: `python qb/main.py`, run in processes of its own.

What needs AllenNLP is forked from a process that has imported it (`fork_main`), but for one training.

Code: /qb/main.py, /train.sh
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _jsonnet
import pytest
from warm import training_environment

# one worker has the process that is forked
pytestmark = [pytest.mark.allennlp, pytest.mark.xdist_group("quiz")]

POINT = {"lr": "0.01", "dropout": "0.25", "hidden_dim": "32", "n_hidden_layers": "1"}


def make_capsule(made: Path, root: Path) -> Path:
    """A directory as the tool makes one for a trial, with a copy of qb and a short run's configuration."""
    made.mkdir()
    shutil.copytree(root / "qb", made / "qb", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "train.sh", made)
    configure(made, root / "rnn_model.jsonnet", debug="true")
    return made


@pytest.fixture
def capsule(root: Path, tmp_path: Path) -> Path:
    """A capsule of the test's own."""
    return make_capsule(tmp_path / "capsule", root)


@dataclass(frozen=True)
class Fresh:
    """A training in a process of its own: the capsule, its files before, and how the training ended."""

    capsule: Path
    before: list[Path]
    done: "subprocess.CompletedProcess[bytes]"


@pytest.fixture(scope="session")
def fresh(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    """A capsule trained by its train.sh, started in another directory: the only training here that is not forked."""
    capsule = make_capsule(tmp_path_factory.mktemp("fresh") / "capsule", root)
    before = sorted(capsule.rglob("*"))
    done = subprocess.run(
        ["bash", str(capsule / "train.sh"), str(capsule), "trial.toml"],
        cwd="/",
        env=training_environment(RESWEEP_PYTHON=sys.executable),
        capture_output=True,
    )
    return Fresh(capsule, before, done)


def configure(capsule: Path, template: Path, **more: str) -> None:
    """Fill the template into trial.json, and write trial.toml beside it."""
    (capsule / "trial.json").write_text(_jsonnet.evaluate_file(str(template), tla_codes=POINT | more))
    (capsule / "trial.toml").write_text(
        'generated_id = "abc"\nname = "demo"\ntrial = 0\nconf_dir = "."\nconf_path = "trial.toml"\n'
        'allennlp_conf = "trial.json"\nserialization_dir = "../model"\n'
    )


def train(capsule: Path, fork_main: Any) -> "subprocess.CompletedProcess[str]":
    """What the capsule's train.sh runs, forked from a process that has imported AllenNLP."""
    done: subprocess.CompletedProcess[str] = fork_main(
        "train", "trial.toml", main=capsule / "qb" / "main.py", cwd=capsule
    )
    return done


def metrics(capsule: Path) -> dict[str, Any]:
    """What training reported."""
    return json.loads((capsule.parent / "model" / "metrics.json").read_text())


def test_a_trained_model_beats_the_baselines(capsule: Path, root: Path, baseline: Any, fork_main: Any) -> None:
    """Ten times the majority class, ten points above the nearest neighbour, on guessdev and then on guesstest."""
    configure(capsule, root / "rnn_model.jsonnet", num_epochs="4")
    done = train(capsule, fork_main)
    assert done.returncode == 0, done.stderr
    accuracy = metrics(capsule)["best_validation_accuracy"]
    assert accuracy > 10 * baseline.majority
    assert accuracy > baseline.nearest + 0.1

    output = capsule.parent / "test.json"
    done = fork_main("evaluate", capsule / "trial.toml", "--output", output, main=capsule / "qb" / "main.py")
    assert done.returncode == 0, done.stderr
    scored = json.loads(done.stdout)
    assert scored == json.loads(output.read_text())
    assert (scored["fold"], scored["questions"]) == ("guesstest", 184)
    assert scored["accuracy"] > baseline.nearest + 0.1

    done = fork_main("evaluate", capsule / "trial.toml", "--fold", "guessdev", main=capsule / "qb" / "main.py")
    assert json.loads(done.stdout)["accuracy"] == pytest.approx(accuracy)


def test_training_twice_gives_the_same_weights_bit_for_bit(fresh: Fresh, tmp_path: Path, fork_main: Any) -> None:
    """In a process of its own and forked, from one directory and from another; the capsule is left as it was."""
    assert fresh.done.returncode == 0, fresh.done.stderr
    assert sorted(fresh.capsule.rglob("*")) == fresh.before
    moved = tmp_path / "deeper" / "capsule"
    shutil.copytree(fresh.capsule, moved)
    assert train(moved, fork_main).returncode == 0
    weights = [capsule.parent / "model" / "best.th" for capsule in (fresh.capsule, moved)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_log_holds_no_progress_bars(fresh: Fresh) -> None:
    """No carriage returns, and no noise from packages that nothing here uses."""
    assert fresh.done.returncode == 0
    assert b"\r" not in fresh.done.stdout + fresh.done.stderr
    assert b"torchvision" not in fresh.done.stderr


def test_a_directory_that_holds_a_model_is_refused(capsule: Path, fork_main: Any) -> None:
    """In one line; what is in it stays."""
    model = capsule.parent / "model"
    model.mkdir()
    (model / "best.th").write_text("precious")
    done = train(capsule, fork_main)
    assert done.returncode == 2
    assert "already exists" in done.stderr
    assert [path.name for path in model.iterdir()] == ["best.th"]


def test_an_unknown_fold_is_told_in_one_line(capsule: Path, fork_main: Any) -> None:
    """The reader's error, from within training."""
    configuration = json.loads((capsule / "trial.json").read_text())
    configuration["validation_dataset_reader"]["folds"] = ["guessdve"]
    (capsule / "trial.json").write_text(json.dumps(configuration))
    done = train(capsule, fork_main)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "no usable question in fold guessdve" in done.stderr.splitlines()[-1]


def test_main_imports_the_qb_beside_it(capsule: Path, run_main: Any, tmp_path: Path) -> None:
    """Not one that PYTHONPATH offers first, and from whatever directory it is run."""
    decoy = tmp_path / "installed" / "qb"
    decoy.mkdir(parents=True)
    (decoy / "__init__.py").write_text("raise SystemExit('imported an installed qb')")
    (capsule / "qb" / "guessers.py").write_text("import qb, sys\nsys.exit(f'own: {qb.__file__} {sys.path}')")
    done = run_main(
        "train", capsule / "trial.toml", main=capsule / "qb" / "main.py", cwd=tmp_path, PYTHONPATH=str(decoy.parent)
    )
    assert done.stderr.startswith(f"own: {capsule / 'qb' / '__init__.py'}")
    assert repr(str(capsule / "qb")) not in done.stderr
    assert not list(capsule.rglob("__pycache__"))


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (None, "cannot read"),
        ("allennlp_conf = ", "is not TOML"),
        ('allennlp_conf = "trial.json"', "serialization_dir must be a path, found nothing"),
        ('allennlp_conf = 3\nserialization_dir = "m"', "allennlp_conf must be a path, found 3"),
        ('allennlp_conf = "no.json"\nserialization_dir = "m"', "no.json (allennlp_conf in"),
        ('allennlp_conf = "trial.toml"\nserialization_dir = "m"', "is not JSON"),
    ],
)
def test_a_mistake_in_the_configuration_is_told_in_one_line(
    toml: str | None, message: str, tmp_path: Path, run_main: Any
) -> None:
    """On stderr, with exit status 2 and without a traceback."""
    if toml is not None:
        (tmp_path / "trial.toml").write_text(toml)
    done = run_main("train", tmp_path / "trial.toml")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr


def test_evaluating_before_training_is_told_in_one_line(capsule: Path, run_main: Any) -> None:
    """It names the file that training would have written."""
    done = run_main("evaluate", capsule / "trial.toml")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "no checkpoint" in done.stderr
    assert "best.th" in done.stderr
