"""What one iteration over a value sees: a line of a file, a character, a document. Pure.

Every loop gets an identity, and what it hands out is a window of that loop, so that what comes together over all
iterations can be told from what one iteration holds.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from memguard.script.extents import ALL_FIELDS, MOST_TIMES, Extent, Window, measure
from memguard.script.interface import Interpreter
from memguard.script.liveness import buffers_in
from memguard.script.values import KINDS, Buffer, File, Number, Path, Range, Row, Sequence, Symbol

__all__ = [
    "batch_of",
    "ids_of",
    "index_of",
    "is_line",
    "is_once",
    "is_word",
    "line_of",
    "list_of",
    "lists_of",
    "look_at",
    "one_of",
    "one_path",
    "origin_of",
    "part_of_range",
    "piece_of_range",
    "piece_seen",
    "row_of",
    "together",
    "view",
]


def index_of(value: Range, loop: int) -> Number:
    """range(0, len(text), 1000): a number that moves by 1000 each time."""
    return Number(0.0, Symbol(f"loop {loop}", None, "items"), 1.0, loop, value.step or 1.0)


def piece_seen(value: Any) -> Extent | None:
    """How much of the input an iteration goes over that gets `value`; None where that is not known."""
    if isinstance(value, Path) and value.windows:
        return Extent(None, windows=value.windows)
    found = (inner.extent for inner in buffers_in([value]))
    return next((extent for extent in found if extent.windows), None)


def part_of_range(value: Range) -> tuple[float, float]:
    """The part of a list's indexes that it goes over: range(int(0.9 * len(x)), len(x)) is 0.9 to 1."""
    start, stop = value.start, value.stop
    if not (isinstance(start, Number) and isinstance(stop, Number) and start.symbol and stop.symbol):
        return 0.0, 1.0
    same = start.symbol.of is not None and start.symbol.of is stop.symbol.of
    return (start.factor, stop.factor) if same and 0 <= start.factor < stop.factor <= 1 else (0.0, 1.0)


def piece_of_range(value: Range, loop: int) -> Extent | None:
    """The same of an iteration over range(len(x)), range(10 * len(x)), range(0, len(x) // 2, 16)."""
    stop = value.stop
    of = stop.symbol.of if isinstance(stop, Number) and stop.symbol is not None else None
    if of is None or stop.factor <= 0:
        return None
    piece = replace(_piece(of, loop), times=together(of).times)
    *outer, window = piece.windows
    part = part_of_range(value)
    if part[0] > 0:
        piece = piece.part(*part)
        return replace(piece, windows=(*outer, replace(window, amount=window.amount * max(1.0, value.step or 1.0))))
    steps = (value.step or 1.0) / min(1.0, stop.factor)
    windows = (*outer, replace(window, amount=window.amount * max(1.0, steps)))
    return replace(piece, windows=windows, times=min(MOST_TIMES, piece.times * max(1.0, stop.factor)))


def together(buffer: Buffer) -> Extent:
    """All the parts of `buffer` as one: the largest, as many times over as they are together."""
    largest = buffer.extent
    size = measure(largest)
    if len(buffer.joined_parts) < 2 or size <= 0:
        return largest
    return replace(largest, times=min(MOST_TIMES, largest.times * buffer.weight / size))


def is_word(text: Buffer) -> bool:
    """Whether it is one word of a text, or what was made of one."""
    if text.of is not None and text.of.kind in ("words", "doc", "pieces"):
        return True
    return _turn_of(text) == "words"


def is_line(text: Buffer) -> bool:
    """Whether it is one line of a file, whole, or what was made of one."""
    return _turn_of(text) == "lines" and len(text.parts) == 1


def is_once(text: Buffer) -> bool:
    """Whether it goes where those that differ are kept alone."""
    return any(window.unit.startswith("new ") for window in text.extent.windows)


def list_of(value: Any) -> Buffer | None:
    """The list that a string is an element of."""
    root = value.of if isinstance(value, Buffer) and value.kind == "text" else None
    while root is not None and root.of is not None:
        root = root.of
    return root


def origin_of(value: Buffer | Row) -> str:
    """Where its elements come from, as far as that goes for those that get them."""
    return "" if value.origin in ("appended", "beside") else value.origin


def _turn_of(text: Buffer) -> str:
    """The unit of what a loop sees of it a time; "" for what is no such piece, or a part of one."""
    windows = [window for window in text.extent.windows if not window.unit.startswith(("distinct ", "new "))]
    single = windows and windows[-1].loop and windows[-1].amount == 1
    return windows[-1].unit if single else ""


def one_path(path: Path, loop: int) -> Path:
    return Path(None, path.argument, False, path.key, (*path.windows, Window(loop, "files", 1)))


