"""`memguard run`: start the script, watch its tree, act by the policy, and write down what happened.

    run_guarded(command, options) -> RunRecord

This process is the watcher. It sleeps in sigtimedwait, so it wakes at once when the script ends.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import time
from collections.abc import Callable

from memguard.errors import MemguardError
from memguard.system.cgroup import find_memory_cgroups, parse_flat
from memguard.system.descriptors import give_back, release_spare, widen
from memguard.system.kernel_file import read_bytes
from memguard.system.proc import read_cmdline, read_tree, require_proc
from memguard.units import format_size
from memguard.watch.journal import Journal, RunDirectory, open_run
from memguard.watch.kernel import sentinel as sentinels
from memguard.watch.kernel.cgroup_limit import CgroupLimit, NoCgroup
from memguard.watch.kernel.cgroup_plan import DirectoryPlan, ScopePlan, choose
from memguard.watch.loop import Hooks, Loop
from memguard.watch.options import EXIT_GUARD, Options
from memguard.watch.process import actions, failure
from memguard.watch.process.fixed import hand_over
from memguard.watch.process.launch import Command, child_environment, spawn
from memguard.watch.process.root import SpawnedProcess, excluded_pids
from memguard.watch.process.signals import ENDING, SignalWait, ignores, pass_on
from memguard.watch.tree import GuardedTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memguard.records.run import RunRecord

    Cgroup = DirectoryPlan | ScopePlan | CgroupLimit | NoCgroup

__all__ = ["run_guarded"]

_NICE = 10  # the watcher sleeps 99 % of the time


class _Prepared:
    """All that the script's start needs; `undo` takes it back, each part whatever becomes of the others."""

    def __init__(self, options: Options, notify: Callable[[str], None]) -> None:
        self.undo: list[Callable[[], object]] = []
        try:
            self._prepare(options, notify)
        except BaseException:
            self.take_back()
            raise

    def _prepare(self, options: Options, notify: Callable[[str], None]) -> None:
        self.limits = widen()  # on open files
        self.undo.append(lambda: give_back(self.limits))
        self.started = time.time()
        directory, self.warning = open_run(self.started)
        self.undo.append(lambda: _remove(directory))
        self.journal = Journal(directory)
        self.undo.append(self.journal.close)
        self.signals = SignalWait()
        self.undo.append(self.signals.close)
        self.environment = child_environment(os.environ, directory.path, agent=options.agent, limit=options.limit)
        if options.fixed is not None:
            try:
                self.environment |= hand_over(directory.path, options.fixed)
            except OSError as error:
                notify(f"it runs unchanged after all: {directory.path} cannot be written ({error.strerror})")
        self.plan = choose(options.backstop, options.limit, notify=notify, reserve=options.reserve)
        self.undo.append(self.plan.close)
        self.kills = _kernel_kills(self.plan)
        self.mark = ("MEMGUARD_RUN_DIR", directory.path)
        self.sentinel = sentinels.start(directory, self.mark, self.plan.path, options.on_watcher_death)
        self.undo.append(self.sentinel.goodbye)

    def spawn(self, command: Command) -> int:
        """The script's pid."""
        try:
            return spawn(command, self.environment, self.signals.inherited, enter=self._enter)
        except BaseException:
            self.take_back()
            raise

    def _enter(self) -> None:
        self.plan.enter()
        give_back(self.limits)

    def take_back(self) -> None:
        """Newest first."""
        while self.undo:
            with contextlib.suppress(Exception):
                self.undo.pop()()


