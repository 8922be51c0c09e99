"""Which variables hold the memory: a bounded look at every thread's frames and at the globals of the user's modules.

    all_tokens (list, 41,200,000 ints) at prepare.py:23 holds 1.48 GiB, 36 bytes a token; as uint16 it would be 79 MiB

Each variable is measured by a sample (_memguard_sizes.py), roughly first, the largest ones well; what holds most is
then followed inwards, to `shard.ids` or `data['train']`. The same object under several names counts once, for the
outermost frame, which is where it lives. The garbage collector rests meanwhile. Standard library only, Python 3.8 on.

Not seen: what is on a frame's evaluation stack alone, such as a list comprehension that is not done yet.
"""

import gc
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType  # noqa: F401
    from typing import Any, Iterator  # noqa: F401

_agent = sys.modules["_memguard_agent"]  # type: Any
_sizes = _agent.load("_memguard_sizes")  # type: Any

WITHIN = 0.04  # seconds for the measuring; naming what was found comes on top
_MOST = 8  # containers named
_ROUGH, _WELL = 40, 12  # elements in the first sample of each variable; variables that are then measured well
_SMALLEST = 1 << 20  # bytes; below that nothing is worth a name
_INWARDS = 0.5  # of a container's bytes in one part of it: that part is what to name
_SIBLING = 0.1  # and any other that holds so much is named beside it
_STEPS = 6
_NAMED = 64  # parts of a container that are looked at one by one
_GUARD = os.path.join(os.path.dirname(_agent._directory), "watch", "")  # memguard.guard()'s own frames
_PACKAGES = {"site-packages", "dist-packages"}
_OPTIMIZED = 0x1  # CO_OPTIMIZED: a function's frame, whose f_locals is a copy


class Found:
    """One container, with the variable that leads to it."""

    def __init__(self, name, value, place):
        # type: (str, Any, tuple[str, int | None, str]) -> None
        self.name, self.value = name, value
        self.file, self.line, self.function = place
        self.bytes = 0.0


def look(frame):
    # type: (FrameType | None) -> list[dict[str, Any]]
    """The containers that hold most, largest first, as the answer's JSON."""
    words = _agent.load("_memguard_wording")  # type: Any
    return [words.describe(one) for one in find(frame)]


def find(frame, within=WITHIN):
    # type: (FrameType | None, float) -> list[Found]
    """`frame` is the one that the main thread was in."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _find(frame, time.perf_counter() + within)
    finally:
        if collecting:
            gc.enable()


def _find(frame, deadline):
    # type: (FrameType | None, float) -> list[Found]
    ruler = _sizes.Ruler(deadline)
    rough = _roots(frame, ruler)
    for one in rough:
        ruler.claimed.discard(id(one.value))
    largest = sorted(rough, key=lambda one: -one.bytes)[:_WELL]
    found = []  # type: list[Found]
    ruler.claimed.clear()
    try:
        for one in largest:
            if id(one.value) not in ruler.claimed:
                one.bytes = ruler.size(one.value)
                found += _inwards(one, ruler, _STEPS)
    except _sizes.Late:
        found += [one for one in largest if id(one.value) not in ruler.claimed and one not in found]
    found = [one for one in found if one.bytes >= _SMALLEST]
    return sorted(found, key=lambda one: -one.bytes)[:_MOST]


def _roots(frame, ruler):
    # type: (FrameType | None, Any) -> list[Found]
    """Each variable once, with a rough figure."""
    roots = []  # type: list[Found]
    try:
        for one in _variables(frame):
            if id(one.value) not in ruler.claimed:
                one.bytes = ruler.size(one.value, _ROUGH)
                ruler.claimed.add(id(one.value))
                if one.bytes >= _SMALLEST:
                    roots.append(one)
    except _sizes.Late:
        # Nothing was left for the second look: it gets as much again, and no more.
        ruler.deadline = time.perf_counter() + WITHIN / 2
    return roots


def _variables(frame):
    # type: (FrameType | None) -> Iterator[Found]
    """Locals of the user's own frames, outermost first; globals of the user's modules; locals of packages' frames."""
    frames = _frames(frame)
    own = [f for f in frames if not _is_package(f.f_code.co_filename)]
    for one in own:
        yield from _locals(one)
    lines = {}  # type: dict[int, tuple[int | None, str]]
    for one in own:  # the innermost line of a module is the last to be put in
        lines[id(one.f_globals)] = (one.f_lineno, one.f_code.co_name)
    for module in list(sys.modules.values()):
        variables = _module_variables(module)
        path = variables.get("__file__")
        main = variables.get("__name__") == "__main__"
        if main or (type(path) is str and not is_library(path) and not _is_package(path)):
            line, function = lines.get(id(variables), (None, "<module>"))
            place = (path or "<string>", line, function)
            for name, value in _public(variables):
                yield Found(name, value, place)
    for one in frames:
        if one not in own:
            yield from _locals(one)


