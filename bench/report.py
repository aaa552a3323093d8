"""How long a page of `resweep report` takes: to write, to open in a real Chromium, and to repaint after a brush.

    python bench/report.py [TRIALS]

Against `resweep results --format csv`, which gathers the same and draws nothing, and against a page that is one plain
table of that file: no chart, and a brush that hides the rows which it leaves out. The browser has no window and no
graphics card, so a person's is faster. Opening ends when all charts that can be seen are drawn and the table is there;
a repaint when all that can be seen shows the new filter.
"""

from __future__ import annotations

import csv
import html
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests"), str(REPOSITORY / "tests" / "report")]

import browser  # noqa: E402
import trained  # noqa: E402
from selenium.webdriver import Chrome  # noqa: E402
from small_project import Project  # noqa: E402

ROUNDS = 5
FRAMES = (
    "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(performance.now() - began), 0)));"
)
REPAINT = f"""
    const done = arguments[1], began = performance.now();
    report.change({{filters: arguments[0]}});
    {FRAMES}"""
PLAIN = f"""
    const [column, most, done] = arguments, began = performance.now();
    for (const row of document.querySelectorAll("tbody tr")) row.hidden = row.cells[column].textContent > most;
    {FRAMES}"""
PLACES = {
    "at the top": "#parallel",
    "scatter plots": "#scatters",
    "the lower charts": "#best-so-far",
    "the table": "#table",
}
INFINITE = float("inf")


def written(root: Path, trials: int) -> dict[str, float]:
    """A sweep of finished trials; seconds until its page is written, and until its results are, the best of each."""
    project = Project(root)
    lr = ", ".join(f"{10 ** (-4 + 2 * number / (trials // 270)):.6g}" for number in range(trials // 270))
    trained.sweep(project, repeats=5, lr=lr)
    trained.finish_all(project)
    time.sleep(4)  # what is a moment old is not kept
    commands = {"report": ["rnn", "-o", "report.html"], "results": ["rnn", "--format", "csv"]}
    best = dict.fromkeys(commands, INFINITE)
    for _ in range(ROUNDS):
        for name, arguments in commands.items():
            began = time.perf_counter()
            with open(root / f"{name}.csv", "w") as output:
                subprocess.run([sys.executable, "-m", "resweep", name, *arguments], cwd=root, check=True, stdout=output)
            best[name] = min(best[name], time.perf_counter() - began)
    return best


def plain(root: Path) -> int:
    """Write the page that has a table and nothing else; the column of the dropout."""
    with open(root / "results.csv", newline="") as file:
        head, *rows = csv.reader(file)
    lines = ["".join(f"<td>{html.escape(cell)}" for cell in row) for row in rows]
    names = "".join(f"<th>{html.escape(name)}" for name in head)
    table = "\n".join(f"<tr>{line}" for line in lines)
    (root / "plain.html").write_text(f"<!doctype html><table><thead><tr>{names}<tbody>{table}</table>")
    return head.index("params.dropout")


def opened(driver: Chrome, path: Path) -> float:
    """Seconds until a page is there."""
    began = time.perf_counter()
    browser.Page(driver, path)
    return time.perf_counter() - began


def repaints(driver: Chrome) -> list[float]:
    """Milliseconds of a brush on a parameter, a second one, and of taking both away."""
    one = {"swept.params.dropout": {"ranges": [[0, 0.25]]}}
    steps = [one, one | {"swept.params.n_layers": {"ranges": [[1, 1]]}}, {}]
    return [float(driver.execute_async_script(REPAINT, step)) for step in steps]


def main() -> None:
    """Measure both sides in turn, and print the best of each."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    if trials < 540:
        sys.exit("TRIALS: expected 540 or more")
    with tempfile.TemporaryDirectory(prefix="bench-") as home, browser.chromium(Path(home, "profile")) as driver:
        root = Path(home, "project")
        root.mkdir()
        driver.set_script_timeout(300)
        took = written(root, trials)
        column = plain(root)
        size = (root / "report.html").stat().st_size / 1e6
        ratio = took["report"] / took["results"]
        print(f"written   {took['report']:6.2f} s  {ratio:6.2f} of the results   ({size:.1f} MB)")
        rounds = [[opened(driver, root / name) for name in ("report.html", "plain.html")] for _ in range(ROUNDS)]
        ours, theirs = (min(each) for each in zip(*rounds, strict=True))
        print(f"opened    {ours:6.2f} s  {ours / theirs:6.2f} of a plain table")
        hidden = min(float(driver.execute_async_script(PLAIN, column, most)) for most in ("0.25", "1") * ROUNDS)
        page = browser.Page(driver, root / "report.html")
        print(f"a brush   on a plain table {hidden / 1000:.2f} s   ({len(page.selected()):,} runs)")
        for name, selector in PLACES.items():
            page.show(selector)
            best = min(each for _ in range(ROUNDS) for each in repaints(driver))
            print(f"a brush   {best / 1000:6.2f} s  {best / hidden:6.2f} of a plain table   where {name} can be seen")


if __name__ == "__main__":
    main()
