"""The loop: sample the tree, decide by the policy, act, write it down; until the tree has ended.

    Loop(root, options, journal, waiter, notify).watch()

Who started the tree, and what is to happen when it ends, differs: run.py (our own child), foreign.py (a process that
somebody else has started), beside.py (the process that started us). Stopping a tree:

    freeze    SIGSTOP every process, measure exactly: resume if that is below the limit after all
    end       shutdown.py: evidence, last words, and nothing of the tree is left

Not here: the decisions (policy.py), the measuring (sampler.py), the words that the user reads (report/run.py).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from memguard.system.limits import LimitsReader, describe
from memguard.system.memory_lock import lock_memory
from memguard.system.proc import Process, read_cmdline
from memguard.system.psi import read_pressure
from memguard.system.run_mark import find_marked
from memguard.units import format_size
from memguard.watch import progress
from memguard.watch.agents.dead_workers import PoolWatch
from memguard.watch.agents.session import Session
from memguard.watch.decide import policy
from memguard.watch.decide.forecast_tracker import ForecastTracker
from memguard.watch.journal import Journal
from memguard.watch.kernel.cgroup_limit import Backstop
from memguard.watch.kernel.data_limit import DataLimit
from memguard.watch.measure.sampler import Sampler
from memguard.watch.notes import Notes
from memguard.watch.options import Options
from memguard.watch.process import actions
from memguard.watch.process.root import Root, members_of
from memguard.watch.progress import Progress
from memguard.watch.shutdown import Shutdown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Waiter(Protocol):
        """The watcher's sleep, and what may wake it."""

        def sleep(self, until: float) -> bool:
            """Until `until` (time.monotonic); True, earlier, when the root may have ended."""

        def fetch(self) -> Iterable[tuple[int, bool]]:
            """The signals that have come: (number, whether the terminal or the kernel sent it)."""


__all__ = ["Loop"]

_SIGNALS_PERIOD = 0.05  # seconds between looks for signals
_SHOW_PERIOD = 0.25  # seconds between two drawings of the progress line


