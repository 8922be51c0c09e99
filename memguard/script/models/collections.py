"""collections: defaultdict, Counter, deque; and the methods of lists, sets and dicts."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.liveness import buffers_in
from memguard.script.models.containers import entries, make_list
from memguard.script.operations.access import extend_members, member_of, of_key, store_more
from memguard.script.operations.elements import one_of
from memguard.script.operations.growth import append, clear, extend
from memguard.script.operations.tables import distinct, tabled
from memguard.script.registry import function, method, nothing, unknown
from memguard.script.values import (
    KINDS,
    NOTHING,
    UNKNOWN,
    Bound,
    Buffer,
    Constant,
    File,
    Generator,
    Module,
    Number,
    Row,
    Sequence,
    Unknown,
)

__all__: list[str] = []

# Kinds of Buffer that are a list, deque or set of Python objects.
_LISTS = "ids ints chars strings words lists arrays records objects table list opaque"
_DONE = Constant(None)


@function("collections.defaultdict")
def defaultdict(call: Call) -> Any:
    """defaultdict(list): one value for all of its keys, which holds what all of them hold."""
    value = call.interpreter.call(call.args[0], [], {}, call.node) if call.args else UNKNOWN
    return Sequence([value], [UNKNOWN], mutable=True)


@function("collections.Counter", frees="few characters and ids differ")
def counter(call: Call) -> Any:
    """An entry for each element that differs from the others."""
    value = call.arg(0)
    if isinstance(value, Buffer):
        found = entries(call, value, "dict")
        return Sequence([], [], mutable=True) if found is NOTHING else found
    if isinstance(value, (Generator, File, Row)):
        return _counted(call, value)
    return UNKNOWN if call.reaches(*call.args) else Sequence([], [], mutable=True)


def _counted(call: Call, value: Any) -> Any:
    """Counter of what is yielded: few differ where it is made of characters, such as pairs of them."""
    gathered = call.hold("list")
    few: list[bool] = []

    def count(item: Any) -> None:
        inside = buffers_in([item])
        few.append(bool(inside) and all(isinstance(one, Buffer) and one.kind == "char" for one in inside))
        if not few[-1]:
            append(call.interpreter, gathered, item, call.node)

    call.interpreter.iterate(value, count, call.node)
    found = NOTHING if all(few) else entries(call, gathered, "dict", priced=1)
    return Sequence([], [], mutable=True) if found is NOTHING else found


@function("collections.namedtuple typing.NamedTuple", frees="a class")
def namedtuple(call: Call) -> Any:
    return Module("collections.namedtuple()")


@function("collections.namedtuple()")
def named(call: Call) -> Any:
    """One of a class that namedtuple has made."""
    return Sequence([*call.args, *call.kwargs.values()])


@function("collections.deque")
def deque(call: Call) -> Any:
    """deque(x, maxlen): a list that lets go what is more than maxlen."""
    result = make_list(call.with_args(*call.args[:1]))
    longest = call.number("maxlen", 1)
    if isinstance(result, Buffer) and longest is not None:
        result.bound = Bound(longest, "pieces")
    return result


# -- lists, deques, sets of what is not known one by one --------------------------------------------------------------


@method(_LISTS, "append insert add appendleft put put_nowait")
def appended(call: Call) -> Any:
    append(call.interpreter, call.owner, call.args[-1] if call.args else UNKNOWN, call.node)
    return _DONE


@method(_LISTS, "extend extendleft update")
def extended(call: Call) -> Any:
    for value in call.args:
        extend(call.interpreter, call.owner, value, call.node)
    return _DONE


@method(_LISTS, "clear")
def cleared(call: Call) -> Any:
    clear(call.interpreter, call.owner, call.node)
    return _DONE


@method(_LISTS, "copy")
def copied(call: Call) -> Any:
    return make_list(call.with_args(call.owner))


@method(_LISTS, "pop popleft get get_nowait popitem")
def popped(call: Call) -> Any:
    """One element."""
    if not KINDS[call.owner.kind].element:
        return NOTHING
    loops = call.state.loops
    return one_of(call.interpreter, call.owner, loops[-1][0] if loops else 0)


@method(_LISTS, "union intersection difference symmetric_difference")
def combined(call: Call) -> Any:
    result = call.hold("list")
    for value in call.given:
        extend(call.interpreter, result, value, call.node)
    return result


@method(_LISTS, "items values keys elements most_common")
def of_dict(call: Call) -> Any:
    return call.owner


method(_LISTS, "sort reverse rotate remove discard index count task_done join qsize empty full is*")(
    nothing("in place, or a number")
)


@method("opaque", "*")
def of_opaque(call: Call) -> Any:
    return unknown(call)


# -- tuples, lists and dicts whose members are known ------------------------------------------------------------------


@method(Sequence, "items")
def items(call: Call) -> Any:
    owner = call.owner
    if owner.keys is None:
        return UNKNOWN
    return Sequence([Sequence([k, v]) for k, v in zip(owner.keys, owner.items, strict=False)])


@method(Sequence, "values")
def values(call: Call) -> Any:
    return Sequence(list(call.owner.items))


@method(Sequence, "keys")
def keys(call: Call) -> Any:
    return Sequence(list(call.owner.keys or ()))


@method(Sequence, "get pop setdefault popleft")
def got(call: Call) -> Any:
    owner = call.owner
    if owner.keys is None:
        return owner.items[-1] if owner.items else NOTHING
    if not call.args:
        return NOTHING
    found = member_of(call.interpreter, owner, call.args[0])
    if call.name == "setdefault" and found is UNKNOWN and len(call.args) > 1:
        store_more(call.interpreter, owner, call.args[1], call.node, call.args[0])
    if not isinstance(found, Unknown):
        return found
    return of_key(call.args[0]) if call.name == "get" and not buffers_in(owner.items) else NOTHING


@method(Sequence, "append add insert appendleft put")
def appended_member(call: Call) -> Any:
    value = call.args[-1] if call.args else UNKNOWN
    if buffers_in([value]):
        store_more(call.interpreter, call.owner, value, call.node)
    return _DONE


@method(Sequence, "extend extendleft")
def extended_members(call: Call) -> Any:
    extend_members(call.interpreter, call.owner, call.arg(0), call.node)
    return _DONE


@method(Sequence, "update")
def updated(call: Call) -> Any:
    """A dict gets the members of another; a set all that something holds."""
    owner, value = call.owner, call.arg(0)
    if owner.keys is not None and isinstance(value, Sequence) and value.keys is not None:
        owner.keys, owner.items = [*owner.keys, *value.keys], [*owner.items, *value.items]
    elif call.args and owner.keys is not None and isinstance(value, Buffer) and value.kind == "words":  # a Counter's
        once = call.hold("words", source=value)
        once.parts.update(distinct(value.parts))
        extend_members(call.interpreter, owner, once, call.node)
        for rest in owner.items:
            if isinstance(rest, Buffer) and rest.origin == "appended":
                tabled(call.interpreter, rest, "dict", 1, call.node)
    elif call.args:
        extend_members(call.interpreter, owner, value, call.node)
    for name, item in call.kwargs.items():
        if owner.keys is not None:
            owner.keys.append(Constant(name))
            owner.items.append(item)
    return _DONE


@method(Sequence, "clear")
def cleared_members(call: Call) -> Any:
    """What a loop has added. Members that are known one by one stay: a branch may not have come here."""
    keys = call.owner.keys or [None] * len(call.owner.items)
    for key, item in zip(keys, call.owner.items, strict=False):
        if isinstance(item, Buffer) and (item.origin == "appended" or key is UNKNOWN):
            clear(call.interpreter, item, call.node)
    return _DONE


@method(Sequence, "most_common elements subtract total")
def counted(call: Call) -> Any:
    """A Counter's: what has been added to it."""
    rest = [item for item in call.owner.items if isinstance(item, Buffer) and item.origin == "appended"]
    return rest[0] if rest else Sequence(list(call.owner.keys or ()))


@method(Sequence, "copy union")
def copied_members(call: Call) -> Any:
    others = [item for value in call.args if isinstance(value, Sequence) for item in value.items]
    if call.args and not others:
        return UNKNOWN
    keys = None if call.owner.keys is None else list(call.owner.keys)
    return Sequence([*call.owner.items, *others], keys, mutable=True)


method(Sequence, "sort reverse rotate remove discard index count popitem is* fromkeys")(
    nothing("in place, or a number")
)
method(Number.__name__, "*")(nothing("a number"))
