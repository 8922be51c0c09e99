"""left + right: lists, texts and arrays that are added up. Pure."""

from __future__ import annotations

import ast
from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Interpreter
from memguard.script.numbers import arithmetic
from memguard.script.operations.elements import together
from memguard.script.operations.growth import append, become, grow_by_unknown
from memguard.script.operations.ints import hold_ints
from memguard.script.operations.lengths import ARRAYS, elementwise, known_length, length_of, made
from memguard.script.trace import Transient
from memguard.script.values import KINDS, Buffer, Sequence, Unknown

__all__ = ["grown_copy", "sum_of"]


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
    grown = [v for i, v in enumerate((left, right)) if _is_target(state.statement, node, i) or not _is_empty(v)]
    result.created_in = min((d.created_in for d in grown if isinstance(d, Buffer)), key=len, default=tuple(state.loops))
    for index, value in enumerate((left, right)):
        if isinstance(value, Buffer) and not _is_empty(value):
            become(interpreter, result, KINDS[value.kind].extends, node, value)
            _add_parts(interpreter, result, value, node, index, again=not _is_target(state.statement, node, index))
        elif isinstance(value, Sequence):
            for item in value.items:
                append(interpreter, result, item, node)
    if result.kind in ("ids", "lists"):
        for value in (left, right):
            if isinstance(value, Buffer) and value.kind in ("ids", "lists"):
                hold_ints(interpreter, result, value, node)
    first_length, second_length = length_of(left), length_of(right)
    if result.kind == "ids" and first_length is not None and second_length is not None:
        result.capacity = known_length(arithmetic(ast.Add(), first_length, second_length))
    made(interpreter, result, (left, right), state.record_moment(node, "concatenate", ""))
    return result


def _is_empty(value: Any) -> bool:  # of the input's text: ids + NEWLINE is as old as ids
    return isinstance(value, Buffer) and value.kind == "list"


def _is_target(statement: ast.AST, node: ast.AST, index: int) -> bool:
    """Whether the operand at `index` is what the sum is assigned to: `data = more + data`."""
    if not (isinstance(statement, ast.Assign) and isinstance(node, ast.BinOp) and statement.value is node):
        return False
    operand, target = (node.left, node.right)[index], statement.targets[0]
    return isinstance(operand, (ast.Name, ast.Attribute)) and ast.unparse(operand) == ast.unparse(target)


def _add_parts(
    interpreter: Interpreter, result: Buffer, value: Buffer, node: ast.AST, index: int, *, again: bool
) -> None:
    """`again`: each iteration of the loops around adds `value` once more; it is not what the sum before has left."""
    state = interpreter.state
    site = state.site(node)
    for key, part in value.parts.items():
        grown = state.gathered(part, result.created_in, node) if again else part
        mine = key if grown == part else (*site, index)
        result.parts[mine] = grown
        result.pieces[mine] = value.pieces.get(key, part)
        result.grown_in[mine] = value.grown_in.get(key, tuple(state.loops))


def _by_source(value: Buffer, site: Any) -> list[tuple[Any, Extent]]:
    """The parts of `value`: all as one, or one by one where they are of different inputs."""
    parts = value.joined_parts
    if len({part.source for part in parts}) < 2:
        return [(site, together(value))]
    return [((*site, index) if index else site, part) for index, part in enumerate(parts)]


def grown_copy(interpreter: Interpreter, old: Buffer, value: Any, node: ast.AST) -> Any:
    """text + more: a copy that is longer."""
    state = interpreter.state
    new = state.make(old.kind, node)
    new.created_in = old.created_in
    new.parts.update(old.parts)
    new.pieces.update(old.pieces)
    if isinstance(value, Buffer):
        for site, piece in _by_source(value, state.site(node)):
            new.parts[site] = state.gathered(piece, old.created_in, node)
            new.pieces[site] = piece
    elif isinstance(value, Unknown) and state.new_loops(old.created_in):
        grow_by_unknown(interpreter, new, node)
    state.temps.append(new)
    # A module's name keeps the old one meanwhile; a function's lets go of it, and it grows in place.
    copied = state.frame is state.frames[0] and bool(state.new_loops(old.created_in))
    meanwhile = [Transient("the text before", new.kind, new.extent)] if copied else []
    made(interpreter, new, (old, value), state.record_moment(node, "concatenate", state.label_of(old), meanwhile))
    return new
