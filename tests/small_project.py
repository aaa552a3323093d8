"""A small project to sweep, and the command line called in it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from made_once import made_once

from resweep import index
from resweep.cli import main
from resweep.layout import SweepPaths

REPOSITORY = Path(__file__).parent.parent

# The build of most small projects: a PEP 517 backend of their own, which takes a fifth of setuptools' time.
PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = """\
import os, zipfile

def build_wheel(directory, *_):
    with zipfile.ZipFile(os.path.join(directory, "qb-0-py3-none-any.whl"), "w") as wheel:
        for folder, _, names in os.walk("qb"):
            for name in names:
                if name.endswith((".py", ".json")):
                    wheel.write(os.path.join(folder, name))
"""
# The build as a person has it, where that is what is tested.
SETUP = """\
from setuptools import find_packages, setup

setup(name="qb", packages=find_packages(include=["qb", "qb.*"]), package_data={"qb": ["*.json"]})
"""
# Training in the smallest: reads the attempt's TOML, writes its output directory, fails where it is told to.
MAIN = """\
import json, os, sys, time, tomllib

with open(sys.argv[2], "rb") as file:
    conf = tomllib.load(file)
with open(conf["allennlp_conf"]) as file:
    filled = json.load(file)
print("trains with", filled)
os.makedirs(conf["serialization_dir"], exist_ok=True)
time.sleep(filled.get("sleep", 0))
if filled.get("fail"):
    raise SystemExit("this trial fails")
with open(os.path.join(conf["serialization_dir"], "metrics.json"), "w") as file:
    json.dump({"best_validation_accuracy": filled["lr"], "seed": filled["seed"]}, file)
"""
TRAIN = """\
#!/usr/bin/env bash
cd "$1"
exec "${RESWEEP_PYTHON:-python}" qb/main.py train "$2"
"""
# a train.sh as the script of 2020 had it: no quotes, the first python on PATH
TRAIN_2020 = "cd $1\npython qb/main.py train $2\n"
TEMPLATE = """\
function(lr, dropout=0.5, sleep=0, fail=false, random_seed=1, numpy_seed=1, pytorch_seed=1)
  { lr: lr, dropout: dropout, sleep: sleep, fail: fail, seed: random_seed }
"""
SWEEP = """\
[hyper]
"params.lr" = [0.1, 0.2]
"params.dropout" = [0.3, 0.4]

[params]
lr = 0.5
"""


@dataclass(frozen=True)
class Result:
    """What a command gave: its exit status, and what it said."""

    status: int
    out: str
    err: str

    def ok(self) -> Result:
        """The same, having checked that it succeeded."""
        assert self.status == 0, self
        return self


class Project:
    """A project in a directory of its own, with a source, a template, a sweep and a train.sh."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write(
            {
                "pyproject.toml": PYPROJECT,
                "backend.py": BACKEND,
                "qb/__init__.py": "",
                "qb/main.py": MAIN,
                "train.sh": TRAIN,
                "base.jsonnet": TEMPLATE,
                "config/rnn.toml": SWEEP,
            }
        )

    def write(self, files: dict[str, str]) -> Project:
        """Write each file's text."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return self

    def with_setup_py(self) -> Project:
        """The same project, built by setuptools."""
        for name in ("pyproject.toml", "backend.py"):
            (self.root / name).unlink()
        return self.write({"setup.py": SETUP})

    def resweep(self, *arguments: str) -> Result:
        """Call the command line here, in this process: importing scikit-learn once is enough for all tests."""
        out, err = io.StringIO(), io.StringIO()
        status: Any = 0
        with contextlib.chdir(self.root), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(list(arguments))
            except SystemExit as exit_:
                status = exit_.code or 0
        return Result(int(status), out.getvalue(), err.getvalue())

    def generate(self, *options: str, name: str = "rnn") -> Result:
        """`resweep config/rnn.toml base.jsonnet NAME` with options."""
        return self.resweep("config/rnn.toml", "base.jsonnet", name, *options)

    def begin(self, *words: str) -> None:
        """Let the command line do what the test begins with: once in a session for the same files and words."""
        made_once(self.root, words, lambda: self.resweep(*words).ok())

    def shell(self, command: str, **environment: str) -> Result:
        """Run a command of bash in the project."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.root,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def paths(self, name: str = "rnn") -> SweepPaths:
        """Where the files of a sweep are."""
        return SweepPaths(self.root, name)

    def entries(self, name: str = "rnn") -> list[index.Entry]:
        """The current trials of a sweep."""
        return index.read(self.paths(name)).current()

    def capsules(self, name: str = "rnn") -> list[Path]:
        """Every capsule on disk, whether or not the sweep lists it."""
        return sorted(path.parent for path in self.paths(name).directory.glob("*/*/manifest.json"))

    def tree(self, below: str = ".") -> dict[str, bytes]:
        """Every file below a directory with its bytes: what must not change when nothing is written."""
        root = self.root / below
        return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}

    def record(self, entry: index.Entry, number: int = 1, name: str = "rnn") -> dict[str, Any]:
        """The record of one attempt of a trial."""
        record: dict[str, Any] = json.loads(
            Path(self.paths(name).place(entry.name).attempt(number), "record.json").read_text()
        )
        return record


def interpreter(home: Path, version: str) -> str:
    """A Python with everything that is installed here, and one small package in this version."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    site = home / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    # a path file inside a directory that a path file names is not followed
    (site / "here.pth").write_text("".join(f"{entry}\n" for entry in sys.path if "site-packages" in entry))
    (site / "tiny_pack.py").write_text(f"version = {version!r}\n")
    (site / f"tiny_pack-{version}.dist-info").mkdir()
    (site / f"tiny_pack-{version}.dist-info" / "METADATA").write_text(f"Name: tiny-pack\nVersion: {version}\n")
    return str(home / "bin" / "python")
