"""Dicts and lists whose first members are known one by one, and what a loop adds to them. Pure.

What a loop adds stands in a list of its own among the members, `rest`, with its table: its keys, and its values where
they are of the input's size. A container that a loop stores under key after key, as a defaultdict(list) does, is one
container that holds what all of them hold.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from memguard.script.interface import Interpreter
from memguard.script.liveness import buffers_in
from memguard.script.numbers import number_of
from memguard.script.operations.growth import append, extend
from memguard.script.operations.tables import add_entry, table_of, value_in
from memguard.script.values import (
    NOTHING,
    UNKNOWN,
    Buffer,
    Choice,
    Class,
    Constant,
    Function,
    Generator,
    Number,
    Row,
    Sequence,
    Small,
)

__all__ = [
    "copy_of",
    "entry_for",
    "extend_members",
    "keys_of",
    "member_of",
    "of_key",
    "pairs_of",
    "rest_of",
    "store_member",
    "store_more",
    "values_of",
]

_MOST_KNOWN = 64  # members that are kept one by one


def rest_of(owner: Sequence) -> Buffer | None:
    """What a loop has added to the members that are known one by one."""
    return next((item for item in owner.items if isinstance(item, Buffer) and item.origin == "appended"), None)


def member_of(interpreter: Interpreter, owner: Sequence, key: Any) -> Any:
    """owner[key]; UNKNOWN for a member of which nothing is known."""
    if owner.keys is None:
        number = number_of(key)
        known = number is not None and -len(owner.items) <= number < len(owner.items)
        return owner.items[int(number)] if known and number is not None else UNKNOWN
    interpreter.state.spend(len(owner.keys) // 8)
    for mine, item in zip(owner.keys, owner.items, strict=False):
        if mine == key and mine is not UNKNOWN:
            return item
    if len(owner.items) > 1 and all(isinstance(item, (Function, Class, Choice)) for item in owner.items):
        return Choice(owner.items)  # {"train": train, "count": count}[sys.argv[1]]
    shared = _shared(owner)
    if shared is not None:
        return shared
    rest = rest_of(owner)
    if rest is not None and not isinstance(key, Constant):
        small = value_in(rest)
        if small is not None or (rest.kind == "list" and not rest.refs):
            return of_key(key) if small is None else small
    return owner.items[0] if len(owner.items) == 1 else UNKNOWN


def _shared(owner: Sequence) -> Any:
    """The container under each of the keys that a loop makes."""
    for key, item in zip(owner.keys or (), owner.items, strict=False):
        rest = isinstance(item, Buffer) and item.origin == "appended"
        if key is UNKNOWN and not rest and _is_container(item):
            return item
    return None


def _is_container(value: Any) -> bool:
    """[], set(), {} and what has grown from one: what is put into it later is what counts."""
    if isinstance(value, Buffer):
        return value.kind == "list" or bool(value.grown_in)
    return isinstance(value, Sequence) and value.mutable


def of_key(key: Any) -> Buffer | Small:
    """What a dict of small values gives, which it keeps: stoi[c]."""
    if isinstance(key, Buffer) and key.kind in ("char", "token"):
        return Buffer(key.kind, dict(key.parts), key.created_in, key.line)
    return Small("shared")


def entry_for(interpreter: Interpreter, owner: Sequence, key: Any, node: ast.AST) -> None:
    """owner[key] of a defaultdict: an entry for a key that is new."""
    if owner.like == "defaultdict" and not isinstance(key, Constant):
        shared = _shared(owner)
        made = Small("shared") if shared is None else Small("list")
        add_entry(interpreter, _rest(interpreter, owner, node), key, made, node)


def store_member(interpreter: Interpreter, owner: Sequence, key: Any, value: Any, node: ast.AST) -> None:
    """owner[key] = value of a dict: by name where the key is known, else among what a loop adds."""
    if not isinstance(key, Constant) and _entry_of(value, key):
        store_more(interpreter, owner, value, node, key)
        return
    keys = owner.keys or []
    interpreter.state.spend(len(keys) // 8)
    if key in keys:
        owner.items[keys.index(key)] = value
    elif isinstance(value, (Buffer, Row, Generator)) or len(keys) < _MOST_KNOWN:
        keys.append(key)
        owner.items.append(value)


def _entry_of(value: Any, key: Any) -> bool:
    """Whether they are an entry for a key that a loop makes."""
    return isinstance(value, Buffer) or not isinstance(key, Number) or key.symbol is not None


def store_more(interpreter: Interpreter, owner: Sequence, value: Any, node: ast.AST, key: Any = NOTHING) -> None:
    """data[name] = ids under keys that a loop makes, members that it adds: as if they were in a list."""
    if owner.keys is None:
        append(interpreter, _rest(interpreter, owner, node), value, node)
        return
    if key is not NOTHING and _is_empty(value):  # groups[name] = []
        if _shared(owner) is None:
            owner.keys = [*owner.keys, UNKNOWN]
            owner.items.append(value)
            for made in (value, *(getattr(value, "refs", ()))):
                made.created_in = owner.created_in
        value = Small("list")
    add_entry(interpreter, _rest(interpreter, owner, node), key, value, node)


def _is_empty(value: Any) -> bool:
    if isinstance(value, Buffer):
        return value.kind == "list"
    return isinstance(value, Sequence) and value.mutable and not value.items


def extend_members(interpreter: Interpreter, owner: Sequence, value: Any, node: ast.AST) -> None:
    """members.extend(value), members += value"""
    if buffers_in([value]) or not isinstance(value, (Sequence, Buffer)):
        extend(interpreter, _rest(interpreter, owner, node), value, node)


def _rest(interpreter: Interpreter, owner: Sequence, node: ast.AST) -> Buffer:
    found = rest_of(owner)
    if found is None:
        found = interpreter.state.make("list", node, origin="appended")
        found.created_in = owner.created_in  # where that is not known, it may be as old as the script
        owner.items.append(found)
        if owner.keys is not None:
            owner.keys = [*owner.keys, UNKNOWN]
    return found


# -- what is gone round over ------------------------------------------------------------------------------------------


def keys_of(interpreter: Interpreter, owner: Sequence, node: ast.AST) -> Any:
    """The keys of a dict, one at a time."""
    return _gone_over(interpreter, owner, node, lambda key, value: key)


def values_of(interpreter: Interpreter, owner: Sequence, node: ast.AST) -> Any:
    """The values of a dict, one at a time."""
    return _gone_over(interpreter, owner, node, lambda key, value: value)


def pairs_of(interpreter: Interpreter, owner: Any, node: ast.AST) -> Any:
    """The items of a dict, or of the elements of a Counter: (key, value), one at a time."""
    return _gone_over(interpreter, owner, node, lambda key, value: Sequence([key, value]))


def _gone_over(interpreter: Interpreter, owner: Any, node: ast.AST, each: Callable[[Any, Any], Any]) -> Any:
    known: list[Any] = []
    rest = owner
    if isinstance(owner, Sequence):
        rest, shared = rest_of(owner), _shared(owner)
        pairs = zip(owner.keys or (), owner.items, strict=False)
        known = [each(key, item) for key, item in pairs if item is not rest and (item is not shared or rest is None)]
        if rest is None:
            return Sequence(known)
    else:
        shared = None

    def run(consume: Callable[[Any], None]) -> None:
        for index, pair in enumerate(known):
            with interpreter.state.member(index):
                consume(pair)

        def step(element: Any) -> None:
            consume(each(*_entry(rest, element, shared)))

        interpreter.iterate(rest, step, node)

    return Generator(run, (owner,))


def _entry(rest: Buffer, element: Any, shared: Any) -> tuple[Any, Any]:
    """(key, value) of an entry: what its large part is is the key, where the values are small."""
    if shared is not None:
        return element, shared
    table = table_of(rest)
    if rest.kind in ("list", "objects") or value_in(rest) is not None:
        return element, Small("shared")
    return (element, element) if table is not None else (NOTHING, element)


def copy_of(interpreter: Interpreter, owner: Sequence, node: ast.AST) -> Sequence:
    """owner.copy(): a table of its own, for the same keys and values."""
    found = Sequence(list(owner.items), None if owner.keys is None else list(owner.keys), mutable=True)
    found.created_in, found.like = tuple(interpreter.state.loops), owner.like
    rest = rest_of(owner)
    table = None if rest is None else table_of(rest)
    if rest is not None and table is not None:
        mine = interpreter.state.make(rest.kind, node, of=rest, refs=[rest], origin=rest.origin, source=rest)
        mine.parts.update(rest.parts)
        mine.pieces.update(rest.pieces)
        again = interpreter.state.make("slots", node, item=0, source=mine, origin=table.origin, made_of=table.made_of)
        again.parts, again.pieces = mine.parts, mine.pieces
        mine.refs.append(again)
        found.items[found.items.index(rest)] = mine
    return found
