"""Which of many kills, and which of many clues, the answer is about. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from memguard.diagnose.clues import CAUSES, Clue
from memguard.records.diagnosis import Event

__all__ = ["Storm", "choose_clue", "choose_event", "same_moment"]

_MOMENT = 10.0  # seconds between two kills of one storm
# What ends a job by itself: a scheduler that cancels the rest of the job afterwards is not the cause.
_FAILURES = frozenset({"bus-error", "killed", "worker-killed", "torch-elastic", "exit-137", "segfault"})

# What the end of any killed program looks like; others name the program, or who may have done it.
_PLAIN = frozenset({"killed", "exit-137", "terminated"})

# The event, and how many kills its moment saw.
Storm = tuple[Event, int]


def choose_event(events: Sequence[Event]) -> Storm | None:
    """The last kill; of several kills of one moment the one that held most, as that is what filled the memory."""
    if not events:
        return None
    last = events[-1]
    storm = [last]
    for event in reversed(events[:-1]):
        if not (last.killer == event.killer == "kernel" and same_moment(event, storm[-1])):
            break
        storm.append(event)
    largest = max(storm, key=lambda event: event.anon_rss or 0)  # of equals the latest: it stands first
    return largest, len(storm)


def same_moment(a: Event, b: Event) -> bool:
    """Whether two kills are seconds apart, as far as their clocks tell, and under one limit."""
    if a.host != b.host or (a.oom_memcg != b.oom_memcg and None not in (a.oom_memcg, b.oom_memcg)):
        return False
    for first, second in ((a.unix_time, b.unix_time), (a.uptime, b.uptime)):
        if first is not None and second is not None:
            return abs(first - second) <= _MOMENT
    return a.time is not None and a.time == b.time


def choose_clue(clues: Sequence[Clue]) -> Clue | None:
    """Of the cause that says most, the last one; what only followed from a failure is not its cause."""
    failed = next((n for n, clue in enumerate(clues) if clue.kind in _FAILURES), None)
    told = [clue for n, clue in enumerate(clues) if clue.kind != "cancelled" or failed is None or n < failed]
    told.sort(key=lambda clue: clue.kind not in _PLAIN)  # what a shell says, then what says more
    return next((clue for cause in CAUSES for clue in reversed(told) if clue.cause == cause), None)
