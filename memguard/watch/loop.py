"""`memguard run`: start the script, watch its tree, act by the policy, and write down what happened.

    run_guarded(command, options) -> RunRecord

This process is the watcher. It sleeps in sigtimedwait, so it wakes at once when the script ends. Stopping a tree:

    freeze    SIGSTOP every process, measure exactly: resume if that is below the limit after all
    end       ending.py: evidence, last words, and nothing of the tree is left

Not here: the decisions (policy.py), the measuring (sampler.py), the words that the user reads (report/run.py).
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import time
from collections.abc import Callable

from memguard.errors import MemguardError
from memguard.records.limits import Constraint
from memguard.system.cgroup import find_memory_cgroups, parse_flat
from memguard.system.environment import find_by_environment
from memguard.system.kernel_file import read_bytes
from memguard.system.limits import LimitsReader, describe
from memguard.system.proc import Process, read_cmdline, read_status, read_tree
from memguard.watch import actions, policy
from memguard.watch.conversation import Conversation
from memguard.watch.ending import Ending
from memguard.watch.journal import Journal, RunDirectory, open_run, prune, write_record
from memguard.watch.launch import Command, child_environment, spawn
from memguard.watch.options import EXIT_GUARD, Options
from memguard.watch.pools import PoolWatch
from memguard.watch.root import Child
from memguard.watch.sampler import Sampler
from memguard.watch.signals import ENDING, STOPPING, SignalWait, stop_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from memguard.records.run import RunRecord

__all__ = ["run_guarded"]

_PEAK_STEP = 1.05  # the journal gets a line at each new peak of this ratio
_INPUTS_PERIOD = 0.1  # seconds between looks at the open input files, while memory grows
_NICE = 10  # the watcher sleeps 99 % of the time
_SIGNALS_PERIOD = 0.05  # seconds between looks for signals to pass on
_LINGER = 0.3  # seconds that helpers get to end by themselves after the script


def run_guarded(command: Command, options: Options, notify: Callable[[str], None] = lambda line: None) -> RunRecord:
    """Runs `command` to its end, or to the guard's. `notify` gets one-line notes while it runs.

    Raises ConfigError when the command cannot be started: then no run is recorded.
    """
    started = time.time()
    directory, warning = open_run(started)
    journal = Journal(directory)
    signals = SignalWait()
    environment = child_environment(os.environ, directory.path, agent=options.agent, limit=options.limit)
    kills = _kernel_kills()
    try:
        pid = spawn(command, environment, signals.inherited)
    except MemguardError:
        signals.close()
        journal.close()
        _remove(directory)
        raise
    child = Child(pid)
    gc.freeze()  # what is loaded by now stays: no later collection walks it
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(PermissionError):  # where it may: to wake in time on a machine that is busy
        os.setpriority(os.PRIO_PROCESS, 0, nice - _NICE)
    try:
        guard = _Guard(child, command, options, journal, signals, notify)
        guard.begin(started, warning)
        guard.watch()
        return guard.finish(kills)
    except Exception as error:
        notify(f"memguard itself failed ({type(error).__name__}: {error}); the script goes on without a guard")
        _wait_unguarded(child, signals)
        raise MemguardError(f"memguard itself failed: {error!r}", "please report this", exit_code=125) from error
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        gc.unfreeze()
        signals.close()
        journal.close()


def _wait_unguarded(child: Child, signals: SignalWait) -> None:
    while not child.poll():
        signals.sleep(time.monotonic() + 0.2)
        for number, from_terminal in signals.fetch():
            if not from_terminal and not child.poll():
                os.kill(child.pid, number)


def _remove(directory: RunDirectory) -> None:
    for path in (directory.journal, directory.stack, directory.events):
        os.unlink(path)
    os.rmdir(directory.path)


def _kernel_kills() -> int | None:
    """Processes that the kernel's OOM killer has ended so far: in this cgroup where it counts, else on this machine."""
    for directory in find_memory_cgroups()[:1]:
        for name in ("memory.events", "memory.oom_control"):
            count = parse_flat(read_bytes(f"{directory}/{name}") or b"").get("oom_kill")
            if count is not None:
                return count
    return parse_flat(read_bytes("/proc/vmstat") or b"").get("oom_kill")


def _cpu_seconds() -> float:
    return time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID)


