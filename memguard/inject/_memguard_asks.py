"""What the guard asks of a running Python, and how it is done: in the main thread, between two of the script's steps.

    [{"seq": 7, "do": ["reclaim", "flush", "look"], "within": 2.0, "headroom": 104857600, "salvage": null, …}]

| do         | what                                                                                  | answer   |
|------------|---------------------------------------------------------------------------------------|----------|
| reclaim    | gc.collect(), malloc_trim(0), pyarrow's pool if pyarrow is loaded                     | reclaimed|
| flush      | calls what the script has registered with memguard.on_pressure                        | flushed  |
| look       | which variables hold the memory (_memguard_culprit.py)                                | held     |
| salvage    | writes the largest list of token ids into the directory `salvage` (_memguard_salvage) | salvaged |
| raise      | raises MemoryLimitExceeded (a MemoryError) in the script                              | raised   |
| raise-hard | the same as a BaseException, for a script that swallows every Exception               | raised   |
| interrupt  | ends a flush callback that waits for ever, where it runs in the main thread           | interrupted |

Each answer is one line of the run's events.jsonl: {"event": …, "pid", "seq", "seconds", …}. What could not be done is
answered, too: {"event": …, "errors": ["salvage: OSError: …"], "pid", …} and nothing else in it.

Loaded at the first ask. Standard library only, Python 3.8 or later.
"""

import gc
import json
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType  # noqa: F401
    from typing import Any, Callable  # noqa: F401

_EVENTS = {"reclaim": "reclaimed", "flush": "flushed", "look": "held", "salvage": "salvaged"}
_RESERVE = 4 << 20  # bytes of address space, untouched: enough for a look when nothing can be allocated any more
_SIGURG = 23 if sys.platform.startswith("linux") else 16
_AGAIN = 0.002  # seconds until the next look whether the script is out of a write; doubled each time
_PAGE = os.sysconf("SC_PAGE_SIZE")

_agent = sys.modules["_memguard_agent"]  # type: Any
_timers = {}  # type: dict[int, Any]  # by the pid that made it
_reserve = None  # type: bytes | None
_held = []  # type: list[dict[str, Any]]  # the last look's result


class MemoryLimitExceededHard(BaseException):
    """Not an Exception, so that `except Exception: continue` does not swallow it."""


MemoryLimitExceededHard.__module__ = "memguard"


def read_asks(path):
    # type: (str) -> list[dict[str, Any]]
    """In the order of their numbers. The file was written at once and renamed, so half of it never shows."""
    try:
        with open(path, "rb") as file:
            asks = json.loads(file.read().decode("utf-8"))
        return [ask for ask in asks if isinstance(ask["seq"], int) and isinstance(ask["do"], list)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def must_wait(asks):
    # type: (list[dict[str, Any]]) -> bool
    """Whether the script is inside a write to stdout or stderr, where a callback's print() would raise RuntimeError.

    Python looks for signals there, too, with the stream's lock held. Then the signal comes once more, a moment later,
    as long as the ask's time allows. The kernel's timer sends it: sent from here it would be served in here.
    """
    flush = next((ask for ask in asks if "flush" in ask["do"]), None)
    if flush is None or not any(map(_in_write, (sys.stdout, sys.stderr))):
        return False
    try:
        left = float(flush["until"]) - time.monotonic()
        return left > 0 and _signal_later(max(_AGAIN, float(flush["within"]) - left))
    except Exception:
        return False


def _in_write(stream):
    # type: (Any) -> bool
    buffer = getattr(stream, "buffer", None)  # type: Any
    if type(buffer).__name__ != "BufferedWriter":
        return False
    try:
        buffer.write(b"")
    except RuntimeError:  # "reentrant call inside"
        return True
    except Exception:  # closed
        pass
    return False


def _signal_later(seconds):
    # type: (float) -> bool
    """SIGURG to this process once, by timer_create(2) and timer_settime(2); False where there is no such timer."""
    import ctypes

    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    if os.getpid() not in _timers:  # a forked child has none of its parent's timers
        # struct sigevent: sigev_value (8 bytes), sigev_signo, sigev_notify = SIGEV_SIGNAL (0), padding to 64 bytes
        event, timer = (ctypes.c_int * 16)(0, 0, _SIGURG, 0), ctypes.c_void_p()
        if libc.timer_create(time.CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer)) != 0:
            return False
        _timers[os.getpid()] = timer
    whole = int(seconds)
    once = (ctypes.c_long * 4)(0, 0, whole, int((seconds - whole) * 1e9))  # struct itimerspec: no interval, value
    return bool(libc.timer_settime(_timers[os.getpid()], 0, ctypes.byref(once), None) == 0)


