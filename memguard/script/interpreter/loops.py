"""What a loop goes round over: lines of a file, chunks, documents, files, numbers, what a generator yields. Pure.

Every loop gets an identity, and what it hands out is window by it, so that what comes together over all iterations can
be told from what one iteration holds.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from memguard.script.interpreter import functions as script_functions
from memguard.script.state import Frame
from memguard.script.values import (
    UNKNOWN,
    Buffer,
    Extent,
    File,
    Generator,
    Instance,
    Number,
    Path,
    Range,
    Row,
    Sequence,
    Symbol,
)

if TYPE_CHECKING:
    from memguard.script.interpreter.expressions import Evaluator

__all__ = ["ELEMENTS", "comprehension", "iterate", "iterate_twice", "one_of", "piece_extent"]

# Up to this many known members a loop is followed member by member.
_UNROLLED = 12

# What iterating over a kind of Buffer gives.
ELEMENTS = {
    "text": "char",
    "bytes": "char",
    "chars": "char",
    "ids": "token",
    "ints": "token",
    "array": "token",
    "view": "token",
    "strings": "text",
    "words": "text",
    "records": "record",
    "lists": "ids",
    "arrays": "array",
    "opaque": "opaque",
    "table": "record",
}


def iterate(reader: Evaluator, value: Any, body: Callable[[Any], None], node: ast.AST) -> None:
    """Calls `body` with what one iteration sees, as often as it takes to know what comes together."""
    if isinstance(value, Generator):
        value.run(body)
    elif isinstance(value, Sequence) and value.keys is None and len(value.items) <= _UNROLLED:
        for item in value.items:
            if (
                isinstance(item, Buffer) and item.origin == "appended"
            ):  # what a loop has added to a list of known members
                iterate(reader, item, body, node)
            else:
                body(item)
    elif isinstance(value, Range):
        iterate_twice(
            reader, node, lambda loop: _index(value, loop), body, value.count, consumes_input=value.count is None
        )
    elif isinstance(value, Path) and value.many:
        iterate_twice(reader, node, lambda loop: _one_path(value, loop), body)
    elif isinstance(value, File):
        iterate_twice(reader, node, lambda loop: _line(reader, value, loop, node), body)
    elif isinstance(value, Row):
        iterate_twice(reader, node, lambda loop: _row(value, loop), body)
    elif isinstance(value, Buffer) and value.kind == "list":  # nothing of the input's size in it
        iterate_twice(reader, node, lambda loop: UNKNOWN, body)
    elif isinstance(value, Buffer) and value.kind in ELEMENTS:
        iterate_twice(reader, node, lambda loop: one_of(reader, value, loop, node), body)
    elif isinstance(value, Instance):
        _iterate_instance(reader, value, body, node)
    else:
        iterate_twice(reader, node, lambda loop: UNKNOWN, body, consumes_input=False)


def iterate_twice(
    reader: Evaluator,
    node: ast.AST,
    element: Callable[[int], Any],
    body: Callable[[Any], None],
    count: float | None = None,
    consumes_input: bool = True,
) -> None:
    """Twice: in the second iteration the values of the first are still there."""
    state = reader.state
    loop = state.new_loop(node, count, consumes_input)
    for number in (1, 2):
        with state.iteration(loop, number):
            mark = len(state.temps)
            body(element(loop))
            del state.temps[mark:]


def _index(value: Range, loop: int) -> Number:
    """range(0, len(text), 1000): a number that moves by 1000 each time."""
    return Number(0.0, Symbol(-loop, None, "items"), 1.0, loop, value.step or 1.0)


def _one_path(path: Path, loop: int) -> Path:
    from memguard.script.values import Window

    return Path(None, path.argument, False, path.key, (*path.windows, Window(loop, "files", 1)))


def _line(reader: Evaluator, file: File, loop: int, node: ast.AST) -> Any:
    extent = file.extent.window(loop, "lines", 1)
    if file.format == "parquet":
        return Row(extent, "parquet")
    return reader.state.make("bytes" if file.binary else "text", node, extent)


def _row(record: Row, loop: int) -> Any:
    row = Row(record.extent.window(loop, "lines", 1), record.origin)
    if record.column:
        return _column_value(record, row.extent)
    for name, value in record.fields.items():
        if isinstance(value, Buffer):
            kind = ELEMENTS.get(value.kind, value.kind)
            row.fields[name] = Buffer(kind, {0: row.extent}, value.created_in, value.line, value.item)
    return row


def _column_value(record: Row, extent: Extent) -> Buffer:
    kind = "ids" if record.origin == "ids" else "text"
    return Buffer(kind, {0: extent}, (), 0)


def one_of(reader: Evaluator, buffer: Buffer, loop: int, node: ast.AST) -> Any:
    """What iteration `loop` over `buffer` gets."""
    kind = ELEMENTS[buffer.kind]
    extent = piece_extent(buffer, loop)
    if kind == "record":
        return Row(extent, buffer.origin or "json")
    if kind in ("char", "token"):
        return Buffer(kind, {0: extent}, tuple(reader.state.loops), buffer.line, of=buffer)
    return Buffer(kind, {0: extent}, tuple(reader.state.loops), buffer.line, buffer.item, of=buffer)


def piece_extent(buffer: Buffer, loop: int) -> Extent:
    """One element of `buffer`, as `loop` sees it: as large as what was added to it at a time."""
    whole = buffer.extent
    if buffer.kind in ("text", "bytes", "chars"):
        return whole.window(loop, "chars", 1)
    if buffer.kind in ("ids", "ints", "array", "view"):
        return whole.window(loop, "tokens", 1)
    inner = [window for piece in buffer.pieces.values() for window in piece.windows[len(whole.windows) :]]
    if not inner:
        return whole.window(loop, "lines", 1)
    window = inner[0]
    return whole.window(loop, window.unit, window.amount)


def _iterate_instance(reader: Evaluator, value: Instance, body: Callable[[Any], None], node: ast.AST) -> None:
    method = reader.attribute(value, "__iter__", node)
    from memguard.script.values import Function

    if isinstance(method, Function):
        result = script_functions.call_function(reader, method, [], {}, node)
        if isinstance(result, Generator):
            result.run(body)
            return
    iterate_twice(reader, node, lambda loop: UNKNOWN, body, consumes_input=False)


def comprehension(
    reader: Evaluator, generators: list[ast.comprehension], body: Callable[[], None], first: Any = None
) -> None:
    """The loops of a comprehension, in a scope of their own."""
    state = reader.state
    outer = state.frame
    frame = Frame({}, (outer.env, *outer.scopes), generators[0].iter, outer=outer.outer)
    state.spaces.append(frame.env)
    state.frames.append(frame)

    def level(index: int) -> None:
        if index == len(generators):
            body()
            return
        generator = generators[index]
        value = first if index == 0 and first is not None else reader.evaluate(generator.iter)

        def step(element: Any) -> None:
            inner, state.frame = state.frame, frame
            try:
                reader.assign(generator.target, element)
                for test in generator.ifs:
                    reader.evaluate(test)
                level(index + 1)
            finally:
                state.frame = inner

        reader.iterate(value, step, generator.iter)

    state.frame = frame
    try:
        level(0)
    finally:
        state.frame = outer
        state.frames.remove(frame)
