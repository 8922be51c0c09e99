"""Expressions of the script: what each is worth, as far as it matters for memory. Pure.

This file takes an expression apart, as ast.NodeVisitor names the parts. calls.py and functions.py do its calls,
loops.py its comprehensions, operators.py its arithmetic; what is done to values is in operations/.
"""

from __future__ import annotations

import ast
import builtins
import string
from collections.abc import Callable
from typing import Any

from memguard.script import registry
from memguard.script.finder import Finder
from memguard.script.interface import Call
from memguard.script.interpreter import calls, loops, operators
from memguard.script.interpreter.classes import attribute_of_class, class_attribute, inherited
from memguard.script.interpreter.functions import call_function
from memguard.script.interpreter.modules import Modules
from memguard.script.interpreter.summaries import is_repeated
from memguard.script.joining import joined
from memguard.script.numbers import arithmetic, literal
from memguard.script.operations.access import subscript
from memguard.script.operations.command_line import argv
from memguard.script.operations.growth import append
from memguard.script.operations.inputs import one_of_many
from memguard.script.operations.tables import add_element, table_for
from memguard.script.source import Places, dotted_name
from memguard.script.state import DEEPEST, Frame, State
from memguard.script.values import (
    UNKNOWN,
    Buffer,
    Class,
    Constant,
    Function,
    Generator,
    Instance,
    Module,
    Namespace,
    Number,
    Range,
    Row,
    Sequence,
    Symbol,
    Unknown,
)

__all__ = ["IGNORED", "STAR", "Evaluator"]

# Expressions that stand only inside others, which take them apart themselves.
IGNORED = frozenset(("FormattedValue", "Interpolation", "Slice"))

# The name in a module's scope of the libraries that it imports all names of.
STAR = "*"

# Expressions that `constant_value` may look at: they change nothing.
_QUIET = (ast.Name, ast.Attribute, ast.Constant, ast.BinOp, ast.UnaryOp, ast.Subscript, ast.Load, ast.operator)


