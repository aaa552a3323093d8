"""Source tree -> Snapshot.

Code: generation/snapshot, generation/build, project
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path

import pytest
from small_project import BACKEND, SWEEP, Project

from resweep.errors import TrialError
from resweep.generation import snapshot
from resweep.generation.build import Build
from resweep.sweep.definition import SnapshotOptions

GIT = "git init -q . && git -c core.excludesFile= add -A"


@pytest.fixture
def project(project: Project) -> Project:
    """A project that setuptools builds."""
    return project.with_setup_py()


def built(project: Project, **options: object) -> tuple[dict[str, bytes], snapshot.Snapshot]:
    """The files of the project's snapshot with their bytes, having checked that the source tree stayed as it was."""
    before = project.tree()
    with Build(project.root, SnapshotOptions(**options), sys.executable) as build:  # type: ignore[arg-type]
        made = build.snapshot()
        files = {file.path: (made.tree / file.path).read_bytes() for file in made.files}
    assert project.tree() == before
    assert not made.tree.exists()
    return files, made


def test_a_snapshot_is_what_setup_py_builds(project: Project) -> None:
    """Packages, subpackages and declared package data, and nothing else of the project."""
    project.write({"qb/deep/__init__.py": "", "qb/deep/er.py": "x = 1\n", "qb/quiz.json": "[]", "qb/notes.txt": "no"})
    project.write({"other/__init__.py": "", "qb/no_package/file.py": ""})
    files, _ = built(project)
    assert sorted(files) == ["qb/__init__.py", "qb/deep/__init__.py", "qb/deep/er.py", "qb/main.py", "qb/quiz.json"]
    assert files["qb/deep/er.py"] == b"x = 1\n"


def test_building_leaves_nothing_in_the_source_tree(project: Project) -> None:
    """No build, no egg-info, no __pycache__, no directory of any kind, in the project or beside it."""
    before = {str(path) for path in project.root.parent.rglob("*")}
    built(project)
    assert {str(path) for path in project.root.parent.rglob("*")} == before


EXTENSION = """\
#include <Python.h>
static PyObject *where(PyObject *self, PyObject *none) {
    return PyUnicode_FromString(__FILE__ " " __DATE__ " " __TIME__);
}
static PyMethodDef methods[] = {{"where", where, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "fast", "", -1, methods};
PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&module); }
"""


@pytest.mark.slow
def test_an_extension_is_the_same_wherever_and_whenever_it_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what a debugger is told, too; a path with a space is as good."""
    monkeypatch.setenv("CFLAGS", "-g")
    made = {}
    for place in ("one", "another place/deeper"):
        project = Project(tmp_path / place).with_setup_py()
        setup = "from setuptools import Extension, setup\n"
        project.write({"setup.py": setup + 'setup(packages=["qb"], ext_modules=[Extension("qb.fast", ["qb/fast.c"])])'})
        project.write({"qb/fast.c": EXTENSION})
        made[place] = built(project)
        time.sleep(1.1)  # a second that __TIME__ would tell
    (one, first), (another, second) = made.values()
    (library,) = (name for name in one if name.endswith(".so"))
    assert one == another
    assert first.digest == second.digest
    assert str(tmp_path).encode() not in one[library]


@pytest.mark.slow
def test_what_an_earlier_build_left_brings_no_deleted_file_back(project: Project) -> None:
    """A stale build/lib and egg-info hold a file that is gone, and the snapshot does not."""
    project.write({"qb/gone.py": "", "qb/gone.json": "{}", "MANIFEST.in": "recursive-include qb *\n"})
    setup = (project.root / "setup.py").read_text()
    project.write({"setup.py": setup.replace('package_data={"qb": ["*.json"]}', "include_package_data=True")})
    done = project.shell(f"'{sys.executable}' setup.py build")
    assert (project.root / "build/lib/qb/gone.py").exists(), done
    assert (project.root / "qb.egg-info/SOURCES.txt").exists()
    (project.root / "qb/gone.py").unlink()
    (project.root / "qb/gone.json").unlink()
    files, _ = built(project)
    assert sorted(files) == ["qb/__init__.py", "qb/main.py"]


def test_a_src_layout_gives_the_packages_themselves(project: Project) -> None:
    """With packages below src/, the capsule's root is where they are imported from."""
    (project.root / "qb").rename(project.root / "was")
    (project.root / "src").mkdir()
    (project.root / "was").rename(project.root / "src/qb")
    setup = "setup(name='qb', package_dir={'': 'src'}, packages=find_packages('src'))"
    project.write({"setup.py": f"from setuptools import find_packages, setup\n{setup}\n"})
    files, _ = built(project)
    assert sorted(files) == ["qb/__init__.py", "qb/main.py"]