def line_of(interpreter: Interpreter, file: File, loop: int, node: ast.AST) -> Any:
    extent = file.extent.window(loop, "lines", 1)
    if file.format == "parquet":
        return Row(extent, "parquet")
    return interpreter.state.make("bytes" if file.binary else "text", node, extent)


def row_of(rows: Row, loop: int, loops: tuple[tuple[int, int], ...]) -> Any:
    """One row of a table, one value of a column."""
    nested = rows.path and not rows.column  # a list of dicts inside a record
    extent = rows.extent.window(loop, "items" if nested else "lines", 1)
    look_at(rows)
    if rows.column:
        return ids_of(extent, loops) if rows.origin == "ids" else Buffer("text", {0: extent}, (), 0)
    row = Row(extent, "row" if rows.origin == "dataset" else rows.origin, path=rows.path, source=rows.source)
    for name, value in rows.fields.items():
        if isinstance(value, Row) and value.origin == "ids":
            row.fields[name] = ids_of(extent, loops)
        elif isinstance(value, Buffer):
            kind = KINDS[value.kind].element or value.kind
            row.fields[name] = Buffer(kind, {0: extent}, value.created_in, value.line, value.item)
    return row


def ids_of(extent: Extent, loops: tuple[tuple[int, int], ...]) -> Buffer:
    """A row's list of ids, made when it is asked for, with its int objects."""
    ids = Buffer("ids", {0: extent}, loops, 0)
    ids.refs.append(Buffer("ints", ids.parts, loops, 0, source=ids))
    return ids


def lists_of(interpreter: Interpreter, extent: Extent, node: ast.AST) -> Buffer:
    """A list of lists of ids, one for each row of a column, with their int objects."""
    lists = interpreter.state.make("lists", node, extent)
    ints = interpreter.state.make("ints", node, source=lists)
    ints.parts, ints.pieces = lists.parts, lists.pieces
    lists.refs.append(ints)
    return lists


def look_at(rows: Row) -> None:
    """What of an Arrow file has been looked at stays in memory."""
    for ref in rows.refs:
        if isinstance(ref, Buffer) and ref.kind == "pages":
            ref.parts[0] = rows.extent


def batch_of(interpreter: Interpreter, rows: Row, extent: Extent, node: ast.AST) -> Row:
    """Some rows of a data set as a dict of lists: its texts are made once, whichever of them are used."""
    look_at(rows)
    batch = Row(extent, "batch")
    for name, value in rows.fields.items():
        if isinstance(value, Row) and value.origin == "ids":
            batch.fields[name] = lists_of(interpreter, extent, node)
    return batch


def one_of(interpreter: Interpreter, buffer: Buffer, loop: int) -> Any:
    """What iteration `loop` over `buffer` gets."""
    kind = KINDS[buffer.kind].element
    extent = _piece(buffer, loop)
    if buffer.names is not None:
        return _named(buffer.names, loop)
    if kind == "record":
        nested = extent.columns[0] if len(extent.columns) == 1 and extent.columns[0] != ALL_FIELDS else ""
        return Row(extent, buffer.origin or "json", path=nested, source=buffer.of or buffer)
    loops = tuple(interpreter.state.loops)
    if kind in ("char", "token"):
        return Buffer(kind, {0: extent}, loops, buffer.line, of=buffer, steps=buffer.steps)
    found = Buffer(kind, {0: extent}, loops, buffer.line, buffer.item, of=buffer, steps=buffer.steps)
    found.library = buffer.library
    return found


def _named(value: Any, loop: int) -> Any:
    """A path of one of many files as `loop` sees it, or what has one: (path, number)."""
    if isinstance(value, Path):
        return one_path(replace(value, windows=()), loop) if value.windows else value
    if isinstance(value, Sequence):
        return Sequence([_named(item, loop) for item in value.items], value.keys, value.mutable)
    return value


def _piece(buffer: Buffer, loop: int) -> Extent:
    """One element of `buffer`, as `loop` sees it: as large as what was added to it at a time."""
    whole = buffer.extent
    if buffer.kind in ("text", "bytes", "chars"):
        return whole.window(loop, "chars", 1)
    if buffer.kind == "words":
        return whole.window(loop, "words", 1)
    if KINDS[buffer.kind].element == "token":
        return whole.window(loop, "tokens", 1)
    inner = next((found for p in buffer.pieces.values() if (found := p.windows[len(whole.windows) :])), ())
    if not inner:
        return whole.window(loop, "lines", 1)
    first, *more = inner
    piece = whole.window(loop, first.unit, first.amount)
    for window in more:  # a line of one of the files, a member of a list in a line
        if window.loop or window.unit == "items":
            piece = piece.window(loop, window.unit, window.amount)
    return piece


def view(array: Buffer) -> Buffer:
    """The same memory under another name."""
    found = Buffer("view", dict(array.parts), array.created_in, array.line, array.item, refs=[array], of=array)
    found.file_item, found.steps, found.library = array.file_item, array.steps, array.library
    return found
