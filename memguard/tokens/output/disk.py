"""The disk under token files: temporary names, free space, syncs, and the one line for a write that failed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from memguard.errors import ShardError
from memguard.units import format_size

__all__ = ["disk_error", "disk_errors", "free_space", "sync_directory", "temporary_of"]


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


def sync_directory(directory: str) -> None:
    """Makes renames last through a power cut, where directories can be synced at all."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
