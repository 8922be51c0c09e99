"""What `value[…]` gives and changes: slices of texts and lists, fields of rows, members of tuples. Pure."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from memguard.script.extents import Extent, Window
from memguard.script.interface import Interpreter
from memguard.script.liveness import buffers_in
from memguard.script.numbers import fraction_of, number_of
from memguard.script.operations.dicts import entry_for, member_of, of_key, store_member
from memguard.script.operations.elements import batch_of, lists_of, look_at, one_of, one_path, row_of, view
from memguard.script.operations.fields import column_of, column_row, column_values, columns_of, field_value, of_column
from memguard.script.operations.growth import append, clear
from memguard.script.operations.ints import ints_behind
from memguard.script.operations.lengths import ARRAYS, elementwise
from memguard.script.operations.tables import value_in
from memguard.script.values import (
    KINDS,
    UNKNOWN,
    Buffer,
    Constant,
    Module,
    Number,
    Path,
    Row,
    Sequence,
)

__all__ = ["field_of", "slice_of", "store", "subscript", "unpacked"]

# What a data set of several parts calls them: dataset["train"] is no column.
_SPLITS = frozenset(("train", "test", "validation", "valid", "val", "dev", "eval", "all"))
_MOST_ARGUMENTS = 64  # sys.argv[1:1000000] is nobody's


def subscript(interpreter: Interpreter, owner: Any, node: ast.Subscript) -> Any:
    """owner[…]"""
    if isinstance(node.slice, ast.Slice):
        low, high = (None if b is None else interpreter.evaluate(b) for b in (node.slice.lower, node.slice.upper))
        return slice_of(interpreter, owner, low, high, node)
    key = interpreter.evaluate(node.slice)
    if isinstance(key, Constant) and isinstance(key.value, str):
        interpreter.state.facts.columns.setdefault(key.value)
    if isinstance(owner, Buffer):
        loop = interpreter.state.loops[-1][0] if interpreter.state.loops else 0
        if owner.kind == "table" and isinstance(key, (Buffer, Sequence, Constant)):
            return Row(owner.extent, owner.origin, refs=[owner], column=True)
        if owner.kind in ARRAYS and isinstance(key, Buffer):  # array[indexes], array[mask]: a copy
            return elementwise(interpreter, owner, owner, node)
        if owner.kind in ARRAYS and isinstance(key, (Sequence, Constant)):  # array[:, None], a file of several arrays
            return view(owner)
        small = value_in(owner)
        if small is not None:
            return small
        return (
            part_of_loop(interpreter, one_of(interpreter, owner, loop), key) if KINDS[owner.kind].element else UNKNOWN
        )
    if isinstance(owner, Row):
        return field_of(interpreter, owner, key, node)
    if isinstance(owner, Sequence):
        entry_for(interpreter, owner, key, node)
        found = member_of(interpreter, owner, key)
        shared = found is UNKNOWN and owner.keys is not None and not buffers_in(owner.items)
        return of_key(key) if shared else found
    if isinstance(owner, Path) and owner.many:
        return one_path(owner, _loop_of(interpreter, key))
    if isinstance(owner, Module) and owner.name == "sys.argv":
        number = number_of(key)
        return Path(None, True, False, "argv" if number is None else f"argv[{number:.0f}]")
    if isinstance(key, Buffer) and key.kind in ("char", "token"):
        return of_key(key)
    return UNKNOWN


def part_of_loop(interpreter: Interpreter, found: Any, key: Any) -> Any:
    """lines[i], where i goes over a part of the indexes."""
    info = interpreter.state.loop_info.get(key.loop) if isinstance(key, Number) else None
    if info is not None and info.part != (0.0, 1.0):
        if isinstance(found, Buffer):
            found.parts = {site: extent.part(*info.part) for site, extent in found.parts.items()}
        elif isinstance(found, Row):
            found.extent = found.extent.part(*info.part)
    return found


def field_of(interpreter: Interpreter, record: Row, key: Any, node: ast.AST) -> Any:
    """record["text"], table["text"], batch["ids"], datasets["train"]."""
    name = key.value if isinstance(key, Constant) else None
    if isinstance(name, str):
        interpreter.state.facts.columns.setdefault(name)
    state = interpreter.state
    if isinstance(name, str) and name in record.fields:
        return record.fields[name]
    if record.column and (isinstance(name, str) or (record.origin == "dataset" and not isinstance(key, Number))):
        if isinstance(name, str) and record.origin != "dataset" and not record.path:
            return column_row(state, record, name)
        return record  # a mask was taken for a column before
    if record.column:
        look_at(record)
        return of_column(interpreter, record, _loop_of(interpreter, key), node)
    if record.origin == "dataset":
        if isinstance(key, Number):
            row = row_of(record, _loop_of(interpreter, key), tuple(interpreter.state.loops))
            return part_of_loop(interpreter, row, key)
        if isinstance(name, str) and name not in _SPLITS:
            return column_row(state, record, name)
        return Row(record.extent, "dataset", dict(record.fields), list(record.refs))
    if record.origin == "batch":
        record.fields[str(name)] = value = column_values(interpreter, record, key, node)
        return value
    if record.origin == "parquet":
        if isinstance(key, Sequence):  # frame[["text", "id"]]
            extent = columns_of(state, record, key.items)
            return Row(extent, record.origin, dict(record.fields), [record])
        if record.extent.is_whole or column_of(state, record, name)[1].kind == "text":
            return column_row(state, record, name)
    value = field_value(interpreter, record, key, node)
    if isinstance(name, str):
        record.fields[name] = value
    return value


def _loop_of(interpreter: Interpreter, key: Any) -> int:
    """The loop that moves an index: each of its iterations sees another row."""
    loops = [loop for loop, _ in interpreter.state.loops]
    if not loops or number_of(key) is not None:
        return 0
    return key.loop if isinstance(key, Number) and key.loop in loops else loops[-1]


def unpacked(interpreter: Interpreter, value: Any, index: int, node: ast.AST) -> Any:
    """One name of `a, b = value`."""
    if isinstance(value, Module) and value.name == "sys.argv":
        return Path(None, True, False, f"argv[{index}]")
    if isinstance(value, Path) and value.many:
        return Path(None, value.argument, False, f"{value.key}[{index}]")
    if isinstance(value, Sequence) and index < len(value.items):
        return value.items[index]
    if isinstance(value, (Buffer, Row)):
        return value if isinstance(value, Row) else UNKNOWN
    return UNKNOWN


def slice_of(interpreter: Interpreter, owner: Any, low: Any, high: Any, node: ast.AST) -> Any:
    if isinstance(owner, Module) and owner.name == "sys.argv":
        if number_of(low) is not None and number_of(high) is not None:
            numbers = range(int(number_of(low) or 0), int(number_of(high) or 0))[:_MOST_ARGUMENTS]
            return Sequence([Path(None, True, False, f"argv[{i}]") for i in numbers])
        return Path(None, True, True, "argv")
    if isinstance(owner, Sequence) and owner.keys is None:
        first, last = number_of(low), number_of(high)
        return Sequence(owner.items[None if first is None else int(first) : None if last is None else int(last)])
    if isinstance(owner, Row):
        return _rows_slice(interpreter, owner, low, high, node)
    if isinstance(owner, Buffer) and isinstance(owner.names, Path) and owner.names.windows:
        owner = replace(owner.names, many=True, windows=())
    if isinstance(owner, Path) and owner.many:
        return _some_paths(interpreter, owner, low, high)
    if not isinstance(owner, Buffer):
        return owner if isinstance(owner, Path) else UNKNOWN
    return _buffer_slice(interpreter, owner, low, high, node)


def _some_paths(interpreter: Interpreter, owner: Path, low: Any, high: Any) -> Path:
    """files[:100], and files[i : i + 100] in a loop that moves i by as many."""
    width = _width(low, high)
    moving = isinstance(low, Number) and low.loop in {loop for loop, _ in interpreter.state.loops}
    if not moving:
        return owner
    width = abs(low.factor * low.step) if width is None else width
    interpreter.state.consumes_input(low.loop)
    return replace(owner, text=None, windows=(Window(low.loop, "files", max(1.0, width)),))


def _rows_slice(interpreter: Interpreter, owner: Row, low: Any, high: Any, node: ast.AST) -> Any:
    """Of a data set, dataset[:1000]: lists of Python objects; of a frame, the rows of that part."""
    if owner.origin != "dataset" and not owner.column:
        return owner
    state, extent = interpreter.state, owner.extent
    width = _width(low, high) if high is not None else None
    if width is not None:
        stepping = low.loop if isinstance(low, Number) else 0
        if stepping:
            state.consumes_input(stepping)
        extent = extent.window(stepping, "lines", width)
    look_at(owner)
    if owner.origin == "ids":
        lists = lists_of(interpreter, extent, node)
        state.temps.append(lists)
        return lists
    if owner.origin != "dataset":
        return Row(extent, owner.origin, refs=list(owner.refs), column=True)
    if owner.column:
        result = state.hold("strings", node, extent, origin="parquet")
        state.comes_from(result, state.record_moment(node, "to_list", ""))
        return result
    return batch_of(interpreter, owner, extent, node)


def _buffer_slice(interpreter: Interpreter, owner: Buffer, low: Any, high: Any, node: ast.AST) -> Any:
    state = interpreter.state
    extent = _sliced(interpreter, owner, low, high, node)
    if owner.kind == "mapped" and owner.origin == "mmap":  # mmap.mmap gives bytes, np.memmap a view
        result = state.hold("bytes", node, extent)
        state.comes_from(result, state.record_moment(node, "slice", ""))
        return result
    if owner.kind in ("array", "view", "mapped", "arrays", "table", "char", "token", "opaque"):
        kind = "mapped" if owner.kind == "mapped" else "view"
        view = Buffer(kind, {0: extent}, tuple(state.loops), owner.line, owner.item, refs=[owner], of=owner)
        view.file_item, view.steps, view.library = owner.file_item, owner.steps, owner.library
        return view
    if owner.kind in ("strings", "lists", "records"):
        part = Buffer(owner.kind, {0: extent}, tuple(state.loops), owner.line, refs=[owner], of=owner)
        part.pieces, part.origin, part.source, part.steps = dict(owner.pieces), owner.origin, owner, owner.steps
        return part
    if owner.kind == "list":
        return state.make("list", node)
    result = state.make(owner.kind, node, extent)
    result.refs += ints_behind(owner) if owner.kind == "ids" else []
    if owner.kind == "objects" and isinstance(owner.capacity, float):
        result.capacity = owner.capacity  # no more than the list has
    result.pieces.update(owner.pieces)
    state.temps.append(result)
    step = state.record_moment(node, "slice", "")
    state.flow(owner, step)
    state.comes_from(result, step)
    return result


def _sliced(interpreter: Interpreter, owner: Buffer, low: Any, high: Any, node: ast.AST) -> Extent:
    whole = owner.extent
    first, last = fraction_of(low, owner), fraction_of(high, owner)
    if (first is not None or low is None or number_of(low) == 0) and (last is not None or high is None):
        return whole.part(first or 0.0, 1.0 if last is None else max(last, first or 0.0))
    width = _width(low, high)
    unit = KINDS[owner.kind].unit
    if width is not None and width > 0:
        stride = abs(low.factor * low.step) if isinstance(low, Number) and low.loop else 0.0
        loops = interpreter.state.new_loops(owner.created_in)
        stepping = low.loop if isinstance(low, Number) and low.loop in loops else 0
        loop = stepping or (loops[0] if loops else 0)
        if loop:
            interpreter.state.consumes_input(loop)
        return whole.window(loop, unit, width, 0.0 if stride == width or loop != stepping else stride)
    if high is None and number_of(low):  # the rest behind a number of elements: buffer[SHARD:]
        if whole.windows and whole.windows[-1].unit == "lines" and unit in ("chars", "tokens"):
            return whole.window(0, f"{unit} behind", number_of(low) or 0.0)
        piece = next(iter(owner.pieces.values()), None)
        return piece if piece is not None else whole
    return whole


def _width(low: Any, high: Any) -> float | None:
    """Elements between two ends."""
    if high is None:
        return None
    start = number_of(low) if low is not None else 0.0
    if start is not None and number_of(high) is not None:
        width = (number_of(high) or 0.0) - start
        return width if width > 0 else None
    if isinstance(low, Number) and isinstance(high, Number) and low.symbol == high.symbol:
        return high.offset - low.offset if low.factor == high.factor else None
    return None


def store(interpreter: Interpreter, owner: Any, target: ast.Subscript, value: Any) -> None:
    """owner[…] = value"""
    if isinstance(owner, Buffer):
        _store_in_buffer(interpreter, owner, target, value)
        return
    key = interpreter.evaluate(target.slice) if not isinstance(target.slice, ast.Slice) else None
    if isinstance(owner, Row) and isinstance(key, Constant):
        if owner.origin != "dataset":
            owner.fields[str(key.value)] = value
    elif isinstance(owner, Sequence) and owner.keys is not None:
        store_member(interpreter, owner, key, value, target)


def _store_in_buffer(interpreter: Interpreter, owner: Buffer, target: ast.Subscript, value: Any) -> None:
    state = interpreter.state
    if owner.kind == "mapped":
        return
    if owner.kind == "view" and owner.of is not None:
        _store_in_buffer(interpreter, owner.of, target, value)
    elif not isinstance(target.slice, ast.Slice) and not isinstance(value, Buffer):
        interpreter.evaluate(target.slice)
        if owner.kind == "array" and owner.origin == "prealloc" and state.loops and owner.capacity is not None:
            owner.parts.setdefault(state.site(target), Extent())  # any page of it
            owner.origin = "full"
    elif owner.kind == "array" and isinstance(value, Buffer):
        state.grow(owner, state.site(target), value.extent, target)
        step = state.record_moment(target, "store", state.label_of(owner))
        state.flow(value, step)
        state.comes_from(owner, step)
    elif isinstance(target.slice, ast.Slice) and target.slice.lower is None and target.slice.upper is None:
        clear(interpreter, owner, target)  # ids[:] = []
    elif isinstance(value, Buffer):
        append(interpreter, owner, value, target)