class Evaluator(ast.NodeVisitor):
    """The half of the interpreter that knows expressions. statements.py adds the other, which is declared here."""

    def __init__(self, path: str, places: Places, finder: Finder | None = None) -> None:
        self.path = path
        self.state = State(places)
        self.modules = Modules(self.state, finder, self.run_module)

    def run_module(self, tree: ast.Module) -> None:
        raise NotImplementedError

    def load_module(self, name: str, node: ast.AST) -> Any:
        raise NotImplementedError

    def inline_call(
        self, function: Function, env: dict[str, Any], yield_to: Callable[[Any], None] | None = None
    ) -> Any:
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
        state.depth += 1
        try:
            value = self.visit(node) if state.depth <= DEEPEST else state.unread(node)
        finally:
            state.depth -= 1
        del temps[mark:]
        temps.append(value)
        return value

    def generic_visit(self, node: ast.AST) -> Any:
        """An expression that Python has and this file does not: its parts are looked at, and its line is listed."""
        if type(node).__name__ in IGNORED:
            return UNKNOWN
        self.state.not_understood(node)
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr):
                self.evaluate(part)
        return self.state.unread(node)

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
        self.state.facts.imports.add(name.split(":")[0].split(".")[0])
        self.state.facts.imported.setdefault(name)

    # -- names and literals -----------------------------------------------------------------------------------

    def visit_Constant(self, node: ast.Constant) -> Any:
        value = node.value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return literal(value)
        return Constant(value)

    def visit_Name(self, node: ast.Name) -> Any:
        frame = self.state.frame
        for space in (frame.outer.get(node.id), frame.env, *frame.scopes):
            if space is not None and node.id in space:
                return space[node.id]
        if hasattr(builtins, node.id):
            return Module(f"builtins.{node.id}")
        for space in frame.scopes[-1:]:  # from numpy import *
            for library in space.get(STAR, ()):
                if registry.lookup(name := f"{library}.{node.id}") is not None:
                    return Module(name)
        return UNKNOWN

    def visit_NamedExpr(self, node: ast.NamedExpr) -> Any:
        value = self.evaluate(node.value)
        self.bind_name(node.target.id, value, node)
        return value

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Any:
        values = [self.evaluate(part.value if isinstance(part, ast.FormattedValue) else part) for part in node.values]
        text = operators.formatted(self, values, node)
        if text is not None:
            return text
        parts = [operators.spelled(value, part) for value, part in zip(values, node.values, strict=True)]
        known = None not in parts and sum(len(part or "") for part in parts) <= operators.LONGEST_TEXT
        return Constant("".join(filter(None, parts))) if known else one_of_many(values, all_of_it=True)

    def sequence_of(self, elements: list[ast.expr], mutable: bool) -> Any:
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

    def visit_Tuple(self, node: ast.Tuple) -> Any:
        return self.sequence_of(node.elts, mutable=False)

    def visit_Set(self, node: ast.Set) -> Any:
        return self.sequence_of(node.elts, mutable=True)

    def visit_List(self, node: ast.List) -> Any:
        found = self.sequence_of(node.elts, mutable=True)
        if all(isinstance(item, (Number, Unknown, Constant)) and not operators.is_text(item) for item in found.items):
            return self.state.make("list", node)
        return found

    def visit_Dict(self, node: ast.Dict) -> Any:
        keys = [UNKNOWN if key is None else self.evaluate(key) for key in node.keys]
        values = [self.evaluate(value) for value in node.values]
        return Sequence(values, keys, mutable=True, created_in=tuple(self.state.loops))

    def visit_Starred(self, node: ast.Starred) -> Any:
        return self.evaluate(node.value)

    def visit_Await(self, node: ast.Await) -> Any:
        return self.evaluate(node.value)

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        return Function(node, self.state.frame.inner_scopes)

    # -- operators --------------------------------------------------------------------------------------------

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        return operators.chain(self, node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        value = self.evaluate(node.operand)
        if isinstance(node.op, ast.Not) and isinstance(value, Constant):
            return Constant(not value.value, value.assumed)
        if isinstance(node.op, ast.USub) and isinstance(value, Number):
            return arithmetic(ast.Mult(), value, Number(-1.0)) or UNKNOWN
        return UNKNOWN

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        if isinstance(node.op, ast.And):
            return operators.all_of(self, node.values)
        values = [self.evaluate(value) for value in node.values]
        result = values[0]  # `size or 1000`: what is given, or the default
        for value in values[1:]:
            result = value if isinstance(result, Constant) and not result.value else joined(result, value)
        return result

    def visit_Compare(self, node: ast.Compare) -> Any:
        left = self.evaluate(node.left)
        rights = [self.evaluate(comparator) for comparator in node.comparators]
        return operators.compared(left, node.ops[0], rights[0]) if len(rights) == 1 else UNKNOWN

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        test = self.evaluate(node.test)
        if isinstance(test, Constant) and isinstance(test.value, bool) and not test.assumed:
            return self.evaluate(node.body if test.value else node.orelse)
        return joined(self.evaluate(node.body), self.evaluate(node.orelse))

    # -- members ----------------------------------------------------------------------------------------------

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        if isinstance(node.value, ast.Call) and dotted_name(node.value.func) == "super":
            found = inherited(self, node.attr, node)
            if found is not None:
                return found
        owner = self.evaluate(node.value)
        return self.attribute(owner, node.attr, node)

    def member_of_module(self, name: str) -> Any:
        library, _, rest = name.partition(".")
        if library == "string" and isinstance(known := getattr(string, rest, None), str):
            return Constant(known)  # string.ascii_letters
        words = self.state.words
        return argv(self.path, words) if name == "sys.argv" and words is not None else Module(name)

    def attribute(self, owner: Any, name: str, node: ast.AST) -> Any:
        if isinstance(owner, Module):
            return self.member_of_module(f"{owner.name}.{name}")
        if isinstance(owner, Namespace):
            return owner.env.get(name, UNKNOWN)
        if isinstance(owner, Instance):
            if name in owner.attributes:
                return owner.attributes[name]
            if isinstance(owner.cls, Class):
                return self.class_attribute(owner, owner.cls, name, node)
        if isinstance(owner, Class):
            return attribute_of_class(self, owner, name)
        if isinstance(owner, (Buffer, Row)) and name in ("size", "shape", "nbytes", "num_rows"):
            of = owner if isinstance(owner, Buffer) else None
            return Number(0.0, Symbol(f"size {self.state.site(node)}", of, "sum"))
        if isinstance(owner, (Unknown, Function, Range)):
            return UNKNOWN
        if isinstance(owner, Row):
            self.state.facts.columns.setdefault(name)
        return registry.attribute_of(Call(self, [], {}, node, name, owner))

    def class_attribute(self, owner: Instance, cls: Class, name: str, node: ast.AST) -> Any:
        return class_attribute(self, owner, cls, name, node)

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        return subscript(self, self.evaluate(node.value), node)

    def enter_context(self, value: Any) -> Any:
        """What `with value as …` gives."""
        if isinstance(value, Instance) and isinstance(value.cls, Class):
            method = self.class_attribute(value, value.cls, "__enter__", value.cls.node)
            if isinstance(method, Function):
                return call_function(self, method, [], {}, value.cls.node)
        if isinstance(value, Generator):  # @contextmanager
            found: list[Any] = []
            value.run(found.append)
            return found[0] if found else UNKNOWN
        return value

    # -- loops ------------------------------------------------------------------------------------------------

    def iterate(self, value: Any, body: Callable[[Any], None], node: ast.AST) -> None:
        loops.iterate(self, value, body, node)

    def iterate_twice(
        self,
        node: ast.AST,
        element: Callable[[int], Any],
        body: Callable[[Any], None],
        count: float | None = None,
        consumes_input: bool = True,
    ) -> None:
        loops.iterate_twice(self, node, element, body, count, consumes_input)

    def visit_ListComp(self, node: ast.ListComp) -> Any:
        result = self.state.hold("list", node)
        loops.comprehension(self, node.generators, lambda: append(self, result, self.evaluate(node.elt), node))
        return result

    def visit_SetComp(self, node: ast.SetComp) -> Any:
        result = self.state.hold("list", node)
        result.refs.append(table_for(self, result, "set", 1, node))
        loops.comprehension(self, node.generators, lambda: add_element(self, result, self.evaluate(node.elt), node))
        return result

    def visit_DictComp(self, node: ast.DictComp) -> Any:
        return loops.dict_comprehension(self, node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> Any:
        frame = self.state.frame
        first = self.evaluate(node.generators[0].iter)

        def run(consume: Callable[[Any], None]) -> None:
            caller, self.state.frame = self.state.frame, frame
            try:
                loops.comprehension(
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

    def visit_Yield(self, node: ast.Yield) -> Any:
        value = Constant(None) if node.value is None else self.evaluate(node.value)
        consume = self.state.frame.yield_to
        if consume is not None and not is_repeated(self.state, value):
            consume(value)
        return UNKNOWN

    def visit_YieldFrom(self, node: ast.YieldFrom) -> Any:
        consume = self.state.frame.yield_to
        value = self.evaluate(node.value)
        if consume is not None and not is_repeated(self.state, value):
            self.iterate(value, consume, node)
        return UNKNOWN

    # -- calls ------------------------------------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> Any:
        function = self.evaluate(node.func)
        args, kwargs = calls.arguments(self, node)
        return self.call(function, args, kwargs, node)

    def call(self, function: Any, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        return calls.call(self, function, args, kwargs, node)
