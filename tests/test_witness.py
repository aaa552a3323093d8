"""What ran is what was frozen: a module of the project's that came from elsewhere marks the trial leaked.

Code: launcher/import_audit, launcher/host
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from launched import Trial, list_anew

from resweep.launcher import host, import_audit

PYTHON = '"$RESWEEP_PYTHON"'


def leaked(trial: Trial, train: str, **environment: str) -> list[str] | None:
    """Which files of the project the trial's record says were leaked, when train.sh is this."""
    trial.train("export PYTHONDONTWRITEBYTECODE=1\n" + train)
    trial.launch(**environment).ok()
    found: list[str] | None = trial.record()["leaked"]
    if found is None:
        return None
    assert found == sorted(found)
    for file in found:
        assert os.path.isabs(file)
    return [os.path.relpath(os.path.realpath(file), os.path.realpath(trial.project.root)) for file in found]


def program(text: str) -> str:
    """A line of bash that runs a program of Python from a directory where nothing of the project is."""
    return f"cd /; {PYTHON} -c '{text}'\n"


@pytest.fixture
def library(trial: Trial) -> Trial:
    """A trial whose package qb can be imported, with a module beside main, and so the live qb/."""
    for root in (trial.capsule, trial.project.root):
        (root / "qb" / "model.py").write_text("import sys\n")
    list_anew(trial.capsule)
    return trial


@pytest.mark.parametrize(
    "train",
    [
        'cd "$1"; python qb/main.py train "$2"',
        program("import qb.model, json, xml.dom"),
        'cd "$1"; python -m qb.model',
        'cd /; python "$1/qb/model.py"',
        'cd /; ln -s "$1" "$out.link"; PYTHONPATH="$out.link:$PYTHONPATH" ' + f'{PYTHON} -c "import qb.model"',
        program('import sys, qb.model; sys.modules.update(a=None, b=3, c=object()); sys.modules["d"] = iter("")'),
        f'cd "$root"; {PYTHON} -P -c "import qb.model"' if sys.version_info >= (3, 11) else program("import qb"),
    ],
)
def test_the_normal_run_is_not_leaked(library: Trial, train: str) -> None:
    """What comes from the capsule, however it was started, is what was frozen."""
    assert leaked(library, f'mkdir -p "${{out%/*}}"; {train}\n') == []


MODEL = ["qb/__init__.py", "qb/model.py"]


@pytest.mark.parametrize(
    ("train", "files"),
    [
        ('PYTHONPATH="$root:$PYTHONPATH"\nexport PYTHONPATH\n' + program("import qb.model"), MODEL),
        (f"cd \"$root\"; {PYTHON} -c 'import qb.model'", MODEL),  # '' comes before PYTHONPATH
        ('cd "$root"; python qb/model.py', ["qb/model.py"]),
        ('cd "$root/qb"; python model.py', ["qb/model.py"]),
        ('cd "$root/qb"; echo "import model" > start.py; python start.py', ["qb/model.py"]),
        ('cd "$root"; python -m qb.model', MODEL),
        ('cd "$root"; touch qb/added.py; python -c "import qb.added"', ["qb/__init__.py", "qb/added.py"]),
        (program('import sys, os; sys.path.insert(0, os.environ["RESWEEP_DATA"]); import qb.model'), MODEL),
    ],
)
def test_the_live_source_is_a_leak_file_by_file(library: Trial, train: str, files: list[str]) -> None:
    """Whatever put the working tree before the capsule, each file of the project from there is named."""
    assert leaked(library, train) == files


def test_an_editable_install_that_is_imported_first_is_a_leak(library: Trial) -> None:
    """A finder before the path's, as an editable installation puts one there, gets past the capsule and is seen."""
    finder = """
import importlib.util, os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "qb":
            home = os.path.join(os.environ["RESWEEP_DATA"], "qb")
            return importlib.util.spec_from_file_location(
                name, os.path.join(home, "__init__.py"), submodule_search_locations=[home])
sys.meta_path.insert(0, Finder())
import qb.model
"""
    (library.project.root / "start.py").write_text(finder)
    assert leaked(library, 'cd /; python "$root/start.py"') == MODEL


@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), 9)", "os.abort()"])
def test_a_process_that_never_comes_to_its_end_has_told_before(library: Trial, end: str) -> None:
    """Imports from elsewhere are written down when they happen."""
    train = f'cd "$root"; {PYTHON} -c "import os, qb.model; {end}" 2>/dev/null; true\n'
    assert leaked(library, train) == MODEL


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing_are_watched(library: Trial, method: str) -> None:
    """What only a child imports counts as well."""
    start = f"""
import importlib, multiprocessing, os, sys
def work():
    sys.path.insert(0, os.environ["RESWEEP_DATA"])
    importlib.import_module("qb.model")
if __name__ == "__main__":
    child = multiprocessing.get_context("{method}").Process(target=work)
    child.start()
    child.join()
    assert child.exitcode == 0
"""
    (library.project.root / "start.py").write_text(start)
    assert leaked(library, 'cd /; python "$root/start.py"') == MODEL


