"""macOS's JetsamEvent-*.ips reports (bug_type 298) -> events. Pure.

macOS prints no kernel line when it kills for memory; it writes such a report to /Library/Logs/DiagnosticReports. The
processes that were killed carry a `reason`; `rpages` counts pages of `pageSize` bytes. The reports are indented JSON
with one value on each line, and are read as lines, like everything else here.
"""

from __future__ import annotations

import re

from memguard.diagnose.lines import Line
from memguard.diagnose.log_reader import LogReader
from memguard.records.diagnosis import Event, TaskRow

__all__ = ["JetsamReader"]

_HEAD = re.compile(r"\"bug_type\"\s{0,4}:\s{0,4}\"298\"")
_STAMP = re.compile(r"\"timestamp\"\s{0,4}:\s{0,4}\"([^\"]{10,40})\"")
_FIELD = re.compile(r"^\s{0,40}\"(\w{1,40})\"\s{0,4}:\s{0,4}(?:\"([^\"]{0,200})\"|(\d{1,18}))\s{0,4},?\s{0,4}\}?,?$")
_SHOWN = 20
_MAX_PROCESSES = 4096
# Processes that leave because they are idle are housekeeping, no shortage.
_HOUSEKEEPING = ("long-idle-exit", "idle-exit", "memory-idle")


class JetsamReader(LogReader):
    """Each report is one event: the largest process with a reason to be killed."""

    TRIGGERS = ('"298"',)

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._head: Line | None = None
        self._time: str | None = None
        self._fields: dict[str, str] = {}  # of the process that is being read
        self._page = 16384  # Apple silicon; the report says its own
        self._largest: str | None = None
        self._evidence: list[str] = []
        self._processes: list[dict[str, str]] = []

    @property
    def active(self) -> bool:
        return self._head is not None

    def feed(self, line: Line) -> list[Event]:
        text = line.raw
        if '"298"' in text and _HEAD.search(text):
            finished = self.close()
            self._head, stamp = line, _STAMP.search(text)
            self._time = stamp[1] if stamp else None
            self._evidence = [text.strip()[:400]]
            return finished
        if self._head is None:
            return []
        if match := _FIELD.match(text):
            self._read_field(match[1], match[2] if match[2] is not None else match[3], text)
        if "{" in text or "}" in text:
            self._end_process()
        return []

    def close(self) -> list[Event]:
        self._end_process()
        if self._head is None:
            return []
        event = self._event(self._head)
        self._reset()
        return [event]

    def _read_field(self, key: str, value: str, text: str) -> None:
        if key == "pageSize" and value.isdecimal() and 0 < int(value) <= 1 << 20:
            self._page = int(value)
        elif key == "largestProcess":
            self._largest = value
            self._evidence.append(text.strip()[:400])
        elif key in ("pid", "name", "rpages", "reason"):
            self._fields[key] = value
            if key == "reason" and value not in _HOUSEKEEPING and len(self._evidence) < 8:
                self._evidence.append(text.strip()[:400])

    def _end_process(self) -> None:
        if "pid" in self._fields and "rpages" in self._fields and len(self._processes) < _MAX_PROCESSES:
            self._processes.append(self._fields)
        self._fields = {}

    def _event(self, head: Line) -> Event:
        rows = sorted((_row(p, self._page) for p in self._processes), key=lambda row: row.rss, reverse=True)
        reasons = {int(p["pid"]): p["reason"] for p in self._processes if "reason" in p}
        killed = [row for row in rows if row.pid in reasons and reasons[row.pid] not in _HOUSEKEEPING]
        victim = killed[0] if killed else None
        note = f"reason {reasons[victim.pid]}" if victim else None
        return Event(
            time=self._time or head.time,
            killer="jetsam",
            pid=victim.pid if victim else None,
            task=victim.name if victim else self._largest,
            anon_rss=victim.rss if victim else None,
            tasks=tuple(rows[:_SHOWN]),
            others=tuple(killed[1:_SHOWN]),
            task_count=len(rows) or None,
            page_size=self._page,
            evidence=tuple(self._evidence),
            line=head.number,
            note=note if victim else "it names only the largest process",
        )


def _row(process: dict[str, str], page: int) -> TaskRow:
    pid, pages = (int(process[key]) if process[key].isdecimal() else 0 for key in ("pid", "rpages"))
    return TaskRow(pid=pid, name=process.get("name", ""), rss=pages * page)
