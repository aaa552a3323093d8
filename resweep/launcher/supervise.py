"""A training while it runs: its sign of life, the signals that it gets, and its end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

from . import delivery, places, processes, slurm_job, storage, training_environment, trial_state
from .signals import Sentinel, Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .storage import Record

LISTEN_SECONDS = 2.0  # between two looks whether a process has a handler by now


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
    heartbeat = os.path.join(directory, places.HEARTBEAT)
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
        record.update(group=child.pid, group_start=processes.start_time(child.pid))
        processes.note_processes(heartbeat, record)
        with contextlib.suppress(BrokenPipeError):  # it was killed already
            child.stdin.write(b"go\n")
            child.stdin.close()
        watched = _Watched(child, heartbeat, capsule, env.get(training_environment.OUTPUT_VARIABLE))
        with watched:
            watched.wait(signals, early)
        status, stopped, memory, reason = child.returncode, watched.stopped, watched.memory, watched.ended_by
    record["ended"] = storage.now()
    record["seconds"] = round(time.monotonic() - begin, 3)
    record["exit_status"] = status if status >= 0 else None
    record["signal"] = signal.Signals(-status).name if status < 0 else None
    record["peak_memory_bytes"] = memory
    record["state"] = "stopped" if stopped else "finished" if status == 0 else "failed"
    if stopped:
        record["told_to_stop"] = True
    if reason:
        record["slurm"][slurm_job.ENDED_BY] = reason


def close(directory: str, record: Record) -> None:
    """Write down, past the disk's cache, how what ran in `directory` has ended."""
    storage.write_json(os.path.join(directory, places.RECORD), record, sync=True)
    storage.remove(os.path.join(directory, places.HEARTBEAT))


# No training lives that no file names: it waits for a word, which it gets when its process group is written down, and
# which never comes when the launcher dies before.
_GATE = 'read -r go && exec "$@" </dev/null; exit 127'


class _Watched:
    """A training while it runs: gives its sign of life, passes signals on, and ends it when a signal says so."""

    def __init__(self, child: subprocess.Popen[bytes], heartbeat: str, capsule: str, output: str | None) -> None:
        self.child = child
        self.stopped = False
        self.memory: int | None = None  # the peak of its largest process in bytes, once the child has ended
        self.ended_by: str | None = None  # what Slurm said of the job when it sent TERM to all of it
        self._heartbeat = heartbeat
        self._capsule = capsule
        self._training = delivery.Training(child.pid, training_environment.OUTPUT_VARIABLE, output, slurm_job.slurm)
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
        processes.kill(self.child.pid, signal.SIGKILL)  # what train.sh left running would keep its GPU
        if self.stopped:
            self._training.kill()

    def wait(self, signals: Signals, early: int) -> None:
        """Wait for the child, and after a signal for all that it started; `early` signals came before it began."""
        while True:
            with contextlib.suppress(OSError):  # a disk that is full for a moment is no reason to end the training
                storage.touch(self._heartbeat)
            self._heed(signals, early)
            if self._ask_at is not None and time.monotonic() >= self._ask_at:
                self._ask()
            signals.wait([] if self._pidfd is None else [self._pidfd], self._patience())
            late = self._kill_at is not None and time.monotonic() >= self._kill_at
            if self.memory is None:
                self.memory = processes.reap(self.child)
            if self.memory is not None:
                if self._kill_at is None or late or not self._training.lives():
                    return
                time.sleep(0.05)  # bash ends at once; what it ran may be writing a last checkpoint
            elif late:
                self._training.kill()

    def _patience(self) -> float:
        timeout = (
            trial_state.HEARTBEAT_SECONDS if self._kill_at is None else max(0.05, self._kill_at - time.monotonic())
        )
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
        allowed = slurm_job.grace(self._capsule)
        self._kill_at = self._told_at + (allowed.by_slurm if told else allowed.usual)
        if told:
            self._ask_at = self._told_at + slurm_job.turn()

    def _ask(self) -> None:
        """Ask Slurm why it ends the job; after the notice of a preemption, which the job outlives, there is time."""
        self._ask_at = None
        allowed = slurm_job.grace(self._capsule)
        job = slurm_job.own_job(min(slurm_job.ASK_SECONDS, allowed.by_slurm / 3))
        self.ended_by = slurm_job.ended_by(job)
        if job and slurm_job.runs_on(job):
            self._kill_at = self._told_at + allowed.noticed
