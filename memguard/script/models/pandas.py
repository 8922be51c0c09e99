"""pandas: frames made of what is in memory. Reading and the methods of a frame are in tables.py."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.models.tables import rows_together, table_of
from memguard.script.registry import function, nothing
from memguard.script.values import UNKNOWN, Row, Sequence

__all__: list[str] = []


@function("pandas.DataFrame pandas.Series pandas.DataFrame.from_dict pandas.DataFrame.from_records")
def frame(call: Call) -> Any:
    """int64 for a list of ids; a column of object holds the strs themselves, with 8 bytes for each (pandas 2)."""
    return table_of(call, call.arg(0, "data", Sequence([])), shares_strings=True)


@function("pandas.concat")
def concatenated(call: Call) -> Any:
    """A frame of Arrow's texts, which stay where they are."""
    frames = call.arg(0, "objs")
    rows = [item for item in frames.items if isinstance(item, Row)] if isinstance(frames, Sequence) else []
    if not rows:
        return UNKNOWN
    refs = list({id(row): row for row in rows}.values())
    return Row(rows_together([row.extent for row in rows]), "parquet", dict(rows[0].fields), [*refs])


function("pandas.set_option pandas.options.* pandas.to_datetime pandas.Timestamp pandas.isna pandas.notna")(
    nothing("a setting, a date or bools")
)


@function("pandas.merge")
def merged(call: Call) -> Any:
    frame_of = call.arg(0, "left")
    return frame_of if isinstance(frame_of, Row) else UNKNOWN
