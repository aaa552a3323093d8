"""Run one attempt of one trial: its TOML, its environment, its record. Needs Python 3.8 and bash, nothing else.

This file is copied into every sweep, and into every capsule's rerun.sh, so that a trial runs when the tool is long
gone. So it imports nothing of the tool, and is the only launcher there is: here, on Slurm, by hand.

    python attempt.py run CAPSULE            one attempt, recorded under model/generated/NAME/ID/TRIAL.attempts/N
    ... run CAPSULE --with SCRIPT            SCRIPT CONF_DIR CONF_PATH in place of the capsule's train.sh
    python attempt.py rerun CAPSULE [DIR]    the capsule once more, into a fresh directory

The exit status is that of train.sh; 75 (try again later) when another process has the trial, 2 for a mistake. A
train.sh that ends with 85 has saved a checkpoint and asks to be run again: the next attempt goes on with its output.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import importlib
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import types
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Iterator, NamedTuple

Record = Dict[str, Any]

FORMAT = 1
RECORD = "record.json"
LOG = "log.txt"
OUTPUT = "output"
FINISHED = "finished"
HEARTBEAT = "heartbeat"
RUN_OPTIONS = "run.json"
ATTEMPTS_SUFFIX = ".attempts"
MANIFEST = "manifest.json"
FINGERPRINTS = "fingerprints.json"
ENVIRONMENT = "environment.json"
DATA_CACHE = ".data-cache.json"
INTACT = ".intact.json"
ALLOW_CHANGED_DATA = "RESWEEP_ALLOW_CHANGED_DATA"
ALLOW_CHANGED_TRIALS = "RESWEEP_ALLOW_CHANGED_TRIALS"
CONFIG_ROOT = ("config", "generated")
MODEL_ROOT = ("model", "generated")

HEARTBEAT_SECONDS = 30.0  # between two signs of life of a running attempt
STALE_SECONDS = 300.0  # without one for so long, an attempt on another host is lost
GRACE_SECONDS = 10.0  # between TERM and KILL, where neither [run] grace nor a Slurm says another
MARGIN_SECONDS = 2.0  # before the KILL of Slurm: the end of the attempt is recorded in it
SENTINEL_SECONDS = 1.0  # within which a signal for a whole job reaches all its processes
LISTEN_SECONDS = 2.0  # between two looks whether a process has a handler by now
WAIT_SECONDS = 2.0  # between two looks at an attempt that may still run
ASK_SECONDS = 10.0  # for a command of Slurm's to answer
TURN, TURNS = 0.02, 200  # seconds between two jobs that ask Slurm what ended them, and how many wait for their turn
CONDUCTED = "RESWEEP_CONDUCTED"  # the attempt that a site's script runs, for the launcher that it may call
KILL_WAIT = "RESWEEP_KILL_WAIT"  # of the site: seconds between TERM and KILL, when Slurm ends a job
GRACE_TIME = "RESWEEP_GRACE_TIME"  # of the job's partition: seconds between a preemption's notice and its TERM
OUTPUT_VARIABLE = "RESWEEP_OUTPUT"  # where an attempt's training writes
NEXT = "RESWEEP_NEXT_ATTEMPT"  # the number that a task of Slurm's has decided on: that one, or none
PRUNE = "prune.json"  # in an attempt: why it is stopped early, written before the signal that stops it
BUSY = 75  # sysexits' EX_TEMPFAIL
REQUEUE = 85  # training asks to be run again and to find its output; HTCondor's number for a checkpoint
ENDED_BY = "ended_by"  # in a record's `slurm`: what Slurm did to the job of an attempt that was stopped

# The numerical libraries read the thread count when they are loaded, and another count gives other weights.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class AttemptError(Exception):
    """A mistake that a person can mend: one line, exit status 2."""


class Place:
    """Where a trial's files are: `capsule`, and for one that stands in a project its root, output and attempts."""

    def __init__(self, capsule: str) -> None:
        # abspath, not realpath: config/generated may be a symbolic link to another disk
        self.capsule = os.path.abspath(capsule)
        parts = self.capsule.split(os.sep)
        self.in_project = len(parts) > 5 and tuple(parts[-5:-3]) == CONFIG_ROOT
        if self.in_project:
            self.root = os.sep.join(parts[:-5]) or os.sep
            self.output = os.path.join(self.root, *MODEL_ROOT, *parts[-3:])
            self.attempts = self.output + ATTEMPTS_SUFFIX

    @property
    def label(self) -> str:
        """NAME/ID/TRIAL, for messages."""
        return "/".join(self.capsule.split(os.sep)[-3:])

    def attempt(self, number: int) -> str:
        """The directory of attempt `number`, counted from 1."""
        return os.path.join(self.attempts, str(number))

    def last(self) -> int:
        """The number of the latest attempt, 0 when there is none."""
        try:
            names = os.listdir(self.attempts)
        except FileNotFoundError:
            return 0
        return max((int(name) for name in names if name.isdigit()), default=0)

    def finished(self) -> bool:
        """Whether an attempt of this trial has finished and counts."""
        return os.path.exists(os.path.join(self.attempts, FINISHED))


def state(place: Place) -> tuple[str, Record]:
    """The trial's state and its latest record: queued, running, finished, pruned, failed, stopped or lost."""
    if place.finished():
        return "finished", read_json(os.path.join(place.attempts, FINISHED))
    number = place.last()
    if number == 0:
        return "queued", {}
    directory = place.attempt(number)
    record = read_json(os.path.join(directory, RECORD))
    if record.get("state", "running") != "running":
        return record["state"], record
    while True:
        processes = read_json(os.path.join(directory, HEARTBEAT))
        record.update(processes)
        if _alive(directory, record):
            return "running", record
        # a worker may have noted that it goes on just before the runner that we found dead died
        if processes == read_json(os.path.join(directory, HEARTBEAT)):
            break
    latest = read_json(os.path.join(directory, RECORD))  # the end may have been recorded while we looked
    return ("lost", record) if latest.get("state", "running") == "running" else (latest["state"], latest)


def settle(place: Place) -> bool:
    """Whether the trial has finished; completes what a crash left undone between its last record and its place."""
    now, record = state(place)
    if now != "finished":
        return False
    if place.finished():
        _move_output(place, record.get("attempt") or _finished_attempt(place))
    else:
        _count(place, record["attempt"])
    return True


