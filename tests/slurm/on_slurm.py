"""A real Slurm of the tests' own, and sweeps on it whose training is a line of bash."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import running
from small_project import REPOSITORY, Project, Result

from resweep.slurm import ledger
from resweep.slurm.ledger import Job

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
ACCOUNTING = ("slurmdbd", "mariadbd", "mariadb-install-db")
PORTS = 20  # that a cluster uses, from the first

SCORE = 'mkdir -p "$out"; echo \'{"best_validation_accuracy": 0.5}\' > "$out/metrics.json"\n'
FAST = SCORE + 'echo "$n" >> "$root/runs"\n'
# until the test says so, by a file `go`, or `go-N` for one trial
WAIT = running.WAIT + FAST
# a training that never ends by itself
LONG = 'touch "$root/started-$n"; sleep 1000 & wait $!\n'


class Cluster:
    """A Slurm with virtual nodes on this machine; `settings` are those of the script `cluster`, without TEST_SLURM_."""

    def __init__(self, nice: int = 0, **settings: int | str) -> None:
        self.nice = nice
        self.state = tempfile.mkdtemp(prefix="slurm-", dir="/tmp")  # short: Slurm's sockets lie below it
        own = {"STATE": self.state, "PORT": _free_ports(), "QUIET": 1, "REQUEUE": 8, **settings}
        self._settings = {f"TEST_SLURM_{key}": str(value) for key, value in own.items()}

    @property
    def environment(self) -> dict[str, str]:
        """What lets Slurm's commands find it, and no other."""
        path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
        return {"SLURM_CONF": f"{self.state}/etc/slurm.conf", "PATH": path}

    def do(self, *words: str) -> None:
        """Let the script `cluster` do something: start, clean, killnode, startnode, stopcontroller..."""
        command = ["nice", "-n", str(self.nice), Path(__file__).parent / "cluster", *words]
        done = subprocess.run(
            command, env={**os.environ, **self._settings}, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def ask(self, *command: str) -> str:
        """What one of Slurm's commands prints."""
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def queue(self, *options: str) -> list[str]:
        """What waits, runs or ends, a line `JOB|STATE|REASON` for each task."""
        form = ("-h", "-r", "--states=pending,running,completing", "-o", "%F_%K|%T|%r")
        return self.ask("squeue", *form, *options).splitlines()

    @contextmanager
    def closed(self, partition: str) -> Iterator[None]:
        """For a while, what waits for this partition does not begin; what runs there goes on."""
        self.ask("scontrol", "update", f"partitionname={partition}", "state=down")
        try:
            yield
        finally:
            self.ask("scontrol", "update", f"partitionname={partition}", "state=up")

    def drained(self, seconds: float = 150) -> None:
        """Wait until nothing is in the queue."""
        until(lambda: not self.queue(), seconds, self.queue)

    def ready(self) -> None:
        """Wait until a node takes jobs."""
        until(lambda: "idle" in self.ask("sinfo", "-h", "-N", "-p", "cpu", "-o", "%T"), told=lambda: self.ask("sinfo"))

    def empty(self) -> None:
        """Cancel whatever a test has left, and wait until it is gone."""
        self.ask("scancel", "--user=root", "--signal=KILL")
        self.ask("scancel", "--user=root")
        self.drained()
        # Slurm takes a node away on which a job could not be started, as when this machine was too busy to do so
        for node in self.ask("sinfo", "-h", "-N", "-p", "cpu", "-t", "drain,down", "-o", "%N").split():
            self.ask("scontrol", "update", f"nodename={node}", "state=resume")


def missing(*programs: str) -> list[str]:
    """Which of these a cluster would need, and are not installed."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    return [program for program in programs if not shutil.which(program, path=path)]


_LOCKS: list[int] = []  # held as long as this process lives


def _free_ports() -> int:
    """The first of some neighbouring ports that nobody uses, and that no other test process has taken for its own."""
    for first in range(27100, 32000, 97):
        lock = os.open(f"{tempfile.gettempdir()}/resweep-tests-ports-{first}", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        _LOCKS.append(lock)
        with_listeners = False
        for port in range(first, first + PORTS):
            with socket.socket() as probe:
                with_listeners |= probe.connect_ex(("127.0.0.1", port)) == 0
        if not with_listeners:
            return first
    raise RuntimeError("no free ports")


def until(condition: Callable[[], object], seconds: float = 150, told: Callable[[], object] = lambda: "") -> None:
    """Wait until `condition` holds, asking less and less often; `told` says in the failure what is the case."""
    end = time.monotonic() + seconds
    pause = 0.1
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {told()}"
        time.sleep(pause)
        pause = min(1.0, 1.25 * pause)


def sweep(project: Project, count: int, train: str = FAST, slurm: str = "", settings: str = "") -> Project:
    """Generate a sweep for Slurm: one point, so many trials; trial N of it, as trainings know it, is number N + 1."""
    if not (project.root / "slurm-allennlp.sh").exists():
        shutil.copy(REPOSITORY / "slurm-allennlp.sh", project.root)
    table = f"\n[slurm]\n{slurm}\n" if slurm else ""
    text = f'n_trials = {count}\n[hyper]\n"params.lr" = [0.1]\n\n[params]\nlr = 0.5\n{settings}\n{table}'
    project.write({"config/rnn.toml": text, "train.sh": running.FIND + train})
    project.generate("--slurm-job").ok()
    return project


def start(project: Project, *options: str, **environment: str) -> Result:
    """`bash rnn-jobs.sh` with options, as a person types it."""
    return project.shell(" ".join(["bash rnn-jobs.sh", *options]), **environment)


def jobs(project: Project, name: str = "rnn") -> list[Job]:
    """The jobs that were noted, in order."""
    return [job for submission in ledger.read(project.paths(name)) for job in submission.jobs]


def tasks(project: Project) -> int:
    """How many tasks were submitted in all."""
    return sum(job.last - job.first + 1 for job in jobs(project))


def started(project: Project, *numbers: int) -> None:
    """Wait until the trainings of these trials, counted from 0, have begun."""
    until(lambda: all((project.root / f"started-{n}").exists() for n in numbers), told=lambda: status(project))


def go(project: Project, *numbers: int) -> None:
    """Let these trials, counted from 0, or all of them end."""
    for name in [f"go-{n}" for n in numbers] or ["go"]:
        (project.root / name).touch()


def runs(project: Project) -> list[int]:
    """Which trainings have come to their end, sorted."""
    return sorted(map(int, running.lines(project)))


def status(project: Project) -> str:
    """What `resweep status` prints."""
    return project.resweep("status", "rnn").ok().out


def record(project: Project, number: int, which: int) -> dict[str, Any]:
    """The record of attempt `which` of the trial rnn#NUMBER."""
    return project.record(project.entries()[number - 1], which)


def overlap(records: list[dict[str, Any]]) -> int:
    """The largest number of attempts that ran at the same moment."""
    moments = []
    for each in records:
        moments += [(datetime.fromisoformat(each["started"]), 1), (datetime.fromisoformat(each["ended"]), -1)]
    most = now = 0
    for _, step in sorted(moments):
        now += step
        most = max(most, now)
    return most
