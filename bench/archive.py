"""What packing costs: `resweep pack` and `unpack` of a sweep, against `tar` with the same compression.

    python bench/archive.py [TRIALS]

tar verifies nothing, and stores what trials share once only because they are hard links. Needs the `zstd` program.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 2
SETUP = "from setuptools import setup\nsetup(name='nothing', packages=['nothing'])\n"
RESWEEP = [sys.executable, "-m", "resweep"]


def project(home: Path, trials: int) -> Path:
    """A sweep of trials that have each run, and left a log, a record and metrics."""
    root = home / "project"
    (root / "nothing").mkdir(parents=True)
    (root / "nothing" / "__init__.py").write_text("")
    for number in range(10):
        (root / "nothing" / f"part{number}.py").write_text(f"# {number}\n" * 500)
    (root / "setup.py").write_text(SETUP)
    metrics = 'echo \'{"accuracy": 0.5, "loss": 1.5}\' > "$out/metrics.json"\n'
    find = """out=$(sed -n 's/^serialization_dir = "\\(.*\\)"$/\\1/p' "$2")\nmkdir -p "$out"; seq 200\n"""
    (root / "train.sh").write_text(find + metrics)
    (root / "base.jsonnet").write_text("function(x) { x: x }\n")
    values = ", ".join(map(str, range(trials)))
    (root / "sweep.toml").write_text(f'[hyper]\n"params.x" = [{values}]\n[params]\n')
    for command in (["sweep.toml", "base.jsonnet", "big"], ["run", "big"]):
        subprocess.run([*RESWEEP, *command], cwd=root, check=True, stdout=subprocess.DEVNULL)
    return root


def cost(command: list[str], root: Path) -> tuple[float, float]:
    """How long a command takes, in seconds, and its peak memory in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def measured(root: Path) -> dict[str, tuple[float, float]]:
    """Both sides in turn: the best time of each, and its memory."""
    commands = {
        "resweep pack": [*RESWEEP, "pack", "big", "-o", "../ours.tar.zst"],
        "tar --zstd -c": ["tar", "--zstd", "-cf", "../theirs.tar.zst", "config", "model"],
        "resweep unpack": [*RESWEEP, "unpack", "../ours.tar.zst", "../ours"],
        "tar -x": ["bash", "-c", "mkdir ../theirs && tar -xf ../theirs.tar.zst -C ../theirs"],
        "resweep verify": [*RESWEEP, "verify", "../ours.tar.zst"],
        "unpack --only": [*RESWEEP, "unpack", "../ours.tar.zst", "../one", "--only", "big#17"],
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for path in root.parent.iterdir():
            if path.name in ("ours", "theirs", "one"):
                shutil.rmtree(path)
            elif path.name in ("ours.tar.zst", "theirs.tar.zst"):
                path.unlink()
        for name, command in commands.items():
            os.sync()
            found[name].append(cost(command, root))
    return {name: min(costs) for name, costs in found.items()}


def main() -> None:
    """Measure, and print seconds, sizes and ratios."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        root = project(Path(home), trials)
        best = measured(root)
        sizes = {name: (Path(home) / f"{name}.tar.zst").stat().st_size for name in ("ours", "theirs")}
    print(f"{trials} trials")
    for name, (took, memory) in best.items():
        print(f"  {name:<15} {took:7.2f} s  {memory:6.0f} MiB")
    print(f"  pack / tar      {best['resweep pack'][0] / best['tar --zstd -c'][0]:7.2f}")
    print(f"  unpack / tar    {best['resweep unpack'][0] / best['tar -x'][0]:7.2f}")
    print(f"  bytes           {sizes['ours']:,} against {sizes['theirs']:,}")


if __name__ == "__main__":
    main()
