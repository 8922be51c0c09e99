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
from memguard.watch.kernel.cgroup_limit import Backstop, choose
from memguard.watch.loop import Loop
from memguard.watch.options import EXIT_GUARD, Options
from memguard.watch.process import actions, failure
from memguard.watch.process.launch import Command, child_environment, spawn
from memguard.watch.process.root import SpawnedProcess, excluded_pids
from memguard.watch.process.signals import ENDING, SignalWait, ignores, pass_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memguard.records.run import RunRecord

__all__ = ["run_guarded"]

_NICE = 10  # the watcher sleeps 99 % of the time
_LINGER = 0.3  # seconds that helpers get to end by themselves after the script


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
        self.backstop = choose(options.backstop, options.limit, notify=notify, reserve=options.reserve)
        self.undo.append(self.backstop.close)
        self.kills = _kernel_kills(self.backstop)
        self.mark = ("MEMGUARD_RUN_DIR", directory.path)
        self.sentinel = sentinels.start(directory, self.mark, self.backstop.path, options.on_watcher_death)
        self.undo.append(self.sentinel.goodbye)

    def spawn(self, command: Command) -> int:
        """The script's pid."""
        try:
            return spawn(command, self.environment, self.signals.inherited, enter=self._enter)
        except BaseException:
            self.take_back()
            raise

    def _enter(self) -> None:
        self.backstop.enter()
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
    run: _Run | None = None
    try:
        ready.backstop.entered(child.pid)
        ready.sentinel.tell(child.process, ready.backstop.path)
        run = _Run(child, options, ready.journal, ready.signals, notify, mark=ready.mark, backstop=ready.backstop)
        run.begin(command, ready.started, ready.warning)
        run.watch()
        return run.finish(ready.kills)
    except Exception as error:
        by_guard = run is not None and run.reason is not None and child.ended
        ended = child.poll()
        _let_go(run, ready)
        line = failure.explain(error, failure.AT_THE_END if ended else failure.UNGUARDED)
        with contextlib.suppress(Exception):
            notify(line)
        failure.wait(child, ready.signals)
        return failure.record(run, child, command, line, by_guard=by_guard)
    finally:
        _let_go(run, ready)


def _let_go(run: _Run | None, ready: _Prepared) -> None:
    """Nothing of the guard's holds the tree any more; what the watcher cannot undo, its sentinel does."""
    release_spare()
    whole = True
    for undo in (*((run.data_limit.close,) if run is not None else ()), actions.resume_all, ready.backstop.close):
        try:
            whole = undo() is not False and whole
        except Exception:
            whole = False
    if whole:
        ready.sentinel.goodbye()
    else:
        ready.sentinel.let_go()


def _remove(directory: RunDirectory) -> None:
    for path in (directory.journal, directory.stack, directory.events):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    os.rmdir(directory.path)


def _kernel_kills(backstop: Backstop) -> int | None:
    """Processes that the kernel's OOM killer has ended so far: in this cgroup where it counts, else on this machine.

    Version 1 counts a kill in the victim's own cgroup only, so that a backstop's is added. A systemd scope is no part
    of this cgroup, and it vanishes with its last process: then the machine's counter is the one that stays.
    """
    for directory in () if backstop.kind in ("scope", "v2") else find_memory_cgroups()[:1]:
        for name in ("memory.events", "memory.oom_control"):
            count = parse_flat(read_bytes(f"{directory}/{name}") or b"").get("oom_kill")
            if count is not None:
                inside = read_bytes(f"{backstop.path}/memory.oom_control") if backstop.path else None
                return count + parse_flat(inside or b"").get("oom_kill", 0)
    return parse_flat(read_bytes("/proc/vmstat") or b"").get("oom_kill")


class _Run(Loop):
    """One run of our own child."""

    root: SpawnedProcess
    _interrupted = False

    def begin(self, command: Command, started: float, warning: str | None) -> None:
        self.warnings = [warning] if warning else []
        directory = self.journal.directory
        self.journal.write(
            "start",
            0.0,
            set={
                "id": directory.id,
                "command": command.argv,
                "cwd": os.getcwd(),
                "started": started,
                "pid": self.root.pid,
                "script": command.script,
                "python": command.executable if command.script else None,
                "cgroup": self.backstop.path or next(iter(find_memory_cgroups()), None),
                "stack_path": directory.stack,
                "warnings": self.warnings,
            },
        )

    def on_signal(self, number: int, from_terminal: bool) -> None:
        if number in ENDING:
            self._interrupted = self._interrupted or not ignores(self.root.pid, number)
            self.journal.write("signal", self.now(), signal=number, from_terminal=from_terminal)
        pass_on(self.root, number, from_terminal)

    def finish(self, kills_before: int | None) -> RunRecord:
        """Ends or names what is left, works out why it ended, writes the record."""
        self._judge_memory_error()
        overhead = self.notes.overhead()  # before the classes and the text of the record are loaded
        left = self._leave()
        blamed = self.blame() if self.reason is not None else {}
        kills = _kernel_kills(self.backstop)
        kernel_kills = None if kills is None or kills_before is None else kills - kills_before
        self.sampler.close()
        return self.notes.end(
            exit_code=EXIT_GUARD if self.reason else self.root.exit_code,
            exit_signal=self.root.exit_signal,
            script_exit_code=self.root.exit_code,
            termination_reason=self._termination(kernel_kills),
            overhead=overhead,
            max_lateness=round(self.lateness, 4),
            kernel_kills=kernel_kills,
            **blamed,
            **({"left": left} if left else {}),
        )

    def _judge_memory_error(self) -> None:
        """A script that has ended with a MemoryError, at a fence of ours, was ended by the guard."""
        self.session.listen()
        binding = self.last.tightest if self.last is not None else None
        root = self.root.process
        if (
            self.reason
            or binding is None
            or root.pid not in self.session.memory_errors
            or not self.data_limit.caused(root)
        ):
            return
        self.reason = "memory"
        self.notes.decision("abort", "a MemoryError at the fence", binding, "the next allocation would not have fitted")
        self.notes.fullest = binding
        if self.data_limit.misfired(root, binding.used, binding.usable):
            used = f"{format_size(binding.used)} of {format_size(binding.usable)}"
            self.warnings.append(
                f"the MemoryError came at {used}: memory that is only reserved (np.empty) looks like memory in use to"
                " the fence; if that is so here: memguard run --fence off"
            )
            self.journal.write("warnings", self.now(), set={"warnings": self.warnings})

    def _termination(self, kernel_kills: int | None) -> str | None:
        if self.reason is not None:
            return self.reason
        if self.root.exit_signal == signal.SIGKILL and kernel_kills:
            return "memory"
        return "user" if self._interrupted and self.root.exit_code else None

    def _leave(self) -> list[str]:
        """What of the tree outlives its root: ended with it after a signal, only named after a normal end."""
        if self.reason is not None:
            return []
        known = (*self.sampler.processes, *self.strays())
        if self.root.exit_signal is not None or (self._interrupted and self.root.exit_code):
            rest = actions.end_tree(self.root, known, lambda: False)
            return [f"process {process.pid}" for process in rest]
        deadline = time.monotonic() + _LINGER
        while (rest := read_tree(self.root.process, known, without=excluded_pids())) and time.monotonic() < deadline:
            time.sleep(0.005)
        return [f"process {p.pid} ({' '.join(read_cmdline(p.pid))[:60]})" for p in rest]
