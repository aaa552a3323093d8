"""The example for real: AllenNLP trains, the source changes, the capsule moves, and the same weights come out.

Code: /qb/, /train.sh, launcher/attempt, generation/job_script, launcher/import_audit, generation/provenance
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from example import numbers
from small_project import Project

from resweep.generation import provenance

pytestmark = [pytest.mark.allennlp, pytest.mark.xdist_group("example"), pytest.mark.timeout(900)]


def without_the_tool(home: Path) -> Path:
    """A Python that has everything installed here but resweep."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    # a path file inside a directory that a path file names is not followed: that leaves the editable install out
    (home / "lib" / version / "site-packages" / "here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = home / "bin" / "python"
    absent = subprocess.run([python, "-c", "import resweep"], cwd=home, capture_output=True, check=False)
    assert b"No module named 'resweep'" in absent.stderr
    return python


def test_two_trials_of_a_point_train_with_their_own_seeds(trained: Project) -> None:
    """Both write their own output and nothing else into it, and their weights differ."""
    weights = []
    for entry in trained.entries("demo")[:2]:
        place = trained.paths("demo").place(entry.name)
        assert trained.record(entry, name="demo")["state"] == "finished"
        assert "best_validation_accuracy" in Path(place.attempt(1), "log.txt").read_text()
        found = {path.name for path in Path(place.output).iterdir()}
        assert {"best.th", "metrics.json", "vocabulary"} <= found
        assert not found & {"log.txt", "record.json"}
        weights.append(Path(place.output, "best.th").read_bytes())
        filled = json.loads((Path(place.capsule) / f"{entry.id}.json").read_text())
        assert filled["pytorch_seed"] == filled["random_seed"] == filled["numpy_seed"] == entry.trial
    assert len({entry.id for entry in trained.entries("demo")[:2]}) == 1
    assert len(weights) == 2
    assert weights[0] != weights[1]


def test_the_normal_run_is_not_leaked(trained: Project) -> None:
    """The capsule's own modules, from the capsule; the packages are those of the generation."""
    for entry in trained.entries("demo")[:3]:
        assert trained.record(entry, name="demo")["leaked"] == []
        ran = provenance.of_attempt(Path(trained.paths("demo").place(entry.name).attempt(1)))
        assert ran["drift"] == []
        assert ran["libraries"]["torch"]
    assert "leaked" not in trained.resweep("status", "demo").ok().out


def test_a_moved_capsule_gives_the_same_weights_without_the_tool_and_without_the_project(
    trained: Project, tmp_path: Path
) -> None:
    """With the live qb/ broken, the project gone and resweep not installed, a re-run repeats the first bit for bit."""
    entry = trained.entries("demo")[1]
    first = tmp_path / "first output"
    shutil.copytree(trained.paths("demo").place(entry.name).output, first)
    capsule = tmp_path / "archive" / "some trial"
    shutil.copytree(trained.paths("demo").capsule(entry.name), capsule)
    (trained.root / "qb" / "guessers.py").write_text("raise SystemExit('the live source was used')\n")
    trained.root.rename(trained.root.with_name("moved away"))
    done = subprocess.run(
        ["bash", capsule / "rerun.sh", tmp_path / "again"],
        env={
            "PATH": "/usr/bin:/bin",
            "RESWEEP_PYTHON": str(without_the_tool(tmp_path / "venv")),
            "HOME": str(tmp_path),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    again = tmp_path / "again" / "output"
    assert (again / "best.th").read_bytes() == (first / "best.th").read_bytes()
    assert numbers(again) == numbers(first)


# what `evaluate` takes from its TOML, without the import of AllenNLP; test_exec_real.py has the scores
LOAD = """\
import json, pathlib, sys, qb.main
trial = qb.main.Trial.load(pathlib.Path(sys.argv[1]))
print(json.dumps([str(trial.serialization_dir / "best.th"), trial.parameters()]))
"""


def test_a_capsule_s_own_configuration_leads_to_the_trained_weights(trained: Project) -> None:
    """`qb/main.py evaluate` with the capsule's TOML, whose paths are relative, finds its parameters and weights."""
    for entry in trained.entries("demo")[:3]:
        capsule = trained.paths("demo").capsule(entry.name)
        done = subprocess.run(
            [sys.executable, "-c", LOAD, f"{entry.id}.toml"],
            cwd=capsule, capture_output=True, text=True, check=True,
        )  # fmt: skip
        weights, parameters = json.loads(done.stdout)
        assert os.path.samefile(weights, Path(trained.paths("demo").place(entry.name).output, "best.th"))
        assert parameters == json.loads((capsule / f"{entry.id}.json").read_text())
