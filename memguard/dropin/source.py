"""UTF-8 that stays in a file, and where its characters are: one entry for each 64 KiB."""

from __future__ import annotations

import bisect
import os
from array import array
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from memguard.tokens.input.utf8 import clean

if TYPE_CHECKING:
    from memguard.dropin.spill import SpillFile

__all__ = ["Source", "file_source", "spill_source", "whole_characters"]

_ENTRY = 1 << 16  # bytes between two entries of the index
_STEP = 1 << 20  # bytes read at a time; a multiple of _ENTRY


class Source:
    """`read(start, size)` gives bytes; they are valid UTF-8 and do not change."""

    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        self.read = read
        self.size = size  # bytes
        self._starts = array("Q", [0])  # characters that begin before byte n · _ENTRY
        self._kept = (-1, 0, "")  # the entry that was decoded last: number, its first byte, text

    @property
    def characters(self) -> int:
        return self._starts[-1]

    def index(self, look: Callable[[bytes], bool] | None = None) -> bool:
        """Reads it once. False as soon as `look` says so of a part.

        Raises UnicodeDecodeError, with the place in the whole, where it is not UTF-8.
        """
        carried = b""
        for at in range(0, self.size, _STEP):
            data = self.read(at, _STEP)
            if look is not None and not look(data):
                return False
            joined = carried + data
            end = len(joined) if at + len(data) >= self.size else whole_characters(joined)
            try:
                clean(joined[:end])
            except UnicodeDecodeError as error:
                raise _located(error, at - len(carried)) from None
            carried = joined[end:]
            self._count(data)
        return True

    def _count(self, data: bytes) -> None:
        if data.isascii():
            for at in range(0, len(data), _ENTRY):
                self._starts.append(self._starts[-1] + min(_ENTRY, len(data) - at))
            return
        import numpy as np

        starts = np.frombuffer(data, np.int8) >= -64  # all but the bytes 0x80 to 0xBF
        for at in range(0, len(data), _ENTRY):
            self._starts.append(self._starts[-1] + int(np.count_nonzero(starts[at : at + _ENTRY])))

    def place(self, character: int) -> int:
        """The byte at which this character begins; the size for the one behind the last."""
        if character >= self.characters:
            return self.size
        number, start, text = self._entry(character)
        first = text[: character - self._starts[number]]
        return start + (len(first) if first.isascii() else len(first.encode()))

    def short(self, start: int, stop: int) -> str:
        """The characters from `start` to before `stop`; few of them, mostly in one entry."""
        parts = []
        while start < stop:
            number, _, text = self._entry(start)
            base = self._starts[number]
            parts.append(text[start - base : stop - base])
            start = min(stop, base + len(text))
        return "".join(parts)

    def _entry(self, character: int) -> tuple[int, int, str]:
        """The entry in which a character begins: its number, its first byte, its text."""
        number, kept = bisect.bisect_right(self._starts, character) - 1, self._kept
        if kept[0] != number:
            start = number * _ENTRY
            data = self.read(start, _ENTRY + 3)
            low = _next_start(data, 0)
            high = _next_start(data, min(_ENTRY, len(data)))
            self._kept = kept = number, start + low, data[low:high].decode()
        return kept

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from one character's start to another's, in pieces of whole characters."""
        while start < stop:
            size = min(_STEP, stop - start)
            data = self.read(start, size)
            if start + size < stop:
                data = data[: whole_characters(data)]
            yield data
            start += len(data)

    def pieces_backwards(self, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            low = max(start, stop - _ENTRY)
            data = self.read(low, stop - low)
            skipped = _next_start(data, 0)
            yield data[skipped:]
            stop = low + skipped


def spill_source(file: SpillFile) -> Source:
    """Of what is in the file now; the text is known to be UTF-8."""
    source = Source(file.read, file.size)
    source.index()
    return source


def file_source(descriptor: int, name: object) -> Source:
    """Of a file of the user's, through a descriptor of its own. Reading it raises RuntimeError once it has changed."""
    kept = _Descriptor(os.dup(descriptor))
    stamp = kept.stamp()

    def read(start: int, size: int) -> bytes:
        data = kept.read(start, size)
        if kept.stamp() != stamp:
            raise RuntimeError(
                f"{name} was changed after memguard had begun to read it, and its text is still needed: "
                "write to another file, or take str(text) before"
            )
        return data

    return Source(read, stamp[0])


class _Descriptor:
    def __init__(self, number: int) -> None:
        self.number = number

    def stamp(self) -> tuple[int, int]:
        status = os.fstat(self.number)
        return status.st_size, status.st_mtime_ns

    def read(self, start: int, size: int) -> bytes:
        data = os.pread(self.number, size, start)
        while len(data) < size:
            more = os.pread(self.number, size - len(data), start + len(data))
            if not more:
                break
            data += more
        return data

    def __del__(self) -> None:
        os.close(self.number)


def whole_characters(data: bytes) -> int:
    """How many bytes of `data`, which begins with a character, are whole characters."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if back < length else len(data)
    return len(data)


def _next_start(data: bytes, at: int) -> int:
    while at < len(data) and 0x80 <= data[at] < 0xC0:
        at += 1
    return at


def _located(error: UnicodeDecodeError, offset: int) -> UnicodeDecodeError:
    """The same error, its place counted from the beginning of the text. `object` is a part of the text only."""
    byte = error.object[error.start]
    found = _InAFile(error.encoding, error.object, error.start + offset, error.end + offset, error.reason)
    where = f"byte 0x{byte:02x} in position {found.start}"
    if error.end - error.start > 1:
        where = f"bytes in position {found.start}-{found.end - 1}"
    found.said = f"'{error.encoding}' codec can't decode {where}: {error.reason}"
    return found


class _InAFile(UnicodeDecodeError):
    said = ""

    def __str__(self) -> str:
        return self.said


_InAFile.__name__ = _InAFile.__qualname__ = "UnicodeDecodeError"
_InAFile.__module__ = "builtins"
