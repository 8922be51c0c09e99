"""Conditions of the script: at what size of a list a branch is taken, which bounds the list. Pure."""

from __future__ import annotations

import ast

from memguard.script.interface import Interpreter
from memguard.script.numbers import number_of
from memguard.script.source import dotted_name
from memguard.script.values import Buffer, Constant, Number, Threshold

__all__ = ["fetches", "is_settled", "threshold_of"]

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
