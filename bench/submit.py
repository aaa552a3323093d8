"""What submitting costs: one array of 10,000 trials, against one sbatch for each, on a Slurm of its own.

    python bench/submit.py [TRIALS]

Needs root and Slurm's programs (see tests/slurm/cluster, which starts it). Jobs are held, so that nothing runs beside
the measurement. One sbatch a trial is measured on a few hundred.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from run import project

CLUSTER = Path(__file__).parent.parent / "tests" / "slurm" / "cluster"
FEW = 300
ROUNDS = 3


def call(root: Path, env: dict[str, str], *command: str) -> tuple[float, str]:
    """Seconds for a command, and what it said."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=root, env=env, check=True, capture_output=True, text=True)
    return time.perf_counter() - start, done.stdout


def main() -> None:
    """Measure, and print."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory(prefix="slb") as folder:
        os.chmod(folder, 0o755)  # munged wants its socket to be reachable
        state = {"TEST_SLURM_STATE": f"{folder}/s", "TEST_SLURM_DBD": "0", "TEST_SLURM_PORT": "26900"}
        env = {**os.environ, **state}
        subprocess.run([CLUSTER, "start"], env=env, check=True, capture_output=True)
        try:
            said = subprocess.run([CLUSTER, "env"], env=env, check=True, capture_output=True, text=True).stdout
            env |= dict(re.findall(r"export (\w+)=(\S+)", said))
            env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
            measure(Path(folder), env, trials)
        finally:
            subprocess.run([CLUSTER, "clean"], env=env, check=False, capture_output=True)


def measure(folder: Path, env: dict[str, str], trials: int) -> None:
    """Submit, cancel, submit again: both ways, in turn."""
    root = project(folder, "exec true\n", trials)
    (root / "slurm-allennlp.sh").write_text('#!/bin/bash\nexec python "$1/../../attempt.py" run "$1"\n')
    capsules = sorted(str(path.parent) for path in root.glob("config/generated/noop/*/*/manifest.json"))
    loop = f'for c in {" ".join(capsules[:FEW])}; do sbatch --hold slurm-allennlp.sh "$c" "$c/x.toml"; done'
    ours, theirs, again = [], [], []
    for _ in range(ROUNDS):
        seconds, said = call(root, env, "bash", "noop-jobs.sh", "--hold")
        assert f"an array of {trials}" in said, said
        ours.append(seconds)
        seconds, said = call(root, env, "bash", "noop-jobs.sh", "--hold")
        assert "nothing to submit" in said, said
        again.append(seconds)
        theirs.append(call(root, env, "bash", "-c", loop)[0] / FEW * trials)
        call(root, env, "scancel", "--user=root")
    print(f"{trials} trials, held; seconds, of {ROUNDS} rounds")
    print(f"  one array, the whole of `bash NAME-jobs.sh`  {min(ours):6.2f} to {max(ours):.2f}")
    print(f"  again, when all of them wait already         {min(again):6.2f} to {max(again):.2f}")
    print(f"  one sbatch per trial (from {FEW} of them)      {min(theirs):6.1f} to {max(theirs):.1f}")
    print(f"  ratio                                        {min(theirs) / min(ours):6.0f}")


if __name__ == "__main__":
    main()
