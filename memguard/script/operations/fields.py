"""The fields of records: which part of the text each of them is, where the reader was told what stands in them. Pure.

Every value that is made of a field has that field's name in its Extent; what it comes to is priced by the file's own
figures. A name that the records do not have, and a key that is not known, keep the whole record.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from memguard.script.extents import ALL_FIELDS, Extent, measure
from memguard.script.interface import Interpreter
from memguard.script.operations.elements import ids_of, lists_of
from memguard.script.state import State
from memguard.script.values import NOTHING, Buffer, Constant, Field, Number, Row

__all__ = [
    "as_text",
    "column_of",
    "column_row",
    "column_values",
    "columns_added",
    "columns_of",
    "field_name",
    "field_value",
    "of_all_fields",
    "of_column",
    "shared_with",
]


def of_all_fields(extent: Extent) -> Extent:
    """Records as a table holds them."""
    return extent if extent.columns else extent.of_fields((ALL_FIELDS,))


def field_name(record: Row, key: Any) -> str | None:
    """The field that `key` means: a name, or the place of one in a row of csv.reader."""
    if isinstance(key, Constant) and isinstance(key.value, str):
        return key.value
    if record.origin == "csv" and isinstance(key, Number) and key.known is not None:
        return f"#{key.known:.0f}"
    return None


def column_of(state: State, record: Row, name: str | None) -> tuple[Extent, Field]:
    """The part of `record` that stands under `name`, and what that is."""
    if name is None:
        return record.extent, Field("text")
    path = f"{record.path}.{name}" if record.path else name
    if not state.facts.fields:
        return record.extent.of_fields((path,)), Field("text")
    found = state.facts.fields.get(path)
    if found is None:
        return record.extent, Field("text")
    return record.extent.of_fields((path,), found.weight), found


def columns_of(state: State, record: Row, names: Iterable[Any]) -> Extent:
    """The part of a table that these columns are, a part of which may not be known."""
    found: list[str] = []
    weight = 0.0
    for name in names:
        if not (isinstance(name, Constant) and isinstance(name.value, str)):
            return record.extent
        extent, _ = column_of(state, record, name.value)
        if extent.columns == record.extent.columns:
            return record.extent
        found += extent.columns
        weight += extent.weight
    return record.extent.of_fields(tuple(found), weight) if found else record.extent


def column_row(state: State, record: Row, name: str | None) -> Row:
    """frame["text"], dataset["text"]: a column, which keeps what the table keeps."""
    extent, _ = column_of(state, record, name)
    refs = list(record.refs) if record.origin == "dataset" else [record]
    fields = dict(record.fields) if record.origin == "dataset" else {}
    return Row(extent, record.origin, fields, refs, True, name or "")


def of_column(interpreter: Interpreter, column: Row, loop: int, node: ast.AST) -> Any:
    """One value of a column."""
    extent = column.extent.window(loop, "lines", 1)
    field = interpreter.state.facts.fields.get(column.path)
    if column.origin == "ids":
        return ids_of(extent, tuple(interpreter.state.loops))
    if field is None or field.kind in ("text", "small"):
        return Buffer("text", {0: extent}, (), 0)
    row = Row(extent.of_fields((ALL_FIELDS,)), column.origin)
    return field_value(interpreter, row, Constant(column.path), node)


def column_values(interpreter: Interpreter, batch: Row, key: Any, node: ast.AST) -> Buffer:
    """A column of some rows of a data set, as Python objects: strs, lists of ids, lists of dicts."""
    extent, field = column_of(interpreter.state, batch, field_name(batch, key))
    if field.kind == "ids":
        return lists_of(interpreter, extent, node)
    kind = "records" if field.kind in ("record", "records") else "strings"
    return interpreter.state.make(kind, node, extent, origin="parquet")


def as_text(value: Any) -> Any:
    """One value of a column, or one record, as the text that it is."""
    single = isinstance(value, Row) and value.origin != "dataset" and not value.extent.is_whole
    return Buffer("text", {0: value.extent}, (), 0) if single else value


def columns_added(interpreter: Interpreter, left: Any, right: Any, node: ast.AST) -> Row:
    """frame["title"] + " " + frame["text"]: a column of its own."""
    rows = [value for value in (left, right) if isinstance(value, Row)]
    extent, others = rows[0].extent, rows[1:]
    for other in others:
        extent = extent.beside(other.extent) or max(extent, other.extent, key=measure)
    made = interpreter.state.hold("table", node, extent, origin="column")
    interpreter.state.record_moment(node, "concatenate", "")
    return Row(extent, rows[0].origin, {}, [made], True)


def field_value(interpreter: Interpreter, record: Row, key: Any, node: ast.AST) -> Any:
    """What one record has under `key`: a text, a list of texts or ids, a record or a list of them."""
    state = interpreter.state
    name = field_name(record, key)
    extent, field = column_of(state, record, name)
    path = f"{record.path}.{name}" if record.path else str(name)
    if field.kind == "small":
        return NOTHING
    if field.kind == "record":
        return Row(extent, record.origin, path=path, source=record.source)
    if field.kind == "ids":
        return state.make_ids(node, extent)
    if field.kind in ("texts", "records"):
        found = state.make("strings" if field.kind == "texts" else "records", node, extent, origin=record.origin)
        found.pieces[state.site(node)] = extent.window(0, "items", 1)
        found.shares = record.source
        return found
    text = state.make("text", node, extent, origin=record.origin)
    text.shares = record.source
    return text


def shared_with(buffer: Buffer, value: Any) -> None:
    """A list that gets fields of records which another list has already holds no more than their slots while that one
    lives.
    """
    shares = value.shares if isinstance(value, Buffer) else value.source if isinstance(value, Row) else None
    if not buffer.parts:
        buffer.shares = shares
    elif buffer.shares is not shares:
        buffer.shares = None
