"""Lists of the script that grow: appending, extending, emptying. Adding up is in sums.py. Pure."""

from __future__ import annotations

import ast
from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Interpreter
from memguard.script.liveness import buffers_in
from memguard.script.numbers import arithmetic
from memguard.script.operations.elements import is_once, is_word, list_of, origin_of
from memguard.script.operations.fields import shared_with
from memguard.script.operations.ints import hold_ints, ints_of
from memguard.script.operations.lengths import length_of
from memguard.script.operations.smalls import larger, made_of, names_of, slots
from memguard.script.values import KINDS, Buffer, Constant, Number, Row, Sequence, Small, Unknown

__all__ = ["append", "append_made", "become", "clear", "extend", "grow_by_unknown"]

# Lists of Python objects: what else one gets it keeps beside the rest.
_LISTS = frozenset(("ids", "chars", "strings", "words", "lists", "arrays", "records", "objects"))

# Whose elements are objects that two lists share, which are larger than their slots by far.
_OF_OBJECTS = frozenset(("strings", "records"))


def append(interpreter: Interpreter, buffer: Buffer, value: Any, node: ast.AST) -> None:
    """buffer.append(value), also what a list comprehension does with each element."""
    state = interpreter.state
    inner = [found for found in buffers_in([value]) if found is not buffer]
    shared = 0
    for index, found in enumerate(inner):  # a container, an object: all that it keeps
        site = (*state.site(node), index) if index else state.site(node)
        if _shares_string(interpreter, buffer, found, node, site):
            shared += 1
        elif not _shares_once(interpreter, buffer, found, node, site):
            _append_one(interpreter, buffer, found, node, site)
    if not isinstance(value, (Buffer, Row)):
        _append_small(interpreter, buffer, value, node, shared)
    elif shared:
        append_made(interpreter, buffer, (), state.turn(buffer.created_in), None, node)
    if buffer.kind != "list":
        _added(interpreter, buffer, value, state.record_moment(node, "append", state.label_of(buffer)))


def _shares_string(interpreter: Interpreter, buffer: Buffer, value: Any, node: ast.AST, site: Any) -> bool:
    """[lines[i] for i in order], {line: i for …}: the strings are those of another list, which lives as long."""
    root = list_of(value)
    lasting = root is not None and set(root.created_in) <= set(buffer.created_in)
    if isinstance(value, Buffer) and is_once(value):
        return False
    if root is None or not lasting or root.kind not in ("strings", "words"):
        own = isinstance(value, Buffer) and value.kind in ("text", "bytes")
        if own and buffer.of is not None and buffer.kind in ("strings", "words"):
            buffer.of = None  # it has strings of its own, too
        return False
    fresh = buffer.kind in ("list", "objects") and not buffer.parts
    if not (fresh or buffer.of is root):
        return False
    become(interpreter, buffer, root.kind, node, value)
    buffer.of, buffer.origin = root, buffer.origin or origin_of(root)
    if not any(ref is root for ref in buffer.refs):
        buffer.refs.append(root)
    _grow(interpreter, buffer, value, node, site)
    return True


def _shares_once(interpreter: Interpreter, buffer: Buffer, value: Any, node: ast.AST, site: Any) -> bool:
    """{word: … for word in words}: the words that differ, which may outlive the list that they come from."""
    root = list_of(value)
    if root is None or root.kind not in ("strings", "words") or not is_once(value):
        return False
    fresh = buffer.kind in ("list", "objects")
    taker = _taker(interpreter, buffer, root.kind, node, value)
    taker.once_of = root if fresh or taker.once_of is root else None
    _grow(interpreter, taker, value, node, site)
    return True


def _append_small(interpreter: Interpreter, buffer: Buffer, value: Any, node: ast.AST, unpriced: int = 0) -> None:
    """Something whose own size does not follow the input's: as many as the loops around go over. `unpriced`: members
    that cost nothing themselves.
    """
    state = interpreter.state
    piece = state.turn(buffer.created_in)
    count = None if piece is not None else state.times_round(buffer.created_in)
    if piece is None and count is None:
        if isinstance(value, Unknown):
            _maybe_endless(interpreter, buffer, node)
        return
    if buffer.kind in ("list", "objects"):
        buffer.names = names_of(value) or buffer.names
    found = made_of(value)
    shared = slots(value) - unpriced
    if shared > 0:
        found = (Small("slots of others", shared), *found)
    append_made(interpreter, buffer, found, piece, count, node)


def append_made(
    interpreter: Interpreter,
    buffer: Buffer,
    found: tuple[Small, ...],
    piece: Extent | None,
    count: float | None,
    node: ast.AST,
) -> None:
    """One object made of `found` for each of `piece`'s windows, or `count` of them; none where neither is known."""
    if piece is None and count is None:
        return
    taker = _taker(interpreter, buffer, "objects", node)
    if taker.kind != "objects":
        return  # a container of another kind, which has a price for each of its elements
    taker.made_of = larger(taker.made_of, found)
    if piece is not None:
        interpreter.state.grow(taker, (*interpreter.state.site(node), "objects"), piece, node)
    elif count is not None:
        before = taker.capacity if isinstance(taker.capacity, float) else 0.0
        taker.capacity = max(before, count)
        taker.parts.setdefault((*interpreter.state.site(node), "objects"), Extent())


