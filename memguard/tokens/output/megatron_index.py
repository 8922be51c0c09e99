"""Megatron-LM's .idx, which says where each document of the .bin beside it begins: written, taken up again, read.

megatron/core/datasets/indexed_dataset.py: 9 bytes, version (uint64), code of the dtype (uint8), number of sequences and
of document indices (uint64 each); then an int32 length and an int64 byte position per sequence, and the int64 document
indices. Neither the writer nor the reader holds more than a block of it in memory.
"""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from memguard.errors import ShardError
from memguard.tokens.output.disk import FinishedFile, cut_back, open_to_read, sha256_of, write_all
from memguard.tokens.tuning import TUNING, Tuning

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["INDEX_MAGIC", "Index", "IndexWriter", "index_path"]

INDEX_MAGIC = b"MMIDIDX\x00\x00"
INDEX_COUNTS = struct.Struct("<9sQBQQ")
# It knows no uint32. Ids are below 2³¹, where int32 has the same bytes; Megatron itself takes int32 for large
# vocabularies.
INDEX_DTYPES = {"uint16": 8, "uint32": 4}


def index_path(temp_path: str) -> str:
    """Ends in .tmp where `temp_path` does: what is left by a killed writer is found by that."""
    stem, suffix = os.path.splitext(temp_path)
    return f"{stem}.idx{suffix}" if suffix == ".tmp" else f"{temp_path}.idx"


class IndexWriter:
    """Megatron-LM's .idx, in memory that does not grow with the number of documents: the lengths are written as they
    come, and read again in blocks for the positions that follow them."""

    def __init__(
        self, path: str, dtype: np.dtype[np.generic], *, state: dict[str, Any] | None = None, tuning: Tuning = TUNING
    ) -> None:
        """A new file; with a `state`, the one at `path` as it was when `resume_state` gave that."""
        self.path, self._dtype, self._tuning = path, dtype, tuning
        self._lengths = array("i")  # not yet written
        self._sequences = 0 if state is None else int(state["sequences"])
        # Sequences whose document goes on in the next one: hardly ever any.
        self._continued: list[int] = [] if state is None else list(state["continued"])
        if state is None:
            self._file = open(path, "x+b", buffering=0)  # noqa: SIM115
            write_all(self._file, bytes(INDEX_COUNTS.size))
        else:
            cut_back(path, INDEX_COUNTS.size + 4 * self._sequences)
            self._file = open(path, "r+b", buffering=0)  # noqa: SIM115
            self._file.seek(0, os.SEEK_END)

    def resume_state(self) -> dict[str, Any]:
        """What a later IndexWriter goes on from; everything so far is in the file."""
        self._flush()
        return {"sequences": self._sequences, "continued": list(self._continued)}

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def add_document(self, tokens: int) -> None:
        """A document is one sequence; of more than 2³¹ − 1 tokens, which an int32 cannot count, it is several."""
        while tokens > self._tuning.longest_sequence:
            self._continued.append(self._sequences)
            self._add(self._tuning.longest_sequence)
            tokens -= self._tuning.longest_sequence
        self._add(tokens)

    def _add(self, tokens: int) -> None:
        self._lengths.append(tokens)
        self._sequences += 1
        if len(self._lengths) >= self._tuning.index_block:
            self._flush()

    def _flush(self) -> None:
        import numpy as np

        write_all(self._file, np.asarray(self._lengths, dtype="<i4").tobytes())
        self._lengths = array("i")

    def finish(self) -> FinishedFile:
        import numpy as np

        block = self._tuning.index_block
        self._flush()
        self._write_positions()
        for start in range(0, self._sequences + 1, block):
            indices = np.arange(start, min(start + block, self._sequences + 1), dtype="<i8")
            inside = np.asarray(self._continued, dtype="<i8") + 1  # no document begins at these sequences
            write_all(self._file, indices[~np.isin(indices, inside)].tobytes())
        counts = (self._sequences, self._sequences + 1 - len(self._continued))
        self._file.seek(0)
        write_all(self._file, INDEX_COUNTS.pack(INDEX_MAGIC, 1, INDEX_DTYPES[self._dtype.name], *counts))
        os.fsync(self._file.fileno())
        size = os.fstat(self._file.fileno()).st_size
        self._file.close()
        return FinishedFile(self.path, ".idx", size, sha256_of(self.path))

    def _write_positions(self) -> None:
        import numpy as np

        block, position = self._tuning.index_block, 0  # sequences, bytes
        for start in range(0, self._sequences, block):
            count = min(block, self._sequences - start)
            self._file.seek(INDEX_COUNTS.size + 4 * start)
            sizes = np.frombuffer(_read_exactly(self._file, 4 * count), dtype="<i4").astype("<i8")
            sizes *= self._dtype.itemsize
            ends = position + np.cumsum(sizes, dtype="<i8")
            position = int(ends[-1])
            self._file.seek(0, os.SEEK_END)
            write_all(self._file, (ends - sizes).astype("<i8").tobytes())

    def close(self) -> None:
        self._file.close()


