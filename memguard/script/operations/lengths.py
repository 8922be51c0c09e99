"""How long lists and arrays are: repeated ones, elementwise results, lengths that are linear in others. Pure."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from memguard.script.extents import MOST_TIMES, Extent
from memguard.script.interface import Interpreter
from memguard.script.liveness import buffers_in
from memguard.script.numbers import limited
from memguard.script.operations.ints import ints_of
from memguard.script.values import KINDS, UNKNOWN, Buffer, Number, Sequence, Symbol

__all__ = ["ARRAYS", "elementwise", "known_length", "length_of", "made", "repeated"]

ARRAYS = ("array", "view", "mapped")


def made(interpreter: Interpreter, result: Buffer, values: tuple[Any, ...], step: int) -> None:
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
    made(interpreter, result, (left, right), interpreter.state.record_moment(node, "array", ""))
    return result


def known_length(found: Number | None) -> float | Number | None:
    """A length that says more than that the list is as long as it is."""
    if found is None or found.symbol is None:
        return None if found is None else found.offset
    return found if found.symbol.of is not None else None


def length_of(value: Any) -> Number | None:
    """len(value) of a list, as far as it is linear in what is known; None for what has none."""
    if isinstance(value, Sequence):
        return Number(float(len(value.items))) if value.keys is None else None
    if not isinstance(value, Buffer) or value.kind not in ("ids", "chars"):
        return None
    if isinstance(value.capacity, Number):
        return value.capacity
    return Number(value.capacity) if isinstance(value.capacity, float) else Number(0.0, Symbol("len", value, "sum"))


def repeated(interpreter: Interpreter, value: Any, count: Number | None, node: ast.AST) -> Any:
    """[0] * n, text * n; None for a count of which nothing is known."""
    if isinstance(value, Buffer) and value.kind not in ("list", "chars"):
        return _times(interpreter, value, count, node)
    result = interpreter.state.make("chars", node)
    if isinstance(value, Sequence):
        result.refs += buffers_in(value.items)
    of = count.symbol.of if count is not None and count.symbol is not None else None
    if count is not None and count.known is not None:
        length = float(len(value.items)) or 1.0 if isinstance(value, Sequence) else 1.0
        if isinstance(value, Buffer) and isinstance(value.capacity, float):
            length = value.capacity
        result.capacity = limited(length * max(0.0, count.known))
        result.parts[interpreter.state.site(node)] = Extent()
    elif of is not None and count is not None:
        unit = KINDS[of.kind].unit
        result.kind = {"chars": "chars", "bytes": "chars", "tokens": "ids"}.get(unit, "objects")
        result.capacity = count
        if count.factor > 0:
            times = {key: min(MOST_TIMES, part.times * count.factor) for key, part in of.parts.items()}
            result.parts.update({key: replace(part, times=times[key]) for key, part in of.parts.items()})
            result.pieces.update(of.pieces)
    elif not result.refs:
        return UNKNOWN
    return result


def _times(interpreter: Interpreter, value: Buffer, count: Number | None, node: ast.AST) -> Any:
    """`value` as often as `count` says; all of the input where that is not known."""
    if value.kind in ARRAYS:
        return elementwise(interpreter, value, None, node)
    state = interpreter.state
    result = state.hold(value.kind, node, source=value)
    result.refs += ints_of(value)
    if count is None or count.known is None:
        state.not_understood(node)
        result.parts[state.site(node)] = Extent()
    else:
        times = max(0.0, count.known)
        result.parts.update(
            {site: replace(part, times=min(MOST_TIMES, part.times * times)) for site, part in value.parts.items()}
        )
    made(interpreter, result, (value,), state.record_moment(node, "copy", ""))
    return result
