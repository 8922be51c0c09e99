"""Sources → Blocks, the unit of work: a stretch of the input, its documents divided into train and val.

What goes to val follows from the input alone, never from the size of a block:

    tail       the last part of the bytes: documents that begin there; in a text without documents, from the first safe
               cut on (nanoGPT's way)
    document   by a hash of each document's first 4 KiB: spread over the whole input, and the same for the same text
               in every other job
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass, field

from memguard.records.manifest import InputFile
from memguard.tokens.input.documents import PREFIX, Batch, Place, Reading, Sizes, read_text
from memguard.tokens.input.records import read_records
from memguard.tokens.input.source import Source
from memguard.tokens.input.special import Specials
from memguard.tokens.input.split import first_cut
from memguard.tokens.input.utf8 import Bytes

__all__ = ["Block", "BlockPart", "Division", "Start", "first_outside", "read_blocks"]

_HASHES = 1 << 64


@dataclass(slots=True)
class BlockPart:
    """Documents of one split, in order; the first may have begun before (`starts`), the last may go on (`ends`)."""

    split: str
    documents: list[Bytes]
    starts: bool
    ends: bool


@dataclass(frozen=True, slots=True)
class Start:
    """Where to go on: in which source, where in it, and the split of a document that is under way there."""

    source: int = 0
    place: Place = field(default=Place())
    split: str | None = None


@dataclass(slots=True)
class Block:
    parts: list[BlockPart]
    source: Source
    offset: int  # of the block, as in Place
    after: Start
    done: int  # bytes of all sources as stored, so far
    invalid_bytes: int = 0
    skipped: int = 0
    finished: InputFile | None = None  # with the last block of each source


@dataclass(frozen=True, slots=True)
class Division:
    """`fraction` of the input is val. `at`, for tail: the byte, over all sources, where val begins."""

    by: str = "tail"
    fraction: float = 0.0
    at: int | None = None

    @property
    def prefix(self) -> int:
        return PREFIX if self.fraction and self.by == "document" else 1

    def of_document(self, document: Bytes) -> str:
        digest = hashlib.blake2b(document[:PREFIX], digest_size=8).digest()
        return "val" if int.from_bytes(digest, "big") < self.fraction * _HASHES else "train"


def read_blocks(
    sources: list[Source], reading: Reading, division: Division, family: str | None, sizes: Sizes, start: Start
) -> Generator[Block, None, None]:
    """All blocks from `start` on. Raises InputError where a piece without a safe cut is longer than `sizes` allows."""
    before = sum(source.size or 0 for source in sources[: start.source])  # bytes as stored
    for number in range(start.source, len(sources)):
        source = sources[number]
        place, split = (start.place, start.split) if number == start.source else (Place(), None)
        divider = _Divider(division, source, reading, family, before, split)
        read = read_text if source.kind == "text" else read_records
        done = 0
        for batch in read(source, reading, family, sizes, place):
            parts, done = divider.parts(batch), batch.done
            after = Start(number + 1) if batch.finished else Start(number, batch.after, divider.split)
            block = Block(parts, source, batch.offset, after, before + done)
            block.invalid_bytes, block.skipped, block.finished = batch.invalid_bytes, batch.skipped, batch.finished
            yield block
        before += done if source.size is None else source.size


class _Divider:
    """Divides the documents of one source, which begins `before` bytes into the whole input. `split` is that of the
    document under way, None between two."""

    def __init__(
        self, division: Division, source: Source, reading: Reading, family: str | None, before: int, split: str | None
    ) -> None:
        self.division, self.family, self.split = division, family, split
        self.at = division.at - before if division.at is not None else None
        self.one_text = source.kind == "text" and reading.one_text
        self.specials = reading.specials

    def parts(self, batch: Batch) -> list[BlockPart]:
        if not batch.documents:
            return []
        if not self.division.fraction or (self.division.by == "tail" and self.at is None):
            return [BlockPart("train", batch.documents, batch.starts, batch.ends)]
        if self.one_text and self.at is not None:
            return self._divided_text(batch, self.at)
        return self._divided_documents(batch)

    def _divided_text(self, batch: Batch, at: int) -> list[BlockPart]:
        data, place = batch.documents[0], at - batch.offset
        split = "val" if place <= 0 or self.split == "val" else "train"
        cut = first_outside(data, self.family, place, self.specials) if split == "train" and self.family else None
        parts = [BlockPart(split, [data], batch.starts, batch.ends)]
        if cut is not None and cut < len(data):  # what follows in the next block is val in any case
            head = BlockPart("train", [data[:cut]], batch.starts, False)
            parts, split = [head, BlockPart("val", [data[cut:]], False, batch.ends)], "val"
        self.split = None if batch.ends else split
        return parts

    def _divided_documents(self, batch: Batch) -> list[BlockPart]:
        splits = self._splits(batch)
        if not batch.starts:
            splits[0] = self.split or "train"
        self.split = None if batch.ends else splits[-1]
        parts = []
        for split in dict.fromkeys(splits):
            documents = [document for document, its in zip(batch.documents, splits, strict=True) if its == split]
            starts, ends = batch.starts or splits[0] != split, batch.ends or splits[-1] != split
            parts.append(BlockPart(split, documents, starts, ends))
        return parts

    def _splits(self, batch: Batch) -> list[str]:
        if self.at is None:
            return [self.division.of_document(document) for document in batch.documents]
        if batch.offset >= self.at or batch.after.offset <= self.at:
            return ["val" if batch.offset >= self.at else "train"] * len(batch.documents)
        return ["val" if offset >= self.at else "train" for offset in batch.offsets()]


def first_outside(data: Bytes, family: str, place: int, specials: Specials | None) -> int | None:
    """The first safe cut at or after byte `place` and before the end of `data`. One inside of a special token counts as
    its end, as it does for a block."""
    if specials is None:
        return first_cut(data, family, place)
    low = max(1, place - specials.longest + 1)
    while (cut := first_cut(data, family, low)) is not None:
        if (outside := specials.outside(data, cut)) >= place:
            return outside
        low = cut + 1
    return None
