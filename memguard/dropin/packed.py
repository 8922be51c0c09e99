"""Whole numbers in 2, 4 or 8 bytes each, as the largest of them needs: the newest in memory, the others in a file.

Numbers are only ever added at the end, so whoever holds a stretch of them may go on reading it. Appending to the tail
is one call in C; what changes more than that happens under a lock, which a fork waits for.
"""

from __future__ import annotations

import _thread
import marshal
import os
import sys
import weakref
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from memguard import pressure
from memguard.dropin.spill import SpillFile

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["BLOCK", "Packed", "lock"]

BLOCK = 1 << 16  # numbers that are looked at together
_CODES = "HIq"  # 2, 4, 8 bytes
_DTYPES = {"H": "uint16", "I": "uint32", "q": "int64"}
_HIGHEST = {"H": 1 << 16, "I": 1 << 32, "q": 1 << 63}
_INT = {int}
_SHORT = 64  # numbers that are faster packed one by one
_WORTH_ASKING = 1 << 14  # numbers in memory from which on a guard that is short of memory gets them written out

lock = _thread.RLock()  # of the whole room
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


class Packed:
    """Appended to by its owner; read by anyone."""

    __slots__ = ("__weakref__", "code", "file", "listens", "seen", "spilled", "tail")

    limit = 1 << 20  # numbers in memory at most: 2 to 8 MiB

    def __init__(self, code: str = "H") -> None:
        self.code = code
        self.tail = array(code)
        self.file: SpillFile | None = None
        self.spilled = 0  # numbers in the file
        self.listens = False  # to a guard that is short of memory
        self.seen = (0, array(code))  # the block that item() has looked at last

    def __len__(self) -> int:
        return self.spilled + len(self.tail)

    @property
    def dtype(self) -> str:
        return _DTYPES[self.code]

    def put(self, values: list[Any]) -> None:
        """Appends what a list holds. Raises TypeError where one is no int (a bool, a float, a NumPy number), or needs
        more than 8 bytes; the ones before it are then there."""
        if len(values) <= BLOCK:
            self._put_block(values)
        else:
            for start in range(0, len(values), BLOCK):
                self._put_block(values[start : start + BLOCK])

    def put_array(self, values: npt.NDArray[np.integer[Any]]) -> None:
        """Appends an array of one dimension, of any integer dtype."""
        if len(values) <= _SHORT:
            self.put_ints(values.tolist())
            return
        for start in range(0, len(values), BLOCK):
            block = values[start : start + BLOCK]
            if block.dtype != self.dtype:
                code = self.code
                if block.dtype.itemsize > self.tail.itemsize or block.dtype.kind == "i":
                    code = _code_for(int(block.min()), int(block.max()))
                if _CODES.index(code) > _CODES.index(self.code):
                    self.widen(code)
                block = block.astype(self.dtype)
            self.tail.frombytes(block.tobytes())
            self.settle()

    def put_ints(self, values: list[int]) -> None:
        """Appends what is known to be ints of up to 8 bytes."""
        try:
            self.tail.fromlist(values)
        except OverflowError:
            self.widen(_code_for(min(values), max(values)))
            self.tail.fromlist(values)
        self.settle()

    def put_packed(self, other: Packed, start: int, stop: int) -> None:
        """Appends a stretch of another one, or of this one as it is now."""
        for at in range(start, stop, BLOCK):
            block = other.block(at, min(stop, at + BLOCK))
            if block.typecode == self.code:
                self.tail.extend(block)
                self.settle()
            else:
                import numpy as np

                self.put_array(np.frombuffer(block, _DTYPES[block.typecode]))

    def settle(self) -> None:
        """After something was appended: beyond the limit, or under a guard that is short of memory, the tail goes into
        the file. Raises SpillError where no disk takes it; nothing is lost then."""
        size = len(self.tail)
        if size >= self.limit:
            self.spill()
        elif size >= _WORTH_ASKING:
            _listen(self)

    def spill(self) -> None:
        with lock:
            tail = self.tail
            data = tail[: len(tail)]  # another thread may append meanwhile
            if data:
                if self.file is None:
                    self.file = SpillFile(data.itemsize * len(data))
                self.file.append(data)
                self.spilled += len(data)
                del tail[: len(data)]

    def widen(self, code: str) -> None:
        """The same numbers, in the bytes of `code` each. Arrays that map the file of before stay as they are."""
        with lock:
            if self.file is not None:
                import numpy as np

                file = SpillFile(self.spilled * array(code).itemsize)
                for start in range(0, self.spilled, BLOCK):
                    data = self._read(start, min(self.spilled, start + BLOCK))
                    file.append(np.frombuffer(data, self.dtype).astype(_DTYPES[code]))
                self.file = file
            self.tail, self.code = array(code, self.tail), code

    def block(self, start: int, stop: int) -> array[int]:
        """The numbers from `start` to before `stop`, in memory."""
        spilled = self.spilled
        if start >= spilled:
            found = self.tail[start - spilled : stop - spilled]
            if self.spilled == spilled:  # no other thread has written them out meanwhile
                return found
        with lock:
            found = array(self.code)
            if start < self.spilled:
                found.frombytes(self._read(start, min(stop, self.spilled)))
            if stop > self.spilled:
                found += self.tail[max(0, start - self.spilled) : stop - self.spilled]
            return found

    def blocks(self, start: int, stop: int) -> Iterator[array[int]]:
        """The same, BLOCK numbers at a time."""
        for at in range(start, stop, BLOCK):
            yield self.block(at, min(stop, at + BLOCK))

    def item(self, index: int) -> int:
        if index >= self.spilled:
            return self.tail[index - self.spilled]
        start, block = self.seen
        if not start <= index < start + len(block):
            start = index - index % BLOCK
            block = self.block(start, min(start + BLOCK, self.spilled))
            self.seen = start, block
        return block[index - start]

    def map(self, start: int, stop: int) -> npt.NDArray[Any]:
        """The numbers in an array of their own, whose pages are the file's; short stretches are in memory."""
        import numpy as np

        if stop - start <= BLOCK:
            return np.frombuffer(self.block(start, stop), self.dtype)
        with lock:
            if stop > self.spilled:
                self.spill()
            assert self.file is not None
            return self.file.map(self.dtype, start * self.tail.itemsize, stop - start)

    def strided(self, start: int, stop: int, indices: range) -> Packed:
        """Of the stretch from `start` to before `stop`, the numbers at `indices`."""
        other = Packed(self.code)
        if indices:
            numbers = self.map(start, stop)
            for at in range(0, len(indices), BLOCK):
                part = indices[at : at + BLOCK]
                end = part.stop if part.stop >= 0 else None
                other.put_array(numbers[part.start : end : part.step])
        return other

    def copy(self, start: int, stop: int) -> Packed:
        """A stretch, to be appended to."""
        with lock:
            other = Packed(self.code)
            other.put_packed(self, start, stop)
            return other

    def _read(self, start: int, stop: int) -> bytes:
        assert self.file is not None
        return self.file.read(start * self.tail.itemsize, (stop - start) * self.tail.itemsize)

    def _put_block(self, values: list[Any]) -> None:
        if len(values) > _SHORT and self.code != "q":
            packed = _pack(values, self.tail.itemsize)
            if packed is not None:
                self.tail.frombytes(packed)
                self.settle()
                return
        if set(map(type, values)) <= _INT and (not values or (_fits(min(values)) and _fits(max(values)))):
            self.put_ints(values)
            return
        number = next(n for n, value in enumerate(values) if not _fits(value))
        self.put_ints(values[:number])
        raise TypeError(_what_is_wrong(values[number]))


