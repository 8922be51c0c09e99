"""LazyText: the text of a file, which stays in the file. It is no str, so that what needs a str says so."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, NoReturn, SupportsIndex

from memguard.dropin.pieces import Pieces, split_at, split_lines, split_words
from memguard.dropin.source import Source
from memguard.errors import MemoryLimitExceeded
from memguard.tokens.headroom import read_headroom
from memguard.units import format_size

__all__ = ["SHORT", "LazyText"]

SHORT = 1 << 16  # characters up to which a part of the text is a str


class LazyText:
    """What a str gives, for a text that is read from its file again whenever it is used.

    A slice (step 1) of up to 65,536 characters is a str, a longer one a LazyText; so are strip, lstrip and rstrip.
    As a str: len, [i], [a:b], in, ==, iteration (so set, sorted, Counter, join), count, find, index, startswith,
    endswith, isascii, encode, split and splitlines (a `Pieces`, read piece by piece), str(text), repr and f-strings,
    which make the whole str. Everything else that a str has raises AttributeError or TypeError: str(text) is the way
    out. It is not hashable, and isinstance(text, str) is False. Reading raises RuntimeError once the file has changed.
    """

    __slots__ = ("_first", "_last", "_source", "_start", "_stop")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, source: Source, first: int = 0, last: int | None = None) -> None:
        """The characters of `source` from `first` to before `last`."""
        self._source = source
        self._first, self._last = first, source.characters if last is None else last
        self._start, self._stop = source.place(self._first), source.place(self._last)  # bytes

    # -- in pieces

    def utf8(self) -> Iterator[bytes]:
        """The text in UTF-8, in pieces of whole characters, of about 1 MiB."""
        return self._source.pieces(self._start, self._stop)

    def blocks(self) -> Iterator[str]:
        """The text in pieces of about 1 MiB."""
        return map(bytes.decode, self.utf8())

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self.blocks())

    # -- as a str

    def __len__(self) -> int:
        return self._last - self._first

    def __getitem__(self, key: SupportsIndex | slice, /) -> Any:
        if isinstance(key, slice):
            low, high, step = key.indices(len(self))
            if step == 1:
                return self._part(low, max(low, high))
            if len(self) <= SHORT:
                return str(self)[key]
            raise TypeError("LazyText: a slice with a step takes the whole text: str(text)[a:b:c]")
        if not hasattr(type(key), "__index__"):
            return ""[key]  # a str's own error
        index = key.__index__()
        index += len(self) if index < 0 else 0
        if not 0 <= index < len(self):
            raise IndexError("string index out of range")
        return self._source.short(self._first + index, self._first + index + 1)

    def _part(self, low: int, high: int) -> str | LazyText:
        if high - low <= SHORT:
            return self._source.short(self._first + low, self._first + high)
        return LazyText(self._source, self._first + low, self._first + high)

    def __str__(self) -> str:
        """The whole text, in memory. Raises MemoryLimitExceeded where that would not fit."""
        size, room = self._stop - self._start, read_headroom() if self._stop - self._start > SHORT else None
        if room is not None and 2 * size > room:  # the pieces and the whole
            raise MemoryLimitExceeded(
                f"the whole text takes {format_size(2 * size)} of memory, and {format_size(room)} is left",
                "take it in slices, or in pieces: text.split(), text.splitlines()",
            )
        return "".join(self.blocks())

    def __repr__(self) -> str:
        return repr(str(self))

    def __format__(self, how: str) -> str:
        return format(str(self), how)

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)

    def __copy__(self) -> LazyText:
        return self

    def __deepcopy__(self, memo: object) -> LazyText:
        return self

    def __eq__(self, other: object, /) -> bool:
        if not isinstance(other, (str, LazyText)):
            return NotImplemented
        if len(self) != len(other):
            return False
        at = 0
        for block in self.blocks():
            if block != str(other[at : at + len(block)]):
                return False
            at += len(block)
        return True

    def __contains__(self, part: str, /) -> bool:
        if not isinstance(part, str):
            return "".__contains__(part)  # a str's own error
        return self._find(part, 0, len(self)) >= 0

    def find(self, part: str, start: Any = None, end: Any = None, /) -> int:
        low, high = _bounds(self, start, end)
        if not isinstance(part, str) or low > high:
            return "".find(part, 1)  # a str's own answer
        return self._find(part, low, high)

    def index(self, part: str, start: Any = None, end: Any = None, /) -> int:
        found = self.find(part, start, end)
        return found if found >= 0 else "".index(" ")  # a str's own error

    def _find(self, part: str, low: int, high: int) -> int:
        if not part:
            return low
        rest, at = "", low  # the character with which `rest` begins
        for block in _blocks_of(self[low:high]):
            text = rest + block
            found = text.find(part)
            if found >= 0:
                return at + found
            rest = text[len(text) - len(part) + 1 :] if 1 < len(part) <= len(text) else text if len(part) > 1 else ""
            at += len(text) - len(rest)
        return -1

    def count(self, part: str, start: Any = None, end: Any = None, /) -> int:
        low, high = _bounds(self, start, end)
        if not isinstance(part, str) or low > high:
            return "".count(part, 1)
        if not part:
            return high - low + 1
        number, rest = 0, ""
        for block in _blocks_of(self[low:high]):
            parts = (rest + block).split(part)
            number += len(parts) - 1
            rest = parts[-1][max(0, len(parts[-1]) - len(part) + 1) :]
        return number

    def startswith(self, part: str | tuple[str, ...], start: Any = None, end: Any = None, /) -> bool:
        low, high = _bounds(self, start, end)
        if low > high:
            return "".startswith(part, 1)
        return str(self[low : min(high, low + _longest(part))]).startswith(part)

    def endswith(self, part: str | tuple[str, ...], start: Any = None, end: Any = None, /) -> bool:
        low, high = _bounds(self, start, end)
        if low > high:
            return "".endswith(part, 1)
        return str(self[max(low, high - _longest(part)) : high]).endswith(part)

    def isascii(self) -> bool:
        return self._last - self._first == self._stop - self._start

    def strip(self, characters: str | None = None, /) -> str | LazyText:
        return self._stripped(characters, left=True, right=True)

    def lstrip(self, characters: str | None = None, /) -> str | LazyText:
        return self._stripped(characters, left=True)

    def rstrip(self, characters: str | None = None, /) -> str | LazyText:
        return self._stripped(characters, right=True)

    def _stripped(self, characters: str | None, *, left: bool = False, right: bool = False) -> str | LazyText:
        low, high = 0, len(self)
        for block in self.blocks() if left else ():
            kept = len(block.lstrip(characters))
            low += len(block) - kept
            if kept:
                break
        for data in self._source.pieces_backwards(self._start, self._stop) if right and low < high else ():
            block = data.decode()
            kept = len(block.rstrip(characters))
            high -= len(block) - kept
            if kept:
                break
        return self._part(low, high)

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> Pieces:
        """A list's worth of strs that are read as they are asked for."""
        if maxsplit.__index__() >= 0:
            raise TypeError("LazyText: split with maxsplit takes the whole text: str(text).split(sep, n)")
        "".split(sep)  # a str's own errors
        return Pieces(self, split_words if sep is None else lambda blocks: split_at(blocks, sep))

    def splitlines(self, keepends: bool = False) -> Pieces:
        """A list's worth of lines that are read as they are asked for."""
        return Pieces(self, lambda blocks: split_lines(blocks, keepends))

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """The whole text, in memory."""
        return b"".join(self.utf8()) if encoding == "utf-8" else str(self).encode(encoding, errors)

    # -- what it does not do

    def __array__(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("LazyText: an array of it takes the whole text: str(text), or list(text) for its characters")

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError("LazyText: +, *, % and < make or compare whole texts: use str(text)")

    __add__ = __radd__ = __mul__ = __rmul__ = __mod__ = __rmod__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse

    def __getattr__(self, name: str) -> Any:
        if hasattr(str, name) and not name.startswith("__"):
            raise AttributeError(f"LazyText has no {name}(), which takes the whole text: use str(text).{name}()")
        raise AttributeError(f"'LazyText' object has no attribute {name!r}")


def _blocks_of(text: str | LazyText) -> Iterator[str]:
    return iter((text,)) if isinstance(text, str) else text.blocks()


def _bounds(text: LazyText, start: Any, end: Any) -> tuple[int, int]:
    """As str's methods read them: a start behind the end finds nothing, not even the empty text."""
    low, high, _ = slice(start, end).indices(len(text))
    if start is not None and start.__index__() > len(text):
        low = len(text) + 1
    return low, high


def _longest(part: str | tuple[str, ...]) -> int:
    parts = part if isinstance(part, tuple) else (part,)
    return max((len(one) for one in parts if isinstance(one, str)), default=0)
