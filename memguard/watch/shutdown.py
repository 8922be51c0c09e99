"""The end of a tree that has to end: evidence from outside, stacks and last looks, last words, and nothing left.

    evidence  who holds what, which input files are open, what lies in /dev/shm; all from outside
    stacks    each Python process, largest first, is continued just long enough to write its stack; the largest one also
              looks who holds the memory, and writes the token ids it holds where --salvage asks for it; one without the
              agent is read from outside (outside_stack.py)
    raise     the largest Python process and the topmost one raise MemoryLimitExceeded: `finally` and `with` run
    end       all others, and those that do not end: SIGABRT where it is caught, SIGTERM, SIGKILL

Every step is bounded in time, and cut short when memory grows on.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from memguard.system.proc import Process, read_status
from memguard.units import format_size
from memguard.watch.agents.listening import why_silent
from memguard.watch.agents.session import Session
from memguard.watch.decide.policy import Sample
from memguard.watch.journal import Journal
from memguard.watch.options import Options
from memguard.watch.process import actions
from memguard.watch.tree import GuardedTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Shutdown"]

_SMALL = 0.2  # of what the largest process holds
_LAST_WORDS = 8 << 20  # bytes that the tree may always take while it is let run for its last words


class Shutdown:
    """One end; `stopped` are the tree's processes, all of them stopped."""

    def __init__(
        self,
        tree: GuardedTree,
        options: Options,
        journal: Journal,
        session: Session,
        clock: Callable[[], float],
    ) -> None:
        self.tree, self.clock = tree, clock
        self._options, self._journal, self._session = options, journal, session
        self._sampler, self._timing = tree.sampler, options.timing
        self._held: list[dict[str, Any]] = []  # the evidence, the largest process first

    def inspect(self, stopped: tuple[Process, ...], sample: Sample) -> list[Process]:
        """The evidence; returns the processes that have answered, largest first. They are stopped again."""
        held = self._held = actions.holders(stopped, self._sampler.held_by)
        self._journal.write("evidence", self.clock(), set={"holders": held[:20], "tree": sample.tree})
        by_pid = {process.pid: process for process in stopped}
        in_danger = self.danger(sample)
        deadline = time.monotonic() + self._timing.stacks_within
        answering: list[Process] = []
        silent = ""  # why the largest one did not answer
        for holder in held:
            if time.monotonic() > deadline:
                break
            process = by_pid[holder["pid"]]
            if self._stack(process, in_danger, first=not answering):
                answering.append(process)
            elif holder is held[0]:
                silent = why_silent(process, self._journal.directory.stack)
                self._journal.write("silent", self.clock(), set={"stack_missing": silent})
        if held and by_pid[held[0]["pid"]] not in answering and not in_danger():
            self._read_from_outside(by_pid[held[0]["pid"]], silent, in_danger)
        return answering

    def _read_from_outside(self, process: Process, silent: str, in_danger: Callable[[], bool]) -> None:
        """The largest process has no agent: other means may still tell where it is."""
        from memguard.watch.agents.outside_stack import read_outside_stack

        missing = read_outside_stack(process, self._journal.directory.stack, in_danger, self._timing.pyspy_within)
        if missing and silent:
            missing = f"{silent}; {missing}"
        self._journal.write("outside", self.clock(), set={"stack_missing": missing})

    def _stack(self, process: Process, in_danger: Callable[[], bool], *, first: bool) -> bool:
        path = self._journal.directory.stack
        if not first:
            return actions.stack_of_stopped(process, path, in_danger, within=self._timing.stack_within)
        salvage = self._options.salvage
        do, within = (
            (("inspect", "salvage"), self._timing.salvage_within)
            if salvage
            else (("inspect",), self._timing.inspect_within)
        )
        number: list[int | None] = [None]

        def ask() -> bool:
            number[0] = self._session.request(process, *do, within=within, salvage=salvage)
            return number[0] is not None

        def answered() -> bool:
            return self._session.answered(process, number[0], "salvaged" if salvage else "held")

        return actions.stack_of_stopped(process, path, in_danger, ask=ask, answered=answered, within=within)

    def end(self, reason: str, sample: Sample, stopped: tuple[Process, ...]) -> None:
        shared = actions.shared_files(stopped)
        answering = self.inspect(stopped, sample)
        # The largest one, whose line it is, and the topmost one, whose clean-up it is. Not where SIGTERM is caught:
        # that handler is how the script itself wants to be ended.
        topmost = [process for process in self._sampler.processes if process in answering]  # from the root down
        chosen = [p for p in dict.fromkeys((*answering[:1], *topmost[:1])) if not _catches_sigterm(p)]
        raising = self.ask_to_raise(chosen, sample) if reason == "memory" else []
        in_danger = self.danger(self._sampler.measure(self.clock()))
        rest = actions.end_tree(
            self.tree.root, stopped, in_danger, raising=raising, grace=self._timing.grace_at_limit, timing=self._timing
        )
        self._session.listen()
        left = [path for path in shared if os.path.exists(path)] + [f"process {process.pid}" for process in rest]
        self._journal.write("ended", self.clock(), set={"left": left, "termination_reason": reason})

    def ask_to_raise(self, processes: list[Process], sample: Sample) -> list[Process]:
        """Those of them that have been asked for a MemoryLimitExceeded; they do it as soon as they run."""
        message = _message(sample)

        def ask(process: Process) -> int | None:
            return self._session.request(
                process, "raise", within=self._timing.raise_within, message=message + self._elsewhere(process)
            )

        return [process for process in processes if ask(process) is not None]

    def _elsewhere(self, process: Process) -> str:
        """Where nearly all of the memory is, for one that is asked to raise and holds hardly any of it."""
        largest = self._held[0] if self._held else {"pid": process.pid, "bytes": 0}
        own = next((held["bytes"] for held in self._held if held["pid"] == process.pid), largest["bytes"])
        if largest["pid"] == process.pid or own >= _SMALL * largest["bytes"]:
            return ""
        return f"; process {largest['pid']} ({largest['name']}) holds {format_size(largest['bytes'])} of that"

    def danger(self, sample: Sample) -> Callable[[], bool]:
        """A question to ask while the tree is let run for its last words: has it grown too much?

        By a third of what is left to a limit of the kernel's; a limit of the user's own kills nobody.
        """
        bounds = {
            (c.name, c.source): c.used + max(_LAST_WORDS, (c.limit - c.used) // 3 if c.kernel else c.limit // 20)
            for c in sample.constraints
        }

        def in_danger() -> bool:
            now = self._sampler.measure(self.clock()).constraints
            return any(c.used > bounds.get((c.name, c.source), c.used) for c in now)

        return in_danger


def _message(sample: Sample) -> str:
    binding = sample.binding
    if binding is None:
        return "the memory limit is reached"
    return f"{format_size(binding.used)} of the {format_size(binding.usable)} that {binding.name} leaves are used"


def _catches_sigterm(process: Process) -> bool:
    status = read_status(process.pid)
    return status is not None and status.catches(signal.SIGTERM)
