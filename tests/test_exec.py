"""`resweep exec`: another command with the frozen code of trials that have finished.

Code: run/exec, results/executions, cli/exec, cli/best
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from launched import Trial, until
from small_project import SWEEP, Project, Result

from resweep.launcher import processes
from resweep.results import trial_rows

METRIC = '[results]\nmetric = "best_validation_accuracy"\n'


@pytest.fixture
def done(trial: Trial) -> Trial:
    """The first trial of the sweep, finished."""
    trial.launch().ok()
    return trial


def executed(trial: Trial, *command: str, label: str = "exec") -> Result:
    """`resweep exec --as LABEL TRIAL -- COMMAND`."""
    return trial.project.resweep("exec", "--as", label, str(trial.name), "--", *command)


def directory(trial: Trial, label: str = "exec", number: int = 1) -> Path:
    """Where a command ran."""
    return Path(trial.place.attempts, f"exec-{label}-{number}")


def record(trial: Trial, label: str = "exec", number: int = 1) -> dict[str, object]:
    """What was recorded of a command."""
    return dict(json.loads((directory(trial, label, number) / "record.json").read_text()))


def write_metrics(value: object) -> tuple[str, ...]:
    """A command that writes a metrics.json where it starts."""
    return ("sh", "-c", 'printf %s "$1" > metrics.json', "sh", json.dumps(value))


def trained(*numbers: int, project: Project) -> list[Trial]:
    """Some trials of the sweep, finished."""
    trials = [Trial(project, number) for number in numbers]
    for trial in trials:
        trial.launch().ok()
    return trials


def test_command_runs_in_a_directory_of_its_own_and_leaves_toml_log_and_record(done: Trial) -> None:
    """The command starts in a fresh directory beside the attempts, which holds its TOML, log and record."""
    result = executed(done, "pwd", label="where").ok()
    place = directory(done, "where")
    assert result.out == f"{place}\n"
    assert sorted(os.listdir(place)) == sorted([f"{done.name.id}.toml", "log.txt", "record.json"])
    assert (place / "log.txt").read_text() == result.out
    assert "finished in" in result.err
    assert "exec-where-1" in result.err


def test_record_is_that_of_an_attempt_with_command_and_label(done: Trial) -> None:
    """The record has an attempt's keys, and says what ran and what it was called."""
    executed(done, "echo", "{capsule}", "a b", label="x").ok()
    found = record(done, "x")
    assert set(found) == {*done.record(), "command", "label"}
    assert found["command"] == ["echo", str(done.capsule), "a b"]
    assert (found["label"], found["state"], found["attempt"], found["exit_status"]) == ("x", "finished", 1, 0)


def test_conf_names_the_training_s_output(done: Trial) -> None:
    """{conf} is the attempt's TOML, whose serialization_dir is what training wrote; {output} is the same directory."""
    result = executed(done, "sh", "-c", 'cat "$0"; test -f "$1/metrics.json"', "{conf}", "{output}").ok()
    conf = tomllib.loads(result.out)
    assert conf["serialization_dir"] == str(done.output)
    assert conf["conf_dir"] == str(done.capsule)
    assert conf["conf_path"] == str(directory(done) / f"{done.name.id}.toml")


def test_only_the_three_placeholders_are_filled_and_no_shell_comes_between(done: Trial) -> None:
    """Other braces, quotes and variables reach the command as they are, and a path is not filled again."""
    words = ["{}", "{other}", '{"a": {"b": 1}}', "$HOME", "a  b", "*", "x={capsule}!", "--", "--as"]
    result = executed(done, "printf", "%s\\n", *words).ok()
    assert result.out.splitlines() == [word.replace("{capsule}", str(done.capsule)) for word in words]


def test_command_finds_the_frozen_code_and_train_sh_s_environment(done: Trial) -> None:
    """A command has the environment that train.sh had, but for the terminal and its own directory."""
    done.train('env -0 > "$root/training"')
    for name in ("finished", "1"):
        path = Path(done.place.attempts, name)
        path.rename(path.with_name(f".gone-{name}"))
    done.output.rename(done.output.with_name("gone"))
    done.launch().ok()
    executed(done, "sh", "-c", 'env -0 > "$0/../../../../../executed"', "{output}").ok()

    def shown(name: str) -> dict[str, str]:
        text = (done.project.root / name).read_text()
        return dict(line.split("=", 1) for line in text.split("\0") if line)

    there, here = shown("training"), shown("executed")
    # a command is not audited
    there["PYTHONPATH"] = there["PYTHONPATH"].removesuffix(f":{done.directory()}/witness")
    del there["RESWEEP_WITNESS"]
    del there["RESWEEP_OUTPUT"]  # what training wrote stays as it is
    ours = {"PWD", "OLDPWD", "SHLVL", "_"}  # the shell's own
    assert {k: v for k, v in here.items() if k not in ours} == {k: v for k, v in there.items() if k not in ours}
    assert here["PYTHONPATH"] == str(done.capsule)
    assert here["OMP_NUM_THREADS"] == "1"


