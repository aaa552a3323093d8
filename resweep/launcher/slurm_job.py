"""What Slurm says of a job: of the one that this process runs in, and of that of an attempt elsewhere."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from typing import NamedTuple

from . import places, processes, storage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .storage import Record

GRACE_SECONDS = 10.0  # between TERM and KILL, where neither [run] grace nor a Slurm says another
MARGIN_SECONDS = 2.0  # before the KILL of Slurm: the end of the attempt is recorded in it
ASK_SECONDS = 10.0  # for a command of Slurm's to answer
TURN, TURNS = 0.02, 200  # seconds between two jobs that ask Slurm what ended them, and how many wait for their turn
KILL_WAIT = "RESWEEP_KILL_WAIT"  # of the site: seconds between TERM and KILL, when Slurm ends a job
GRACE_TIME = "RESWEEP_GRACE_TIME"  # of the job's partition: seconds between a preemption's notice and its TERM
ENDED_BY = "ended_by"  # in a record's `slurm`: what Slurm did to the job of an attempt that was stopped
SLURM_ID = re.compile(r"SLURM_(ARRAY_JOB_ID|ARRAY_TASK_ID|CLUSTER_NAME|JOB_ID|JOB_PARTITION|NODELIST|RESTART_COUNT)$")


class Grace(NamedTuple):
    """Seconds between TERM and KILL."""

    usual: float
    by_slurm: float  # when Slurm ends the job: it kills the launcher, too, and that has to record the end before
    noticed: float  # after a preemption's notice to a job step


def grace(capsule: str, on_slurm: bool | None = None) -> Grace:
    """How long the training of a capsule may take to end: `[run] grace` of its sweep, else what the site allows.

    `on_slurm` says whether it runs in a job; by default whether this process does.
    """
    own = storage.read_json(os.path.join(capsule, "..", "..", places.RUN_OPTIONS)).get("grace")
    on_slurm = "SLURM_JOB_ID" in os.environ if on_slurm is None else on_slurm
    wait, notice = _site_grace() if on_slurm else (None, 0.0)
    if wait is None:
        usual = own or GRACE_SECONDS
        return Grace(usual, usual, usual)
    latest = wait - min(MARGIN_SECONDS, wait / 4)
    return Grace(own or max(wait, notice), min(own or latest, latest), min(own or latest + notice, latest + notice))


def site_grace(kill_wait: float | None, grace_time: float | None) -> dict[str, str]:
    """The variables that tell a launcher what a submission has noted of the site, so that it need not ask Slurm."""
    return {KILL_WAIT: str(kill_wait), GRACE_TIME: str(grace_time or 0.0)} if kill_wait else {}


def _site_grace() -> tuple[float | None, float]:
    """The site's KillWait and the partition's GraceTime, as the submission noted them; else Slurm is asked."""
    noted = os.environ.get(KILL_WAIT)
    if noted:
        return float(noted), float(os.environ.get(GRACE_TIME) or 0)
    found = re.search(r"^KillWait\s*=\s*(\d+)", slurm("scontrol", "show", "config")[1], re.MULTILINE)
    return (float(found[1]) if found else None), 0.0


# Slurm's states of a job that has not ended, and with the last one those in which it holds its node.
_RUNS = ("RUNNING", "SUSPENDED", "CONFIGURING", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING", "PREEMPTING")
_HOLDS = (*_RUNS, "COMPLETING")
# Those of one that Slurm does not hear from any more, or starts again: its processes may live on such a node.
_GIVEN_UP = ("NODE_FAIL", "PENDING")


def word_of_slurm(record: Record) -> str:
    """What Slurm says of the job of an attempt on another host: "over", "given up", or "" where it may well run.

    One that is given up may run all the same: a node that does not answer is down for Slurm, and the job is
    started again elsewhere.
    """
    ids = record.get("slurm") or {}
    job, cluster = ids.get("SLURM_JOB_ID"), ids.get("SLURM_CLUSTER_NAME")
    if not job or processes.of_this_boot(record):
        return ""
    if cluster and (os.environ.get("SLURM_CLUSTER_NAME") or _cluster()) != cluster:  # whose ids mean other jobs here
        return ""
    if job == os.environ.get("SLURM_JOB_ID"):
        return "given up" if restarts(ids) < restarts(os.environ) else ""
    code, said = slurm("squeue", "-h", "--states=all", "--jobs=" + job, "-o", "%A %T")
    if code:
        return "given up" if "Invalid job id" in said else ""
    # the id of an array's last task is that of the whole array
    states = [line.split()[1] for line in said.splitlines() if line.split()[:1] == [job]]
    if any(state in _HOLDS for state in states):
        return ""
    return "over" if states and not any(state in _GIVEN_UP for state in states) else "given up"


def ended_on_slurm(record: Record) -> bool:
    """Whether Slurm says that the job of an attempt on another host is over: a node that failed gives no other sign."""
    return bool(word_of_slurm(record))


def _cluster() -> str:
    """The cluster that Slurm's commands ask, where there is one that answers."""
    code, said = slurm("scontrol", "show", "config")
    name = re.search(r"^ClusterName\s*= *(\S+)", said, re.MULTILINE)
    return name[1] if name and not code else ""


