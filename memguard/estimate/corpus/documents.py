"""Documents, lines and packed texts → scan, tokens and the cost of their strs. One pass, bounded memory.

A file that can be read at any place is sampled all over; a packed one only from its beginning, which is worse, and the
estimate says so. Lines of plain text are looked at here too: what a list of them costs. The records of JSON lines and
CSV are those of tokens/input/records.py: a document here is what is one there.
"""

from __future__ import annotations

import functools
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memguard.errors import InputError
from memguard.estimate.corpus.inputs import check_text, open_parquet, size_of, text_columns, texts_of
from memguard.estimate.corpus.json_list import is_list, texts_of_list
from memguard.estimate.corpus.sample import (
    SAMPLE_STRATA,
    Encode,
    Files,
    TokenProfile,
    boundary,
    draw_place,
    repaired,
    trimmed,
)
from memguard.estimate.corpus.scan import KIND_LEADS, TextScan, width_of
from memguard.records.estimate import DocumentStats, Range
from memguard.tokens.input.documents import Place, Sizes
from memguard.tokens.input.documents import Reading as Rules
from memguard.tokens.input.records import read_records
from memguard.tokens.input.source import ByteReader, Source
from memguard.tokens.input.split import last_cut
from memguard.units import MIB

__all__ = ["DocumentTally", "Progress", "Reading", "read_stream", "sample_text", "tally_lines"]

Progress = Callable[[str, int], None]  # stage ("reading" or "counting tokens"), bytes done since the last call

_BLOCK = 256 * 1024
# Of each block of a long stream, once enough was counted: as much as a block of the stratified sample.
_PIECE = 4096
# A sampled place is read this far: enough lines to know what a line costs.
_WINDOW = 32 * 1024
# A line longer than this is taken in parts.
_LONGEST_LINE = 4 * MIB
# Beyond it, for the end of the last line that begins in it: else long lines would be missed more often than short ones.
_LINE_END = 16 * 1024
# The head of a file may differ from the rest: by 12 to 30 % on mixed texts (the first 4 MiB).
_HEAD_ERROR = 0.10
_PARQUET_BATCH = 128


@dataclass(slots=True)
class DocumentTally:
    """Sums over documents: how many, what their str objects and tiktoken's copies in them take."""

    unit: str
    count: int = 0
    text_bytes: int = 0
    str_bytes: int = 0
    copy_bytes: int = 0

    def add(self, text: str, size: int) -> None:
        """`size`: its bytes of UTF-8."""
        self.count += 1
        self.text_bytes += size
        # An empty str, and one character below U+0100, exist once for all.
        if len(text) > 1 or text > "\xff":
            self.str_bytes += _rounded(sys.getsizeof(text))
        if not text.isascii():
            self.copy_bytes += _rounded(size + 1)

    def add_lines(self, data: bytes) -> None:
        """Every line of `data`, as a file object gives them: they end at \\n alone, and keep it."""
        block = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero(block == 0x0A)
        if not len(ends) or ends[-1] != len(block) - 1:
            ends = np.append(ends, len(block) - 1)
        starts = np.concatenate(([0], ends[:-1] + 1))
        sizes = ends - starts + 1
        self.count += len(sizes)
        self.text_bytes += len(block)
        headers, widths = _str_layout()
        if block.max() < 0x80:
            self.str_bytes += int((_rounded(headers[0] + sizes))[sizes > 1].sum())
            return
        kinds = np.searchsorted(KIND_LEADS, np.maximum.reduceat(block, starts), side="right")
        chars = sizes - np.add.reduceat((block.view(np.int8) < -64).view(np.uint8), starts, dtype=np.int64)
        strs = _rounded(headers[kinds] + widths[kinds] * chars)
        self.str_bytes += int(strs[(chars > 1) | (kinds > 1)].sum())
        self.copy_bytes += int(_rounded(sizes + 1)[kinds > 0].sum())

    def stats(self, size: int) -> DocumentStats | None:
        """For `size` bytes of text, of which these documents are a part or all."""
        if not self.count or not self.text_bytes:
            return None
        factor = size / self.text_bytes
        # Few documents say little of how long the others are.
        error = 0.0 if factor < 1.001 else min(0.5, 0.01 + 2.0 / self.count**0.5)

        def around(value: float) -> Range:
            return Range(round(value * (1 - error)), round(value), round(value * (1 + error)))

        count = around(max(1.0, self.count * factor))
        over = self.str_bytes - self.text_bytes  # widths and headers: their share varies, the text itself does not
        strs = Range(*(max(0, round(size + over * factor * (1 + sign * error))) for sign in (-1, 0, 1)))
        if over < 0:
            strs = around(self.str_bytes * factor)
        return DocumentStats(self.unit, count, strs, around(self.copy_bytes * factor))


