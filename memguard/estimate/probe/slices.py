"""Smaller files of the same kind: parts from all over an input, cut at record ends. Text, JSONL, CSV, Parquet.

A text is cut at line ends, a CSV file keeps its header and is never cut inside quotes.
"""

from __future__ import annotations

import os
import shutil
from typing import BinaryIO

from memguard.errors import InputError
from memguard.estimate.corpus.inputs import find_inputs, open_parquet
from memguard.tokens.input.source import is_url

__all__ = ["slice_kind", "write_slice"]

# Parts of a slice: its text is then like that of the whole file and not of its head.
_PARTS = 16
_STEP = 64 * 1024


def slice_kind(path: str) -> str:
    """text | csv | jsonl | parquet. Raises InputError for what cannot be cut."""
    source = find_inputs([path])[0]
    if source.compression:
        message = f"{path}: a packed file cannot be cut into slices"
        raise InputError(message, "unpack it first, and let the script read that", path=path)
    if source.once or is_url(path):
        what = "stdin" if path == "-" else path
        raise InputError(f"{what} cannot be cut into slices", "name a file", path=path)
    return source.kind


def write_slice(path: str, output: str, size: int) -> int:
    """Writes about `size` bytes' worth of `path` to `output`; returns how much of `path` that is, in bytes."""
    kind = slice_kind(path)
    if kind == "parquet":
        return _write_parquet(path, output, size)
    total = os.path.getsize(path)
    if size >= total:
        shutil.copyfile(path, output)
        return total
    written = 0
    with open(path, "rb") as source, open(output, "wb") as out:
        header = source.readline() if kind == "csv" else b""
        out.write(header)
        written += len(header)
        for part in range(_PARTS):
            begin = max(len(header), total * part // _PARTS)
            limit = total * (part + 1) // _PARTS
            written += _copy_part(source, out, begin, limit, size // _PARTS, csv=kind == "csv")
    return written


def _copy_part(source: BinaryIO, out: BinaryIO, begin: int, limit: int, size: int, *, csv: bool) -> int:
    """Whole records that begin in [begin, limit), about `size` bytes of them."""
    source.seek(max(0, begin - 1))
    if begin > 0:
        source.readline()  # the rest of the record before; CSV: of a line of it
    quotes = written = 0
    while (written < size or (csv and quotes % 2)) and source.tell() < limit:
        line = source.readline(_STEP)
        if not line:
            break
        quotes += line.count(b'"')
        out.write(line)
        written += len(line)
        if not line.endswith(b"\n") and written >= size and not csv:
            # One line longer than the slice: a text, cut at a whole character.
            tail = source.readline(4)
            out.write(tail)
            written += len(tail)
            break
    return written


def _write_parquet(path: str, output: str, size: int) -> int:
    """Row groups are kept, only fewer rows of each: a reader that goes by row group behaves as it would."""
    share = min(1.0, size / max(1, os.path.getsize(path)))
    with open_parquet(path) as file:
        import pyarrow.parquet

        with pyarrow.parquet.ParquetWriter(output, file.schema_arrow) as writer:
            for group in range(file.metadata.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                wanted = max(1, round(rows * share))
                writer.write_table(file.read_row_group(group).slice(0, wanted))
    return round(os.path.getsize(path) * share)