@pytest.mark.parametrize("backend", ["setuptools.build_meta", "hatchling.build", None])
def test_a_project_with_only_a_pyproject_is_built_through_its_backend(project: Project, backend: str | None) -> None:
    """setuptools goes the way of setup.py, any other backend builds a wheel without isolation; both leave nothing."""
    (project.root / "setup.py").unlink()
    system = f'[build-system]\nrequires = ["x"]\nbuild-backend = "{backend}"\n' if backend else ""
    project.write(
        {
            "pyproject.toml": f'{system}[project]\nname = "qb"\nversion = "1"\n'
            '[tool.setuptools.packages.find]\ninclude = ["qb*"]\n',
            "qb/deep/__init__.py": "",
        }
    )
    files, _ = built(project)
    assert sorted(files) == ["qb/__init__.py", "qb/deep/__init__.py", "qb/main.py"]


def test_the_name_that_poetry_had_until_2020_is_the_installed_backend(project: Project) -> None:
    """`poetry.masonry.api` is gone, and poetry-core builds what it built."""
    (project.root / "setup.py").unlink()
    system = '[build-system]\nrequires = []\nbuild-backend = "poetry.masonry.api"\nbackend-path = ["tools"]\n'
    project.write({"pyproject.toml": system, "tools/poetry/core/masonry/api.py": BACKEND})
    files, _ = built(project)
    assert sorted(files) == ["qb/__init__.py", "qb/main.py"]


def test_include_adds_files_and_exclude_leaves_out(project: Project) -> None:
    """`[snapshot] include` and `exclude` name files by pattern; a directory means what it holds."""
    project.write({"train.py": "1", "scripts/a.py": "2", "scripts/b.txt": "3", "data/deep/x.bin": "4"})
    project.write({"qb/tests/__init__.py": "", "qb/tests/test_x.py": "", "qb/test_y.py": ""})
    files, _ = built(project, include=("train.py", "scripts/*.py", "data"), exclude=("qb/tests", "qb/test_*.py"))
    assert sorted(files) == ["data/deep/x.bin", "qb/__init__.py", "qb/main.py", "scripts/a.py", "train.py"]


@pytest.mark.slow
def test_include_never_takes_what_the_tool_wrote(project: Project) -> None:
    """A wide pattern would otherwise take every capsule into the next one, and give new ids each time."""
    project.write({"config/rnn.toml": SWEEP + '[snapshot]\ninclude = ["**/*.py", "config"]\nexclude = ["setup.py"]\n'})
    project.generate().ok()
    before = project.tree()
    assert "0 new trials, 4 kept" in project.generate().ok().out
    assert project.tree() == before
    assert (project.capsules()[0] / "config/rnn.toml").is_file()


def test_from_git_takes_what_git_tracks(project: Project) -> None:
    """`from = "git"` copies tracked files instead of building: not the ignored, deleted or generated ones."""
    project.write({".gitignore": "*.log\n", "a.log": "", "data/x.txt": "x", "gone.txt": "", "config/generated/y": ""})
    assert project.shell(GIT).status == 0
    (project.root / "gone.txt").unlink()
    project.write({"untracked.py": ""})
    files, made = built(project, source="git", exclude=("config",))
    assert sorted(files) == [".gitignore", "base.jsonnet", "data/x.txt", "qb/__init__.py", "qb/main.py", "setup.py"]
    assert made.warnings == ()


@pytest.mark.slow
def test_what_git_tracks_under_a_package_and_the_build_leaves_out_is_named(project: Project) -> None:
    """Undeclared package data is the usual surprise on a cluster; excluding it is an answer."""
    project.write({"qb/words.txt": "", "docs/notes.txt": "", "qb/untracked.txt": ""})
    assert project.shell(f"{GIT} && git rm -q --cached qb/untracked.txt").status == 0
    _, made = built(project)
    (warning,) = made.warnings
    assert warning.startswith(
        "git tracks qb/words.txt, but the build leaves it out of the trials; declare package_data"
    )
    assert built(project, exclude=("qb/words.txt",))[1].warnings == ()
    said = project.generate().ok().err
    assert said == f"resweep: rnn: {warning}\n"


@pytest.mark.slow
def test_a_file_that_may_be_executed_stays_so(project: Project) -> None:
    """The mode is part of what was frozen, and of its digest; the copies are read-only."""
    project.write(
        {"scripts/run.sh": "", "qb/tool.json": "", "config/rnn.toml": SWEEP + "[snapshot]\ninclude=['scripts']"}
    )
    _, before = built(project, include=("scripts",))
    for name in ("scripts/run.sh", "qb/tool.json"):  # added, and package data: setuptools takes it from modules
        (project.root / name).chmod(0o755)
    _, after = built(project, include=("scripts",))
    assert before.digest != after.digest
    assert [file.path for file in after.files if file.executable] == ["qb/tool.json", "scripts/run.sh"]
    project.generate().ok()
    for name, mode in {"scripts/run.sh": 0o555, "qb/tool.json": 0o555, "qb/main.py": 0o444}.items():
        assert os.stat(project.capsules()[0] / name).st_mode & 0o777 == mode


