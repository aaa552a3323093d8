"""`resweep run`: many trials at a time, by many runners: each once, no more at a time than said, retried as said.

Code: run/runner, run/worker, run/registry
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from launched import until
from running import FAST, WAIT, Runners, attempts, lines, log, record, repeated, states, until_it_says
from small_project import Project

FAIL_SOME = FAST + "[ $((n % 5)) != 0 ]\n"
# how many train at the same moment: what a trial counts beside itself before it waits
COUNTED = f"""\
mkdir -p "$root/now"; touch "$root/now/$trial"
ls "$root/now" | wc -l >> "$root/counts"
{WAIT.rstrip()}
rm "$root/now/$trial"
"""


@pytest.fixture
def runners(project: Project) -> Iterator[Runners]:
    """Starts runners, none of which outlives the test."""
    runners = Runners(project)
    yield runners
    runners.end()


@pytest.mark.slow
def test_eight_runners_over_a_thousand_trials(runners: Runners) -> None:
    """Eight runner processes that race over 1,000 trials run each exactly once, and all say that they are done."""
    project = runners.project
    repeated(project, 1000)
    processes = [runners.start("run", "rnn", "--jobs", "2") for _ in range(8)]
    said = [process.communicate(timeout=500)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, [text[-600:] for text in said]
    assert all(text.splitlines()[-1] == "rnn: all trials have finished" for text in said), said
    assert Counter(Counter(lines(project)).values()) == {1: 1000}
    assert set(attempts(project)) == {1}


@pytest.mark.slow
def test_failing_trials_are_tried_once_by_all_runners_together(runners: Runners) -> None:
    """Runners that all began before the first failure try every failing trial exactly once between them."""
    project = runners.project
    repeated(project, 80, 'while [ ! -e "$root/go" ]; do sleep 0.01; done\n' + FAIL_SOME)
    processes = [runners.start("run", "rnn", "--jobs", "1") for _ in range(4)]
    until(lambda: len(list(project.paths().runners.glob("*.json"))) == 4)
    until(lambda: states(project).count("running") == 4)
    (project.root / "go").touch()
    said = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [1] * 4, said
    assert Counter(Counter(lines(project)).values()) == {1: 80}
    assert set(attempts(project)) == {1}


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 3])
def test_jobs_is_how_many_train_at_a_time(runners: Runners, jobs: int) -> None:
    """--jobs N trains N at a time, and never more."""
    project = runners.project
    repeated(project, 6, COUNTED)
    process = runners.start("run", "rnn", "--jobs", str(jobs))
    for ended in range(6):
        until(lambda ended=ended: len(lines(project, "counts")) == min(6, ended + jobs))  # type: ignore[misc]
        time.sleep(0.1)
        assert len(lines(project, "counts")) == min(6, ended + jobs)
        (project.root / f"go-{ended}").touch()
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    assert ("one at a time" if jobs == 1 else f"{jobs} at a time") in said
    assert max(int(line) for line in lines(project, "counts")) == jobs


@pytest.mark.slow
def test_default_jobs_are_cores_divided_by_threads(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without cards as many trials run as the cores of this process allow, each with its threads; at least one."""
    cores = sorted(os.sched_getaffinity(0))
    repeated(project, 1)
    shown = f"{len(cores)} at a time" if len(cores) > 1 else "one at a time"
    assert shown in project.resweep("run", "rnn").ok().out
    repeated(project, 1, settings=f"threads = {2 * len(cores)}")
    assert "one at a time" in project.resweep("run", "rnn").ok().out
    repeated(project, 1, settings="seed = 3")
    os.sched_setaffinity(0, cores[:1])
    try:
        assert "one at a time" in project.resweep("run", "rnn").ok().out
    finally:
        os.sched_setaffinity(0, cores)


@pytest.mark.slow
def test_max_trials_is_what_this_runner_starts(project: Project) -> None:
    """--max-trials N starts N, says how many are left, and the next run goes on from there."""
    repeated(project, 5)
    result = project.resweep("run", "rnn", "--max-trials", "2").ok()
    assert result.out.splitlines()[-1] == "rnn: 2 trials started, as --max-trials says; 3 left"
    assert states(project) == ["finished"] * 2 + ["queued"] * 3
    project.resweep("run", "rnn", "--max-trials", "9").ok()
    assert states(project) == ["finished"] * 5