def test_live_source_is_not_used(done: Trial) -> None:
    """`import qb` finds the capsule's copy, also when the project's own has changed."""
    done.project.write({"qb/__init__.py": "raise SystemExit('live')"})
    result = executed(done, "python", "-c", "import qb; print(qb.__file__)").ok()
    assert result.out == f"{done.capsule}/qb/__init__.py\n"


def test_what_the_command_says_keeps_its_streams_and_reaches_the_log(done: Trial) -> None:
    """stdout and stderr stay apart on the terminal, and are both in the log."""
    result = executed(done, "sh", "-c", "echo one; echo two >&2").ok()
    assert result.out == "one\n"
    assert result.err.startswith("two\n")
    assert sorted((directory(done) / "log.txt").read_text().split()) == ["one", "two"]


def test_training_s_files_stay_as_they_are(done: Trial) -> None:
    """Capsule, output and attempt are the same bytes after a command as before it."""
    before = done.project.tree()
    executed(done, *write_metrics({"a": 1})).ok()
    after = {k: v for k, v in done.project.tree().items() if "/exec-" not in k}
    assert after == before
    assert done.state == "finished"
    assert done.place.last() == 1


def test_each_run_has_a_number_of_its_own(done: Trial) -> None:
    """Commands of one label are numbered; those of another label, also one with a digit at its end, count apart."""
    for label in ("a", "a", "a-1", "a"):
        executed(done, "true", label=label).ok()
    names = sorted(name for name in os.listdir(done.place.attempts) if name.startswith("exec"))
    assert names == ["exec-a-1", "exec-a-1-1", "exec-a-2", "exec-a-3"]


def test_a_label_that_looks_like_an_attempt_is_none(done: Trial) -> None:
    """Whatever the label, what ran is no attempt of the training."""
    executed(done, "true", label="7").ok()
    assert done.place.last() == 1
    assert "nothing to run" in done.project.resweep("run", str(done.name)).ok().out


def test_exit_status_is_the_command_s(done: Trial) -> None:
    """A command that fails is recorded as failed, and its exit status is passed on."""
    result = executed(done, "sh", "-c", "exit 7")
    assert result.status == 7
    assert (record(done)["state"], record(done)["exit_status"]) == ("failed", 7)
    assert "log.txt" in result.err
    assert executed(done, "sh", "-c", "kill -9 $$").status == 137
    assert record(done, number=2)["signal"] == "SIGKILL"


def test_what_the_command_leaves_running_ends_with_it(done: Trial) -> None:
    """A background process of the command does not outlive it, and is not waited for."""
    result = executed(done, "sh", "-c", "sleep 600 & echo $!").ok()
    until(lambda: processes.start_time(int(result.out)) is None)


