"""NAME-jobs.sh: runs every trial, with the tool or without it, here or through sbatch.

Code: generation/job_script
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from launched import Trial, bare_path, runs, until
from running import until_it_says
from small_project import SWEEP, Project, Result

from resweep.generation import job_script
from resweep.index import Entry
from resweep.sweep.slurm_table import Resources

# what the script and the launcher need beside bash and Python; no resweep, no sbatch
TOOLS = ("bash", "sh", "env", "dirname", "grep", "sed", "wc", "sort", "tail", "ls", "cat", "touch", "sleep", "mkdir")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A PATH without resweep and sbatch; its `python3` has no packages at all."""
    return bare_path(tmp_path / "bare bin", TOOLS)


@pytest.fixture
def with_tool(bare: Path) -> Path:
    """The same PATH with resweep on it."""
    (bare / "resweep").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m resweep "$@"\n')
    (bare / "resweep").chmod(0o755)
    return bare


@pytest.fixture
def sbatch(bare: Path, tmp_path: Path) -> Path:
    """An sbatch on PATH that records its arguments, and refuses where a file `refuse` lies beside the record.

    An squeue beside it prints what stands in a file `queued`.
    """
    record = tmp_path / "sbatch"
    record.mkdir()
    (bare / "sbatch").write_text(
        f"#!/bin/sh\ncat > '{record}/stdin'\n[ ! -e '{record}/refuse' ] || exit 1\n"
        f"printf '%s\\0' \"$@\" >> '{record}/calls'; printf '\\n' >> '{record}/calls'\n"
        f"echo \"$RESWEEP_PYTHON\" > '{record}/python'\n"
    )
    (bare / "sbatch").chmod(0o755)
    (record / "queued").touch()
    (bare / "squeue").write_text(f"#!/bin/sh\ncat '{record}/queued'\n")
    (bare / "squeue").chmod(0o755)
    return record


