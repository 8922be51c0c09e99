"""What an instance of one of the script's classes has under a name: as its class or a base defines it. Pure."""

from __future__ import annotations

import ast
from typing import Any

from memguard.script.interface import Interpreter
from memguard.script.interpreter.functions import call_function
from memguard.script.source import dotted_name
from memguard.script.values import Class, Function, Instance, Method

__all__ = ["class_attribute"]


def class_attribute(interpreter: Interpreter, owner: Instance, cls: Class, name: str, node: ast.AST) -> Any:
    todo: list[Any] = [cls]
    seen: set[int] = set()
    while todo:
        found = todo.pop(0)
        if not isinstance(found, Class) or id(found) in seen:
            continue
        interpreter.state.spend()
        seen.add(id(found))
        if name in found.scope:
            value = found.scope[name]
            if not isinstance(value, Function):
                return value
            return _bound(interpreter, owner, value, node)
        todo += found.bases
    return Method(owner, name)


def _bound(interpreter: Interpreter, owner: Instance, function: Function, node: ast.AST) -> Any:
    decorators = [dotted_name(d) for d in getattr(function.node, "decorator_list", [])]
    if "staticmethod" in decorators:
        return function
    bound = Function(function.node, function.scopes, owner)
    if any(d.split(".")[-1] in ("property", "cached_property") for d in decorators):
        return call_function(interpreter, bound, [], {}, node)
    return bound
