"""Functions without a name, comprehensions, generators: what they are, and when their names are looked up. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable

from memguard.script.flow.expressions import Expressions
from memguard.script.flow.values import KEYS, MEMBERS, OTHER, UNKNOWN, Entity, Value

__all__ = ["Comprehensions"]


class Comprehensions(Expressions):
    """Adds what has a scope of its own to expressions.py."""

    def defaults(self, function: Entity, spec: ast.arguments) -> None:
        state = self.state_of(function)
        names = [p.arg for p in (*spec.posonlyargs, *spec.args)][-len(spec.defaults) or 10**6 :]
        pairs = [*zip(names, spec.defaults, strict=False)]
        pairs += [(p.arg, d) for p, d in zip(spec.kwonlyargs, spec.kw_defaults, strict=True) if d is not None]
        for name, default in pairs:
            self.grow(state.params.setdefault(name, set()), self.ev(default))

    def ev_lambda(self, node: ast.Lambda) -> Value:
        function = self.function(node)
        self.defaults(function, node.args)
        return frozenset((function,))

    def ev_listcomp(self, node: ast.ListComp) -> Value:
        thing = self.thing("list", node, "comprehension")
        self._comprehension(node.generators, lambda: self.put(thing, MEMBERS, self.ev(node.elt)), node)
        return frozenset((thing,))

    def ev_setcomp(self, node: ast.SetComp) -> Value:
        thing = self.thing("set", node)

        def add() -> None:
            values = self.ev(node.elt)
            self.use_inside(values, "in a set", node, node.elt)
            self.put(thing, KEYS, values)

        self._comprehension(node.generators, add, node)
        return frozenset((thing,))

    def ev_dictcomp(self, node: ast.DictComp) -> Value:
        thing = self.thing("dict", node)

        def add() -> None:
            keys = self.ev(node.key)
            self.use_inside(keys, "a key", node, node.key)
            self.put(thing, KEYS, keys)
            self.put(thing, MEMBERS, self.ev(node.value))

        self._comprehension(node.generators, add, node)
        return frozenset((thing,))

    def ev_generatorexp(self, node: ast.GeneratorExp) -> Value:
        thing = self.thing("iterator", node)
        self._comprehension(node.generators, lambda: self.put(thing, MEMBERS, self.ev(node.elt)), node, late=True)
        return frozenset((thing,))

    def _comprehension(
        self, generators: list[ast.comprehension], add: Callable[[], object], node: ast.AST, *, late: bool = False
    ) -> None:
        """`late`: names in it are looked up when somebody iterates, whatever they are by then; not the first iter."""
        first = self.ev(generators[0].iter)
        saved_late, names = self.late, self.snapshot()
        self.late = self.late or late
        for number, generator in enumerate(generators):
            values = first if number == 0 else self.ev(generator.iter)
            self.use(values, "iterate", node, generator.iter)
            self.assign(generator.target, self.members(values), generator.iter)
            for test in generator.ifs:
                self.test(test)
        add()
        self.late = saved_late
        own = {n.id for g in generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
        for name in own:
            if name in names:
                self.scope.env[name] = names[name]
            else:
                self.scope.env.pop(name, None)

    def ev_yield(self, node: ast.Yield) -> Value:
        values = frozenset((OTHER,)) if node.value is None else self.ev(node.value)
        if self.inside:
            self.grow(self.functions[self.inside[-1]].yields, values)
        return frozenset((UNKNOWN,))

    def ev_yieldfrom(self, node: ast.YieldFrom) -> Value:
        values = self.ev(node.value)
        self.use(values, "iterate", node, node.value)
        if self.inside:
            self.grow(self.functions[self.inside[-1]].yields, self.members(values))
        return frozenset((UNKNOWN,))

    def ev_await(self, node: ast.Await) -> Value:
        return self.ev(node.value)

    def ev_starred(self, node: ast.Starred) -> Value:
        values = self.ev(node.value)
        self.use(values, "*", node, node.value)
        return self.members(values)
