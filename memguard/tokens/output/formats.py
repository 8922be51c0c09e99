"""The layouts of token files: what each consumer reads, byte for byte. Reading them back is readers.py's matter.

    nanogpt   train.bin, val.bin          the ids, little endian, nothing else      nanoGPT
    npy       train_000000.npy, …         a NumPy array, format version 1.0         build-nanogpt, np.load
    llmc      train_000000.bin, …         256 × int32 of header, then the ids       llm.c, modded-nanogpt
    megatron  train.bin and train.idx     the ids; where each document begins       Megatron-LM, NeMo

An `OpenShard` writes under the temporary path that it is given and renames nothing: temporary names, locks, renames
and the manifest are writer.py's. It lets an OSError pass as it is, because only its caller knows the final name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memguard.errors import ConfigError, ShardError

if TYPE_CHECKING:
    from typing import BinaryIO

    import numpy as np
    import numpy.typing as npt

    Ids = npt.NDArray[np.integer]

__all__ = [
    "FORMATS",
    "INDEX_COUNTS",
    "INDEX_DTYPES",
    "INDEX_MAGIC",
    "LLMC_HEADERS",
    "LLMC_HEADER_BYTES",
    "FinishedFile",
    "Format",
    "OpenShard",
    "find_format",
]

# llm.c, dev/data/data_common.py: (magic, version) of a file of GPT-2 tokens and of one of Llama-3 tokens, by dtype.
LLMC_HEADERS = {"uint16": (20240520, 1), "uint32": (20240801, 7)}
LLMC_HEADER_BYTES = 256 * 4
_LARGEST_INT32 = 2**31 - 1

# Megatron-LM, megatron/core/datasets/indexed_dataset.py: 9 bytes, version (uint64), code of the dtype (uint8), number
# of sequences and of document indices (uint64 each); then an int32 length and an int64 byte position per sequence, and
# the int64 document indices.
INDEX_MAGIC = b"MMIDIDX\x00\x00"
INDEX_COUNTS = struct.Struct("<9sQBQQ")
# It knows no uint32. Ids are below 2³¹, where int32 has the same bytes; Megatron itself takes int32 for large
# vocabularies.
INDEX_DTYPES = {"uint16": 8, "uint32": 4}

_BLOCK = 1 << 16  # sequences of an index that are held in memory


@dataclass(frozen=True, slots=True)
class FinishedFile:
    """A file with all its bytes on the disk, still under its temporary name."""

    temp_path: str
    final_suffix: str  # ".bin", ".npy", ".idx"
    bytes: int
    sha256: str

    def final_name(self, shard_name: str) -> str:
        """The name beside `shard_name` (as Format.shard_name gives it) that this file is to have."""
        return os.path.splitext(shard_name)[0] + self.final_suffix


@dataclass(frozen=True, slots=True)
class Format:
    name: str
    suffixes: tuple[str, ...]  # of every file of a shard, the one with the ids first
    whole_split: bool  # True: one shard per split; False: shards of N tokens
    largest_shard: int | None = None  # tokens that the header can count; None: no limit
    consumers: str = ""  # who reads it
    allowed_dtypes: tuple[str, ...] = field(default=("uint16", "uint32"))

    @property
    def suffix(self) -> str:
        return self.suffixes[0]

    def shard_name(self, split: str, index: int) -> str:
        """The final name of the file with the ids. The split is part of it: loaders choose their files by that."""
        return f"{split}{self.suffix}" if self.whole_split else f"{split}_{index:06d}{self.suffix}"

    def file_names(self, split: str, index: int) -> tuple[str, ...]:
        """The final names of every file of a shard, the one with the ids first."""
        stem = os.path.splitext(self.shard_name(split, index))[0]
        return tuple(stem + suffix for suffix in self.suffixes)

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
        eot: int | None = None,
        expected_tokens: int | None = None,
    ) -> OpenShard:
        """A new file at `temp_path`, which must not exist yet (OSError otherwise).

        Ids of `n_vocab` and above are refused. `expected_tokens` is a guess that saves time: where it comes true, a
        format with a header need not be read again for its SHA-256. `eot` is not needed by any of the formats yet.
        """
        return OpenShard(self, temp_path, dtype, n_vocab, expected_tokens)


FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        Format("nanogpt", (".bin",), whole_split=True, consumers="nanoGPT"),
        Format("npy", (".npy",), whole_split=False, consumers="build-nanogpt, np.load"),
        Format("llmc", (".bin",), whole_split=False, largest_shard=_LARGEST_INT32, consumers="llm.c, modded-nanogpt"),
        Format("megatron", (".bin", ".idx"), whole_split=True, consumers="Megatron-LM, NeMo"),
    )
}


def find_format(name: str) -> Format:
    try:
        return FORMATS[name]
    except KeyError:
        raise ConfigError(f"no such format: {name!r}", f"one of {', '.join(FORMATS)}") from None


class OpenShard:
    """`write` and `end_document` as often as needed, then `finish`; `abandon` at any time leaves nothing."""

    def __init__(
        self,
        form: Format,
        temp_path: str,
        dtype: npt.DTypeLike,
        n_vocab: int | None,
        expected_tokens: int | None = None,
    ) -> None:
        import numpy as np

        kind = np.dtype(dtype)
        if kind.name not in form.allowed_dtypes:
            raise ConfigError(f"{form.name} files cannot hold {kind.name}", f"one of {', '.join(form.allowed_dtypes)}")
        self.format, self.temp_path, self.dtype = form, temp_path, kind.newbyteorder("<")
        self.tokens = 0
        self.documents = 0
        limit = 1 << (8 * kind.itemsize)
        self._largest_id = min(limit, limit if n_vocab is None else n_vocab) - 1
        self._open_document = 0  # tokens since the last end_document
        self._expected = expected_tokens or 0
        self._header = form.header(kind.name, self._expected)
        self._hash = hashlib.sha256(self._header)
        self._file = open(temp_path, "xb", buffering=0)  # noqa: SIM115
        try:
            self._index = _IndexWriter(_index_path(temp_path), self.dtype) if ".idx" in form.suffixes else None
            _write_all(self._file, self._header)
        except BaseException:
            self._file.close()
            os.unlink(temp_path)
            raise

    def fileno(self) -> int:
        """Of the file with the ids: for a lock."""
        return self._file.fileno()

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
        _write_all(self._file, data)

    def end_document(self) -> None:
        """Everything written since the last call is one document. One without tokens is counted, and leaves no trace
        in an index: Megatron-LM's own writer leaves such documents out too."""
        self.documents += 1
        self._end_sequences()

    def finish(self) -> list[FinishedFile]:
        """Headers filled in and everything on the disk; the file with the ids comes first."""
        if self._open_document:
            self.end_document()
        if self.tokens != self._expected and self._header:
            self._file.seek(0)
            _write_all(self._file, self.format.header(self.dtype.name, self.tokens))
            digest = None  # the header was hashed with another count in it
        else:
            digest = self._hash.hexdigest()
        os.fsync(self._file.fileno())
        size = self.bytes
        self._file.close()
        files = [FinishedFile(self.temp_path, self.format.suffix, size, digest or _sha256(self.temp_path))]
        if self._index is not None:
            files.append(self._index.finish())
        return files

    def abandon(self) -> None:
        """Removes what was written; may be called at any time, also after finish and more than once."""
        self._file.close()
        paths = [self.temp_path]
        if self._index is not None:
            self._index.close()
            paths.append(self._index.path)
        for path in paths:
            with contextlib.suppress(OSError):
                os.unlink(path)

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

    def _end_sequences(self) -> None:
        tokens, self._open_document = self._open_document, 0
        if self._index is not None and tokens:
            self._index.add_document(tokens)


