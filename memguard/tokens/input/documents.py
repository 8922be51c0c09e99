"""Streams of bytes → batches of documents: whole files, blank lines, a separator, or the records of records.py.

A Batch holds whole documents, but for its first, which may go on from the batch before, and its last, which may go on
in the next: a document of any length streams through as parts that end at safe cuts. Where a batch ends depends on
the block size; what the documents are does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from memguard.errors import ConfigError, InputError
from memguard.records.manifest import InputFile
from memguard.tokens.input.source import ByteReader, Source
from memguard.tokens.input.special import Specials
from memguard.tokens.input.split import last_cut
from memguard.tokens.input.utf8 import Bytes
from memguard.units import format_size

__all__ = ["BLANK_LINES", "DOCUMENTS", "PREFIX", "WHITE", "Batch", "Place", "Reading", "Sizes", "read_text", "too_long"]

DOCUMENTS = ("file", "line", "blank-line")
PREFIX = 1 << 12  # bytes of a document that its hash is made of, where it is that long

BLANK_LINES = re.compile(rb"\r?\n(?:[ \t\r]*\n)+")
WHITE = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a document is. `separator` overrides `documents`; `column` names the text of JSONL, CSV and Parquet.

    `any_record`: one that has no such text is a document all the same: its JSON, or that of what the column holds.
    """

    documents: str = "file"
    separator: bytes | None = None
    column: str = "text"
    errors: str = "strict"
    specials: Specials | None = None
    any_record: bool = False

    def __post_init__(self) -> None:
        if self.documents not in DOCUMENTS:
            raise ConfigError(f"no such kind of document: {self.documents!r}", f"one of {', '.join(DOCUMENTS)}")
        if self.separator == b"":
            raise ConfigError("--separator must not be empty", "blank lines: --documents blank-line")

    @property
    def one_text(self) -> bool:
        """Each text file is one document."""
        return self.documents == "file" and self.separator is None


