"""Lists, texts and arrays of the script: growing, emptying, slicing, adding, picking one. Pure."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from memguard.script.numbers import limited
from memguard.script.values import (
    MOST_TIMES,
    UNKNOWN,
    Constant,
    Data,
    Number,
    Portion,
    Record,
    Sequence,
    Unknown,
    measure,
)

if TYPE_CHECKING:
    from memguard.script.interpreter.expressions import Evaluator

__all__ = ["append", "clear", "extend", "grown_copy", "new_ints", "repeated", "sum_of"]

# What a list becomes when its first element is one of these.
_LIST_OF = {
    "char": "chars",
    "token": "ids",
    "text": "strings",
    "bytes": "strings",
    "ids": "lists",
    "chars": "lists",
    "list": "lists",
    "strings": "strings",
    "array": "arrays",
    "view": "arrays",
    "opaque": "ids",
}
# Kinds that are a list of what they are extended by.
_SAME = {"ids": "ids", "array": "ids", "view": "ids", "opaque": "ids", "chars": "chars", "text": "chars"}


def append(reader: Evaluator, data: Data, value: Any, node: ast.AST) -> None:
    """data.append(value), also what a list comprehension does with each element."""
    state = reader.state
    if isinstance(value, Data):
        kind = _LIST_OF.get(value.kind, "ids")
        _become(reader, data, kind, node, value)
        if value.origin or value.kind == "text":
            data.origin = data.origin or value.origin
        _grow(reader, data, value, node)
    elif isinstance(value, Record):
        _become(reader, data, "records", node)
        data.origin = data.origin or value.origin
        state.grow(data, state.site(node), value.portion, node)
    elif isinstance(value, Sequence):
        for item in value.items:
            if isinstance(item, (Data, Record)):
                append(reader, data, item, node)
    elif isinstance(value, Unknown):
        _maybe_endless(reader, data, node)
    if data.kind != "list":
        state.note(node, "append", state.label_of(data))


def extend(reader: Evaluator, data: Data, value: Any, node: ast.AST) -> None:
    """data.extend(value), data += value, list(value)."""
    state = reader.state
    if isinstance(value, Data) and value.kind != "list":
        kind = _SAME.get(value.kind, value.kind)
        _become(reader, data, kind, node, value)
        data.origin = data.origin or value.origin
        _grow(reader, data, value, node)
        state.note(node, "extend", state.label_of(data))
    elif isinstance(value, Sequence):
        for item in value.items:
            append(reader, data, item, node)
    elif isinstance(value, Unknown):
        if state.new_loops(data.birth):
            _grow_by_unknown(reader, data, node)
    elif value is not None and not isinstance(value, (Constant, Number, Data)):
        reader.iterate(value, lambda element: append(reader, data, element, node), node)


def _become(reader: Evaluator, data: Data, kind: str, node: ast.AST, value: Any = None) -> None:
    """An empty list is a list of whatever it gets first."""
    if data.kind != "list":
        return
    data.kind = kind
    if kind == "lists" and isinstance(value, Data) and value.kind == "ids":
        data.refs.append(new_ints(reader, data, node))


def new_ints(reader: Evaluator, data: Data, node: ast.AST) -> Data:
    """The int objects of `data`, a list of ids: a Data of their own, since other lists may share them."""
    ints = reader.state.make("ints", node, source=data)
    ints.birth, ints.parts, ints.pieces, ints.grown = data.birth, data.parts, data.pieces, data.grown
    return ints


def _shared_ints(data: Data, value: Data) -> Data | None:
    """The ints of the list of lists that `value` is taken from, if that lives as long as `data`: flattening shares
    them.
    """
    top = value.of
    while top is not None and top.of is not None:
        top = top.of
    if top is None or top.kind != "lists" or not set(top.birth) <= set(data.birth):
        return None
    return next((ref for ref in top.refs if _is_ints(ref)), None)


def _hold_ints(reader: Evaluator, data: Data, value: Data | None, node: ast.AST) -> None:
    """A list of ids that grows has the int objects of all it gets: its own, or those that it shares."""
    shared = _shared_ints(data, value) if value is not None else None
    if not any(ref is shared or ref.parts is data.parts for ref in data.refs if _is_ints(ref)):
        data.refs.append(shared or new_ints(reader, data, node))


def _grow(reader: Evaluator, data: Data, value: Data, node: ast.AST) -> None:
    state = reader.state
    site, piece = state.site(node), value.portion
    if len(value.parts) > 1 and value.weight > 0:  # of several inputs, or a list put together before
        for index, part in enumerate(list(value.parts.values())):  # data.extend(data)
            state.grow(data, (*site, index), part, node)
    else:
        state.grow(data, site, piece, node)
    if value.encoded:
        data.encoded = True
    if data.kind == "ids":
        _hold_ints(reader, data, value, node)


def _maybe_endless(reader: Evaluator, data: Data, node: ast.AST) -> None:
    """Something unknown is appended: small in a loop over the input, and not to be trusted in any other."""
    state = reader.state
    for loop in state.new_loops(data.birth):
        info = state.loop_info[loop]
        if not info.driven and info.count is None:
            _grow_by_unknown(reader, data, node)
            return


def _grow_by_unknown(reader: Evaluator, data: Data, node: ast.AST) -> None:
    """As if everything were kept."""
    state = reader.state
    state.not_understood(node)
    _become(reader, data, "ids", node)
    state.grow(data, state.site(node), Portion(), node)
    if data.kind == "ids":
        _hold_ints(reader, data, None, node)


def clear(reader: Evaluator, data: Data, node: ast.AST) -> None:
    """data.clear(), del data[:]: bounded when a condition says so, else new in each iteration."""
    if reader.state.emptied(data, node):
        return
    data.parts.clear()
    data.birth = tuple(reader.state.loops)


def sum_of(reader: Evaluator, left: Any, right: Any, node: ast.AST) -> Any:
    """left + right: a new list or text; ints are shared, both old ones stay until the statement is done."""
    state = reader.state
    first = left if isinstance(left, Data) else right
    second = right if first is left else left
    if first.kind in ("text", "bytes"):
        return grown_copy(reader, first, second, node)
    if first.kind == "array" or (isinstance(second, Data) and second.kind == "array"):
        return UNKNOWN  # elementwise
    result = state.make("list", node)
    result.birth = min((d.birth for d in (left, right) if isinstance(d, Data)), key=len, default=())
    state.temps.append(result)
    for index, value in enumerate((left, right)):
        if isinstance(value, Data) and value.kind != "list":
            _become(reader, result, _SAME.get(value.kind, value.kind), node, value)
            site = state.site(node)
            for key, part in value.parts.items():
                grown = state.lift(part, result.birth, node)
                mine = key if grown == part else (*site, index)
                result.parts[mine] = grown
                result.pieces[mine] = value.pieces.get(key, part)
                result.grown[mine] = value.grown.get(key, tuple(state.loops))
    old = next((ref for d in (left, right) if isinstance(d, Data) for ref in d.refs if _is_ints(ref)), None)
    if result.kind == "ids":
        if old is None:
            old = new_ints(reader, result, node)
        # The same int objects, and more.
        old.parts, old.pieces, old.grown, old.source = result.parts, result.pieces, result.grown, result
        result.refs = [old]
    state.note(node, "concatenate", "")
    return result


def _is_ints(value: Any) -> bool:
    return isinstance(value, Data) and value.kind == "ints"


def grown_copy(reader: Evaluator, old: Data, value: Any, node: ast.AST) -> Any:
    """text + more: a copy that is longer."""
    state = reader.state
    new = state.make(old.kind, node)
    new.birth = old.birth
    new.parts.update(old.parts)
    new.pieces.update(old.pieces)
    if isinstance(value, Data):
        site, piece = state.site(node), _together(value)
        new.parts[site] = state.lift(piece, old.birth, node)
        new.pieces[site] = piece
    elif isinstance(value, Unknown) and state.new_loops(old.birth):
        _grow_by_unknown(reader, new, node)
    state.temps.append(new)
    state.note(node, "concatenate", state.label_of(old))
    return new


def _together(data: Data) -> Portion:
    """All the parts of `data` as one: the largest, as many times over as they are together."""
    largest = data.portion
    size = measure(largest)
    if len(data.parts) < 2 or size <= 0:
        return largest
    return replace(largest, times=min(MOST_TIMES, largest.times * data.weight / size))


def repeated(reader: Evaluator, value: Any, count: Number, node: ast.AST) -> Any:
    """[0] * n."""
    if isinstance(value, Data) and value.kind not in ("list", "chars"):
        return UNKNOWN
    result = reader.state.make("chars", node)
    of = count.symbol.of if count.symbol is not None else None
    if count.known is not None:
        length = value.capacity or 1.0 if isinstance(value, Data) else float(len(value.items)) or 1.0
        result.capacity = limited(length * max(0.0, count.known))
        result.parts[reader.state.site(node)] = Portion()
    elif of is not None:
        result.parts.update(of.parts)
    else:
        return UNKNOWN
    return result
