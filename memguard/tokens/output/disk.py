"""The disk under token files: temporary names, whole writes, hashes, syncs, free space, and what errors say."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from memguard.errors import InputError, ManifestMismatch, ShardError
from memguard.units import format_size

__all__ = [
    "FinishedFile",
    "check_space",
    "cut_back",
    "disk_error",
    "disk_errors",
    "free_space",
    "open_to_read",
    "sha256_of",
    "sync_directory",
    "temporary_of",
    "write_all",
]


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


def temporary_of(name: str) -> str:
    """What a file is called before it is complete. An index follows its ids (formats.py)."""
    stem, suffix = os.path.splitext(name)
    return f".{stem}.bin.idx.tmp" if suffix == ".idx" else f".{name}.tmp"


@contextlib.contextmanager
def disk_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_error(path, error) from None


def disk_error(path: str, error: OSError) -> ShardError:
    """The one line for a write that failed."""
    directory = os.path.dirname(path) or "."
    path = os.path.join(directory, os.path.basename(path).removeprefix(".").removesuffix(".tmp"))
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what = "the disk is full" if error.errno == errno.ENOSPC else "the disk quota is used up"
        free = free_space(directory)
        left = f" ({format_size(free)} left)" if free is not None else ""
        return ShardError(f"cannot write {path}: {what}{left}", "make room, or choose another -o DIR")
    hint = {
        errno.EACCES: f"you may not write to {directory}; choose another -o DIR",
        errno.EPERM: f"you may not write to {directory}; choose another -o DIR",
        errno.EROFS: f"{directory} is read-only; choose another -o DIR",
        errno.EFBIG: "the largest size of a file is limited here (ulimit -f)",
        errno.EEXIST: f"it is no file of memguard's ({error.filename}): move it away",
    }.get(error.errno or 0, "")
    return ShardError(f"cannot write {path}: {error.strerror or error}", hint)


def free_space(directory: str) -> int | None:
    """Bytes that an ordinary user may still write there; None where that cannot be asked."""
    try:
        status = os.statvfs(directory)
    except (OSError, AttributeError):
        return None
    return status.f_bavail * status.f_frsize


def check_space(directory: str, needed: float, words: str) -> None:
    """Raises ShardError where fewer than `needed` bytes are free; `words` say how much that is."""
    free = free_space(directory)
    if free is not None and free < needed:
        raise ShardError(
            f"{directory} needs {words}, and {format_size(free)} is free", "make room, or choose another -o DIR"
        )


def sync_directory(directory: str) -> None:
    """Makes renames last through a power cut, where directories can be synced at all."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_all(file: BinaryIO, data: bytes | memoryview) -> None:
    """All of `data` into an unbuffered file, whose `write` may take less at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def sha256_of(path: str) -> str:
    """In hexadecimal digits."""
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cut_back(path: str, size: int) -> None:
    """Takes away what a job wrote after its last checkpoint. Raises ManifestMismatch where `path` is shorter."""
    try:
        found = os.stat(path).st_size
        if found >= size:
            os.truncate(path, size)
            return
    except FileNotFoundError:
        found = None
    what = "is missing" if found is None else f"has {found:,} bytes of {size:,}"
    raise ManifestMismatch(f"the unfinished job cannot go on: {path} {what}", "--overwrite starts again")


def open_to_read(path: str) -> BinaryIO:
    """Raises InputError."""
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        hint = "give one of its files" if isinstance(error, IsADirectoryError) else ""
        raise InputError(f"cannot read {path}: {error.strerror or error}", hint, path=path) from None
