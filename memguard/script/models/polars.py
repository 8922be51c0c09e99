"""polars: frames made of what is in memory. Reading and the methods of a frame are in tables.py."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.models.tables import table_of
from memguard.script.registry import function, nothing
from memguard.script.values import Sequence

__all__: list[str] = []


@function("polars.DataFrame polars.Series polars.from_dict polars.from_dicts polars.from_arrow polars.from_pandas")
def frame(call: Call) -> Any:
    """int64 for a list of ids, Arrow's copy of texts."""
    return table_of(call, call.arg(0, "data", Sequence([])), shares_strings=False)


function("polars.col polars.lit polars.when polars.Config* polars.Utf8 polars.Int64 polars.String")(
    nothing("an expression that is not run yet")
)