@dataclass(frozen=True, slots=True)
class Sizes:
    """In bytes: of a block, of the longest stretch without a safe cut, and of the part of a document that must be seen
    in one before its split is known."""

    block: int
    longest_piece: int
    prefix: int = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where to go on in a source: `offset` counts bytes of text (Parquet, CSV: rows), `inner` the bytes that are done
    of the record there; `inside` a document or before one."""

    offset: int = 0
    inner: int = 0
    inside: bool = False


@dataclass(slots=True)
class Batch:
    documents: list[Bytes]
    starts: bool  # the first document begins here
    ends: bool  # the last document ends here
    offset: int  # of the batch, as in Place
    after: Place
    done: int  # bytes of the source as stored, so far
    offsets: Callable[[], list[int]] = field(default=list)  # of each document; where they are bytes
    invalid_bytes: int = 0
    skipped: int = 0  # records without a text
    finished: InputFile | None = None  # with the last batch of a source


class _Rule:
    """Where one document ends and the next begins, in bytes."""

    def __init__(self, reading: Reading) -> None:
        self.kind = "separator" if reading.separator is not None else reading.documents
        self._separator = reading.separator or b"\n"
        # A safe cut never falls into white space: only a separator of other bytes may begin before one. Special tokens
        # may, too: a cut is looked for where all of it would be seen.
        self.hold = len(self._separator) - 1 if self.kind == "separator" else 0
        self.specials = reading.specials
        if self.specials is not None:
            self.hold = max(self.hold, self.specials.longest - 1)

    def split(self, data: Bytes) -> tuple[Sequence[Bytes], int]:
        """The documents that end in `data`, and where the rest begins, which is part of none of them."""
        if self.kind == "file":
            return [], 0
        if self.kind == "blank-line":
            *whole, rest = BLANK_LINES.split(bytes(data))
            if whole and not rest.strip(WHITE):  # the next byte may belong to these blank lines
                start = data.index(b"\n", len(data.rstrip(WHITE)))
                return whole, start - 1 if data[start - 1 : start] == b"\r" else start
        else:
            *whole, rest = bytes(data).split(self._separator)
            if self.kind == "line":
                whole = [line.removesuffix(b"\r") for line in whole]
        return whole, len(data) - len(rest)

    def split_last(self, data: Bytes) -> Sequence[Bytes]:
        """All of `data`, which ends its file."""
        data = self._trimmed(data)
        if self.kind == "file":
            return [data]
        if self.kind == "blank-line":
            return BLANK_LINES.split(data)
        whole, rest = self.split(data)
        last = data[rest:]
        return [*whole, last.removesuffix(b"\r") if self.kind == "line" else last]

    def _trimmed(self, data: Bytes) -> Bytes:
        """Line ends at the end of a file are no part of a document, as they are not between two."""
        end = data.find(b"\n", len(data.rstrip(WHITE))) if self.kind == "blank-line" else -1
        return data if end < 0 else data[:end].removesuffix(b"\r")

    def offsets(self, data: Bytes, end: int, base: int, first_is_open: bool, last: bool) -> list[int]:
        """Of the documents in the first `end` bytes of `data`, empty ones left out but for a first one that goes on
        from before."""
        if self.kind == "file":
            return [base]
        pattern = BLANK_LINES if self.kind == "blank-line" else re.compile(re.escape(self._separator))
        spans, start = [], 0
        data = self._trimmed(data) if last else data[:end]
        for match in pattern.finditer(data):
            spans.append((start, match.start()))
            start = match.end()
        spans.append((start, len(data)))
        if self.kind == "line":
            spans = [(a, b - data[a:b].endswith(b"\r")) for a, b in spans]
        return [base + a for n, (a, b) in enumerate(spans) if b > a or (first_is_open and not n)]


def read_text(source: Source, reading: Reading, family: str | None, sizes: Sizes, start: Place) -> Iterator[Batch]:
    """The documents of a text file, in order, from `start` on."""
    rule, inside = _Rule(reading), start.inside
    with ByteReader(source, start.offset) as reader:
        base, least = start.offset, max(sizes.block, sizes.prefix)
        data: Bytes = b""
        while True:
            if len(data) < least:
                data = reader.read_behind(data, least)
                data = data if rule.kind == "file" else bytes(data)
            if len(data) < least:
                break
            found, rest = rule.split(data)
            ends = rest > 0
            if not ends:
                cut, data = _grow(reader, rule, data, base, family, sizes, inside)
                if cut is None:
                    break
                if not cut:
                    continue
                rest = cut
            offsets, remains = _Offsets(rule, data, rest, base, inside), data[rest:]
            documents = _without_empty(found, inside) if ends else [_head(data, rest)]
            if documents:
                yield Batch(documents, not inside, ends, base, Place(base + rest, 0, not ends), reader.done, offsets)
                inside = not ends
            data, base = remains, base + rest
        finished = reader.finish()
        found, ends = rule.split_last(data), rule.kind != "file" or source.stop is None
        documents = list(found) if rule.kind == "file" else _without_empty(found, inside)
        offsets = _Offsets(rule, data, len(data), base, inside, last=True)
        after = Place(base + len(data))
        yield Batch(documents, not inside, ends, base, after, reader.done, offsets, finished=finished)


@dataclass(slots=True)
class _Offsets:
    """Of the documents in the first `end` bytes of `data`; counted only where somebody asks."""

    rule: _Rule
    data: Bytes
    end: int
    base: int
    inside: bool
    last: bool = False

    def __call__(self) -> list[int]:
        return self.rule.offsets(self.data, self.end, self.base, self.inside, self.last)


def _without_empty(documents: Sequence[Bytes], inside: bool) -> list[Bytes]:
    """Empty documents are none, but for the empty rest of one that began before: it ends here."""
    return [document for n, document in enumerate(documents) if document or (inside and not n)]


def _head(data: Bytes, end: int) -> Bytes:
    """Its first `end` bytes, without a copy where it can be shortened itself."""
    if isinstance(data, bytes):
        return data[:end]
    del data[end:]
    return data


def _grow(
    reader: ByteReader, rule: _Rule, data: Bytes, base: int, family: str | None, sizes: Sizes, inside: bool
) -> tuple[int | None, Bytes]:
    """The last safe cut in a document that does not end in `data`, which is read on while there is none, and that
    data. 0 where the end of the document has come in sight, None where the file ended."""
    searched = low = 1 if inside else sizes.prefix
    while True:
        high = len(data) - rule.hold
        if family and high > searched:
            cut = last_cut(data[:high] if rule.hold else data, family, low=searched)
            if cut is not None:
                return cut if rule.specials is None else rule.specials.outside(data, cut), data
        if len(data) >= sizes.longest_piece:
            raise too_long(reader.source.path, base, family, sizes.longest_piece)
        searched = max(low, high - 4)
        more = reader.read(min(max(sizes.block, len(data)), sizes.longest_piece - len(data)))
        if not more:
            return None, data
        data += more
        if rule.split(data)[1]:
            return 0, data


def too_long(path: str, offset: int, family: str | None, longest: int) -> InputError:
    size, hint = format_size(longest), "a larger --max-memory takes a longer piece"
    if family is None:
        what = f"{path}: no safe place to cut is known for this encoding, and a document is longer than {size}"
        return InputError(what, hint, path=path, offset=offset)
    return InputError(
        f"{path}: no safe place to cut in the {size} from byte {offset:,} on (no space, no punctuation)",
        f"is this text? If so: {hint}",
        path=path,
        offset=offset,
    )
