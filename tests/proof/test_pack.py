"""`resweep pack` and `unpack`: what comes out is what went in, and the bytes in between depend on nothing else.

Code: proof/archive/, cli/pack, cli/unpack
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import os
import random
import resource
import shutil
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from launched import Trial, until
from small_project import SWEEP, Project

from resweep import index
from resweep.errors import ArchiveError, ResweepError
from resweep.layout import TrialName
from resweep.proof import check
from resweep.proof.archive import contents, inspect, stream, tar, write
from resweep.proof.archive.reading import Archive
from resweep.proof.archive.unpack import unpack
from resweep.proof.verify import Report

SUFFIXES = [".tar.zst", ".tar.gz", ".tar.xz"]
RUN = """
mkdir -p "$out/log/train" "$out/deep"; cd "$out"
echo '{"best_validation_accuracy": 0.5}' > metrics.json; echo weights > best.th; ln -s best.th latest.th
echo events > log/train/events.out.tfevents.1.host; ln -s /etc/passwd outside; mkfifo pipe; chmod 755 best.th
"""
same_project = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


_RAN: list[Path] = []


@pytest.fixture
def ran(request: pytest.FixtureRequest, project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A sweep whose first trial has finished, whose second has failed, and whose others wait: run once for all."""
    if _RAN:
        subprocess.run(["cp", "-a", f"{_RAN[0]}/.", project.root], check=True)
        return project
    swept: Project = request.getfixturevalue("swept")
    for number, ending in ((1, "exit 0"), (2, "exit 1")):
        trial = Trial(swept, number)
        script = (trial.capsule / "train.sh").read_text()
        trial.train(RUN + ending)
        trial.launch()
        trial.change("train.sh", script)
        (trial.capsule / "train.sh").chmod(0o555)
    _RAN.append(tmp_path_factory.mktemp("ran"))
    subprocess.run(["cp", "-a", f"{swept.root}/.", _RAN[0]], check=True)
    return swept


def tree(root: Path) -> dict[str, tuple[str, bytes]]:
    """Everything below a directory: kind and mode, bytes or target."""
    found = {}
    for folder, folders, names in os.walk(root):
        for name in [*names, *folders]:
            path = Path(folder, name)
            key = path.relative_to(root).as_posix()
            if path.is_symlink():
                found[key] = ("link", os.readlink(path).encode())
            elif path.is_dir():
                found[key] = ("directory", b"")
            elif path.is_file():
                found[key] = (oct(path.stat().st_mode & 0o7777), path.read_bytes())
    return found


def packed(project: Project, *arguments: str, name: str = "a.tar.zst") -> Path:
    """An archive of the sweep, beside the project."""
    path = project.root.parent / name
    project.resweep("pack", *(arguments or ("rnn",)), "-o", str(path)).ok()
    return path


def unpacked(path: Path, name: str = "there", *only: str) -> Path:
    """What an archive holds, in a directory beside it."""
    unpack(path, path.parent / name, only)
    return path.parent / name


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_bytes_do_not_depend_on_place_time_owner_or_links(ran: Project, suffix: str, tmp_path: Path) -> None:
    """A copy elsewhere, with other times, without hard links and with other permissions gives the same archive."""
    first = packed(ran, "rnn", "--outputs", "all", name="a" + suffix)
    other = Project.__new__(Project)
    object.__setattr__(other, "root", tmp_path / "else" / "where")
    subprocess.run(["cp", "-r", "--no-preserve=mode,links", str(ran.root), tmp_path / "copy"], check=True)
    (tmp_path / "else").mkdir()
    (tmp_path / "copy").rename(other.root)
    for path in other.root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            source = ran.root / path.relative_to(other.root)
            path.chmod(0o755 if source.stat().st_mode & 0o100 else 0o600)
            os.utime(path, (1, 1))
    second = packed(other, "rnn", "--outputs", "all", name="b" + suffix)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("outputs", contents.OUTPUTS)
