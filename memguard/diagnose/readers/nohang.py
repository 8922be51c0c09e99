"""nohang's log -> events. The victim stands some lines above the signal that is sent to it. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from memguard.diagnose.lines import Line, event_at
from memguard.diagnose.log_reader import LogReader
from memguard.records.diagnosis import Event

__all__ = ["NohangReader"]

_VICTIM = re.compile(r"PID: (\d{1,10}), name: (.{1,64}?), badness: \d{1,9}")
_SENDING = re.compile(r"Sending (SIGTERM|SIGKILL) to the victim")
_RSS = re.compile(r"\bVmRSS:\s{0,12}(\d{1,12}) MiB")
_PATIENCE = 40  # lines between the victim and the signal


class NohangReader(LogReader):
    TRIGGERS = (", badness: ", "to the victim")
    KILLERS = frozenset({"nohang"})

    def __init__(self) -> None:
        self._victim: Event | None = None  # chosen, until the signal is sent
        self._age = 0

    @property
    def active(self) -> bool:
        return self._victim is not None

    def feed(self, line: Line) -> list[Event]:
        text = line.text
        if "badness: " in text and (match := _VICTIM.search(text)):
            self._victim, self._age = event_at(line, "nohang", pid=int(match[1]), task=match[2]), 0
            return []
        if self._victim is None:
            return []
        self._age += 1
        if self._age > _PATIENCE:
            self._victim = None
        elif match := _RSS.search(text):
            self._victim = _with(self._victim, line, anon_rss=int(match[1]) << 20)
        elif match := _SENDING.search(text):
            event, self._victim = _with(self._victim, line, note=match[1]), None
            return [event]
        return []


def _with(event: Event, line: Line, *, anon_rss: int | None = None, note: str | None = None) -> Event:
    evidence = (*event.evidence, line.raw.strip()[:400])[:12]
    return replace(event, evidence=evidence, line=line.number, anon_rss=anon_rss or event.anon_rss, note=note)
