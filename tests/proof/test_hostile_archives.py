"""Archives that somebody made to do harm: each is refused with one line, and nothing of it is left anywhere.

Code: proof/archive/reading, proof/check, proof/archive/contents, proof/archive/unpack, proof/archive/tar
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import signal
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from launched import Trial
from small_project import Project

from resweep import layout
from resweep.errors import ArchiveError, TrialError
from resweep.proof import check, verify
from resweep.proof.archive import contents, inspect, reading, stream, tar
from resweep.proof.archive import unpack as unpacking
from resweep.proof.archive.reading import Archive

Table = dict[str, Any]


class Forge:
    """Takes a real archive apart, and writes one with another list and other members, as well made as ours."""

    def __init__(self, home: Path, data: bytes) -> None:
        self.home = home
        honest = home / "honest.tar.gz"
        honest.write_bytes(data)
        self.bytes: dict[str, bytes] = {}
        with open(honest, "rb") as file:
            found = Archive(file, honest)
            self.table: Table = json.loads(found.data)
            del self.table["checksum"]
            self.bytes[found.contents.files[0].paths[0]] = found.text
            for each, pieces in found.files():
                self.bytes[each.paths[0]] = b"".join(pieces)
        self.capsule = f"config/generated/rnn/{self.table['trials'][0]}"
        self.out = self.capsule.replace("config/", "model/")
        self.path = self.home / "evil.tar.gz"

    def add(self, path: str, data: bytes = b"evil", mode: str = "0644") -> None:
        """Add a file to the list and to the archive."""
        sha256 = hashlib.sha256(data).hexdigest()
        self.table["files"].append({"paths": [path], "sha256": sha256, "size": len(data), "mode": mode})
        self.bytes[path] = data

    def file(self, end: str) -> Table:
        """What the list says of a file."""
        return next(each for each in self.table["files"] if any(path.endswith(end) for path in each["paths"]))

    def sort(self) -> None:
        """Bring the list's files into the order that `pack` gives them."""
        items = [
            contents.Item(path, each["sha256"], each["size"], int(each["mode"], 8))
            for each in self.table["files"]
            for path in each["paths"]
        ]
        listed = contents.arranged("rnn", "metrics", [], items, {}, [])
        self.table["files"] = json.loads(listed.data())["files"]

    def data(self) -> bytes:
        """The list, with a checksum that fits."""
        return (layout.pretty(layout.sealed(self.table)) + "\n").encode()

    def members(self) -> list[bytes]:
        """Headers and contents as the list has them."""
        data = self.data()
        parts = [tar.header(contents.NAME, size=len(data)), data, tar.padding(len(data))]
        parts += [tar.header(path + "/", tar.DIRECTORY, mode=0o755) for path in self.table["directories"]]
        for each in self.table["files"]:
            path, size = each["paths"][0], each["size"]
            data = self.bytes.get(path, b"")
            parts += [tar.header(path, size=size, mode=int(each["mode"], 8)), data, tar.padding(len(data))]
            parts += [
                tar.header(other, tar.HARD_LINK, mode=int(each["mode"], 8), target=path) for other in each["paths"][1:]
            ]
        parts += [tar.header(path, tar.SYMBOLIC_LINK, mode=0o777, target=to) for path, to in self.table["links"]]
        return [*parts, tar.END]

    def write(self, members: list[bytes] | None = None, form: stream.Format = stream.FORMATS[1]) -> Path:
        """Write the archive, with a sha256 at its end that fits."""
        with open(self.path, "wb") as file:
            writer = stream.Writer(file, form)
            for part in members or self.members():
                writer.write(part)
            writer.close()
        return self.path


_HONEST: list[bytes] = []


@pytest.fixture
def forge(request: pytest.FixtureRequest, tmp_path: Path) -> Forge:
    """A forger's workshop, with an archive of a trial that has run: packed once for all tests."""
    if not _HONEST:
        swept: Project = request.getfixturevalue("swept")
        script = (Trial(swept).capsule / "train.sh").read_text()
        Trial(swept).launch()
        assert (Trial(swept).capsule / "train.sh").read_text() == script
        swept.resweep("pack", "rnn#1", "-o", "honest.tar.gz").ok()
        _HONEST.append((swept.root / "honest.tar.gz").read_bytes())
        (swept.root / "honest.tar.gz").unlink()
    home = tmp_path / "forge"
    home.mkdir()
    return Forge(home, _HONEST[0])


def refused(forge: Forge, *says: str) -> None:
    """Both commands refuse the archive with one line that says why, and leave everything as it is."""
    project = Project.__new__(Project)
    project.root = forge.home
    before = {path: path.read_bytes() if path.is_file() else b"" for path in forge.home.rglob("*")}
    for command in (["unpack", str(forge.path), "there"], ["verify", str(forge.path)]):
        result = project.resweep(*command)
        said = result.err if command[0] == "unpack" else result.out
        assert (result.status, said.count("\n")) == (2 if command[0] == "unpack" else 1, 1), result
        for word in says:
            assert word in said
        assert all(letter.isprintable() or letter == "\n" for letter in said)
    assert {path: path.read_bytes() if path.is_file() else b"" for path in forge.home.rglob("*")} == before


def test_the_forger_can_write_an_honest_archive(forge: Forge) -> None:
    """What the tests below change is what makes the difference."""
    unpacking.unpack(forge.write(), forge.home / "there")
    assert forge.path.read_bytes() == (forge.home / "honest.tar.gz").read_bytes()


