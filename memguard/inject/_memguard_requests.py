"""What the guard asks of a running Python, and how it is done: in the main thread, between two of the script's steps.

    [{"seq": 7, "do": ["reclaim", "inspect"], "within": 2.0, "salvage": None, …}]

The requests come by marshal, version 2: it is built into every Python, so that nothing is imported to read them.

| do         | what                                                                                  | answer   |
|------------|---------------------------------------------------------------------------------------|----------|
| reclaim    | gc.collect(), malloc_trim(0), pyarrow's pool if pyarrow is loaded                     | reclaimed|
| inspect    | which variables hold the memory (_memguard_culprit.py)                                | held     |
| salvage    | writes the largest list of token ids into the directory `salvage` (_memguard_salvage) | salvaged |
| raise      | raises MemoryLimitExceeded (a MemoryError) in the script                              | raised   |
| raise-hard | the same as a BaseException, for a script that swallows every Exception               | raised   |
| interrupt  | ends a flush callback that waits for ever, where it runs in the main thread           | interrupted |

Each answer is one line of the run's events.jsonl: {"event": …, "pid", "seq", "seconds", …}. What could not be done is
answered, too: {"event": …, "errors": ["salvage: OSError: …"], "pid", …} and nothing else in it.

Not here: flush callbacks, which run at the script's checkpoints (memguard/pressure) and are asked for without a signal.

Loaded at the first request. Standard library only, Python 3.8 or later.
"""

import gc
import marshal
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType  # noqa: F401
    from typing import Any, Callable  # noqa: F401

_EVENTS = {"reclaim": "reclaimed", "inspect": "held", "salvage": "salvaged"}
_RESERVE = 4 << 20  # bytes of address space, untouched: enough for an inspection when no more can be allocated
_PAGE = os.sysconf("SC_PAGE_SIZE")

_agent = sys.modules["_memguard_agent"]  # type: Any
_reserve = None  # type: bytes | None
_held = []  # type: list[dict[str, Any]]  # the last inspection's result


class MemoryLimitExceededHard(BaseException):
    """Not an Exception, so that `except Exception: continue` does not swallow it."""


MemoryLimitExceededHard.__module__ = "memguard"


def read_requests(path):
    # type: (str) -> list[dict[str, Any]]
    """In the order of their numbers. The file was written at once and renamed, so half of it never shows."""
    try:
        with open(path, "rb") as file:
            requests = marshal.loads(file.read())
        return [
            request
            for request in requests
            if isinstance(request["seq"], int) and isinstance(request["do"], (list, tuple))
        ]
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return []


def handle_all(frame, nested):
    # type: (FrameType | None, bool) -> BaseException | None
    """Until there is nothing new. Nested: the signal has come while a request is being handled, by a callback say."""
    error = None  # type: BaseException | None
    for run in list(_agent.runs):
        while True:
            path = _agent.request_path(run)
            new = [request for request in read_requests(path) if request["seq"] > run.done]
            if nested:  # whoever is handling one looks again when it is done; one word does not wait for that
                wanted = [request for request in new if "raise-hard" in request["do"]]
                _agent.left = _agent.left or len(wanted) < len(new)
                new = wanted
            if not new:
                break
            run.done = new[-1]["seq"]
            if run is not _agent.runs[-1]:  # the signal's own dump went to the innermost guard's file
                run.reopen()
                run.dump()
            for request in new:
                error = handle(request, run, frame) or error
    return error


def handle(request, run, frame):
    # type: (dict[str, Any], Any, FrameType | None) -> BaseException | None
    """Does what `request` says, answers each part as it is done, and returns the error that it orders to be raised."""
    start = time.perf_counter()
    deadline = start + float(request.get("within") or 1.0)
    work = {"reclaim": _reclaim, "inspect": _inspect, "salvage": _salvage}
    error = None  # type: BaseException | None
    for word in request["do"]:
        began = time.perf_counter()
        try:
            if word in ("raise", "raise-hard"):
                error, answer = _error(request, word)
            elif word == "interrupt":
                error, answer = _interrupt()
            else:
                answer = work[word](request, deadline, frame)
        except BaseException as problem:  # SystemExit, too: an inspection calls the user's methods
            answer = {"event": _EVENTS.get(word, "failed"), "errors": ["%s: %s" % (word, _name(problem))]}
        answer.update(pid=os.getpid(), seq=request["seq"], seconds=round(time.perf_counter() - began, 6))
        _answer(run, answer)
    return error


def _answer(run, answer):
    # type: (Any, dict[str, Any]) -> None
    """An answer that cannot be written (a full disk, no memory) keeps nothing from being done."""
    try:
        _agent.report(run, answer)
    except BaseException:
        pass


def _name(error):
    # type: (BaseException) -> str
    try:
        return ("%s: %s" % (type(error).__name__, error))[:500]
    except BaseException:  # of its own __str__
        return type(error).__name__


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
    """bytes(n) comes from calloc: address space given back for an inspection, and no memory until it is touched."""
    global _reserve
    if _reserve is None:
        try:
            _reserve = bytes(_RESERVE)
        except MemoryError:
            pass


def _reclaim(request, deadline, frame):
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
    except BaseException:  # half imported, too old to know how, or a module of the user's
        pass


def trim():
    # type: () -> None
    """glibc keeps up to some 30 MB of what was freed; other C libraries have no malloc_trim."""
    try:
        library = _agent.load("_memguard_standard_library", "standard_library.py").extension("_ctypes")
        library.call_function(library.dlsym(library.dlopen(None, 0), "malloc_trim"), (0,))
    except Exception:
        pass


def _inspect(request, deadline, frame):
    # type: (dict[str, Any], float, FrameType | None) -> dict[str, Any]
    global _reserve, _held
    _reserve = None
    try:
        culprit = _agent.load("_memguard_culprit")  # type: Any
        _held = culprit.inspect(frame)
    finally:
        _keep_reserve()
    return {"event": "held", "containers": _held}


def _salvage(request, deadline, frame):
    # type: (dict[str, Any], float, FrameType | None) -> dict[str, Any]
    global _reserve
    _reserve = None
    try:
        salvage = _agent.load("_memguard_salvage")  # type: Any
        found = salvage.salvage(frame, request["salvage"], deadline)  # type: dict[str, Any]
    finally:
        _keep_reserve()
    return dict(found, event="salvaged")


def _interrupt():
    # type: () -> tuple[BaseException | None, dict[str, Any]]
    """A flush callback in the main thread waits for what never comes: it ends with an error, and the script goes on."""
    pressure = sys.modules.get("memguard.pressure.answer")  # type: Any
    error = pressure.interrupt() if pressure is not None else None  # type: BaseException | None
    return error, {"event": "interrupted", "done": error is not None}


def _error(request, word):
    # type: (dict[str, Any], str) -> tuple[BaseException, dict[str, Any]]
    message = request.get("message") or "the memory limit is reached"
    if _held:
        message = "%s; %s" % (message, _held[0]["text"])
    hint = (_held[0].get("advice") or "") if _held else ""
    hard = word == "raise-hard"
    error = MemoryLimitExceededHard(message) if hard else _agent.limit_exceeded(message, hint)  # type: BaseException
    return error, {"event": "raised", "hard": hard, "error": type(error).__name__}
