"""How long a page of `resweep report` takes: to write, to open in a real Chromium, and to repaint after a brush.

    python bench/report.py [TRIALS]

The browser has no window and no graphics card, so a person's is faster. Opening ends when all charts that can be seen
are drawn and the table is there; a repaint when all that can be seen shows the new filter.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests"), str(REPOSITORY / "tests" / "report")]

import browser  # noqa: E402
import trained  # noqa: E402
from small_project import Project  # noqa: E402

ROUNDS = 5
REPAINT = """
    const done = arguments[1], began = performance.now();
    report.change({filters: arguments[0]});
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(performance.now() - began), 0)))"""
PLACES = {
    "at the top": "#parallel",
    "scatter plots": "#scatters",
    "the lower charts": "#best-so-far",
    "the table": "#table",
}


def written(root: Path, trials: int) -> tuple[Path, float]:
    """A sweep of finished trials, its page, and how many seconds that took."""
    project = Project(root)
    lr = ", ".join(f"{10 ** (-4 + 2 * number / (trials // 270)):.6g}" for number in range(trials // 270))
    trained.sweep(project, repeats=5, lr=lr)
    trained.finish_all(project)
    command = [sys.executable, "-m", "resweep", "report", "rnn", "-o", "report.html"]
    began = time.perf_counter()
    subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
    return root / "report.html", time.perf_counter() - began


def repaints(page: browser.Page) -> list[float]:
    """Milliseconds of a brush on a parameter, a second one, and of taking both away."""
    one = {"swept.params.dropout": {"ranges": [[0, 0.25]]}}
    steps = [one, one | {"swept.params.n_layers": {"ranges": [[1, 1]]}}, {}]
    return [float(page.driver.execute_async_script(REPAINT, step)) for step in steps]


def main() -> None:
    """Measure, and print the best of each."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    if trials < 540:
        sys.exit("TRIALS: expected 540 or more")
    with tempfile.TemporaryDirectory(prefix="bench-") as home, browser.chromium(Path(home, "profile")) as driver:
        root = Path(home, "project")
        root.mkdir()
        path, took = written(root, trials)
        opened = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            page = browser.Page(driver, path)
            opened.append(time.perf_counter() - began)
        runs = len(page.selected())
        print(f"written        {took:6.2f} s   ({runs:,} runs, {path.stat().st_size / 1e6:.1f} MB)")
        print(f"opened         {min(opened):6.2f} s")
        for name, selector in PLACES.items():
            page.show(selector)
            times = [each for _ in range(ROUNDS) for each in repaints(page)]
            print(f"a brush        {min(times) / 1000:6.2f} s to {max(times) / 1000:.2f} s   where {name} can be seen")


if __name__ == "__main__":
    main()
