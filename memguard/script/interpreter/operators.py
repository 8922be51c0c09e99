"""Two values and an operator: numbers, texts, lists, arrays and paths, added and multiplied. Pure."""

from __future__ import annotations

import ast
from typing import Any

from memguard.script.interface import Interpreter
from memguard.script.numbers import arithmetic
from memguard.script.operations.fields import as_text, columns_added
from memguard.script.operations.inputs import joined_path, one_of_many
from memguard.script.operations.lengths import ARRAYS, elementwise, repeated
from memguard.script.operations.sums import sum_of
from memguard.script.values import NOTHING, UNKNOWN, Buffer, Constant, Number, Path, Row, Sequence, Small, Unknown

__all__ = ["LONGEST_TEXT", "all_of", "binary", "chain", "compared", "formatted", "is_text", "spelled"]

LONGEST_TEXT = 4096  # of a constant that is followed: a path, a separator, an option


def chain(interpreter: Interpreter, node: ast.BinOp) -> Any:
    """a + b + c + …, from the left: a long one is a deep tree, but no deep recursion."""
    links = [node]
    while isinstance(left := links[-1].left, ast.BinOp):
        links.append(left)
    temps = interpreter.state.temps
    mark = len(temps)
    value = interpreter.evaluate(left)
    for link in reversed(links):
        interpreter.state.spend(2)
        value = binary(interpreter, link.op, value, interpreter.evaluate(link.right), link)
        del temps[mark:]
        temps.append(value)
    return value


def binary(interpreter: Interpreter, op: ast.operator, left: Any, right: Any, node: ast.AST) -> Any:
    if isinstance(left, Number) and isinstance(right, Number):
        return arithmetic(op, left, right) or UNKNOWN
    if isinstance(op, ast.Add) and (isinstance(left, Row) or isinstance(right, Row)):
        if any(isinstance(value, Row) and value.column and value.extent.is_whole for value in (left, right)):
            return columns_added(interpreter, left, right, node)
        left, right = as_text(left), as_text(right)
    if _is_single(left, right) or _is_single(right, left):
        return Small("int")  # counts[c] + 1
    if isinstance(op, ast.Add) and (isinstance(left, Buffer) or isinstance(right, Buffer)):
        return sum_of(interpreter, left, right, node)
    if isinstance(op, ast.Add) and isinstance(left, Sequence) and isinstance(right, Sequence) and left.keys is None:
        return Sequence([*left.items, *right.items], mutable=left.mutable)
    if isinstance(op, ast.Mult) and isinstance(left, (Number, Unknown)) and isinstance(right, (Buffer, Sequence)):
        left, right = right, left
    if isinstance(op, ast.Mult) and isinstance(left, (Buffer, Sequence)) and isinstance(right, (Number, Unknown)):
        return repeated(interpreter, left, right if isinstance(right, Number) else None, node)
    if any(isinstance(value, Buffer) and value.kind in ARRAYS for value in (left, right)):
        return elementwise(interpreter, left, right, node)
    if isinstance(op, ast.Mod) and isinstance(left, Constant):  # "%s\n" % text
        values = right.items if isinstance(right, Sequence) else [right]
        names = one_of_many(values)
        return formatted(interpreter, values, node) or (names if names.windows else UNKNOWN)
    if isinstance(op, ast.Div) and isinstance(left, Path):
        return joined_path([left, right])
    if isinstance(op, ast.Add) and is_text(left) and is_text(right):
        longest = len(left.value) + len(right.value) > LONGEST_TEXT
        return UNKNOWN if longest else Constant(left.value + right.value)
    if isinstance(op, ast.Add) and (isinstance(left, Path) or isinstance(right, Path)):
        if any(isinstance(value, Path) and value.many for value in (left, right)):
            return Path(many=True)
        return one_of_many([left, right], all_of_it=True)
    return UNKNOWN


def _is_single(value: Any, other: Any) -> bool:
    """Whether it is an element that is a number, since `other` is one."""
    numbers = isinstance(other, (Number, Small)) or other is NOTHING
    return isinstance(value, Buffer) and value.kind in ("char", "token", "object") and numbers


def formatted(interpreter: Interpreter, values: list[Any], node: ast.AST) -> Buffer | None:
    """f"{text}\\n": a text with all of `values` in it; None where none of them is text of the input."""
    values = [as_text(value) for value in values]
    texts = [value for value in values if isinstance(value, Buffer) and value.kind in ("text", "bytes")]
    if not texts:
        return None
    state = interpreter.state
    counted = any(isinstance(value, (Number, Small)) for value in values)
    result = state.hold("text", node, origin="numbered" if counted else "")
    for index, text in enumerate(texts):
        for key, part in text.parts.items():
            result.parts[(*state.site(node), index, key)] = part
    step = state.record_moment(node, "copy", "")
    for text in texts:
        state.flow(text, step)
    state.comes_from(result, step)
    return result


def is_text(value: Any) -> bool:
    return isinstance(value, Constant) and isinstance(value.value, str)


def all_of(interpreter: Interpreter, values: list[ast.expr]) -> Any:
    """a and b and …: what is not reached is not looked at; else nothing is known of it."""
    for value in values:
        found = interpreter.evaluate(value)
        if isinstance(found, Constant) and not found.value:
            return found
    return UNKNOWN


def compared(left: Any, op: ast.cmpop, right: Any) -> Any:
    """left == right, left is right, left in right, as far as both are known."""
    negated = isinstance(op, (ast.NotEq, ast.IsNot, ast.NotIn))
    if isinstance(op, (ast.In, ast.NotIn)):
        members = right.items if isinstance(right, Sequence) and right.keys is None else []
        if not members or not all(isinstance(value, Constant) for value in (left, *members)):
            return UNKNOWN
        return Constant(any(left.value == member.value for member in members) != negated)
    if not isinstance(op, (ast.Eq, ast.Is, ast.NotEq, ast.IsNot)) or not isinstance(right, Constant):
        return UNKNOWN
    if isinstance(left, Constant):
        return Constant((left.value == right.value) != negated)
    if isinstance(left, Path) and left.text and right.value is None:  # a path that is given
        return Constant(negated)
    return UNKNOWN


def spelled(value: Any, part: ast.expr) -> str | None:
    """What a part of an f-string is as text; None where that is not known."""
    if isinstance(value, Constant):
        return str(value.value)
    plain = isinstance(part, ast.FormattedValue) and part.format_spec is None
    if plain and isinstance(value, Number) and value.known is not None and value.known.is_integer():
        return str(int(value.known))
    return None
