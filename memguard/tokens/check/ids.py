"""The ids of a job, read once: hashed, looked at, and handed on to whoever compares them with the text."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from memguard.records.manifest import Manifest, ShardInfo, parts_of
from memguard.tokens.check.comparison import Chunk
from memguard.tokens.check.decode import STEP, Decoder
from memguard.tokens.check.findings import Findings
from memguard.tokens.output.readers import DocumentEnds, ShardReader, TokenProgress

if TYPE_CHECKING:
    import numpy.typing as npt

    Ids = npt.NDArray[np.unsignedinteger]

__all__ = ["IdCheck"]


class IdCheck:
    """`take` the ids of a split as far as a text needs them, then `drain`: what nobody took is looked at too."""

    def __init__(
        self,
        manifest: Manifest,
        readers: dict[str, ShardReader],
        decoder: Decoder,
        eot: str,
        findings: Findings,
        progress: Callable[[TokenProgress], None] | None,
    ) -> None:
        """`eot`: where the decoder's silent token must stand (append, prepend or none)."""
        self._manifest, self._readers, self._decoder, self._eot = manifest, readers, decoder, eot
        self._findings, self._progress = findings, progress
        self._tokens_done, self._tokens_total = 0, sum(shard.tokens for shard in manifest.shards)
        self._splits = {
            split: _SplitIds(self._chunks(split)) for split in dict.fromkeys(shard.split for shard in manifest.shards)
        }

    def take(self, split: str, count: int) -> Iterator[Chunk]:
        """The next `count` ids of a split."""
        return self._splits[split].take(count)

    def drain(self) -> None:
        for ids in self._splits.values():
            ids.drain()

    def _chunks(self, split: str) -> Iterator[Chunk]:
        """The ids of a split's shards in their order; each shard's hash and ids are checked on the way."""
        for shard in self._manifest.shards:
            reader = self._readers.get(shard.path)
            if shard.split != split or reader is None:
                continue
            digest, index, unknown = hashlib.sha256(), 0, None
            with DocumentEnds(reader) as ends:
                for block in reader.blocks(digest=digest):
                    if unknown is None:
                        unknown = self._decoder.first_unknown(block)
                        if unknown is not None:
                            self._report_unknown(shard, index + unknown, int(block[unknown]))
                    if reader.layout.index is not None:
                        self._check_documents(split, reader, ends, block, index)
                    for start in range(0, block.size, STEP):
                        yield Chunk(shard.path, index + start, block[start : start + STEP])
                    index += block.size
                    self._tokens_done += block.size
                    if self._progress is not None:
                        self._progress(TokenProgress(self._tokens_done, self._tokens_total))
            self._findings.check_sha256(shard.path, shard.sha256, digest.hexdigest())

    def _check_documents(self, split: str, reader: ShardReader, ends: DocumentEnds, ids: Ids, start: int) -> None:
        """An index's documents end where the end-of-text tokens say. `ids` begin at token `start`."""
        name, stop = os.path.basename(reader.layout.index or ""), start + ids.size
        if self._eot == "none" or self._findings.has(name):
            return
        marks = np.flatnonzero(ids == self._decoder.silent) + start
        found, expected = (
            (ends.until(stop), marks + 1) if self._eot == "append" else (ends.until(stop - 1), marks[marks > 0])
        )
        # Where a job ends, a document may go on in its val file: the index ends it there, no token does.
        cut = np.isin(found, self._ends_of_jobs(split)) & ~np.isin(found, expected)
        if not np.array_equal(found[~cut], expected):
            message = f"{name}: its documents do not end where the end-of-text tokens are, from token {start:,} on"
            self._findings.add("index", message, name)

    def _ends_of_jobs(self, split: str) -> npt.NDArray[np.int64]:
        """In tokens of the split; more than one in a merged directory."""
        return np.cumsum([part.tokens.get(split, 0) for part in parts_of(self._manifest)], dtype=np.int64)

    def _report_unknown(self, shard: ShardInfo, token: int, value: int) -> None:
        name, n_vocab = self._manifest.encoding.name, self._decoder.n_vocab
        what = f"{name} has {n_vocab:,} tokens" if value >= n_vocab else f"{name} leaves it out"
        self._findings.add(
            "ids", f"{shard.path}, token {token:,}: the id {value} does not exist; {what}", shard.path, token
        )


class _SplitIds:
    """The ids of one split, taken part by part."""

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks = chunks
        self._rest: Chunk | None = None

    def take(self, count: int) -> Iterator[Chunk]:
        while count > 0:
            chunk = self._rest or next(self._chunks, None)
            self._rest = None
            if chunk is None:
                return
            ids = chunk.ids[:count]
            if ids.size < chunk.ids.size:
                self._rest = Chunk(chunk.shard, chunk.index + ids.size, chunk.ids[ids.size :])
            count -= ids.size
            yield Chunk(chunk.shard, chunk.index, ids)

    def drain(self) -> None:
        for _ in self._chunks:
            pass
