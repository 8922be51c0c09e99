"""What systemd and systemd-oomd say about a unit that ran out of memory -> events. Pure.

systemd-oomd kills whole cgroups by itself. systemd reports what the kernel did to its units, and the peak of their
memory when they end.
"""

from __future__ import annotations

import re

from memguard.diagnose.clues import read_size
from memguard.diagnose.lines import Line, event_at
from memguard.diagnose.log_reader import LogReader
from memguard.records.diagnosis import Event

__all__ = ["SystemdReader"]

_OOMD = re.compile(r"(?:Killed|Marked) (/\S{0,1024}?)(?: for killing)? due to (memory (?:pressure for|used) .{1,300})")
# systemd 247 and 248 told only why, and killed.
_OOMD_OLD = re.compile(
    r"Memory pressure for (/\S{0,1024}) is greater than \d{1,3} for more than .{1,60} reclaim activity"
)
_OOMD_USED = re.compile(
    r"memory used \((\d{1,18})\) / total \((\d{1,18})\) and swap used \((\d{1,18})\) / total \((\d{1,18})\)"
)
_OOMD_UNIT = re.compile(r"(?:^|\s)(\S{1,256}): systemd-oomd (?:killed|marked) (\d{1,9}) process\(es\) in this unit")
_UNIT_OOM = re.compile(
    r"(?:^|\s)(\S{1,256}): (?:A process of this unit has been killed by the OOM killer|Failed with result 'oom-kill')"
)
_UNIT_STATUS = re.compile(r"Active: failed \(Result: oom-kill\)")
_UNIT_HEAD = re.compile(r"^[●×*○] (\S{1,256}\.(?:service|scope))")
_UNIT_PEAK = re.compile(r"(?:^|\s)(\S{1,256}): Consumed .{0,60}?([\d.]{1,10}[KMGT]?) memory peak")
_MAX_UNITS = 64
_AFTERWARDS = 40  # lines within which systemd tells a unit's memory peak


class SystemdReader(LogReader):
    TRIGGERS = (
        "due to memory ",
        "emory pressure for ",
        "systemd-oomd killed ",
        "systemd-oomd marked ",
        "killed by the OOM killer",
        "oom-kill",
        "Started run-",
    )
    KILLERS = frozenset({"systemd-oomd"})
    REPORTERS = frozenset({"systemd"})

    def __init__(self) -> None:
        self._units: dict[str, None] = {}  # that were said to have run out of memory
        self._status_unit: str | None = None  # the one whose `systemctl status` is being read
        self._patience = 0

    @property
    def active(self) -> bool:
        return self._patience > 0

    def feed(self, line: Line) -> list[Event]:
        text = line.text
        self._patience -= 1
        if "due to memory " in text and (match := _OOMD.search(text)):
            return [_systemd_oomd(line, match)]
        if "is greater than " in text and (match := _OOMD_OLD.search(text)):
            return [event_at(line, "systemd-oomd", task_memcg=match[1], note="memory pressure had passed its limit")]
        if "systemd-oomd " in text and (match := _OOMD_UNIT.search(text)):
            self._remember(match[1])
            note = f"{match[2]} process(es) of this unit killed"
            return [event_at(line, "systemd-oomd", task_memcg=match[1], note=note)]
        if ("OOM killer" in text or "oom-kill'" in text) and (match := _UNIT_OOM.search(text)):
            self._remember(match[1])
            return [event_at(line, "systemd", task_memcg=match[1])]
        if " memory peak" in text and (match := _UNIT_PEAK.search(text)) and match[1] in self._units:
            return [event_at(line, "systemd", task_memcg=match[1], usage=read_size(match[2]))]
        if match := _UNIT_HEAD.match(text):
            self._status_unit = match[1]
        elif "oom-kill)" in text and _UNIT_STATUS.search(text):
            return [event_at(line, "systemd", task_memcg=self._status_unit)]
        return []

    def _remember(self, unit: str) -> None:
        self._patience = _AFTERWARDS
        self._units.pop(unit, None)
        self._units[unit] = None
        if len(self._units) > _MAX_UNITS:
            del self._units[next(iter(self._units))]


def _systemd_oomd(line: Line, match: re.Match[str]) -> Event:
    used = _OOMD_USED.search(match[2])
    if used is None:
        return event_at(line, "systemd-oomd", task_memcg=match[1], note=match[2])
    memory, total, swap, swap_total = (int(number) for number in used.groups())
    return event_at(
        line,
        "systemd-oomd",
        task_memcg=match[1],
        usage=memory,
        memory_total=total,
        swap_total=swap_total,
        swap_free=max(0, swap_total - swap),
        note="memory and swap were used up",
    )
