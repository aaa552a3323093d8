"""What the audit of loaded modules costs each start of Python, with and without it in turn; and a training.

    python bench/witness.py [PROGRAM]

PROGRAM is run with `python -c`; by default `pass`, the least that a Python does, and `import torch` where there is one.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from resweep.launcher import host, import_audit

ROUNDS = 40


def seconds(program: str, env: dict[str, str]) -> float:
    """How long one Python takes."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], env=env, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure(program: str, home: Path, rounds: int) -> tuple[float, float]:
    """Seconds without and with the witness; the best round of each is the one that was disturbed least."""
    capsule, reports = home / "capsule", home / host.REPORTS
    (capsule / "qb").mkdir(parents=True, exist_ok=True)
    host.Watch(str(capsule), str(home), Path(import_audit.__file__).read_text("utf-8"))
    bare = {**os.environ, "PYTHONPATH": str(capsule), "PYTHONDONTWRITEBYTECODE": "1"}
    watched = {**bare, "PYTHONPATH": f"{capsule}:{reports}", "RESWEEP_WITNESS": f"{capsule}:{reports}"}
    without, with_ = [], []
    for _ in range(rounds):
        without.append(seconds(program, bare))
        with_.append(seconds(program, watched))
        for report in reports.glob("report-*"):
            report.unlink()
    return min(without), min(with_)


def main() -> None:
    """Measure, and print the difference."""
    programs = sys.argv[1:] or ["pass", *(["import torch"] if importlib.util.find_spec("torch") else [])]
    for program in programs:
        with tempfile.TemporaryDirectory(prefix="bench-") as home:
            bare, watched = measure(program, Path(home), ROUNDS if program == "pass" else 8)
        print(f"python -c '{program}'")
        print(f"  without  {bare * 1000:8.1f} ms")
        print(f"  with     {watched * 1000:8.1f} ms")
        print(f"  costs    {(watched - bare) * 1000:8.1f} ms, {(watched / bare - 1) * 100:.1f} %")


if __name__ == "__main__":
    main()
