"""The loop: sample the tree, decide by the policy, act, write it down; until the tree has ended.

    Loop(tree, options, journal, waiter, notify, hooks).watch()

Who started the tree, and what is to happen when it ends, differs: run.py (our own child), foreign.py (a process that
somebody else has started), beside.py (the process that started us). Each hands in its own Hooks. Stopping a tree:

    freeze    SIGSTOP every process, measure exactly: resume if that is below the limit after all
    end       shutdown.py: evidence, last words, and nothing of the tree is left

Not here: the decisions (decide/policy.py), the measuring (measure/sampler.py), what holds the tree (tree.py), the words
that the user reads (report/run.py).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from memguard.system.limits import describe
from memguard.system.memory_lock import lock_memory
from memguard.system.proc import read_cmdline
from memguard.system.psi import read_pressure
from memguard.units import format_size
from memguard.watch import progress
from memguard.watch.agents.dead_workers import PoolWatch
from memguard.watch.agents.session import Session
from memguard.watch.decide import policy
from memguard.watch.decide.forecast_tracker import ForecastTracker
from memguard.watch.journal import Journal
from memguard.watch.notes import Notes
from memguard.watch.options import Options
from memguard.watch.progress import Progress
from memguard.watch.shutdown import Shutdown
from memguard.watch.tree import GuardedTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Any, Protocol

    class Waiter(Protocol):
        """The watcher's sleep, and what may wake it."""

        def sleep(self, until: float) -> bool:
            """Until `until` (time.monotonic); True, earlier, when the root may have ended."""

        def fetch(self) -> Iterable[tuple[int, bool]]:
            """The signals that have come: (number, whether the terminal or the kernel sent it)."""


__all__ = ["Hooks", "Loop"]

_SIGNALS_PERIOD = 0.05  # seconds between looks for signals
_SHOW_PERIOD = 0.25  # seconds between two drawings of the progress line


def _never(*_: object) -> bool:
    return False


class Hooks:
    """What differs between `run`, `watch` and guard().

    on_signal      (number, whether the terminal or the kernel sent it) -> True: the tree is left alone from now on
    is_quiet       True: this sample is passed over
    while_frozen   a context around the time for which the tree stands still
    spare          before a frozen tree is ended; True: it goes on
    """

    __slots__ = ("is_quiet", "on_signal", "spare", "while_frozen")

    def __init__(
        self,
        on_signal: Callable[[int, bool], bool],
        *,
        is_quiet: Callable[[policy.Sample], bool] = _never,
        while_frozen: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
        spare: Callable[[Shutdown, policy.Sample], bool] = _never,
    ) -> None:
        self.on_signal, self.is_quiet = on_signal, is_quiet
        self.while_frozen, self.spare = while_frozen, spare


