"""Branches, loops, tries and contexts: what a name may be after each of them. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable

from memguard.script.flow.calls import Calls
from memguard.script.flow.values import UNKNOWN, Value

__all__ = ["Blocks"]

_ROUNDS = 12  # over one loop's body; each adds a value to a name at least
_BROAD = frozenset(("Exception", "BaseException", "OSError", "IOError", "EnvironmentError", "RuntimeError"))


class Blocks(Calls, ast.NodeVisitor):
    """Statements that hold others. statements.py adds the rest."""

    def block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            if not self.reached:
                return
            self.spend()
            self.may_be_left()
            self.visit(statement)
            if self.reached:
                self.may_be_left()

    # -- branches and loops -----------------------------------------------------------------------------------

    def visit_If(self, node: ast.If) -> None:
        self.test(node.test)
        before = self.now()
        self.block(node.body)
        after = self.now()
        self.restore(before)
        self.block(node.orelse)
        self.restore(self.joined((after, self.now())))

    def visit_Match(self, node: ast.Match) -> None:
        self.escape(self.ev(node.subject), "match", node, node.subject)
        before, ends = self.now(), []
        for case in node.cases:
            self.restore(before)
            for inner in ast.walk(case.pattern):
                name = getattr(inner, "name", None) or getattr(inner, "rest", None)
                if isinstance(name, str):
                    self.bind(name, frozenset((UNKNOWN,)))
            if case.guard is not None:
                self.test(case.guard)
            self.block(case.body)
            ends.append(self.now())
        self.restore(self.joined((before, *ends)))

    def visit_For(self, node: ast.For) -> None:
        self._for(node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        self._for(node)

    def _for(self, node: ast.For | ast.AsyncFor) -> None:
        values = self.ev(node.iter)
        self.use(values, "iterate", node, node.iter)

        def turn() -> None:
            self.assign(node.target, self.members(values), node.iter)

        self._loop(turn, node.body, node.orelse)

    def visit_While(self, node: ast.While) -> None:
        endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
        self._loop(lambda: self.test(node.test), node.body, node.orelse, endless=endless, tested=True)

    def _loop(
        self,
        turn: Callable[[], None],
        body: list[ast.stmt],
        orelse: list[ast.stmt],
        *,
        endless: bool = False,
        tested: bool = False,
    ) -> None:
        breaks: list[dict[str, Value]] = []
        head = self.now()
        exits: dict[str, Value] | None = head
        for _ in range(_ROUNDS):
            continues: list[dict[str, Value]] = []
            self.restore(head)
            turn()
            exits = self.joined((exits, self.now())) if not tested else self.now()
            self.loops.append((breaks, continues))
            self.block(body)
            self.loops.pop()
            again = self.joined((head, self.now(), *continues))
            if again == head:
                break
            head = again
        if not tested:
            exits = self.joined((exits, head))
        self.restore(None if endless else exits)
        self.block(orelse)
        self.restore(self.joined((self.now(), *breaks)))

    # -- tries and contexts -----------------------------------------------------------------------------------

    def visit_Try(self, node: ast.Try) -> None:
        self._try(node)

    def visit_TryStar(self, node: ast.TryStar) -> None:
        self._try(node)

    def _try(self, node: ast.Try | ast.TryStar) -> None:
        seen: dict[str, Value] = {}
        broad = any(h.type is None or _names(h.type) & _BROAD for h in node.handlers)
        self.handlers.append(seen)
        self.broad += [node] * broad
        self.block(node.body)
        del self.broad[len(self.broad) - broad :]
        self.handlers.pop()
        self.block(node.orelse)
        ends = [self.now()]
        for handler in node.handlers:
            self.restore(seen)
            if handler.type is not None:
                self.ev(handler.type)
            if handler.name:
                self.bind(handler.name, frozenset((UNKNOWN,)))
            self.block(handler.body)
            ends.append(self.now())
        if not node.finalbody:
            self.restore(self.joined(ends))
            return
        ended = any(end is not None for end in ends)
        self.restore(self.joined((*ends, seen)))
        self.block(node.finalbody)
        self.reached = self.reached and ended

    def visit_With(self, node: ast.With) -> None:
        self._with(node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        self._with(node)

    def _with(self, node: ast.With | ast.AsyncWith) -> None:
        seen: dict[str, Value] = {}
        swallows = False
        for item in node.items:
            given, passing = self.entered(self.ev(item.context_expr), item.context_expr)
            swallows |= not passing
            if item.optional_vars is not None:
                self.assign(item.optional_vars, given, item.context_expr)
        if swallows:
            self.handlers.append(seen)
        self.block(node.body)
        if swallows:
            self.handlers.pop()
            self.restore(self.joined((self.now(), seen)))


def _names(node: ast.expr) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
