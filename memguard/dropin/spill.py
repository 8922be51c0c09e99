"""A file without a name that holds what does not stay in memory. It goes away with its last user, however that ends.

It lies in $MEMGUARD_SPILL_DIR, else in the current directory, else in /var/tmp, the first that can be written, has the
room and is a disk: what lies on a tmpfs (often /tmp) is memory. When a disk fills up, the file moves to the next one.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from typing import TYPE_CHECKING, Any

from memguard.errors import SpillError
from memguard.system.memory_files import Filesystems
from memguard.units import MIB, format_size

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["SPILL_VARIABLE", "SpillFile", "candidates", "choose_directory"]

SPILL_VARIABLE = "MEMGUARD_SPILL_DIR"
_LEFT_FREE = 16 * MIB  # of a disk, beside what is asked for
_COPY = MIB
_FULL = (errno.ENOSPC, errno.EDQUOT)
_HINT = f"make room, or name a directory on another disk: {SPILL_VARIABLE}=DIR"


class SpillFile:
    """Bytes that are appended at the end and never changed: readers need no lock. Not for two writers at once.

    A forked child that appends gets a copy of its own first; what it only reads stays shared. Sizes and positions are
    in bytes. Every method that writes raises SpillError (a MemoryError) where no disk takes it.
    """

    def __init__(self, needed: int = 0) -> None:
        """`needed`: bytes that are sure to come, for which the disk must have room."""
        self.size = 0
        self.directory = choose_directory(needed)
        self._file = _create(self.directory)
        self._pid = os.getpid()

    def append(self, data: Any) -> None:
        """`data`: bytes, or anything contiguous with a buffer (array.array, a NumPy array)."""
        if self._pid != os.getpid():
            self._replace(self.directory)
        rest, done = memoryview(data).cast("B") if memoryview(data).nbytes else memoryview(b""), 0
        while done < len(rest):
            try:
                done += os.pwrite(self._file, rest[done : done + (1 << 30)], self.size + done)
            except OSError as error:
                if error.errno not in _FULL:
                    raise _spill_error(self.directory, error) from None
                self._move(len(rest) - done, error)
        self.size += done

    def read(self, start: int, size: int) -> bytes:
        """Fewer than `size` bytes at the end of the file."""
        size = max(0, min(size, self.size - start))
        data = os.pread(self._file, size, start)
        while len(data) < size:
            more = os.pread(self._file, size - len(data), start + len(data))
            if not more:
                raise SpillError(f"the file in {self.directory} has lost its end", _HINT, path=self.directory)
            data += more
        return data

    def map(self, dtype: npt.DTypeLike, start: int, count: int) -> npt.NDArray[Any]:
        """`count` items of `dtype` from byte `start` on, as a private mapping: an array that may be changed, without a
        change to the file. Its pages are the file's, until they are written to."""
        import numpy as np

        dtype = np.dtype(dtype)
        if not count:
            return np.empty(0, dtype)
        low = start - start % mmap.ALLOCATIONGRANULARITY
        size = start - low + count * dtype.itemsize
        try:
            mapped = mmap.mmap(self._file, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE, offset=low)
        except OSError as error:
            if error.errno != errno.ENOMEM:
                raise
            mapped, low = self._map_copy(start, count * dtype.itemsize), start
        return np.frombuffer(mapped, dtype, count, start - low)

    def copy(self, start: int = 0, size: int | None = None) -> SpillFile:
        """A file of its own with these bytes."""
        size = self.size - start if size is None else size
        other = SpillFile(size)
        for at in range(start, start + size, _COPY):
            other.append(self.read(at, min(_COPY, start + size - at)))
        return other

    def close(self) -> None:
        """What is mapped stays as it is."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError, TypeError):  # at the interpreter's end, or half made
            self.close()

    def _map_copy(self, start: int, size: int) -> mmap.mmap:
        """RLIMIT_DATA counts private mappings in full. Under one that is too low, a file of its own, mapped shared, is
        as private."""
        other = self.copy(start, size)
        try:
            return mmap.mmap(other._file, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        finally:
            other.close()

    def _move(self, more: int, error: OSError) -> None:
        """To another disk, with room for as much again as is there."""
        for directory in candidates():
            if directory != self.directory and _suits(directory, 2 * self.size + more):
                with contextlib.suppress(OSError):
                    self._replace(directory)
                    return
        raise _spill_error(self.directory, error) from None

    def _replace(self, directory: str) -> None:
        file = _create(directory)
        try:
            for at in range(0, self.size, _COPY):
                data = memoryview(self.read(at, _COPY))
                while data:
                    written = os.pwrite(file, data, at)
                    at, data = at + written, data[written:]
        except BaseException:
            os.close(file)
            raise
        os.close(self._file)
        self._file, self.directory, self._pid = file, directory, os.getpid()


def candidates() -> list[str]:
    """The directories that come into question, the best one first."""
    named = os.environ.get(SPILL_VARIABLE)
    places = [named] if named else []
    with contextlib.suppress(OSError):  # the current directory may be gone
        places.append(os.getcwd())
    return [os.path.abspath(place) for place in [*places, "/var/tmp", os.environ.get("TMPDIR") or "/tmp"]]


def choose_directory(needed: int = 0, *, named: bool = False) -> str:
    """The first candidate that takes `needed` bytes; for a file that has a name, the current directory comes last:
    a script may look what is in there. Raises SpillError, with what is wrong with each of them."""
    wrong = []
    places = candidates()
    if named and not os.environ.get(SPILL_VARIABLE):
        places = places[1:] + places[:1]
    for directory in dict.fromkeys(places):
        reason = _unsuitable(directory, needed)
        if reason is None:
            return directory
        wrong.append(f"{directory} {reason}")
    raise SpillError(f"no directory for what does not fit into memory: {'; '.join(wrong)}", _HINT, path=candidates()[0])


def _suits(directory: str, needed: int) -> bool:
    return _unsuitable(directory, needed) is None


def _unsuitable(directory: str, needed: int) -> str | None:
    try:
        status, space = os.stat(directory), os.statvfs(directory)
    except OSError as error:
        return f"cannot be used ({error.strerror})"
    if not os.access(directory, os.W_OK | os.X_OK) or space.f_flag & os.ST_RDONLY:
        return "cannot be written"
    if Filesystems().in_memory(status.st_dev, os.getpid()):
        return "lies in memory (tmpfs)"
    free = space.f_bavail * space.f_frsize
    if free < needed + _LEFT_FREE:
        return f"has {format_size(free)} free, and {format_size(needed + _LEFT_FREE)} is needed"
    return None


def _create(directory: str) -> int:
    """The descriptor of a new file in `directory` that has no name (any more)."""
    flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0)
    try:
        return os.open(directory, flags | os.O_TMPFILE, 0o600)
    except (AttributeError, OSError):
        pass  # not every file system has it; what is really wrong comes up below
    import tempfile

    try:
        file, path = tempfile.mkstemp(prefix=".memguard-", dir=directory)
    except OSError as error:
        raise _spill_error(directory, error) from None
    os.unlink(path)
    return file


def _spill_error(directory: str, error: OSError) -> SpillError:
    what = "the disk is full" if error.errno in _FULL else error.strerror or str(error)
    hint = {
        errno.EFBIG: "the largest size of a file is limited here (ulimit -f)",
        errno.EMFILE: "the number of open files is limited here (ulimit -n)",
    }.get(error.errno or 0, _HINT)
    return SpillError(f"cannot write to a file in {directory}: {what}", hint, path=directory)
