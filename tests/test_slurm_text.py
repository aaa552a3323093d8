"""What Slurm prints, read; and what a task runs, written. The real Slurm is in tests/slurm/.

Code: slurm/commands, slurm/limits, slurm/queue, slurm/script
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_jobs_text import matches

from resweep.errors import SlurmError
from resweep.slurm import commands, limits, queue, script
from resweep.slurm.limits import Limits
from resweep.slurm.queue import Task


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("7", [7]),
        ("3-5", [3, 4, 5]),
        ("1,4-6%2", [1, 4, 5, 6]),
        ("0-8:4", [0, 4, 8]),
        ("N/A", []),
        ("", []),
    ],
)
def test_the_expression_of_an_array_is_a_set_of_numbers(text: str, found: list[int]) -> None:
    """As squeue and sacct print what waits together."""
    assert list(queue.numbers(text)) == found


@given(st.sets(st.integers(0, 300), min_size=1))
def test_any_set_of_numbers_is_read_back(numbers: set[int]) -> None:
    """However Slurm folds a set into ranges."""
    parts: list[str] = []
    for number in sorted(numbers):
        if number - 1 in numbers and parts:
            parts[-1] = f"{parts[-1].partition('-')[0]}-{number}"
        else:
            parts.append(str(number))
    assert set(queue.numbers(",".join(parts) + "%4")) == numbers


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (Task("PENDING", "Priority"), "others come first (Priority)"),
        (Task("PENDING", "None"), "has just been submitted"),
        (Task("PENDING", "SomethingNew"), "SomethingNew"),
        (Task("RUNNING", "None", "gpu7"), "running on gpu7"),
        (Task("TIMEOUT"), "its time limit was reached (TIMEOUT)"),
        (Task("LAUNCH_FAILED"), "its job has ended (LAUNCH_FAILED)"),
    ],
)
def test_a_state_is_said_in_words(task: Task, words: str) -> None:
    """With Slurm's own word behind it, for those who look it up."""
    assert task.words() == words
    assert not task.never


@pytest.mark.parametrize("reason", ["DependencyNeverSatisfied", "PartitionTimeLimit", "QOSMaxWallDurationPerJobLimit"])
def test_what_waits_for_ever_is_said_to(reason: str) -> None:
    """Slurm calls it pending, like what will start in a minute."""
    task = Task("PENDING", reason)
    assert task.never
    assert task.words().startswith("never starts: ")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("90", 90),
        ("90:30", 90.5),
        ("2:30:00", 150),
        ("1-12", 2160),
        ("1-12:30", 2190),
        ("7-00:00:00", 10080),
        ("UNLIMITED", None),
        ("infinite", None),
        ("", None),
        ("soon", None),
    ],
)
def test_a_time_is_read_as_sbatch_reads_it(text: str, found: float | None) -> None:
    """Minutes, from all the ways in which a time can be written."""
    assert limits.minutes(text) == found


def test_the_longest_array_is_a_thousand_where_nobody_says() -> None:
    """Slurm's own default is 1001, one more than the highest number."""
    assert Limits().array == 1000


def test_ids_fit_into_arguments() -> None:
    """However many jobs there are, in as few pieces as can be, none lost."""
    ids = [str(number) for number in range(10**6, 10**6 + 50_000)]
    found = commands.pieces(ids)
    assert ",".join(found).split(",") == ids
    assert all(len(piece) < 131_000 for piece in found)
    assert len(found) == 4
    assert commands.pieces([]) == []


def test_what_another_job_has_set_does_not_reach_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A nested sbatch would inherit an array's numbers, and SQUEUE_FORMAT would change what we read."""
    for name in ("SLURM_ARRAY_TASK_ID", "SLURM_JOB_ID", "SQUEUE_STATES", "SACCT_FORMAT"):
        monkeypatch.setenv(name, "5")
    for name in ("SLURM_CONF", "SLURM_CLUSTERS", "SBATCH_ACCOUNT"):
        monkeypatch.setenv(name, "mine")
    env = commands.environment()
    assert not [name for name, value in env.items() if value == "5"]
    assert [env[name] for name in ("SLURM_CONF", "SLURM_CLUSTERS", "SBATCH_ACCOUNT")] == ["mine"] * 3


def test_a_missing_slurm_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command's name, and what to do without it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SlurmError, match=r"^squeue: not on PATH, expected Slurm's commands; --here"):
        commands.call("squeue")


SITE = """\
#!/bin/bash -l
#SBATCH --partition=gpu --comment="two words"   # a comment
#SBATCH -c 4 -t2:00:00
#SBATCH -a 1-5

# a word
#SBATCH -J name
module load cuda
#SBATCH --qos=too-late
"""


def site(tmp_path: Path, text: str = SITE) -> script.SiteScript:
    """A site's script, read."""
    (tmp_path / "slurm-allennlp.sh").write_text(text)
    return script.read(tmp_path, "slurm-allennlp.sh", "here")


def test_the_sites_own_lines_are_read_as_sbatch_reads_them(tmp_path: Path) -> None:
    """Up to the first command, short and long options, comments left out; the arrays are ours."""
    found = site(tmp_path)
    assert found.declared == {
        "partition": "gpu",
        "comment": "two words",
        "cpus-per-task": "4",
        "time": "2:00:00",
        "job-name": "name",
    }
    assert not found.calls_the_launcher


