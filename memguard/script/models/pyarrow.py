"""pyarrow: tables and arrays made of what is in memory, parquet files. Their methods are in tables.py."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.models.tables import table_of
from memguard.script.operations.fields import of_all_fields
from memguard.script.operations.inputs import open_file
from memguard.script.registry import function, gives, nothing
from memguard.script.values import UNKNOWN, Row, Sequence

__all__: list[str] = []


@function("pyarrow.parquet.ParquetFile", frees="the path of a file")
def parquet_file(call: Call) -> Any:
    call.state.facts.parquet = True
    return open_file(call.interpreter, call.arg(0, "source"), None, "parquet")


@function("pyarrow.table pyarrow.Table.from_pydict pyarrow.Table.from_arrays pyarrow.RecordBatch.from_arrays")
@function("pyarrow.record_batch pyarrow.RecordBatch.from_pydict pyarrow.Table.from_pandas pyarrow.array")
@function("pyarrow.Table.from_pylist pyarrow.chunked_array")
def table(call: Call) -> Any:
    """int64 for a list of ids, Arrow's copy of texts."""
    return table_of(call, call.arg(0, "data", Sequence([])), shares_strings=False)


@function("pyarrow.concat_tables pyarrow.Table.from_batches")
def concatenated(call: Call) -> Any:
    """The same memory, in one table."""
    tables = call.arg(0)
    rows = [item for item in tables.items if isinstance(item, Row)] if isinstance(tables, Sequence) else []
    return Row(rows[0].extent, "parquet", refs=[*rows]) if rows else UNKNOWN


@function("pyarrow.dataset.dataset pyarrow.parquet.ParquetDataset", frees="the path of a file")
def dataset(call: Call) -> Any:
    """Read ahead, so that a small one is there as a whole."""
    file = open_file(call.interpreter, call.arg(0, "source"), None, "parquet")
    call.state.facts.parquet = True
    extent = of_all_fields(file.extent)
    return Row(extent, "parquet", refs=[call.hold("table", extent, origin="parquet")])


function("pyarrow.parquet.ParquetWriter")(gives("what is written is in the file"))
function("pyarrow.parquet.write_table pyarrow.parquet.ParquetWriter().* pyarrow.csv.write_csv pyarrow.feather.write*")(
    nothing("what is written is in the file")
)
function(
    "pyarrow.schema pyarrow.field pyarrow.list_ pyarrow.string pyarrow.int* pyarrow.uint* pyarrow.large_* "
    "pyarrow.set_* pyarrow.default_memory_pool* pyarrow.total_allocated_bytes pyarrow.parquet.read_metadata "
    "pyarrow.parquet.read_schema"
)(nothing("a type, a setting or a number"))
