"""polars: frames made of what is in memory. Reading and the methods of a frame are in tables.py."""

from __future__ import annotations

import ast
from typing import Any

from memguard.script.extents import measure
from memguard.script.interface import Call
from memguard.script.models.tables import rows_together, table_of
from memguard.script.registry import function, method, nothing
from memguard.script.values import UNKNOWN, Constant, Row, Sequence

__all__: list[str] = []


@function("polars.DataFrame polars.Series polars.from_dict polars.from_dicts polars.from_arrow polars.from_pandas")
def frame(call: Call) -> Any:
    """int64 for a list of ids, Arrow's copy of texts."""
    return table_of(call, call.arg(0, "data", Sequence([])), shares_strings=False)


function("polars.col polars.lit polars.when polars.Config* polars.Utf8 polars.Int64 polars.String")(
    nothing("an expression that is not run yet")
)


@function("polars.concat")
def concatenated(call: Call) -> Any:
    """The frames' own buffers, one behind the other or side by side; nothing is copied but with rechunk=True."""
    frames = call.arg(0, "items")
    rows = frames.items if isinstance(frames, Sequence) and frames.keys is None else []
    if not rows or not all(isinstance(row, Row) for row in rows):
        return UNKNOWN
    how, rechunk = call.text(1, "how"), call.kwargs.get("rechunk", Constant(False))
    extents = [row.extent for row in rows]
    beside = how in ("horizontal",)
    extent = max(extents, key=measure) if beside else rows_together(extents)
    if not (isinstance(rechunk, Constant) and rechunk.value is False) or how not in (None, "vertical", "horizontal"):
        for index, one in enumerate(extents):
            copy = call.hold("table", one, origin="polars parquet")
            copy.parts = {(*call.state.site(call.node), index): one}
    call.record("concatenate")
    return Row(extent, rows[0].origin, {}, list(rows))


@method(Row, "select with_columns")
def selected(call: Call) -> Any:
    """Columns as they are; what an expression makes of one, pl.col("text").str.split("|"), is a column of its own."""
    arguments = getattr(call.node, "args", [])
    if not any(_makes_column(argument) for argument in arguments):
        return call.owner
    made = call.hold("table", call.owner.extent, origin="dataset")
    call.record("copy")
    kept = [made] if call.name == "select" else [call.owner, made]
    return Row(call.owner.extent, call.owner.origin, dict(call.owner.fields), kept, column=call.owner.column)


def _makes_column(node: ast.expr) -> bool:
    """pl.col("text").str.split("|"), but not pl.col("text"), pl.col("text").alias("t"), range(10) or indexes(x)."""
    chain = node
    names: list[str] = []
    while isinstance(chain, (ast.Call, ast.Attribute)):
        if isinstance(chain, ast.Attribute):
            names.append(chain.attr)
            chain = chain.value
        else:
            chain = chain.func
    made = [name for name in names if name not in ("alias", "name", "str", "list", "dt")]
    return isinstance(chain, ast.Name) and names[-1:] == ["col"] and len(made) > 1
