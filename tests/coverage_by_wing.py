"""Coverage by line and branch, a line for each folder of resweep/, from coverage.py's JSON report.

python tests/coverage_by_wing.py coverage.json
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path, PurePosixPath

FLOOR = 78.0  # percent of all lines that the quick tests reach; the rest is for real Slurm, browsers and trainings


def main() -> None:
    """Print the table; `resweep` is the modules that lie in no folder. Exit status 1 below the floor."""
    files = json.loads(Path(sys.argv[1]).read_text("utf-8"))["files"]
    wings: dict[str, Counter[str]] = {}
    for name, file in files.items():
        wing = str(PurePosixPath(name).parent)
        wings.setdefault(wing, Counter()).update(file["summary"])
        wings.setdefault("all", Counter()).update(file["summary"])
    print(f"{'wing':<26} {'lines':>7} {'covered':>8} {'branches':>9} {'covered':>8}")
    for wing, sums in sorted(wings.items(), key=lambda each: (each[0] == "all", each[0])):
        lines, branches = sums["num_statements"], sums["num_branches"]
        print(
            f"{wing:<26} {lines:7,} {share(sums['covered_lines'], lines)} "
            f"{branches:9,} {share(sums['covered_branches'], branches)}"
        )
    reached = 100 * wings["all"]["covered_lines"] / wings["all"]["num_statements"]
    if reached < FLOOR:
        sys.exit(f"the quick tests reach {reached:.1f}% of the lines, expected at least {FLOOR}%")


def share(part: int, whole: int) -> str:
    """A percentage in eight characters."""
    return f"{100 * part / whole:7.1f}%" if whole else f"{'-':>8}"


if __name__ == "__main__":
    main()