def _frames(frame):
    # type: (FrameType | None) -> list[FrameType]
    """The main thread's, then the other threads'; of each the outermost first; the standard library's left out."""
    here = sys._getframe()
    others = [innermost for innermost in sys._current_frames().values() if innermost is not here]
    found = []  # type: list[FrameType]
    for innermost in [frame] + others:
        chain = []  # type: list[FrameType]
        while innermost is not None and innermost not in found:
            path = innermost.f_code.co_filename
            if not (is_library(path) or path.startswith(_GUARD)):
                chain.append(innermost)
            innermost = innermost.f_back
        found += reversed(chain)
    return found


def _locals(frame):
    # type: (FrameType) -> Iterator[Found]
    place = (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
    variables = frame.f_locals
    pairs = _public(variables)
    # Up to 3.12 the frame keeps this copy, and so everything in it, alive. Held by somebody else too, it is locals()'s.
    if frame.f_code.co_flags & _OPTIMIZED and type(variables) is dict and sys.getrefcount(variables) <= 3:
        variables.clear()
    for name, value in pairs:
        yield Found(name, value, place)


def _module_variables(module):
    # type: (Any) -> dict[Any, Any]
    """Without asking the module for anything: one that is loaded at its first use would be loaded by that."""
    try:
        variables = object.__getattribute__(module, "__dict__")
        return variables if type(variables) is dict else {}
    except Exception:  # a script may put anything into sys.modules
        return {}


def _public(variables):
    # type: (Any) -> list[tuple[str, Any]]
    """A class body's variables may be in a mapping of the user's own, whose methods raise what they like."""
    try:
        pairs = list(variables.items())
    except BaseException:
        return []
    return [(name, value) for name, value in pairs if type(name) is str and not name.startswith("__")]


def is_library(path):
    # type: (str) -> bool
    """A file of Python itself or of the agent: `<frozen os>`, `…/lib/python3.11/…`, `…/python311.zip/…`."""
    if path.startswith("<frozen ") or "/memguard/inject/" in path or "\\lib\\" in path.lower():
        return True
    names = path.split("/")[1:-1]
    for position, name in enumerate(names):
        if name.startswith("python"):
            version, above = name[6:], names[position - 1] if position else ""
            if above in ("lib", "lib64") and version[1:2] == "." and _is_digits(version.rstrip("t").replace(".", "")):
                return True
            if version.endswith(".zip") and _is_digits(version[:-4]):
                return True
    return False


def _is_digits(text):
    # type: (str) -> bool
    return text.isdigit() and text.isascii()


def _is_package(path):
    # type: (str) -> bool
    return not _PACKAGES.isdisjoint(path.replace("\\", "/").split("/")[1:-1])


def _inwards(one, ruler, steps):
    # type: (Found, Any, int) -> list[Found]
    """`one`, or the parts of it that hold most."""
    ruler.claimed.add(id(one.value))
    if steps and one.bytes >= _SMALLEST:
        parts = []  # type: list[Found]
        for name, value in _named_parts(one.value):
            if id(value) not in ruler.claimed:
                part = Found(one.name + name, value, (one.file, one.line, one.function))
                part.bytes = ruler.size(value)
                parts.append(part)
        if any(part.bytes >= _INWARDS * one.bytes for part in parts):
            named = [part for part in parts if part.bytes >= _SIBLING * one.bytes]
            return [deeper for part in named for deeper in _inwards(part, ruler, steps - 1)]
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
            for one in _locals(frame):
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