def obey(ask, run, frame):
    # type: (dict[str, Any], Any, FrameType | None) -> BaseException | None
    """Does what `ask` says, answers each part as it is done, and returns the error that it orders to be raised."""
    start = time.perf_counter()
    deadline = start + float(ask.get("within") or 1.0)
    work = {"reclaim": _reclaim, "flush": _flush, "look": _look, "salvage": _salvage}
    error = None  # type: BaseException | None
    for word in ask["do"]:
        began = time.perf_counter()
        try:
            if word in ("raise", "raise-hard"):
                error, answer = _error(ask, word)
            elif word == "interrupt":
                error, answer = _interrupt()
            else:
                answer = work[word](ask, deadline, frame)
        except Exception as problem:
            answer = {"event": _EVENTS.get(word, "failed"), "errors": ["%s: %s" % (word, _name(problem))]}
        answer.update(pid=os.getpid(), seq=ask["seq"], seconds=round(time.perf_counter() - began, 6))
        _answer(run, answer)
    return error


def _answer(run, answer):
    # type: (Any, dict[str, Any]) -> None
    """An answer that cannot be written (a full disk, no memory) keeps nothing from being done."""
    try:
        _agent.report(run, answer)
    except Exception:
        pass


def _name(error):
    # type: (BaseException) -> str
    return ("%s: %s" % (type(error).__name__, error))[:500]


def _resident():
    # type: () -> int | None
    """Bytes of this process that are in memory."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return None


def _keep_reserve():
    # type: () -> None
    """bytes(n) comes from calloc: address space that is given back for a look, and no memory until it is touched."""
    global _reserve
    if _reserve is None:
        try:
            _reserve = bytes(_RESERVE)
        except MemoryError:
            pass


def _reclaim(ask, deadline, frame):
    # type: (dict[str, Any], float, FrameType | None) -> dict[str, Any]
    before = _resident()
    collected = gc.collect()
    _release_arrow()
    trim()
    _keep_reserve()
    after = _resident()
    freed = None if before is None or after is None else before - after
    return {"event": "reclaimed", "collected": collected, "freed": freed}


def _release_arrow():
    # type: () -> None
    pyarrow = sys.modules.get("pyarrow")
    try:
        if pyarrow is not None:
            pyarrow.default_memory_pool().release_unused()
    except Exception:  # half imported, or too old to know how
        pass


def trim():
    # type: () -> None
    """glibc keeps up to some 30 MB of what was freed; other C libraries have no malloc_trim."""
    try:
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)
    except (ImportError, OSError, AttributeError, TypeError):
        pass


def _flush(ask, deadline, frame):
    # type: (dict[str, Any], float, FrameType | None) -> dict[str, Any]
    pressure = sys.modules.get("memguard.pressure")  # type: Any
    if pressure is None:  # nobody has registered anything
        return {"event": "flushed", "called": 0, "errors": [], "skipped": [], "freed": None}
    before = _resident()
    if any(map(_in_write, (sys.stdout, sys.stderr))):  # for as long as the ask's time was: nobody reads what it writes
        skipped = [getattr(callback, "__qualname__", repr(callback)) for callback in pressure.callbacks()]
        return {"event": "flushed", "called": 0, "errors": [], "skipped": skipped, "freed": None}
    pressure.set_headroom(ask.get("headroom"))
    pressed = pressure.press(within=max(0.0, deadline - time.perf_counter()))
    if pressed.called:
        trim()
    _keep_reserve()
    after = _resident()
    return {
        "event": "flushed",
        "called": pressed.called,
        "errors": list(pressed.errors),
        "skipped": list(pressed.skipped),
        "freed": None if before is None or after is None else before - after,
    }


def _look(ask, deadline, frame):
    # type: (dict[str, Any], float, FrameType | None) -> dict[str, Any]
    global _reserve, _held
    _reserve = None
    try:
        culprit = _agent.load("_memguard_culprit")  # type: Any
        _held = culprit.look(frame)
    finally:
        _keep_reserve()
    return {"event": "held", "containers": _held}


def _salvage(ask, deadline, frame):
    # type: (dict[str, Any], float, FrameType | None) -> dict[str, Any]
    global _reserve
    _reserve = None
    try:
        salvage = _agent.load("_memguard_salvage")  # type: Any
        found = salvage.salvage(frame, ask["salvage"], deadline)  # type: dict[str, Any]
    finally:
        _keep_reserve()
    return dict(found, event="salvaged")


def _interrupt():
    # type: () -> tuple[BaseException | None, dict[str, Any]]
    """A flush callback in the main thread waits for what never comes: it ends with an error, and the script goes on."""
    pressure = sys.modules.get("memguard.pressure.answer")  # type: Any
    error = pressure.interrupt() if pressure is not None else None  # type: BaseException | None
    return error, {"event": "interrupted", "done": error is not None}


def _error(ask, word):
    # type: (dict[str, Any], str) -> tuple[BaseException, dict[str, Any]]
    message = ask.get("message") or "the memory limit is reached"
    if _held:
        message = "%s; %s" % (message, _held[0]["text"])
    hint = (_held[0].get("advice") or "") if _held else ""
    hard = word == "raise-hard"
    error = MemoryLimitExceededHard(message) if hard else _agent.limit_exceeded(message, hint)  # type: BaseException
    return error, {"event": "raised", "hard": hard, "error": type(error).__name__}
