"""What running costs: `resweep run --jobs 2` against `xargs -P2` for the same train commands, side by side.

And what it costs that several runners share a sweep: eight of them with two trials each, against one with sixteen.

    python bench/run.py [TRIALS]

The trials do nothing: a train.sh that starts a Python that does nothing, the least that a training does, and, for the
price of the runner alone, one that does not even that. xargs keeps no log, no record and no output directory.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3
TRAINS = {
    "python -c pass": 'exec "${RESWEEP_PYTHON:-python}" -c pass\n',
    "true": "exec true\n",
}
SETUP = "from setuptools import setup\nsetup(name='nothing', packages=['nothing'])\n"


def project(home: Path, train: str, trials: int) -> Path:
    """A sweep of trials that do nothing."""
    root = home / "project"
    (root / "nothing").mkdir(parents=True)
    (root / "nothing" / "__init__.py").write_text("")
    (root / "setup.py").write_text(SETUP)
    (root / "train.sh").write_text(train)
    (root / "base.jsonnet").write_text("function(x) { x: x }\n")
    values = ", ".join(map(str, range(trials)))
    (root / "sweep.toml").write_text(f'[hyper]\n"params.x" = [{values}]\n[params]\n')
    command = [sys.executable, "-m", "resweep", "sweep.toml", "base.jsonnet", "noop"]
    subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
    return root


def xargs(root: Path) -> float:
    """Seconds for the bare train commands."""
    capsules = sorted(str(path.parent) for path in root.glob("config/generated/noop/*/*/manifest.json"))
    lines = "".join(f"{capsule}\0" for capsule in capsules)
    command = ["xargs", "-0", "-P2", "-I{}", "bash", "{}/train.sh", "{}", "{}/none.toml"]
    start = time.perf_counter()
    environment = {**os.environ, "RESWEEP_PYTHON": sys.executable}  # the same interpreter on both sides
    subprocess.run(command, cwd=root, input=lines, text=True, check=True, env=environment)
    return time.perf_counter() - start


def ours(root: Path, jobs: int = 2, runners: int = 1) -> float:
    """Seconds for the same through runners that share the trials, start-up included."""
    shutil.rmtree(root / "model", ignore_errors=True)
    start = time.perf_counter()
    command = [sys.executable, "-m", "resweep", "run", "noop", "--jobs", str(jobs)]
    running = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(runners)]
    said = [process.communicate()[0] for process in running]
    seconds = time.perf_counter() - start
    # one that comes late finds nothing left
    assert all("all trials have finished" in each or "nothing to run" in each for each in said), said
    return seconds


def main() -> None:
    """Measure both sides in turn, the best of some rounds, and print the ratios."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    for name, train in TRAINS.items():
        with tempfile.TemporaryDirectory(prefix="bench-") as home:
            root = project(Path(home), train, trials)
            sides = {
                "xargs -P2": lambda root=root: xargs(root),
                "resweep run -j 2": lambda root=root: ours(root),
                "one runner -j 16": lambda root=root: ours(root, 16),
                "8 runners -j 2": lambda root=root: ours(root, 2, 8),
            }
            best = dict.fromkeys(sides, float("inf"))
            for _ in range(ROUNDS):
                for who, side in sides.items():
                    best[who] = min(best[who], side())
        print(f"{trials} trials of `{name}`")
        for who, seconds in best.items():
            print(f"  {who:<17} {seconds:6.2f} s  {seconds / trials * 1000:6.2f} ms a trial")
        print(f"  ratio             {best['resweep run -j 2'] / best['xargs -P2']:6.2f}")
        print(f"  8 runners / one   {best['8 runners -j 2'] / best['one runner -j 16']:6.2f}")


if __name__ == "__main__":
    main()
