"""What `resweep run` shows on a terminal: a live view that leaves plain lines behind; elsewhere plain lines alone.

Code: cli/view, cli/progress
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from launched import until
from running import WAIT, Runners, repeated, states
from small_project import TRAIN, Project

# the first training runs through, the others wait until the test says so
ALL_BUT_ONE_WAIT = """\
root=../../../../..
while [ -e $root/first ] && [ ! -e $root/go ]; do sleep 0.02; done
touch $root/first
"""
CONTROL = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")


class Terminal:
    """`resweep run rnn` on a terminal of 24 lines and 100 columns."""

    def __init__(self, project: Project, *arguments: str) -> None:
        self.text = ""
        self.status: int | None = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(project.root)
            os.environ["TERM"] = "xterm-256color"
            os.execv(sys.executable, [sys.executable, "-m", "resweep", "run", "rnn", *arguments])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))

    def read(self, seconds: float) -> None:
        """Read what comes in so many seconds, or until the end."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self.status is None:
            if select.select([self.fd], [], [], left)[0]:
                try:
                    chunk = os.read(self.fd, 65536)
                except OSError:  # the other side is closed
                    chunk = b""
                if not chunk:
                    self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
                self.text += chunk.decode()

    def shows(self, pattern: str) -> None:
        """Read until something like this has been shown."""
        end = time.monotonic() + 120
        while not re.search(pattern, CONTROL.sub("", self.text)):
            assert time.monotonic() < end, self.text
            self.read(0.05)

    def finish(self) -> list[str]:
        """Read to the end; the lines that then stand on the screen."""
        end = time.monotonic() + 120
        while self.status is None:
            assert time.monotonic() < end, self.text
            self.read(0.2)
        return screen(self.text)

    def close(self) -> None:
        """End what still runs."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            self.finish()
        os.close(self.fd)


def screen(text: str) -> list[str]:
    """The lines that a terminal shows after `text`: carriage returns, cursor up, and erased lines are heeded."""
    rows, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[\d;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
        if part == "\r":
            column = 0
        elif part == "\n":
            row, column = row + 1, column
            rows += [""] * (row + 1 - len(rows))
        elif part.startswith("\x1b"):
            if part.endswith("A"):
                row -= int(part[2:-1] or 1)
            elif part.endswith("K"):
                rows[row] = "" if part == "\x1b[2K" else rows[row][:column]
        else:
            rows[row] = rows[row][:column].ljust(column) + part + rows[row][column + len(part) :]
            column += len(part)
    return [each.rstrip() for each in rows if each.strip()]


@pytest.fixture
def runners(project: Project) -> Iterator[Runners]:
    """Starts runners, none of which outlives the test."""
    runners = Runners(project)
    yield runners
    runners.end()


@pytest.mark.slow
def test_terminal_shows_what_runs_and_leaves_plain_lines(project: Project, runners: Runners) -> None:
    """The view has the running trials with their latest metric, done, failed, running, left; at the end lines stand."""
    repeated(
        project, 4, 'echo "epoch 7 loss: 0.125"; [ $n != 0 ] || { echo oops; exit 1; }; [ $n = 1 ] || {\n' + WAIT + "}"
    )
    terminal = Terminal(project, "--jobs", "1")
    try:
        terminal.shows(r"#3 .*epoch 7 loss: 0\.125")
        terminal.shows(r"rnn: 1 done, 1 failed, 1 running, 1 left")
        assert len(screen(terminal.text)) < 10
        (project.root / "go").touch()
        shown = terminal.finish()
    finally:
        terminal.close()
    assert terminal.status == 1
    assert "Traceback" not in terminal.text
    assert terminal.text.count("\x1b[?25l") == terminal.text.count("\x1b[?25h") == 1  # the cursor is back
    starts = ["rnn: 4 of 4", "[1/4] #1", "[2/4] #2", "[3/4] #3", "[4/4] #4", "rnn: 1 of 4 trials did not finish:"]
    assert [line[: len(start)] for line, start in zip(shown, starts, strict=False)] == starts, shown
    assert not any("epoch" in line or "done," in line for line in shown), shown


@pytest.mark.slow
def test_ctrl_c_on_the_terminal(project: Project, runners: Runners) -> None:
    """Ctrl-C typed once is answered and waits; twice stops the trial: status 130, nothing garbled, cursor back."""
    repeated(project, 2, WAIT)
    terminal = Terminal(project, "--jobs", "1")
    try:
        until((project.root / "started-0").exists)
        terminal.shows("1 running")
        os.write(terminal.fd, b"\x03")
        terminal.shows("interrupted: starts no other trial, waits for 1; once more stops them")
        assert states(project) == ["running", "queued"]
        os.write(terminal.fd, b"\x03")
        shown = terminal.finish()
    finally:
        terminal.close()
    assert terminal.status == 130
    assert "Traceback" not in terminal.text
    assert states(project) == ["stopped", "queued"]
    assert any(line.endswith("rnn: stops 1 trial, within 10 s") for line in shown)
    assert shown[-1] == "rnn: interrupted; 1 trial was not started; run this again to go on"
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")


@pytest.mark.slow
def test_terminal_that_is_closed_stops_the_trials(project: Project, runners: Runners) -> None:
    """When the terminal's window is closed, runner and trials end, and the trial is recorded as stopped."""
    repeated(project, 1, WAIT)
    terminal = Terminal(project)
    until((project.root / "started-0").exists)
    terminal.read(0.3)
    os.close(terminal.fd)
    os.waitpid(terminal.pid, 0)
    until(lambda: states(project) == ["stopped"])


