"""All events of a whole log: copies of the same kill joined, in order, memory bounded, times as Unix time. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from memguard.diagnose.clues import Clue, ClueReader, is_sentence
from memguard.diagnose.commands import CommandReader
from memguard.diagnose.lines import Line, parse_line
from memguard.diagnose.readers import CLUES, REPORTERS, TRIGGERS, Readers
from memguard.diagnose.stream import LineFilter
from memguard.diagnose.wrapping import Unwrapper
from memguard.records.diagnosis import Event

__all__ = ["Collection", "LogFindings", "event_unix_time", "merge_findings"]

_MAX_EVENTS = 10_000
_MAX_DETAILED = 50  # older events keep their facts but not their task tables and quotes
# A document that is no log (kubectl, docker inspect, a pasted terminal) is read line by line: facts stand far apart.
_DOCUMENT_LINES = 5000
# Lines that are looked at before the rest of a log is only counted: some 5 s of CPU (python -m tests.bench diagnose).
_BUDGET = 100_000
_SAME_MOMENT = 90.0  # seconds within which systemd, Slurm or Kubernetes report what the kernel did
_REPORT_REACH = 8  # events back in which a report looks for its kill
_ECHO_REACH = 12  # lines within which systemd repeats what the kernel did
_MAX_EVIDENCE = 12


@dataclass(frozen=True, slots=True)
class LogFindings:
    """What one log held: `lines` read, the kills (oldest first), how many there were at all, and clues."""

    lines: int
    events: tuple[Event, ...]
    event_count: int
    clues: tuple[Clue, ...]
    skipped: int = 0  # lines that were only counted, because there were too many that mattered
    command: str | None = None  # the command that was typed last in it
    place: str | None = None  # the user's innermost line of its last traceback
    prose: bool = False  # most of it are sentences: no log


class Collection:
    """read_chunks() or read_lines() as often as wanted, then findings()."""

    def __init__(self, boot_time: float | None = None) -> None:
        """`boot_time`: Unix time at which this log's kernel booted, where that is known (this machine's own log)."""
        self._readers = Readers()
        self._clue_reader = ClueReader(CLUES)
        self._commands = CommandReader()
        self._unwrapper = Unwrapper()
        self._boot_time = boot_time
        self._filter = LineFilter(TRIGGERS, self._listening, budget=_BUDGET)
        self._fed = 0
        self._written = self._sentences = (
            0  # of the first lines: how many say something, and in how many somebody talks
        )
        self._events: dict[int, Event] = {}  # by number, in the order in which they became complete
        self._numbers: dict[tuple[object, ...], int] = {}  # of the latest event with this signature
        self._count = 0
        self._clues: list[Clue] = []
        self._lines = 0

    def read_chunks(self, chunks: Iterable[bytes]) -> None:
        skipped = 0
        for line in self._filter.lines(chunks):
            if self._filter.skipped != skipped:
                skipped = self._filter.skipped
                self._close()  # what was open when the gap began does not go on after it
            self._feed(line, self._lines + self._filter.number)
        if self._filter.count > _DOCUMENT_LINES and not self._count:
            self._read_last_words()

    def _read_last_words(self) -> None:
        """Clues at the end of a long log without a kill. In its middle they are everyday words of other programs."""
        wanted = LineFilter(self._clue_reader.triggers(), lambda: False)
        for raw in wanted.lines(tuple(self._filter.tail)):
            for line in Unwrapper().feed(raw, 0):
                self._read_clue(parse_line(line.text, None, line.raw))

    def read_lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._lines += 1
            self._feed(line, self._lines)

    def findings(self) -> LogFindings:
        self._close()
        events = sorted(self._events.values(), key=lambda event: event.line or 0)
        joined = join_reports(events)
        return LogFindings(
            lines=self._lines + self._filter.count,
            events=tuple(joined),
            event_count=self._count - (len(events) - len(joined)) + self._filter.skipped_marks,
            clues=tuple(self._clues),
            skipped=self._filter.skipped,
            command=self._commands.command,
            place=self._commands.place,
            prose=self._sentences * 2 > self._written,
        )

    def _listening(self) -> bool:
        return self._fed < _DOCUMENT_LINES or self._readers.active or self._unwrapper.waiting

    def _feed(self, raw: str, number: int) -> None:
        self._fed += 1
        for line in self._unwrapper.feed(raw, number):
            self._read(parse_line(line.text, line.number, line.raw))

    def _read(self, line: Line) -> None:
        if self._fed < _DOCUMENT_LINES and line.text:
            self._written += 1
            self._sentences += is_sentence(line.text)
        events = self._readers.feed(line)
        if not self._readers.taken:
            self._commands.feed(line)
        for event in events:
            self._add(event)
        if not events and not self._readers.taken:
            self._read_clue(line)

    def _read_clue(self, line: Line) -> None:
        if clue := self._clue_reader.read(line):
            self._clues.append(self._commands.complete(clue))

    def _close(self) -> None:
        for line in self._unwrapper.close():
            self._read(parse_line(line.text, line.number, line.raw))
        for event in self._readers.close():
            self._add(event)

    def _add(self, event: Event) -> None:
        unix_time = event_unix_time(event, self._boot_time)
        if unix_time is not None:
            event = replace(event, unix_time=unix_time)
        if event.command is None and (command := self._commands.of_unit(event.task_memcg)):
            event = replace(event, command=command)
        signature = _signature(event)
        known = self._events.get(self._numbers.get(signature, -1))
        if known is not None and _same_kill(known, event):
            if event.killer not in REPORTERS or event.usage is not None:  # other copies say the same
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


def merge_findings(findings: Sequence[LogFindings]) -> LogFindings:
    """Several logs of one machine as one. A kill that two of them hold counts once; the order is that of time."""
    events: list[Event] = []
    places: dict[tuple[object, ...], list[int]] = {}  # of the events with this signature
    for log in findings:
        for event in log.events:
            alike = places.setdefault(_signature(event), [])
            duplicate = next((n for n in alike if _duplicates(events[n], event)), None)
            if duplicate is None:
                alike.append(len(events))
                events.append(event)
            else:
                events[duplicate] = _richer(events[duplicate], event)
    events.sort(key=lambda event: event.unix_time or 0.0)
    joined = join_reports(events)
    return LogFindings(
        lines=sum(log.lines for log in findings),
        events=tuple(joined),
        event_count=len(joined) + sum(log.event_count - len(log.events) for log in findings),
        clues=tuple(clue for log in findings for clue in log.clues),
        skipped=sum(log.skipped for log in findings),
        command=next((log.command for log in findings if log.command), None),
        place=next((log.place for log in findings if log.place), None),
    )


def _duplicates(known: Event, event: Event) -> bool:
    if known.unix_time is None or event.unix_time is None:
        return False
    return abs(known.unix_time - event.unix_time) < 10.0  # the ring's clock and the journal's drift apart in suspend


def join_reports(events: Sequence[Event]) -> list[Event]:
    """Without the reports about a kill that is in the list itself: those become part of that kill's evidence.

    A report may stand before its kill: journals round to the second, the kernel's clock does not.
    """
    joined: list[Event | None] = list(events)
    for place, report in enumerate(events):
        if report.killer not in REPORTERS and report.killer != "systemd-oomd":
            continue
        before = range(place - 1, max(-1, place - 1 - _REPORT_REACH), -1)
        after = range(place + 1, min(len(events), place + 1 + _REPORT_REACH))
        for near in (*before, *after):
            kill = joined[near]
            # Of two equal reports the first one stays.
            if kill is not None and _reports(report, kill) and (near < place or kill.killer != report.killer):
                joined[near], joined[place] = _with_report(kill, joined[place] or report), None
                break
    return [event for event in joined if event is not None]


def _with_report(kill: Event, report: Event) -> Event:
    return replace(
        kill,
        evidence=tuple(dict.fromkeys((*kill.evidence, *report.evidence)))[:_MAX_EVIDENCE],
        usage=kill.usage or report.usage,
        task=kill.task or report.task,
        task_memcg=kill.task_memcg or report.task_memcg,
        limit=kill.limit or report.limit,
        command=kill.command or report.command,
    )


def _reports(report: Event, kill: Event) -> bool:
    """Whether `report` can be about `kill`: at the same moment, and of the same cgroup as far as both say one."""
    times = (report.unix_time, kill.unix_time)
    if None not in times and abs(times[0] - times[1]) > _SAME_MOMENT:  # type: ignore[operator]
        return False
    if report.killer == kill.killer:
        return None in (report.task_memcg, kill.task_memcg) or _same_group(report.task_memcg, kill.task_memcg)
    if kill.killer not in ("kernel", "systemd-oomd") or report.killer == "systemd-oomd":
        return False
    if report.task_memcg is None:
        return report.killer in ("slurm", "kubernetes", "docker", "flux", "systemd")
    if kill.task_memcg is None and kill.oom_memcg is None and report.killer == "systemd":
        return abs((report.line or 0) - (kill.line or 0)) <= _ECHO_REACH  # the kernel's line alone names no cgroup
    return any(_same_group(report.task_memcg, path) for path in (kill.task_memcg, kill.oom_memcg))


def _same_group(name: str | None, path: str | None) -> bool:
    """Whether the unit, job, pod or container `name` is a part of the cgroup's `path`."""
    if not name or not path:
        return False
    word = name.removeprefix("step ").split(".")[0] if name.startswith("step ") else name.rpartition("/")[2]
    if name.startswith("step "):
        return re.search(rf"(?:job_|^step ){re.escape(word)}\b", path) is not None
    return word.removeprefix("pod ") in path


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
    if known.killer in ("earlyoom", "nohang"):  # first SIGTERM, then SIGKILL
        return True
    same_form = _form(known.time) == _form(event.time)
    return not same_form or known.time == event.time


def _form(time: str | None) -> str:
    return "".join("0" if c.isdigit() else "a" if c.isalpha() else c for c in time or "")


def _richer(known: Event, event: Event) -> Event:
    """The copy that says more, with what only the other one says filled in."""
    first, second = (known, event) if _fact_count(known) >= _fact_count(event) else (event, known)
    gaps = {
        name: getattr(second, name)
        for name in Event.__slots__
        if getattr(first, name) in (None, ()) and getattr(second, name) not in (None, ())
    }
    return replace(first, **gaps)


def _fact_count(event: Event) -> int:
    return sum(getattr(event, name) not in (None, ()) for name in Event.__slots__)