def run_guarded(command: Command, options: Options, notify: Callable[[str], None] = lambda line: None) -> RunRecord:
    """Runs `command` to its end, or to the guard's. `notify` gets one-line notes while it runs.

    Raises ConfigError when the command cannot be started, SystemInterfaceError where there is no /proc to guard by, and
    MemguardError with exit code 125 where memguard fails before the start: then no run is recorded. A guard that fails
    later lets the script go on: the record has `guard_failure`, and the script's own exit code.
    """
    require_proc()
    try:
        ready = _Prepared(options, notify)
        pid = ready.spawn(command)
    except MemguardError:
        raise
    except Exception as error:
        raise failure.before_start(error) from error
    child = SpawnedProcess(pid)
    gc.freeze()  # what is loaded by now stays: no later collection walks it
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(PermissionError):  # where it may: to wake in time on a machine that is busy
        os.setpriority(os.PRIO_PROCESS, 0, nice - _NICE)
    try:
        return _guard(child, command, options, ready, notify)
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        gc.unfreeze()
        ready.signals.close()
        ready.journal.close()
        give_back(ready.limits)


def _guard(
    child: SpawnedProcess, command: Command, options: Options, ready: _Prepared, notify: Callable[[str], None]
) -> RunRecord:
    tree: GuardedTree | None = None
    run: _Run | None = None
    cgroup: Cgroup = ready.plan
    try:
        cgroup = entered = ready.plan.entered(child.pid)
        ready.sentinel.tell(child.process, entered.path)
        tree = GuardedTree(child, options, mark=ready.mark, cgroup=entered)
        run = _Run(child, tree, options, ready, notify)
        run.begin(command, ready.started, ready.warning)
        run.loop.watch()
        return run.finish(ready.kills)
    except Exception as error:
        reason = run.reason if run is not None and child.ended else None
        ended = child.poll()
        _let_go(tree, cgroup, ready.sentinel)
        line = failure.explain(error, failure.AT_THE_END if ended else failure.UNGUARDED)
        with contextlib.suppress(Exception):
            notify(line)
        failure.wait(child, ready.signals)
        return failure.record(run.loop.notes if run is not None else None, child, command, line, reason=reason)
    finally:
        _let_go(tree, cgroup, ready.sentinel)


def _let_go(tree: GuardedTree | None, cgroup: Cgroup, sentinel: sentinels.Sentinel) -> None:
    """Nothing of the guard's holds the tree any more; what the watcher cannot undo, its sentinel does."""
    release_spare()
    whole = True
    for undo in (*((tree.data_limit.close,) if tree is not None else ()), actions.resume_all, cgroup.close):
        try:
            whole = undo() is not False and whole
        except Exception:
            whole = False
    if whole:
        sentinel.goodbye()
    else:
        sentinel.let_go()


def _remove(directory: RunDirectory) -> None:
    for name in os.listdir(directory.path):
        os.unlink(os.path.join(directory.path, name))
    os.rmdir(directory.path)


def _kernel_kills(cgroup: Cgroup) -> int | None:
    """Processes that the kernel's OOM killer has ended so far: in this cgroup where it counts, else on this machine.

    Version 1 counts a kill in the victim's own cgroup only, so that the tree's is added. A systemd scope is no part
    of this cgroup, and it vanishes with its last process: then the machine's counter is the one that stays.
    """
    for directory in () if cgroup.kind in ("scope", "v2") else find_memory_cgroups()[:1]:
        for name in ("memory.events", "memory.oom_control"):
            count = parse_flat(read_bytes(f"{directory}/{name}") or b"").get("oom_kill")
            if count is not None:
                inside = read_bytes(f"{cgroup.path}/memory.oom_control") if cgroup.path else None
                return count + parse_flat(inside or b"").get("oom_kill", 0)
    return parse_flat(read_bytes("/proc/vmstat") or b"").get("oom_kill")


