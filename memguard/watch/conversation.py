"""What the watcher asks of the agents in the tree's Pythons, and what they have answered so far.

Nobody waits for an answer here: it is read from the run's events.jsonl when it has come. A process that was asked just
before it began to wait in the kernel hears nothing until that is over; so what has not answered is asked once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from memguard.system.proc import Process
from memguard.watch.actions import ask_for_stack
from memguard.watch.asks import Answers, ask
from memguard.watch.flush import FlushRequests
from memguard.watch.journal import Journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Conversation"]

_ASKED = 8  # processes at most, the largest first: each is a signal, and a handler that runs in it
_TOLD = frozenset({"reclaimed", "flushed", "salvaged", "raised", "interrupted"})  # what a record keeps of the answers
_MOST_TOLD = 100
_REMIND, _FORGET = 0.05, 1e6  # seconds


class Conversation:
    """`outer`: the run directory of an outer guard of the same process."""

    def __init__(self, journal: Journal, clock: Callable[[], float], outer: str | None = None) -> None:
        self.held: dict[int, list[dict[str, Any]]] = {}  # by pid: the containers that its last look found
        self.memory_errors: set[int] = set()  # pids that have ended with a MemoryError
        self.flush = FlushRequests(journal.directory.path, outer)
        self._journal, self._clock = journal, clock
        self._answers = Answers(journal.directory.events)
        self._heard: set[tuple[int, int, str]] = set()
        self._told = 0
        self._awaited: dict[tuple[int, int], tuple[Process, float]] = {}  # (pid, number) → when it was asked

    def ask(self, process: Process, *do: str, **order: Any) -> int | None:
        """asks.ask in this run: the ask's number; None where no agent listens."""
        return ask(self._journal.directory, process, *do, **order)

    def ask_largest(
        self,
        processes: Iterable[Process],
        first: tuple[str, ...],
        others: tuple[str, ...],
        *,
        within: float,
        headroom: int,
    ) -> int:
        """Asks the first that listens for `first`, the next ones for `others`; returns how many were asked."""
        self._awaited.clear()
        for process in tuple(processes)[:_ASKED]:
            do = others if self._awaited else first
            number = self.ask(process, *do, within=within, headroom=headroom)
            if number is not None:
                self._awaited[process.pid, number] = (process, self._clock())
        return len(self._awaited)

    @property
    def answered(self) -> bool:
        """Whether all that were asked last have done the last thing that they were asked for."""
        return not self._awaited

    def listen(self) -> None:
        """Reads what has come since."""
        if self._awaited:
            self._remind()
        for answer in self._answers.new():
            event, pid, number = answer.get("event"), answer.get("pid"), answer.get("seq")
            if not (isinstance(event, str) and isinstance(pid, int)):
                continue
            self.flush.hear(answer, self._clock())
            if event in ("registered", "checkpoint") and self.flush.concerns(pid):
                self._journal.write("callbacks", self._clock(), set={"callbacks": self.flush.callbacks()})
            if isinstance(number, int):
                self._heard.add((pid, number, event))
                if event == "reclaimed":  # the last word of every stage's ask
                    self._awaited.pop((pid, number), None)
            if event == "held" and isinstance(answer.get("containers"), list):
                self.held[pid] = answer["containers"]
            if event == "memory-error":
                self.memory_errors.add(pid)
            if event in _TOLD and self._told < _MOST_TOLD:
                self._told += 1
                self._journal.write("answer", self._clock(), answer={"time": round(self._clock(), 4), **answer})

    def _remind(self) -> None:
        """Those that have heard nothing: the signal was served, or will be, when their system call returns."""
        now = self._clock()
        for key, (process, since) in list(self._awaited.items()):
            if _REMIND <= now - since < _FORGET:
                ask_for_stack(process, self._journal.directory.stack)
                self._awaited[key] = (process, since - _FORGET)  # once

    def heard(self, process: Process, number: int | None, event: str) -> bool:
        self.listen()
        return number is None or (process.pid, number, event) in self._heard
