"""Where callbacks may run: checkpoint() in the loop that fills the buffer, or `for x in checkpoints(xs):`.

When nothing is asked, a checkpoint looks at one byte of memory and at a variable of its thread, and that is all. The
watcher sets the byte (page.py); no signal is sent, so that no call in C is cut short.
"""

from __future__ import annotations

import _thread
import os
import sys
import time

from memguard.pressure import rendezvous
from memguard.pressure.answer import CallbackResult, observe, run_callbacks, running
from memguard.pressure.page import Page, open_pages, tell
from memguard.pressure.registry import callbacks, set_headroom

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType
    from typing import Any, TypeVar

    T = TypeVar("T")
    Asked = list[tuple[Page, int]]  # who asks, and the request's number

__all__ = ["Buffer", "attach", "checkpoint", "checkpoints", "request"]

# The outermost guard's page, or this where there is no guard. Byte 0 says "look" to checkpoints, byte 1 to buffers.
_flag: Any = bytearray(2)
_passed = _thread._local()  # of the threads that have passed a checkpoint: `flag`, and their membership
_pages: list[Page] = []
_attached = 0  # the pid that the pages are of
_requests = 0  # of request(), answered up to _answered
_answered = 0
_vain_since: float | None = None  # when the first thread has stood in vain for what is asked now
_PATIENCE = 2.0  # seconds
_buffers = 0  # made in this process
_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def checkpoint() -> None:
    """Callbacks of memguard.on_pressure may run here. At the top of the loop that fills the buffer:

        for document in documents():
            memguard.checkpoint()
            tokens.extend(encode(document))

    Without a guard, and while there is room, it does nothing (90 to 100 ns on an idle machine). Otherwise it returns
    once the callbacks have run, in this thread. What a callback raises is told to the guard, and nothing is raised here
    but the guard's own MemoryLimitExceeded.
    """
    try:
        asked = _passed.flag[0]
    except AttributeError:
        _first(sys._getframe(1))
        return
    if asked:
        _look(sys._getframe(1))


def checkpoints(iterable: Iterable[T]) -> Iterator[T]:
    """The items of `iterable`, with a checkpoint before each: `for document in memguard.checkpoints(documents()):`."""
    for item in iterable:
        try:
            asked = _passed.flag[0]
        except AttributeError:
            _first(sys._getframe())
        else:
            if asked:
                _look(sys._getframe())
        yield item


class Buffer:
    """What writes a buffer of its own out when asked, at a point that it knows to be safe: ShardWriter.write, say.

    buffer = Buffer("ShardWriter.write")          once, where the buffer is made; close() where it ends
    if buffer.asked(): buffer.answer(self.flush)  at each safe point, in one thread at a time
    """

    __slots__ = ("_done", "_name", "_pid")

    def __init__(self, name: str) -> None:
        global _buffers
        _buffers += 1
        self._name, self._pid = name, os.getpid()
        self._done = (_requests, *(page.last for page in _pages))

    def asked(self) -> bool:
        """Whether a request is out that this buffer has not answered."""
        if _attached != os.getpid():
            attach(self._name)
        return bool(_flag[1]) and self._numbers() != self._done

    def answer(self, flush: Callable[[], object]) -> None:
        """Calls `flush` once for all that is asked. What it raises is raised here."""
        self._done = self._numbers()
        asked = [(page, page.last) for page in _pages if page.last]
        _set_headroom(asked)
        flush()
        result = CallbackResult(1, (), 0.0)
        _tell_flushed(asked, result, buffer=self._name)
        observe(result)

    def close(self) -> None:
        """It holds nothing any more."""
        global _buffers
        if self._pid == os.getpid():
            _buffers -= 1

    def _numbers(self) -> tuple[int, ...]:
        return (_requests, *(page.last for page in _pages))


def request() -> None:
    """Asks this process, as a guard would: the next checkpoint runs the callbacks. From any thread, or a signal's
    handler. For tests.
    """
    global _requests
    _requests += 1
    _flag[1] = 1
    _flag[0] = 1


def attach(place: str) -> None:
    """Listens to the guards that there are now. `place`: which checkpoint this is, for the guard to tell."""
    global _flag, _pages, _attached
    _attached = os.getpid()
    _pages = open_pages()
    _flag = _pages[0].view if _pages else bytearray(2)
    if _pages:
        tell({"event": "checkpoint", "place": place[:300]}, _pages)
    if _asked():
        _flag[1] = 1
        _flag[0] = 1


