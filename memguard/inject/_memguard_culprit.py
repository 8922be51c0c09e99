"""Which variables hold the memory: a bounded look at every thread's frames and at the globals of the user's modules.

    all_tokens (list, 41,200,000 ints) at prepare.py:23 holds 1.48 GiB, 36 bytes a token; as uint16 it would be 79 MiB

Each variable (_memguard_variables.py) is measured by a sample (_memguard_sizes.py), roughly first, the largest ones
well; what holds most is then followed inwards, to `shard.ids` or `data['train']`. The same object under several names
counts once, for the outermost frame, which is where it lives. Where all variables together explain too little,
_memguard_unnamed.py looks for a list that is in none. The garbage collector rests meanwhile. Standard library only,
Python 3.8 on.
"""

import gc
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType  # noqa: F401
    from typing import Any, Iterator  # noqa: F401

_agent = sys.modules["_memguard_agent"]  # type: Any
_sizes = _agent.load("_memguard_sizes")  # type: Any
_variables = _agent.load("_memguard_variables")  # type: Any
Candidate = _variables.Candidate  # type: Any

WITHIN = 0.04  # seconds of this thread's own CPU time for the measuring; naming what was found comes on top
_MOST = 8  # containers named
_ROUGH, _WELL = 40, 12  # elements in the first sample of each variable; variables that are then measured well
_SMALLEST = 1 << 20  # bytes; below that nothing is worth a name
_INWARDS = 0.5  # of a container's bytes in one part of it: that part is what to name
_SIBLING = 0.1  # and any other that holds so much is named beside it
_STEPS = 6
_EXPLAINED = 0.5  # of the memory in variables: below that, what is in none is looked for
_NAMED = 64  # parts of a container that are looked at one by one


def inspect(frame):
    # type: (FrameType | None) -> list[dict[str, Any]]
    """The containers that hold most, largest first, as the answer's JSON."""
    words = _agent.load("_memguard_wording")  # type: Any
    found = [words.describe(one) for one in find(frame)]
    cells = words.cells(frame)
    if cells:  # what the frames of a dump are called where they are a notebook's
        found = found or [{}]
        found[0]["cells"] = cells
    return found


def find(frame, within=WITHIN):
    # type: (FrameType | None, float) -> list[Candidate]
    """`frame` is the one that the main thread was in."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        found = _find(frame, time.thread_time() + within)
        held = _sizes.resident()
        if held and sum(one.bytes for one in found) < _EXPLAINED * held:
            unnamed = _agent.load("_memguard_unnamed")  # type: Any
            found = sorted(found + unnamed.find(frame, held, found), key=lambda one: -one.bytes)[:_MOST]
        for one in found:
            one.bytes = min(one.bytes, held or one.bytes)  # an estimate never says more than there is
        return found
    finally:
        if collecting:
            gc.enable()


def _find(frame, deadline):
    # type: (FrameType | None, float) -> list[Candidate]
    estimator = _sizes.SizeEstimator(deadline)
    rough = _roots(frame, estimator)
    for one in rough:
        estimator.claimed.discard(id(one.value))
    largest = sorted(rough, key=lambda one: -one.bytes)[:_WELL]
    found = []  # type: list[Candidate]
    estimator.claimed.clear()
    try:
        for one in largest:
            if id(one.value) not in estimator.claimed:
                one.bytes = estimator.size(one.value)
                found += _inwards(one, estimator, _STEPS)
    except _sizes.DeadlineExceeded:
        found += [one for one in largest if id(one.value) not in estimator.claimed and one not in found]
    found = [one for one in found if one.bytes >= _SMALLEST]
    return sorted(found, key=lambda one: -one.bytes)[:_MOST]


def _roots(frame, estimator):
    # type: (FrameType | None, Any) -> list[Candidate]
    """Each variable once, with a rough figure."""
    roots = []  # type: list[Candidate]
    by_value = {}  # type: dict[int, Candidate]
    try:
        for one in _variables.variables(frame):
            if id(one.value) in by_value:
                by_value[id(one.value)].aliases.append(one.name)
            elif id(one.value) not in estimator.claimed:
                one.bytes = estimator.size(one.value, _ROUGH)
                estimator.claimed.add(id(one.value))
                if one.bytes >= _SMALLEST:
                    roots.append(one)
                    by_value[id(one.value)] = one
    except _sizes.DeadlineExceeded:
        # Nothing was left for the second look: it gets as much again, and no more.
        estimator.deadline = time.thread_time() + WITHIN / 2
    return roots


def _inwards(one, estimator, steps):
    # type: (Candidate, Any, int) -> list[Candidate]
    """`one`, or the parts of it that hold most."""
    estimator.claimed.add(id(one.value))
    if steps and one.bytes >= _SMALLEST:
        parts = []  # type: list[Candidate]
        for name, value in _named_parts(one.value):
            if id(value) not in estimator.claimed:
                part = Candidate(one.name + name, value, (one.file, one.line, one.function))
                part.bytes, part.aliases = estimator.size(value), one.aliases
                parts.append(part)
        if any(part.bytes >= _INWARDS * one.bytes for part in parts):
            named = [part for part in parts if part.bytes >= _SIBLING * one.bytes]
            return [deeper for part in named for deeper in _inwards(part, estimator, steps - 1)]
    return [one]


def _named_parts(thing):
    # type: (Any) -> list[tuple[str, Any]]
    """None of them where the thing's own methods raise errors."""
    try:
        return list(_parts(thing))
    except BaseException:  # SystemExit, too
        return []


def _parts(thing):
    # type: (Any) -> Iterator[tuple[str, Any]]
    """("['train']", value), (".ids", value): of a container with few parts, or of an instance."""
    if _sizes.is_ndarray(thing) or _sizes.library(thing) or type(thing).__module__.split(".")[0] == "pandas":
        return
    if type(thing).__name__ == "_lru_cache_wrapper":  # its results have no names
        return
    if isinstance(thing, dict):
        if len(thing) <= _NAMED:
            for key, value in list(thing.items()):
                yield "[%s]" % (repr(key)[:40] if type(key) in (str, int, float, bool, tuple) else "…"), value
    elif isinstance(thing, (list, tuple)):
        if len(thing) <= _NAMED:
            for position, value in enumerate(thing):
                yield "[%d]" % position, value
    elif not isinstance(thing, _sizes.CONTAINERS + (str, bytes, bytearray, memoryview, int, float)):
        frame = getattr(thing, "gi_frame", None)
        if frame is not None:  # of a generator that waits for its next value
            for one in _variables.frame_variables(frame):
                yield "(%s)" % one.name, one.value
            return
        for name, value in _attributes(thing):
            yield name, value


def _attributes(thing):
    # type: (Any) -> Iterator[tuple[str, Any]]
    named = set()  # type: set[int]
    variables = getattr(thing, "__dict__", None)
    slots = [name for kind in type(thing).__mro__ for name in _words(kind.__dict__.get("__slots__", ()))]
    pairs = list(variables.items()) if isinstance(variables, dict) else []
    for name in slots:
        member = getattr(type(thing), name, None)
        if type(member).__name__ == "member_descriptor":
            pairs.append((name, getattr(thing, name, None)))
    for name, value in pairs:
        named.add(id(value))
        yield "." + str(name), value
    for value in gc.get_referents(thing):  # what a type written in C keeps
        if id(value) not in named and value is not variables and isinstance(value, _sizes.CONTAINERS):
            yield "(…)", value


def _words(slots):
    # type: (Any) -> list[str]
    return [slots] if isinstance(slots, str) else [str(name) for name in slots]
