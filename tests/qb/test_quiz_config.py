"""The files beside the code: config/*.toml, the templates, setup.py and the lists of packages.

Code: /config/, /rnn_model.jsonnet, /dan_model.jsonnet, /setup.py, /requirements.lock, /environment.yml
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from math import prod
from pathlib import Path

import _jsonnet
import pytest

TEMPLATES = {"rnn.toml": "rnn_model.jsonnet", "dan.toml": "dan_model.jsonnet", "demo.toml": "rnn_model.jsonnet"}
SIZES = {"rnn.toml": 72, "dan.toml": 16, "demo.toml": 4}


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_sweep_has_the_points_that_its_comment_promises(name: str, root: Path) -> None:
    """The number of combinations in [hyper]."""
    sweep = tomllib.loads((root / "config" / name).read_text("utf-8"))
    assert prod(len(values) for values in sweep["hyper"].values()) == SIZES[name]
    assert sweep["results"] == {"metric": "best_validation_accuracy", "mode": "max"}


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_template_takes_every_parameter_of_the_sweep(name: str, root: Path) -> None:
    """The first and the last value of each axis over [params] fill the template."""
    sweep = tomllib.loads((root / "config" / name).read_text("utf-8"))
    for end in (0, -1):
        params = sweep["params"] | {key.removeprefix("params."): v[end] for key, v in sweep["hyper"].items()}
        codes = {key: json.dumps(value) for key, value in params.items()}
        filled = json.loads(_jsonnet.evaluate_file(str(root / TEMPLATES[name]), tla_codes=codes))
        assert filled["trainer"]["optimizer"]["lr"] == params["lr"]
        assert filled["trainer"]["num_epochs"] == params["num_epochs"]


@pytest.mark.slow
def test_the_snapshot_holds_qb_with_its_data_and_nothing_else(root: Path, tmp_path: Path) -> None:
    """Built as the tool builds it, which leaves nothing behind in the source tree."""

    def leftovers() -> list[Path]:
        return sorted([*root.glob("build/*"), *root.glob("**/*.egg-info/*")])

    before = leftovers()
    build = ["egg_info", "--egg-base", str(tmp_path), "build", "--build-base", str(tmp_path / "b")]
    subprocess.run(
        [sys.executable, "-B", "setup.py", *build, "--build-lib", str(tmp_path / "lib")],
        cwd=root,
        check=True,
        capture_output=True,
    )
    built = {str(path.relative_to(tmp_path / "lib")) for path in (tmp_path / "lib").rglob("*") if path.is_file()}
    source = {str(path.relative_to(root)) for path in (root / "qb").rglob("*.*") if "__pycache__" not in path.parts}
    assert built == {name for name in source if not os.path.isdir(root / name)}
    assert "qb/data/quiz.json" in built
    assert leftovers() == before


def test_no_module_of_qb_hides_one_of_pythons_own(root: Path) -> None:
    """`python qb/main.py` has qb/ on sys.path while its first imports run."""
    assert {path.stem for path in (root / "qb").glob("*.py")}.isdisjoint(sys.stdlib_module_names)


def test_every_package_is_pinned_exactly(root: Path) -> None:
    """requirements.lock is installed without dependencies, so it must say it all."""
    lines = (root / "requirements.lock").read_text("utf-8").splitlines()
    packages = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9.]+", line) for line in packages)
    assert {"allennlp==2.10.1", "torch==2.13.0"} <= set(packages)
