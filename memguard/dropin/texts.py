"""TextList: a list of texts that keeps them in a file."""

from __future__ import annotations

import operator
from array import array
from collections.abc import Callable, Iterable, Iterator, MutableSequence
from itertools import chain
from typing import Any, SupportsIndex, overload

from memguard.dropin.packed import lock
from memguard.dropin.source import spill_source
from memguard.dropin.spill import SpillFile
from memguard.dropin.stored_texts import BLOCK, StoredTexts
from memguard.dropin.text import SHORT, LazyText

__all__ = ["TextList"]

_POSITION = "I"  # 4 bytes: the texts' ends take 8 each, so more than 2**32 texts would fill 32 GiB


class TextList:
    """TextList([iterable]): what a list gives, with the texts in a file without a name (spill.py).

    A text takes its UTF-8 there and 8 bytes in memory; the newest 4 MiB are in memory, too. What is no str (None, a
    number, a subclass of str) is kept as it is, in memory. `docs[i]` reads one text, iteration reads 1 MiB at a time.
    Slices and copies share the texts. SpillError, a MemoryError, is raised where no disk takes them.

    It has all that a list has, with a list's values and errors. What is different: it is no instance of list, each
    look at a text makes a new str, and what has been replaced or deleted stays in the file until the list has gone.

        docs.join("\n")          what "\n".join(docs) gives, as a LazyText where it is long
        docs.shuffle(random)     the order that random.shuffle(docs) gives a list, without moving a text;
                                 for random.Random, numpy's Generator and RandomState, too
    """

    __slots__ = ("_changes", "_order", "_store")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, iterable: Iterable[Any] = (), /) -> None:
        self._store = StoredTexts()
        self._order: range | array[int] = range(0)  # positions in the store
        self._changes = 0  # other than at the end: an iterator that has read ahead looks at it
        self.extend(iterable)

    # -- what grows it

    def append(self, item: Any, /) -> None:
        with lock:
            position = self._store.append(item)
            order = self._order
            if type(order) is range and position == order.stop and order.step == 1:
                self._order = range(order.start, position + 1)
            else:
                self._place(position)

    def _place(self, position: int) -> None:
        order = self._order
        if type(order) is range and order.step == 1 and (position == order.stop or not order):
            self._order = range(order.start if order else position, position + 1)
        else:
            self._positions().append(position)

    def _positions(self) -> array[int]:
        """The order, to be changed in place."""
        if not isinstance(self._order, array):
            self._order = array(_POSITION, self._order)
        return self._order

    def _changed(self) -> array[int]:
        self._changes += 1
        return self._positions()

    def extend(self, iterable: Iterable[Any], /) -> None:
        if isinstance(iterable, TextList) and iterable._store is self._store:
            with lock:
                for position in iterable._order[:]:
                    self._place(position)
            return
        for item in iterable if iterable is not self else list(iterable):
            self.append(item)

    def __iadd__(self, other: Iterable[Any], /) -> TextList:  # type: ignore[misc]
        self.extend(other)
        return self

    def __add__(self, other: Any, /) -> TextList:
        if not isinstance(other, (list, TextList)):
            return [].__add__(other)  # type: ignore[return-value]  # a list's own error
        made = self.copy()
        made.extend(other)
        return made

    def __radd__(self, other: Any, /) -> TextList:
        if not isinstance(other, list):
            return operator.add(other, [])  # type: ignore[no-any-return]  # a list's own error
        made = TextList(other)
        made.extend(self)
        return made

    def __mul__(self, number: SupportsIndex, /) -> TextList:
        if not hasattr(type(number), "__index__"):
            return [].__mul__(number)  # type: ignore[return-value]
        return _view(self._store, array(_POSITION, self._order) * number.__index__())

    __rmul__ = __mul__

    def __imul__(self, number: SupportsIndex, /) -> TextList:
        with lock:
            self._order = (self * number)._order
            self._changes += 1
        return self

    def insert(self, index: SupportsIndex, item: Any, /) -> None:
        with lock:
            self._changed().insert(operator.index(index), self._store.append(item))

    # -- what takes from it

    def clear(self) -> None:
        """Slices and copies keep what they have."""
        with lock:
            self._store, self._order = StoredTexts(), range(0)
            self._changes += 1

    def pop(self, index: SupportsIndex = -1, /) -> Any:
        with lock:
            if not self._order:
                [].pop(index)  # raises, in a list's own words
            index = operator.index(index)
            at = self._index(index, "pop index out of range")
            item = self._store.item(self._order[at])
            del self._changed()[at]
            return item

    def remove(self, item: Any, /) -> None:
        for at, found in enumerate(self):
            if found == item:
                del self[at]
                return
        [].remove(item)  # raises, in a list's own words

    def __delitem__(self, key: SupportsIndex | slice, /) -> None:
        with lock:
            if isinstance(key, slice):
                del self._changed()[key]
            else:
                del self._changed()[self._index(key, "list assignment index out of range")]

    # -- what reads it

    def __len__(self) -> int:
        return len(self._order)

    def _index(self, key: SupportsIndex, words: str) -> int:
        if not hasattr(type(key), "__index__"):
            [][key]  # raises, in a list's own words
        index = key.__index__()
        if index < 0:
            index += len(self._order)
        if not 0 <= index < len(self._order):
            raise IndexError(words)
        return index

    @overload
    def __getitem__(self, key: SupportsIndex, /) -> Any: ...
    @overload
    def __getitem__(self, key: slice, /) -> TextList: ...
    def __getitem__(self, key: SupportsIndex | slice, /) -> Any:
        if isinstance(key, slice):
            return _view(self._store, self._order[key])
        return self._store.item(self._order[self._index(key, "list index out of range")])

    def __setitem__(self, key: SupportsIndex | slice, value: Any, /) -> None:
        if not isinstance(key, slice):
            with lock:
                at = self._index(key, "list assignment index out of range")
                self._changed()[at] = self._store.append(value)
            return
        if not hasattr(type(value), "__iter__"):
            [][key] = value  # raises, in a list's own words
        items = list(value)
        with lock:
            if key.step is not None and key.step != 1:
                list(range(len(self)))[key] = items  # raises where there are not as many
            self._changed()[key] = array(_POSITION, map(self._store.append, items))

    def __iter__(self) -> Iterator[Any]:
        at = 0
        while at < len(self._order):
            changes = self._changes
            for item in self._block(at):
                at += 1
                yield item
                if self._changes != changes:
                    break

    def _block(self, at: int) -> list[Any]:
        """What stands at `at`, and what is beside it in the store and in the list."""
        order, store = self._order, self._store
        if type(order) is range and order.step == 1:
            return store.items(*next(store.runs(order[at], order.stop)))
        return [store.item(order[at])]

    def join(self, separator: str, /) -> str | LazyText:
        """separator.join(self). More than 65,536 bytes of it are written into a file without a name.

        Raises TypeError for an item that is no str, as str.join does.
        """
        if type(separator) is not str:
            return separator.join(self)  # a str's own errors
        blocks = self._joined(separator)
        first, second = next(blocks, ""), next(blocks, None)
        if second is None and len(first) <= SHORT:
            return first
        spill = SpillFile()
        try:
            for part in chain((first, second or ""), blocks):
                spill.append(part.encode())
        except UnicodeEncodeError:  # a lone surrogate, which a LazyText cannot hold
            return separator.join(self)
        return LazyText(spill_source(spill))

    def _joined(self, separator: str) -> Iterator[str]:
        """In blocks."""
        at = 0
        for items in self._lists():
            for number, item in enumerate(items, at):
                if not isinstance(item, str):
                    kind = type(item).__name__
                    raise TypeError(f"sequence item {number}: expected str instance, {kind} found")
            yield (separator if at else "") + separator.join(items)
            at += len(items)

    def _lists(self) -> Iterator[list[Any]]:
        """What iteration gives, about BLOCK characters at a time."""
        items, size = [], 0
        for item in self:
            items.append(item)
            size += len(item) if isinstance(item, str) else 0
            if size >= BLOCK or len(items) >= BLOCK:
                yield items
                items, size = [], 0
        yield items

    def __reversed__(self) -> Iterator[Any]:
        at = len(self._order) - 1
        while 0 <= at < len(self._order):
            yield self._store.item(self._order[at])
            at -= 1

    def __contains__(self, item: object, /) -> bool:
        return any(item is found or item == found for found in self)

    def count(self, item: Any, /) -> int:
        return sum(1 for found in self if found is item or found == item)

    def index(self, item: Any, start: SupportsIndex = 0, stop: SupportsIndex = 1 << 62, /) -> int:
        low, high, _ = slice(start.__index__(), stop.__index__()).indices(len(self))
        for at, found in enumerate(self[low:high], low):
            if found is item or found == item:
                return at
        return [].index(item)  # raises, in a list's own words

    def copy(self) -> TextList:
        return self[:]

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> TextList:
        from copy import deepcopy

        return TextList(deepcopy(item, memo) for item in self)

    def __eq__(self, other: object, /) -> bool:
        if not isinstance(other, (list, TextList)):
            return NotImplemented
        return len(self) == len(other) and all(a is b or a == b for a, b in zip(self, other, strict=False))

    def __lt__(self, other: Any, /) -> Any:
        return self._compare(other, operator.lt)

    def __le__(self, other: Any, /) -> Any:
        return self._compare(other, operator.le)

    def __gt__(self, other: Any, /) -> Any:
        return self._compare(other, operator.gt)

    def __ge__(self, other: Any, /) -> Any:
        return self._compare(other, operator.ge)

    def _compare(self, other: Any, how: Callable[[Any, Any], Any]) -> Any:
        if not isinstance(other, (list, TextList)):
            return NotImplemented
        for mine, theirs in zip(self, other, strict=False):
            if mine is not theirs and mine != theirs:
                return how(mine, theirs)
        return how(len(self), len(other))

    def __repr__(self) -> str:
        return f"[{', '.join(map(repr, self))}]"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, _packed(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        import numpy as np

        return np.array(list(self), dtype)

    # -- what changes the order

    def reverse(self) -> None:
        with lock:
            self._order = self._order[::-1]
            self._changes += 1

    def sort(self, *, key: Callable[[Any], Any] | None = None, reverse: bool = False) -> None:
        """The keys are in memory meanwhile; without `key` these are the texts."""
        keys = list(self) if key is None else [key(item) for item in self]
        order = list(range(len(keys)))
        try:
            order.sort(key=keys.__getitem__, reverse=reverse)
        finally:  # a comparison that fails leaves a list half sorted
            with lock:
                positions = self._positions()
                self._order = array(_POSITION, (positions[at] for at in order))
                self._changes += 1

    def shuffle(self, generator: Any, /) -> None:
        """generator.shuffle(self), for the module `random` or numpy.random, or a generator of either.

        These look at the length alone, so that the order of what is shuffled does not depend on what it is.
        """
        with lock:
            generator.shuffle(self._changed())


MutableSequence.register(TextList)


def _view(store: StoredTexts, order: range | array[int]) -> TextList:
    made = TextList.__new__(TextList)
    made._store, made._order, made._changes = store, order, 0
    return made


def _packed(texts: TextList) -> tuple[list[bytes], array[int], dict[int, Any]]:
    """The texts' UTF-8, the size of each, and what is no str."""
    store = TextList(texts)._store
    blocks = [store.data(start, stop) for start, stop in store.runs(0, len(store))]
    sizes = array("Q", (store.size(position) for position in range(len(store))))
    return blocks, sizes, {position: store.item(position) for position in store.kept_whole(0, len(store))}


def _restored(blocks: list[bytes], sizes: array[int], others: dict[int, Any]) -> TextList:
    made = TextList()
    position = 0
    for block in blocks:
        at = 0
        while at < len(block) or (position < len(sizes) and not sizes[position]):
            size = sizes[position]
            text: Any = block[at : at + size].decode("utf-8", "surrogatepass")
            made.append(others.get(position, text) if others else text)
            at, position = at + size, position + 1
    return made
