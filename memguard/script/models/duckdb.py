"""duckdb: what a query reads stands in SQL, so its rows count as all of the input, and the line is listed."""

from __future__ import annotations

from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Call
from memguard.script.models.tables import to_list
from memguard.script.operations.inputs import open_file
from memguard.script.registry import function, method, nothing
from memguard.script.values import NOTHING, Instance, Row

__all__: list[str] = []


@function("duckdb.connect", frees="the path of a file")
def connect(call: Call) -> Any:
    return Instance("duckdb.Connection", {})


@function("duckdb.sql duckdb.query duckdb.execute")
@method("duckdb.Connection", "sql query execute")
def query(call: Call) -> Any:
    call.state.not_understood(call.node)
    return Instance("duckdb.Relation", {"rows": Row(Extent(), "parquet")})


@function("duckdb.read_parquet duckdb.read_csv duckdb.read_json duckdb.from_parquet", frees="the path of a file")
@method("duckdb.Connection", "read_parquet read_csv read_json")
def read(call: Call) -> Any:
    file = open_file(call.interpreter, call.arg(0), None, "parquet")
    return Instance("duckdb.Relation", {"rows": Row(file.extent, "parquet")})


@method("duckdb.Relation", "fetchall")
def fetch_all(call: Call) -> Any:
    return to_list(call, call.owner.attributes["rows"])


@method("duckdb.Relation", "df fetchdf fetch_df arrow fetch_arrow_table pl fetchnumpy to_df to_arrow_table")
def fetch_table(call: Call) -> Any:
    rows = call.owner.attributes["rows"]
    table = call.hold("table", rows.extent, origin="parquet")
    call.record("read")
    return Row(rows.extent, "parquet", refs=[table])


@method("duckdb.Relation", "fetchone fetchmany fetch_df_chunk")
def fetch_some(call: Call) -> Any:
    """The next 2,048 rows, or as many as it says."""
    rows, state = call.owner.attributes["rows"], call.state
    loops = state.new_loops(())
    for loop in loops[:1]:
        state.consumes_input(loop)
    amount = 1.0 if call.name == "fetchone" else call.number("size", 0) or 2048.0
    return Row(rows.extent.window(loops[0] if loops else 0, "lines", amount), "json")


@method("duckdb.Relation", "filter project order limit select aggregate distinct")
def narrowed(call: Call) -> Any:
    return call.owner


method("duckdb.Relation duckdb.Connection", "*")(nothing("names, numbers, or written to a file", NOTHING))
