"""What other programs than the kernel say, one entry for each message, and the one list of them. Pure.

To add a message: one entry in one of these files (clues.py says what an entry holds, its example is its test, and
`python -m tests.diagnose.messages` writes its row of docs/messages.md). A file that is new has its line in _FILES.
"""

from __future__ import annotations

from memguard.diagnose.clues import Pattern
from memguard.diagnose.messages import allocation, killed, not_memory, platforms, runtimes, schedulers

__all__ = ["ADVICE", "CLUES", "KILLERS", "KILLS", "MEANINGS", "MESSAGES", "REPORTERS"]

# The first clue in a line counts: what says more comes first.
_FILES = (schedulers, platforms, runtimes, allocation, not_memory, killed)

MESSAGES: tuple[Pattern, ...] = tuple(message for file in _FILES for message in file.MESSAGES)
KILLS = tuple(message for message in MESSAGES if message.cause in ("killer", "reporter"))
CLUES = tuple(message for message in MESSAGES if message.cause not in ("killer", "reporter"))
KILLERS = frozenset(message.kind for message in KILLS if message.cause == "killer")
REPORTERS = frozenset(message.kind for message in KILLS if message.cause == "reporter")
ADVICE = {message.kind: message.advice for message in KILLS if message.advice}
MEANINGS = {message.kind: message.meaning for message in KILLS}