def restarts(ids: Any) -> int:
    """How often Slurm has started a job again, as an attempt's record or the environment says."""
    return int(ids.get("SLURM_RESTART_COUNT") or 0)


def own_job(seconds: float = ASK_SECONDS) -> dict[str, str]:
    """What Slurm says of the job that this process runs in, by scontrol's names; nothing where it does not answer."""
    job = os.environ.get("SLURM_JOB_ID")
    code, said = slurm("scontrol", "-o", "show", "job", job, seconds=seconds) if job else (127, "")
    # the id of an array's last task is that of the whole array
    own = next((line for line in said.splitlines() if line.startswith("JobId=%s " % job)), "")
    return {} if code else dict(re.findall(r"(\w+)=(\S+)", own))


def started_again(job: dict[str, str]) -> bool:
    """Whether Slurm starts the job again that this process runs in, as `own_job` has told, or has done so already."""
    return int(job.get("Restarts", 0)) > restarts(os.environ)


def runs_on(job: dict[str, str]) -> bool:
    """Whether the job that this process runs in has not ended for Slurm, as far as `own_job` has told."""
    return job.get("JobState", "RUNNING") in _RUNS and not started_again(job)


def ended_by(job: dict[str, str]) -> str | None:
    """Why Slurm ends the job that this process runs in, which `own_job` has told; None when it does not."""
    state = job.get("JobState", "")
    if state == "PREEMPTED" or job.get("PreemptTime", "None") != "None":  # it may still run, for its grace time
        return "preemption"
    if runs_on(job):
        return None
    if state not in _RUNS and (job.get("Reason") == "TimeLimit" or state == "TIMEOUT"):
        return "time limit"
    if started_again(job):
        return "preemption" if _says_preempted(job["JobId"]) else "requeue"
    return "cancel"


def why_ended(signalled: float | None) -> str | None:
    """Why Slurm ends the job that this process runs in, which was `signalled` then; None when it does not."""
    if "SLURM_JOB_ID" not in os.environ:
        return None
    # what took its time to end has little left before it is killed
    time.sleep(max(0.0, turn() - (time.monotonic() - signalled if signalled else 0.0)))
    return ended_by(own_job())


def turn() -> float:
    """Seconds from a signal until this job's turn to ask Slurm: those ended together do not all ask at once."""
    number = int(os.environ.get("SLURM_ARRAY_TASK_ID") or os.environ["SLURM_JOB_ID"])
    # where a site kills soon after TERM, there is less to wait in
    return min(number % TURNS * TURN, float(os.environ.get(KILL_WAIT) or 30) / 4)


def _says_preempted(job: str) -> bool:
    """Whether Slurm has written into what the job prints that it was preempted: once requeued, nothing else tells."""
    try:
        with open("/proc/self/fd/2", "rb") as file:
            if not os.path.isfile("/proc/self/fd/2"):  # a terminal, a pipe
                return False
            file.seek(max(0, os.fstat(file.fileno()).st_size - 65536))
            said = re.findall(
                r"\*\*\* JOB (\S+) ON \S+ CANCELLED AT \S+ DUE TO (.*?) \*\*\*", file.read().decode("latin-1")
            )
    except OSError:
        return False
    return bool(said) and said[-1] == (job, "PREEMPTION")


def slurm(*command: str, seconds: float = ASK_SECONDS) -> tuple[int, str]:
    """The exit status of a command of Slurm's, and what it said; 127 where there is none that answers."""
    try:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError:
        return 127, ""
    assert child.stdout
    with child.stdout:
        try:
            said, _ = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:  # a site's wrapper, perhaps, whose child would live on
            processes.kill(child.pid, signal.SIGKILL)
            child.wait()
            return 127, ""
    return child.returncode, said.decode(errors="replace")
