"""A node that fails all that it is given: how a task of Slurm's notices it, and leaves it for another one.

What began and ended on a node in one submission is a line each of a file that only tasks of that node write:

    model/generated/NAME/.slurm/nodes/SUBMISSION/NODE.txt
        began ID/TRIAL
        ended ID/TRIAL STATE SECONDS

A node is bad after `[slurm] leave_node_after` failures in a row that were quick, when nothing else goes well on it, and
when something does on another node: what fails everywhere is the sweep's own fault, and no node is left for it.
"""

from __future__ import annotations

import os
import re
import signal
import time

from . import places, slurm_job, trial_state
from .places import Place

QUICK = 60.0  # seconds; what fails later has done some work first
WELL = 3.0  # a trial goes well that has run for so many times as long as the failures took
LIVES = 3  # times that a job leaves a node, before it stays wherever it is


class Node:
    """The node that this process runs on, as tasks of one submission know it. It is none outside a job of Slurm's."""

    def __init__(self, sweep: str, submission: str, after: int) -> None:
        """`sweep` and `submission` are directories; `after` so many failures it is left, never for 0."""
        self.name = os.environ.get("SLURMD_NODENAME", "")
        self.sweep = sweep
        self.after = after if self.name and "SLURM_JOB_ID" in os.environ else 0
        root = Place(os.path.join(sweep, "-", "-")).root
        output = os.path.join(root, *places.MODEL_ROOT, os.path.basename(sweep), ".slurm")
        self.folder = os.path.join(output, "nodes", os.path.basename(submission))

    def began(self, trial: str) -> None:
        """Note that a trial is about to be run here."""
        self._note(f"began {trial}")

    def ended(self, trial: str, before: int, status: int) -> None:
        """Note how it ended: by the record of the attempt after `before`, or where there is none by the exit status."""
        place = Place(os.path.join(self.sweep, trial))
        state, record = trial_state.state(place)
        if place.last() == before:  # its site's script came to no attempt
            state, record = ("failed" if status not in (0, trial_state.BUSY) else "none"), {}
        self._note(f"ended {trial} {state} {record.get('seconds') or 0.0:.3f}")

    def _note(self, line: str) -> None:
        if not self.after:
            return
        try:
            os.makedirs(self.folder, exist_ok=True)
            with open(os.path.join(self.folder, self.name + ".txt"), "a", encoding="ascii") as file:
                file.write(line + "\n")
        except (OSError, UnicodeError):  # a comfort less
            self.after = 0

    def bad(self) -> str:
        """Why this node is to be left; empty where it is not."""
        if not self.after or int(os.environ.get("SLURM_RESTART_COUNT") or 0) >= LIVES:
            return ""
        ends, living = self._read(self.name + ".txt")
        last = ends[-self.after :]
        if len(last) < self.after or any(state != "failed" or seconds > QUICK for state, seconds in last):
            return ""
        long = WELL * max(seconds for _, seconds in last) + 1.0
        if self._runs(living, long) or not self._well_elsewhere(long):
            return ""
        return f"{self.name} failed its last {self.after}, each within {max(s for _, s in last) + 1:.0f} s"

    def _well_elsewhere(self, long: float) -> bool:
        """Whether a trial of this submission has finished on another node, or one of any runs there for `long`."""
        parent = os.path.dirname(self.folder)
        for folder in (os.path.join(parent, each) for each in os.listdir(parent)):
            for name in os.listdir(folder):
                if name == self.name + ".txt":
                    continue
                ends, living = self._read(name, folder)
                finished = folder == self.folder and any(state in ("finished", "pruned") for state, _ in ends)
                if finished or self._runs(living, long):
                    return True
        return False

    def _read(self, name: str, folder: str = "") -> tuple[list[tuple[str, float]], list[str]]:
        """How trials ended on a node, those that did by themselves, and those that have not ended."""
        ends: list[tuple[str, float]] = []
        living: dict[str, None] = {}
        try:
            with open(os.path.join(folder or self.folder, name), encoding="ascii", errors="replace") as file:
                lines = file.read().splitlines()
        except OSError:
            return [], []
        for line in lines:
            words = line.split()
            if len(words) == 2 and words[0] == "began":
                living[words[1]] = None
            elif len(words) == 4 and words[0] == "ended":
                living.pop(words[1], None)
                if words[2] in ("finished", "pruned", "failed"):
                    ends.append((words[2], float(words[3])))
        return ends, list(living)

    def _runs(self, trials: list[str], long: float) -> bool:
        """Whether one of the trials has run for so long, by the file server's clock, and still does."""
        for trial in trials:
            place = Place(os.path.join(self.sweep, trial))
            state, record = trial_state.state(place)
            if state == "running":
                began = os.stat(os.path.join(place.attempt(record["attempt"]), places.RECORD)).st_mtime
                if trial_state.server_time(self.folder) - began > long:
                    return True
        return False

    def leave(self) -> str:
        """Let Slurm run this job again on another node, and no waiting task of its array here.

        Empty when it will; what Slurm has against it when it will not, and this job may as well go on.
        """
        job = os.environ["SLURM_JOB_ID"]
        array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
        own = f"{array}_{task}" if array and task else job
        code, said = slurm_job.slurm("scontrol", "-o", "show", "job", own)
        line = next((each for each in said.splitlines() if each.startswith(f"JobId={job} ")), "")
        match = re.search(r" ExcNodeList=(\S+)", line)
        before = [match.group(1)] if match and match.group(1) != "(null)" else []
        nodes = "ExcNodeList=" + ",".join([*before, self.name])
        if code or not line:
            return said.strip() or "Slurm does not answer"
        if array:  # fails for the tasks that run, which are not meant
            slurm_job.slurm("scontrol", "update", "JobId=" + array, nodes)
        # Slurm ends what it requeues, while there is still something to be said to it
        old = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        code, said = slurm_job.slurm("scontrol", "requeue", own)
        if code:
            signal.signal(signal.SIGTERM, old)
            return said.strip() or "Slurm does not requeue it"
        for _ in range(3):
            code, said = slurm_job.slurm("scontrol", "update", "JobId=" + own, nodes)
            if not code:
                break
            time.sleep(1.0)
        return ""
