"""Which column of a file a script means: of the names that it uses, the one with most text.

Where nobody names the text's column, and the script does (`ds["content"]`, `row["body"]`, `frame.story`), the text that
is measured is that one's.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Collection
from typing import Any

from memguard.errors import MemguardError
from memguard.estimate.corpus.inputs import open_parquet
from memguard.tokens.input.source import Source, is_url

__all__ = ["named_column"]

_MOST_LINES = 20
_LONGEST_LINE = 1 << 20


def named_column(sources: Collection[Source], names: Collection[str]) -> str | None:
    """The name among `names` under which the first of `sources` has most text, or any name where it has none under
    those and none under `text`. None for `text`, and for files that cannot be looked into before they are read.
    """
    source = next(iter(sources), None)
    if source is None or source.compression or source.once or is_url(source.path):
        return None
    try:
        sizes = _SIZES[source.kind](source.path) if source.kind in _SIZES else {}
    except (OSError, ValueError, MemguardError, csv.Error):
        return None
    known = [name for name in names if sizes.get(name)] or ([] if "text" in sizes else list(sizes))
    return max(known, key=lambda name: sizes[name], default=None)


def _of_lines(path: str) -> dict[str, int]:
    with open(path, encoding="utf-8", errors="replace") as file:
        records = [json.loads(line) for _ in range(_MOST_LINES) if (line := file.readline(_LONGEST_LINE)).strip()]
    return _added(record for record in records if isinstance(record, dict))


def _of_rows(path: str) -> dict[str, int]:
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        return _added(row for _, row in zip(range(_MOST_LINES), csv.DictReader(file), strict=False))


def _added(records: Any) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for record in records:
        for name, value in record.items():
            if isinstance(value, str):
                sizes[name] = sizes.get(name, 0) + len(value)
    return sizes


def _of_columns(path: str) -> dict[str, int]:
    with open_parquet(path) as file:
        texts = {field.name for field in file.schema_arrow if "string" in str(field.type)}
        if not file.metadata.num_row_groups:
            return dict.fromkeys(texts, 1)
        group = file.metadata.row_group(0)
        columns = [group.column(number) for number in range(group.num_columns)]
        return {c.path_in_schema: c.total_uncompressed_size for c in columns if c.path_in_schema in texts}


_SIZES = {"jsonl": _of_lines, "csv": _of_rows, "parquet": _of_columns}
