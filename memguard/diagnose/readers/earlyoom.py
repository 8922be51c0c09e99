"""earlyoom's log -> events: the signal it sends (SIGTERM first, then SIGKILL), and the machine's totals. Pure.

Wordings: in 2018 "Killing process 'x' with signal 15, pid: N", today "sending SIGTERM to process N".
"""

from __future__ import annotations

import re

from memguard.diagnose.lines import Line, event_at
from memguard.diagnose.log_reader import LogReader
from memguard.records.diagnosis import Event

__all__ = ["EarlyoomReader"]

_SENDING = re.compile(
    r"sending (SIGTERM|SIGKILL) to process (\d{1,10})(?: uid (\d{1,10}))? \"(.{0,80}?)\": "
    r".{0,80}?VmRSS (\d{1,12}) MiB(?:, cmdline \"(.{0,300}?)\"?$)?"
)
_KILLING_2018 = re.compile(
    r"Killing process '(.{0,80}?)' with signal (\d{1,2}), pid: (\d{1,10}), .{0,40}VmRSS: (\d{1,12}) MiB"
)
_TOTALS = re.compile(r"mem total:\s{0,8}(\d{1,12}) MiB, swap total:\s{0,8}(\d{1,12}) MiB")


class EarlyoomReader(LogReader):
    TRIGGERS = ("sending SIG", "Killing process '", "mem total:")
    KILLERS = frozenset({"earlyoom"})

    def __init__(self) -> None:
        self._totals: tuple[int | None, int | None] = (None, None)  # memory and swap in bytes, from its first lines

    def feed(self, line: Line) -> list[Event]:
        text = line.text
        if "sending SIG" in text and (match := _SENDING.search(text)):
            uid = int(match[3]) if match[3] else None
            return [self._kill(line, int(match[2]), match[4], int(match[5]), match[1], uid, match[6])]
        if "Killing process '" in text and (match := _KILLING_2018.search(text)):
            signal = "SIGTERM" if match[2] == "15" else "SIGKILL" if match[2] == "9" else f"signal {match[2]}"
            return [self._kill(line, int(match[3]), match[1], int(match[4]), signal)]
        if "mem total:" in text and (match := _TOTALS.search(text)):
            self._totals = int(match[1]) << 20, int(match[2]) << 20
        return []

    def _kill(
        self, line: Line, pid: int, task: str, mib: int, signal: str, uid: int | None = None, command: str | None = None
    ) -> Event:
        memory, swap = self._totals
        return event_at(
            line,
            "earlyoom",
            pid=pid,
            task=task,
            anon_rss=mib << 20,
            uid=uid,
            memory_total=memory,
            swap_total=swap,
            note=signal,
            command=command,
        )