def run(capsule: str, script: str | None = None) -> int:
    """Run one attempt of the trial at `capsule`, unless it has finished or runs; the exit status of train.sh.

    `script` is run in place of train.sh: one for Slurm, of 2020, that trains itself.
    """
    place = Place(capsule)
    if not place.in_project:
        raise AttemptError(
            "%s: not a trial of a project (PROJECT/config/generated/NAME/ID/TRIAL); bash %s/rerun.sh runs it anywhere"
            % (capsule, capsule)
        )
    manifest = read_manifest(place.capsule)
    # one that comes before the training runs waits for it, as it does in a worker
    signal.pthread_sigmask(signal.SIG_BLOCK, Signals.PASSED)
    now_, record = _begin_patiently(place, manifest, int(os.environ.pop(NEXT, 0)))
    if now_ in ("finished", "pruned"):
        print("%s: %s already" % (place.label, now_))
        return 0
    if now_ == "running" and os.environ.get(CONDUCTED) == place.attempt(record.get("attempt", 0)):
        # `script` has called us, perhaps through srun: the attempt goes on with what it was about to run
        toml = os.path.join(place.attempt(record["attempt"]), manifest["id"] + ".toml")
        sys.stdout.flush()
        os.chdir(place.capsule)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, Signals.PASSED)
        os.execvp("bash", ["bash", os.path.join(place.capsule, "train.sh"), place.capsule, toml])
    if now_ == "running":
        print("%s: runs already on %s (%s)" % (place.label, record.get("host"), _process(record)))
        return BUSY
    return conduct(place, manifest, record, script)


def begin(
    place: Place, manifest: Record, number: int = 0, gpus: tuple[Record, ...] = (), pruned: bool = False
) -> tuple[str, Record]:
    """Claim the next attempt of a trial for this process: "claimed" and its new record.

    "finished", "pruned" or "running" and the latest record when there is nothing to claim, or another process was
    quicker. Who decided earlier that attempt `number` should be, claims that or none. `pruned` says
    that who calls has decided about trials that were stopped early: another attempt of one is claimed as of any other.
    """
    # before the state is read: who starts an attempt from now on makes the claim fail
    number = number or place.last() + 1
    found, record = state(place)
    if found == "running":
        word = word_of_slurm(record)
        if word == "over" or (word and _silent(place, record)):
            found = "lost"
    if found == "finished":
        settle(place)
    if found in ("finished", "running") or (found == "pruned" and not pruned):
        return found, record
    if os.path.exists(place.output) and not place.finished():
        raise AttemptError(
            "%s: exists, but no attempt of this trial has finished; move it away, and run again" % place.output
        )
    check(place.capsule, manifest, place.attempts)
    record = {**new_record(manifest, number), "gpus": list(gpus), **check_trial(place, manifest)}
    record.update(check_data(place, sweep_data(place)))
    if not _claim(place, record):
        return "running", read_json(os.path.join(place.attempt(number), RECORD))
    return "claimed", record


def _begin_patiently(place: Place, manifest: Record, number: int) -> tuple[str, Record]:
    """As `begin`; waits while Slurm has given the job of a running attempt up that still gives signs of life.

    It may end by itself, also well. Beside it there is to be no other.
    """
    told = False
    while True:
        found, record = begin(place, manifest, number)
        if found != "running" or not record.get("host") or word_of_slurm(record) != "given up":
            return found, record
        if not told:
            print(
                "%s: Slurm has given up the job of attempt %s on %s, which may still run; waits until it ends or gives "
                "no sign of life for %d s" % (place.label, record["attempt"], record["host"], 2.5 * HEARTBEAT_SECONDS),
                flush=True,
            )
            told = True
        time.sleep(WAIT_SECONDS)


def conduct(place: Place, manifest: Record, record: Record, script: str | None = None) -> int:
    """Run the attempt that `begin` claimed, perhaps for a parent of this process; the exit status of train.sh."""
    claimant = record["pid"]
    number = record["attempt"]
    directory = place.attempt(number)
    record.update(this_process())
    note_processes(os.path.join(directory, HEARTBEAT), record)
    if os.getpid() != claimant != os.getppid():
        # whoever claimed it has died before it was noted that we go on: by now the trial may be another's
        print("%s: given up, since its runner died while it was started" % place.label)
        return BUSY
    record["resumed"] = _resume(place, number)
    record = execute(place.capsule, manifest, directory, record, data_root(place), script)
    if record["state"] == "finished" and not _count(place, number):
        print("%s: finished, but another attempt had finished first; this one does not count" % place.label)
        return 0
    print("%s: %s" % (place.label, outcome(record, os.path.join(directory, LOG))))
    return _status(record)


def _resume(place: Place, number: int) -> int | None:
    """Let attempt `number` go on with the output of the last one, whose number is returned.

    Only where the sweep says so, or that one ended with the status that asks for it. One that was pruned keeps what it
    came to, and its weights may be gone.
    """
    asked = read_json(os.path.join(place.attempt(number - 1), RECORD)).get("exit_status") == REQUEUE
    if not asked and read_json(os.path.join(place.capsule, "..", "..", RUN_OPTIONS)).get("on_retry") != "resume":
        return None
    for earlier in range(number - 1, 0, -1):
        source = os.path.join(place.attempt(earlier), OUTPUT)
        record = read_json(os.path.join(place.attempt(earlier), RECORD))
        if record.get("state") == "pruned":
            return None
        if os.path.isdir(source) and not os.path.islink(source):
            output = os.path.join(place.attempt(number), OUTPUT)
            if record.get("seconds") is not None or of_this_boot(record):
                os.rename(source, output)
            else:  # nobody saw it end: on a host that is only cut off it may still write there
                _copy(source, output)
            return earlier
    return None


def _copy(source: str, target: str) -> None:
    """Copy a directory that may change meanwhile, whole or not at all; what vanishes while it is copied is left out."""
    part = target + ".part"
    try:
        os.mkdir(part)
        for folder, names, files in os.walk(source):
            there = os.path.normpath(os.path.join(part, os.path.relpath(folder, source)))
            for name in names + files:
                path, copied = os.path.join(folder, name), os.path.join(there, name)
                with contextlib.suppress(FileNotFoundError):
                    if os.path.islink(path) or name in files:
                        shutil.copy2(path, copied, follow_symlinks=False)
                    else:
                        os.mkdir(copied)
        os.rename(part, target)
    except OSError:
        shutil.rmtree(part, ignore_errors=True)
        raise