def _append_one(interpreter: Interpreter, buffer: Buffer, value: Buffer | Row, node: ast.AST, site: Any) -> None:
    if isinstance(value, Row):
        taker = _taker(interpreter, buffer, "records", node)
        taker.origin = taker.origin or origin_of(value)
        shared_with(taker, value)
        interpreter.state.grow(taker, site, value.extent, node)
        return
    if isinstance(value.capacity, float) and value.kind in ("chars", "objects"):  # [0] * 64
        small = Small("list", value.capacity if value.kind == "chars" else 0.0)
        piece, count = interpreter.state.turn(buffer.created_in), interpreter.state.times_round(buffer.created_in)
        append_made(interpreter, buffer, (small, *value.made_of), piece, count, node)
        return
    if value.kind == "view" and value.of is not None:
        _append_view(interpreter, buffer, value, node, site)
        return
    in_words = value.kind in ("text", "bytes") and is_word(value)
    taker = _taker(interpreter, buffer, "words" if in_words else KINDS[value.kind].in_list, node, value)
    if value.origin or value.kind == "text":
        taker.origin = taker.origin or origin_of(value)
    shared_with(taker, value)
    _like(taker, value, site)
    _grow(interpreter, taker, value, node, site, one=taker.kind in ("lists", "arrays"))
    if taker.kind == "objects":
        taker.made_of = larger(taker.made_of, value.made_of)
        taker.pieces[site] = next(iter(value.pieces.values()), value.extent)


def _like(taker: Buffer, value: Buffer, site: Any) -> None:
    """A list of arrays or lists takes after what it gets."""
    taker.library = taker.library or value.library
    if taker.kind in ("lists", "arrays"):
        row = value.capacity if isinstance(value.capacity, float) else None
        first = not taker.parts or list(taker.parts) == [site]
        taker.row = row if first or taker.row == row else None
        taker.item = value.item if first else max(taker.item, value.item)


def _append_view(interpreter: Interpreter, buffer: Buffer, value: Buffer, node: ast.AST, site: Any) -> None:
    """A slice of an array: an object of its own, which keeps the array that it looks at."""
    taker = _taker(interpreter, buffer, "arrays", node, value)
    root = value
    while root.of is not None:
        root = root.of
    lasting = set(root.created_in) <= set(buffer.created_in)
    if not taker.parts and lasting:
        taker.origin = "views"
    elif not lasting:
        taker.origin = ""  # each keeps an array of its own
    if lasting and not any(ref is root for ref in taker.refs):
        taker.refs.append(root)
    _like(taker, value, site)
    _grow(interpreter, taker, value, node, site)


def extend(interpreter: Interpreter, buffer: Buffer, value: Any, node: ast.AST) -> None:
    """buffer.extend(value), buffer += value, list(value)."""
    state = interpreter.state
    if isinstance(value, Buffer) and _padded(interpreter, buffer, value):
        _added(interpreter, buffer, value, state.record_moment(node, "extend", state.label_of(buffer)))
    elif isinstance(value, Buffer) and value.kind != "list":
        taker = _taker(interpreter, buffer, KINDS[value.kind].extends, node, value)
        if taker.kind == "objects":
            taker.made_of, taker.names = larger(taker.made_of, value.made_of), taker.names or value.names
            if isinstance(value.capacity, float):
                taker.capacity = value.capacity
        taker.origin = taker.origin or origin_of(value)
        _grow(interpreter, taker, value, node, state.site(node))
        for ref in value.refs:  # what it keeps beside its own elements
            if isinstance(ref, Buffer) and ref.origin == "beside" and ref is not buffer:
                beside = _taker(interpreter, buffer, ref.kind, node, ref)
                _grow(interpreter, beside, ref, node, (*state.site(node), ref.kind))
        if value.kind in _OF_OBJECTS:
            _hand_over(interpreter, value, node)
        _added(interpreter, buffer, value, state.record_moment(node, "extend", state.label_of(buffer)))
    elif isinstance(value, Sequence):
        for item in value.items if value.keys is None else value.keys:
            if isinstance(item, (Constant, Number)):
                state.spend()
                continue
            append(interpreter, buffer, item, node)
    elif isinstance(value, Unknown):
        if state.new_loops(buffer.created_in):
            grow_by_unknown(interpreter, buffer, node)
    elif value is not None and not isinstance(value, (Constant, Number, Buffer)):
        interpreter.iterate(value, lambda element: append(interpreter, buffer, element, node), node)


def _hand_over(interpreter: Interpreter, value: Buffer, node: ast.AST) -> None:
    """lines.extend(file.readlines()): of a list that no name keeps, nothing but the slots is there beside the other."""
    temps = interpreter.state.temps
    if value.of is None and any(temp is value for temp in temps):
        slots = interpreter.state.make("objects", node, source=value)
        slots.parts.update(value.parts)
        slots.pieces.update(value.pieces)
        temps[:] = [slots if temp is value else temp for temp in temps]