class Loop:
    """One watched tree, from its start to its end."""

    def __init__(
        self,
        tree: GuardedTree,
        options: Options,
        journal: Journal,
        waiter: Waiter,
        notify: Callable[[str], None],
        hooks: Hooks,
    ) -> None:
        self.tree, self.options, self.journal = tree, options, journal
        self.reason: str | None = None  # why the guard ended it, once it has
        self.given_up = False  # the tree is left alone from now on
        self.lateness = 0.0  # seconds, at worst
        self.last: policy.Sample | None = None
        self._start = time.monotonic()
        self._waiter, self._notify, self._hooks = waiter, notify, hooks
        self.notes = Notes(journal, tree.sampler, self.now)
        self.session = Session(journal, self.now, options.outer)
        self._pool = PoolWatch(journal.directory.events, options.timing.pool_idle)
        self._tracker = ForecastTracker()
        self._progress = Progress(2) if options.progress else None
        self._shown_at = 0.0
        self._state = policy.State()
        self._loosened = False  # for a callback that is at work

    def now(self) -> float:
        """Seconds since the start of the run."""
        return time.monotonic() - self._start

    def watch(self) -> None:
        """Until the root of the tree has ended, by itself or by the guard."""
        try:
            self._watch()
        finally:
            if self._progress is not None:
                self._progress.clear()

    def _watch(self) -> None:
        lock_memory()
        due = fetched = self._start
        while not (self.tree.root.ended or self.reason or self.given_up):
            if self._waiter.sleep(due):
                self.tree.root.poll()
            now = time.monotonic()
            if now - fetched >= _SIGNALS_PERIOD:
                fetched = now
                for number, from_terminal in self._waiter.fetch():
                    self.given_up = self._hooks.on_signal(number, from_terminal) or self.given_up
            if now < due:
                continue
            self.lateness = max(self.lateness, now - due)
            sample = self.tree.sampler.tick(now - self._start)
            if sample is not None and not self.tree.root.poll() and not self._hooks.is_quiet(sample):
                self.consider(sample)
            due = time.monotonic() + self.tree.sampler.interval

    def consider(self, sample: policy.Sample) -> None:
        self.last = sample
        self.notes.sample(sample)
        self.session.listen()
        if self.session.all_answered and self._state.busy_until > sample.time:
            self._state = replace(self._state, busy_until=sample.time)  # done sooner than it might have taken
        sample = replace(sample, flush=self._flush())
        if not self._loosened:
            self.tree.follow(sample)
        sample = self._tracker.update(sample, self.tree.processes, self.notes.inputs)
        self._show(sample.time)
        sample = self._with_stall(sample)
        decision, self._state = policy.decide(self.options.policy, self._state, sample)
        if self.session.flush.pending and policy.FLUSH not in self._state.fired:
            self.session.flush.withdraw()
        if decision is not None:
            self._act(decision)
        elif self._pool.hung(sample.time, self.tree.processes, self._notify):
            self.notes.decision("abort", "a pool worker died", sample.binding, self._pool.reason)
            self.end("hang", sample)

    def _flush(self) -> policy.Flush:
        """How the callbacks stand. While one is at work, or the last one is waited for, neither limit of the
        kernel's holds the tree up; a callback that waits for ever is interrupted."""
        flush, processes = self.session.flush, self.tree.processes
        flush.forget(processes)
        for work in flush.blocked(self.now()):
            for process in processes:
                if process.pid == work.pid:
                    self.session.request(process, "interrupt", within=1.0)
        running = bool(flush.running)
        # What sleeps at the kernel's limit never comes to the checkpoint that it is waited for.
        loose = running or self._state.last_asked is not None
        if loose and not self._loosened:
            self.tree.loosen()
        self._loosened = loose
        return policy.Flush(flush.ready(processes), bool(flush.pending), running, flush.answers, flush.freed)

    def _with_stall(self, sample: policy.Sample) -> policy.Sample:
        """PSI is read only where it could matter: near the end of the machine's memory."""
        binding = sample.binding
        if binding is None or binding.name != "MemAvailable" or binding.fraction < self.options.policy.stalled_at:
            return sample
        pressure = read_pressure("/proc/pressure/memory")
        full = pressure.full.avg10 if pressure is not None and pressure.full is not None else 0.0
        self.notes.stall(full)
        return replace(sample, stalled=full / 100)

    def _act(self, decision: policy.Decision) -> None:
        if decision.action == policy.FREEZE:
            self._freeze(decision)
            return
        self.notes.decision(decision.action, decision.rule, decision.constraint, decision.reason)
        largest = sorted(self.tree.processes, key=self.tree.sampler.resident, reverse=True)
        room, within = max(0, decision.constraint.headroom), self._within(decision.action)
        if decision.action == policy.NOTICE and self._tracker.forecast is not None:
            self.notes.forecast(self._tracker.forecast)
            self.say(progress.line(self._tracker.forecast))
        elif decision.action == policy.RECLAIM:
            self._tell_silent()
            self.session.ask_largest(largest, ("reclaim",), ("reclaim",), within=within)
        elif decision.action == policy.FLUSH:
            self._tell_silent()
            self.session.flush.ask(largest, room)
            if decision.rule == policy.LAST_ASK:
                self.tree.loosen()
                self._loosened = True
            else:
                self.session.ask_largest(largest, ("inspect", "reclaim"), ("reclaim",), within=within)
        elif decision.action == policy.DUMP:  # from before the freeze, should it not answer then; nobody waits for it
            self.session.ask_for_stack(largest[:4], within)

    def _tell_silent(self) -> None:
        """A callback that nothing can call is said as soon as it would be needed."""
        for one in self.session.flush.silent(self.tree.processes):
            where = "at the top of the loop that fills the buffer"
            self.say(f"{one.name} is registered, but no checkpoint was passed: put memguard.checkpoint() {where}")

    def _within(self, action: str) -> float:
        return next((stage.deadline for stage in self.options.policy.ladder if stage.action == action), 0.0)

    def _freeze(self, decision: policy.Decision) -> None:
        """Stops the tree and leaves it either ended or running again."""
        with self._hooks.while_frozen():
            try:
                self.tree.freeze()
                self.session.listen()
                if self.session.flush.running and self.last is not None and not policy.beyond(self.last):
                    self._state = replace(self._state, frozen=None)  # a callback has begun just now
                    return
                self._measure_frozen(decision)
            finally:
                # Also when something above failed: a tree is never left frozen.
                self.tree.thaw()

    def _measure_frozen(self, decision: policy.Decision) -> None:
        self.notes.decision(decision.action, decision.rule, decision.constraint, decision.reason)
        outcome = None
        while outcome is None:
            sample = self.tree.sampler.measure(self.now(), exact=True)
            outcome, self._state = policy.decide(self.options.policy, self._state, sample)
        self.notes.decision(outcome.action, outcome.rule, outcome.constraint, outcome.reason)
        if outcome.action == policy.ABORT and not self._is_let_go(outcome, sample):
            self.notes.met(outcome.constraint)
            self.end("forecast" if self._state.will_exceed else "memory", sample)

    def _is_let_go(self, outcome: policy.Decision, sample: policy.Sample) -> bool:
        """--on-limit pause: whoever sits at the terminal may let the frozen tree go on."""
        if self.options.on_limit != "pause":
            return False
        from memguard.watch.pause import ask

        usable = outcome.constraint.usable
        while (answer := ask(self._summary(outcome), usable)).action == "dump":
            self.tree.loosen()
            self.shutdown().inspect(self.tree.frozen, sample)
            blamed = self.blame()["culprit"]
            self.say(f"at {blamed['file']}:{blamed['line']}" if blamed else "no line is known")
        if answer.note:
            self.say(answer.note)
        if answer.action != "resume":
            return False
        self.tree.sampler.set_limit(answer.limit)
        rule = f"resumed with {format_size(answer.limit or 0)}"
        self.notes.decision(policy.RESUME, rule, outcome.constraint, "asked on the terminal")
        # Where it is not --limit that binds, the tree goes on until it has grown again.
        self._state = policy.State(resumed_at=(outcome.constraint.name, outcome.constraint.used))
        self.notes.met(None)
        return True

    def _summary(self, outcome: policy.Decision) -> str:
        used = f"{format_size(outcome.constraint.used)} of {format_size(outcome.constraint.usable)}"
        name = " ".join(read_cmdline(self.tree.root.pid))[:70]
        limit = describe(outcome.constraint)
        return f"memguard: paused process {self.tree.root.pid} ({name}): it uses {used} that may be used ({limit})"

    def say(self, text: str) -> None:
        if self._progress is not None:
            self._progress.clear()
        self._notify(text)

    def _show(self, now: float) -> None:
        if self._progress is not None and self._tracker.forecast is not None and now - self._shown_at >= _SHOW_PERIOD:
            self._shown_at = now
            self._progress.show(progress.line(self._tracker.forecast), self.tree.processes)

    def end(self, reason: str, sample: policy.Sample) -> None:
        """Ends the tree, which is frozen already or has only hung."""
        shutdown = self.shutdown()
        if self.tree.frozen and self._hooks.spare(shutdown, sample):
            self.notes.look_at_inputs(self.tree.frozen)
            self._state = policy.State()
            return
        self.reason = reason
        stopped = self.tree.frozen or self.tree.stop()
        self.tree.loosen()
        self.notes.look_at_inputs(stopped)
        shutdown.end(reason, sample, stopped)

    def shutdown(self) -> Shutdown:
        return Shutdown(self.tree, self.options, self.journal, self.session, self.now)

    def blame(self) -> dict[str, Any]:
        """The fields of the record that say who held the memory; after the end, when there is room to load them."""
        from memguard.watch.agents.culprit import blame

        session = self.session
        waiting = self._pool.parent if self.reason == "hang" else None
        return blame(
            self.journal, session.held, agent=self.options.agent, first=waiting, loops=bool(session.flush.registered)
        )