class _IndexWriter:
    """Megatron-LM's .idx, in memory that does not grow with the number of documents: the lengths are written as they
    come, and read again in blocks for the positions that follow them."""

    def __init__(self, path: str, dtype: np.dtype[np.generic]) -> None:
        self.path, self._dtype = path, dtype
        self._lengths = array("i")  # not yet written
        self._sequences = 0
        self._continued: list[int] = []  # sequences whose document goes on in the next one: hardly ever any
        self._file = open(path, "x+b", buffering=0)  # noqa: SIM115
        _write_all(self._file, bytes(INDEX_COUNTS.size))

    def add_document(self, tokens: int) -> None:
        """A document is one sequence; of more than 2³¹ − 1 tokens, which an int32 cannot count, it is several."""
        while tokens > _LARGEST_INT32:
            self._continued.append(self._sequences)
            self._add(_LARGEST_INT32)
            tokens -= _LARGEST_INT32
        self._add(tokens)

    def _add(self, tokens: int) -> None:
        self._lengths.append(tokens)
        self._sequences += 1
        if len(self._lengths) >= _BLOCK:
            self._flush()

    def _flush(self) -> None:
        import numpy as np

        _write_all(self._file, np.asarray(self._lengths, dtype="<i4").tobytes())
        self._lengths = array("i")

    def finish(self) -> FinishedFile:
        import numpy as np

        self._flush()
        self._write_positions()
        for start in range(0, self._sequences + 1, _BLOCK):
            indices = np.arange(start, min(start + _BLOCK, self._sequences + 1), dtype="<i8")
            inside = np.asarray(self._continued, dtype="<i8") + 1  # no document begins at these sequences
            _write_all(self._file, indices[~np.isin(indices, inside)].tobytes())
        counts = (self._sequences, self._sequences + 1 - len(self._continued))
        self._file.seek(0)
        _write_all(self._file, INDEX_COUNTS.pack(INDEX_MAGIC, 1, INDEX_DTYPES[self._dtype.name], *counts))
        os.fsync(self._file.fileno())
        size = os.fstat(self._file.fileno()).st_size
        self._file.close()
        return FinishedFile(self.path, ".idx", size, _sha256(self.path))

    def _write_positions(self) -> None:
        import numpy as np

        position = 0  # bytes
        for start in range(0, self._sequences, _BLOCK):
            count = min(_BLOCK, self._sequences - start)
            self._file.seek(INDEX_COUNTS.size + 4 * start)
            sizes = np.frombuffer(_read_exactly(self._file, 4 * count), dtype="<i4").astype("<i8")
            sizes *= self._dtype.itemsize
            ends = position + np.cumsum(sizes, dtype="<i8")
            position = int(ends[-1])
            self._file.seek(0, os.SEEK_END)
            _write_all(self._file, (ends - sizes).astype("<i8").tobytes())

    def close(self) -> None:
        self._file.close()


