"""What is installed, where it came from, and what has changed since.

Code: launcher/host
"""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resweep.launcher import host
from resweep.launcher.host import Installed, packages, without_credentials
from resweep.launcher.import_audit import Witness


def dist(site: Path, name: str, version: str, **direct: Any) -> Path:
    """An installed distribution, as an installer leaves it."""
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: no field\n")
    if direct:
        (folder / "direct_url.json").write_text(json.dumps(direct))
    return folder


def test_every_distribution_of_this_interpreter_is_found() -> None:
    """The same names and versions as the standard library finds, which takes longer."""
    found = {key: each.version for key, each in packages(entry for entry in sys.path if entry).items()}
    expected = {}
    for each in metadata.distributions():
        expected.setdefault(host.normalised(each.metadata["Name"]), each.version)
    assert found == expected


@pytest.mark.parametrize(
    ("direct", "origin"),
    [
        ({}, {"origin": "index"}),
        ({"url": "file:///src/a", "dir_info": {"editable": True}}, {"origin": "editable", "path": "/src/a"}),
        ({"url": "file:///src/a", "dir_info": {}}, {"origin": "local", "path": "/src/a"}),
        (
            {"url": "file:///a.whl", "archive_info": {"hash": "sha256=ab"}},
            {"origin": "local", "path": "/a.whl", "sha256": "ab"},
        ),
        (
            {"url": "https://me:secret@h.org/a.whl", "archive_info": {"hashes": {"sha256": "ab"}}},
            {"origin": "url", "url": "https://h.org/a.whl", "sha256": "ab"},
        ),
        (
            {"url": "https://token@h.org/a.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}},
            {"origin": "vcs", "url": "git+https://h.org/a.git", "commit": "c0ffee"},
        ),
    ],
)
def test_the_origin_is_what_the_installer_recorded(tmp_path: Path, direct: Any, origin: Any) -> None:
    """PEP 610's direct_url.json tells editable, VCS, local and other installations, without credentials."""
    assert host.origin(Installed("a", "1", str(dist(tmp_path, "a", "1", **direct)))) == origin


def test_older_installations_are_found_too(tmp_path: Path) -> None:
    """`setup.py develop` leaves an egg-link, or its source on the path; `setup.py install` an egg-info."""
    site, source = tmp_path / "site-packages", tmp_path / "source"
    (source / "one_two.egg-info").mkdir(parents=True)
    (source / "one_two.egg-info" / "PKG-INFO").write_text("Name: one-two\nVersion: 3\n")
    site.mkdir()
    (site / "one-two.egg-link").write_text(f"{source}\n.")
    (site / "Three-4.5-py3.8.egg-info").write_text("Name: Three\nVersion: 4.5\n")
    found = packages([str(site)])
    assert {key: each.version for key, each in found.items()} == {"one-two": "3", "three": "4.5"}
    assert host.origin(found["one-two"]) == {"origin": "editable", "path": str(source)}
    assert host.origin(found["three"]) == {"origin": "index"}
    assert packages([str(source)])["one-two"].version == "3"


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        (None, None),
        ("https://me:pass@h.org/r.git", "https://h.org/r.git"),
        ("https://h.org/r.git?access_token=x#y", "https://h.org/r.git"),
        ("ssh://git@h.org:22/r", "ssh://git@h.org:22/r"),
        ("ssh://me:pass@h.org/r@2", "ssh://h.org/r@2"),
        ("git@h.org:me/r.git", "git@h.org:me/r.git"),
        ("me:pass@h.org:r.git", "h.org:r.git"),
        ("/local/path", "/local/path"),
    ],
)
def test_addresses_lose_their_credentials(url: str | None, clean: str | None) -> None:
    """User, password and query go; the path, and the user that is everybody's, stay."""
    assert without_credentials(url) == clean


WORD = st.text("abcXYZ019-._~", min_size=1)


@given(st.sampled_from(["https", "ssh", "git+https"]), WORD, WORD, WORD)
def test_no_password_survives(scheme: str, user: str, host: str, path: str) -> None:
    """Whatever stands before the host of an address is gone."""
    assert without_credentials(f"{scheme}://{user}:hunter2@{host}/{path}?t=hunter2") == f"{scheme}://{host}/{path}"


