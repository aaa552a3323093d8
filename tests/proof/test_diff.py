"""`resweep diff`: what differs between two trials is shown, wherever they are, and nothing else.

Code: proof/diff, proof/subject, cli/diff
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_project import MAIN, SWEEP, Project

from resweep.proof import diff


@pytest.fixture
def ran(swept: Project) -> Project:
    """The sweep of four, of which the first and the second have finished."""
    swept.resweep("run", "rnn#1-2").ok()
    return swept


@pytest.mark.slow
def test_a_trial_does_not_differ_from_itself(ran: Project) -> None:
    """Every section is one line, and the exit status is 0."""
    result = ran.resweep("diff", "rnn#1", "rnn#1").ok()
    assert result.out.splitlines()[2:] == [f"{name}: the same" for name in diff.SECTIONS]


def test_each_section_says_what_differs(ran: Project) -> None:
    """Swept value, configuration, filled template and metrics by dotted key; exit status 1."""
    result = ran.resweep("diff", "rnn#1", "rnn#2")
    assert result.status == 1
    assert result.out.splitlines()[2:] == [
        "swept:",
        "  params.lr: 0.1 -> 0.2",
        "config:",
        "  params.lr: 0.1 -> 0.2",
        "filled:",
        "  lr: 0.1 -> 0.2",
        "source: the same",
        "environment: the same",
        "data: the same",
        "seed: the same",
        "metrics:",
        "  best_validation_accuracy: 0.1 -> 0.2",
    ]
    assert (
        "metrics:\n  state: finished -> queued\n  best_validation_accuracy: 0.1 -> nothing"
        in ran.resweep("diff", "rnn#1", "rnn#3").out
    )


SOURCES = {
    "metrics.jsonl": (
        "metrics.jsonl",
        '{{"step": 1, "acc": 0.1}}\n{{"step": 2, "acc": {value}, "took_seconds": {value}}}\n',
    ),
    "an epoch's file": ("metrics_epoch_3.json", '{{"acc": {value}, "training_duration": "{value}"}}'),
    "the log": ("../log.txt", "said {value}\n"),
}


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("where", ["project", "archive"])
def test_metrics_are_those_that_results_shows(ran: Project, source: str, where: str) -> None:
    """From every file that results reads, in a project and in an archive; durations are no difference."""
    ran.write({"config/rnn.toml": SWEEP + "\n[results]\npattern = 'said (?P<acc>[0-9.]+)'\n"})
    ran.generate().ok()
    name, text = SOURCES[source]
    for entry, value in zip(ran.entries(), ("0.25", "0.75"), strict=False):
        place = ran.paths().place(entry.name)
        os.unlink(Path(place.output, "metrics.json"))
        path = Path(place.attempt(1), "log.txt") if source == "the log" else Path(place.output, name)
        path.write_text(text.format(value=value))
    words = ["rnn#1", "rnn#2"]
    if where == "archive":
        ran.resweep("pack", "rnn", "-o", "../a.tar.gz").ok()
        words = ["../a.tar.gz#1", "../a.tar.gz#2"]
    result = ran.resweep("diff", *words, "--only", "metrics")
    assert result.status == 1
    assert result.out.splitlines()[2:] == ["metrics:", "  acc: 0.25 -> 0.75"]
    ran.resweep("diff", words[0], "rnn#1", "--only", "metrics").ok()


def test_what_exec_measured_is_compared(ran: Project) -> None:
    """The numbers of the test set are among those that results shows."""
    ran.resweep("exec", "rnn#2", "--as", "test", "--", "bash", "-c", "echo '{\"acc\": 0.5}' > metrics.json").ok()
    assert "  test.acc: nothing -> 0.5\n" in ran.resweep("diff", "rnn#1", "rnn#2", "--only", "metrics").out


@pytest.mark.slow
def test_trials_without_a_number_are_not_the_same(ran: Project) -> None:
    """There is nothing to compare: said, null in JSON, and status 2 where nothing else was asked for."""
    for words in (["rnn#3", "rnn#4"], ["rnn#3", "rnn#3"]):
        result = ran.resweep("diff", *words, "--only", "metrics")
        assert result.status == 2
        assert result.out.splitlines()[2:] == ["metrics: nothing to compare: neither trial has a number (both queued)"]
    found = json.loads(ran.resweep("diff", "rnn#3", "rnn#4", "--only", "metrics", "--json").out)
    assert found["same"] is None
    assert found["not_compared"] == {"metrics": "neither trial has a number (both queued)"}
    result = ran.resweep("diff", "rnn#3", "rnn#3").ok()
    assert "metrics: nothing to compare" in result.out
    assert ran.resweep("diff", "rnn#3", "rnn#4", "--only", "source", "--only", "metrics").status == 0


@pytest.mark.slow
def test_a_key_that_one_sweep_fixes_has_its_value(ran: Project) -> None:
    """A promoted trial has what it was promoted with, whether that is varied or not; another value differs."""
    ran.resweep("promote", "rnn#2", "--set", "seed=1000", "--as", "final").ok()
    result = ran.resweep("diff", "rnn#2", "final#1")
    assert "swept: the same\n" in result.out
    assert "seed:\n  seed: 0 -> 1000\n" in result.out
    assert "swept:\n  params.lr: 0.1 -> 0.2\n" in ran.resweep("diff", "rnn#1", "final#1").out


def test_only_and_json(ran: Project) -> None:
    """One section alone decides the exit status, and JSON says the same."""
    ran.resweep("diff", "rnn#1", "rnn#2", "--only", "source", "--only", "seed").ok()
    result = ran.resweep("diff", "rnn#1", "rnn#2", "--json", "--only", "swept")
    assert result.status == 1
    found = json.loads(result.out)
    assert not found["same"]
    assert found["sections"] == {"swept": [{"key": "params.lr", "before": 0.1, "after": 0.2}]}


@pytest.mark.slow
def test_source_is_a_unified_diff_and_binary_files_are_named(ran: Project) -> None:
    """Between two sweeps of a project: changed, added and removed files, train.sh among them."""
    ran.write(
        {
            "qb/main.py": MAIN.replace("trains with", "learns with"),
            "qb/blob.json": "\0\1",
            "qb/new.py": "x = 1\n",
            "train.sh": "set -e\n" + (ran.root / "train.sh").read_text().rstrip("\n"),
        }
    )
    ran.generate(name="other").ok()
    result = ran.resweep("diff", "rnn#1", "other#1", "--only", "source")
    assert result.status == 1
    assert "--- a/qb/main.py\n+++ b/qb/main.py\n" in result.out
    assert '-print("trains with", filled)\n+print("learns with", filled)\n' in result.out
    assert "  qb/blob.json: added (no text)\n" in result.out
    assert "--- /dev/null\n+++ b/qb/new.py\n@@ -0,0 +1 @@\n+x = 1\n" in result.out
    assert "+set -e\n" in result.out
    assert "\\ No newline at end of file\n" in result.out
    assert "\x1b" not in result.out
    (ran.root / "patch").write_text(result.out.replace("  qb/blob.json: added (no text)\n", ""))
    shutil.copytree(ran.capsules("rnn")[0], ran.root / "copy")
    subprocess.run("chmod -R u+w copy && patch -s -p1 -d copy < patch", shell=True, cwd=ran.root, check=True)
    assert (ran.root / "copy/qb/main.py").read_text() == (ran.root / "qb/main.py").read_text()
    assert (ran.root / "copy/train.sh").read_text() == (ran.root / "train.sh").read_text()


@given(st.text(alphabet="ab\n\r\u2028", max_size=12), st.text(alphabet="ab\n\r\u2028", max_size=12))
def test_a_diff_is_empty_exactly_for_the_same_text(old: str, new: str) -> None:
    """Whatever ends a line or does not."""
    lines = diff._unified("f", old.encode(), new.encode())
    assert lines is not None
    assert (not lines) == (old == new)


@pytest.mark.slow
def test_environment_data_seed_and_threads(project: Project) -> None:
    """Another generation with other data, seed and threads, and a variable that changes numerics."""
    project.write({"d.json": "1", "config/rnn.toml": SWEEP + '\n[data]\nfiles = ["*.json"]\n'})
    project.generate(name="one").ok()
    project.resweep("run", "one#1").ok()
    project.write({"d.json": "2", "e.json": "3"})
    project.generate("--set", "seed=4", "--set", "threads=2", name="two").ok()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MKL_CBWR", "COMPATIBLE")
        project.resweep("run", "two#1").ok()
    result = project.resweep("diff", "one#1", "two#1")
    assert "environment:\n  variables MKL_CBWR: nothing -> COMPATIBLE\n" in result.out
    assert "data:\n  d.json: as fingerprinted -> changed\n  e.json: nothing -> new\n" in result.out
    assert "seed:\n  seed: 0 -> 4\n  threads: 1 -> 2\n" in result.out
    assert "  OMP_NUM_THREADS: 1 -> 2\n" in result.out


def test_a_trial_of_another_project_and_a_copy_by_path(ran: Project) -> None:
    """By its directory, from anywhere; a copy alone has no metrics."""
    other = ran.root.parent / "an other place"
    shutil.copytree(ran.root, other, symlinks=True)
    first, second = ran.entries()[:2]
    there = str(other / "config/generated/rnn" / str(second.name))
    assert "  best_validation_accuracy: 0.1 -> 0.2\n" in ran.resweep("diff", "rnn#1", there).out
    ran.resweep("diff", str(ran.paths().capsule(second.name)), there).ok()
    shutil.copytree(ran.paths().capsule(first.name), ran.root / "copy")
    assert ran.resweep("diff", "rnn#1", "copy", "--only", "filled", "--only", "source", "--only", "config").status == 0
    assert "state: finished -> unknown" in ran.resweep("diff", "rnn#1", "copy").out


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".tar.zst", ".tar.gz", ".tar.xz"])
def test_archives_are_read_as_they_are(ran: Project, suffix: str) -> None:
    """By number, id/trial or the beginning of an id; with metrics and environment, and nothing is unpacked."""
    archive = f"../a{suffix}"
    ran.resweep("pack", "rnn", "-o", archive).ok()
    first, second = ran.entries()[:2]
    before = ran.tree("..")
    for word in ("1", str(first.name), first.id[:6]):
        assert ran.resweep("diff", "rnn#1", f"{archive}#{word}").ok().out.count("the same") == len(diff.SECTIONS)
    result = ran.resweep("diff", f"{archive}#{first.name}", f"{archive}#2")
    assert "  best_validation_accuracy: 0.1 -> 0.2\n" in result.out
    assert result.out.splitlines()[2:] == ran.resweep("diff", "rnn#1", "rnn#2").out.splitlines()[2:]
    ran.resweep("pack", f"rnn#{second.number}", "-o", f"../one{suffix}").ok()
    ran.resweep("diff", "rnn#2", f"../one{suffix}").ok()
    os.unlink(ran.root.parent / f"one{suffix}")
    assert ran.tree("..") == before


def test_a_record_of_an_archive_leads_nowhere_else(ran: Project) -> None:
    """What it says of its attempt is a number, or one line; nothing outside of the archive is read by it."""
    finished = Path(ran.paths().place(ran.entries()[0].name).attempts, "finished")
    record = json.loads(finished.read_text()) | {"attempt": "../../../../../.."}
    for path in (finished, finished.parent / "1" / "record.json"):
        path.unlink()
        path.write_text(json.dumps(record))
    ran.resweep("pack", "rnn#1", "-o", "../a.tar.gz").ok()
    result = ran.resweep("diff", "rnn#2", "../a.tar.gz#1")
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert "has no readable record.json" in result.err


def test_a_damaged_archive_is_one_line(ran: Project) -> None:
    """A byte that changed in a file that is compared is said, and nothing is shown of it."""
    ran.resweep("pack", "rnn", "-o", "../a.tar.gz").ok()
    path = ran.root.parent / "a.tar.gz"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(data)
    result = ran.resweep("diff", "rnn#1", "../a.tar.gz#1")
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("name", ["rnn", "nope", "../a.tar.gz", "../a.tar.gz#1", "pyproject.toml", "rnn#9"])
def test_a_mistake_is_one_line(swept: Project, name: str) -> None:
    """What names no trial, or several."""
    result = swept.resweep("diff", "rnn#1", name)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)


@pytest.mark.slow
def test_several_trials_of_an_archive_are_one_line(ran: Project) -> None:
    """An archive alone names a trial only where it has one."""
    ran.resweep("pack", "rnn", "-o", "../a.tar.gz").ok()
    result = ran.resweep("diff", "rnn#1", "../a.tar.gz")
    assert result.status == 2
    assert "holds 4 such trials, expected one, as in ../a.tar.gz#" in result.err


@pytest.mark.slow
def test_colours_and_escapes_are_for_terminals_alone(ran: Project) -> None:
    """A terminal gets colours, and no control character of anybody's source."""
    ran.write({"qb/main.py": "# \x1b[2J\n" + MAIN})
    ran.generate(name="other").ok()
    main, side = pty.openpty()
    command = [sys.executable, "-m", "resweep", "diff", "rnn#1", "other#1", "--only", "source"]
    process = subprocess.Popen(command, cwd=ran.root, stdout=side, stdin=subprocess.DEVNULL)
    os.close(side)
    said = b""
    try:
        while piece := os.read(main, 4096):
            said += piece
    except OSError:
        pass
    os.close(main)
    assert process.wait() == 1
    assert b"\x1b[32m+# \\x1b[2J" in said
    assert b"\x1b[2J" not in said
    assert Path(ran.root, "qb/main.py").exists()
