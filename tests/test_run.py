"""`resweep run`: the trials of a sweep here; what is named, what is said, what is left for the next run.

Code: run/runner, run/run_options, cli/run
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from launched import Trial, runs, until
from running import until_it_says
from small_project import Project


def test_sweep_runs_in_order_once(trials: list[Trial]) -> None:
    """`run NAME` runs each trial once, in the sweep's order, a line each; then there is nothing to run."""
    project = trials[0].project
    result = project.resweep("run", "rnn", "--jobs", "1").ok()
    assert runs(project) == [trial.name.id for trial in trials]
    lines = result.out.splitlines()
    assert lines[0].startswith("rnn: 4 of 4 trials to run, 0 finished already")
    assert re.fullmatch(r"\[1/4\] #1 \w{12}/0 params\.\S+ params\.\S+: finished in [\d.]+ s", lines[1])
    assert lines[-1] == "rnn: all trials have finished"
    assert result.err == ""
    assert "nothing to run" in project.resweep("run", "rnn").ok().out
    assert len(runs(project)) == 4


def test_lines_count_what_had_finished_before(trials: list[Trial]) -> None:
    """[2/4] is the second of four, of those that were asked for, also where another run has had the first."""
    project = trials[0].project
    project.resweep("run", "rnn#1").ok()
    lines = project.resweep("run", "rnn", "--jobs", "1", "--max-trials", "1").ok().out.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("[")] == [["[2/4]", "#2"]]
    lines = project.resweep("run", "rnn#2-4", "--jobs", "1").ok().out.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("[")] == [["[2/3]", "#3"], ["[3/3]", "#4"]]


@pytest.mark.parametrize("form", ["rnn#2", "{id}", "{prefix}", "{id}/0", "config/generated/rnn/{id}/0", "{capsule}"])
def test_one_trial_is_run_by_any_of_its_names(trials: list[Trial], form: str) -> None:
    """A number, an id, its beginning, id/trial and the capsule's path name the same trial."""
    wanted = trials[1]
    name = form.format(id=wanted.name.id, prefix=wanted.name.id[:8], capsule=wanted.capsule)
    wanted.project.resweep("run", name).ok()
    assert runs(wanted.project) == [wanted.name.id]


@pytest.mark.parametrize("name", ["nope", "rnn#99", "rnn#", "", "zzzz999", "qb"])
def test_unknown_trial_is_one_line(trials: list[Trial], name: str) -> None:
    """What names no trial gives one line, status 2, and nothing runs."""
    result = trials[0].project.resweep("run", name)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert runs(trials[0].project) == []


def test_only_some_trials(trials: list[Trial]) -> None:
    """--only takes a list of ID/TRIAL; comments and empty lines are left out, and a repeated line runs once."""
    project = trials[0].project
    project.write(
        {"list": f"# a comment\n\n {trials[2].name}  #3 lr=1\n{trials[0].name}\n{trials[0].name}\n#{trials[1].name}\n"}
    )
    result = project.resweep("run", "rnn", "--only", "list", "--jobs", "1").ok()
    assert "2 of 2 trials to run" in result.out
    assert runs(project) == [trials[2].name.id, trials[0].name.id]


def test_only_refuses_what_is_no_trial(trials: list[Trial]) -> None:
    """A line of --only that names no trial of the sweep is named, and nothing runs."""
    project = trials[0].project
    project.write({"list": f"{trials[0].name}\nabc/0\n"})
    result = project.resweep("run", "rnn", "--only", "list")
    assert result.status == 2
    assert "abc/0" in result.err
    assert runs(project) == []
    assert project.resweep("run", "rnn", "--only", "missing").status == 2


def test_failure_stops_no_other_and_is_named_last(trials: list[Trial]) -> None:
    """One trial fails: the others run, the exit status is 1, and the last lines name it and its log."""
    project = trials[0].project
    trials[1].train('echo "${1%/*}" >> "$root/runs"; exit 3')
    result = project.resweep("run", "rnn")
    assert result.status == 1
    assert len(runs(project)) == 4
    assert result.err.splitlines() == [
        "rnn: 1 of 4 trials did not finish:",
        "  1 failed: exit status 3, and nothing in the log",
        f"  #2 {trials[1].name}  log: {trials[1].directory().relative_to(project.root)}/log.txt",
    ]
    trials[1].train("true")
    result = project.resweep("run", "rnn").ok()
    assert "1 of 4 trials to run, 3 finished already" in result.out
    assert trials[1].place.last() == 2


def test_mistake_without_a_log_is_said_in_the_summary(trials: list[Trial]) -> None:
    """A trial that could not start has no log: the last lines say why instead."""
    trials[0].output.mkdir(parents=True)
    result = trials[0].project.resweep("run", "rnn#1")
    assert result.status == 1
    assert "no attempt of this trial has finished" in result.err
    assert "log:" not in result.err


@pytest.mark.slow
def test_trial_that_runs_elsewhere_is_left_alone(trials: list[Trial]) -> None:
    """A trial that another process runs is not started again: the others run, its end is waited for, and told."""
    project = trials[0].project
    trials[0].train('touch "$root/started"; while [ ! -e "$root/go" ]; do sleep 0.02; done')
    other = trials[0].start()
    until((project.root / "started").exists)
    process = start(project)
    until(lambda: len(runs(project)) == 3)
    assert process.poll() is None
    (project.root / "go").touch()
    other.communicate(timeout=300)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    assert f"[4/4] #1 {trials[0].name} params.dropout=0.3 params.lr=0.1: finished, run by another process" in out
    assert sorted(runs(project)) == sorted(trial.name.id for trial in trials[1:])
    assert trials[0].place.last() == 1


