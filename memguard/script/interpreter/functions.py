"""Calls of the script's own functions and classes: followed in place, with their parameters bound. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from memguard.script.interface import Call, Interpreter
from memguard.script.interpreter.summaries import summarised
from memguard.script.registry import unknown
from memguard.script.scopes import has_yield
from memguard.script.source import dotted_name
from memguard.script.values import (
    UNKNOWN,
    Class,
    Constant,
    Function,
    Generator,
    Instance,
    Sequence,
)

__all__ = ["call_function", "make_instance"]

_DEEPEST_CALL = 24


def call_function(
    interpreter: Interpreter, function: Function, args: list[Any], kwargs: dict[str, Any], node: ast.AST
) -> Any:
    state = interpreter.state
    position = (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
    depth = sum(frame.node is function.node for frame in state.frames)
    if depth > 1 or len(state.calls) > _DEEPEST_CALL:
        found = unknown(Call(interpreter, args, kwargs, node))  # recursion
        if found is not UNKNOWN:
            state.not_understood(node)  # it goes round as often as a loop does, whatever a turn gets
        return found
    args = [*function.bound[0], *args]
    if function.owner is not None:
        args.insert(0, function.owner)
    env = _parameters(interpreter, function, args, {**function.bound[1], **kwargs})
    if _is_generator(interpreter, function.node):

        def run(consume: Callable[[Any], None]) -> None:
            caller = interpreter.state.frame
            state.calls.append(position)
            try:
                interpreter.inline_call(function, dict(env), lambda value: interpreter.yield_to(consume, value, caller))
            finally:
                state.calls.pop()

        return Generator(run, tuple(env.values()), function.node)

    state.calls.append(position)
    try:
        return summarised(state, function, env, depth, lambda: interpreter.inline_call(function, env))
    finally:
        state.calls.pop()


def _parameters(
    interpreter: Interpreter, function: Function, args: list[Any], kwargs: dict[str, Any]
) -> dict[str, Any]:
    spec = function.node.args
    names = [parameter.arg for parameter in (*spec.posonlyargs, *spec.args)]
    defaults: list[ast.expr | None] = [None] * (len(names) - len(spec.defaults)) + list(spec.defaults)
    pairs = list(zip(names, defaults, strict=True))
    pairs += [(p.arg, d) for p, d in zip(spec.kwonlyargs, spec.kw_defaults, strict=True)]
    env = {name: UNKNOWN if default is None else interpreter.constant_value(default) for name, default in pairs}
    env.update(zip(names, args, strict=False))
    env.update({name: value for name, value in (function.options or {}).items() if name in names[len(args) :]})
    if spec.vararg is not None:
        env[spec.vararg.arg] = Sequence(list(args[len(names) :]))
    env.update({name: value for name, value in kwargs.items() if name in env})
    if spec.kwarg is not None:
        rest = {name: value for name, value in kwargs.items() if name not in env}
        env[spec.kwarg.arg] = Sequence(list(rest.values()), [Constant(name) for name in rest])
    return env


def make_instance(interpreter: Interpreter, cls: Class, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
    instance = Instance(cls, {})
    interpreter.state.spaces.append(instance.attributes)
    if cls.dataclass:
        _fill_dataclass(interpreter, instance, cls, args, kwargs)
    method = interpreter.class_attribute(instance, cls, "__init__", node)
    if isinstance(method, Function):
        call_function(interpreter, method, args, kwargs, node)
    return instance


def _fill_dataclass(
    interpreter: Interpreter, instance: Instance, cls: Class, args: list[Any], kwargs: dict[str, Any]
) -> None:
    fields = [s for s in cls.node.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]
    given = dict(zip((s.target.id for s in fields if isinstance(s.target, ast.Name)), args, strict=False))
    given.update(kwargs)
    for statement in fields:
        assert isinstance(statement.target, ast.Name)
        name = statement.target.id
        if name in given:
            instance.attributes[name] = given[name]
        elif statement.value is not None:
            instance.attributes[name] = _field_default(interpreter, statement.value)
    method = interpreter.class_attribute(instance, cls, "__post_init__", cls.node)
    if isinstance(method, Function):
        call_function(interpreter, method, [], {}, cls.node)


def _field_default(interpreter: Interpreter, node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and dotted_name(node.func).split(".")[-1] == "field":
        for keyword in node.keywords:
            if keyword.arg == "default":
                return interpreter.evaluate(keyword.value)
            if keyword.arg == "default_factory":
                return interpreter.call(interpreter.evaluate(keyword.value), [], {}, node)
        return UNKNOWN
    return interpreter.evaluate(node)


def _is_generator(interpreter: Interpreter, node: ast.AST) -> bool:
    """True for a def with a yield of its own."""
    known: dict[ast.AST, bool] = interpreter.state.generators
    if node not in known:
        known[node] = has_yield(node)
    return known[node]
