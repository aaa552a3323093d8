"""A Python that imports AllenNLP and torch once, and then forks for each script that it is to run.

`WarmPython` starts this file as a program, which reads calls from stdin, one line of JSON each, and writes the exit
status of each to stdout. The child runs the script as `python SCRIPT ARGUMENT...` does: as `__main__`, the script's own
directory first on sys.path, and ended by the interpreter itself. The program imports nothing of qb, so that a script
finds the qb beside it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

# what qb and qb/main.py import of other packages
IMPORTED = (
    "torch",
    "allennlp.commands.train",
    "allennlp.common.logging",
    "allennlp.data.data_loaders",
    "allennlp.data.token_indexers",
    "allennlp.data.tokenizers",
    "allennlp.models",
    "allennlp.modules",
    "allennlp.nn.util",
    "allennlp.training.learning_rate_schedulers",
    "allennlp.training.metrics",
    "allennlp.training.util",
)
SECONDS_TO_END = 60
WRITE = os.O_WRONLY | os.O_CREAT


def training_environment(**more: str) -> dict[str, str]:
    """The environment of a training: one thread, and no settings of the person who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RESWEEP_"))}
    return kept | {"OMP_NUM_THREADS": "1"} | more


class WarmPython:
    """The program, started by the first call, and again by the call after one that was interrupted."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(self, *argv: str, cwd: Path | None, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """What `subprocess.run` of `python ARGV...` returns, with captured text; PYTHON* in `env` has no effect."""
        with tempfile.TemporaryDirectory() as directory:
            out, err = Path(directory, "out"), Path(directory, "err")
            files = {"stdout": str(out), "stderr": str(err)}
            try:
                status = self._ask({"argv": argv, "cwd": str(cwd or Path.cwd()), "env": dict(env), **files})
            except BaseException:
                self.close(seconds=0)  # its answer to this call must not be taken for one to the next
                raise
            return subprocess.CompletedProcess(list(argv), status, out.read_text(), err.read_text())

    def _ask(self, call: dict[str, Any]) -> int:
        if self._process is None:
            # a process group of its own, so that a call that hangs can be killed with it
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                process_group=0,
            )
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps(call), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, "the warm Python has ended; see stderr"
        return int(answer)

    def close(self, seconds: float = SECONDS_TO_END) -> None:
        """End the program, and after `seconds` kill it."""
        if self._process is None:
            return
        process, self._process = self._process, None
        assert process.stdin
        assert process.stdout
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()


def serve() -> str | None:
    """Fork for each call, and return its script in the child; None in the program itself, when stdin ends."""
    for line in iter(sys.stdin.readline, ""):
        loaded = [name for name in sys.modules if name.partition(".")[0] == "qb"]
        threads = len(os.listdir("/proc/self/task"))
        if loaded or threads != 1:
            raise SystemExit(f"a fork would have modules of qb ({loaded}), or lack {threads - 1} threads")
        child = os.fork()
        if child == 0:
            return become(json.loads(line))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(status, flush=True)
    return None


def become(call: dict[str, Any]) -> str:
    """Make this process, which was just forked, the one that was asked for; returns the path of its script."""
    os.chdir(call["cwd"])
    os.environ.clear()
    os.environ.update(call["env"])
    files = ((0, os.devnull, os.O_RDONLY), *((n, call[name], WRITE) for n, name in ((1, "stdout"), (2, "stderr"))))
    for number, path, flags in files:
        file = os.open(path, flags, 0o600)
        os.dup2(file, number)
        os.close(file)
    script: str = os.path.abspath(call["argv"][0])
    sys.argv = list(call["argv"])
    sys.path[0] = os.path.dirname(os.path.realpath(script))
    return script


if __name__ == "__main__":
    import warnings

    # as in qb/main.py: torchvision's image codecs do not load beside today's torch
    warnings.filterwarnings("ignore", message="Failed to load image Python extension")
    for each in IMPORTED:
        import_module(each)
    gc.freeze()  # or the collector of each child would go through, and so copy, all that was imported
    if path := serve():
        runpy.run_path(path, run_name="__main__")
