"""Which process is which: on this host, since its last start, and whether it lives."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .storage import Record


class Process(NamedTuple):
    """A living process: its parent, its process group, and when it started, in clock ticks since boot."""

    parent: int
    group: int
    started: int


def living() -> dict[int, Process]:
    """All living processes by pid, as far as /proc tells; a zombie does not live."""
    entries = os.listdir("/proc") if os.path.isdir("/proc/self") else []
    found = ((int(entry), stat(int(entry))) for entry in entries if entry.isdigit())
    return {pid: Process(int(each[1]), int(each[2]), int(each[19])) for pid, each in found if each}


def this_process() -> Record:
    """What tells this process from every other: host, start of the machine, pid, start of the process."""
    return {
        "host": os.uname().nodename,
        "boot": _boot(),
        "pid": os.getpid(),
        "pid_start": start_time(os.getpid()),
    }


def reap(child: subprocess.Popen[bytes]) -> int | None:
    """The peak memory in bytes of the largest process of a child that has ended, whose status Popen then knows."""
    pid, status, usage = os.wait4(child.pid, os.WNOHANG)
    if not pid:
        return None
    child.returncode = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    return usage.ru_maxrss * 1024


def note_processes(heartbeat: str, record: Record) -> None:
    """Write which processes run the attempt, in place: always as many bytes, in one write, so that it is never torn.

    Renaming a new file over the old one would be the usual way, and makes ext4 wait for the disk.
    """
    noted = {key: record[key] for key in ("host", "boot", "pid", "pid_start", "group", "group_start")}
    descriptor = os.open(heartbeat, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, (json.dumps(noted).ljust(511) + "\n").encode())
    finally:
        os.close(descriptor)


def kill(group: int, number: int) -> None:
    """Send a signal to a process group, if there is one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def of_this_boot(record: Record) -> bool:
    """Whether the record's process numbers mean something here: this host, since its last start."""
    return bool(record.get("boot")) and (record["host"], record["boot"]) == (os.uname().nodename, _boot())


def processes_live(record: Record) -> bool:
    """Whether the launcher of an attempt of this host lives, or any process of its training.

    Training outlives a launcher that was killed, and must not be started beside itself.
    """
    return same_process(record["pid"], record["pid_start"]) or _lives(record["group"], record["group_start"])


def described(record: Record) -> str:
    """Which process runs an attempt, for a person who wants to look or to stop it."""
    if (
        record.get("group")
        and not same_process(record["pid"], record["pid_start"])
        and _lives(record["group"], record["group_start"])
    ):
        return "process group %d, whose launcher is gone" % record["group"]
    return "process %s" % record.get("pid")


def same_process(pid: int, started: int) -> bool:
    """Whether process `pid` is the one that `started` then: a pid alone can be reused."""
    return started is not None and start_time(pid) == started


def _lives(group: int | None, started: int) -> bool:
    """Whether a process of the group lives whose first process `started` then."""
    if group is None:
        return False
    leader = start_time(group)
    return leader == started if leader is not None else _members(group)


def _members(group: int) -> bool:
    """Whether any process of the group lives; those that nobody has waited for do not."""
    if os.path.isdir("/proc/self"):
        return any(process.group == group for process in living().values())
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    return True


@functools.lru_cache(maxsize=None)
def _boot() -> str | None:
    """Where and since when a pid means one process: this start of the machine, and of the container."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return "%s %s" % (file.read().strip(), os.readlink("/proc/self/ns/pid"))
    except OSError:
        return None


def start_time(pid: int) -> int | None:
    """When process `pid` started, in clock ticks since boot; None when there is none."""
    fields = stat(pid)
    return None if fields is None else int(fields[19])


def stat(pid: int) -> list[bytes] | None:
    """The fields of /proc/PID/stat from the state on; None when the process is gone or a zombie."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return fields if fields and fields[0] not in (b"Z", b"X") else None
