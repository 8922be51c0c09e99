"""Lists, texts and arrays of the script: growing, emptying, slicing, adding, picking one. Pure."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from memguard.script.numbers import limited
from memguard.script.values import (
    MOST_TIMES,
    UNKNOWN,
    Buffer,
    Constant,
    Extent,
    Number,
    Row,
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


def append(reader: Evaluator, buffer: Buffer, value: Any, node: ast.AST) -> None:
    """buffer.append(value), also what a list comprehension does with each element."""
    state = reader.state
    if isinstance(value, Buffer):
        kind = _LIST_OF.get(value.kind, "ids")
        _become(reader, buffer, kind, node, value)
        if value.origin or value.kind == "text":
            buffer.origin = buffer.origin or value.origin
        _grow(reader, buffer, value, node)
    elif isinstance(value, Row):
        _become(reader, buffer, "records", node)
        buffer.origin = buffer.origin or value.origin
        state.grow(buffer, state.site(node), value.extent, node)
    elif isinstance(value, Sequence):
        for item in value.items:
            if isinstance(item, (Buffer, Row)):
                append(reader, buffer, item, node)
    elif isinstance(value, Unknown):
        _maybe_endless(reader, buffer, node)
    if buffer.kind != "list":
        state.record_moment(node, "append", state.label_of(buffer))


def extend(reader: Evaluator, buffer: Buffer, value: Any, node: ast.AST) -> None:
    """buffer.extend(value), buffer += value, list(value)."""
    state = reader.state
    if isinstance(value, Buffer) and value.kind != "list":
        kind = _SAME.get(value.kind, value.kind)
        _become(reader, buffer, kind, node, value)
        buffer.origin = buffer.origin or value.origin
        _grow(reader, buffer, value, node)
        state.record_moment(node, "extend", state.label_of(buffer))
    elif isinstance(value, Sequence):
        for item in value.items:
            append(reader, buffer, item, node)
    elif isinstance(value, Unknown):
        if state.new_loops(buffer.created_in):
            _grow_by_unknown(reader, buffer, node)
    elif value is not None and not isinstance(value, (Constant, Number, Buffer)):
        reader.iterate(value, lambda element: append(reader, buffer, element, node), node)


def _become(reader: Evaluator, buffer: Buffer, kind: str, node: ast.AST, value: Any = None) -> None:
    """An empty list is a list of whatever it gets first."""
    if buffer.kind != "list":
        return
    buffer.kind = kind
    if kind == "lists" and isinstance(value, Buffer) and value.kind == "ids":
        buffer.refs.append(new_ints(reader, buffer, node))


def new_ints(reader: Evaluator, buffer: Buffer, node: ast.AST) -> Buffer:
    """The int objects of `buffer`, a list of ids: a Buffer of their own, since other lists may share them."""
    ints = reader.state.make("ints", node, source=buffer)
    ints.created_in, ints.parts, ints.pieces, ints.grown_in = (
        buffer.created_in,
        buffer.parts,
        buffer.pieces,
        buffer.grown_in,
    )
    return ints


def _shared_ints(buffer: Buffer, value: Buffer) -> Buffer | None:
    """The ints of the list of lists that `value` is taken from, if that lives as long as `buffer`: flattening shares
    them.
    """
    top = value.of
    while top is not None and top.of is not None:
        top = top.of
    if top is None or top.kind != "lists" or not set(top.created_in) <= set(buffer.created_in):
        return None
    return next((ref for ref in top.refs if _is_ints(ref)), None)


def _hold_ints(reader: Evaluator, buffer: Buffer, value: Buffer | None, node: ast.AST) -> None:
    """A list of ids that grows has the int objects of all it gets: its own, or those that it shares."""
    shared = _shared_ints(buffer, value) if value is not None else None
    if not any(ref is shared or ref.parts is buffer.parts for ref in buffer.refs if _is_ints(ref)):
        buffer.refs.append(shared or new_ints(reader, buffer, node))


def _grow(reader: Evaluator, buffer: Buffer, value: Buffer, node: ast.AST) -> None:
    state = reader.state
    site, piece = state.site(node), value.extent
    if len(value.parts) > 1 and value.weight > 0:  # of several inputs, or a list put together before
        for index, part in enumerate(list(value.parts.values())):  # buffer.extend(buffer)
            state.grow(buffer, (*site, index), part, node)
    else:
        state.grow(buffer, site, piece, node)
    if value.encoded:
        buffer.encoded = True
    if buffer.kind == "ids":
        _hold_ints(reader, buffer, value, node)


def _maybe_endless(reader: Evaluator, buffer: Buffer, node: ast.AST) -> None:
    """Something unknown is appended: small in a loop over the input, and not to be trusted in any other."""
    state = reader.state
    for loop in state.new_loops(buffer.created_in):
        info = state.loop_info[loop]
        if not info.consumes_input and info.count is None:
            _grow_by_unknown(reader, buffer, node)
            return


def _grow_by_unknown(reader: Evaluator, buffer: Buffer, node: ast.AST) -> None:
    """As if everything were kept."""
    state = reader.state
    state.not_understood(node)
    _become(reader, buffer, "ids", node)
    state.grow(buffer, state.site(node), Extent(), node)
    if buffer.kind == "ids":
        _hold_ints(reader, buffer, None, node)


def clear(reader: Evaluator, buffer: Buffer, node: ast.AST) -> None:
    """buffer.clear(), del buffer[:]: bounded when a condition says so, else new in each iteration."""
    if reader.state.drained(buffer, node):
        return
    buffer.parts.clear()
    buffer.created_in = tuple(reader.state.loops)


def sum_of(reader: Evaluator, left: Any, right: Any, node: ast.AST) -> Any:
    """left + right: a new list or text; ints are shared, both old ones stay until the statement is done."""
    state = reader.state
    first = left if isinstance(left, Buffer) else right
    second = right if first is left else left
    if first.kind in ("text", "bytes"):
        return grown_copy(reader, first, second, node)
    if first.kind == "array" or (isinstance(second, Buffer) and second.kind == "array"):
        return UNKNOWN  # elementwise
    result = state.make("list", node)
    result.created_in = min((d.created_in for d in (left, right) if isinstance(d, Buffer)), key=len, default=())
    state.temps.append(result)
    for index, value in enumerate((left, right)):
        if isinstance(value, Buffer) and value.kind != "list":
            _become(reader, result, _SAME.get(value.kind, value.kind), node, value)
            site = state.site(node)
            for key, part in value.parts.items():
                grown = state.gathered(part, result.created_in, node)
                mine = key if grown == part else (*site, index)
                result.parts[mine] = grown
                result.pieces[mine] = value.pieces.get(key, part)
                result.grown_in[mine] = value.grown_in.get(key, tuple(state.loops))
    old = next((ref for d in (left, right) if isinstance(d, Buffer) for ref in d.refs if _is_ints(ref)), None)
    if result.kind == "ids":
        if old is None:
            old = new_ints(reader, result, node)
        # The same int objects, and more.
        old.parts, old.pieces, old.grown_in, old.source = result.parts, result.pieces, result.grown_in, result
        result.refs = [old]
    state.record_moment(node, "concatenate", "")
    return result


def _is_ints(value: Any) -> bool:
    return isinstance(value, Buffer) and value.kind == "ints"


def grown_copy(reader: Evaluator, old: Buffer, value: Any, node: ast.AST) -> Any:
    """text + more: a copy that is longer."""
    state = reader.state
    new = state.make(old.kind, node)
    new.created_in = old.created_in
    new.parts.update(old.parts)
    new.pieces.update(old.pieces)
    if isinstance(value, Buffer):
        site, piece = state.site(node), _together(value)
        new.parts[site] = state.gathered(piece, old.created_in, node)
        new.pieces[site] = piece
    elif isinstance(value, Unknown) and state.new_loops(old.created_in):
        _grow_by_unknown(reader, new, node)
    state.temps.append(new)
    state.record_moment(node, "concatenate", state.label_of(old))
    return new


def _together(buffer: Buffer) -> Extent:
    """All the parts of `buffer` as one: the largest, as many times over as they are together."""
    largest = buffer.extent
    size = measure(largest)
    if len(buffer.parts) < 2 or size <= 0:
        return largest
    return replace(largest, times=min(MOST_TIMES, largest.times * buffer.weight / size))


def repeated(reader: Evaluator, value: Any, count: Number, node: ast.AST) -> Any:
    """[0] * n."""
    if isinstance(value, Buffer) and value.kind not in ("list", "chars"):
        return UNKNOWN
    result = reader.state.make("chars", node)
    of = count.symbol.of if count.symbol is not None else None
    if count.known is not None:
        length = value.capacity or 1.0 if isinstance(value, Buffer) else float(len(value.items)) or 1.0
        result.capacity = limited(length * max(0.0, count.known))
        result.parts[reader.state.site(node)] = Extent()
    elif of is not None:
        result.parts.update(of.parts)
    else:
        return UNKNOWN
    return result
