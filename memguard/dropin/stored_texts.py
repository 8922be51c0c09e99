"""Texts that are only ever added to: the newest in memory, the others as UTF-8 in a file. Several lists may share them.

What is no str (None, a str's subclass, a number) is kept as it is, in memory.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, islice
from typing import Any

from memguard.dropin.packed import lock
from memguard.dropin.spill import SpillFile

__all__ = ["BLOCK", "StoredTexts"]

BLOCK = 1 << 20  # bytes that are read and written together
_TAIL = 4 * BLOCK  # bytes in memory at most
_MANY = 1 << 13  # texts that wait to be encoded together
_LOSSLESS = "surrogatepass"  # a str may hold lone surrogates, and UTF-8 may not


class StoredTexts:
    """Positions are counted from 0 and never change what they mean: readers need no lock."""

    __slots__ = ("_ends", "_file", "_others", "_spilled", "_tail", "_waiting", "_waiting_size")

    def __init__(self) -> None:
        self._ends = array("Q")  # of each text, in bytes from the start
        self._tail = bytearray()
        self._file: SpillFile | None = None
        self._spilled = 0  # bytes in the file
        self._waiting: list[str] = []
        self._waiting_size = 0  # characters
        self._others: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._ends) + len(self._waiting)

    def append(self, item: Any) -> int:
        """The position that it got. Whoever calls it holds the lock.

        Raises SpillError where no disk takes what is in memory; it is stored then, too.
        """
        waiting = self._waiting
        position = len(self._ends) + len(waiting)
        if type(item) is str:
            waiting.append(item)
            self._waiting_size += len(item)
        else:
            self._others[position] = item
            waiting.append("")
        if self._waiting_size >= BLOCK or len(waiting) >= _MANY:
            self.settle()
        return position

    def settle(self) -> None:
        """Encodes what waits."""
        with lock:
            texts, self._waiting, self._waiting_size = self._waiting, [], 0
            joined = "".join(texts)
            if joined.isascii():
                data, sizes = joined.encode(), map(len, texts)
            else:
                parts = [text.encode("utf-8", _LOSSLESS) for text in texts]
                data, sizes = b"".join(parts), map(len, parts)
            self._ends.extend(islice(accumulate(sizes, initial=self._start(len(self._ends))), 1, None))
            self._tail += data
            if len(self._tail) >= _TAIL:
                self._spill()

    def _spill(self) -> None:
        if self._file is None:
            self._file = SpillFile(len(self._tail))
        self._file.append(self._tail)
        self._spilled += len(self._tail)
        self._tail = bytearray()

    def _start(self, position: int) -> int:
        return self._ends[position - 1] if position else 0

    def size(self, position: int) -> int:
        """Bytes of UTF-8."""
        if position >= len(self._ends):
            self.settle()
        return self._ends[position] - self._start(position)

    def data(self, start: int, stop: int) -> bytes:
        """The UTF-8 of the texts from `start` to before `stop`, one behind the other; what is no str is empty."""
        with lock:
            if stop > len(self._ends):
                self.settle()
            return self._bytes(self._start(start), self._start(stop))

    def _bytes(self, low: int, high: int) -> bytes:
        data = b""
        if low < self._spilled:
            assert self._file is not None
            data = self._file.read(low, min(high, self._spilled) - low)
        if high > self._spilled:
            data += self._tail[max(0, low - self._spilled) : high - self._spilled]
        return data

    def item(self, position: int) -> Any:
        if position in self._others:
            return self._others[position]
        with lock:
            waiting = position - len(self._ends)
            if waiting >= 0:
                return self._waiting[waiting]
            data = self._bytes(self._start(position), self._ends[position])
        return data.decode("utf-8", _LOSSLESS)

    def items(self, start: int, stop: int) -> list[Any]:
        """What is stored from `start` to before `stop`."""
        with lock:
            data = self.data(start, stop)
            ends = self._ends[start:stop]
        low = self._start(start)
        bounds = zip([low, *ends[:-1]], ends, strict=True) if ends else ()
        if data.isascii():
            text = data.decode()
            found: list[Any] = [text[a - low : b - low] for a, b in bounds]
        else:
            found = [data[a - low : b - low].decode("utf-8", _LOSSLESS) for a, b in bounds]
        if self._others:
            for position in range(start, stop):
                if position in self._others:
                    found[position - start] = self._others[position]
        return found

    def runs(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Stretches between two positions, of about BLOCK bytes each, of one text at least."""
        while start < stop:
            if stop > len(self._ends):
                self.settle()
            end = max(start + 1, bisect_right(self._ends, self._start(start) + BLOCK, start, stop))
            yield start, end
            start = end

    def kept_whole(self, start: int, stop: int) -> list[int]:
        """Positions from `start` to before `stop` of what is no str."""
        return sorted(position for position in self._others if start <= position < stop)
