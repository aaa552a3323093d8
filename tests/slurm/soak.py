"""Faults at random on a real Slurm of four nodes: `python tests/slurm/soak.py [MINUTES] [SEED]`. Needs root and Slurm.

Tasks, launchers and trainings are killed, nodes die or freeze, the controller goes away, jobs are requeued, held,
suspended and cancelled, and `submit`, `stop` and `status` are called, also by an sbatch that submits and then fails.
Beside that sweep run another one, which nobody disturbs but the controller's absence, and jobs of a stranger.

At the end every fault is taken back, and the sweep submitted until it is finished. Then it must hold that each trial
has finished once, that no two of its trainings ever ran at a time, and that nothing was cancelled or begun again in the
other sweep or among the stranger's jobs. Exit status 1 says that something did not.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import running
from faulty import path_with
from on_slurm import Cluster, sweep, until
from small_project import Project

PER_MINUTE = 18  # trials for each minute of faults
STEPS = 60  # of each training, two a second
PARALLEL = 12
CALM, STRANGERS = 40, 6  # trials of the other sweep, two at a time; jobs of the stranger
QUIET_NODE = "node4"  # where the other sweep and the stranger's jobs run: it never dies, freezes or is emptied
PAUSES = (1.0, 6.0)  # seconds between two faults
ROUNDS = 60  # submissions at the end, until all has finished

# A training of some seconds that saves a step each, goes on with what it has, and holds a lock: no other has the trial.
TRAIN = """\
import fcntl, os, pathlib, signal, sys, time
out, root, n, steps = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
def note(word):
    with open(root / "journal", "a") as file:
        file.write(f"{time.time():.1f} {n} {os.environ['RESWEEP_ATTEMPT']} {word}\\n")
