"""The callbacks that the script has registered, and the room that the guard last saw.

A forked child starts with none: the buffer that its parent's callbacks would write is its parent's. So does a spawn or
forkserver child while it imports the parent's main module: that module registers again there, over an empty buffer.
"""

from __future__ import annotations

import os
import sys

from memguard.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any, TypeVar

    C = TypeVar("C", bound=Callable[[], object])

__all__ = [
    "callbacks",
    "code_of",
    "get_headroom",
    "name_of",
    "place_of",
    "register",
    "registered",
    "set_headroom",
    "unregister",
    "unwrap",
]

# Flags of a code object (Include/cpython/code.h).
_SUSPENDED = {0x20: "a generator function", 0x80: "a coroutine function", 0x200: "an async generator function"}
_DEEPEST = 8  # wrappers around a callback that are looked through

_callbacks: list[Callable[[], object]] = []
_headroom: int | None = None


def register(callback: C) -> C:
    """Returns `callback`, so that it serves as a decorator. It is called without arguments, at checkpoints.

    Raises ConfigError for what could not work when it is called: something that is not callable, that needs arguments
    (an unbound method), or that only returns a coroutine or a generator.
    """
    _check(callback)
    if not _in_child_import():
        _callbacks.append(callback)
        _tell(callback)
    return callback


def unregister(callback: Callable[[], object]) -> None:
    """Does nothing where it is not registered."""
    if callback in _callbacks:
        _callbacks.remove(callback)


class registered:  # noqa: N801 (used like a function)
    """`with registered(flush):` for a callback that is there for a while only."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback = callback

    def __enter__(self) -> None:
        register(self._callback)

    def __exit__(self, *error: object) -> None:
        unregister(self._callback)


def callbacks() -> tuple[Callable[[], object], ...]:
    """In the order of registration, each once, however often it was registered."""
    found: list[Callable[[], object]] = []
    for callback in tuple(_callbacks):
        if callback not in found:
            found.append(callback)
    return tuple(found)


def set_headroom(size: int | None) -> None:
    """Bytes that may still be used, as the guard last saw it; None: nobody looks."""
    global _headroom
    _headroom = size


def get_headroom() -> int | None:
    return _headroom


def unwrap(callback: Any) -> tuple[Any, int, frozenset[str]]:
    """(the function inside, how many positional arguments its wrappers fill, the keywords that they fill): of a bound
    method, a functools.partial, an object with __call__.
    """
    filled, named = 0, frozenset[str]()
    for _ in range(_DEEPEST):
        if hasattr(callback, "func") and hasattr(callback, "keywords"):  # functools.partial
            filled, named = filled + len(callback.args), named | frozenset(callback.keywords)
            callback = callback.func
        elif hasattr(callback, "__func__"):
            filled, callback = filled + 1, callback.__func__
        elif not hasattr(callback, "__code__") and not isinstance(callback, type):
            method = getattr(type(callback), "__call__", None)  # noqa: B004 (what is callable here is known)
            if not hasattr(method, "__code__"):
                break
            filled, callback = filled + 1, method
        else:
            break
    return callback, filled, named


def code_of(callback: Any) -> CodeType | None:
    """Of the Python function that `callback` is or wraps; None for one that is written in C."""
    code = getattr(unwrap(callback)[0], "__code__", None)
    return code if hasattr(code, "co_filename") else None


def name_of(callback: Any) -> str:
    function = unwrap(callback)[0]
    return str(getattr(callback, "__qualname__", None) or getattr(function, "__qualname__", None) or repr(callback))


def place_of(callback: Any) -> tuple[str | None, int | None]:
    """(file, line) of its definition."""
    code = code_of(callback)
    return (None, None) if code is None else (code.co_filename, code.co_firstlineno)


def _check(callback: Any) -> None:
    if not callable(callback):
        raise ConfigError(f"on_pressure needs something to call, not {callback!r}", "memguard.on_pressure(flush)")
    function, filled, named = unwrap(callback)
    code = code_of(callback)
    if code is None:
        return
    name = name_of(callback)
    for flag, kind in _SUSPENDED.items():
        if code.co_flags & flag:
            hint = "register a plain function (def) that has done its work when it returns"
            raise ConfigError(f"{name} is {kind}: calling it would do nothing", hint)
    missing = _missing(function, code, filled, named)
    if missing:
        hint = "register a function without arguments, or a bound method: memguard.on_pressure(writer.flush)"
        raise ConfigError(f"{name} needs arguments ({', '.join(missing)}), and is called without", hint)


def _missing(function: Any, code: CodeType, filled: int, named: frozenset[str]) -> list[str]:
    """The arguments without a value when it is called with none."""
    positional = code.co_varnames[: code.co_argcount]
    defaults = len(getattr(function, "__defaults__", None) or ())
    needed = list(positional[filled : len(positional) - defaults])
    keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    needed += [name for name in keywords if name not in (getattr(function, "__kwdefaults__", None) or {})]
    return [name for name in needed if name not in named]


def _in_child_import() -> bool:
    """Whether multiprocessing is importing its parent's main module in a spawn or forkserver child."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == "__mp_main__" and frame.f_code.co_name == "<module>":
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _tell(callback: Any) -> None:
    """The guard, so that it can say what it is that is never called."""
    from memguard.pressure.page import tell

    file, line = place_of(callback)
    tell({"event": "registered", "callback": name_of(callback)[:200], "file": file, "line": line})


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_callbacks.clear)
