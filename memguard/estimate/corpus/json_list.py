"""A file that is one JSON list of records: each of them, in order, without holding the file."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from memguard.errors import InputError

__all__ = ["is_list", "objects_in", "read_list", "text_of", "texts_of_list"]

_READ = 1 << 20  # characters at a time; as many again each time that a record is longer
_BATCH = 256  # records
_LONGEST = 1 << 28  # characters of one record

# A value is an object behind the start of a list, or behind another one.
_OBJECT = re.compile(r"[\[,]\s*(?=\{)")


def is_list(path: str) -> bool:
    """Whether the file begins as a JSON list of objects. Raises OSError."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        head = file.read(4096).lstrip()
    return head.startswith("[") and head[1:].lstrip().startswith("{")


def objects_in(text: str) -> Iterator[tuple[dict[str, Any], int, int]]:
    """The objects that stand whole in a piece of a JSON list, each with where it begins and ends."""
    decoder, start = json.JSONDecoder(), 0
    while (found := _OBJECT.search(text, start)) is not None:
        start = found.end()
        try:
            value, end = decoder.raw_decode(text, start)
        except ValueError:
            continue
        yield value, start, end
        start = end


def read_list(path: str) -> Iterator[tuple[dict[str, Any], int]]:
    """Each object of the list, and the bytes of the file that have been read by then. Raises InputError, OSError."""
    decoder = json.JSONDecoder()
    with open(path, "rb") as stored, io.TextIOWrapper(stored, "utf-8-sig", "replace") as file:
        text, start, more = file.read(_READ), 0, _READ
        while True:
            found = _OBJECT.search(text, start)
            try:
                if found is None:
                    raise ValueError
                value, end = decoder.raw_decode(text, found.end())
            except (ValueError, RecursionError):
                if len(text) - start > _LONGEST:
                    what = f"{path}: a record is longer than {_LONGEST:,} characters, or no JSON"
                    raise InputError(what, "--input-format text takes it as text", path=path) from None
                added = file.read(more)
                if not added:
                    return
                text, start, more = text[start:] + added, 0, 2 * more
                continue
            start, more = end, _READ
            yield value, stored.tell()


def texts_of_list(path: str, column: str) -> Iterator[tuple[list[str], int]]:
    """The texts of some records at a time, and the bytes that have been read by then. Raises as read_list does."""
    records = read_list(path)
    while batch := list(islice(records, _BATCH)):
        texts = [text for record, _ in batch if (text := text_of(record, column)) is not None]
        yield texts, batch[-1][1]


def text_of(record: Any, column: str) -> str | None:
    """The text of `column`, the whole record's JSON where it has none; None where that is null."""
    value = record.get(column, record) if column and isinstance(record, dict) else record
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
