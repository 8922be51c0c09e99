"""The layouts of token files: what each consumer reads, byte for byte. Reading them back is readers.py's matter.

    nanogpt   train.bin, val.bin          the ids, little endian, nothing else      nanoGPT
    npy       train_000000.npy, …         a NumPy array, format version 1.0         build-nanogpt, np.load
    llmc      train_000000.bin, …         256 × int32 of header, then the ids       llm.c, modded-nanogpt
    megatron  train.bin and train.idx     the ids; where each document begins       Megatron-LM, NeMo

An `OpenShard` writes under the temporary path that it is given and renames nothing: temporary names, locks, renames
and the manifest are writer.py's. It lets an OSError pass as it is, because only its caller knows the final name. What
it has written by `resume_state` is the state's for good: `restore` cuts off whatever came after.
"""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from memguard.errors import ConfigError, ShardError
from memguard.tokens.output.disk import FinishedFile, cut_back, sha256_of, write_all
from memguard.tokens.output.megatron_index import IndexWriter, index_path
from memguard.tokens.tuning import TUNING, Tuning

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ids = npt.NDArray[np.integer]

__all__ = ["FORMATS", "LLMC_HEADERS", "LLMC_HEADER_BYTES", "Format", "OpenShard", "find_format"]

# llm.c, dev/data/data_common.py: (magic, version) of a file of GPT-2 tokens and of one of Llama-3 tokens, by dtype.
LLMC_HEADERS = {"uint16": (20240520, 1), "uint32": (20240801, 7)}
LLMC_HEADER_BYTES = 256 * 4


@dataclass(frozen=True, slots=True)
class Format:
    name: str
    suffixes: tuple[str, ...]  # of every file of a shard, the one with the ids first
    whole_split: bool  # True: one shard per split; False: shards of N tokens
    largest_shard: int | None = None  # tokens that the header can count; None: no limit
    allowed_dtypes: tuple[str, ...] = field(default=("uint16", "uint32"))

    @property
    def suffix(self) -> str:
        return self.suffixes[0]

    def shard_name(self, split: str, index: int) -> str:
        """The final name of the file with the ids. The split is part of it: loaders choose their files by that."""
        return f"{split}{self.suffix}" if self.whole_split else f"{split}_{index:06d}{self.suffix}"

    def header(self, dtype: str, tokens: int) -> bytes:
        """What stands before the ids."""
        if self.name == "npy":
            return _npy_header(dtype, tokens)
        return _llmc_header(dtype, tokens) if self.name == "llmc" else b""

    def open(
        self,
        temp_path: str,
        *,
        dtype: npt.DTypeLike,
        n_vocab: int | None,
        expected_tokens: int | None = None,
        tuning: Tuning = TUNING,
    ) -> OpenShard:
        """A new file at `temp_path`, which must not exist yet (OSError otherwise).

        Ids of `n_vocab` and above are refused. `expected_tokens` is a guess that saves time: where it comes true, a
        format with a header need not be read again for its SHA-256.
        """
        return OpenShard(self, temp_path, dtype, n_vocab, expected_tokens, tuning=tuning)


FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        Format("nanogpt", (".bin",), whole_split=True),
        Format("npy", (".npy",), whole_split=False),
        Format("llmc", (".bin",), whole_split=False, largest_shard=2**31 - 1),
        Format("megatron", (".bin", ".idx"), whole_split=True),
    )
}


def find_format(name: str) -> Format:
    try:
        return FORMATS[name]
    except KeyError:
        raise ConfigError(f"no such format: {name!r}", f"one of {', '.join(FORMATS)}") from None


