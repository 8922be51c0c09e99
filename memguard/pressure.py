"""What to call when memory runs short, and how much is left. Whoever buffers registers; the guard calls.

    def flush() -> None: ...            write out or drop what can be written out or dropped, and return soon
    with pressure.registered(flush): ...

Neither side knows the other. Callbacks run in the thread of whoever presses, between two of Python's steps, so they
set a flag or write a file; they do not wait.
"""

from __future__ import annotations

import contextlib
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["callbacks", "get_headroom", "press", "register", "registered", "set_headroom", "unregister"]

_lock = threading.RLock()  # a callback may run in a thread that is registering
_callbacks: list[Callable[[], object]] = []
_headroom: int | None = None


def register(callback: Callable[[], object]) -> Callable[[], object]:
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


def press() -> int:
    """Calls them all; returns how many there were. One that fails keeps no other from its turn."""
    called = 0
    for callback in callbacks():
        with contextlib.suppress(Exception):
            callback()
        called += 1
    return called


def set_headroom(size: int | None) -> None:
    """Bytes that may still be used, as the guard last saw it; None: nobody looks."""
    global _headroom
    _headroom = size


def get_headroom() -> int | None:
    return _headroom
