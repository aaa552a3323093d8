"""Source tree -> Snapshot.

Code: snapshot, build, root
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from small_project import SWEEP, Project

from resweep import snapshot
from resweep.build import Build
from resweep.errors import TrialError
from resweep.sweep import SnapshotOptions

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


def test_include_adds_files_and_exclude_leaves_out(project: Project) -> None:
    """`[snapshot] include` and `exclude` name files by pattern; a directory means what it holds."""
    project.write({"train.py": "1", "scripts/a.py": "2", "scripts/b.txt": "3", "data/deep/x.bin": "4"})
    project.write({"qb/tests/__init__.py": "", "qb/tests/test_x.py": "", "qb/test_y.py": ""})
    files, _ = built(project, include=("train.py", "scripts/*.py", "data"), exclude=("qb/tests", "qb/test_*.py"))
    assert sorted(files) == ["data/deep/x.bin", "qb/__init__.py", "qb/main.py", "scripts/a.py", "train.py"]


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
