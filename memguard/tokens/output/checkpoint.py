"""A shard that can be closed by a power cut and opened again: its state in a few numbers, and the way back from them.

The bytes before a state are on the disk before the state is written down (fsync); whatever came after is cut off.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from memguard.errors import ManifestMismatch
from memguard.tokens.output.formats import INDEX_COUNTS, Format, OpenShard, _index_path

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ids = npt.NDArray[np.integer]

__all__ = ["OffsetsFile", "ResumableShard", "cut_back"]

State = dict[str, Any]


class ResumableShard(OpenShard):
    """An OpenShard whose documents come many at a time, and which can be taken up again from its `state`."""

    def __init__(self, form: Format, temp_path: str, dtype: str, n_vocab: int | None, expected: int | None) -> None:
        super().__init__(form, temp_path, dtype, n_vocab, expected)

    def write_documents(self, ids: Ids, ends: npt.NDArray[np.int64]) -> None:
        """`write(ids)`; a document ends before each of the positions `ends` of it (ascending, 0 to len(ids))."""
        before = self._open_document
        self.write(ids)
        self.documents += len(ends)
        if not len(ends):
            return
        if self._index is not None:
            start = -before
            for end in ends.tolist():
                if end > start:
                    self._index.add_document(end - start)
                start = end
        self._open_document = int(ids.size - ends[-1])

    def state(self) -> State:
        state: State = {"tokens": self.tokens, "documents": self.documents, "open_document": self._open_document}
        if self._index is not None:
            self._index._flush()
            state |= {"sequences": self._index._sequences, "continued": list(self._index._continued)}
        return state

    def sync(self) -> None:
        """Everything written so far is on the disk. May be called from another thread."""
        os.fsync(self._file.fileno())
        if self._index is not None:
            os.fsync(self._index._file.fileno())

    def paths(self) -> list[str]:
        return [self.temp_path] if self._index is None else [self.temp_path, self._index.path]

    def close(self) -> None:
        """Leaves the files as they are, for `reopen`."""
        self._file.close()
        if self._index is not None:
            self._index.close()

    @classmethod
    def reopen(
        cls, form: Format, temp_path: str, dtype: str, n_vocab: int | None, expected: int | None, state: State
    ) -> ResumableShard:
        """The shard as it was at `state`. Raises ManifestMismatch where the file is shorter than that."""
        # What __init__ makes anew is made beside the old file, which then takes its place: one way to set up a shard.
        shard = cls(form, temp_path + ".new", dtype, n_vocab, expected)
        shard._file.close()
        os.unlink(shard.temp_path)
        shard.temp_path, shard.tokens = temp_path, int(state["tokens"])
        shard.documents, shard._open_document = int(state["documents"]), int(state["open_document"])
        cut_back(temp_path, shard.bytes)
        shard._file = open(temp_path, "r+b", buffering=0)  # noqa: SIM115
        os.pwrite(shard._file.fileno(), shard._header, 0)  # a kill in `finish` may have filled in another count
        shard._hash = hashlib.file_digest(shard._file, "sha256")
        shard._file.seek(0, os.SEEK_END)
        if shard._index is not None:
            index = shard._index
            index.close()
            os.unlink(index.path)
            index.path = _index_path(temp_path)
            index._sequences, index._continued = int(state["sequences"]), list(state["continued"])
            cut_back(index.path, INDEX_COUNTS.size + 4 * index._sequences)
            index._file = open(index.path, "r+b", buffering=0)  # noqa: SIM115
            index._file.seek(0, os.SEEK_END)
        return shard


class OffsetsFile:
    """Where each document of a split begins, in tokens from the start of the split, and last the number of tokens:
    uint64, little endian."""

    def __init__(self, temp_path: str, documents: int | None = None) -> None:
        """`documents`: of an older file at `temp_path`, which is taken up again after so many."""
        self.temp_path = temp_path
        self.documents = documents or 0
        if documents is None:
            self._file = open(temp_path, "xb", buffering=0)  # noqa: SIM115
            self._file.write(bytes(8))
        else:
            cut_back(temp_path, 8 + 8 * documents)
            self._file = open(temp_path, "r+b", buffering=0)  # noqa: SIM115
            self._file.seek(0, os.SEEK_END)

    def add(self, before: int, ends: npt.NDArray[np.int64]) -> None:
        """`ends` counts from `before`, the tokens of the split until then."""
        data = memoryview((ends + before).astype("<u8").tobytes())
        self.documents += len(ends)
        while data:
            data = data[self._file.write(data) :]

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def paths(self) -> list[str]:
        return [self.temp_path]

    def close(self) -> None:
        self._file.close()


def cut_back(path: str, size: int) -> None:
    try:
        found = os.stat(path).st_size
        if found >= size:
            os.truncate(path, size)
            return
    except FileNotFoundError:
        found = None
    what = "is missing" if found is None else f"has {found:,} bytes of {size:,}"
    raise ManifestMismatch(f"the unfinished job cannot go on: {path} {what}", "--overwrite starts anew")
