"""What the user names → Sources that an estimate can be made of: one kind, with something in it, and no binary.

tokens/input/source.py finds, recognises and opens files, for tokenize too: here is what estimate asks beyond that. A
source that is `is_plain` can be read at any place; all others are streams.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from memguard.errors import EngineNotInstalled, InputError
from memguard.tokens.input.source import Source, find_sources, is_url, open_binary

__all__ = ["check_text", "find_inputs", "is_plain", "open_parquet", "size_of", "text_columns", "texts_of"]

# What is looked at of each file. A NUL in a text this far in is an oddity of the text; before it, the file is no text.
_BINARY_HEAD = 64 * 1024  # bytes


def find_inputs(paths: Sequence[str], kind: str | None = None) -> tuple[Source, ...]:
    """The files that `paths` name, empty ones left out. `kind` (text, jsonl, csv, parquet) overrides their names.

    Stdin and pipes are not touched. Raises InputError, ConfigError.
    """
    try:
        sources = find_sources(list(paths), kind, head=_BINARY_HEAD)
    except InputError as error:
        raise InputError(error.message, _hint(error), path=error.path, offset=error.offset) from None
    found = tuple(source for source in sources if source.size != 0)
    kinds = sorted({source.kind for source in found})
    if len(kinds) > 1:
        message = f"{paths[0]}: files of several kinds ({', '.join(kinds)})"
        raise InputError(message, "estimate one kind at a time", path=paths[0])
    for source in found:
        if source.kind != "parquet" and not source.compression and not source.once:
            with open_binary(source.path) as file:
                check_text(source.path, file.read(_BINARY_HEAD))
    return found


def is_plain(source: Source) -> bool:
    """True for a local text file that is not packed: it can be read at any place, and again."""
    return source.kind == "text" and not source.compression and not source.once and not is_url(source.path)


def check_text(path: str, head: bytes) -> None:
    """Raises InputError for a NUL in the first bytes of a file: it is binary, whatever its name says."""
    place = head.find(b"\0", 0, _BINARY_HEAD)
    if place >= 0:
        raise InputError(
            f"{path}: is binary (a NUL byte at offset {place}), not text",
            "estimate reads UTF-8 text, JSONL, CSV and Parquet, packed or not",
            path=path,
            offset=place,
        )


def _hint(error: InputError) -> str:
    path = error.path or ""
    if os.path.isfile(path) and not os.path.getsize(path):
        return "there is nothing to estimate"
    return error.hint if os.path.lexists(path) else _nearby(path) or error.hint


def _nearby(path: str) -> str:
    directory, name = os.path.split(path)
    try:
        names = os.listdir(directory or ".")
    except OSError:
        return ""
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {os.path.join(directory, close[0])}?" if close else ""


@contextmanager
def open_parquet(path: str) -> Iterator[Any]:
    """A pyarrow ParquetFile that reads no more than it is asked for. Raises InputError, EngineNotInstalled."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise EngineNotInstalled(f"{path}: Parquet files need pyarrow", extra="parquet") from None
    with open_binary(path) as stored:
        try:
            file = pyarrow.parquet.ParquetFile(stored, pre_buffer=False)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read as Parquet: {error}", path=path) from None
        yield file


def text_columns(path: str, schema: Any, column: str, *, any_record: bool = False) -> list[str]:
    """`column`, where `schema` has it as strings. `any_record`: as anything, and every column where it has not.

    Raises InputError, which names the columns of strings that there are.
    """
    if any_record:
        return [column] if column in schema.names else list(schema.names)
    names = [field.name for field in schema if "string" in str(field.type)]
    if column in names:
        return [column]
    hint = f"--text-field one of: {', '.join(names)}" if names else "it has no column of strings"
    raise InputError(f"{path}: no text column {column!r}", hint, path=path)


def texts_of(batch: Any, most: int) -> list[str]:
    """Of the first `most` rows: the text of the only column, or the JSON of what is no text."""
    rows = (batch.column(0) if batch.num_columns == 1 else batch).slice(0, most).to_pylist()
    return [
        row if isinstance(row, str) else json.dumps(row, ensure_ascii=False, default=str)
        for row in rows
        if row is not None
    ]


def size_of(group: Any, columns: Sequence[str]) -> int:
    """Bytes of these columns of a row group, and of those nested in them."""
    found = (group.column(index) for index in range(group.num_columns))
    wanted = set(columns)
    return sum(c.total_uncompressed_size for c in found if {c.path_in_schema, c.path_in_schema.split(".")[0]} & wanted)
