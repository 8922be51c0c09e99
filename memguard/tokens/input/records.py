"""Records → batches of documents: the text field of JSON lines, a column of CSV, a column of Parquet.

One record is one document. Each is held whole for a moment; one that is longer than a block leaves in parts.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memguard.errors import ConfigError, EngineNotInstalled, InputError
from memguard.records.manifest import InputFile
from memguard.tokens.input.documents import Batch, Place, Reading, Sizes, too_long
from memguard.tokens.input.source import ByteReader, Source, cannot_read, check_unchanged, open_binary
from memguard.tokens.input.split import last_cut
from memguard.tokens.input.utf8 import clean

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["delimiter_of", "read_records"]

_READ = 1 << 18  # bytes of lines read at a time
_PARQUET_BATCH = 1 << 20  # bytes of a column decoded at a time, about


@dataclass(slots=True)
class _Record:
    """`offset` as in Place, and that of the next record; `text` None where the record has none."""

    offset: int
    after: int
    text: bytes | None
    invalid_bytes: int = 0


class _Records:
    """Iterates over the records of a source; `done` and `finish` are ByteReader's."""

    def __init__(self, source: Source, reading: Reading, longest: int) -> None:
        self.source, self.reading, self.longest = source, reading, longest
        self.done = 0

    def records(self, offset: int) -> Iterator[_Record]:
        raise NotImplementedError

    def finish(self) -> InputFile:
        raise NotImplementedError

    def wrong(self, what: str, offset: int, hint: str = "") -> InputError:
        return InputError(f"{self.source.path}: {what}", hint, path=self.source.path, offset=offset)


def read_records(source: Source, reading: Reading, family: str | None, sizes: Sizes, start: Place) -> Iterator[Batch]:
    """The documents of a file of records, in order, from `start` on."""
    reader = _READERS[source.kind](source, reading, sizes.longest_piece)
    collected: list[_Record] = []
    size = skipped = invalid = 0
    inner = start.inner
    offset = start.offset
    for record in reader.records(start.offset):
        invalid += record.invalid_bytes
        if not record.text:
            skipped += record.text is None
            continue
        if inner or len(record.text) > max(sizes.block, sizes.prefix):
            if collected:
                yield _batch(collected, reader, invalid, skipped)
                collected, size, skipped, invalid = [], 0, 0, 0
            yield from _parts(record, reader, family, sizes, inner)
            inner = 0
            continue
        collected.append(record)
        size += len(record.text)
        if size >= sizes.block:
            yield _batch(collected, reader, invalid, skipped)
            collected, size, skipped, invalid = [], 0, 0, 0
        offset = record.after
    finished = reader.finish()
    if collected:
        last = _batch(collected, reader, invalid, skipped)
    else:
        place = Place(offset)
        last = Batch([], True, True, offset, place, reader.done, invalid_bytes=invalid, skipped=skipped)
    last.finished = finished
    yield last


def _batch(records: list[_Record], reader: _Records, invalid: int, skipped: int) -> Batch:
    return Batch(
        [record.text or b"" for record in records],
        True,
        True,
        records[0].offset,
        Place(records[-1].after),
        reader.done,
        [record.offset for record in records].copy,
        invalid_bytes=invalid,
        skipped=skipped,
    )


def _parts(record: _Record, reader: _Records, family: str | None, sizes: Sizes, inner: int) -> Iterator[Batch]:
    """One document in parts that end at safe cuts."""
    text = record.text or b""
    while True:
        rest = len(text) - inner
        low = 1 if inner else sizes.prefix
        length: int | None = max(sizes.block, low + 1)
        while family and length is not None and length < rest:
            window = text[inner : inner + length]
            cut = last_cut(window, family, low=low)
            if cut is not None and reader.reading.specials is not None:
                cut = reader.reading.specials.outside(text, inner + cut) - inner
            if cut is not None:
                break
            if length >= sizes.longest_piece:
                raise too_long(f"{reader.source.path} (record at {record.offset:,})", inner, family, length)
            length = min(2 * length, sizes.longest_piece)
        else:
            if rest > sizes.longest_piece:
                raise too_long(f"{reader.source.path} (record at {record.offset:,})", inner, family, rest)
            place = Place(record.after)
            yield Batch([text[inner:]], not inner, True, record.offset, place, reader.done, [record.offset].copy)
            return
        starts, inner = not inner, inner + cut
        place = Place(record.offset, inner, True)
        yield Batch([text[inner - cut : inner]], starts, False, record.offset, place, reader.done, [record.offset].copy)