def test_run_repairs_what_a_crash_left(trials: list[Trial]) -> None:
    """A finished trial whose output a crash kept from its place gets it there, without running again."""
    trial = trials[0]
    trial.train('mkdir -p "$out"')
    trial.launch().ok()
    (trial.directory() / "output").unlink()  # the link
    trial.output.rename(trial.directory() / "output")
    Path(trial.place.attempts, "finished").unlink()
    assert "nothing to run" in trial.project.resweep("run", "rnn#1").ok().out
    assert trial.output.is_dir()
    assert trial.place.finished()


def test_run_from_another_directory_of_the_project(trials: list[Trial]) -> None:
    """Called in a subdirectory, the command finds the project above it."""
    project = trials[0].project
    project.shell("cd qb && resweep run rnn#3").ok()
    assert runs(project) == [trials[2].name.id]


def test_run_outside_a_project_is_one_line(trials: list[Trial]) -> None:
    """Where there is no project, one line says what was looked for."""
    result = trials[0].project.shell("cd / && resweep run rnn")
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)


def test_interpreter_of_the_environment_wins(trials: list[Trial], monkeypatch: pytest.MonkeyPatch) -> None:
    """RESWEEP_PYTHON names the interpreter here as everywhere; one that is not there is a mistake."""
    project = trials[0].project
    project.write({"mine": f'#!/bin/sh\nexec {sys.executable} "$@"\n'})
    (project.root / "mine").chmod(0o755)
    trials[0].train('echo "$RESWEEP_PYTHON"')
    monkeypatch.setenv("RESWEEP_PYTHON", str(project.root / "mine"))
    project.resweep("run", "rnn#1").ok()
    assert trials[0].log() == f"{project.root}/mine\n"
    monkeypatch.setenv("RESWEEP_PYTHON", "/no/python")
    result = project.resweep("run", "rnn")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "/no/python" in result.err


def start(project: Project) -> subprocess.Popen[str]:
    """Start `resweep run rnn` in a process group of its own, as a terminal does."""
    return subprocess.Popen(
        [sys.executable, "-m", "resweep", "run", "rnn", "--jobs", "1"],
        cwd=project.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", ["Ctrl-C", "kill -INT", "kill -TERM", "kill -HUP"])
def test_interruption_stops_the_trial_and_says_so(trials: list[Trial], how: str) -> None:
    """Ctrl-C twice, and a signal to the runner alone, stop the running trial, which may save; no other starts."""
    project = trials[0].project
    trials[0].train('trap "sleep 0.4; touch \\"$root/saved\\"; exit 1" TERM\ntouch "$root/started"\nsleep 600 & wait')
    process = start(project)
    until((project.root / "started").exists)
    try:
        if how == "Ctrl-C":
            os.killpg(process.pid, signal.SIGINT)
            until_it_says(process.stderr, "once more stops them")
            os.killpg(process.pid, signal.SIGINT)
        elif how == "kill -INT":
            process.send_signal(signal.SIGINT)
            until_it_says(process.stderr, "once more stops them")
            process.send_signal(signal.SIGINT)
        else:
            process.send_signal(signal.Signals[f"SIG{how[6:]}"])
        out, err = process.communicate(timeout=300)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(trials[0].record()["group"], signal.SIGKILL)
    assert process.returncode == 130
    assert trials[0].state == "stopped"
    assert (project.root / "saved").exists()
    assert "stopped after" in out
    assert err.splitlines()[-1] == "rnn: interrupted; 3 trials were not started; run this again to go on"
    assert str(trials[0].name) in err.splitlines()[-2]
    assert "Traceback" not in out + err
    assert runs(project) == []


@pytest.mark.slow
def test_further_interruptions_leave_the_stopping_to_the_launcher(trials: list[Trial]) -> None:
    """Ctrl-C again and again, while the trial is being stopped, shortens no grace: it saves, and is recorded so."""
    project = trials[0].project
    save = 'trap "touch \\"$root/told\\"; sleep 0.5; touch \\"$root/saved\\"; exit" TERM\n'
    trials[0].train(save + 'touch "$root/started"\nwhile :; do sleep 0.02; done')
    process = start(project)
    until((project.root / "started").exists)
    os.killpg(process.pid, signal.SIGINT)
    until_it_says(process.stderr, "once more stops them")
    os.killpg(process.pid, signal.SIGINT)
    until((project.root / "told").exists)
    for _ in range(5):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.02)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert trials[0].state == "stopped"
    assert (project.root / "saved").exists()


def test_runner_killed_for_good_leaves_a_true_record(trials: list[Trial]) -> None:
    """A runner that dies takes nothing with it: its launcher ends the trial, and the next run goes on from there."""
    project = trials[0].project
    trials[0].train('touch "$root/started"; while [ ! -e "$root/go" ]; do sleep 0.02; done')
    process = start(project)
    until((project.root / "started").exists)
    process.kill()
    process.communicate()
    (project.root / "go").touch()
    until(lambda: trials[0].state == "finished")
    project.resweep("run", "rnn").ok()
    assert [trial.place.last() for trial in trials] == [1, 1, 1, 1]
