"""Lists, texts and arrays of the script that grow: appending, extending, adding up, repeating, emptying. Pure."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from memguard.script.extents import MOST_TIMES, Extent, measure
from memguard.script.interface import Interpreter
from memguard.script.liveness import buffers_in
from memguard.script.numbers import limited
from memguard.script.values import KINDS, UNKNOWN, Buffer, Constant, Number, Row, Sequence, Unknown

__all__ = ["ARRAYS", "append", "clear", "elementwise", "extend", "grown_copy", "new_ints", "repeated", "sum_of"]


ARRAYS = ("array", "view", "mapped")
# Lists of Python objects: one that gets what it is not a list of keeps that beside the rest.
_LISTS = frozenset(("ids", "chars", "strings", "words", "lists", "arrays", "records"))


def append(interpreter: Interpreter, buffer: Buffer, value: Any, node: ast.AST) -> None:
    """buffer.append(value), also what a list comprehension does with each element."""
    state = interpreter.state
    if isinstance(value, Unknown):
        _maybe_endless(interpreter, buffer, node)
    for index, inner in enumerate(buffers_in([value])):  # a container, an object: all that it keeps
        if inner is not buffer:
            _append_one(interpreter, buffer, inner, node, (*state.site(node), index) if index else state.site(node))
    if buffer.kind != "list":
        _added(interpreter, buffer, value, state.record_moment(node, "append", state.label_of(buffer)))


def _append_one(interpreter: Interpreter, buffer: Buffer, value: Buffer | Row, node: ast.AST, site: Any) -> None:
    if isinstance(value, Row):
        taker = _taker(interpreter, buffer, "records", node)
        taker.origin = taker.origin or value.origin
        interpreter.state.grow(taker, site, value.extent, node)
        return
    in_words = value.of is not None and value.of.kind in ("words", "doc", "pieces")
    taker = _taker(interpreter, buffer, "words" if in_words else KINDS[value.kind].in_list, node, value)
    if value.origin or value.kind == "text":
        taker.origin = taker.origin or value.origin
    _grow(interpreter, taker, value, node, site)


def extend(interpreter: Interpreter, buffer: Buffer, value: Any, node: ast.AST) -> None:
    """buffer.extend(value), buffer += value, list(value)."""
    state = interpreter.state
    if isinstance(value, Buffer) and value.kind != "list":
        taker = _taker(interpreter, buffer, KINDS[value.kind].extends, node, value)
        taker.origin = taker.origin or value.origin
        _grow(interpreter, taker, value, node, state.site(node))
        for ref in value.refs:  # what it keeps beside its own elements
            if isinstance(ref, Buffer) and ref.origin == "beside" and ref is not buffer:
                beside = _taker(interpreter, buffer, ref.kind, node, ref)
                _grow(interpreter, beside, ref, node, (*state.site(node), ref.kind))
        _added(interpreter, buffer, value, state.record_moment(node, "extend", state.label_of(buffer)))
    elif isinstance(value, Sequence):
        for item in value.items if value.keys is None else value.keys:
            append(interpreter, buffer, item, node)
    elif isinstance(value, Unknown):
        if state.new_loops(buffer.created_in):
            _grow_by_unknown(interpreter, buffer, node)
    elif value is not None and not isinstance(value, (Constant, Number, Buffer)):
        interpreter.iterate(value, lambda element: append(interpreter, buffer, element, node), node)


def _taker(interpreter: Interpreter, buffer: Buffer, kind: str, node: ast.AST, value: Any = None) -> Buffer:
    """`buffer`, where it is a list of what makes a list of `kind`; else a list of them that it keeps beside."""
    _become(interpreter, buffer, kind, node, value)
    if buffer.kind == kind or not {buffer.kind, kind} <= _LISTS:
        return buffer
    beside = (ref for ref in buffer.refs if isinstance(ref, Buffer) and ref.origin == "beside")
    found = next((ref for ref in beside if ref.kind == kind), None)
    if found is None:
        found = interpreter.state.make("list", node, origin="beside", source=buffer)
        found.created_in = buffer.created_in
        _become(interpreter, found, kind, node, value)
        buffer.refs.append(found)
    return found


def _added(interpreter: Interpreter, buffer: Buffer, value: Any, step: int) -> None:
    """`step` has added `value` to `buffer`."""
    state = interpreter.state
    state.flow(buffer, step)
    for inner in buffers_in([value]):
        state.flow(inner, step)
    state.comes_from(buffer, step)


def _become(interpreter: Interpreter, buffer: Buffer, kind: str, node: ast.AST, value: Any = None) -> None:
    """An empty list is a list of whatever it gets first."""
    if buffer.kind != "list":
        return
    buffer.kind = kind
    if kind == "lists" and isinstance(value, Buffer) and value.kind == "ids":
        buffer.refs.append(new_ints(interpreter, buffer, node))


def new_ints(interpreter: Interpreter, buffer: Buffer, node: ast.AST) -> Buffer:
    """The int objects of `buffer`, a list of ids: a Buffer of their own, since other lists may share them."""
    ints = interpreter.state.make("ints", node, source=buffer)
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


def _hold_ints(interpreter: Interpreter, buffer: Buffer, value: Buffer | None, node: ast.AST) -> None:
    """A list of ids that grows has the int objects of all it gets: its own, or those that it shares."""
    shared = _shared_ints(buffer, value) if value is not None else None
    if not any(ref is shared or ref.parts is buffer.parts for ref in buffer.refs if _is_ints(ref)):
        buffer.refs.append(shared or new_ints(interpreter, buffer, node))


def _grow(interpreter: Interpreter, buffer: Buffer, value: Buffer, node: ast.AST, site: Any) -> None:
    state = interpreter.state
    if len(value.parts) > 1 and value.weight > 0:  # of several inputs, or a list put together before
        for index, part in enumerate(list(value.parts.values())):  # buffer.extend(buffer)
            state.grow(buffer, (*site, index), part, node)
    else:
        state.grow(buffer, site, value.extent, node)
    if value.encoded:
        buffer.encoded = True
    if buffer.kind == "ids":
        _hold_ints(interpreter, buffer, value, node)


def _maybe_endless(interpreter: Interpreter, buffer: Buffer, node: ast.AST) -> None:
    """Something unknown is appended: small in a loop over the input, and not to be trusted in any other."""
    state = interpreter.state
    for loop in state.new_loops(buffer.created_in):
        info = state.loop_info[loop]
        if not info.consumes_input and info.count is None:
            _grow_by_unknown(interpreter, buffer, node)
            return


def _grow_by_unknown(interpreter: Interpreter, buffer: Buffer, node: ast.AST) -> None:
    """As if everything were kept."""
    state = interpreter.state
    state.not_understood(node)
    _become(interpreter, buffer, "ids", node)
    state.grow(buffer, state.site(node), Extent(), node)
    if buffer.kind == "ids":
        _hold_ints(interpreter, buffer, None, node)


def clear(interpreter: Interpreter, buffer: Buffer, node: ast.AST) -> None:
    """buffer.clear(), del buffer[:]: bounded when a condition says so, else new in each iteration."""
    if interpreter.state.drained(buffer, node):
        return
    beside = [ref for ref in buffer.refs if isinstance(ref, Buffer) and ref.origin == "beside"]
    for emptied in (buffer, *beside):
        emptied.parts.clear()
        emptied.created_in = tuple(interpreter.state.loops)


def sum_of(interpreter: Interpreter, left: Any, right: Any, node: ast.AST) -> Any:
    """left + right: a new list or text; ints are shared, both old ones stay until the statement is done."""
    state = interpreter.state
    first = left if isinstance(left, Buffer) else right
    second = right if first is left else left
    if first.kind in ("text", "bytes"):
        return grown_copy(interpreter, first, second, node)
    if any(isinstance(value, Buffer) and value.kind in ARRAYS for value in (left, right)):
        return elementwise(interpreter, left, right, node)
    result = state.hold("list", node)
    result.created_in = min((d.created_in for d in (left, right) if isinstance(d, Buffer)), key=len, default=())
    for index, value in enumerate((left, right)):
        if isinstance(value, Buffer) and value.kind != "list":
            _become(interpreter, result, KINDS[value.kind].extends, node, value)
            _add_parts(interpreter, result, value, node, index)
        elif isinstance(value, Sequence):
            for item in value.items:
                append(interpreter, result, item, node)
    old = next((ref for d in (left, right) if isinstance(d, Buffer) for ref in d.refs if _is_ints(ref)), None)
    if result.kind == "ids":
        if old is None:
            old = new_ints(interpreter, result, node)
        # The same int objects, and more.
        old.parts, old.pieces, old.grown_in, old.source = result.parts, result.pieces, result.grown_in, result
        result.refs = [old, *(ref for ref in result.refs if not _is_ints(ref))]
    _made(interpreter, result, (left, right), state.record_moment(node, "concatenate", ""))
    return result


def _add_parts(interpreter: Interpreter, result: Buffer, value: Buffer, node: ast.AST, index: int) -> None:
    state = interpreter.state
    site = state.site(node)
    for key, part in value.parts.items():
        grown = state.gathered(part, result.created_in, node)
        mine = key if grown == part else (*site, index)
        result.parts[mine] = grown
        result.pieces[mine] = value.pieces.get(key, part)
        result.grown_in[mine] = value.grown_in.get(key, tuple(state.loops))


def _made(interpreter: Interpreter, result: Buffer, values: tuple[Any, ...], step: int) -> None:
    """`step` has made `result` of `values`."""
    for value in values:
        interpreter.state.flow(value, step)
    interpreter.state.comes_from(result, step)


def elementwise(interpreter: Interpreter, left: Any, right: Any, node: ast.AST) -> Buffer:
    """array + array, array * 2: an array of its own, as long as they are and as wide as the wider one."""
    arrays = [value for value in (left, right) if isinstance(value, Buffer) and value.kind in ARRAYS]
    largest = max(arrays, key=lambda array: array.weight)
    result = interpreter.state.hold("array", node, item=max(array.item for array in arrays), source=largest)
    result.parts.update(largest.parts)
    _made(interpreter, result, (left, right), interpreter.state.record_moment(node, "array", ""))
    return result


def _is_ints(value: Any) -> bool:
    return isinstance(value, Buffer) and value.kind == "ints"


def grown_copy(interpreter: Interpreter, old: Buffer, value: Any, node: ast.AST) -> Any:
    """text + more: a copy that is longer."""
    state = interpreter.state
    new = state.make(old.kind, node)
    new.created_in = old.created_in
    new.parts.update(old.parts)
    new.pieces.update(old.pieces)
    if isinstance(value, Buffer):
        site, piece = state.site(node), _together(value)
        new.parts[site] = state.gathered(piece, old.created_in, node)
        new.pieces[site] = piece
    elif isinstance(value, Unknown) and state.new_loops(old.created_in):
        _grow_by_unknown(interpreter, new, node)
    state.temps.append(new)
    _made(interpreter, new, (old, value), state.record_moment(node, "concatenate", state.label_of(old)))
    return new


def _together(buffer: Buffer) -> Extent:
    """All the parts of `buffer` as one: the largest, as many times over as they are together."""
    largest = buffer.extent
    size = measure(largest)
    if len(buffer.parts) < 2 or size <= 0:
        return largest
    return replace(largest, times=min(MOST_TIMES, largest.times * buffer.weight / size))


def repeated(interpreter: Interpreter, value: Any, count: Number | None, node: ast.AST) -> Any:
    """[0] * n, text * n; None for a count of which nothing is known."""
    if isinstance(value, Buffer) and value.kind not in ("list", "chars"):
        return _times(interpreter, value, count, node)
    result = interpreter.state.make("chars", node)
    if isinstance(value, Sequence):
        result.refs += buffers_in(value.items)
    of = count.symbol.of if count is not None and count.symbol is not None else None
    if count is not None and count.known is not None:
        length = value.capacity or 1.0 if isinstance(value, Buffer) else float(len(value.items)) or 1.0
        result.capacity = limited(length * max(0.0, count.known))
        result.parts[interpreter.state.site(node)] = Extent()
    elif of is not None:
        result.parts.update(of.parts)
    elif not result.refs:
        return UNKNOWN
    return result


def _times(interpreter: Interpreter, value: Buffer, count: Number | None, node: ast.AST) -> Any:
    """`value` as often as `count` says; all of the input where that is not known."""
    if value.kind in ARRAYS:
        return elementwise(interpreter, value, None, node)
    state = interpreter.state
    result = state.hold(value.kind, node, source=value)
    result.refs += [ref for ref in value.refs if _is_ints(ref)]
    if count is None or count.known is None:
        state.not_understood(node)
        result.parts[state.site(node)] = Extent()
    else:
        times = max(0.0, count.known)
        result.parts.update(
            {site: replace(part, times=min(MOST_TIMES, part.times * times)) for site, part in value.parts.items()}
        )
    _made(interpreter, result, (value,), state.record_moment(node, "copy", ""))
    return result
