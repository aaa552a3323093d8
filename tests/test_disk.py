"""One writer at a time, and files that appear at once.

Code: lock
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from launched import until

from resweep import lock
from resweep.errors import DiskError
from resweep.layout import SweepPaths


@pytest.fixture
def paths(tmp_path: Path) -> SweepPaths:
    """A sweep of a project in which nothing was generated yet."""
    return SweepPaths(tmp_path, "rnn")


def is_held(lock: Path) -> bool:
    """Whether somebody else would have to wait for a lock."""
    with open(lock, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


# --- staging ---------------------------------------------------------------------------------------------------------


def test_only_files_whose_bytes_change_are_staged(tmp_path: Path) -> None:
    """Beside their place and hidden; the place itself is untouched until the caller renames."""
    (tmp_path / "same").write_text("same", "utf-8")
    (tmp_path / "old").write_text("old", "utf-8")
    texts = {tmp_path / "same": "same", tmp_path / "old": "größe", tmp_path / "new": "new"}
    with ExitStack() as undo:
        staged = lock.stage(undo, texts)
        assert list(staged) == [tmp_path / "old", tmp_path / "new"]
        assert [part.read_text("utf-8") for part in staged.values()] == ["größe", "new"]
        assert all(part.parent == tmp_path and part.name.startswith(".") for part in staged.values())
        assert (tmp_path / "old").read_text() == "old"
        os.replace(staged[tmp_path / "old"], tmp_path / "old")
    # what was renamed stays, what was not is taken away
    assert sorted(os.listdir(tmp_path)) == ["old", "same"]


@pytest.mark.parametrize(
    ("mask", "plain", "script"), [(0o022, 0o644, 0o755), (0o002, 0o664, 0o775), (0o077, 0o600, 0o700)]
)
def test_whoever_may_read_a_script_may_run_it(tmp_path: Path, mask: int, plain: int, script: int) -> None:
    """The umask says who may read and write; execution goes with reading, and to scripts alone."""
    before = os.umask(mask)
    try:
        with ExitStack() as undo:
            texts = {tmp_path / "list": "x", tmp_path / "run.sh": "x"}
            staged = lock.stage(undo, texts, executable=[tmp_path / "run.sh"])
            modes = [staged[final].stat().st_mode & 0o777 for final in texts]
    finally:
        os.umask(before)
    assert modes == [plain, script]


def test_a_directory_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    """Nothing that was staged before it stays."""
    (tmp_path / "b").mkdir()
    with pytest.raises(DiskError, match="/b: is a directory"), ExitStack() as undo:
        lock.stage(undo, {tmp_path / "a": "a", tmp_path / "b": "b"})
    assert os.listdir(tmp_path) == ["b"]


# --- the lock --------------------------------------------------------------------------------------------------------


def test_the_lock_is_held_while_a_sweep_is_written(paths: SweepPaths) -> None:
    """The sweep's directory stands then; afterwards the next one may write."""
    for _ in range(2):
        with lock.locked(paths):
            assert paths.directory.is_dir()
            assert is_held(paths.lock)
        assert not is_held(paths.lock)
    assert paths.directory.is_dir()


def test_what_a_killed_generation_left_is_removed_first(paths: SweepPaths) -> None:
    """Temporary directories of capsules and stores, and parts of the files beside them; nothing else."""
    homes = (paths.snapshots, paths.directory, paths.generations, paths.environments)
    for home in homes:
        (home / ".new-x").mkdir(parents=True)
        (home / "kept").mkdir()
    parts = [final.with_name(f".{final.name}.123.part") for final in paths.replaced]
    for part in parts:
        part.touch()
    other = paths.root / ".other-jobs.sh.123.part"  # of another sweep
    other.touch()
    with lock.locked(paths):
        assert not [home for home in homes if (home / ".new-x").exists()]
        assert [part for part in parts if part.exists()] == []
    assert all((home / "kept").is_dir() for home in homes)
    assert other.exists()