class _Lines(_Records):
    """The lines of a stream of bytes."""

    def lines(self, offset: int) -> Iterator[tuple[int, bytes]]:
        """(offset, line with its end)."""
        with ByteReader(self.source, offset) as reader:
            rest = b""
            while data := reader.read(_READ):
                self.done = reader.done
                *whole, rest = _split(rest + data)
                for line in whole:
                    yield offset, line
                    offset += len(line)
                if len(rest) > self.longest:
                    what = f"the line at byte {offset:,} is longer than {self.longest:,} bytes"
                    raise self.wrong(what, offset, "a larger --max-memory takes longer lines")
            if rest:
                yield offset, rest
            self._finished = reader.finish()
            self.done = reader.done

    def finish(self) -> InputFile:
        return self._finished

    def decoded(self, line: bytes, offset: int) -> tuple[str, int]:
        """The line as text, and how many of its bytes were replaced or left out."""
        try:
            text, invalid = clean(line, self.reading.errors)
        except UnicodeDecodeError as error:
            raise self.wrong(
                f"not UTF-8: byte 0x{line[error.start]:02x} at offset {offset + error.start:,} ({error.reason})",
                offset + error.start,
                "--errors replace (U+FFFD for it) or --errors ignore goes on",
            ) from None
        return text.decode(), invalid


def _split(data: bytes) -> list[bytes]:
    """Lines with their ends, at \\n only; the last one is what follows the last \\n."""
    lines = data.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + lines[-1:]


class _JsonLines(_Lines):
    def records(self, offset: int) -> Iterator[_Record]:
        for place, line in self.lines(offset):
            if line.isspace():
                continue
            text, invalid = self.decoded(line, place)
            try:
                value = json.loads(text)
            except (ValueError, RecursionError) as error:
                why = getattr(error, "msg", error)
                raise self.wrong(
                    f"the line at byte {place:,} is no JSON: {why}", place, "--input-format text takes it as text"
                ) from None
            document, more = self._text_of(value, place)
            yield _Record(place, place + len(line), document, invalid + more)

    def _text_of(self, value: Any, place: int) -> tuple[bytes | None, int]:
        name = self.reading.column
        try:
            text = value[name]
        except (KeyError, TypeError, IndexError):
            if self.reading.any_record:
                return self._encoded(_as_json(value), place)
            keys = ", ".join(map(str, value)) if isinstance(value, dict) else type(value).__name__
            raise self.wrong(
                f"the line at byte {place:,} has no field {name!r}", place, f"it has: {keys[:200]} (--text-field NAME)"
            ) from None
        if text is None:
            return None, 0
        if not isinstance(text, str) and self.reading.any_record:
            text = _as_json(text)
        if not isinstance(text, str):
            kind = type(text).__name__
            raise self.wrong(f"the field {name!r} of the line at byte {place:,} is no text but {kind}", place)
        return self._encoded(text, place)

    def _encoded(self, text: str, place: int) -> tuple[bytes, int]:
        try:
            return text.encode(), 0
        except UnicodeEncodeError as error:  # half of a surrogate pair, as in "\\ud83d"
            if self.reading.errors == "strict":
                what = f"the line at byte {place:,} holds half of a surrogate pair (\\u{ord(text[error.start]):04x})"
                raise self.wrong(what, place, "--errors replace (U+FFFD for it) or --errors ignore goes on") from None
            how = self.reading.errors
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", how).encode(), 1


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def delimiter_of(path: str, head: str) -> str:
    """What stands between two fields: as the first line of a CSV file has it most, or as its name says."""
    usual = "\t" if ".tsv" in path.lower()[-8:] else ","
    names = re.sub(r'"[^"]*"', "", head)
    found = max(",;\t|", key=names.count)
    return found if names.count(found) > names.count(usual) else usual


