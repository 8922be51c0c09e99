"""heapq and bisect: lists that are kept in order."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.models.containers import make_list
from memguard.script.operations.elements import one_of
from memguard.script.operations.growth import append
from memguard.script.registry import function, nothing
from memguard.script.values import KINDS, NOTHING, UNKNOWN, Bound, Buffer, Constant

__all__: list[str] = []


@function("heapq.heappush bisect.insort bisect.insort_left bisect.insort_right")
def pushed(call: Call) -> Any:
    """The list gets one more."""
    if not isinstance(call.arg(0), Buffer) or len(call.args) < 2:
        return UNKNOWN
    append(call.interpreter, call.arg(0), call.arg(1), call.node)
    return Constant(None)


@function("heapq.heappop", frees="one element")
def popped(call: Call) -> Any:
    heap = call.arg(0)
    if not isinstance(heap, Buffer) or not KINDS[heap.kind].element:
        return NOTHING
    loops = call.state.loops
    return one_of(call.interpreter, heap, loops[-1][0] if loops else 0)


@function("heapq.heappushpop heapq.heapreplace")
def replaced(call: Call) -> Any:
    """One more and one less: what comes may be larger than what goes, so that each is kept."""
    if not isinstance(call.arg(0), Buffer) or len(call.args) < 2:
        return UNKNOWN
    append(call.interpreter, call.arg(0), call.arg(1), call.node)
    return NOTHING


@function("heapq.nlargest heapq.nsmallest")
def extremes(call: Call) -> Any:
    """A list of n of the elements."""
    if len(call.args) < 2 and "iterable" not in call.kwargs:
        return UNKNOWN
    result = make_list(call.with_args(call.arg(1, "iterable")))
    amount = call.number("n", 0)
    if isinstance(result, Buffer) and amount is not None:
        result.bound = Bound(amount, "pieces")
    return result


function("heapq.heapify")(nothing("in place"))
function("bisect.bisect bisect.bisect_left bisect.bisect_right")(nothing("a number"))
