"""Facebook's oomd (not systemd-oomd) -> events. It writes to the kernel's log: "oomd kill: …". Pure."""

from __future__ import annotations

import re

from memguard.diagnose.lines import Line, event_at
from memguard.diagnose.log_reader import LogReader
from memguard.records.diagnosis import Event

__all__ = ["FacebookOomdReader"]

_KILL = re.compile(
    r"oomd kill: [\d.]{1,10} [\d.]{1,10} [\d.]{1,10} (/?\S{0,1024}) (\d{1,19}) ruleset:\[(.{0,200}?)\] "
    r"detectorgroup:\[(.{0,200}?)\] (\(dry\) ?)?killer:(\S{1,80})"
)


class FacebookOomdReader(LogReader):
    TRIGGERS = ("oomd kill: ",)
    KILLERS = frozenset({"oomd"})

    def feed(self, line: Line) -> list[Event]:
        match = _KILL.search(line.text) if "oomd kill: " in line.text else None
        if match is None or match[5]:  # a dry run only says what would have been killed
            return []
        path = match[1] if match[1].startswith("/") else f"/{match[1]}"
        note = f"rule {match[3]}, {match[4]}, {match[6]}"
        return [event_at(line, "oomd", task_memcg=path, usage=int(match[2]) or None, note=note)]
