"""What stands in the records of a file, field by field: a sample, parsed, and weighed as the Python objects it makes.

The text that is measured is one field's, or each record's JSON. What the others come to is told beside it, for one
document of that text: lines as the file has them, fields by their path (`title`, `meta.url`, `messages.content`).
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from memguard.errors import MemguardError
from memguard.estimate.corpus.inputs import open_parquet
from memguard.estimate.corpus.json_list import is_list, objects_in, text_of
from memguard.estimate.script.amounts import FieldShape, RecordShape
from memguard.tokens.input.records import delimiter_of
from memguard.tokens.input.source import Source, is_url

__all__ = ["holds_records", "read_record_shape"]

_BLOCKS, _BLOCK_BYTES = 24, 64 * 1024  # spread over the files
_MOST_RECORDS = 40  # of each block
_LONGEST = 1 << 20  # bytes of a record that stands in a list
_MOST_FILES = 24
_HEAD_BYTES = 1 << 20  # of CSV, whose quoted fields may hold line ends
_ROWS, _GROUPS = 64, 16  # of Parquet: rows of each of so many groups
_DEEPEST = 8
_MOST_FIELDS = 400  # names that are told apart: a dict may have a key for each record
_ALIGNMENT = 16
_LARGEST_SMALL = 512  # bytes: SMALL_REQUEST_THRESHOLD of Objects/obmalloc.c
_NUMBER = 8  # bytes of a number in a table


def holds_records(source: Source) -> bool:
    """Whether a file whose name does not say so holds JSON records: a line each, or a list of them."""
    if source.compression or source.once or is_url(source.path) or not source.path.lower().endswith(".json"):
        return False
    try:
        with open(source.path, encoding="utf-8-sig", errors="replace") as file:
            line = file.readline(_LONGEST)
        return is_list(source.path) or isinstance(json.loads(line), dict)
    except (OSError, ValueError, RecursionError):
        return False


def read_record_shape(sources: Sequence[Source], column: str) -> RecordShape | None:
    """The shape of the records of `sources`, for one document of the text of `column` (no name: the whole record).

    None where they cannot be looked into, or hold no records.
    """
    plain = [s for s in sources if not (s.compression or s.once or is_url(s.path))]
    if len(plain) < len(sources) or not plain or plain[0].kind not in _READERS:
        return None
    total = _Sample(column, own_keys=plain[0].kind == "jsonl")
    chosen = plain[:: max(1, -(-len(plain) // _MOST_FILES))]
    try:
        for source in chosen:
            blocks = max(1, round(_BLOCKS * (source.size or 0) / max(1, sum(s.size or 0 for s in chosen))))
            part = _Sample(column, own_keys=total.own_keys)
            for record, size, line in _READERS[source.kind](source.path, blocks):
                part.add(record, size, line)
            total.take(part, source.size or 0)
            if source.kind == "jsonl" and is_list(source.path):
                total.longest = max(total.longest, part.longest)
    except (OSError, ValueError, MemguardError, csv.Error, RecursionError):
        return None
    return total.shape()


# -- records of each kind of file, with the bytes that they take there ------------------------------------------------


def _of_json(path: str, blocks: int) -> Iterator[tuple[Any, int, str]]:
    return (_of_list if is_list(path) else _of_lines)(path, blocks)


def _of_lines(path: str, blocks: int) -> Iterator[tuple[Any, int, str]]:
    with open(path, "rb") as file:
        size = os.path.getsize(path)
        blocks = max(1, min(blocks, -(-size // _BLOCK_BYTES)))
        for index in range(blocks):
            file.seek(index * size // blocks)
            if index:
                file.readline()
            done = 0
            for line in itertools.islice(file, _MOST_RECORDS):
                done += len(line)
                if line.strip():
                    text = line.decode("utf-8", "replace")
                    yield json.loads(text), len(line), text
                if done >= min(_BLOCK_BYTES, size // blocks):
                    break


def _of_list(path: str, blocks: int) -> Iterator[tuple[Any, int, str]]:
    names: set[str] | None = None
    size = os.path.getsize(path)
    blocks = max(1, min(blocks, -(-size // _BLOCK_BYTES)))
    for index in range(blocks):
        with open(path, "rb") as file:
            file.seek(index * size // blocks)
            text = file.read(max(_BLOCK_BYTES, min(_LONGEST, size // blocks))).decode("utf-8", "ignore")
        before = None
        for value, start, end in itertools.islice(objects_in(text), _MOST_RECORDS):
            names = set(value) if names is None else names
            if not names & set(value):  # one inside a record
                continue
            length = len(text[start:end].encode("utf-8", "replace"))
            between = 2 if before is None else len(text[before:start].encode("utf-8", "replace"))
            before = end
            yield value, length + between, text[start:end]


def _of_rows(path: str, blocks: int) -> Iterator[tuple[Any, int, str]]:
    csv.field_size_limit(max(csv.field_size_limit(), 1 << 24))
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        head = file.readline(_LONGEST)
        rows = csv.DictReader(itertools.chain([head], file), delimiter=delimiter_of(path, head))
        done = 0
        for row in rows:
            values = {name: value for name, value in row.items() if isinstance(name, str)}
            quoted = sum(2 + text.count('"') for text in values.values() if text and set(text) & set('",\n\r'))
            size = sum(len((text or "").encode("utf-8", "replace")) + 1 for text in values.values()) + quoted
            yield values, size, ""
            done += size
            if done >= _HEAD_BYTES:
                return


def _of_columns(path: str, blocks: int) -> Iterator[tuple[Any, int, str]]:
    with open_parquet(path) as file:
        groups = file.metadata.num_row_groups
        for group in range(0, groups, max(1, -(-groups // _GROUPS))):
            for batch in itertools.islice(file.iter_batches(_ROWS, row_groups=[group]), max(1, _GROUPS // groups)):
                for row in batch.to_pylist():
                    yield row, 0, ""


_READERS = {"jsonl": _of_json, "csv": _of_rows, "parquet": _of_columns}


# -- what they weigh --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Tally:
    """Sums over the records of a sample."""

    kinds: dict[str, int] = field(default_factory=dict)
    count: float = 0
    bytes: float = 0
    strs: float = 0
    numbers: float = 0
    objects: float = 0

    def add(self, other: _Tally, factor: float) -> None:
        for kind, count in other.kinds.items():
            self.kinds[kind] = self.kinds.get(kind, 0) + count
        for name in ("count", "bytes", "strs", "numbers", "objects"):
            setattr(self, name, getattr(self, name) + factor * getattr(other, name))


class _Sample:
    def __init__(self, column: str, *, own_keys: bool) -> None:
        self.column, self.own_keys = column, own_keys
        self.fields: dict[str, _Tally] = {}
        self.records = self.documents = self.read = self.lines = 0.0
        self.reference = self.data = self.objects = self.keys = 0.0
        self.small = self.names = self.chars = 0.0
        self.widest = 0
        self.longest = 0  # of a JSON list

    def add(self, record: Any, size: int, line: str) -> None:
        """`size` and `line`: as the file has it, where that is known."""
        if not isinstance(record, dict):
            return
        text = text_of(record, self.column)
        if text is None:
            return
        self.documents += 1
        self.reference += len(text.encode("utf-8", "replace"))
        self.records += 1
        self.objects += _sized(record)
        self.small += _small(record)
        self.keys += sum(map(_sized, _keys(record))) if self.own_keys else 0
        self.names += len(record)
        for index, (name, value) in enumerate(record.items()):
            self._walk(str(name), value, 0)
            self.data += _data(value)
            for place in (f"#{index}", f"#{index - len(record)}"):
                if isinstance(value, str) and not self.own_keys:
                    self._walk(place, value, 0)
        if not size:
            size = round(_data(record))
        self.read += size
        self.chars += len(line)
        self.widest = max(self.widest, ord(max(line, default="\0")))
        self.longest = max(self.longest, size)
        self.lines += _aligned(sys.getsizeof("") + size)

    def _walk(self, path: str, value: Any, depth: int) -> None:
        if path not in self.fields and len(self.fields) >= _MOST_FIELDS:
            return
        tally = self.fields.setdefault(path, _Tally())
        kind = _kind(value)
        tally.kinds[kind] = tally.kinds.get(kind, 0) + 1
        tally.objects += _sized(value)
        members = value if isinstance(value, list) else [value]
        if kind == "ids":
            tally.numbers += len(members)
            return
        for member in members:
            if isinstance(member, str):
                tally.bytes += len(member.encode("utf-8", "replace"))
                tally.strs += _sized(member)
            elif isinstance(member, (dict, list)):
                tally.bytes += _data(member)
                tally.strs += _sized(member)
            tally.count += 1
            if isinstance(member, dict) and depth < _DEEPEST:
                for name, inner in member.items():
                    self._walk(f"{path}.{name}", inner, depth + 1)

    def take(self, part: _Sample, size: int) -> None:
        """Adds the sample of one file of `size` bytes, which stands for all of that."""
        if not part.documents:
            return
        self.widest = max(self.widest, part.widest)
        factor = size / part.read if size and self.own_keys else 1.0
        for name, tally in part.fields.items():
            self.fields.setdefault(name, _Tally()).add(tally, factor)
        for name in (
            "records",
            "documents",
            "read",
            "lines",
            "reference",
            "data",
            "objects",
            "keys",
            "small",
            "names",
            "chars",
        ):
            setattr(self, name, getattr(self, name) + factor * getattr(part, name))

    def shape(self) -> RecordShape | None:
        if not self.documents or not self.reference:
            return None
        each = 1 / self.documents
        fields = {
            name: FieldShape(
                max(tally.kinds, key=lambda kind: (kind != "small", tally.kinds[kind])),
                tally.count * each,
                tally.bytes * each,
                tally.strs * each,
                tally.numbers * each,
                tally.objects * each,
            )
            for name, tally in self.fields.items()
        }
        return RecordShape(
            fields=fields,
            reference=self.reference * each,
            line=self.read * each,
            line_strs=self.lines * each,
            data=self.data * each,
            objects=self.objects * each,
            keys=self.keys * each,
            small=self.small * each,
            text=(1 if self.widest < 256 else 2 if self.widest < 65_536 else 4) * self.chars * each,
            ascii=self.widest < 128,
            names=self.names * each,
            longest=self.longest,
        )


def _kind(value: Any) -> str:
    if isinstance(value, (str, bytes)):
        return "text"
    if isinstance(value, dict):
        return "record"
    if not isinstance(value, list) or not value:
        return "small"
    if isinstance(value[0], dict):
        return "records"
    return "ids" if all(isinstance(member, (int, float)) for member in value) else "texts"


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _sized(value: Any) -> int:
    """Bytes of `value` as Python's objects, without the keys of its dicts."""
    size = _aligned(sys.getsizeof(value))
    if isinstance(value, Mapping):
        size += sum(map(_sized, value.values()))
    elif isinstance(value, list):
        size += sum(map(_sized, value))
    elif value is None or isinstance(value, bool) or (isinstance(value, int) and -6 < value < 257):
        return 0
    return size


def _keys(value: Any) -> set[str]:
    """Of all its dicts: json makes each once for every text that it parses."""
    members = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return {key for member in members for key in _keys(member)} | (set(value) if isinstance(value, Mapping) else set())


def _small(value: Any) -> int:
    """Bytes of those objects in it that stand in pymalloc's arenas, texts apart."""
    if isinstance(value, str):
        return 0
    members = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    own = _sized(value) - sum(map(_sized, members))
    return (own if own <= _LARGEST_SMALL else 0) + sum(map(_small, members))


def _data(value: Any) -> float:
    """Bytes of text in it, and of its numbers as a table has them."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return sum(map(_data, value.values()))
    if isinstance(value, list):
        return sum(map(_data, value))
    return 0 if value is None else _NUMBER
