"""A night before a deadline: from a sweep to a row of the paper, every number checked.

Code: /README.md, results/locations, results/load
"""

from __future__ import annotations

import re
import statistics

import pytest
from small_project import SWEEP, Project

# accuracy depends on the values and on the seed, and the score on the test fold on both
MAIN = """\
import json, os, sys, tomllib

with open(sys.argv[2], "rb") as file:
    conf = tomllib.load(file)
with open(conf["allennlp_conf"]) as file:
    filled = json.load(file)
score = filled["lr"] + filled["dropout"] / 10 + 0.01 * (filled["seed"] * 7919 % 13) / 13
if sys.argv[1] == "test":
    with open("metrics.json", "w") as file:
        json.dump({"accuracy": score - 0.05}, file)
else:
    os.makedirs(conf["serialization_dir"], exist_ok=True)
    with open(os.path.join(conf["serialization_dir"], "metrics.json"), "w") as file:
        json.dump({"best_validation_accuracy": score}, file)
"""


@pytest.mark.slow
def test_from_a_sweep_to_a_row_of_the_paper(project: Project) -> None:
    """The best trial, promoted to five seeds and scored on the test fold, is one row with the right mean and spread."""
    project.write({"qb/main.py": MAIN, "config/rnn.toml": SWEEP + '[results]\nmetric = "best_validation_accuracy"\n'})
    project.generate("--no-slurm-job").ok()
    project.resweep("run", "rnn").ok()
    best = project.resweep("results", "rnn", "--best").ok().out
    assert "params.lr = 0.2" in best
    assert "promote it to several seeds" in best
    (line,) = (line for line in best.splitlines() if "promote  " in line)
    assert line.split()[:3] == ["promote", "resweep", "promote"]
    project.resweep("promote", "--best", "rnn", "--set", "n_trials=5", "--set", "seed=100", "--as", "final").ok()
    project.resweep("run", "final").ok()
    command = ["python", "{capsule}/qb/main.py", "test", "{conf}"]
    project.resweep("exec", "--finished", "final", "--as", "test", "--", *command).ok()
    columns = ["--columns", "params.*,test.accuracy,n", "--by", "point"]
    single = project.resweep("results", "rnn", "final", *columns, "--state", "finished", "--format", "latex").ok().out
    (row,) = (line for line in single.splitlines() if r"\pm" in line)
    scores = [0.2 + 0.04 + 0.01 * (seed * 7919 % 13) / 13 - 0.05 for seed in range(100, 105)]
    shown = re.search(r"\$([0-9.]+) \\pm ([0-9.]+)\$ & \$5\$", row)
    assert shown, row
    digits = len(shown[1].partition(".")[2])
    assert float(shown[1]) == round(statistics.mean(scores), digits)
    assert float(shown[2]) == round(statistics.stdev(scores), digits)
    assert row.startswith("$0.4$ & $0.2$ & ")