def rerun(capsule: str, directory: str | None = None) -> int:
    """Run the capsule once more into `directory`, which must be new or empty; the exit status of train.sh."""
    capsule = os.path.abspath(capsule)
    manifest = read_manifest(capsule)
    check(capsule, manifest, directory or os.getcwd())
    place = Place(capsule)
    record = {**new_record(manifest, 1), **check_trial(place, manifest, remember=False)}
    record.update(check_data(place, os.path.join(capsule, FINGERPRINTS)))
    directory = fresh(capsule, "rerun-%s-%s" % (manifest["id"], manifest["trial"]), directory)
    print("runs %s again; output, log and record go to %s" % (capsule, directory), flush=True)
    record = execute(capsule, manifest, directory, record, data_root(place))
    print(outcome(record, os.path.join(directory, LOG)))
    return _status(record)


def new_record(manifest: Record, number: int) -> Record:
    """The record of attempt `number`, which this process is about to start."""
    return {
        "format": FORMAT,
        "id": manifest["id"],
        "trial": manifest["trial"],
        "attempt": number,
        "state": "running",
        "resumed": None,
        **this_process(),
        "group": None,
        "group_start": None,
        "started": now(),
        "ended": None,
        "seconds": None,
        "exit_status": None,
        "signal": None,
        "peak_memory_bytes": None,
        "gpus": [],
        "data": None,
        "data_changed": [],
        "trial_changed": [],
        "leaked": None,
        "slurm": {key: os.environ[key] for key in sorted(os.environ) if _SLURM_ID.match(key)},
    }


def this_process() -> Record:
    """What tells this process from every other: host, start of the machine, pid, start of the process."""
    return {
        "host": socket.gethostname(),
        "boot": _boot(),
        "pid": os.getpid(),
        "pid_start": start_time(os.getpid()),
    }


def execute(
    capsule: str, manifest: Record, directory: str, record: Record, data: str, script: str | None = None
) -> Record:
    """Run train.sh of `capsule`, or `script`, with everything that it leaves in `directory`, and return the record.

    The child gets a session of its own, so that whatever ends it ends all that it started.
    """
    toml = os.path.join(directory, manifest["id"] + ".toml")
    _write(toml, attempt_toml(capsule, manifest["id"], toml, os.path.join(directory, OUTPUT)))
    env = environment(capsule, manifest, directory, record["attempt"], data)
    output = os.path.join(directory, OUTPUT)
    env[OUTPUT_VARIABLE] = output
    if _makes_output(capsule, manifest):
        os.makedirs(output, exist_ok=True)
    if record["resumed"]:
        env["RESWEEP_RESUMED"] = str(record["resumed"])
    watch = _room("surroundings").Watch(capsule, directory, _text("witness"))
    env = watch.environment(env)
    with open(os.path.join(directory, LOG), "ab") as log, Signals() as signals:
        command = ["bash", os.path.join(capsule, "train.sh")]
        if script:
            env[CONDUCTED] = directory
            command = [script] if os.access(script, os.X_OK) else ["bash", script]
        command += [capsule, toml]
        # one that calls the launcher begins where its job does, as it would without us
        cwd = os.getcwd() if script and _calls_the_launcher(script) else capsule
        supervise(command, cwd, env, directory, record, signals, log.fileno(), log.fileno(), capsule)
        pruned = read_json(os.path.join(directory, PRUNE))
        if record["state"] == "stopped" and pruned:
            record.update(state="pruned", pruned=pruned)
        elif record["slurm"] and (record["state"] == "stopped" or record["exit_status"] in _ENDED or record["signal"]):
            reason = record["slurm"].get(ENDED_BY) or _why_ended(signals.first)
            if reason:  # Slurm signals all processes at once: the training may be quicker than we
                record["state"] = "stopped"
            if reason or record["exit_status"] != REQUEUE:  # a training that saved by itself was ended by nobody
                record["slurm"][ENDED_BY] = reason
        if record["exit_status"] == REQUEUE and record["state"] == "failed":
            record["state"] = "stopped"
        if record["state"] == "finished":
            os.makedirs(output, exist_ok=True)
        else:
            with contextlib.suppress(OSError):
                os.rmdir(output)  # nothing was written; of one that failed there is nothing to keep
        record.update(watch.ended(write_json))
        close(directory, record)
    return record


def _makes_output(capsule: str, manifest: Record) -> bool:
    """Whether training finds its output directory: not where it insists on making that itself."""
    options = read_json(os.path.join(capsule, "..", "..", RUN_OPTIONS))  # none where a capsule lies alone
    return bool((options or manifest).get("make_output", True))


def _calls_the_launcher(script: str) -> bool:
    with open(script, "rb") as file:
        return b"attempt.py" in file.read()


