"""Many attempts, here: several at a time, each through the launcher, in a process of its own that keeps its own record.

Any number of runners may drain one sweep together, on one machine or on several that share its files: who makes the
directory of an attempt runs it. Nothing here is remembered that the records do not say, so a runner can be killed and
started again at any time.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from resweep.errors import counted
from resweep.index import Entry
from resweep.launcher import claims, places, processes, slurm_job, slurm_task, storage, trial_state
from resweep.launcher.places import Place
from resweep.launcher.signals import Signals
from resweep.launcher.storage import AttemptError, Record
from resweep.layout import SweepPaths
from resweep.run import gpus, status
from resweep.run.gpus import Card, Pool
from resweep.run.registry import registered
from resweep.run.run_options import Options, Outcome, Running, Supply
from resweep.run.status import Status
from resweep.run.worker import Environment, Worker
from resweep.sweep import slurm_table

TICK = 0.5  # seconds between two looks at what has no signal: cards, trials that run elsewhere, the view
ELSEWHERE = 1.0  # seconds between two looks at a trial that another process runs


class Watcher(Protocol):
    """Whoever is told what happens: the command line."""

    def ended(self, outcome: Outcome) -> None:
        """A trial's last attempt has ended, here or elsewhere."""

    def tick(self, runner: Runner) -> None:
        """Some time has passed."""

    def told(self, message: str) -> None:
        """Something that a person should know."""


