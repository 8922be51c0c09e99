"""Things: what an expression of a script may be, known by the place that makes it. Pure.

A value is a frozenset of things. Numbers, texts of the script's own and other small values are one thing each for all
places; whatever a rewrite may replace, or has to follow, has a place.
"""

from __future__ import annotations

import ast
from typing import Any

__all__ = [
    "BYTES",
    "INT",
    "JSON",
    "KEYS",
    "MEMBERS",
    "NONE",
    "NUMBER",
    "OTHER",
    "PLACED",
    "STR",
    "UNKNOWN",
    "Entity",
    "Value",
    "constant",
    "reachable",
]

MEMBERS = "[]"  # the field of what is in a container, where its key is not known
KEYS = "keys"

# What a rewrite may replace, or what it may make of that: each has uses that are listed.
PLACED = frozenset(("list", "text", "texts", "file", "encoder", "frame", "array", "dataset"))


class Entity:
    """A thing, with all that was ever put into it. `kind`:

    list (of anything), text (of an input), texts (what a text was split into), file, encoder (tiktoken's), tokenizer
    (another one), array, frame (a table), dict, tuple, set, iterator, function, class, instance, method, module, path,
    pool, int, str, bytes, number, none, other, unknown
    """

    __slots__ = ("fields", "kind", "made", "name", "node", "of", "owner", "scope")

    def __init__(self, kind: str, node: ast.AST | None = None, name: str = "", made: str = "") -> None:
        self.kind, self.node, self.name, self.made = kind, node, name, made
        self.fields: dict[str, set[Entity]] = {}
        self.of: set[Entity] = set()  # what it was made from, where that is one of these
        self.owner: Entity | None = None  # of a method
        self.scope: Any = None  # of a function or class

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name or self.made} {getattr(self.node, 'lineno', '')}>"


Value = frozenset[Entity]

UNKNOWN = Entity("unknown")
INT, STR, BYTES, NONE = Entity("int"), Entity("str"), Entity("bytes"), Entity("none")
NUMBER = Entity("number")  # a float, a bool
OTHER = Entity("other")  # small, and nothing is in it
JSON = Entity("json")  # a document, a row, or a field of one: mostly a str


def constant(value: object) -> Entity:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return NUMBER
    kinds: tuple[tuple[type, Entity], ...] = ((int, INT), (str, STR), (bytes, BYTES))
    return next((thing for kind, thing in kinds if isinstance(value, kind)), NUMBER)


def reachable(values: Value, *, inside_only: bool = False) -> set[Entity]:
    """Everything that can be got at from `values`."""
    seen: set[Entity] = set()
    todo = [inner for thing in values for inner in _inside(thing)] if inside_only else list(values)
    while todo:
        thing = todo.pop()
        if thing not in seen:
            seen.add(thing)
            todo += _inside(thing)
    return seen


def _inside(thing: Entity) -> list[Entity]:
    found = [inner for field in thing.fields.values() for inner in field]
    return [*found, thing.owner] if thing.owner is not None else found
