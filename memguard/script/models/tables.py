"""Documents, tables, columns: what pandas, pyarrow and polars have in common, and how tables are read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from memguard.script.extents import MOST_TIMES, Extent
from memguard.script.interface import Call
from memguard.script.models.builtins import mapped
from memguard.script.operations.access import field_of
from memguard.script.operations.elements import lists_of
from memguard.script.operations.fields import columns_of, of_all_fields
from memguard.script.operations.growth import append, extend
from memguard.script.operations.inputs import open_file
from memguard.script.registry import attribute, function, lookup_method, method, nothing
from memguard.script.trace import Transient
from memguard.script.values import NOTHING, UNKNOWN, Buffer, Constant, File, Generator, Instance, Method, Row, Sequence

__all__ = ["batches", "column", "read_table", "rows_together", "table_of", "to_list"]


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
    file = _with_columns(call, file)
    if "chunksize" in call.kwargs or call.kwargs.get("iterator") is not None:
        return batches(call, file, call.number("chunksize") or 10_000.0, "chunks")
    origin = _reader(call)
    table = call.hold("table", file.extent, origin=origin)
    call.record("read", "", *_reading(origin, file.extent))
    return Row(file.extent, "parquet", refs=[table])


def _with_columns(call: Call, file: File) -> File:
    """The same file, of which the table has all columns, or those that are asked for."""
    found = Row(of_all_fields(file.extent), "parquet")
    asked = next((call.kwargs[name] for name in ("columns", "usecols", "include_columns") if name in call.kwargs), None)
    if isinstance(asked, Sequence) and asked.keys is None:
        for name in asked.items:
            if isinstance(name, Constant) and isinstance(name.value, str):
                call.state.facts.columns.setdefault(name.value)
        found.extent = columns_of(call.state, found, asked.items)
    return replace(file, extent=found.extent)


def _reader(call: Call) -> str:
    """Who reads what: pandas csv, polars json, …; parquet for what pyarrow decodes."""
    library = call.name.partition(".")[0]
    if library == "pyarrow" and call.name.endswith(("read_table", "read_pandas")):
        call.state.facts.imports.add("pandas")
        call.state.facts.brings("pandas")
    if "csv" in call.name or (library == "pandas" and call.name.endswith("read_table")):
        return f"{library} csv"
    if "json" in call.name:
        return f"{library} json"
    return "polars parquet" if library == "polars" else "parquet"


def _reading(origin: str, extent: Extent) -> list[Transient]:
    """What the readers need meanwhile that let go of it afterwards."""
    words = "the file while it is read"
    found = {
        "pandas csv": Transient(words, "reading pandas csv", extent),
        "pandas json": Transient(words, "reading pandas json", extent),
        "polars json": Transient(words, "reading polars json", extent),
    }
    return [found[origin]] if origin in found else []


@method(File, "iter_batches")
def iter_batches(call: Call) -> Any:
    return batches(call, call.owner, call.number("batch_size", 0) or 65536.0)


def rows_together(extents: list[Extent]) -> Extent:
    """All the rows of several tables: one of them over and over, the parts of one input, or several inputs."""
    first = extents[0]
    if all(extent == first for extent in extents):
        return replace(first, times=min(MOST_TIMES, first.times * len(extents)))
    if all(extent.source == first.source and extent.is_whole for extent in extents):
        size = sum((extent.high - extent.low) * extent.times for extent in extents)
        return replace(first, low=0.0, high=min(1.0, size), times=max(1.0, size))
    return Extent(times=max(extent.times for extent in extents), columns=first.columns)


def batches(call: Call, file: File, rows: float, origin: str = "batches") -> Generator:
    """Record batches of `rows` documents, one at a time."""
    call.state.facts.batches = rows

    file = _with_columns(call, file)

    def element(loop: int) -> Row:
        extent = file.extent.window(loop, "lines", rows)
        table = call.state.make("table", call.node, extent, origin=origin)
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
    if rows.origin == "ids":
        result = lists_of(call.interpreter, rows.extent, call.node)
        call.state.temps.append(result)
    else:
        result = call.hold("strings", rows.extent, origin=origin)
    call.record("to_list")
    return result


@method(Row, "to_dicts to_records")
def to_records(call: Call) -> Any:
    """A dict for every row."""
    result = call.hold("records", call.owner.extent, origin="json")
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


@method(Row, "apply map progress_apply progress_map parallel_apply map_elements agg aggregate transform")
def applied(call: Call) -> Any:
    """frame["text"].apply(encode): a list of what it returns; pandas makes strs of all the rows first."""
    if not call.args:
        return UNKNOWN
    owner = call.owner
    if isinstance(call.args[0], Constant) or not owner.extent.is_whole:
        return owner  # agg("first"); one row
    if owner.column and owner.origin == "parquet" and call.name != "map_elements":
        owner = call.hold("strings", owner.extent, origin="parquet")
    result = call.hold("list")

    def each(row: Any) -> None:
        value = call.interpreter.call(call.args[0], [row], {}, call.node)
        append(call.interpreter, result, value, call.node)

    call.interpreter.iterate(owner, each, call.node)
    result.origin = _APPLIED
    if result.kind == "lists" and owner is not call.owner:  # pandas tries them as an Arrow array, whose room stays
        result.refs.append(call.state.make("table", call.node, result.extent, origin="tried as arrow"))
        call.record("apply")
    return result


@method(Row, "iterrows itertuples to_batches iter_rows to_dict")
def rows_of(call: Call) -> Any:
    """One row at a time; iterrows makes strs of all of them first, to_dict("records") dicts."""
    owner = call.owner
    if call.name == "to_dict" and owner.extent.is_whole and owner.origin == "parquet":
        return to_records(call)
    rows = Row(owner.extent, owner.origin, dict(owner.fields), [owner])
    if call.name == "iterrows":
        strs = call.state.make("strings", call.node, owner.extent, origin="parquet")
        return mapped(call, rows, lambda row: Sequence([UNKNOWN, row]), rows, strs)
    return rows


@method(Row, "groupby group_by partition_by")
def grouped(call: Call) -> Any:
    """Groups of rows: a copy of them in another order, at worst all in one."""
    call.record("group", "", Transient("the rows in their order", "copied rows", call.owner.extent))
    return Row(call.owner.extent, call.owner.origin, dict(call.owner.fields), [call.owner])


@method(Row, "sample sort_values drop_duplicates merge join")
def copied_rows(call: Call) -> Any:
    """Rows in another order, or some of them: the old ones are there until they are let go."""
    extent = call.owner.extent
    strs = [Transient("a str for every row", "strs", extent)] if call.name == "drop_duplicates" else []
    call.record("copy", "", Transient("the rows that stay", "copied rows", extent), *strs)
    return call.owner


@method(Row, "to_csv")
def to_csv(call: Call) -> Any:
    """A str for every row of up to 100,000."""
    call.record("write", "", Transient("a str for every row", "strs", call.owner.extent))
    return Constant(None)


@method(Row, "to_json")
def to_json(call: Call) -> Any:
    call.record("write", "", Transient("the frame as one text", "frame to json", call.owner.extent))
    return Constant(None)


@method(Row, "to_parquet to_feather")
def to_parquet(call: Call) -> Any:
    """Texts are Arrow's already; lists of ids become an int64 each."""
    owner = call.owner
    ids = any(isinstance(value, Buffer) and value.kind == "lists" for value in owner.fields.values())
    call.record("write", "", *([Transient("the lists as int64", "lists to arrow", owner.extent)] if ids else []))
    return Constant(None)