@pytest.mark.slow
def test_max_attempts_counts_failures_in_all(project: Project) -> None:
    """--max-attempts N runs a failing trial until it has failed N times in all; without it once in each run."""
    repeated(project, 2, FAST + "[ $n = 0 ]")
    assert project.resweep("run", "rnn").status == 1
    assert attempts(project) == [1, 1]
    assert project.resweep("run", "rnn").status == 1
    assert attempts(project) == [1, 2]
    result = project.resweep("run", "rnn", "--max-attempts", "4")
    assert result.status == 1
    assert attempts(project) == [1, 4]
    assert result.err.count("another attempt follows") == 1
    assert project.resweep("run", "rnn", "--max-attempts", "4").status == 1
    assert attempts(project) == [1, 4]


def test_max_attempts_ends_with_the_first_success(project: Project) -> None:
    """A trial that succeeds when it is tried again counts as finished: status 0, and no further attempt."""
    repeated(project, 1, '[ "$RESWEEP_ATTEMPT" = 2 ]')
    project.resweep("run", "rnn", "--max-attempts", "5").ok()
    assert attempts(project) == [2]
    assert states(project) == ["finished"]


@pytest.mark.parametrize("fails", ["training", "start"])
def test_failing_canary_starts_nothing_else(project: Project, fails: str) -> None:
    """--canary: when the first trial fails, or cannot even start, no other is started; status 1, and a line says so."""
    repeated(project, 4, FAST + "exit 3")
    if fails == "start":
        Path(project.paths().place(project.entries()[0].name).output).mkdir(parents=True)
    result = project.resweep("run", "rnn", "--canary", "--jobs", "4")
    assert result.status == 1
    assert len(lines(project)) == (fails == "training")
    assert states(project)[1:] == ["queued"] * 3
    assert result.err.splitlines()[-1] == "rnn: 3 trials were not started, since the canary did not finish"


@pytest.mark.slow
def test_canary_sings_alone_and_then_the_others_run(runners: Runners) -> None:
    """--canary: the first trial runs alone; when it succeeds, the others run, as many at a time as --jobs says."""
    project = runners.project
    repeated(project, 4, COUNTED)
    process = runners.start("run", "rnn", "--canary", "--jobs", "3")
    until((project.root / "started-0").exists)
    time.sleep(0.3)
    assert lines(project, "counts") == ["1"]
    (project.root / "go-0").touch()
    until(lambda: len(lines(project, "counts")) == 4)
    (project.root / "go").touch()
    process.communicate(timeout=300)
    assert max(int(line) for line in lines(project, "counts")) == 3
    assert states(project) == ["finished"] * 4


def test_canary_is_retried_before_it_is_given_up(project: Project) -> None:
    """With --max-attempts a canary that succeeds at its second attempt lets the others run."""
    repeated(project, 2, '[ $n != 0 ] || [ "$RESWEEP_ATTEMPT" = 2 ]')
    project.resweep("run", "rnn", "--canary", "--max-attempts", "2").ok()
    assert attempts(project) == [2, 1]


RESUMING = """\
mkdir -p "$out"; echo "$RESWEEP_ATTEMPT ${RESWEEP_RESUMED-none} $(ls "$out" | tr '\\n' ' ')" >> "$root/seen"
touch "$out/file$RESWEEP_ATTEMPT"; [ "$RESWEEP_ATTEMPT" = 3 ]
"""


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["runner", "attempt.py"])
def test_resumed_attempt_finds_the_files_of_the_last(project: Project, launcher: str) -> None:
    """on_retry = "resume": each attempt goes on in the last one's output, is told so, and its record says which."""
    repeated(project, 1, RESUMING, '[run]\non_retry = "resume"')
    capsule = str(project.paths().capsule(project.entries()[0].name))
    if launcher == "runner":
        project.resweep("run", "rnn", "--max-attempts", "3").ok()
    else:
        for status in (1, 1, 0):
            assert project.shell(f"python '{project.paths().launcher}' run '{capsule}'").status == status
    assert lines(project, "seen") == ["1 none ", "2 1 file1 ", "3 2 file1 file2 "]
    output = Path(project.paths().place(project.entries()[0].name).output)
    assert sorted(path.name for path in output.iterdir()) == ["file1", "file2", "file3"]
    assert [project.record(project.entries()[0], n)["resumed"] for n in (1, 2, 3)] == [None, 1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["runner", "attempt.py"])
