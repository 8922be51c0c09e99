"""look_up: the number of each character of a text."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from memguard.dropin.buffer import TokenBuffer, from_arrays
from memguard.dropin.text import LazyText

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["look_up"]

_STEP = 1 << 18  # characters of a str that are looked up together
_PLAIN = (dict, OrderedDict, defaultdict, Counter)  # what they give for a key does not change from look to look
_SIZES = (1 << 8, 1 << 16, 0x110000)  # code points that a table is for


def look_up(mapping: Any, text: Any) -> TokenBuffer:
    """[mapping[c] for c in text] as a TokenBuffer. `text` is a str, a LazyText, or anything that gives keys one by one.

    Raises KeyError for the first key that is not in the mapping, as the list comprehension does; TypeError for a value
    that is no int, which a TokenBuffer does not hold.
    """
    if type(mapping) not in _PLAIN or not isinstance(text, (str, LazyText)):
        return TokenBuffer(mapping[key] for key in text)
    return from_arrays(map(_Table(mapping).numbers, _blocks(text)))


def _blocks(text: str | LazyText) -> Iterable[str]:
    if isinstance(text, LazyText):
        return text.blocks()
    return (text[at : at + _STEP] for at in range(0, len(text), _STEP))


class _Table:
    """The mapping's numbers by code point. It asks the mapping once for each character, when it first comes."""

    def __init__(self, mapping: Any) -> None:
        import numpy as np

        self._mapping = mapping
        self._numbers = np.zeros(_SIZES[0], np.uint16)
        self._known = np.zeros(_SIZES[0], np.bool_)

    def numbers(self, block: str) -> npt.NDArray[np.integer[Any]]:
        codes = self._codes(block)
        known = self._known[codes]
        if not known.all():
            for code in _new(codes[~known]):
                self._set(code, self._mapping[chr(code)])
        found: npt.NDArray[np.integer[Any]] = self._numbers[codes]
        return found

    def _codes(self, block: str) -> npt.NDArray[Any]:
        import numpy as np

        try:
            codes: npt.NDArray[Any] = np.frombuffer(block.encode("latin-1"), np.uint8)
        except UnicodeEncodeError:
            codes = np.frombuffer(block.encode("utf-32-le", "surrogatepass"), "<u4")
            self._widen(int(codes.max()))
        return codes

    def _widen(self, code: int) -> None:
        import numpy as np

        size = next(size for size in _SIZES if size > code)
        if size > len(self._known):
            for name in ("_numbers", "_known"):
                table = getattr(self, name)
                setattr(self, name, np.concatenate([table, np.zeros(size - len(table), table.dtype)]))

    def _set(self, code: int, number: Any) -> None:
        import numpy as np

        if type(number) is not int or not -(1 << 63) <= number < 1 << 63:
            list(TokenBuffer([number]))  # raises TypeError, and says what is wrong with it
        limits = np.iinfo(self._numbers.dtype)
        if not limits.min <= number <= limits.max:
            narrow = limits.bits == 16 and 0 <= number < 1 << 32
            self._numbers = self._numbers.astype(np.uint32 if narrow else np.int64)
        self._numbers[code] = number
        self._known[code] = True


def _new(codes: npt.NDArray[Any]) -> Iterator[int]:
    """Each code once, in the order in which they first come."""
    import numpy as np

    unique, first = np.unique(codes, return_index=True)
    return iter(unique[np.argsort(first)].tolist())
