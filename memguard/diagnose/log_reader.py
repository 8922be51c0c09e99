"""What every reader of a log format offers. The readers are in readers/, their list in readers/__init__.py.

A new format is one file with one class of this shape, and one line in that list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from memguard.diagnose.clues import Pattern
    from memguard.diagnose.lines import Line
    from memguard.records.diagnosis import Event

__all__ = ["LogReader"]


class LogReader(Protocol):
    """feed() it every line in order, then close() it. No line makes it raise; its state is bounded."""

    # Substrings: every line that can hold an event, or begin a report, has one of them. Lines without any are skipped
    # before they get here, unless a reader is `active`.
    TRIGGERS: ClassVar[tuple[str, ...]]
    # Values of Event.killer that kill by themselves: the kernel's log says nothing about it.
    KILLERS: ClassVar[frozenset[str]] = frozenset()
    # Values of Event.killer that only report what the kernel, or a platform, has done.
    REPORTERS: ClassVar[frozenset[str]] = frozenset()
    # Lines of this format that mean something without proving a kill.
    CLUES: ClassVar[tuple[Pattern, ...]] = ()

    @property
    def active(self) -> bool:
        """True while a report is open whose lines carry no trigger."""
        return False

    @property
    def taken(self) -> bool:
        """True when the last line belongs to this reader alone: the readers after it do not get it."""
        return False

    def feed(self, line: Line) -> list[Event]:
        """The events that this line completes."""
        ...

    def close(self) -> list[Event]:
        """The events that are still open, at the end of the log or before a gap in it."""
        return []