class Runner:
    """Runs the trials of one sweep that have not finished. `run` returns when there is nothing left to do here."""

    def __init__(
        self,
        paths: SweepPaths,
        entries: Sequence[Entry],
        options: Options,
        watcher: Watcher,
        supply: Supply | None = None,
    ) -> None:
        self.paths = paths
        self.supply = supply
        self.options = options
        self.watcher = watcher
        self.queue = deque(entries)
        self.running: dict[int, Running] = {}  # by the descriptor that tells of the end
        self.elsewhere: dict[Entry, float] = {}  # trial -> when to look again
        self.outcomes: dict[Entry, Outcome] = {}
        self.started = 0
        self.interrupts = 0
        self.canary = options.canary  # still to sing
        self.canary_failed = False
        self.warned = False  # its job ends soon
        self._requeue = False
        self._left = False  # its job goes on on another node
        self._obeyed = 0  # of the interrupts
        self._to_pass: deque[int] = deque()  # signals for the trials
        self._pool = Pool(options.gpus) if options.gpus else None
        self._idle: list[Worker] = []
        self._busy_cards: frozenset[str] = frozenset()
        self._began = 0.0
        self._next_look = 0.0

    @property
    def left(self) -> int:
        """How many trials have neither ended nor been given up."""
        return len(self.queue) + len(self.running) + len(self.elsewhere)

    def run(self) -> list[Outcome]:
        """Run everything, and return how each trial ended, in the order in which they did."""
        with registered(self.paths) as began, Signals(self.interrupt) as signals:
            self._began = began
            gc.collect()
            gc.freeze()  # a forked launcher would otherwise copy every page that its collector looks at
            try:
                self._drain(signals)
            except OSError:  # nobody reads what we say: a terminal that was closed, after its HUP
                if self.interrupts > 1:
                    self._terminate()
                raise
            for worker in self._idle:
                worker.close()
            refused = slurm_task.requeue(self.interrupts > 0) if self._requeue else ""
        if self._requeue and refused:
            self.watcher.told(f"a trial asked to be run again, and the job is not requeued: {refused}")
        elif self._requeue:
            self.watcher.told("a trial asked to be run again; the job is requeued")
            if not self.interrupts:
                slurm_task.await_end()
        return list(self.outcomes.values())

    def _drain(self, signals: Signals) -> None:
        while True:
            self._start()
            self._look_elsewhere()
            self._obey()
            if not self.running and (self._stops or not (self.queue or self._more or self._waits())):
                return
            self._prune()
            self.watcher.tick(self)
            self._collect(signals.wait(self.running, TICK))

    # --- starting -------------------------------------------------------------------------------------------------

    @property
    def _stops(self) -> bool:
        """Whether no further trial is to be started."""
        exhausted = 0 < self.options.max_trials <= self.started
        return self.interrupts > 0 or self.warned or self.canary_failed or self._left or exhausted

    @property
    def _more(self) -> bool:
        return self.supply is not None and self.supply.open

    def _waits(self) -> bool:
        """Whether what others run is waited for, or has just been left to us."""
        if self.options.job is None or not self.elsewhere:
            return bool(self.elsewhere)
        self.elsewhere = dict.fromkeys(self.elsewhere, 0.0)  # a job does not hold its node for them: a last look
        self._look_elsewhere()
        return bool(self.queue)

    def _asked(self) -> bool:
        """Whether there is a trial to start; a supply is asked for one when the queue is empty."""
        if not self.queue and self.supply is not None:
            entry = self.supply.next()
            if entry is not None:
                self.queue.append(entry)
        return bool(self.queue)

    def _start(self) -> None:
        while len(self.running) < (1 if self.canary else self.options.jobs) and not self._stops and not self._leaves():
            if (self._pool is not None and time.monotonic() < self._next_look) or not self._asked():
                return
            entry = self.queue[0]
            place = self.paths.place(entry.name)
            number = place.last() + 1  # before we look: an attempt that another starts meanwhile is not repeated
            if self._settled(entry, place):
                self.queue.popleft()
                continue
            cards = self._take_cards()
            if cards is None:
                self._next_look = time.monotonic() + TICK
                return
            self.queue.popleft()
            try:
                manifest = places.read_manifest(place.capsule)
                described = tuple(gpus.described(cards))
                state, record = claims.begin(place, manifest, number, described, pruned=True)  # so it was settled
            except (AttemptError, OSError) as error:
                self._give_back(cards)
                outcome = Outcome(Status(entry, "failed", {}, Path(place.attempts)), str(error))
                self._heed_canary(outcome)
                self._end(outcome)
                continue
            if state != "claimed":
                self._give_back(cards)
                if state == "running":
                    self.elsewhere[entry] = time.monotonic() + ELSEWHERE
                else:
                    self._settled(entry, place)
                continue
            self._launch(entry, place, record, cards)

    def _leaves(self) -> bool:
        """Whether this job is to go on on another node, since this one fails what it is given."""
        node = self.options.job.node if self.options.job else None
        if node is None or self.running or not (why := node.bad()):
            return False
        self.watcher.told(f"no other trial is run here: {why}; leave_node_after = {node.after}")
        refused = node.leave()
        if refused:
            self.watcher.told(f"goes on all the same: Slurm does not requeue the job ({refused})")
            node.after = 0
        self._left = not refused
        return self._left

    def _settled(self, entry: Entry, place: Place) -> bool:
        """Whether there is nothing to start for this trial, now that it is its turn; remembers why."""
        now, record = trial_state.state(place)
        if now == "queued":
            return False
        if now == "finished":
            claims.settle(place)
            self._end(Outcome(status.status(self.paths, entry), "finished already", here=False), quietly=True)
            return True
        if now == "running":
            if trial_state.gone(place, record):
                return False
            self.elsewhere[entry] = time.monotonic() + ELSEWHERE
            return True
        if now == "pruned" and (self.options.pruned or (self.supply and self.supply.again(record.get("pruned") or {}))):
            return False
        if now == "pruned":
            self._end(Outcome(status.status(self.paths, entry), "pruned already", here=False), quietly=True)
            return True
        job = self.options.job
        if job is not None:
            retry = slurm_task.wanted(place, now, record, job.since, job.max_requeues)
        else:
            retry = now != "failed" or self._may_retry(place, record)
        if not retry:
            self._end(Outcome(status.status(self.paths, entry), now, here=False))
            return True
        return False

    def _may_retry(self, place: Place, record: Record) -> bool:
        """Whether a trial whose last attempt failed is run again by this runner."""
        if self.options.max_attempts:
            return failed_attempts(place) < self.options.max_attempts
        # once in each run: another runner's try since we began is ours, too
        path = os.path.join(place.attempt(record["attempt"]), places.RECORD)
        return os.stat(path).st_mtime < self._began

    def _take_cards(self) -> list[Card] | None:
        if self._pool is None:
            return []
        taken = self._pool.take()
        busy = frozenset(self._pool.left_alone)
        if busy - self._busy_cards:
            shown = ", ".join(self._pool.left_alone[uuid].described() for uuid in sorted(busy))
            self.watcher.told(f"left to others: {shown}")
        self._busy_cards = busy
        return taken

    def _give_back(self, cards: list[Card]) -> None:
        if self._pool is not None and cards:
            self._pool.give_back(cards, os.getpid())

    def _launch(self, entry: Entry, place: Place, record: Record, cards: list[Card]) -> None:
        """Let a worker conduct the attempt that was claimed."""
        worker = self._idle.pop() if self._idle else self._new_worker()
        if self._pool is not None and cards:
            self._pool.hand_over(cards, worker.pid)
        script = self.options.job.script if self.options.job else None
        worker.conduct(place.capsule, record, self._environment(cards), script)
        self.started += 1
        if self.options.job and self.options.job.node:
            self.options.job.node.began(str(entry.name))
        self.running[worker.output] = Running(entry, place, record["attempt"], worker, cards)

    def _new_worker(self) -> Worker:
        workers = [*self._idle, *(running.worker for running in self.running.values())]
        return Worker([descriptor for worker in workers for descriptor in worker.descriptors])

    def _environment(self, cards: list[Card]) -> Environment:
        job = self.options.job
        site: Environment = {**slurm_job.site_grace(job.kill_wait, job.grace_time)} if job else {}
        if cards:
            return {**site, **gpus.environment(cards)}
        return {**site, gpus.VISIBLE: ""} if self.options.hide_gpus else site

    def _prune(self) -> None:
        """Stop the trials that do badly, each after a note of why."""
        if self.supply is None or not self.running or self.interrupts > 1:
            return
        for running, why in self.supply.watch(self.running.values()):
            if not _is_over(running):
                directory = running.place.attempt(running.number)
                storage.write_json(os.path.join(directory, places.PRUNE), why)
                os.kill(running.worker.pid, signal.SIGTERM)

    # --- ending ---------------------------------------------------------------------------------------------------

    def _collect(self, ended: Iterable[int]) -> None:
        """Take note of every attempt that has ended."""
        for descriptor in ended:
            running = self.running.pop(descriptor)
            said = running.worker.result()
            if said is None:
                running.worker.close()
                self._disown(running)
            else:
                self._idle.append(running.worker)
            now = status.status(self.paths, running.entry)
            if self.options.job and self.options.job.node:
                self.options.job.node.ended(str(running.entry.name), running.number - 1, 0)
            if self._pool is not None and running.cards:
                if said is None and now.state == "running":  # its training uses them
                    self._pool.leave(running.cards, running.worker.pid, now.record["group"])
                else:
                    self._pool.give_back(running.cards, running.worker.pid)
            if said is not None and now.state == "running":
                # it could not record the end: a launcher that lives on would make the trial look as if it ran
                self._idle.pop().close()
                now = status.status(self.paths, running.entry)
                self._end(Outcome(now, said.partition(": ")[2] or said))
                continue
            if now.state == "running":  # the worker was killed, and the training lives on
                self.elsewhere[running.entry] = time.monotonic() + ELSEWHERE
                continue
            self._ended(Outcome(now, (said or f"{now.state}: its launcher was killed").partition(": ")[2]))

    def _disown(self, running: Running) -> None:
        """Take our own name off an attempt whose worker died before it put its name there: we live, it does not."""
        heartbeat = os.path.join(running.place.attempt(running.number), places.HEARTBEAT)
        _, record = trial_state.state(running.place)
        if record.get("attempt") == running.number and record["pid"] == os.getpid():
            processes.note_processes(heartbeat, {**record, "pid": running.worker.pid, "pid_start": None})

    def _look_elsewhere(self) -> None:
        """Look at the trials that other processes run: they are waited for, and taken over when they are lost."""
        for entry, when in list(self.elsewhere.items()):
            if when > time.monotonic():
                continue
            now = status.status(self.paths, entry)
            if now.state == "running":
                self.elsewhere[entry] = time.monotonic() + ELSEWHERE
                continue
            del self.elsewhere[entry]
            place, job = self.paths.place(entry.name), self.options.job
            if job is not None:
                again = slurm_task.wanted(place, now.state, now.record, job.since, job.max_requeues)
            else:
                again = now.state in ("lost", "queued")
            if again:
                self.queue.append(entry)
            else:
                self._ended(Outcome(now, f"{now.state}, run by another process", here=False))

    def _ended(self, outcome: Outcome) -> None:
        """An attempt has ended: perhaps the trial gets another."""
        place = self.paths.place(outcome.entry.name)
        retry = outcome.status.state == "lost" or (
            outcome.status.state == "failed" and failed_attempts(place) < self.options.max_attempts
        )
        if self._asks_again(outcome, place):
            return
        if not retry:
            self._heed_canary(outcome)
        if retry and not self._stops:
            self.watcher.told(f"{outcome.entry.name}: {outcome.said}; another attempt follows")
            self.queue.append(outcome.entry)
            return
        self._end(outcome)

    def _asks_again(self, outcome: Outcome, place: Place) -> bool:
        """Whether a training has saved a checkpoint and goes on with it, now or in the next life of our job."""
        record, job = outcome.status.record, self.options.job
        if not outcome.here or not slurm_task.asks_again(record):
            return False
        if (self.interrupts and not job) or slurm_task.asked(place) > (
            job.max_requeues if job else slurm_table.MAX_REQUEUES
        ):
            return False
        if self.warned or self.interrupts:  # of a job whose end is near, or has come
            self._requeue = True
            return False
        self.watcher.told(f"{outcome.entry.name}: asked to be run again; goes on with what it has saved")
        self.started -= 1
        self.queue.appendleft(outcome.entry)
        return True

    def _heed_canary(self, outcome: Outcome) -> None:
        """The first trial of this runner has ended: when it did not finish, no other is started."""
        if self.canary and outcome.here:
            self.canary = False
            if not outcome.finished:
                self.canary_failed = True
                self.watcher.told("the canary did not finish; no other trial is started")

    def _end(self, outcome: Outcome, quietly: bool = False) -> None:
        self.outcomes[outcome.entry] = outcome
        if self.supply is not None:
            self.supply.ended(outcome, self.interrupts > 0 or self.warned)
        if not quietly:
            self.watcher.ended(outcome)

    def interrupt(self, number: int) -> None:
        """Ctrl-C: the first stops starting, the second stops the trials; TERM and HUP are both at once.

        USR1 and USR2 are for trainings that listen. In a job of Slurm's they say that its time is nearly over, and HUP
        stops its trial alone. Called in the midst of anything: what there is to do, `_obey` does when its turn comes.
        """
        if number in Signals.PASSED:
            self._to_pass.append(number)
        elif number == signal.SIGHUP and self.options.job is not None:
            self._to_pass.append(signal.SIGTERM)
        else:
            self.interrupts += 1 if number == signal.SIGINT else 2

    def _obey(self) -> None:
        """Do what people, or Slurm, asked for since the last look."""
        while self._to_pass:
            self._pass_on(self._to_pass.popleft())
        if self.interrupts == self._obeyed:
            return
        self._obeyed = self.interrupts
        if self._obeyed == 1:
            self.watcher.told(
                f"interrupted: starts no other trial, waits for {len(self.running)}; once more stops them"
            )
            return
        if self.running:
            seconds = slurm_job.grace(next(iter(self.running.values())).place.capsule).usual
            self._terminate()
            self.watcher.told(f"stops {counted(len(self.running), 'trial')}, within {seconds:g} s")

    def _pass_on(self, number: int) -> None:
        """Signal the launchers of the trials that run, which know who is meant."""
        if number in Signals.PASSED and self.options.job is not None and not self.warned:
            self.warned = True
            self.watcher.told("the time of this job is nearly over; starts no other trial")
        for running in self.running.values():
            if not _is_over(running):
                os.kill(running.worker.pid, number)

    def _terminate(self) -> None:
        for running in self.running.values():
            os.kill(running.worker.pid, signal.SIGTERM)


def _is_over(running: Running) -> bool:
    """Whether its attempt has ended just now: a signal would be for the worker's next one."""
    return bool(select.select([running.worker.output], [], [], 0)[0])


def failed_attempts(place: Place) -> int:
    """How many attempts of a trial have failed."""
    records = (storage.read_json(os.path.join(place.attempt(n), places.RECORD)) for n in range(1, place.last() + 1))
    return sum(record.get("state") == "failed" for record in records)
