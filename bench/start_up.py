"""How long `resweep --help` takes against the help of an empty click program, in turn, the median of many.

python bench/start_up.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 15
EMPTY = """
import click

@click.command()
def cli():
    "Nothing."

cli(["--help"])
"""


def seconds(command: list[str]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure() -> tuple[float, float]:
    """Median seconds of our help and of the empty program's."""
    ours, empty = [], []
    for _ in range(ROUNDS):
        empty.append(seconds([sys.executable, "-c", EMPTY]))
        ours.append(seconds([sys.executable, "-m", "resweep", "--help"]))
    return statistics.median(ours), statistics.median(empty)


if __name__ == "__main__":
    help_, nothing = measure()
    print(f"resweep --help   {help_ * 1000:8.1f} ms")
    print(f"empty click      {nothing * 1000:8.1f} ms")
    print(f"ratio            {help_ / nothing:8.2f}")
