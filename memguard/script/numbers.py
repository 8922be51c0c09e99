"""Numbers of a script, as far as they stay linear: sizes, and fractions of a text's length. Pure arithmetic."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from memguard.script.values import Buffer, Number, Symbol

__all__ = ["arithmetic", "fraction_of", "limited", "literal", "number_of"]

_OPERATIONS: dict[type, Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.Pow: lambda a, b: a**b,
    ast.LShift: lambda a, b: a * 2.0 ** int(b),
    ast.RShift: lambda a, b: a // 2.0 ** int(b),
}
_MOST = 1e100  # beyond any size: a number stays at it, so that it is never taken for a small or an unknown one


def limited(value: float) -> float:
    """`value`, within what a float can be multiplied by without becoming infinite."""
    return min(_MOST, max(-_MOST, value)) if value == value else _MOST


def literal(value: int | float) -> Number:
    """A number as it stands in the script, which may be an int of any length."""
    try:
        return Number(limited(float(value)))
    except OverflowError:
        return Number(_MOST if value > 0 else -_MOST)


def arithmetic(op: ast.operator, left: Number, right: Number) -> Number | None:
    """left op right, as far as it stays factor · symbol + offset."""
    if left.symbol is None and right.symbol is None:
        operation = _OPERATIONS.get(type(op))
        try:
            return Number(limited(float(operation(left.offset, right.offset)))) if operation else None
        except OverflowError:
            return Number(_MOST)
        except (ArithmeticError, ValueError, TypeError):
            return None
    if isinstance(op, (ast.Add, ast.Sub)):
        return _added(left, right, 1.0 if isinstance(op, ast.Add) else -1.0)
    if isinstance(op, ast.Mult):
        symbolic, factor = (left, right) if right.symbol is None else (right, left)
        return _scaled(symbolic, factor.offset) if factor.symbol is None else None
    if isinstance(op, (ast.Div, ast.FloorDiv)) and right.symbol is None and right.offset:
        return _scaled(left, 1 / right.offset)
    return None


def _scaled(number: Number, factor: float) -> Number:
    offset, times = limited(number.offset * factor), limited(number.factor * factor)
    return Number(offset, number.symbol, times, number.loop, number.step)


def _added(left: Number, right: Number, sign: float) -> Number:
    offset = limited(left.offset + sign * right.offset)
    if left.symbol is None or right.symbol is None:
        symbolic = left if left.symbol is not None else right
        factor = left.factor if left.symbol is not None else sign * right.factor
        return Number(offset, symbolic.symbol, factor, symbolic.loop, symbolic.step)
    if left.symbol == right.symbol:
        factor = left.factor + sign * right.factor
        return Number(offset, left.symbol if factor else None, factor)
    if left.symbol.of is not None and left.symbol.of is right.symbol.of:
        factor = left.factor + sign * right.factor
        return Number(offset, left.symbol if factor else None, factor)
    # len(buffer) + len(ids): about the longer-lived of the two
    of = left.symbol.of if left.symbol.unit != "sum" else None
    return Number(offset, Symbol(left.symbol.ident, of, left.symbol.unit or "sum"), left.factor)


def number_of(value: Any) -> float | None:
    """The number that `value` is known to be."""
    return value.known if isinstance(value, Number) else None


def fraction_of(value: Any, buffer: Buffer) -> float | None:
    """`value` as a share of len(buffer): int(0.9 * len(buffer)) is 0.9."""
    if isinstance(value, Number) and value.symbol is not None:
        of = value.symbol.of
        if of is buffer or (of is not None and set(of.parts.values()) == set(buffer.parts.values())):
            return min(1.0, max(0.0, value.factor))
    return None
