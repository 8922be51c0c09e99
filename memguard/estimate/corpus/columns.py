"""Which column of a file a script means: of the names that it uses, the one with most text.

Where nobody names the text's column, and the script does (`ds["content"]`, `row["body"]`, `frame.story`), the text that
is measured is that one's.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Collection
from itertools import chain, islice
from typing import Any

from memguard.errors import MemguardError
from memguard.estimate.corpus.inputs import open_parquet
from memguard.estimate.corpus.json_list import is_list, objects_in
from memguard.tokens.input.records import delimiter_of
from memguard.tokens.input.source import Source, is_url

__all__ = ["WHOLE", "named_column"]

WHOLE = ""  # no column: a record's text is all that is in it

_MOST_LINES = 20
_LONGEST_LINE = 1 << 20


def named_column(sources: Collection[Source], names: Collection[str]) -> str | None:
    """The name among `names` under which the first of `sources` has most text, or any name where it has none under
    those and none under `text`; WHOLE where no name has any. None for `text`, and for files that cannot be looked into
    before they are read. Text in lists and dicts is that of the name that they stand under.
    """
    source = next(iter(sources), None)
    if source is None or source.compression or source.once or is_url(source.path):
        return None
    try:
        sizes = _SIZES[source.kind](source.path) if source.kind in _SIZES else {}
    except (OSError, ValueError, MemguardError, csv.Error):
        return None
    if not sizes:
        return WHOLE if source.kind in ("jsonl", "parquet") else None
    known = [name for name in names if sizes.get(name)] or ([] if "text" in sizes else list(sizes))
    return max(known, key=lambda name: sizes[name], default=None)


def _of_lines(path: str) -> dict[str, int]:
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        if is_list(path):
            return _added(value for value, _, _ in islice(objects_in(file.read(_LONGEST_LINE)), _MOST_LINES))
        records = [json.loads(line) for _ in range(_MOST_LINES) if (line := file.readline(_LONGEST_LINE)).strip()]
    return _added(record for record in records if isinstance(record, dict))


def _of_rows(path: str) -> dict[str, int]:
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        head = file.readline(_LONGEST_LINE)
        rows = csv.DictReader(chain([head], file), delimiter=delimiter_of(path, head))
        return _added(islice(rows, _MOST_LINES))


def _added(records: Any) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for record in records:
        for name, value in record.items():
            if size := _characters(value):
                sizes[name] = sizes.get(name, 0) + size
    return sizes


def _characters(value: Any) -> int:
    """Of a str, and of all those in lists and dicts."""
    if isinstance(value, str):
        return len(value)
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(map(_characters, members))


def _of_columns(path: str) -> dict[str, int]:
    with open_parquet(path) as file:
        texts = {field.name for field in file.schema_arrow if "string" in str(field.type)}
        if not file.metadata.num_row_groups:
            return dict.fromkeys(texts, 1)
        group = file.metadata.row_group(0)
        columns = [group.column(number) for number in range(group.num_columns)]
        sizes: dict[str, int] = {}
        for column in columns:
            name = column.path_in_schema if column.path_in_schema in texts else column.path_in_schema.split(".")[0]
            if name in texts:
                sizes[name] = sizes.get(name, 0) + column.total_uncompressed_size
        return sizes


_SIZES = {"jsonl": _of_lines, "csv": _of_rows, "parquet": _of_columns}
