"""What is in no variable: a list that a comprehension is still building, or that was handed straight to a call.

It lies on the evaluation stack of a frame, where nothing in Python can look. The garbage collector knows it: of all
objects that it knows, the largest lists, sets and dicts are measured. That costs 8 bytes for each of them: it is done
only where the variables explain too little, and where so much is left. Standard library only, Python 3.8 on.
"""

import gc
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType  # noqa: F401
    from typing import Any  # noqa: F401

_agent = sys.modules["_memguard_agent"]  # type: Any
_sizes = _agent.load("_memguard_sizes")  # type: Any
_variables = _agent.load("_memguard_variables")  # type: Any

_ROOM = 64  # the list of all tracked objects may take this part of what the process holds
_ALWAYS = 1 << 20  # or so many bytes: a script that has imported numpy and tiktoken has 30,000 of them
_WITHIN = 0.05  # seconds for going through them, and as much for measuring
_MEASURED = 16  # candidates
_SHORT = 1000  # variables of one object that are looked through
_HEAVY = 1 << 20  # bytes of a candidate, by its length and its first element
_PLAIN = (str, bytes, bytearray, list, tuple, dict, set)  # whose own size costs nothing to ask for
_LEAST = 0.2  # of what the process holds: less is not worth a name
_KINDS = (list, dict, set)


def find(frame, held, known):
    # type: (FrameType | None, int, list[Any]) -> list[Any]
    """At most one Candidate, larger than each of the `known`. `held`: what the process holds."""
    least = max([_LEAST * held] + [one.bytes for one in known])
    try:
        if 8 * _tracked() > max(_ALWAYS, held // _ROOM):
            return []
        candidates = _candidates({id(one.value) for one in known})
        largest, size = _largest(candidates, _sizes.SizeEstimator(time.thread_time() + _WITHIN))
    except MemoryError:
        return []
    if largest is None or size < least:
        return []
    running = {id(one) for own in _variables.script_frames(frame) for one in own}
    name = _owner(largest, candidates, running)
    one = _found(name, largest, frame)
    one.bytes = size
    return [one]


def _tracked():
    # type: () -> int
    """How many objects the collector knows, without a list of them. Moving them twice makes the young ones old."""
    if gc.get_freeze_count():  # the script has frozen some itself, which must stay so
        return sys.maxsize
    gc.freeze()
    try:
        return gc.get_freeze_count()
    finally:
        gc.unfreeze()


def _candidates(known):
    # type: (set[int]) -> list[Any]
    """Those that look heaviest by their length and their first element: a million ints, or ten texts."""
    deadline = time.thread_time() + _WITHIN
    objects = gc.get_objects()
    modules = {id(_variables.attributes(module)) for module in list(sys.modules.values())}
    modules.add(id(sys.modules))
    heaviest = []  # type: list[tuple[int, int, Any]]
    least = _HEAVY
    for number, thing in enumerate(objects):
        if type(thing) in _KINDS:
            weight = _weight(thing)
            if weight > least:
                heaviest.append((weight, number, thing))
                if len(heaviest) > 8 * _MEASURED:
                    heaviest = sorted(heaviest, key=_by_weight)[-_MEASURED:]
                    least = heaviest[0][0]
        if not number % 4096 and time.thread_time() > deadline:
            break
    del objects
    ordered = sorted(heaviest, key=_by_weight)[-_MEASURED:]
    return [thing for _, _, thing in reversed(ordered) if id(thing) not in known and id(thing) not in modules]


def _weight(thing):
    # type: (Any) -> int
    if len(thing) < 4:
        return 0
    first = next(iter(thing.values() if type(thing) is dict else thing))
    if _sizes.is_ndarray(first):
        return len(thing) * int(first.nbytes)
    return len(thing) * (8 + (sys.getsizeof(first) if type(first) in _PLAIN else 8))


def _by_weight(candidate):
    # type: (tuple[int, int, Any]) -> tuple[int, int]
    return candidate[:2]


def _largest(candidates, estimator):
    # type: (list[Any], Any) -> tuple[Any, float]
    largest, size = None, 0.0  # type: Any, float
    try:
        for thing in candidates:
            rough = estimator.size(thing, 40)
            if rough > size:
                largest, size = thing, rough
        if largest is not None:
            size = estimator.size(largest)
    except _sizes.DeadlineExceeded:
        pass
    return largest, size


def _owner(thing, candidates, running):
    # type: (Any, list[Any], set[int]) -> str
    """What holds it: a package's variable, an object or a container that none of the script's leads to. Else empty."""
    container = ""
    for referrer in gc.get_referrers(thing):
        if referrer is candidates or id(referrer) in running:
            continue
        if type(referrer).__name__ == "frame":  # of a call that has failed: its traceback has not been let go yet
            names = [one.name for one in _variables.frame_variables(referrer) if one.value is thing]
            if names and not _variables.is_library(referrer.f_code.co_filename):
                return str(names[0]) + ", kept by an error's traceback"
            continue
        if type(referrer) is not dict:  # an instance whose attributes are in no dict yet (3.11 on)
            key = _key(_variables.attributes(referrer), thing)
            if key and type(referrer) is not type(sys):
                return "%s.%s" % (type(referrer).__name__, key)
            if type(referrer) in _sizes.CONTAINERS:
                container = type(referrer).__name__
            continue
        key = _key(referrer, thing)
        if key:
            module = referrer.get("__name__")
            if type(module) is str and _variables.attributes(sys.modules.get(module)) is referrer:
                return key if module == "__main__" else "%s.%s" % (module, key)
            # One more walk over all that the collector knows, and no third one.
            owners = [owner for owner in gc.get_referrers(referrer) if _variables.attributes(owner) is referrer]
            if owners:
                return "%s.%s" % (type(owners[0]).__name__, key)
        container = "dict"
    return "a %s in a %s" % (type(thing).__name__, container) if container else ""


def _key(variables, thing):
    # type: (dict[Any, Any], Any) -> str
    if len(variables) <= _SHORT:
        for key, value in list(variables.items()):
            if value is thing and type(key) is str:
                return key
    return ""


def _found(name, thing, frame):
    # type: (str, Any, FrameType | None) -> Any
    at = _variables.builder(frame)
    place = ("<string>", None, "<module>") if at is None else (at.f_code.co_filename, at.f_lineno, at.f_code.co_name)
    one = _variables.Candidate(name or "a %s under construction" % type(thing).__name__, thing, place)
    one.unnamed, one.built = not name or name.startswith("a "), not name
    return one
