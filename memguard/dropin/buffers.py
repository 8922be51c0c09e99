"""TokenBuffers: a list of lists of ints, packed one behind the other, with the places where they end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex

from memguard.dropin.arrays import list_array
from memguard.dropin.buffer import TokenBuffer, packed_span, stretch, unsettled
from memguard.dropin.packed import BLOCK, Packed, lock
from memguard.dropin.refusals import GrowsAtItsEnd, refuse

if TYPE_CHECKING:
    import numpy.typing as npt

    from memguard.dropin.encoder import Encoder

__all__ = ["TokenBuffers", "Tokens"]

_PENDING = 1 << 18  # characters of text that wait to be encoded together, at most


class Tokens(TokenBuffer):
    """One of the lists in a TokenBuffers. It cannot be changed there: what would raises TypeError."""

    __slots__ = ()

    def _fixed(self, *_: object) -> NoReturn:
        refuse(self, "a list in a TokenBuffers keeps its numbers")

    append = extend = clear = __delitem__ = __iadd__ = _fixed

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """np.concatenate of a whole TokenBuffers is a mapping of its file; else each is an array of its own."""
        if function.__name__ == "concatenate" and not kwargs and len(args) == 1 and isinstance(args[0], TokenBuffers):
            return args[0].concatenated()
        return function(*_as_arrays(args), **{name: _as_arrays(value) for name, value in kwargs.items()})


class TokenBuffers(GrowsAtItsEnd):
    """TokenBuffers([iterable]): what a list of lists of ints gives, at 2 to 8 bytes a number and 2 to 8 a list.

    append, extend, +=, [i], [a:b], iteration, len, in, ==, index, count, repr, pickle. The lists that it gives are
    `Tokens`: a TokenBuffer that cannot be changed. np.concatenate(x) is a mapping of the file, with NumPy's dtype for
    lists: int64, and float64 where one of them is empty. Only lists and TokenBuffers can be appended, and they are
    copied: what is appended to the list itself later does not come in. All else raises TypeError or AttributeError.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, iterable: Iterable[Any] = (), /) -> None:
        self._numbers, self._ends = TokenBuffer(), TokenBuffer()
        self._waiting: list[str | int] = []
        self._encoder: Encoder | None = None
        self._size = 0
        self.extend(iterable)

    def append(self, ids: Any, /) -> None:
        if not isinstance(ids, (list, TokenBuffer)):
            refuse(self, f"it holds lists of ints, not {type(ids).__qualname__}: append x.tolist() or list(x)")
        texts = unsettled(ids) if isinstance(ids, TokenBuffer) else None
        if texts is not None and (not self._waiting or texts[0] is self._encoder):
            self._encoder = texts[0]
            self._waiting += texts[1]
            self._waiting.append(self._encoder.n_vocab)  # the end of this one
            self._size += texts[2]
            if self._size >= _PENDING:
                self._settle()
            return
        self._settle()
        self._numbers.extend(ids)
        self._ends.append(len(self._numbers))

    def extend(self, iterable: Iterable[Any], /) -> None:
        for ids in iterable:
            self.append(ids)

    def __iadd__(self, other: Iterable[Any]) -> TokenBuffers:  # type: ignore[misc]
        self.extend(other)
        return self

    def __add__(self, other: object, /) -> NoReturn:
        refuse(self, "+ and del make another list of the same lists")

    __radd__ = __delitem__ = __add__

    def __len__(self) -> int:
        self._settle()
        return len(self._ends)

    def __getitem__(self, key: SupportsIndex | slice, /) -> Any:
        if isinstance(key, slice):
            return [self[index] for index in range(*key.indices(len(self)))]
        if not hasattr(type(key), "__index__"):
            return [][key]  # a list's own error
        index, number = key.__index__(), len(self)
        index += number if index < 0 else 0
        if not 0 <= index < number:
            raise IndexError("list index out of range")
        store, first, _ = packed_span(self._numbers)
        return stretch(Tokens, store, first + (self._ends[index - 1] if index else 0), first + self._ends[index])

    def __iter__(self) -> Iterator[Tokens]:
        """A block of numbers is read at a time."""
        index = start = 0
        while index < len(self):
            ends = list(self._ends[index : index + BLOCK // 16])
            number = max(1, sum(end - start <= BLOCK for end in ends))
            store, first, _ = packed_span(self._numbers)
            block = Packed(store.code)
            block.tail = store.block(first + start, first + ends[number - 1])
            base = start
            for end in islice(ends, number):
                yield stretch(Tokens, block, start - base, end - base)
                start = end
            index += number

    def __contains__(self, ids: object, /) -> bool:
        return any(ids == one for one in self)

    def count(self, ids: Any, /) -> int:
        return sum(ids == one for one in self)

    def index(self, ids: Any, /) -> int:
        for index, one in enumerate(self):
            if ids == one:
                return index
        return [].index(ids)

    def __eq__(self, other: object, /) -> bool:
        if not isinstance(other, (list, TokenBuffers)):
            return NotImplemented
        return len(self) == len(other) and all(one == ids for one, ids in zip(self, other, strict=False))

    def __repr__(self) -> str:
        return f"[{', '.join(map(repr, self))}]"

    def __reduce__(self) -> tuple[Any, ...]:
        self._settle()
        return _restored, (self._numbers, self._ends)

    def concatenated(self) -> npt.NDArray[Any]:
        """np.concatenate(self), which first makes an object of each list: some 100 bytes; here none is made.

        A mapping of a file, shape (numbers,), int64, or float64 where a list is empty. Raises ValueError where there is
        no list.
        """
        import numpy as np

        if not len(self):
            return np.concatenate([])
        empty = self._ends[0] == 0
        for at in range(0, len(self._ends), BLOCK):
            ends = self._ends[at : at + BLOCK + 1].to_numpy()
            empty |= bool((ends[1:] == ends[:-1]).any())
        return list_array(*packed_span(self._numbers), np.float64 if empty else np.int64)

    def _settle(self) -> None:
        """The texts that wait are encoded, with a number behind each list that no text has."""
        import numpy as np

        with lock:
            if not self._waiting or self._encoder is None:
                return
            waiting, self._waiting, self._size = self._waiting, [], 0
            mark = self._encoder.n_vocab
            for ids in self._encoder.arrays(waiting):
                marks = np.flatnonzero(ids == mark)
                before = len(self._numbers)
                store, _, _ = packed_span(self._numbers)
                store.put_array(ids[ids != mark])
                packed_span(self._ends)[0].put_array(before + marks - np.arange(len(marks)))


def _as_arrays(value: Any) -> Any:
    if isinstance(value, TokenBuffer):
        return value.to_numpy()
    if isinstance(value, (list, tuple, TokenBuffers)):
        items = [_as_arrays(item) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    return value


def _restored(numbers: TokenBuffer, ends: TokenBuffer) -> TokenBuffers:
    made = TokenBuffers()
    made.__dict__.update(_numbers=numbers, _ends=ends)
    return made


Sequence.register(TokenBuffers)  # as a list is one