def test_ctrl_c_stops_the_command_s_whole_group(done: Trial) -> None:
    """An interrupt ends what the command started, is recorded as stopped, and gives 130."""
    process = subprocess.Popen(
        [sys.executable, "-m", "resweep", "exec", str(done.name), "--", "sh", "-c", "sleep 600 & echo $!; wait"],
        cwd=done.project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    sleeper = int(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=300)[1]
    assert process.returncode == 130
    assert "stopped after" in err
    assert record(done)["state"] == "stopped"
    until(lambda: processes.start_time(sleeper) is None)


@pytest.mark.slow
def test_ctrl_c_stops_the_remaining_trials_too(swept: Project) -> None:
    """An interrupt of --finished runs the command for no other trial."""
    first, second = trained(1, 2, project=swept)
    process = subprocess.Popen(
        [sys.executable, "-m", "resweep", "exec", "--finished", "rnn", "--", "sh", "-c", "echo on; sleep 600"],
        cwd=swept.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)
    assert process.returncode == 130
    assert record(first)["state"] == "stopped"
    assert not directory(second).exists()


def test_binary_output_is_passed_on_byte_for_byte(done: Trial) -> None:
    """`resweep exec ... > model` writes what the command wrote, and nothing of ours."""
    run = [sys.executable, "-m", "resweep", "exec", str(done.name), "--", "printf", r"\377\000\012\200"]
    found = subprocess.run(run, cwd=done.project.root, capture_output=True, check=True).stdout
    assert found == b"\xff\x00\n\x80"


def test_command_ends_its_work_when_its_reader_has_gone(done: Trial) -> None:
    """`resweep exec ... | head` ends only the showing: the log is whole."""
    program = f"{sys.executable} -m resweep exec {done.name} -- sh -c 'seq 100000; echo end' | head -1"
    assert done.project.shell(program).out == "1\n"
    assert (directory(done) / "log.txt").read_text().endswith("100000\nend\n")
    assert record(done)["state"] == "finished"


def test_metrics_join_the_trial_s_results(swept: Project) -> None:
    """The metrics.json of a command gives the trial's row columns named after its label, which `results` shows."""
    first, second = trained(1, 2, project=swept)
    executed(first, *write_metrics({"accuracy": 0.75, "fold": "test"}), label="test").ok()
    rows = trial_rows.rows(swept.paths(), swept.entries(), trial_rows.ResultsOptions())
    assert rows[0].metrics["test.accuracy"] == 0.75
    assert rows[0].metrics["seed"] == 0
    assert not [key for key in rows[1].metrics if "test" in key]
    assert trial_rows.executed(rows) == ["test.accuracy"]
    head, line, *_ = swept.resweep("results", "rnn").ok().out.splitlines()
    assert "test.accuracy" in head
    assert "0.75" in line
    assert second.state == "finished"


@pytest.mark.slow
def test_the_last_finished_command_of_a_label_counts(done: Trial) -> None:
    """Of several commands of a label, those that failed or wrote no metrics do not hide the last that did both."""
    for number in range(1, 12):
        executed(done, *write_metrics({"n": number}), label="test").ok()
    executed(done, "sh", "-c", "echo '{\"n\": -1}' > metrics.json; exit 1", label="test")
    executed(done, "true", label="test").ok()
    executed(done, *write_metrics({"n": 99}), label="other").ok()
    (row, *_) = trial_rows.rows(done.project.paths(), done.project.entries(), trial_rows.ResultsOptions())
    assert (row.metrics["test.n"], row.metrics["other.n"]) == (11, 99)


def test_metrics_of_a_command_that_cannot_be_read_are_named(done: Trial) -> None:
    """A torn metrics.json of a command is named with its label, and costs none of the training's metrics."""
    executed(done, "sh", "-c", "echo '{' > metrics.json", label="test").ok()
    (row, *_) = trial_rows.rows(done.project.paths(), done.project.entries(), trial_rows.ResultsOptions())
    assert row.problem.startswith("test: metrics.json cannot be read")
    assert row.metrics["seed"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "value"), [("max", 0.2), ("min", 0.1)])
def test_best_is_by_the_metric_and_mode_of_the_sweep(project: Project, mode: str, value: float) -> None:
    """--best runs the command for the finished trial whose metric is best, and says which that is."""
    project.write({"config/rnn.toml": SWEEP + METRIC + f'mode = "{mode}"\n'})
    project.generate("--no-slurm-job").ok()
    entries = project.entries()
    for trial in trained(1, 4, project=project):
        assert trial.name in (entries[0].name, entries[3].name)
    best = next(entry for entry in (entries[0], entries[3]) if entry.swept["params.lr"] == value)
    result = project.resweep("exec", "--best", "rnn", "--", "echo", "{capsule}").ok()
    assert result.out == f"{project.paths().capsule(best.name)}\n"
    assert f"best by best_validation_accuracy ({value})" in result.err


@pytest.mark.slow
def test_best_may_be_by_what_a_command_measured(project: Project) -> None:
    """A metric that `exec` brought can be the sweep's metric."""
    project.write({"config/rnn.toml": SWEEP + '[results]\nmetric = "test.accuracy"\n'})
    project.generate("--no-slurm-job").ok()
    for trial, value in zip(trained(1, 2, project=project), (0.9, 0.1), strict=True):
        executed(trial, *write_metrics({"accuracy": value}), label="test").ok()
    out = project.resweep("exec", "--best", "rnn", "--", "echo", "{capsule}").ok().out
    assert out == f"{project.paths().capsule(project.entries()[0].name)}\n"


def test_best_needs_a_metric_and_a_finished_trial_that_has_it(project: Project) -> None:
    """Without a metric, a finished trial, or a number, --best is one line that says which of these is missing."""
    project.generate("--no-slurm-job").ok()
    command = ("exec", "--best", "rnn", "--", "true")
    result = project.resweep(*command)
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "names no metric" in result.err
    project.write({"config/rnn.toml": SWEEP + METRIC})
    project.generate("--no-slurm-job").ok()
    result = project.resweep(*command)
    assert (result.status, result.err) == (2, "resweep: --best rnn: no trial has finished\n")
    (trial,) = trained(1, project=project)
    (trial.output / "metrics.json").write_text('{"best_validation_accuracy": "high"}')
    result = project.resweep(*command)
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "has a finite number for best_validation_accuracy" in result.err


