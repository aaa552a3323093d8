"""The command that trains and evaluates: `python qb/main.py`, run in processes of its own.

Code: /qb/main.py, /train.sh
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import _jsonnet
import pytest

pytestmark = pytest.mark.allennlp

POINT = {"lr": "0.003", "dropout": "0.25", "hidden_dim": "32", "n_hidden_layers": "1"}


@pytest.fixture
def capsule(root: Path, tmp_path: Path) -> Path:
    """A directory as the tool makes one for a trial, with a copy of qb and a short run's configuration."""
    made = tmp_path / "capsule"
    made.mkdir()
    shutil.copytree(root / "qb", made / "qb", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "train.sh", made)
    configure(made, root / "rnn_model.jsonnet", debug="true")
    return made


def configure(capsule: Path, template: Path, **more: str) -> None:
    """Fill the template into trial.json, and write trial.toml beside it."""
    (capsule / "trial.json").write_text(_jsonnet.evaluate_file(str(template), tla_codes=POINT | more))
    (capsule / "trial.toml").write_text(
        'generated_id = "abc"\nname = "demo"\ntrial = 0\nconf_dir = "."\nconf_path = "trial.toml"\n'
        'allennlp_conf = "trial.json"\nserialization_dir = "../model"\n'
    )


def train(capsule: Path, conf: str = "trial.toml") -> "subprocess.CompletedProcess[str]":
    """Run the capsule's train.sh from another directory."""
    return subprocess.run(
        ["bash", str(capsule / "train.sh"), str(capsule), conf],
        cwd="/",
        env=os.environ | {"OMP_NUM_THREADS": "1", "RESWEEP_PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )


def metrics(capsule: Path) -> dict[str, Any]:
    """What training reported."""
    return json.loads((capsule.parent / "model" / "metrics.json").read_text())


def test_a_trained_model_beats_the_baselines(capsule: Path, root: Path, baseline: Any, run_main: Any) -> None:
    """Ten times the majority class, ten points above the nearest neighbour, on guessdev and then on guesstest."""
    configure(capsule, root / "rnn_model.jsonnet", num_epochs="8")
    done = train(capsule)
    assert done.returncode == 0, done.stderr
    accuracy = metrics(capsule)["best_validation_accuracy"]
    assert accuracy > 10 * baseline.majority
    assert accuracy > baseline.nearest + 0.1

    output = capsule.parent / "test.json"
    done = run_main("evaluate", capsule / "trial.toml", "--output", output, main=capsule / "qb" / "main.py")
    assert done.returncode == 0, done.stderr
    scored = json.loads(done.stdout)
    assert scored == json.loads(output.read_text())
    assert (scored["fold"], scored["questions"]) == ("guesstest", 184)
    assert scored["accuracy"] > baseline.nearest + 0.1

    done = run_main("evaluate", capsule / "trial.toml", "--fold", "guessdev", main=capsule / "qb" / "main.py")
    assert json.loads(done.stdout)["accuracy"] == pytest.approx(accuracy)


def test_training_twice_gives_the_same_weights_bit_for_bit(capsule: Path) -> None:
    """And a third time from another directory, and the capsule is left as it was."""
    before = sorted(path for path in capsule.rglob("*"))
    assert train(capsule).returncode == 0
    first = (capsule.parent / "model" / "best.th").read_bytes()
    shutil.rmtree(capsule.parent / "model")
    moved = capsule.parent / "deeper" / "capsule"
    moved.parent.mkdir()
    assert sorted(path for path in capsule.rglob("*")) == before
    capsule.rename(moved)
    assert train(moved).returncode == 0
    assert (moved.parent / "model" / "best.th").read_bytes() == first


def test_a_log_holds_no_progress_bars(capsule: Path) -> None:
    """No carriage returns, and no noise from packages that nothing here uses."""
    done = train(capsule)
    assert done.returncode == 0
    assert "\r" not in done.stdout + done.stderr
    assert "torchvision" not in done.stderr


def test_a_directory_that_holds_a_model_is_refused(capsule: Path) -> None:
    """In one line; what is in it stays."""
    model = capsule.parent / "model"
    model.mkdir()
    (model / "best.th").write_text("precious")
    done = train(capsule)
    assert done.returncode == 2
    assert "already exists" in done.stderr
    assert [path.name for path in model.iterdir()] == ["best.th"]


def test_an_unknown_fold_is_told_in_one_line(capsule: Path) -> None:
    """The reader's error, from within training."""
    configuration = json.loads((capsule / "trial.json").read_text())
    configuration["validation_dataset_reader"]["folds"] = ["guessdve"]
    (capsule / "trial.json").write_text(json.dumps(configuration))
    done = train(capsule)
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
