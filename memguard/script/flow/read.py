"""Source → Uses: rounds over the module and its functions until nothing changes. The door to this room."""

from __future__ import annotations

import ast

from memguard.script.flow.engine import TooMuch
from memguard.script.flow.facts import Thing, Use, Uses
from memguard.script.flow.files import Files
from memguard.script.flow.values import KEYS, PLACED, Entity
from memguard.script.source import Places, deep_recursion, parse_script, quiet_collector, too_deep

__all__ = ["read_uses"]

_ROUNDS = 40
_REGIONS = (ast.For, ast.AsyncFor, ast.While, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ListComp)


def read_uses(source: str, path: str) -> Uses:
    """Raises InputError for what is not Python, or too large or too deep for a script."""
    with quiet_collector():
        tree = parse_script(source, path)
        with deep_recursion():
            try:
                return _read(tree, source)
            except RecursionError:
                raise too_deep(path) from None


def _read(tree: ast.Module, source: str) -> Uses:
    flow = Files(tree)
    try:
        _settle(flow)
        for function in list(flow.known_functions):
            state = flow.state_of(function)
            if not state.called and not state.outside:
                state.outside = True
        _settle(flow)
    except TooMuch:
        flow.close("too much to follow", tree.body[0] if tree.body else tree)
    flow.conflicts()
    return _frozen(flow, Places(source))


def _settle(flow: Files) -> None:
    for _ in range(_ROUNDS):
        flow.changed = False
        flow.uses.clear()
        flow.reads.clear()
        flow.writes.clear()
        flow.run_module()
        for function in list(flow.known_functions):
            state = flow.state_of(function)
            if state.called or state.outside:
                flow.run_function(function)
        if not flow.changed:
            return
    raise TooMuch


def _frozen(flow: Files, places: Places) -> Uses:
    found = [thing for thing in flow.things() if thing.kind in PLACED and thing.node is not None]
    numbers = {thing: number for number, thing in enumerate(found)}
    things = tuple(_thing(thing, numbers, places) for thing in found)
    uses = []
    for (thing, role, _), (around, others, expression) in flow.uses.items():
        if thing not in numbers:
            continue
        line = getattr(expression, "lineno", 0) or getattr(around, "lineno", 0)
        inside = places.span(expression)
        uses.append(Use(numbers[thing], role, places.span(around), line, frozenset(others), inside))
    regions = tuple(places.span(node) for node in ast.walk(flow.tree) if isinstance(node, _REGIONS))
    return Uses(things, tuple(uses), regions, *flow.closed)


def _thing(thing: Entity, numbers: dict[Entity, int], places: Places) -> Thing:
    assert thing.node is not None
    inside = {v.kind for field, values in thing.fields.items() if field != KEYS for v in values}
    return Thing(
        number=numbers[thing],
        kind=thing.kind,
        made=thing.made,
        span=places.span(thing.node),
        line=getattr(thing.node, "lineno", 0),
        elements=frozenset(inside),
        of=frozenset(numbers[other] for other in thing.of if other in numbers),
        inside=frozenset(
            numbers[v] for field, values in thing.fields.items() if field != KEYS for v in values if v in numbers
        ),
    )