@pytest.mark.slow
def test_finished_runs_for_every_finished_trial_and_names_what_failed(swept: Project) -> None:
    """A failure stops no other trial; the exit status is 1, and the end names who failed."""
    one, two, three = trained(1, 2, 3, project=swept)
    fail = ("sh", "-c", 'echo "$0"; case "$0" in *' + two.name.id + "*) exit 5;; esac", "{capsule}")
    result = swept.resweep("exec", "--finished", "rnn", "--as", "x", "--", *fail)
    assert result.status == 1
    assert result.out.splitlines() == [str(each.capsule) for each in (one, two, three)]
    head, name = result.err.splitlines()[-2:]
    assert head == "rnn: failed for 1 of 3 trials:"
    assert name.startswith(f"  #2 {two.name} params.")
    assert [record(each, "x")["state"] for each in (one, two, three)] == ["finished", "failed", "finished"]
    ok = swept.resweep("exec", "--finished", "rnn", "--", "true").ok()
    assert ok.err.splitlines()[-1] == "rnn: finished for 3 trials"


def test_several_trials_may_be_named(swept: Project) -> None:
    """The command runs for each of the trials, in the order named."""
    one, two = trained(1, 2, project=swept)
    result = swept.resweep("exec", "rnn#2", str(one.name), "--", "echo", "{output}").ok()
    assert result.out.splitlines() == [str(two.output), str(one.output)]


@pytest.mark.parametrize("state", ["queued", "failed", "stopped", "running"])
def test_a_trial_that_has_not_finished_is_refused(trial: Trial, state: str) -> None:
    """A trial in any other state gives one line with that state; nothing runs."""
    if state != "queued":
        trial.train("exit 1" if state == "failed" else "sleep 600")
        process = trial.start()
        if state != "failed":
            trial.until_it_trains()
        if state == "stopped":
            process.terminate()
        if state != "running":
            process.wait(timeout=300)
    result = executed(trial, "touch", str(trial.project.root / "ran"))
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert state in result.err
    assert not (trial.project.root / "ran").exists()
    result = trial.project.resweep("exec", "--finished", "rnn", "--", "true")
    assert (result.status, result.err) == (2, "resweep: --finished rnn: no trial has finished\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rnn#1"], "found no command"),
        (["rnn#1", "--"], "found no command"),
        (["rnn#1", "--", ""], "found no command"),
        (["--", "true"], "expected trials, or --best NAME, or --finished NAME"),
        (["rnn#1", "--best", "rnn", "--", "true"], "only one of these"),
        (["--finished", "rnn", "--best", "rnn", "--", "true"], "only one of these"),
        (["rnn#1", "--as", "a b", "--", "true"], "--as: found 'a b'"),
        (["rnn#1", "--as", "", "--", "true"], "--as: found ''"),
        (["rnn#1", "--as", "../x", "--", "true"], "--as: found '../x'"),
        (["rnn#1", "--as", "ü", "--", "true"], "--as: found 'ü'"),
        (["rnn#1", "--as", "x" * 101, "--", "true"], "at most 100"),
        (["nope", "--", "true"], "found no such sweep"),
        (["--best", "nope", "--", "true"], "found no such sweep"),
        (["--best", "", "--", "true"], "found no such sweep"),
        (["--finished", "", "--", "true"], "found no such sweep"),
        (["rnn#1", "--", "no-such-program"], "no-such-program: found no such command"),
        (["rnn#1", "--", "./evaluate.sh"], "expected a whole path, or {capsule}/..."),
        (["rnn#1", "--", "{capsule}/manifest.json"], "that may be executed"),
    ],
)
def test_bad_arguments_are_one_line(done: Trial, arguments: list[str], says: str) -> None:
    """What is missing, too much or misspelt gives one line and status 2, and leaves nothing."""
    before = done.project.tree()
    result = done.project.resweep("exec", *arguments)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1), result
    assert says in result.err
    assert done.project.tree() == before
    assert not [name for name in os.listdir(done.place.attempts) if name.startswith("exec")]


def test_a_damaged_capsule_is_named(done: Trial) -> None:
    """A trial whose manifest is gone gives one line."""
    os.chmod(done.capsule, stat.S_IRWXU)
    (done.capsule / "manifest.json").unlink()
    result = executed(done, "true")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "manifest.json" in result.err


def test_output_that_a_crash_left_with_its_attempt_is_found(done: Trial) -> None:
    """A trial whose output was not moved yet is put right before the command runs."""
    (done.directory() / "output").unlink()
    done.output.rename(done.directory() / "output")
    executed(done, "test", "-f", "{output}/metrics.json").ok()


def test_the_sweep_s_interpreter_is_python(done: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python` in a command is the interpreter that RESWEEP_PYTHON names, as in train.sh."""
    other = tmp_path / "other" / "python3"
    other.parent.mkdir()
    other.write_text(f'#!/bin/sh\necho other; exec {sys.executable} "$@"\n')
    other.chmod(0o755)
    monkeypatch.setenv("RESWEEP_PYTHON", str(other))
    assert executed(done, "python", "-c", "print('ran')").ok().out == "other\nran\n"
