"""All threads that pass checkpoints stand still at one, so that no other code of theirs runs beside a callback.

    standing = stand(frame)       who else stands, or who did not come
    if standing.frames: …         the callbacks run here
        done()                    everybody goes on

The thread that comes last runs the callbacks, the others wait where they are. A thread counts from its first checkpoint
on, until it has ended; one that only waits for others to end (Thread.join, an executor's shutdown) does not hold them
up. Those that do not come in time are named, and nothing is called. Threads that never pass a checkpoint run on: what
they share with a callback they guard themselves.
"""

from __future__ import annotations

import _thread
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

__all__ = ["Membership", "Standing", "done", "forget", "stand"]

WITHIN = 0.5  # seconds that a thread waits at its checkpoint for the others
_STEP = 0.005
_LONGEST = 30.0  # seconds that it waits for callbacks that run in another thread
_ENDS_FIRST = (("threading", "join"), ("thread", "shutdown"), ("thread", "__exit__"), ("process", "shutdown"))

_gate = _thread.allocate_lock()
_threads: set[int] = set()  # that have passed a checkpoint
_waiting: dict[int, FrameType] = {}  # that stand at one, and where
_runner: int | None = None  # the thread that runs callbacks


class Standing:
    """`frames`: where each thread stands, this one first; empty where the callbacks are not to be run here. `missing`:
    the names of the threads that did not come; `ran`: another thread has run them meanwhile.
    """

    def __init__(self, frames: tuple[FrameType, ...] = (), missing: tuple[str, ...] = (), ran: bool = False) -> None:
        self.frames, self.missing, self.ran = frames, missing, ran


class Membership:
    """This thread passes checkpoints, for as long as this object lives: in a variable of the thread's own, it goes with
    the thread, whose number may then be another one's.
    """

    __slots__ = ("_thread",)

    def __init__(self) -> None:
        self._thread = _thread.get_ident()
        _threads.add(self._thread)

    def __del__(self) -> None:
        _threads.discard(self._thread)


def stand(frame: FrameType, within: float = WITHIN) -> Standing:
    """Waits for all others. Whoever gets `frames` runs the callbacks, and then calls done()."""
    global _runner
    me, deadline = _thread.get_ident(), time.monotonic() + within
    ran = False
    try:
        while True:
            with _gate:
                _waiting[me] = frame
                missing = _missing()
                if _runner is None and not missing and not ran:
                    _runner = me
                    return Standing((frame, *(f for thread, f in _waiting.items() if thread != me)))
                if _runner is None and ran:
                    return Standing(ran=True)
                if _runner is not None and not ran:
                    ran, deadline = True, time.monotonic() + _LONGEST
            if time.monotonic() >= deadline:
                return Standing(missing=tuple(_name(thread) for thread in missing), ran=ran)
            time.sleep(_STEP)
    finally:
        with _gate:
            if _runner != me:
                _waiting.pop(me, None)


def done() -> None:
    """The callbacks have run: everybody goes on."""
    global _runner
    with _gate:
        _waiting.pop(_thread.get_ident(), None)
        _runner = None


def _missing() -> list[int]:
    frames = sys._current_frames()
    _threads.intersection_update(frames)  # the others have ended
    return [t for t in _threads if t not in _waiting and t != _runner and not _only_joins(frames[t])]


def _only_joins(frame: FrameType) -> bool:
    """Whether the thread waits for others to end, and does nothing else before they have."""
    innermost: FrameType | None = frame
    while innermost is not None:
        name = os.path.basename(innermost.f_code.co_filename).removesuffix(".py")
        if (name, innermost.f_code.co_name) in _ENDS_FIRST:
            return True
        if name not in ("threading", "thread", "process"):
            return False
        innermost = innermost.f_back
    return False


def _name(thread: int) -> str:
    threading = sys.modules.get("threading")
    known = getattr(threading, "_active", {}).get(thread)
    return str(getattr(known, "name", None) or f"thread {thread}")


def forget() -> None:
    """In a forked child, which has one thread."""
    global _gate, _runner
    _gate, _runner = _thread.allocate_lock(), None
    _threads.clear()
    _waiting.clear()
