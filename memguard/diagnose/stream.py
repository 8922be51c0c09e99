"""Bytes of a log of any size -> the lines that may matter, in bounded memory and time. Pure.

Most of a journal says nothing about memory: a chunk without any of the trigger words is skipped whole, at the speed of
bytes.find, unless a report is open whose lines carry no trigger. A log that is nothing but kills would still take
minutes: after `budget` lines that had to be looked at (a long one counts for several), what follows is only counted,
except for the last few MiB, because the last kill is the one that is asked about.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from memguard.diagnose.wrapping import LONGEST

__all__ = ["LineFilter"]

_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}  # what PowerShell's > writes
# Parts of the triggers: one search finds the candidates of many. What none of them covers is searched for itself, and a
# stem that is an everyday word in this log gives way to its triggers.
_STEMS = (b"emory", b"illed", b"oom", b"OOM", b"SIG", b"ignal", b"mem", b"orker", b"sed", b"TERM", b"rror")
_MAX_IN_VAIN = 5000
_COSTLY = 256  # bytes: a line costs one unit of the budget, and one more for each so many
_TAIL = 4 << 20  # bytes at the end of a log that are always looked at


class LineFilter:
    """`lines(chunks)` yields the candidates; `count` is the number of all lines so far, `number` the last one's.

    `active()` is asked before each line: while it is true, every line is a candidate. `tail` holds the last few MiB.
    `skipped` lines were only counted, with `skipped_marks` occurrences of `mark` in them.
    """

    def __init__(
        self,
        triggers: Iterable[str],
        active: Callable[[], bool],
        *,
        budget: int | None = None,
        mark: bytes = b"illed process ",
    ) -> None:
        self._in_vain = dict.fromkeys(_STEMS, 0)
        self.triggers = tuple(trigger.encode() for trigger in triggers)
        self._stems = self._choose_stems()
        self._active = active
        self._budget = budget
        self._mark = mark
        self._looked_at = 0
        self.count = 0
        self.number = 0
        self.skipped = 0
        self.skipped_marks = 0
        self.tail: deque[bytes] = deque()

    def _choose_stems(self) -> dict[bytes, tuple[bytes, ...]]:
        """Each stem with the triggers that it stands for; a trigger that stands for itself has none."""
        stems = [stem for stem in _STEMS if self._in_vain[stem] < _MAX_IN_VAIN]
        covered = {stem: tuple(t for t in self.triggers if stem in t) for stem in stems}
        rest = tuple(t for t in self.triggers if not any(stem in t for stem in stems))
        return {**{stem: found for stem, found in covered.items() if found}, **dict.fromkeys(rest, ())}

    def lines(self, chunks: Iterable[bytes]) -> Iterator[str]:
        tail = b""
        ends_with_newline = True
        tail_size = 0
        for chunk in self._within_budget(_utf8(chunks)):
            if not chunk:
                continue
            self.tail.append(chunk)
            tail_size += len(chunk)
            while tail_size - len(self.tail[0]) >= _TAIL:
                tail_size -= len(self.tail.popleft())
            ends_with_newline = chunk.endswith((b"\n", b"\r"))
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            body, newline, rest = chunk.rpartition(b"\n")
            if not newline:
                tail = (tail + rest)[:LONGEST]  # a line longer than that is cut, never kept whole
                continue
            yield from self._candidates(tail + body + b"\n")
            tail = rest[:LONGEST]
        yield from self._candidates(tail + b"\n")
        self.count -= ends_with_newline

    def _within_budget(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """All chunks; once the budget is spent, only the last _TAIL bytes of what still comes."""
        for chunk in chunks:
            yield chunk
            if self._budget is not None and self._looked_at >= self._budget:
                break
        held: deque[bytes] = deque()
        size = gone = 0
        for chunk in chunks:
            held.append(chunk)
            size += len(chunk)
            while size - len(held[0]) >= _TAIL:
                first = held.popleft()
                size -= len(first)
                gone += first.count(b"\n")
                self.skipped_marks += first.count(self._mark)
        if gone:
            # The line that was cut by the gap ends here; what the tail begins with may be half a line.
            yield b"\n"
            self.skipped = gone
            self.count += gone - 1
        yield from held

    def _candidates(self, block: bytes) -> Iterator[str]:
        """The lines of `block`, which ends with a newline, that may matter."""
        start = counted = at = 0
        positions: list[tuple[int, bytes]] | None = None  # found once for each block, and only where they are needed
        while True:
            while start < len(block) and self._active():
                end = block.index(b"\n", start)
                counted = self._advance(block, counted, end, end - start)
                if end > start:
                    yield _decode(block[start:end])
                start = end + 1
            if positions is None:
                positions = self._stem_positions(block, start)
            while at < len(positions) and positions[at][0] < start:
                at += 1  # in a line that has been handed out
            if at == len(positions):
                self.count += block.count(b"\n", counted)
                return
            position, stem = positions[at]
            at += 1
            end = block.index(b"\n", position)
            line = block[block.rfind(b"\n", 0, position) + 1 : end]
            if self._is_candidate(line, stem):
                counted = self._advance(block, counted, end, len(line))
                yield _decode(line)
                start = end + 1

    def _is_candidate(self, line: bytes, stem: bytes) -> bool:
        triggers = self._stems.get(stem, ())
        if not triggers or any([trigger in line for trigger in triggers]):  # noqa: C419  a list is faster here
            return True
        self._in_vain[stem] += 1
        if self._in_vain[stem] == _MAX_IN_VAIN:
            self._stems = self._choose_stems()
        return False

    def _advance(self, block: bytes, counted: int, end: int, length: int) -> int:
        """Counts the lines up to and with the one of `length` bytes that ends at `end`."""
        self.count += block.count(b"\n", counted, end + 1)
        self.number = self.count
        self._looked_at += 1 + length // _COSTLY
        return end + 1

    def _stem_positions(self, block: bytes, start: int) -> list[tuple[int, bytes]]:
        """(position, stem) for each line and stem of block[start:], ascending."""
        positions = []
        for stem in self._stems:
            at = block.find(stem, start)
            while at >= 0:
                positions.append((at, stem))
                at = block.find(stem, block.index(b"\n", at))
        return sorted(positions)


def _decode(line: bytes) -> str:
    return line[:LONGEST].decode("utf-8", "replace")


def _utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks as they are; UTF-16 with a byte order mark is turned into UTF-8 on the way.

    A chunk never ends between a CR and its LF, so that the pair counts as one line end.
    """
    decoder: codecs.IncrementalDecoder | None = None
    head: bytes | None = b""  # the first bytes, until they are enough to know the encoding
    carriage_return = b""
    for chunk in chunks:
        if head is not None:
            chunk = head + chunk
            if len(chunk) < 3:  # the longest byte order mark
                head = chunk
                continue
            head = None
            encoding = _UTF16.get(chunk[:2])
            if encoding:
                decoder, chunk = codecs.getincrementaldecoder(encoding)("replace"), chunk[2:]
            chunk = chunk.removeprefix(codecs.BOM_UTF8)
        text = carriage_return + (decoder.decode(chunk).encode("utf-8", "replace") if decoder else chunk)
        carriage_return = b"\r" if text.endswith(b"\r") else b""
        yield text.removesuffix(b"\r")
    yield (head or b"") + carriage_return
