"""Documents, tables, columns: what pandas, pyarrow and polars have in common, and how tables are read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from memguard.script.extents import MOST_TIMES, Extent
from memguard.script.interface import Call
from memguard.script.models.builtins import mapped
from memguard.script.operations.access import field_of
from memguard.script.operations.growth import append
from memguard.script.operations.inputs import open_file
from memguard.script.registry import function, method, nothing
from memguard.script.values import NOTHING, UNKNOWN, Buffer, Constant, File, Generator, Row, Sequence

__all__ = ["batches", "column", "read_table", "table_of", "to_list", "together"]


@function(
    "pandas.read_parquet pandas.read_csv pandas.read_json pandas.read_table pandas.read_feather pandas.read_excel"
)
@function("polars.read_parquet polars.read_csv polars.read_ndjson polars.read_json polars.scan_parquet polars.scan_csv")
@function("pyarrow.parquet.read_table pyarrow.csv.read_csv pyarrow.json.read_json pyarrow.feather.read_table")
@function("polars.scan_ndjson pyarrow.parquet.read_pandas pandas.read_pickle")
def read_table(call: Call) -> Any:
    """All rows at once, or batches of them."""
    state, path = call.state, call.arg(0)
    file = path if isinstance(path, File) else open_file(call.interpreter, path, None, "parquet")
    state.facts.parquet = True
    if "chunksize" in call.kwargs or call.kwargs.get("iterator") is not None:
        return batches(call, file, call.number("chunksize") or 10_000.0)
    table = call.hold("table", file.extent, origin="parquet")
    call.record("read")
    return Row(file.extent, "parquet", refs=[table])


@method(File, "iter_batches")
def iter_batches(call: Call) -> Any:
    return batches(call, call.owner, call.number("batch_size", 0) or 65536.0)


def together(extents: list[Extent]) -> Extent:
    """All the rows of several tables: one of them over and over, the parts of one input, or several inputs."""
    first = extents[0]
    if all(extent == first for extent in extents):
        return replace(first, times=min(MOST_TIMES, first.times * len(extents)))
    if all(extent.source == first.source and extent.is_whole for extent in extents):
        size = sum((extent.high - extent.low) * extent.times for extent in extents)
        return replace(first, low=0.0, high=min(1.0, size), times=max(1.0, size))
    return Extent(times=max(extent.times for extent in extents))


def batches(call: Call, file: File, rows: float) -> Generator:
    """Record batches of `rows` documents, one at a time."""
    call.state.facts.batches = rows

    def element(loop: int) -> Row:
        extent = file.extent.window(loop, "lines", rows)
        table = call.state.make("table", call.node, extent, origin="batches")
        return Row(extent, "parquet", refs=[table])

    return Generator(lambda consume: call.interpreter.iterate_twice(call.node, element, consume), (file,))


def table_of(call: Call, columns: Any, *, shares_strings: bool) -> Any:
    """A table made of columns that are in memory: numbers take 8 bytes each, texts are copied or shared."""
    values = columns.items if isinstance(columns, Sequence) else [columns]
    kept: list[Any] = []
    extent = None
    for value in values:
        if isinstance(value, Row):
            kept.append(value)
            extent = extent or value.extent
        elif isinstance(value, Buffer):
            kept += column(call, value, shares_strings=shares_strings)
            extent = extent or value.extent
        elif call.reaches(value):
            return UNKNOWN
    if extent is None:
        return UNKNOWN if call.reaches() else NOTHING
    call.record("array")
    return Row(extent, "parquet", refs=kept)


def column(call: Call, value: Buffer, *, shares_strings: bool) -> list[Buffer]:
    """What one column keeps: an array for numbers, Arrow's copy of texts, or the strs themselves with a slot each."""
    if value.kind in ("ids", "chars", "array", "view", "lists", "arrays", "opaque"):
        item = value.item if value.kind in ("array", "view", "arrays") else 8
        made = call.hold("array", item=item, source=value)
    elif shares_strings:
        made = call.hold("slots", item=8, source=value)
        made.pieces.update(value.pieces)
        made.parts.update(value.parts)
        return [made, value]
    else:
        made = call.hold("table", origin="dataset")
    made.parts.update(value.parts)
    return [made]


# -- methods ----------------------------------------------------------------------------------------------------------


@method(Row, "tolist to_list to_pylist to_numpy list")
def as_list(call: Call) -> Any:
    return to_list(call, call.owner)


def to_list(call: Call, rows: Row) -> Buffer:
    """column.to_pylist(): a Python str for every row."""
    origin = "parquet" if rows.origin in ("parquet", "row") else rows.origin
    result = call.hold("lists" if rows.origin == "ids" else "strings", rows.extent, origin=origin)
    call.record("to_list")
    return result


@method(Row, "column get pop __getitem__ as_py strip item decode")
def field(call: Call) -> Any:
    return field_of(call.interpreter, call.owner, call.arg(0), call.node)


@method(Row, "lower upper title replace lstrip rstrip")
def text_of_row(call: Call) -> Any:
    return call.hold("text", call.owner.extent)


@method(Row, "split splitlines")
def strings_of_row(call: Call) -> Any:
    return call.hold("strings", call.owner.extent)


@method(Row, "items values")
def fields(call: Call) -> Any:
    text = field_of(call.interpreter, call.owner, Constant("text"), call.node)
    return Sequence([Sequence([UNKNOWN, text])]) if call.name == "items" else Sequence([text])


@method(Row, "apply map map_elements")
def applied(call: Call) -> Any:
    """frame["text"].apply(encode): a list of what it returns."""
    if not call.args:
        return UNKNOWN
    result = call.hold("list")

    def each(row: Any) -> None:
        value = call.interpreter.call(call.args[0], [row], {}, call.node)
        append(call.interpreter, result, value, call.node)

    call.interpreter.iterate(call.owner, each, call.node)
    return result


@method(Row, "iterrows itertuples to_dict to_batches iter_rows to_dicts to_records")
def rows_of(call: Call) -> Any:
    rows = Row(call.owner.extent, call.owner.origin, refs=[call.owner])
    if call.name == "iterrows":
        return mapped(call, rows, lambda row: Sequence([UNKNOWN, row]))
    return rows


@method(Row, "to_* drop* fillna* astype* sample* reset* head* select* filter* collect* lazy limit tail copy slice")
@method(Row, "sort* with_columns rename* combine_chunks cast unique explode dropna* query iloc loc")
def same_rows(call: Call) -> Any:
    return call.owner


method(
    Row, "keys update setdefault is* sum mean min max count len nunique value_counts describe info to_parquet to_csv"
)(nothing("names or numbers, or written to a file"))
method(Row, "save_to_disk to_json write_* sink_*")(nothing("written to a file"))
method(Row, "startswith endswith find index")(nothing("a number or a bool"))
