"""Token files read back, in blocks: the layouts of formats.py, and how one is told from the others.

A file is what its first bytes, its size and the file beside it say; where that leaves a choice (raw ids carry no
header), the manifest decides, then the ids themselves. `detect` says which it was.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memguard.errors import ConfigError, InputError, ShardError
from memguard.tokens.output.disk import open_to_read
from memguard.tokens.output.formats import LLMC_HEADER_BYTES, LLMC_HEADERS
from memguard.tokens.output.megatron_index import INDEX_MAGIC, Index
from memguard.tokens.tuning import TUNING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ids = npt.NDArray[np.unsignedinteger]

__all__ = ["DocumentEnds", "FileLayout", "ShardReader", "TokenProgress", "detect", "open_reader"]

_SAMPLE = 1 << 16  # bytes looked at to tell uint16 from uint32

_NPY_DTYPES = {"<u2": "uint16", "|u2": "uint16", "<u4": "uint32", "<i4": "uint32"}


@dataclass(frozen=True, slots=True)
class TokenProgress:
    """How far a pass over the ids of a directory is, after every block."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class FileLayout:
    """What a file was found to be, and by what."""

    format: str
    dtype: str  # uint16 | uint32
    reason: str
    header: int = 0  # bytes before the ids
    tokens: int | None = None  # as the header says; None where there is no header
    index: str | None = None  # Megatron-LM's .idx


def detect(path: str, *, format: str | None = None, dtype: str | None = None, by: str = "as said") -> FileLayout:
    """`format` and `dtype` where the user or a manifest (`by`) has said them: they decide what the bytes leave open.

    Raises InputError where the file cannot be read, ShardError where it is no token file, or not the one asked for.
    """
    with open_to_read(path) as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(_SAMPLE)
    layout = _by_magic(path, head) or _by_index(path) or _raw(path, head, size, dtype, by)
    if format in ("nanogpt", "megatron") and layout.format != format:
        if layout.format == "nanogpt":
            raise ShardError(f"{path}: the index {_index_name(path)} is missing", "Megatron-LM cannot read it without")
        layout = _raw(path, head, size, dtype, by)  # asked for: what looks like a header may be ids
    if (format or layout.format) != layout.format:
        raise ShardError(f"{path} is no {format} file: {layout.reason}")
    if (dtype or layout.dtype) != layout.dtype:
        raise ShardError(f"{path} holds {layout.dtype}, not {dtype}: {layout.reason}")
    return layout


def open_reader(
    path: str,
    *,
    format: str | None = None,
    dtype: str | None = None,
    by: str = "as said",
    block: int = TUNING.read_ids,
) -> ShardReader:
    """As `detect`; `block`: ids read at a time."""
    return ShardReader(path, detect(path, format=format, dtype=dtype, by=by), block=block)


class ShardReader:
    """The ids of one file, in order. `tokens` is what the size of the file says, which the header must agree with."""

    def __init__(self, path: str, layout: FileLayout, *, block: int = TUNING.read_ids) -> None:
        import numpy as np

        self.path, self.layout, self.block = path, layout, block
        self.dtype = np.dtype(layout.dtype).newbyteorder("<")
        self._file = open_to_read(path)
        self.size = os.fstat(self._file.fileno()).st_size
        try:
            self.tokens = self._count()
        except BaseException:
            self._file.close()
            raise

    def _count(self) -> int:
        tokens, rest = divmod(self.size - self.layout.header, self.dtype.itemsize)
        if self.layout.tokens is not None and (tokens, rest) != (self.layout.tokens, 0):
            raise ShardError(
                f"{self.path} is damaged: its header says {self.layout.tokens:,} tokens, its size is "
                f"{self.size:,} bytes instead of {self.layout.header + self.layout.tokens * self.dtype.itemsize:,}",
                "was it written to the end, or cut short by a copy?",
            )
        if rest:
            raise ShardError(
                f"{self.path} is damaged: {self.size:,} bytes are no whole number of {self.layout.dtype} ids",
                "was it written to the end, or cut short by a copy?",
            )
        return tokens

    def blocks(self, start: int = 0, count: int | None = None, digest: Any = None) -> Iterator[Ids]:
        """Blocks of at most `block` ids, from token `start` on, `count` of them (None: all).

        `digest`, a hashlib object, is given the bytes that are read; with `start` 0, the header too.
        """
        import numpy as np

        left = self.tokens - start if count is None else min(count, self.tokens - start)
        self._file.seek(0 if digest is not None and start == 0 else self.layout.header + start * self.dtype.itemsize)
        if digest is not None and start == 0 and self.layout.header:
            digest.update(self._file.read(self.layout.header))
        while left > 0:
            ids = np.fromfile(self._file, dtype=self.dtype, count=min(self.block, left))
            if not ids.size:
                raise ShardError(f"{self.path} became shorter while it was read")
            if digest is not None:
                digest.update(memoryview(ids.view("u1").data))
            left -= ids.size
            yield ids

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> ShardReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class DocumentEnds:
    """Where documents end in a shard with an index, handed out as far as the ids have been read."""

    def __init__(self, reader: ShardReader) -> None:
        import numpy as np

        self._index = None if reader.layout.index is None else Index(reader.layout.index, block=reader.block)
        self._blocks: Iterator[npt.NDArray[np.int64]] = iter(()) if self._index is None else self._index.document_ends()
        self._waiting: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def until(self, position: int) -> npt.NDArray[np.int64]:
        """Those that were not handed out yet and are not beyond token `position`."""
        import numpy as np

        found = []
        while True:
            here = int(np.searchsorted(self._waiting, position, side="right"))
            found.append(self._waiting[:here])
            self._waiting = self._waiting[here:]
            if self._waiting.size:
                break
            following = next(self._blocks, None)
            if following is None:
                break
            self._waiting = following
        return np.concatenate(found)

    def close(self) -> None:
        if self._index is not None:
            self._index.close()

    def __enter__(self) -> DocumentEnds:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _by_magic(path: str, head: bytes) -> FileLayout | None:
    if head.startswith(b"\x93NUMPY"):
        return _npy(path, head)
    if head.startswith(INDEX_MAGIC):
        raise ShardError(f"{path} is the index of a Megatron-LM file", "give the .bin file beside it")
    for dtype, (magic, version) in LLMC_HEADERS.items():
        # Ids may begin like this by chance, which a header of zeros after the count then does not.
        if head.startswith(struct.pack("<2i", magic, version)) and not any(head[12:LLMC_HEADER_BYTES]):
            if len(head) < LLMC_HEADER_BYTES:
                raise ShardError(f"{path} is damaged: llm.c's header is {LLMC_HEADER_BYTES} bytes long")
            (tokens,) = struct.unpack_from("<i", head, 8)
            reason = f"the header is llm.c's: {magic}, version {version}"
            return FileLayout("llmc", dtype, reason, LLMC_HEADER_BYTES, tokens)
    return None


