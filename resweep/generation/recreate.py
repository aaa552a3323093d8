"""An environment as it was recorded -> a fresh virtual environment with the same packages, by uv or pip.

Every package is installed in its exact version, and none because another asks for it: the list is whole, and metadata
often forbid what worked. What cannot be had again is said, with why; nothing is put in its place unasked.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resweep.errors import ProjectError, TrialError, counted
from resweep.launcher import host

Facts = dict[str, Any]
Said = Callable[[str], None]

_LOCAL = re.compile(r"\+.*$")  # the label of a build: torch's +cpu, +cu121


@dataclass(frozen=True)
class Wanted:
    """One package: what an installer calls it, and what to ask for where that cannot be had."""

    name: str
    version: str
    requirement: str
    instead: str = ""


@dataclass
class Rebuilt:
    """What came of it: how many packages are as recorded, which others are not, and what else differs."""

    installed: int = 0
    missing: dict[str, str] = field(default_factory=dict)  # package -> why
    notes: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every package is there in its version."""
        return not self.missing


def recreate(environment: Facts, directory: Path, say: Said = lambda _: None) -> Rebuilt:
    """Rebuild the packages of `environment` in a new virtual environment at `directory`, which is new or empty.

    A ProjectError when there is no Python that could hold them, and nothing was made then.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise TrialError(f"{directory}: is not empty, expected a new or empty directory; name another")
    result = Rebuilt(notes=_platform_notes(environment))
    wanted, result.missing = sort_out(environment)
    tool = _Tool(environment["python"], directory)
    result.notes += tool.notes
    say(f"makes {directory} with {tool.described}")
    tool.make()
    say(f"installs {counted(len(wanted), 'package')}")
    failed = _install(tool, wanted, say)
    result.missing |= failed
    _compare(tool.python, wanted, result)
    return result


def sort_out(environment: Facts) -> tuple[list[Wanted], dict[str, str]]:
    """What an installer can be asked for, and what not, with why."""
    wanted: list[Wanted] = []
    missing: dict[str, str] = {}
    conda = environment.get("conda") or {}
    for key, package in environment["packages"].items():
        name, version = package["name"], package["version"]
        public = _LOCAL.sub("", version)
        exact = Wanted(name, version, f"{name}=={version}", f"{name}=={public}" if public != version else "")
        match package["origin"]:
            case "index":
                wanted.append(exact)
            case "vcs":
                wanted.append(Wanted(name, version, f"{name} @ {package['url']}@{package['commit']}"))
            case "url":
                digest = f"#sha256={package['sha256']}" if "sha256" in package else ""
                wanted.append(Wanted(name, version, f"{name} @ {package['url']}{digest}"))
            case "local" if key in conda:  # conda's own builds name the directory that they were built in
                wanted.append(exact)
            case "local" if "sha256" in package and _has_digest(Path(package["path"]), package["sha256"]):
                wanted.append(Wanted(name, version, f"{name} @ {Path(package['path']).as_uri()}"))
            case "local":
                missing[name] = f"{version} was installed from {package['path']}, which is not there as it was"
            case _:
                missing[name] = f"{version} was installed as editable from {package['path']}: no copy of it was made"
    for name, package in conda.items():
        if host.normalised(name) not in environment["packages"] and name != "python":
            missing[name] = f"{package['version']} {package['build']} is a package of conda's alone"
    return wanted, missing


def _has_digest(path: Path, sha256: str) -> bool:
    import hashlib

    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _platform_notes(environment: Facts) -> list[str]:
    before, here = environment["platform"], host.platform_()
    different = [f"{before[key]}, not {here[key]}" for key in ("system", "machine") if before[key] != here[key]]
    notes = [f"recorded on {', '.join(different)}: other builds of the same versions"] if different else []
    if not different and before["libc"] != here["libc"]:
        notes.append(f"recorded with {before['libc']}, here is {here['libc']}")
    return notes


class _Tool:
    """The installer: uv where it is on PATH, else the venv and pip of a Python of the recorded version."""

    def __init__(self, python: Facts, directory: Path) -> None:
        self.directory = directory
        self.python = directory / "bin" / "python"
        self.notes: list[str] = []
        self._uv = shutil.which("uv")
        self._base, version = self._find(python)
        self.described = f"Python {version}, by {'uv' if self._uv else 'pip'}"
        if version != python["version"]:
            self.notes.append(f"Python {version} instead of {python['version']}, which was not found here")

    def _find(self, python: Facts) -> tuple[str, str]:
        """A Python of the recorded version, else of its minor version: its path and version."""
        minor = ".".join(python["version"].split(".")[:2])
        candidates = list(self._candidates(python, minor))
        versions = {path: version for path in candidates if (version := _version(path, python["implementation"]))}
        exact = [path for path, version in versions.items() if version == python["version"]]
        near = [path for path, version in versions.items() if version.split(".")[:2] == minor.split(".")]
        if not exact and self._uv and (path := self._fetched(python["version"])):
            return path, python["version"]
        if not (found := exact or near):
            raise ProjectError(
                f"the trial ran with Python {python['version']} ({python['implementation']}); found no {minor} here, "
                "expected one that can hold the same packages; install it, or uv, which fetches it"
            )
        return found[0], versions[found[0]]

    def _candidates(self, python: Facts, minor: str) -> Iterator[str]:
        for name in (python["executable"], f"python{minor}", "python3", "python", sys.executable):
            if found := shutil.which(name):
                yield found

    def _fetched(self, version: str) -> str | None:
        done = _run([self._uv or "uv", "python", "install", version])
        if done.returncode:
            return None
        return _run([self._uv or "uv", "python", "find", version]).stdout.strip() or None

    def make(self) -> None:
        """Make the virtual environment."""
        self.directory.mkdir(parents=True, exist_ok=True)
        uv = [self._uv or "uv", "venv", "--allow-existing", "--python", self._base, str(self.directory)]
        done = _run(uv if self._uv else [self._base, "-m", "venv", str(self.directory)])
        if done.returncode:
            raise ProjectError(f"{self.directory}: no virtual environment could be made; its output:", done.stderr)

    def install(self, requirements: list[str]) -> str:
        """Install exactly these; why it failed, or nothing."""
        listed = self.directory / "requirements.txt"
        listed.write_text("".join(f"{requirement}\n" for requirement in requirements), "utf-8")
        installer = [self._uv or "uv", "pip", "install", "--python", str(self.python)]
        if not self._uv:
            installer = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        done = _run([*installer, "--no-deps", "-r", str(listed)])
        if not done.returncode:
            return ""
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith("error")] or lines
        return (errors[-1] if errors else f"exit status {done.returncode}")[:300]


def _install(tool: _Tool, wanted: list[Wanted], say: Said) -> dict[str, str]:
    """Install all at once; where that fails, one by one, to find those that cannot be had. Returns why, by package."""
    plain = [each for each in wanted if not each.instead]
    labelled = [each for each in wanted if each.instead]  # mostly not on PyPI: alone, so that they stop no other
    failed: dict[str, str] = {}
    if plain and tool.install([each.requirement for each in plain]):
        say("not everything can be had; installs one package after another")
        labelled = [*plain, *labelled]
    for each in labelled:
        why = tool.install([each.requirement])
        if why and each.instead and not tool.install([each.instead]):
            why = f"{each.version} is not to be had; {each.instead} was installed instead: another build"
        if why:
            failed[each.name] = why
    (tool.directory / "requirements.txt").write_text("".join(f"{each.requirement}\n" for each in wanted), "utf-8")
    return failed


def _compare(python: Path, wanted: list[Wanted], result: Rebuilt) -> None:
    """Look at what is there now, whatever the installer said."""
    done = _run([str(python), "-c", "import sys; print('\\n'.join(path for path in sys.path if path))"])
    there = host.packages(done.stdout.splitlines())
    for each in wanted:
        found = there.get(host.normalised(each.name))
        if found is not None and found.version == each.version:
            result.installed += 1
        elif each.name not in result.missing:
            now = found.version if found else "nothing"
            result.missing[each.name] = f"{each.version} was asked for, {now} is there"


def _version(python: str, implementation: str) -> str | None:
    done = _run([python, "-ISc", "import sys; print(sys.implementation.name, sys.version.split()[0])"])
    name, _, version = done.stdout.strip().partition(" ")
    return version if done.returncode == 0 and name == implementation else None


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    # a PYTHONPATH would put other packages among those that the installer sees
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    try:
        return subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]}: {error.strerror}")
