"""Expressions of the script: what each is worth, as far as it matters for memory. Pure.

script_calls.py knows the functions of libraries, script_methods.py the methods of values, script_loops.py how one
goes round; this file puts them together.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from typing import Any

from memguard.script.interpreter import calls as script_calls
from memguard.script.interpreter import functions as script_functions
from memguard.script.interpreter import loops as script_loops
from memguard.script.interpreter import operators as script_operators
from memguard.script.models import methods as script_methods
from memguard.script.numbers import arithmetic, literal
from memguard.script.operations import elements as script_members
from memguard.script.operations import growth as script_lists
from memguard.script.source import dotted_name
from memguard.script.state import DEEPEST, Frame, State, joined
from memguard.script.values import (
    UNKNOWN,
    Buffer,
    Class,
    Constant,
    Encoder,
    File,
    Function,
    Generator,
    Instance,
    Method,
    Module,
    Number,
    Path,
    Pool,
    Row,
    Sequence,
    Symbol,
    Unknown,
)

__all__ = ["Evaluator"]

# Expressions that `constant_value` may look at: they change nothing.
_QUIET = (ast.Name, ast.Attribute, ast.Constant, ast.BinOp, ast.UnaryOp, ast.Subscript, ast.Load, ast.operator)


class Evaluator:
    def __init__(self, path: str) -> None:
        self.path = path
        self.state = State()
        self.ended_early: set[ast.If] = set()

    # Defined by Reader, which knows statements.
    def run(self, body: list[ast.stmt]) -> str:
        raise NotImplementedError

    def inline_call(self, function: Function, env: dict[str, Any], consume: Callable[[Any], None] | None = None) -> Any:
        raise NotImplementedError

    def assign(self, target: ast.expr, value: Any) -> None:
        raise NotImplementedError

    def bind_name(self, name: str, value: Any, node: ast.AST) -> None:
        raise NotImplementedError

    # -- entry ------------------------------------------------------------------------------------------------

    def evaluate(self, node: ast.expr) -> Any:
        """The value; it stays at hand (alive) until the expression or statement around it is done."""
        state = self.state
        state.spend(2)
        temps = state.temps
        mark = len(temps)
        handler = getattr(self, f"_{type(node).__name__}", None)
        state.depth += 1
        try:
            value = UNKNOWN if handler is None else handler(node) if state.depth <= DEEPEST else state.unread(node)
        finally:
            state.depth -= 1
        del temps[mark:]
        temps.append(value)
        return value

    def constant_value(self, node: ast.expr) -> Any:
        """The value of an expression that changes nothing; UNKNOWN for others."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call):
                if not (isinstance(inner.func, ast.Name) and inner.func.id in ("len", "int")):
                    return UNKNOWN
            elif not isinstance(inner, _QUIET):
                return UNKNOWN
        mark = len(self.state.temps)
        value = self.evaluate(node)
        del self.state.temps[mark:]
        return value

    def import_module(self, name: str) -> None:
        self.state.facts.setdefault("imports", set()).add(name.split(".")[0])

    # -- names and literals -----------------------------------------------------------------------------------

    def _Constant(self, node: ast.Constant) -> Any:  # noqa: N802 (named after the ast class)
        value = node.value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return literal(value)
        return Constant(value)

    def _Name(self, node: ast.Name) -> Any:  # noqa: N802
        frame = self.state.frame
        for space in (frame.outer.get(node.id), frame.env, *frame.scopes):
            if space is not None and node.id in space:
                return space[node.id]
        return Module(f"builtins.{node.id}") if hasattr(builtins, node.id) else UNKNOWN

    def _NamedExpr(self, node: ast.NamedExpr) -> Any:  # noqa: N802
        value = self.evaluate(node.value)
        self.bind_name(node.target.id, value, node)
        return value

    def _JoinedStr(self, node: ast.JoinedStr) -> Any:  # noqa: N802
        parts = []
        for part in node.values:
            value = self.evaluate(part.value if isinstance(part, ast.FormattedValue) else part)
            parts.append(str(value.value) if isinstance(value, Constant) else None)
        known = None not in parts and sum(len(part or "") for part in parts) <= script_operators.LONGEST_TEXT
        return Constant("".join(filter(None, parts))) if known else Path()

    def _sequence(self, elements: list[ast.expr], mutable: bool) -> Any:
        items: list[Any] = []
        for element in elements:
            if isinstance(element, ast.Starred):
                value = self.evaluate(element.value)
                if isinstance(value, Sequence):
                    self.state.spend(len(value.items))
                    items += value.items
                    continue
                items.append(value)
            else:
                items.append(self.evaluate(element))
        return Sequence(items, mutable=mutable)

    def _Tuple(self, node: ast.Tuple) -> Any:  # noqa: N802
        return self._sequence(node.elts, mutable=False)

    _Set = _Tuple

    def _List(self, node: ast.List) -> Any:  # noqa: N802
        found = self._sequence(node.elts, mutable=True)
        if all(
            isinstance(item, (Number, Unknown, Constant)) and not script_operators.is_text(item) for item in found.items
        ):
            return self.state.make("list", node)
        return found

    def _Dict(self, node: ast.Dict) -> Any:  # noqa: N802
        keys = [UNKNOWN if key is None else self.evaluate(key) for key in node.keys]
        return Sequence([self.evaluate(value) for value in node.values], keys, mutable=True)

    def _Starred(self, node: ast.Starred) -> Any:  # noqa: N802
        return self.evaluate(node.value)

    def _Await(self, node: ast.Await) -> Any:  # noqa: N802
        return self.evaluate(node.value)

    def _Lambda(self, node: ast.Lambda) -> Any:  # noqa: N802
        frame = self.state.frame
        return Function(node, (frame.env, *frame.scopes))

    # -- operators --------------------------------------------------------------------------------------------

    def _BinOp(self, node: ast.BinOp) -> Any:  # noqa: N802
        return script_operators.chain(self, node)

    def binary(self, op: ast.operator, left: Any, right: Any, node: ast.AST) -> Any:
        return script_operators.binary(self, op, left, right, node)

    def _UnaryOp(self, node: ast.UnaryOp) -> Any:  # noqa: N802
        value = self.evaluate(node.operand)
        if isinstance(node.op, ast.Not) and isinstance(value, Constant):
            return Constant(not value.value)
        if isinstance(node.op, ast.USub) and isinstance(value, Number):
            return arithmetic(ast.Mult(), value, Number(-1.0)) or UNKNOWN
        return UNKNOWN

    def _BoolOp(self, node: ast.BoolOp) -> Any:  # noqa: N802
        values = [self.evaluate(value) for value in node.values]
        if isinstance(node.op, ast.Or):  # `size or 1000`: what is given, or the default
            result = values[0]
            for value in values[1:]:
                result = value if isinstance(result, Constant) and not result.value else joined(result, value)
            return result
        return UNKNOWN

    def _Compare(self, node: ast.Compare) -> Any:  # noqa: N802
        left = self.evaluate(node.left)
        rights = [self.evaluate(comparator) for comparator in node.comparators]
        if len(rights) == 1 and isinstance(left, Constant) and isinstance(rights[0], Constant):
            same = left.value == rights[0].value
            if isinstance(node.ops[0], (ast.Eq, ast.Is)):
                return Constant(same)
            if isinstance(node.ops[0], (ast.NotEq, ast.IsNot)):
                return Constant(not same)
        return UNKNOWN

    def _IfExp(self, node: ast.IfExp) -> Any:  # noqa: N802
        test = self.evaluate(node.test)
        if isinstance(test, Constant) and isinstance(test.value, bool):
            return self.evaluate(node.body if test.value else node.orelse)
        return joined(self.evaluate(node.body), self.evaluate(node.orelse))

    # -- members ----------------------------------------------------------------------------------------------

    def _Attribute(self, node: ast.Attribute) -> Any:  # noqa: N802
        owner = self.evaluate(node.value)
        return self.attribute(owner, node.attr, node)

    def attribute(self, owner: Any, name: str, node: ast.AST) -> Any:
        if isinstance(owner, Module):
            return Module(f"{owner.name}.{name}")
        if isinstance(owner, Instance):
            if name in owner.attributes:
                return owner.attributes[name]
            if isinstance(owner.cls, Class):
                return self.class_attribute(owner, owner.cls, name, node)
            return Method(owner, name)
        if isinstance(owner, Class):
            return owner.scope.get(name, UNKNOWN)
        if isinstance(owner, (Buffer, Row)) and name in ("size", "shape", "nbytes", "num_rows"):
            return Number(0.0, Symbol(id(owner) & 0xFFFFFFFF, owner if isinstance(owner, Buffer) else None, "sum"))
        if isinstance(owner, Path):
            return script_methods.path_attribute(owner, name)
        if isinstance(owner, Encoder) and name in ("eot_token", "n_vocab", "eos_token_id", "vocab_size"):
            return UNKNOWN
        if isinstance(owner, (Buffer, Row, File, Encoder, Pool, Sequence, Generator, Constant, Number, Method)):
            return Method(owner, name)
        return UNKNOWN

    def class_attribute(self, owner: Instance, cls: Class, name: str, node: ast.AST) -> Any:
        todo: list[Any] = [cls]
        seen: set[int] = set()
        while todo:
            found = todo.pop(0)
            if not isinstance(found, Class) or id(found) in seen:
                continue
            self.state.spend()
            seen.add(id(found))
            if name in found.scope:
                value = found.scope[name]
                if not isinstance(value, Function):
                    return value
                return self._bound(owner, value, node)
            todo += found.bases
        return Method(owner, name)

    def _bound(self, owner: Instance, function: Function, node: ast.AST) -> Any:
        decorators = [dotted_name(d) for d in getattr(function.node, "decorator_list", [])]
        if "staticmethod" in decorators:
            return function
        bound = Function(function.node, function.scopes, owner)
        if any(d.split(".")[-1] in ("property", "cached_property") for d in decorators):
            return script_functions.call_function(self, bound, [], {}, node)
        return bound

    def _Subscript(self, node: ast.Subscript) -> Any:  # noqa: N802
        return script_members.subscript(self, self.evaluate(node.value), node)

    def member(self, value: Any, index: int, node: ast.AST) -> Any:
        return script_members.member(self, value, index, node)

    def store(self, target: ast.Subscript, value: Any) -> None:
        script_members.store(self, self.evaluate(target.value), target, value)

    def extend(self, buffer: Buffer, value: Any, node: ast.AST) -> None:
        script_lists.extend(self, buffer, value, node)

    def clear(self, buffer: Buffer, node: ast.AST) -> None:
        script_lists.clear(self, buffer, node)

    def grown_copy(self, old: Buffer, value: Any, node: ast.AST) -> Any:
        return script_lists.grown_copy(self, old, value, node)

    def enter_context(self, value: Any) -> Any:
        """What `with value as …` gives."""
        if isinstance(value, Instance) and isinstance(value.cls, Class):
            method = self.class_attribute(value, value.cls, "__enter__", value.cls.node)
            if isinstance(method, Function):
                return script_functions.call_function(self, method, [], {}, value.cls.node)
        if isinstance(value, Generator):  # @contextmanager
            found: list[Any] = []
            value.run(found.append)
            return found[0] if found else UNKNOWN
        return value

    # -- loops ------------------------------------------------------------------------------------------------

    def iterate(self, value: Any, body: Callable[[Any], None], node: ast.AST) -> None:
        script_loops.iterate(self, value, body, node)

    def _ListComp(self, node: ast.ListComp | ast.SetComp) -> Any:  # noqa: N802
        result = self.state.make("list", node)
        self.state.temps.append(result)
        script_loops.comprehension(
            self, node.generators, lambda: script_lists.append(self, result, self.evaluate(node.elt), node)
        )
        return result

    _SetComp = _ListComp

    def _DictComp(self, node: ast.DictComp) -> Any:  # noqa: N802
        result = self.state.make("list", node)
        self.state.temps.append(result)

        def add() -> None:
            self.evaluate(node.key)
            script_lists.append(self, result, self.evaluate(node.value), node)

        script_loops.comprehension(self, node.generators, add)
        return result if result.kind != "list" else UNKNOWN

    def _GeneratorExp(self, node: ast.GeneratorExp) -> Any:  # noqa: N802
        frame = self.state.frame
        first = self.evaluate(node.generators[0].iter)

        def run(consume: Callable[[Any], None]) -> None:
            caller, self.state.frame = self.state.frame, frame
            try:
                script_loops.comprehension(
                    self, node.generators, lambda: self.yield_to(consume, self.evaluate(node.elt), caller), first
                )
            finally:
                self.state.frame = caller

        return Generator(run, (first,))

    def yield_to(self, consume: Callable[[Any], None], value: Any, caller: Frame) -> None:
        """Hands `value` to who iterates, in that one's own scope."""
        inner, self.state.frame = self.state.frame, caller
        try:
            consume(value)
        finally:
            self.state.frame = inner

    def _Yield(self, node: ast.Yield) -> Any:  # noqa: N802
        value = Constant(None) if node.value is None else self.evaluate(node.value)
        consume = self.state.frame.yield_to
        if consume is not None:
            consume(value)
        return UNKNOWN

    def _YieldFrom(self, node: ast.YieldFrom) -> Any:  # noqa: N802
        consume = self.state.frame.yield_to
        if consume is not None:
            self.iterate(self.evaluate(node.value), consume, node)
        return UNKNOWN

    # -- calls ------------------------------------------------------------------------------------------------

    def _Call(self, node: ast.Call) -> Any:  # noqa: N802
        function = self.evaluate(node.func)
        args: list[Any] = []
        for argument in node.args:
            value = self.evaluate(argument.value if isinstance(argument, ast.Starred) else argument)
            if isinstance(argument, ast.Starred) and isinstance(value, Sequence):
                args += value.items
            else:
                args.append(value)
        kwargs = {k.arg: self.evaluate(k.value) for k in node.keywords if k.arg is not None}
        for keyword in node.keywords:
            if keyword.arg is None:
                self.evaluate(keyword.value)
        return self.call(function, args, kwargs, node)

    def call(self, function: Any, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        """The result of calling `function`, whatever it is."""
        if isinstance(function, Function):
            return script_functions.call_function(self, function, args, kwargs, node)
        if isinstance(function, Class):
            return script_functions.make_instance(self, function, args, kwargs, node)
        if isinstance(function, Method):
            return script_methods.call(self, function, args, kwargs, node)
        if isinstance(function, Module):
            return script_calls.call(self, function.name, args, kwargs, node)
        if isinstance(function, Encoder):
            return script_methods.call(self, Method(function, "__call__"), args, kwargs, node)
        if isinstance(function, Instance) and isinstance(function.cls, Class):
            method = self.class_attribute(function, function.cls, "__call__", node)
            if isinstance(method, Function):
                return script_functions.call_function(self, method, args, kwargs, node)
        return script_calls.unknown(self, args, kwargs, node)
