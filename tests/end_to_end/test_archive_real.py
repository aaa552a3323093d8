"""The example is packed, and works where it is unpacked: the same numbers come out, and a flipped byte is named.

Code: /qb/, proof/archive, proof/unpack
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from small_project import Project
from test_real_training import example, numbers

pytestmark = [pytest.mark.allennlp, pytest.mark.timeout(900)]


def test_a_packed_trial_gives_the_same_numbers_elsewhere(tmp_path: Path) -> None:
    """Packed on one path and unpacked on another with a space in it: status, results, run and rerun, bit for bit."""
    project = example(tmp_path / "project")
    overrides = ["params.debug=true", "hyper.params.lr=[0.003]", "hyper.params.dropout=[0.25]"]
    overrides += ["hyper.params.hidden_dim=[16, 32]", "hyper.params.n_hidden_layers=[1]"]
    sets = [word for override in overrides for word in ("--set", override)]
    project.resweep("config/rnn.toml", "rnn_model.jsonnet", "demo", *sets).ok()
    project.resweep("run", "demo#1").ok()
    archive = tmp_path / "demo.tar.gz"
    project.resweep("pack", "demo", "-o", str(archive)).ok()
    project.resweep("verify", str(archive)).ok()

    there = Project.__new__(Project)
    there.root = tmp_path / "an other place"
    project.resweep("unpack", str(archive), str(there.root)).ok()
    (project.root / "qb" / "main.py").write_text("raise SystemExit('the live source was used')\n")
    assert "1 finished, 1 queued" in there.resweep("status", "demo").ok().out
    assert there.resweep("results", "demo").ok().out == project.resweep("results", "demo").ok().out
    there.resweep("run", "demo").ok()
    entry = there.entries("demo")[0]
    capsule = there.paths("demo").capsule(entry.name)
    there.shell(f'bash "{capsule}/rerun.sh" again', RESWEEP_PYTHON=sys.executable).ok()
    assert numbers(there.root / "again" / "output") == numbers(Path(project.paths("demo").place(entry.name).output))

    there.resweep("verify", "demo").ok()
    path = capsule / "qb" / "guessers.py"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"i", b"j", 1))
    result = there.resweep("verify", "demo")
    assert (result.status, result.out.count("\n")) == (1, 1)
    assert "qb/guessers.py: changed; one file that 2 trials (demo#1-2) share" in result.out
