"""Calls of the script: their arguments, and who answers for what is called. Pure.

The script's own functions and classes are followed (functions.py); everything else has a model in the registry, or
counts as unknown there.
"""

from __future__ import annotations

import ast
from typing import Any

from memguard.script import registry
from memguard.script.interface import Call, Interpreter
from memguard.script.interpreter.functions import call_function, make_instance
from memguard.script.joining import joined
from memguard.script.values import UNKNOWN, Choice, Class, Encoder, Function, Instance, Method, Module, Number, Sequence

__all__ = ["arguments", "call"]


def arguments(interpreter: Interpreter, node: ast.Call) -> tuple[list[Any], dict[str, Any]]:
    """Positional and named ones, as far as *args and **kwargs are known."""
    args: list[Any] = []
    for argument in node.args:
        value = interpreter.evaluate(argument.value if isinstance(argument, ast.Starred) else argument)
        if isinstance(argument, ast.Starred) and isinstance(value, Sequence):
            args += value.items
        else:
            args.append(value)
    kwargs = {k.arg: interpreter.evaluate(k.value) for k in node.keywords if k.arg is not None}
    for keyword in node.keywords:
        if keyword.arg is None:
            _add_named(kwargs, interpreter.evaluate(keyword.value))
    return args, kwargs


def _add_named(kwargs: dict[str, Any], value: Any) -> None:
    """**value: by name where its keys are known; what is not is an argument of no known name."""
    if isinstance(value, Sequence) and value.keys is not None:
        for index, (key, item) in enumerate(zip(value.keys, value.items, strict=False)):
            name = getattr(key, "value", None)
            kwargs.setdefault(name if isinstance(name, str) else f"**{index}", item)
    elif value is not UNKNOWN:
        kwargs["**"] = value


def call(interpreter: Interpreter, function: Any, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
    """The result of calling `function`, whatever it is."""
    if isinstance(function, Function):
        result = call_function(interpreter, function, args, kwargs, node)
        for command in function.commands:
            call(interpreter, command, [], {}, node)
        return result
    if isinstance(function, Choice):
        return _one_of(interpreter, function, args, kwargs, node)
    if isinstance(function, Class):
        return make_instance(interpreter, function, args, kwargs, node)
    if isinstance(function, Module):
        return registry.call_function(Call(interpreter, args, kwargs, node, function.name))
    if isinstance(function, Method):
        if isinstance(function.owner, Number):
            return function.owner
        return registry.call_method(Call(interpreter, args, kwargs, node, function.name, function.owner))
    if isinstance(function, Encoder):
        return registry.call_method(Call(interpreter, args, kwargs, node, "__call__", function))
    if isinstance(function, Instance) and registry.lookup_method(function, "__call__") is not None:
        return registry.call_method(Call(interpreter, args, kwargs, node, "__call__", function))
    if isinstance(function, Instance) and isinstance(function.cls, Class):
        method = interpreter.class_attribute(function, function.cls, "__call__", node)
        if isinstance(method, Function):
            return call_function(interpreter, method, args, kwargs, node)
    return registry.unknown(Call(interpreter, [function, *args], kwargs, node))


def _one_of(interpreter: Interpreter, choice: Choice, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
    """Each from the same state, as the ways of a branch."""
    state = interpreter.state
    before = state.save()
    result: Any = UNKNOWN
    for number, function in enumerate(choice.items):
        after = state.save()
        state.restore(before)
        found = call(interpreter, function, args, kwargs, node)
        if number:
            state.join(after)
        result = joined(result, found)
    return result