def _npy_header(dtype: str, tokens: int) -> bytes:
    """As np.save writes it, and 128 bytes long for every number of tokens, so that it can be filled in at the end
    (NumPy pads the length of the first axis to 21 digits for the same reason)."""
    descriptor = {"uint16": "<u2", "uint32": "<u4"}[dtype]
    fields = f"{{'descr': '{descriptor}', 'fortran_order': False, 'shape': ({tokens},), }}"
    return struct.pack("<6sBBH", b"\x93NUMPY", 1, 0, 118) + fields.encode().ljust(117) + b"\n"


def _llmc_header(dtype: str, tokens: int) -> bytes:
    return struct.pack("<3i", *LLMC_HEADERS[dtype], tokens).ljust(LLMC_HEADER_BYTES, b"\x00")


def _index_path(temp_path: str) -> str:
    """Ends in .tmp where `temp_path` does: what is left by a killed writer is found by that."""
    stem, suffix = os.path.splitext(temp_path)
    return f"{stem}.idx{suffix}" if suffix == ".tmp" else f"{temp_path}.idx"


def _write_all(file: BinaryIO, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _read_exactly(file: BinaryIO, size: int) -> bytes:
    parts = []
    while size:
        part = file.read(size)
        if not part:
            raise OSError("the index was cut short while it was written")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _sha256(path: str) -> str:
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
