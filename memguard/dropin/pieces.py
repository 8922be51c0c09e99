"""The strs that a long text is split into, read as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, NoReturn, Protocol, SupportsIndex

from memguard.dropin.refusals import GrowsAtItsEnd, refuse

__all__ = ["Blocks", "Pieces", "split_at", "split_lines", "split_words"]

_GROUP = 1 << 10  # pieces between two marks


class Blocks(Protocol):
    def blocks(self) -> Iterator[str]: ...


class Pieces(GrowsAtItsEnd):
    """A list of strs that cannot be changed: iteration (again and again), len, [i], [a:b], in, ==, count, index, repr.

    len and [i] read the text once in full. [i] one after another costs what iteration costs; at random places it reads
    from the start, so take list(x) for these.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, text: Blocks, split: Callable[[Iterator[str]], Iterator[list[str]]]) -> None:
        """`split`: blocks of text → lists of strs."""
        self._text, self._split = text, split
        self._length: int | None = None
        self._ahead: tuple[int, Iterator[str]] | None = None  # the next index, and what comes from there on
        self._group: tuple[int, list[str]] = (0, [])

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._split(self._text.blocks()))

    def __len__(self) -> int:
        if self._length is None:
            self._length = sum(map(len, self._split(self._text.blocks())))
        return self._length

    def __getitem__(self, key: SupportsIndex | slice, /) -> Any:
        if isinstance(key, slice):
            indices = range(*key.indices(len(self)))
            if indices.step > 0:
                return list(islice(self, indices.start, indices.stop, indices.step))
            return list(islice(self, indices[-1], indices[0] + 1, -indices.step))[::-1] if indices else []
        if not hasattr(type(key), "__index__"):
            return [][key]  # a list's own error
        index = key.__index__()
        index += len(self) if index < 0 else 0
        if not 0 <= index < len(self):
            raise IndexError("list index out of range")
        start, group = self._group
        if not start <= index < start + len(group):
            group = self._load(index)
        return group[index - self._group[0]]

    def _load(self, index: int) -> list[str]:
        if self._ahead is None or self._ahead[0] > index:
            self._ahead = 0, iter(self)
        position, ahead = self._ahead
        for _ in islice(ahead, index - position):
            pass
        group = list(islice(ahead, _GROUP))
        self._ahead, self._group = (index + len(group), ahead), (index, group)
        return group

    def __add__(self, other: object, /) -> NoReturn:
        refuse(self, "+ and del make another list of the same texts")

    __radd__ = __iadd__ = __delitem__ = __add__

    def __contains__(self, part: object, /) -> bool:
        return any(part in parts for parts in self._split(self._text.blocks()))

    def count(self, part: Any, /) -> int:
        return sum(parts.count(part) for parts in self._split(self._text.blocks()))

    def index(self, part: Any, /) -> int:
        for index, one in enumerate(self):
            if one == part:
                return index
        return [].index(part)

    def __eq__(self, other: object, /) -> bool:
        if not isinstance(other, (list, Pieces)):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=False))

    def __repr__(self) -> str:
        return repr(list(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


Sequence.register(Pieces)  # as a list is one


def split_at(blocks: Iterator[str], sep: str) -> Iterator[list[str]]:
    """text.split(sep)."""
    waiting = [""]  # joined, they do not hold `sep`
    for block in blocks:
        tail = _end(waiting, len(sep) - 1)
        if sep not in tail + block:
            waiting.append(block)
            continue
        parts = "".join([*waiting, block]).split(sep)
        waiting = [parts.pop()]
        yield parts
    yield ["".join(waiting)]


def split_words(blocks: Iterator[str]) -> Iterator[list[str]]:
    """text.split()."""
    waiting: list[str] = []
    for block in blocks:
        parts = block.split()
        if not parts or block[0].isspace():
            if waiting:
                yield ["".join(waiting)]
            waiting = []
        if parts:
            first, whole = parts[0], block[-1].isspace()
            if len(parts) == 1 and not whole:
                waiting.append(first)
                continue
            parts[0] = "".join([*waiting, first])
            waiting = [] if whole else [parts.pop()]
            yield parts
    if waiting:
        yield ["".join(waiting)]


def split_lines(blocks: Iterator[str], keepends: bool) -> Iterator[list[str]]:
    """text.splitlines(keepends)."""
    waiting: list[str] = []
    for block in blocks:
        text = block
        if waiting and waiting[-1].endswith("\r"):  # it may be half of "\r\n"
            text, waiting = "".join([*waiting, block]), []
        lines = text.splitlines(keepends=True)
        last = lines[-1]
        open_ended = last.endswith("\r") or last.splitlines()[0] == last
        if open_ended and len(lines) == 1:
            waiting.append(text)
            continue
        end = len(text) - len(last) if open_ended else len(text)
        yield ("".join(waiting) + text[:end]).splitlines(keepends)
        waiting = [last] if open_ended else []
    if waiting:
        yield "".join(waiting).splitlines(keepends)


def _end(parts: list[str], size: int) -> str:
    """The last `size` characters of the parts together."""
    found = ""
    for part in reversed(parts):
        if len(found) >= size:
            break
        found = part[-(size - len(found)) :] + found
    return found[-size:] if size else ""
