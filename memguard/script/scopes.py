"""Every use of every name in a script, by scope: what a rewrite has to touch. Pure."""

from __future__ import annotations

import ast

from memguard.script.source import Places
from memguard.script.trace import NameUse, Variable

__all__ = ["bound_names", "has_yield", "variables_of"]

_CONTEXTS = {ast.Store: "store", ast.Load: "load", ast.Del: "delete"}


def variables_of(tree: ast.Module, places: Places) -> tuple[Variable, ...]:
    """Every name with its uses in order. Attributes of self count as names of their class: Writer, self.buffer."""
    visitor = _Visitor(places)
    visitor.visit(tree)
    return tuple(Variable(name, scope, tuple(uses)) for (scope, name), uses in visitor.uses.items())


class _Visitor(ast.NodeVisitor):
    def __init__(self, places: Places) -> None:
        self.uses: dict[tuple[str, str], list[NameUse]] = {}
        self._places = places
        self._scopes: list[tuple[str, ast.AST, set[str], set[str]]] = [("", ast.Module([], []), set(), set())]
        self._classes: list[str] = []

    def visit_Module(self, node: ast.Module) -> None:
        self._scopes = [("", node, bound_names(node), set())]
        self.generic_visit(node)

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        name = getattr(node, "name", "lambda")
        outer = self._scopes[-1][0]
        spec = node.args
        for default in (*spec.defaults, *filter(None, spec.kw_defaults), *getattr(node, "decorator_list", [])):
            self.visit(default)
        bound = bound_names(node)
        parameters = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, *filter(None, (spec.vararg, spec.kwarg))]
        bound |= {parameter.arg for parameter in parameters}
        inside = () if isinstance(node, ast.Lambda) else ast.walk(node)  # no statement stands in a lambda
        passed_on = {n for s in inside if isinstance(s, (ast.Global, ast.Nonlocal)) for n in s.names}
        self._scopes.append((f"{outer}.{name}" if outer else name, node, bound - passed_on, passed_on))
        for parameter in parameters:
            self._add(self._scopes[-1][0], parameter.arg, parameter, "store")
        for child in node.body if isinstance(node.body, list) else [node.body]:
            self.visit(child)
        self._scopes.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_function(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        outer = self._scopes[-1][0]
        name = f"{outer}.{node.name}" if outer else node.name
        self._classes.append(name)
        self._scopes.append((name, node, bound_names(node), set()))
        self.generic_visit(node)
        self._scopes.pop()
        self._classes.pop()

    def visit_Name(self, node: ast.Name) -> None:
        for scope, where, bound, _ in reversed(self._scopes):
            own = where is self._scopes[-1][1]
            if node.id in bound and (own or not isinstance(where, ast.ClassDef)):
                self._add(scope, node.id, node, _CONTEXTS[type(node.ctx)])
                return

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.value.id == "self" and self._classes:
            self._add(self._classes[-1], f"self.{node.attr}", node, _CONTEXTS[type(node.ctx)])
        self.generic_visit(node)

    def _add(self, scope: str, name: str, node: ast.expr | ast.arg, context: str) -> None:
        self.uses.setdefault((scope, name), []).append(NameUse(self._places.span(node), context))


def bound_names(node: ast.AST) -> set[str]:
    """Names that `node`'s own block binds; blocks inside it bind their own."""
    found: set[str] = set()
    todo = list(ast.iter_child_nodes(node))
    while todo:
        inner = todo.pop()
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, (ast.Store, ast.Del)):
            found.add(inner.id)
        elif isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(inner.name)
            continue
        elif isinstance(inner, ast.alias):
            found.add((inner.asname or inner.name).split(".")[0])
        elif isinstance(inner, ast.ExceptHandler) and inner.name:
            found.add(inner.name)
        if not isinstance(inner, ast.Lambda):
            todo += ast.iter_child_nodes(inner)
    return found


def has_yield(function: ast.AST | None) -> bool:
    """Whether `function` itself, not one inside it, is a generator; a lambda counts as none."""
    todo: list[ast.AST] = [] if isinstance(function, ast.Lambda) else list(getattr(function, "body", []))
    while todo:
        inner = todo.pop()
        if isinstance(inner, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            todo += ast.iter_child_nodes(inner)
    return False