def _npy(path: str, head: bytes) -> FileLayout:
    import ast

    try:
        major = head[6]
        length, start = (struct.unpack_from("<H", head, 8)[0], 10) if major == 1 else (0, 0)
        fields = ast.literal_eval(head[start : start + length].decode("latin-1")) if length else {}
        descriptor, shape = fields["descr"], fields["shape"]
    except (KeyError, IndexError, ValueError, SyntaxError, struct.error):
        raise ShardError(f"{path} is damaged: NumPy's header cannot be read") from None
    if descriptor not in _NPY_DTYPES or len(shape) != 1:
        raise ShardError(f"{path} holds a NumPy array of {descriptor} in {len(shape)} dimensions, no token ids")
    reason = f"the header is NumPy's: {descriptor}, {shape[0]:,} elements"
    return FileLayout("npy", _NPY_DTYPES[descriptor], reason, start + length, shape[0])


def _by_index(path: str) -> FileLayout | None:
    name = _index_name(path)
    if not os.path.isfile(name):
        return None
    with Index(name) as index:
        reason = f"{os.path.basename(name)} stands beside it: Megatron-LM's, {index.dtype}"
        return FileLayout("megatron", index.dtype, reason, index=name)


def _index_name(path: str) -> str:
    return os.path.splitext(path)[0] + ".idx"


def _raw(path: str, head: bytes, size: int, dtype: str | None, by: str) -> FileLayout:
    if dtype is not None:
        if dtype not in ("uint16", "uint32"):
            raise ConfigError(f"token ids are uint16 or uint32, not {dtype}")
        return FileLayout("nanogpt", dtype, f"no header; {dtype} {by}")
    if _looks_like_text(head):
        raise InputError(
            f"{path} looks like text, not like token ids",
            f"memguard tokenize {path} makes a token file of it; --dtype uint16 reads it as one",
            path=path,
        )
    if size % 4 == 0 and _looks_like_uint32(head):
        return FileLayout("nanogpt", "uint32", "no header; every second half-word is small, as in ids of 32 bits")
    return FileLayout("nanogpt", "uint16", "no header; the ids look like 16 bits each" if size else "empty")


def _looks_like_text(head: bytes) -> bool:
    """Nothing but UTF-8 without control characters, for longer than ids can be by chance."""
    head = head[:1024]
    if len(head) < 64 or head.translate(None, bytes(range(8)) + bytes(range(14, 32))) != head:
        return False
    return "\ufffd" not in head.decode("utf-8", "replace")[:-1]


def _looks_like_uint32(head: bytes) -> bool:
    """Ids of 32 bits are below 2¹⁸ in tiktoken's vocabularies: their upper halves are below 4. Ids of 16 bits that are
    so small in every second place (`!"#$` in GPT-2) do not happen but in a file of a few tokens."""
    import numpy as np

    words = np.frombuffer(head[: len(head) // 4 * 4], dtype="<u2")
    if not words.size:
        return False
    return bool((words[1::2] < 4).all() and (words[::2] >= 4).any())
