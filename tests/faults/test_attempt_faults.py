"""What breaks while an attempt runs: processes that die, hosts that pause, two at once, disks that refuse.

Code: launcher/attempt
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from launched import Trial, silent, until

from resweep.launcher import claims, main, places, processes, trial_state

# Training that runs until it is told to go on, first attempts only: `hold` touches a file when it has started.
HOLD = 'mkdir -p "$out"; touch "$root/started"; while [ ! -e "$root/go" ]; do sleep 0.02; done; echo 1 > "$out/by"\n'
OLD = 1_000_000_000


@pytest.fixture
def group() -> Iterator[list[int]]:
    """Process groups to end when the test is over, however it went."""
    groups: list[int] = []
    yield groups
    for each in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(each, signal.SIGKILL)


def held(trial: Trial, group: list[int], script: str = HOLD) -> subprocess.Popen[str]:
    """Start an attempt, and return when its training runs."""
    trial.train(script)
    process = trial.start()
    until((trial.project.root / "started").exists)
    group.append(trial.record()["group"])
    return process


def lives(pid: int) -> bool:
    """Whether a process runs, and is no zombie."""
    return processes.start_time(pid) is not None


def as_if_elsewhere(trial: Trial) -> None:
    """Let attempt 1 look like one on another host that has given no sign of life for long."""
    trial.edit_record(host="elsewhere")
    for name in ("heartbeat", "record.json"):
        os.utime(trial.directory() / name, (OLD, OLD))


def test_of_two_at_once_one_runs(trial: Trial, group: list[int]) -> None:
    """While an attempt runs, another launch says where and by which process, exits 75 and leaves nothing."""
    first = held(trial, group)
    second = trial.launch()
    assert second.status == 75
    assert f"runs already on {socket.gethostname()} (process {first.pid})" in second.out
    (trial.project.root / "go").touch()
    assert first.wait(300) == 0
    assert sorted(os.listdir(trial.place.attempts)) == ["1", "finished"]


@pytest.mark.slow
def test_two_that_start_together_run_once(trial: Trial) -> None:
    """Two launchers started at the same moment, many times over: train.sh runs exactly once each time."""
    trial.train('echo run >> "$root/runs"')
    for _ in range(8):
        both = [trial.start(), trial.start()]
        assert sorted({process.wait(300) for process in both} | {0}) in ([0], [0, 75])
        assert (trial.project.root / "runs").read_text() == "run\n"
        (trial.project.root / "runs").unlink()
        shutil.rmtree(trial.project.root / "model")
        for process in both:
            process.communicate()


def test_claim_is_had_once(trial: Trial) -> None:
    """A launcher that looked before another claimed the attempt gets nothing, and leaves nothing."""
    manifest = places.read_manifest(str(trial.capsule))
    assert claims.claim(trial.place, claims.new_record(manifest, 1))
    assert not claims.claim(trial.place, claims.new_record(manifest, 1))
    assert os.listdir(trial.place.attempts) == ["1"]
    assert os.listdir(trial.directory()) == ["record.json"]


def test_late_finish_does_not_count(trial: Trial, group: list[int]) -> None:
    """An attempt that was paused, held for lost and overtaken finishes without effect on what counts."""
    first = held(trial, group)
    os.killpg(group[0], signal.SIGSTOP)
    first.send_signal(signal.SIGSTOP)
    trial.until_it_trains()
    as_if_elsewhere(trial)
    assert trial.state == "lost"
    trial.train('mkdir -p "$out"; echo 2 > "$out/by"')
    trial.launch().ok()
    os.killpg(group[0], signal.SIGCONT)
    (trial.project.root / "go").touch()
    first.send_signal(signal.SIGCONT)
    said = first.communicate(timeout=300)[0]
    assert "does not count" in said
    assert first.returncode == 0
    assert (trial.output / "by").read_text() == "2\n"
    assert (trial.directory(1) / "output/by").read_text() == "1\n"
    assert trial_state.state(trial.place)[1]["attempt"] == 2


def test_late_finish_counts_when_it_is_the_first(trial: Trial, group: list[int]) -> None:
    """An attempt held for lost whose successor failed may still finish, and counts."""
    first = held(trial, group)
    with silent(first):
        as_if_elsewhere(trial)
        trial.train("exit 1")
        assert trial.launch().status == 1
    (trial.project.root / "go").touch()
    assert first.wait(300) == 0
    first.communicate()
    assert (trial.output / "by").read_text() == "1\n"
    assert trial.state == "finished"


def test_running_elsewhere_lives_by_its_heartbeat(trial: Trial, group: list[int]) -> None:
    """On another host a recent sign of life means running, an old one lost."""
    with silent(held(trial, group)):
        trial.edit_record(host="elsewhere")
        assert trial.state == "running"
        os.utime(trial.directory() / "heartbeat", (OLD, OLD))
        assert trial.state == "lost"
    assert not [name for name in os.listdir(trial.directory()) if name.startswith(".now")]
    os.killpg(group[0], signal.SIGKILL)


def test_heartbeat_beats(trial: Trial, group: list[int]) -> None:
    """A running attempt gives its sign of life again and again."""
    trial.set(HEARTBEAT_SECONDS=0.05)
    process = held(trial, group)
    heartbeat = trial.directory() / "heartbeat"
    until(heartbeat.exists)
    os.utime(heartbeat, (OLD, OLD))
    until(lambda: heartbeat.stat().st_mtime > OLD)
    (trial.project.root / "go").touch()
    process.communicate(timeout=300)


@pytest.mark.slow
def test_heartbeat_that_cannot_be_written_ends_nothing(trial: Trial) -> None:
    """A disk that refuses the sign of life for a moment does not cost the training."""
    trial.set(HEARTBEAT_SECONDS=0.02)
    trial.train('rm -f "${out%/*}/heartbeat"; mkdir "${out%/*}/heartbeat"; sleep 0.2; echo end')
    trial.launch().ok()
    assert trial.log().endswith("end\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_stops_all_that_the_trial_started(trial: Trial, group: list[int], number: int) -> None:
    """A launcher that is told to end stops children and grandchildren, and records that it did."""
    script = """cd "$root"; bash -c 'sleep 600 & echo $! > grandchild; wait' & sleep 600 & echo $! > child
