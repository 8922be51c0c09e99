"""What the script's flush callbacks are asked for, and what has come of it: the watcher's side of memguard/pressure.

    flush = FlushRequests(directory.path, outer)
    flush.hear(event, now)                  each line that the agents write
    flush.ask(processes, headroom)          whoever passes checkpoints is asked, through a page that both map
    flush.pending, flush.running            asked and not answered yet; a callback is at work
    flush.blocked(now)                      a callback that waits for what does not come

Not here: when to ask (decide/policy.py), what happens in the script's process (memguard/pressure).
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from memguard.pressure.page import HEADROOM, NUMBER, page_path
from memguard.system.proc import Process, read_progress, read_stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["FlushRequests", "Registered", "Work"]

_STILL = 1.5  # seconds without any sign of work in the whole process after which a callback is taken to be blocked
_STILL_ALONE = 10.0  # and without any in its own thread, while others work: it may wait for them
_LONGEST = 30.0  # seconds that a callback is waited for; then the guard goes on without its answer
_LOOKED = 0.25  # seconds between two looks at how it gets on
_MOST_REGISTERED = 20  # callbacks remembered


class Registered:
    """A callback that a process has registered, and where it is defined."""

    __slots__ = ("file", "line", "name", "pid")

    def __init__(self, pid: int, name: str, file: str | None, line: int | None) -> None:
        self.pid, self.name, self.file, self.line = pid, name, file, line


class Work:
    """Callbacks that run in a process, and when their thread was last seen to get on."""

    __slots__ = ("interrupted", "looked", "moved", "moved_alone", "number", "pid", "seen", "since", "thread")

    def __init__(self, pid: int, thread: int, number: int, now: float) -> None:
        self.pid, self.thread, self.number, self.since = pid, thread, number, now
        self.moved = self.moved_alone = self.looked = now
        self.seen: tuple[int, int] | None = None
        self.interrupted = False


class FlushRequests:
    """`directory` is the run's, `outer` that of an outer guard whose page has the flag of a process that both watch."""

    def __init__(self, directory: str, outer: str | None = None) -> None:
        self._directory, self._outer = directory, outer or directory
        self._passing: dict[int, str] = {}  # pid → its first checkpoint
        self.registered: list[Registered] = []
        self.pending: dict[int, int] = {}  # pid → the number of the request
        self.running: dict[int, Work] = {}
        self.answers = 0  # requests answered, by whatever came of them
        self.freed = False  # whether the last answer says that something was called
        self._number = 0
        self._told: set[int] = set()

    def hear(self, event: dict[str, Any], now: float) -> None:
        """One line of a process. Anything may stand in it."""
        kind, pid, number = event.get("event"), event.get("pid"), event.get("seq")
        if not isinstance(pid, int):
            return
        if kind == "checkpoint":
            self._passing[pid] = str(event.get("place"))
        elif kind == "registered" and len(self.registered) < _MOST_REGISTERED:
            file, line = event.get("file"), event.get("line")
            self.registered.append(
                Registered(
                    pid,
                    str(event.get("callback")),
                    file if isinstance(file, str) else None,
                    line if isinstance(line, int) else None,
                )
            )
        elif kind == "flushing" and isinstance(event.get("thread"), int) and isinstance(number, int):
            self.running[pid] = Work(pid, event["thread"], number, now)
        elif kind == "flushed":
            self.running.pop(pid, None)
            if self.pending.get(pid) == number:
                del self.pending[pid]
                self.answers += 1
            self.freed = bool(event.get("called"))

    def ready(self, processes: Iterable[Process]) -> bool:
        """Whether one of them would hear a request."""
        return bool(self._passing) and any(process.pid in self._passing for process in processes)

    def ask(self, processes: Iterable[Process], headroom: int) -> int:
        """Asks those that pass checkpoints; returns how many. One that has not answered yet is asked again."""
        self._number += 1
        self.pending = {}
        for process in processes:
            if process.pid in self._passing and self._write(process.pid, self._number, headroom):
                self.pending[process.pid] = self._number
        return len(self.pending)

    def withdraw(self) -> None:
        """There is room again: what has not been answered is not asked any more."""
        for pid in self.pending:
            self._write(pid, 0, -1)
        self.pending = {}

    def forget(self, processes: Iterable[Process]) -> None:
        """Only `processes` are left of the tree."""
        alive = {process.pid for process in processes}
        for table in (self.pending, self.running):
            for pid in [pid for pid in table if pid not in alive]:
                del table[pid]

    def silent(self, processes: Iterable[Process]) -> list[Registered]:
        """The callbacks of processes that have passed no checkpoint, each told once."""
        alive = {process.pid for process in processes}
        found = [
            one
            for one in self.registered
            if one.pid in alive and one.pid not in self._passing and one.pid not in self._told
        ]
        self._told.update(one.pid for one in found)
        return found

    def concerns(self, pid: int) -> bool:
        """Whether the process has registered a callback."""
        return any(one.pid == pid for one in self.registered)

    def callbacks(self) -> list[dict[str, Any]]:
        """All that are known, as fields of records.run.Callback."""
        return [
            {"name": r.name, "pid": r.pid, "file": r.file, "line": r.line, "checkpoint": self._passing.get(r.pid)}
            for r in self.registered
        ]

    def blocked(self, now: float) -> list[Work]:
        """The callbacks that wait for what does not come, each once; one that has taken too long is given up."""
        found = []
        for pid, work in list(self.running.items()):
            if now - work.looked < _LOOKED:
                continue
            work.looked = now
            whole, alone, stat = read_progress(pid), read_progress(pid, work.thread), read_stat(pid)
            if stat is not None and stat.state in "tT":  # a debugger, Ctrl-Z: it does not wait, it is stopped
                work.seen = None
            if work.seen is None or whole != work.seen[0]:
                work.moved = now
            if work.seen is None or alone != work.seen[1]:
                work.moved_alone = now
            work.seen = (whole, alone)
            still = now - work.moved >= _STILL or now - work.moved_alone >= _STILL_ALONE
            if still and not work.interrupted:
                work.interrupted = True
                found.append(work)
            elif now - work.since >= _LONGEST or (work.interrupted and now - work.moved >= 2 * _STILL):
                del self.running[pid]
                self.pending.pop(pid, None)
        return found

    def close(self) -> None:
        """Removes the pages, which have done their work."""
        for pid in self._passing:
            try:
                os.unlink(page_path(self._directory, pid))
            except OSError:
                continue

    def _write(self, pid: int, number: int, headroom: int) -> bool:
        """The request first, then the flags."""
        request = number.to_bytes(8, "little", signed=True) + max(-1, headroom).to_bytes(8, "little", signed=True)
        assert NUMBER.stop == HEADROOM.start and len(request) == HEADROOM.stop - NUMBER.start
        flags = b"\1\1" if number else b"\0\0"
        return _pwrite(page_path(self._directory, pid), request, NUMBER.start) and _pwrite(
            page_path(self._outer, pid), flags, 0
        )


def _pwrite(path: str, data: bytes, offset: int) -> bool:
    """The file is the process's own: what is not there is not made."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.pwrite(descriptor, data, offset) == len(data)
    except OSError:
        return False
    finally:
        os.close(descriptor)