def test_a_wheel_keeps_the_mode_of_its_files(project: Project) -> None:
    """What another backend packs as executable is so in the capsule."""
    (project.root / "setup.py").unlink()
    project.write(
        {"pyproject.toml": '[build-system]\nbuild-backend = "hatchling.build"\n[project]\nname = "qb"\nversion = "1"\n'}
    )
    (project.root / "qb/main.py").chmod(0o755)
    _, made = built(project)
    assert [file.path for file in made.files if file.executable] == ["qb/main.py"]


def test_compiled_files_are_no_source(project: Project) -> None:
    """`__pycache__` and *.pyc depend on the interpreter that made them."""
    project.write({"scripts/__pycache__/a.pyc": "", "scripts/a.pyc": "", "scripts/a.py": ""})
    files, _ = built(project, include=("scripts",))
    assert sorted(name for name in files if "scripts" in name) == ["scripts/a.py"]


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["changed", "removed"])
def test_a_stored_source_that_was_changed_is_refused(project: Project, damage: str) -> None:
    """Capsules share the stored files by hard links, so a new trial would run what its manifest does not say."""
    project.generate().ok()
    (stored,) = project.root.glob("config/generated/.snapshots/*/files/qb/main.py")
    if damage == "changed":
        stored.chmod(0o644)
        stored.write_text("print('another source')\n")
    else:
        stored.unlink()
    project.write({"config/rnn.toml": SWEEP.replace("0.2]", "0.2, 0.3]")})
    before = project.tree()
    result = project.generate()
    assert result.status == 2
    assert result.err.startswith(f"resweep: {stored}: was changed or removed since it was stored")
    assert result.err.count("\n") == 1
    assert project.tree() == before


def test_storing_twice_stores_once(project: Project, tmp_path: Path) -> None:
    """The store is addressed by content: the second time reads and compares, and writes nothing."""
    with Build(project.root, SnapshotOptions(), sys.executable) as build:
        made = build.snapshot()
        files = snapshot.store(made, tmp_path / "store")
        inode = (files / "qb/main.py").stat().st_ino
        assert snapshot.store(made, tmp_path / "store") == files
        assert (files / "qb/main.py").stat().st_ino == inode
        assert [path.name for path in (tmp_path / "store").iterdir()] == [made.digest]
        assert snapshot.stored_files(tmp_path / "store", made.digest).keys() == {"qb/__init__.py", "qb/main.py"}
        (files / "qb/main.py").unlink()
        with pytest.raises(TrialError, match="was changed or removed"):
            snapshot.store(made, tmp_path / "store")


@pytest.mark.slow
def test_the_interpreter_of_run_is_found_from_the_projects_root(project: Project) -> None:
    """A relative path in [run] means the same wherever the command is called."""
    (project.root / "env").mkdir()
    (project.root / "env/python").symlink_to(sys.executable)
    project.write({"config/rnn.toml": SWEEP + '[run]\npython = "env/python"\n'})
    (project.root / "sub").mkdir()
    sub = Project.__new__(Project)
    sub.root = project.root / "sub"
    assert "4 new" in sub.resweep("../config/rnn.toml", "../base.jsonnet", "rnn").ok().out
    assert "4 kept" in project.generate().ok().out


TEXTS = {"qb/main.py": b"main", "qb/deep/run.sh": b"run", "a.py": b"", "zz.py": b"z"}


def made_of(tree: Path, texts: dict[str, bytes] = TEXTS) -> snapshot.Snapshot:
    """A snapshot of these files, of which `run.sh` may be executed."""
    for name, data in texts.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in texts.items()}
    names = sorted(texts, key=lambda name: (name.count("/"), name))
    files = (snapshot.SourceFile(name, digests[name], len(texts[name]), name.endswith(".sh")) for name in names)
    return snapshot.Snapshot.of(tuple(files), tree)


