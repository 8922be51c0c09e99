"""What methods.py and library.py may ask of whoever follows the script. Imports nothing of it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Protocol

from memguard.script.flow.values import Entity, Value

__all__ = ["Flow"]


class Flow(Protocol):
    """The follower of one script: see engine.py, calls.py and files.py."""

    tree: ast.Module
    inside: list[ast.AST]

    def thing(self, kind: str, node: ast.AST, made: str = "", name: str = "", tag: str = "") -> Entity:
        """The thing of that kind that `node` makes."""

    def list_of(self, node: ast.AST, made: str, members: Iterable[Entity] = (), tag: str = "") -> Entity:
        """A list that `node` makes, with these in it."""

    def module_thing(self, name: str) -> Entity:
        """A module, or something of a library by its dotted name."""

    def put(self, thing: Entity, field: str, values: Iterable[Entity]) -> None:
        """`values` are in `thing` from now on."""

    def made_of(self, thing: Entity, values: Iterable[Entity]) -> None:
        """`thing` is made of those of `values` that a rewrite may replace."""

    def use(self, values: Value, role: str, around: ast.AST, expression: ast.AST | None = None) -> None:
        """Each of `values` is used in `role` by `around`."""

    def use_inside(self, values: Value, role: str, around: ast.AST, expression: ast.AST | None = None) -> None:
        """And so is all that is in them."""

    def escape(self, values: Value, role: str, around: ast.AST, expression: ast.AST | None = None) -> None:
        """And what can be called in them may be called with anything."""

    def close(self, why: str, node: ast.AST) -> None:
        """Nothing of the script can be said."""

    def lookup(self, name: str) -> Value:
        """What a name may be."""

    def attribute(self, owner: Entity, name: str, node: ast.AST) -> Value:
        """owner.name"""

    def members(self, values: Value) -> Value:
        """What iterating over `values` gives."""

    def call_value(
        self, function: Value, args: list[Value], kwargs: dict[str, Value], node: ast.AST, nodes: list[ast.AST]
    ) -> Value:
        """What calling any of `function` gives."""

    def open_file(self, node: ast.AST, args: list[Value], kwargs: dict[str, Value], made: str) -> Entity:
        """The file that open() at `node` gives."""

    def note_read(self, text: Entity, file: Entity | None, node: ast.AST) -> None:
        """`node` reads all of a file into `text`."""

    def note_written(self, node: ast.AST) -> None:
        """`node` writes to a file by its path."""
