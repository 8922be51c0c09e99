"""Calls of the script's own functions and classes: followed in place, with their parameters bound. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from memguard.script.interpreter import calls as script_calls
from memguard.script.source import dotted_name
from memguard.script.values import (
    UNKNOWN,
    Class,
    Function,
    Generator,
    Instance,
    Sequence,
)

if TYPE_CHECKING:
    from memguard.script.interpreter.expressions import Evaluator

__all__ = ["call_function", "make_instance"]

_DEEPEST_CALL = 24


def call_function(reader: Evaluator, function: Function, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
    state = reader.state
    position = (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
    depth = sum(frame.node is function.node for frame in state.frames)
    if depth > 1 or len(state.calls) > _DEEPEST_CALL:
        return script_calls.unknown(reader, args, kwargs, node)  # recursion
    args = [*function.bound[0], *args]
    if function.owner is not None:
        args.insert(0, function.owner)
    env = _parameters(reader, function, args, {**function.bound[1], **kwargs})
    if _is_generator(reader, function.node):

        def run(consume: Callable[[Any], None]) -> None:
            caller = reader.state.frame
            state.calls.append(position)
            try:
                reader.inline_call(function, dict(env), lambda value: reader.yield_to(consume, value, caller))
            finally:
                state.calls.pop()

        return Generator(run, tuple(env.values()))
    state.calls.append(position)
    try:
        return reader.inline_call(function, env)
    finally:
        state.calls.pop()


def _parameters(reader: Evaluator, function: Function, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    spec = function.node.args
    names = [parameter.arg for parameter in (*spec.posonlyargs, *spec.args)]
    defaults: list[ast.expr | None] = [None] * (len(names) - len(spec.defaults)) + list(spec.defaults)
    pairs = list(zip(names, defaults, strict=True))
    pairs += [(p.arg, d) for p, d in zip(spec.kwonlyargs, spec.kw_defaults, strict=True)]
    env = {name: UNKNOWN if default is None else reader.constant_value(default) for name, default in pairs}
    env.update(zip(names, args, strict=False))
    if spec.vararg is not None:
        env[spec.vararg.arg] = Sequence(list(args[len(names) :]))
    env.update({name: value for name, value in kwargs.items() if name in env})
    return env


def make_instance(reader: Evaluator, cls: Class, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
    instance = Instance(cls, {})
    reader.state.spaces.append(instance.attributes)
    if cls.dataclass:
        _fill_dataclass(reader, instance, cls, args, kwargs)
    method = reader.class_attribute(instance, cls, "__init__", node)
    if isinstance(method, Function):
        call_function(reader, method, args, kwargs, node)
    return instance


def _fill_dataclass(reader: Evaluator, instance: Instance, cls: Class, args: list[Any], kwargs: dict[str, Any]) -> None:
    fields = [s for s in cls.node.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]
    given = dict(zip((s.target.id for s in fields if isinstance(s.target, ast.Name)), args, strict=False))
    given.update(kwargs)
    for statement in fields:
        assert isinstance(statement.target, ast.Name)
        name = statement.target.id
        if name in given:
            instance.attributes[name] = given[name]
        elif statement.value is not None:
            instance.attributes[name] = _field_default(reader, statement.value)
    method = reader.class_attribute(instance, cls, "__post_init__", cls.node)
    if isinstance(method, Function):
        call_function(reader, method, [], {}, cls.node)


def _field_default(reader: Evaluator, node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and dotted_name(node.func).split(".")[-1] == "field":
        for keyword in node.keywords:
            if keyword.arg == "default":
                return reader.evaluate(keyword.value)
            if keyword.arg == "default_factory":
                return reader.call(reader.evaluate(keyword.value), [], {}, node)
        return UNKNOWN
    return reader.evaluate(node)


def _is_generator(reader: Evaluator, node: ast.AST) -> bool:
    """True for a def with a yield of its own."""
    known: dict[ast.AST, bool] = reader.state.generators
    if node not in known:
        known[node] = not isinstance(node, ast.Lambda) and _has_yield(node)
    return known[node]


def _has_yield(node: ast.AST) -> bool:
    todo: list[ast.AST] = list(getattr(node, "body", []))
    while todo:
        inner = todo.pop()
        if isinstance(inner, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            todo += ast.iter_child_nodes(inner)
    return False
