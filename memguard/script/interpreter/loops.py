"""What a loop goes over: lines of a file, chunks, documents, files, numbers, what a generator yields. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Interpreter
from memguard.script.interpreter.functions import call_function
from memguard.script.operations.dicts import keys_of, rest_of
from memguard.script.operations.elements import (
    index_of,
    line_of,
    look_at,
    one_of,
    one_path,
    part_of_range,
    piece_of_range,
    piece_seen,
    row_of,
)
from memguard.script.operations.fields import of_column
from memguard.script.operations.tables import add_entry
from memguard.script.state import Frame
from memguard.script.values import (
    KINDS,
    UNKNOWN,
    Buffer,
    Constant,
    File,
    Function,
    Generator,
    Instance,
    Method,
    Number,
    Path,
    Range,
    Row,
    Sequence,
)

__all__ = ["UNROLLED", "comprehension", "dict_comprehension", "iterate", "iterate_twice"]

# Up to this many known members a loop is followed member by member.
UNROLLED = 12
_NAMES = 40  # the same of texts that stand in the script: each may be the name of a file


def iterate(interpreter: Interpreter, value: Any, body: Callable[[Any], None], node: ast.AST) -> None:
    """Calls `body` with what one iteration sees, as often as it takes to know what comes together."""
    if isinstance(value, Generator):
        value.run(body)
    elif isinstance(value, Sequence):
        _iterate_members(interpreter, value, body, node)
    elif isinstance(value, Instance):
        _iterate_instance(interpreter, value, body, node)
    elif isinstance(value, Range):
        _iterate_range(interpreter, value, body, node)
    elif isinstance(value, Buffer) and (count := _counted(value)) is not None:
        iterate_twice(interpreter, node, lambda loop: _small(interpreter, value, loop), body, count, False)
    else:
        element = _element(interpreter, value, node)
        if element is None:
            iterate_twice(interpreter, node, lambda loop: UNKNOWN, body, consumes_input=False)
        else:
            iterate_twice(interpreter, node, element, body)


def _counted(value: Buffer) -> float | None:
    """How many small objects a list has that a loop of a known number of turns has filled."""
    if value.kind != "objects" or value.names is not None or len(value.parts) != 1:
        return None
    in_pieces = any(piece.windows for piece in value.pieces.values())
    return value.capacity if isinstance(value.capacity, float) and not in_pieces else None


def _small(interpreter: Interpreter, value: Buffer, loop: int) -> Any:
    """An element that is no piece of the input."""
    found = one_of(interpreter, value, loop)
    if isinstance(found, Buffer):
        found.parts = {}
    return found


def _iterate_range(interpreter: Interpreter, value: Range, body: Callable[[Any], None], node: ast.AST) -> None:
    counted = value.count is not None

    def seen(loop: int) -> Extent | None:
        return None if counted else piece_of_range(value, loop)

    def index(loop: int) -> Number:
        found = seen(loop)
        if found is not None:
            interpreter.state.sees(loop, found, part_of_range(value))
        return index_of(value, loop)

    iterate_twice(interpreter, node, index, body, value.count, not counted)


def _iterate_members(interpreter: Interpreter, value: Sequence, body: Callable[[Any], None], node: ast.AST) -> None:
    if value.keys is not None and 0 < len(value.keys) <= UNROLLED and all(isinstance(k, Constant) for k in value.keys):
        for index, key in enumerate(value.keys):
            with interpreter.state.member(index):
                body(key)
        return
    if value.keys is not None and rest_of(value) is not None:
        iterate(interpreter, keys_of(interpreter, value, node), body, node)
        return
    names = all(isinstance(item, (Constant, Path)) for item in value.items)
    if value.keys is not None or len(value.items) > (_NAMES if names else UNROLLED):
        members = [item for item in value.items if isinstance(item, Buffer)] if value.keys is None else []
        largest = max(members, key=lambda member: member.weight, default=UNKNOWN)
        count = float(len(value.items)) if members else None
        iterate_twice(interpreter, node, lambda loop: largest, body, count, consumes_input=False)
        return
    for index, item in enumerate(value.items):
        with interpreter.state.member(index):
            if isinstance(item, Buffer) and item.origin == "appended":  # what a loop has added to the known members
                iterate(interpreter, item, body, node)
            else:
                body(item)


def _element(interpreter: Interpreter, value: Any, node: ast.AST) -> Callable[[int], Any] | None:
    """Loop → what one of its iterations over `value` gets; None where nothing is known of it."""
    if isinstance(value, Path) and value.many:
        return lambda loop: one_path(value, loop)
    if isinstance(value, File):
        return lambda loop: line_of(interpreter, value, loop, node)
    if isinstance(value, Row):
        if value.column and value.path:
            return lambda loop: _of_column(interpreter, value, loop, node)
        return lambda loop: row_of(value, loop, tuple(interpreter.state.loops))
    if isinstance(value, Buffer) and value.kind == "list":  # nothing of the input's size in it
        return lambda loop: UNKNOWN
    if isinstance(value, Buffer) and KINDS[value.kind].element:
        return lambda loop: one_of(interpreter, value, loop)
    return None


def _of_column(interpreter: Interpreter, value: Row, loop: int, node: ast.AST) -> Any:
    look_at(value)
    return of_column(interpreter, value, loop, node)


def iterate_twice(
    interpreter: Interpreter,
    node: ast.AST,
    element: Callable[[int], Any],
    body: Callable[[Any], None],
    count: float | None = None,
    consumes_input: bool = True,
) -> None:
    """In the second iteration the values of the first are still there."""
    state = interpreter.state
    loop = state.new_loop(node, count, consumes_input)
    once = count is not None and count <= 1  # range(1), [0]: nothing is there from an iteration before
    for number in (2,) if once else state.passes():
        with state.iteration(loop, number):
            mark = len(state.temps)
            value = element(loop)
            piece = piece_seen(value)
            if piece is not None:
                state.sees(loop, piece)
            body(value)
            del state.temps[mark:]


def _iterate_instance(interpreter: Interpreter, value: Instance, body: Callable[[Any], None], node: ast.AST) -> None:
    method = interpreter.attribute(value, "__iter__", node)
    if isinstance(method, Function):
        result = call_function(interpreter, method, [], {}, node)
        if isinstance(result, Generator):
            result.run(body)
            return
    if isinstance(method, Method) and isinstance(value.cls, str):  # a library's object
        result = interpreter.call(method, [], {}, node)
        if isinstance(result, Generator):
            result.run(body)
            return
    iterate_twice(interpreter, node, lambda loop: UNKNOWN, body, consumes_input=False)


def comprehension(
    interpreter: Interpreter, generators: list[ast.comprehension], body: Callable[[], None], first: Any = None
) -> None:
    """The loops of a comprehension, in a scope of their own."""
    state = interpreter.state
    outer = state.frame
    frame = Frame({}, (outer.env, *outer.scopes), generators[0].iter, outer=outer.outer)
    state.spaces.append(frame.env)
    state.frames.append(frame)

    def level(index: int) -> None:
        if index == len(generators):
            body()
            return
        generator = generators[index]
        value = first if index == 0 and first is not None else interpreter.evaluate(generator.iter)

        def step(element: Any) -> None:
            inner, state.frame = state.frame, frame
            try:
                interpreter.assign(generator.target, element)
                for test in generator.ifs:
                    interpreter.evaluate(test)
                level(index + 1)
            finally:
                state.frame = inner

        interpreter.iterate(value, step, generator.iter)

    state.frame = frame
    try:
        level(0)
    finally:
        state.frame = outer
        state.frames.remove(frame)


def dict_comprehension(interpreter: Interpreter, node: ast.DictComp) -> Any:
    """{key: value for …}: members that are known one by one where all keys are, else as if they were in a list."""
    state = interpreter.state
    result = state.make("list", node)
    known = Sequence([], [], mutable=True)
    state.temps += [result, known]
    around = len(state.loops)

    def add() -> None:
        key = interpreter.evaluate(node.key)
        value = interpreter.evaluate(node.value)
        if known.keys is not None and isinstance(key, Constant) and len(state.loops) == around:
            known.keys.append(key)
            known.items.append(value)
        else:
            add_entry(interpreter, result, key, value, node)

    comprehension(interpreter, node.generators, add)
    return result if result.kind != "list" else known