def test_clean_attempt_finds_nothing(project: Project, launcher: str) -> None:
    """Without on_retry each attempt begins in a clean directory; what a failed one wrote stays with it."""
    repeated(project, 1, RESUMING)
    capsule = str(project.paths().capsule(project.entries()[0].name))
    if launcher == "runner":
        project.resweep("run", "rnn", "--max-attempts", "3").ok()
    else:
        for status in (1, 1, 0):
            assert project.shell(f"python '{project.paths().launcher}' run '{capsule}'").status == status
    assert lines(project, "seen") == ["1 none ", "2 none ", "3 none "]
    place = project.paths().place(project.entries()[0].name)
    assert os.listdir(place.output) == ["file3"]
    assert os.listdir(Path(place.attempt(1), "output")) == ["file1"]
    assert project.record(project.entries()[0], 3)["resumed"] is None


@pytest.mark.slow
def test_resuming_begins_anew_where_no_output_is_left(project: Project) -> None:
    """When the last attempts have left no output, the next begins anew, and its record does not say resumed."""
    train = 'case $RESWEEP_ATTEMPT in 1) mkdir -p "$out"; touch "$out/a"; exit 1;; 2) rm -r "$out"; exit 1;; esac'
    repeated(project, 1, train, '[run]\non_retry = "resume"')
    project.resweep("run", "rnn", "--max-attempts", "3").ok()
    assert [project.record(project.entries()[0], n)["resumed"] for n in (1, 2, 3)] == [None, 1, None]


@pytest.mark.slow
def test_trial_that_runs_elsewhere_is_waited_for(runners: Runners) -> None:
    """What another runner runs is not started again: a second runner waits for its end, and says who ran it."""
    project = runners.project
    repeated(project, 2, FAST + WAIT)
    first = runners.start("run", "rnn#1")
    until((project.root / "started-0").exists)
    second = runners.start("run", "rnn", "--jobs", "1")
    until((project.root / "started-1").exists)  # so it has passed over the first trial
    (project.root / "go-1").touch()
    until(lambda: states(project)[1] == "finished")
    time.sleep(0.3)
    assert second.poll() is None
    (project.root / "go").touch()
    said = second.communicate(timeout=300)[0]
    assert [line.split()[1] for line in said.splitlines() if "run by another process" in line] == ["#1"]
    first.communicate(timeout=300)
    assert (first.returncode, second.returncode, attempts(project)) == (0, 0, [1, 1])


@pytest.mark.slow
def test_three_hundred_trials_leak_nothing(runners: Runners) -> None:
    """Over 300 trials the runner and its workers open no further file, keep no zombie, and do not grow."""
    project = runners.project
    repeated(project, 300, "if [ $n = 40 ] || [ $n = 299 ]; then " + WAIT.rstrip() + "; fi")
    process = runners.start("run", "rnn", "--jobs", "2")
    until((project.root / "started-40").exists)
    until(lambda: states(project).count("finished") >= 60)
    before = measured(process.pid)
    (project.root / "go-40").touch()
    until((project.root / "started-299").exists)
    until(lambda: states(project).count("finished") == 299)
    after = measured(process.pid)
    (project.root / "go").touch()
    process.communicate(timeout=300)
    print(f"runner and workers, after 60 trials and after 299: {before}, {after}")
    for (files, children, _, memory), (files_2, children_2, zombies_2, memory_2) in zip(before, after, strict=True):
        assert files_2 <= files
        assert zombies_2 == 0
        assert children_2 <= children + 1
        assert memory_2 < memory + 2048


