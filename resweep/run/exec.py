"""Run another command with a finished trial's frozen code: evaluate, predict, export. Recorded like an attempt.

Each run has a directory of its own beside the trial's attempts, in which the command starts; what it writes there by a
relative path stays there, and a metrics.json among it joins the trial's results.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from resweep import layout
from resweep.errors import TrialError
from resweep.launcher import checks, claims, places, storage, supervise, training_environment, trial_state
from resweep.launcher.places import Place
from resweep.launcher.signals import Signals
from resweep.launcher.storage import AttemptError, Record
from resweep.results import executions

DRAIN_SECONDS = 2.0  # for the last words of a command that has ended, whose pipes a stranger may hold open
_PLACEHOLDER = re.compile(r"\{(conf|capsule|output)\}")

# told what the command says, as it says it: bytes, and whether they are for stderr
Show = Callable[[bytes, bool], None]


@dataclass(frozen=True)
class Execution:
    """How a command ended: its record, and the directory in which it ran."""

    record: Record
    directory: Path

    @property
    def exit_status(self) -> int:
        """As a shell has it: 128 and the number of the signal for a command that one ended."""
        if self.record["signal"]:
            return 128 + signal.Signals[self.record["signal"]].value
        return int(self.record["exit_status"])


def run(
    place: Place,
    command: Sequence[str],
    label: str,
    signals: Signals,
    show: Show,
    changes: dict[str, str] | None = None,
) -> Execution:
    """Run `command`, no shell between, for the trial at `place`, which must have finished; a TrialError otherwise.

    `{conf}`, `{capsule}` and `{output}` in the command stand for the path of a TOML of this run's own, in which
    serialization_dir is the trial's output, for the capsule and for that output. `changes` go to the environment.
    """
    now, record = trial_state.state(place)
    if not claims.settle(place):
        raise TrialError(f"{place.label}: {now}, expected a trial that has finished")
    try:
        manifest = places.read_manifest(place.capsule)
        checks.check(place.capsule, manifest, place.attempts)
        checks.check_trial(place, manifest)
        number, directory = _claim(place, label)
        # the attempt whose output this is: a script that resumes from the second on must not do so here
        env = training_environment.environment(
            place.capsule, manifest, directory, record.get("attempt", 1), os.environ.get("RESWEEP_DATA") or place.root
        )
        conf = os.path.join(directory, manifest["id"] + ".toml")
        Path(conf).write_text(
            training_environment.attempt_toml(place.capsule, manifest["id"], conf, place.output), "utf-8"
        )
    except AttemptError as error:
        raise TrialError(str(error)) from None
    env.update(changes or {})
    paths = {"conf": conf, "capsule": place.capsule, "output": place.output}
    filled = [_PLACEHOLDER.sub(lambda found: paths[found[1]], word) for word in command]
    _check_command(filled[0], command[0], directory, env)
    new = {**claims.new_record(manifest, number), "label": label, "command": filled}
    storage.write_json(os.path.join(directory, places.RECORD), new)
    with _Tee(Path(directory, places.LOG), show) as tee:
        supervise.supervise(filled, directory, env, directory, new, signals, tee.stdout, tee.stderr, place.capsule)
    supervise.close(directory, new)
    return Execution(new, Path(directory))


def _claim(place: Place, label: str) -> tuple[int, str]:
    """Make the next directory for `label`; another process that makes one at this moment gets another."""
    number = max((n for other, n, _ in executions.found(place) if other == label), default=0)
    while True:
        number += 1
        directory = os.path.join(place.attempts, layout.exec_name(label, number))
        try:
            os.mkdir(directory)
            return number, directory
        except FileExistsError:
            continue


def _check_command(program: str, said: str, directory: str, env: dict[str, str]) -> None:
    """Refuse a program that is not there, before a record says that it ran; takes back the directory made for it."""
    # a relative path starts from the command's own directory, where nothing is yet
    if shutil.which(os.path.join(directory, program) if "/" in program else program, path=env.get("PATH")):
        return
    shutil.rmtree(directory)
    hint = "; it runs in a fresh directory: expected a whole path, or {capsule}/..." if "/" in said else ""
    raise TrialError(f"{said}: found no such command that may be executed{hint}")


class _Tee:
    """While it is open, what is written to `stdout` and `stderr` goes to a log, and is shown."""

    def __init__(self, log: Path, show: Show) -> None:
        self._log = log
        self._show = show

    def __enter__(self) -> _Tee:
        out, self.stdout = os.pipe()
        err, self.stderr = os.pipe()
        self._threads = [
            threading.Thread(target=self._pass_on, args=(reader, to_stderr), daemon=True)
            for reader, to_stderr in ((out, False), (err, True))
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.stdout)
        os.close(self.stderr)
        for thread in self._threads:
            thread.join(DRAIN_SECONDS)

    def _pass_on(self, reader: int, to_stderr: bool) -> None:
        shown = True
        # unbuffered and for appending, so that the lines of both streams stand in the log as they came
        with open(self._log, "ab", buffering=0) as log, open(reader, "rb", buffering=0) as stream:
            while chunk := stream.read(1 << 16):
                with contextlib.suppress(OSError):  # a full disk: the command goes on, and is shown
                    log.write(chunk)
                if shown:
                    try:
                        self._show(chunk, to_stderr)
                    except (OSError, ValueError):  # whoever read us has gone, `... | head`; the log goes on
                        shown = False
