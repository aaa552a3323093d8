"""Archives that somebody made to do harm: each is refused with one line, and nothing of it is left anywhere."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from launched import Trial
from small_project import Project

from resweep import trial
from resweep.proof import contents, stream, tar
from resweep.proof import unpack as unpacking
from resweep.proof.reading import Archive

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
        return next(each for each in self.table["files"] if each["paths"][0].endswith(end))

    def data(self) -> bytes:
        """The list, with a checksum that fits."""
        return (trial.pretty(trial.sealed(self.table)) + "\n").encode()

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
    return Forge(tmp_path, _HONEST[0])


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
    "a file beside the sweep": (lambda f: f.add("setup.py"), "lies outside of the sweep"),
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
    "a file in a file": (lambda f: f.add(f"{f.out}/metrics.json/x"), "which is no directory"),
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
        "which is no directory",
    ),
    "a link whose name some disks take for a directory": (
        lambda f: (f.add(f"{f.out}/a/x"), f.table["links"].append([f"{f.out}/A", "../0"])),
        "which is no directory",
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
    ],
)  # fmt: skip
def test_an_index_of_other_trials_is_refused(forge: Forge, change: Callable[[str], str]) -> None:
    """Commands make paths of what an index says, so that it must say what the list says."""
    each = forge.file(contents.INDEX)
    data = change(forge.bytes[each["paths"][0]].decode()).encode()
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
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0))  # type: ignore[attr-defined]
    project = Project.__new__(Project)
    project.root = forge.home
    result = project.resweep("unpack", str(forge.home / "honest.tar.gz"), "there")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "and 0 are left" in result.err


def test_a_huge_list_is_refused_unread(forge: Forge) -> None:
    """The size of the list is looked at before it is read."""
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
    monkeypatch.setattr("resweep.proof.unpack.flush", lambda _: os.kill(os.getpid(), number))
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
    monkeypatch.setattr("resweep.proof.unpack.flush", full)
    project = Project.__new__(Project)
    project.root = forge.home
    words = ["--only", "rnn#1"] if only else []
    result = project.resweep("unpack", "honest.tar.gz", "there", *words)
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert sorted(forge.home.iterdir()) == before