LISTED: dict[str, tuple[Callable[[Forge], object], str]] = {
    "an absolute path": (lambda f: f.add("/tmp/evil"), "expected a path below"),
    "the directory above": (lambda f: f.add(f"{f.out}/../../../../../../evil"), "expected a path below"),
    "a dot in a path": (lambda f: f.add(f"{f.out}/./evil"), "expected a path below"),
    "an empty part of a path": (lambda f: f.add(f"{f.out}//evil"), "expected a path below"),
    "an empty path": (lambda f: f.add(""), "expected a path below"),
    "a file beside the sweep": (lambda f: f.add("pyproject.toml"), "lies outside of the sweep"),
    "a file of another sweep": (lambda f: f.add("config/generated/dan/index.jsonl"), "lies outside of the sweep"),
    "a hidden file": (lambda f: f.add(".git/hooks/pre-commit", mode="0755"), "lies outside of the sweep"),
    "a file of a trial that is not listed": (
        lambda f: f.add(f"model/generated/rnn/{'a' * 12}/0/x"), "lies outside of the sweep"
    ),
    "a setuid bit": (lambda f: f.add(f"{f.out}/x", mode="4755"), "mode 4755"),
    "a mode for everybody": (lambda f: f.add(f"{f.out}/x", mode="0777"), "mode 0777"),
    "a capsule's file that may be written": (lambda f: f.file("train.sh").update(mode="0644"), "mode 0644"),
    "a newline in a name": (lambda f: f.add(f"{f.out}/x\ny"), "control characters"),
    "a NUL in a name": (lambda f: f.add(f"{f.out}/x\0y"), "control characters"),
    "an escape in a name": (lambda f: f.add(f"{f.out}/\x1b[2J"), "control characters"),
    "half a character in a name": (lambda f: f.add(f"{f.out}/\ud800"), ""),
    "a name that is too long": (lambda f: f.add(f"{f.out}/" + "x" * 256), "too long"),
    "a path that is too long": (lambda f: f.add(f"{f.out}/" + "x/" * 2000 + "x"), "too long"),
    "a name twice": (lambda f: f.add(f"{f.out}/metrics.json"), "there twice"),
    "a file in a file": (lambda f: f.add(f"{f.out}/metrics.json/x"), "which is not a directory"),
    "a symbolic link out": (lambda f: f.table["links"].append([f"{f.out}/a", "../" * 6 + "x"]), "symbolic link"),
    "a symbolic link to a place": (lambda f: f.table["links"].append([f"{f.out}/a", "/etc/passwd"]), "symbolic link"),
    "a symbolic link to nothing": (lambda f: f.table["links"].insert(0, [f"{f.out}/a", "nothing"]), "symbolic link"),
    "a symbolic link to a link": (
        lambda f: f.table["links"].extend([[f"{f.out}/a", "b"], [f"{f.out}/b", "metrics.json"]]), "symbolic link"
    ),
    "a symbolic link through a directory and up": (
        lambda f: f.table["links"].append([f"{f.out}/a", "x/../../../../../../.."]), "symbolic link"
    ),
    "a file through a symbolic link": (
        lambda f: (f.table["links"].append([f"{f.out}/a", "."]), f.add(f"{f.out}/a/x")), ""
    ),
    "a file through a link to a directory": (
        lambda f: (f.table["links"].append([f"{f.out}/a", f"../{f.out.rpartition('/')[2]}"]), f.add(f"{f.out}/a/x")),
        "which is not a directory",
    ),
    "a link whose name some disks take for a directory": (
        lambda f: (f.add(f"{f.out}/a/x"), f.table["links"].append([f"{f.out}/A", "../0"])),
        "which is not a directory",
    ),
    "a link whose name some disks take for another's": (
        lambda f: (f.add(f"{f.out}/\u00e9"), f.table["links"].append([f"{f.out}/e\u0301", "../0"])), "some disks"
    ),
    "a hard link from what is written to what never is": (
        lambda f: f.file("train.sh")["paths"].append(f"{f.out}/x"), "mode 0"
    ),
    "a name that is no sweep's": (lambda f: f.table.update(sweep=".."), "NAME: found"),
    "a newer format": (lambda f: f.table.update(format=2), "format 2, expected 1"),
    "another kind of file": (lambda f: f.table.update(kind="x"), "no list"),
    "a negative size": (lambda f: f.file("metrics.json").update(size=-1), "no list"),
    "a size that is no number": (lambda f: f.file("metrics.json").update(size=True), "no list"),
    "no sha256": (lambda f: f.file("metrics.json").update(sha256="x"), "expected a sha256"),
    "a file with no name": (lambda f: f.file("metrics.json").update(paths=[]), ""),
    "a list in another order": (lambda f: f.table["files"].insert(1, f.table["files"].pop()), "not written as"),
    "something more in the list": (lambda f: f.table.update(more=1), "not written as"),
    "no index": (lambda f: f.table["files"].pop(0), "found no index.jsonl in front"),
    "a trial whose name leads out": (lambda f: f.table["trials"].insert(0, "../../../evil/0"), "no list"),
    "a symbolic link in a capsule": (
        lambda f: f.table["links"].insert(0, [f"{f.capsule}/json.py", "manifest.json"]), "no output of a trial"
    ),
    "a symbolic link for the launcher": (
        lambda f: (
            f.table["files"].remove(f.file("/attempt.py")),
            f.table["links"].insert(0, ["config/generated/rnn/attempt.py", "index.jsonl"]),
        ),
        "no output of a trial",
    ),
    "a directory in a capsule": (
        lambda f: f.table["directories"].insert(0, f"{f.capsule}/qb/x"), "no output of a trial"
    ),
    "a list that is too deep": (lambda f: f.table.update(files=json.loads("[" * 400 + "]" * 400)), "no list"),
}  # fmt: skip


@pytest.mark.parametrize("kind", LISTED)
def test_a_list_that_names_what_it_should_not_is_refused(forge: Forge, kind: str) -> None:
    """The list in front is believed in nothing, though its checksum fits."""
    change, says = LISTED[kind]
    change(forge)
    try:
        forge.write()
    except (UnicodeEncodeError, LookupError, TypeError):  # no tar has such a member; the list may say it all the same
        data = json.dumps({**forge.table, "checksum": "0" * 64}, indent=2).encode()
        forge.write([tar.header(contents.NAME, size=len(data)), data, tar.padding(len(data)), tar.END])
    refused(forge, says)


def arranged(
    forge: Forge,
    *items: contents.Item,
    links: dict[str, str] | None = None,
    directories: tuple[str, ...] = (),
    without: str = "",
) -> contents.Contents:
    """The list of the honest archive, and more, as `pack` would arrange it."""
    honest = check.parse(forge.data(), "x")
    return contents.arranged(
        honest.sweep,
        honest.outputs,
        honest.trials,
        [*(item for item in honest.items if not without or not item.path.endswith(without)), *items],
        {**dict(honest.links), **(links or {})},
        [*honest.directories, *directories],
    )


def item(path: str, mode: int = 0o644, sha256: str = "0" * 64) -> contents.Item:
    """A file of a list."""
    return contents.Item(path, sha256, 4, mode)


def tells(listed: contents.Contents) -> str:
    """Why a list is refused, whether it is checked before it is written or when it is read; nothing where it is not."""
    try:
        check.check(listed, "x")
    except ArchiveError as error:
        with pytest.raises(ArchiveError) as again:
            check.parse(listed.data(), "x")
        reason = str(error)
        assert str(again.value) == reason
        return reason.removeprefix("x: ")
    assert check.parse(listed.data(), "x") == listed
    return ""


