"""`resweep status`: what every trial is doing, and why some failed, from any process, at once.

Code: run/status, cli/status
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from launched import until
from running import WAIT, Runners, repeated
from small_project import Project

from resweep import index
from resweep.index import Entry, Index
from resweep.launcher import trial_state


@pytest.fixture
def runners(project: Project) -> Iterator[Runners]:
    """Starts runners, none of which outlives the test."""
    runners = Runners(project)
    yield runners
    runners.end()


def test_new_sweep_is_queued(project: Project) -> None:
    """A sweep that nobody has run is one line: how many trials, all queued."""
    repeated(project, 3)
    assert project.resweep("status", "rnn").ok().out == "rnn: 3 trials: 3 queued\n"


@pytest.mark.slow
def test_running_trial_says_where_since_when_and_how_it_does(runners: Runners) -> None:
    """A running trial is shown with its host, since when it runs, and the last line of its log that measures."""
    project = runners.project
    repeated(project, 2, 'echo "epoch 3 loss: 0.25"; echo "saving a checkpoint"; ' + WAIT)
    process = runners.start("run", "rnn", "--jobs", "1")
    until((project.root / "started-0").exists)
    lines = project.resweep("status", "rnn").ok().out.splitlines()
    (project.root / "go").touch()
    assert lines[0] == "rnn: 2 trials: 1 running, 1 queued"
    name = project.entries()[0].name
    assert re.fullmatch(
        rf"  running  #1 {name} params.lr=0.1  on {re.escape(socket.gethostname())}, for \d+ s", lines[1]
    )
    assert lines[2].strip() == "epoch 3 loss: 0.25"
    process.communicate(timeout=300)
    assert project.resweep("status", "rnn").ok().out == "rnn: 2 trials: 2 finished\n"


FAILURES = """\
case $n in
0|1|2) printf 'Traceback (most recent call last):\\n  File "x.py", line 1, in <module>\\n    f()\\n'
   echo "torch.OutOfMemoryError: tried to allocate $n.5 GiB at 0x7f$n"; echo "cleaning up"; exit 1;;
3) echo "ValueError: earlier"; echo "a plain word"; exit 2;;
4) kill -9 $$;;
5) exit 4;;
6) kill -TERM $$;;
esac
"""


@pytest.mark.slow
def test_failures_are_grouped_by_their_cause(project: Project) -> None:
    """Failed trials are grouped by their traceback's last line, whatever its numbers; else signal, log, or status."""
    repeated(project, 8, FAILURES)
    assert project.resweep("run", "rnn").status == 1
    result = project.resweep("status", "rnn").ok()
    lines = result.out.splitlines()
    assert lines[0] == "rnn: 8 trials: 1 finished, 7 failed"
    causes = [line.strip() for line in lines if line.startswith("  failed")]
    assert causes[0] == "failed   3 trials: torch.OutOfMemoryError: tried to allocate ... GiB at ..."
    assert set(causes[1:]) == {
        "failed   1 trial: a plain word",
        "failed   1 trial: killed by SIGKILL, out of memory?",
        "failed   1 trial: exit status 4, and nothing in the log",
        "failed   1 trial: killed by SIGTERM",
    }
    examples = [line for line in lines if "for example" in line]
    assert len(examples) == 5
    log = examples[0].rpartition("log: ")[2]
    assert "OutOfMemoryError" in (project.root / log).read_text()


@pytest.mark.slow
def test_the_trials_own_paths_make_no_other_cause(project: Project) -> None:
    """What fails the same way for each trial is one cause, also where the message has the path of its output."""
    train = "cd \"$1\"; python -S -c \"import os; open(os.environ['RESWEEP_OUTPUT'] + '/deep/metrics.json', 'w')\"\n"
    project.write({"train.sh": train})
    project.generate().ok()
    assert project.resweep("run", "rnn").status == 1
    causes = [line.strip() for line in project.resweep("status", "rnn").ok().out.splitlines() if "failed  " in line]
    count = len(project.entries())
    assert count > 1
    place = project.paths().place(project.entries()[0].name)
    path = place.attempt(1).replace(project.entries()[0].id, "...") + "/output/deep/metrics.json"
    assert causes == [f"failed   {count} trials: FileNotFoundError: [Errno 2] No such file or directory: '{path}'"]