while [ ! -s grandchild ]; do sleep 0.01; done; touch started; wait"""
    process = held(trial, group, script)
    pids = [int((trial.project.root / name).read_text()) for name in ("child", "grandchild")]
    process.send_signal(number)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped after" in said
    assert "Traceback" not in said
    assert trial.record()["state"] == trial.state == "stopped"
    assert trial.record()["signal"] == "SIGTERM"
    until(lambda: not any(lives(pid) for pid in pids))
    assert not (trial.directory() / "heartbeat").exists()


def test_training_that_ignores_term_is_killed(trial: Trial, group: list[int]) -> None:
    """After the grace, KILL ends what TERM did not."""
    trial.set(GRACE_SECONDS=0.2)
    process = held(trial, group, 'trap "" TERM; touch "$root/started"; while :; do sleep 0.02; done')
    process.terminate()
    process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGKILL
    assert (trial.record()["state"], trial.record()["signal"]) == ("stopped", "SIGKILL")


@pytest.mark.slow
def test_python_below_bash_has_the_grace_to_save(trial: Trial, group: list[int]) -> None:
    """bash ends at once on TERM; the training that it ran may use the grace to write a last checkpoint."""
    script = """python -c '
import signal, sys, time, pathlib
def save(*_):
    time.sleep(0.3)
    pathlib.Path(sys.argv[1], "saved").touch()
    sys.exit()