NAMES = [
    ("x" * 255, True), ("x" * 256, False), ("é" * 127, True), ("é" * 128, False), ("y" * 256 + "/z", False),
    ("/".join(["p" * 250] * 11) + "/q", True), (".a", True), ("..a", True), ("a..", True), ("...", True), ("a.", True),
    (".", False), ("..", False), ("a/..", False), ("a/.", False), ("a/", False), ("a//b", False), ("a/../b", False),
    (" ", True), ("~", True), ("a\\b", True), ("a:b", True), ("\xa0", True), ("\u2027", True), ("\u202f", True),
    ("\u2065", True), ("\u206a", True), ("\ud7ff", True), ("\ue000", True), ("\U0001f600", True),
    ("\0", False), ("\x1f", False), ("\n", False), ("\x7f", False), ("\x80", False), ("\x9f", False),
    ("\u2028", False), ("\u202e", False), ("\u2066", False), ("\u2069", False), ("a\n", False),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fine"), NAMES)
def test_a_name_is_plain_and_hides_nothing(forge: Forge, name: str, fine: bool) -> None:
    """Of a file, a directory and a link: what some system would take for another path, or not show, is refused."""
    path = f"{forge.out}/{name}"
    for listed in (
        arranged(forge, item(path)),
        arranged(forge, directories=(path,)),
        arranged(forge, links={path: "../" * (name.count("/")) + "metrics.json"}),
    ):
        assert (tells(listed) == "") == fine, tells(listed)[:100]


def test_a_path_may_have_so_many_bytes_and_no_more(forge: Forge) -> None:
    """The directory that it is unpacked into needs some of those that a system takes."""
    for size, fine in ((check.LONGEST_PATH, True), (check.LONGEST_PATH + 1, False)):
        path = f"{forge.out}/" + "é/" * 900
        path += "/".join(["x"] * ((size - len(path.encode())) // 2 - 5)) + "/"
        path += "x" * (size - len(path.encode()))
        assert len(path.encode()) == size
        assert ("too long" in tells(arranged(forge, item(path)))) != fine


@pytest.mark.parametrize("half", [0xD800, 0xDFFF])
def test_half_a_character_is_refused(forge: Forge, half: int) -> None:
    """No disk has such a name, and no tar; a list may."""
    with pytest.raises(ArchiveError, match="control characters"):
        check.check(arranged(forge, item(f"{forge.out}/{chr(half)}")), "x")


@pytest.mark.parametrize(
    ("path", "modes"),
    [
        ("{out}/x", (0o644, 0o755)),
        ("{out}.attempts/x", (0o644, 0o755)),
        ("{capsule}/x", (0o444, 0o555)),
        ("config/generated/rnn/generations/1/x", (0o444, 0o555)),
        ("config/generated/rnn/generations/10/base/x", (0o444, 0o555)),
        ("config/generated/rnn/x", ()),
        ("config/generated/rnn/generations/0/x", ()),
        ("config/generated/rnn/generations/01/x", ()),
        ("config/generated/rnn/generations/2", ()),
        ("config/generated/rnn/generations/x/y", ()),
        ("config/generated/rnn/{id}/x", ()),
        ("config/generated/rnn/{id}/00/x", ()),
        ("config/generated/rnn/{id}/1/x", ()),
        ("config/generated/rnn/{id}x/0/x", ()),
        ("{capsule}x", ()),
        ("{capsule}.attempts/x", ()),
        ("config/generated/rnnx/{id}/0/x", ()),
        ("model/generated/rnn/x", ()),
        ("model/generated/rnn/index.jsonl", ()),
        ("model/generated/rnn/generations/1/x", ()),
        ("model/generated/other/{id}/0/x", ()),
        ("x/model/generated/rnn/{id}/0/x", ()),
        ("resweep-archive.json", ()),
        ("generations/1/x", ()),
        ("attempt.py", ()),
    ],
)
def test_each_place_has_its_modes(forge: Forge, path: str, modes: tuple[int, ...]) -> None:
    """What is written once may not be written to; what stands nowhere in a sweep has no place in an archive."""
    path = path.format(out=forge.out, capsule=forge.capsule, id=forge.capsule.split("/")[-2])
    for mode in (0o444, 0o555, 0o644, 0o755, 0o600, 0o4755, 0o777, 0):
        said = tells(arranged(forge, item(path, mode)))
        assert (said == "") == (mode in modes), (mode, said)
        if mode in (0o444, 0o555, 0o644, 0o755) and not modes:
            assert "lies outside of the sweep rnn and its trials" in said


@pytest.mark.parametrize("sha256", ["0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n", ""])
def test_a_sha256_has_64_digits(forge: Forge, sha256: str) -> None:
    """Small ones, as we write them."""
    assert "expected a sha256" in tells(arranged(forge, item(f"{forge.out}/x", sha256=sha256)))


def test_what_lies_where_is_one_tree(forge: Forge) -> None:
    """Each name stands once, and nothing lies in a file or below a link, on any disk."""
    out = forge.out
    honest = dict.fromkeys([f"{out}/a"], "metrics.json")
    fine = [
        arranged(forge),
        arranged(forge, item(f"{out}/A/x"), item(f"{out}/a/x")),  # files alone lead nowhere
        arranged(forge, links=honest, directories=(f"{out}/b",)),
        arranged(forge, item(f"{out}/d/x"), links={f"{out}/a": "d"}),
        arranged(forge, item(f"{out}/d/e/x"), links={f"{out}/d/a": "e/x", f"{out}/d/e/b": "../../metrics.json"}),
        arranged(forge, links={f"{out}/d/a": "../../../../../../config/generated/rnn/index.jsonl"}),
        arranged(forge, links={f"{out}/a": "b"}, directories=(f"{out}/b",)),
        arranged(forge, links={f"{out}/a": ".."}),
    ]
    assert [tells(each) for each in fine] == [""] * len(fine)
    for listed, says in (
        (arranged(forge, item(f"{out}/x"), item(f"{out}/x", sha256="1" * 64)), "is there twice"),
        (arranged(forge, item(f"{out}/x"), directories=(f"{out}/x",)), "is there twice"),
        (arranged(forge, item(f"{out}/a"), links=honest), "is there twice"),
        (arranged(forge, links=honest, directories=(f"{out}/a",)), "is there twice"),
        (arranged(forge, directories=(f"{out}/x", f"{out}/x")), "is there twice"),
        (arranged(forge, item(f"{out}/x"), item(f"{out}/x/y")), "which is not a directory"),
        (arranged(forge, item(f"{out}/x"), directories=(f"{out}/x/y",)), "which is not a directory"),
        (arranged(forge, item(f"{out}/x"), links={f"{out}/x/y": "../x"}), "which is not a directory"),
        (arranged(forge, item(f"{out}/a/y"), links=honest), "which is not a directory"),
        (arranged(forge, item(f"{out}/A/y/z"), links=honest), "which is not a directory"),
        (arranged(forge, item(f"{out}/ß/y"), links={f"{out}/SS": "metrics.json"}), "which is not a directory"),
        (
            arranged(forge, item(f"{out}/\u00e9/y"), links={f"{out}/e\u0301": "metrics.json"}),
            "which is not a directory",
        ),
        (arranged(forge, item(f"{out}/A"), links=honest), "some disks take for one"),
        (arranged(forge, directories=(f"{out}/A",), links=honest), "some disks take for one"),
        (arranged(forge, links={**honest, f"{out}/A": "metrics.json"}), "some disks take for one"),
        (arranged(forge, links={f"{out}/a": "nothing"}), "a symbolic link to 'nothing'"),
        (arranged(forge, links={f"{out}/a": "metrics.json/x"}), "a symbolic link to"),
        (arranged(forge, links={f"{out}/a": "b", f"{out}/b": "metrics.json"}), "a symbolic link to 'b'"),
        (arranged(forge, links={f"{out}/a": "../../../../.."}), "a symbolic link to"),
        (arranged(forge, links={f"{out}/a": "../../../../../x"}), "a symbolic link to"),
        (arranged(forge, without="/index.jsonl"), "found no index.jsonl in front"),
        (arranged(forge, without="/manifest.json"), "is listed without its manifest.json"),
        (replace(arranged(forge), sweep="../x"), "NAME: found"),
        (replace(arranged(forge), outputs="some"), "outputs: found 'some', expected one of none, metrics, all"),
        (replace(arranged(forge), files=()), "found no index.jsonl in front"),
        (
            replace(arranged(forge), files=(*arranged(forge).files, contents.File((), "0" * 64, 1, 0o644))),
            "a file without a name",
        ),
    ):
        assert says in tells(listed), (says, tells(listed))


@pytest.mark.parametrize(
    ("path", "target", "leads"),
    [
        ("a/b/c", "x", "a/b/x"), ("a/b/c", "x/y", "a/b/x/y"), ("a/b/c", "../x", "a/x"), ("a/b/c", "../../x", "x"),
        ("a/b/c", "../../../x", None), ("a/b/c", "..", "a"), ("a/b/c", "../..", ""), ("a/b/c", "../../..", None),
        ("a/b/c", "x/..", None), ("a/b/c", "../x/../y", None), ("a/b/c", "./x", None), ("a/b/c", "x/.", None),
        ("a/b/c", ".", None), ("a/b/c", "", None), ("a/b/c", "/x", None), ("a/b/c", "x//y", None),
        ("a/b/c", "x/", None),
        ("a", "b", "b"), ("a", "../b", None), ("a", "...", "..."), ("a/b", "..x", "a/..x"),
    ],
)  # fmt: skip
def test_where_a_link_leads(path: str, target: str, leads: str | None) -> None:
    """Up first, then down, and never above the root: anything else leads nowhere that we know."""
    assert check.leads_to(path, target) == leads


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.update(outputs=1),
        lambda t: t.update(sweep=1),
        lambda t: t.update(trials=[1]),
        lambda t: t.update(trials=["x"]),
        lambda t: t.update(trials=["x/y"]),
        lambda t: t.update(trials=["x/0/0"]),
        lambda t: t.update(directories=[1]),
        lambda t: t.update(links=[["a"]]),
        lambda t: t.update(links=[["a", 1]]),
        lambda t: t.update(links=[["a", "b", "c"]]),
        lambda t: t.update(links=1),
        lambda t: t["files"][1].update(paths=[1]),
        lambda t: t["files"][1].update(sha256=1),
        lambda t: t["files"][1].update(size="1"),
        lambda t: t["files"][1].update(size=1.0),
        lambda t: t["files"][1].update(size=float("inf")),
        lambda t: t["files"][1].update(size=-1),
        lambda t: t["files"][1].update(size=True),
        lambda t: t["files"][1].update(mode=0o644),
        lambda t: t["files"][1].update(mode="rw"),
        lambda t: t["files"][1].pop("mode"),
        lambda t: t.pop("links"),
        lambda t: t.update(kind="resweep sweep"),
        lambda t: t.pop("kind"),
        lambda t: t.pop("format"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_no_list(forge: Forge, change: Callable[[Table], object]) -> None:
    """Whatever stands where something else should, it is one line and no traceback."""
    change(forge.table)
    data = (json.dumps({**forge.table, "checksum": layout.digest(forge.table)}, indent=2) + "\n").encode()
    with pytest.raises(ArchiveError, match="found no list of an archive's files; damaged, or not ours"):
        check.parse(data, "x")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data + b"\n", "is not written as resweep writes it"),
        (lambda data: data.rstrip(), "is not written as resweep writes it"),
        (lambda data: b" " + data, "is not written as resweep writes it"),
        (lambda data: data.replace(b'"0444"', b'"444"'), "its checksum"),
        (lambda data: data.replace(b'"outputs": "metrics"', b'"outputs": "all"'), "its checksum"),
        (lambda data: data.replace(b'"checksum"', b'"checksun"'), "its checksum"),
        (lambda data: data.replace(b'"sweep": "rnn"', b'"sweep": "x",\n  "sweep": "rnn"'), "is not written as resweep"),
    ],
)
def test_a_list_is_what_was_written_to_the_byte(forge: Forge, change: Callable[[bytes], bytes], says: str) -> None:
    """Other spaces and a key twice say the same to most programs, and are refused all the same."""
    data = forge.data()
    assert change(data) != data
    with pytest.raises(ArchiveError, match=says):
        check.parse(change(data), "x")


def test_a_list_that_is_sealed_in_another_form_is_refused(forge: Forge) -> None:
    """Modes without their zero, files that should be one, and a file's names in another order."""
    each = forge.file("/metrics.json")
    each["mode"] = "644"
    with pytest.raises(ArchiveError, match="is not written as resweep writes it"):
        check.parse(forge.data(), "x")
    each["mode"] = "0o644"
    with pytest.raises(ArchiveError, match="is not written as resweep writes it"):
        check.parse(forge.data(), "x")
    each["mode"] = "0644"
    shared = next(each for each in forge.table["files"] if len(each["paths"]) > 1)
    shared["paths"].reverse()
    with pytest.raises(ArchiveError, match="is not written as resweep writes it"):
        check.parse(forge.data(), "x")
    shared["paths"].reverse()
    forge.table["files"].insert(forge.table["files"].index(shared), {**shared, "paths": [shared["paths"].pop(0)]})
    with pytest.raises(ArchiveError, match="is not written as resweep writes it"):
        check.parse(forge.data(), "x")


def with_tarfile(forge: Forge, add: Callable[[tarfile.TarFile], object], first: bool = False) -> None:
    """The honest members, and others that the standard library writes, before or behind them."""
    extra = io.BytesIO()
    with tarfile.open(fileobj=extra, mode="w", format=tarfile.PAX_FORMAT) as file:
        add(file)
    blocks = extra.getvalue().rstrip(b"\0")
    blocks += tar.padding(len(blocks))
    members = forge.members()
    forge.write([blocks, *members] if first else [*members[:-1], blocks, members[-1]])


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", data: bytes = b"") -> Callable[[Any], object]:
    """A member that `with_tarfile` adds."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, target, len(data), 0o4755
    info.mtime = tar.TIME
    return lambda file: file.addfile(info, io.BytesIO(data))


UNLISTED: dict[str, tuple[Callable[[Any], object], str]] = {
    "a file that is not listed": (member("config/x", data=b"evil"), "found the file 'config/x'"),
    "an absolute path that is not listed": (member("/tmp/evil", data=b"evil"), "found the file '/tmp/evil'"),
    "a symbolic link that is not listed": (member("a", tarfile.SYMTYPE, "/etc"), "symbolic link 'a' to '/etc'"),
    "a hard link that is not listed": (member("a", tarfile.LNKTYPE, "/etc/passwd"), "found the hard link 'a' to"),
    "a character device": (member("a", tarfile.CHRTYPE), "found the character device 'a'"),
    "a block device": (member("a", tarfile.BLKTYPE), "found the block device 'a'"),
    "a fifo": (member("a", tarfile.FIFOTYPE), "found the fifo 'a'"),
    "a sparse file": (member("a", tarfile.GNUTYPE_SPARSE), "found the member of kind b'S'"),
    "a long name": (member("a" * 300, data=b"evil"), "found the member of kind b'x'"),
    "a terminal's words": (member("\x1b[2J", data=b"evil"), "found the file '\\x1b[2J'"),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNLISTED)
@pytest.mark.parametrize("first", [False, True])
def test_a_member_that_the_list_does_not_have_is_refused(forge: Forge, kind: str, first: bool) -> None:
    """Whatever else a tar file can hold, before the list or behind it, is a difference from what was expected."""
    add, says = UNLISTED[kind]
    with_tarfile(forge, add, first)
    refused(forge, says)


def test_a_member_that_is_another_than_the_list_has_is_refused(forge: Forge) -> None:
    """A file of the list that is a link in the archive, a member that is missing or twice."""
    members = forge.members()
    at = next(i for i, part in enumerate(members) if b"/metrics.json\0" in part and len(part) == tar.BLOCK)
    link = tar.header(f"{forge.out}/metrics.json", tar.SYMBOLIC_LINK, mode=0o777, target="/etc/passwd")
    forge.write([*members[:at], link, *members[at + 3 :]])
    refused(forge, "found the symbolic link", "to '/etc/passwd'", "metrics.json")
    forge.write([*members[:at], *members[at + 3 :]])
    refused(forge, "where its list has", "metrics.json")
    forge.write([*members[: at + 3], *members[at:]])
    refused(forge, "found the file", "metrics.json")


def test_other_bytes_than_the_list_has_are_refused(forge: Forge) -> None:
    """The file is named whose sha256 is another, or whose size is."""
    path = f"{forge.out}/metrics.json"
    data = forge.bytes[path]
    forge.bytes[path] = data.swapcase()
    forge.write()
    refused(forge, "metrics.json")
    forge.bytes[path] = data + bytes(600)
    forge.write()
    refused(forge, "metrics.json")


def test_a_shared_file_with_other_bytes_names_its_trial(forge: Forge) -> None:
    """Verify names a member that changed though the compression's own checksums fit."""
    each = forge.file("train.sh")
    forge.bytes[each["paths"][0]] = forge.bytes[each["paths"][0]].swapcase()
    forge.write()
    refused(forge, "train.sh")


def test_a_capsule_that_was_forged_with_the_list_is_named(forge: Forge, swept: Project) -> None:
    """An archive whose list fits is held against the manifests of its capsules, too."""
    each = forge.file("/manifest.json")
    data = forge.bytes[each["paths"][0]].replace(b'"seed": 0', b'"seed": 1')
    forge.bytes[each["paths"][0]] = data
    each.update(sha256=hashlib.sha256(data).hexdigest())
    forge.write()
    result = swept.resweep("verify", str(forge.path))
    assert result.status == 1
    assert "manifest.json: changed (its checksum is not that of its content)" in result.out


def entry(**values: object) -> Callable[[str], str]:
    """A change of an index: its first trial has other values."""

    def change(text: str) -> str:
        header, first, *rest = text.splitlines()
        return "\n".join((header, json.dumps({**json.loads(first), **values}), *rest)) + "\n"

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"number": 1', '"number": "1"'),
        lambda text: text.replace('"id": "', '"id": "../'),
        lambda text: text.replace('"trial": 0', '"trial": 1'),
        lambda text: text + text.splitlines()[1] + "\n",
        lambda text: text.splitlines()[0] + "\n",
        lambda text: text.replace('"swept": {', '"swept": [{').replace("}, \"gen", "}], \"gen"),
        lambda text: text.replace('"format": 1', '"format": 2'),
        lambda text: text.replace('"generation": 1}', '"generation": 1, "last": 1e99}', 1),
        lambda text: text.replace('"generation": 1}', '"generation": -1}', 1),
        lambda text: text.replace('"generation": 1}', '"generation": true}', 1),
        *(
            entry(**{key: value})
            for key, values in {
                "number": (-1, True, 1.0, None),
                "generation": (-1, False, "1"),
                "trial": (False, 1),
                "id": (1, None),
                "digest": (1,),
                "point": (None,),
                "source": ([],),
                "swept": ([], "x"),
                "current": ("no", 1),
                "path": ("x",),
            }.items()
            for value in values
        ),
        lambda text: "nonsense",
        lambda text: "\xff",
        lambda text: text + "[" * 100_000 + "\n",
    ],
)  # fmt: skip
def test_an_index_of_other_trials_is_refused(forge: Forge, change: Callable[[str], str]) -> None:
    """Commands make paths of what an index says, so that it must say what the list says."""
    each = forge.file(contents.INDEX)
    data = change(forge.bytes[each["paths"][0]].decode()).encode("latin-1")
    forge.bytes[each["paths"][0]] = data
    each.update(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    forge.write()
    refused(forge, contents.INDEX)


@pytest.mark.parametrize("other", ["{id}/0", "aaaaaaaaaaaa/0", "../0", "x/7"])
def test_a_trial_that_is_listed_and_not_there_is_refused(forge: Forge, other: str) -> None:
    """Twice the same, without a capsule, or with a name that leads out, though list and index agree on it."""
    known = forge.table["trials"][0]
    name = other.format(id=known.split("/")[0])
    forge.table["trials"] = sorted([known, name])
    each = forge.file(contents.INDEX)
    header, line = forge.bytes[each["paths"][0]].decode().splitlines()
    entry = json.loads(line)
    id_, number = name.split("/")
    more = json.dumps({**entry, "number": 2, "id": id_, "trial": int(number)})
    data = f"{header}\n{line}\n{more}\n".encode()
    forge.bytes[each["paths"][0]] = data
    each.update(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    forge.write()
    refused(forge, "is listed twice" if name == known else "is listed without its manifest.json")


def test_a_number_that_two_trials_have_is_refused(swept: Project, tmp_path: Path) -> None:
    """What people call rnn#1 is one trial."""
    swept.resweep("pack", "rnn#1-2", "--outputs", "none", "-o", str(tmp_path / "honest.tar.gz")).ok()
    forge = Forge(tmp_path, (tmp_path / "honest.tar.gz").read_bytes())
    each = forge.file(contents.INDEX)
    data = forge.bytes[each["paths"][0]].replace(b'"number": 2', b'"number": 1')
    forge.bytes[each["paths"][0]] = data
    each.update(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    forge.write()
    refused(forge, contents.INDEX)


def test_an_index_with_another_trials_digest_is_named(forge: Forge, swept: Project) -> None:
    """What the index says of a trial is held against its capsule."""
    each = forge.file(contents.INDEX)
    data = forge.bytes[each["paths"][0]].replace(swept.entries()[0].digest.encode(), b"0" * 64)
    forge.bytes[each["paths"][0]] = data
    each.update(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    result = swept.resweep("verify", str(forge.write()))
    assert (result.status, result.out.count("index.jsonl: changed (its digest of")) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("form", stream.FORMATS, ids=lambda form: form.suffixes[0])
def test_a_bomb_is_refused_before_anything_is_written(forge: Forge, form: stream.Format) -> None:
    """A list that says how big it is, is refused for that; one that does not, when more comes than it says."""
    size = 1 << 28
    zeros = [bytes(1 << 20)] * (size >> 20)
    sha256 = hashlib.sha256(b"".join(zeros)).hexdigest()
    members = forge.members()
    forge.write([*members[:-1], *zeros, tar.END], form)
    refused(forge, "something follows the end of the archive")
    each = forge.file("/metrics.json")
    each.update(size=size, sha256=sha256)
    forge.bytes[each["paths"][0]] = b""
    members = forge.members()
    at = next(i for i, part in enumerate(members) if b"/metrics.json\0" in part and len(part) == tar.BLOCK)
    forge.write([*members[: at + 1], *zeros, *members[at + 1 :]], form)
    assert forge.path.stat().st_size < size / 500
    project = Project.__new__(Project)
    project.root = forge.home
    result = project.resweep("unpack", str(forge.path), "there", "--limit", "0.1")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "expected at most 100,000,000; --limit allows more" in result.err
    assert not list(forge.home.glob("*there*"))
    project.resweep("unpack", str(forge.path), "there", "--limit", "0.4").ok()


def test_more_than_the_disk_has_is_refused(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is said before anything is written."""
    listed = check.parse(forge.data(), "x")
    size = listed.size + 512 * (len(listed.items) + len(listed.links) + len(listed.directories))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, size))  # type: ignore[attr-defined]
    unpacking.unpack(forge.home / "honest.tar.gz", forge.home / "fits")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0))  # type: ignore[attr-defined]
    project = Project.__new__(Project)
    project.root = forge.home
    result = project.resweep("unpack", str(forge.home / "honest.tar.gz"), "there")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "and 0 are left" in result.err


def test_the_last_block_of_a_file_ends_in_zeros(forge: Forge) -> None:
    """Nothing hides behind a member's content: neither behind the list's nor behind a file's."""
    members = forge.members()
    paddings = [n for n, part in enumerate(members) if part and len(part) < tar.BLOCK and not part.strip(b"\0")]
    for at in (paddings[0], paddings[-1]):
        forge.write([*members[:at], members[at][:-1] + b"x", *members[at + 1 :]])
        refused(forge, "the last block is not filled with zeros")


def test_an_archive_ends_with_two_blocks_of_zeros(forge: Forge) -> None:
    """One, or three, or others, and it is refused."""
    members = forge.members()[:-1]
    for end in (b"", bytes(512), bytes(1536), bytes(512) + b"x" * 512):
        forge.write([*members, end])
        refused(forge, "its end")


def test_each_kind_of_member_is_compared(forge: Forge) -> None:
    """A directory, a hard link and a symbolic link that are not, or otherwise than, in the list."""
    forge.table["directories"] = [f"{forge.out}/empty"]
    members = forge.members()
    for at, part in enumerate(members):
        if len(part) != tar.BLOCK or part[156:157] not in (tar.HARD_LINK, tar.SYMBOLIC_LINK, tar.DIRECTORY):
            continue
        path = part[:100].rstrip(b"\0").decode()
        for other in (b"", tar.header(path, part[156:157], mode=0o700, target="/etc"), tar.header(path)):
            forge.write([*members[:at], other, *members[at + 1 :]])
            refused(forge, path.rstrip("/"))
    assert {part[156:157] for part in members if len(part) == tar.BLOCK} >= {b"1", b"2", b"5"}


def test_the_index_has_the_bytes_of_the_list(forge: Forge) -> None:
    """It is read before everything else, and no less checked."""
    path = forge.file(contents.INDEX)["paths"][0]
    forge.bytes[path] = forge.bytes[path].replace(b"0.1", b"0.2")
    forge.write()
    refused(forge, "index.jsonl: its sha256 is not the one in the list")


def test_where_an_archive_is_damaged_is_said(forge: Forge) -> None:
    """By the last member that was whole."""
    members = forge.members()
    at = next(i for i, part in enumerate(members) if b"/metrics.json\0" in part and len(part) == tar.BLOCK)
    forge.write(members[: at + 1])
    refused(forge, f"damaged at or after {forge.out}/metrics.json: the archive ends too early")
    forge.write(members[:1])
    refused(forge, "damaged at or after resweep-archive.json: the archive ends too early")
    forge.write([b"", *members[:0], bytes(10)])
    refused(forge, "damaged at or after its beginning: the archive ends too early")


def test_a_large_file_is_read_in_pieces(forge: Forge) -> None:
    """One byte less, or more, than what is read at once."""
    for n, size in enumerate(((1 << 20) - 1, 1 << 20, (1 << 20) + 1)):
        forge.add(f"{forge.out}/{n}", bytes(size))
    forge.sort()
    unpacking.unpack(forge.write(), forge.home / "there")
    assert [(forge.home / "there" / forge.out / str(n)).stat().st_size - (1 << 20) for n in range(3)] == [-1, 0, 1]
    assert inspect.verify(forge.path).differences == []


def test_archives_are_read_in_pieces_of_any_size(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list or an index that is larger than what is read at once is put together as it was."""
    for size in (100, 512, 1000, 4096):
        monkeypatch.setattr(reading, "_CHUNK", size)
        assert inspect.verify(forge.write()) == verify.Report(1, [], {})


def test_what_is_unpacked_has_the_modes_and_the_time_of_the_list(forge: Forge) -> None:
    """Whatever the person's umask is; directories are as theirs are."""
    before = os.umask(0o077)
    try:
        unpacking.unpack(forge.home / "honest.tar.gz", forge.home / "there")
    finally:
        os.umask(before)
    for item_ in arranged(forge).items:
        found = (forge.home / "there" / item_.path).lstat()
        assert (found.st_mode & 0o7777, found.st_mtime, found.st_size) == (item_.mode, tar.TIME, item_.size)
    assert (forge.home / "there" / "config").stat().st_mode & 0o777 == 0o700


def test_a_limit_is_of_everything_that_is_written(forge: Forge) -> None:
    """A file's bytes, and a block for each name, so that a million empty files are not free."""
    listed = check.parse(forge.data(), "x")
    names = len(listed.items) + len(listed.links) + len(listed.directories)
    size = sum(each.size for each in listed.files) + names * 512
    with pytest.raises(ArchiveError, match="would take"):
        unpacking.unpack(forge.home / "honest.tar.gz", forge.home / "there", limit=size - 1)
    assert not (forge.home / "there").exists()
    unpacking.unpack(forge.home / "honest.tar.gz", forge.home / "there", limit=size)
    assert unpacking.LARGEST == 100_000_000_000


def test_nothing_is_written_through_what_is_there(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk that takes two names for one, a file that is there already stops unpacking, and nothing is left."""
    real = os.open

    def one_name(path: Any, *more: Any, **words: Any) -> int:
        return real(str(path).replace("/METRICS.json", "/metrics.json"), *more, **words)

    forge.add(f"{forge.out}/METRICS.json")
    forge.sort()
    forge.write()
    monkeypatch.setattr(os, "open", one_name)
    with pytest.raises(FileExistsError):
        unpacking.unpack(forge.path, forge.home / "there")
    assert sorted(path.name for path in forge.home.iterdir()) == ["evil.tar.gz", "honest.tar.gz"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_disk_that_refuses_links_for_another_reason_says_so(
    forge: Forge, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Only where links are not to be had are files copied."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    shared = [each for each in check.parse(forge.data(), "x").files if len(each.paths) > 1]
    assert shared
    with pytest.raises(OSError, match=os.strerror(number)):
        unpacking.unpack(forge.home / "honest.tar.gz", forge.home / "there")
    assert [path.name for path in forge.home.iterdir()] == ["honest.tar.gz"]


@pytest.mark.parametrize("number", [errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.ENOTDIR])
def test_a_directory_that_was_filled_meanwhile_stays(
    forge: Forge, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Somebody else was faster: one line, and nothing of ours is left."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(TrialError, match=r"cannot be replaced .*; nothing was unpacked"):
        unpacking.unpack(forge.home / "honest.tar.gz", forge.home / "there")
    assert [path.name for path in forge.home.iterdir()] == ["honest.tar.gz"]


def test_a_rename_that_fails_is_told_as_it_is(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is gone is not a directory that is in the way."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        unpacking.unpack(forge.home / "honest.tar.gz", forge.home / "there")


def put(forge: Forge, path: str, data: bytes) -> None:
    """Give a file other bytes, and the list their sha256."""
    each = forge.file(path)
    if len(each["paths"]) > 1:  # from here on a file of its own
        each["paths"].remove(path)
        each = {**each, "paths": [path]}
        forge.table["files"].append(each)
    forge.bytes[path] = data
    each.update(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def drop(forge: Forge, path: str) -> None:
    """Leave a file out of the list, and out of the archive."""
    each = forge.file(path)
    data = forge.bytes[each["paths"][0]]
    each["paths"].remove(path)
    if each["paths"]:
        forge.bytes[each["paths"][0]] = data
    else:
        forge.table["files"].remove(each)


CAPSULE: dict[str, tuple[Callable[[Forge, str], object], set[tuple[str, str]]]] = {
    "a file more": (lambda f, c: f.add(f"{c}/qb/json.py", mode="0444"), {("qb/json.py", "added")}),
    "a file more in a directory more": (
        lambda f, c: f.add(f"{c}/json/x.py", mode="0444"), {("json", "added"), ("json/x.py", "added")}
    ),
    "a file less": (lambda f, c: drop(f, f"{c}/train.sh"), {("train.sh", "missing")}),
    "a directory less": (
        lambda f, c: (drop(f, f"{c}/qb/main.py"), drop(f, f"{c}/qb/__init__.py")),
        {("qb/main.py", "missing"), ("qb/__init__.py", "missing")},
    ),
    "other bytes": (lambda f, c: put(f, f"{c}/qb/main.py", b"evil"), {("qb/main.py", "changed")}),
    "a configuration of other bytes": (lambda f, c: put(f, f"{c}/{c[-14:-2]}.toml", b""), {("{id}.toml", "changed")}),
    "a template of other bytes": (lambda f, c: put(f, f"{c}/{c[-14:-2]}.json", b"{}"), {("{id}.json", "changed")}),
    "a provenance of other bytes": (
        lambda f, c: put(f, f"{c}/provenance.json", b"[]"),
        {("provenance.json", "changed"), ("environment.json", "added")},
    ),
    "no provenance": (lambda f, c: drop(f, f"{c}/provenance.json"), {("provenance.json", "missing")}),
    "no environment": (lambda f, c: drop(f, f"{c}/environment.json"), {("environment.json", "missing")}),
    "a manifest of other bytes": (lambda f, c: put(f, f"{c}/manifest.json", b"[]"), {("manifest.json", "changed")}),
    "a file that may be executed": (
        lambda f, c: (
            data := f.bytes[f.file(f"{c}/qb/main.py")["paths"][0]],
            drop(f, f"{c}/qb/main.py"),
            f.add(f"{c}/qb/main.py", data, mode="0555"),
        ),
        {("qb/main.py", "changed")},
    ),
    "a directory in place of a file": (
        lambda f, c: (drop(f, f"{c}/train.sh"), f.add(f"{c}/train.sh/x", mode="0444")),
        {("train.sh", "changed"), ("train.sh/x", "added")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CAPSULE)
def test_a_capsule_in_an_archive_is_checked_as_one_on_the_disk(forge: Forge, kind: str) -> None:
    """Though the archive's own list fits it: verify names the same in the archive and where it was unpacked."""
    change, expected = CAPSULE[kind]
    change(forge, forge.capsule)
    forge.sort()
    name = forge.table["trials"][0]
    found = inspect.verify(forge.write()).differences
    assert {each.where for each in found} == {f"rnn/{name}"}
    assert {(each.path, each.kind) for each in found} == {(p.format(id=name[:12]), k) for p, k in expected}
    unpacking.unpack(forge.path, forge.home / "there")
    again = verify.capsule(forge.home / "there" / forge.capsule, verify.Cache())
    assert [(e.where, e.path, e.kind, e.detail) for e in again] == [(e.where, e.path, e.kind, e.detail) for e in found]


@pytest.mark.parametrize(
    "name", ["train.sh", "qb/main.py", "manifest.json", "provenance.json", "environment.json", "{id}.toml"]
)
def test_a_file_with_other_bytes_than_listed_is_named_once(forge: Forge, name: str) -> None:
    """By each of its names in the archive; that its capsule has changed with it goes without saying."""
    path = f"{forge.capsule}/{name.format(id=forge.capsule[-14:-2])}"
    each = forge.file(path)
    forge.bytes[each["paths"][0]] = forge.bytes[each["paths"][0]][:-1] + b"~"
    report = inspect.verify(forge.write())
    assert {(e.where, e.path, e.kind) for e in report.differences if e.where == str(forge.path)} == {
        (str(forge.path), path, "changed") for path in each["paths"]
    }
    assert len({e.file for e in report.differences if e.where == str(forge.path)}) == 1
    assert path not in {f"config/generated/{e.where}/{e.path}" for e in report.differences}
    assert report.capsules == 1
    with pytest.raises(ArchiveError, match="its sha256 is not the one in the list"):
        unpacking.unpack(forge.path, forge.home / "there")


def test_what_was_found_before_the_damage_is_told_with_it(forge: Forge) -> None:
    """An archive that is cut has what stands before the cut."""
    path = forge.file("config/generated/rnn/attempt.py")["paths"][0]
    forge.bytes[path] = forge.bytes[path].swapcase()
    report = inspect.verify(forge.write([*forge.members()[:-1]]))
    assert [(e.where, e.path, e.kind) for e in report.differences] == [
        (str(forge.path), path, "changed"),
        (str(forge.path), "", "damaged"),
    ]
    assert report.differences[1].detail.startswith("damaged at or after ")
    assert report.capsules == 1
    forge.path.write_bytes(b"nothing")
    report = inspect.verify(forge.path)
    assert (report.capsules, len(report.differences)) == (0, 1)
    assert report.differences[0].detail.startswith("found no .tar.zst")


def test_only_what_is_wanted_is_read(forge: Forge, swept: Project, tmp_path: Path) -> None:
    """What follows the wanted trial may be damaged; what comes before it may not, and says so."""
    swept.resweep("pack", "rnn", "--outputs", "none", "-o", str(tmp_path / "four.tar.gz")).ok()
    four = Forge(tmp_path, (tmp_path / "four.tar.gz").read_bytes())
    first, *_, last = four.table["trials"]
    entries = {str(entry.name): entry.number for entry in swept.entries()}

    def change(name: str) -> None:
        path = f"config/generated/rnn/{name}/manifest.json"
        four.bytes[path] = four.bytes[path].swapcase()
        four.write()

    kept = dict(four.bytes)
    change(last)
    unpacking.unpack(four.path, tmp_path / "first", [f"rnn#{entries[first]}"])
    assert verify.copies([tmp_path / "first" / "config" / "generated" / "rnn" / first]).differences == []
    for only in ([f"rnn#{entries[last]}"], []):
        with pytest.raises(ArchiveError, match=r"manifest\.json: its sha256 is not the one in the list"):
            unpacking.unpack(four.path, tmp_path / "there", only)
    four.bytes = kept
    change(first)
    with pytest.raises(ArchiveError, match=r"manifest\.json: its sha256 is not the one in the list"):
        unpacking.unpack(four.path, tmp_path / "there", [f"rnn#{entries[last]}"])
    assert not list(tmp_path.glob("*there*"))
    found = inspect.verify(four.path)
    assert (found.capsules, [(e.where, e.path, e.kind) for e in found.differences]) == (
        4,
        [(str(four.path), f"config/generated/rnn/{first}/manifest.json", "changed")],
    )


def test_a_huge_list_is_refused_unread(forge: Forge) -> None:
    """The size of the list is looked at before it is read."""
    assert reading.LARGEST_LIST == 1 << 28
    size = len(forge.data())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "LARGEST_LIST", size)
        unpacking.unpack(forge.write(), forge.home / "there")
        shutil.rmtree(forge.home / "there")
        patch.setattr(reading, "LARGEST_LIST", size - 1)
        refused(forge, f"resweep-archive.json has {size:,} bytes, expected at most {size - 1:,}")
    forge.write([tar.header(contents.NAME, size=1 << 29), bytes(1 << 20)])
    refused(forge, "expected at most")


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"nonsense", b'{"kind": 1}', b"\xff", b"9" * 5000, b"[" * 100_000])
def test_a_list_that_is_none_is_refused(forge: Forge, data: bytes) -> None:
    """Text, numbers, bytes and brackets."""
    forge.write([tar.header(contents.NAME, size=len(data)), data, tar.padding(len(data)), tar.END])
    refused(forge, "found no list of an archive's files")


def test_a_list_that_is_not_first_is_refused(forge: Forge) -> None:
    """An archive of somebody else's, and ours with its members in another order."""
    members = forge.members()
    forge.write([*members[3:-1], *members[:3], members[-1]])
    refused(forge, f"expected {contents.NAME}")


@pytest.mark.parametrize(
    "data", [b"", b"x", b"PK\x03\x04" + bytes(100), b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08\x00", bytes(9999)]
)
def test_what_is_no_archive_is_refused(forge: Forge, data: bytes) -> None:
    """Nothing, a zip file, zeros, the first bytes of a stream."""
    forge.path.write_bytes(data)
    refused(forge)


def test_a_second_stream_is_refused(forge: Forge) -> None:
    """What other programs would take for more of the archive is refused, though the sha256 at the end fits."""
    with open(forge.home / "honest.tar.gz", "rb") as file:
        data = file.read()
    inner = data[:-58] * 2
    forge.path.write_bytes(inner + stream.FORMATS[1].trailer(hashlib.sha256(inner).digest()))
    refused(forge, "something follows the end of the archive")


@pytest.mark.parametrize("word", ["TERM", "INT"])
def test_nothing_is_half_unpacked_when_it_is_ended(forge: Forge, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    """A TERM, as Slurm sends one, and Ctrl-C leave no directory behind."""
    before = sorted(forge.home.iterdir())
    number = signal.Signals[f"SIG{word}"]
    monkeypatch.setattr("resweep.proof.archive.unpack.flush", lambda _: os.kill(os.getpid(), number))
    project = Project.__new__(Project)
    project.root = forge.home
    assert project.resweep("unpack", "honest.tar.gz", "there").status == 128 + number
    assert sorted(forge.home.iterdir()) == before


@pytest.mark.parametrize("only", [False, True])
def test_nothing_is_half_unpacked_when_the_disk_fails(
    forge: Forge, monkeypatch: pytest.MonkeyPatch, only: bool
) -> None:
    """A disk that fills up leaves no directory behind."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = sorted(forge.home.iterdir())
    monkeypatch.setattr("resweep.proof.archive.unpack.flush", full)
    project = Project.__new__(Project)
    project.root = forge.home
    words = ["--only", "rnn#1"] if only else []
    result = project.resweep("unpack", "honest.tar.gz", "there", *words)
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert sorted(forge.home.iterdir()) == before
