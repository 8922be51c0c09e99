"""Statements: names bound in order, both ways of a branch, loops until nothing changes, tries. Pure."""

from __future__ import annotations

import ast

from memguard.script.flow.blocks import Blocks
from memguard.script.flow.engine import Scope
from memguard.script.flow.values import (
    KEYS,
    MEMBERS,
    NONE,
    OTHER,
    PLACED,
    UNKNOWN,
    Entity,
    Value,
)
from memguard.script.source import dotted_name

__all__ = ["Follower"]

# Decorators that leave a function what it is, or call it as one would expect.
_PLAIN = frozenset(
    (
        *("staticmethod", "classmethod", "property", "functools.lru_cache", "functools.cache", "functools.wraps"),
        *("functools.cached_property", "contextlib.contextmanager", "atexit.register", "abc.abstractmethod"),
        *("dataclasses.dataclass", "typing.overload", "torch.no_grad", "functools.total_ordering"),
    )
)
_PLAIN_BASES = frozenset(
    (
        *("builtins.object", "typing.NamedTuple", "abc.ABC", "enum.Enum", "typing.Protocol", "typing.Generic"),
        *("builtins.Exception", "builtins.ValueError", "builtins.RuntimeError"),
    )
)


class Follower(Blocks, ast.NodeVisitor):
    """Reads a module, and functions, in rounds: see read.py."""

    def run_module(self) -> None:
        with self.inside_of(self.module, {}):
            self.block(self.tree.body)

    def run_function(self, function: Entity) -> None:
        """Its body, with all that its calls gave it."""
        node, state, scope = function.node, self.state_of(function), function.scope
        assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        spec = node.args
        names = [p.arg for p in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]
        starred = [p.arg for p in (spec.vararg, spec.kwarg) if p is not None]
        env: dict[str, Value] = {}
        for name in names:
            given = state.params.get(name, set())
            env[name] = frozenset(given | {UNKNOWN} if state.outside else given)
        for name in starred:
            env[name] = frozenset(state.params.get(name, ()))
        scope.bound.update(env)
        with self.inside_of(scope, env):
            for name, values in env.items():
                self.bind(name, values)
            self.inside.append(node)
            if isinstance(node, ast.Lambda):
                self.grow(state.returns, self.ev(node.body))
            else:
                _declare(self, scope, node)
                self.block(node.body)
                if self.reached:
                    self.grow(state.returns, (NONE,))
            self.inside.pop()
        if state.yields and state.returns:
            self.escape(frozenset(state.returns), "returned to code that is not known: by a generator", node)
        if state.outside:
            self.escape(frozenset(state.returns | state.yields), "returned to code that is not known", node)

    # -- simple statements ------------------------------------------------------------------------------------

    def generic_visit(self, node: ast.AST) -> None:
        """A statement that this file does not know: whatever it gets is let go."""
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr):
                self.escape(self.ev(part), "a statement that is not known", node, part)

    def visit_Pass(self, node: ast.Pass) -> None:
        pass

    def visit_Global(self, node: ast.Global) -> None:
        pass  # _declare has

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        pass

    def visit_Expr(self, node: ast.Expr) -> None:
        self.ev(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        values = self.ev(node.value)
        for target in node.targets:
            self.assign(target, values, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.assign(node.target, self.ev(node.value), node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        sign = self.sign(node.op)
        right = self.ev(node.value)
        old = self.ev_target(node.target)
        self.use(old, f"{sign}=", node, node.target)
        self.use(right, f"{sign}= right", node, node.value)
        self.expose(right, old, node, node.value)
        self.expose(old, frozenset(t for t in right if t.kind == "instance"), node, node.target)
        kept: set[Entity] = set()
        for thing in old:
            if thing.kind == "list" and sign == "+":
                self.put(thing, MEMBERS, self.members(right))
                kept.add(thing)
            elif thing.kind in ("set", "dict"):
                self.put(thing, KEYS, self.members(right))
                self.put(thing, MEMBERS, {v for t in right for f in t.fields.values() for v in f})
                kept.add(thing)
            else:
                kept |= self.binary(frozenset((thing,)), node.op, right, node)
        self.assign(node.target, frozenset(kept), node.value, counted=True)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.scope.env.pop(target.id, None)
            elif isinstance(target, ast.Subscript):
                owner = self.ev(target.value)
                self.index(target.slice)
                self.use(owner, "del [:]" if _from_the_start(target.slice) else "del []", node, target.value)
            elif isinstance(target, ast.Attribute):
                self.ev(target.value)

    def visit_Return(self, node: ast.Return) -> None:
        values = frozenset((NONE,)) if node.value is None else self.ev(node.value)
        if self.inside:
            state = self.functions.get(self.inside[-1])
            if state is not None:
                self.grow(state.returns, values)
        self.reached = False

    def visit_Raise(self, node: ast.Raise) -> None:
        for part in (node.exc, node.cause):
            if part is not None:
                self.use_inside(self.ev(part), "raised", node, part)
        self.reached = False

    def visit_Assert(self, node: ast.Assert) -> None:
        self.test(node.test)
        if node.msg is not None:
            self.use_inside(self.ev(node.msg), "raised", node, node.msg)

    def visit_Break(self, node: ast.Break) -> None:
        if self.loops:
            self.loops[-1][0].append(self.snapshot())
        self.reached = False

    def visit_Continue(self, node: ast.Continue) -> None:
        if self.loops:
            self.loops[-1][1].append(self.snapshot())
        self.reached = False

    # -- imports and definitions ------------------------------------------------------------------------------

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            name = alias.name if alias.asname else alias.name.split(".")[0]
            self.bind(alias.asname or name, frozenset((self.module_thing(name),)))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            if alias.name == "*":
                self.close("from … import *", node)
                continue
            self.bind(alias.asname or alias.name, frozenset((self.module_thing(f"{module}.{alias.name}"),)))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._define(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._define(node)

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        function = self.function(node)
        self.defaults(function, node.args)
        values: Value = frozenset((function,))
        for decorator in reversed(node.decorator_list):
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            names = {thing.name for thing in self.ev(target) if thing.kind == "module"}
            simple = dotted_name(target).rpartition(".")[2]
            if names and names <= _PLAIN | {f"builtins.{name}" for name in _PLAIN}:
                continue
            if simple in ("setter", "getter", "deleter"):
                continue
            self.escape(values, f"decorated by {dotted_name(target)}", node)
            values = frozenset((UNKNOWN, function))
        self.bind(node.name, values)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        thing = self.thing("class", node, name=node.name)
        bases = [self.ev(base) for base in node.bases]
        self.put(thing, "bases", {b for values in bases for b in values})
        plain = True
        for decorator in node.decorator_list:
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            plain &= {found.name for found in self.ev(target)} <= _PLAIN
        scope = thing.scope or self.inner_scope(node)
        thing.scope = scope
        with self.inside_of(scope, {}):
            self.block(node.body)
            for name, values in scope.all.items():
                self.put(thing, f".{name}", values)
        known = all(b.kind == "class" or b.name in _PLAIN_BASES for values in bases for b in values)
        if not known or not plain or node.keywords:
            self.escape_class(thing)
            self.put(thing, "outside", (OTHER,))
        self.bind(node.name, frozenset((thing,)))

    # -- targets ----------------------------------------------------------------------------------------------

    def assign(self, target: ast.expr, values: Value, source: ast.expr, *, counted: bool = False) -> None:
        if isinstance(target, ast.Name):
            self.bind(target.id, values)
        elif isinstance(target, ast.Starred):
            found = self.list_of(target, "unpacked", self.members(values))
            self.assign(target.value, frozenset((found,)), source)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target, values, source)
        elif isinstance(target, ast.Attribute):
            self.store_attribute(target, values, source)
        elif isinstance(target, ast.Subscript):
            owner = self.ev(target.value)
            key = self.index(target.slice)
            if not counted:
                self.use(owner, "[] =", target, target.value)
            self.store_member(owner, key, values, target, source)

    def _unpack(self, target: ast.Tuple | ast.List, values: Value, source: ast.expr) -> None:
        self.use(values, "unpack", target, source)
        count = len(target.elts)
        starred = any(isinstance(element, ast.Starred) for element in target.elts)
        for number, element in enumerate(target.elts):
            found: set[Entity] = set()
            for thing in values:
                if thing.kind == "tuple" and not starred and len(thing.fields) == count:
                    found |= thing.fields.get(f"[{number}]", set())
                else:
                    found |= self.members(frozenset((thing,)))
            self.assign(element, frozenset(found), source)

    def store_attribute(self, target: ast.Attribute, values: Value, source: ast.expr) -> None:
        for owner in self.ev(target.value):
            if owner.kind in ("instance", "class", "function"):
                self.put(owner, f".{target.attr}", values)
                self.set_property(owner, target, values)
                outside = owner.kind == "instance" and owner.owner is not None and "outside" in owner.owner.fields
                if outside:
                    self.escape(values, "an attribute of a class whose base is not known", target, source)
            elif owner.kind in PLACED:
                self.use(frozenset((owner,)), f".{target.attr} =", target, target.value)
            elif owner.kind not in ("int", "str", "none", "number", "other"):
                self.escape(values, f"stored in {dotted_name(target)}", target, source)

    def set_property(self, owner: Entity, target: ast.Attribute, values: Value) -> None:
        """@name.setter, and __setattr__, get what is stored."""
        for name in (target.attr, "__setattr__"):
            for found in self.in_class(owner.owner, name) if owner.owner is not None else ():
                marks = [dotted_name(d) for d in getattr(found.node, "decorator_list", [])]
                given = [frozenset((owner,)), values]
                if found.kind == "function" and any(mark.endswith(".setter") for mark in marks):
                    self.call_function(found, given, {}, target)
                elif found.kind == "function" and name == "__setattr__":
                    self.call_function(found, [given[0], frozenset((UNKNOWN,)), values], {}, target)

    def store_member(self, owner: Value, key: str, values: Value, node: ast.AST, source: ast.expr) -> None:
        for thing in owner:
            if key == "[:]" and thing.kind == "list":
                self.put(thing, MEMBERS, self.members(values))
            elif thing.kind in ("dict", "list", "tuple"):
                self.put(thing, MEMBERS if thing.kind == "list" else key, values)
            elif thing.kind in ("unknown", "module", "instance"):
                self.escape(values, f"stored in {dotted_name(getattr(node, 'value', node))}", node, source)
            elif thing.kind == "array":
                self.use(values, "array [] =", node, source)
                self.use_inside(frozenset(v for v in values if v.kind not in PLACED), "array [] =", node, source)


def _declare(follower: Follower, scope: Scope, node: ast.AST) -> None:
    """global and nonlocal count from the first line of a function on, wherever they stand."""
    todo = list(ast.iter_child_nodes(node))
    while todo:
        inner = todo.pop()
        if isinstance(inner, ast.Global):
            follower.pass_on(inner.names, "global")
        elif isinstance(inner, ast.Nonlocal):
            follower.pass_on(inner.names, "nonlocal")
        elif not isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            todo += ast.iter_child_nodes(inner)


def _from_the_start(node: ast.expr) -> bool:
    return isinstance(node, ast.Slice) and node.lower is None and node.step is None
