"""Statements of the script, followed one after the other; both ways of a branch, a loop's body twice. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

from memguard.script.interpreter.expressions import Evaluator
from memguard.script.numbers import threshold_of
from memguard.script.source import dotted_name
from memguard.script.state import DEEPEST, BudgetSpent, Frame
from memguard.script.values import (
    UNKNOWN,
    Buffer,
    Class,
    Constant,
    Function,
    Instance,
    Module,
    Number,
    Path,
    Pool,
    Sequence,
    Symbol,
)

__all__ = ["Reader"]

_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
_ENDS = ("return", "break", "continue", "raise")


class Reader(Evaluator):
    """`run` follows a block and says how it ended: "" (at its end), return, break, continue or raise."""

    _reached: ast.stmt | None = None  # of the module's own statements

    def module(self, tree: ast.Module) -> None:
        env: dict[str, Any] = {"__name__": Constant("__main__"), "__file__": Path(self.path)}
        self.state.spaces.append(env)
        self.state.frame = Frame(env, (env,), tree)
        self.state.frames.append(self.state.frame)
        try:
            self.run(tree.body)
        except BudgetSpent:
            self._leave_unread(tree)

    def _leave_unread(self, tree: ast.Module) -> None:
        """Lists the statement at which the steps were spent, and all those of the module that come after it."""
        state = self.state
        assert state.ended is not None
        state.moments.append(state.ended)
        line = getattr(state.ended.node, "lineno", 0)
        inside = [s for s in tree.body if s.lineno <= line <= (s.end_lineno or s.lineno)]
        reached = max(filter(None, (self._reached, *inside)), key=lambda s: s.lineno, default=None)
        state.not_understood(state.ended.node)
        for statement in tree.body:
            if reached is None or statement.lineno >= reached.lineno:
                state.not_understood(statement)

    def run(self, body: Iterable[ast.stmt]) -> str:
        state = self.state
        conditions = len(state.conditions)
        state.depth += 1
        try:
            return self._run(list(body))
        finally:
            state.depth -= 1
            del state.conditions[conditions:]

    def _run(self, body: list[ast.stmt]) -> str:
        state = self.state
        if body and state.depth > DEEPEST:
            for statement in body:
                state.not_understood(statement)
            state.unread(body[0])
            return ""
        for statement in body:
            state.statement = statement
            if len(state.frames) == 1 and state.depth == 1:
                self._reached = statement
            state.spend(2)
            handler = getattr(self, f"_{type(statement).__name__}", None)
            mark = len(state.temps)
            if isinstance(statement, _BLOCKS):  # its line is where it begins
                state.record_moment(statement, "line")
            flow = handler(statement) if handler else self._other(statement)
            del state.temps[mark:]
            if flow in _ENDS:
                return str(flow)
            if not isinstance(statement, (*_BLOCKS, *_DEFINITIONS)):
                state.record_moment(statement, "line")
            if isinstance(statement, ast.If) and statement in self.ended_early:
                # `if len(ids) < SHARD: continue` puts all that follows under the opposite condition.
                threshold = threshold_of(self, statement.test, negated=True)
                state.conditions.append((threshold, statement.test, tuple(state.loops)))
        return ""

    def _other(self, statement: ast.stmt) -> str:
        if isinstance(statement, (ast.Pass, ast.Global, ast.Nonlocal)):
            return self._declare(statement)
        self.state.not_understood(statement)
        return ""

    def _declare(self, statement: ast.stmt) -> str:
        frame = self.state.frame
        if isinstance(statement, ast.Global):
            frame.outer.update(dict.fromkeys(statement.names, self.state.frames[0].env))
        elif isinstance(statement, ast.Nonlocal):
            for name in statement.names:
                frame.outer[name] = next((s for s in frame.scopes if name in s), frame.env)
        return ""

    # -- definitions ------------------------------------------------------------------------------------------

    def _Import(self, node: ast.Import) -> str:  # noqa: N802 (named after the ast class)
        for alias in node.names:
            self.import_module(alias.name)
            name = alias.name if alias.asname else alias.name.split(".")[0]
            self.bind_name(alias.asname or name, Module(name), node)
        return ""

    def _ImportFrom(self, node: ast.ImportFrom) -> str:  # noqa: N802
        module = node.module or ""
        self.import_module(module)
        for alias in node.names:
            self.bind_name(alias.asname or alias.name, Module(f"{module}.{alias.name}"), node)
        return ""

    def _FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:  # noqa: N802
        frame = self.state.frame
        self.bind_name(node.name, Function(node, (frame.env, *frame.scopes)), node)
        return ""

    _AsyncFunctionDef = _FunctionDef

    def _ClassDef(self, node: ast.ClassDef) -> str:  # noqa: N802
        scope: dict[str, Any] = {}
        self.state.spaces.append(scope)
        frame = self.state.frame
        inner = Frame(scope, (frame.env, *frame.scopes), node)
        bases = tuple(self.evaluate(base) for base in node.bases)
        self.state.frame = inner
        try:
            self.run(node.body)
        finally:
            self.state.frame = frame
        names = [dotted_name(decorator) for decorator in node.decorator_list]
        dataclass = any(name.split(".")[-1] == "dataclass" for name in names)
        for base in bases:
            dataclass = dataclass or (isinstance(base, Module) and base.name == "typing.NamedTuple")
        self.bind_name(node.name, Class(node, scope, bases, dataclass), node)
        return ""

    # -- assignments ------------------------------------------------------------------------------------------

    def _Expr(self, node: ast.Expr) -> str:  # noqa: N802
        self.evaluate(node.value)
        return ""

    def _Assign(self, node: ast.Assign) -> str:  # noqa: N802
        value = self.evaluate(node.value)
        for target in node.targets:
            self.assign(target, value)
        return ""

    def _AnnAssign(self, node: ast.AnnAssign) -> str:  # noqa: N802
        if node.value is not None:
            self.assign(node.target, self.evaluate(node.value))
        elif isinstance(self.state.frame.node, ast.ClassDef) and isinstance(node.target, ast.Name):
            self.state.frame.env.setdefault(node.target.id, UNKNOWN)
        return ""

    def _AugAssign(self, node: ast.AugAssign) -> str:  # noqa: N802
        old = self.evaluate(node.target)
        value = self.evaluate(node.value)
        if isinstance(old, Buffer) and isinstance(node.op, ast.Add):
            if old.kind in ("text", "bytes"):  # a new str each time, the old one alive meanwhile
                new = self.grown_copy(old, value, node)
                self.assign(node.target, new)
            else:
                self.extend(old, value, node)
            return ""
        if isinstance(old, Number) and self.state.loops:
            # A counter: what it adds up tells what a threshold on it means.
            unit = "sum" if isinstance(value, Number) and value.symbol is not None else "items"
            step = value.known or 0.0 if isinstance(value, Number) else 0.0
            ident = hash(dotted_name(node.target)) & 0xFFFFFFFF
            loop = self.state.loops[-1][0]
            if unit == "items" and step != 1:
                unit = "sum"
            self.assign(node.target, Number(0.0, Symbol(ident, None, unit), 1.0, loop, step))
            return ""
        self.assign(node.target, self.binary(node.op, old, value, node))
        return ""

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
        elif isinstance(target, ast.Subscript):
            self.store(target, value)

    def _unpack(self, target: ast.Tuple | ast.List, value: Any) -> None:
        count = len(target.elts)
        starred = any(isinstance(element, ast.Starred) for element in target.elts)
        if isinstance(value, Sequence) and value.keys is None and len(value.items) == count and not starred:
            members = value.items
        else:
            members = [self.member(value, index, target) for index in range(count)]
        for element, member in zip(target.elts, members, strict=True):
            self.assign(element, member)

    def bind_name(self, name: str, value: Any, node: ast.AST) -> None:
        frame = self.state.frame
        space = frame.outer.get(name, frame.env)
        self._replace(space.get(name), value, node)
        space[name] = value

    def _replace(self, old: Any, new: Any, node: ast.AST) -> None:
        """A list that a loop has filled is let go: if under a condition, that is its bound."""
        if not isinstance(old, Buffer) or new is old or not self.state.loops or old.kind in ("text", "bytes"):
            return
        if isinstance(new, Buffer) and set(old.parts) <= set(new.parts) and old.parts:
            return  # the same with more at its end: all = np.append(all, more)
        self.state.drained(old, node)

    def _Delete(self, node: ast.Delete) -> str:  # noqa: N802
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
                    self.clear(owner, target)
        return ""

    # -- branches ---------------------------------------------------------------------------------------------

    def _If(self, node: ast.If) -> str:  # noqa: N802
        value = self.evaluate(node.test)
        self.ended_early.discard(node)
        if isinstance(value, Constant) and isinstance(value.value, bool) and not self.state.loops:
            return self.run(node.body if value.value else node.orelse)
        before = self.state.save()
        with self.state.condition(threshold_of(self, node.test), node.test):
            flow = self.run(node.body)
        after = self.state.save()
        self.state.restore(before)
        threshold = threshold_of(self, node.test, negated=True)
        with self.state.condition(threshold, node.test) if node.orelse else nullcontext():
            other = self.run(node.orelse)
        if flow in _ENDS and other in _ENDS:
            self.state.join(after)
            return flow if flow == other or other == "raise" else other
        if other in _ENDS:
            self.state.restore(after)
        elif flow not in _ENDS:
            self.state.join(after)
        elif flow in ("continue", "return"):
            self.ended_early.add(node)
        return ""

    def _Match(self, node: ast.Match) -> str:  # noqa: N802
        self.evaluate(node.subject)
        for case in node.cases:
            self._optional(case.body)
        return ""

    def _optional(self, body: Iterable[ast.stmt]) -> str:
        before = self.state.save()
        flow = self.run(body)
        after = self.state.save()
        self.state.restore(before)
        if flow not in _ENDS:
            self.state.join(after)
        return flow

    def _Try(self, node: ast.Try) -> str:  # noqa: N802
        flow = self.run(node.body)
        for handler in node.handlers:
            if handler.name:
                self.bind_name(handler.name, UNKNOWN, handler)
            self._optional(handler.body)
        if not flow:
            flow = self.run(node.orelse)
        return self.run(node.finalbody) or flow

    _TryStar = _Try

    def _With(self, node: ast.With | ast.AsyncWith) -> str:  # noqa: N802
        pools = 0
        for item in node.items:
            value = self.enter_context(self.evaluate(item.context_expr))
            pools += isinstance(value, Pool)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, value)
            else:
                self.state.temps.append(value)
        return self.run(node.body)

    _AsyncWith = _With

    # -- loops ------------------------------------------------------------------------------------------------

    def _For(self, node: ast.For | ast.AsyncFor) -> str:  # noqa: N802
        frame = self.state.frame
        flows: list[str] = []

        def body(element: Any) -> None:
            inner, self.state.frame = self.state.frame, frame
            try:
                self.assign(node.target, element)
                flows.append(self.run(node.body))
            finally:
                self.state.frame = inner

        self.iterate(self.evaluate(node.iter), body, node)
        self.run(node.orelse)
        return "return" if flows and all(flow in ("return", "raise") for flow in flows) else ""

    _AsyncFor = _For

    def _While(self, node: ast.While) -> str:  # noqa: N802
        loop = self.state.new_loop(node)
        for number in (1, 2):
            with self.state.iteration(loop, number):
                mark = len(self.state.temps)
                self.evaluate(node.test)
                del self.state.temps[mark:]
                threshold = threshold_of(self, node.test)
                with nullcontext() if threshold is None else self.state.condition(threshold, node.test):
                    self.run(node.body)
        self.run(node.orelse)
        return ""

    # -- the ends ---------------------------------------------------------------------------------------------

    def _Return(self, node: ast.Return) -> str:  # noqa: N802
        value = Constant(None) if node.value is None else self.evaluate(node.value)
        self.state.frame.returns.append(value)
        return "return"

    def _Raise(self, node: ast.Raise) -> str:  # noqa: N802
        return "raise"

    def _Break(self, node: ast.Break) -> str:  # noqa: N802
        return "break"

    def _Continue(self, node: ast.Continue) -> str:  # noqa: N802
        return "continue"

    def _Assert(self, node: ast.Assert) -> str:  # noqa: N802
        self.evaluate(node.test)
        return ""

    # -- functions of the script ------------------------------------------------------------------------------

    def inline_call(self, function: Function, env: dict[str, Any], consume: Callable[[Any], None] | None = None) -> Any:
        """Runs the script's own function with its parameters bound in `env`; its result."""
        state, caller = self.state, self.state.frame
        state.spaces.append(env)
        frame = Frame(env, function.scopes, function.node, yield_to=consume)
        state.frames.append(frame)
        state.frame = frame
        try:
            if isinstance(function.node, ast.Lambda):
                return self.evaluate(function.node.body)
            self.run(function.node.body)
        finally:
            state.frame = caller
            state.frames.remove(frame)
        result: Any = Constant(None)
        for value in frame.returns:
            from memguard.script.state import joined

            result = joined(result, value)
        return result
