"""The state of following a script's values, and what all parts of it share: names, things, uses. Pure."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from memguard.script.flow.values import MEMBERS, PLACED, UNKNOWN, Entity, Value, reachable
from memguard.script.scopes import bound_names

__all__ = ["CLOSING", "Engine", "FunctionState", "Scope", "TooMuch"]

_STEPS = 200_000  # expressions and statements looked at, in all rounds; some 1.5 s (CPython 3.11)
_MOST_THINGS = 5_000

# Names with which code reaches what it does not name.
CLOSING = frozenset(("exec", "eval", "globals", "locals", "vars", "compile", "__import__"))


class TooMuch(Exception):
    """The script takes more steps than there are."""


class Scope:
    """A module, a function or a class: its names now, and all that each of them ever was."""

    def __init__(self, node: ast.AST, parent: Scope | None) -> None:
        self.node, self.parent = node, parent
        self.env: dict[str, Value] = {}
        self.all: dict[str, set[Entity]] = {}
        self.bound = bound_names(node) if not isinstance(node, ast.Lambda) else set()
        self.passed_on: dict[str, str] = {}  # names declared global or nonlocal


class FunctionState:
    """What all calls of a function give it, and what it gives back."""

    def __init__(self) -> None:
        self.params: dict[str, set[Entity]] = {}
        self.returns: set[Entity] = set()
        self.yields: set[Entity] = set()
        self.called = self.outside = False  # outside: by code that is not known


class Engine:
    """Names and things of one script."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.scope = self.module = Scope(tree, None)
        self.reached = True  # whether the statement at hand can be
        self.late = False  # inside a generator, which runs later
        self.changed = False
        self.closed: tuple[str, int] = ("", 0)
        self.uses: dict[tuple[Entity, str, int], tuple[ast.AST, set[str], ast.AST]] = {}
        self.functions: dict[ast.AST, FunctionState] = {}
        self.known_functions: list[Entity] = []
        self.handlers: list[dict[str, Value]] = []  # of the tries around: what each may find
        self.broad: list[ast.Try | ast.TryStar] = []
        self.loops: list[tuple[list[dict[str, Value]], list[dict[str, Value]]]] = []  # (breaks, continues)
        self.calls_of: dict[ast.AST, set[ast.AST]] = {}  # function → calls of it
        self.inside: list[ast.AST] = []  # functions that are read
        self._things: dict[tuple[str, int, str], Entity] = {}
        self._scopes: dict[ast.AST, Scope] = {}
        self._spent = 0

    def spend(self) -> None:
        self._spent += 1
        if self._spent > _STEPS:
            raise TooMuch

    def close(self, why: str, node: ast.AST) -> None:
        """Nothing of the script can be said."""
        if not self.closed[0]:
            self.closed = why, getattr(node, "lineno", 0)

    # -- things -----------------------------------------------------------------------------------------------

    def thing(self, kind: str, node: ast.AST, made: str = "", name: str = "", tag: str = "") -> Entity:
        """The same one in every round."""
        key = kind, id(node), f"{made} {name} {tag}"
        if key not in self._things:
            if len(self._things) > _MOST_THINGS:
                raise TooMuch
            self._things[key] = Entity(kind, node, name, made)
        return self._things[key]

    def things(self) -> list[Entity]:
        return list(self._things.values())

    def put(self, thing: Entity, field: str, values: Iterable[Entity]) -> None:
        found = thing.fields.setdefault(field, set())
        before = len(found)
        found.update(values)
        self.changed |= len(found) > before

    def grow(self, found: set[Entity], values: Iterable[Entity]) -> None:
        before = len(found)
        found.update(values)
        self.changed |= len(found) > before

    def made_of(self, thing: Entity, values: Iterable[Entity]) -> None:
        self.grow(thing.of, (value for value in values if value.kind in PLACED))

    def list_of(self, node: ast.AST, made: str, members: Iterable[Entity] = (), tag: str = "") -> Entity:
        found = self.thing("list", node, made, tag=tag)
        self.put(found, MEMBERS, members)
        return found

    # -- uses -------------------------------------------------------------------------------------------------

    def use(self, values: Value, role: str, around: ast.AST, expression: ast.AST | None = None) -> None:
        """Each of `values` is used in `role` by `around`; `expression` is what gives them."""
        for thing in values:
            if thing.kind in PLACED:
                others = {other.kind for other in values if other is not thing}
                expression = expression or around
                found = self.uses.setdefault((thing, role, id(expression)), (around, set(), expression))
                found[1].update(others)

    def use_inside(self, values: Value, role: str, around: ast.AST, expression: ast.AST | None = None) -> None:
        """What is in them is looked at, too."""
        self.use(values, role, around, expression)
        inner = reachable(values, inside_only=True) - values
        self.use(frozenset(inner), f"in {role}", around, expression)

    def escape(self, values: Value, role: str, around: ast.AST, expression: ast.AST | None = None) -> None:
        """Code that is not known gets `values`: it may do anything to what it can reach, and call what it can call."""
        self.use_inside(values, role, around, expression)
        for thing in reachable(values):
            if thing.kind == "function":
                state = self.state_of(thing)
                self.changed |= not state.outside
                state.outside = True
            elif thing.kind == "class":
                self.escape_class(thing)

    def escape_class(self, thing: Entity) -> None:
        for inner in [inner for field in thing.fields.values() for inner in field if inner.kind == "function"]:
            state = self.state_of(inner)
            self.changed |= not state.outside
            state.outside = True

    # -- functions and scopes ---------------------------------------------------------------------------------

    def state_of(self, function: Entity) -> FunctionState:
        assert function.node is not None
        return self.functions.setdefault(function.node, FunctionState())

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Entity:
        found = self.thing("function", node)
        if found.scope is None:
            found.scope = self.inner_scope(node)
            self.known_functions.append(found)
            self.changed = True
        return found

    def inner_scope(self, node: ast.AST) -> Scope:
        if node not in self._scopes:
            parent: Scope | None = self.scope
            while parent is not None and isinstance(parent.node, ast.ClassDef):
                parent = parent.parent
            self._scopes[node] = Scope(node, parent)
        return self._scopes[node]

    @contextmanager
    def inside_of(self, scope: Scope, env: dict[str, Value]) -> Iterator[None]:
        """Another block of code, with loops, tries and an end of its own."""
        saved = self.scope, self.reached, self.handlers, self.loops, self.broad, self.late
        self.scope, self.reached, self.handlers, self.loops, self.broad, self.late = scope, True, [], [], [], False
        before, scope.env = scope.env, env
        try:
            yield
        finally:
            scope.env = before
            self.scope, self.reached, self.handlers, self.loops, self.broad, self.late = saved

    # -- names ------------------------------------------------------------------------------------------------

    def bind(self, name: str, values: Value) -> None:
        scope = self._owner(name)
        if scope is self.scope:
            scope.env[name] = values
        self.grow(scope.all.setdefault(name, set()), values)

    def _owner(self, name: str) -> Scope:
        how = self.scope.passed_on.get(name)
        if how == "global":
            return self.module
        scope: Scope | None = self.scope
        if how == "nonlocal":
            scope = self.scope.parent
            while scope is not None and name not in scope.bound and scope.parent is not None:
                scope = scope.parent
        return scope or self.module

    def pass_on(self, names: Iterable[str], how: str) -> None:
        for name in names:
            self.scope.passed_on[name] = how
            owner = self._owner(name)
            self.changed |= name not in owner.passed_on and owner is not self.scope
            owner.passed_on.setdefault(name, "shared")

    def lookup(self, name: str) -> Value:
        scope: Scope | None = self.scope
        if scope is not None and name in scope.env and name not in scope.passed_on and not self.late:
            return scope.env[name]
        found: set[Entity] = set()
        bound = False
        while scope is not None:
            bound |= name in scope.bound
            here = scope.all.get(name)
            if here:
                found |= here
                if name in scope.bound and name not in scope.passed_on:
                    return frozenset(found)
            scope = scope.parent
        if found or (bound and not hasattr(builtins, name)):  # nothing yet
            return frozenset(found)
        if hasattr(builtins, name):
            return frozenset((self.module_thing(f"builtins.{name}"),))
        return frozenset((UNKNOWN,))

    def module_thing(self, name: str) -> Entity:
        key = "module", 0, name
        if key not in self._things:
            self._things[key] = Entity("module", None, name)
        return self._things[key]

    # -- branches ---------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Value]:
        return dict(self.scope.env)

    def restore(self, env: dict[str, Value] | None) -> None:
        """None: nothing comes here."""
        self.reached = env is not None
        self.scope.env = dict(env or {})

    def joined(self, envs: Iterable[dict[str, Value] | None]) -> dict[str, Value] | None:
        """What a name may be after any of `envs`."""
        result: dict[str, Value] | None = None
        for env in envs:
            if env is None:
                continue
            if result is None:
                result = dict(env)
                continue
            for name, values in env.items():
                result[name] = result.get(name, frozenset()) | values
        return result

    def now(self) -> dict[str, Value] | None:
        return self.snapshot() if self.reached else None

    def may_be_left(self) -> None:
        """An exception may be raised here: the handlers around find the names as they are."""
        for found in self.handlers:
            for name, values in self.scope.env.items():
                found[name] = found.get(name, frozenset()) | values
