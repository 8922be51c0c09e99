"""collections: defaultdict, Counter, deque; and the methods of lists, sets and dicts."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.liveness import buffers_in
from memguard.script.models.containers import entries, make_list, sort_keys
from memguard.script.operations.dicts import (
    copy_of,
    extend_members,
    keys_of,
    member_of,
    of_key,
    pairs_of,
    rest_of,
    store_member,
    store_more,
    values_of,
)
from memguard.script.operations.elements import one_of
from memguard.script.operations.growth import append, clear, extend
from memguard.script.operations.tables import add_element, add_entry, is_set, table_for, table_of, value_in
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
    Small,
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
    return Sequence([value], [UNKNOWN], mutable=True, created_in=tuple(call.state.loops), like="defaultdict")


@function("collections.Counter", frees="few characters and ids differ")
def counter(call: Call) -> Any:
    """An entry for each element that differs from the others."""
    value = call.arg(0)
    if isinstance(value, Buffer):
        found = entries(call, value, "dict")
        return _no_counts(call) if found is NOTHING else found
    if isinstance(value, (Generator, File, Row)):
        return _counted(call, value)
    return UNKNOWN if call.reaches(*call.args) else _no_counts(call)


def _no_counts(call: Call) -> Sequence:
    return Sequence([], [], mutable=True, created_in=tuple(call.state.loops), like="Counter")


def _counted(call: Call, value: Any) -> Any:
    """Counter of what is yielded: few differ where it is made of characters, such as pairs of them."""
    found = _no_counts(call)
    _count(call, found, value)
    return found


def _count(call: Call, counts: Sequence, value: Any) -> None:
    """An entry for each element of `value` that differs from the others."""

    def count(item: Any) -> None:
        if buffers_in([item]):
            store_more(call.interpreter, counts, Small("shared"), call.node, item)

    call.interpreter.iterate(value, count, call.node)


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


@method(_LISTS, "append insert appendleft put put_nowait")
def appended(call: Call) -> Any:
    append(call.interpreter, call.owner, call.args[-1] if call.args else UNKNOWN, call.node)
    return _DONE


@method(_LISTS, "add")
def added(call: Call) -> Any:
    """Of a set: what differs from the others."""
    add_element(call.interpreter, call.owner, call.arg(0), call.node)
    return _DONE


@method(_LISTS, "extend extendleft")
def extended(call: Call) -> Any:
    for value in call.args:
        extend(call.interpreter, call.owner, value, call.node)
    return _DONE


@method(_LISTS, "update")
def updated_set(call: Call) -> Any:
    """Of a set: each element that differs from the others; of a dict or Counter all."""
    for value in call.args:
        if is_set(call.owner):
            _update_set(call, call.owner, value)
        else:
            extend(call.interpreter, call.owner, value, call.node)
    return _DONE


def _update_set(call: Call, owner: Buffer, value: Any) -> None:
    numbers = isinstance(value, Buffer) and KINDS[value.kind].element == "token"
    if numbers or isinstance(value, Unknown):
        extend(call.interpreter, owner, value, call.node)
    else:
        call.interpreter.iterate(value, lambda item: add_element(call.interpreter, owner, item, call.node), call.node)


@method(_LISTS, "clear")
def cleared(call: Call) -> Any:
    clear(call.interpreter, call.owner, call.node)
    return _DONE


@method(_LISTS, "copy")
def copied(call: Call) -> Any:
    return make_list(call.with_args(call.owner))


@method(_LISTS, "pop popleft get get_nowait popitem")
def popped(call: Call) -> Any:
    """One element; of a dict with small values one of these."""
    small = value_in(call.owner)
    if small is not None and call.name in ("get", "pop"):
        return small
    if not KINDS[call.owner.kind].element:
        return NOTHING
    loops = call.state.loops
    return one_of(call.interpreter, call.owner, loops[-1][0] if loops else 0)


@method(_LISTS, "union intersection difference symmetric_difference")
def combined(call: Call) -> Any:
    result = call.hold("list")
    result.refs.append(table_for(call.interpreter, result, "set", 1, call.node))
    for value in call.given:
        _update_set(call, result, value)
    return result


@method(_LISTS, "items most_common")
def pairs_in(call: Call) -> Any:
    """Of a dict or a Counter with small values; of others its keys and values as they stand."""
    return pairs_of(call.interpreter, call.owner, call.node) if value_in(call.owner) is not None else call.owner


@method(_LISTS, "values keys elements")
def of_dict(call: Call) -> Any:
    return call.owner


@method(_LISTS, "sort")
def sorted_in_place(call: Call) -> Any:
    sort_keys(call, call.owner, call.kwargs.get("key"))
    return _DONE


method(_LISTS, "reverse rotate remove discard index count task_done join qsize empty full is*")(
    nothing("in place, or a number")
)
method(_LISTS, "difference_update intersection_update symmetric_difference_update subtract total")(
    nothing("smaller in place, or a number")
)


@method(_LISTS, "setdefault")
def set_default(call: Call) -> Any:
    """Of a dict that a comprehension has made."""
    if table_of(call.owner) is None:
        return UNKNOWN
    add_entry(call.interpreter, call.owner, call.arg(0), call.arg(1, "default", NOTHING), call.node)
    return value_in(call.owner) or NOTHING


@method("opaque", "*")
def of_opaque(call: Call) -> Any:
    return unknown(call)


# -- tuples, lists and dicts whose members are known ------------------------------------------------------------------


@method(Sequence, "items")
def items(call: Call) -> Any:
    return UNKNOWN if call.owner.keys is None else pairs_of(call.interpreter, call.owner, call.node)


@method(Sequence, "values")
def values(call: Call) -> Any:
    owner = call.owner
    return Sequence(list(owner.items)) if owner.keys is None else values_of(call.interpreter, owner, call.node)


@method(Sequence, "keys")
def keys(call: Call) -> Any:
    return Sequence([]) if call.owner.keys is None else keys_of(call.interpreter, call.owner, call.node)


@method(Sequence, "get pop setdefault popleft")
def got(call: Call) -> Any:
    owner = call.owner
    if owner.keys is None:
        return owner.items[-1] if owner.items else NOTHING
    if not call.args:
        return NOTHING
    key, default = call.args[0], call.arg(1, "default", None)
    if call.name == "setdefault" and default is not None and not _is_known(owner, key):
        if isinstance(key, Constant):
            store_member(call.interpreter, owner, key, default, call.node)
        else:
            store_more(call.interpreter, owner, default, call.node, key)
    found = member_of(call.interpreter, owner, key)
    if not isinstance(found, Unknown):
        return found
    if default is not None and not owner.items:
        return default  # counts.get(word, 0) + 1, while nothing is counted
    return of_key(key) if call.name == "get" and not buffers_in(owner.items) else NOTHING


def _is_known(owner: Sequence, key: Any) -> bool:
    return isinstance(key, Constant) and key in (owner.keys or ())


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
    elif owner.keys is not None and isinstance(value, (Buffer, Generator, File, Row)):
        _update(call, owner, value)
    elif call.args:
        extend_members(call.interpreter, owner, value, call.node)
    for name, item in call.kwargs.items():
        if owner.keys is not None:
            owner.keys.append(Constant(name))
            owner.items.append(item)
    return _DONE


def _update(call: Call, owner: Sequence, value: Any) -> None:
    """Counter.update(words), dict.update(pairs), dict.update(another)."""
    if isinstance(value, Buffer) and table_of(value) is None and not KINDS[value.kind].element:
        extend_members(call.interpreter, owner, value, call.node)
        return

    if owner.like == "Counter":
        _count(call, owner, value)
        return

    def add(item: Any) -> None:
        pair = isinstance(item, Sequence) and item.keys is None and len(item.items) == 2
        key, kept = item.items if pair else (item, Small("shared"))
        store_more(call.interpreter, owner, kept, call.node, key)

    call.interpreter.iterate(value, add, call.node)


@method(Sequence, "clear")
def cleared_members(call: Call) -> Any:
    """What a loop has added. Members that are known one by one stay: a branch may not have come here."""
    keys = call.owner.keys or [None] * len(call.owner.items)
    for key, item in zip(keys, call.owner.items, strict=False):
        if isinstance(item, Buffer) and (item.origin == "appended" or key is UNKNOWN):
            clear(call.interpreter, item, call.node)
    return _DONE


@method(Sequence, "most_common")
def most_common(call: Call) -> Any:
    """A Counter's (element, count), the most frequent ones first: a list of them, where it is said how many."""
    pairs = pairs_of(call.interpreter, call.owner, call.node)
    amount = call.number("n", 0)
    if amount is None or isinstance(pairs, Sequence):
        return pairs
    result = call.hold("list")
    call.interpreter.iterate(pairs, lambda pair: append(call.interpreter, result, pair, call.node), call.node)
    result.bound = Bound(amount, "pieces")
    return result


@method(Sequence, "elements subtract total")
def counted(call: Call) -> Any:
    """A Counter's: what has been added to it."""
    rest = rest_of(call.owner)
    return Sequence(list(call.owner.keys or ())) if rest is None else rest


@method(Sequence, "copy union")
def copied_members(call: Call) -> Any:
    others = [item for value in call.args if isinstance(value, Sequence) for item in value.items]
    if call.args and not others:
        return UNKNOWN
    found = copy_of(call.interpreter, call.owner, call.node)
    found.items += others
    if found.keys is not None:
        found.keys += [UNKNOWN] * len(others)
    return found


method(Sequence, "sort reverse rotate remove discard index count popitem is* fromkeys")(
    nothing("in place, or a number")
)
method(Number.__name__, "*")(nothing("a number"))