@dataclass(slots=True)
class Reading:
    """What a pass over a stream, or a sample, has gathered. `size`: bytes of all the text, read or not."""

    scan: TextScan
    profile: TokenProfile
    documents: DocumentTally
    size: int = 0
    file_sizes: list[int] = field(default_factory=list)
    row_group_rows: int = 0  # of the largest row group of a Parquet file
    document_ends: list[int] = field(default_factory=list)  # documents up to the end of each of the profile's entries
    whole: bool = True  # every byte was read
    head_only: bool = False
    line: bytes = b""  # begun, and not ended yet

    def add_lines(self, block: bytes) -> None:
        data = self.line + block
        end = data.rfind(b"\n") + 1
        if len(data) - end > _LONGEST_LINE:
            end = len(data)
        self.line = data[end:]
        if end:
            self.documents.add_lines(data[:end])

    def end_line(self) -> None:
        if self.line:
            self.documents.add_lines(self.line)
            self.line = b""


@functools.lru_cache(maxsize=1)
def _str_layout() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bytes of a str's header and end, and of each of its characters, for the four kinds of PEP 393."""
    widths = [width_of(kind) for kind in range(4)]
    pairs = (2 * chr(code_point) for code_point in (0x61, 0xE9, 0x4E2D, 0x1F600))  # made now: no copy hangs on them
    headers = [sys.getsizeof(pair) - 2 * width for pair, width in zip(pairs, widths, strict=True)]
    return np.array(headers), np.array(widths)


def _rounded(size: Any) -> Any:
    """As the allocator does it. An int, or an array of them."""
    return (size + 15) & ~15


def tally_lines(files: Files, draw: random.Random) -> DocumentTally:
    """The lines of a text: all of a small one, those that begin at one place drawn in each stratum of a large one."""
    tally = DocumentTally("line")
    if files.size <= SAMPLE_STRATA * _WINDOW:
        for path in files.paths:
            with open(path, "rb") as file:
                tally.add_lines(file.read())
        return tally
    for index in range(SAMPLE_STRATA):
        data, at_start = files.read(_draw_place(files, index, draw), _WINDOW + _LINE_END)
        _add_lines_at(tally, data, at_start)
    return tally


def _draw_place(files: Files, index: int, draw: random.Random) -> int:
    low, high = files.size * index // SAMPLE_STRATA, files.size * (index + 1) // SAMPLE_STRATA
    return draw_place(low, high, files.size - _WINDOW, draw)


def _add_lines_at(tally: DocumentTally, data: bytes, at_start: bool) -> None:
    """The whole lines that begin in the first `_WINDOW` bytes of `data`, read at some place of a file."""
    start = 0 if at_start else data.find(b"\n") + 1
    end = data.find(b"\n", _WINDOW) + 1 or data.rfind(b"\n") + 1
    if end <= start:  # one long line: as much of it as there is
        start, end = 0, len(data)
    tally.add_lines(data[start:end])


def sample_text(files: Files, encode: Encode, *, cached_int_max: int, draw: random.Random) -> Reading:
    """One place per stratum: 32 KiB scanned there, 4 KiB of them encoded."""
    scan = TextScan(paths=files.paths)
    scan.starts.append(0)
    profile = TokenProfile(exact=False, translate=True, cached_int_max=cached_int_max)
    tally = DocumentTally("line")
    for index in range(SAMPLE_STRATA):
        low, high = files.size * index // SAMPLE_STRATA, files.size * (index + 1) // SAMPLE_STRATA
        data, at_start = files.read(_draw_place(files, index, draw), _WINDOW + _LINE_END)
        block = data[:_WINDOW] if at_start else data[boundary(data, 0) : _WINDOW]
        block = block[: boundary(block, len(block))]
        if not block:
            continue
        scan.add(block, files.paths[0])
        _add_lines_at(tally, data, at_start)
        piece = repaired(trimmed(data[: _PIECE + 1024], at_start))
        if piece:
            profile.read_bytes += len(piece)
            profile.add(high, piece, (high - low) / len(piece), encode)
    return Reading(scan, profile, tally, size=files.size, whole=False)


