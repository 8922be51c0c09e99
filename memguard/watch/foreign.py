"""`memguard watch PID`: the same guard around a job that somebody has started without it.

    run_watch(pid, options) -> RunRecord

No agent is in that job's Python (unless it runs under another guard), so nothing can be flushed: what remains is
freeze, evidence from outside, SIGTERM, SIGKILL. Its line is read from outside where the system allows it
(outside_stack.py). Which processes are no jobs: jobs.py.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import replace

from memguard.errors import MemguardError
from memguard.system.cgroup import find_memory_cgroups
from memguard.system.descriptors import give_back, widen
from memguard.system.limits import read_limits
from memguard.system.proc import Process, read_cmdline, read_status, read_tree, require_proc
from memguard.units import format_size
from memguard.watch.journal import Journal, open_run
from memguard.watch.kernel.sentinel import standing_by
from memguard.watch.loop import Hooks, Loop
from memguard.watch.options import EXIT_GUARD, Options
from memguard.watch.process import actions, failure
from memguard.watch.process.jobs import check_job, command_of
from memguard.watch.process.root import AttachedProcess
from memguard.watch.process.signals import ENDING, SignalWait
from memguard.watch.tree import GuardedTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memguard.records.run import RunRecord

__all__ = ["run_watch"]

_OTHERS_SHOWN = 5


def run_watch(
    pid: int,
    options: Options,
    notify: Callable[[str], None] = lambda line: None,
    *,
    others: tuple[int, ...] = (),
) -> RunRecord:
    """Watches `pid` and all below it until it has ended, by itself or by the guard, or until this process is told to
    end (Ctrl-C): then the job goes on without a guard, exit code 128 + signal.

    `notify` is told first who is watched; `others` might have been meant as well. Raises ConfigError where there is no
    such process, or it is none to be watched (jobs.py), SystemInterfaceError where it is another user's.
    """
    require_proc()
    process = check_job(pid)
    notify(_whom(process, options, others))
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
            watch = _Watch(AttachedProcess(process), replace(options, fence="off"), journal, signals, notify)
            watch.begin(started, warning)
            watch.loop.watch()
            return watch.finish()
        except MemguardError:
            raise
        except Exception as error:
            actions.resume_all()
            line = failure.explain(error, f"process {pid} goes on without a guard, or has ended")
            raise MemguardError(line, exit_code=125) from error


def _whom(process: Process, options: Options, others: tuple[int, ...]) -> str:
    """Who is watched, in one line."""
    tree = read_tree(process)
    held = [read_status(member.pid) for member in tree]
    used = sum((status.rss_anon or 0) + (status.rss_shmem or 0) for status in held if status is not None)
    limits = read_limits(limit=options.limit, reserve=options.reserve, tree_used=used, pid=process.pid)
    below = len(tree) - 1
    children = f"with the {below} it has started" if below > 1 else "with the one it has started" if below else "alone"
    room = f"{format_size(limits.effective)} more, by {limits.source}"
    if options.limit is not None:
        room = f"{format_size(options.limit)} by --limit, {format_size(used)} of it in use" + (
            "" if limits.source == "--limit" else f"; {room}"
        )
    chosen = f"; the newest of {len(others) + 1}, not {_listed(others)}" if others else ""
    name = f"process {process.pid} ({command_of(process.pid)})"
    return f"watching {name} of {_owner(process.pid)}, {children}; it may use {room}{chosen}"


def _listed(pids: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, pids[:_OTHERS_SHOWN]))
    return shown if len(pids) <= _OTHERS_SHOWN else f"{shown} and {len(pids) - _OTHERS_SHOWN} others"


def _owner(pid: int) -> str:
    import pwd

    try:
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return "?"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


class _Watch:
    """One job, watched by `loop`."""

    def __init__(
        self,
        root: AttachedProcess,
        options: Options,
        journal: Journal,
        signals: SignalWait,
        notify: Callable[[str], None],
    ) -> None:
        self._root, self._journal = root, journal
        self._signal: int | None = None  # the one that ended the watching
        self._tree = GuardedTree(root, options)
        hooks = Hooks(self._on_signal, while_frozen=lambda: standing_by(journal.directory, root.process))
        self.loop = Loop(self._tree, options, journal, signals, notify, hooks)

    def begin(self, started: float, warning: str | None) -> None:
        words = read_cmdline(self._root.pid)
        script = next((word for word in words[1:] if word.endswith(".py")), None)
        cwd = "/"
        with contextlib.suppress(OSError):
            cwd = os.readlink(f"/proc/{self._root.pid}/cwd")
        self._journal.write(
            "start",
            0.0,
            set={
                "id": self._journal.directory.id,
                "command": words or (f"process {self._root.pid}",),
                "cwd": cwd,
                "started": started,
                "pid": self._root.pid,
                "script": script,
                "cgroup": next(iter(find_memory_cgroups(self._root.pid)), None),
                "stack_path": self._journal.directory.stack,
                "warnings": [warning] if warning else [],
            },
        )

    def _on_signal(self, number: int, from_terminal: bool) -> bool:
        if number not in ENDING:
            return False
        self._signal = number
        self._journal.write("signal", self.loop.now(), signal=number, from_terminal=from_terminal)
        return True

    def finish(self) -> RunRecord:
        overhead = self.loop.notes.overhead()
        blamed = self.loop.blame() if self.loop.reason is not None else {}
        if blamed and blamed["culprit"] is None:
            unread = self._journal.record().stack_missing or "no line of the stack is the job's own"
            blamed["stack_missing"] = f"the job was started without memguard's agent; {unread}"
        self._tree.sampler.close()
        code = EXIT_GUARD if self.loop.reason else 128 + self._signal if self._signal else 0
        return self.loop.notes.end(
            exit_code=code,
            termination_reason=self.loop.reason or ("user" if self._signal else None),
            overhead=overhead,
            max_lateness=round(self.loop.lateness, 4),
            **blamed,
        )
