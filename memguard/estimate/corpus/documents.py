"""Documents, lines and packed texts → scan, tokens and the cost of their strs. One pass, bounded memory.

A file that can be read at any place is sampled all over; a packed one only from its beginning, which is worse, and the
estimate says so. Lines of plain text are looked at here too: what a list of them costs.
"""

from __future__ import annotations

import functools
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memguard.errors import InputError
from memguard.estimate.corpus.inputs import Input, check_head, json_text, open_bytes, open_parquet, text_column
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
from memguard.tokens.input.compressed import readable
from memguard.tokens.input.split import last_cut
from memguard.units import MIB

__all__ = ["DocumentTally", "Reading", "read_stream", "sample_text", "tally_lines"]

_BLOCK = 256 * 1024
# Of each block of a long stream, once enough was counted: as much as a block of the stratified sample.
_PIECE = 4096
# A sampled place is read this far: enough lines to know what a line costs.
_WINDOW = 32 * 1024
# A line longer than this is taken in parts.
_LONGEST_LINE = 4 * MIB
# Beyond it, for the end of the last line that begins in it: else long lines would be missed more often than short ones.
_LINE_END = 16 * 1024
# What is read of a packed file, or of all of them together: about a second. --exact reads on.
_PACKED_LIMIT = 256 * MIB
# The same for documents, each of which is taken out of its JSON or Parquet.
_DOCUMENT_LIMIT = 96 * MIB
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


def read_stream(
    inputs: Sequence[Input],
    encode: Encode,
    *,
    cached_int_max: int,
    count_limit: int,
    exact: bool,
    text_field: str,
    progress: Any,
) -> Reading:
    """Packed text, JSONL, Parquet, stdin: read once from the front, or as far as a second or two allow."""
    kind = inputs[0].kind
    unit = {"jsonl": "record", "parquet": "row"}.get(kind, "line")
    profile = TokenProfile(exact=True, translate=kind == "text", cached_int_max=cached_int_max)
    reading = Reading(TextScan(paths=[item.path for item in inputs]), profile, DocumentTally(unit))
    limit = (_PACKED_LIMIT if kind == "text" else _DOCUMENT_LIMIT) // len(inputs)
    if exact or any(item.size is None for item in inputs):
        limit = sys.maxsize
    for item in inputs:
        reading.scan.starts.append(reading.scan.size)
        entries, before = len(profile.ends), reading.scan.size
        try:
            with readable(item.path):
                fraction = _read_input(
                    item, reading, encode, limit, sys.maxsize if exact else count_limit, text_field, progress
                )
        except OSError as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"{item.path}: cannot be read to its end: {reason}", path=item.path) from None
        size = round((reading.scan.size - before) / max(fraction, 1e-9))
        reading.file_sizes.append(size)
        if fraction < 1:
            reading.whole = False
            reading.head_only = reading.head_only or kind == "text" or bool(item.packing)
            for column in (profile.tokens, profile.text_tokens, profile.boxed):
                column[entries:] = [value / fraction for value in column[entries:]]
        profile.ends[entries:] = [
            reading.size + round((e - before) / max(fraction, 1e-9)) for e in profile.ends[entries:]
        ]
        reading.size += size
    if not reading.whole or not profile.exact:
        profile.exact = False
        profile.floor = _HEAD_ERROR if reading.head_only else 0.0
    return reading


def _read_input(
    item: Input, reading: Reading, encode: Encode, limit: int, count_limit: int, text_field: str, progress: Any
) -> float:
    """Adds what `item` holds; returns the share of it that was read."""
    if item.kind == "parquet":
        return _read_parquet(item, reading, encode, limit, text_field, progress)
    stream, raw = open_bytes(item)
    done = 0
    started = reading.scan.size
    try:
        blocks = _text_blocks(stream) if item.kind == "text" else _line_blocks(stream)
        for block in blocks:
            if item.kind == "text":
                if not done and not item.packing:
                    check_head(item.path, block)
                _add_text(block, item.path, reading, encode, count_limit)
            else:
                texts = _texts_of(item.path, block, text_field, done)
                _add_documents(texts, item.path, reading, encode)
            done += len(block)
            if progress is not None:
                progress("reading", len(block))
            if reading.scan.size - started >= limit and item.size:
                share = done / item.size if not item.packing else raw.tell() / item.size
                return min(1.0, max(share, 1e-9))
    finally:
        if item.path != "-":
            stream.close()
            raw.close()
    reading.end_line()
    if not done:
        raise InputError(f"{item.path}: is empty", "there is nothing to estimate", path=item.path)
    return 1.0