@dataclass(frozen=True, slots=True)
class _Pass:
    """How a stream is read. Limits in bytes of text: of a source, and of all that is encoded whole."""

    encode: Encode
    limit: int
    count_limit: int
    column: str
    any_record: bool
    progress: Progress


def read_stream(
    sources: Sequence[Source],
    encode: Encode,
    *,
    cached_int_max: int,
    limit: int,
    count_limit: int,
    exact: bool,
    text_field: str,
    any_record: bool = False,
    progress: Progress,
) -> Reading:
    """Packed text, JSONL, CSV, Parquet, stdin: read once from the front, or as far as `limit` bytes of text.

    Tokens are counted in `count_limit` bytes. `exact`: neither limit holds. `any_record`: as in documents.Reading.
    Raises InputError.
    """
    kind = sources[0].kind
    unit = {"jsonl": "record", "csv": "row", "parquet": "row"}.get(kind, "line")
    profile = TokenProfile(exact=True, translate=kind == "text", cached_int_max=cached_int_max)
    reading = Reading(TextScan(paths=[source.path for source in sources]), profile, DocumentTally(unit))
    if exact or any(source.size is None for source in sources):
        limit = sys.maxsize
    counted = sys.maxsize if exact else count_limit
    one_pass = _Pass(encode, limit // len(sources), counted, text_field, any_record, progress)
    read = {"text": _read_text, "parquet": _read_parquet}.get(kind, _read_records)
    for source in sources:
        reading.scan.starts.append(reading.scan.size)
        entries, before = len(profile.ends), reading.scan.size
        try:
            fraction = read(source, reading, one_pass)
        except OSError as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"{source.path}: cannot be read to its end: {reason}", path=source.path) from None
        size = round((reading.scan.size - before) / max(fraction, 1e-9))
        reading.file_sizes.append(size)
        if fraction < 1:
            reading.whole = False
            reading.head_only = reading.head_only or kind == "text" or bool(source.compression)
            for column in (profile.tokens, profile.text_tokens, profile.heap_ints):
                column[entries:] = [value / fraction for value in column[entries:]]
        profile.ends[entries:] = [
            reading.size + round((e - before) / max(fraction, 1e-9)) for e in profile.ends[entries:]
        ]
        reading.size += size
    if not reading.whole or not profile.exact:
        profile.exact = False
        profile.floor = _HEAD_ERROR if reading.head_only else 0.0
    return reading


def _read_text(source: Source, reading: Reading, one_pass: _Pass) -> float:
    """Adds the text of `source`; returns the share of it that was read."""
    done, started = 0, reading.scan.size
    with ByteReader(source) as reader:
        for block in _text_blocks(reader):
            if not done and not source.compression:
                check_text(source.path, block)
            _add_text(block, source.path, reading, one_pass)
            done += len(block)
            one_pass.progress("reading", len(block))
            if reading.scan.size - started >= one_pass.limit and source.size:
                return _share(reader.done if source.compression else done, source.size)
    reading.end_line()
    if not done:
        raise InputError(f"{source.path}: is empty", "there is nothing to estimate", path=source.path)
    return 1.0


def _text_blocks(reader: ByteReader) -> Iterator[bytes]:
    """Blocks that end at a safe cut, or at least at a whole character."""
    rest = b""
    while data := reader.read(_BLOCK):
        data = rest + data
        place = last_cut(data, "r50k") or boundary(data, len(data))
        if place:
            yield data[:place]
        rest = data[place:]
    if rest:
        yield rest


