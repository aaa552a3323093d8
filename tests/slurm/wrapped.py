"""Slurm's commands behind wrappers, as sites have them: first on PATH, slow, talkative or broken."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


class Wrappers:
    """A directory that stands first on PATH, with a script of bash before some of Slurm's commands."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def put(self, name: str, before: str) -> None:
        """Run the lines `before`, and then the real command; every call is a line of the file `calls`."""
        real = shutil.which(name, path=os.environ["PATH"].replace(f"{self.folder}{os.pathsep}", ""))
        path = self.folder / name
        path.write_text(
            f'#!/bin/bash\necho "{name} $(date +%s.%N) $*" >> {self.folder}/calls\n{before}\nexec {real} "$@"\n'
        )
        path.chmod(0o755)

    def remove(self, name: str) -> None:
        """Let the real command be called again."""
        (self.folder / name).unlink()

    def clear(self) -> None:
        """Let all real commands be called again."""
        shutil.rmtree(self.folder)

    def calls(self, name: str) -> list[tuple[float, str]]:
        """When the command was called, in seconds, and with which arguments."""
        path = self.folder / "calls"
        lines = [line.split(" ", 2) for line in path.read_text().splitlines()] if path.exists() else []
        return [(float(when), words) for command, when, words in lines if command == name]
