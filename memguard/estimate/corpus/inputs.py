"""What the user names → the files to read: text, JSONL, Parquet, packed files, directories, globs, stdin.

`find_inputs` looks at names and first bytes only. `open_bytes` unpacks on the way; `json_texts` and `parquet_texts`
give the documents of a file one by one. What cannot be text is an InputError that says how to mend it.
"""

from __future__ import annotations

import glob
import io
import json
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, cast

from memguard.errors import EngineNotInstalled, InputError
from memguard.tokens.input.compressed import compression_of, decompressed
from memguard.tokens.input.source import kind_of, refuse_other_kinds

__all__ = ["Input", "find_inputs", "json_text", "open_bytes", "open_parquet", "text_column"]

# A NUL in a text this far in is an oddity of the text; before it, the file is no text.
_BINARY_HEAD = 64 * 1024


@dataclass(frozen=True, slots=True)
class Input:
    """One file. `size` is on the disk; None for stdin. `packing`: gzip, zstd, xz, bzip2 or nothing."""

    path: str
    kind: str  # text | jsonl | parquet
    packing: str
    size: int | None

    @property
    def plain(self) -> bool:
        """Text that can be read at any place."""
        return self.kind == "text" and not self.packing and self.size is not None


def find_inputs(paths: Sequence[str]) -> tuple[Input, ...]:
    """Directories (all text, JSONL and Parquet files below) and patterns taken apart. Raises InputError."""
    if list(paths).count("-") > 1:
        raise InputError("stdin (-) can be read only once", "name it once", path="-")
    found = [item for path in paths for item in _expand(path)]
    kinds = {item.kind for item in found}
    if len(kinds) > 1:
        names = ", ".join(sorted(kinds))
        raise InputError(f"{paths[0]}: files of several kinds ({names})", "estimate one kind at a time", path=paths[0])
    return tuple(found)


def _expand(path: str) -> Iterator[Input]:
    if path == "-":
        yield Input("-", "text", "", None)
    elif os.path.isdir(path):
        files = [name for name in _files_below(path) if kind_of(name) and os.path.getsize(name)]
        if not files:
            suffixes = "*.txt, *.jsonl, *.parquet"
            raise InputError(f"{path}: no text in this directory ({suffixes}, packed or not)", "name files", path=path)
        yield from map(_inspect, files)
    elif not os.path.lexists(path) and glob.has_magic(path):
        files = sorted(name for name in glob.glob(path, recursive=True) if os.path.isfile(name))
        if not files:
            raise InputError(f"{path}: no file matches", _nearby(path), path=path)
        yield from map(_inspect, files)
    else:
        yield _inspect(path)


def _files_below(directory: str) -> list[str]:
    def refuse(error: OSError) -> None:
        path = error.filename or directory
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}", path=path) from None

    found = []
    for parent, directories, names in os.walk(directory, onerror=refuse):
        directories[:] = [name for name in directories if not name.startswith(".")]
        found += [os.path.join(parent, name) for name in names if not name.startswith(".")]
    return sorted(path for path in found if os.path.isfile(path))


def _inspect(path: str) -> Input:
    try:
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode):
            raise InputError(f"{path}: is not a regular file", "name a file, or - for stdin", path=path)
        if info.st_size == 0:
            raise InputError(f"{path}: is empty", "there is nothing to estimate", path=path)
        with open(path, "rb") as file:
            head = file.read(_BINARY_HEAD)
    except FileNotFoundError:
        raise InputError(f"{path or repr(path)}: no such file", _nearby(path), path=path) from None
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}", path=path) from None
    if head.startswith(b"PAR1"):
        return Input(path, "parquet", "", info.st_size)
    packing = compression_of(head) or ""
    if not packing:
        check_head(path, head)
    return Input(path, "jsonl" if kind_of(path) == "jsonl" else "text", packing, info.st_size)


def check_head(path: str, head: bytes) -> None:
    """Raises InputError where the first bytes are those of something else than UTF-8 text."""
    refuse_other_kinds(path, head)
    place = head.find(b"\0")
    if place >= 0:
        raise InputError(
            f"{path}: is binary (a NUL byte at offset {place}), not text",
            "estimate reads UTF-8 text, JSONL and Parquet, packed or not",
            path=path,
            offset=place,
        )


def _nearby(path: str) -> str:
    import difflib

    directory, name = os.path.split(path)
    try:
        names = os.listdir(directory or ".")
    except OSError:
        return ""
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {os.path.join(directory, close[0])}?" if close else ""


def open_bytes(item: Input) -> tuple[BinaryIO | IO[bytes], BinaryIO | IO[bytes]]:
    """(the text's bytes, the file as it is on the disk): the second one's tell() says how far the first has come."""
    if item.path == "-":
        return sys.stdin.buffer, sys.stdin.buffer
    raw = open(item.path, "rb")  # noqa: SIM115 - the caller closes both
    if not item.packing:
        return raw, raw
    try:
        return io.BufferedReader(cast("Any", decompressed(raw, item.packing, item.path))), raw
    except BaseException:
        raw.close()
        raise


def json_text(path: str, line: bytes, field: str, place: int) -> str:
    """The text of one JSON line. `place` is its offset, for the message."""
    try:
        record = json.loads(line)
    except ValueError as error:
        message = f"{path}: not JSON at byte {place}: {error}"
        raise InputError(message, "one JSON object a line is expected", path=path, offset=place) from None
    text = record.get(field) if isinstance(record, dict) else record
    if not isinstance(text, str):
        fields = record.items() if isinstance(record, dict) else ()
        known = ", ".join(name for name, value in fields if isinstance(value, str))
        hint = f"--text-field one of: {known}" if known else "one JSON object with a text a line is expected"
        raise InputError(f"{path}: no text field {field!r} at byte {place}", hint, path=path, offset=place)
    return text


def open_parquet(path: str) -> Any:
    """A pyarrow ParquetFile that reads no more than it is asked for."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise EngineNotInstalled(f"{path}: Parquet files need pyarrow", extra="parquet") from None
    try:
        return pyarrow.parquet.ParquetFile(path, pre_buffer=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as Parquet: {error}", path=path) from None


def text_column(path: str, schema: Any, column: str) -> str:
    names = [field.name for field in schema if "string" in str(field.type)]
    if column in names:
        return column
    hint = f"--text-field one of: {', '.join(names)}" if names else "it has no column of strings"
    raise InputError(f"{path}: no text column {column!r}", hint, path=path)
