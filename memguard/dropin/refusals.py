"""What a drop-in object does not do, and what to write instead: said by a TypeError or an AttributeError."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["GrowsAtItsEnd", "refuse"]


def refuse(thing: object, what: str) -> NoReturn:
    raise TypeError(f"{type(thing).__name__}: {what}; keep a list here, or use list(x)")


class GrowsAtItsEnd:
    """What a list does, and something that only grows at its end does not."""

    __slots__ = ()

    def __setitem__(self, key: object, value: object, /) -> NoReturn:
        refuse(self, "x[i] = … changes what is in the middle")

    def __mul__(self, number: object, /) -> NoReturn:
        refuse(self, "* repeats all of it")

    __rmul__ = __imul__ = __mul__

    def __lt__(self, other: object, /) -> NoReturn:
        refuse(self, "< and > compare all of it")

    __le__ = __gt__ = __ge__ = __lt__

    def __getattr__(self, name: str) -> Any:
        kind = type(self).__name__
        if hasattr(list, name) and not name.startswith("_"):
            raise AttributeError(f"{kind} has no {name}(), which changes it; keep a list here, or use list(x)")
        raise AttributeError(f"{kind!r} object has no attribute {name!r}")