def _padded(interpreter: Interpreter, buffer: Buffer, value: Buffer) -> bool:
    """ids += [0] * (1024 - len(ids)): a list whose length is known from now on."""
    if buffer.kind != "ids" or ints_of(value) or interpreter.state.new_loops(buffer.created_in):
        return False
    mine, more = length_of(buffer), length_of(value)
    length = None if mine is None or more is None else arithmetic(ast.Add(), mine, more)
    if length is None or length.known is None or more is None or more.symbol is None:
        return False
    buffer.capacity = length.known
    return True


def _taker(interpreter: Interpreter, buffer: Buffer, kind: str, node: ast.AST, value: Any = None) -> Buffer:
    """`buffer`, where it is a list of what makes a list of `kind`; else a list of them that it keeps beside."""
    become(interpreter, buffer, kind, node, value)
    if buffer.kind == kind or not {buffer.kind, kind} <= _LISTS:
        return buffer
    beside = (ref for ref in buffer.refs if isinstance(ref, Buffer) and ref.origin == "beside")
    found = next((ref for ref in beside if ref.kind == kind), None)
    if found is None:
        found = interpreter.state.make("list", node, origin="beside", source=buffer)
        found.created_in = buffer.created_in
        become(interpreter, found, kind, node, value)
        buffer.refs.append(found)
    return found


def _added(interpreter: Interpreter, buffer: Buffer, value: Any, step: int) -> None:
    """`step` has added `value` to `buffer`."""
    state = interpreter.state
    state.flow(buffer, step)
    for inner in buffers_in([value]):
        state.flow(inner, step)
    state.comes_from(buffer, step)


def become(interpreter: Interpreter, buffer: Buffer, kind: str, node: ast.AST, value: Any = None) -> None:
    """An empty list is a list of whatever it gets first; of small objects, only while it gets nothing else."""
    if buffer.kind == "objects" and kind in _LISTS and kind != "objects":
        _set_aside(interpreter, buffer, node)
    elif buffer.kind != "list":
        return
    buffer.kind = kind


def _set_aside(interpreter: Interpreter, buffer: Buffer, node: ast.AST) -> None:
    """The small objects of `buffer` go beside what it is a list of from now on."""
    beside = interpreter.state.make("objects", node, origin="beside", source=buffer)
    beside.created_in, beside.made_of, beside.capacity = buffer.created_in, buffer.made_of, buffer.capacity
    beside.parts.update(buffer.parts)
    beside.pieces.update(buffer.pieces)
    beside.grown_in.update(buffer.grown_in)
    buffer.parts.clear()
    buffer.pieces.clear()
    buffer.grown_in.clear()
    buffer.made_of, buffer.capacity = (), None
    buffer.refs.append(beside)


def _grow(
    interpreter: Interpreter, buffer: Buffer, value: Buffer, node: ast.AST, site: Any, *, one: bool = False
) -> None:
    """`one`: `value` is one element, however many parts it has."""
    state = interpreter.state
    parts = value.joined_parts
    if len(parts) > 1 and value.weight > 0:  # of several inputs, or a list put together before
        for index, part in enumerate(parts):  # buffer.extend(buffer)
            more = ("same element",) if one and index else ()
            state.grow(buffer, (*site, index, *more), part, node)
    else:
        state.grow(buffer, site, value.extent, node)
    if value.encoded:
        buffer.encoded = True
    if buffer.kind in ("ids", "lists"):
        hold_ints(interpreter, buffer, value, node)


def _maybe_endless(interpreter: Interpreter, buffer: Buffer, node: ast.AST) -> None:
    """Something unknown is appended: small in a loop over the input, and not to be trusted in any other."""
    state = interpreter.state
    for loop in state.new_loops(buffer.created_in):
        info = state.loop_info[loop]
        if not info.consumes_input and info.count is None:
            grow_by_unknown(interpreter, buffer, node)
            return


def grow_by_unknown(interpreter: Interpreter, buffer: Buffer, node: ast.AST) -> None:
    """As if everything were kept."""
    state = interpreter.state
    state.not_understood(node)
    become(interpreter, buffer, "ids", node)
    state.grow(buffer, state.site(node), Extent(), node)
    if buffer.kind == "ids":
        hold_ints(interpreter, buffer, None, node)


def clear(interpreter: Interpreter, buffer: Buffer, node: ast.AST) -> None:
    """buffer.clear(), del buffer[:]: bounded when a condition says so, else new in each iteration."""
    if interpreter.state.drained(buffer, node):
        return
    beside = [ref for ref in buffer.refs if isinstance(ref, Buffer) and ref.origin == "beside"]
    own = [ints for emptied in (buffer, *beside) for ints in ints_of(emptied) if ints.source is emptied]
    for emptied in (buffer, *beside, *own):
        emptied.parts.clear()
        emptied.capacity = None
        emptied.created_in = tuple(interpreter.state.loops)
