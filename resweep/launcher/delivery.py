"""Which processes of a training get a signal, and how.

A training is the process group that the launcher started, all descendants of it (torchrun gives each rank a session of
its own), and in a Slurm job every process that carries the attempt's own variable: the ranks of srun are children of
slurmstepd. USR1 and USR2 go only to processes with a handler, since they would end any other. TERM does not go to srun,
which answers it by killing its ranks; the ranks get it instead.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time

from . import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterator

    from .processes import Process

SHELLS = ("bash", "rbash", "sh", "ksh", "ksh93", "mksh", "zsh")
# With an EXIT trap, bash catches every signal that would end it; these are never trapped for their own sake.
CAUGHT_FOR_EXIT = (signal.SIGSYS, signal.SIGXFSZ, signal.SIGVTALRM)
LONGEST_SCRIPT = 1 << 20  # bytes of a shell's script that are searched for a trap
SRUN_SECONDS = 2.0  # for srun to kill its ranks


class Training:
    """The processes of one attempt; `variable`=`value` is in the environment of each of them and of no others."""

    def __init__(self, group: int, variable: str, value: str | None, slurm: Callable[..., tuple[int, str]]) -> None:
        """`slurm` calls a command of Slurm's: its exit status, and what it said."""
        self.group = group
        self._slurm = slurm
        self._mark = os.fsencode("%s=%s" % (variable, value)) if value else None
        self._job = os.environ.get("SLURM_JOB_ID")
        self._node = os.environ.get("SLURMD_NODENAME")
        self._seen: dict[int, int] = {}  # pid -> when it started

    def tell(self, number: int) -> int:
        """Send a signal to every process that handles it, unless an ancestor of it in the training does; how many.

        A data loader is forked by the training and has inherited its handler, which is not meant for it.
        """
        living = processes.living()
        members = self._members(living)
        listening = {pid for pid in members if listens(pid, number)}
        told = {pid for pid in listening if listening.isdisjoint(_ancestors(pid, living))}
        ranks = self._ranks(members)
        if self._several_nodes() and ranks and ranks <= listening:
            # All processes of the steps listen here, so they do on the other nodes. srun tells them, also those here.
            told = told - ranks | _sruns(members, living)
        for pid in told:
            _send(pid, number)
        return len(told)

    def terminate(self) -> None:
        """Send TERM to the process group; where it holds an srun, to its ranks in place of it."""
        living = processes.living()
        members = self._members(living)
        sruns = _sruns(members, living)
        if not sruns:
            _send_group(self.group, signal.SIGTERM)
            return
        ranks = self._ranks(members)
        if self._several_nodes() and self._terminate_steps(sruns):
            ranks = set()
        for pid in members:
            if name(pid) != "srun" and (living[pid].group == self.group or pid in ranks):
                _send(pid, signal.SIGTERM)

    def kill(self) -> None:
        """Send KILL to every process of the training, whatever its session."""
        living = processes.living()
        members = self._members(living)
        sruns = _sruns(members, living)
        for pid in sruns:  # it kills its ranks on all nodes; without it they would live on
            _send(pid, signal.SIGTERM)
        end = time.monotonic() + SRUN_SECONDS
        while sruns & processes.living().keys() and time.monotonic() < end:
            time.sleep(0.05)
        _send_group(self.group, signal.SIGKILL)
        for pid, process in processes.living().items():
            if self._seen.get(pid) == process.started:
                _send(pid, signal.SIGKILL)

    def lives(self) -> bool:
        """Whether a process of the group lives, or one that was seen when the last signal was sent."""
        if any(processes.start_time(pid) == started for pid, started in self._seen.items()):
            return True
        try:
            os.killpg(self.group, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        # what nobody has waited for answers to a signal, too; asking all processes is what takes long
        return any(process.group == self.group for process in processes.living().values())

    def _members(self, living: dict[int, Process]) -> set[int]:
        """All processes of the training that live, which are remembered: a child may lose its parent."""
        members = {pid for pid, each in living.items() if each.group == self.group}
        members |= {pid for pid, started in self._seen.items() if pid in living and living[pid].started == started}
        if self._mark and self._job:
            members |= {pid for pid in living if self._is_marked(pid)}
        children: dict[int, list[int]] = {}
        for pid, each in living.items():
            children.setdefault(each.parent, []).append(pid)
        found = list(members)
        while found:
            new = [child for child in children.get(found.pop(), ()) if child not in members]
            members.update(new)
            found += new
        members.discard(os.getpid())
        self._seen = {pid: living[pid].started for pid in members}
        return members

    def _is_marked(self, pid: int) -> bool:
        """Whether a process carries the attempt's variable in this job, on this node.

        A job that the training has submitted may have inherited the variable, and is not part of it.
        """
        variables = _environment(pid)
        if self._mark not in variables or b"SLURM_JOB_ID=%s" % os.fsencode(self._job or "") not in variables:
            return False
        node = next((each[16:] for each in variables if each.startswith(b"SLURMD_NODENAME=")), None)
        return node is None or self._node is None or node == os.fsencode(self._node)

    def _ranks(self, members: set[int]) -> set[int]:
        """Those that run in a job step which is not the launcher's own."""
        own = os.environ.get("SLURM_STEP_ID")
        mine = b"SLURM_STEP_ID=%s" % os.fsencode(own) if own else None
        return {
            pid
            for pid in members
            if any(each.startswith(b"SLURM_STEP_ID=") and each != mine for each in _environment(pid))
        }

    def _several_nodes(self) -> bool:
        """Whether ranks may run where their processes cannot be seen."""
        count = os.environ.get("SLURM_JOB_NUM_NODES") or os.environ.get("SLURM_NNODES") or "1"
        return bool(self._job) and (self._node is None or count != "1")

    def _terminate_steps(self, sruns: set[int]) -> bool:
        """Let Slurm send TERM to all ranks of the steps that these processes of srun have started; whether it did."""
        code, said = self._slurm("scontrol", "-o", "show", "step", self._job or "")
        steps = []
        for line in said.splitlines() if not code else ():
            fields = dict(re.findall(r"([\w:]+)=(\S+)", line))
            host, _, pid = fields.get("SrunHost:Pid", "").rpartition(":")
            if pid.isdigit() and int(pid) in sruns and host.partition(".")[0] == os.uname().nodename.partition(".")[0]:
                steps.append(fields["StepId"])
        return bool(steps) and not self._slurm("scancel", "--signal=TERM", *steps)[0]


def listens(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal, which a shell that only has an EXIT trap has not."""
    caught = _caught(pid)
    if not caught >> (number - 1) & 1:
        return False
    for_exit = all(caught >> (each - 1) & 1 for each in CAUGHT_FOR_EXIT) and name(pid) in SHELLS
    return not for_exit or _traps(pid, number)


def _traps(pid: int, number: int) -> bool:
    """Whether the script of a shell sets a trap for a signal, as far as its text tells."""
    text = b""
    with contextlib.suppress(OSError):
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            text = file.read(LONGEST_SCRIPT)
        with open("/proc/%d/fd/255" % pid, "rb") as file:  # where bash keeps the script that it runs
            text += b"\n" + file.read(LONGEST_SCRIPT)
    code = re.sub(rb"(?m)^\s*#.*$", b"", text)
    name = re.compile(rb"\b(?:SIG)?%s\b|(?<!\S)%d\b" % (signal.Signals(number).name[3:].encode(), number))
    # a trap for the signals of a variable may be for this one, if the script names it at all
    return any(name.search(each[1]) or (b"$" in each[1] and name.search(code)) for each in _TRAP.finditer(code))


# A trap: what to do, in quotes or not, and the signals that it is for.
_TRAP = re.compile(rb"\btrap\s+(?:--\s+)?(?:'[^']*'|\"(?:[^\"\\]|\\.)*\"|[^\s'\"])+[ \t]+([^\n;&|\0]*)")


def _caught(pid: int) -> int:
    """The signals that a process has handlers for, a bit each."""
    try:
        with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as file:
            found = re.search(r"^SigCgt:\s*([0-9a-f]+)", file.read(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1], 16) if found else 0


def name(pid: int) -> str:
    """The name of a process's program; "" when it is gone."""
    try:
        return os.path.basename(os.readlink("/proc/%d/exe" % pid))
    except OSError:
        pass
    try:
        with open("/proc/%d/comm" % pid, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def _sruns(members: set[int], living: dict[int, Process]) -> set[int]:
    """The processes of srun, each without the copy of itself that it forks."""
    sruns = {pid for pid in members if name(pid) == "srun"}
    return {pid for pid in sruns if sruns.isdisjoint(_ancestors(pid, living))}


def _ancestors(pid: int, living: dict[int, Process]) -> Iterator[int]:
    """Parent, grandparent and so on; a process that ended meanwhile ends the line."""
    seen = {pid}
    while pid in living and living[pid].parent not in seen:
        pid = living[pid].parent
        seen.add(pid)
        yield pid


def _environment(pid: int) -> list[bytes]:
    try:
        with open("/proc/%d/environ" % pid, "rb") as file:
            return file.read().split(b"\0")
    except OSError:  # gone, or another user's
        return []


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _send_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