signal.signal(signal.SIGTERM, save)
pathlib.Path(sys.argv[1], "started").touch()
while True: time.sleep(1)
' "$root"
echo never"""
    process = held(trial, group, script)
    process.terminate()
    process.communicate(timeout=300)
    assert (trial.project.root / "saved").exists()
    assert trial.state == "stopped"
    assert trial.log() == ""


def test_stopped_trial_that_exits_0_has_not_finished(trial: Trial, group: list[int]) -> None:
    """A training that answers TERM with exit status 0 was stopped half-way all the same, and runs again."""
    process = held(trial, group, 'trap "exit 0" TERM; touch "$root/started"; while :; do sleep 0.02; done')
    process.terminate()
    process.communicate(timeout=300)
    assert process.returncode == 130
    assert trial.state == "stopped"
    trial.train("true")
    trial.launch().ok()


def test_leftovers_are_killed_at_the_end(trial: Trial) -> None:
    """What train.sh left in the background would keep its GPU, and ends with it."""
    trial.train('sleep 600 & echo $! > "$root/pid"')
    trial.launch().ok()
    pid = int((trial.project.root / "pid").read_text())
    until(lambda: not lives(pid))


def test_nohup_stays_in_force(trial: Trial, group: list[int]) -> None:
    """Under nohup a hangup stops nothing."""
    trial.train(HOLD)
    process = subprocess.Popen(
        ["nohup", sys.executable, "-B", trial.launcher, "run", trial.capsule],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    until((trial.project.root / "started").exists)
    group.append(trial.record()["group"])
    process.send_signal(signal.SIGHUP)
    os.killpg(group[0], signal.SIGHUP)
    (trial.project.root / "go").touch()
    assert "finished in" in process.communicate(timeout=300)[0]
    assert process.returncode == 0


def test_training_that_outlives_its_launcher_is_not_started_beside_itself(trial: Trial, group: list[int]) -> None:
    """A launcher killed with KILL leaves its training: while that lives the trial runs, and is lost afterwards."""
    process = held(trial, group)
    process.kill()
    process.communicate()
    assert trial.state == "running"
    second = trial.launch()
    assert second.status == 75
    assert f"process group {group[0]}, whose launcher is gone" in second.out
    (trial.project.root / "go").touch()
    until(lambda: trial.state == "lost")
    trial.train('mkdir -p "$out"; echo 2 > "$out/by"')
    trial.launch().ok()
    assert (trial.output / "by").read_text() == "2\n"
    assert (trial.directory(1) / "output/by").read_text() == "1\n"


def test_grandchild_keeps_a_trial_running_when_launcher_and_bash_are_gone(trial: Trial, group: list[int]) -> None:
    """The whole process group counts, not its first process alone."""
    process = held(trial, group, 'sleep 600 & touch "$root/started"; wait')
    process.kill()
    process.communicate()
    os.kill(group[0], signal.SIGKILL)
    until(lambda: not lives(group[0]))
    assert trial.state == "running"
    os.killpg(group[0], signal.SIGKILL)
    until(lambda: trial.state == "lost")


def test_reused_pid_is_recognised(trial: Trial, group: list[int]) -> None:
    """Processes that have the recorded pids and started at another time are others."""
    process = held(trial, group)
    process.kill()
    os.killpg(group[0], signal.SIGKILL)
    process.communicate()
    me = os.getpid()
    trial.edit_record(pid=me, group=me)
    assert trial.state == "lost"
    trial.edit_record(pid=me, group=me, pid_start=processes.start_time(me))
    assert trial.state == "running"
    trial.edit_record(pid=1 << 22, group=me, group_start=processes.start_time(me))
    assert trial.state == "running"


def test_other_container_of_this_host_lives_by_its_heartbeat(trial: Trial, group: list[int]) -> None:
    """Where pids mean other processes, such as before a restart or in a container, they are not looked at."""
    with silent(held(trial, group)):
        trial.edit_record(boot="another", pid=1 << 22, group=1 << 22)
        assert trial.state == "running"
        os.utime(trial.directory() / "heartbeat", (OLD, OLD))
        assert trial.state == "lost"


@pytest.mark.parametrize("text", ["", '{"state": "fin', "[1]", "\0\0\0"])
def test_torn_record_is_no_reason_to_trace_back(trial: Trial, text: str) -> None:
    """A record that a power failure tore counts as running until its time is up, and then as lost."""
    trial.directory().mkdir(parents=True)
    record = trial.directory() / "record.json"
    record.write_text(text)
    assert trial.state == "running"
    assert trial.launch().status == 75
    os.utime(record, (OLD, OLD))
    assert trial.state == "lost"
    trial.launch().ok()
    assert trial.place.last() == 2


def test_torn_finish_is_read_from_the_attempts(trial: Trial) -> None:
    """Where the file that says which attempt counts is torn, the attempt's own record says it."""
    trial.launch().ok()
    (trial.directory() / "output").unlink()
    trial.output.rename(trial.directory() / "output")
    finished = Path(trial.place.attempts, "finished")
    finished.unlink()
    finished.touch()
    assert "finished already" in trial.launch().ok().out
    assert (trial.output / "metrics.json").is_file()


