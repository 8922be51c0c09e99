"""Sets and dicts whose entries follow the input: what their elements are, and the table that holds them. Pure.

The elements are as if in a list; the table is a Buffer of kind slots among the refs of that list.
"""

from __future__ import annotations

import ast
from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Interpreter
from memguard.script.liveness import buffers_in
from memguard.script.operations.growth import append, append_made
from memguard.script.operations.smalls import made_of
from memguard.script.values import NOTHING, Buffer, Small, Unknown

__all__ = ["add_entry", "distinct", "table_for", "tabled", "value_in"]


def add_entry(interpreter: Interpreter, elements: Buffer, key: Any, value: Any, node: ast.AST) -> None:
    """table[key] = value, for a key that is not known. What nothing is known of as a key is as small as the value."""
    members = [member for member in (key, value) if member is not NOTHING]
    large = [member for member in members if buffers_in([member])]
    for index, member in enumerate(large):
        with interpreter.state.member(index):
            append(interpreter, elements, member, node)
    rest = [member for member in members if not any(member is one for one in large)]
    small = tuple(part for member in rest if not isinstance(member, Unknown) for part in made_of(member))
    if small or not large:
        state = interpreter.state
        piece = state.turn(elements.created_in)
        shared = (Small("slots of others", 1.0),) if large else ()
        append_made(interpreter, elements, (*shared, *small), piece, state.times_round(elements.created_in), node)
    priced = sum(len(buffers_in([member])) for member in large) if large else 1
    tabled(interpreter, elements, "dict", priced, node, values=buffers_in([value]) != [])


def tabled(
    interpreter: Interpreter, elements: Buffer, origin: str, priced: int, node: ast.AST, *, values: bool = False
) -> None:
    """`elements` are those of a set or a dict (`origin`): `priced` references to each have a price with them already.
    `values`: those of the dict are of the input's size.
    """
    if elements.kind == "list" or _table_of(elements) is not None:
        return
    table = table_for(interpreter, elements, origin, priced, node)
    if origin == "dict" and not values:
        table.made_of = (Small("shared"),)
    elements.refs.append(table)


def table_for(interpreter: Interpreter, elements: Buffer, origin: str, priced: int, node: ast.AST) -> Buffer:
    """The table of a set or a dict that has an entry for each of `elements`."""
    table = interpreter.state.make("slots", node, item=8 * priced, source=elements, origin=origin)
    table.parts, table.pieces, table.created_in = elements.parts, elements.pieces, elements.created_in
    return table


def value_in(elements: Buffer) -> Small | None:
    """What a dict gives for a key, where its values are small objects that it keeps."""
    table = _table_of(elements)
    return table.made_of[0] if table is not None and table.made_of else None


def _table_of(elements: Buffer) -> Buffer | None:
    return next((ref for ref in elements.refs if isinstance(ref, Buffer) and ref.kind == "slots"), None)


def distinct(parts: dict[Any, Extent]) -> dict[Any, Extent]:
    """The words of a text, each once."""
    return {key: part.window(0, "distinct words", 1) for key, part in parts.items()}
