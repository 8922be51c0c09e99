"""The readers of log formats, one file for each kind, and the one list of them: READERS. Pure.

A message that stands in one line needs no reader: it is an entry of messages/. To add a format of several lines: a file
here with a class of log_reader.py's shape, and its line in READERS.
"""

from __future__ import annotations

from memguard.diagnose.lines import Line
from memguard.diagnose.log_reader import LogReader
from memguard.diagnose.readers.batch import BatchReader
from memguard.diagnose.readers.containers import ContainerReader
from memguard.diagnose.readers.earlyoom import EarlyoomReader
from memguard.diagnose.readers.facebook_oomd import FacebookOomdReader
from memguard.diagnose.readers.jetsam import JetsamReader
from memguard.diagnose.readers.kernel import KernelReader
from memguard.diagnose.readers.libraries import LibraryReader
from memguard.diagnose.readers.messages import MessageReader
from memguard.diagnose.readers.nohang import NohangReader
from memguard.diagnose.readers.systemd import SystemdReader
from memguard.records.diagnosis import Event

__all__ = ["CLUES", "KILLERS", "READERS", "REPORTERS", "TRIGGERS", "Readers"]

READERS: tuple[type[LogReader], ...] = (
    KernelReader,  # first: what the kernel prints nobody else has to read
    SystemdReader,
    EarlyoomReader,
    NohangReader,
    FacebookOomdReader,
    BatchReader,
    LibraryReader,
    ContainerReader,
    MessageReader,
    JetsamReader,
)

TRIGGERS = tuple(trigger for reader in READERS for trigger in reader.TRIGGERS)
KILLERS = frozenset(name for reader in READERS for name in reader.KILLERS)
REPORTERS = frozenset(name for reader in READERS for name in reader.REPORTERS)
CLUES = tuple(pattern for reader in READERS for pattern in reader.CLUES)


class Readers:
    """One reader of each kind over the same lines."""

    def __init__(self) -> None:
        self._readers = [reader() for reader in READERS]
        self.taken = False  # whether the last line was one reader's alone

    @property
    def active(self) -> bool:
        """True while lines without a trigger may belong to a report that is open."""
        return any([reader.active for reader in self._readers])  # noqa: C419  a list is faster here

    def feed(self, line: Line) -> list[Event]:
        events: list[Event] = []
        self.taken = False
        for reader in self._readers:
            events += reader.feed(line)
            if reader.taken:
                self.taken = True
                break
        return events

    def close(self) -> list[Event]:
        return [event for reader in self._readers for event in reader.close()]