@pytest.mark.parametrize("claimed", [True, False])
def test_crash_before_the_output_is_moved_is_repaired(trial: Trial, claimed: bool) -> None:
    """A launcher that died after its last record, before or after the claim, has finished its trial all the same."""
    trial.launch().ok()
    (trial.directory() / "output").unlink()
    trial.output.rename(trial.directory() / "output")
    if not claimed:
        Path(trial.place.attempts, "finished").unlink()
    assert trial.state == "finished"
    assert "finished already" in trial.launch().ok().out
    assert (trial.output / "metrics.json").is_file()
    assert json.loads(Path(trial.place.attempts, "finished").read_text())["attempt"] == 1
    assert trial.place.last() == 1


def test_finish_without_hard_links_is_claimed_once(trial: Trial) -> None:
    """A finish that is a copy of the record, as on a file system without hard links, counts like a link."""
    trial.launch().ok()
    finished = Path(trial.place.attempts, "finished")
    text = finished.read_text()
    finished.unlink()
    finished.write_text(text)
    assert claims.count(trial.place, 1)
    trial.directory(2).mkdir()
    shutil.copy(trial.directory(1) / "record.json", trial.directory(2))
    assert not claims.count(trial.place, 2)


def as_nobody(trial: Trial) -> tuple[int, str]:
    """Run the launcher's main without root's rights; its status and what it said."""
    with tempfile.TemporaryFile("w+") as said:
        child = os.fork()
        if child == 0:
            status = 99
            try:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                sys.stdout = sys.stderr = open(1, "w", closefd=False)  # noqa: SIM115
                os.environ["RESWEEP_PYTHON"] = "/bin/sh"  # ours may lie where nobody may look
                if os.getuid() == 0:
                    os.setgid(65534)
                    os.setuid(65534)
                status = main.main(["run", str(trial.capsule)])
                sys.stdout.flush()
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        return status, said.read()


@pytest.fixture
def public(trial: Trial) -> Iterator[Trial]:
    """The trial in a directory that everyone may read."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        shutil.copytree(trial.project.root, f"{folder}/p")
        yield Trial(type(trial.project)(Path(folder, "p")))


def test_directory_without_permission_gives_one_line(public: Trial) -> None:
    """A model directory that may not be written is named in one line, status 2."""
    model = public.project.root / "model"
    model.mkdir(mode=0o555)
    status, said = as_nobody(public)
    assert (status, said) == (2, f"{model}/generated: Permission denied\n")


def test_model_directory_that_is_gone_gives_one_line(trial: Trial) -> None:
    """model/generated as a link to a disk that is not there is named in one line, status 2."""
    (trial.project.root / "model").mkdir()
    (trial.project.root / "model/generated").symlink_to("/no/such/disk")
    result = trial.launch()
    assert result.status == 2
    assert result.out.count("\n") == 1
    assert "model/generated" in result.out


def test_full_disk_gives_one_line_and_no_attempt(trial: Trial) -> None:
    """Where nothing can be written the trial stays queued, with one line and status 2."""
    done = subprocess.run(
        [sys.executable, "-B", trial.launcher, "run", trial.capsule],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "File too large" in done.stderr
    assert trial.state == "queued"
    assert os.listdir(trial.place.attempts) == []
    trial.launch().ok()
