"""A job id alone is no identity: own allocations, other clusters, ids that began anew, other users, comments.

Code: slurm/identity, slurm/owners, slurm/doubts, slurm/states, slurm/cancel, cli/stop
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import on_slurm
import pytest
import running
from faulty import fresh, path_with
from on_slurm import Cluster, go, jobs, start, started, status, sweep
from small_project import Project, Result

from resweep.launcher import claims, places, processes, storage
from resweep.launcher.places import Place
from resweep.slurm import identity, ledger, queue

pytestmark = pytest.mark.timeout(400)

SLEEP = "sleep 1000"


@pytest.fixture(scope="module")
def _east(_installed: None) -> Iterator[Cluster]:
    cluster = Cluster(NAME="east", DBD=0, NODES=1)
    try:
        cluster.do("start")
        yield cluster
    finally:
        cluster.do("clean")


@pytest.fixture(scope="module")
def _west(_installed: None) -> Iterator[Cluster]:
    cluster = Cluster(NAME="west", DBD=0, NODES=1)
    try:
        cluster.do("start")
        yield cluster
    finally:
        cluster.do("clean")


@pytest.fixture
def east(_east: Cluster, monkeypatch: pytest.MonkeyPatch, _own_settings: None) -> Iterator[Cluster]:
    """A cluster whose job ids begin at 1, found by the commands of Slurm."""
    monkeypatch.setenv("SLURM_CONF", _east.environment["SLURM_CONF"])
    fresh(_east)
    yield _east
    _east.empty()


@pytest.fixture
def west(_west: Cluster) -> Iterator[Cluster]:
    """Another cluster whose job ids begin at 1, not found yet."""
    fresh(_west)
    yield _west
    _west.empty()


def stranger(cluster: Cluster, count: int = 4) -> str:
    """A job of somebody else's, with as many tasks: its id."""
    words = ("--parsable", "-o", "/dev/null", "--mem=50M", f"--array=1-{count}", "--wrap", SLEEP)
    return cluster.ask("sbatch", *words).strip()


def alive(cluster: Cluster, job: str) -> int:
    """How many tasks of a job wait or run."""
    return sum(line.startswith(f"{job}_") for line in cluster.queue())


# --- one's own allocation --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["rnn#2", "rnn"])
def test_a_trial_in_a_persons_own_job_is_stopped_by_its_launcher_and_the_job_goes_on(
    slurm: Cluster, project: Project, what: str
) -> None:
    """`bash rnn-jobs.sh --here` in one's own sbatch: the job is in no ledger, so `stop` ends the trial, not the job."""
    sweep(project, 2, on_slurm.WAIT)
    project.shell("resweep submit 'rnn#1'").ok()
    go(project, 0)
    slurm.drained()
    wrap = f"cd '{project.root}' && bash rnn-jobs.sh --here; {SLEEP}"
    own = slurm.ask("sbatch", "--parsable", "-o", "/dev/null", "--wrap", wrap).strip()
    started(project, 1)
    done = project.resweep("stop", what).ok()
    assert "1 stopped, 0 left" in done.out
    assert running.states(project) == ["finished", "stopped"]
    assert [line.split("|")[:2] for line in slurm.queue()] == [[f"{own}_N/A", "RUNNING"]]


def test_a_trial_in_a_job_that_is_in_no_ledger_and_runs_elsewhere_is_named_and_left(
    slurm: Cluster, project: Project
) -> None:
    """Its launcher cannot be signalled from here, and its job is not cancelled: the message says which one it is."""
    sweep(project, 2, on_slurm.WAIT)
    project.shell("resweep submit 'rnn#1'").ok()
    go(project, 0)
    slurm.drained()
    wrap = f"cd '{project.root}' && bash rnn-jobs.sh --here"
    own = slurm.ask("sbatch", "--parsable", "-o", "/dev/null", "--wrap", wrap).strip()
    started(project, 1)
    now = running.record(project, 2)
    elsewhere(project, 2)
    done = project.resweep("stop", "rnn#2")
    assert done.status == 1
    assert f"runs on elsewhere in job {own}, which is not one of the sweep's; stop it there" in done.err
    assert alive(slurm, own) == 1
    place = project.paths().place(project.entries()[1].name)
    storage.write_json(f"{place.attempt(1)}/record.json", now | {"state": "running"})
    processes.note_processes(f"{place.attempt(1)}/heartbeat", now)
    go(project)
    slurm.drained()


