"""Memory of the tree that is in none of its processes: what it has written into files in memory, unmapped.

That is memfd_create, deleted and unnamed files of /dev/shm, and files of any tmpfs, ramfs or hugetlbfs mount
(system/memory_files.py). A cgroup of the tree's own is charged for them. Without one they are found through the tree's
descriptors, and through its mappings where a mapped file has no descriptor any more. A file that the tree has had open
for writing counts once, whoever holds it, as long as a process of the tree or a name holds it: closing it gives nothing
back. Other people's never count: what was only read, and what was there, unchanged since, when the tree's root was
started. Pages that a process has mapped and touched are in its RssShmem already.

Nobody's descriptors are read while the machine's shared memory stands still, which one look at /proc/meminfo tells.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from memguard.system.memory_files import Filesystems, MemoryFile, UsedShmem, follow, mapped_files, open_memory_files
from memguard.system.proc import Process

__all__ = ["SharedMemory", "started_at"]

_GROWTH = 1 << 20  # bytes that shared memory as a whole has to change by before anybody's descriptors are read
_OF = 64  # processes looked at
_LOOK_COST = 20  # times what the last look took until the next one: at most 5 % of a core
_BLOCK = 512

Key = tuple[int, int]


def started_at(process: Process) -> float:
    """The Unix time at which `process` was started; to 10 ms."""
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - process.start_time / os.sysconf("SC_CLK_TCK")
    return time.time() - age


class _File:
    """`base` bytes of it are somebody else's. Only root may look through a mapping: where nothing else holds the file
    any more (`mapped`), it has the size that it had `last`."""

    __slots__ = ("base", "last", "links", "mapped", "name")

    def __init__(self, base: int) -> None:
        self.base = self.last = base
        self.mapped = False
        self.name: str | None = None
        self.links: dict[str, None] = {}


class SharedMemory:
    """`since` is the Unix time at which the tree's root was started: what is older is not the tree's work."""

    def __init__(self, since: float = 0.0, proc: str = "/proc") -> None:
        self._since = since
        self._filesystems = Filesystems(proc)
        self._used = UsedShmem(proc)
        self._files: dict[Key, _File] = {}
        self._maps: dict[int, tuple[int, dict[Key, int]]] = {}  # by pid: (RssShmem then, bytes mapped of each file)
        self._looked_at: int | None = None  # what was used then
        self._explained = 0
        self._due = 0.0

    def growth(self) -> int:
        """Bytes that shared memory as a whole has grown by, whoever holds it, since the descriptors were last read."""
        return self._used.read() - (self._looked_at or 0)

    def unmapped(self, shmem: Mapping[Process, int], twice: int = 0) -> int:
        """Bytes of the tree's files that are in none of its processes; `shmem` is the RssShmem of each.

        `twice`: how much of the sum of `shmem` are pages that several of them have mapped.
        """
        used = self._used.read()
        changed = self._looked_at is None or abs(used - self._looked_at) >= _GROWTH
        if changed and time.monotonic() >= self._due:
            self._look(shmem, used)
        sizes = self._sizes()
        if sizes is None:  # one was closed: somebody else of the tree may hold it
            self._look(shmem, used)
            sizes = self._sizes(forget=True) or {}
        mapped = self._mapped(shmem, sizes) if sizes else []
        return max(0, sum(sizes.values()) - max(max(mapped, default=0), sum(mapped) - twice))

    def close(self) -> None:
        self._used.close()

    def _look(self, shmem: Mapping[Process, int], used: int) -> None:
        started = time.monotonic()
        first, before = self._looked_at is None, self._looked_at or 0
        self._looked_at = used
        for file in self._files.values():
            file.links.clear()
            file.mapped = False
        processes = tuple(shmem)[:_OF]
        for process in processes:
            for found in open_memory_files(process.pid, self._filesystems):
                self._add(found)
        explained = sum((self._sizes(forget=True, unlinked=True) or {}).values()) + sum(shmem.values())
        if first or abs((used - before) - (explained - self._explained)) >= _GROWTH or self._is_unlinked():
            for process in processes:
                for mapping in mapped_files(process.pid, self._filesystems).values():
                    held = follow(process.pid, mapping, self._filesystems)
                    if held is not None and (mapping.key in self._files or not held.named):
                        self._add(held)
                    elif mapping.key in self._files:
                        self._files[mapping.key].mapped = True
        self._explained = explained
        self._maps.clear()
        self._due = time.monotonic() + _LOOK_COST * (time.monotonic() - started)

    def _add(self, found: MemoryFile) -> None:
        file = self._files.get(found.key)
        if file is None:
            if not found.writable:
                return
            file = self._files[found.key] = _File(found.bytes if found.changed < self._since else 0)
        file.links[found.link] = None
        if found.named:
            file.name = found.path

    def _is_unlinked(self) -> bool:
        return any(not file.links and file.name is None for file in self._files.values())

    def _sizes(self, *, forget: bool = False, unlinked: bool = False) -> dict[Key, int] | None:
        """The tree's own bytes of each file; None where one is held in none of its places any more, unless those are to
        be forgotten (`unlinked`: but for those that have lost their descriptors alone)."""
        sizes: dict[Key, int] = {}
        for key, file in list(self._files.items()):
            size = self._size(key, file)
            if size is not None:
                sizes[key] = max(0, size - file.base)
            elif not forget:
                return None
            elif not (unlinked and file.name is None):
                del self._files[key]
        return sizes

    def _size(self, key: Key, file: _File) -> int | None:
        for link in (*file.links, *([file.name] if file.name else ())):
            try:
                status = os.stat(link)
            except OSError:
                file.links.pop(link, None)
                continue
            if (status.st_dev, status.st_ino) == key:
                file.last = status.st_blocks * _BLOCK
                return file.last
        return file.last if file.mapped else None

    def _mapped(self, shmem: Mapping[Process, int], sizes: Mapping[Key, int]) -> list[int]:
        """Of each process: how much of its RssShmem may be pages of these files."""
        found = []
        for process, resident in shmem.items():
            if resident:
                then, maps = self._maps.get(process.pid, (-_GROWTH, {}))
                if abs(resident - then) >= _GROWTH:
                    maps = {key: m.bytes for key, m in mapped_files(process.pid, self._filesystems).items()}
                    self._maps[process.pid] = (resident, maps)
                found.append(min(resident, sum(min(maps[key], size) for key, size in sizes.items() if key in maps)))
        return found
