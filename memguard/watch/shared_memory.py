"""Files of the tree in /dev/shm: memory that is in no process's RSS when it was written, not mapped.

A cgroup of the tree's own is charged for it; without one the files are found through the tree's descriptors, and looked
at for as long as they are there, since closing such a file gives nothing back. Other people's files never count.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from memguard.system.open_files import read_open_files
from memguard.system.proc import Process

__all__ = ["SharedMemory"]

_GROWTH = 1 << 20  # bytes that /dev/shm as a whole has to grow by before anybody's descriptors are read
_OF = 64  # processes looked at


class SharedMemory:
    """`directory` is another place than /dev/shm, for tests."""

    def __init__(self, directory: str = "/dev/shm") -> None:
        self._directory = directory
        self._files: set[str] = set()
        self._looked_at = self._used()

    def growth(self) -> int:
        """Bytes that /dev/shm as a whole has grown by, whoever wrote them, since the files were last looked for."""
        return self._used() - self._looked_at

    def size(self, processes: Iterable[Process]) -> int:
        """Bytes that the tree's files hold there now. One statvfs() where nobody writes there."""
        used = self._used()
        if abs(used - self._looked_at) >= _GROWTH:
            self._looked_at = used
            for process in tuple(processes)[:_OF]:
                paths = (file.path for file in read_open_files(process.pid) if file.writable and not file.deleted)
                self._files.update(path for path in paths if path.startswith(f"{self._directory}/"))
        return sum(self._size_of(path) for path in tuple(self._files))

    def _size_of(self, path: str) -> int:
        try:
            return os.stat(path).st_blocks * 512
        except OSError:
            self._files.discard(path)
            return 0

    def _used(self) -> int:
        try:
            found = os.statvfs(self._directory)
        except OSError:
            return 0
        return (found.f_blocks - found.f_bfree) * found.f_frsize
