"""One trial of a generated sweep, run as users run it: through the launcher that the sweep carries."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from small_project import Project, Result

from resweep import layout
from resweep.launcher import storage, trial_state


def _pythons() -> dict[str, str]:
    """The Pythons of this machine by version, from the oldest on that the launcher knows: on PATH, or kept by pyenv."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = {f"3.{sys.version_info[1]}": sys.executable}
    for minor in range(8, 20):
        places = [*sorted(map(str, kept.glob(f"3.{minor}.*/bin"))), *os.environ["PATH"].split(os.pathsep)]
        program = shutil.which(f"python3.{minor}", path=os.pathsep.join(places))
        # a shim of pyenv is there for versions that are not
        if program and not subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode:
            found.setdefault(f"3.{minor}", program)
    return found


PYTHONS = _pythons()


def list_anew(capsule: Path) -> None:
    """Let the manifest list what lies in a capsule now; the id stays, though it does not follow from that any more."""
    manifest = json.loads((capsule / layout.MANIFEST).read_text("utf-8"))
    own, source = manifest["files"], manifest["snapshot"]["files"]
    there = {str(p.relative_to(capsule)): p for p in capsule.rglob("*") if p.is_file()}
    for name in there.keys() - {layout.MANIFEST, *layout.PROVENANCES}:
        (own if name in own else source)[name] = hashlib.sha256(there[name].read_bytes()).hexdigest()
    for name in source.keys() - there.keys():
        del source[name]
    manifest["snapshot"]["executable"] = [name for name in sorted(source) if os.access(there[name], os.X_OK)]
    content = {key: value for key, value in manifest.items() if key != "checksum"}
    (capsule / layout.MANIFEST).unlink()
    (capsule / layout.MANIFEST).write_text(layout.pretty(layout.sealed(content)) + "\n", "utf-8")


class Trial:
    """A trial of a generated sweep, as its launcher runs it: a process of its own."""

    def __init__(self, project: Project, number: int = 1) -> None:
        self.project = project
        self.processes: list[subprocess.Popen[str]] = []
        self.name = project.entries()[number - 1].name
        self.place = project.paths().place(self.name)
        self.capsule = Path(self.place.capsule)
        self.launcher = project.paths().launcher
        self.output = Path(self.place.output)

    def damage(self, name: str, text: str) -> None:
        """Put another text in place of a file of the capsule, which is read-only and shared with other capsules."""
        (self.capsule / name).unlink()
        (self.capsule / name).write_text(text, "utf-8")

    def change(self, name: str, text: str) -> None:
        """The same, as if it had been frozen so."""
        self.damage(name, text)
        list_anew(self.capsule)

    def train(self, script: str) -> None:
        """Let train.sh be `script`, which finds its output directory in $out and the project's root in $root."""
        find = """out=$(sed -n 's/^serialization_dir = "\\(.*\\)"$/\\1/p' "$2"); root=$1/../../../../..\n"""
        self.change("train.sh", find + script)

    def set(self, **constants: float) -> None:
        """Let the launcher have other constants, so that no test waits for real deadlines."""
        text = self.launcher.read_text()
        for name, value in constants.items():
            old = next(line for line in text.splitlines() if line.startswith(f"{name} = "))
            text = text.replace(old, f"{name} = {value}")
        self.launcher.write_text(text)

    def start(self, **environment: str) -> subprocess.Popen[str]:
        """Start an attempt; what it says comes through one pipe."""
        process = subprocess.Popen(
            [sys.executable, "-ISB", str(self.launcher), "run", str(self.capsule)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        return process

    def end(self) -> None:
        """Stop every launcher that a test left running, and with it what that started."""
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
                process.send_signal(signal.SIGCONT)
            process.communicate(timeout=300)

    def launch(self, **environment: str) -> Result:
        """Run an attempt to its end."""
        process = self.start(**environment)
        said = process.communicate(timeout=300)[0]
        return Result(process.returncode, said, "")

    def directory(self, number: int = 1) -> Path:
        """An attempt's directory."""
        return Path(self.place.attempt(number))

    def record(self, number: int = 1) -> dict[str, Any]:
        """An attempt's record, with the processes that its heartbeat names while it runs."""
        record: dict[str, Any] = json.loads((self.directory(number) / "record.json").read_text())
        if record["state"] == "running":
            record |= storage.read_json(str(self.directory(number) / "heartbeat"))
        return record

    def edit_record(self, number: int = 1, **values: Any) -> None:
        """Change what an attempt's record, and its heartbeat, say."""
        record = self.record(number) | values
        (self.directory(number) / "record.json").write_text(json.dumps(record))
        heartbeat = self.directory(number) / "heartbeat"
        if heartbeat.exists():
            before = heartbeat.stat()
            heartbeat.write_text(json.dumps({key: record[key] for key in json.loads(heartbeat.read_text())}))
            os.utime(heartbeat, ns=(before.st_atime_ns, before.st_mtime_ns))

    def until_it_trains(self, number: int = 1) -> None:
        """Wait until the training's process group is written down."""
        until(lambda: (self.directory(number) / "heartbeat").exists() and self.record(number)["group"])

    def log(self, number: int = 1) -> str:
        """What training said."""
        return (self.directory(number) / "log.txt").read_text()

    @property
    def state(self) -> str:
        """The trial's state."""
        return trial_state.state(self.place)[0]


@contextlib.contextmanager
def silent(launcher: subprocess.Popen[str]) -> Iterator[None]:
    """No sign of life comes from a launcher meanwhile; what it launched goes on."""
    launcher.send_signal(signal.SIGSTOP)
    until(lambda: Path(f"/proc/{launcher.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    yield
    launcher.send_signal(signal.SIGCONT)


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait until `condition` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def runs(project: Project) -> list[str]:
    """The ids of the trials that ran, in their order."""
    path = project.root / "runs"
    return [Path(line).name for line in path.read_text().splitlines()] if path.exists() else []


def bare_path(folder: Path, tools: tuple[str, ...]) -> Path:
    """Make `folder` a PATH of these programs and a `python3` without any package; resweep and sbatch are not on it."""
    folder.mkdir()
    for name in tools:
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    # a script, not a link: pyenv and virtual environments look at the path that they are called by
    (folder / "python3").write_text(f'#!/bin/sh\nexec "{os.path.realpath(sys.executable)}" -S "$@"\n')
    (folder / "python3").chmod(0o755)
    return folder
