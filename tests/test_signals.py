"""What the launcher does with signals: whom of a training they reach, how often, and how long it may take to end.

Code: launcher/attempt, launcher/delivery
"""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from launched import Trial, until
from small_project import SWEEP, Project

# Says in the project's file `signals` what comes, touches `started` once it listens, and ends with 85 on USR1, and on
# TERM when it has saved for as many seconds as its second argument says.
LISTENS = """\
import os, pathlib, signal, sys, time
root = pathlib.Path(sys.argv[1])
def came(number, frame):
    with open(root / "signals", "a") as file:
        file.write(signal.Signals(number).name + "\\n")
    if number == signal.SIGTERM:
        end = time.monotonic() + float(sys.argv[2])
        while time.monotonic() < end:
            time.sleep(0.02)
        (root / "saved").touch()
    os._exit(85)
time.sleep(float(sys.argv[3]))
signal.signal(signal.SIGUSR1, came)
signal.signal(signal.SIGTERM, came)
(root / "started").touch()
time.sleep(1000)
"""


def started(trial: Trial, train: str, save: float = 0.0, late: float = 0.0) -> subprocess.Popen[str]:
    """Start an attempt with this train.sh, where LISTENS stands for such a training, and wait until it trains."""
    (trial.project.root / "listens.py").write_text(LISTENS)
    trial.train(train.replace("LISTENS", f'python "$root/listens.py" "$root" {save} {late}'))
    process = trial.start()
    trial.until_it_trains()
    if not late:
        until((trial.project.root / "started").exists)
    return process


def signals(project: Project) -> list[str]:
    """What came to the training."""
    path = project.root / "signals"
    return path.read_text().splitlines() if path.exists() else []


def end(trial: Trial, process: subprocess.Popen[str]) -> None:
    """Wait for the launcher, and let nothing of its training live on."""
    process.communicate(timeout=60)
    assert not alive(trial.record()["group"])


def alive(group: int) -> bool:
    """Whether a process of the group lives."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended while it was looked at
            state, _, its = path.read_text().rpartition(")")[2].split()[:3]
            if its == str(group) and state != "Z":
                return True
    return False


# --- USR1 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "train",
    [
        "exec LISTENS",
        "LISTENS; exit $?",
        "trap 'touch \"$root/cleaned\"' EXIT\nLISTENS",
        'trap \'touch "$root/cleaned"\' EXIT\nbash -c \'trap "touch $0/cleaned2" EXIT; "$@"; exit $?\' "$root" LISTENS',
        "trap 'touch \"$root/cleaned\"' EXIT\nsetsid -w LISTENS",
    ],
    ids=["python", "bash", "exit-trap", "nested-exit-traps", "session-of-its-own"],
)
def test_usr1_reaches_the_training_once_and_ends_no_shell_around_it(trial: Trial, train: str) -> None:
    """A shell that has a trap for its end alone dies of no USR1, and hands the training's 85 on."""
    process = started(trial, train)
    process.send_signal(signal.SIGUSR1)
    end(trial, process)
    assert signals(trial.project) == ["SIGUSR1"]
    assert (trial.record()["state"], trial.record()["exit_status"]) == ("stopped", 85)
    assert (trial.project.root / "cleaned").exists() == ("EXIT" in train)


def test_usr1_ends_no_shell_that_has_a_trap_for_its_end_and_no_listener(trial: Trial) -> None:
    """Nobody listens: the training runs on, and finishes."""
    train = 'trap "echo cleaned" EXIT; touch "$root/started"; while [ ! -e "$root/go" ]; do sleep 0.05; done'
    process = started(trial, train)
    process.send_signal(signal.SIGUSR1)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3)
    (trial.project.root / "go").touch()
    end(trial, process)
    assert trial.state == "finished"
    assert trial.log() == "cleaned\n"


@pytest.mark.parametrize("handler", ["saves", "exit 85"])
def test_usr1_reaches_a_shell_that_has_a_trap_for_it_beside_one_for_its_end(trial: Trial, handler: str) -> None:
    """Such a shell speaks for what it runs, which gets no second one."""
    train = """saves() { kill -USR1 $pid; wait $pid; exit 85; }
trap 'touch "$root/cleaned"' EXIT
trap 'HANDLER' USR1
LISTENS & pid=$!
wait $pid""".replace("HANDLER", handler)
    process = started(trial, train)
    process.send_signal(signal.SIGUSR1)
    end(trial, process)
    assert trial.record()["exit_status"] == 85
    assert signals(trial.project) == (["SIGUSR1"] if handler == "saves" else [])
    assert (trial.project.root / "cleaned").exists()


