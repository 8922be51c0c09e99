"""Calls: the script's own functions and classes, and who answers for what is called. Pure.

methods.py has the methods of lists, texts, files and tokenizers, library.py the functions of libraries.
"""

from __future__ import annotations

import ast

from memguard.script.flow.comprehensions import Comprehensions
from memguard.script.flow.library import call_library, passes
from memguard.script.flow.methods import KINDS, attribute_of, call_method
from memguard.script.flow.values import (
    BYTES,
    INT,
    JSON,
    KEYS,
    MEMBERS,
    NUMBER,
    OTHER,
    PLACED,
    STR,
    UNKNOWN,
    Entity,
    Value,
)
from memguard.script.scopes import has_yield
from memguard.script.source import dotted_name

__all__ = ["Calls"]

_BUILTIN_MEMBERS: dict[str, Entity] = {
    "text": STR,
    "texts": STR,
    "str": STR,
    "bytes": INT,
    "json": JSON,
    "array": NUMBER,
    "dataset": JSON,
    "frame": JSON,
    "path": OTHER,
}
_MOST_UNPACKED = 16  # parameters that f(*args) may give
_LIKE_FILES = frozenset(("file", "pool", "iterator", "encoder", "text"))


class Calls(Comprehensions):
    """Adds calls, attributes and iteration to what expressions.py knows."""

    def open_file(self, node: ast.AST, args: list[Value], kwargs: dict[str, Value], made: str) -> Entity:
        raise NotImplementedError

    def note_read(self, text: Entity, file: Entity | None, node: ast.AST) -> None:
        raise NotImplementedError

    def note_written(self, node: ast.AST) -> None:
        raise NotImplementedError

    # -- arguments --------------------------------------------------------------------------------------------

    def arguments(self, node: ast.Call) -> tuple[list[Value], dict[str, Value], list[ast.AST]]:
        """Positional and named ones with the nodes of both; what is unpacked by * and ** counts for each of them."""
        args: list[Value] = []
        nodes: list[ast.AST] = []
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                values = self.ev(argument.value)
                self.use(values, "*", node, argument.value)
                known = [t for t in values if t.kind == "tuple" and MEMBERS not in t.fields]
                if len(values) == 1 and known:
                    args += [frozenset(field) for field in known[0].fields.values()]
                    nodes += [argument] * len(known[0].fields)
                    continue
                args += [self.members(values)] * _MOST_UNPACKED
                nodes += [argument] * _MOST_UNPACKED
            else:
                args.append(self.ev(argument))
                nodes.append(argument)
        kwargs: dict[str, Value] = {}
        for keyword in node.keywords:
            values = self.ev(keyword.value)
            if keyword.arg is None:
                self.use(values, "**", node, keyword.value)
                inner = {v for thing in values for f in thing.fields.values() for v in f}
                kwargs["**"] = kwargs.get("**", frozenset()) | frozenset(inner or {UNKNOWN})
            else:
                kwargs[keyword.arg] = values
            nodes.append(keyword.value)
        return args, kwargs, nodes

    def call(self, node: ast.Call) -> Value:
        found: set[Entity] = set()
        if isinstance(node.func, ast.Attribute):
            owners = self.ev(node.func.value)
            args, kwargs, nodes = self.arguments(node)
            name = node.func.attr
            for owner in owners:
                if owner.kind in PLACED or owner.kind in KINDS:
                    found |= call_method(self, owner, name, args, kwargs, node, nodes)
                else:
                    functions = self.attribute(owner, name, node.func)
                    found |= self.call_value(functions, args, kwargs, node, nodes)
            return frozenset(found)
        functions = self.ev(node.func)
        args, kwargs, nodes = self.arguments(node)
        return self.call_value(functions, args, kwargs, node, nodes)

    def call_value(
        self, function: Value, args: list[Value], kwargs: dict[str, Value], node: ast.AST, nodes: list[ast.AST]
    ) -> Value:
        found: set[Entity] = set()
        for thing in function:
            found |= self._call_one(thing, args, kwargs, node, nodes)
        return frozenset(found)

    def _call_one(
        self, thing: Entity, args: list[Value], kwargs: dict[str, Value], node: ast.AST, nodes: list[ast.AST]
    ) -> Value:
        if thing.kind == "function":
            return self.call_function(thing, args, kwargs, node)
        if thing.kind == "class":
            return self.instance_of(thing, args, kwargs, node, nodes)
        if thing.kind == "partial":
            before, named = thing.scope
            assert thing.owner is not None
            return self._call_one(thing.owner, [*before, *args], {**named, **kwargs}, node, [node, *nodes])
        if thing.kind == "method" and thing.owner is not None:
            if thing.owner.kind == "instance":
                function = thing.scope
                return self.call_function(function, [frozenset((thing.owner,)), *args], kwargs, node)
            return call_method(self, thing.owner, thing.name, args, kwargs, node, nodes)
        if thing.kind == "module":
            return call_library(self, thing.name, args, kwargs, node, nodes)
        if thing.kind == "instance":
            found = [t for t in self.attribute(thing, "__call__", node) if t.kind == "method"]
            if found:
                return self.call_value(frozenset(found), args, kwargs, node, nodes)
        if thing.kind == "tokenizer":
            return call_method(self, thing, "__call__", args, kwargs, node, nodes)
        return self.call_unknown(args, kwargs, node, nodes, dotted_name(getattr(node, "func", node)))

    def call_unknown(
        self, args: list[Value], kwargs: dict[str, Value], node: ast.AST, nodes: list[ast.AST], name: str
    ) -> Value:
        for number, values in enumerate((*args, *kwargs.values())):
            at = nodes[number] if number < len(nodes) else node
            self.escape(values, f"given to {name}", node, at)
        return frozenset((UNKNOWN,))

    # -- the script's own -------------------------------------------------------------------------------------

    def call_function(self, function: Entity, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
        spec = getattr(function.node, "args", None)
        state = self.state_of(function)
        self.changed |= not state.called
        state.called = True
        assert function.node is not None and isinstance(spec, ast.arguments)
        self.calls_of.setdefault(function.node, set()).add(node)
        names = [p.arg for p in (*spec.posonlyargs, *spec.args)]
        keywords = [p.arg for p in spec.kwonlyargs]

        def give(name: str, values: Value) -> None:
            self.grow(state.params.setdefault(name, set()), values)

        for name, values in zip(names, args, strict=False):
            give(name, values)
        if spec.vararg is not None:
            rest = self.thing("tuple", spec.vararg)
            for values in args[len(names) :]:
                self.put(rest, MEMBERS, values)
            give(spec.vararg.arg, frozenset((rest,)))
        named = self.thing("dict", spec.kwarg) if spec.kwarg is not None else None
        for name, values in kwargs.items():
            if name == "**":
                for other in (*names, *keywords):
                    give(other, values)
                if named is not None:
                    self.put(named, MEMBERS, values)
            elif name in names or name in keywords:
                give(name, values)
            elif named is not None:
                self.put(named, f"[{name!r}]", values)
        if named is not None and spec.kwarg is not None:
            give(spec.kwarg.arg, frozenset((named,)))
        return self._given_back(function)

    def _given_back(self, function: Entity) -> Value:
        state = self.state_of(function)
        if has_yield(function.node):
            assert function.node is not None
            found = self.thing("iterator", function.node)
            self.put(found, MEMBERS, state.yields)
            return frozenset((found,))
        return frozenset(state.returns)

    def instance_of(
        self, cls: Entity, args: list[Value], kwargs: dict[str, Value], node: ast.AST, nodes: list[ast.AST]
    ) -> Value:
        found = self.thing("instance", node, tag=str(id(cls)))
        found.owner = cls
        if "outside" in cls.fields:
            self.call_unknown(args, kwargs, node, nodes, cls.name)
        inits = [t for t in self.attribute(found, "__init__", node) if t.kind == "method"]
        if inits:
            self.call_value(frozenset(inits), args, kwargs, node, nodes)
        elif args or kwargs:
            self._fill_fields(found, cls, args, kwargs)
        return frozenset((found,))

    def _fill_fields(self, instance: Entity, cls: Entity, args: list[Value], kwargs: dict[str, Value]) -> None:
        """A dataclass, a NamedTuple."""
        body = getattr(cls.node, "body", [])
        names = [s.target.id for s in body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]
        for name, values in (*zip(names, args, strict=False), *kwargs.items()):
            self.put(instance, f".{name}", values)

    def attribute(self, owner: Entity, name: str, node: ast.AST) -> Value:
        """owner.name, where it is not called at once."""
        if owner.kind == "module":
            return frozenset((self.module_thing(f"{owner.name}.{name}"),))
        if owner.kind == "instance" and owner.owner is not None:
            own = set(owner.fields.get(f".{name}", ()))
            return frozenset(own | self._of_class(owner, owner.owner, name, node))
        if owner.kind == "class":
            found = self.in_class(owner, name)
            return frozenset(found or {UNKNOWN})
        if owner.kind == "function":
            return frozenset(owner.fields.get(f".{name}", {OTHER}))
        return attribute_of(self, owner, name, node)

    def in_class(self, cls: Entity, name: str) -> set[Entity]:
        todo, seen, found = [cls], set(), set()
        while todo:
            at = todo.pop(0)
            if at in seen or at.kind != "class":
                continue
            seen.add(at)
            found |= at.fields.get(f".{name}", set())
            todo += at.fields.get("bases", ())
        return found

    def _of_class(self, instance: Entity, cls: Entity, name: str, node: ast.AST) -> set[Entity]:
        result: set[Entity] = set()
        for value in self.in_class(cls, name):
            if value.kind != "function":
                result |= self._field(instance, value, name)
                continue
            decorators = {dotted_name(d) for d in getattr(value.node, "decorator_list", [])}
            if "staticmethod" in decorators:
                result.add(value)
            elif decorators & {"property", "cached_property", "functools.cached_property"}:
                result |= self.call_function(value, [frozenset((instance,))], {}, node)
            else:
                bound = self.thing("method", value.node or node, name=name, tag=str(id(instance)))
                bound.owner, bound.scope = instance, value
                if "classmethod" in decorators:
                    bound.owner = instance
                result.add(bound)
        return result

    def _field(self, instance: Entity, value: Entity, name: str) -> set[Entity]:
        """`ids: list = field(default_factory=list)`: each instance has one of its own, all at the same place."""
        return set(value.fields[MEMBERS]) if value.kind == "field" else {value}

    # -- going round ------------------------------------------------------------------------------------------

    def members(self, values: Value) -> Value:
        """What iterating over `values` gives."""
        found: set[Entity] = set()
        for thing in values:
            if thing.kind in ("list", "iterator"):
                found |= thing.fields.get(MEMBERS, set())
            elif thing.kind in ("dict", "set"):
                found |= thing.fields.get(KEYS, set())
            elif thing.kind == "tuple":
                found |= {value for field in thing.fields.values() for value in field}
            elif thing.kind == "file":
                found.add(BYTES if "b" in thing.name else STR)
            elif thing.kind in _BUILTIN_MEMBERS:
                found.add(_BUILTIN_MEMBERS[thing.kind])
            elif thing.kind == "instance":
                found |= self._members_of_instance(thing)
            else:
                found.add(UNKNOWN)
        return frozenset(found)

    def _members_of_instance(self, thing: Entity) -> Value:
        found: set[Entity] = set()
        for name in ("__iter__", "__getitem__"):
            for method in self.attribute(thing, name, thing.node or self.tree):
                if method.kind == "method":
                    node = method.node or self.tree
                    given = self.call_function(method.scope, [frozenset((thing,)), frozenset((INT,))], {}, node)
                    found |= self.members(given) if name == "__iter__" else given
        return frozenset(found)

    def entered(self, values: Value, node: ast.AST) -> tuple[Value, bool]:
        """(what `with values as …` gives, whether it lets exceptions pass)"""
        found: set[Entity] = set()
        lets = True
        for thing in values:
            if thing.kind in _LIKE_FILES:
                found |= self.members(frozenset((thing,))) if thing.kind == "iterator" else {thing}
                if thing.kind in PLACED:
                    self.use(frozenset((thing,)), "with", node)
            elif thing.kind == "instance":
                for name in ("__enter__", "__exit__"):
                    bound = [t for t in self.attribute(thing, name, node) if t.kind == "method"]
                    given = self.call_value(frozenset(bound), [frozenset((UNKNOWN,))] * 3, {}, node, [])
                    found |= given if name == "__enter__" and bound else set()
                lets = False
            else:
                lets &= thing.kind in ("array", "module", "other") or passes(node)
                found.add(thing if thing.kind == "unknown" else UNKNOWN)
        return frozenset(found), lets