_APPLIED = "apply"  # the origin of a list that is a column
_COLUMN = "ids strings lists arrays objects records"


@method(_COLUMN, "tolist to_list to_numpy astype explode dropna fillna reset_index as_py to_pylist")
def of_column(call: Call) -> Any:
    """A column that apply() made: the same objects, in a list of their own where one is asked for."""
    if call.name not in ("tolist", "to_list", "explode"):
        return call.owner
    result = call.hold("list")
    extend(call.interpreter, result, call.owner, call.node)
    return result


method(_COLUMN, "sum mean std min max describe hist value_counts nunique")(nothing("numbers"))


@attribute(_COLUMN, "values array")
def values_of_column(call: Call) -> Any:
    return call.owner if call.owner.origin == _APPLIED else Method(call.owner, call.name)


@method(_COLUMN, "apply map progress_apply")
def column_applied(call: Call) -> Any:
    if not call.args:
        return UNKNOWN
    result = call.hold("list")

    def each(element: Any) -> None:
        value = call.interpreter.call(call.args[0], [element], {}, call.node)
        append(call.interpreter, result, value, call.node)

    call.interpreter.iterate(call.owner, each, call.node)
    return result


@method(Row, "to_* drop* fillna* astype* reset* head* select* filter* collect* lazy limit tail copy slice")
@method(
    Row,
    "sort* with_columns* str_* assign set_index rename* combine_chunks cast unique explode dropna* query iloc loc",
)
def same_rows(call: Call) -> Any:
    return call.owner


method(Row, "keys update setdefault is* sum mean min max count len nunique value_counts describe info")(
    nothing("names or numbers, or written to a file")
)
method(Row, "save_to_disk write_* sink_*")(nothing("written to a file"))
method(Row, "startswith endswith find index")(nothing("a number or a bool"))


# -- attributes -------------------------------------------------------------------------------------------------------


@attribute(Row, "*")
def attribute_of_rows(call: Call) -> Any:
    """frame.text, row.text: a column or a field, where the frame has no method of that name."""
    owner = call.owner
    if call.name in _FACTS:
        return NOTHING
    if call.name in ("values", "array") and owner.column:
        return owner
    if call.name == "str":
        return Instance("pandas.str", {"column": owner})
    if call.name in ("loc", "iloc", "at", "iat"):
        return owner
    if call.name.startswith("_") or lookup_method(owner, call.name) is not None or owner.origin in ("json", "csv"):
        return Method(owner, call.name)
    return field_of(call.interpreter, owner, Constant(call.name), call.node)


_FACTS = frozenset(("shape", "columns", "column_names", "dtypes", "dtype", "size", "nbytes", "num_rows"))


@method("pandas.str", "cat")
def concatenated_strs(call: Call) -> Any:
    """series.str.cat(sep=" "): one text, made of a str for every row."""
    column_of = call.owner.attributes["column"]
    call.hold("strings", column_of.extent, origin="parquet")
    result = call.hold("text", column_of.extent)
    call.record("join")
    return result


@method("pandas.str", "lower upper strip lstrip rstrip replace title slice normalize removeprefix removesuffix encode")
def new_column(call: Call) -> Any:
    """A column of texts of its own."""
    extent = call.owner.attributes["column"].extent
    made = call.hold("table", extent, origin="column")
    call.record("copy")
    return Row(extent, "parquet", refs=[made], column=True)


@method("pandas.str", "split findall")
def split_column(call: Call) -> Any:
    result = call.hold("words", call.owner.attributes["column"].extent)
    call.record("split")
    return result


@method("pandas.str", "len contains startswith endswith count match fullmatch find is*")
def measured_column(call: Call) -> Any:
    """Numbers or bools; rows that are chosen by them are copied."""
    extent = call.owner.attributes["column"].extent
    call.record("copy", "", Transient("the rows that stay", "copied rows", extent))
    return NOTHING
