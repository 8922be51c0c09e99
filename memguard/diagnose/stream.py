"""Bytes of a log of any size -> the lines that may matter, in bounded memory. Pure.

Most of a journal says nothing about memory: a chunk without any of the trigger words is skipped whole, at the speed of
bytes.find, unless a report is open whose lines carry no trigger.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator

from memguard.diagnose.lines import MAX_LINE

__all__ = ["LineFilter"]

_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}  # what PowerShell's > writes


class LineFilter:
    """`lines(chunks)` yields the candidates; `count` is the number of all lines so far.

    `active()` is asked before each line: while it is true, every line is a candidate. `triggers` may be narrowed
    between two lines.
    """

    def __init__(self, triggers: Iterable[str], active: Callable[[], bool]) -> None:
        self.triggers = tuple(trigger.encode() for trigger in triggers)
        self._active = active
        self.count = 0

    def lines(self, chunks: Iterable[bytes]) -> Iterator[str]:
        tail = b""
        ends_with_newline = True
        for chunk in _utf8(chunks):
            if not chunk:
                continue
            ends_with_newline = chunk.endswith((b"\n", b"\r"))
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            self.count += chunk.count(b"\n")
            body, newline, rest = chunk.rpartition(b"\n")
            if not newline:
                tail = (tail + rest)[:MAX_LINE]  # a line longer than that is cut, never kept whole
                continue
            yield from self._candidates(tail + body + b"\n")
            tail = rest[:MAX_LINE]
        self.count += not ends_with_newline
        yield from self._candidates(tail + b"\n")

    def _candidates(self, block: bytes) -> Iterator[str]:
        """The lines of `block`, which ends with a newline, that may matter."""
        start = 0
        while True:
            while start < len(block) and self._active():
                end = block.index(b"\n", start)
                if end > start:
                    yield _decode(block[start:end])
                start = end + 1
            for position in self._trigger_positions(block, start):
                if position < start:
                    continue  # a second trigger in a line that has been handed out
                end = block.index(b"\n", position)
                yield _decode(block[block.rfind(b"\n", 0, position) + 1 : end])
                start = end + 1
                if self._active():
                    break
            else:
                return

    def _trigger_positions(self, block: bytes, start: int) -> list[int]:
        """Where a trigger stands in block[start:], ascending; one position for each line and trigger."""
        positions = []
        for trigger in self.triggers:
            at = block.find(trigger, start)
            while at >= 0:
                positions.append(at)
                at = block.find(trigger, block.index(b"\n", at))
        return sorted(positions)


def _decode(line: bytes) -> str:
    return line[:MAX_LINE].decode("utf-8", "replace")


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
