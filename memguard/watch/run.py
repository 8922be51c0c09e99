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
from memguard.system.kernel_file import read_bytes
from memguard.system.proc import read_cmdline, read_tree
from memguard.units import format_size
from memguard.watch import actions
from memguard.watch import sentinel as sentinels
from memguard.watch.backstop import Backstop, choose
from memguard.watch.journal import Journal, RunDirectory, open_run
from memguard.watch.launch import Command, child_environment, spawn
from memguard.watch.loop import Loop
from memguard.watch.options import EXIT_GUARD, Options
from memguard.watch.root import Child, watchers
from memguard.watch.signals import ENDING, STOPPING, SignalWait, stop_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memguard.records.run import RunRecord

__all__ = ["run_guarded"]

_NICE = 10  # the watcher sleeps 99 % of the time
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
    backstop = choose(options.backstop, options.limit, notify=notify, reserve=options.reserve)
    kills = _kernel_kills(backstop)
    mark = ("MEMGUARD_RUN_DIR", directory.path)
    sentinel = sentinels.start(directory, mark, backstop.path, options.on_watcher_death)
    try:
        pid = spawn(command, environment, signals.inherited, enter=backstop.enter)
    except MemguardError:
        sentinel.goodbye()
        backstop.close()
        signals.close()
        journal.close()
        _remove(directory)
        raise
    child = Child(pid)
    backstop.entered(pid)
    sentinel.tell(child.process, backstop.path)
    run = _Run(child, options, journal, signals, notify, mark=mark, backstop=backstop)
    gc.freeze()  # what is loaded by now stays: no later collection walks it
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(PermissionError):  # where it may: to wake in time on a machine that is busy
        os.setpriority(os.PRIO_PROCESS, 0, nice - _NICE)
    try:
        run.begin(command, started, warning)
        run.watch()
        return run.finish(kills)
    except Exception as error:
        notify(f"memguard itself failed ({type(error).__name__}: {error}); the script goes on without a guard")
        run.let_go()
        _wait_unguarded(child, signals)
        raise MemguardError(f"memguard itself failed: {error!r}", "please report this", exit_code=125) from error
    finally:
        run.let_go()
        sentinel.goodbye()
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

    root: Child
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

    def let_go(self) -> None:
        """Nothing of the guard's holds the tree any more."""
        self.fence.close()
        self.backstop.close()

    def on_signal(self, number: int, from_terminal: bool) -> None:
        if number in ENDING:
            self._interrupted = True
            self.journal.write("signal", self.now(), signal=number, from_terminal=from_terminal)
        if not from_terminal and not self.root.ended:
            with contextlib.suppress(PermissionError):  # a setuid program's
                os.kill(self.root.pid, number)
        if number in STOPPING:
            stop_with(self.root.pid)

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
        self.talk.listen()
        binding = self.last.tightest if self.last is not None else None
        root = self.root.process
        if self.reason or binding is None or root.pid not in self.talk.memory_errors or not self.fence.caused(root):
            return
        self.reason = "memory"
        self.notes.decision("abort", "a MemoryError at the fence", binding, "the next allocation would not have fitted")
        self.notes.fullest = binding
        if self.fence.misfired(root, binding.used, binding.usable):
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
        while (rest := read_tree(self.root.process, known, without=watchers())) and time.monotonic() < deadline:
            time.sleep(0.005)
        return [f"process {p.pid} ({' '.join(read_cmdline(p.pid))[:60]})" for p in rest]
