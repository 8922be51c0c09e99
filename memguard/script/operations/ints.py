"""The int objects of lists of ids, which slices, sums and lists of lists share with what they come from. Pure.

A list of ids is its slots (kind ids, lists) and, as a Buffer of its own among its refs, the int objects (kind ints).
`[1] * n` has slots alone: its one int is cached or shared.
"""

from __future__ import annotations

import ast

from memguard.script.extents import Extent, measure
from memguard.script.interface import Interpreter
from memguard.script.values import Buffer

__all__ = ["hold_ints", "ints_behind", "ints_of", "new_ints"]

_PACKED = ("array", "view", "mapped", "packed")  # each look at a number in one makes an int object


def ints_of(buffer: Buffer) -> list[Buffer]:
    """The int objects that `buffer` keeps."""
    return [ref for ref in buffer.refs if isinstance(ref, Buffer) and ref.kind == "ints"]


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


def hold_ints(
    interpreter: Interpreter, buffer: Buffer, value: Buffer | None, node: ast.AST, extent: Extent | None = None
) -> None:
    """`buffer` gets `value`, or an element of it: it shares the int objects that live as long as itself, and gathers
    those that each iteration makes for itself. None: of `extent`, from nowhere that is known.
    """
    sources = [] if value is None else ints_behind(value)
    boxed = value is None or value.kind in (*_PACKED, "arrays", "packs", "opaque") or _of_array(value)
    if not sources and boxed:
        site = interpreter.state.site(node)
        found = {site: extent or (Extent() if value is None else value.extent)}
        _gather(interpreter, buffer, found, node)
        return
    for ints in sources:
        if ints.limit is not None and ints.source is not buffer and buffer.limit is None:
            # They come from a list that is emptied again and again: what is kept of it is more than it ever holds.
            buffer.refs = [ref for ref in buffer.refs if ref is not ints]
            _gather(interpreter, buffer, _kept(ints, value), node)
            continue
        if any(ref is ints for ref in buffer.refs):
            continue
        if set(ints.created_in) <= set(buffer.created_in) and ints.source is not buffer:
            buffer.refs.append(ints)
        elif ints.source is not buffer:
            _gather(interpreter, buffer, _kept(ints, value), node)


def ints_behind(value: Buffer) -> list[Buffer]:
    """The int objects of `value`, or of the list that it is an element or a part of."""
    owner: Buffer | None = value
    while owner is not None:
        found = ints_of(owner)
        if found:
            return found
        owner = owner.of
    return []


def _of_array(value: Buffer) -> bool:
    """True for an element of an array, which becomes an object of its own."""
    return value.kind == "token" and value.of is not None and value.of.kind in _PACKED


def _kept(ints: Buffer, value: Buffer | None) -> dict[object, Extent]:
    """What `value` keeps of `ints`: a slice of a list keeps no more of them than it has slots."""
    parts = dict(ints.parts)
    if value is not None and len(parts) == 1 and value.parts:
        key, part = next(iter(parts.items()))
        kept, seen = value.extent, len(part.windows)
        cut = len(kept.windows) > seen and kept.windows[:seen] == part.windows
        if (cut or measure(kept) < measure(part)) and value.kind != "token":
            return {key: kept}
    return parts


def _gather(interpreter: Interpreter, buffer: Buffer, parts: dict[object, Extent], node: ast.AST) -> None:
    state = interpreter.state
    # total = total + ids: the sum before has gathered them from the same places.
    own = next((ints for ints in ints_of(buffer) if ints.source is buffer or parts.keys() & ints.parts.keys()), None)
    if own is None:
        own = state.make("ints", node, source=buffer)
        own.created_in = buffer.created_in
        state.growing.append(own)
        buffer.refs.append(own)
    if own.parts is buffer.parts:
        return  # they grow with its slots
    for key, part in parts.items():
        own.parts[key] = state.gathered(part, own.created_in, node)
        own.pieces[key] = part
        own.grown_in[key] = tuple(state.loops)
