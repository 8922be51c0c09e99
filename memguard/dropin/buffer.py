"""TokenBuffer: a list of ints that takes 2 to 8 bytes a number, and keeps all but the newest in a file."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeVar

from memguard.dropin.arrays import cast_array, list_array, memory_of
from memguard.dropin.packed import BLOCK, Packed, lock
from memguard.dropin.refusals import GrowsAtItsEnd, refuse

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from memguard.dropin.encoder import Encoder

    Entry = str | int

__all__ = ["TokenBuffer", "from_arrays", "packed_span", "pending", "stretch", "unsettled"]

Self = TypeVar("Self", bound="TokenBuffer")

_new = object.__new__
_PENDING = 1 << 18  # characters of text that wait to be encoded together, at most
_FEW = 16  # numbers that may wait between two texts
_FEW_IDS = 512  # numbers of a list that is not worth a call of its own
_PER_ENTRY = 64  # bytes that a short text takes beside its characters
_CHUNK = 1 << 12  # items taken from an iterator at a time


class TokenBuffer(GrowsAtItsEnd):
    """TokenBuffer([iterable]): what a list of ints gives, for numbers from -2**63 to 2**63 - 1.

    Each number takes 2 bytes; 4 or 8 once one needs it. The newest million is in memory, the others are in a file
    without a name (spill.py), which raises SpillError, a MemoryError, where no disk takes it. What is no int (a bool, a
    float, a NumPy number) raises TypeError, when somebody looks at the latest. Slices share the numbers, and copy them
    when they are appended to.

    What a list does it does, but for changes in the middle, * and <, which raise TypeError or AttributeError.
    np.array(ids, dtype) has NumPy's values, dtypes and errors for a list; a large one is a mapping of the file.
    Short texts of memguard.get_encoding wait until 256 KiB of them can be encoded together, or somebody looks.
    """

    __slots__ = ("_encoder", "_size", "_start", "_stop", "_store", "_waiting")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, iterable: Iterable[int] = (), /) -> None:
        self._store: Packed | None = Packed()
        self._start = 0
        self._stop: int | None = None  # None: the end of what is stored, and so this is where to append
        self._waiting: list[Any] = []  # texts and ints that are still to be stored
        self._encoder: Encoder | None = None
        self._size = 0  # of what waits, bytes, about; -1 while an iterator is at work
        self.extend(iterable)
        self._settle()

    # -- what grows it

    def append(self, value: int, /) -> None:
        encoder = self._encoder
        if type(value) is not int or (encoder is not None and not (0 <= value < encoder.n_vocab and self._size >= 0)):
            self._appendable().put([value])
            return
        waiting = self._waiting
        waiting.append(value)
        if len(waiting) >= _CHUNK:
            self._settle()

    def extend(self, iterable: Iterable[int], /) -> None:
        encoder = self._encoder
        if type(iterable) is list:
            if encoder is None and len(iterable) <= _FEW_IDS and (not iterable or type(iterable[-1]) is int):
                self._waiting += iterable  # looked at when there are many
                if len(self._waiting) >= _CHUNK:
                    self._settle()
            elif encoder is not None and self._may_wait(iterable, encoder):
                self._waiting += iterable
                self._grown(8 * len(iterable))
            else:
                self._appendable().put(iterable)
        elif isinstance(iterable, TokenBuffer):
            if encoder is not None and iterable._encoder is encoder and iterable._store is None and self._size >= 0:
                self._waiting += iterable._waiting  # texts
                self._grown(iterable._size)
            else:
                self._extend_packed(iterable)
        elif isinstance(iterable, array) and iterable.typecode in "bBhHiIlLq":
            self._appendable().put_array(memory_of(iterable))
        else:
            self._extend_slowly(iter(iterable))

    def _extend_packed(self, other: TokenBuffer) -> None:
        if other._encoder is not None and other._store is None and self._size >= 0:
            if self._encoder is None and self._waiting and not self._may_wait(self._waiting, other._encoder):
                self._settle()
            if not self._waiting or self._encoder is None:
                self._encoder = other._encoder
                self._waiting += other._waiting
                self._grown(other._size)
                return
        span = other._span()
        self._appendable().put_packed(*span)

    def _extend_slowly(self, iterator: Iterator[Any]) -> None:
        """What the iterator gives can be seen at once, by itself too, and stays if it raises."""
        self._appendable()
        self._encoder, before, self._size = None, self._size, -1
        try:
            for first in iterator:
                self._waiting.append(first)
                self._waiting.extend(islice(iterator, _CHUNK))
                self._settle()
        finally:
            self._settle()
            self._size = max(before, 0)

    def __iadd__(self: Self, other: Iterable[int]) -> Self:  # type: ignore[misc]
        self.extend(other)
        return self

    def __add__(self, other: Any) -> Any:
        if isinstance(other, (list, TokenBuffer)):
            return self._joined(self, other)
        reflected = getattr(type(other), "__radd__", None)  # a NumPy array adds to each number
        found = reflected(other, self) if reflected is not None else NotImplemented
        return [].__add__(other) if found is NotImplemented else found  # a list's own error

    def __radd__(self, other: Any) -> Any:
        return self._joined(other, self) if isinstance(other, list) else other + []  # noqa: RUF005  (a list's own error)

    @staticmethod
    def _joined(left: list[int] | TokenBuffer, right: list[int] | TokenBuffer) -> TokenBuffer:
        """[eot] + ids and ids + [eot] wait as ids do: nothing else is made for them, since lines are many and short."""
        if isinstance(right, TokenBuffer) and isinstance(left, list):
            texts = unsettled(right)
            if texts is not None and right._may_wait(left, texts[0]):
                return pending(texts[0], [*left, *texts[1]], texts[2])
        elif isinstance(left, TokenBuffer) and (texts := unsettled(left)) is not None:
            if isinstance(right, list) and left._may_wait(right, texts[0]):
                return pending(texts[0], [*texts[1], *right], texts[2])
            made = pending(texts[0], texts[1].copy(), texts[2])
            made.extend(right)
            return made
        made = TokenBuffer()
        made.extend(left)
        made.extend(right)
        return made

    def clear(self) -> None:
        with lock:
            self._waiting, self._encoder, self._size = [], None, 0
            self._store, self._start, self._stop = Packed(), 0, None

    # -- what reads it

    def __len__(self) -> int:
        if self._encoder is not None or self._store is None:
            self._span()
        store, waiting = self._store, len(self._waiting)
        assert store is not None
        return (len(store) if self._stop is None else self._stop) - self._start + waiting

    def __getitem__(self, key: SupportsIndex | slice, /) -> Any:
        store, start, stop = self._span()
        if isinstance(key, slice):
            low, high, step = key.indices(stop - start)
            if step == 1:
                return stretch(TokenBuffer, store, start + low, start + max(low, high))
            picked = store.strided(start, stop, range(low, high, step))
            return stretch(TokenBuffer, picked, 0, len(picked))
        if not hasattr(type(key), "__index__"):
            return [][key]  # a list's own error
        index = key.__index__()
        if index < 0:
            index += stop - start
        if not 0 <= index < stop - start:
            raise IndexError("list index out of range")
        return store.item(start + index)

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(self._lists())

    def _lists(self) -> Iterator[list[int]]:
        """As a list's iterator: what is appended meanwhile comes too."""
        at = 0
        while True:
            store, start, stop = self._span()
            if start + at >= stop:
                return
            block = store.block(start + at, min(stop, start + at + BLOCK))
            at += len(block)
            yield block.tolist()

    def __reversed__(self) -> Iterator[int]:
        return chain.from_iterable(self._lists_backwards())

    def _lists_backwards(self) -> Iterator[list[int]]:
        store, start, stop = self._span()
        for at in range(stop, start, -BLOCK):
            yield store.block(max(start, at - BLOCK), at).tolist()[::-1]

    def __contains__(self, value: object, /) -> bool:
        return any(value in block for block in self._blocks())

    def _blocks(self) -> Iterator[array[int]]:
        store, start, stop = self._span()
        return store.blocks(start, stop)

    def count(self, value: Any, /) -> int:
        return sum(block.count(value) for block in self._blocks())

    def index(self, value: Any, start: SupportsIndex = 0, stop: SupportsIndex = 1 << 62, /) -> int:
        """Raises ValueError where it is not there, as a list does."""
        low, high, _ = slice(start.__index__(), stop.__index__()).indices(len(self))
        store, first, _ = self._span()
        for at in range(low, high, BLOCK):
            block = store.block(first + at, first + min(high, at + BLOCK))
            if value in block:
                return at + block.index(value)
        return [].index(value)

    def __eq__(self, other: object, /) -> bool:
        if not isinstance(other, (list, TokenBuffer)):
            return NotImplemented
        if len(self) != len(other):
            return False
        at = 0
        for block in self._lists():
            if block != list(other[at : at + len(block)]):
                return False
            at += len(block)
        return True

    def __repr__(self) -> str:
        return f"[{', '.join(str(block)[1:-1] for block in self._lists())}]"

    def copy(self) -> TokenBuffer:
        return stretch(TokenBuffer, *self._span())

    __copy__ = copy

    def __deepcopy__(self, memo: object) -> TokenBuffer:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        store, start, stop = self._span()
        return _restored, (type(self), store.block(start, stop))

    # -- NumPy

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is False:
            import numpy as np

            np.array([0], copy=False)  # raises, in the words of the NumPy that asks
        return list_array(*self._span(), dtype)

    def to_numpy(self, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
        """np.array(self, dtype)."""
        return list_array(*self._span(), dtype)

    def astype(self, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """np.array(self).astype(dtype), without the array of 8 bytes a number in between: what does not fit wraps."""
        return cast_array(*self._span(), dtype)

    # -- what a list can change, and this cannot

    def __delitem__(self, key: SupportsIndex | slice, /) -> None:
        """del ids[:n] and del ids[n:]."""
        store, start, stop = self._span()
        if isinstance(key, slice):
            low, high, step = key.indices(stop - start)
            kept = step == 1 and (low == 0 or high == stop - start or low >= high)
            if kept and low >= high:
                return
            if kept:
                low, high = (high, stop - start) if low == 0 else (0, low)
                self._keep(store, start + low, start + high)
                return
        refuse(self, "del changes what is in the middle")

    def _keep(self, store: Packed, start: int, stop: int) -> None:
        if self._stop is not None or stop < len(store):
            self._start, self._stop = start, stop
        elif stop - start >= start:
            self._start = start
        else:  # less than half is left: copied, so that the rest of the file can go
            self._store, self._start = store.copy(start, stop), 0

    # -- what waits

    def _span(self) -> tuple[Packed, int, int]:
        """Where the numbers are."""
        if self._waiting:
            self._settle()
        if self._store is None:
            self._store = Packed()
        return self._store, self._start, len(self._store) if self._stop is None else self._stop

    def _appendable(self) -> Packed:
        """Where to put more of them."""
        store, start, stop = self._span()
        if self._stop is not None:
            store = self._store = store.copy(start, stop)
            self._start, self._stop = 0, None
        return store

    def _may_wait(self, values: list[Any], encoder: Encoder) -> bool:
        """Whether these few numbers can stand between texts."""
        if self._size < 0 or len(values) > _FEW:
            return False
        limit = encoder.n_vocab
        return all(type(value) is int and 0 <= value < limit for value in values)

    def _grown(self, size: int) -> None:
        self._size += size
        if self._size >= _PENDING:
            self._settle()

    def _settle(self) -> None:
        with lock:  # what waits leaves the queue when it is stored: meanwhile other threads queue behind it
            number = len(self._waiting)
            if not number:
                return
            batch, encoder = self._waiting[:number], self._encoder
            if self._store is None:
                self._store = Packed()
            elif self._stop is not None:
                self._store, self._start, self._stop = self._store.copy(self._start, self._stop), 0, None
            try:
                if encoder is None:
                    self._store.put(batch)
                elif number == 1 and type(batch[0]) is str:
                    self._store.put_ints(encoder.short(batch[0]))
                else:
                    for ids in encoder.arrays(batch):
                        self._store.put_array(ids)
            finally:
                del self._waiting[:number]
                self._size = min(self._size, 0)
                if not self._waiting:
                    self._encoder = None


def pending(encoder: Encoder, entries: list[Entry], size: int) -> TokenBuffer:
    """The ids of short texts, which are made when somebody looks. `size`: characters of text."""
    made = _new(TokenBuffer)
    made._store = made._stop = None
    made._start = 0
    made._waiting, made._encoder, made._size = entries, encoder, size + _PER_ENTRY
    return made


def from_arrays(arrays: Iterable[npt.NDArray[np.integer[Any]]]) -> TokenBuffer:
    """Arrays one behind the other."""
    made = TokenBuffer()
    store = made._appendable()
    for ids in arrays:
        store.put_array(ids)
    return made


def unsettled(ids: TokenBuffer) -> tuple[Encoder, list[Entry], int] | None:
    """What `pending` was given, as long as nobody has looked."""
    if ids._store is None and ids._waiting and ids._encoder is not None:
        return ids._encoder, ids._waiting, ids._size
    return None


def packed_span(ids: TokenBuffer) -> tuple[Packed, int, int]:
    return ids._span()


def stretch(kind: type[Self], store: Packed, start: int, stop: int) -> Self:
    """Numbers that are stored already."""
    made = kind.__new__(kind)
    made._store, made._start, made._stop = store, start, stop
    made._waiting, made._encoder, made._size = [], None, 0
    return made


def _restored(kind: type[Self], numbers: array[int]) -> Self:
    packed = Packed(numbers.typecode)
    packed.tail = numbers
    packed.settle()
    made = stretch(kind, packed, 0, len(packed))
    made._stop = None
    return made


Sequence.register(TokenBuffer)  # as a list is one