@pytest.mark.slow
def test_json_has_every_trial_with_its_record(project: Project) -> None:
    """--json is one object: counts, causes, and every trial with its state, log and record."""
    repeated(project, 3, "[ $n != 1 ]")
    project.resweep("run", "rnn", "--max-trials", "2")
    found = json.loads(project.resweep("status", "rnn", "--json").ok().out)
    assert (found["sweep"], found["counts"]["finished"], found["counts"]["failed"]) == ("rnn", 1, 1)
    assert [(trial["number"], trial["state"]) for trial in found["trials"]] == [
        (1, "finished"),
        (2, "failed"),
        (3, "queued"),
    ]
    assert [trial["id"] for trial in found["trials"]] == [entry.id for entry in project.entries()]
    assert found["trials"][1]["record"]["exit_status"] == 1
    assert Path(found["trials"][1]["log"]).is_file()
    assert found["trials"][2]["log"] is None
    assert found["failures"][0]["trials"] == [str(project.entries()[1].name)]


@pytest.mark.slow
def test_status_of_some_trials(project: Project) -> None:
    """--state, ranges and names choose what is shown."""
    repeated(project, 4, "[ $n != 1 ]")
    project.resweep("run", "rnn", "--max-trials", "3")
    assert project.resweep("status", "rnn", "--state", "failed").out.startswith("rnn: 1 trial: 1 failed")
    assert project.resweep("status", "rnn#3-9", "rnn#1").ok().out.startswith("rnn: 3 trials: 2 finished, 1 queued")


@pytest.mark.slow
def test_lost_trial_is_named(project: Project, runners: Runners) -> None:
    """A trial whose processes have all been killed is shown as lost, with its host."""
    repeated(project, 1, WAIT)
    process = runners.start()
    until((project.root / "started-0").exists)
    process.kill()
    process.communicate()
    place = project.paths().place(project.entries()[0].name)
    found = trial_state.state(place)[1]
    for name in ("record.json", "heartbeat"):
        path = Path(place.attempt(1), name)
        text = json.loads(path.read_text()) | {"pid": 2**22 + 1, "group": None}
        path.write_text(json.dumps(text))
    out = project.resweep("status", "rnn").ok().out
    path.write_text(json.dumps(text | {"pid": found["pid"], "group": found["group"]}))
    (project.root / "go").touch()
    assert out.splitlines()[0] == "rnn: 1 trial: 1 lost"
    assert f"on {socket.gethostname()}" in out


@pytest.mark.slow
def test_status_of_ten_thousand_trials(project: Project) -> None:
    """`resweep status` counts 10,000 trials, finished, failed and queued, by state and cause; no list of them."""
    repeated(project, 1)
    project.resweep("run", "rnn").ok()
    (first,) = project.entries()
    record = project.record(first)
    entries = []
    for number in range(1, 10_001):
        entry = Entry(number, first.id, number - 1, first.digest, first.point, first.source, first.swept, 1)
        entries.append(entry)
        place = project.paths().place(entry.name)
        kind = number % 10
        if number == 1 or kind == 0:
            continue
        directory = Path(place.attempt(1))
        directory.mkdir(parents=True)
        state = "failed" if kind == 1 else "finished"
        (directory / "record.json").write_text(
            json.dumps({**record, "trial": number - 1, "state": state, "exit_status": int(kind == 1)}, indent=2)
        )
        if kind == 1:
            (directory / "log.txt").write_text(f"Traceback (most recent call last):\nValueError: {number}\n")
        else:
            Path(place.attempts, "finished").hardlink_to(directory / "record.json")
    project.paths().index.write_text(Index("rnn", index.read(project.paths()).generation, tuple(entries)).text())
    out = project.resweep("status", "rnn").ok().out
    assert out.startswith("rnn: 10,000 trials: 8,001 finished, 999 failed, 1,000 queued")
    assert "999 trials: ValueError: " in out
    assert len(out.splitlines()) < 20
