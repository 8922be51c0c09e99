"""list, tuple, sorted, set and dict: what they gather, share and need for their tables."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.operations.dicts import keys_of, rest_of, store_member, store_more
from memguard.script.operations.growth import append, extend
from memguard.script.operations.tables import add_element, once, table_for, table_of, tabled
from memguard.script.registry import function
from memguard.script.values import (
    KINDS,
    NOTHING,
    UNKNOWN,
    Buffer,
    Constant,
    File,
    Function,
    Generator,
    Instance,
    Path,
    Range,
    Row,
    Sequence,
    Unknown,
)

__all__ = ["entries", "make_list", "sort_keys"]

_LONGEST_ALPHABET = 256  # list(string.ascii_letters)

# Kinds whose elements are few however many there are: the characters of Unicode, the ids of a vocabulary.
_FEW_DISTINCT = ("char", "token")


@function("builtins.list builtins.tuple")
def make_list(call: Call) -> Any:
    """list(x): a list of x's elements."""
    if not call.args:
        return call.state.make("list", call.node)
    value = call.args[0]
    if isinstance(value, Sequence) and value.keys is not None and rest_of(value) is not None:
        value = keys_of(call.interpreter, value, call.node)
    if isinstance(value, (Sequence, Path)) or (isinstance(value, Row) and not value.column):
        return value
    if isinstance(value, Unknown):
        return call.state.make("list", call.node)
    if isinstance(value, Constant) and isinstance(value.value, str) and len(value.value) <= _LONGEST_ALPHABET:
        return Sequence([Constant(letter) for letter in value.value], mutable=True)
    result = call.hold("list")
    if isinstance(value, File):
        result.origin = "lines"
    if isinstance(value, Buffer) and table_of(value) is not None and value.kind in ("strings", "words"):
        result.kind, result.once_of = value.kind, value  # of a set or dict, which may go
        result.parts.update(value.parts)
        result.pieces.update(value.pieces)
    elif isinstance(value, Buffer) and value.kind in ("strings", "lists", "records", "arrays"):
        result.of, result.kind, result.refs = value, value.kind, [value]
        result.parts.update(value.parts)
        result.pieces.update(value.pieces)
    elif isinstance(value, Buffer):
        extend(call.interpreter, result, value, call.node)
    else:
        call.interpreter.iterate(value, lambda item: append(call.interpreter, result, item, call.node), call.node)
        call.record("list")
    return result


@function("builtins.sorted", frees="its key sees the elements alone")
def sorted_list(call: Call) -> Any:
    """A list of them; while it is sorted, also what its key makes of each."""
    value, key = call.arg(0), call.kwargs.get("key")
    if isinstance(value, Unknown):
        return NOTHING
    known = isinstance(value, Sequence) and rest_of(value) is None
    if known or not isinstance(value, (Buffer, Generator, File, Row, Range, Sequence)):
        return value
    if not isinstance(key, Function) or not isinstance(value, Generator):
        result = make_list(call)
        sort_keys(call, result, key)
        return result
    result, keys = call.hold("list"), call.hold("list")

    def add(item: Any) -> None:
        append(call.interpreter, result, item, call.node)
        append(call.interpreter, keys, call.interpreter.call(key, [item], {}, call.node), call.node)

    call.interpreter.iterate(value, add, call.node)
    call.record("sort")
    call.state.temps[:] = [temp for temp in call.state.temps if temp is not keys]
    return result


def sort_keys(call: Call, elements: Any, key: Any) -> None:
    """What `key` makes of each of `elements` stands in a list of its own while they are sorted by it."""
    if not isinstance(key, Function) or not isinstance(elements, Buffer):
        return
    keys = call.hold("list")
    call.interpreter.iterate(
        elements,
        lambda item: append(call.interpreter, keys, call.interpreter.call(key, [item], {}, call.node), call.node),
        call.node,
    )
    if keys.kind != "list":
        call.record("sort", call.state.label_of(elements))
    call.state.temps[:] = [temp for temp in call.state.temps if temp is not keys]