def elsewhere(project: Project, number: int) -> Place:
    """Make the running attempt of rnn#NUMBER look as its files do from another machine than the one that it runs on."""
    now = running.record(project, number) | {"host": "elsewhere", "boot": "another", "state": "running"}
    place = project.paths().place(project.entries()[number - 1].name)
    storage.write_json(f"{place.attempt(1)}/record.json", now)
    processes.note_processes(f"{place.attempt(1)}/heartbeat", now)
    return place


# --- another cluster -------------------------------------------------------------------------------------------------


def test_what_was_submitted_to_another_cluster_is_said_and_no_job_of_this_one_is_touched(
    east: Cluster, west: Cluster, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Job 1 of east waits; on west job 1 is a stranger's: status, submit and stop know the difference."""
    sweep(project, 3, slurm="hold = true")
    start(project).ok()
    (job,) = jobs(project)
    theirs = stranger(west, 3)
    assert job.id == theirs == "1", "this shows nothing unless the ids are the same"
    monkeypatch.setenv("SLURM_CONF", west.environment["SLURM_CONF"])
    assert "3 trials in job 1 of the cluster east, which west cannot see" in status(project)
    assert "nothing to submit: 3 were submitted to another cluster" in start(project).ok().out
    stopped = project.resweep("stop", "rnn")
    assert stopped.status == 1
    assert "3 trials in job 1 of the cluster east" in stopped.err
    assert alive(west, theirs) == 3
    assert "an array of 3" in start(project, "--ignore-other-clusters").ok().out
    project.resweep("stop", "rnn").ok()
    assert alive(west, theirs) == 3
    assert len(west.queue()) == 3
    assert len(east.queue()) == 3
    monkeypatch.setenv("SLURM_CONF", east.environment["SLURM_CONF"])
    project.resweep("stop", "rnn")
    assert east.queue() == []


def test_a_trial_that_runs_on_another_cluster_is_not_started_a_second_time(
    east: Cluster, west: Cluster, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """West has never heard of job 1, which says nothing about job 1 of east, whose heartbeat is fresh."""
    sweep(project, 1, on_slurm.WAIT)
    start(project).ok()
    started(project, 0)
    place = elsewhere(project, 1)
    monkeypatch.setenv("SLURM_CONF", west.environment["SLURM_CONF"])
    assert claims.begin(place, places.read_manifest(place.capsule))[0] == "running"
    assert "1 running" in status(project)
    assert "1 run" in start(project).ok().out
    stopped = project.resweep("stop", "rnn#1")
    assert stopped.status == 1
    assert "runs on elsewhere in job 1_1 of the cluster east; stop it there" in stopped.err
    assert running.attempts(project) == [1]
    assert alive(east, "1") == 1


# --- ids that begin anew ---------------------------------------------------------------------------------------------


def test_after_a_reset_of_ids_a_strangers_job_is_neither_counted_nor_cancelled(east: Cluster, project: Project) -> None:
    """The ledger has job 1, which is now somebody else's: submit submits all, and stop cancels what is the sweep's."""
    sweep(project, 4, on_slurm.WAIT, slurm="hold = true")
    start(project).ok()
    fresh(east)
    theirs = stranger(east, 4)
    assert [job.id for job in jobs(project)] == [theirs]
    assert f"job {theirs} is not this sweep's (it runs " in status(project)
    again = start(project).ok()
    assert "an array of 4" in again.out
    assert f"job {theirs} is not this sweep's" in again.err
    assert len(east.queue()) == 8
    stopped = project.resweep("stop", "rnn").ok()
    assert "4 tasks of Slurm's cancelled" in stopped.out
    assert alive(east, theirs) == 4
    assert len(east.queue()) == 4
    stopped = project.resweep("stop", "rnn#1").ok()
    assert alive(east, theirs) == 4


def test_two_submissions_of_a_sweep_with_the_same_id_are_told_apart(east: Cluster, project: Project) -> None:
    """Job 1 was of trials 1 and 2, and after a reset it is of trials 3 and 4: 1 and 2 do not wait any more."""
    sweep(project, 4, slurm="hold = true")
    project.shell("resweep submit 'rnn#1-2'").ok()
    fresh(east)
    project.shell("resweep submit 'rnn#3-4'").ok()
    assert [job.id for job in jobs(project)] == ["1", "1"]
    assert "2 queued in job 1" in status(project)
    assert "0 stopped, 0 left" in project.resweep("stop", "rnn#1").ok().out
    assert alive(east, "1") == 2
    assert "2 trials to submit; 2 wait in Slurm" in start(project).ok().out
    project.resweep("stop", "rnn").ok()
    assert east.queue() == []


def test_a_sweep_that_was_made_anew_has_no_jobs_of_the_old_one(slurm: Cluster, project: Project) -> None:
    """The same project, sweep and number, but another submission: the old job is told by its comment."""
    sweep(project, 2, slurm="hold = true")
    start(project).ok()
    (old,) = jobs(project)
    project.shell("chmod -R u+w config/generated && rm -r config/generated rnn-jobs.sh").ok()
    sweep(project, 2, slurm="hold = true")
    start(project).ok()
    new = jobs(project)[0]
    ledger = project.paths().submissions / "1" / "jobs.jsonl"
    ledger.write_text(ledger.read_text().replace(f'"{new.id}"', f'"{old.id}"'))
    assert f"job {old.id} is not this sweep's (its comment is resweep:" in status(project)
    project.resweep("stop", "rnn#1").ok()
    assert alive(slurm, old.id) == alive(slurm, new.id) == 2


# --- what else tells a job -------------------------------------------------------------------------------------------


def comment(cluster: Cluster, job: str) -> str:
    """The comment of a job."""
    return cluster.ask("squeue", "-h", "--states=all", f"--jobs={job}", "-o", "%k").splitlines()[0]


def test_jobs_are_named_after_project_and_sweep_and_their_comment_names_the_submission(
    slurm: Cluster, project: Project
) -> None:
    """What a person sees in squeue; and what the ledger notes of who submitted what, where and when."""
    sweep(project, 2, slurm="hold = true")
    start(project).ok()
    (job,) = jobs(project)
    said = comment(slurm, job.id)
    assert said.startswith("resweep:a_project/rnn/1:")
    assert slurm.ask("squeue", "-h", f"--jobs={job.id}", "-o", "%j").splitlines()[0] == "a_project-rnn"
    noted = json.loads((project.paths().submissions / "1" / "submission.json").read_text())
    assert said == f"{noted['comment']}:1"
    assert (noted["cluster"], noted["uid"], noted["user"]) == ("test", str(os.geteuid()), "root")
    assert noted["command"] == [
        str(project.paths().submissions / "1" / "task.sh"),
        str(project.paths().submissions / "1"),
    ]
    line = json.loads((project.paths().submissions / "1" / "jobs.jsonl").read_text().splitlines()[0])
    assert line["submitted"] >= noted["created"]


@pytest.mark.parametrize("changed", ["by a person", "afterwards"])
def test_a_job_with_another_comment_is_known_by_what_it_runs(slurm: Cluster, tmp_path: Path, changed: str) -> None:
    """A person's comment stays as it is, and one that a site has put in its place does no harm."""
    project = Project(tmp_path / changed)  # a path that no job of an earlier test has run in
    sweep(project, 3, slurm="hold = true" + ('\ncomment = "account 7"' if changed == "by a person" else ""))
    start(project).ok()
    (job,) = jobs(project)
    if changed == "afterwards":
        slurm.ask("scontrol", "update", f"jobid={job.id}", "comment=account 7")
    assert comment(slurm, job.id) == "account 7"
    noted = project.paths().submissions / "1" / "jobs.jsonl"
    noted.write_text("")
    assert "nothing to submit: 3 wait in Slurm" in start(project).ok().out
    assert jobs(project) == [job]
    project.resweep("stop", "rnn").ok()
    assert slurm.queue() == []


def test_a_job_whose_script_a_wrapper_has_copied_is_known_by_its_comment(
    slurm: Cluster, project: Project, tmp_path: Path
) -> None:
    """The site's sbatch submits a copy from elsewhere: what the job runs is no proof, its comment is."""
    copies = 'args=(); for word; do case $word in */task.sh) cp "$word" "$TO/copy.sh"; word=$TO/copy.sh;; esac; '
    path = path_with(tmp_path / "bin", sbatch=copies + 'args+=("$word"); done; exec REAL "${args[@]}"')
    sweep(project, 2, slurm="hold = true")
    start(project, PATH=path, TO=str(tmp_path)).ok()
    (job,) = jobs(project)
    assert "copy.sh" in slurm.ask("squeue", "-h", f"--jobs={job.id}", "-o", "%o")
    (project.paths().submissions / "1" / "jobs.jsonl").write_text("")
    assert f"2 queued in job {job.id}" in status(project)
    assert "nothing to submit: 2 wait in Slurm" in start(project).ok().out
    project.resweep("stop", "rnn").ok()
    assert slurm.queue() == []


def test_accounting_tells_a_strangers_job_from_the_sweeps(accounting: Cluster, project: Project) -> None:
    """Where the queue has forgotten a job, sacct's command line of it is compared."""
    sweep(project, 2, "exit 3\n")
    start(project).ok()
    (job,) = jobs(project)
    theirs = accounting.ask("sbatch", "--parsable", "-o", "/dev/null", "--array=1-2", "--wrap", "exit 1").strip()
    accounting.drained()

    def seen() -> dict[str, identity.Seen]:
        tasks = [one for id_ in (job.id, theirs) for one in queue._sacct(id_, 20.0)]
        return {id_: task.seen for (id_, _), task in tasks if task.seen.command}

    on_slurm.until(lambda: len(seen()) == 2, told=seen)  # it comes late
    own = ledger.read(project.paths())[0].identity
    assert own.contradiction(seen()[job.id], ended=True) == ""
    assert own.contradiction(seen()[theirs], ended=True).startswith("it runs sbatch --parsable")


def without_identity(project: Project) -> None:
    """Make the first submission look as older versions wrote it."""
    folder = project.paths().submissions / "1"
    noted = json.loads((folder / "submission.json").read_text())
    for key in ("cluster", "uid", "comment", "command"):
        del noted[key]
    (folder / "submission.json").chmod(0o644)
    (folder / "submission.json").write_text(json.dumps(noted))
    lines = [json.loads(line) for line in (folder / "jobs.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("submitted", None)
    (folder / "jobs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_jobs_of_an_older_ledger_are_known_by_what_they_run_and_others_are_left_alone(
    east: Cluster, project: Project
) -> None:
    """Without cluster, user and comment: the sweep's own job is cancelled, and after a reset a stranger's is not."""
    sweep(project, 3, slurm='hold = true\ncomment = "none"')
    start(project).ok()
    without_identity(project)
    assert "3 queued in job 1" in status(project)
    project.resweep("stop", "rnn").ok()
    assert east.queue() == []
    fresh(east)
    theirs = stranger(east, 3)
    assert "job 1 is not this sweep's (it runs " in project.resweep("stop", "rnn").ok().err
    assert alive(east, theirs) == 3


def test_an_id_that_an_older_version_took_a_warning_for_is_read(slurm: Cluster, project: Project) -> None:
    """'WARNING ...\\n162' in the ledger is job 162; a line without any id lets the queue be searched."""
    sweep(project, 2, slurm="hold = true")
    start(project).ok()
    (job,) = jobs(project)
    noted = project.paths().submissions / "1" / "jobs.jsonl"
    text = noted.read_text()
    for wrong in (f"WARNING: soon\\n{job.id}", "WARNING: soon"):
        changed = text.replace(f'"id": "{job.id}"', f'"id": "{wrong}"')
        assert changed != text
        noted.write_text(changed)
        assert f"2 queued in job {job.id}" in status(project)
        assert "nothing to submit: 2 wait in Slurm" in start(project).ok().out
        assert jobs(project) == [job]
    project.resweep("stop", "rnn").ok()
    assert slurm.queue() == []


def as_nobody(project: Project, *arguments: str) -> Result:
    """Call the command line as another user, in a process that has loaded all modules before it lost its rights."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        user = pwd.getpwnam("nobody")
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        done = project.resweep(*arguments)
        os.write(writer, json.dumps([done.status, done.out, done.err]).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader, encoding="utf-8") as file:
        return Result(*json.load(file))


def test_another_users_job_is_named_when_slurm_does_not_let_one_stop_it(slurm: Cluster) -> None:
    """Two people in one project: who may not cancel says whose job it is, with exit status 1, and the job goes on."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o777)
        project = sweep(Project(Path(folder)), 2, slurm="hold = true")
        project.resweep("stop", "rnn").ok()
        start(project).ok()
        (job,) = jobs(project)
        done = as_nobody(project, "stop", "rnn")
        assert done.status == 1, done
        assert f"job {job.id} is root's, who can stop it" in done.err
        assert alive(slurm, job.id) == 2
        project.resweep("stop", "rnn").ok()
        assert slurm.queue() == []


def test_a_job_that_is_being_preempted_still_holds_its_node(
    slurm: Cluster, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its trial is not started a second time while squeue calls its state PREEMPTING."""
    sweep(project, 1, on_slurm.WAIT)
    start(project).ok()
    started(project, 0)
    place = elsewhere(project, 1)
    text = "set -o pipefail; REAL \"$@\" | sed 's/RUNNING/PREEMPTING/'"
    monkeypatch.setenv("PATH", path_with(tmp_path / "bin", squeue=text))
    assert "PREEMPTING" in subprocess.run(["squeue", "-o", "%T"], capture_output=True, text=True, check=True).stdout
    assert claims.begin(place, places.read_manifest(place.capsule))[0] == "running"
    go(project)