class Loop:
    """The state of one watched tree. `mark` is an environment variable of its processes, and its value."""

    def __init__(
        self,
        root: Root,
        options: Options,
        journal: Journal,
        waiter: Waiter,
        notify: Callable[[str], None],
        *,
        mark: tuple[str, str] | None = None,
        backstop: Backstop | None = None,
    ) -> None:
        self.root, self.options, self.journal, self.notify = root, options, journal, notify
        self.reason: str | None = None  # why the guard ended it, once it has
        self.given_up = False  # the tree is left alone from now on
        self.lateness = 0.0  # seconds, at worst
        self._start = time.monotonic()
        self._waiter, self._mark = waiter, mark
        self.backstop = backstop or Backstop(reason="not asked for")
        self.data_limit = DataLimit(options.fence, throttles=self.backstop.throttles)
        ignore = () if self.backstop.path is None else (self.backstop.path,)
        limits = LimitsReader(root.pid, limit=options.limit, reserve=options.reserve, rlimits=False, ignore=ignore)
        self.sampler = Sampler(
            root.process, limits, mark=mark, own_cgroup=self.backstop.path, throttles=self.backstop.throttles
        )
        self.notes = Notes(journal, self.sampler, self.now)
        self.session = Session(journal, self.now, options.outer)
        self.pool = PoolWatch(journal.directory.events)
        self.tracker = ForecastTracker()
        self._progress = Progress(2) if options.progress else None
        self._shown_at = 0.0
        self.state = policy.State()
        self.last: policy.Sample | None = None
        self.frozen: tuple[Process, ...] = ()
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
        while not (self.root.ended or self.reason or self.given_up):
            if self._waiter.sleep(due):
                self.root.poll()
            now = time.monotonic()
            if now - fetched >= _SIGNALS_PERIOD:
                fetched = now
                for number, from_terminal in self._waiter.fetch():
                    self.on_signal(number, from_terminal)
            if now < due:
                continue
            self.lateness = max(self.lateness, now - due)
            sample = self.sampler.tick(now - self._start)
            if sample is not None and not self.root.poll():
                self.consider(sample)
            due = time.monotonic() + self.sampler.interval

    def on_signal(self, number: int, from_terminal: bool) -> None:
        raise NotImplementedError

    def consider(self, sample: policy.Sample) -> None:
        self.last = sample
        self.notes.sample(sample)
        self.session.listen()
        if self.session.all_answered and self.state.busy_until > sample.time:
            self.state = replace(self.state, busy_until=sample.time)  # done sooner than it might have taken
        sample = replace(sample, flush=self._flush())
        if not self._loosened:
            self.backstop.follow(sample.constraints)
            if sample.tightest is not None:
                self.data_limit.move(self.sampler.processes, sample.tightest.headroom)
        sample = self.tracker.update(sample, self.sampler.processes, self.notes.inputs)
        self._show(sample.time)
        sample = self._with_stall(sample)
        decision, self.state = policy.decide(self.options.policy, self.state, sample)
        if self.session.flush.pending and policy.FLUSH not in self.state.fired:
            self.session.flush.withdraw()
        if decision is not None:
            self._act(decision)
        elif self.pool.hung(sample.time, self.sampler.processes, self.notify):
            self.notes.decision("abort", "a pool worker died", sample.binding, self.pool.reason)
            self.end("hang", sample)

    def _flush(self) -> policy.Flush:
        """How the callbacks stand. While one is at work, or the last one is waited for, neither the kernel's brake nor
        the fence holds the tree up; a callback that waits for ever is interrupted."""
        flush, processes = self.session.flush, self.sampler.processes
        flush.forget(processes)
        for work in flush.blocked(self.now()):
            for process in processes:
                if process.pid == work.pid:
                    self.session.request(process, "interrupt", within=1.0)
        running = bool(flush.running)
        # What sleeps at the kernel's limit never comes to the checkpoint that it is waited for.
        loose = running or (self.state.last_asked is not None and bool(flush.pending))
        if loose and not self._loosened:
            self.loosen()
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
        largest = sorted(self.sampler.processes, key=self.sampler.resident, reverse=True)
        room, within = max(0, decision.constraint.headroom), self._within(decision.action)
        if decision.action == policy.NOTICE and self.tracker.forecast is not None:
            self.notes.forecast(self.tracker.forecast)
            self.say(progress.line(self.tracker.forecast))
        elif decision.action == policy.RECLAIM:
            self._tell_silent()
            self.session.ask_largest(largest, ("reclaim",), ("reclaim",), within=within)
        elif decision.action == policy.FLUSH:
            self._tell_silent()
            self.session.flush.ask(largest, room)
            if decision.rule == policy.LAST_ASK:
                self.loosen()
                self._loosened = True
            else:
                self.session.ask_largest(largest, ("inspect", "reclaim"), ("reclaim",), within=within)
        elif decision.action == policy.DUMP:  # from before the freeze, should it not answer then; nobody waits for it
            self.session.ask_for_stack(largest[:4], within)

    def _tell_silent(self) -> None:
        """A callback that nothing can call is said as soon as it would be needed."""
        for one in self.session.flush.silent(self.sampler.processes):
            where = "at the top of the loop that fills the buffer"
            self.say(f"{one.name} is registered, but no checkpoint was passed: put memguard.checkpoint() {where}")

    def _within(self, action: str) -> float:
        return next((stage.deadline for stage in self.options.policy.ladder if stage.action == action), 0.0)

    def _freeze(self, decision: policy.Decision) -> None:
        """Stops the tree and leaves it either ended or running again."""
        self.frozen = self.stop()
        try:
            self.session.listen()
            if self.session.flush.running and self.last is not None and not policy.beyond(self.last):
                self.state = replace(self.state, frozen=None)  # a callback has begun just now
                return
            self.notes.decision(decision.action, decision.rule, decision.constraint, decision.reason)
            outcome = None
            while outcome is None:
                sample = self.sampler.measure(self.now(), exact=True)
                outcome, self.state = policy.decide(self.options.policy, self.state, sample)
            self.notes.decision(outcome.action, outcome.rule, outcome.constraint, outcome.reason)
            if outcome.action == policy.ABORT and not self._is_let_go(outcome, sample):
                self.notes.fullest = outcome.constraint
                self.end("forecast" if self.state.will_exceed else "memory", sample)
        finally:
            # Also when something above failed: a tree is never left frozen.
            actions.resume(self.frozen)
            self.frozen = ()

    def _is_let_go(self, outcome: policy.Decision, sample: policy.Sample) -> bool:
        """--on-limit pause: whoever sits at the terminal may let the frozen tree go on."""
        if self.options.on_limit != "pause":
            return False
        from memguard.watch.pause import ask

        usable = outcome.constraint.usable
        while (answer := ask(self._summary(outcome), usable)).action == "dump":
            self.loosen()
            self.shutdown().inspect(self.frozen, sample)
            blamed = self.blame()["culprit"]
            self.say(f"at {blamed['file']}:{blamed['line']}" if blamed else "no line is known")
        if answer.note:
            self.say(answer.note)
        if answer.action != "resume":
            return False
        self.sampler.set_limit(answer.limit)
        rule = f"resumed with {format_size(answer.limit or 0)}"
        self.notes.decision(policy.RESUME, rule, outcome.constraint, "asked on the terminal")
        # Where it is not --limit that binds, the tree goes on until it has grown again.
        self.state = policy.State(resumed_at=(outcome.constraint.name, outcome.constraint.used))
        self.notes.fullest = None
        return True

    def _summary(self, outcome: policy.Decision) -> str:
        used = f"{format_size(outcome.constraint.used)} of {format_size(outcome.constraint.usable)}"
        name = " ".join(read_cmdline(self.root.pid))[:70]
        limit = describe(outcome.constraint)
        return f"memguard: paused process {self.root.pid} ({name}): it uses {used} that may be used ({limit})"

    def say(self, text: str) -> None:
        if self._progress is not None:
            self._progress.clear()
        self.notify(text)

    def _show(self, now: float) -> None:
        if self._progress is not None and self.tracker.forecast is not None and now - self._shown_at >= _SHOW_PERIOD:
            self._shown_at = now
            self._progress.show(progress.line(self.tracker.forecast), self.sampler.processes)

    def strays(self) -> tuple[Process, ...]:
        """What is in the backstop's cgroup or carries the mark, whoever its parent is now."""
        inside = members_of(self.backstop.path) if self.backstop.path else ()
        return tuple(dict.fromkeys((*inside, *(find_marked(*self._mark) if self._mark else ()))))

    def stop(self) -> tuple[Process, ...]:
        """First what is known, at once; then what a double fork has taken out of the tree."""
        stopped = actions.stop(self.root.process, self.sampler.processes)
        strays = self.strays()
        return stopped if set(strays) <= set(stopped) else actions.stop(self.root.process, (*stopped, *strays))

    def end(self, reason: str, sample: policy.Sample) -> None:
        """Ends the tree, which is frozen already or has only hung."""
        self.reason = reason
        stopped = self.frozen or self.stop()
        self.loosen()
        self.notes.look_at_inputs(stopped)
        self.shutdown().end(reason, sample, stopped)

    def loosen(self) -> None:
        """Lets a stopped tree run once more: what sleeps at the kernel's limit sees no signal until that is raised, and
        an exception needs memory to be raised."""
        self.data_limit.release()
        self.backstop.loosen()

    def shutdown(self) -> Shutdown:
        return Shutdown(self.root, self.options, self.journal, self.sampler, self.session, self.now)

    def blame(self) -> dict[str, Any]:
        """The fields of the record that say who held the memory; after the end, when there is room to load them."""
        from memguard.records.codec import to_dict
        from memguard.watch.agents.culprit import find_culprit
        from memguard.watch.agents.holder import Sources, read_cells
        from memguard.watch.agents.source import enclosing_loop
        from memguard.watch.agents.stacks import Frame

        waiting = self.pool.parent if self.reason == "hang" else None
        stack, culprit, missing = find_culprit(
            self.journal.directory.stack, self.journal.record(), self.options.agent, waiting, self.session.held
        )
        found = to_dict(culprit) if culprit else None
        blamed = {"stack": stack or None, "stack_missing": missing, "culprit": found}
        if culprit and culprit.line and self.session.flush.registered:
            at = Frame(culprit.file or "", culprit.line, culprit.function or "<module>")
            tree = Sources(os.getcwd(), read_cells(self.session.held.get(culprit.pid or 0, ()))).tree(at)
            blamed["loop"] = enclosing_loop(tree, culprit.line) if tree is not None else None
        return blamed
