"""Which of many kills, and which of many clues, the answer is about; which kill was a guarded run's. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from memguard.diagnose.clues import CAUSES, Clue
from memguard.diagnose.readers import KILLERS
from memguard.records.diagnosis import Event
from memguard.records.run import RunRecord

__all__ = ["CLOCK_SLACK", "Storm", "choose_clue", "choose_event", "match_run", "other_meanings", "same_moment"]

CLOCK_SLACK = 5.0  # seconds that the kernel's clock and the wall clock may be apart
_MOMENT = 10.0  # seconds between two kills of one storm
# What ends a job by itself: a scheduler that cancels the rest of the job afterwards is not the cause.
_FAILURES = frozenset({"bus-error", "killed", "worker-killed", "torch-elastic", "exit-137", "segfault", "task-failed"})

# What the end of any killed program looks like; others name the program, or who may have done it.
_PLAIN = frozenset({"killed", "exit-137", "terminated", "not-oom-killed"})

# The event, and how many kills its moment saw.
Storm = tuple[Event, int]


def choose_event(events: Sequence[Event]) -> Storm | None:
    """The last kill; of several kills of one moment the one that held most, as that is what filled the memory."""
    if not events:
        return None
    last = next((event for event in reversed(events) if _names_somebody(event)), events[-1])
    storm = [last]
    for event in reversed(events[: events.index(last)]):
        if not (last.killer == event.killer == "kernel" and same_moment(event, storm[-1])):
            break
        storm.append(event)
    largest = max(storm, key=lambda event: event.anon_rss or 0)  # of equals the latest: it stands first
    return largest, len(storm)


def _names_somebody(event: Event) -> bool:
    """False for the head of a report whose rest is cut off."""
    return event.killer != "kernel" or event.pid is not None or event.task is not None or event.note is not None


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


def other_meanings(clues: Sequence[Clue], chosen: Clue | None) -> tuple[str, ...]:
    """What the other clues mean, where the chosen one leaves the question open; at most two."""
    if chosen is None or chosen.cause != "unclear":
        return ()
    others = dict.fromkeys(c.meaning for c in clues if c.cause == "unclear" and c.kind != chosen.kind)
    return tuple(others)[-2:]


def match_run(run: RunRecord | None, events: tuple[Event, ...]) -> Event | None:
    """The kernel's kill of a process of this run: by cgroup, else by pid, and within the run's time."""
    if run is None:
        return None
    for event in reversed(events):
        if event.killer not in ("kernel", *KILLERS) or not _during(run, event):
            continue
        same_cgroup = run.cgroup is not None and _within(event.task_memcg, run.cgroup)
        same_pid = run.pid is not None and run.pid in {event.pid, *(other.pid for other in event.others)}
        table_pid = run.pid is not None and run.pid in {task.pid for task in event.tasks}
        # In a cgroup of its own every victim is the run's; in a shared one only its own processes are.
        if same_pid or (same_cgroup and (table_pid or run.exit_signal in (9, 15))):
            return event
    return None


def _during(run: RunRecord, event: Event) -> bool:
    if event.unix_time is None:
        return False
    end = run.started + run.seconds if run.seconds is not None else float("inf")
    return run.started - CLOCK_SLACK <= event.unix_time <= end + CLOCK_SLACK


def _within(path: str | None, parent: str) -> bool:
    """`parent` may be the whole directory (/sys/fs/cgroup/…/a) where the kernel's log says /a."""
    if not path or path == "/":
        return False
    return parent == path or parent.endswith(path) or path.startswith(parent.rstrip("/") + "/")
