"""`resweep pack` and `unpack`: what comes out is what went in, and the bytes in between depend on nothing else."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from launched import Trial, until
from small_project import SWEEP, Project

from resweep import index
from resweep.errors import ResweepError
from resweep.proof import archive, check, contents, inspect, stream, tar
from resweep.proof.reading import Archive
from resweep.proof.unpack import unpack

SUFFIXES = [".tar.zst", ".tar.gz", ".tar.xz"]
RUN = """
mkdir -p "$out/log/train" "$out/deep"; cd "$out"
echo '{"best_validation_accuracy": 0.5}' > metrics.json; echo weights > best.th; ln -s best.th latest.th
echo events > log/train/events.out.tfevents.1.host; ln -s /etc/passwd outside; mkfifo pipe; chmod 755 best.th
"""
same_project = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def ran(swept: Project) -> Project:
    """A sweep whose first trial has finished, whose second has failed, and whose others wait."""
    for number, ending in ((1, "exit 0"), (2, "exit 1")):
        trial = Trial(swept, number)
        script = (trial.capsule / "train.sh").read_text()
        trial.train(RUN + ending)
        trial.launch()
        trial.change("train.sh", script)
        (trial.capsule / "train.sh").chmod(0o555)
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
    """A link that leads out and a pipe are left out, each with a line."""
    result = ran.resweep("pack", "rnn#1", "-o", "a.tar.gz", "--outputs", "all").ok()
    assert "a symbolic link that leads elsewhere" in result.err
    assert "1 sockets, pipes or devices" in result.err


def test_files_that_trials_share_are_stored_once_and_linked(ran: Project) -> None:
    """In the archive and where it is unpacked, equal files of capsules are one; a record and `finished`, too."""
    there = unpacked(packed(ran))
    inodes = {path.stat().st_ino for path in there.rglob("qb/main.py")}
    assert len(inodes) == 1
    (finished,) = there.rglob("finished")
    assert finished.samefile(finished.parent / "1" / "record.json")
    assert len({path.stat().st_ino for path in there.rglob("log.txt")}) == 2


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
    Trial(swept).change("train.sh", "exit 1\n")
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
    assert tree(ran.root) == before


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


def test_too_many_names_of_one_file_are_several_files(ran: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what a file system links, a file is stored again."""
    expected = tree(unpacked(packed(ran)))
    monkeypatch.setattr(contents, "MOST_NAMES", 3)
    found = tree(unpacked(packed(ran, name="b.tar.zst"), "split"))
    del expected[contents.NAME], found[contents.NAME]
    assert found == expected


_names = st.text("ab.é ~-", min_size=1, max_size=60).filter(lambda name: name not in (".", ".."))
_trees = st.dictionaries(st.lists(_names, min_size=1, max_size=4).map("/".join), st.binary(max_size=700), max_size=8)


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
        archive.pack(paths, entries, home / f"{name}{suffix}", "all")
    assert (home / f"law1{suffix}").read_bytes() == (home / f"law2{suffix}").read_bytes()
    unpack(home / f"law1{suffix}", home / "law")
    assert tree(home / "law" / output.relative_to(ran.root)) == tree(output)
    assert inspect.verify(home / f"law1{suffix}").differences == []


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
        patch.setattr(archive.verify, "capsule", lambda *_: [])
        path = packed(project)
    found = inspect.verify(path).differences
    assert {(each.path, each.kind) for each in found} == {(name, "changed")}
    assert len(found) == 4
