"""Every message of messages/ by which somebody says, in one line, that it has killed for memory -> events. Pure."""

from __future__ import annotations

import re

from memguard.diagnose.clues import Pattern, indexed, read_size
from memguard.diagnose.lines import Line, event_at
from memguard.diagnose.log_reader import LogReader
from memguard.diagnose.messages import CLUES, KILLERS, KILLS, REPORTERS
from memguard.records.diagnosis import Event

__all__ = ["MessageReader"]


_NEEDLES = indexed(KILLS)


class MessageReader(LogReader):
    TRIGGERS = tuple(needle for message in KILLS for needle in message.needles)
    KILLERS = KILLERS
    REPORTERS = REPORTERS
    CLUES = CLUES

    def feed(self, line: Line) -> list[Event]:
        text = line.text
        for number in sorted({number for needle, number in _NEEDLES if needle in text}):
            match = KILLS[number].regex.search(text)
            if match is not None:
                return [_event(line, KILLS[number], match)]
        return []


def _event(line: Line, message: Pattern, match: re.Match[str]) -> Event:
    groups = {key.rstrip("23"): value for key, value in match.groupdict().items() if value}
    return event_at(
        line,
        message.kind,
        pid=int(groups["pid"]) if "pid" in groups else None,
        task=groups.get("task"),
        usage=read_size(groups["used"]) if "used" in groups else None,
        limit=read_size(groups["limit"]) if "limit" in groups else None,
        task_memcg=groups.get("unit"),
    )