def test_what_merely_has_the_same_name_is_no_leak(library: Trial, tmp_path: Path) -> None:
    """Other people's modules, data, and other parts of a namespace that the project shares are not the project's."""
    other = tmp_path / "site-packages"
    for name in ("model.py", "main.py", "other/qb/model.py", "shared/theirs.py"):
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text("")
    (library.capsule / "shared").mkdir()
    (library.capsule / "shared" / "ours.py").write_text("")
    list_anew(library.capsule)
    text = "import model, main, other.qb.model, shared.theirs, shared.ours"
    assert leaked(library, program(text), PYTHONPATH=str(other)) == []
    (library.project.root / "shared").mkdir()
    (library.project.root / "shared" / "ours.py").write_text("")


def test_a_namespace_s_own_part_is_watched(library: Trial) -> None:
    """Of a package without __init__.py, which others may share, the files that were frozen are the project's."""
    for root in (library.capsule, library.project.root):
        (root / "shared").mkdir()
        (root / "shared" / "ours.py").write_text("")
    list_anew(library.capsule)
    (library.project.root / "shared" / "theirs.py").write_text("")
    train = f'cd "$root"; {PYTHON} -c "import shared.ours, shared.theirs"'
    assert leaked(library, train) == ["shared/ours.py"]


@pytest.mark.parametrize("train", ["true", f"{PYTHON} -I -c pass", f"{PYTHON} -S -c pass", f"{PYTHON} -E -c pass"])
def test_where_no_python_reports_nothing_is_claimed(trial: Trial, train: str) -> None:
    """Without a Python process, or with one that was told to load nothing, the record says null."""
    assert leaked(trial, train) is None


def test_a_sitecustomize_of_the_environment_still_runs(trial: Trial, tmp_path: Path) -> None:
    """The witness takes its place, and hands over to it; what fails in it is told as ever."""
    (tmp_path / "sitecustomize.py").write_text("import os\nos.environ['CHAINED'] = 'yes'\n")
    show = 'import os, sys, sitecustomize; print(os.environ.get("CHAINED"), sitecustomize.__file__, sys.path)'
    assert leaked(trial, program(show), PYTHONPATH=str(tmp_path)) == []
    said = trial.log()
    assert said.startswith(f"yes {tmp_path}/sitecustomize.py")
    assert "witness" not in said


def test_the_reports_are_gone_and_the_attempt_says_what_it_ran_on(trial: Trial) -> None:
    """No file of the audit stays; environment.json has machine, variables and the drift of packages, here none."""
    trial.launch().ok()
    assert not (trial.directory() / host.REPORTS).exists()
    ran = json.loads((trial.directory() / "environment.json").read_text())
    assert ran["drift"] == []
    assert ran["python"]["python"] == sys.version.split()[0]
    assert ran["machine"]["cores"] == os.cpu_count()
    assert ran["machine"]["memory_bytes"] > 1 << 20
    assert ran["variables"]["OMP_NUM_THREADS"] == "1"


def test_a_full_report_directory_never_stops_a_training(trial: Trial) -> None:
    """Where the reports cannot be written or read, the training runs as ever, and nothing is claimed."""
    trial.train('rm -r "${out%/*}/witness"; touch "${out%/*}/witness"; cd /; python -c "print(1)"')
    trial.launch().ok()
    assert trial.log() == "1\n"
    assert trial.record()["leaked"] is None


def test_an_audit_that_fails_claims_nothing(library: Trial) -> None:
    """What it failed of stands in environment.json."""
    train = program("import os; os.listdir = None")
    assert leaked(library, train) is None
    ran = json.loads((library.directory() / "environment.json").read_text())
    assert "not callable" in ran["audit_errors"][0]


def test_the_witness_imports_next_to_nothing(tmp_path: Path) -> None:
    """A start of Python with it loads two small modules more, and none at its end; bench/witness.py has the time."""
    capsule, reports = tmp_path / "capsule", tmp_path / "reports"
    (capsule / "qb").mkdir(parents=True)
    reports.mkdir()
    (reports / "sitecustomize.py").write_text(Path(import_audit.__file__).read_text())
    env = {**os.environ, "PYTHONPATH": f"{capsule}:{reports}", "RESWEEP_WITNESS": f"{capsule}:{reports}"}
    command = [sys.executable, "-X", "importtime", "-c", "pass"]
    loaded = []
    for each in ({**env, "PYTHONPATH": str(capsule)}, env):
        done = subprocess.run(command, env=each, capture_output=True, text=True, check=True)
        loaded.append({line.rpartition("|")[2].strip() for line in done.stderr.splitlines()})
    assert "sitecustomize" in loaded[1]
    assert loaded[1] - loaded[0] <= {"sitecustomize", "__future__", "atexit"}
