"""Two values and an operator: numbers, texts, lists and paths, added and multiplied. Pure."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from memguard.script.interpreter import calls as script_calls
from memguard.script.numbers import arithmetic
from memguard.script.operations import growth as script_lists
from memguard.script.values import UNKNOWN, Buffer, Constant, Number, Path, Sequence

if TYPE_CHECKING:
    from memguard.script.interpreter.expressions import Evaluator

__all__ = ["LONGEST_TEXT", "binary", "chain", "is_text"]

LONGEST_TEXT = 4096  # of a constant that is followed: a path, a separator, an option


def chain(reader: Evaluator, node: ast.BinOp) -> Any:
    """a + b + c + …, from the left: a long one is a deep tree, but no deep recursion."""
    links = [node]
    while isinstance(left := links[-1].left, ast.BinOp):
        links.append(left)
    temps = reader.state.temps
    mark = len(temps)
    value = reader.evaluate(left)
    for link in reversed(links):
        reader.state.spend(2)
        value = binary(reader, link.op, value, reader.evaluate(link.right), link)
        del temps[mark:]
        temps.append(value)
    return value


def binary(reader: Evaluator, op: ast.operator, left: Any, right: Any, node: ast.AST) -> Any:
    if isinstance(left, Number) and isinstance(right, Number):
        return arithmetic(op, left, right) or UNKNOWN
    if isinstance(op, ast.Add) and (isinstance(left, Buffer) or isinstance(right, Buffer)):
        return script_lists.sum_of(reader, left, right, node)
    if isinstance(op, ast.Mult) and isinstance(left, (Buffer, Sequence)) and isinstance(right, Number):
        return script_lists.repeated(reader, left, right, node)
    if isinstance(op, ast.Div) and isinstance(left, Path):
        return script_calls.joined_path([left, right])
    if isinstance(op, ast.Add) and is_text(left) and is_text(right):
        longest = len(left.value) + len(right.value) > LONGEST_TEXT
        return UNKNOWN if longest else Constant(left.value + right.value)
    if isinstance(op, ast.Add) and (isinstance(left, Path) or isinstance(right, Path)):
        path = left if isinstance(left, Path) else right
        return Path(argument=False, many=path.many)
    return UNKNOWN


def is_text(value: Any) -> bool:
    return isinstance(value, Constant) and isinstance(value.value, str)