class OpenShard:
    """`write` and `end_document` (or `write_documents`) as often as needed, then `finish`; `close` in the middle leaves
    the files as they are, for `restore`."""

    def __init__(
        self,
        form: Format,
        temp_path: str,
        dtype: npt.DTypeLike,
        n_vocab: int | None,
        expected_tokens: int | None = None,
        *,
        state: dict[str, Any] | None = None,
        tuning: Tuning = TUNING,
    ) -> None:
        """As Format.open; with a `state`, as `restore`."""
        import numpy as np

        kind = np.dtype(dtype)
        if kind.name not in form.allowed_dtypes:
            raise ConfigError(f"{form.name} files cannot hold {kind.name}", f"one of {', '.join(form.allowed_dtypes)}")
        self.format, self.temp_path, self.dtype = form, temp_path, kind.newbyteorder("<")
        self.tokens = int(state["tokens"]) if state else 0
        self.documents = int(state["documents"]) if state else 0
        self._open_document = int(state["open_document"]) if state else 0  # tokens since the last end of a document
        limit = 1 << (8 * kind.itemsize)
        self._largest_id = min(limit, limit if n_vocab is None else n_vocab) - 1
        self._expected = expected_tokens or 0
        self._header = form.header(kind.name, self._expected)
        self._hash = hashlib.sha256(self._header)
        if state is not None:
            cut_back(temp_path, self.bytes)
        self._file = open(temp_path, "xb" if state is None else "r+b", buffering=0)  # noqa: SIM115
        try:
            if state is None:
                write_all(self._file, self._header)
            else:
                os.pwrite(self._file.fileno(), self._header, 0)  # a kill in `finish` may have filled in another count
                self._hash = hashlib.file_digest(self._file, "sha256")
                self._file.seek(0, os.SEEK_END)
            index = ".idx" in form.suffixes
            self._index = IndexWriter(index_path(temp_path), self.dtype, state=state, tuning=tuning) if index else None
        except BaseException:
            self._file.close()
            if state is None:
                os.unlink(temp_path)
            raise

    @classmethod
    def restore(
        cls,
        form: Format,
        temp_path: str,
        dtype: npt.DTypeLike,
        n_vocab: int | None,
        expected_tokens: int | None,
        state: dict[str, Any],
        *,
        tuning: Tuning = TUNING,
    ) -> OpenShard:
        """The shard at `temp_path` as it was when `resume_state` gave `state`. Raises ManifestMismatch where a file is
        missing or shorter than that."""
        return cls(form, temp_path, dtype, n_vocab, expected_tokens, state=state, tuning=tuning)

    @property
    def bytes(self) -> int:
        """Of the file with the ids, so far."""
        return len(self._header) + self.tokens * self.dtype.itemsize

    def write(self, ids: Ids) -> None:
        """Raises ShardError for an id outside the vocabulary, and where the format's header cannot count so many."""
        if not ids.size:
            return
        self._check(ids)
        import numpy as np

        flat = np.ascontiguousarray(ids, dtype=self.dtype).reshape(-1)
        data = memoryview(flat.view("u1").data)
        self._hash.update(data)
        self.tokens += flat.size
        self._open_document += flat.size
        write_all(self._file, data)

    def end_document(self) -> None:
        """Everything written since the last call is one document. One without tokens is counted, and leaves no trace
        in an index: Megatron-LM's own writer leaves such documents out too."""
        import numpy as np

        self.write_documents(np.empty(0, self.dtype), np.zeros(1, np.int64))

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

    def resume_state(self) -> dict[str, Any]:
        """Plain values that `restore` goes on from, once `sync` has brought what they count to the disk."""
        state: dict[str, Any] = {
            "tokens": self.tokens,
            "documents": self.documents,
            "open_document": self._open_document,
        }
        return state if self._index is None else state | self._index.resume_state()

    def sync(self) -> None:
        """Everything written so far is on the disk. May be called from another thread."""
        os.fsync(self._file.fileno())
        if self._index is not None:
            self._index.sync()

    def paths(self) -> list[str]:
        """Its files, the one with the ids first."""
        return [self.temp_path] if self._index is None else [self.temp_path, self._index.path]

    def finish(self) -> list[FinishedFile]:
        """Headers filled in and everything on the disk; the file with the ids comes first."""
        if self._open_document:
            self.end_document()
        if self.tokens != self._expected and self._header:
            self._file.seek(0)
            write_all(self._file, self.format.header(self.dtype.name, self.tokens))
            digest = None  # the header was hashed with another count in it
        else:
            digest = self._hash.hexdigest()
        os.fsync(self._file.fileno())
        size = self.bytes
        self._file.close()
        files = [FinishedFile(self.temp_path, self.format.suffix, size, digest or sha256_of(self.temp_path))]
        if self._index is not None:
            files.append(self._index.finish())
        return files

    def close(self) -> None:
        """Leaves the files as they are; may be called at any time, also after `finish` and more than once."""
        self._file.close()
        if self._index is not None:
            self._index.close()

    def _check(self, ids: Ids) -> None:
        largest, smallest = int(ids.max()), int(ids.min()) if ids.dtype.kind == "i" else 0
        if largest > self._largest_id or smallest < 0:
            wrong = smallest if smallest < 0 else largest
            raise ShardError(
                f"the id {wrong} is outside 0 to {self._largest_id}, among the tokens from {self.tokens:,} on",
                "were these ids made with the encoding that is named for this file?",
            )
        most = self.format.largest_shard
        if most is not None and self.tokens + ids.size > most:
            raise ShardError(
                f"a shard of the {self.format.name} format holds at most {most:,} tokens", "use smaller shards"
            )


def _npy_header(dtype: str, tokens: int) -> bytes:
    """As np.save writes it, and 128 bytes long for every number of tokens, so that it can be filled in at the end
    (NumPy pads the length of the first axis to 21 digits for the same reason)."""
    descriptor = {"uint16": "<u2", "uint32": "<u4"}[dtype]
    fields = f"{{'descr': '{descriptor}', 'fortran_order': False, 'shape': ({tokens},), }}"
    return struct.pack("<6sBBH", b"\x93NUMPY", 1, 0, 118) + fields.encode().ljust(117) + b"\n"


def _llmc_header(dtype: str, tokens: int) -> bytes:
    return struct.pack("<3i", *LLMC_HEADERS[dtype], tokens).ljust(LLMC_HEADER_BYTES, b"\x00")
