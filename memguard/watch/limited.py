"""`@memguard.limited("2GiB")`: memguard.guard() around each call of a function, also in a Pool or on Ray."""

from __future__ import annotations

import functools
import os
import sys
import types
from collections.abc import Callable

from memguard.errors import ConfigError
from memguard.watch.guard import guard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ParamSpec, TypeVar

    P = ParamSpec("P")
    T = TypeVar("T")

__all__ = ["Limited", "limited"]

_SUSPENDED = 0x20 | 0x80 | 0x200  # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR (Include/cpython/code.h)


def limited(
    limit: str | int | None = None,
    *,
    reserve: str | int | None = None,
    on_pressure: Callable[[], object] | None = None,
    salvage: str | os.PathLike[str] | None = None,
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """guard() around each call of the function that it decorates. The arguments are guard()'s.

    What it returns pickles wherever the function itself does. Raises ConfigError for a size that cannot be read, and
    for a generator or coroutine function, whose call returns before its work is done.
    """
    options = {"limit": limit, "reserve": reserve, "on_pressure": on_pressure, "salvage": salvage}
    guard(**options)  # type: ignore[arg-type]  # a size that cannot be read is an error here, not at the first call
    return functools.partial(Limited, options)


class Limited:
    """The function with its guard; a method where it stands in a class."""

    def __init__(self, options: dict[str, Any], function: Callable[..., Any]) -> None:
        code = getattr(function, "__code__", None)
        if code is not None and code.co_flags & _SUSPENDED:
            message = f"limited() guards a call, and {function.__qualname__}() returns before its work is done"
            raise ConfigError(message, "put `with memguard.guard(…)` around the code that runs it")
        functools.update_wrapper(self, function)
        self._options, self._function = options, function

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        with guard(**self._options):
            return self._function(*arguments, **named)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __reduce__(self) -> str | tuple[Any, ...]:
        """By its name where it stands there under the name of its function, as a decorator leaves it."""
        found: Any = sys.modules.get(self._function.__module__)
        for part in self._function.__qualname__.split("."):
            found = getattr(found, part, None)
        return self._function.__qualname__ if found is self else (Limited, (self._options, self._function))