class _Csv(_Lines):
    """The first row names the columns. Offsets count rows: a row may hold line ends."""

    def records(self, offset: int) -> Iterator[_Record]:
        import csv

        csv.field_size_limit(max(csv.field_size_limit(), self.longest))
        invalid = [0]

        def decoded() -> Iterator[str]:
            for place, line in self.lines(0):
                text, more = self.decoded(line, place)
                invalid[0] += more
                yield text

        delimiter, strict = "\t" if ".tsv" in self.source.path.lower()[-8:] else ",", True
        lines = decoded()
        if self.reading.any_record:
            head = next(lines, "")
            delimiter, strict, lines = delimiter_of(self.source.path, head), False, itertools.chain([head], lines)
        rows = csv.reader(lines, delimiter=delimiter, strict=strict)
        column: int | None = None
        number = 0
        try:
            for number, row in enumerate(rows):
                if column is None:
                    column = self._column(row)
                elif number > offset and row:
                    text = ",".join(row).encode() if column < 0 else row[column].encode() if column < len(row) else None
                    yield _Record(number - 1, number, text, invalid[0])
                    invalid[0] = 0
        except csv.Error as error:
            raise self.wrong(f"row {number + 2:,} is no CSV: {error}", number) from None

    def _column(self, header: list[str]) -> int:
        """Its place; -1 where a whole row is the document."""
        header = [name.removeprefix("\ufeff") for name in header]
        name = self.reading.column
        if name not in header and self.reading.any_record:
            return -1
        if name not in header:
            raise self.wrong(f"there is no column {name!r}", 0, f"it has: {', '.join(header)[:200]} (--column NAME)")
        return header.index(name)


class _Parquet(_Records):
    def records(self, offset: int) -> Iterator[_Record]:
        try:
            import pyarrow.parquet as pq
        except ImportError:
            message = f"{self.source.path} needs pyarrow, which is not installed"
            raise EngineNotInstalled(message, extra="parquet") from None
        if self.source.once:
            raise ConfigError(f"{self.source.path}: Parquet cannot be read from a pipe", "give the file itself")
        try:
            stored = open_binary(self.source.path)
        except OSError as error:
            raise cannot_read(self.source.path, error) from None
        with stored, self._clear_errors():
            # small reads, no look-ahead: else a whole column of a row group is held
            file = pq.ParquetFile(stored, buffer_size=1 << 20, pre_buffer=False)
            self._check_column(file.schema_arrow)
            names = [file.schema.column(number).path for number in range(len(file.schema))]
            column = names.index(self.reading.column)
            rows = 0
            for group in range(file.num_row_groups):
                if self.source.stop is not None and rows >= self.source.stop:
                    break
                found = file.metadata.row_group(group)
                if rows + found.num_rows > offset:
                    yield from self._group(file, group, column, rows, offset)
                rows += found.num_rows
                self.done = round((self.source.size or 0) * rows / max(1, file.metadata.num_rows))
            check_unchanged(self.source, stored)

    def _group(self, file: Any, group: int, column: int, first: int, offset: int) -> Iterator[_Record]:
        found = file.metadata.row_group(group)
        row_size = found.column(column).total_uncompressed_size / max(1, found.num_rows)
        size = int(min(1024, max(1, _PARQUET_BATCH // max(1, row_size))))
        row = first
        for batch in file.iter_batches(size, row_groups=[group], columns=[self.reading.column], use_threads=False):
            if row + batch.num_rows > offset:
                for text in _as_bytes(batch.column(0)):
                    if row >= offset:
                        yield _Record(row, row + 1, text)
                    row += 1
            else:
                row += batch.num_rows

    def _check_column(self, schema: pa.Schema) -> None:
        import pyarrow as pa

        name = self.reading.column
        if name not in schema.names:
            raise self.wrong(
                f"there is no column {name!r}", 0, f"it has: {', '.join(schema.names)[:200]} (--column NAME)"
            )
        kind = schema.field(name).type
        value = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not any(test(value) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)):
            raise self.wrong(f"the column {name!r} holds no text but {kind}", 0)

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except pa.ArrowException as error:
            raise self.wrong(f"cannot be read: {str(error).splitlines()[0]}", 0, "is the file complete?") from None

    def finish(self) -> InputFile:
        self.done = self.source.size or 0
        return self.source.as_input()


def _as_bytes(column: Any) -> list[bytes | None]:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    wide = pa.types.is_large_string(column.type)
    found: list[bytes | None] = column.cast(pa.large_binary() if wide else pa.binary()).to_pylist()
    return found


_READERS: dict[str, type[_Records]] = {"jsonl": _JsonLines, "csv": _Csv, "parquet": _Parquet}