def test_a_list_of_files_has_the_digest_of_the_snapshot(tmp_path: Path) -> None:
    """What a manifest or the store lists, in any order, gives the digest by which the source is known."""
    made = made_of(tmp_path)
    listing = made.listing()
    assert [file.path for file in made.files] == ["a.py", "zz.py", "qb/main.py", "qb/deep/run.sh"]
    assert listing["executable"] == ["qb/deep/run.sh"]
    files = {file.path: file.sha256 for file in reversed(made.files)}
    assert snapshot.listed_digest(files, {"qb/deep/run.sh"}) == listing["digest"] == made.digest
    assert snapshot.listed_digest(files, set()) != made.digest
    # a contract: every id has this in it
    assert made.digest == "e62c868da245852bf6917d0ec27322d7989b414f7bdf793bb860a20b30ebcc54"


def test_a_stored_source_is_read_back_as_it_was(tmp_path: Path) -> None:
    """Files, sizes and who may be executed come back; everything is read-only; the list is one for people, too."""
    made = made_of(tmp_path / "tree")
    home = tmp_path / "deep" / "store"
    files = snapshot.store(made, home)
    assert files == home / made.digest / "files"
    back = snapshot.stored(home, made.digest)
    assert back == snapshot.Snapshot(made.files, made.digest, files)
    assert snapshot.stored_files(home, made.digest) == {file.path: file.sha256 for file in made.files}
    assert {path.name: path.stat().st_mode & 0o777 for path in files.rglob("*") if path.is_file()} == {
        "main.py": 0o444,
        "run.sh": 0o555,
        "a.py": 0o444,
        "zz.py": 0o444,
    }
    assert (home / made.digest).stat().st_mode & 0o777 == 0o755  # those of a shared project's group read it
    text = (home / made.digest / "snapshot.json").read_text()
    assert text == json.dumps({"format": 1, **made.listing()}, indent=1, sort_keys=True) + "\n"


def test_a_source_that_cannot_be_stored_leaves_nothing(tmp_path: Path) -> None:
    """A file of the tree that is gone is an error, and no half of the source stays in the store."""
    made = made_of(tmp_path / "tree")
    (tmp_path / "tree/qb/main.py").unlink()
    with pytest.raises(FileNotFoundError):
        snapshot.store(made, tmp_path / "store")
    assert list((tmp_path / "store").iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "says"),
    [(None, "the frozen source is not here"), ("{", "cannot be read"), ("{}", "cannot be"), ("[]", "cannot be")],
)
def test_a_stored_source_whose_list_is_gone_or_torn_is_named(tmp_path: Path, damage: str | None, says: str) -> None:
    """Whoever needs the source is told in a line; who only wants to name what changed goes on without."""
    made = made_of(tmp_path / "tree")
    snapshot.store(made, tmp_path)
    path = tmp_path / made.digest / "snapshot.json"
    path.unlink()
    if damage is not None:
        path.write_text(damage)
    with pytest.raises(TrialError, match=says) as caught:
        snapshot.stored(tmp_path, made.digest)
    assert str(caught.value).startswith(str(path))
    assert snapshot.stored_files(tmp_path, made.digest) == {}


def frozen_in(capsule: Path) -> snapshot.Snapshot:
    """The source of the capsule at `capsule`."""
    with snapshot.Frozen(capsule) as frozen:
        return frozen.snapshot()


def test_the_source_of_a_capsule_is_what_its_manifest_lists(tmp_path: Path) -> None:
    """A trial's own source can be frozen again, to the same digest, whatever else lies in its directory."""
    made = made_of(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "snapshot": made.listing()}))
    assert frozen_in(tmp_path) == made


@pytest.mark.parametrize(
    ("damage", "says"),
    [("changed", "is not the file"), ("removed", "cannot be read"), ("no manifest", "no readable manifest")],
)
def test_a_capsule_whose_source_is_not_what_was_frozen_is_refused(tmp_path: Path, damage: str, says: str) -> None:
    """Another file than the manifest's, a missing one, or no manifest: one line that names it."""
    made = made_of(tmp_path)
    listing = json.dumps({"format": 1, "snapshot": made.listing()})
    (tmp_path / "manifest.json").write_text("{" if damage == "no manifest" else listing)
    if damage == "changed":
        (tmp_path / "qb/main.py").write_bytes(b"other")
    elif damage == "removed":
        (tmp_path / "qb/main.py").unlink()
    with pytest.raises(TrialError, match=says) as caught:
        frozen_in(tmp_path)
    assert str(caught.value).startswith(str(tmp_path if damage == "no manifest" else tmp_path / "qb/main.py"))


def test_a_file_that_exists_is_never_written_over(tmp_path: Path) -> None:
    """Frozen files are made anew or not at all, and all of their bytes are written."""
    snapshot.write_read_only(tmp_path / "a", b"x" * 3_000_000)
    assert (tmp_path / "a").stat().st_size == 3_000_000
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o444
    with pytest.raises(FileExistsError):
        snapshot.write_read_only(tmp_path / "a", b"y")