lock = open(root / f"lock-{n}", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    note("DOUBLED")
def save(number, frame):
    note("saved")
    os._exit(85)
signal.signal(signal.SIGUSR1, save)
out.mkdir(exist_ok=True)
file = out / "steps"
done = len(file.read_text()) if file.exists() else 0
note(f"begins {done}")
for step in range(done, steps):
    time.sleep(0.5)
    with open(file, "a") as saved:
        saved.write(".")
(out / "metrics.json").write_text('{"best_validation_accuracy": 0.5}')
note("ends")
"""
# sbatch that submits, and then fails, says nothing useful, or is slow; REAL is Slurm's own
BAD_SBATCH = {
    "fails after submitting": 'REAL "$@" >/dev/null; echo "sbatch: error: Socket timed out on send/recv" >&2; exit 1',
    "prints a warning": 'echo "WARNING: the site closes at six"; REAL "$@"',
    "is killed after submitting": 'REAL "$@" >/dev/null; kill -KILL $$',
    "fails before submitting": 'echo "sbatch: error: Batch job submission failed: Unspecified error" >&2; exit 1',
    "is slow": 'sleep 3; exec REAL "$@"',
}


class Soak:
    """The cluster, the sweep that suffers, the calm one, and what happens to them."""

    def __init__(self, cluster: Cluster, home: Path, seed: int, trials: int) -> None:
        self.cluster = cluster
        self.home = home
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        os.environ.update(cluster.environment, XDG_CONFIG_HOME=str(home / "none"), XDG_CONFIG_DIRS=str(home / "none"))
        train = 'root=$(cd "$root" && pwd); cd "$1"; exec python qb/saves.py "$out" "$root" "$n" '
        self.project, self.calm = (Project(self._folder(name)) for name in ("suffers", "calm"))
        self.trials = trials
        for project, count, own in (
            (self.project, trials, f"parallel = {PARALLEL}"),
            (self.calm, CALM, f'parallel = 2\nnodelist = "{QUIET_NODE}"\nno-requeue = true'),
        ):
            project.write({"qb/saves.py": TRAIN})
            options = f'mem = "50M"\ncpus-per-task = 1\nleave_node_after = 0\n{own}'
            sweep(project, count, train + f"{STEPS}\n", slurm=options, settings='[run]\non_retry = "resume"\n')
        self.dead: set[str] = set()
        self.frozen: set[str] = set()
        self.suspended: set[str] = set()
        self.strangers: list[str] = []
        self.away = False

    def _folder(self, name: str) -> Path:
        path = self.home / name
        path.mkdir()
        return path

    # -- what happens

    def faults(self) -> list[Callable[[], str]]:
        """All kinds, the frequent ones more than once."""
        kills = [self.kill_task, self.kill_launcher, self.kill_training]
        slurms = [self.requeue, self.hold, self.suspend, self.cancel, self.warn]
        nodes = [self.kill_node, self.start_node, self.start_node, self.freeze_node, self.thaw_node, self.thaw_node]
        people = [self.submit, self.submit, self.submit, self.bad_submit, self.bad_submit, self.stop, self.status]
        return [*kills, *kills, *slurms, *nodes, *people, self.controller_goes, self.stranger]

    def step(self) -> None:
        """One fault."""
        fault = self.random.choice(self.faults())
        try:
            what = fault()
        except (AssertionError, subprocess.TimeoutExpired) as error:
            # Slurm said no, or nothing: the job ended meanwhile, its node does not answer, or the controller is away
            what = f"{fault.__name__}: {' '.join(str(error).split())[:100]}"
        self.counts[fault.__name__] += 1
        if what:
            print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)

    def kill_task(self) -> str:
        """SIGKILL to a task, which Slurm then calls failed."""
        return self._kill("attempt.py task")

    def kill_launcher(self) -> str:
        """SIGKILL to a launcher."""
        return self._kill("attempt.py run")

    def kill_training(self) -> str:
        """SIGKILL to a training."""
        return self._kill("qb/saves.py")

    def _kill(self, word: str) -> str:
        found = [pid for pid, command in self._processes() if word in command]
        if not found:
            return ""
        pid = self.random.choice(found)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return ""
        return f"kill {word} {pid}"

    def _processes(self) -> list[tuple[int, str]]:
        """Those that belong to the sweep that suffers."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                command = Path("/proc", name, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.project.root) in command and int(name) != os.getpid():
                found.append((int(name), command))
        return sorted(found)

    def _task(self, *states: str) -> str:
        """A task of the sweep that suffers, in one of these states; "" where there is none."""
        lines = self.cluster.ask("squeue", "-h", "-r", "-o", "%i %T %Z").splitlines()
        found = [each[0] for each in map(str.split, lines) if each[1] in states and each[2] == str(self.project.root)]
        return self.random.choice(found) if found else ""

    def _asked(self, states: tuple[str, ...], *command: str) -> str:
        task = self._task(*states)
        if not task:
            return ""
        self.cluster.ask(*command, task)
        return " ".join([*command, task])

    def requeue(self) -> str:
        """As an administrator would."""
        return self._asked(("RUNNING",), "scontrol", "requeue")

    def cancel(self) -> str:
        """As a person would, past resweep."""
        return self._asked(("RUNNING", "PENDING"), "scancel")

    def warn(self) -> str:
        """The signal before a time limit: the training saves, and asks to be run again."""
        return self._asked(("RUNNING",), "scancel", "--batch", "--signal=USR1")

    def hold(self) -> str:
        """Some seconds later it is released."""
        return self._asked(("PENDING",), "scontrol", "hold")

    def suspend(self) -> str:
        """Until the end, or until the next call."""
        for task in sorted(self.suspended):
            self.suspended.discard(task)
            self.cluster.ask("scontrol", "resume", task)
            return f"resume {task}"
        if self.frozen:  # a job that stands still on a node that is taken for dead gives no sign of life
            return ""
        said = self._asked(("RUNNING",), "scontrol", "suspend")
        self.suspended |= {said.split()[-1]} if said else set()
        return said

    def _node(self) -> str:
        left = [node for node in ("node1", "node2", "node3") if node not in self.dead | self.frozen]
        return self.random.choice(left) if len(left) > 1 else ""  # one is to stay

    def kill_node(self) -> str:
        """It loses its power."""
        node = self._node()
        if node:
            self.cluster.do("killnode", node)
            self.dead.add(node)
        return f"{node} dies" if node else ""

    def start_node(self) -> str:
        """It comes back."""
        for node in sorted(self.dead):
            self.cluster.do("startnode", node)
            self.dead.discard(node)
            return f"{node} starts"
        return ""

    def freeze_node(self) -> str:
        """It does not answer, and its trainings run on."""
        node = self._node()
        if node and not self.suspended:
            self.cluster.do("freezenode", node)
            self.frozen.add(node)
        return f"{node} freezes" if node else ""

    def thaw_node(self) -> str:
        """It answers again."""
        for node in sorted(self.frozen):
            self.cluster.do("thawnode", node)
            self.frozen.discard(node)
            return f"{node} thaws"
        return ""

    def controller_goes(self) -> str:
        """For some seconds."""
        self.cluster.do("stopcontroller")
        seconds = self.random.uniform(2, 15)
        end = time.monotonic() + seconds
        said = self.random.choice([self.status, self.submit, self.stop])()
        time.sleep(max(0.0, end - time.monotonic()))
        self.cluster.do("startcontroller")
        return f"the controller was away for {seconds:.0f} s; {said}"

    def stranger(self) -> str:
        """A job of somebody else, beside the calm sweep."""
        if len(self.strangers) < STRANGERS:
            words = ("-p", "cpu", "-w", QUIET_NODE, "--mem=20M", "--no-requeue", "-o", "/dev/null")
            done = f"touch {self.home}/stranger-{len(self.strangers)}"
            self.cluster.ask("sbatch", "--parsable", *words, "--wrap", f"sleep 60; {done}")
            self.strangers.append(done.split()[-1])
        return f"{len(self.strangers)} jobs of a stranger"

    def submit(self) -> str:
        """`resweep submit`, to every node but the quiet one."""
        return self._resweep("submit", "rnn", f"--exclude={QUIET_NODE}")

    def bad_submit(self) -> str:
        """`resweep submit` with an sbatch of a bad day."""
        how = self.random.choice(list(BAD_SBATCH))
        folder = self.home / "bin"
        shutil.rmtree(folder, ignore_errors=True)
        path = path_with(folder, sbatch=BAD_SBATCH[how])
        return f"sbatch {how}: " + self._resweep("submit", "rnn", f"--exclude={QUIET_NODE}", PATH=path)

    def stop(self) -> str:
        """`resweep stop` of one trial, or of all."""
        number = self.random.randrange(self.trials) + 1
        return self._resweep("stop", "rnn" if self.random.random() < 0.1 else f"rnn#{number}")

    def status(self) -> str:
        """`resweep status`."""
        return self._resweep("status", "rnn")

    def _resweep(self, *words: str, **environment: str) -> str:
        done = self.project.shell(f"{sys.executable} -m resweep {' '.join(map(repr, words))}", **environment)
        text = " ".join((done.out + done.err).split())
        if "Traceback" in done.err:
            self.counts["TRACEBACKS"] += 1
            print(done.err, flush=True)
        return f"{' '.join(words)} -> {done.status}: {text[:200]}"

    # -- the end

    def mend(self) -> None:
        """Take every fault back."""
        while self.dead:
            self.start_node()
        while self.frozen:
            self.thaw_node()
        for node in ("node1", "node2", "node3"):
            until(lambda node=node: self._takes_jobs(node), 120, lambda: self.cluster.ask("sinfo", "-N"))
        for task in self.suspended:
            self._tolerated("scontrol", "resume", task)
        self._tolerated("bash", "-c", "squeue -h -r -t pending -o %i | xargs -r -n 1 scontrol release")

    def _takes_jobs(self, node: str) -> bool:
        state = self.cluster.ask("sinfo", "-h", "-n", node, "-p", "cpu", "-o", "%T").strip()
        if state.startswith(("down", "drain")):
            self._tolerated("scontrol", "update", f"nodename={node}", "state=resume")
        return state in ("idle", "mixed", "allocated", "completing")

    def _tolerated(self, *command: str) -> None:
        try:
            self.cluster.ask(*command)
        except (AssertionError, subprocess.TimeoutExpired):
            self.counts["refused at the end"] += 1

    def finish(self) -> None:
        """Submit until every trial has finished."""
        for _ in range(ROUNDS):
            states = Counter(running.states(self.project))
            print(f"{time.strftime('%H:%M:%S')} {dict(states)}; {self.submit()}", flush=True)
            if set(states) == {"finished"}:
                return
            time.sleep(10)

    def verdict(self) -> list[str]:
        """What does not hold."""
        journal = [line.split() for line in running.lines(self.project, "journal")]
        wrong = [f"trial {int(line[1]) + 1} ran twice at a time: {line}" for line in journal if "DOUBLED" in line]
        states = Counter(running.states(self.project))
        wrong += [f"{count} trials are {state}" for state, count in states.items() if state != "finished"]
        for entry in self.project.entries():
            place = self.project.paths().place(entry.name)
            finished = [n for n in range(1, place.last() + 1) if self.project.record(entry, n)["state"] == "finished"]
            steps = [len(path.read_text()) for n in finished for path in [Path(place.attempt(n), "output", "steps")]]
            if len(finished) != 1 or steps != [STEPS]:
                wrong.append(
                    f"{entry.name}: finished in attempts {finished}, with {steps} steps, expected one with {STEPS}"
                )
        until(lambda: set(running.states(self.calm)) == {"finished"}, 1200, lambda: running.states(self.calm))
        if set(running.attempts(self.calm)) != {1}:
            wrong.append(f"the calm sweep was disturbed: attempts {running.attempts(self.calm)}")
        until(lambda: not self.cluster.queue(), 300, self.cluster.queue)
        wrong += [f"a stranger's job did not end: {name}" for name in self.strangers if not os.path.exists(name)]
        if self.counts["TRACEBACKS"]:
            wrong.append(f"{self.counts['TRACEBACKS']} tracebacks")
        return wrong


def main() -> int:
    """Faults for so many minutes; the exit status."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10_000)
    print(f"{minutes:g} minutes, seed {seed}", flush=True)
    cluster = Cluster(DBD=0, NODES=4, UTS=1, TIMEOUT=8, CPUS=16)
    home = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        cluster.do("start")
        soak = Soak(cluster, home, seed, max(PARALLEL, round(PER_MINUTE * minutes)))
        print(soak.calm.shell("resweep submit rnn", **cluster.environment).ok().out)
        print(soak.submit())
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            soak.step()
            time.sleep(soak.random.uniform(*PAUSES))
            if set(running.states(soak.project)) == {"finished"}:
                print("all have finished before the time was over", flush=True)
                break
        soak.mend()
        soak.finish()
        wrong = soak.verdict()
        attempts = running.attempts(soak.project)
        print(f"faults: {dict(soak.counts)}; {sum(attempts)} attempts of {len(attempts)} trials, most {max(attempts)}")
        print("\n".join(wrong) or "nothing lost, doubled, cancelled or begun again that should not be")
        if not wrong:
            shutil.rmtree(home)
        return bool(wrong)
    finally:
        cluster.do("clean")


if __name__ == "__main__":
    sys.exit(main())
