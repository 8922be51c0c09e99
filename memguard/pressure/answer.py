"""Runs the callbacks at a checkpoint, while all other threads that pass checkpoints stand still.

A callback is not called while

    - the script itself is inside it, in any thread: it would write the same tokens twice
    - a lock that it reaches is held: it would wait for this very thread, or for one that stands still
    - a statement is half done that has loaded what it reaches (unfinished.py)
    - another callback of the same request has used up the time

Each of these is `skipped` with its reason, and comes first the next time.
"""

from __future__ import annotations

import _thread
import sys
import time

from memguard.pressure import unfinished
from memguard.pressure.reach import Reach, is_library, reach_of
from memguard.pressure.registry import callbacks, code_of, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType, FrameType

__all__ = ["CallbackInterrupted", "CallbackResult", "interrupt", "run_callbacks", "running", "set_observer"]

WITHIN = 30.0  # seconds after which no further callback of a request is started
_LOCK_WITHIN = 0.1  # seconds that a lock which somebody else holds gets to become free

_skipped: tuple[str, ...] = ()  # the names of the last time
_running: tuple[int, str] | None = None  # the thread that runs a callback, and the callback's name
_observer: Callable[[CallbackResult], object] | None = None


class CallbackInterrupted(BaseException):
    """Raised by the guard in a callback that waits for what never comes. Not an Exception: flush() may catch those."""


class CallbackResult:
    """What one request did. `errors` are "name of the callback: error"; `skipped` are "name: why not"."""

    __slots__ = ("called", "errors", "seconds", "skipped")

    def __init__(self, called: int, errors: tuple[str, ...], seconds: float, skipped: tuple[str, ...] = ()) -> None:
        self.called, self.errors, self.seconds, self.skipped = called, errors, seconds, skipped

    def __repr__(self) -> str:
        return f"CallbackResult({self.called}, {self.errors!r}, {self.seconds!r}, {self.skipped!r})"


def run_callbacks(within: float | None = None, frames: Iterable[FrameType] = ()) -> CallbackResult:
    """Calls them all, those that were skipped last time first. One that fails keeps no other from its turn; after
    `within` seconds none is started. `frames` are those of the threads that stand at a checkpoint, this one's included.

    Raises MemoryLimitExceeded alone: the guard has asked for the end meanwhile.
    """
    global _skipped
    start = time.perf_counter()
    limit = WITHIN if within is None else within
    called = 0
    errors: list[str] = []
    skipped: list[tuple[str, str]] = []
    standing = tuple(frames)
    try:
        for callback in sorted(callbacks(), key=lambda one: name_of(one) not in _skipped):
            name = name_of(callback)
            why = _why_not(callback, standing) if time.perf_counter() - start <= limit else "no time was left"
            if why:
                skipped.append((name, why))
                continue
            called += 1
            problem = _call(callback, name)
            if problem:
                errors.append(f"{name}: {problem}")
    finally:
        unfinished.forget()
        _skipped = tuple(name for name, _ in skipped)
    told = tuple(f"{name}: {why}" for name, why in skipped)
    result = CallbackResult(called, tuple(errors), time.perf_counter() - start, told)
    observe(result)
    return result


def observe(result: CallbackResult) -> None:
    if _observer is not None:
        _observer(result)


def set_observer(observer: Callable[[CallbackResult], object] | None) -> None:
    """Is called with the result of each request that is answered; for tests that count callbacks."""
    global _observer
    _observer = observer


def running() -> bool:
    """Whether this thread is inside a callback: a checkpoint in there does nothing."""
    return _running is not None and _running[0] == _thread.get_ident()


def interrupt() -> BaseException | None:
    """What to raise in the main thread, which is told from outside that its callback waits for ever."""
    if _running is None or not running():
        return None
    return CallbackInterrupted(f"{_running[1]} waited for what did not come")


def _call(callback: Callable[[], object], name: str) -> str | None:
    global _running
    before, _running = _running, (_thread.get_ident(), name)
    try:
        answer = callback()
        if hasattr(answer, "send") and hasattr(answer, "close"):
            answer.close()
            return "returned a coroutine or generator that nobody runs; register a plain function"
        return None
    except CallbackInterrupted as error:
        return f"interrupted: {error}{_where(error)}"
    except Exception as error:
        if type(error).__name__ == "MemoryLimitExceeded":
            raise
        return repr(error)[:500]
    finally:
        _running = before


def _where(error: BaseException) -> str:
    """The line of the script's that it waited in."""
    trace, frame = error.__traceback__, None
    while trace is not None:
        if not is_library(trace.tb_frame.f_code.co_filename):
            frame = (trace.tb_frame, trace.tb_lineno)
        trace = trace.tb_next
    if frame is None:
        return ""
    return f", at {frame[0].f_code.co_filename}:{frame[1]}: {unfinished.source_line(frame[0], frame[1])}"


def _why_not(callback: Callable[[], object], standing: tuple[FrameType, ...]) -> str | None:
    code = code_of(callback)
    if code is not None and code in _running_code():
        return "the script is inside it"
    try:
        reach = reach_of([callback])
        return _held_lock(reach) or _half_done(reach, standing)
    except Exception:  # an object of the script's that does not let itself be looked at
        return None


def _held_lock(reach: Reach) -> str | None:
    for name, lock in reach.locks:
        owned = getattr(lock, "_is_owned", None)  # an RLock: this thread may take it again
        if owned is not None and owned():
            continue
        if not lock.acquire(True, _LOCK_WITHIN):
            return f"the lock {name or 'that it takes'} is held"
        lock.release()
    return None


def _half_done(reach: Reach, standing: tuple[FrameType, ...]) -> str | None:
    for innermost in standing:
        frame: FrameType | None = innermost
        while frame is not None:
            found = unfinished.unfinished(frame, reach)
            if found:
                return f"a statement is half done, {found}"
            frame = frame.f_back
    for frame in unfinished.suspended_frames():
        found = unfinished.unfinished(frame, reach)
        if found:
            return f"a task is in the midst of a statement, {found}"
    return None


def _running_code() -> set[CodeType]:
    """What any thread is in the midst of."""
    found: set[CodeType] = set()
    for innermost in sys._current_frames().values():
        frame: FrameType | None = innermost
        while frame is not None:
            found.add(frame.f_code)
            frame = frame.f_back
    return found
