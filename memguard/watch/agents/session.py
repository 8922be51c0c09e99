"""What the watcher asks of the agents in the tree's Pythons, and what they have answered so far.

Nobody waits for an answer here: it is read from the run's events.jsonl when it has come. A process that was asked just
before it began to wait in the kernel hears nothing until that is over; so what has not answered is asked once more.
One whose main thread sleeps in a system call is not asked, since the signal would end that call: it is tried again at
each look, for as long as the stage lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from memguard.system.proc import Process
from memguard.watch.agents.flush import FlushRequests
from memguard.watch.agents.listening import listens
from memguard.watch.agents.requests import Answers, send_request
from memguard.watch.journal import Journal
from memguard.watch.process.actions import ask_for_stack, may_ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Session"]

_ASKED = 8  # processes at most, the largest first: each is a signal, and a handler that runs in it
_TOLD = frozenset({"reclaimed", "flushed", "salvaged", "raised", "interrupted"})  # what a record keeps of the answers
_MOST_TOLD = 100
_REMIND, _FORGET = 0.05, 1e6  # seconds


class Session:
    """`outer`: the run directory of an outer guard of the same process."""

    def __init__(self, journal: Journal, clock: Callable[[], float], outer: str | None = None) -> None:
        self.held: dict[int, list[dict[str, Any]]] = {}  # by pid: the containers that its last inspection found
        self.memory_errors: set[int] = set()  # pids that have ended with a MemoryError
        self.flush = FlushRequests(journal.directory.path, outer)
        self._journal, self._clock = journal, clock
        self._answers = Answers(journal.directory.events)
        self._answered: set[tuple[int, int, str]] = set()
        self._told = 0
        self._put_off: list[tuple[Process, tuple[str, ...], float]] = []  # what to do, until when
        self._awaited: dict[tuple[int, int], tuple[Process, float]] = {}  # (pid, number) → when it was asked

    def request(self, process: Process, *do: str, **order: Any) -> int | None:
        """Sends a request in this run and returns its number; None where no agent listens. This is for the end: whoever
        sleeps is asked, too, and what a stage has put off until then is given up."""
        self._put_off.clear()
        return send_request(self._journal.directory, process, *do, **order)

    def ask_largest(
        self,
        processes: Iterable[Process],
        first: tuple[str, ...],
        others: tuple[str, ...],
        *,
        within: float,
    ) -> int:
        """Asks the first that listens for `first`, the next ones for `others`, those that sleep as soon as they are
        awake; returns how many were asked."""
        self._awaited.clear()
        self._put_off, until = [], self._clock() + within
        for process in tuple(processes)[:_ASKED]:
            if listens(process, self._journal.directory.stack):
                self._put_off.append((process, others if self._put_off else first, until))
        self._ask_awake()
        return len(self._awaited)

    def ask_for_stack(self, processes: Iterable[Process], within: float) -> None:
        """The first that listens for its stack, as soon as it is awake."""
        for process in processes:
            if listens(process, self._journal.directory.stack):
                self._put_off.append((process, (), self._clock() + within))
                break
        self._ask_awake()

    def _ask_awake(self) -> None:
        """What was put off, where it can be asked now; what has not been awake in its time is given up."""
        now, waiting, self._put_off = self._clock(), self._put_off, []
        for process, do, until in waiting:
            if now > until:
                continue
            if not do:
                asked = ask_for_stack(process, self._journal.directory.stack, asleep=False)
            elif asked := may_ask(process):
                run, within = self._journal.directory, until - now
                number = send_request(run, process, *do, within=within, asleep=False)
                asked = number is not None
                if number is not None:
                    self._awaited[process.pid, number] = (process, now)
            if not asked:
                self._put_off.append((process, do, until))

    @property
    def all_answered(self) -> bool:
        """Whether all that were asked last have done the last thing that they were asked for."""
        return not self._awaited and not self._put_off

    def listen(self) -> None:
        """Reads what has come since."""
        if self._put_off:
            self._ask_awake()
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
                self._answered.add((pid, number, event))
                if event == "reclaimed":  # the last word of every stage's requests
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
            if _REMIND <= now - since < _FORGET and ask_for_stack(process, self._journal.directory.stack, asleep=False):
                self._awaited[key] = (process, since - _FORGET)  # once

    def answered(self, process: Process, number: int | None, event: str) -> bool:
        self.listen()
        return number is None or (process.pid, number, event) in self._answered
