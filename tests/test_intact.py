"""A capsule is held against what was written before it runs; one that differs does not run, or everything says so.

Code: launcher/intact, launcher/attempt, run/import_leaks
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from small_project import Project

from resweep.launcher import intact

MODULE = "print('hello')\n"


@pytest.fixture
def swept(project: Project) -> Project:
    """A sweep of two trials that share their source."""
    project.write({"qb/deep/__init__.py": "", "qb/deep/er.py": MODULE, "config/rnn.toml": SWEEP})
    project.begin("config/rnn.toml", "base.jsonnet", "rnn", "--no-slurm-job")
    return project


SWEEP = """\
[hyper]
"params.lr" = [0.1, 0.2]

[params]
lr = 0.5
dropout = 0.25

[extra]
name = "\u00e4\u2603 \\"q\\" \\\\"
"""


def changes(capsule: Path, memo: intact.Memo | None = None) -> list[str]:
    """What differs in a capsule."""
    manifest = json.loads((capsule / "manifest.json").read_text("utf-8"))
    return intact.changes(str(capsule), manifest, memo or intact.Memo(None))


def replace(path: Path, text: str, mode: int = 0o444) -> None:
    """Another file in place of one that is shared."""
    path.unlink()
    path.write_text(text)
    path.chmod(mode)


def test_a_capsule_as_it_was_written_has_no_changes(swept: Project) -> None:
    """Whatever letters its configuration has."""
    assert [changes(capsule) for capsule in swept.capsules()] == [[], []]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: replace(c / "qb/deep/er.py", MODULE + "#"), "qb/deep/er.py (changed)"),
        (lambda c: replace(c / "qb/deep/er.py", MODULE, 0o555), "qb/deep/er.py (changed)"),
        (lambda c: replace(c / "train.sh", "true\n", 0o555), "train.sh (changed)"),
        (lambda c: replace(c / f"{c.parent.name}.json", "{}"), None),
        (lambda c: (c / "qb/deep/er.py").unlink(), "qb/deep/er.py (missing)"),
        (lambda c: (c / "qb/sitecustomize.py").write_text(""), "qb/sitecustomize.py (added)"),
        (lambda c: (c / "qb/link.py").symlink_to("main.py"), "qb/link.py (added)"),
        (
            lambda c: ((c / "qb/deep/er.py").unlink(), (c / "qb/deep/er.py").symlink_to(c / "qb/main.py")),
            "qb/deep/er.py (changed)",
        ),
        (
            lambda c: replace(c / "manifest.json", (c / "manifest.json").read_text().replace('"threads"', '"thread"')),
            "manifest.json (changed)",
        ),
    ],
    ids=["byte", "executable", "script", "configuration", "missing", "added", "link", "linked away", "manifest"],
)
def test_what_differs_is_named(swept: Project, change: object, said: str | None) -> None:
    """Every kind of difference, in one capsule and not in the other."""
    capsule, other = swept.capsules()
    change(capsule)  # type: ignore[operator]
    (found,) = changes(capsule)
    assert found == said or (said is None and found.endswith(".json (changed)"))
    assert changes(other) == []


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read, by their names; those written just now count as old."""
    found: list[str] = []
    real = intact._same

    def noted(path: str, *rest: object) -> bool:
        found.append(os.path.basename(path))
        return real(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(intact, "_same", noted)
    monkeypatch.setattr(intact, "RACY_NANOSECONDS", -(10**15))
    return found


def test_what_trials_share_is_read_once(swept: Project, reads: list[str], tmp_path: Path) -> None:
    """By the next trial, and by the next process, only what is the trial's own is read."""
    first, second = swept.capsules()
    memo = str(tmp_path / "memo")
    assert changes(first, intact.Memo(memo)) == []
    assert {"main.py", "er.py", "train.sh"} <= set(reads)
    reads.clear()
    assert changes(second, intact.Memo(memo)) == []
    assert not {"main.py", "er.py"} & set(reads)
    assert "train.sh" in reads


def test_what_was_remembered_does_not_hide_a_change(swept: Project, reads: list[str]) -> None:
    """Neither one of the shared file itself nor another file in its place."""
    first, second = swept.capsules()
    memo = intact.Memo(None)
    assert changes(first, memo) == []
    (first / "qb/deep/er.py").chmod(0o644)
    (first / "qb/deep/er.py").write_text(MODULE.upper())
    (first / "qb/deep/er.py").chmod(0o444)
    assert changes(first, memo) == changes(second, memo) == ["qb/deep/er.py (changed)"]
    assert reads.count("er.py") == 3
    assert changes(first, memo) == ["qb/deep/er.py (changed)"]  # what differs is not remembered


def test_what_was_written_just_now_is_not_remembered(swept: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could be written once more within a tick of the clock."""
    monkeypatch.setattr(intact, "RACY_NANOSECONDS", 10**15)
    memo = intact.Memo(None)
    assert changes(swept.capsules()[0], memo) == []
    assert memo._known == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1, "sources": 3}', '{"format": 9, "sources": {}}'])
def test_a_memo_that_is_damaged_costs_a_reading(tmp_path: Path, text: str) -> None:
    """And is replaced; one that cannot be written is nobody's concern."""
    path = tmp_path / "memo"
    path.write_text(text)
    memo = intact.Memo(str(path))
    assert not memo.holds("a", "b")
    memo.note("a", "b")
    assert intact.Memo(str(path)).holds("a", "b")
    intact.Memo(str(tmp_path / "no such directory/memo")).note("a", "b")


def test_a_memo_keeps_the_latest(tmp_path: Path) -> None:
    """So many looks of a source, and so many sources."""
    path = str(tmp_path / "memo")
    for number in range(intact.SOURCES + 1):
        intact.Memo(path).note(f"s{number}", "look")
    for number in range(intact.LOOKS + 1):
        intact.Memo(path).note("s9", f"look {number}")
    memo = intact.Memo(path)
    assert not memo.holds("s0", "look")
    assert memo.holds("s64", "look")
    assert (memo.holds("s9", "look 0"), memo.holds("s9", "look 1")) == (False, True)


# --- what a person sees ---------------------------------------------------------------------------------------------


def test_an_edited_trial_does_not_run_unless_it_is_allowed(swept: Project) -> None:
    """The other one does. What was allowed is said by the record and wherever its numbers are shown."""
    capsule, _ = swept.capsules()
    replace(capsule / "qb/deep/er.py", "x = 2\n")
    result = swept.resweep("run", "rnn")
    assert result.status == 1
    assert "modified since it was generated: qb/deep/er.py (changed); not started" in result.out + result.err
    edited = next(entry for entry in swept.entries() if str(entry.name) in str(capsule))
    assert not Path(swept.paths().place(edited.name).attempts, "1").exists()
    assert "1 finished" in swept.resweep("status", "rnn").out
    swept.resweep("run", "rnn", "--allow-changed-trials").ok()
    os.environ.pop("RESWEEP_ALLOW_CHANGED_TRIALS")
    assert swept.record(edited)["trial_changed"] == ["qb/deep/er.py (changed)"]
    said = f"1 trial (#{edited.number}): trial files were modified before the run: qb/deep/er.py (changed)"
    for view in (("status", "rnn"), ("results", "rnn")):
        assert said in swept.resweep(*view).ok().out
    assert said in swept.resweep("results", "rnn", "--format", "csv").ok().err


def test_what_ran_although_it_was_changed_proves_nothing(swept: Project) -> None:
    """`reproduce` says that the same came out, and that it is no proof: another verdict, and exit status 4."""
    capsule, _ = swept.capsules()
    edited = next(entry for entry in swept.entries() if str(entry.name) in str(capsule))
    replace(capsule / "qb/deep/er.py", "x = 2\n")
    swept.resweep("run", "rnn", "--allow-changed-trials").ok()
    os.environ.pop("RESWEEP_ALLOW_CHANGED_TRIALS")
    result = swept.resweep("reproduce", f"rnn#{edited.number}", "--unverified")
    assert result.status == 4
    assert result.out.startswith(f"not proven: rnn#{edited.number} ")
    assert "bit for bit, but what ran was not the frozen code" in result.out
    assert "  changed   trial files were modified before the run: qb/deep/er.py (changed)" in result.out
    assert "RESWEEP_ALLOW_CHANGED_TRIALS" not in os.environ


def test_rerun_checks_and_may_be_told(swept: Project, tmp_path: Path) -> None:
    """Also a copy outside of every project."""
    capsule, _ = swept.capsules()
    copy = tmp_path / "copy"
    swept.shell(f"cp -r '{capsule}' '{copy}' && chmod -R u+w '{copy}'").ok()
    replace(copy / "qb/deep/er.py", "x = 2\n", 0o644)
    command = f"bash '{copy}/rerun.sh' '{tmp_path}/again'"
    result = swept.shell(command, RESWEEP_PYTHON=sys.executable)
    assert result.status != 0
    assert "qb/deep/er.py (changed); not started" in result.out + result.err
    assert not (tmp_path / "again").exists()
    swept.shell(command, RESWEEP_PYTHON=sys.executable, RESWEEP_ALLOW_CHANGED_TRIALS="1").ok()
    assert json.loads((tmp_path / "again/record.json").read_text())["trial_changed"] == ["qb/deep/er.py (changed)"]
