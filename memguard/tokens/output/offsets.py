"""Where the documents of a split begin: SPLIT.offsets.bin, written, taken up again after a kill, and read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from memguard.errors import InputError, ShardError
from memguard.records.manifest import FileInfo
from memguard.tokens.output.disk import cut_back, sha256_of, write_all
from memguard.tokens.output.manifest import MANIFEST
from memguard.tokens.tuning import TUNING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ends = npt.NDArray[np.int64]

__all__ = ["OffsetsFile", "file_info", "offsets_name", "read_offsets"]


def offsets_name(split: str) -> str:
    return f"{split}.offsets.bin"


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
        self.documents += len(ends)
        write_all(self._file, (ends + before).astype("<u8").tobytes())

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def paths(self) -> list[str]:
        return [self.temp_path]

    def close(self) -> None:
        self._file.close()


def file_info(name: str, path: str) -> FileInfo:
    """What the manifest says of the file `name`, which lies at `path` now."""
    return FileInfo(name, os.stat(path).st_size, sha256_of(path))


def read_offsets(directory: str, file: FileInfo, *, block: int = TUNING.read_offsets) -> Iterator[Ends]:
    """The ends of documents (the first begins at 0), in tokens, in blocks of `block` bytes. Raises InputError where the
    file cannot be read, ShardError where it is not the one that the manifest speaks of."""
    import numpy as np

    path = os.path.join(directory, file.path)
    digest, position = hashlib.sha256(), 0
    try:
        with open(path, "rb") as stored:
            while data := stored.read(block):
                digest.update(data)
                yield np.frombuffer(data[: len(data) // 8 * 8], dtype="<u8").astype(np.int64)[0 if position else 1 :]
                position += len(data)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}", path=path) from None
    if digest.hexdigest() != file.sha256:
        raise ShardError(
            f"{path} is not the file that its {MANIFEST} speaks of", f"memguard verify {directory} tells what is wrong"
        )