@pytest.mark.slow
def test_many_running_trials_fit(project: Project, runners: Runners) -> None:
    """More running trials than lines of the screen are counted instead of shown, and nothing scrolls."""
    repeated(project, 30, WAIT)
    terminal = Terminal(project, "--jobs", "30")
    try:
        terminal.shows("30 running")
        assert re.search(r"and \d+ more", terminal.text)
        (project.root / "go").touch()
        shown = terminal.finish()
    finally:
        terminal.close()
    assert terminal.status == 0
    assert len(shown) == 32, shown


@pytest.mark.slow
def test_a_search_shows_its_points_and_the_best(project: Project, runners: Runners) -> None:
    """Of all workers, in one line; the running trials with values that are short enough to read."""
    project.write(
        {
            "train.sh": TRAIN.replace("exec", ALL_BUT_ONE_WAIT + "exec"),
            "config/rnn.toml": '[hyper]\n"params.lr" = { uniform = [0, 1] }\n[params]\n'
            '[search]\nmethod = "tpe"\nn = 3\n[results]\nmetric = "best_validation_accuracy"\n',
        }
    )
    project.generate("--no-slurm-job").ok()
    terminal = Terminal(project, "--jobs", "1")
    try:
        terminal.shows(r"#2 params\.lr=0\.\d{1,4} +\d+ s")
        terminal.shows(r"rnn: 1 of 3 points, best 0\.\d{1,4} \(#1\); here 0 failed, 1 running")
        (project.root / "go").touch()
        shown = terminal.finish()
    finally:
        terminal.close()
    assert terminal.status == 0
    assert any("best so far: best_validation_accuracy" in line for line in shown), shown
    assert not any(" of 3 points, best" in line for line in shown), shown


@pytest.mark.slow
def test_elsewhere_there_are_plain_lines(project: Project) -> None:
    """Into a pipe or a file goes a line for each trial that ended, and no control character."""
    repeated(project, 3, "[ $n != 1 ]")
    result = project.shell("resweep run rnn --jobs 1 > file 2>&1")
    assert result.status == 1
    text = Path(project.root, "file").read_text()
    assert "\x1b" not in text
    assert "\r" not in text
    assert [line.split()[0] for line in text.splitlines()[1:4]] == ["[1/3]", "[2/3]", "[3/3]"]