def supervise(
    command: list[str],
    cwd: str,
    env: dict[str, str],
    directory: str,
    record: Record,
    signals: Signals,
    stdout: int,
    stderr: int,
    capsule: str,
) -> None:
    """Run `command` to its end, or to that of what it started when a signal comes, and complete `record` with it.

    Which processes run it stands in the heartbeat of `directory`; the caller writes the record down with `close`.
    `capsule` is the one whose sweep says how long a training has between TERM and KILL.
    """
    heartbeat = os.path.join(directory, HEARTBEAT)
    begin = time.monotonic()
    early = len(signals.received)
    reason = None
    try:
        child = subprocess.Popen(
            ["sh", "-c", _GATE, "sh", *command],
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        assert child.stdin
    except (OSError, subprocess.SubprocessError) as error:
        os.write(stderr, ("the trial could not be started: %s\n" % error).encode())
        status, stopped, memory = 127, False, None
    else:
        record.update(group=child.pid, group_start=start_time(child.pid))
        note_processes(heartbeat, record)
        with contextlib.suppress(BrokenPipeError):  # it was killed already
            child.stdin.write(b"go\n")
            child.stdin.close()
        watched = _Watched(child, heartbeat, capsule, env.get(OUTPUT_VARIABLE))
        with watched:
            watched.wait(signals, early)
        status, stopped, memory, reason = child.returncode, watched.stopped, watched.memory, watched.ended_by
    record["ended"] = now()
    record["seconds"] = round(time.monotonic() - begin, 3)
    record["exit_status"] = status if status >= 0 else None
    record["signal"] = signal.Signals(-status).name if status < 0 else None
    record["peak_memory_bytes"] = memory
    record["state"] = "stopped" if stopped else "finished" if status == 0 else "failed"
    if stopped:
        record["told_to_stop"] = True
    if reason:
        record["slurm"][ENDED_BY] = reason


def close(directory: str, record: Record) -> None:
    """Write down, past the disk's cache, how what ran in `directory` has ended."""
    write_json(os.path.join(directory, RECORD), record, sync=True)
    _remove(os.path.join(directory, HEARTBEAT))


def environment(capsule: str, manifest: Record, directory: str, number: int, data: str) -> dict[str, str]:
    """The environment of train.sh: what was frozen comes first, and nothing is written into the capsule."""
    env = dict(os.environ)
    python = _python()
    _put_first(env, python, os.path.join(directory, "bin"))
    source = [capsule]
    if os.path.isdir(os.path.join(capsule, "src")):  # [snapshot] from = "git" keeps a src/ layout
        source.append(os.path.join(capsule, "src"))
    if env.get("PYTHONPATH"):
        source.append(env["PYTHONPATH"])
    env["PYTHONPATH"] = os.pathsep.join(source)
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    env["PYTHONHASHSEED"] = "0"  # the order of sets of strings must not differ between two runs
    env.pop("PYTHONSAFEPATH", None)
    env.pop(OUTPUT_VARIABLE, None)  # of an attempt that this one is started by
    for name in THREAD_VARIABLES:
        env[name] = str(manifest["threads"])
    env["RESWEEP_PYTHON"] = python
    env["RESWEEP_DATA"] = os.path.abspath(data)
    env["RESWEEP_ATTEMPT"] = str(number)
    return env


def check(capsule: str, manifest: Record, directory: str) -> None:
    """Refuse what would stop an attempt in `directory`, before anything of it is written: an AttemptError."""
    if os.pathsep in capsule:
        raise AttemptError("%s: has a %r in it, which no PYTHONPATH can hold; move it" % (capsule, os.pathsep))
    _python()
    attempt_toml(capsule, manifest["id"], directory, directory)


def check_trial(place: Place, manifest: Record, remember: bool = True) -> Record:
    """What the record says of the capsule; an AttemptError where it is not what was written, unless a person allows."""
    memo = _memo(place) if remember else _room("intact").Memo(None)
    changed = _room("intact").changes(place.capsule, manifest, memo)
    if changed and not os.environ.get(ALLOW_CHANGED_TRIALS):
        more = " and %d more" % (len(changed) - 3) if len(changed) > 3 else ""
        raise AttemptError(
            "%s: modified since it was generated: %s%s; not started. `resweep verify` lists every change; to run it "
            "anyway: resweep run --allow-changed-trials, or %s=1"
            % (place.label, ", ".join(changed[:3]), more, ALLOW_CHANGED_TRIALS)
        )
    return {"trial_changed": changed}


def _memo(place: Place) -> Any:
    """How the files that trials share looked when they were read last; one for a project, and for this process."""
    path = os.path.join(place.root, *CONFIG_ROOT, INTACT) if place.in_project else ""
    if path not in _MEMOS:
        _MEMOS[path] = _room("intact").Memo(path or None)
    return _MEMOS[path]


_MEMOS: Dict[str, Any] = {}


def sweep_data(place: Place) -> str | None:
    """The fingerprints of the data that the sweep's last generation asks for; None where it names none."""
    sweep = os.path.dirname(os.path.dirname(place.capsule))
    generation = read_json(os.path.join(sweep, RUN_OPTIONS)).get("data")
    return os.path.join(sweep, "generations", str(generation), FINGERPRINTS) if generation else None


def data_root(place: Place) -> str:
    """The directory that relative paths of data start from."""
    return os.environ.get("RESWEEP_DATA") or (place.root if place.in_project else os.getcwd())


def data_cache(place: Place) -> Any:
    """What is known of the data's files without reading them, shared by the sweeps of a project."""
    path = os.path.join(place.root, *CONFIG_ROOT, DATA_CACHE) if place.in_project else None
    return _room("data").Cache(path)


def check_data(place: Place, fingerprints: str | None) -> Record:
    """What the record says of the data; an AttemptError where it is not what it was, unless a person allows that."""
    recorded = read_json(fingerprints) if fingerprints else {}
    if not recorded:
        return {"data": None, "data_changed": []}
    cache = data_cache(place)
    changed = [str(change) for change in _room("data").changes(recorded, data_root(place), cache)]
    cache.save()
    if changed and not os.environ.get(ALLOW_CHANGED_DATA):
        more = " and %d more" % (len(changed) - 3) if len(changed) > 3 else ""
        raise AttemptError(
            "%s: the data changed since it was generated: %s%s; nothing was started. Restore it, or generate again, or "
            "allow it: resweep run --allow-changed-data, or %s=1"
            % (place.label, ", ".join(changed[:3]), more, ALLOW_CHANGED_DATA)
        )
    with open(fingerprints or "", "rb") as file:
        return {"data": hashlib.sha256(file.read()).hexdigest(), "data_changed": changed}


def _python() -> str:
    """The path of the interpreter that trains."""
    name = os.environ.get("RESWEEP_PYTHON") or sys.executable
    found = shutil.which(name)
    if found is None:
        raise AttemptError("RESWEEP_PYTHON: found %r, expected a Python interpreter on PATH or its path" % name)
    return os.path.abspath(found)


def _put_first(env: dict[str, str], python: str, shims: str) -> None:
    """Let `python`, which a train.sh of 2020 says, be the interpreter that the sweep names."""
    folder = os.path.dirname(python)
    if os.path.dirname(shutil.which("python") or "") != folder:
        env["PATH"] = folder + os.pathsep + env.get("PATH", os.defpath)
    same = os.path.join(folder, "python")
    if not os.path.exists(same) or not os.path.samefile(same, python):
        # A script, not a link: an interpreter finds its virtual environment by its own path.
        os.makedirs(shims, exist_ok=True)
        _write(os.path.join(shims, "python"), '#!/bin/sh\nexec %s "$@"\n' % shlex.quote(python))
        os.chmod(os.path.join(shims, "python"), 0o755)
        env["PATH"] = shims + os.pathsep + env["PATH"]


def attempt_toml(capsule: str, trial_id: str, conf_path: str, serialization_dir: str) -> str:
    """The capsule's TOML with the four paths of its header made absolute for this attempt."""
    paths = {
        "conf_dir": capsule,
        "conf_path": conf_path,
        "allennlp_conf": os.path.join(capsule, trial_id + ".json"),
        "serialization_dir": serialization_dir,
    }
    with open(os.path.join(capsule, trial_id + ".toml"), encoding="utf-8") as file:
        text = file.read()
    # The header ends at the first blank line; below it a person's own strings may look like these keys.
    header, blank, body = text.partition("\n\n")
    lines = header.split("\n")
    for key, value in paths.items():
        places = [number for number, line in enumerate(lines) if line.startswith(key + " = ")]
        if len(places) != 1:
            raise AttemptError("%s: %s.toml has no %s in its header" % (capsule, trial_id, key))
        lines[places[0]] = "%s = %s" % (key, toml_string(value))
    return "\n".join(lines) + blank + body


def toml_string(value: str) -> str:
    """`value` as a TOML basic string."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise AttemptError("%r: the path is not valid UTF-8, and TOML knows no other" % value) from None
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def outcome(record: Record, log: str) -> str:
    """One line on how an attempt ended."""
    took = "%.1f s" % record["seconds"]
    if record["state"] == "finished":
        return "finished in %s" % took
    if record["state"] == "pruned":
        return "pruned after %s (%s)" % (took, record["pruned"].get("why"))
    how = "exit status %s" % record["exit_status"] if record["signal"] is None else record["signal"]
    return "%s after %s (%s), log: %s" % (record["state"], took, how, log)


def read_manifest(capsule: str) -> Record:
    """The capsule's manifest.json; an AttemptError when `capsule` holds none, or one of a newer format."""
    try:
        with open(os.path.join(capsule, MANIFEST), encoding="utf-8") as file:
            manifest: Record = json.load(file)
        if manifest["format"] != FORMAT:
            raise AttemptError(
                "%s: format %r, expected %d: made by another version" % (capsule, manifest["format"], FORMAT)
            )
        return manifest
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AttemptError(
            "%s: not a trial's directory, no readable %s in it (%s)" % (capsule, MANIFEST, error)
        ) from None


def read_json(path: str) -> Record:
    """The JSON object at `path`; empty when it is missing or torn (a record is written by a rename, so it is not)."""
    try:
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_json(path: str, value: Record, sync: bool = False) -> None:
    """Write `value` whole or not at all, and with `sync` past the disk's cache."""
    _write(path, json.dumps(value, indent=2, sort_keys=True) + "\n", sync)


# No training lives that no file names: it waits for a word, which it gets when its process group is written down, and
# which never comes when the launcher dies before.
_GATE = 'read -r go && exec "$@" </dev/null; exit 127'

# How a training may end that Slurm ends: what a shell says of a command that a signal ended, or with a checkpoint.
_ENDED = (128 + signal.SIGTERM, 128 + signal.SIGKILL, REQUEUE)

_SLURM_ID = re.compile(r"SLURM_(ARRAY_JOB_ID|ARRAY_TASK_ID|CLUSTER_NAME|JOB_ID|JOB_PARTITION|NODELIST|RESTART_COUNT)$")


class Signals:
    """While it is open, the signals that end a process are noted and passed on instead of ending this one."""

    STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    PASSED = (signal.SIGUSR1, signal.SIGUSR2)  # to a training that listens: its time is nearly over
    CAUGHT = STOP + PASSED

    def __enter__(self) -> Signals:
        """Begin to note signals, in `received`; `reader` becomes readable when one comes, or a child ends."""
        self.received: list[int] = []
        self.first: float | None = None  # when the first one came
        self.reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._fd = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._old: dict[int, Any] = {}
        for number in self.CAUGHT:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays in force
                self._old[number] = signal.signal(number, self._receive)
        # a worker holds them back until they can be heeded
        self._mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, self.CAUGHT)
        return self

    def _receive(self, number: int, _frame: object) -> None:
        self.first = self.first or time.monotonic()
        self.received.append(number)

    def __exit__(self, *_: object) -> None:
        """Let signals do again what they did."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd)
        os.close(self.reader)
        os.close(self._writer)


class _Watched:
    """A training while it runs: gives its sign of life, passes signals on, and ends it when a signal says so."""

    def __init__(self, child: subprocess.Popen[bytes], heartbeat: str, capsule: str, output: str | None) -> None:
        self.child = child
        self.stopped = False
        self.memory: int | None = None  # the peak of its largest process in bytes, once the child has ended
        self.ended_by: str | None = None  # what Slurm said of the job when it sent TERM to all of it
        self._heartbeat = heartbeat
        self._capsule = capsule
        self._training = _room("delivery").Training(child.pid, OUTPUT_VARIABLE, output, slurm)
        self._sentinel = Sentinel()
        self._undelivered: list[int] = []
        self._next_look = 0.0
        self._kill_at: float | None = None
        self._ask_at: float | None = None  # when it is our turn to ask Slurm what it does to the job
        self._told_at = 0.0
        self._heeded = 0
        try:
            self._pidfd: int | None = os.pidfd_open(child.pid)
        except (AttributeError, OSError):  # Python < 3.9, Linux < 5.3
            self._pidfd = None

    def __enter__(self) -> _Watched:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
        self._sentinel.close()
        _kill(self.child.pid, signal.SIGKILL)  # what train.sh left running would keep its GPU
        if self.stopped:
            self._training.kill()

    def wait(self, signals: Signals, early: int) -> None:
        """Wait for the child, and after a signal for all that it started; `early` signals came before it began."""
        while True:
            with contextlib.suppress(OSError):  # a disk that is full for a moment is no reason to end the training
                _touch(self._heartbeat)
            self._heed(signals, early)
            if self._ask_at is not None and time.monotonic() >= self._ask_at:
                self._ask()
            watched = [signals.reader] if self._pidfd is None else [signals.reader, self._pidfd]
            if signals.reader in select.select(watched, [], [], self._patience())[0]:
                os.read(signals.reader, 512)
            late = self._kill_at is not None and time.monotonic() >= self._kill_at
            if self.memory is None:
                self.memory = _reap(self.child)
            if self.memory is not None:
                if self._kill_at is None or late or not self._training.lives():
                    return
                time.sleep(0.05)  # bash ends at once; what it ran may be writing a last checkpoint
            elif late:
                self._training.kill()

    def _patience(self) -> float:
        timeout = HEARTBEAT_SECONDS if self._kill_at is None else max(0.05, self._kill_at - time.monotonic())
        if self._undelivered:
            timeout = min(timeout, LISTEN_SECONDS)
        if self._ask_at is not None:
            timeout = min(timeout, max(0.0, self._ask_at - time.monotonic()))
        return timeout if self._pidfd is not None else min(timeout, 0.1)

    def _heed(self, signals: Signals, early: int) -> None:
        while self._heeded < len(signals.received):
            number = signals.received[self._heeded]
            self._heeded += 1
            if number in signals.PASSED:
                if number not in self._undelivered and not (self._heeded > early and self._sentinel.fell(number)):
                    self._undelivered.append(number)
                    self._next_look = 0.0
            elif not self.stopped:
                self.stopped = True
                self._stop(self._heeded <= early)
        if self._undelivered and time.monotonic() >= self._next_look:
            # the training may not have come to its handler yet
            self._undelivered = [number for number in self._undelivered if not self._training.tell(number)]
            self._next_look = time.monotonic() + LISTEN_SECONDS

    def _stop(self, early: bool) -> None:
        """Let the training end: TERM, unless who sent it to us has sent it to every process of the job.

        Slurm does so. A second TERM would call the training's handler while it saves.
        """
        self._told_at = time.monotonic()
        told = not early and self._sentinel.fell(signal.SIGTERM)
        if not told:
            self._training.terminate()
        allowed = grace(self._capsule)
        self._kill_at = self._told_at + (allowed.by_slurm if told else allowed.usual)
        if told:
            self._ask_at = self._told_at + _turn()

    def _ask(self) -> None:
        """Ask Slurm why it ends the job; after the notice of a preemption, which the job outlives, there is time."""
        self._ask_at = None
        allowed = grace(self._capsule)
        job = own_job(min(ASK_SECONDS, allowed.by_slurm / 3))
        self.ended_by = ended_by(job)
        if job and runs_on(job):
            self._kill_at = self._told_at + allowed.noticed


class Sentinel:
    """In a job of Slurm's, a process that does nothing: when a signal ends it, all processes of the job got that one.

    It has a session of its own, like the training, so that nobody signals it with its launcher by accident.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        if "SLURM_JOB_ID" in os.environ:
            self._start()

    def _start(self) -> None:
        with contextlib.suppress(OSError):
            # it reads what we never write, and so ends when we do
            self._process = subprocess.Popen(
                ["cat"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def fell(self, number: int) -> bool:
        """Whether a signal that has just come was for all processes of the job."""
        if self._process is None:
            return False
        try:
            status = self._process.wait(SENTINEL_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        self.close()
        self._start()
        return status == -number

    def close(self) -> None:
        """Let it end."""
        if self._process is not None:
            assert self._process.stdin
            self._process.stdin.close()
            self._process.wait()
            self._process = None


class Grace(NamedTuple):
    """Seconds between TERM and KILL."""

    usual: float
    by_slurm: float  # when Slurm ends the job: it kills the launcher, too, and that has to record the end before
    noticed: float  # after a preemption's notice to a job step


def grace(capsule: str, on_slurm: bool | None = None) -> Grace:
    """How long the training of a capsule may take to end: `[run] grace` of its sweep, else what the site allows.

    `on_slurm` says whether it runs in a job; by default whether this process does.
    """
    own = read_json(os.path.join(capsule, "..", "..", RUN_OPTIONS)).get("grace")
    on_slurm = "SLURM_JOB_ID" in os.environ if on_slurm is None else on_slurm
    wait, notice = _site_grace() if on_slurm else (None, 0.0)
    if wait is None:
        usual = own or GRACE_SECONDS
        return Grace(usual, usual, usual)
    latest = wait - min(MARGIN_SECONDS, wait / 4)
    return Grace(own or max(wait, notice), min(own or latest, latest), min(own or latest + notice, latest + notice))


def site_grace(kill_wait: float | None, grace_time: float | None) -> dict[str, str]:
    """The variables that tell a launcher what a submission has noted of the site, so that it need not ask Slurm."""
    return {KILL_WAIT: str(kill_wait), GRACE_TIME: str(grace_time or 0.0)} if kill_wait else {}


def _site_grace() -> tuple[float | None, float]:
    """The site's KillWait and the partition's GraceTime, as the submission noted them; else Slurm is asked."""
    noted = os.environ.get(KILL_WAIT)
    if noted:
        return float(noted), float(os.environ.get(GRACE_TIME) or 0)
    found = re.search(r"^KillWait\s*=\s*(\d+)", slurm("scontrol", "show", "config")[1], re.MULTILINE)
    return (float(found[1]) if found else None), 0.0


def _reap(child: subprocess.Popen[bytes]) -> int | None:
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
    processes = {key: record[key] for key in ("host", "boot", "pid", "pid_start", "group", "group_start")}
    descriptor = os.open(heartbeat, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, (json.dumps(processes).ljust(511) + "\n").encode())
    finally:
        os.close(descriptor)


def _kill(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


# Slurm's states of a job that has not ended, and with the last one those in which it holds its node.
_RUNS = ("RUNNING", "SUSPENDED", "CONFIGURING", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING", "PREEMPTING")
_HOLDS = (*_RUNS, "COMPLETING")
# Those of one that Slurm does not hear from any more, or starts again: its processes may live on such a node.
_GIVEN_UP = ("NODE_FAIL", "PENDING")


def word_of_slurm(record: Record) -> str:
    """What Slurm says of the job of an attempt on another host: "over", "given up", or "" where it may well run.

    One that is given up may run all the same: a node that does not answer is down for Slurm, and the job is
    started again elsewhere.
    """
    ids = record.get("slurm") or {}
    job, cluster = ids.get("SLURM_JOB_ID"), ids.get("SLURM_CLUSTER_NAME")
    if not job or of_this_boot(record):
        return ""
    if cluster and (os.environ.get("SLURM_CLUSTER_NAME") or _cluster()) != cluster:  # whose ids mean other jobs here
        return ""
    if job == os.environ.get("SLURM_JOB_ID"):
        return "given up" if restarts(ids) < restarts(os.environ) else ""
    code, said = slurm("squeue", "-h", "--states=all", "--jobs=" + job, "-o", "%A %T")
    if code:
        return "given up" if "Invalid job id" in said else ""
    # the id of an array's last task is that of the whole array
    states = [line.split()[1] for line in said.splitlines() if line.split()[:1] == [job]]
    if any(state in _HOLDS for state in states):
        return ""
    return "over" if states and not any(state in _GIVEN_UP for state in states) else "given up"


def ended_on_slurm(record: Record) -> bool:
    """Whether Slurm says that the job of an attempt on another host is over: a node that failed gives no other sign."""
    return bool(word_of_slurm(record))


def gone(place: Place, record: Record) -> bool:
    """Whether a running attempt, on another host, has missed its signs of life, and its job is over by Slurm's word.

    Only then is Slurm asked: many workers look often.
    """
    return not of_this_boot(record) and _silent(place, record) and ended_on_slurm(record)


def _silent(place: Place, record: Record) -> bool:
    """Whether a running attempt has missed two signs of life."""
    directory = place.attempt(record.get("attempt", 0))
    beat = _last_sign(directory)
    return beat is None or server_time(directory) - beat >= 2.5 * HEARTBEAT_SECONDS


def _cluster() -> str:
    """The cluster that Slurm's commands ask, where there is one that answers."""
    code, said = slurm("scontrol", "show", "config")
    name = re.search(r"^ClusterName\s*= *(\S+)", said, re.MULTILINE)
    return name[1] if name and not code else ""


def restarts(ids: Any) -> int:
    """How often Slurm has started a job again, as an attempt's record or the environment says."""
    return int(ids.get("SLURM_RESTART_COUNT") or 0)


def own_job(seconds: float = ASK_SECONDS) -> dict[str, str]:
    """What Slurm says of the job that this process runs in, by scontrol's names; nothing where it does not answer."""
    job = os.environ.get("SLURM_JOB_ID")
    code, said = slurm("scontrol", "-o", "show", "job", job, seconds=seconds) if job else (127, "")
    # the id of an array's last task is that of the whole array
    own = next((line for line in said.splitlines() if line.startswith("JobId=%s " % job)), "")
    return {} if code else dict(re.findall(r"(\w+)=(\S+)", own))


def started_again(job: dict[str, str]) -> bool:
    """Whether Slurm starts the job again that this process runs in, as `own_job` has told, or has done so already."""
    return int(job.get("Restarts", 0)) > restarts(os.environ)


def runs_on(job: dict[str, str]) -> bool:
    """Whether the job that this process runs in has not ended for Slurm, as far as `own_job` has told."""
    return job.get("JobState", "RUNNING") in _RUNS and not started_again(job)


def ended_by(job: dict[str, str]) -> str | None:
    """Why Slurm ends the job that this process runs in, which `own_job` has told; None when it does not."""
    state = job.get("JobState", "")
    if state == "PREEMPTED" or job.get("PreemptTime", "None") != "None":  # it may still run, for its grace time
        return "preemption"
    if runs_on(job):
        return None
    if state not in _RUNS and (job.get("Reason") == "TimeLimit" or state == "TIMEOUT"):
        return "time limit"
    if started_again(job):
        return "preemption" if _says_preempted(job["JobId"]) else "requeue"
    return "cancel"


def _why_ended(signalled: float | None) -> str | None:
    """Why Slurm ends the job that this process runs in, which was `signalled` then; None when it does not."""
    if "SLURM_JOB_ID" not in os.environ:
        return None
    # what took its time to end has little left before it is killed
    time.sleep(max(0.0, _turn() - (time.monotonic() - signalled if signalled else 0.0)))
    return ended_by(own_job())


def _turn() -> float:
    """Seconds from a signal until this job's turn to ask Slurm: those ended together do not all ask at once."""
    number = int(os.environ.get("SLURM_ARRAY_TASK_ID") or os.environ["SLURM_JOB_ID"])
    # where a site kills soon after TERM, there is less to wait in
    return min(number % TURNS * TURN, float(os.environ.get(KILL_WAIT) or 30) / 4)


def _says_preempted(job: str) -> bool:
    """Whether Slurm has written into what the job prints that it was preempted: once requeued, nothing else tells."""
    try:
        with open("/proc/self/fd/2", "rb") as file:
            if not os.path.isfile("/proc/self/fd/2"):  # a terminal, a pipe
                return False
            file.seek(max(0, os.fstat(file.fileno()).st_size - 65536))
            said = re.findall(
                r"\*\*\* JOB (\S+) ON \S+ CANCELLED AT \S+ DUE TO (.*?) \*\*\*", file.read().decode("latin-1")
            )
    except OSError:
        return False
    return bool(said) and said[-1] == (job, "PREEMPTION")


def slurm(*command: str, seconds: float = ASK_SECONDS) -> tuple[int, str]:
    """The exit status of a command of Slurm's, and what it said; 127 where there is none that answers."""
    try:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError:
        return 127, ""
    assert child.stdout
    with child.stdout:
        try:
            said, _ = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:  # a site's wrapper, perhaps, whose child would live on
            _kill(child.pid, signal.SIGKILL)
            child.wait()
            return 127, ""
    return child.returncode, said.decode(errors="replace")


def _claim(place: Place, record: Record) -> bool:
    """Make the directory of the attempt in `record`, its record in it; False when another process had it first.

    A directory with something in it is never replaced by a rename, so exactly one of several claims succeeds, and
    at no moment is there an attempt without a record.
    """
    os.makedirs(place.attempts, exist_ok=True)
    part = os.path.join(place.attempts, ".new-%s-%d-%d" % (record["host"], record["pid"], time.time_ns()))
    os.mkdir(part)
    try:
        write_json(os.path.join(part, RECORD), record)
        os.rename(part, place.attempt(record["attempt"]))
    except OSError as error:
        if not os.path.isdir(part):  # over NFS a rename can succeed and still report a failure
            return True
        shutil.rmtree(part, ignore_errors=True)
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    return True


def _count(place: Place, number: int) -> bool:
    """Claim the finish of the trial for attempt `number`; False when another attempt had it first."""
    finished = os.path.join(place.attempts, FINISHED)
    record = os.path.join(place.attempt(number), RECORD)
    try:
        os.link(record, finished)
    except OSError:
        try:
            with open(finished, "x", encoding="utf-8") as file:  # a file system without hard links
                file.write(json.dumps(read_json(record), indent=2, sort_keys=True) + "\n")
        except FileExistsError:
            # over NFS a link can succeed and still report that the name exists
            if read_json(finished).get("attempt") != number:
                return False
    _move_output(place, number)
    return True


def _finished_attempt(place: Place) -> int:
    """The attempt that counts, where the file that says so is torn: the first whose record has finished."""
    records = ((n, read_json(os.path.join(place.attempt(n), RECORD))) for n in range(1, place.last() + 1))
    return next((number for number, record in records if record.get("state") == "finished"), 0)


def _move_output(place: Place, number: int) -> None:
    """Put the output of the attempt that counts in the trial's own place, also when a crash came in between.

    A link stays behind: training may have written its own path into its files, and the attempt's TOML names it.
    """
    source = os.path.join(place.attempt(number), OUTPUT)
    if os.path.isdir(source) and not os.path.exists(place.output):
        # another process was quicker; it may have left the link already
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            os.rename(source, place.output)
    if os.path.isdir(place.output) and not os.path.lexists(source):
        with contextlib.suppress(OSError):  # a file system without symbolic links: a comfort less
            os.symlink(os.path.join("..", "..", os.path.basename(place.output)), source)


def _alive(directory: str, record: Record) -> bool:
    """Whether a running attempt still runs: its processes on this host, its sign of life on another."""
    if of_this_boot(record):
        return processes_live(record)
    beat = _last_sign(directory)
    return beat is not None and server_time(directory) - beat < STALE_SECONDS


def _last_sign(directory: str) -> float | None:
    """When an attempt gave its last sign of life, by the file server's clock."""
    for name in (HEARTBEAT, RECORD, ""):
        with contextlib.suppress(FileNotFoundError):
            return os.stat(os.path.join(directory, name)).st_mtime
    return None


def of_this_boot(record: Record) -> bool:
    """Whether the record's process numbers mean something here: this host, since its last start."""
    return bool(record.get("boot")) and (record["host"], record["boot"]) == (socket.gethostname(), _boot())


def processes_live(record: Record) -> bool:
    """Whether the launcher of an attempt of this host lives, or any process of its training.

    Training outlives a launcher that was killed, and must not be started beside itself.
    """
    return same_process(record["pid"], record["pid_start"]) or _lives(record["group"], record["group_start"])


def _process(record: Record) -> str:
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
        return any(True for _ in _group(group))
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    return True


def _group(group: int) -> Iterator[int]:
    """The living processes of a group, as far as /proc tells."""
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if name.isdigit() and (_stat(int(name)) or [b"", b"", b"0"])[2] == b"%d" % group:
            yield int(name)


def server_time(directory: str) -> float:
    """Now, by the clock of the machine that keeps the files: hosts' own clocks differ."""
    probe = os.path.join(directory, ".now-%s-%d" % (socket.gethostname(), os.getpid()))
    try:
        _touch(probe)
        return os.stat(probe).st_mtime
    except OSError:  # a reader without permission to write asks its own clock
        return time.time()
    finally:
        _remove(probe)


def fresh(capsule: str, stem: str, directory: str | None) -> str:
    """Make a directory for a re-run: `directory`, or the first free of STEM-1, STEM-2... here or beside the capsule."""
    if directory is not None:
        path = os.path.abspath(directory)
        if inside(path, capsule):
            raise AttemptError("%s: lies in the trial's own directory, which stays as it is; name another" % directory)
        try:
            os.makedirs(path, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise AttemptError("%s: is a file, expected a new or empty directory" % directory) from None
        if os.listdir(path):
            raise AttemptError("%s: is not empty, expected a new or empty directory; name another" % directory)
        return path
    parent = os.path.dirname(capsule) if inside(os.getcwd(), capsule) else os.getcwd()
    number = 1
    while True:
        path = os.path.join(parent, "%s-%d" % (stem, number))
        try:
            os.mkdir(path)
            return path
        except FileExistsError:
            number += 1


def inside(path: str, folder: str) -> bool:
    """Whether a path is a folder, or lies below it, whatever links lead there."""
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return path == folder or path.startswith(folder + os.sep)


def _write(path: str, text: str, sync: bool = False) -> None:
    part = "%s.%d.part" % (path, os.getpid())
    with open(part, "w", encoding="utf-8") as file:
        file.write(text)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    os.replace(part, path)


def _touch(path: str) -> None:
    with open(path, "ab"):
        os.utime(path)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.remove(path)


def now() -> str:
    """The time in UTC, as records hold it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


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
    fields = _stat(pid)
    return None if fields is None else int(fields[19])


def _stat(pid: int) -> list[bytes] | None:
    """The fields of /proc/PID/stat from the state on; None when the process is gone or a zombie."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return fields if fields and fields[0] not in (b"Z", b"X") else None


def _status(record: Record) -> int:
    if record["state"] == "pruned":
        return 0
    if record["signal"] is not None:
        return 128 + signal.Signals[record["signal"]].value
    return record["exit_status"] or (0 if record["state"] == "finished" else 130)


# In a copy of this file, the rooms that it needs; `launcher.py` of the tool puts their text here.
PARTS: Dict[str, str] = {}


@functools.lru_cache(maxsize=None)
def _room(name: str) -> Any:
    """A room that runs beside this file, wherever that is: one of its parts, or in the tool a file of its own."""
    if name not in PARTS:
        return importlib.import_module("resweep." + name)
    room = types.ModuleType(name)
    exec(compile(PARTS[name], name + ".py of the launcher", "exec"), room.__dict__)
    return room


@functools.lru_cache(maxsize=None)
def _text(name: str) -> str:
    """The text of such a room."""
    if name in PARTS:
        return PARTS[name]
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py"), encoding="utf-8") as file:
        return file.read()


def main(arguments: list[str]) -> int:
    """The command line; the exit status."""
    if len(arguments) == 2 and arguments[0] == "run":
        return guarded(lambda: run(arguments[1]))
    if len(arguments) == 4 and (arguments[0], arguments[2]) == ("run", "--with"):
        return guarded(lambda: run(arguments[1], arguments[3]))
    if len(arguments) == 3 and arguments[0] == "rerun" and arguments[2].startswith("-"):
        print("usage: bash rerun.sh [DIR]    DIR is new or empty (./%s for this one)" % arguments[2], file=sys.stderr)
        return 2
    if len(arguments) in (2, 3) and arguments[0] == "rerun":
        return guarded(lambda: rerun(*arguments[1:]))
    print("usage: attempt.py run CAPSULE [--with SCRIPT] | rerun CAPSULE [DIR]", file=sys.stderr)
    return 2


def guarded(launch: Callable[[], int]) -> int:
    """Launch, and turn what a person or a disk did wrong into a line and an exit status."""
    try:
        return launch()
    except AttemptError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:  # the disk is full, read-only, gone, or says no
        print("%s: %s" % (error.filename2 or error.filename or "the disk", error.strerror), file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before the training started or after its end; the next run puts right what is left
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