def test_what_was_packed_comes_out(ran: Project, suffix: str, outputs: str) -> None:
    """Unpacking gives the files of the list, with their modes; packing that again gives the same bytes."""
    path = packed(ran, "rnn", "--outputs", outputs, name="a" + suffix)
    there = unpacked(path)
    found, before = tree(there), tree(ran.root)
    listed = check.parse((there / contents.NAME).read_bytes(), "here")
    files = {item.path: oct(item.mode) for item in listed.items}
    assert {k: mode for k, (mode, _) in found.items() if mode.startswith("0o")} == files | {contents.NAME: "0o644"}
    for key, (_, data) in found.items():
        assert key == contents.NAME or data == before[key][1]
    again = Project.__new__(Project)
    again.root = there
    assert packed(again, "rnn", "--outputs", outputs, name="b" + suffix).read_bytes() == path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_plain_tar_gives_the_same_tree(ran: Project, suffix: str) -> None:
    """`tar xf` unpacks an archive as `unpack` does, links and modes included, and has nothing to complain of."""
    path = packed(ran, "rnn", "--outputs", "all", name="a" + suffix)
    (path.parent / "plain").mkdir()
    done = subprocess.run(["tar", "xf", path, "-C", path.parent / "plain"], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
    assert tree(path.parent / "plain") == tree(unpacked(path))


def test_outputs_are_as_much_as_is_wanted(ran: Project) -> None:
    """none: capsules alone; metrics: records, logs, metrics, events; all: weights and links, too."""
    place = Trial(ran).place
    name = os.path.relpath(place.output, ran.root)
    names = {}
    for outputs in contents.OUTPUTS:
        path = packed(ran, "rnn#1", "--outputs", outputs, name=f"{outputs}.tar.gz")
        names[outputs] = set(tree(unpacked(path, outputs)))
    assert not [key for key in names["none"] if key.startswith("model")]
    kept = {f"{name}.attempts/1/{file}" for file in ("record.json", "log.txt", f"{Path(name).parent.name}.toml")}
    kept |= {f"{name}/metrics.json", f"{name}.attempts/finished", f"{name}/deep", f"{name}.attempts/1/output"}
    kept |= {f"{name}/log/train/events.out.tfevents.1.host"}
    assert kept <= names["metrics"]
    assert names["all"] - names["metrics"] == {f"{name}/best.th", f"{name}/latest.th"}


def test_what_has_no_place_in_an_archive_is_said(ran: Project) -> None:
    """A link that leads out and two pipes are left out, with a line for each kind."""
    os.mkfifo(Path(Trial(ran).output, "second"))
    result = ran.resweep("pack", "rnn#1", "-o", "a.tar.gz", "--outputs", "all").ok()
    assert "a symbolic link that leads elsewhere" in result.err
    assert "2 sockets, pipes or devices" in result.err


def test_what_passes_is_left_out_and_what_training_wrote_is_not(ran: Project) -> None:
    """What a launcher makes for its machine, or for a while; in an output it may be training's own."""
    place = Trial(ran).place
    attempt_, other = Path(place.attempt(1)), Path(place.attempts, "exec-look-1")
    passing = {"heartbeat", ".new-1", ".now-1", "x.part", "bin/python", "bin/deep/x"}
    for folder in (attempt_, other, Path(place.attempts, "notes"), Path(place.output)):
        for name in (*passing, "mine", "deep/mine"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("x")
    shutil.copy(attempt_ / "record.json", other / "record.json")
    Path(place.attempts, "stray").write_text("x")
    (attempt_ / "link").symlink_to("mine")
    paths = {each.path for each in contents_of(packed(ran, "rnn#1", "--outputs", "all")).items}
    start = os.path.relpath(place.attempts, ran.root)
    assert {path.removeprefix(f"{start}/1/") for path in paths if path.startswith(f"{start}/1/")} >= {"mine", "log.txt"}
    assert f"{start}/1/deep/mine" not in paths  # a launcher makes no directory but `output`
    assert f"{start}/exec-look-1/deep/mine" in paths
    assert not [
        p for p in paths if p.startswith(start) and p.split("/")[-1] in ("heartbeat", ".new-1", ".now-1", "x.part")
    ]
    assert not [path for path in paths if path.startswith((f"{start}/1/bin", f"{start}/exec-look-1/bin"))]
    assert not [path for path in paths if path.startswith((f"{start}/notes", f"{start}/stray"))]
    output = os.path.relpath(place.output, ran.root)
    assert {f"{output}/{name}" for name in (*passing, "mine", "deep/mine")} <= paths


def test_only_links_that_lead_to_what_is_packed_are_packed(ran: Project) -> None:
    """To a file, a directory with a file in it, or an empty one; how many are left out is said, with one of them."""
    output = Path(Trial(ran).output)
    good = {
        "a": "metrics.json",
        "b": "log",
        "c": "deep",
        "d": "log/train",
        "log/e": "../metrics.json",
        "one/l": "../log",
    }
    bad = {"f": "nowhere", "g": "/etc", "h": "a", "i": ".", "j": "../../../../../setup.py", "k": "log/../metrics.json"}
    (output / "one").mkdir()
    for name, target in {**good, **bad}.items():
        (output / name).symlink_to(target)
    (output / "only").mkdir()
    (output / "only" / "bad").symlink_to("nowhere")
    result = ran.resweep("pack", "rnn#1", "--outputs", "all", "-o", "a.tar.gz").ok()
    assert "8 symbolic links that lead elsewhere than to what is packed: left out, such as " in result.err
    listed = contents_of(ran.root / "a.tar.gz")
    start = os.path.relpath(output, ran.root)
    links = {path.removeprefix(f"{start}/"): target for path, target in listed.links if path.startswith(f"{start}/")}
    assert links == {**good, "latest.th": "best.th"}
    assert {path.removeprefix(f"{start}/") for path in listed.directories} == {"deep", "only"}
    there = unpacked(ran.root / "a.tar.gz")
    assert (there / start / "b" / "train").is_dir()
    listed = contents_of(packed(ran, "rnn#1", name="b.tar.gz"))  # metrics alone: no link of training's fits
    assert [path for path, _ in listed.links if path.startswith(start + "/")] == []


@pytest.mark.parametrize("change", [b"", b"x", b"longer than it was, by far", b"same size"])
def test_a_file_that_is_no_longer_what_was_listed_stops_packing(ran: Project, change: bytes) -> None:
    """Shorter, longer or other bytes of the same length: no archive is written that its own list would refuse."""
    path = Path(Trial(ran).output, "metrics.json")
    path.write_bytes(b"SAME SIZE")
    real = write._write_members

    def meanwhile(*arguments: object) -> None:
        path.write_bytes(change)
        real(*arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "_write_members", meanwhile)
        result = ran.resweep("pack", "rnn#1", "-o", "a.tar.gz")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "metrics.json: changed while it was packed; pack again when nothing writes to it" in result.err
    assert not list(ran.root.glob("*a.tar*"))


def test_an_archive_is_written_whole_with_the_permissions_of_a_file(ran: Project) -> None:
    """As the umask has them; how many bytes it has, and whether it is new, is what the caller gets."""
    paths, entries = index.find(ran.root, "rnn#1")
    before = os.umask(0o020)
    try:
        first = write.pack(paths, entries, ran.root / "a.tar.gz")
        assert os.umask(0o020) == 0o020
    finally:
        os.umask(before)
    assert stat_mode(first.path) == 0o646
    assert (first.bytes, first.written) == (first.path.stat().st_size, True)
    again = write.pack(paths, entries, ran.root / "a.tar.gz")
    assert (again.bytes, again.written, again.contents) == (first.bytes, False, first.contents)
    with pytest.raises(ResweepError, match="no trial to pack"):
        write.pack(paths, [], ran.root / "b.tar.gz")
    (ran.root / "c.tar.gz").mkdir()
    with pytest.raises(ResweepError, match="exists, with other bytes"):
        write.pack(paths, entries, ran.root / "c.tar.gz")


def test_an_archive_appears_where_hard_links_fail(ran: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """There it is renamed; what has its name already stays."""
    paths, entries = index.find(ran.root, "rnn#1")

    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert write.pack(paths, entries, ran.root / "a.tar.gz").written
    assert not write.pack(paths, entries, ran.root / "a.tar.gz").written
    (ran.root / "b.tar.gz").write_text("mine")
    (ran.root / "c.tar.gz").symlink_to("nowhere")
    for name in ("b.tar.gz", "c.tar.gz"):
        with pytest.raises(ResweepError, match="exists, with other bytes; nothing was overwritten"):
            write.pack(paths, entries, ran.root / name)
    assert (ran.root / "b.tar.gz").read_text() == "mine"
    assert list(ran.root.glob(".*.tar*")) == []


def test_files_that_trials_share_are_stored_once_and_linked(ran: Project) -> None:
    """In the archive and where it is unpacked, equal files of capsules are one; a record and `finished`, too."""
    there = unpacked(packed(ran))
    inodes = {path.stat().st_ino for path in there.rglob("qb/main.py")}
    assert len(inodes) == 1
    (finished,) = there.rglob("finished")
    assert finished.samefile(finished.parent / "1" / "record.json")
    assert len({path.stat().st_ino for path in there.rglob("log.txt")}) == 2


@pytest.mark.slow
def test_what_was_unpacked_works_as_a_project(ran: Project) -> None:
    """At a path with a space, without a setup.py: status, results, logs, run, verify, rerun and exec."""
    there = Project.__new__(Project)
    there.root = unpacked(packed(ran), "another place")
    assert "4 trials: 1 finished, 1 failed, 2 queued" in there.resweep("status", "rnn").ok().out
    assert there.resweep("results", "rnn").ok().out == ran.resweep("results", "rnn").ok().out
    there.resweep("logs", "rnn#1").ok()
    there.resweep("verify", "rnn").ok()
    there.resweep("run", "rnn", "-j", "2").ok()
    assert "4 finished" in there.resweep("status", "rnn").ok().out
    there.resweep("exec", "rnn#1", "--", "true").ok()
    capsule = there.paths().capsule(there.entries()[0].name)
    there.shell(f'bash "{capsule}/rerun.sh" again', RESWEEP_PYTHON=sys.executable).ok()
    assert (there.root / "again" / "output" / "metrics.json").is_file()


@pytest.mark.parametrize("spell", ["rnn#2", "{id}/0", "{id}", "{start}", "config/generated/rnn/{id}/0"])
def test_one_trial_unpacks_alone_as_if_it_had_been_packed_alone(ran: Project, spell: str) -> None:
    """--only gives what packing that trial gives, however it is named."""
    entry = ran.entries()[1]
    whole, one = packed(ran), packed(ran, "rnn#2", name="one.tar.zst")
    only = spell.format(id=entry.id, start=entry.id[:5])
    there = unpacked(whole, "some", only)
    assert tree(there) == tree(unpacked(one, "one"))
    paths = ran.paths().__class__(there, "rnn")
    assert [(e.number, e.name) for e in index.read(paths).entries] == [(2, entry.name)]


def test_only_a_trial_that_is_there(ran: Project) -> None:
    """A trial that is not in the archive is a mistake of one line, and nothing is made."""
    path = packed(ran, "rnn#1-2")
    result = ran.resweep("unpack", str(path), "x", "--only", "rnn#3")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert not (ran.root / "x").exists()


def test_orphans_are_packed_when_they_are_named(ran: Project) -> None:
    """A trial that is no longer in the sweep stays what it is."""
    orphan = ran.entries()[3]
    ran.write({"config/rnn.toml": SWEEP.replace("[0.1, 0.2]", "[0.1]")})
    ran.generate().ok()
    assert orphan.name not in contents_of(packed(ran)).trials
    there = unpacked(packed(ran, "rnn#4", name="b.tar.gz"))
    (entry,) = index.read(ran.paths().__class__(there, "rnn")).entries
    assert (entry.name, entry.current) == (orphan.name, False)
    assert sorted(path.name for path in (there / "config/generated/rnn/generations").iterdir()) == ["1", "2"]


def contents_of(path: Path) -> contents.Contents:
    """The list of an archive."""
    with open(path, "rb") as file:
        return Archive(file, path).contents


@pytest.mark.slow
def test_the_output_of_a_running_trial_is_left_out_with_a_line(trial: Trial) -> None:
    """What is being written is not packed; the capsule is."""
    script = (trial.capsule / "train.sh").read_text()
    trial.train('mkdir -p "$out"; touch "$out/../ready"; sleep 600')
    trial.start()
    until(lambda: (trial.directory() / "ready").exists())
    trial.change("train.sh", script)
    result = trial.project.resweep("pack", "rnn#1", "-o", "a.tar.gz").ok()
    assert f"{trial.name}: runs; its output is left out" in result.err
    assert not [item for item in contents_of(trial.project.root / "a.tar.gz").items if item.path.startswith("model")]


def test_a_lost_trial_is_lost_where_it_is_unpacked(trial: Trial) -> None:
    """A record that says running, of a host that never gave a sign again, does not look alive on another one."""
    script = (trial.capsule / "train.sh").read_text()
    trial.train("exit 1")
    trial.launch()
    trial.change("train.sh", script)
    trial.edit_record(state="running", host="elsewhere", boot="never")
    os.utime(trial.directory() / "record.json", (1, 1))
    there = Project.__new__(Project)
    there.root = unpacked(packed(trial.project))
    assert "1 lost" in there.resweep("status", "rnn").ok().out


def test_a_capsule_that_changed_is_not_packed(swept: Project) -> None:
    """Only what is as it was written goes into an archive."""
    Trial(swept).damage("train.sh", "exit 1\n")
    result = swept.resweep("pack", "rnn", "-o", "a.tar.gz")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "train.sh changed" in result.err
    assert not list(swept.root.glob("*a.tar*"))


def test_an_existing_file_is_never_overwritten(ran: Project) -> None:
    """The same bytes are no mistake; other ones stay."""
    path = packed(ran, "rnn#1")
    assert "there already" in ran.resweep("pack", "rnn#1", "-o", str(path)).ok().out
    before = path.read_bytes()
    result = ran.resweep("pack", "rnn", "-o", str(path))
    assert (result.status, path.read_bytes()) == (2, before)
    assert "nothing was overwritten" in result.err
    assert list(path.parent.glob(".a.tar*")) == []


def test_a_file_that_changes_while_it_is_packed_stops_it(ran: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the list says and what is read must be one thing; no archive is left."""
    log = Path(Trial(ran).place.attempt(1), "log.txt")
    real = contents.arranged

    def meanwhile(*arguments: object) -> contents.Contents:
        log.write_text("more words\n")
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(contents, "arranged", meanwhile)
    result = ran.resweep("pack", "rnn", "-o", "a.tar.gz")
    assert "log.txt: changed while it was packed" in result.err
    assert not list(ran.root.glob("*a.tar*"))


def test_zstandard_is_named_where_it_is_missing(ran: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, .tar.zst says what to install, before anything is read; .tar.gz works."""
    path = packed(ran)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    result = ran.resweep("pack", "rnn", "-o", "a.tar.zst")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "resweep[archive]" in result.err
    assert "resweep[archive]" in ran.resweep("unpack", str(path), "x").err
    ran.resweep("pack", "rnn", "-o", "a.tar.gz").ok()


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a", "no/such/a.tar.gz"])
def test_a_name_that_says_no_archive_is_one_line(ran: Project, name: str) -> None:
    """The name says how to compress, and where."""
    result = ran.resweep("pack", "rnn", "-o", name)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("target", ["full", "file", "link", "no/where", "."])
def test_only_a_new_or_empty_directory_is_filled(ran: Project, target: str) -> None:
    """Whatever else is there stays as it is."""
    path = packed(ran)
    (ran.root / "full").mkdir()
    (ran.root / "full" / "mine").touch()
    (ran.root / "file").touch()
    (ran.root / "link").symlink_to("nowhere")
    before = tree(ran.root)
    result = ran.resweep("unpack", str(path), target)
    assert (result.status, result.err.count("\n")) == (2, 1)
    says = {"full": "is not empty", ".": "is not empty"}.get(target, "not a directory")
    assert says in result.err
    assert tree(ran.root) == before


def test_the_directory_that_one_is_in_is_not_replaced(ran: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when it is empty: a shell would stand in what is gone."""
    path = packed(ran)
    (ran.root / "here").mkdir()
    monkeypatch.chdir(ran.root / "here")
    with pytest.raises(ResweepError, match="is the current directory, which cannot be replaced"):
        unpack(path, Path("."))
    assert list((ran.root / "here").iterdir()) == []


def test_what_is_written_lies_beside_its_place_until_it_is_whole(ran: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a hidden name, on the same disk, for an archive and for a directory."""
    seen = []
    real = write._write_members

    def meanwhile(*arguments: object) -> None:
        seen.append(sorted(path.name[:10] for path in ran.root.glob(".a.tar.gz.*")))
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(write, "_write_members", meanwhile)
    ran.resweep("pack", "rnn#1", "-o", "a.tar.gz").ok()
    monkeypatch.setattr(
        "resweep.proof.archive.unpack.flush",
        lambda root: seen.append([root.parent.name[:7], root.parent.parent == ran.root]),
    )
    unpack(ran.root / "a.tar.gz", ran.root / "there")
    assert seen == [[".a.tar.gz."], [".there.", True]]


def test_an_archive_of_many_files_needs_few_open_ones(ran: Project) -> None:
    """Each is closed when it is written: most systems allow a process 1,024."""
    for number in range(60):
        Path(Trial(ran).output, f"metrics{number}.json").write_text(str(number))
    path = packed(ran, "rnn#1")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 20, hard))
    try:
        unpacked(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_name_that_unpack_refuses_is_not_packed(ran: Project) -> None:
    """An archive that nobody could unpack is not written; what its name hides is shown."""
    Path(Trial(ran).output, "a\nb").touch()
    result = ran.resweep("pack", "rnn#1", "--outputs", "all", "-o", "a.tar.gz")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "a\\nb': expected no control characters in a name" in result.err
    assert not list(ran.root.glob("*a.tar*"))


def test_an_output_that_leads_elsewhere_is_no_output(ran: Project) -> None:
    """The link of the attempt that counts leads to the trial's output, or it is left out."""
    place = Trial(ran).place
    link = Path(place.attempt(1), "output")
    start = os.path.relpath(link, ran.root)
    assert start in dict(contents_of(packed(ran, "rnn#1", name="a.tar.gz")).links)
    link.unlink()
    link.symlink_to(ran.root / "qb")
    assert start not in dict(contents_of(packed(ran, "rnn#1", name="b.tar.gz")).links)
    link.unlink()
    link.symlink_to("nowhere")
    assert start not in dict(contents_of(packed(ran, "rnn#1", name="c.tar.gz")).links)


def test_an_empty_directory_is_filled_and_a_name_is_found(ran: Project) -> None:
    """DIR may be there and empty; without DIR the archive's name says it."""
    path = packed(ran)
    (ran.root / "empty").mkdir()
    ran.resweep("unpack", str(path), "empty").ok()
    ran.resweep("unpack", str(path)).ok()
    assert tree(ran.root / "empty") == tree(ran.root / "a")
    assert stat_mode(ran.root / "a") == stat_mode(ran.root / "empty" / "config")


def stat_mode(path: Path) -> int:
    """The permissions of a directory."""
    return path.stat().st_mode & 0o777


def test_where_links_fail_files_are_copied(ran: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without hard links gets copies."""
    path = packed(ran)
    expected = tree(unpacked(path, "linked"))

    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert tree(unpacked(path, "copied")) == expected


@pytest.mark.slow
def test_too_many_names_of_one_file_are_several_files(ran: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what a file system links, a file is stored again."""
    expected = tree(unpacked(packed(ran)))
    monkeypatch.setattr(contents, "MOST_NAMES", 3)
    found = tree(unpacked(packed(ran, name="b.tar.zst"), "split"))
    del expected[contents.NAME], found[contents.NAME]
    assert found == expected


ID = "abcdefghij27"


@pytest.mark.parametrize(
    ("path", "trial"),
    [
        (f"config/generated/rnn/{ID}/0/x", 0),
        (f"config/generated/rnn/{ID}/0", 0),
        (f"model/generated/rnn/{ID}/12/x/y", 12),
        (f"model/generated/rnn/{ID}/12", 12),
        (f"model/generated/rnn/{ID}/3.attempts/1/log.txt", 3),
        (f"model/generated/rnn/{ID}/3.attempts", 3),
        (f"model/generated/rnn/{ID}/999999999", 999999999),
        (f"model/generated/rnn/{ID}/1000000000", None),
        (f"config/generated/rnn/{ID}/3.attempts/1/log.txt", None),
        (f"config/generated/rnn/{ID}/3.attempts", None),
        (f"config/generated/rnn/{ID}/03/x", None),
        (f"config/generated/rnn/{ID}/x/y", None),
        (f"config/generated/rnn/{ID}/3x/y", None),
        (f"config/generated/rnn/{ID}", None),
        (f"config/generated/rnn/{ID}8/0/x", None),
        (f"config/generated/rnn/{ID[1:]}/0/x", None),
        (f"config/generated/rnn/{ID.upper()}/0/x", None),
        (f"config/generated/rnn/{ID[1:]}1/0/x", None),
        (f"config/generated/{ID}/0/x", None),
        (f"config/generated/rnn/x/{ID}/0/x", None),
        (f"x/config/generated/rnn/{ID}/0/x", None),
        (f"other/generated/rnn/{ID}/0/x", None),
        ("config/generated/rnn/index.jsonl", None),
    ],
)
def test_a_path_says_whose_it_is(path: str, trial: int | None) -> None:
    """A trial's capsule, output and attempts are its own; everything else is the sweep's."""
    assert contents.trial_of(path) == (None if trial is None else TrialName(ID, trial))


def test_the_list_has_one_order_and_each_file_once() -> None:
    """The index, what several trials share, one trial after the other; equal files that nothing writes to are one."""
    config, model = f"config/generated/rnn/{ID}", f"model/generated/rnn/{ID}"
    a, b = "a" * 64, "b" * 64
    items = [
        contents.Item(f"{model}/0.attempts/finished", a, 1, 0o644),
        contents.Item(f"{model}/0.attempts/1/record.json", a, 1, 0o644),
        contents.Item(f"{model}/0.attempts/2/record.json", b, 1, 0o644),
        contents.Item(f"{model}/0.attempts/1/x/record.json", a, 1, 0o644),
        contents.Item(f"{model}/0.attempts/record.json", a, 1, 0o644),
        contents.Item(f"{model}/1.attempts/1/record.json", a, 1, 0o644),
        contents.Item(f"{model}/0/metrics.json", a, 1, 0o644),
        contents.Item(f"{model}/1/metrics.json", a, 1, 0o644),
        contents.Item(f"{config}/0/x", a, 1, 0o444),
        contents.Item(f"{config}/1/x", a, 1, 0o444),
        contents.Item(f"{config}/0/y", a, 1, 0o555),
        contents.Item(f"{config}/0/z", a, 2, 0o444),
        contents.Item(f"{config}/10/w", b, 1, 0o444),
        contents.Item(f"{config}/2/w", "c" * 64, 1, 0o444),
        contents.Item("config/generated/rnn/attempt.py", b, 1, 0o644),
        contents.Item("config/generated/rnn/generations/1/index.jsonl", b, 9, 0o444),
        contents.Item("config/generated/rnn/index.jsonl", b, 1, 0o644),
    ]
    links = {f"{model}/0/b": "metrics.json", f"{model}/0/a": "metrics.json"}
    names = [TrialName(ID, number) for number in (10, 2, 1, 0)]
    for order in (1, -1):
        listed = contents.arranged(
            "rnn",
            "all",
            names[::order],
            items[::order],
            dict(list(links.items())[::order]),
            [f"{model}/0/e", f"{model}/0/d"],
        )
        assert [tuple(path.replace(ID, "ID") for path in file.paths) for file in listed.files] == [
            ("config/generated/rnn/index.jsonl",),
            ("config/generated/rnn/ID/0/x", "config/generated/rnn/ID/1/x"),
            ("config/generated/rnn/attempt.py",),
            ("config/generated/rnn/generations/1/index.jsonl",),
            ("config/generated/rnn/ID/0/y",),
            ("config/generated/rnn/ID/0/z",),
            ("model/generated/rnn/ID/0.attempts/1/record.json", "model/generated/rnn/ID/0.attempts/finished"),
            ("model/generated/rnn/ID/0.attempts/1/x/record.json",),
            ("model/generated/rnn/ID/0.attempts/2/record.json",),
            ("model/generated/rnn/ID/0.attempts/record.json",),
            ("model/generated/rnn/ID/0/metrics.json",),
            ("model/generated/rnn/ID/1.attempts/1/record.json",),
            ("model/generated/rnn/ID/1/metrics.json",),
            ("config/generated/rnn/ID/2/w",),
            ("config/generated/rnn/ID/10/w",),
        ]
        assert [name.trial for name in listed.trials] == [0, 1, 2, 10]
        assert [path[-1] for path, _ in listed.links] == ["a", "b"]
        assert [path[-1] for path in listed.directories] == ["d", "e"]
        assert sorted(listed.items, key=lambda each: each.path) == sorted(items, key=lambda each: each.path)
        assert listed.size == 24
        assert json.loads(listed.data())["files"][5] == {
            "paths": [f"{config}/0/z"], "sha256": a, "size": 2, "mode": "0444"
        }  # fmt: skip


def test_repeats_are_verified_in_an_archive_by_the_template_of_the_first(project: Project) -> None:
    """Where that is packed, too; else a note says what could not be computed, and for which trials."""
    project.generate("--set", "n_trials=2").ok()
    whole = inspect.verify(packed(project, "--outputs", "none", "rnn"))
    assert whole == Report(8, [], {})
    second = next(entry for entry in project.entries() if entry.trial == 1)
    alone = inspect.verify(packed(project, "--outputs", "none", f"rnn#{second.number}", name="alone.tar.gz"))
    assert (alone.capsules, alone.differences, list(alone.notes.values())) == (1, [], [[f"rnn/{second.name}"]])
    # a template that was forged with its manifest and the archive's list, in the first trial and in its repeat
    for name in (f"{second.id}/0", f"{second.id}/1"):
        capsule = project.paths().directory / name
        text = (capsule / f"{second.id}.json").read_text()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(write.verify, "capsule", lambda *_: [])
            forged = text.replace('"sleep": 0', '"sleep": 1')
            assert forged != text
            (capsule / f"{second.id}.json").unlink()
            (capsule / f"{second.id}.json").write_text(forged)
            found = inspect.verify(packed(project, "--outputs", "none", "rnn", name=f"forged{name[-1]}.tar.gz"))
        assert (f"rnn/{name}", f"{second.id}.json", "changed") in {
            (each.where, each.path, each.kind) for each in found.differences
        }
        (capsule / f"{second.id}.json").unlink()
        (capsule / f"{second.id}.json").write_text(text)


_names = st.text("ab.é ~-", min_size=1, max_size=60).filter(lambda name: name not in (".", ".."))
_trees = st.dictionaries(st.lists(_names, min_size=1, max_size=4).map("/".join), st.binary(max_size=700), max_size=8)


@pytest.mark.slow
@same_project
@given(_trees, st.sampled_from(SUFFIXES))
def test_any_output_comes_out_as_it_went_in(ran: Project, files: dict[str, bytes], suffix: str) -> None:
    """Packing and unpacking is the identity on what training wrote, and packing twice gives the same bytes."""
    output = Trial(ran).output
    shutil.rmtree(output)
    output.mkdir()
    for name, data in files.items():
        try:
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            (output / name).write_bytes(data)
        except OSError:  # one is a directory of another
            continue
    home = ran.root.parent
    for path in home.glob("law*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    paths, entries = index.find(ran.root, "rnn#1")
    for name in ("law1", "law2"):
        write.pack(paths, entries, home / f"{name}{suffix}", "all")
    assert (home / f"law1{suffix}").read_bytes() == (home / f"law2{suffix}").read_bytes()
    unpack(home / f"law1{suffix}", home / "law")
    assert tree(home / "law" / output.relative_to(ran.root)) == tree(output)
    assert inspect.verify(home / f"law1{suffix}").differences == []


@pytest.mark.slow
@same_project
@given(st.data(), st.sampled_from(SUFFIXES))
def test_a_changed_byte_anywhere_in_an_archive_is_found(ran: Project, data: st.DataObject, suffix: str) -> None:
    """Whichever byte changes in whichever way, verify says so, and unpack refuses and leaves nothing."""
    path = ran.root.parent / f"whole{suffix}"
    if not path.exists():
        packed(ran, name=path.name)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    broken = ran.root.parent / f"broken{suffix}"
    broken.write_bytes(content)
    assert inspect.verify(broken).differences
    before = sorted(ran.root.parent.iterdir())
    with pytest.raises(ResweepError) as error:
        unpack(broken, ran.root.parent / "there")
    assert "\n" not in str(error.value)
    assert sorted(ran.root.parent.iterdir()) == before


@pytest.mark.slow
@same_project
@given(st.data(), st.sampled_from(SUFFIXES))
def test_a_cut_or_lengthened_archive_is_found(ran: Project, data: st.DataObject, suffix: str) -> None:
    """An archive that ends early, or goes on, is refused by both."""
    path = ran.root.parent / f"whole{suffix}"
    if not path.exists():
        packed(ran, name=path.name)
    content = path.read_bytes()
    other = data.draw(
        st.integers(0, len(content) - 1).map(lambda n: content[:n]) | st.binary(min_size=1).map(content.__add__)
    )
    broken = ran.root.parent / f"broken{suffix}"
    broken.write_bytes(other)
    assert inspect.verify(broken).differences
    with pytest.raises(ResweepError):
        unpack(broken, ran.root.parent / "there")


@given(
    st.text("ab/é", min_size=1, max_size=300).filter(lambda path: path.strip("/") == path),
    st.integers(0, 1 << 40),
    st.text("ab/é", max_size=200),
)
def test_headers_are_what_the_standard_library_reads(path: str, size: int, target: str) -> None:
    """Name, size, mode, time and target of a member, long and foreign ones too, are read back by tarfile."""
    for kind, written in ((tar.FILE, 0), (tar.SYMBOLIC_LINK, 0)):
        link = target if kind == tar.SYMBOLIC_LINK else ""
        length = size if kind == tar.FILE else written
        with tarfile.open(fileobj=io.BytesIO(tar.header(path, kind, length, 0o555, link) + tar.END)) as read:
            member = read.next()
            assert member is not None
            assert (member.name, member.size, member.mode) == (path, length, 0o555)
            assert (member.linkname, member.mtime, member.uid, member.uname) == (link, tar.TIME, 0, "")


HEADERS = [
    ("a/b", tar.FILE, 5, 0o444, ""),
    ("a/b", tar.FILE, 0, 0o755, ""),
    ("d/", tar.DIRECTORY, 0, 0o755, ""),
    ("a", tar.HARD_LINK, 0, 0o555, "b"),
    ("a", tar.SYMBOLIC_LINK, 0, 0o777, "../b"),
    ("x" * 100, tar.FILE, 511, 0o644, ""),
    ("x" * 101, tar.FILE, 1, 0o644, ""),
    ("é", tar.FILE, 513, 0o644, ""),
    ("a", tar.SYMBOLIC_LINK, 0, 0o777, "y" * 100),
    ("a", tar.SYMBOLIC_LINK, 0, 0o777, "y" * 101),
    ("a", tar.SYMBOLIC_LINK, 0, 0o777, "ü"),
    ("a", tar.FILE, 8**11 - 1, 0o644, ""),
    ("a", tar.FILE, 8**11, 0o644, ""),
    ("é" * 200, tar.HARD_LINK, 0, 0o444, "ü" * 200),
]


def test_headers_are_the_same_bytes_for_ever() -> None:
    """An archive is compared with what its list gives byte for byte, so archives of today bind later versions."""
    lengths = [512] * 6 + [1536] * 2 + [512] + [1536] * 2 + [512, 1536, 2048]
    headers = [tar.header(*each) for each in HEADERS]
    assert [len(header) for header in headers] == lengths
    assert (
        hashlib.sha256(b"".join(headers)).hexdigest()
        == "9cb5279a583fb31d6142959a27ba4df69bfe0789355b13837a9c250b11d182e1"
    )


def test_a_record_says_its_own_length_where_its_digits_change() -> None:
    """Names of every length around those at which the length of a record gets another digit are read by tarfile."""
    for size in (*range(80, 105), *range(980, 1000)):
        path = "é" + "x" * size
        with tarfile.open(fileobj=io.BytesIO(tar.header(path) + tar.END)) as read:
            member = read.next()
            assert member is not None
            assert (member.name, member.offset_data) == (path, len(tar.header(path)))
    with tarfile.open(fileobj=io.BytesIO(tar.header("é" * 60, size=8**11) + tar.END)) as read:
        member = read.next()
        assert member is not None
        assert (member.name, member.size) == ("é" * 60, 8**11)


def test_padding_fills_a_block() -> None:
    """A member's content ends where a block does."""
    assert [len(tar.padding(size)) for size in (0, 1, 511, 512, 513)] == [0, 511, 1, 0, 511]
    assert tar.padding(1).strip(b"\0") == b""


def test_a_header_is_known_by_all_of_its_bytes() -> None:
    """Its size is told only where nothing else of the header is other than it should be."""
    header = tar.header("a", size=700)
    assert tar.size_of(header, "a") == 700
    assert tar.size_of(header, "b") is None
    assert tar.size_of(tar.header("a", tar.SYMBOLIC_LINK, 700), "a") is None
    assert tar.size_of(bytes(512), "a") is None
    assert tar.size_of(b"x" * 512, "a") is None
    for at in range(tar.BLOCK):
        changed = bytearray(header)
        changed[at] ^= 1
        assert tar.size_of(bytes(changed), "a") is None, at


@pytest.mark.parametrize(
    ("block", "says"),
    [
        (tar.header("a"), "the file 'a'"),
        (tar.header("a", tar.SYMBOLIC_LINK, target="/etc"), "the symbolic link 'a' to '/etc'"),
        (tar.header("x" * 100, tar.HARD_LINK, target="y" * 100), f"the hard link '{'x' * 100}' to '{'y' * 100}'"),
        (tar.header("a/", tar.DIRECTORY), "the directory 'a/'"),
        (tar.header("a", b"\0"), "the file 'a'"),
        (tar.header("a", b"7"), "the member of kind b'7' 'a'"),
        (tar.header("a").replace(b"a", b"\xff", 1), "the file '\\ufffd'"),
        (tar.header("a", tar.HARD_LINK, target="b").replace(b"b", b"\xff", 1), "the hard link 'a' to '\\ufffd'"),
        (tar.header("a").replace(b"ustar", b"USTAR"), "no header of a member"),
        (bytes(512), "the end of the archive"),
        (b"x" * 512, "no header of a member"),
    ],
)
def test_what_was_found_instead_is_described(block: bytes, says: str) -> None:
    """The message of a refused archive says what stands there, in characters that a terminal does not obey."""
    assert tar.described(block) == says


def streamed(form: stream.Format, *pieces: bytes) -> bytes:
    """A stream of ours."""
    file = io.BytesIO()
    writer = stream.Writer(file, form)
    for piece in pieces:
        writer.write(piece)
    writer.close()
    return file.getvalue()


@pytest.mark.parametrize("form", stream.FORMATS, ids=lambda form: form.suffixes[0])
@pytest.mark.parametrize("size", [0, 1, 2047, 2048, 2049, 5000])
def test_a_stream_comes_out_in_pieces_of_any_size(form: stream.Format, size: int) -> None:
    """What was written is read, however much of it at once, and nothing is left."""
    data = random.Random(size).randbytes(size)
    content = streamed(form, data[:7], data[7:])
    assert content.startswith(form.magic)
    for step in (1, 512, 5000):
        reader = stream.Reader(io.BytesIO(content), "x")
        found = b"".join(reader.read(min(step, size - at)) for at in range(0, size, step))
        reader.finish()
        assert found == data


@pytest.mark.parametrize("form", stream.FORMATS, ids=lambda form: form.suffixes[0])
def test_every_byte_of_a_stream_counts(form: stream.Format) -> None:
    """One byte more, less or other, anywhere, and the stream is refused with a message that says where one was."""
    content = streamed(form, b"hello" * 20)
    places = range(0, len(content), 5 if ".tar.xz" in form.suffixes else 1)  # which takes a while to begin
    broken = [content[:n] for n in places] + [content + b"\0", content + content, b"\0" + content]
    broken += [content[:n] + bytes([content[n] ^ 1]) + content[n + 1 :] for n in places]
    for each in broken:
        with pytest.raises(ArchiveError, match=r"^x: (found no \.tar\.zst|damaged at or after its beginning: )"):
            read_all(each, 100)
    assert read_all(content, 100) == b"hello" * 20
    for size in (99, 101):
        with pytest.raises(ArchiveError, match="damaged at or after its beginning"):
            read_all(content, size)


def read_all(content: bytes, size: int) -> bytes:
    """A stream, which has to be so long."""
    reader = stream.Reader(io.BytesIO(content), "x")
    data = reader.read(size)
    reader.finish()
    return data


def test_a_stream_has_the_form_that_is_written_down() -> None:
    """The frames are the same on every system, name the checks that they hold, and ask for no more than 8 MiB."""
    zst, gz, xz = (streamed(form, b"hello" * 1000, b"world" * 1000) for form in stream.FORMATS)
    parameters = zstandard.get_frame_parameters(zst)
    assert (parameters.window_size, parameters.has_checksum) == (1 << 23, True)
    assert parameters.content_size == zstandard.CONTENTSIZE_UNKNOWN
    assert gz[:10] == bytes.fromhex("1f8b08000000000000ff")
    assert gzip.decompress(gz) == b"hello" * 1000 + b"world" * 1000
    assert xz[:8] == b"\xfd7zXZ\0\0\x04"  # CRC64
    ends = [hashlib.sha256(content[:-length]).digest() for content, length in ((zst, 40), (gz, 58), (xz, 88))]
    assert zst[-40:] == bytes.fromhex("502a4d1820000000") + ends[0]
    assert gz[-58:] == bytes.fromhex("1f8b08040000000000ff240052532000") + ends[1] + b"\3" + bytes(9)
    assert lzma.decompress(xz[-88:]) == ends[2]
    assert xz[-88:-80] == xz[:8]


@pytest.mark.parametrize("form", stream.FORMATS, ids=lambda form: form.suffixes[0])
def test_a_stream_ends_where_its_format_says(form: stream.Format) -> None:
    """A second stream within the same few bytes, or a stream without its end, is refused though the sha256 fits."""
    body = streamed(form, b"hello" * 20)[: -len(form.trailer(hashlib.sha256(b"").digest()))]
    for other in (body + body, body + b"\0", *(body[:-cut] for cut in (1, 4, 8))):
        with pytest.raises(ArchiveError, match="damaged"):
            read_all(other + form.trailer(hashlib.sha256(other).digest()), 100)
    assert read_all(body + form.trailer(hashlib.sha256(body).digest()), 100) == b"hello" * 20


@pytest.mark.parametrize("form", stream.FORMATS, ids=lambda form: form.suffixes[0])
def test_a_stream_may_have_any_length(form: stream.Format) -> None:
    """Also one of which a single byte is left for the last piece that is read."""
    trailer = len(form.trailer(hashlib.sha256(b"").digest()))
    lefts = set()
    for size in range(1960, 2060, 1 if ".tar.xz" not in form.suffixes else 2):
        data = random.Random(1).randbytes(size)
        content = streamed(form, data)
        lefts.add((len(content) - trailer) % 2048)
        assert read_all(content, size) == data
    assert lefts & {0, 1, 4}


def test_gzip_is_written_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes from version to version; and its size is told modulo 4 GiB."""
    words = (
        " ".join(str(random.Random(2).random()) for _ in range(2)).encode() * 3 + random.Random(3).randbytes(50) * 40
    )
    inner = zlib.compressobj(6, zlib.DEFLATED, -15)
    content = streamed(stream.FORMATS[1], words)
    assert content[10:-66] == inner.compress(words) + inner.flush()
    compressor = stream.FORMATS[1].compressor()
    monkeypatch.setattr(compressor, "_size", 2**32 - 3)
    assert (compressor.compress(b"hello") + compressor.flush())[-4:] == (2).to_bytes(4, "little")


def test_a_stream_that_asks_for_more_memory_is_refused() -> None:
    """A window of 16 MiB is more than any archive of ours has; xz may ask for 128 MiB."""
    parameters = zstandard.ZstdCompressionParameters.from_level(9, window_log=24, write_content_size=0)
    wide = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 28}]
    for form, body in (
        (stream.FORMATS[0], wide.compress(bytes(100)) + wide.flush()),
        (stream.FORMATS[2], lzma.compress(bytes(100), filters=filters)),
    ):
        content = body + form.trailer(hashlib.sha256(body).digest())
        with pytest.raises(ArchiveError, match="cannot be decompressed"):
            read_all(content, 100)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.tar.zst", 0), ("a.tzst", 0), ("a.tar.gz", 1), ("a.tgz", 1), ("a.b.tar.xz", 2), ("a.txz", 2)],
)
def test_a_name_says_how_to_compress(name: str, suffix: int) -> None:
    """Long and short endings."""
    assert stream.by_name(Path("x.tar.gz", name)) is stream.FORMATS[suffix]


def test_a_stream_is_what_common_programs_read(tmp_path: Path) -> None:
    """gzip, xz and zstd read what we compress, and take the sha256 at the end for nothing wrong."""
    for form, program in zip(stream.FORMATS, ("zstd", "gzip", "xz"), strict=True):
        path = tmp_path / f"x{form.suffixes[0]}"
        with open(path, "wb") as file:
            writer = stream.Writer(file, form)
            writer.write(b"hello" * 1000)
            writer.close()
        if shutil.which(program):
            done = subprocess.run([program, "-dc", path], capture_output=True, check=True)
            assert done.stdout.startswith(b"hello" * 1000)
            assert len(done.stdout) in (5000, 5032)  # xz: the second stream's
            assert done.stderr == b""


@pytest.mark.slow
def test_a_sweep_with_data_runs_where_it_is_unpacked(project: Project, tmp_path: Path) -> None:
    """Fingerprints travel with it, once; the data does not: it is asked for, checked, and found by RESWEEP_DATA."""
    project.write({"config/rnn.toml": SWEEP + '\n[data]\nfiles = ["data/*.json"]\n', "data/one.json": "1"})
    project.generate().ok()
    path = packed(project)
    assert inspect.verify(path).differences == []
    names = [file.paths for file in contents_of(path).files]
    for name, count in (("fingerprints.json", 5), ("environment.json", 4)):
        assert [len(paths) for paths in names if paths[0].endswith(name)] == [count]
    there = Project.__new__(Project)
    object.__setattr__(there, "root", unpacked(path, "an other place"))
    there.resweep("verify", "rnn").ok()
    assert "data/one.json (missing)" in there.resweep("run", "rnn").err
    there.shell(f"{sys.executable} -m resweep run rnn#1", RESWEEP_DATA=str(project.root)).ok()
    launcher = f'{sys.executable} config/generated/rnn/attempt.py run "{there.capsules()[1]}"'
    assert there.shell(launcher).status == 2
    there.shell(launcher, RESWEEP_DATA=str(project.root)).ok()
    project.write({"data/one.json": "2"})
    assert (
        "data/one.json (changed)"
        in there.shell(
            launcher.replace(str(there.capsules()[1]), str(there.capsules()[2])), RESWEEP_DATA=str(project.root)
        ).err
    )


@pytest.mark.parametrize("name", ["environment.json", "fingerprints.json"])
def test_a_changed_file_that_a_provenance_names_is_named_in_an_archive(project: Project, name: str) -> None:
    """Also where the archive's own list was made to fit it."""
    project.write({"config/rnn.toml": SWEEP + '\n[data]\nfiles = ["pyproject.toml"]\n'})
    project.generate().ok()
    capsule = project.capsules()[0]
    text = (capsule / name).read_text()
    (capsule / name).chmod(0o644)
    (capsule / name).write_text(text.replace('"format": 1', '"format": 2'))
    (capsule / name).chmod(0o444)
    assert f"{name} changed" in project.resweep("pack", "rnn", "-o", "a.tar.gz").err
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write.verify, "capsule", lambda *_: [])
        path = packed(project)
    found = inspect.verify(path).differences
    assert {(each.path, each.kind) for each in found} == {(name, "changed")}
    assert len(found) == 4