@function("builtins.set builtins.frozenset", frees="few characters and ids differ; of a dict only the keys")
def make_set(call: Call) -> Any:
    """set(x): as if all elements differed, where they are texts; few ones, where they are characters or ids."""
    if not call.args:
        result = call.state.make("list", call.node)
        result.refs.append(table_for(call.interpreter, result, "set", 1, call.node))
        return result
    value = call.args[0]
    if isinstance(value, (Unknown, Constant)):
        return NOTHING
    if isinstance(value, Sequence) and rest_of(value) is None:
        return Sequence(list(value.items if value.keys is None else value.keys), mutable=True)
    return _of_elements(call, value, "set")


@function("builtins.dict.fromkeys collections.OrderedDict.fromkeys", frees="few characters and ids differ")
def from_keys(call: Call) -> Any:
    """dict.fromkeys(x): as set(x), in order."""
    value = call.arg(0, "iterable")
    if isinstance(value, Sequence) and rest_of(value) is None:
        members = list(value.items if value.keys is None else value.keys)
        return Sequence([call.arg(1, "value", NOTHING)] * len(members), members, mutable=True)
    return NOTHING if isinstance(value, (Unknown, Constant)) else _of_elements(call, value, "dict")


def _of_elements(call: Call, value: Any, origin: str) -> Any:
    """A set or dict (`origin`) of what `value` has, each once."""
    if isinstance(value, Buffer):
        return entries(call, value, origin)
    result = call.hold("list")
    result.refs.append(table_for(call.interpreter, result, origin, 1, call.node))
    call.interpreter.iterate(value, lambda item: add_element(call.interpreter, result, item, call.node), call.node)
    call.record(origin)
    return result


def entries(call: Call, elements: Buffer, origin: str) -> Any:
    """A set or dict (`origin`) of `elements`, which it shares."""
    kind = KINDS[elements.kind]
    if kind.small or kind.element in _FEW_DISTINCT:
        return NOTHING
    if not kind.element:
        return UNKNOWN
    result = call.hold(elements.kind, origin=elements.origin.replace("appended", ""), source=elements)
    result.capacity, result.made_of, result.names = elements.capacity, elements.made_of, elements.names
    result.pieces.update(elements.pieces)
    result.parts.update(once(elements))
    if result.parts == elements.parts:
        result.of, result.refs = elements, [elements]
    else:
        result.once_of = elements
    priced = int(result.once_of is not None)
    tabled(call.interpreter, result, origin, priced, call.node)
    # The elements are there all the while, and the table grows by being copied.
    call.state.temps.append(table_for(call.interpreter, result, f"{origin} before", 0, call.node))
    call.record(origin)
    call.state.temps.pop()
    return result


@function("builtins.dict collections.OrderedDict")
def make_dict(call: Call) -> Any:
    """dict(a=1), dict(other), dict(pairs): values of keys that are not known are as if in a list."""
    result = Sequence(list(call.kwargs.values()), [Constant(name) for name in call.kwargs], mutable=True)
    result.created_in = tuple(call.state.loops)
    value = call.arg(0)
    if not call.args or isinstance(value, Unknown):
        return result
    if isinstance(value, Sequence) and value.keys is not None:
        result.items[:0], result.keys = value.items, [*value.keys, *(result.keys or ())]
        return result
    if isinstance(value, (Instance, Row)):
        return value

    def add(pair: Any) -> None:
        members = pair.items if isinstance(pair, Sequence) else [pair]
        if len(members) == 2:
            key, kept = members
            store_member(call.interpreter, result, key, kept, call.node)
            return
        for member in members:
            if isinstance(member, (Buffer, Row, Sequence, Instance)):
                store_more(call.interpreter, result, member, call.node)

    call.interpreter.iterate(value, add, call.node)
    return result
