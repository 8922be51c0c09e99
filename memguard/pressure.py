"""What to call when memory runs short, and how much is left. Whoever buffers registers; the guard calls.

    def flush() -> None: ...            write out or drop what can be written out or dropped, and return soon
    with pressure.registered(flush): ...

Neither side knows the other. Callbacks run in the thread of whoever presses: under a guard that is the main thread,
between two of Python's steps, never beside the script's own code there. A callback that is running already, in any
thread, because the script itself has called it, is not called inside of that: it would write the same tokens twice.
A forked child starts with none: the buffer that its parent's callbacks would write is its parent's.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType
    from typing import Any, TypeVar

    C = TypeVar("C", bound=Callable[[], object])

__all__ = ["Pressed", "callbacks", "get_headroom", "press", "register", "registered", "set_headroom", "unregister"]

_lock = threading.RLock()  # a callback may run in a thread that is registering
_callbacks: list[Callable[[], object]] = []
_headroom: int | None = None


@dataclass(frozen=True, slots=True)
class Pressed:
    """What one press() did. `errors` are "name of the callback: error"; `skipped` are names: running already, or there
    was no time left to start it.
    """

    called: int
    errors: tuple[str, ...]
    seconds: float
    skipped: tuple[str, ...] = ()


def register(callback: C) -> C:
    """Returns `callback`, so that it serves as a decorator."""
    with _lock:
        _callbacks.append(callback)
    return callback


def unregister(callback: Callable[[], object]) -> None:
    """Does nothing where it is not registered."""
    with _lock, contextlib.suppress(ValueError):
        _callbacks.remove(callback)


@contextlib.contextmanager
def registered(callback: Callable[[], object]) -> Iterator[None]:
    register(callback)
    try:
        yield
    finally:
        unregister(callback)


def callbacks() -> tuple[Callable[[], object], ...]:
    """In the order of registration."""
    with _lock:
        return tuple(_callbacks)


def press(within: float | None = None) -> Pressed:
    """Calls them all, in order. One that fails keeps no other from its turn; after `within` seconds none is started."""
    start = time.perf_counter()
    called, errors, skipped = 0, [], []
    running = _running_code()
    for callback in callbacks():
        late = within is not None and time.perf_counter() - start > within
        if late or _code(callback) in running:
            skipped.append(_name(callback))
            continue
        called += 1
        try:
            callback()
        except Exception as error:
            errors.append(f"{_name(callback)}: {error!r}")
    return Pressed(called, tuple(errors), time.perf_counter() - start, tuple(skipped))


def _running_code() -> set[CodeType]:
    """What any thread is in the midst of."""
    found: set[CodeType] = set()
    for innermost in sys._current_frames().values():
        frame = innermost
        while frame is not None:
            found.add(frame.f_code)
            frame = frame.f_back  # type: ignore[assignment]
    return found


def _code(callback: Any) -> CodeType | None:
    """Of the Python function that `callback` is or wraps (a method, functools.partial, an object with __call__)."""
    for _ in range(8):
        inner = getattr(callback, "__func__", None) or getattr(callback, "func", None)
        if inner is None:
            break
        callback = inner
    if not hasattr(callback, "__code__"):
        callback = getattr(type(callback), "__call__", None)  # noqa: B004 (what is callable here is known)
    code = getattr(callback, "__code__", None)
    return code if hasattr(code, "co_filename") else None


def _name(callback: Any) -> str:
    return getattr(callback, "__qualname__", None) or repr(callback)


def set_headroom(size: int | None) -> None:
    """Bytes that may still be used, as the guard last saw it; None: nobody looks."""
    global _headroom
    _headroom = size


def get_headroom() -> int | None:
    return _headroom


def _forget() -> None:
    """In a forked child, where another thread may have held the lock for ever."""
    global _lock
    _lock = threading.RLock()
    _callbacks.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_forget)