class _Run:
    """One run of our own child, watched by `loop`."""

    def __init__(
        self,
        child: SpawnedProcess,
        tree: GuardedTree,
        options: Options,
        ready: _Prepared,
        notify: Callable[[str], None],
    ) -> None:
        self._child, self._tree, self._options, self._journal = child, tree, options, ready.journal
        self._interrupted = self._refused = False  # by a signal; an allocation, by the data limit
        self._warnings: list[str] = []
        self.loop = Loop(tree, options, ready.journal, ready.signals, notify, Hooks(self._on_signal))

    @property
    def reason(self) -> str | None:
        """Why the guard has ended it, once it has."""
        return "memory" if self._refused else self.loop.reason

    def begin(self, command: Command, started: float, warning: str | None) -> None:
        self._warnings += [warning] if warning else []
        directory = self._journal.directory
        self._journal.write(
            "start",
            0.0,
            set={
                "id": directory.id,
                "command": command.argv,
                "cwd": os.getcwd(),
                "started": started,
                "pid": self._child.pid,
                "script": command.script,
                "python": command.executable if command.script else None,
                "cgroup": self._tree.cgroup.path or next(iter(find_memory_cgroups()), None),
                "stack_path": directory.stack,
                "warnings": self._warnings,
            },
        )

    def _on_signal(self, number: int, from_terminal: bool) -> bool:
        if number in ENDING:
            self._interrupted = self._interrupted or not ignores(self._child.pid, number)
            self._journal.write("signal", self.loop.now(), signal=number, from_terminal=from_terminal)
        pass_on(self._child, number, from_terminal)
        return False

    def finish(self, kills_before: int | None) -> RunRecord:
        """Ends or names what is left, works out why it ended, writes the record."""
        self._judge_memory_error()
        overhead = self.loop.notes.overhead()  # before the classes and the text of the record are loaded
        left = self._leave()
        blamed = self.loop.blame() if self.reason is not None else {}
        kills = _kernel_kills(self._tree.cgroup)
        kernel_kills = None if kills is None or kills_before is None else kills - kills_before
        self._tree.sampler.close()
        return self.loop.notes.end(
            exit_code=EXIT_GUARD if self.reason else self._child.exit_code,
            exit_signal=self._child.exit_signal,
            script_exit_code=self._child.exit_code,
            termination_reason=self._termination(kernel_kills),
            overhead=overhead,
            max_lateness=round(self.loop.lateness, 4),
            kernel_kills=kernel_kills,
            **blamed,
            **({"left": left} if left else {}),
        )

    def _judge_memory_error(self) -> None:
        """A script that has ended with a MemoryError, at a fence of ours, was ended by the guard."""
        self.loop.session.listen()
        binding = self.loop.last.tightest if self.loop.last is not None else None
        process, data_limit = self._child.process, self._tree.data_limit
        told = process.pid in self.loop.session.memory_errors
        if self.reason or binding is None or not told or not data_limit.caused(process):
            return
        self._refused = True
        reason = "the next allocation would not have fitted"
        self.loop.notes.decision("abort", "a MemoryError at the fence", binding, reason)
        self.loop.notes.met(binding)
        if data_limit.misfired(process, binding.used, binding.usable):
            used = f"{format_size(binding.used)} of {format_size(binding.usable)}"
            self._warnings.append(
                f"the MemoryError came at {used}: memory that is only reserved (np.empty) looks like memory in use to"
                " the fence; if that is so here: memguard run --fence off"
            )
            self._journal.write("warnings", self.loop.now(), set={"warnings": self._warnings})

    def _termination(self, kernel_kills: int | None) -> str | None:
        if self.reason is not None:
            return self.reason
        if self._child.exit_signal == signal.SIGKILL and kernel_kills:
            return "memory"
        return "user" if self._interrupted and self._child.exit_code else None

    def _leave(self) -> list[str]:
        """What of the tree outlives its root: ended with it after a signal, only named after a normal end."""
        if self.reason is not None:
            return []
        timing = self._options.timing
        known = (*self._tree.processes, *self._tree.strays())
        if self._child.exit_signal is not None or (self._interrupted and self._child.exit_code):
            rest = actions.end_tree(self._child, known, lambda: False, timing=timing, grace=timing.grace)
            return [f"process {process.pid}" for process in rest]
        deadline = time.monotonic() + timing.linger
        while (rest := read_tree(self._child.process, known, without=excluded_pids())) and time.monotonic() < deadline:
            time.sleep(0.005)
        return [f"process {p.pid} ({' '.join(read_cmdline(p.pid))[:60]})" for p in rest]
