"""What the guard asks of a running Python, and how it is done: in the main thread, between two of the script's steps.

    {"seq": 7, "do": ["reclaim", "flush", "look"], "within": 2.0, "headroom": 104857600, "salvage": null, "message": ""}

| do         | what                                                                                  | answer   |
|------------|---------------------------------------------------------------------------------------|----------|
| reclaim    | gc.collect(), malloc_trim(0), pyarrow's pool if pyarrow is loaded                     | reclaimed|
| flush      | calls what the script has registered with memguard.on_pressure                        | flushed  |
| look       | which variables hold the memory (_memguard_culprit.py)                                | held     |
| salvage    | writes the largest list of token ids into the directory `salvage` (_memguard_salvage) | salvaged |
| raise      | raises MemoryLimitExceeded (a MemoryError) in the script                              | raised   |
| raise-hard | the same as a BaseException, for a script that swallows every Exception               | raised   |

Each answer is one line of the run's events.jsonl: {"event": …, "pid", "seq", "seconds", …}; {"event": "failed", "do",
"error", …} for what could not be done. Loaded at the first ask; standard library only, Python 3.8 or later.
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

_RESERVE = 4 << 20  # bytes of address space, untouched: enough for a look when nothing can be allocated any more
_PAGE = os.sysconf("SC_PAGE_SIZE")

_reserve = None  # type: bytes | None
_held = []  # type: list[dict[str, Any]]  # the last look's result


class MemoryLimitExceeded(MemoryError):
    """memguard.MemoryLimitExceeded's twin, for a Python that has not loaded memguard. A MemoryError, like that one."""

    exit_code = 75

    def __init__(self, message, hint=""):
        # type: (str, str) -> None
        MemoryError.__init__(self, message)
        self.message, self.hint = message, hint

    def __reduce__(self):
        # type: () -> tuple[Any, ...]
        return limit_exceeded, (self.message, self.hint)


class MemoryLimitExceededHard(BaseException):
    """Not an Exception, so that `except Exception: continue` does not swallow it."""


# As the user knows it; pickling goes by limit_exceeded, which every Python with the agent has.
MemoryLimitExceeded.__module__ = MemoryLimitExceededHard.__module__ = "memguard"


def limit_exceeded(message, hint=""):
    # type: (str, str) -> BaseException
    """memguard's own error where the script has memguard loaded, so that it can be caught by that name."""
    if "memguard" in sys.modules:
        try:
            from memguard.errors import MemoryLimitExceeded as Real

            return Real(message, hint)
        except Exception:  # no memory left to import it
            pass
    return MemoryLimitExceeded(message, hint)


def read_ask(path):
    # type: (str) -> dict[str, Any] | None
    """None for what is no ask; it was written at once and renamed, so half of one never shows."""
    try:
        with open(path, "rb") as file:
            ask = json.loads(file.read().decode("utf-8"))
        if isinstance(ask["seq"], int) and isinstance(ask["do"], list):
            return ask  # type: ignore[no-any-return]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


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
            else:
                answer = work[word](ask, deadline, frame)
        except Exception as problem:
            answer = {"event": "failed", "do": word, "error": _name(problem)}
        answer.update(pid=os.getpid(), seq=ask["seq"], seconds=round(time.perf_counter() - began, 6))
        _answer(run, answer)
    return error


def _answer(run, answer):
    # type: (Any, dict[str, Any]) -> None
    """An answer that cannot be written (a full disk, no memory) keeps nothing from being done."""
    try:
        sys.modules["_memguard_agent"].report(run, answer)
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
    _trim()
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


def _trim():
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
    pressure.set_headroom(ask.get("headroom"))
    pressed = pressure.press(within=max(0.0, deadline - time.perf_counter()))
    if pressed.called:
        _trim()
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
        culprit = sys.modules["_memguard_agent"].load("_memguard_culprit")  # type: Any
        _held = culprit.look(frame)
    finally:
        _keep_reserve()
    return {"event": "held", "containers": _held}


def _salvage(ask, deadline, frame):
    # type: (dict[str, Any], float, FrameType | None) -> dict[str, Any]
    global _reserve
    _reserve = None
    try:
        salvage = sys.modules["_memguard_agent"].load("_memguard_salvage")  # type: Any
        found = salvage.salvage(frame, ask["salvage"], deadline)  # type: dict[str, Any]
    finally:
        _keep_reserve()
    return dict(found, event="salvaged")


def _error(ask, word):
    # type: (dict[str, Any], str) -> tuple[BaseException, dict[str, Any]]
    message = ask.get("message") or "the memory limit is reached"
    if _held:
        message = "%s; %s" % (message, _held[0]["text"])
    hint = (_held[0].get("advice") or "") if _held else ""
    error = limit_exceeded(message, hint) if word == "raise" else MemoryLimitExceededHard(message)
    return error, {"event": "raised", "hard": word == "raise-hard", "error": type(error).__name__}
