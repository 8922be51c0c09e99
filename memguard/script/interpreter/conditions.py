"""Conditions of the script: at what size of a list a branch is taken, which bounds the list. Pure."""

from __future__ import annotations

import ast

from memguard.script.interface import Interpreter
from memguard.script.numbers import number_of
from memguard.script.source import dotted_name
from memguard.script.values import KINDS, Buffer, Constant, Number, Threshold

__all__ = ["fetches", "goes_over", "is_settled", "threshold_of"]

# What gets a file from somewhere else.
_FETCHING = ("requests", "urllib", "urllib3", "httpx", "urlopen", "urlretrieve", "wget", "gdown", "curl")


def fetches(*nodes: ast.AST) -> bool:
    """Whether a file is downloaded in `nodes`: by a library for that, or a function whose name says so."""
    inside = (inner for node in nodes for inner in ast.walk(node))
    names = (dotted_name(inner.func).split(".") for inner in inside if isinstance(inner, ast.Call))
    return any(name in _FETCHING or "download" in name.lower() for parts in names for name in parts)


def is_settled(test: ast.expr, function: ast.AST) -> bool:
    """Whether `test` is the same in each iteration: a parameter of `function` that it never binds again, a constant."""
    if not isinstance(function, ast.FunctionDef):
        return False
    names = {inner.id for inner in ast.walk(test) if isinstance(inner, ast.Name)}
    simple = (ast.Compare, ast.Name, ast.Constant, ast.UnaryOp, ast.cmpop, ast.unaryop, ast.expr_context)
    if not names <= {arg.arg for arg in ast.walk(function.args) if isinstance(arg, ast.arg)}:
        return False
    bound = (
        inner.id for inner in ast.walk(function) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
    )
    return all(isinstance(inner, simple) for inner in ast.walk(test)) and names.isdisjoint(bound)


def threshold_of(interpreter: Interpreter, test: ast.expr, *, negated: bool = False) -> Threshold | None:
    """`len(ids) >= 1_000_000`, `count + len(ids) > SHARD`, `i % 100 == 99`: at what size a branch is taken."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return threshold_of(interpreter, test.operand, negated=not negated)
    if isinstance(test, ast.BoolOp):
        found = (threshold_of(interpreter, value, negated=negated) for value in test.values)
        return next((threshold for threshold in found if threshold is not None), None)
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return _modulo(interpreter, test, negated)
    op, left, right = (
        test.ops[0],
        interpreter.constant_value(test.left),
        interpreter.constant_value(test.comparators[0]),
    )
    if isinstance(test.left, ast.BinOp) and isinstance(test.left.op, ast.Mod):
        return _modulo(interpreter, test.left, negated != isinstance(op, (ast.Eq, ast.Lt, ast.LtE)))
    upward = isinstance(op, (ast.Gt, ast.GtE, ast.Eq))
    if isinstance(left, Number) and left.symbol is None:
        left, right, upward = right, left, isinstance(op, (ast.Lt, ast.LtE, ast.Eq))
    amount = number_of(right)
    if not isinstance(left, Number) or left.symbol is None or amount is None or upward == negated:
        return None
    if amount <= 0 or (left.symbol.of is None and not left.symbol.unit):
        return None
    if left.symbol.of is not None:
        return Threshold(amount, "len", test, left.symbol.of)
    return Threshold(amount, left.symbol.unit, test)


def _modulo(interpreter: Interpreter, test: ast.expr, negated: bool) -> Threshold | None:
    """`not i % 100`: taken once in 100 times."""
    if isinstance(test, ast.BinOp) and isinstance(test.op, ast.Mod) and negated:
        amount = number_of(interpreter.constant_value(test.right))
        left = interpreter.constant_value(test.left)
        if amount and amount > 0 and not isinstance(left, (Buffer, Constant)):
            return Threshold(amount, "items", test)
    return None


def goes_over(interpreter: Interpreter, loop: ast.While) -> bool:
    """`while i < len(word): …; i += 1`: no more turns than what is known has elements, as a for loop over it."""
    tests = loop.test.values if isinstance(loop.test, ast.BoolOp) and isinstance(loop.test.op, ast.And) else [loop.test]
    for test in tests:
        if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], (ast.Lt, ast.LtE)):
            continue
        length = test.comparators[0]
        while isinstance(length, ast.BinOp) and isinstance(length.op, ast.Sub):
            length = length.left
        if not (isinstance(length, ast.Call) and isinstance(length.func, ast.Name) and length.func.id == "len"):
            continue
        of = interpreter.constant_value(length.args[0]) if length.args else None
        known = isinstance(of, Buffer) and KINDS[of.kind].element != ""
        if known and isinstance(test.left, ast.Name) and _counts_up(loop, test.left.id):
            return True
    return False


def _counts_up(loop: ast.While, name: str) -> bool:
    """`name += …` stands in every way through the body that does not leave it."""
    return _always_adds(loop.body, name)


def _always_adds(body: list[ast.stmt], name: str) -> bool:
    for statement in body:
        if isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add):
            if isinstance(statement.target, ast.Name) and statement.target.id == name:
                return True
        elif isinstance(statement, (ast.Break, ast.Return, ast.Raise)):
            return True
        elif isinstance(statement, ast.Continue):
            return False
        elif isinstance(statement, ast.If):
            ways = [_always_adds(statement.body, name), _always_adds(statement.orelse, name)]
            if all(ways):
                return True
            if any(isinstance(inner, ast.Continue) for inner in ast.walk(statement)) and not ways[0]:
                return False
    return False
