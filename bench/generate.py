"""How fast trials are generated: resweep against building and calling jsonnet once per trial, side by side.

    python bench/generate.py [TRIALS]

The other side is what the script of 2020 did for each trial: `python setup.py build`, a jsonnet process (the `jsonnet`
program where it is installed, else Python's), a copy of the built package. It is measured over a few trials, since each
costs the same. Both sides work on a fresh copy of this project, in turn, and the best of three rounds counts for each:
on a shared machine the fastest round is the one that was disturbed least. Then ours once more: nothing is new, and
comparing what is wanted with what is there grows with the number of trials, not with its square.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
ROUNDS = 3
FEW = 10

SWEEP = """\
[hyper]
"params.lr" = [{lr}]
"params.dropout" = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
"params.hidden_dim" = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]

[params]
n_hidden_layers = 1
"""
FILL = """\
import _jsonnet, pathlib
tla = dict(lr="0.1", dropout="0.5", hidden_dim="10", n_hidden_layers="1")
pathlib.Path("filled.json").write_text(_jsonnet.evaluate_file("rnn_model.jsonnet", tla_codes=tla))
"""


def project(home: Path) -> Path:
    """A fresh copy of the project's own files."""
    root = home / "project"
    for name in ("setup.py", "pyproject.toml", "README.md", "hyper.py", "train.sh", "rnn_model.jsonnet"):
        root.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / name, root)
    for name in ("qb", "resweep"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def ours(root: Path, trials: int) -> tuple[float, float]:
    """Seconds per trial, start-up included, of one call of the command line; and the MiB that it took at most."""
    lr = ", ".join(f"{(i + 1) / 1000}" for i in range(trials // 100))
    (root / "big.toml").write_text(SWEEP.format(lr=lr))
    start = time.perf_counter()
    command = [sys.executable, "hyper.py", "big.toml", "rnn_model.jsonnet", "big", "--yes"]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{' '.join(command)}: exit status {process.returncode}"
    written = len(list((root / "config" / "generated" / "big").glob("*/*/manifest.json")))
    assert written == trials, f"{written} capsules, expected {trials}"
    return seconds / trials, usage.ru_maxrss / 1024


def theirs(root: Path) -> float:
    """Seconds per trial of building and filling once per trial."""
    program = shutil.which("jsonnet")
    tla = ["--tla-code", "lr=0.1", "--tla-code", "dropout=0.5", "--tla-code", "hidden_dim=10"]
    fill = (
        [program, *tla, "--tla-code", "n_hidden_layers=1", "-o", "filled.json", "rnn_model.jsonnet"]
        if program
        else [sys.executable, "-c", FILL]
    )
    start = time.perf_counter()
    for number in range(FEW):
        subprocess.run([sys.executable, "setup.py", "build"], cwd=root, check=True, capture_output=True)
        subprocess.run(fill, cwd=root, check=True)
        shutil.copytree(root / "build" / "lib" / "qb", root / "copies" / str(number))
    return (time.perf_counter() - start) / FEW


def main() -> None:
    """Measure both sides in turn, and print the ratio."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    if trials < 100 or trials % 100:
        sys.exit("TRIALS: expected a multiple of 100")
    best = {"resweep": float("inf"), "resweep again": float("inf"), "build + jsonnet": float("inf")}
    homes, most = [], 0.0
    for _ in range(ROUNDS):  # fresh directories, deleted last: deleting many files slows ext4 for a while
        homes.append(tempfile.TemporaryDirectory(prefix="bench-"))
        root = project(Path(homes[-1].name))
        best["build + jsonnet"] = min(best["build + jsonnet"], theirs(root))
        for name in ("resweep", "resweep again"):
            seconds, mib = ours(root, trials)
            best[name], most = min(best[name], seconds), max(most, mib)
    for name, seconds in best.items():
        print(f"{name:<16} {seconds * 1000:8.2f} ms a trial")
    print(f"ratio            {best['build + jsonnet'] / best['resweep']:8.0f}   ({trials:,} trials, start-up included)")
    print(f"again / first    {best['resweep again'] / best['resweep']:8.2f}")
    print(f"memory           {most:8.0f} MiB at most")
    for home in homes:
        home.cleanup()


if __name__ == "__main__":
    main()