def _text_blocks(stream: Any) -> Iterator[bytes]:
    """Blocks that end at a safe cut, or at least at a whole character."""
    rest = b""
    while data := stream.read(_BLOCK):
        data = rest + data
        place = last_cut(data, "r50k") or boundary(data, len(data))
        if place:
            yield data[:place]
        rest = data[place:]
    if rest:
        yield rest


def _line_blocks(stream: Any) -> Iterator[bytes]:
    rest = b""
    while data := stream.read(_BLOCK):
        data = rest + data
        place = data.rfind(b"\n") + 1
        if place:
            yield data[:place]
        rest = data[place:]
    if rest:
        yield rest


def _texts_of(path: str, block: bytes, text_field: str, place: int) -> Iterator[str]:
    for line in block.splitlines(keepends=True):
        if line.strip():
            yield json_text(path, line, text_field, place)
        place += len(line)


def _add_text(block: bytes, path: str, reading: Reading, encode: Encode, count_limit: int) -> None:
    scan, profile = reading.scan, reading.profile
    scan.add(block, path)
    reading.add_lines(block)
    if profile.read_bytes < count_limit:
        piece = block
    else:
        profile.exact = False
        piece = trimmed(block[:_PIECE], True)
    piece = repaired(piece) if scan.invalid else piece
    profile.read_bytes += len(piece)
    profile.add(scan.size, piece, len(block) / max(1, len(piece)), encode)


def _add_documents(texts: Iterator[str], path: str, reading: Reading, encode: Encode) -> None:
    """Each document is a text of its own to the tokenizer; they share one entry of the profile."""
    encoded, ids = [], []
    for text in texts:
        data = text.encode("utf-8", "replace")
        reading.documents.add(text, len(data))
        if data:
            encoded.append(data)
            ids.append(encode(data))
    if not encoded:
        return
    joined = b"".join(encoded)
    reading.scan.add(joined, path)
    reading.profile.read_bytes += len(joined)
    reading.profile.add_ids(reading.scan.size, np.concatenate(ids), 1.0)
    reading.document_ends.append(reading.documents.count)


def _read_parquet(item: Input, reading: Reading, encode: Encode, limit: int, column: str, progress: Any) -> float:
    """Whole, or the first rows of row groups all over the file."""
    file = open_parquet(item.path)
    column = text_column(item.path, file.schema_arrow, column)
    rows, groups = file.metadata.num_rows, file.metadata.num_row_groups
    text_size = sum(_column_size(file.metadata.row_group(index), column) for index in range(groups))
    whole = text_size <= limit
    step = 1 if whole else max(1, groups // 64)
    per_group = None if whole else max(1, round(rows * limit / max(1, text_size) / len(range(0, groups, step))))
    read = 0
    for group in range(0, groups, step):
        left = per_group
        for batch in file.iter_batches(batch_size=_PARQUET_BATCH, row_groups=[group], columns=[column]):
            texts = [text for text in batch.column(0).to_pylist()[:left] if text is not None]
            _add_documents(iter(texts), item.path, reading, encode)
            read += batch.num_rows if left is None else min(left, batch.num_rows)
            if progress is not None:
                progress("reading", round((item.size or 0) * batch.num_rows / max(1, rows)))
            if left is not None:
                left -= batch.num_rows
                if left <= 0:
                    break
    if not read:
        raise InputError(f"{item.path}: has no rows", "there is nothing to estimate", path=item.path)
    return float(read / rows)


def _column_size(group: Any, column: str) -> int:
    for index in range(group.num_columns):
        found = group.column(index)
        if found.path_in_schema == column:
            size: int = found.total_uncompressed_size
            return size
    return 0
