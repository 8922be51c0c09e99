"""Files whose content is memory: memfd_create, and whatever lies on tmpfs (/dev/shm), ramfs or hugetlbfs.

What is written into one is in no process's RSS, unless a process maps it and touches the page; a name, a descriptor or
a mapping keeps it. st_blocks is what it takes, holes left out. Only the owner of a process and root may look.

The kernel's own mounts (memfd, System V and anonymous shared memory) are in no mountinfo: a probe and the path tell.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from memguard.system.kernel_file import KeptFile, read_bytes
from memguard.system.proc import Process

__all__ = [
    "Filesystems",
    "Mapping",
    "MemoryFile",
    "UsedShmem",
    "follow",
    "held_in_files",
    "mapped_files",
    "open_memory_files",
]

_KINDS = (b"tmpfs", b"devtmpfs", b"ramfs", b"hugetlbfs")
_BLOCK = 512  # stat(2): the unit of st_blocks
_DELETED = " (deleted)"

Key = tuple[int, int]  # (st_dev, st_ino)


@dataclass(frozen=True, slots=True)
class MemoryFile:
    """A file as it is now. `link` leads to it as long as it is held there: a descriptor's or a mapping's."""

    key: Key
    bytes: int
    path: str  # without " (deleted)"
    named: bool
    writable: bool
    changed: float  # Unix time
    link: str


@dataclass(frozen=True, slots=True)
class Mapping:
    """All mappings of one file in one process together."""

    key: Key
    bytes: int  # of address space
    path: str
    writable: bool  # shared and writable: what is stored there goes into the file
    link: str  # only root may follow it


class Filesystems:
    """Which devices hold files in memory; asked of a process, which may see mounts that this one does not."""

    def __init__(self, proc: str = "/proc") -> None:
        self.proc = proc
        self._in_memory: dict[int, bool] = {}
        with contextlib.suppress(AttributeError, OSError):
            probe = os.memfd_create("memguard-probe")
            self._in_memory[os.fstat(probe).st_dev] = True
            os.close(probe)

    def in_memory(self, device: int, pid: int, path: str = "") -> bool:
        if device not in self._in_memory:
            for line in (read_bytes(f"{self.proc}/{pid}/mountinfo") or b"").split(b"\n"):
                self._learn(line)
            self._in_memory.setdefault(device, path.startswith("/memfd:"))  # of huge pages
        return self._in_memory[device]

    def _learn(self, line: bytes) -> None:
        left, _, right = line.partition(b" - ")
        fields = left.split(b" ", 3)
        if len(fields) == 4:
            major, _, minor = fields[2].partition(b":")
            self._in_memory[os.makedev(int(major), int(minor))] = right.split(b" ", 1)[0] in _KINDS


def open_memory_files(pid: int, filesystems: Filesystems) -> list[MemoryFile]:
    """The memory files behind the descriptors of `pid`, each once for each descriptor. 5 µs per descriptor."""
    directory = f"{filesystems.proc}/{pid}/fd"
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    found = []
    for name in names:
        link = f"{directory}/{name}"
        with contextlib.suppress(OSError):
            status = os.stat(link)
            if stat.S_ISREG(status.st_mode):
                path = os.readlink(link)
                if filesystems.in_memory(status.st_dev, pid, path):
                    writable = bool(
                        os.lstat(link).st_mode & stat.S_IWUSR
                    )  # proc(5): the link's mode is the descriptor's
                    found.append(_memory_file(status, path, link, writable))
    return found


def _memory_file(status: os.stat_result, path: str, link: str, writable: bool) -> MemoryFile:
    named, path = status.st_nlink > 0, path.removesuffix(_DELETED)
    key = (status.st_dev, status.st_ino)
    return MemoryFile(key, status.st_blocks * _BLOCK, path, named, writable, status.st_mtime, link)


def mapped_files(pid: int, filesystems: Filesystems) -> dict[Key, Mapping]:
    """The memory files that `pid` has mapped. 0.1–0.3 ms for an ordinary Python."""
    found: dict[Key, Mapping] = {}
    for line in (read_bytes(f"{filesystems.proc}/{pid}/maps") or b"").split(b"\n"):
        fields = line.split(None, 5)  # start-end perms offset major:minor inode path
        if len(fields) < 6 or fields[4] == b"0" or not fields[5].startswith(b"/"):
            continue
        major, _, minor = fields[3].partition(b":")
        device, path = os.makedev(int(major, 16), int(minor, 16)), os.fsdecode(fields[5])
        if not filesystems.in_memory(device, pid, path):
            continue
        start, _, end = fields[0].partition(b"-")
        key, size = (device, int(fields[4])), int(end, 16) - int(start, 16)
        writable, before = fields[1][1:2] == b"w" and fields[1][3:4] == b"s", found.get(key)
        if before is not None:
            size, writable = size + before.bytes, writable or before.writable
        # The kernel pads addresses with zeros here, but not in the names of map_files.
        link = f"{filesystems.proc}/{pid}/map_files/{int(start, 16):x}-{int(end, 16):x}"
        found[key] = Mapping(key, size, path, writable, link)
    return found


def follow(pid: int, mapping: Mapping, filesystems: Filesystems) -> MemoryFile | None:
    """The file behind a mapping: through the mapping itself, for root; else by its name, if it still has that one."""
    for link in (mapping.link, f"{filesystems.proc}/{pid}/root{mapping.path}"):
        with contextlib.suppress(OSError):
            status = os.stat(link)
            if (status.st_dev, status.st_ino) == mapping.key:
                return _memory_file(status, mapping.path, link, mapping.writable)
    return None


def held_in_files(processes: Iterable[Process], filesystems: Filesystems, shmem: dict[int, int]) -> dict[int, int]:
    """{pid: bytes} in writable memory files that are not in that process's own memory (`shmem`: RssShmem by pid).

    Each file counts once, for the first process that holds it.
    """
    seen: set[Key] = set()
    held: dict[int, int] = {}
    for process in processes:
        files = {file.key: file for file in open_memory_files(process.pid, filesystems) if file.writable}
        own = {key: file.bytes for key, file in files.items() if key not in seen}
        seen.update(own)
        mapped = mapped_files(process.pid, filesystems) if own and shmem.get(process.pid) else {}
        inside = sum(min(mapped[key].bytes, size) for key, size in own.items() if key in mapped)
        held[process.pid] = max(0, sum(own.values()) - min(inside, shmem.get(process.pid, 0)))
    return held


class UsedShmem:
    """What all memory files of the machine, and its shared memory, take together: a sign that one has grown.

    Shmem is tmpfs, memfd and shared memory; ramfs is Unevictable; pages of hugetlbfs are taken out of a pool. 6 µs.
    """

    def __init__(self, proc: str = "/proc") -> None:
        self._meminfo = KeptFile(f"{proc}/meminfo")

    def read(self) -> int:
        data = self._meminfo.read() or b""
        huge = _kib(data, b"\nHugePages_Total:") - _kib(data, b"\nHugePages_Free:")
        return (_kib(data, b"\nShmem:") + _kib(data, b"\nUnevictable:") + huge * _kib(data, b"\nHugepagesize:")) * 1024

    def close(self) -> None:
        self._meminfo.close()


def _kib(data: bytes, name: bytes) -> int:
    start = data.find(name)
    if start < 0:
        return 0
    words = data[start + len(name) : start + len(name) + 32].split(None, 1)
    return int(words[0]) if words and words[0].isdigit() else 0
