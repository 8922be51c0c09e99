"""Assignments of the script: names bound, attributes and elements stored, counters stepped, values let go. Pure."""

from __future__ import annotations

import ast
from typing import Any

from memguard.script.interpreter import operators
from memguard.script.interpreter.expressions import Evaluator
from memguard.script.operations.access import store, unpacked
from memguard.script.operations.dicts import extend_members
from memguard.script.operations.growth import clear, extend
from memguard.script.operations.sums import grown_copy
from memguard.script.source import dotted_name
from memguard.script.values import (
    UNKNOWN,
    Buffer,
    Class,
    Constant,
    Encoder,
    Instance,
    Namespace,
    Number,
    Sequence,
    Symbol,
)

__all__ = ["Assigner"]


class Assigner(Evaluator, ast.NodeVisitor):
    """The interpreter with the statements that assign and delete. A handler returns "": the block goes on."""

    def visit_Assign(self, node: ast.Assign) -> str:
        value = self.evaluate(node.value)
        for target in node.targets:
            self.assign(target, value)
        return ""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> str:
        if node.value is not None:
            self.assign(node.target, self.evaluate(node.value))
        elif isinstance(self.state.frame.node, ast.ClassDef) and isinstance(node.target, ast.Name):
            self.state.frame.env.setdefault(node.target.id, UNKNOWN)
        return ""

    def visit_AugAssign(self, node: ast.AugAssign) -> str:
        old = self.evaluate(node.target)
        value = self.evaluate(node.value)
        if isinstance(old, Constant) and isinstance(node.target, ast.Name) and isinstance(value, Buffer):
            old = self._begun(node.target.id, old, value, node)
        if isinstance(old, Buffer) and isinstance(node.op, ast.Add):
            if old.kind in ("text", "bytes"):  # a new str each time, the old one alive meanwhile
                new = grown_copy(self, old, value, node)
                self.assign(node.target, new)
            else:
                extend(self, old, value, node)
            return ""
        if isinstance(old, Sequence) and old.mutable and old.keys is None and isinstance(node.op, ast.Add):
            extend_members(self, old, value, node)
            return ""
        if isinstance(old, Number) and self.state.loops:
            # A counter: what it adds up tells what a threshold on it means.
            unit = "sum" if isinstance(value, Number) and value.symbol is not None else "items"
            step = value.known or 0.0 if isinstance(value, Number) else 0.0
            loop = self.state.loops[-1][0]
            if unit == "items" and step != 1:
                unit = "sum"
            self.assign(node.target, Number(0.0, Symbol(dotted_name(node.target), None, unit), 1.0, loop, step))
            return ""
        self.assign(node.target, operators.binary(self, node.op, old, value, node))
        return ""

    def _begun(self, name: str, old: Constant, value: Buffer, node: ast.AST) -> Any:
        """text = "" in one loop, text += part in another one inside: a text as old as the constant."""
        frame = self.state.frame
        found = self.state.begun.get((id(frame.outer.get(name, frame.env)), name))
        if found is None or value.kind != "text" or not isinstance(old.value, str):
            return old
        empty = self.state.make("text", node)
        empty.created_in = found[1]
        return empty

    def assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.bind_name(target.id, value, target)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target, value)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, value)
        elif isinstance(target, ast.Attribute):
            owner = self.evaluate(target.value)
            if isinstance(owner, Instance):
                self._replace(owner.attributes.get(target.attr), value, target)
                owner.attributes[target.attr] = value
            elif isinstance(owner, Class):
                owner.scope[target.attr] = value
            elif isinstance(owner, Encoder) and target.attr == "pre_tokenizer":
                self.state.facts.cut_in_words = True
            elif isinstance(owner, Namespace):
                self._replace(owner.env.get(target.attr), value, target)
                owner.env[target.attr] = value
        elif isinstance(target, ast.Subscript):
            store(self, self.evaluate(target.value), target, value)

    def _unpack(self, target: ast.Tuple | ast.List, value: Any) -> None:
        count = len(target.elts)
        starred = any(isinstance(element, ast.Starred) for element in target.elts)
        if isinstance(value, Sequence) and value.keys is None and len(value.items) == count and not starred:
            members = value.items
        else:
            members = [unpacked(self, value, index, target) for index in range(count)]
        for element, member in zip(target.elts, members, strict=True):
            self.assign(element, member)

    def bind_name(self, name: str, value: Any, node: ast.AST) -> None:
        frame = self.state.frame
        space = frame.outer.get(name, frame.env)
        self._replace(space.get(name), value, node)
        space[name] = value
        if isinstance(value, Constant) and isinstance(value.value, str):
            self.state.begun[id(space), name] = space, tuple(self.state.loops)

    def _replace(self, old: Any, new: Any, node: ast.AST) -> None:
        """A list that a loop has filled is let go: if under a condition, that is its bound."""
        if not isinstance(old, Buffer) or new is old or not self.state.loops or old.kind in ("text", "bytes"):
            return
        if isinstance(new, Buffer) and set(old.parts) <= set(new.parts) and old.parts:
            return  # the same with more at its end: all = np.append(all, more)
        self.state.drained(old, node)

    def visit_Delete(self, node: ast.Delete) -> str:
        for target in node.targets:
            if isinstance(target, ast.Name):
                frame = self.state.frame
                space = frame.outer.get(target.id, frame.env)
                self._replace(space.get(target.id), None, node)
                space.pop(target.id, None)
            elif isinstance(target, ast.Attribute):
                owner = self.evaluate(target.value)
                if isinstance(owner, Instance):
                    owner.attributes.pop(target.attr, None)
            elif isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice):
                owner = self.evaluate(target.value)
                if isinstance(owner, Buffer):
                    clear(self, owner, target)
        return ""
