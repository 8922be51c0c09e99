"""What a class of the script, or an instance of one, has under a name: as it or a base defines it. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from memguard.script.interface import Interpreter
from memguard.script.interpreter.functions import call_function
from memguard.script.source import dotted_name
from memguard.script.values import UNKNOWN, Class, Function, Instance, Method, Module

__all__ = ["attribute_of_class", "class_attribute", "inherited"]

_BARE = ("builtins.object", "abc.ABC", "typing.Generic", "typing.Protocol")


def class_attribute(interpreter: Interpreter, owner: Instance, cls: Class, name: str, node: ast.AST) -> Any:
    value = _defined(interpreter, [cls], name)
    if value is None:
        return Method(owner, name)
    return _bound(interpreter, owner, value, node) if isinstance(value, Function) else value


def attribute_of_class(interpreter: Interpreter, cls: Class, name: str) -> Any:
    """Cls.name: a @classmethod has the class already."""
    value = _defined(interpreter, [cls], name)
    if isinstance(value, Function) and "classmethod" in _decorators(value):
        return Function(value.node, value.scopes, cls)
    return UNKNOWN if value is None else value


def inherited(interpreter: Interpreter, name: str, node: ast.AST) -> Any:
    """super().name: as a base of the running method's class defines it; None where that is not known."""
    frame = interpreter.state.frame
    spec = getattr(frame.node, "args", None)
    first = [*spec.posonlyargs, *spec.args][:1] if isinstance(spec, ast.arguments) else []
    owner = frame.env.get(first[0].arg) if first else None
    cls = owner.cls if isinstance(owner, Instance) else owner
    if not isinstance(cls, Class):
        return None
    defining = next((c for c in _family(interpreter, [cls]) if _has(c, frame.node)), None)
    if defining is None or not all(isinstance(c, Class) for c in _ancestors(interpreter, defining)):
        return None
    value = _defined(interpreter, list(defining.bases), name)
    if value is None:  # object's own
        return Module("builtins.object")
    if not isinstance(value, Function):
        return value
    if isinstance(owner, Instance):
        return _bound(interpreter, owner, value, node)
    return Function(value.node, value.scopes, cls)


def _defined(interpreter: Interpreter, classes: list[Any], name: str) -> Any:
    """What the first of `classes` or their bases has under `name`; None where none has it."""
    return next((cls.scope[name] for cls in _family(interpreter, classes) if name in cls.scope), None)


def _family(interpreter: Interpreter, classes: list[Any]) -> Iterator[Class]:
    """`classes` and their bases that the script defines, each once, the nearest first."""
    todo = list(classes)
    seen: set[int] = set()
    while todo:
        found = todo.pop(0)
        if not isinstance(found, Class) or id(found) in seen:
            continue
        interpreter.state.spend()
        seen.add(id(found))
        yield found
        todo += found.bases


def _ancestors(interpreter: Interpreter, cls: Class) -> list[Any]:
    """Every base there is above `cls`, but those that have nothing of their own."""
    bases = [base for found in _family(interpreter, [cls]) for base in found.bases]
    return [base for base in bases if not (isinstance(base, Module) and base.name in _BARE)]


def _has(cls: Class, node: ast.AST) -> bool:
    return any(isinstance(value, Function) and value.node is node for value in cls.scope.values())


def _decorators(function: Function) -> list[str]:
    return [dotted_name(d) for d in getattr(function.node, "decorator_list", [])]


def _bound(interpreter: Interpreter, owner: Instance, function: Function, node: ast.AST) -> Any:
    decorators = _decorators(function)
    if "staticmethod" in decorators:
        return function
    if "classmethod" in decorators:
        return Function(function.node, function.scopes, owner.cls)
    bound = Function(function.node, function.scopes, owner)
    if any(d.split(".")[-1] in ("property", "cached_property") for d in decorators):
        return call_function(interpreter, bound, [], {}, node)
    return bound
