"""The watcher of `memguard.guard()`: a process beside the one that asked for it, which is its parent.

    python -m memguard.watch.beside PID RUN_DIRECTORY OPTIONS

OPTIONS is JSON: {"limit": bytes or null, "reserve": …, "salvage": directory or null, "cwd": …, "command": […]}. It
writes `ready` and a newline to stdout once it watches, and ends when its stdin does: the with-block is over, or its
process has ended. It watches PID and all below it, itself left out, by the same loop as `memguard run`. At the limit it
differs: the process is asked to raise MemoryLimitExceeded and goes on; what grows on nevertheless is asked again, and
ended at the third time.

A watcher that fails says so in one line and leaves the block without a guard. One that is killed while the process is
frozen, by the kernel say, would leave it so for ever; so a sentinel is there for as long.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterable, Mapping

from memguard.records.visible import visible
from memguard.system.cgroup import find_memory_cgroups
from memguard.system.descriptors import widen
from memguard.system.proc import Process, read_children, read_cmdline, read_process
from memguard.watch.decide import policy
from memguard.watch.journal import Journal, RunDirectory
from memguard.watch.kernel.sentinel import standing_by
from memguard.watch.loop import Hooks, Loop
from memguard.watch.options import EXIT_GUARD, Options
from memguard.watch.process import actions, failure
from memguard.watch.process.root import AttachedProcess, exclude
from memguard.watch.shutdown import Shutdown
from memguard.watch.tree import GuardedTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["main"]

_NAME = "memguard.watch.beside"  # as it stands in a watcher's command line
_ASKED_TWICE = 2  # raises before the tree is ended
_RAISE_WITHIN = 1.0  # seconds from the raise until growth counts as a refusal


class _Pipe:
    """The watcher's sleep: until the next look is due, or the with-block ends."""

    def __init__(self, descriptor: int) -> None:
        self.closed = False
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN | select.POLLHUP)

    def sleep(self, until: float) -> bool:
        if self.closed:
            time.sleep(max(0.0, until - time.monotonic()))
        elif self._poll.poll(max(0.0, until - time.monotonic()) * 1000):
            self.closed = True
        return self.closed

    def fetch(self) -> Iterable[tuple[int, bool]]:
        return ((signal.SIGHUP, False),) if self.closed else ()


class _RaiseFirst:
    """Asks the program for the exception before its tree is ended, and gives it time to raise."""

    def __init__(self, process: Process) -> None:
        self.raised = 0
        self._process = process
        self._quiet_until = 0.0
        self._bounds: Mapping[str, int] = {}  # source of a constraint → bytes used there before it is over all the same

    def is_quiet(self, sample: policy.Sample) -> bool:
        """An exception that was asked for waits for the end of a C call. Passing a limit of one's own meanwhile hurts
        nobody; using up the rest of the machine's or the kernel's does."""
        return sample.time < self._quiet_until and not any(
            c.used > self._bounds.get(c.source, c.used) for c in sample.constraints
        )

    def spare(self, shutdown: Shutdown, sample: policy.Sample) -> bool:
        """The tree is frozen. False where asking has not helped."""
        if self.raised >= _ASKED_TWICE or self._process not in shutdown.inspect(shutdown.tree.frozen, sample):
            return False
        if not shutdown.ask_to_raise([self._process], sample):
            return False
        self.raised += 1
        self._quiet_until = shutdown.clock() + _RAISE_WITHIN
        rooms = {c.source: (c.limit - c.used) // 3 for c in sample.constraints if c.name != "--limit"}
        self._bounds = {c.source: c.used + max(0, rooms[c.source]) for c in sample.constraints if c.source in rooms}
        return True


def main(arguments: list[str]) -> int:
    pid, path, options = int(arguments[0]), arguments[1], json.loads(arguments[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = read_process(pid)
    if process is None:
        return 3
    try:
        _watch(process, RunDirectory(path), options)
    except Exception as error:
        actions.resume_all()
        _note(failure.explain(error, "the program goes on without a guard"))
        return 125
    return 0


def _watch(process: Process, directory: RunDirectory, options: dict[str, Any]) -> None:
    widen()
    # Guards may nest: the outer one's watcher is a child of the same process.
    exclude(child for child in read_children(process.pid) if _NAME in read_cmdline(child))
    journal = Journal(directory)
    pipe = _Pipe(0)
    # No fence: a plain MemoryError in somebody's function, for memory that was only reserved, would explain nothing.
    chosen = Options(
        limit=options.get("limit"),
        reserve=options.get("reserve"),
        salvage=options.get("salvage"),
        outer=options.get("outer"),
        fence="off",
    )
    first = _RaiseFirst(process)
    hooks = Hooks(
        on_signal=lambda number, from_terminal: True,
        is_quiet=first.is_quiet,
        while_frozen=lambda: standing_by(directory, process),
        spare=first.spare,
    )
    tree = GuardedTree(AttachedProcess(process), chosen)
    loop = Loop(tree, chosen, journal, pipe, _note, hooks)
    journal.write("start", 0.0, set=_start_fields(process, directory, options))
    os.write(1, b"ready\n")
    loop.watch()
    overhead = loop.notes.overhead()
    blamed = loop.blame() if loop.reason or first.raised else {}
    tree.sampler.close()
    reason = loop.reason or ("memory" if first.raised else None)
    loop.notes.end(
        exit_code=EXIT_GUARD if reason else 0,
        termination_reason=reason,
        overhead=overhead,
        max_lateness=round(loop.lateness, 4),
        **blamed,
    )
    journal.close()


def _start_fields(process: Process, directory: RunDirectory, options: dict[str, Any]) -> dict[str, Any]:
    command = options.get("command") or [f"process {process.pid}"]
    return {
        "id": directory.id,
        "command": command,
        "cwd": options.get("cwd") or os.getcwd(),
        "started": time.time(),
        "pid": process.pid,
        "script": next((word for word in command if word.endswith(".py")), None),
        "cgroup": next(iter(find_memory_cgroups(process.pid)), None),
        "stack_path": directory.stack,
    }


def _note(line: str) -> None:
    """Never raises: stderr may be closed, or nobody reads it any more."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(f"memguard: {visible(line)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
