"""Lines that mean something, but are no report of the kernel's -> clues, or events of other killers. Pure.

Here: what a message is and how a clue is read from a line. The messages themselves are in messages/, one entry for
each, with all that there is to say about it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence, Set
from dataclasses import dataclass

from memguard.diagnose.lines import Line

__all__ = [
    "CAUSES",
    "Clue",
    "ClueReader",
    "Pattern",
    "indexed",
    "is_sentence",
    "killer",
    "pattern",
    "read_size",
    "reporter",
]

# What a clue may be about, the one that says most first:
# memory      somebody ran out of memory and was killed for it; who and why stands elsewhere
# shm         /dev/shm was full: another limit than RAM
# allocation  memory was refused, the program ended by itself
# thrashing   memory was so short that the machine stood still
# not-memory  something else
# hang        a main process waits for a worker that is gone
# unclear     killed from outside, or died; nothing says by whom or why
CAUSES = ("memory", "shm", "allocation", "thrashing", "not-memory", "hang", "unclear")

_QUOTE = 400
_MAX_OF_A_KIND = 4  # the first few are enough to quote
_MAX_IN_VAIN = 2000  # lines with a needle and no match: the word is an everyday one in this log
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_NEAR = 12  # lines back in which the line must stand that a message belongs to


@dataclass(frozen=True, slots=True)
class Clue:
    """One line that means something. `cause` is one of CAUSES."""

    kind: str
    cause: str
    meaning: str
    raw: str
    size: int | None = None  # bytes that were asked for in vain
    pid: int | None = None
    command: str | None = None  # as the shell names it
    place: str | None = None  # "prepare.py:9": the innermost line of the user's own
    advice: tuple[str, ...] = ()  # what helps against this one; empty: what helps against its cause


@dataclass(frozen=True, slots=True)
class Pattern:
    """One message: how it is recognised, what it means, what to do, and an example of it.

    A clue's regex may have the groups size, pid and command; that of a killer task, pid, used, limit and unit.
    """

    needles: tuple[str, ...]  # one of them is in every line that can match
    regex: re.Pattern[str]
    kind: str
    cause: str  # one of CAUSES, or `killer`, or `reporter`
    meaning: str
    source: str = ""  # who prints it
    advice: tuple[str, ...] = ()
    example: str = ""  # a text with this message, and nothing that says more
    loose: bool = False  # people write these words in sentences, too: a sentence is no log
    after: str = ""  # the kind of a message that must stand a few lines above


def pattern(
    kind: str,
    cause: str,
    meaning: str,
    regex: str,
    *needles: str,
    source: str = "",
    advice: tuple[str, ...] = (),
    example: str = "",
    loose: bool = False,
    after: str = "",
) -> Pattern:
    """A line that means something, without proving a kill."""
    return Pattern(needles, re.compile(regex), kind, cause, meaning, source, advice, example, loose, after)


def _said_by(
    role: str,
    name: str,
    meaning: str,
    regex: str,
    *needles: str,
    source: str,
    example: str,
    advice: tuple[str, ...] = (),
) -> Pattern:
    return Pattern(needles, re.compile(regex), name, role, meaning, source, advice, example)


# A line by which somebody other than the kernel says that it has killed for memory; and one by which somebody reports
# that a limit's memory was full and the kernel has killed.
killer = functools.partial(_said_by, "killer")
reporter = functools.partial(_said_by, "reporter")


class ClueReader:
    """The first few clues of each kind. A kind is `done` after enough of them, or after too many lines in vain."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.done: set[str] = set()
        self._patterns = tuple(patterns)
        self._needles = indexed(self._patterns)
        self._found = dict.fromkeys((known.kind for known in patterns), 0)
        self._missed = dict.fromkeys((known.kind for known in patterns), 0)
        self._count = 0  # lines so far
        self._seen: dict[str, int] = {}  # kind -> the line that was the last of it

    def triggers(self) -> tuple[str, ...]:
        """Substrings of every line that can hold a clue that is still looked for."""
        return tuple(needle for needle, _ in self._needles)

    def read(self, line: Line) -> Clue | None:
        """The first clue in this line."""
        text = line.text
        self._count += 1
        # A list is faster than a loop here: most lines hold no needle.
        for number in sorted({number for needle, number in self._needles if needle in text}):
            known = self._patterns[number]
            match = known.regex.search(text)
            if match is None:
                self._count_one(self._missed, known, _MAX_IN_VAIN)
                continue
            if known.loose and is_sentence(text):
                continue
            if known.after and self._count - self._seen.get(known.after, -_NEAR - 1) > _NEAR:
                continue
            self._seen[known.kind] = self._count
            if known.cause == "context":  # means nothing by itself
                continue
            self._count_one(self._found, known, _MAX_OF_A_KIND)
            return _clue(known, match, line)
        return None

    def _count_one(self, counts: dict[str, int], known: Pattern, most: int) -> None:
        counts[known.kind] += 1
        if counts[known.kind] >= most and known.cause != "context":
            self.done.add(known.kind)
            self._needles = indexed(self._patterns, self.done)


def indexed(patterns: Sequence[Pattern], done: Set[str] = frozenset()) -> tuple[tuple[str, int], ...]:
    """(needle, number of its pattern), without the kinds that are done."""
    return tuple(
        (needle, number) for number, known in enumerate(patterns) if known.kind not in done for needle in known.needles
    )


def _clue(known: Pattern, match: re.Match[str], line: Line) -> Clue:
    groups = {key.rstrip("234"): value for key, value in match.groupdict().items() if value}
    return Clue(
        known.kind,
        known.cause,
        known.meaning,
        line.raw.strip()[:_QUOTE],
        size=read_size(groups["size"]) if "size" in groups else None,
        pid=int(groups["pid"]) if "pid" in groups else None,
        command=groups["command"].strip() if "command" in groups else None,
        advice=known.advice,
    )


_SIZE = re.compile(r"(\d{1,20}(?:\.\d{0,6})?)\s?([KMGT]?)i?B?", re.IGNORECASE)


def read_size(text: str) -> int | None:
    """`58.0 GiB`, `117. GiB`, `2.09GB`, `33554432kb`, `512Mi` as bytes; every unit counts 1024, as there."""
    match = _SIZE.match(text.strip())
    return None if match is None else round(float(match[1]) * _UNITS[match[2].upper()])


_SAID = (
    "a about after an and are as at be because but by can could did do does for from get gets had has "
    "have how i if in is it its me my not of on or our should so some than that the their then there "
    "these they this to was we were what when which while who why will with would you your "
)
_LITTLE_WORDS = frozenset(_SAID.split())
_WORD = re.compile(r"[A-Za-z']{1,30}")
_FEWEST_WORDS = 7


def is_sentence(text: str) -> bool:
    """Whether a line is prose of a person rather than a program's: many words, and every third or so a little one."""
    if len(text) > 4000:
        return False
    words = _WORD.findall(text)
    if len(words) < _FEWEST_WORDS:
        return False
    little = sum(word.lower() in _LITTLE_WORDS for word in words)
    others = sum(not c.isalpha() and c not in " ',.;!?" for c in text)
    return little * 4 >= len(words) and others * 8 <= len(text)