def _pack(values: list[Any], size: int) -> bytearray | None:
    """The numbers in `size` bytes each; None where one is no int, or does not fit.

    marshal (version 2) writes an int of up to 31 bits as "i" and four bytes, faster than anything else looks at types.
    """
    if sys.byteorder != "little":
        return None
    try:
        data = marshal.dumps(values, 2)
    except ValueError:  # an object that it does not know
        return None
    count = len(values)
    # "[", the length in four bytes, then the numbers: by induction each begins where the one before it ends
    if len(data) != 5 + 5 * count or data[5::5].count(b"i") != count:
        return None
    if size == 2 and (data[8::5].strip(b"\0") or data[9::5].strip(b"\0")):
        return None
    if size == 4 and max(data[9::5]) > 0x7F:  # negative
        return None
    packed = bytearray(size * count)
    for byte in range(size):
        packed[byte::size] = data[6 + byte :: 5]
    return packed


def _fits(value: object) -> bool:
    return type(value) is int and -_HIGHEST["q"] <= value < _HIGHEST["q"]


def _what_is_wrong(value: object) -> str:
    kind = type(value)
    if kind is int:
        return f"a TokenBuffer holds ints of up to 8 bytes, not {value}: keep a list for these"
    fix = "convert them with int()" if hasattr(kind, "__index__") else "keep a list for these"
    if hasattr(value, "dtype"):
        fix = "convert them with .tolist() or int()"
    return f"a TokenBuffer holds ints, not {kind.__qualname__}: {fix}"


def _code_for(lowest: int, highest: int) -> str:
    return next(code for code in _CODES if highest < _HIGHEST[code] and (lowest >= 0 or code == "q"))


# -- memory pressure --------------------------------------------------------------------------------------------------

_listening: weakref.WeakSet[Packed] = weakref.WeakSet()
_buffer: pressure.Buffer | None = None


def _listen(packed: Packed) -> None:
    """Where the guard asks for memory, every tail that is worth it goes into its file."""
    global _buffer
    if not packed.listens:
        packed.listens = True
        _listening.add(packed)
    if _buffer is None:
        _buffer = pressure.Buffer("memguard.TokenBuffer")
    if _buffer.asked():
        _buffer.answer(_spill_all)


def _spill_all() -> None:
    for packed in list(_listening):
        packed.spill()
