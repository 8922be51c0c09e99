"""What to call when memory runs short, when it may be called, and how much room is left.

    on_pressure(flush)          registry.py      a callback that writes out, or drops, what it can
    checkpoint()                safepoint.py     "callbacks may run here": a flag in memory is all that is looked at
                                page.py          what the guard's watcher asks for, in a page that both sides map
                                rendezvous.py    all threads that pass checkpoints stand still at one
                                unfinished.py    is a statement half done that has loaded what a callback reaches?
                                reach.py         what the callbacks reach: names, objects, locks
                                answer.py        runs the callbacks and tells what came of it

At a checkpoint it is as if the script had called its callbacks on that line by hand. They run there and nowhere else.
Whoever buffers registers, the guard asks, and neither side knows the other. Standard library only, light to import: it
is loaded in the user's own process.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from memguard.pressure.answer import CallbackResult, interrupt, run_callbacks, set_observer
    from memguard.pressure.registry import callbacks, get_headroom, register, registered, set_headroom, unregister
    from memguard.pressure.safepoint import Buffer, checkpoint, checkpoints, detach, request

__all__ = [
    "Buffer",
    "CallbackResult",
    "callbacks",
    "checkpoint",
    "checkpoints",
    "detach",
    "get_headroom",
    "interrupt",
    "register",
    "registered",
    "request",
    "run_callbacks",
    "set_headroom",
    "set_observer",
    "unregister",
]

_PLACES = {
    "CallbackResult": "answer",
    "interrupt": "answer",
    "run_callbacks": "answer",
    "set_observer": "answer",
    "Buffer": "safepoint",
    "checkpoint": "safepoint",
    "checkpoints": "safepoint",
    "detach": "safepoint",
    "request": "safepoint",
    "callbacks": "registry",
    "get_headroom": "registry",
    "register": "registry",
    "registered": "registry",
    "set_headroom": "registry",
    "unregister": "registry",
}


def __getattr__(name: str) -> Any:
    """Loaded at first use: the guard's watcher needs page.py alone."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from memguard.inject.standard_library import First

    with First():  # whatever lies beside the user's script
        found = getattr(__import__(f"memguard.pressure.{_PLACES[name]}", fromlist=[name]), name)
    globals()[name] = found  # the next look is a module's variable
    return found