class _Guard:
    """The state of one run."""

    def __init__(
        self,
        child: Child,
        command: Command,
        options: Options,
        journal: Journal,
        signals: SignalWait,
        notify: Callable[[str], None],
    ) -> None:
        self._cpu_before = _cpu_seconds()
        self._child, self._command, self._options = child, command, options
        self._journal, self._directory, self._signals, self._notify = journal, journal.directory, signals, notify
        self._start = time.monotonic()
        limits = LimitsReader(child.pid, limit=options.limit, reserve=options.reserve, rlimits=False)
        self._mark = ("MEMGUARD_RUN_DIR", self._directory.path)
        self._sampler = Sampler(child.process, limits, mark=self._mark)
        self._state = policy.State()
        self._reason: str | None = None  # why the guard ended it, once it has
        self._interrupted = False
        self._frozen: tuple[Process, ...] = ()
        self._lateness = 0.0
        self._noted_peak = 0
        self._fullest: Constraint | None = None
        self._inputs: dict[str, int] = {}
        self._inputs_at = (-1e9, 0)
        self._pool = PoolWatch(self._directory.events)
        self._talk = Conversation(journal, self._now)

    def _now(self) -> float:
        return time.monotonic() - self._start

    def begin(self, started: float, warning: str | None) -> None:
        self._journal.write(
            "start",
            0.0,
            set={
                "id": self._directory.id,
                "command": self._command.argv,
                "cwd": os.getcwd(),
                "started": started,
                "pid": self._child.pid,
                "script": self._command.script,
                "python": self._command.executable if self._command.script else None,
                "cgroup": next(iter(find_memory_cgroups()), None),
                "stack_path": self._directory.stack,
                "warnings": [warning] if warning else [],
            },
        )

    def watch(self) -> None:
        """Until the root of the tree has ended, by itself or by the guard."""
        due = fetched = self._start
        while not self._child.ended and self._reason is None:
            if self._signals.sleep(due):
                self._child.poll()
            now = time.monotonic()
            if now - fetched >= _SIGNALS_PERIOD:
                fetched = now
                for number, from_terminal in self._signals.fetch():
                    self._on_signal(number, from_terminal)
            if now < due:
                continue
            self._lateness = max(self._lateness, now - due)
            sample = self._sampler.tick(now - self._start)
            if sample is not None and not self._child.poll():
                self._consider(sample)
            due = time.monotonic() + self._sampler.interval

    def _on_signal(self, number: int, from_terminal: bool) -> None:
        if number in ENDING:
            self._interrupted = True
            self._journal.write("signal", self._now(), signal=number, from_terminal=from_terminal)
        if not from_terminal and not self._child.ended:
            with contextlib.suppress(PermissionError):  # a setuid program's
                os.kill(self._child.pid, number)
        if number in STOPPING:
            stop_with(self._child.pid)

    def _consider(self, sample: policy.Sample) -> None:
        self._note(sample)
        decision, self._state = policy.decide(self._options.policy, self._state, sample)
        if decision is not None:
            self._act(decision, sample)
        elif self._pool.hung(sample.time, self._sampler.processes, self._notify):
            self._record_decision("abort", "a pool worker died", sample.binding, self._pool.reason)
            self._end("hang", sample)

    def _note(self, sample: policy.Sample) -> None:
        """Keeps the journal and the list of inputs up to date; rarely, and only while something grows."""
        binding = sample.binding
        if binding is not None and (self._fullest is None or binding.fraction > self._fullest.fraction):
            before, self._fullest = self._fullest, binding
            if before is None or (before.name, before.source) != (binding.name, binding.source):
                self._journal.write("limit", sample.time, set=self._limit_fields())
        if self._sampler.peak > self._noted_peak * _PEAK_STEP:
            self._noted_peak = self._sampler.peak
            self._journal.write("peak", sample.time, set={"peak": sample.tree})
        looked, tree_then = self._inputs_at
        if sample.time - looked >= _INPUTS_PERIOD and abs(sample.tree - tree_then) > 1 << 20:
            self._inputs_at = (sample.time, sample.tree)
            self._look_at_inputs(self._sampler.processes[:8])

    def _look_at_inputs(self, processes: tuple[Process, ...]) -> None:
        known = len(self._inputs)
        self._inputs.update(actions.input_files(processes, self._directory.path))
        if len(self._inputs) > known:
            self._journal.write("inputs", self._now(), set={"inputs": self._largest_inputs()})

    def _largest_inputs(self) -> list[str]:
        return sorted(self._inputs, key=lambda path: -self._inputs[path])[:20]

    def _limit_fields(self) -> dict[str, Any]:
        limit = self._fullest
        if limit is None:
            return {}
        kernel = limit.limit if limit.kernel else None
        fields = {"value": limit.usable, "source": describe(limit), "name": limit.name, "kernel_limit": kernel}
        return {"limit": fields}

    def _record_decision(self, action: str, rule: str, constraint: Constraint | None, reason: str) -> None:
        used, usable = (constraint.used, constraint.usable) if constraint else (self._sampler.peak, 0)
        now = self._now()
        made = {"time": round(now, 4), "action": action, "rule": rule, "used": used, "limit": usable, "reason": reason}
        self._journal.write("decision", now, decision=made)

    def _act(self, decision: policy.Decision, sample: policy.Sample) -> None:
        if decision.action == policy.FREEZE:
            self._freeze(decision)
            return
        self._record_decision(decision.action, decision.rule, decision.constraint, decision.reason)
        largest = sorted(self._sampler.processes, key=self._sampler.resident, reverse=True)
        room, within = max(0, decision.constraint.headroom), self._within(decision.action)
        if decision.action == policy.RECLAIM:
            self._talk.ask_largest(largest, ("reclaim",), ("reclaim",), within=within, headroom=room)
        elif decision.action == policy.FLUSH:
            every = ("flush", "reclaim")
            self._talk.ask_largest(largest, ("look", *every), every, within=within, headroom=room)
        elif decision.action == policy.DUMP:  # from before the freeze, should it not answer then; nobody waits for it
            any(actions.ask_for_stack(process, self._directory.stack) for process in largest[:4])

    def _within(self, action: str) -> float:
        return next(stage.deadline for stage in self._options.policy.ladder if stage.action == action)

    def _freeze(self, decision: policy.Decision) -> None:
        """Stops the tree and leaves it either ended or running again."""
        self._frozen = self._stop()
        try:
            self._record_decision(decision.action, decision.rule, decision.constraint, decision.reason)
            outcome = None
            while outcome is None:
                sample = self._sampler.measure(self._now(), exact=True)
                outcome, self._state = policy.decide(self._options.policy, self._state, sample)
            self._record_decision(outcome.action, outcome.rule, outcome.constraint, outcome.reason)
            if outcome.action == policy.ABORT:
                self._fullest = outcome.constraint
                self._end("forecast" if self._state.doomed else "memory", sample)
        finally:
            # Also when something above failed: a tree is never left frozen.
            actions.resume(self._frozen)
            self._frozen = ()

    def _stop(self) -> tuple[Process, ...]:
        """First what is known, at once; then what a double fork has taken out of the tree."""
        stopped = actions.stop(self._child.process, self._sampler.processes)
        marked = find_by_environment(*self._mark)
        return stopped if set(marked) <= set(stopped) else actions.stop(self._child.process, (*stopped, *marked))

    def _end(self, reason: str, sample: policy.Sample) -> None:
        """The tree is frozen already, or has only hung."""
        self._reason = reason
        stopped = self._frozen or self._stop()
        self._look_at_inputs(stopped)
        ending = Ending(self._child, self._options, self._journal, self._sampler, self._talk, self._now)
        ending.end(reason, sample, stopped)

    def finish(self, kills_before: int | None) -> RunRecord:
        """Ends or names what is left, works out why it ended, writes the record."""
        overhead = self._overhead()  # before the classes and the text of the record are loaded
        left = self._leave()
        stack, culprit, missing = "", None, None
        if self._reason is not None:
            from memguard.records.codec import to_dict
            from memguard.watch.culprit import find_culprit

            waiting = self._pool.parent if self._reason == "hang" else None
            stack, culprit, missing = find_culprit(
                self._directory.stack, self._journal.record(), self._options.agent, waiting
            )
        kills = _kernel_kills()
        kernel_kills = None if kills is None or kills_before is None else kills - kills_before
        self._journal.write(
            "end",
            self._now(),
            set={
                "seconds": round(self._now(), 3),
                "exit_code": EXIT_GUARD if self._reason else self._child.exit_code,
                "exit_signal": self._child.exit_signal,
                "script_exit_code": self._child.exit_code,
                "termination_reason": self._termination(kernel_kills),
                "peak": self._sampler.peak or None,  # ended before it was measured
                "overhead": overhead,
                "stack": stack or None,
                "stack_missing": missing,
                "culprit": to_dict(culprit) if culprit else None,
                "processes": self._sampler.most_processes,
                "samples": self._sampler.samples,
                "max_lateness": round(self._lateness, 4),
                "kernel_kills": kernel_kills,
                **self._limit_fields(),
                **({"left": left} if left else {}),
            },
        )
        self._sampler.close()
        record = self._journal.record()
        with contextlib.suppress(OSError):  # the journal says the same
            write_record(record, self._directory.record)
        prune(os.path.dirname(self._directory.path), time.time())
        return record

    def _overhead(self) -> dict[str, Any]:
        """What the watching has cost, as the fields of records.run.Overhead."""
        status = read_status("self")
        return {"cpu_seconds": round(_cpu_seconds() - self._cpu_before, 3), "rss": status.vm_hwm if status else None}

    def _termination(self, kernel_kills: int | None) -> str | None:
        if self._reason is not None:
            return self._reason
        if self._child.exit_signal == signal.SIGKILL and kernel_kills:
            return "memory"
        return "user" if self._interrupted and self._child.exit_code else None

    def _leave(self) -> list[str]:
        """What of the tree outlives its root: ended with it after a signal, only named after a normal end."""
        if self._reason is not None:
            return []
        known = (*self._sampler.processes, *find_by_environment(*self._mark))
        if self._child.exit_signal is not None or (self._interrupted and self._child.exit_code):
            rest = actions.end_tree(self._child, known, lambda: False)
            return [f"process {process.pid}" for process in rest]
        deadline = time.monotonic() + _LINGER
        while (rest := read_tree(self._child.process, known, without=os.getpid())) and time.monotonic() < deadline:
            time.sleep(0.005)
        return [f"process {p.pid} ({' '.join(read_cmdline(p.pid))[:60]})" for p in rest]
