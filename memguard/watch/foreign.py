"""`memguard watch PID`: the same guard around a job that somebody has started without it.

    run_watch(pid, options) -> RunRecord

No agent is in that job's Python (unless it runs under another guard), so no line can be named and nothing be flushed:
what remains is freeze, evidence from outside, SIGTERM, SIGKILL.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import replace

from memguard.errors import ConfigError, MemguardError, SystemInterfaceError
from memguard.system.cgroup import find_memory_cgroups
from memguard.system.descriptors import give_back, widen
from memguard.system.proc import read_cmdline, read_process, read_stat, require_proc
from memguard.watch import actions, failure
from memguard.watch.journal import Journal, open_run
from memguard.watch.loop import Loop
from memguard.watch.options import EXIT_GUARD, Options
from memguard.watch.policy import Decision
from memguard.watch.root import Foreign
from memguard.watch.sentinel import standing_by
from memguard.watch.signals import ENDING, SignalWait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memguard.records.run import RunRecord

__all__ = ["run_watch"]


def run_watch(pid: int, options: Options, notify: Callable[[str], None] = lambda line: None) -> RunRecord:
    """Watches `pid` and all below it until it has ended, by itself or by the guard, or until this process is told to
    end (Ctrl-C): then the job goes on without a guard, exit code 128 + signal.

    Raises ConfigError where there is no such process, SystemInterfaceError where it is another user's.
    """
    require_proc()
    process = read_process(pid)
    if process is None:
        raise ConfigError(f"no process {pid}", "ps aux | grep python   shows what runs", exit_code=3)
    if pid == os.getpid() or pid in _ancestors():
        raise ConfigError(f"process {pid} is memguard itself, or what started it", "memguard run SCRIPT.py")
    try:
        os.kill(pid, 0)
    except PermissionError:
        problem = f"process {pid} belongs to somebody else: it can neither be measured nor stopped"
        raise SystemInterfaceError(problem, "watch it as its owner", path=f"/proc/{pid}") from None
    started = time.time()
    with contextlib.ExitStack() as undo:
        try:
            undo.callback(give_back, widen())
            directory, warning = open_run(started)
            journal = Journal(directory)
            undo.callback(journal.close)
            signals = SignalWait()
            undo.callback(signals.close)
            # A fence would outlive a watcher that is killed, on a job that has nobody else to take it off.
            watched = _Watched(Foreign(process), replace(options, fence="off"), journal, signals, notify)
            watched.begin(started, warning)
            watched.watch()
            return watched.finish()
        except MemguardError:
            raise
        except Exception as error:
            actions.resume_all()
            line = failure.explain(error, f"process {pid} goes on without a guard, or has ended")
            raise MemguardError(line, exit_code=125) from error


def _ancestors() -> set[int]:
    found: set[int] = set()
    pid = os.getppid()
    while pid > 1 and pid not in found:
        found.add(pid)
        stat = read_stat(pid)
        pid = stat.ppid if stat else 0
    return found


class _Watched(Loop):
    _signal: int | None = None

    def begin(self, started: float, warning: str | None) -> None:
        words = read_cmdline(self.root.pid)
        script = next((word for word in words[1:] if word.endswith(".py")), None)
        cwd = "/"
        with contextlib.suppress(OSError):
            cwd = os.readlink(f"/proc/{self.root.pid}/cwd")
        self.journal.write(
            "start",
            0.0,
            set={
                "id": self.journal.directory.id,
                "command": words or (f"process {self.root.pid}",),
                "cwd": cwd,
                "started": started,
                "pid": self.root.pid,
                "script": script,
                "cgroup": next(iter(find_memory_cgroups(self.root.pid)), None),
                "stack_path": self.journal.directory.stack,
                "warnings": [warning] if warning else [],
            },
        )

    def _freeze(self, decision: Decision) -> None:
        with standing_by(self.journal.directory, self.root.process):
            super()._freeze(decision)

    def on_signal(self, number: int, from_terminal: bool) -> None:
        if number in ENDING:
            self._signal, self.given_up = number, True
            self.journal.write("signal", self.now(), signal=number, from_terminal=from_terminal)

    def finish(self) -> RunRecord:
        overhead = self.notes.overhead()
        missing = "a job that was started without memguard cannot be asked; memguard run SCRIPT names the line"
        blamed = {"stack_missing": missing} if self.reason is not None else {}
        self.sampler.close()
        code = EXIT_GUARD if self.reason else 128 + self._signal if self._signal else 0
        return self.notes.end(
            exit_code=code,
            termination_reason=self.reason or ("user" if self._signal else None),
            overhead=overhead,
            max_lateness=round(self.lateness, 4),
            **blamed,
        )
