"""All events of a whole log: copies of the same kill joined, memory bounded, times turned into Unix time. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from memguard.diagnose import kernel, userspace
from memguard.diagnose.lines import parse_line
from memguard.diagnose.stream import LineFilter
from memguard.records.diagnosis import Event

__all__ = ["Collection", "LogFindings", "event_unix_time"]

_MAX_EVENTS = 10_000
_MAX_DETAILED = 50  # older events keep their facts but not their task tables and quotes
_MAX_SIGNS = 4  # of one kind


@dataclass(frozen=True, slots=True)
class LogFindings:
    """What one log held: `lines` read, the kills (oldest first), how many there were at all, and lesser signs."""

    lines: int
    events: tuple[Event, ...]
    event_count: int
    signs: tuple[userspace.Sign, ...]


class Collection:
    """read_chunks() or read_lines() as often as wanted, then findings()."""

    def __init__(self, boot_time: float | None = None) -> None:
        """`boot_time`: Unix time at which this log's kernel booted, where that is known (this machine's own log)."""
        self._parser = kernel.KernelParser()
        self._boot_time = boot_time
        self._filter = LineFilter((*kernel.TRIGGERS, *userspace.triggers()), lambda: self._parser.active)
        self._events: dict[int, Event] = {}  # by number, oldest first
        self._numbers: dict[tuple[object, ...], int] = {}  # of the latest event with this signature
        self._count = 0
        self._signs: list[userspace.Sign] = []
        self._full: set[str] = set()  # kinds of signs of which enough were seen
        self._lines = 0

    def read_chunks(self, chunks: Iterable[bytes]) -> None:
        for line in self._filter.lines(chunks):
            self._feed(line)

    def read_lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._lines += 1
            self._feed(line)

    def findings(self) -> LogFindings:
        for event in self._parser.close():
            self._add(event)
        lines = self._lines + self._filter.count
        return LogFindings(lines, tuple(self._events.values()), self._count, tuple(self._signs))

    def _feed(self, raw: str) -> None:
        line = parse_line(raw)
        for event in self._parser.feed(line):
            self._add(event)
        other = userspace.read_event(line)
        if other is not None:
            self._add(other)
        else:
            self._add_sign(userspace.read_sign(line, self._full))

    def _add_sign(self, sign: userspace.Sign | None) -> None:
        if sign is None:
            return
        self._signs.append(sign)
        if sum(other.kind == sign.kind for other in self._signs) >= _MAX_SIGNS:
            self._full.add(sign.kind)  # and its words are no longer looked for
            wanted = (*kernel.TRIGGERS, *userspace.triggers(self._full))
            self._filter.triggers = tuple(trigger.encode() for trigger in wanted)

    def _add(self, event: Event) -> None:
        unix_time = event_unix_time(event, self._boot_time)
        if unix_time is not None:
            event = replace(event, unix_time=unix_time)
        signature = _signature(event)
        known = self._events.get(self._numbers.get(signature, -1))
        if known is not None and _same_kill(known, event):
            self._events[self._numbers[signature]] = _richer(known, event)
            return
        self._events[self._count] = event
        self._numbers[signature] = self._count
        self._count += 1
        self._slim()

    def _slim(self) -> None:
        number = self._count - 1 - _MAX_DETAILED
        old = self._events.get(number)
        if old is not None and (old.tasks or old.others or len(old.evidence) > 1):
            self._events[number] = replace(old, tasks=(), others=(), evidence=old.evidence[-1:])
        gone = self._events.pop(self._count - 1 - _MAX_EVENTS, None)
        if gone is not None and self._numbers.get(_signature(gone)) == self._count - 1 - _MAX_EVENTS:
            del self._numbers[_signature(gone)]


def event_unix_time(event: Event, boot_time: float | None) -> float | None:
    """Unix time of an event, where its stamp says it without guessing a time zone or a year."""
    if event.time is not None and re.fullmatch(r"@\d{1,12}\.\d{6}", event.time):
        return float(event.time[1:])
    if event.time is not None and event.time[:1].isdigit() and "T" in event.time:
        try:
            stamp = datetime.fromisoformat(event.time.replace(",", "."))
            if stamp.tzinfo is not None:
                return stamp.timestamp()
        except (ValueError, OverflowError):
            return None
    if boot_time is not None and event.uptime is not None:
        return boot_time + event.uptime
    return None


def _signature(event: Event) -> tuple[object, ...]:
    """Equal for the copies of one kill in dmesg, syslog and journal."""
    if event.killer != "kernel":
        return event.killer, event.pid, event.task, event.task_memcg
    return event.killer, event.pid, event.task, event.invoker if event.pid is None else None


def _same_kill(known: Event, event: Event) -> bool:
    """Copies agree in every clock and size that both of them have; a pid used again after a reboot does not."""
    pairs = (
        (known.uptime, event.uptime),
        (known.total_vm, event.total_vm),
        (known.task_memcg, event.task_memcg),
        (known.host, event.host),
    )
    if any(a is not None and b is not None and a != b for a, b in pairs):
        return False
    if known.killer == "earlyoom":  # first SIGTERM, then SIGKILL
        return True
    same_form = _form(known.time) == _form(event.time)
    return not same_form or known.time == event.time


def _form(time: str | None) -> str:
    return "".join("0" if c.isdigit() else "a" if c.isalpha() else c for c in time or "")


def _richer(known: Event, event: Event) -> Event:
    """The copy that says more, with what only the other one says filled in."""
    first, second = (known, event) if _told(known) >= _told(event) else (event, known)
    gaps = {
        name: getattr(second, name)
        for name in Event.__slots__
        if getattr(first, name) in (None, ()) and getattr(second, name) not in (None, ())
    }
    return replace(first, **gaps)


def _told(event: Event) -> int:
    return sum(getattr(event, name) not in (None, ()) for name in Event.__slots__)
