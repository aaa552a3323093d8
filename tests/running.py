"""Sweeps whose training is a line of bash, and runners of them: processes of their own, as users start them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from small_project import Project

from resweep.launcher import processes, storage, trial_state

# what every training here knows: the project's root, its output directory, its number of the repeats, id-trial
FIND = """\
root=$1/../../../../.. ; path=${1%/*}; n=${1##*/}; trial=${path##*/}-$n; out=${2%/*}/output
"""
FAST = 'echo "$trial" >> "$root/runs"\n'
# until the test says so, by a file `go`, or `go-N` for one trial
WAIT = 'touch "$root/started-$n"; while [ ! -e "$root/go" ] && [ ! -e "$root/go-$n" ]; do sleep 0.1; done\n'


def repeated(project: Project, count: int, train: str = FAST, settings: str = "", name: str = "rnn") -> None:
    """Generate a sweep of one point with so many trials; trial N of it has the number N + 1."""
    text = f'n_trials = {count}\n{settings}\n[hyper]\n"params.lr" = [0.1]\n\n[params]\nlr = 0.5\n'
    project.write({"config/rnn.toml": text, "train.sh": FIND + train})
    project.begin("config/rnn.toml", "base.jsonnet", name, "--no-slurm-job")


def lines(project: Project, name: str = "runs") -> list[str]:
    """What trainings have written into a file of the project's root, a line each."""
    path = project.root / name
    return path.read_text().splitlines() if path.exists() else []


def states(project: Project, name: str = "rnn") -> list[str]:
    """The state of every trial."""
    return [trial_state.state(project.paths(name).place(entry.name))[0] for entry in project.entries(name)]


def attempts(project: Project, name: str = "rnn") -> list[int]:
    """The number of attempts of every trial."""
    return [project.paths(name).place(entry.name).last() for entry in project.entries(name)]


def record(project: Project, number: int, name: str = "rnn") -> dict[str, Any]:
    """The last record of the trial NAME#NUMBER, with the processes of its heartbeat while it runs."""
    return trial_state.state(project.paths(name).place(project.entries(name)[number - 1].name))[1]


def log(project: Project, number: int, which: int = 1, name: str = "rnn") -> str:
    """The log of one attempt of the trial NAME#NUMBER."""
    place = project.paths(name).place(project.entries(name)[number - 1].name)
    return Path(place.attempt(which), "log.txt").read_text()


def until_it_says(stream: IO[str] | None, text: str) -> str:
    """Read lines until one has `text` in it; all that was read.

    What comes right behind that line may be lost to `communicate`: for processes that then wait for the test.
    """
    assert stream
    said = ""
    for line in stream:
        said += line
        if text in line:
            return said
    raise AssertionError(f"never said {text!r}, but: {said}")


class Runners:
    """Processes of `resweep`, in process groups of their own, that do not outlive the test."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start `resweep run rnn`, or another command; both streams come through one pipe."""
        process = subprocess.Popen(
            [sys.executable, "-m", "resweep", *(arguments or ("run", "rnn"))],
            cwd=self.project.root,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        self.processes.append(process)
        return process

    def end(self) -> None:
        """Kill what is left, runners first, then the trials that records name."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            if process.stdout and not process.stdout.closed:
                process.communicate()
        for directory in (self.project.root / "model" / "generated").glob("*/*/*.attempts/*/"):
            now = storage.read_json(f"{directory}/record.json")
            if now.get("state") == "running":
                now |= storage.read_json(f"{directory}/heartbeat")
                for number, started in ((now["pid"], now["pid_start"]), (now["group"], now["group_start"])):
                    if number and number != os.getpid() and processes.same_process(number, started):
                        with contextlib.suppress(OSError):
                            os.killpg(number, signal.SIGKILL) if number == now["group"] else os.kill(number, 9)
