"""Statements of the script, followed one after the other; both ways of a branch, a loop's body twice. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import reduce
from typing import Any

from memguard.script.finder import Finder
from memguard.script.interpreter.assignments import Assigner
from memguard.script.interpreter.commands import add_command
from memguard.script.interpreter.conditions import fetches, goes_over, is_settled, threshold_of
from memguard.script.interpreter.expressions import STAR
from memguard.script.interpreter.loops import UNROLLED
from memguard.script.interpreter.modules import public_names
from memguard.script.joining import joined
from memguard.script.operations.inputs import path_text
from memguard.script.source import Places, dotted_name
from memguard.script.state import DEEPEST, BudgetSpent, Frame
from memguard.script.values import (
    UNKNOWN,
    Class,
    Constant,
    Function,
    Module,
    Namespace,
    Path,
    Pool,
)

__all__ = ["IGNORED", "ScriptInterpreter"]

# Statements that change no value.
IGNORED = frozenset(("Pass", "TypeAlias"))

_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
_ENDS = ("return", "break", "continue", "raise")

# Who catches one of these expects that a module may not be there.
_IMPORT_ERRORS = frozenset(("ImportError", "ModuleNotFoundError", "Exception", "BaseException"))


def _names(node: ast.expr) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


class ScriptInterpreter(Assigner, ast.NodeVisitor):
    """`run` follows a block and says how it ended: "" (at its end), return, break, continue or raise."""

    def __init__(self, path: str, places: Places, finder: Finder | None = None) -> None:
        super().__init__(path, places, finder)
        self._tries = 0  # around the statement at hand
        self._reached: ast.stmt | None = None  # of the module's own statements
        self._ended_early: set[ast.If] = set()  # one of whose branches leaves the block

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
        assert state.ended is not None and state.ended_at is not None
        state.moments.append(state.ended)
        line = getattr(state.ended_at, "lineno", 0)
        inside = [s for s in tree.body if s.lineno <= line <= (s.end_lineno or s.lineno)]
        reached = max(filter(None, (self._reached, *inside)), key=lambda s: s.lineno, default=None)
        state.not_understood(state.ended_at)
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
            mark = len(state.temps)
            if isinstance(statement, _BLOCKS):  # its line is where it begins
                state.record_moment(statement, "line")
            flow = self.visit(statement)
            del state.temps[mark:]
            if flow in _ENDS:
                return str(flow)
            if not isinstance(statement, (*_BLOCKS, *_DEFINITIONS)):
                state.record_moment(statement, "line")
            if isinstance(statement, ast.If) and statement in self._ended_early:
                # `if len(ids) < SHARD: continue` puts all that follows under the opposite condition.
                threshold = threshold_of(self, statement.test, negated=True)
                state.conditions.append((threshold, statement.test, tuple(state.loops)))
        return ""

    def generic_visit(self, node: ast.AST) -> Any:
        if not isinstance(node, ast.stmt):
            return super().generic_visit(node)
        if type(node).__name__ not in IGNORED:
            self.state.not_understood(node)
        return ""

    def visit_Global(self, node: ast.Global) -> str:
        self.state.frame.outer.update(dict.fromkeys(node.names, self.state.frame.scopes[-1]))
        return ""

    def visit_Nonlocal(self, node: ast.Nonlocal) -> str:
        frame = self.state.frame
        for name in node.names:
            frame.outer[name] = next((s for s in frame.scopes if name in s), frame.env)
        return ""

    def visit_Expr(self, node: ast.Expr) -> str:
        self.evaluate(node.value)
        return ""

    # -- definitions ------------------------------------------------------------------------------------------

    def visit_Import(self, node: ast.Import) -> str:
        for alias in node.names:
            name = alias.name if alias.asname else alias.name.split(".")[0]
            found = self.load_module(alias.name, node)
            if name != alias.name:
                found = self.load_module(name, node) if isinstance(found, Namespace) else Module(name)
            self.bind_name(alias.asname or name, found, node)
        return ""

    def _module(self, name: str, node: ast.AST) -> Namespace | None:
        importer = path_text(self.state.frame.scopes[-1].get("__file__")) or self.path
        return self.modules.load(name, importer, node, optional=self._tries > 0)

    def load_module(self, name: str, node: ast.AST) -> Any:
        found = self._module(name, node)
        if found is None:
            self.import_module(name)
        return found or Module(name)

    def run_module(self, tree: ast.Module) -> None:
        self.run(tree.body)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> str:
        module = "." * node.level + (node.module or "")
        own = self._module(module, node)
        for alias in node.names if own is None and not node.level else ():
            self.import_module(module if alias.name == "*" else f"{module}:{alias.name}")
        for alias in node.names:
            if alias.name == "*":
                self._import_all(module, own, node)
                continue
            found: Any = None if own is None else own.env.get(alias.name)
            if own is not None and found is None:
                found = self._module(f"{module}{'' if module.endswith('.') else '.'}{alias.name}", node) or UNKNOWN
            self.bind_name(alias.asname or alias.name, found or self.member_of_module(f"{module}.{alias.name}"), node)
        return ""

    def _import_all(self, module: str, own: Namespace | None, node: ast.ImportFrom) -> None:
        if own is None:
            names = self.state.frame.scopes[-1]
            names[STAR] = (*names.get(STAR, ()), module)
            return
        for name, value in public_names(own).items():
            self.bind_name(name, value, node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> str:
        return self._define(node)

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
        function = Function(node, self.state.frame.inner_scopes)
        for decorator in reversed(node.decorator_list):
            add_command(self, function, decorator)
        self.bind_name(node.name, function, node)
        return ""

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> str:
        return self._define(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> str:
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

    # -- branches ---------------------------------------------------------------------------------------------

    def visit_If(self, node: ast.If) -> str:
        value = self.evaluate(node.test)
        if isinstance(value, Module) and value.name == "typing.TYPE_CHECKING":
            value = Constant(False)
        self._ended_early.discard(node)
        known = isinstance(value, Constant) and isinstance(value.value, bool)
        settled = not self.state.loops or is_settled(node.test, self.state.frame.node)
        if known and settled and (not value.assumed or self._fetched(node, value.value)):
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
            self._ended_early.add(node)
        return ""

    def _fetched(self, node: ast.If, there: bool) -> bool:
        """Whether what an `if` leaves out only fetches the input, which is there: the other branch, or what comes after
        a branch that leaves the function.
        """
        taken, other = (node.body, node.orelse) if there else (node.orelse, node.body)
        around = self.state.frame.node
        if any(isinstance(inner, (ast.Return, ast.Raise)) for statement in taken for inner in ast.walk(statement)):
            return isinstance(around, ast.FunctionDef) and fetches(around)
        return not other or fetches(*other)

    def visit_Match(self, node: ast.Match) -> str:
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

    def visit_Try(self, node: ast.Try) -> str:
        return self._try(node)

    def _try(self, node: ast.Try | ast.TryStar) -> str:
        optional = any(handler.type is None or _IMPORT_ERRORS & _names(handler.type) for handler in node.handlers)
        self._tries += optional
        try:
            flow = self.run(node.body)
        finally:
            self._tries -= optional
        for handler in node.handlers:
            if handler.name:
                self.bind_name(handler.name, UNKNOWN, handler)
            self._optional(handler.body)
        if not flow:
            flow = self.run(node.orelse)
        return self.run(node.finalbody) or flow

    def visit_TryStar(self, node: ast.TryStar) -> str:
        return self._try(node)

    def visit_With(self, node: ast.With) -> str:
        return self._with(node)

    def _with(self, node: ast.With | ast.AsyncWith) -> str:
        entered = []
        for item in node.items:
            value = self.enter_context(self.evaluate(item.context_expr))
            entered.append(value)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, value)
            else:
                self.state.temps.append(value)
        end = self.run(node.body)
        if any(isinstance(value, Pool) and value.processes for value in entered):
            self.state.end_workers()
        return end

    def visit_AsyncWith(self, node: ast.AsyncWith) -> str:
        return self._with(node)

    # -- loops ------------------------------------------------------------------------------------------------

    def visit_For(self, node: ast.For) -> str:
        return self._for(node)

    def _for(self, node: ast.For | ast.AsyncFor) -> str:
        frame = self.state.frame
        flows: list[str] = []

        def body(element: Any) -> None:
            inner, self.state.frame = self.state.frame, frame
            try:
                self.assign(node.target, element)
                flows.append(self.run(node.body))
            finally:
                self.state.frame = inner

        # for i in [0, 1]: a list that nothing can be added to
        few = node.iter if isinstance(node.iter, ast.List) and 0 < len(node.iter.elts) <= UNROLLED else None
        value = self.sequence_of(few.elts, mutable=False) if few else self.evaluate(node.iter)
        self.iterate(value, body, node)
        self.run(node.orelse)
        return "return" if flows and all(flow in ("return", "raise") for flow in flows) else ""

    def visit_AsyncFor(self, node: ast.AsyncFor) -> str:
        return self._for(node)

    def visit_While(self, node: ast.While) -> str:
        loop = self.state.new_loop(node)
        if goes_over(self, node):
            self.state.consumes_input(loop)
        for number in self.state.passes():
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

    def visit_Return(self, node: ast.Return) -> str:
        value = Constant(None) if node.value is None else self.evaluate(node.value)
        self.state.frame.returns.append(value)
        return "return"

    def visit_Raise(self, node: ast.Raise) -> str:
        return "raise"

    def visit_Break(self, node: ast.Break) -> str:
        return "break"

    def visit_Continue(self, node: ast.Continue) -> str:
        return "continue"

    def visit_Assert(self, node: ast.Assert) -> str:
        self.evaluate(node.test)
        return ""

    # -- functions of the script ------------------------------------------------------------------------------

    def inline_call(
        self, function: Function, env: dict[str, Any], yield_to: Callable[[Any], None] | None = None
    ) -> Any:
        """Runs the script's own function with its parameters bound in `env`; its result."""
        state, caller = self.state, self.state.frame
        state.spaces.append(env)
        frame = Frame(env, function.scopes, function.node, yield_to=yield_to)
        state.frames.append(frame)
        state.frame = frame
        try:
            if isinstance(function.node, ast.Lambda):
                return self.evaluate(function.node.body)
            flow = self.run(function.node.body)
        finally:
            state.frame = caller
            state.frames.remove(frame)
        results = frame.returns if flow in _ENDS else [Constant(None), *frame.returns]
        return reduce(joined, results, results[0]) if results else Constant(None)