def test_a_script_that_is_missing_is_one_line(tmp_path: Path) -> None:
    """Who asks for it, where it was looked for, what it is for."""
    with pytest.raises(SlurmError, match=r"^config/x.toml: .*no.sh cannot be read .*CONF_DIR CONF_PATH; .* --here$"):
        script.read(tmp_path, "no.sh", "config/x.toml")


def run_task(text: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a task's script whose launcher prints what it was given."""
    (folder / "task.sh").write_text(text)
    (folder / "attempt.py").write_text(
        "import os, sys\nprint(sys.argv[1:], os.environ.get('LOADED'), sys.executable)\n"
    )
    return subprocess.run(
        ["bash", str(folder / "task.sh"), str(folder), "1"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_script_of_a_task_is_the_recorded_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The site's lines, the lines of setup, an interpreter: to the byte."""
    monkeypatch.setenv("RESWEEP_DATA", "/data/of mine")
    setup = ["module load cuda", "conda activate qb", 'export X="it\'s $HOME"']
    text = script.task_script("golden", site(tmp_path), setup, "/envs/qb/bin/python", "/tools/python")
    matches("golden-task.sh", text, "test_slurm_text.py")
    assert subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=True).stderr == ""


def test_the_script_of_a_task_that_is_a_runner_is_the_recorded_one(tmp_path: Path) -> None:
    """As any task's, but that the tool runs the trials, from the project's root."""
    root = Path("/home/of mine/project")
    text = script.task_script("golden", site(tmp_path), ["module load cuda"], None, "/tools/my python", root)
    matches("golden-runner.sh", text, "test_slurm_text.py")
    assert subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=True).stderr == ""


def test_a_runner_is_started_by_the_tools_own_interpreter_and_trains_with_the_sites(tmp_path: Path) -> None:
    """What a module puts on PYTHONPATH hides neither the tool nor what it needs; a path may have blanks."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "optuna.py").write_text("raise ImportError('of another Python')\n")
    tool = tmp_path / "my python"
    tool.write_text(
        f'#!/bin/sh\n[ "$3" = resweep ] && echo "$@" "$RESWEEP_PYTHON" "$PWD" && exit\nexec {sys.executable} "$@"\n'
    )
    tool.chmod(0o755)
    setup = [f"export PYTHONPATH={tmp_path}/site"]
    done = run_task(script.task_script("rnn", site(tmp_path), setup, sys.executable, str(tool), tmp_path), tmp_path)
    assert done.stdout == f"-PE -m resweep run rnn --jobs 1 --task {tmp_path}/1 {sys.executable} {tmp_path}\n", done


def test_a_node_without_the_tool_says_so_in_one_line(tmp_path: Path) -> None:
    """Which interpreter, where, why, and what to do."""
    text = script.task_script("rnn", site(tmp_path), [], None, "/no/python", tmp_path)
    done = run_task(text, tmp_path, RESWEEP_PYTHON="")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("rnn: /no/python cannot run resweep on ")
    assert "/no/python: No such file or directory" in done.stderr
    assert "pip install 'resweep[search]'" in done.stderr


def test_lines_of_setup_run_in_the_tasks_own_shell(tmp_path: Path) -> None:
    """One after another, as written: what they export, the trial has."""
    text = script.task_script("rnn", site(tmp_path), ["A='$x \"y\"'", 'export LOADED="$A!"'], None, sys.executable)
    done = run_task(text, tmp_path)
    assert done.returncode == 0, done
    assert done.stdout.startswith(f"['task', {str(tmp_path)!r}, '1'] $x \"y\"!")


def test_a_line_of_setup_that_fails_is_named(tmp_path: Path) -> None:
    """And the trial is not started with half a setup."""
    done = run_task(
        script.task_script("rnn", site(tmp_path), ["true", "module() { return 7; }", "module load no"], None, "x"),
        tmp_path,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "rnn: [slurm] setup: 'module load no' failed with status 7\n"


def test_conda_and_modules_work_in_a_shell_that_is_no_login_shell(tmp_path: Path) -> None:
    """`conda activate` gets conda's hook, though the shell of a job has only the program."""
    conda = tmp_path / "conda"
    conda.write_text("#!/bin/sh\n[ \"$*\" = 'shell.bash hook' ] && echo 'conda() { export LOADED=\"$*\"; }'\n")
    conda.chmod(0o755)
    text = script.task_script("rnn", site(tmp_path), ["conda activate qb"], None, sys.executable)
    assert " activate qb " in run_task(text, tmp_path, CONDA_EXE=str(conda)).stdout


def test_a_task_takes_the_interpreter_that_is_named_first(tmp_path: Path) -> None:
    """Then python, python3 on PATH, then the one that submitted; none that is too old."""
    old = tmp_path / "old"
    old.mkdir()
    for name in ("python", "python3"):
        (old / name).write_text("#!/bin/sh\nexit 1\n")
        (old / name).chmod(0o755)
    own = script.task_script("rnn", site(tmp_path), [], None, sys.executable)
    path = f"{old}:/usr/bin:/bin"
    assert run_task(own, tmp_path, PATH=path, RESWEEP_PYTHON="").stdout.endswith(f"None {sys.executable}\n")
    none = script.task_script("rnn", site(tmp_path), [], None, "/no/python")
    done = run_task(none, tmp_path, PATH=path, RESWEEP_PYTHON="")
    assert done.returncode == 2
    assert "found no Python 3.8 or newer on " in done.stderr