def _read_records(source: Source, reading: Reading, one_pass: _Pass) -> float:
    """Adds the documents of JSON lines or CSV, a block of them at a time; returns the share that was read."""
    if source.kind == "jsonl" and one_pass.any_record and not source.compression and is_list(source.path):
        return _read_list(source, reading, one_pass)
    rules = Rules(column=one_pass.column, errors="replace", any_record=one_pass.any_record)
    done, started = 0, reading.scan.size
    # No cut is looked for: a document of any length is one.
    for batch in read_records(source, rules, None, Sizes(_BLOCK, sys.maxsize), Place()):
        _add_documents((bytes(document).decode() for document in batch.documents), source.path, reading, one_pass)
        if batch.invalid_bytes:
            reading.scan.invalid.setdefault(source.path, None)
        one_pass.progress("reading", batch.done - done)
        done = batch.done
        if reading.scan.size - started >= one_pass.limit and source.size and batch.finished is None:
            # Of what is not packed, JSON lines say where the batch ends; `done` is up to a block further.
            plain_lines = source.kind == "jsonl" and not source.compression
            return _share(batch.after.offset if plain_lines else done, source.size)
    return 1.0


def _read_list(source: Source, reading: Reading, one_pass: _Pass) -> float:
    """The same of a file that is one JSON list."""
    started, before = reading.scan.size, 0
    for texts, done in texts_of_list(source.path, one_pass.column):
        _add_documents(texts, source.path, reading, one_pass)
        one_pass.progress("reading", done - before)
        before = done
        if reading.scan.size - started >= one_pass.limit and source.size:
            return _share(done, source.size)
    return 1.0


def _share(done: int, size: int) -> float:
    return min(1.0, max(done / size, 1e-9))


def _add_text(block: bytes, path: str, reading: Reading, one_pass: _Pass) -> None:
    scan, profile = reading.scan, reading.profile
    scan.add(block, path)
    reading.add_lines(block)
    if profile.read_bytes < one_pass.count_limit:
        piece = block
    else:
        profile.exact = False
        piece = trimmed(block[:_PIECE], True)
    piece = repaired(piece) if scan.invalid else piece
    profile.read_bytes += len(piece)
    profile.add(scan.size, piece, len(block) / max(1, len(piece)), one_pass.encode)


def _add_documents(texts: Iterable[str], path: str, reading: Reading, one_pass: _Pass) -> None:
    """Each document is a text of its own to the tokenizer; they share one entry of the profile."""
    encoded, ids = [], []
    for text in texts:
        data = text.encode("utf-8", "replace")
        reading.documents.add(text, len(data))
        if data:
            encoded.append(data)
            ids.append(one_pass.encode(data))
    if not encoded:
        return
    joined = b"".join(encoded)
    reading.scan.add(joined, path)
    reading.profile.read_bytes += len(joined)
    reading.profile.add_ids(reading.scan.size, np.concatenate(ids), 1.0)
    reading.document_ends.append(reading.documents.count)


def _read_parquet(source: Source, reading: Reading, one_pass: _Pass) -> float:
    """Whole, or the first rows of row groups all over the file; returns the share of the rows that was read."""
    with open_parquet(source.path) as file:
        columns = text_columns(source.path, file.schema_arrow, one_pass.column, any_record=one_pass.any_record)
        rows, groups = file.metadata.num_rows, file.metadata.num_row_groups
        largest = max((file.metadata.row_group(index).num_rows for index in range(groups)), default=0)
        reading.row_group_rows = max(reading.row_group_rows, largest)
        text_size = sum(size_of(file.metadata.row_group(index), columns) for index in range(groups))
        whole = text_size <= one_pass.limit
        chosen = range(0, groups, 1 if whole else max(1, groups // 64))
        wanted = rows if whole else max(1, round(rows * one_pass.limit / max(1, text_size) / len(chosen)))
        read = 0
        for group in chosen:
            left = wanted
            for batch in file.iter_batches(batch_size=_PARQUET_BATCH, row_groups=[group], columns=columns):
                texts = texts_of(batch, left)
                _add_documents(texts, source.path, reading, one_pass)
                read += min(left, batch.num_rows)
                one_pass.progress("reading", round((source.size or 0) * batch.num_rows / max(1, rows)))
                left -= batch.num_rows
                if left <= 0:
                    break
    if not read:
        raise InputError(f"{source.path}: has no rows", "there is nothing to estimate", path=source.path)
    return float(read / rows)
