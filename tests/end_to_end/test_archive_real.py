"""The example is packed, and works where it is unpacked: the same weights come out, and a flipped byte is named.

Code: /qb/, proof/archive/write, proof/archive/unpack
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import example
import pytest
from example import numbers
from small_project import Project

pytestmark = [pytest.mark.allennlp, pytest.mark.xdist_group("example"), pytest.mark.timeout(900)]


def test_a_packed_sweep_gives_the_same_weights_elsewhere(trained: Project, tmp_path: Path) -> None:
    """Packed on one path and unpacked on another with a space in it: status, results, run and rerun, bit for bit.

    A capsule that runs again in its place writes into a fresh directory where it is started, and nowhere else.
    """
    archive = tmp_path / "demo.tar.gz"
    trained.resweep("pack", "demo", "--outputs", "all", "-o", str(archive)).ok()
    trained.resweep("verify", str(archive)).ok()

    there = example.at(tmp_path / "an other place")
    trained.resweep("unpack", str(archive), str(there.root)).ok()
    (trained.root / "qb" / "main.py").write_text("raise SystemExit('the live source was used')\n")
    assert "3 finished, 1 queued" in there.resweep("status", "demo").ok().out
    assert there.resweep("results", "demo").ok().out == trained.resweep("results", "demo").ok().out
    there.resweep("run", "demo").ok()
    assert there.record(there.entries("demo")[3], name="demo")["state"] == "finished"

    entry = there.entries("demo")[0]
    capsule = there.paths("demo").capsule(entry.name)
    before = there.tree()
    (tmp_path / "cwd").mkdir()
    done = subprocess.run(
        ["bash", capsule / "rerun.sh"], cwd=tmp_path / "cwd", capture_output=True, text=True, check=False,
        env={**os.environ, "RESWEEP_PYTHON": sys.executable},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert there.tree() == before
    again = tmp_path / "cwd" / f"rerun-{entry.id}-0-1" / "output"
    first = Path(trained.paths("demo").place(entry.name).output)
    assert (again / "best.th").read_bytes() == (first / "best.th").read_bytes()
    assert numbers(again) == numbers(first)

    there.resweep("verify", "demo").ok()
    path = capsule / "qb" / "guessers.py"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"i", b"j", 1))
    result = there.resweep("verify", "demo")
    assert (result.status, result.out.count("\n")) == (1, 1)
    assert "qb/guessers.py: changed; one file that 4 trials (demo#1-4) share" in result.out
