"""How long a figure of a big sweep takes: every kind of `resweep plot`, against a loop and bare matplotlib.

    python bench/figures.py [TRIALS]

The trials are those of bench/results.py. The other side opens and parses every metrics.json, knows where each is, and
draws one number of each as a point: what a script of one's own does at least. Both write a PDF, and start a Python.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import results

from resweep.report.figures import drawing

ROUNDS = 3
BARE = """\
import json, sys
import matplotlib
matplotlib.use("pdf")
from matplotlib import pyplot
values = []
for path in open(sys.argv[1]).read().splitlines():
    with open(path) as file:
        values.append(json.load(file)["best_validation_accuracy"])
pyplot.scatter(range(len(values)), values, s=2)
pyplot.savefig("bare.pdf")
"""
CURVE = "".join(f'{{"step": {step}, "accuracy": {step / 100}}}\n' for step in range(100))


def main() -> None:
    """Measure all of them in turn, and print the best of each."""
    trials = results.asked(10_000)
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        root = Path(home)
        files = results.listed(root, trials)
        for path in files:
            path.with_name("metrics.jsonl").write_text(CURVE)
        time.sleep(4)  # what is a moment old is not kept
        commands = {"bare matplotlib": ("-c", BARE, "list")}
        for kind in drawing.KINDS:
            commands[kind] = ("-m", "resweep", "plot", "big", "--kind", kind, "-o", f"{kind}.pdf")
        best: dict[str, float] = {}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                best[name] = min(best.get(name, float("inf")), results.seconds(root, *command))
        for name, took in best.items():
            size = (root / f"{name.partition(' ')[0]}.pdf").stat().st_size / 1e3
            print(f"{name:<15} {took:6.2f} s  {took / best['bare matplotlib']:5.2f} of bare   {size:7.0f} kB")


if __name__ == "__main__":
    main()