def test_usr1_that_comes_before_the_training_listens_is_kept_for_it(trial: Trial) -> None:
    """A training that still loads its libraries has no handler yet; it gets the signal when it has."""
    process = started(trial, "exec LISTENS", late=2.0)
    process.send_signal(signal.SIGUSR1)
    process.send_signal(signal.SIGUSR1)
    end(trial, process)
    assert signals(trial.project) == ["SIGUSR1"]
    assert trial.record()["exit_status"] == 85


# --- TERM ----------------------------------------------------------------------------------------------------------


def test_term_reaches_the_training_once_however_often_the_launcher_gets_it(trial: Trial) -> None:
    """A handler that saves is not called again in the midst of it."""
    process = started(trial, "exec LISTENS", save=1.0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process.send_signal(number)
        until(lambda: signals(trial.project))
    end(trial, process)
    assert signals(trial.project) == ["SIGTERM"]
    assert (trial.project.root / "saved").exists()


def test_what_has_a_session_of_its_own_ends_with_a_stopped_trial(trial: Trial) -> None:
    """Ranks of torchrun have; they would keep their GPU."""
    train = """export root
setsid bash -c 'echo $$ > "$root/pid"; touch "$root/started"; exec sleep 1000' &
wait"""
    process = started(trial, train)
    process.terminate()
    end(trial, process)
    pid = int((trial.project.root / "pid").read_text())
    until(lambda: not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes())


# --- grace ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grace", [None, 40.0])
def test_grace_of_the_sweep_goes_before_the_default(trial: Trial, grace: float | None) -> None:
    """A save that takes longer than the default is cut short by KILL, and comes to its end where [run] grace allows."""
    trial.set(GRACE_SECONDS=0.3)
    options = trial.project.paths().run_options
    written = json.loads(options.read_text())
    assert "grace" not in written
    options.write_text(json.dumps({**written, **({"grace": grace} if grace else {})}))
    process = started(trial, "exec LISTENS", save=2.0)
    process.terminate()
    end(trial, process)
    assert (trial.project.root / "saved").exists() == bool(grace)
    assert (trial.record()["signal"], trial.record()["exit_status"]) == ((None, 85) if grace else ("SIGKILL", None))


@pytest.mark.parametrize("how", ["stop", "interrupt", "exec"])
def test_every_way_to_end_a_trial_has_the_grace(project: Project, how: str) -> None:
    """`resweep stop`, Ctrl-C and a command of `exec` give what [run] grace says, which `run` prints."""
    project.write({"config/rnn.toml": SWEEP + "[run]\ngrace = 0.4\n", "listens.py": LISTENS})
    listens = ["python", str(project.root / "listens.py"), str(project.root), "40", "0"]
    project.write({"train.sh": "exit 0\n" if how == "exec" else f"exec {shlex.join(listens)}\n"})
    project.generate("--no-slurm-job").ok()
    words = ["run", "rnn#1"]
    if how == "exec":
        project.resweep("run", "rnn#1").ok()
        words = ["exec", "rnn#1", "--", *listens]
    command = [sys.executable, "-m", "resweep", *words]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, cwd=project.root, text=True, **streams) as process:
        until((project.root / "started").exists)
        if how == "stop":
            assert "1 stopped, 0 left" in project.resweep("stop", "rnn").ok().out
        else:
            for _ in range(2 if how == "interrupt" else 1):
                process.send_signal(signal.SIGINT)
                time.sleep(0.2)  # two at once would be one
        said = process.communicate(timeout=60)[0]
    assert signals(project) == ["SIGTERM"]
    assert not (project.root / "saved").exists()
    assert ("grace 0.4 s" in said) == (how != "exec")
    assert ("stops 1 trial, within 0.4 s" in said) == (how != "exec")


@pytest.mark.parametrize("value", ["0", "-3", '"a minute"', "true", "inf", "nan"])
def test_a_grace_that_is_no_time_is_refused(project: Project, value: str) -> None:
    """One line names the key, what was found, and what was expected."""
    project.write({"config/rnn.toml": SWEEP + f"[run]\ngrace = {value}\n"})
    done = project.generate()
    assert done.status == 2
    assert "run.grace: found " in done.err
    assert done.err.count("\n") == 1


def test_grace_stands_in_run_json_and_changes_no_id(project: Project) -> None:
    """It is how trials are run, and no part of them; without it the file is as before."""
    project.generate("--no-slurm-job").ok()
    before = [entry.name for entry in project.entries()]
    assert "grace" not in json.loads(project.paths().run_options.read_text())
    project.write({"config/rnn.toml": SWEEP + "[run]\ngrace = 90\n"})
    project.generate("--no-slurm-job").ok()
    assert [entry.name for entry in project.entries()] == before
    assert json.loads(project.paths().run_options.read_text())["grace"] == 90.0