def measured(pid: int) -> list[tuple[int, int, int, int]]:
    """Of a runner and its workers: open files, children, zombies among these, resident memory in KiB."""
    workers = children(pid)
    found = []
    for each in (pid, *workers):
        below = children(each)
        zombies = sum(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z" for child in below)
        status = Path(f"/proc/{each}/status").read_text()
        memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        # a worker that conducts has three files more than an idle one: the runner's are what must not grow
        files = len(os.listdir(f"/proc/{each}/fd")) if each == pid else 0
        found.append((files, len(below), zombies, memory))
    return found


def children(pid: int) -> list[int]:
    """The children of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--jobs", "0"], "0"),
        (["--jobs", "many"], "many"),
        (["--max-trials", "0"], "0"),
        (["--max-attempts", "-1"], "-1"),
        (["--gpus", "-1"], "-1"),
        (["--gpus", "2"], "--gpus: found 2"),
        (["--state", "done"], "done"),
        (["--where", "params.nope=1"], "params.nope=1"),
        (["--only", "missing"], "missing"),
        (["--nope"], "--nope"),
    ],
)
def test_bad_arguments_are_one_line(project: Project, arguments: list[str], says: str) -> None:
    """A wrong argument is named in the last line, with status 2, and nothing runs."""
    repeated(project, 1)
    result = project.resweep("run", "rnn", *arguments)
    assert result.status == 2
    assert says in result.err.splitlines()[-1]
    assert "Traceback" not in result.err
    assert lines(project) == []


# --- interruption -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_first_interrupt_waits_for_what_runs(runners: Runners) -> None:
    """Ctrl-C once: nothing more is started, what runs goes on to its end and counts; status 130."""
    project = runners.project
    repeated(project, 4, WAIT)
    process = runners.start("run", "rnn", "--jobs", "2")
    until(lambda: (project.root / "started-0").exists() and (project.root / "started-1").exists())
    os.killpg(process.pid, signal.SIGINT)
    said = until_it_says(process.stdout, "interrupted: starts no other trial, waits for 2; once more stops them")
    (project.root / "go").touch()
    said += process.communicate(timeout=300)[0]
    assert process.returncode == 130
    assert states(project) == ["finished", "finished", "queued", "queued"]
    assert said.splitlines()[-1] == "rnn: interrupted; 2 trials were not started; run this again to go on"
    assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.parametrize("how", ["Ctrl-C twice", "TERM", "HUP"])
def test_runner_told_to_stop_stops_its_trials(runners: Runners, how: str) -> None:
    """Ctrl-C twice, and TERM or HUP once, stop the running trials, which have time to save; they are recorded so."""
    project = runners.project
    save = 'trap "sleep 0.3; touch \\"$root/saved-$n\\"; exit 1" TERM; touch "$root/started-$n"; sleep 600 & wait'
    repeated(project, 3, save)
    process = runners.start("run", "rnn", "--jobs", "2")
    until(lambda: (project.root / "started-0").exists() and (project.root / "started-1").exists())
    if how == "Ctrl-C twice":
        os.killpg(process.pid, signal.SIGINT)
        until_it_says(process.stdout, "once more stops them")
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.Signals[f"SIG{how}"])
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 130
    assert states(project) == ["stopped", "stopped", "queued"]
    assert (project.root / "saved-0").exists()
    assert (project.root / "saved-1").exists()
    assert "stops 2 trials" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_group_that_will_not_end_is_killed(project: Project) -> None:
    """A trial that ignores TERM, and all that it started, is killed after the grace, and recorded as stopped."""
    repeated(project, 1, 'trap "" TERM; sleep 600 & echo $! > "$root/child"; touch "$root/started"; wait; sleep 600')
    code = "from resweep.launcher import slurm_job; slurm_job.GRACE_SECONDS = 0.5"
    code += "; from resweep import cli; cli.main(['run', 'rnn'])"
    waits = "while [ ! -e started ] && kill -0 $pid; do sleep 0.02; done"
    shell = f'python -c "{code}" & pid=$!; {waits}; kill $pid; wait $pid'
    assert project.shell(shell).status == 130
    assert states(project) == ["stopped"]
    assert record(project, 1)["signal"] == "SIGKILL"
    child = int((project.root / "child").read_text())
    until(lambda: not Path(f"/proc/{child}/cmdline").exists() or not Path(f"/proc/{child}/cmdline").read_bytes())


@pytest.mark.slow
def test_nohup_stays_in_force(runners: Runners) -> None:
    """Under nohup a terminal that closes stops neither the runner nor its trials."""
    project = runners.project
    repeated(project, 1, WAIT)
    old = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = runners.start()
    finally:
        signal.signal(signal.SIGHUP, old)
    until((project.root / "started-0").exists)
    os.killpg(process.pid, signal.SIGHUP)
    os.kill(record(project, 1)["pid"], signal.SIGHUP)
    time.sleep(0.2)
    (project.root / "go").touch()
    process.communicate(timeout=300)
    assert process.returncode == 0
    assert states(project) == ["finished"]


@pytest.mark.slow
def test_stop_at_the_moment_of_the_start(runners: Runners) -> None:
    """TERM at any moment, also while trials are just being started, leaves no trial running and none lost."""
    project = runners.project
    repeated(project, 12, "sleep 600")
    for delay in range(12):
        process = runners.start("run", "rnn", "--jobs", "3")
        until(lambda: any(project.paths().runners.glob("*.json")))
        time.sleep(0.004 * delay)
        process.terminate()
        said = process.communicate(timeout=300)[0]
        assert process.returncode == 130, said
        assert set(states(project)) <= {"stopped", "queued"}, said


@pytest.mark.slow
def test_attempt_whose_end_cannot_be_recorded_is_not_waited_for(project: Project) -> None:
    """When the disk refuses the record of the end, the runner says so and goes on, though the launcher lives on."""
    repeated(project, 2, FAST + '[ $n = 1 ] || { rm -f "${2%/*}/record.json"; mkdir -p "${2%/*}/record.json/x"; }')
    result = project.resweep("run", "rnn", "--jobs", "1")
    assert result.status == 1
    assert states(project)[1] == "finished"
    assert len(lines(project)) == 2


def test_records_are_readable_and_say_who_ran(project: Project) -> None:
    """A record is readable JSON with the launcher's process, its times, its exit status and its peak memory."""
    repeated(project, 1, "exit 3")
    project.resweep("run", "rnn")
    path = Path(project.paths().place(project.entries()[0].name).attempt(1), "record.json")
    found = json.loads(path.read_text())
    assert (found["state"], found["exit_status"], found["attempt"]) == ("failed", 3, 1)
    assert found["pid"] not in (os.getpid(), found["group"])
    assert found["peak_memory_bytes"] > 100_000
    assert found["started"] <= found["ended"]
    assert log(project, 1) == ""


# --- signals for trainings, and trainings that ask ------------------------------------------------------------------


def test_training_that_asks_to_be_run_again_goes_on_in_the_same_run(project: Project) -> None:
    """Exit status 85: the next attempt follows at once, with the output of the last; --max-trials counts one trial."""
    train = 'mkdir -p "$out"; echo step >> "$out/steps"; [ "$(wc -l < "$out/steps")" = 3 ] || exit 85\n'
    repeated(project, 2, train + 'cp "$out/steps" "$root/steps-$n"\n')
    said = project.resweep("run", "rnn", "--jobs", "1", "--max-trials", "1").ok().err
    assert said.count("asked to be run again; goes on with what it has saved") == 2
    assert states(project) == ["finished", "queued"]
    assert attempts(project) == [3, 0]
    assert (project.root / "steps-0").read_text() == "step\n" * 3


@pytest.mark.slow
def test_training_that_asks_without_end_is_given_up(project: Project) -> None:
    """After ten times it stays stopped, and the run says that it did not finish."""
    repeated(project, 1, "exit 85\n")
    result = project.resweep("run", "rnn")
    assert result.status == 1
    assert (states(project), attempts(project)) == (["stopped"], [11])


@pytest.mark.slow
def test_signal_reaches_a_training_that_listens_and_ends_nobody_else(runners: Runners) -> None:
    """USR1 to the runner is for the trainings that have a handler; it goes on, and so does a deaf one."""
    project = runners.project
    listens = 'if [ "$n" = 0 ]; then trap \'touch "$root/heard"\' USR1; fi\n'
    repeated(project, 2, listens + WAIT + FAST)
    runner = runners.start("run", "rnn", "--jobs", "2")
    until(lambda: all((project.root / f"started-{n}").exists() for n in (0, 1)))
    runner.send_signal(signal.SIGUSR1)
    until((project.root / "heard").exists)
    assert states(project) == ["running", "running"]
    (project.root / "go").touch()
    assert runner.communicate(timeout=300)[0].count("finished in") == 2
    assert runner.returncode == 0