def test_variables_are_those_that_change_numbers_and_no_secrets() -> None:
    """By name or its beginning; one that looks like a secret is left out, its value too."""
    given_ = {"OMP_NUM_THREADS": "1", "CUBLAS_WORKSPACE_CONFIG": ":16:8", "HOME": "/root", "TORCH_API_TOKEN": "x"}
    assert host.variables(given_) == {"OMP_NUM_THREADS": "1", "CUBLAS_WORKSPACE_CONFIG": ":16:8"}


def report(site: Path, **changes: Any) -> dict[str, Any]:
    """What a process of this interpreter reports, whose packages lie at `site`."""
    facts = {"python": "3.11.7", "implementation": "cpython", "prefix": "/none", "path": [str(site)]}
    return facts | changes


def recorded(site: Path) -> dict[str, Any]:
    """The environment that a generation recorded there."""
    found = packages([str(site)])
    listed = {key: {"name": each.name, "version": each.version, **host.origin(each)} for key, each in found.items()}
    return {"python": {"version": "3.11.7", "implementation": "cpython"}, "packages": listed, "conda": None}


def test_drift_names_what_came_went_and_changed(tmp_path: Path) -> None:
    """Package by package; the same versions from other commits too, and another Python."""
    before, after = tmp_path / "before", tmp_path / "after"
    git = {"url": "https://h.org/v", "vcs_info": {"vcs": "git", "commit_id": "1"}}
    for site in (before, after):
        dist(site, "same", "1")
    dist(before, "gone", "1")
    dist(before, "other", "1")
    dist(before, "vcs", "1", **git)
    dist(after, "other", "2")
    dist(after, "New-One", "1")
    dist(after, "vcs", "1", **{**git, "vcs_info": {"vcs": "git", "commit_id": "2"}})
    assert host.drift(recorded(before), report(before)) == []
    found = host.drift(recorded(before), report(after, python="3.11.8"))
    assert [(each["what"], each["before"], each["after"]) for each in found] == [
        ("python", "3.11.7", "3.11.8"),
        ("gone", "1", None),
        ("new-one", None, "1"),
        ("other", "1", "2"),
        ("vcs", "vcs git+https://h.org/v 1", "vcs git+https://h.org/v 2"),
    ]


def test_packages_that_change_while_a_worker_lives_are_seen(tmp_path: Path) -> None:
    """The listing is kept only while its directory stays as it is."""
    dist(tmp_path, "one", "1")
    before = recorded(tmp_path)
    assert host.drift(before, report(tmp_path)) == []
    dist(tmp_path, "two", "1")
    assert [each["what"] for each in host.drift(before, report(tmp_path))] == ["two"]


def test_conda_packages_are_listed_and_drift(tmp_path: Path) -> None:
    """Name, version, build and channel of conda's own records; a change of build alone counts."""
    meta = tmp_path / "conda-meta"
    meta.mkdir()
    (meta / "mkl-2023.1-h1_0.json").write_text('{"build": "h1_0", "channel": "https://t:u@h.org/main", "name": "mkl"}')
    (meta / "history").write_text("")
    found = host.conda(str(tmp_path))
    assert found == {"mkl": {"version": "2023.1", "build": "h1_0", "channel": "https://h.org/main"}}
    before = recorded(tmp_path) | {"conda": found}
    assert host.drift(before, report(tmp_path, prefix=str(tmp_path))) == []
    (meta / "mkl-2023.1-h1_0.json").rename(meta / "mkl-2023.1-h2_0.json")
    assert host.drift(before, report(tmp_path, prefix=str(tmp_path))) == [
        {"what": "conda mkl", "before": "2023.1 h1_0", "after": "2023.1 h2_0"}
    ]


@given(st.lists(st.text(min_size=1), max_size=4))
def test_a_report_gives_back_what_a_witness_wrote(tmp_path_factory: pytest.TempPathFactory, paths: list[str]) -> None:
    """Whatever stands in a path, line breaks too."""

    home = tmp_path_factory.mktemp("witness")
    watching = Witness(str(home), str(home))
    paths = [path.encode("utf-8", "replace").decode() for path in paths]
    watching._tell([("leaked", path) for path in paths])
    read = host.read_report(watching._file)
    assert read["leaked"] == paths
    assert read["python"] == sys.version.split()[0]
