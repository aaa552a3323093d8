"""The packages of a trial once more, in a fresh virtual environment, or why not.

Code: generation/recreate, cli/env
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from small_project import Project, Result

from resweep.errors import ProjectError, counted
from resweep.generation import recreate
from resweep.launcher import host


def wheel(folder: Path, name: str, version: str, requires: str = "") -> Path:
    """A wheel of a package of one empty module."""
    info = f"{name}-{version}.dist-info"
    required = f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{name}.py": f"version = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},\n"
        for path, text in files.items()
    )
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record + f"{info}/RECORD,,\n"}.items():
            archive.writestr(file, text)
    return path


def environment(**packages: Any) -> dict[str, Any]:
    """A recorded environment of this Python with these packages."""
    full = {host.normalised(name): {"name": name, **facts} for name, facts in packages.items()}
    return {**host.interpreter(), "packages": full, "conda": None}


def index(version: str) -> dict[str, str]:
    """A package from an index."""
    return {"version": version, "origin": "index"}


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place that the installer looks in."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, version in (("one", "1.0"), ("one", "2.0"), ("labelled", "1.0"), ("other", "1.0")):
        wheel(folder, name, version, requires="one>=2" if name == "other" else "")
    wheel(folder, "exact", "1.0+cpu")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def test_what_an_installer_can_be_asked_for() -> None:
    """Index, VCS and archives by exact version; editable, local and conda's alone are said to be missing, with why."""
    recorded = environment(
        torch=index("2.13.0+cpu"),
        git={"version": "1", "origin": "vcs", "url": "git+https://h.org/g", "commit": "c0ffee"},
        archive={"version": "1", "origin": "url", "url": "https://h.org/a.whl", "sha256": "ab"},
        mine={"version": "1", "origin": "editable", "path": "/src/mine"},
        gone={"version": "1", "origin": "local", "path": "/no/such.whl", "sha256": "ab"},
        numpy={"version": "2.0", "origin": "local", "path": "/home/conda/feedstock_root/numpy"},
    )
    conda = {"version": "2023.1", "build": "h1", "channel": None}
    recorded["conda"] = {"mkl": conda, "numpy": {**conda, "version": "2.0"}, "python": conda}
    wanted, missing = recreate.sort_out(recorded)
    assert [each.requirement for each in wanted] == [
        "torch==2.13.0+cpu",
        "git @ git+https://h.org/g@c0ffee",
        "archive @ https://h.org/a.whl#sha256=ab",
        "numpy==2.0",
    ]
    assert wanted[0].instead == "torch==2.13.0"
    assert missing.keys() == {"mine", "gone", "mkl"}
    assert "/src/mine" in missing["mine"]
    assert "conda's alone" in missing["mkl"]


@pytest.mark.slow
def test_packages_are_rebuilt_in_their_exact_versions(links: Path, tmp_path: Path) -> None:
    """Although a package's metadata forbid another's version, and a newer one is there; nothing else is installed."""
    local = wheel(tmp_path, "local", "3.0")
    digest = hashlib.sha256(local.read_bytes()).hexdigest()
    recorded = environment(
        one=index("1.0"),
        other=index("1.0"),
        exact=index("1.0+cpu"),
        local={"version": "3.0", "origin": "local", "path": str(local), "sha256": digest},
    )
    result = recreate.recreate(recorded, tmp_path / "new env")
    assert result.whole, result.missing
    assert result.installed == 4
    assert result.notes == []
    program = "import one, other, exact, local; print(one.version, other.version, exact.version, local.version)"
    done = subprocess.run([tmp_path / "new env/bin/python", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "1.0 1.0 1.0+cpu 3.0\n"


@pytest.mark.slow
def test_what_cannot_be_had_is_said_and_the_rest_installed(links: Path, tmp_path: Path) -> None:
    """A package that is nowhere, and a build that only its public version stands in for."""
    recorded = environment(nowhere=index("9.9"), one=index("1.0"), labelled=index("1.0+cu121"))
    result = recreate.recreate(recorded, tmp_path / "env")
    assert result.installed == 1
    assert result.missing.keys() == {"nowhere", "labelled"}
    assert "nowhere==9.9" in result.missing["nowhere"]
    assert result.missing["labelled"] == (
        "1.0+cu121 is not to be had; labelled==1.0 was installed instead: another build"
    )
    listed = (tmp_path / "env" / "requirements.txt").read_text().split()
    assert listed == ["nowhere==9.9", "one==1.0", "labelled==1.0+cu121"]


@pytest.mark.slow
def test_another_patch_of_python_is_told_and_another_minor_refused(links: Path, tmp_path: Path) -> None:
    """Binary packages fit a minor version of Python; nothing is made where there is none."""
    recorded = environment(one=index("1.0"))
    minor = ".".join(sys.version.split(".")[:2])
    recorded["python"] = {**recorded["python"], "version": f"{minor}.99"}
    result = recreate.recreate(recorded, tmp_path / "env")
    assert result.installed == 1
    assert any(f"instead of {minor}.99" in note for note in result.notes)
    recorded["python"] = {**recorded["python"], "version": "3.99.1", "executable": "/no/such/python"}
    with pytest.raises(ProjectError, match=r"found no 3\.99 here"):
        recreate.recreate(recorded, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_another_platform_is_told(tmp_path: Path) -> None:
    """The same versions are other builds there."""
    recorded = {"platform": {**host.platform_(), "machine": "sparc"}}
    assert "sparc" in recreate._platform_notes(recorded)[0]
    assert recreate._platform_notes({"platform": host.platform_()}) == []


@pytest.mark.slow
def test_uv_is_asked_where_it_is_there(links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same requirements, without dependencies, for the new environment's Python."""
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(
        f'#!/bin/sh\necho "$*" >> "{tmp_path}/said"\n'
        f'[ "$1" = venv ] && exec "{sys.executable}" -m venv "$5"\n'
        f'python=$4; shift 4; exec "$python" -m pip install "$@"\n'
    )
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", str(uv.parent), prepend=":")
    result = recreate.recreate(environment(one=index("1.0")), tmp_path / "env")
    said = (tmp_path / "said").read_text()
    assert "venv --allow-existing --python" in said
    assert "pip install --python" in said
    assert "--no-deps" in said
    assert (result.installed, result.whole) == (1, True), said


def call(project: Project, folder: Path) -> Result:
    """`resweep env rnn#1 --recreate`."""
    return project.resweep("env", "rnn#1", "--recreate", str(folder))


@pytest.mark.slow
def test_the_command_says_how_much_was_rebuilt(swept: Project, links: Path, tmp_path: Path) -> None:
    """Exit status 0 when all is there, 1 when something is missing, 2 where the directory is in use."""
    for packages, status in (({"one": index("1.0")}, 0), ({"one": index("1.0"), "nowhere": index("1")}, 1)):
        for folder in swept.capsules():
            path = folder / "environment.json"
            path.unlink()
            path.write_text(json.dumps({"format": 1, **environment(**packages)}))
        result = call(swept, tmp_path / f"env{status}")
        assert result.status == status, result
        assert f" has 1 of {counted(len(packages), 'package')} in their versions" in result.out
    assert "  missing   nowhere: " in result.out
    again = call(swept, tmp_path / "env0")
    assert again.status == 2
    assert "is not empty" in again.err
