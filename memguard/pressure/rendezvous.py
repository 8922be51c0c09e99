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

from memguard.pressure.reach import is_standard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = ["Membership", "Standing", "done", "forget", "stand", "wait"]

WITHIN = 0.1  # seconds that a thread waits at its checkpoint for the others
_STEP = 0.005
_LONGEST = 30.0  # seconds that it waits for callbacks that run in another thread

_gate = _thread.RLock()  # a handler of the script's that passes a checkpoint may come in the midst of one
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
        wait(_threads.add)

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
                if _runner is not None and not ran:
                    ran, deadline = True, time.monotonic() + _LONGEST
                if (_runner is None and ran) or time.monotonic() >= deadline:
                    del _waiting[me]  # under the same lock: whoever runs next must not count this thread in
                    return Standing(missing=tuple(_name(thread) for thread in missing), ran=ran)
            time.sleep(_STEP)
    except BaseException:  # a signal's handler raises
        with _gate:
            _waiting.pop(me, None)
            if _runner == me:
                _runner = None
        raise


def wait(then: Callable[[int], object] = id) -> None:
    """For a thread that comes while callbacks run: until they have ended. Does `then` before others can run."""
    me, deadline = _thread.get_ident(), time.monotonic() + _LONGEST
    while True:
        with _gate:
            if _runner in (None, me) or time.monotonic() >= deadline:
                then(me)
                return
        time.sleep(_STEP)


def done() -> None:
    """The callbacks have run: everybody goes on."""
    global _runner
    with _gate:
        _waiting.pop(_thread.get_ident(), None)
        _runner = None


def _missing() -> list[int]:
    frames = sys._current_frames()
    _threads.intersection_update(frames)  # the others have ended
    away = [thread for thread in tuple(_threads) if thread not in _waiting and thread != _runner]
    return [thread for thread in away if not (_rests(frames.get(thread)) or _only_joins(frames.get(thread)))]


def _rests(frame: FrameType | None) -> bool:
    """Whether none of the script's code is on the thread's stack: an executor's, that waits for work."""
    while frame is not None and is_standard(frame.f_code.co_filename):
        frame = frame.f_back
    return frame is None


def _only_joins(frame: FrameType | None) -> bool:
    """Whether the thread waits for the end of one that stands still: Thread.join, an executor's shutdown."""
    while frame is not None and os.path.basename(frame.f_code.co_filename) == "threading.py":
        if frame.f_code.co_name == "join":
            return getattr(frame.f_locals.get("self"), "ident", None) in _waiting
        frame = frame.f_back
    return False


def _name(thread: int) -> str:
    threading = sys.modules.get("threading")
    known = getattr(threading, "_active", {}).get(thread)
    return str(getattr(known, "name", None) or f"thread {thread}")


def forget() -> None:
    """In a forked child, which has one thread."""
    global _gate, _runner
    _gate, _runner = _thread.RLock(), None
    _threads.clear()
    _waiting.clear()
