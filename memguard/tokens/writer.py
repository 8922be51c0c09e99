"""Token files that appear whole or not at all: a temporary name in the same directory, fsync, rename.

A temporary file is locked (flock) while its writer lives, which tells a second writer on the same directory from the
remains of one that was killed. The layout is nanoGPT's: the ids one after the other, little endian, no header.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from typing import TYPE_CHECKING

from memguard.errors import ShardError
from memguard.records.manifest import ShardInfo
from memguard.units import format_size

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["ShardWriter", "disk_error", "free_space", "remove_remains", "sync_directory"]


class ShardWriter:
    """One token file. `write` as often as needed, `seal`, then `publish`; `discard` at any time leaves nothing."""

    def __init__(self, directory: str, name: str, split: str, dtype: str) -> None:
        import numpy as np

        self.path = os.path.join(directory, name)
        self._split, self._name = split, name
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._temporary = os.path.join(directory, f".{name}.{os.getpid()}.tmp")
        self._hash = hashlib.sha256()
        self.tokens = 0
        self.documents = 0
        try:
            self._file = open(self._temporary, "xb", buffering=0)  # noqa: SIM115
            _lock(self._file.fileno())
        except OSError as error:
            raise disk_error(self.path, error) from None

    @property
    def bytes(self) -> int:
        return self.tokens * self._dtype.itemsize

    def write(self, ids: npt.NDArray[np.unsignedinteger]) -> None:
        data = memoryview(ids.astype(self._dtype, copy=False).view("u1").data)
        self._hash.update(data)
        self.tokens += ids.size
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            raise disk_error(self.path, error) from None

    def seal(self) -> ShardInfo:
        """Everything on the disk, still under the temporary name."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise disk_error(self.path, error) from None
        return ShardInfo(
            path=self._name,
            split=self._split,
            tokens=self.tokens,
            documents=self.documents or None,
            bytes=self.bytes,
            sha256=self._hash.hexdigest(),
        )

    def publish(self) -> None:
        try:
            os.replace(self._temporary, self.path)
        except OSError as error:
            raise disk_error(self.path, error) from None
        self._file.close()

    def discard(self) -> None:
        """Does nothing once published."""
        if not self._file.closed:
            self._file.close()
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)


def disk_error(path: str, error: OSError) -> ShardError:
    """The one line for a write that failed."""
    directory = os.path.dirname(path) or "."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what = "the disk is full" if error.errno == errno.ENOSPC else "the disk quota is used up"
        free = free_space(directory)
        left = f" ({format_size(free)} left)" if free is not None else ""
        return ShardError(f"cannot write {path}: {what}{left}", "nothing was kept; make room, or choose another -o DIR")
    hint = {
        errno.EACCES: f"you may not write to {directory}; choose another -o DIR",
        errno.EPERM: f"you may not write to {directory}; choose another -o DIR",
        errno.EROFS: f"{directory} is read-only; choose another -o DIR",
        errno.EFBIG: "the largest size of a file is limited here (ulimit -f)",
        errno.EEXIST: "another memguard writes here, or one with the same process id was killed: remove that file",
    }.get(error.errno or 0, "")
    named = f" ({error.filename})" if error.errno == errno.EEXIST else ""
    return ShardError(f"cannot write {path}: {error.strerror or error}{named}", hint)


def free_space(directory: str) -> int | None:
    """Bytes that an ordinary user may still write there; None where that cannot be asked."""
    try:
        status = os.statvfs(directory)
    except (OSError, AttributeError):
        return None
    return status.f_bavail * status.f_frsize


def remove_remains(directory: str, names: tuple[str, ...]) -> None:
    """Removes temporary files that a killed writer left behind. Raises ShardError if their writer still lives."""
    try:
        entries = os.listdir(directory)
    except OSError:
        return  # writing will tell
    for entry in entries:
        if not (entry.endswith(".tmp") and any(entry.startswith(f".{name}.") for name in names)):
            continue
        path = os.path.join(directory, entry)
        try:
            with open(path, "rb") as file:
                _lock(file.fileno())
                os.unlink(path)
        except BlockingIOError:
            message = f"another memguard is writing to {directory} right now ({entry})"
            raise ShardError(message, "wait for it, or choose another -o DIR") from None
        except OSError as error:
            raise disk_error(path, error) from None


def sync_directory(directory: str) -> None:
    """Makes renames last through a power cut, where directories can be synced at all."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Raises BlockingIOError where another process holds the lock; does nothing where there are no such locks."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return  # a file system without locks (some network mounts)
