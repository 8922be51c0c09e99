"""The process at the top of the guarded tree: this process's own child, or somebody else's."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable

from memguard.system.cgroup import read_processes
from memguard.system.descriptors import list_names
from memguard.system.proc import Process, read_stat

__all__ = ["AttachedProcess", "Root", "SpawnedProcess", "exclude", "excluded_pids", "members_of"]


_excluded: set[int] = set()


def excluded_pids() -> set[int]:
    """Pids that are no part of any guarded tree: this process, and the other watchers beside the same one."""
    return {os.getpid(), *_excluded}


def exclude(pids: Iterable[int]) -> None:
    _excluded.update(pids)


def members_of(cgroup: str, *, known: Container[int] = (), proc: str = "/proc") -> tuple[Process, ...]:
    """What is in a tree's own cgroup, and so belongs to its tree, whoever its parent is by now; `known` left out."""
    strangers = (pid for pid in read_processes(cgroup) if pid not in known and pid not in excluded_pids())
    found = (read_stat(pid, proc) for pid in strangers)
    return tuple(stat.process for stat in found if stat is not None and stat.alive)


class Root:
    """`exit_code` and `exit_signal` are None while it runs, and for ever where its end cannot be asked for."""

    exit_signal: int | None = None  # the signal that ended it
    exit_code: int | None = None  # as a shell shows it: 128 + signal where a signal ended it

    def __init__(self, process: Process) -> None:
        self.process, self.pid = process, process.pid
        self.ended = False

    def poll(self) -> bool:
        """Whether it has ended."""
        if not self.ended:
            self.ended = self._has_ended()
        return self.ended

    def _has_ended(self) -> bool:
        raise NotImplementedError


class AttachedProcess(Root):
    """A process that somebody else has started: it is seen to end, not how."""

    def _has_ended(self) -> bool:
        stat = read_stat(self.pid)
        if stat is None or stat.process != self.process:
            return True
        # A main thread that ends before the others looks like a zombie.
        return not stat.alive and len(list_names(f"/proc/{self.pid}/task") or ()) <= 1


class SpawnedProcess(Root):
    def __init__(self, pid: int) -> None:
        try:
            stat = read_stat(pid)
        except OSError:  # no descriptor: without its start time it gets no signal, but its end is seen
            stat = None
        super().__init__(Process(pid, stat.start_time if stat else 0))

    def _has_ended(self) -> bool:
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:  # somebody set SIGCHLD to be ignored: the kernel has thrown the status away
            pid, status = self.pid, 0
        if not pid:
            return False
        self.exit_signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        self.exit_code = os.WEXITSTATUS(status) if self.exit_signal is None else 128 + self.exit_signal
        return True
