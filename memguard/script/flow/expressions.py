"""Expressions: what each may be, and what it does to the things in it. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from memguard.script.flow.engine import CLOSING, Engine
from memguard.script.flow.values import (
    BYTES,
    INT,
    KEYS,
    MEMBERS,
    NUMBER,
    PLACED,
    STR,
    UNKNOWN,
    Entity,
    Value,
    constant,
)

__all__ = ["Expressions"]

_SIGNS: dict[type, str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.BitOr: "|",
    ast.BitAnd: "&",
    ast.BitXor: "^",
    ast.MatMult: "@",
    ast.Eq: "==",
    ast.NotEq: "==",
    ast.Lt: "<",
    ast.LtE: "<",
    ast.Gt: "<",
    ast.GtE: "<",
    ast.Is: "is",
    ast.IsNot: "is",
    ast.In: "in",
    ast.NotIn: "in",
}
_OF_INTS = frozenset(("+", "-", "*", "//", "%", "<<", ">>", "|", "&", "^"))
_FOREIGN = frozenset(("unknown", "instance", "partial", "class", "function"))
_MAY_BE_SLICES = frozenset(("unknown", "other", "instance", "module"))
_SMALL = frozenset(("int", "number", "none", "other", "bytes"))


class Expressions(Engine):
    """ev(node): the value of an expression. calls.py adds calls."""

    def call(self, node: ast.Call) -> Value:
        raise NotImplementedError

    def call_value(
        self, function: Value, args: list[Value], kwargs: dict[str, Value], node: ast.AST, nodes: list[ast.AST]
    ) -> Value:
        raise NotImplementedError

    def attribute(self, owner: Entity, name: str, node: ast.AST) -> Value:
        raise NotImplementedError

    def assign(self, target: ast.expr, values: Value, source: ast.expr, *, counted: bool = False) -> None:
        raise NotImplementedError

    def members(self, values: Value) -> Value:
        raise NotImplementedError

    @staticmethod
    def sign(op: ast.operator | ast.cmpop) -> str:
        return _SIGNS[type(op)]

    def ev(self, node: ast.expr) -> Value:
        self.spend()
        kind = type(node).__name__
        if isinstance(node, ast.Call):
            return self.call(node)
        found: Callable[[ast.expr], Value] | None = getattr(self, f"ev_{kind.lower()}", None)
        if found is not None:
            return found(node)
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr):
                self.escape(self.ev(part), "an expression that is not known", node, part)
        return frozenset((UNKNOWN,))

    def ev_target(self, node: ast.expr) -> Value:
        """What stands in the target of an augmented assignment now."""
        if isinstance(node, ast.Subscript):
            owner = self.ev(node.value)
            key = self.index(node.slice)
            self.use(owner, "[] =", node, node.value)
            return self.member(owner, key)
        return self.ev(node)

    def test(self, node: ast.expr) -> None:
        self.use(self.ev(node), "truth", node)

    # -- names and displays -----------------------------------------------------------------------------------

    def ev_constant(self, node: ast.Constant) -> Value:
        return frozenset((constant(node.value),))

    def ev_name(self, node: ast.Name) -> Value:
        found = self.lookup(node.id)
        if node.id in CLOSING and any(thing.name == f"builtins.{node.id}" for thing in found):
            self.close(f"{node.id}()", node)
        return found

    def ev_namedexpr(self, node: ast.NamedExpr) -> Value:
        values = self.ev(node.value)
        self.bind(node.target.id, values)
        return values

    def ev_joinedstr(self, node: ast.JoinedStr) -> Value:
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.use_inside(self.ev(part.value), "f-string", node, part.value)
                if part.format_spec is not None:
                    self.ev(part.format_spec)
        return frozenset((STR,))

    def _elements(self, elements: Iterable[ast.expr], node: ast.AST) -> list[tuple[str, Value]]:
        found: list[tuple[str, Value]] = []
        for number, element in enumerate(elements):
            if isinstance(element, ast.Starred):
                values = self.ev(element.value)
                self.use(values, "*", node, element.value)
                found.append((MEMBERS, self.members(values)))
            else:
                found.append((f"[{number}]", self.ev(element)))
        return found

    def ev_tuple(self, node: ast.Tuple) -> Value:
        thing = self.thing("tuple", node)
        for field, values in self._elements(node.elts, node):
            self.put(thing, field, values)
        return frozenset((thing,))

    def ev_list(self, node: ast.List) -> Value:
        thing = self.thing("list", node, "display")
        for _, values in self._elements(node.elts, node):
            self.put(thing, MEMBERS, values)
        return frozenset((thing,))

    def ev_set(self, node: ast.Set) -> Value:
        thing = self.thing("set", node)
        for _, values in self._elements(node.elts, node):
            self.use_inside(values, "in a set", node)
            self.put(thing, KEYS, values)
        return frozenset((thing,))

    def ev_dict(self, node: ast.Dict) -> Value:
        thing = self.thing("dict", node)
        for key, value in zip(node.keys, node.values, strict=True):
            values = self.ev(value)
            if key is None:
                for other in values:
                    for field, inner in list(other.fields.items()):
                        self.put(thing, field, inner)
                continue
            keys = self.ev(key)
            self.use_inside(keys, "a key", node, key)
            self.put(thing, KEYS, keys)
            self.put(thing, self.field_of(key), values)
        return frozenset((thing,))

    def field_of(self, key: ast.expr) -> str:
        return f"[{key.value!r}]" if isinstance(key, ast.Constant) else MEMBERS

    # -- operators --------------------------------------------------------------------------------------------

    def ev_binop(self, node: ast.BinOp) -> Value:
        left, right = self.ev(node.left), self.ev(node.right)
        sign = self.sign(node.op)
        look = self.use_inside if sign == "%" else self.use
        look(left, f"{sign} left", node, node.left)
        look(right, f"{sign} right", node, node.right)
        self.expose(left, right, node, node.left)
        self.expose(right, left, node, node.right)
        return self.binary(left, node.op, right, node)

    def expose(self, values: Value, to: Value, node: ast.AST, at: ast.AST) -> None:
        """An operator of something that is not known gets `values`, too."""
        if any(thing.kind in _FOREIGN for thing in to):
            self.escape(values, "given to an operator of what is not known", node, at)

    def binary(self, left: Value, op: ast.operator, right: Value, node: ast.AST) -> Value:
        sign = self.sign(op)
        found: set[Entity] = set()
        both = left | right
        kinds = {thing.kind for thing in both}
        if not left or not right:
            return frozenset()
        if kinds <= {"int"}:
            return frozenset((INT if sign in _OF_INTS else NUMBER,))
        if sign == "%" and any(thing.kind in ("str", "bytes") for thing in left):
            found.add(STR)
        lists = [thing for thing in both if thing.kind == "list"]
        if lists and sign in ("+", "*"):
            result = self.list_of(node, sign, self.members(frozenset(lists)))
            self.made_of(result, lists)
            found.add(result)
        if "text" in kinds or "texts" in kinds or "str" in kinds:
            found.add(STR)
        if "array" in kinds or "frame" in kinds:
            found.add(self.thing("array", node))
        if "path" in kinds:
            found.add(self.thing("path", node))
        if "tuple" in kinds:
            result = self.thing("tuple", node)
            self.put(result, MEMBERS, self.members(frozenset(t for t in both if t.kind == "tuple")))
            found.add(result)
        if kinds & {"unknown", "instance", "set", "dict", "module", "tokenizer", "iterator", "method", "function"}:
            self.escape(frozenset(t for t in both if t.kind not in PLACED), f"{sign} left", node)
            found.add(UNKNOWN)
        if kinds <= _SMALL:
            found.add(BYTES if kinds & {"bytes"} else NUMBER)
        return frozenset(found or {UNKNOWN})

    def ev_unaryop(self, node: ast.UnaryOp) -> Value:
        values = self.ev(node.operand)
        if isinstance(node.op, ast.Not):
            self.use(values, "truth", node, node.operand)
            return frozenset((NUMBER,))
        self.use(values, "unary", node, node.operand)
        return values if all(thing.kind in ("int", "number") for thing in values) else frozenset((UNKNOWN,))

    def ev_boolop(self, node: ast.BoolOp) -> Value:
        found: set[Entity] = set()
        for value in node.values:
            values = self.ev(value)
            self.use(values, "truth", node, value)
            found |= values
        return frozenset(found)

    def ev_compare(self, node: ast.Compare) -> Value:
        left, at = self.ev(node.left), node.left
        for op, comparator in zip(node.ops, node.comparators, strict=True):
            sign, right = self.sign(op), self.ev(comparator)
            look = self.use if sign == "is" else self.use_inside
            look(left, sign if sign != "in" else "in left", node, at)
            look(right, sign if sign != "in" else "in right", node, comparator)
            if sign != "is":
                self.expose(left, right, node, at)
            if sign not in ("is", "in"):
                self.expose(right, left, node, comparator)
            left, at = right, comparator
        return frozenset((NUMBER,))

    def ev_ifexp(self, node: ast.IfExp) -> Value:
        self.test(node.test)
        return self.ev(node.body) | self.ev(node.orelse)

    # -- members ----------------------------------------------------------------------------------------------

    def ev_attribute(self, node: ast.Attribute) -> Value:
        found: set[Entity] = set()
        for owner in self.ev(node.value):
            if owner.kind in PLACED:
                self.use(frozenset((owner,)), f".{node.attr}", node, node.value)
            if node.attr == "__dict__":
                self.close(".__dict__", node)
            found |= self.attribute(owner, node.attr, node)
        return frozenset(found)

    def index(self, node: ast.expr) -> str:
        """The field that an index means; slices are looked at."""
        if isinstance(node, ast.Slice):
            for part in (node.lower, node.upper, node.step):
                if part is not None:
                    self.use(self.ev(part), "an index", node, part)
            return "[:]"
        values = self.ev(node)
        self.use_inside(values, "an index", node)
        return self.field_of(node)

    def ev_subscript(self, node: ast.Subscript) -> Value:
        owner = self.ev(node.value)
        key = self.index(node.slice)
        role = "[index]"
        if isinstance(node.slice, ast.Slice):
            role = "[slice]" if node.slice.step is None else "[::step]"
        self.use(owner, role, node, node.value)
        if isinstance(node.slice, ast.Slice):
            return self.sliced(owner, node)
        if not isinstance(node.slice, ast.Constant) and any(t.kind in _MAY_BE_SLICES for t in self.ev(node.slice)):
            lists = frozenset(thing for thing in owner if thing.kind in ("list", "text", "texts"))
            return self.member(owner, key) | self.sliced(lists, node)
        return self.member(owner, key)

    def sliced(self, owner: Value, node: ast.AST) -> Value:
        found: set[Entity] = set()
        for thing in owner:
            if thing.kind == "list":
                part = self.list_of(node, "slice", self.members(frozenset((thing,))))
                self.made_of(part, (thing,))
                found.add(part)
            elif thing.kind in ("text", "texts", "array"):
                part = self.thing(thing.kind, node, "slice")
                self.made_of(part, (thing,))
                found.add(part)
            elif thing.kind == "tuple":
                part = self.thing("tuple", node)
                self.put(part, MEMBERS, self.members(frozenset((thing,))))
                found.add(part)
            elif thing.kind in ("str", "bytes", "unknown", "frame", "dataset"):
                found.add(thing)
            else:
                found.add(UNKNOWN)
        return frozenset(found)

    def member(self, owner: Value, key: str) -> Value:
        """owner[key]"""
        found: set[Entity] = set()
        for thing in owner:
            if thing.kind in ("dict", "tuple"):
                known = key in thing.fields and key != MEMBERS
                if known:
                    found |= thing.fields[key] | thing.fields.get(MEMBERS, set())
                else:
                    fields = (values for name, values in thing.fields.items() if name != KEYS)
                    found |= {value for values in fields for value in values}
            elif thing.kind == "tokenizer" and thing.made == "called":
                found |= thing.fields.get(MEMBERS, set())
            elif thing.kind in ("frame", "dataset"):
                found.add(thing)
            else:
                found |= self.members(frozenset((thing,)))
        return frozenset(found)
