"""Sets and dicts whose entries follow the input: what their elements are, and the table that holds them. Pure.

The elements are as if in a list; the table is a Buffer of kind slots among the refs of that list. A table has an entry
for each key that differs from the others: of characters and ids few do, of words and lines as many as the text says.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Interpreter
from memguard.script.liveness import buffers_in
from memguard.script.operations.elements import is_line, is_once, is_word
from memguard.script.operations.growth import append, append_made
from memguard.script.operations.smalls import made_of
from memguard.script.values import KINDS, NOTHING, Buffer, Constant, Number, Row, Sequence, Small, Unknown

__all__ = [
    "add_element",
    "add_entry",
    "differing",
    "few_differ",
    "is_set",
    "once",
    "table_for",
    "table_of",
    "tabled",
    "value_in",
]

# Of letters, pairs and triples of letters few differ; longer runs of them come in as many kinds as there are words.
_FEW_TOGETHER = 3
# Letters of a word, or bytes, that a tuple of them has a slot for: words that differ are longer than words in a text.
_LETTERS = 12.0


def few_differ(key: Any) -> bool:
    """Whether few different ones are among all that a loop makes: characters, ids, lengths, pairs of characters."""
    if isinstance(key, Buffer):
        return key.kind in ("char", "token")
    if isinstance(key, Number):  # the lengths of all lines differ in no more ways than the root of the text's length
        return key.symbol is None or (not key.loop and key.symbol.ident.split()[0] == "len")
    if isinstance(key, Sequence) and key.keys is None and not key.mutable:
        letters = [item for item in key.items if isinstance(item, Buffer) and item.kind == "char"]
        return len(key.items) <= _FEW_TOGETHER and len(letters) == len(key.items)
    return isinstance(key, Constant)


def differing(key: Any) -> Any:
    """`key` as a table keeps it: each word, each line once."""
    if not isinstance(key, Buffer) or key.kind not in ("text", "bytes"):
        return key
    unit = "words" if is_word(key) else "lines" if is_line(key) else ""
    if not unit or key.origin == "numbered":
        return key
    parts = {site: part.window(0, f"new {unit}", 1) for site, part in key.parts.items()}
    return replace(key, parts=parts, refs=list(key.refs), pieces={}, grown_in={})


def word_in_letters(key: Any) -> Extent | None:
    """Where tuple(word), or a tuple made of each of its letters, stands as a key: the words that differ."""
    if not isinstance(key, Buffer) or key.kind not in ("objects", "chars") or len(key.parts) != 1:
        return None
    if key.capacity is not None or any(ref for ref in key.refs):
        return None
    whole, piece = next(iter(key.parts.values())), next(iter(key.pieces.values()), None)
    if not whole.windows or whole.windows[-1].unit != "words" or whole.windows[-1].amount != 1:
        return None
    units = [] if piece is None else [window.unit for window in piece.windows[len(whole.windows) :]]
    return whole.window(0, "new words", 1) if units in ([], ["chars"], ["tokens"]) else None


def add_element(interpreter: Interpreter, elements: Buffer, value: Any, node: ast.AST) -> None:
    """table.add(value): an element of a set."""
    value = differing(value)
    if not few_differ(value) and not _is_there(interpreter, elements, value, node):
        append(interpreter, elements, value, node)


def _is_there(interpreter: Interpreter, elements: Buffer, key: Any, node: ast.AST) -> bool:
    """Whether another place of the script has added the same words or lines: `if w in n: n[w] += 1 else: n[w] = 1`."""
    state = interpreter.state
    if not isinstance(key, Buffer) or not is_once(key):
        return False
    site, parts = state.site(node), elements.parts
    if site in parts or len(key.parts) > 1:
        return False
    return bool(parts) and state.grown(elements, key.extent, node) in parts.values()


def is_set(elements: Buffer) -> bool:
    """Whether `elements` are those of a set."""
    table = table_of(elements)
    return table is not None and table.origin == "set"


def add_entry(interpreter: Interpreter, elements: Buffer, key: Any, value: Any, node: ast.AST) -> None:
    """table[key] = value, for a key that is not known. What nothing is known of as a key is as small as the value."""
    few = few_differ(key)
    spelled = word_in_letters(key)
    if spelled is not None and not buffers_in([value]):
        key = Small("tuple", _LETTERS)
    if isinstance(key, Sequence) and not few and not any(is_text(member) for member in buffers_in([key])):
        key = Small("tuple", float(len(key.items)))  # of ids, which others hold
    key = NOTHING if few else differing(key)
    few = few or _is_there(interpreter, elements, key, node)
    key = NOTHING if few else key
    members = [member for member in (key, value) if member is not NOTHING]
    large = [member for member in members if buffers_in([member])]
    for index, member in enumerate(large):
        with interpreter.state.member(index):
            append(interpreter, elements, member, node)
    rest = [member for member in members if not any(member is one for one in large)]
    small = tuple(part for member in rest if not isinstance(member, Unknown) for part in made_of(member))
    if large:
        small = tuple(part for part in small if part.kind != "shared")
    if few and not large:
        return
    if small or not large:
        state = interpreter.state
        kept = key.extent if isinstance(key, (Buffer, Row)) else spelled or state.turn(elements.created_in)
        shared = (Small("slots of others", 1.0),) if large else ()
        append_made(interpreter, elements, (*shared, *small), kept, state.times_round(elements.created_in), node)
    priced = sum(len(buffers_in([member])) for member in large) if large else 1
    tabled(interpreter, elements, "dict", priced, node, values=buffers_in([value]) != [])


def is_text(value: Any) -> bool:
    """Whether it has a size of its own, other than a character or an id of something else."""
    return not isinstance(value, Buffer) or not KINDS[value.kind].small


def tabled(
    interpreter: Interpreter, elements: Buffer, origin: str, priced: int, node: ast.AST, *, values: bool = False
) -> None:
    """`elements` are those of a set or a dict (`origin`): `priced` references to each have a price with them already.
    `values`: those of the dict are of the input's size.
    """
    if elements.kind == "list" or table_of(elements) is not None:
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
    table = table_of(elements)
    return table.made_of[0] if table is not None and table.made_of else None


def table_of(elements: Buffer) -> Buffer | None:
    """The table of a set or dict of `elements`; None for a list."""
    return next((ref for ref in elements.refs if isinstance(ref, Buffer) and ref.kind == "slots"), None)


def once(elements: Buffer) -> dict[Any, Extent]:
    """The parts of a list as a table keeps them: of its words and lines those that differ."""
    lines = [piece.windows[-1:] for piece in elements.pieces.values()]
    in_lines = all(last and last[0].unit == "lines" and last[0].amount == 1 for last in lines)
    if elements.kind == "words" or (elements.kind == "strings" and in_lines):
        unit = "words" if elements.kind == "words" else "lines"
        return {key: part.once(unit) for key, part in elements.parts.items()}
    return elements.parts