def fail(paths: SweepPaths, error: BaseException, without_lock: bool = False) -> None:
    """Begin to write a sweep, and fail."""
    with lock.locked(paths):
        for home in (paths.generations, paths.snapshots, paths.environments):
            home.mkdir(exist_ok=True)
        if without_lock:
            paths.lock.unlink()
        raise error


def test_a_first_generation_that_fails_leaves_nothing(paths: SweepPaths) -> None:
    """No empty sweep, no store and no lock, and the error goes on; the project's own directories stay."""
    (paths.root / "config").mkdir()
    with pytest.raises(KeyboardInterrupt):
        fail(paths, KeyboardInterrupt())
    assert os.listdir(paths.root) == ["config"]
    assert os.listdir(paths.root / "config") == []


def test_a_generation_whose_lock_was_taken_away_fails_with_its_own_error(paths: SweepPaths) -> None:
    """What cannot be removed any more is no second mistake."""
    with pytest.raises(ValueError, match="x"):
        fail(paths, ValueError("x"), without_lock=True)
    assert os.listdir(paths.root) == []


def test_a_later_generation_that_fails_takes_nothing_away(paths: SweepPaths) -> None:
    """Neither what was written before, nor what another sweep has made, nor the lock that others wait for."""
    with lock.locked(paths):
        paths.snapshots.mkdir()
    with pytest.raises(ValueError, match="x"):
        fail(paths, ValueError("x"))
    assert (paths.directory.is_dir(), paths.lock.is_file()) == (True, True)
    other = SweepPaths(paths.root, "dan")
    (paths.snapshots / "mine").touch()
    with pytest.raises(ValueError, match="x"):
        fail(other, ValueError("x"))
    assert not other.directory.exists()
    assert (paths.directory.is_dir(), paths.lock.is_file(), (paths.snapshots / "mine").exists()) == (True, True, True)


def test_a_file_where_a_directory_should_be_is_named(paths: SweepPaths) -> None:
    """A file in the place of the sweep, or a link to a disk that is gone in that of config/generated: one line."""
    paths.generated.mkdir(parents=True)
    paths.directory.touch()
    with pytest.raises(DiskError, match="generated/rnn: a file, or a link to nothing"), lock.locked(paths):
        pass
    shutil.rmtree(paths.generated)
    paths.generated.symlink_to("/no/such/disk")
    with pytest.raises(DiskError, match="a file, or a link to nothing"), lock.locked(paths):
        pass


@pytest.mark.parametrize("gone", ["lock", "replaced", "directory"])
def test_whoever_waited_looks_again_at_what_was_taken_away_meanwhile(paths: SweepPaths, gone: str) -> None:
    """Another generation that failed removed the lock's file or the sweep's directory: no two hold two locks."""
    paths.directory.mkdir(parents=True)
    with open(paths.lock, "a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        inode = paths.lock.stat().st_ino
        child = os.fork()
        if not child:
            held.close()
            status = 1
            try:
                with lock.locked(paths):
                    same = os.stat(paths.lock).st_ino == inode
                    whole = is_held(paths.lock) and paths.directory.is_dir()
                    status = 0 if whole and same is (gone == "directory") else 2
            finally:
                os._exit(status)
        waiting = re.compile(rf"-> FLOCK .*:{inode} ")
        until(lambda: waiting.search(Path("/proc/locks").read_text()))
        if gone == "directory":
            paths.directory.rmdir()
        else:
            paths.lock.rename(paths.root / "old")  # so its inode is not given to the next file
        if gone == "replaced":
            paths.lock.touch()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_workers_of_a_search_have_a_lock_of_their_own(paths: SweepPaths) -> None:
    """It stands beside the study, where there is one; without a study nobody waits, and no file is made."""
    paths.directory.mkdir(parents=True)
    with lock.asking(paths):
        assert os.listdir(paths.directory) == []
    paths.study.parent.mkdir()
    file = paths.study.with_name(".lock")
    with lock.asking(paths):
        assert is_held(file)
    assert not is_held(file)
    with lock.locked(paths):
        assert is_held(file)