def detach() -> None:
    """The guards have changed: the next checkpoint of each thread looks who there is."""
    global _passed, _attached, _pages, _flag
    _passed, _attached, _pages, _flag = _thread._local(), 0, [], bytearray(2)


def _first(frame: FrameType) -> None:
    """This thread's first checkpoint, or its first since the guards have changed."""
    _passed.member = rendezvous.Membership()
    if _attached != os.getpid():
        caller = frame.f_back if frame.f_code.co_filename == __file__ and frame.f_back is not None else frame
        attach(f"{caller.f_code.co_filename}:{caller.f_lineno}")
    _passed.flag = _flag
    if _flag[0]:
        _look(frame)


def _asked() -> Asked | bool:
    """The requests that wait for an answer; True for one of request()'s alone."""
    return [(page, page.number) for page in _pages if page.number] or _requests > _answered


def _look(frame: FrameType) -> None:
    """Something is asked. `frame`: where this thread stands."""
    if running():
        return
    rendezvous.wait()  # one that did not stand, because it rested or joined, comes while they run
    if not _asked():
        _lower_flag()
        return
    if not callbacks():
        _answer_nothing("" if _buffers else "nothing is registered here")
        return
    _flag[0] = 1  # for the other threads
    standing = rendezvous.stand(frame)
    if standing.frames:
        try:
            _answer(standing.frames)
        finally:
            rendezvous.done()
            _lower_flag()
    elif standing.missing and not standing.ran and _patience_ends():
        _answer_nothing("not all threads have come to a checkpoint: " + ", ".join(standing.missing))


def _lower_flag() -> None:
    """Unless something is asked meanwhile."""
    _flag[0] = 0
    if _asked():
        _flag[0] = 1


def _patience_ends() -> bool:
    """Whether threads have stood in vain for so long that what is asked is given up. Before, each goes on for a turn:
    a producer that stands still keeps its consumer from coming to a checkpoint.
    """
    global _vain_since
    now = time.monotonic()
    if _vain_since is None:
        _vain_since = now
    return now - _vain_since > _PATIENCE


def _answer_nothing(why: str) -> None:
    """Buffers that look after themselves answer for themselves: then there is no reason `why`, and no word of it."""
    asked = _take()
    _lower_flag()
    result = CallbackResult(0, (), 0.0, (why,) if why else ())
    if why:
        _tell_flushed(asked, result)
        observe(result)


def _answer(frames: tuple[FrameType, ...]) -> None:
    if not _asked():  # another thread has answered meanwhile
        return
    _flag[0] = 1  # whoever comes now waits
    asked = _take()
    _set_headroom(asked)
    if asked:
        tell({"event": "flushing", "seq": asked[0][1], "thread": _thread.get_native_id()}, [page for page, _ in asked])
    before = _resident()
    result = run_callbacks(frames=frames)
    if result.called:
        _trim()
    after = _resident()
    _tell_flushed(asked, result, freed=None if before is None or after is None else before - after)


def _take() -> Asked:
    """What is asked now, from here on answered; what is asked later raises the flag again."""
    global _answered, _vain_since
    _answered, _vain_since = _requests, None
    asked = [(page, page.number) for page in _pages if page.number]
    for page, number in asked:
        page.done = number
    return asked


def _set_headroom(asked: Asked) -> None:
    rooms = [page.headroom for page, _ in asked if page.headroom is not None]
    if rooms:
        set_headroom(min(rooms))


def _tell_flushed(asked: Asked, result: CallbackResult, **more: object) -> None:
    said = {"called": result.called, "errors": list(result.errors), "skipped": list(result.skipped)}
    for page, number in asked:
        tell({"event": "flushed", "seq": number, **said, "seconds": round(result.seconds, 6), **more}, [page])


def _resident() -> int | None:
    """Bytes of this process that are in memory."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read().split()[1]) * _PAGE_SIZE
    except (OSError, ValueError, IndexError):
        return None


def _trim() -> None:
    """Gives back to the kernel what the callbacks have freed: glibc keeps up to some 30 MB."""
    agent = sys.modules.get("_memguard_agent")
    if agent is not None:
        agent.trim()


def _forget() -> None:
    """In a forked child: its parent's requests, threads and pages are its parent's."""
    global _answered, _buffers
    rendezvous.forget()
    detach()
    _answered, _buffers = _requests, 0


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_forget)