def call(project: Project, path: Path, *arguments: str, cwd: Path | None = None, **environment: str) -> Result:
    """Call the jobs script with this PATH."""
    done = subprocess.run(
        [str(path / "bash"), str(project.paths().jobs), *arguments],
        cwd=cwd or project.root,
        env={**os.environ, "PATH": str(path), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def calls(sbatch: Path) -> list[list[str]]:
    """The arguments of each call of sbatch."""
    return [line.split("\0")[:-1] for line in (sbatch / "calls").read_text().split("\n")[:-1]]


@pytest.mark.slow
def test_without_the_tool_trials_run_one_after_another(trials: list[Trial], bare: Path, tmp_path: Path) -> None:
    """With bash and a Python without packages the trials run in order, from any directory, and once."""
    project = trials[0].project
    (tmp_path / "elsewhere").mkdir()
    result = call(project, bare, cwd=tmp_path / "elsewhere").ok()
    assert runs(project) == [trial.name.id for trial in trials]
    assert result.out.splitlines()[0].startswith("rnn: runs 4 trials here, one after another with ")
    assert result.out.splitlines()[-1] == "rnn: all trials have finished"
    assert call(project, bare).ok().out.count("finished already") == 4
    assert os.listdir(tmp_path / "elsewhere") == []


@pytest.mark.slow
def test_called_by_a_relative_path_with_a_cdpath(trials: list[Trial], bare: Path, tmp_path: Path) -> None:
    """A CDPATH that leads elsewhere does not."""
    root = trials[0].project.root
    (tmp_path / "decoy" / root.name).mkdir(parents=True)
    done = subprocess.run(
        [str(bare / "bash"), f"{root.name}/rnn-jobs.sh"],
        cwd=root.parent,
        env={**os.environ, "PATH": str(bare), "CDPATH": str(tmp_path / "decoy")},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert len(runs(trials[0].project)) == 4


def test_with_the_tool_it_is_one_command(trials: list[Trial], with_tool: Path, tmp_path: Path) -> None:
    """With resweep on PATH the list is fed to `resweep run`, from any directory."""
    result = call(trials[0].project, with_tool, cwd=tmp_path).ok()
    assert result.out.startswith("rnn: 4 of 4 trials to run")
    assert sorted(runs(trials[0].project)) == sorted(trial.name.id for trial in trials)


def test_options_reach_the_tool(trials: list[Trial], with_tool: Path) -> None:
    """`bash NAME-jobs.sh -j 1` is `resweep run` with these options: one after another, in the order of the list."""
    assert "one at a time" in call(trials[0].project, with_tool, "-j", "1").ok().out
    assert runs(trials[0].project) == [trial.name.id for trial in trials]


@pytest.mark.parametrize("tool", [True, False])
@pytest.mark.parametrize("comment", ["#", "  # "])
def test_commented_line_is_left_out(trials: list[Trial], with_tool: Path, tool: bool, comment: str) -> None:
    """A # before a trial's line leaves it out."""
    project = trials[0].project
    script = project.paths().jobs
    script.write_text(script.read_text().replace(f"\n{trials[1].name}", f"\n{comment}{trials[1].name}"))
    if not tool:
        (with_tool / "resweep").unlink()
    call(project, with_tool, *(["--jobs", "1"] if tool else [])).ok()
    assert runs(project) == [trial.name.id for trial in (trials[0], *trials[2:])]


@pytest.mark.parametrize("tool", [True, False])
def test_all_lines_commented_run_nothing(trials: list[Trial], with_tool: Path, tool: bool) -> None:
    """A list with nothing left in it runs nothing, and is no failure."""
    project = trials[0].project
    script = project.paths().jobs
    text = script.read_text()
    for trial in trials:
        text = text.replace(f"\n{trial.name}", f"\n#{trial.name}")
    script.write_text(text)
    if not tool:
        (with_tool / "resweep").unlink()
    call(project, with_tool).ok()
    assert runs(project) == []


@pytest.mark.slow
@pytest.mark.parametrize("tool", [True, False])
def test_failure_is_named_in_the_last_lines(trials: list[Trial], with_tool: Path, tool: bool) -> None:
    """A trial that fails twice stops no other; status 1, and the last line names its latest log."""
    project = trials[0].project
    trials[2].train("exit 3")
    trials[2].launch()
    if not tool:
        (with_tool / "resweep").unlink()
    result = call(project, with_tool)
    assert result.status == 1
    assert len(runs(project)) == 3
    last = result.err.splitlines()[-1]
    assert str(trials[2].name) in last
    assert last.endswith(str((trials[2].directory(2) / "log.txt").relative_to(project.root)))


@pytest.mark.parametrize("tool", [True, False])
@pytest.mark.parametrize("group", [True, False])
def test_interruption_stops_the_trial_and_starts_no_other(
    trials: list[Trial], with_tool: Path, tool: bool, group: bool
) -> None:
    """Ctrl-C (with the tool: twice), and TERM to the script alone, stop the running trial, and start no other."""
    project = trials[0].project
    trials[0].train('touch "$root/started"; sleep 600')
    if not tool:
        (with_tool / "resweep").unlink()
    process = subprocess.Popen(
        [str(with_tool / "bash"), str(project.paths().jobs), *(["-j1"] if tool else [])],
        env={**os.environ, "PATH": str(with_tool)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )
    until((project.root / "started").exists)
    if group:
        os.killpg(process.pid, signal.SIGINT)
        if tool:
            until_it_says(process.stdout, "once more stops them")
            os.killpg(process.pid, signal.SIGINT)
    else:
        process.terminate()
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert trials[0].state == "stopped"
    assert runs(project) == []


def test_arguments_need_the_tool(trials: list[Trial], bare: Path) -> None:
    """Arguments that only resweep understands are not dropped silently where it is missing."""
    result = call(trials[0].project, bare, "--jobs", "4")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "--jobs 4" in result.err
    assert runs(trials[0].project) == []


def test_missing_interpreter_is_one_line(trials: list[Trial], bare: Path) -> None:
    """Without a Python, or with a wrong RESWEEP_PYTHON, one line says what is missing."""
    result = call(trials[0].project, bare, RESWEEP_PYTHON="/no/python")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "/no/python" in result.err
    (bare / "python3").unlink()
    result = call(trials[0].project, bare)
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "found no python" in result.err


@pytest.fixture
def anywhere(project: Project) -> Project:
    """A sweep whose script decides where it runs, with [slurm] options that need quoting."""
    options = '[slurm]\npartition = "gpu it\'s"\ncpus_per_task = 2\nexclusive = true\nrequeue = false\n'
    project.write({"config/rnn.toml": SWEEP + options, "slurm-allennlp.sh": "#!/usr/bin/env bash\n"})
    project.generate().ok()
    return project


@pytest.mark.slow
def test_script_decides_for_here_without_sbatch(anywhere: Project, bare: Path) -> None:
    """Where there is no sbatch the trials run here, and the script says so."""
    assert "runs 4 trials here" in call(anywhere, bare).ok().out


def test_script_decides_for_slurm_with_sbatch(anywhere: Project, bare: Path, sbatch: Path) -> None:
    """With sbatch on PATH each trial is one job: options of [slurm], slurm-allennlp.sh CONF_DIR CONF_PATH."""
    result = call(anywhere, bare, "--one-job-per-trial", cwd=bare).ok()
    assert "submits trials to Slurm, one job each" in result.out
    assert "4 submitted" in result.out
    for entry, arguments in zip(anywhere.entries(), calls(sbatch), strict=True):
        capsule = anywhere.paths().capsule(entry.name)
        assert arguments == [
            f"--job-name=rnn-{entry.id}-0",
            "--partition=gpu it's",
            "--cpus-per-task=2",
            "--exclusive",
            "slurm-allennlp.sh",
            str(capsule),
            f"{capsule}/{entry.id}.toml",
        ]
    assert not (anywhere.root / "model").exists()


@pytest.mark.slow
def test_here_and_slurm_can_be_said(anywhere: Project, bare: Path, sbatch: Path) -> None:
    """--here runs here in spite of sbatch; --slurm passes what follows to sbatch, and needs it."""
    call(anywhere, bare, "--slurm", "--one-job-per-trial", "--hold", "--nice=a b").ok()
    assert {tuple(arguments[-5:-3]) for arguments in calls(sbatch)} == {("--hold", "--nice=a b")}
    call(anywhere, bare, "--here").ok()
    assert len(list((anywhere.root / "model").rglob("metrics.json"))) == 4
    (bare / "sbatch").unlink()
    result = call(anywhere, bare, "--slurm")
    assert (result.status, result.err.count("\n")) == (2, 1)


@pytest.mark.slow
def test_generate_fixes_where_it_runs(project: Project, bare: Path, sbatch: Path) -> None:
    """--no-slurm-job gives a script that runs here, --slurm-job one that submits, whatever is on PATH."""
    project.write({"slurm-allennlp.sh": ""})
    project.generate("--slurm-job").ok()
    call(project, bare, "--one-job-per-trial").ok()
    assert len(calls(sbatch)) == 4
    assert call(project, bare, "--help").out.splitlines()[2].endswith("rnn-jobs.sh                 through Slurm")
    project.generate("--no-slurm-job").ok()
    assert call(project, bare, "--help").out.splitlines()[2].endswith("rnn-jobs.sh                 here")
    call(project, bare).ok()
    assert len(calls(sbatch)) == 4
    assert len(list((project.root / "model").rglob("metrics.json"))) == 4


def test_refused_submission_is_named(anywhere: Project, bare: Path, sbatch: Path) -> None:
    """A trial that sbatch refuses is named, the others are submitted all the same, and the status is 1."""
    (sbatch / "refuse").touch()
    result = call(anywhere, bare, "--one-job-per-trial")
    assert result.status == 1
    assert result.err.count("was not submitted") == 4
    assert "4 trials were not submitted" in result.err.splitlines()[-1]


def test_without_the_tool_a_job_for_each_trial_is_asked_for(project: Project, bare: Path, sbatch: Path) -> None:
    """Without resweep on PATH the script submits nothing by itself: one line says so, and both ways out."""
    project.write({"slurm-allennlp.sh": "", "config/rnn.toml": SWEEP + "[slurm]\nparallel = 2\n"})
    project.generate("--slurm-job").ok()
    refused = call(project, bare)
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert all(word in refused.err for word in ("not on PATH", "2 at a time", "--one-job-per-trial", "--here"))
    assert not (sbatch / "calls").exists()
    assert "parallel = 2 has no effect" in call(project, bare, "--one-job-per-trial").ok().err
    assert len(calls(sbatch)) == 4


def test_without_the_tool_what_waits_or_has_finished_is_not_submitted_again(
    anywhere: Project, bare: Path, sbatch: Path
) -> None:
    """Started twice, the script leaves out the trials that squeue names, and those that have finished."""
    first, second = anywhere.entries()[:2]
    capsule = anywhere.paths().capsule(first.name)
    (sbatch / "queued").write_text(f"{anywhere.root}/slurm-allennlp.sh {capsule} {capsule}/{first.id}.toml\n")
    place = Path(anywhere.paths().place(second.name).attempts)
    place.mkdir(parents=True)
    (place / "finished").write_text("{}")
    result = call(anywhere, bare, "--one-job-per-trial").ok()
    assert "2 submitted; 1 have finished, 1 run or wait in Slurm" in result.out
    assert {arguments[0] for arguments in calls(sbatch)} == {
        f"--job-name=rnn-{each.id}-0" for each in anywhere.entries()[2:]
    }
    (bare / "squeue").write_text("#!/bin/sh\nexit 1\n")
    assert "squeue does not tell" in call(anywhere, bare, "--one-job-per-trial").err
    assert len(calls(sbatch)) == 2


def test_slurm_script_that_is_missing_is_one_line(anywhere: Project, bare: Path, sbatch: Path) -> None:
    """Without slurm-allennlp.sh nothing is submitted, and one line says what is missing."""
    (anywhere.root / "slurm-allennlp.sh").unlink()
    result = call(anywhere, bare, "--one-job-per-trial")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "slurm-allennlp.sh" in result.err
    assert not (sbatch / "calls").exists()


def test_interpreter_of_the_sweep_reaches_slurm_and_here(project: Project, bare: Path, sbatch: Path) -> None:
    """[run] python, with its ~, is what trains, through sbatch as here; RESWEEP_PYTHON goes before it."""
    home = bare.parent / "my home"
    home.mkdir()
    (home / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (home / "python").chmod(0o755)
    script = job_script.script("rnn", [], Resources({}), [], "auto", "~/python")
    project.write({"slurm-allennlp.sh": "", "rnn-jobs.sh": script.replace("<<'TRIALS'\n", "<<'TRIALS'\nabc/0 #1\n")})
    call(project, bare, "--one-job-per-trial", HOME=str(home)).ok()
    assert (sbatch / "python").read_text() == f"{home}/python\n"
    call(project, bare, "--one-job-per-trial", HOME=str(home), RESWEEP_PYTHON="/mine").ok()
    assert (sbatch / "python").read_text() == "/mine\n"
    assert f"with {home}/python" in call(project, bare, "--here", HOME=str(home)).out


NASTY = "$(touch x) `touch x`\nTRIALS\ntouch x; 'a' \"b\" \\ @NAME@ # é \u2028 \x1b[0m"


def entry(swept: dict[str, object]) -> Entry:
    """A trial with these values."""
    return Entry(1, "abcdefghijkl", 0, "", "", "", swept, 1)


@pytest.mark.parametrize("swept", [{"params.text": NASTY}, {NASTY: 1}], ids=["value", "key"])
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_nasty_values_stay_what_they_are(
    project: Project, bare: Path, sbatch: Path, swept: dict[str, object], locale: str
) -> None:
    """Bash never looks at a swept value or key: one line each, nothing run, nothing replaced."""
    script = job_script.script(
        "rnn", [entry(swept)], Resources({"comment": NASTY.replace("\n", " ")}), [], "slurm", None
    )
    project.write({"slurm-allennlp.sh": "", "rnn-jobs.sh": script})
    call(project, bare, "--one-job-per-trial", LC_ALL=locale).ok()
    assert not list(project.root.rglob("x"))
    (arguments,) = calls(sbatch)
    assert arguments[1] == "--comment=" + NASTY.replace("\n", " ")
    line = next(line for line in script.split("\n") if line.startswith("abcdefghijkl/0"))
    assert "@NAME@" in line
    assert line.isprintable() or "\u2028" in line


def test_list_is_readable(swept: Project) -> None:
    """Every trial is a line of the script, with its number and all its swept values."""
    text = swept.paths().jobs.read_text()
    for each in swept.entries():
        (line,) = [line for line in text.splitlines() if line.startswith(str(each.name))]
        assert line.split() == [str(each.name), f"#{each.number}", *each.described().split()]
    assert os.access(swept.paths().jobs, os.X_OK)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_has_nothing_to_say(anywhere: Project) -> None:
    """The script is clean bash."""
    done = subprocess.run(
        ["shellcheck", "-s", "bash", anywhere.paths().jobs], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
