"""The example's own training, audited: what ran from elsewhere is named. test_real_training.py has a normal run.

Code: /qb/, launcher/import_audit, launcher/fingerprints
"""

from __future__ import annotations

import os
import shutil
import sys

import example
import pytest
from small_project import Project

pytestmark = [pytest.mark.allennlp, pytest.mark.timeout(900)]

ONE = ("debug=true", "hidden_dim=16", "n_hidden_layers=1", "dropout=0.25", "lr=0.003")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The example, with data of its own to check."""
    project = example.clone(tmp_path_factory.mktemp("proof") / "a clone")
    (project.root / "data").mkdir()
    shutil.copy(project.root / "qb/data/quiz.json", project.root / "data/quiz.json")
    config = '[data]\nfiles = ["data/*.json"]\n[params]\n' + "\n".join(f"{each}" for each in ONE) + "\n"
    (project.root / "config" / "one.toml").write_text(config)
    return project


def trained(project: Project, name: str, train: str) -> tuple[list[str] | None, str]:
    """Generate and run one trial with this train.sh: what leaked, and what `status` says."""
    (project.root / "train.sh").write_text(train)
    project.resweep("config/one.toml", "rnn_model.jsonnet", name).ok()
    project.resweep("run", name).ok()
    leaked = project.record(project.entries(name)[0], name=name)["leaked"]
    found = None if leaked is None else [os.path.relpath(file, project.root) for file in leaked]
    return found, project.resweep("status", name).ok().out


# the project's own entry point puts its parent first, so these call what it calls
LIVE = """import sys; sys.argv = ["qb/main.py", "train", sys.argv[1]]
import qb.main
sys.exit(qb.main.main())
"""


@pytest.mark.parametrize("way", ["pythonpath", "editable", "script"])
def test_the_live_source_is_reported_file_by_file(clone: Project, way: str) -> None:
    """The live qb/ ahead on PYTHONPATH, an editable install that is imported first, the live script."""
    root = str(clone.root)
    (clone.root / "live.py").write_text(LIVE)
    site = clone.root / "site"
    site.mkdir(exist_ok=True)
    (site / "__editable__qb.py").write_text(f"import sys\nsys.path.insert(0, {root!r})\n")
    lines = {
        "pythonpath": f'cd /\nPYTHONPATH="{root}:$PYTHONPATH" exec "$RESWEEP_PYTHON" "{root}/live.py" "$2"\n',
        "editable": f"""cd /\nPYTHONPATH="$PYTHONPATH:{site}" exec "$RESWEEP_PYTHON" -c \\
            'import __editable__qb; import runpy; runpy.run_path("{root}/live.py")' "$2"\n""",
        "script": f'cd "{root}"\nexec "$RESWEEP_PYTHON" qb/main.py train "$2"\n',
    }
    leaked, status = trained(clone, way, lines[way])
    assert leaked
    assert {"qb/guessers.py", "qb/main.py", "qb/reader.py"} <= set(leaked)
    assert all(file.startswith("qb/") for file in leaked)
    where = os.path.join(root, "qb/reader.py")
    assert f"leaked   1 trial (#1): qb/reader.py was imported from {where}, not from the trial" in status


def test_changed_data_stops_a_real_trial_with_its_name(clone: Project) -> None:
    """Before anything starts."""
    (clone.root / "train.sh").write_text(f'cd "$1"\nexec "{sys.executable}" qb/main.py train "$2"\n')
    clone.resweep("config/one.toml", "rnn_model.jsonnet", "fed").ok()
    before = (clone.root / "data/quiz.json").read_text()
    (clone.root / "data/quiz.json").write_text(before.replace("a", "b", 1))
    result = clone.resweep("run", "fed")
    assert result.status == 2
    assert "data/quiz.json (changed)" in result.err
    assert not (clone.root / "model/generated/fed").exists()
    (clone.root / "data/quiz.json").write_text(before)