class Index:
    """Megatron-LM's .idx. Raises ShardError where it is damaged or does not fit its .bin file."""

    def __init__(self, path: str, *, block: int = TUNING.read_ids) -> None:
        """`block`: sequences read at a time."""
        self.path, self._block = path, block
        self._file = open_to_read(path)
        self._size = os.fstat(self._file.fileno()).st_size
        try:
            magic, version, code, self.sequences, indices = INDEX_COUNTS.unpack(self._file.read(INDEX_COUNTS.size))
            if magic != INDEX_MAGIC or version != 1:
                raise ValueError("the header is another one")
            self.documents = indices - 1
            self.dtype = {code: name for name, code in INDEX_DTYPES.items()}[code]
            expected = INDEX_COUNTS.size + 12 * self.sequences + 8 * indices
            if self._size != expected:
                raise ValueError(f"{self._size:,} bytes instead of {expected:,}")
        except (ValueError, struct.error) as error:
            self._file.close()
            raise ShardError(f"{path} is no index of Megatron-LM's: {error}") from None
        except KeyError:
            self._file.close()
            raise ShardError(f"{path} is an index of a type of ids that is not supported: code {code}") from None

    def lengths(self) -> Iterator[npt.NDArray[np.int32]]:
        """Tokens of each sequence, in blocks."""
        return self._array("<i4", self.sequences, INDEX_COUNTS.size)

    def positions(self) -> Iterator[npt.NDArray[np.int64]]:
        """Byte positions of each sequence in the .bin file, in blocks."""
        return self._array("<i8", self.sequences, INDEX_COUNTS.size + 4 * self.sequences)

    def document_indices(self) -> Iterator[npt.NDArray[np.int64]]:
        return self._array("<i8", self.documents + 1, INDEX_COUNTS.size + 12 * self.sequences)

    def document_ends(self) -> Iterator[npt.NDArray[np.int64]]:
        """Where each document ends, in tokens, in blocks. (A document is one sequence; a very long one, several.)"""
        import numpy as np

        indices = self.document_indices()
        waiting = next(indices)[1:]  # the first is 0, where the first document begins
        sequences, tokens = 0, 0
        for lengths in self.lengths():
            ends = tokens + np.cumsum(lengths, dtype=np.int64)
            sequences, tokens = sequences + lengths.size, int(ends[-1])
            while True:
                here = int(np.searchsorted(waiting, sequences, side="right"))
                if here:
                    yield ends[waiting[:here] - (sequences - lengths.size) - 1]
                waiting = waiting[here:]
                if waiting.size:
                    break
                following = next(indices, None)
                if following is None:
                    return
                waiting = following

    def _array(self, dtype: str, count: int, position: int) -> Iterator[Any]:
        import numpy as np

        size = np.dtype(dtype).itemsize
        for start in range(0, count, self._block):
            self._file.seek(position + start * size)
            yield np.fromfile(self._file, dtype=dtype, count=min(self._block, count - start))

    def check(self, tokens: int) -> None:
        """Raises ShardError unless the sequences follow each other without a gap and hold `tokens` tokens in all."""
        import numpy as np

        itemsize, end, previous = np.dtype(self.dtype).itemsize, 0, -1
        for lengths, positions in zip(self.lengths(), self.positions(), strict=True):
            ends = end + np.cumsum(lengths, dtype=np.int64) * itemsize
            if (lengths < 0).any() or not np.array_equal(positions, ends - lengths.astype(np.int64) * itemsize):
                raise ShardError(f"{self.path} is damaged: its sequences do not follow each other without a gap")
            end = int(ends[-1])
        if end != tokens * itemsize:
            raise ShardError(f"{self.path} speaks of {end // itemsize:,} tokens, the file beside it holds {tokens:,}")
        for indices in self.document_indices():
            steps = np.diff(indices, prepend=previous)
            if (steps < 1).any() or (previous < 0 and indices[0] != 0):
                raise ShardError(f"{self.path} is damaged: its documents are not in order")
            previous = int(indices[-1])
        if previous != self.sequences:
            raise ShardError(
                f"{self.path} is damaged: its documents end at sequence {previous:,} of {self.sequences:,}"
            )

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read_exactly(file: BinaryIO, size: int) -> bytes:
    parts = []
    while size:
        part = file.read(size)
        if not part:
            raise OSError("the index was cut short while it was written")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
