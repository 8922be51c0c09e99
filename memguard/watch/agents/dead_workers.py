"""A multiprocessing.Pool that lost a worker waits for ever for the result the worker took with it.

The agent in the Pool's process reports the death to the run's events.jsonl. The other workers may still have work; when
the whole tree has done nothing for a while, the run hangs. A script that notices by itself ends first.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable

from memguard.system.proc import Process, read_stat
from memguard.watch.agents.requests import Answers

__all__ = ["PoolWatch"]

_PERIOD = 0.5  # seconds between looks
_BUSY = 0.1  # of one core: more than this is work; a Pool's own threads poll at about 0.02


class PoolWatch:
    def __init__(self, events_path: str, idle: float) -> None:
        self.reason = ""
        self._idle = idle  # seconds without work after which the run counts as hung
        self.parent: int | None = None  # the process whose Pool it is
        self._answers = Answers(events_path)
        self._looked, self._idle_since = 0.0, 0.0
        self._ticks: int | None = None
        self._hertz = os.sysconf("SC_CLK_TCK")

    def hung(self, now: float, processes: Iterable[Process], notify: Callable[[str], None]) -> bool:
        """Whether a worker has died and nothing has worked for `idle` seconds since."""
        if now - self._looked < _PERIOD:
            return False
        elapsed, self._looked = now - self._looked, now
        self._read_events(notify)
        if not self.reason:
            return False
        ticks = sum(stat.cpu_ticks or 0 for p in processes if (stat := read_stat(p.pid)) is not None)
        worked = self._ticks is None or ticks - self._ticks > _BUSY * elapsed * self._hertz
        # A process that ends takes its ticks out of the sum.
        self._ticks, ended = ticks, self._ticks is not None and ticks < self._ticks
        if worked or ended:
            self._idle_since = now
        return now - self._idle_since >= self._idle

    def _read_events(self, notify: Callable[[str], None]) -> None:
        for event in self._answers.new():
            try:
                pid, code, parent = int(event["pid"]), int(event["exitcode"]), int(event["parent"])
            except (ValueError, KeyError, TypeError):
                continue
            if not self.reason:
                self.parent = parent
                self.reason = f"pool worker {pid} {_ended_by(code)}"
                notify(f"{self.reason}; multiprocessing.Pool does not notice and waits for its result for ever")


def _ended_by(code: int) -> str:
    """exitcode as multiprocessing has it: negative for a signal."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
