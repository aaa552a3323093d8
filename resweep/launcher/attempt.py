"""One attempt of a trial, from its claim to its record; and the re-run of a trial that lies anywhere."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

from . import (
    checks,
    claims,
    host,
    import_audit,
    places,
    processes,
    slurm_job,
    storage,
    supervise,
    training_environment,
    trial_state,
)
from .places import Place
from .signals import Signals
from .storage import AttemptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from .storage import Record

CONDUCTED = "RESWEEP_CONDUCTED"  # the attempt that a site's script runs, for the launcher that it may call


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
    manifest = places.read_manifest(place.capsule)
    # one that comes before the training runs waits for it, as it does in a worker
    signal.pthread_sigmask(signal.SIG_BLOCK, Signals.PASSED)
    now_, record = claims.begin_patiently(place, manifest, int(os.environ.pop(claims.NEXT, 0)))
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
        print("%s: runs already on %s (%s)" % (place.label, record.get("host"), processes.described(record)))
        return trial_state.BUSY
    return conduct(place, manifest, record, script)


def conduct(place: Place, manifest: Record, record: Record, script: str | None = None) -> int:
    """Run the attempt that `begin` claimed, perhaps for a parent of this process; the exit status of train.sh."""
    claimant = record["pid"]
    number = record["attempt"]
    directory = place.attempt(number)
    record.update(processes.this_process())
    processes.note_processes(os.path.join(directory, places.HEARTBEAT), record)
    if os.getpid() != claimant != os.getppid():
        # whoever claimed it has died before it was noted that we go on: by now the trial may be another's
        print("%s: given up, since its runner died while it was started" % place.label)
        return trial_state.BUSY
    record["resumed"] = claims.resume(place, number)
    record = execute(place.capsule, manifest, directory, record, checks.data_root(place), script)
    if record["state"] == "finished" and not claims.count(place, number):
        print("%s: finished, but another attempt had finished first; this one does not count" % place.label)
        return 0
    print("%s: %s" % (place.label, trial_state.outcome(record, os.path.join(directory, places.LOG))))
    return trial_state.status(record)


def rerun(capsule: str, directory: str | None = None) -> int:
    """Run the capsule once more into `directory`, which must be new or empty; the exit status of train.sh."""
    capsule = os.path.abspath(capsule)
    manifest = places.read_manifest(capsule)
    checks.check(capsule, manifest, directory or os.getcwd())
    place = Place(capsule)
    record = {**claims.new_record(manifest, 1), **checks.check_trial(place, manifest, remember=False)}
    record.update(checks.check_data(place, os.path.join(capsule, places.FINGERPRINTS)))
    directory = storage.fresh(capsule, "rerun-%s-%s" % (manifest["id"], manifest["trial"]), directory)
    print("runs %s again; output, log and record go to %s" % (capsule, directory), flush=True)
    record = execute(capsule, manifest, directory, record, checks.data_root(place))
    print(trial_state.outcome(record, os.path.join(directory, places.LOG)))
    return trial_state.status(record)


def execute(
    capsule: str, manifest: Record, directory: str, record: Record, data: str, script: str | None = None
) -> Record:
    """Run train.sh of `capsule`, or `script`, with everything that it leaves in `directory`, and return the record.

    The child gets a session of its own, so that whatever ends it ends all that it started.
    """
    toml = os.path.join(directory, manifest["id"] + ".toml")
    storage.write(
        toml, training_environment.attempt_toml(capsule, manifest["id"], toml, os.path.join(directory, places.OUTPUT))
    )
    env = training_environment.environment(capsule, manifest, directory, record["attempt"], data)
    output = os.path.join(directory, places.OUTPUT)
    env[training_environment.OUTPUT_VARIABLE] = output
    if _makes_output(capsule, manifest):
        os.makedirs(output, exist_ok=True)
    if record["resumed"]:
        env["RESWEEP_RESUMED"] = str(record["resumed"])
    watch = host.Watch(capsule, directory, _text(import_audit))
    env = watch.environment(env)
    with open(os.path.join(directory, places.LOG), "ab") as log, Signals() as signals:
        command = ["bash", os.path.join(capsule, "train.sh")]
        if script:
            env[CONDUCTED] = directory
            command = [script] if os.access(script, os.X_OK) else ["bash", script]
        command += [capsule, toml]
        # one that calls the launcher begins where its job does, as it would without us
        cwd = os.getcwd() if script and _calls_the_launcher(script) else capsule
        supervise.supervise(command, cwd, env, directory, record, signals, log.fileno(), log.fileno(), capsule)
        pruned = storage.read_json(os.path.join(directory, places.PRUNE))
        if record["state"] == "stopped" and pruned:
            record.update(state="pruned", pruned=pruned)
        elif record["slurm"] and (record["state"] == "stopped" or record["exit_status"] in _ENDED or record["signal"]):
            reason = record["slurm"].get(slurm_job.ENDED_BY) or slurm_job.why_ended(signals.first)
            if reason:  # Slurm signals all processes at once: the training may be quicker than we
                record["state"] = "stopped"
            if (
                reason or record["exit_status"] != trial_state.REQUEUE
            ):  # a training that saved by itself was ended by nobody
                record["slurm"][slurm_job.ENDED_BY] = reason
        if record["exit_status"] == trial_state.REQUEUE and record["state"] == "failed":
            record["state"] = "stopped"
        if record["state"] == "finished":
            os.makedirs(output, exist_ok=True)
        else:
            with contextlib.suppress(OSError):
                os.rmdir(output)  # nothing was written; of one that failed there is nothing to keep
        record.update(watch.ended(storage.write_json))
        supervise.close(directory, record)
    return record


def _makes_output(capsule: str, manifest: Record) -> bool:
    """Whether training finds its output directory: not where it insists on making that itself."""
    # none where a capsule lies alone
    options = storage.read_json(os.path.join(capsule, "..", "..", places.RUN_OPTIONS))
    return bool((options or manifest).get("make_output", True))


def _calls_the_launcher(script: str) -> bool:
    with open(script, "rb") as file:
        return b"attempt.py" in file.read()


# How a training may end that Slurm ends: what a shell says of a command that a signal ended, or with a checkpoint.
_ENDED = (128 + signal.SIGTERM, 128 + signal.SIGKILL, trial_state.REQUEUE)


def _text(module: ModuleType) -> str:
    """The text of a module of the launcher, wherever that stands."""
    loader: Any = module.__loader__
    return str(loader.get_source(module.__name__))
