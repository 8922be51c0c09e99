"""earlyoom's log -> events: the signal it sends (SIGTERM first, then SIGKILL), and the machine's totals. Pure.

Wordings: to 2019 `killing process N "x" with signal 15`, in 2018 "Killing process 'x' with signal 15, pid: N", today
"sending SIGTERM to process N".
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
# 1.0 to 1.3: killing process 2754 "packer" with signal 15, later with `: badness 550, VmRSS 7609 MiB`
_KILLING_1 = re.compile(
    r"killing process (\d{1,10}) \"(.{0,80}?)\" with signal (\d{1,2})(?:: badness \d{1,6}, VmRSS (\d{1,12}) MiB)?"
)
# Before 0.6, after "Out of memory! avail: …".
_KILLING_OLD = re.compile(r"\bKilling process (\d{1,10})\b(?: (\w.{0,79}))?")
_TOTALS = re.compile(r"mem total:\s{0,8}(\d{1,12}) MiB, swap total:\s{0,8}(\d{1,12}) MiB")


class EarlyoomReader(LogReader):
    TRIGGERS = ("Out of memory! avail:", "Killing process ", "sending SIG", "mem total:", '" with signal ')
    KILLERS = frozenset({"earlyoom"})

    def __init__(self) -> None:
        self._totals: tuple[int | None, int | None] = (None, None)  # memory and swap in bytes, from its first lines
        self._short = False

    def feed(self, line: Line) -> list[Event]:
        text = line.text
        if "sending SIG" in text and (match := _SENDING.search(text)):
            uid = int(match[3]) if match[3] else None
            return [self._kill(line, int(match[2]), match[4], int(match[5]), match[1], uid, match[6])]
        if "Killing process '" in text and (match := _KILLING_2018.search(text)):
            return [self._kill(line, int(match[3]), match[1], int(match[4]), _signal(match[2]))]
        if '" with signal ' in text and (match := _KILLING_1.search(text)):
            held = int(match[4]) if match[4] else None
            return [self._kill(line, int(match[1]), match[2], held, _signal(match[3]))]
        if "Out of memory! avail:" in text:
            self._short = True
        elif self._short and (match := _KILLING_OLD.search(text)):
            self._short = False
            return [self._kill(line, int(match[1]), match[2], None, "SIGKILL")]
        if "mem total:" in text and (match := _TOTALS.search(text)):
            self._totals = int(match[1]) << 20, int(match[2]) << 20
        return []

    def _kill(
        self,
        line: Line,
        pid: int,
        task: str | None,
        mib: int | None,
        signal: str,
        uid: int | None = None,
        command: str | None = None,
    ) -> Event:
        memory, swap = self._totals
        return event_at(
            line,
            "earlyoom",
            pid=pid,
            task=task,
            anon_rss=mib << 20 if mib is not None else None,
            uid=uid,
            memory_total=memory,
            swap_total=swap,
            note=signal,
            command=command,
        )


def _signal(number: str) -> str:
    return {"15": "SIGTERM", "9": "SIGKILL"}.get(number, f"signal {number}")
